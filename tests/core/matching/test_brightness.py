"""What the brightness of spots says of phases whose lattices are the same: Li2O and NaF."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp

from napari_tem_fft.core.crystal.phase_selection import find_phase
from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.matching import EvidenceCache, MatchParams, Outcome, match_image
from napari_tem_fft.core.matching.brightness import brightness_likelihood
from napari_tem_fft.core.matching.geometry import GeometryPrior, ScalePrior
from napari_tem_fft.core.matching.observations import observe
from napari_tem_fft.core.matching.pair_index import build_index
from napari_tem_fft.core.matching.search import search
from napari_tem_fft.core.matching.weighing import weigh_grains
from napari_tem_fft.core.spots.spot import Spot, friedel_representative
from napari_tem_fft.io.phases.table import load_table

BAND = (1.5, 8.0)
SCALE = ScalePrior(0.0, 0.005)


@pytest.fixture(scope="module")
def index():
    table = load_table()
    return build_index([find_phase(table, name) for name in ("Li2O", "NaF")])


@pytest.fixture(scope="module")
def cache(index):
    return EvidenceCache(index)


def zone_of(index, phase, uvw):
    same = np.abs(np.sort(np.abs(index.zone_uvw), axis=1) - sorted(uvw)).max(axis=1) == 0
    return int(np.flatnonzero(same & (index.zone_phase == phase))[0])


def photographs(index, cache, phase):
    """Grains along [011] as crystals of a phase show them, by some of the conditions of the average."""
    zone = zone_of(index, phase, (0, 1, 1))
    powers = cache.powers(index, zone)
    row = np.rint(powers.code / 4096).astype(int)
    g = np.stack([row, powers.code - 4096 * row], axis=1) @ index.zone_basis[zone]
    inside = (powers.g > BAND[0]) & (powers.g < BAND[1])
    grains = []
    for log_power in powers.log_power[::30]:
        snr = np.exp(log_power - log_power[inside].max() + np.log(2000))
        found = np.flatnonzero(inside & (snr > 16))
        spots = [
            Spot(n, friedel_representative((float(y), float(x))), 0.005, float(s), -float(s))
            for n, ((x, y), s) in enumerate(zip(g[found], snr[found], strict=True), 1)
        ]
        if len(spots) > 2 and np.linalg.matrix_rank(g[found], tol=0.1) == 2:
            grains.append((Grain(1, tuple(spot.id for spot in spots), (0.0, 0.0), 78.5, 10.0), spots))
    return grains


def observed_grain(grain, spots):
    return replace(observe([grain], spots, MatchParams(stretch=0.2), BAND), distortion=0.002, brightness=True)


@pytest.mark.parametrize("truth", [0, 1])
def test_the_brightness_of_grains_is_likelier_by_their_own_phase(index, cache, truth):
    gains = []
    for grain, spots in photographs(index, cache, truth):
        observed = observed_grain(grain, spots)
        placed = weigh_grains(observed, index, 2, SCALE, cache).hypotheses
        phase = index.zone_phase[placed.zone]
        best = [
            max(
                brightness_likelihood(cache.powers(index, int(placed.zone[row])), placed, row, observed)
                for row in np.flatnonzero(phase == one)
            )
            for one in (0, 1)
        ]
        gains.append(best[truth] - best[1 - truth])
    assert len(gains) >= 5 and np.median(gains) > 2 and min(gains) > -1


@pytest.mark.parametrize("truth", [0, 1])
def test_brightness_moves_evidence_to_the_phase_and_keeps_the_sum(index, cache, truth):
    prior, gains = GeometryPrior(SCALE, 0.002), []
    for grain, spots in photographs(index, cache, truth):
        found = weigh_grains(observed_grain(grain, spots), index, 2, SCALE, cache)
        likelihoods = found.hypotheses.likelihoods(found.evidence.log_evidence)
        average = likelihoods.marginal(prior.mean, prior.precision)
        assert logsumexp(average + found.brightness) == pytest.approx(logsumexp(average), abs=0.05)
        right = index.zone_phase[found.hypotheses.zone] == truth
        odds = [
            logsumexp(level[right]) - logsumexp(level[~right])
            for level in (average, average + found.brightness)
        ]
        gains.append(odds[1] - odds[0])
    assert max(gains) > 1 and np.mean(gains) > 0.3


def test_it_says_nothing_of_one_phase_alone_and_of_scanned_images(index, cache):
    grain, spots = photographs(index, cache, 1)[0]
    alone = build_index(index.phases[1:])
    assert not weigh_grains(observed_grain(grain, spots), alone, 1, SCALE, EvidenceCache()).brightness.any()
    scanned = replace(observed_grain(grain, spots), distortion=0.03)
    assert not weigh_grains(scanned, index, 2, SCALE, cache).brightness.any()


def test_where_nothing_is_stated_brightness_names_none(index, cache):
    how = 0.005, MatchParams(stretch=0.2), (), BAND
    named = {
        stated: sum(
            match_image([grain], spots, index.phases, *how, cache=cache, stated=stated).matches[0].outcome
            in (Outcome.IDENTIFIED, Outcome.LIKELY)
            for grain, spots in photographs(index, cache, 0)
        )
        for stated in (False, True)
    }
    assert named[True] > named[False]


@pytest.mark.parametrize("truth", [0, 1])
def test_phases_of_one_lattice_are_named_by_their_brightness(index, cache, truth):
    names = []
    for grain, spots in photographs(index, cache, truth):
        how = 0.005, MatchParams(stretch=0.2), (), BAND
        match = match_image([grain], spots, index.phases, *how, cache=cache, stated=True).matches[0]
        if match.outcome in (Outcome.IDENTIFIED, Outcome.LIKELY):
            names.append(match.phases[0])
    assert len(names) >= 3 and set(names) == {index.phases[truth].id}


def test_where_a_phase_is_rejected_it_is_not_compared_with(index):
    cache = EvidenceCache(index)
    observed = observed_grain(*photographs(index, cache, 1)[0])
    how = (2, 2), SCALE, ((1.0, 0.002),), MatchParams(stretch=0.2), cache
    barred = np.array([False, True, False, False])
    found = search(observed, index, *how, {0: barred})
    alone = build_index(index.phases[:1])
    only = search(observed, alone, (1, 1), *how[1:-1], EvidenceCache())
    odds = [one.phase[0, 0] / one.phase[0, -2:].sum() for one in (found, only)]
    assert odds[1] == pytest.approx(2 * odds[0], rel=0.02)  # it has all that is listed to itself
