"""Information in the intensities of an HRTEM diffractogram, by Bloch waves, and its use for naming.

    python tests/benchmarks/intensities.py [--grains N] [--seed S] [--part model|names|reference]

"model": relation between the power of reflections and the kinematic |F|: slope and scatter of ln power within
a grain; gain and coverage of the matcher's model of powers (`POWER_SLOPE`); ln likelihood of observed and
unobserved reflections with the matcher's model (`THRESHOLDS`, `FLOORS`) and with sharper and softer ones; and
how often points with a given probability are observed.

"names": images of three grains with one lens, 16 candidates, 0.5 % uncertainty of the scale. The simulation
defines which grains are separable: the probability of the truth, averaged over thickness, tilt and the common
lens and scale of the image, is more than 20 times that of any other candidate. For these and for the others:
grains that are named (identified or likely), correctly and wrongly; grains with a single name, including sets
of one; names and sets with the truth, sets without it; no name. Then the strict precision, and grains that
are named although no phase of the image is a candidate. The pairs whose positions differ by 0.3 to 0.4 % have
separate rows, the last one for images of eight grains, which share one lens.

"reference": agreement of the simulation with itself. A second one, with the same physics but other random
lenses, tilts and thicknesses, names the grains of the pairs' rows at several probability thresholds; so do
the probabilities of the matcher. In these rows, a method that does not know the random numbers of the first
simulation can hardly be better than the second one.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Iterator, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from bloch_waves import drawn_thickness, drawn_tilt, ensemble, pattern_of
from matching_bench import NAMED
from scipy.special import log_ndtr, logsumexp

from napari_tem_fft.core.crystal.bloch_waves import Lens, exit_waves, log_powers
from napari_tem_fft.core.crystal.phase import Phase
from napari_tem_fft.core.crystal.phase_selection import find_phase, usual_phases
from napari_tem_fft.core.crystal.structure import LatticePlanes
from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.matching import EvidenceCache, GrainMatch, MatchParams, Outcome, ScalePrior
from napari_tem_fft.core.matching.evidence import (
    ANY_SCATTER,
    LEAST_POWER,
    POWER_SCATTER,
    POWER_SLOPE,
    evidence_of_position,
)
from napari_tem_fft.core.matching.geometry import GeometryPrior
from napari_tem_fft.core.matching.joint_posterior import PhaseEvidence, combine
from napari_tem_fft.core.matching.match import match_image
from napari_tem_fft.core.matching.observations import Observed, observe
from napari_tem_fft.core.matching.pair_index import PhaseIndex, build_index
from napari_tem_fft.core.matching.weighing import weigh_grains
from napari_tem_fft.core.matching.zone_patterns import FLOORS, THRESHOLDS, damping
from napari_tem_fft.core.spots.spot import Spot, friedel_representative
from napari_tem_fft.io.phases.table import load_table

SEED = 20261
#: Candidates of the simulated micrographs, and the pairs that only intensities can tell.
CANDIDATES = (
    *("Li", "LiF", "Li2O", "Li2CO3", "Cu", "Au", "Si", "MgO"),
    *("CeO2", "TiO2_anatase", "NaF", "LiH", "LiOH", "Li3N", "Ag", "Ni"),
)
PAIRS = (("Li2O", "NaF"), ("CeO2", "Si"))
#: What an image shows, 1/nm; SNR from which a spot is found; SNR of a grain's strongest, least and largest.
BAND, FOUND, STRONGEST = (1.5, 1 / 0.12), 16.0, (40.0, 4000.0)
#: Error of a single d and azimuth beyond the fit's, spurious spots a grain, uncertainty of the scale.
STRAIN, SPURIOUS, UNCERTAINTY = 0.002, 0.2, 0.005
#: What the simulation averages over: lenses, tilts and thicknesses (of each zone), and what is left uncertain
#: of ln power. With 16, 4, 6 and 0.6 it was wrong in 3 to 6 % of the grains that it called separable, and its
#: ln probability of the truth was -.36 a grain (-.25 with these; twice the tilts and thicknesses: -.24).
LENSES, TILTS, THICKNESSES, TOLERANCE = 128, 6, 12, 0.8
#: The scales that it averages over, ln.
SCALES = UNCERTAINTY * np.linspace(-3, 3, 13)
#: Ratio of probabilities that separates.
SEPARABLE = 20.0
PARAMS = MatchParams(stretch=0.5)


@dataclass(frozen=True, eq=False)
class Seen:
    """Points of a pattern shown by a grain: |F|, |g| and SNR including noise of each hkl, shape (points,)."""

    relative_f: np.ndarray
    g: np.ndarray
    snr: np.ndarray

    @property
    def found(self) -> np.ndarray:
        return self.snr > FOUND


class Crystals:
    """Zones of some phases, drawn as the matcher expects them, with their simulated patterns."""

    def __init__(self, phases: Sequence[Phase], rng: np.random.Generator) -> None:
        self.phases, self.rng, self.index = tuple(phases), rng, build_index(phases)
        self.cache = EvidenceCache(self.index)
        self.expected = self.cache.expected(self.index, BAND)
        self.lenses = [Lens.drawn(rng) for _ in range(LENSES)]
        self._patterns: dict[int, object] = {}
        self._ensembles: dict[int, np.ndarray] = {}

    def again(self, rng: np.random.Generator) -> Crystals:
        """The same zones with other random patterns."""
        other = copy(self)
        other.rng, other.lenses, other._ensembles = rng, [Lens.drawn(rng) for _ in range(LENSES)], {}
        return other

    def draw(self, phase: int) -> int:
        zones = np.flatnonzero(self.index.zone_phase == phase)
        share = np.exp(self.expected.log_prior[zones]) / self.index.zone_orientations[zones]
        return int(self.rng.choice(zones, p=share / share.sum()))

    def pattern(self, zone: int):
        if zone not in self._patterns:
            phase = self.phases[self.index.zone_phase[zone]]
            hkl, basis = self.index.zone_hkl[zone].astype(np.int64), self.index.zone_basis[zone]
            self._patterns[zone] = pattern_of(phase, hkl, basis)
        return self._patterns[zone]

    def powers(self, zone: int) -> np.ndarray:
        """ln power of its points for each lens, shape (lenses, members, points)."""
        if zone not in self._ensembles:
            self._ensembles[zone] = ensemble(self.pattern(zone), self.lenses, self.rng, TILTS, THICKNESSES)
        return self._ensembles[zone]

    def photograph(self, zone: int, lens: Lens) -> Seen:
        """A crystal of random thickness and tilt, imaged by a lens."""
        pattern, rng = self.pattern(zone), self.rng
        waves = exit_waves(pattern, lens.voltage, drawn_tilt(rng), drawn_thickness(rng, 1))
        power = np.exp(log_powers(pattern, waves, [lens])[0, 0])
        g = np.linalg.norm(pattern.points @ self.index.zone_basis[zone], axis=1)
        shown = (g > BAND[0]) & (g < BAND[1])
        strongest = np.exp(rng.uniform(*np.log(STRONGEST)))
        power = np.where(shown, power, 0.0) * strongest / max(power[shown].max(initial=0.0), 1e-30)
        noise = (rng.normal(size=len(g)) + 1j * rng.normal(size=len(g))) / np.sqrt(2)
        relative_f = self.index.relative_f(np.full(1, zone), pattern.points[None])[0]
        return Seen(relative_f, g, np.where(shown, np.abs(np.sqrt(power) + noise) ** 2, 0.0))


def shows_plane(vectors: np.ndarray) -> bool:
    """Whether at least three spots show two directions."""
    return len(vectors) >= 3 and np.linalg.matrix_rank(vectors, tol=0.1 * np.abs(vectors).max()) == 2


# --- the model ------------------------------------------------------------------------------------------


def measure_model(grains: int, seed: int) -> None:
    rng = np.random.default_rng([seed, 1])
    table = [phase for phase in usual_phases(load_table()) if isinstance(phase.reflections, LatticePlanes)]
    crystals = Crystals([table[i] for i in rng.permutation(len(table))[:70]], rng)
    seen: list[Seen] = []
    while len(seen) < grains:
        zone = crystals.draw(int(rng.integers(70)))
        one = crystals.photograph(zone, Lens.drawn(rng))
        basis = crystals.index.zone_basis[zone]
        if shows_plane(crystals.pattern(zone).points[one.found] @ basis):
            inside = (one.g > BAND[0]) & (one.g < BAND[1])
            seen.append(Seen(one.relative_f[inside], one.g[inside], one.snr[inside]))
    print(f"{len(seen)} grains of 70 phases, {np.mean([one.found.sum() for one in seen]):.2f} spots each")
    print(_power_line(seen))
    forbidden = [one.found[one.relative_f == 0].any() for one in seen if (one.relative_f == 0).any()]
    print(f"grains that show a forbidden reflection, of those that have one: {np.mean(forbidden):.2f}")
    print(_power_model(seen))
    print("ln likelihood a grain of what is seen and not; sharpness now 1")
    for sharpness in (0.5, 0.7, 1.0, 1.4, 2.0, 2.8):
        print(f"  sharpness {sharpness:<4g} {np.mean([_detection(one, sharpness) for one in seen]):8.3f}")
    _print_reliability(seen)


def _power_line(seen: Sequence[Seen]) -> str:
    """Slope of ln SNR against ln |F| for the spots of a grain, and the residuals."""
    x, y, free = [], [], 0
    for one in seen:
        used = one.found & (one.relative_f > 0)
        if used.sum() > 1:
            f, snr = np.log(one.relative_f[used]), np.log(one.snr[used])
            x.append(f - f.mean())
            y.append(snr - snr.mean())
            free += int(used.sum()) - 1
    dx, dy = np.concatenate(x), np.concatenate(y)
    slope = dx @ dy / (dx @ dx)
    spread = [np.sqrt((left**2).sum() / free) for left in (dy, dy - slope * dx, dy - 2 * dx)]
    return (
        f"ln SNR of the spots of a grain: scatter {spread[0]:.2f}; {spread[1]:.2f} around {slope:.2f} ln |F|;"
        f" {spread[2]:.2f} around 2 ln |F|"
    )


def _power_model(seen: Sequence[Seen]) -> str:
    """Gain of the matcher's model of the powers over unknown powers, and number of spots that it covers."""
    gain, inside, spots = [], 0, 0
    for one in seen:
        used = one.found
        power = np.maximum(np.log(one.snr[used]), np.log(LEAST_POWER * one.snr.max()))
        levels = []
        for floor in FLOORS:
            root_f = np.maximum(np.sqrt(one.relative_f[used]), floor)
            left = power - POWER_SLOPE * (2 * np.log(root_f) + np.log(damping(one.g[used])))
            left = (left - left.mean()) / POWER_SCATTER
            free = (power - power.mean()) / ANY_SCATTER
            degrees = used.sum() - 1
            levels.append(degrees * np.log(ANY_SCATTER / POWER_SCATTER) - 0.5 * (left @ left - free @ free))
            inside += int((np.abs(left) * np.sqrt(1 + 1 / degrees) < 1).sum())
            spots += len(left)
        gain.append(logsumexp(levels) - np.log(len(levels)))
    share = inside / spots
    return f"model of powers: ln likelihood {np.mean(gain):+.3f} a grain, {share:.3f} of spots within 1 sigma"


