"""The network proposes, statistics confirm."""

import numpy as np
import pytest

from forward_model import fringes, white_noise
from napari_tem_fft.cli.output import report
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.pipeline import analysis_steps
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.core.spots.seeds import NetworkPicture, NetworkUsed, Proposal, Seed, find_seeds
from napari_tem_fft.nn.inference.prepare import InputParams, target, whole_plane
from napari_tem_fft.nn.inference.propose import Segmenter, arc_members, confirm
from napari_tem_fft.nn.training.dataset import spectra_of

GRID = InputParams()
CELL = GRID.grid.step[0]


def spectra(pixels: np.ndarray, pixel: float = 0.03):
    return spectra_of(Micrograph(pixels, Calibration.real(pixel)), 11.0)


def faint(amplitude: float, seed: int) -> np.ndarray:
    """Fringes of d = 0.25 nm along x in a quarter of a field of noise."""
    pixels = white_noise((1024, 1024), seed)
    pixels[:384, :384] += fringes((384, 384), (0.03, 0.03), 0.25, 0.0, amplitude)
    return pixels


def test_a_proposal_finds_what_a_search_of_all_frequencies_misses():
    found = missed = 0
    for seed in range(8):
        both = spectra(faint(0.033, seed))
        missed += not any(abs(s.g[1] - 4) < 0.1 for s in find_seeds(*both, 0.01))
        seeds = confirm(np.array([[0.0, 4.0]]), *both, CELL, 0.01)
        assert all(abs(s.g[1] - 4.0) < 0.12 and abs(s.g[0]) < 0.12 and s.origin == "network" for s in seeds)
        found += len(seeds)
    assert missed >= 4 and found > 8 - missed


def test_noise_confirms_nothing():
    both = spectra(white_noise((700, 700), 5))
    everywhere = np.random.default_rng(0).uniform((-6, 0.5), (6, 6), (60, 2))
    everywhere = everywhere[np.hypot(*everywhere.T) > 2]
    assert confirm(everywhere, *both, CELL, 0.01) == ()


def test_a_seed_says_in_which_windows_it_lives():
    both = spectra(faint(0.3, 0))
    (seed,) = confirm(np.array([[0.0, 4.0]]), *both, CELL, 0.01)
    centres = both[1].centres[list(seed.windows)]
    assert (centres < 11.52 + 5.5).all() and seed.snr > 100


def test_seeds_on_an_arc_are_proposed_and_not_taken_for_spots():
    """An arc of 30 degrees at 3 1/nm, two touching discs and one at the border; the last is beyond it."""
    turns = np.radians(np.arange(0, 30, 1.0))
    arc = 3.0 * np.stack([np.sin(turns), np.cos(turns)], axis=1)
    touching = np.array([[-4.0, 4.0], [-4.0, 4.13]])
    answer = target(np.concatenate([arc, touching, [[9.9, 0.3]]]), 0.08, GRID).astype(np.float32)
    picture = NetworkPicture(whole_plane(answer, GRID), GRID.grid)
    places = [(0.8, 2.9), (-0.8, -2.9), (-4.0, 4.0), (9.9, 0.3), (-12.0, 1.0)]
    seeds = tuple(Seed(g, 50.0, -40.0, (), "network") for g in places)
    assert arc_members(seeds, picture, 0.5) == {0, 1}
    proposal = Proposal(seeds, NetworkUsed("some", "0"), picture, frozenset({0, 1}))
    assert len(proposal) == 5 and proposal.spots() == seeds[2:]


def test_no_proposals_no_seeds():
    assert confirm(np.zeros((0, 2)), *spectra(faint(0.3, 0)), CELL, 0.01) == ()


def test_segmenter_turns_an_output_into_seeds():
    disc = target(np.array([[0.0, 4.0], [5.0, 5.0]]), 0.08, GRID).astype(np.float32)
    segment = Segmenter(lambda inputs: disc, GRID, name="perfect")
    proposal = segment(*spectra(faint(0.3, 1)))
    assert [round(s.g[1]) for s in proposal] == [4] and proposal.network.name == "perfect"
    assert proposal.picture.probability.shape == GRID.grid.shape


@pytest.mark.parametrize("azimuth", [0.0, 45.0, 89.9, 135.0])
def test_spots_at_any_azimuth_are_confirmed(azimuth):
    pixels = white_noise((600, 600), 2) + fringes((600, 600), (0.03, 0.03), 0.3, azimuth, 0.5)
    angle = np.radians(azimuth)
    g = np.array([[-np.sin(angle), np.cos(angle)]]) / 0.3
    (seed,) = confirm(g, *spectra(pixels), CELL, 0.01)
    assert 1 / np.hypot(*seed.g) == pytest.approx(0.3, rel=0.02)


@pytest.mark.parametrize("probability", [1.0, 0.0])
def test_what_the_statistics_confirm_stays_whatever_the_network_finds(probability):
    everywhere = np.full(GRID.shape, probability, np.float32)
    segment = Segmenter(lambda inputs: everywhere, GRID, least=2.0)
    micrograph = Micrograph(faint(0.3, 1), Calibration.real(0.03))
    analysis = exhaust(analysis_steps(micrograph, (), segment=segment))
    assert [round(spot.g[1]) for spot in analysis.spots] == [4]
    doubted = analysis.network.doubted
    assert doubted == (() if probability else tuple(spot.id for spot in analysis.spots))
    said = report(analysis)
    assert f"; {0 if probability else 1} of the others have a low network probability" in said
