"""Local noise at fixed g: fraction of the film marked by noise alone, compared with the stated fraction.

    python tests/benchmarks/fixed_g.py [--fields 200] [--size 1024] [--first-seed 0]

In each field without crystals (kinds as in ``false_alarms.py``) the power of the fringes at 24 frequencies
that are independent of the image is divided by its local noise. For noise the quotient exceeds -ln p on a
fraction p of the pixels. Printed for each kind and p: the fraction of the film's pixels, its standard error
from field to field, and their quotient (fraction - p) / error; in vacuum only the fraction. The sum over four
frequencies, as used for the maps of grains, is also tested at p = 0.001. A film's edge has Fresnel fringes,
which are not noise: fields with vacuum come first without, then ("+") with them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import numpy as np
from false_alarms import PIXEL, field, film_of
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).parents[1]))

from forward_model import frequency
from napari_tem_fft.core.fourier.diffractogram import SpectrumParams, compute_diffractogram
from napari_tem_fft.core.fourier.local_spectra import compute_local_spectra
from napari_tem_fft.core.fourier.stft import WindowParams
from napari_tem_fft.core.grains.regions import cut_level
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph, prepared_pixels
from napari_tem_fft.core.maps.map_grid import MapGrid, resample
from napari_tem_fft.core.spots.bragg_filter import bragg_field, field_noise

SHARES = (0.05, 0.01, 0.001)
FREQUENCIES = 24
TOGETHER = 4
WIDTH = 1.0  # nm


def quotients(pixels: NDArray[np.float64], seed: int) -> tuple[NDArray[np.float32], MapGrid]:
    """Power over local noise at frequencies from 2.2 to 9 1/nm, shape (frequencies, y, x)."""
    micrograph = Micrograph(pixels, Calibration.real(PIXEL), "noise")
    image, _ = prepared_pixels(micrograph)
    whole = compute_diffractogram(image, micrograph, SpectrumParams())
    local = compute_local_spectra(image, PIXEL, whole.q_min, whole.q_max, WindowParams())
    grid = MapGrid.covering(micrograph.extent, WIDTH / 3)
    rng = np.random.default_rng(seed)
    out = []
    for d, azimuth in zip(
        1 / rng.uniform(2.2, 9, FREQUENCIES), rng.uniform(0, 180, FREQUENCIES), strict=True
    ):
        g = frequency(d, azimuth)
        found = bragg_field(whole, g, WIDTH, grid)
        out.append(np.abs(found) ** 2 / field_noise(whole, local, g, WIDTH, grid))
    return np.array(out), grid


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--fields", type=int, default=200)
    parser.add_argument("--size", type=int, default=1024)
    parser.add_argument("--first-seed", type=int, default=0)
    args = parser.parse_args()
    print(f"{'field':13s} {'p':>9s} {'of the film':>12s} {'error':>9s} {'off by':>7s} {'of vacuum':>10s}")
    kinds = ("white", "film", "vacuum 20 %", "vacuum 50 %")
    for kind, fringes in (*((kind, False) for kind in kinds), *((kind, True) for kind in kinds[2:])):
        rows: list[list[float]] = []
        outside: list[list[float]] = []
        for seed in range(args.first_seed, args.first_seed + args.fields):
            ratio, grid = quotients(field(kind, args.size, seed, fringes), seed)
            film = resample(film_of(kind, args.size), grid.shape)
            sums = ratio.reshape(-1, TOGETHER, *grid.shape).sum(axis=1) > cut_level(TOGETHER, SHARES[-1])
            marked = [*(ratio > -np.log(p) for p in SHARES), sums]
            rows.append([float(mark[:, film].mean()) for mark in marked])
            outside.append([float(mark[:, ~film].mean()) if not film.all() else np.nan for mark in marked])
        mean, error = np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1) / np.sqrt(len(rows))
        names = [*(f"{p:g}" for p in SHARES), f"{SHARES[-1]:g} sum"]
        for name, p, share, sigma, out in zip(
            names, (*SHARES, SHARES[-1]), mean, error, np.mean(outside, axis=0), strict=True
        ):
            off = (share - p) / sigma
            title = f"{kind} +" if fringes else kind
            print(f"{title:13s} {name:>9s} {share:11.5f} {sigma:9.5f} {off:+7.1f} {out:10.5f}", flush=True)


if __name__ == "__main__":
    main()