def _odds(one: Seen, sharpness: float) -> np.ndarray:
    """ln odds that each point is observed, shape (floors, thresholds, points)."""
    floor = np.array(FLOORS)[:, None]
    visible = np.log(np.maximum(np.sqrt(one.relative_f), floor) * damping(one.g))
    return sharpness * (visible[:, None] - THRESHOLDS[:, None])


def _detection(one: Seen, sharpness: float) -> float:
    odds = _odds(one, sharpness)
    level = np.where(one.found, odds, 0.0).sum(axis=2) - np.logaddexp(0, odds).sum(axis=2)
    return float(logsumexp(level) - np.log(level.size))


def _print_reliability(seen: Sequence[Seen]) -> None:
    """Print points by the probability from the best level of the matcher's model, and how many were seen."""
    said, found = [], []
    for one in seen:
        odds = _odds(one, 1.0)
        level = np.where(one.found, odds, 0.0).sum(axis=2) - np.logaddexp(0, odds).sum(axis=2)
        share = np.exp(level - logsumexp(level))
        said.append((share[..., None] / (1 + np.exp(-odds))).sum(axis=(0, 1)))
        found.append(one.found)
    p, hit = np.concatenate(said), np.concatenate(found)
    edges = np.array([0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.7, 1.0])
    for low, high in pairwise(edges):
        inside = (p >= low) & (p < high)
        if inside.any():
            print(
                f"  said {low:.2f}-{high:.2f}: {inside.sum():6d} points, mean {p[inside].mean():.3f},"
                f" seen {hit[inside].mean():.3f}"
            )


