"""A small analysis put together by hand, with every number known."""

from __future__ import annotations

from dataclasses import fields, is_dataclass, replace

import numpy as np

from forward_model import fringes, white_noise
from napari_tem_fft.core.crystal.orientation import CrystalOrientation
from napari_tem_fft.core.crystal.phase import Phase, Reflection
from napari_tem_fft.core.fourier.diffractogram import band_image, compute_diffractogram
from napari_tem_fft.core.fourier.local_spectra import local_spectra_of
from napari_tem_fft.core.grains.bent_lattices import BentLattice
from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.grains.regions import GrainRegion
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph, prepared_pixels
from napari_tem_fft.core.maps.component_map import ComponentMap
from napari_tem_fft.core.maps.map_grid import MapGrid
from napari_tem_fft.core.matching import (
    Candidate,
    GrainMatch,
    IndexedRing,
    IndexedSpot,
    Outcome,
    PhaseOverride,
    RingCandidate,
    RingMatch,
)
from napari_tem_fft.core.pipeline import Analysis, AnalysisParams
from napari_tem_fft.core.profile.radial_profile import ProfilePeak, RadialProfile
from napari_tem_fft.core.spots.seeds import NetworkUsed
from napari_tem_fft.core.spots.spot import Spot
from napari_tem_fft.io.phases.table import load_table

SHAPE = (192, 256)
PIXEL_SIZE = (0.02, 0.03)
GRID = MapGrid((48, 64), (0.08, 0.12))


def own_phase() -> Phase:
    """A phase that is not in the bundled table, as from a user's CIF file."""
    reflection = Reflection((1, 1, 1), 0.25, 8, float("nan"), ((1, 1, 1), (1, 1, -1)))
    return Phase("mine", "my phase", "XY", frozenset({"Li", "F"}), "", (), (reflection,), tags=("user",))


def small_micrograph() -> Micrograph:
    """Fringes of 0.25 nm at 30 degrees in noise; 0.02 nm a row, 0.03 nm a column."""
    pixels = 100 + fringes(SHAPE, PIXEL_SIZE, 0.25, 30.0, amplitude=3.0) + white_noise(SHAPE, 1)
    calibration = Calibration(PIXEL_SIZE, "real", 0.02, "file")
    metadata = {"voltage_kV": 300.0, "lens": ["a", 2], "raw": b"\\0"}
    return Micrograph(
        pixels.astype(np.float32),
        calibration,
        "small",
        "small.dm4",
        "ab12",
        metadata,
        ("a warning of the file",),
    )


def small_analysis() -> Analysis:
    """Three spots in two overlapping grains: the first is LiF or the user's phase, the second unknown."""
    micrograph, params = small_micrograph(), AnalysisParams()
    image, _ = prepared_pixels(micrograph)
    whole = compute_diffractogram(image, micrograph, params.spectrum)
    local = local_spectra_of(whole, band_image(whole), params.windows)
    masks = np.zeros((2, *GRID.shape), bool)
    masks[0, 10:30, 10:30] = True
    masks[1, 20:40, 25:50] = True
    specimen = np.ones(GRID.shape, bool)
    specimen[:, 56:] = False
    lif = next(phase for phase in load_table() if phase.id == "LiF")
    return Analysis(
        micrograph=micrograph,
        params=params,
        phases=(lif, own_phase()),
        diffractogram=whole,
        local_spectra=local,
        spots=_spots(),
        profiles=_profiles(),
        grains=(Grain(1, (0, 1), (1.6, 2.4), 3.84, 2.211, 0.3), Grain(2, (2,), (2.4, 4.5), 4.8, 2.47)),
        matches=(_ambiguous(), GrainMatch(2, Outcome.UNKNOWN, reason="one spot only")),
        map_grid=GRID,
        specimen=specimen,
        grain_regions=regions_of(masks, 0.9),
        components=_components(masks),
        warnings=("a warning of the analysis",),
        network=NetworkUsed("some network", "cd" * 32),
        rings=(_rings(),),
        non_candidates=tuple(phase for phase in load_table() if phase.id in ("Al", "Cu")),
        decisions=(PhaseOverride(2, "LiF", "reject", (2.4, 4.5)),),
    )


