"""Simulated grains against the phase table: how often the correct phase is named, and how often a wrong one.

    python tests/benchmarks/matching_bench.py [--trials N] [--seed S] [--extended]

The table is the common one; the set "extended" is included on request.

Each line: number of phases in the table and calibration error; grains whose phase is in the table and grains
whose phase is not (``abs.``). ``named`` is identified or likely, ``named 4+`` the same for grains with at
least four spots; ``wrong`` is a wrong name. Then two lattices in one grain, whole images, and rings (five or
six lines of one phase by d alone, 0.3 % noise, Poisson(0.7) spurious ones). The images are not stretched, and
a stretch of 0.2 % is stated; `distorted_images.py` measures stretched ones. Times are median processor times,
without building the index. The default seeds are those of the published results: use others for tuning.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from simulated_grains import simulate

from napari_tem_fft.core.crystal.phase import Phase
from napari_tem_fft.core.crystal.phase_selection import ElementRule, usual_phases
from napari_tem_fft.core.crystal.structure import lines_of
from napari_tem_fft.core.matching import (
    EvidenceCache,
    GrainMatch,
    MatchParams,
    Outcome,
    ScalePrior,
    match_image,
    match_rings,
)
from napari_tem_fft.core.matching.pair_index import build_index
from napari_tem_fft.core.profile.radial_profile import ProfilePeak
from napari_tem_fft.io.phases.table import load_table

SEED = 20240
PARAMS = MatchParams(stretch=0.2)
NAMED = (Outcome.IDENTIFIED, Outcome.LIKELY)


def bench_table() -> tuple[Phase, ...]:
    """The phases from which tables are drawn."""
    return load_table() if "--extended" in sys.argv else usual_phases(load_table())


@dataclass(frozen=True)
class Trial:
    """One grain, the truth, and the result."""

    truth: str
    lattice_spots: int
    match: GrainMatch
    seconds: float

    def rank(self) -> int:
        ids = [candidate.phase for candidate in self.match.candidates]
        return ids.index(self.truth) + 1 if self.truth in ids else 999

    def credible(self) -> list[str]:
        """The phases that have 95 % of the probability of the listed ones."""
        members, total = [], 0.0
        for candidate in self.match.candidates:
            members.append(candidate.phase)
            total += candidate.posterior
            if total >= 0.95 * (1 - self.match.unlisted):
                break
        return members

    @property
    def named(self) -> bool:
        return self.match.outcome in NAMED

    @property
    def wrong(self) -> bool:
        return self.named and self.match.phases != (self.truth,)


def tables(count: int, rng: np.random.Generator, sets: int) -> Iterator[tuple[list[Phase], list[Phase]]]:
    """Random parts of the table, and the phases that are not in them."""
    table = bench_table()
    for _ in range(sets):
        order = rng.permutation(len(table))
        yield [table[i] for i in order[:count]], [table[i] for i in order[count:]]


def plausible(truth: Phase, rng: np.random.Generator) -> list[Phase]:
    """The phases left by an element analysis: elements of the true one, C, O, and two more elements."""
    others = sorted({element for phase in bench_table() for element in phase.elements})
    known = truth.elements | {"C", "O"} | set(rng.choice(others, 2, replace=False))
    rule = ElementRule(optional=frozenset(known))
    return [phase for phase in bench_table() if rule.allows(phase.elements)]


def one(truth: Phase, phases: Sequence[Phase], error: float, rng: np.random.Generator) -> Trial:
    """Simulate and match one grain."""
    grain, spots = simulate(truth, float(np.exp(rng.normal(0, error))), rng)
    cache = EvidenceCache(build_index(phases))
    start = time.process_time()
    (match, *_) = match_image([grain], spots, phases, error, PARAMS, cache=cache).matches
    return Trial(truth.id, len(spots), match, time.process_time() - start)


def run(count: int | None, error: float, trials: int, seed: int, absent: bool) -> list[Trial]:
    """Trials with a table of ``count`` phases, or with the element filter for None."""
    rng = np.random.default_rng([seed, count or 0, round(error * 1e5), absent])
    if count is None:
        return [_filtered(error, rng, absent) for _ in range(trials)]
    sets = 8
    return [
        one(
            (outside if absent else inside)[rng.integers(len(outside if absent else inside))],
            inside,
            error,
            rng,
        )
        for inside, outside in tables(count, rng, sets)
        for _ in range(trials // sets)
    ]


def _filtered(error: float, rng: np.random.Generator, absent: bool) -> Trial:
    table = bench_table()
    while True:
        truth = table[rng.integers(len(table))]
        phases = plausible(truth, rng)
        if absent:
            phases = [phase for phase in phases if phase.id != truth.id]
        if phases:
            return one(truth, phases, error, rng)


def line(label: str, present: Sequence[Trial], absent: Sequence[Trial]) -> str:
    """One line of the table."""
    four = [t for t in present if len(t.match.spots) >= 4]
    sets = [t.credible() for t in present]
    values = (
        np.mean([t.rank() == 1 for t in present]),
        np.mean([t.rank() <= 3 for t in present]),
        np.mean([t.truth in s for t, s in zip(present, sets, strict=True)]),
        np.mean([len(s) for s in sets]),
        np.mean([t.named for t in present]),
        np.mean([t.named for t in four]),
        np.mean([t.wrong for t in present]),
        np.mean([t.named for t in absent]),
        np.mean([t.match.outcome is Outcome.IDENTIFIED for t in absent]),
        1000 * np.median([t.seconds for t in present]),
    )
    return f"{label:22}" + "".join(f"{v:10.3f}" for v in values[:9]) + f"{values[9]:8.1f}"


def overlapping(count: int | None, error: float, trials: int, seed: int) -> str:
    """Two grains of different phases whose spots were combined in one grain."""
    rng = np.random.default_rng([seed, 7, count or 0, round(error * 1e5)])
    both = one_right = wrong = 0
    for _ in range(trials):
        a, b, phases = _two_phases(count, rng)
        scale = float(np.exp(rng.normal(0, error)))
        first, spots = simulate(a, scale, rng)
        second, more = simulate(b, scale, rng, first_id=len(spots) + 1)
        merged = replace(first, spots=first.spots + second.spots)
        matches = match_image([merged], [*spots, *more], phases, error, PARAMS).matches
        named = {m.phases[0] for m in matches if m.outcome in NAMED}
        both += named == {a.id, b.id}
        one_right += len(named & {a.id, b.id}) > 0
        wrong += bool(named - {a.id, b.id})
    shares = both / trials, one_right / trials, wrong / trials
    return "both named {:.3f}  at least one {:.3f}  a wrong name {:.3f}".format(*shares)


def images(count: int | None, error: float, trials: int, seed: int) -> str:
    """Images of eight grains of two phases, one of an unlisted third phase, and one with a single spot."""
    rng = np.random.default_rng([seed, 8, count or 0, round(error * 1e5)])
    named = wrong = absent = single = single_wrong = total = 0
    seconds = []
    for _ in range(trials):
        a, b, phases = _two_phases(count, rng)
        unlisted = _outside(phases, rng)
        scale = float(np.exp(rng.normal(0, error)))
        truth = [*rng.choice([a, b], 7), a, unlisted, b]
        grains, spots = [], []
        for number, phase in enumerate(truth, start=1):
            grain, own = simulate(phase, scale, rng, first_id=len(spots) + 1)
            own = own[:1] if number == len(truth) else own
            grains.append(replace(grain, id=number, spots=tuple(spot.id for spot in own)))
            spots += own
        cache = EvidenceCache(build_index(phases))
        start = time.process_time()
        found = match_image(grains, spots, phases, error, PARAMS, cache=cache).matches
        matches = {match.grain: match for match in found}
        seconds.append(time.process_time() - start)
        listed = [(phase, matches[n]) for n, phase in enumerate(truth[:8], start=1)]
        total += len(listed)
        named += sum(m.outcome in NAMED for _, m in listed)
        wrong += sum(m.outcome in NAMED and m.phases != (phase.id,) for phase, m in listed)
        absent += matches[9].outcome in NAMED
        single += matches[10].outcome in NAMED
        single_wrong += matches[10].outcome in NAMED and matches[10].phases != (b.id,)
    slow = 1000 * np.percentile(seconds, 95)
    return (
        f"named {named / total:.3f}  wrong {wrong / total:.3f}  unlisted grain named {absent / trials:.3f}"
        f"  single d named {single / trials:.3f}, wrongly {single_wrong / trials:.3f}"
        f"  {1000 * np.median(seconds):.0f} ms an image of 10 grains (one in 20 more than {slow:.0f} ms)"
    )


def rings(count: int | None, error: float, trials: int, seed: int) -> str:
    """Rings of one phase, in the table or not, by d alone."""
    rng = np.random.default_rng([seed, 9, count or 0, round(error * 1e5)])
    named = wrong = absent = 0
    for _ in range(trials):
        truth, _, phases = _two_phases(count, rng)
        peaks = _ring_peaks(truth, error, rng)
        found = match_rings(peaks, phases, ScalePrior(0.0, error), PARAMS, (1.8, 1 / 0.12))
        names = {m.phases for m in found if m.outcome in NAMED}
        named += (truth.id,) in names
        wrong += bool(names - {(truth.id,)})
        without = [phase for phase in phases if phase.id != truth.id]
        found = match_rings(peaks, without, ScalePrior(0.0, error), PARAMS, (1.8, 1 / 0.12))
        absent += any(m.outcome in NAMED for m in found)
    shares = named / trials, wrong / trials, absent / trials
    return "named {:.3f}  a wrong name {:.3f}  a name though it is absent {:.3f}".format(*shares)


def _ring_peaks(truth: Phase, error: float, rng: np.random.Generator) -> list[ProfilePeak]:
    d, relative_f = lines_of(truth.reflections)
    seen = np.flatnonzero((d > 0.12) & (d < 0.5))
    bright = seen[np.argsort(-relative_f[seen] * np.exp(rng.normal(0, 0.3, len(seen))))]
    lines = d[bright[: rng.integers(5, 7)]] * np.exp(rng.normal(0, error))
    measured = lines * np.exp(rng.normal(0, 0.003, len(lines)))
    every = np.concatenate([measured, 1 / rng.uniform(2.0, 8.0, rng.poisson(0.7))])
    return [ProfilePeak(1 / one, 0.003 / one, 0.05, 1.0, 20.0, "whole image") for one in np.sort(every)[::-1]]


def _two_phases(count: int | None, rng: np.random.Generator) -> tuple[Phase, Phase, list[Phase]]:
    if count is None:
        while True:
            a = bench_table()[rng.integers(len(bench_table()))]
            phases = plausible(a, rng)
            others = [phase for phase in phases if phase.id != a.id]
            if others:
                return a, others[rng.integers(len(others))], phases
    ((phases, _),) = tables(count, rng, 1)
    a, b = rng.choice(len(phases), 2, replace=False)
    return phases[a], phases[b], phases


def _outside(phases: Sequence[Phase], rng: np.random.Generator) -> Phase:
    ids = {phase.id for phase in phases}
    rest = [phase for phase in bench_table() if phase.id not in ids]
    return rest[rng.integers(len(rest))]


COLUMNS = ("top-1", "top-3", "coverage", "set size", "named", "named 4+", "wrong", "abs.named", "abs.ident")
HEADER = f"{'phases, calibration':22}" + "".join(f"{name:>10}" for name in COLUMNS) + f"{'ms':>8}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=400)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--only", help="part of the label of the lines to run")
    parser.add_argument("--extended", action="store_true", help='with the set "extended"')
    args = parser.parse_args()
    print(HEADER)
    for error in (0.01, 0.005):
        for count in (20, 60, 100, 174, None):
            label = f"{count or 'element filter'} {100 * error:g} %"
            if args.only and args.only not in label:
                continue
            present = run(count, error, args.trials, args.seed, False)
            absent = run(count, error, args.trials, args.seed, True)
            print(line(label, present, absent), flush=True)
    parts = (("two lattices in one grain", overlapping), ("images", images), ("rings", rings))
    for name, measure in parts:
        for count in (60, None):
            label = f"{name}, {count or 'element filter'}, 0.5 %"
            if not args.only or args.only in label:
                print(f"{label:44}", measure(count, 0.005, args.trials // 4, args.seed), flush=True)


if __name__ == "__main__":
    main()