# --- the names ------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class TrueGrain:
    phase: int
    grain: Grain
    spots: list[Spot]


def draw_grain(crystals: Crystals, phase: int, lens: Lens, scale: float, first: int) -> TrueGrain:
    """A grain with spots in two directions, as a detector would report them."""
    rng = crystals.rng
    while True:
        zone = crystals.draw(phase)
        seen = crystals.photograph(zone, lens)
        g = crystals.pattern(zone).points[seen.found] @ crystals.index.zone_basis[zone]
        if shows_plane(g):
            break
    snr, diameter = seen.snr[seen.found], float(np.exp(rng.uniform(np.log(5), np.log(25))))
    lies = int(rng.poisson(SPURIOUS))
    length, angle = np.sqrt(rng.uniform(1.8**2, 8.0**2, lies)), rng.uniform(0, np.pi, lies)
    turn, mirror = rng.uniform(0, 2 * np.pi), rng.choice([-1, 1])
    rotation = np.array([[np.cos(turn), np.sin(turn)], [-np.sin(turn), np.cos(turn)]])
    g = scale * (g * (1, mirror)) @ rotation
    sigma = 0.39 / (diameter * np.sqrt(snr))
    error = np.hypot(sigma, STRAIN * np.linalg.norm(g, axis=1))[:, None]
    g = np.concatenate([g + rng.normal(size=g.shape) * error, _polar(length, angle)])
    snr = np.concatenate([snr, FOUND * np.exp(rng.uniform(0, 1, lies))])
    sigma = 0.39 / (diameter * np.sqrt(snr))
    spots = [
        Spot(first + i, friedel_representative((float(y), float(x))), float(e), float(s), -float(s))
        for i, ((x, y), e, s) in enumerate(zip(g, sigma, snr, strict=True))
    ]
    ids = tuple(spot.id for spot in spots)
    return TrueGrain(phase, Grain(1, ids, (0.0, 0.0), 0.785 * diameter**2, diameter), spots)


