from dataclasses import replace

import numpy as np

from napari_tem_fft.cli.output import report
from napari_tem_fft.core.maps.strain import Deformation
from small_analysis import small_analysis, with_bent_component


def test_a_bent_lattice_says_its_range_of_d_and_why_it_is_one():
    analysis = with_bent_component(small_analysis())
    lines = report(analysis).splitlines()
    row = next(line for line in lines if line.startswith("  ring-like lattice"))
    assert "ring-like: d 0.376-0.410 nm over 3 places; graphitic carbon (002)?" in row
    assert "ring-like lattice: they turn" in lines
    assert "d 3.76-4.10" in report(analysis, "angstrom")
    assert not any("unknown crystal" in line for line in lines)


def test_strain_is_told_with_its_error_and_reference():
    flat, sigma = np.full((4, 4), 0.01, np.float32), np.full((4, 4), 0.002, np.float32)
    strain, errors = np.stack([flat, -flat, 0 * flat]), np.stack([sigma] * 3)
    whole = Deformation(1, (0, 1), (0, 0), flat, 50 * flat, sigma, 50 * sigma, strain, errors, None, True)
    single = Deformation(2, (2,), (0, 0), flat, flat, sigma, sigma, along=12.4)
    lines = report(replace(small_analysis(), deformations=(whole, single))).splitlines()
    assert (
        "deformation of grain 1 against the reference region:"
        " eps_xx +1.00 to +1.00 % (+/- 0.20), above the noise in 100%;"
        " eps_yy -1.00 to -1.00 % (+/- 0.20), above the noise in 100%;"
        " eps_xy +0.00 to +0.00 % (+/- 0.20), above the noise in 0%;"
        " rotation +0.50 to +0.50 degrees (+/- 0.10), above the noise in 100%" in lines
    )
    assert any(
        line.startswith("deformation of grain 2 against its mean along its one g at 12 degrees: change of d")
        for line in lines
    )
    many = report(replace(small_analysis(), deformations=(whole,) * 8)).splitlines()
    assert "deformation of 2 more grains: deformation.csv" in many