def with_bent_component(analysis: Analysis) -> Analysis:
    """The analysis with its unknown crystal as three places of one bent lattice."""
    bent = BentLattice(
        (2,), (2, 3, 4), 0.376, 0.41, 42.0, "they turn", "ring-like lattice", "graphitic carbon (002)?"
    )
    first, second = analysis.components
    matches = (analysis.matches[0], replace(analysis.matches[1], ring_like=bent.name, reason="a place"))
    return replace(analysis, matches=matches, components=(first, replace(second, name=bent.name, bent=bent)))


def regions_of(masks: np.ndarray, heat: float = 1.0) -> tuple[GrainRegion, ...]:
    """Regions of planes of masks, shape (n, y, x), each of one heat inside and none outside."""
    return tuple(GrainRegion.cropped(mask, mask * np.float32(heat)) for mask in masks)


def _spots() -> tuple[Spot, ...]:
    first = Spot(0, (-2.0, 3.4641016), 0.01, 50.0, -40.0, "image", (0, 3), (1.6, 2.4), 2.2, 0.2)
    second = Spot(1, (4.3, 0.0), 0.02, 22.5, -18.0, "grain", (3,), (1.6, 2.4), 2.2, 0.2, kind="unexplained")
    third = Spot(2, (0.0, 5.0), 0.03, 19.0, -17.0, "window", (4,), (2.4, 4.5), 2.4, 0.2, enabled=False)
    return first, second, third


def _profiles() -> tuple[RadialProfile, ...]:
    g = np.linspace(0.5, 9.5, 90)
    background = 2.0 + 1.0 / g
    intensity = background * (1 + 3 * np.exp(-0.5 * ((g - 4.0) / 0.1) ** 2))
    intensity[-1] = np.nan
    peak = ProfilePeak(4.0, 0.01, 0.1, 6.75, 30.0, "whole image")
    close = ProfilePeak(4.1, 0.02, 0.1, 3.0, 9.0, "local maximum")
    return (
        RadialProfile("whole image", g, intensity, background, (peak,)),
        RadialProfile("local maximum", g, 2 * intensity, background, (close,)),
    )


def _ambiguous() -> GrainMatch:
    indexed = (IndexedSpot(0, (1, 1, 1), 0.2325, 0.0753, 0.1), IndexedSpot(1, (2, 0, 0), 0.2013, 0.155, -0.2))
    lies = CrystalOrientation((0, 1, 1), (2, 0, 0), 0.0, 0.25, 180.0, 0.20135)
    lif = Candidate("LiF", 0.6, 1.01, (0, 1, 1), indexed, 1.0, orientation=lies)
    mine = Candidate("mine", 0.35, 0.99, None, (), 0.5)
    aluminium = Candidate("Al", 0.3, 1.005, (0, 1, 1), (), 1.0)
    return GrainMatch(
        1, Outcome.AMBIGUOUS, ("LiF", "mine"), (lif, mine), "elements would tell", alternatives=(aluminium,)
    )


def _rings() -> RingMatch:
    ring = RingCandidate("Cu", 0.9, 1.002, (IndexedRing(0, (1, 1, 1), 0.2087, 0.001),), 1.0)
    return RingMatch(Outcome.AMBIGUOUS, ("Cu",), (ring,), (0,), 0.1, "one of them")


def _components(masks: np.ndarray) -> tuple[ComponentMap, ...]:
    heat = masks.astype(np.float32) * np.float32(0.9)
    both = ComponentMap(
        "LiF / mine", ("LiF", "mine"), Outcome.AMBIGUOUS, 0.95, (1,), heat[0], 3.84, 0.3, 0.21
    )
    unknown = ComponentMap("unknown crystal", (), Outcome.UNKNOWN, 0.0, (2,), heat[1], 4.8, 0.2, 0.25)
    return both, unknown


def assert_same(one: object, other: object, where: str = "analysis") -> None:
    """Equal to the last bit, arrays inside dataclasses included."""
    if isinstance(one, np.ndarray):
        assert isinstance(other, np.ndarray) and one.dtype == other.dtype, where
        np.testing.assert_array_equal(one, other, err_msg=where)
    elif is_dataclass(one):
        assert type(one) is type(other), where
        for f in fields(one):
            assert_same(getattr(one, f.name), getattr(other, f.name), f"{where}.{f.name}")
    elif isinstance(one, tuple):
        assert isinstance(other, tuple) and len(one) == len(other), where
        for i, pair in enumerate(zip(one, other, strict=True)):
            assert_same(*pair, f"{where}[{i}]")
    else:
        assert one == other or (one != one and other != other), where