def _polar(length: np.ndarray, angle: np.ndarray) -> np.ndarray:
    return np.stack([length * np.cos(angle), length * np.sin(angle)], axis=1)


def by_simulation(crystals: Crystals, grains: Sequence[TrueGrain]) -> np.ndarray:
    """Probability of each phase for each grain, from simulated patterns, shape (grains, phases).

    The grains share the lens and the scale, and an image contains few phases, as the matcher also assumes.
    """
    of_grain = np.array([_of_grain(crystals, grain) for grain in grains])
    total = of_grain.reshape(*of_grain.shape[:2], -1)  # scales and lenses
    level = np.maximum(total, total.max(axis=(1, 2), keepdims=True) - 600)
    nothing = np.full((len(grains), 2), level.min() - 100)
    phases = total.shape[1]
    prior = np.append(np.full(phases, (1 - 1e-9) / phases), [5e-10, 5e-10])
    weight = np.repeat(-0.5 * (SCALES / UNCERTAINTY) ** 2, of_grain.shape[3])
    grain, phase = np.divmod(np.arange(len(grains) * phases), phases)
    evidence = PhaseEvidence(grain, phase, level.reshape(len(grain), -1))
    return combine(evidence, nothing, prior, weight).phase[:, :phases]


def _of_grain(crystals: Crystals, true: TrueGrain) -> np.ndarray:
    """ln evidence of each phase at each scale and with each lens, shape (phases, scales, lenses)."""
    prior = GeometryPrior(ScalePrior(0.0, UNCERTAINTY), 0.005)
    observed = replace(observe([true.grain], true.spots, PARAMS, BAND), distortion=prior.distortion)
    index: PhaseIndex = crystals.index
    found = weigh_grains(observed, index, len(crystals.phases), prior.scale, crystals.cache)
    h = found.hypotheses
    by_place = evidence_of_position(h, observed, crystals.expected)
    likelihoods = h.likelihoods(by_place)
    merit = likelihoods.marginal(prior.mean, prior.precision)
    known = [GeometryPrior(ScalePrior(float(scale), 1e-4), 0.005) for scale in SCALES]
    at_scale = np.array([likelihoods.marginal(one.mean, one.precision) for one in known])
    total = np.full((len(crystals.phases), len(SCALES), len(crystals.lenses)), -np.inf)
    for phase in range(len(crystals.phases)):
        mine = np.flatnonzero(index.zone_phase[h.zone] == phase)
        for row in mine[np.argsort(-merit[mine])][:6]:
            if merit[row] > merit.max() - 10:
                intensity = _intensity(crystals, int(h.zone[row]), h.position[row], h.near[row], observed)
                total[phase] = np.logaddexp(total[phase], at_scale[:, row, None] + intensity)
    return total


def _intensity(
    crystals: Crystals, zone: int, position: np.ndarray, near: np.ndarray, observed: Observed
) -> np.ndarray:
    """ln likelihood of the SNR of spots at points of a zone, and of unobserved points, shape (lenses,)."""
    points = crystals.pattern(zone).points
    number = {tuple(point): i for i, point in enumerate(points.tolist())}
    at = np.array([number.get(tuple(m), number.get(tuple(-m), -1)) for m in position])
    used = near & (at >= 0)
    if not used.any():
        return np.full(len(crystals.lenses), -np.inf)
    g = np.linalg.norm(points @ crystals.index.zone_basis[zone], axis=1)
    dark = (g > BAND[0]) & (g < BAND[1])
    dark[at[used]] = False
    power, snr = crystals.powers(zone), np.log(observed.snr[0, used])
    apart = snr - power[..., at[used]]
    level = apart.mean(axis=2, keepdims=True) + TOLERANCE * np.array([-1.0, 0.0, 1.0])
    bright = -0.5 * ((apart[..., None] - level[:, :, None]) / TOLERANCE) ** 2
    bright -= np.log(np.sqrt(2 * np.pi) * TOLERANCE) - np.log(5.0)  # a spurious one: anywhere within 5
    missing = (np.log(FOUND) - power[..., dark][..., None] - level[:, :, None]) / TOLERANCE
    both = bright.sum(axis=2) + log_ndtr(missing).sum(axis=2)
    return logsumexp(both, axis=(1, 2)) - np.log(both.shape[1] * both.shape[2])


def measure_names(
    label: str, names: Sequence[str], truths: Sequence[str], images: int, seed: int, number: int = 3
) -> str:
    """Rows for images with some grains of two of the true phases."""
    rng = np.random.default_rng([seed, number - 1, len(truths)])
    table = load_table()
    crystals = Crystals([find_phase(table, name) for name in names], rng)
    drawn = [names.index(name) for name in truths]
    ids = [phase.id for phase in crystals.phases]
    seen: dict[bool, Counter[str]] = {True: Counter(), False: Counter()}
    absent: Counter[str] = Counter()
    for _ in range(images):
        grains = list(_image(crystals, drawn, number))
        probability = by_simulation(crystals, grains)
        matches = _names_of(crystals.phases, grains, crystals.cache)
        for row, (grain, match) in enumerate(zip(grains, matches, strict=True)):
            best_other = np.delete(probability[row], grain.phase).max()
            separable = bool(probability[row, grain.phase] > SEPARABLE * best_other)
            seen[separable] += _count(match, ids[grain.phase])
        there = {grain.phase for grain in grains}
        left = [phase for number, phase in enumerate(crystals.phases) if number not in there]
        for match in _names_of(left, grains, EvidenceCache(build_index(left))):
            absent += Counter(all=1, named=int(match.outcome in NAMED))
    return "\n".join([*_rows(label, seen), f"{'':18}named though absent {_share(absent, 'named'):.3f}"])


#: Probabilities from which "reference" names a grain.
NAMED_FROM = (0.95, 0.97, 0.98, 0.99)


def measure_reference(label: str, images: int, seed: int, number: int = 3) -> str:
    """Shares of separable grains that are named rightly and wrongly, and of the others that are named."""
    rng = np.random.default_rng([seed, number - 1, 9])
    table = load_table()
    crystals = Crystals([find_phase(table, name) for name in CANDIDATES], rng)
    other = crystals.again(np.random.default_rng([seed, number - 1, 10]))
    ids = [phase.id for phase in crystals.phases]
    drawn = [CANDIDATES.index(name) for pair in PAIRS for name in pair]
    said: dict[str, list[np.ndarray]] = {"a second simulation": [], "the matcher": []}
    reference, truth = [], []
    for _ in range(images):
        grains = list(_image(crystals, drawn, number))
        truth += [grain.phase for grain in grains]
        reference.append(by_simulation(crystals, grains))
        said["a second simulation"].append(by_simulation(other, grains))
        for match in _names_of(crystals.phases, grains, crystals.cache):
            posterior = {candidate.phase: candidate.posterior for candidate in match.candidates}
            said["the matcher"].append(np.array([[posterior.get(one, 0.0) for one in ids]]))
    row = np.arange(len(truth))
    total = np.concatenate(reference)
    of_truth = total[row, truth].copy()
    total[row, truth] = 0
    separable = of_truth > SEPARABLE * total.max(axis=1)
    lines = [
        f"{label}: {separable.sum()} separable grains (right, wrong), {(~separable).sum()} others (named)"
    ]
    for who, parts in said.items():
        share = np.concatenate(parts)
        right = share.argmax(axis=1) == truth
        for least in NAMED_FROM:
            named = share.max(axis=1) > least
            values = (named & right)[separable], (named & ~right)[separable], named[~separable]
            means = "".join(f"{value.mean():8.3f}" for value in values)
            lines.append(f"  {who}, from {least:<6}{means}")
    return "\n".join(lines)


def _image(crystals: Crystals, drawn: Sequence[int], grains: int) -> Iterator[TrueGrain]:
    rng, first = crystals.rng, 1
    lens, scale = Lens.drawn(rng), float(np.exp(rng.normal(0, UNCERTAINTY)))
    two = rng.choice(drawn, 2, replace=False)
    for number in range(grains):
        true = draw_grain(crystals, int(rng.choice(two)), lens, scale, first)
        yield replace(true, grain=replace(true.grain, id=number + 1))
        first += len(true.spots)


def _names_of(phases: Sequence[Phase], grains: Sequence[TrueGrain], cache: EvidenceCache) -> list[GrainMatch]:
    """The match of each grain's first lattice."""
    spots = [spot for grain in grains for spot in grain.spots]
    found = match_image(
        [grain.grain for grain in grains],
        spots,
        phases,
        UNCERTAINTY,
        PARAMS,
        band=BAND,
        cache=cache,
        stated=True,
    )
    first = {match.grain: match for match in reversed(found.matches)}
    return [first[grain.grain.id] for grain in grains]


def _count(match: GrainMatch, truth: str) -> Counter[str]:
    named, right = match.outcome in NAMED, truth in match.phases
    ambiguous = match.outcome is Outcome.AMBIGUOUS
    single = named or (ambiguous and len(match.phases) == 1)
    return Counter(
        all=1,
        named=int(named),
        right=int(named and right),
        wrong=int(named and not right),
        single_wrong=int(single and not right),
        single_right=int(single and right),
        with_truth=int((named or ambiguous) and right),
        without=int(ambiguous and not right),
        unknown=int(not named and not ambiguous),
    )


def _share(seen: Counter[str], name: str) -> float:
    return seen[name] / max(seen["all"], 1)


COLUMNS = ("named", "right", "wrong", "single_right", "single_wrong", "with_truth", "without", "unknown")


def _rows(label: str, seen: dict[bool, Counter[str]]) -> Iterator[str]:
    for separable, counts in seen.items():
        name = f"{label}, {'' if separable else 'in'}separable"
        values = "".join(f"{_share(counts, column):13.3f}" for column in COLUMNS)
        yield f"{name:30}{counts['all']:6d}{values}"
    both = seen[True] + seen[False]
    precision = both["right"] / max(both["named"], 1)
    yield f"{'':30}strict precision {precision:.3f} of {both['named']} names"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--grains", type=int, default=600)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--part", choices=("model", "names", "reference"))
    args = parser.parse_args()
    if args.part in (None, "model"):
        measure_model(args.grains, args.seed)
    if args.part in (None, "names"):
        print(f"{'':30}{'all':>6}" + "".join(f"{column:>13}" for column in COLUMNS))
        pairs = [name for pair in PAIRS for name in pair]
        print(measure_names("all 16", CANDIDATES, CANDIDATES, args.grains // 3, args.seed), flush=True)
        print(measure_names("pairs", CANDIDATES, pairs, args.grains // 6, args.seed), flush=True)
        print(
            measure_names("pairs, 8 grains", CANDIDATES, pairs, args.grains // 12, args.seed, 8), flush=True
        )
    if args.part in (None, "reference"):
        print(measure_reference("pairs", args.grains // 6, args.seed), flush=True)
        print(measure_reference("pairs, 8 grains", args.grains // 12, args.seed, 8), flush=True)


if __name__ == "__main__":
    main()
