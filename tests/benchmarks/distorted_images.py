"""Images with a common stretch and a wrong scale: how often grains are named, and how often wrongly.

    python tests/benchmarks/distorted_images.py [--trials N] [--seed S]

Each line: a stretch (along a random direction, common to all grains of an image) and the standard deviation
of the scale's error, which is also its stated uncertainty. The grains are of two phases among those that an
element analysis of the first one leaves (`matching_bench.plausible`); the kind of image is not stated.
"several" are images of four grains, "single" images of one. Rows with the same error of the scale have the
same grains with different stretches. ``named`` is identified or likely, ``wrong`` a wrong name; ``truth in``
the fraction of ambiguous sets with the true phase, ``size`` their mean size; ``absent`` the fraction of
grains that are named although their phase is not a candidate; ``stretch`` and ``scale`` the median errors of
the inferred values, in per cent.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

import numpy as np
from matching_bench import NAMED, plausible
from simulated_grains import simulate

from napari_tem_fft.core.crystal.phase import Phase
from napari_tem_fft.core.crystal.phase_selection import usual_phases
from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.matching import EvidenceCache, GrainMatch, Outcome
from napari_tem_fft.core.matching.match import match_image
from napari_tem_fft.core.matching.pair_index import build_index
from napari_tem_fft.core.spots.spot import Spot, friedel_representative
from napari_tem_fft.io.phases.table import load_table

SEED = 20260
HEADER = ("named", "named 4+", "wrong", "truth in", "size", "absent", "stretch", "scale")


def stretched(spots: list[Spot], stretch: np.ndarray) -> list[Spot]:
    """The spots of an image with a common stretch."""
    moved = []
    for spot in spots:
        x, y = stretch @ (spot.g[1], spot.g[0])
        moved.append(replace(spot, g=friedel_representative((float(y), float(x)))))
    return moved


def image(
    phases: list[Phase], stretch: float, scale: float, rng: np.random.Generator
) -> tuple[list[Grain], list[Spot]]:
    """One grain of each phase, in an image with a common stretch and scale."""
    twice = rng.uniform(0, 2 * np.pi)
    c, s = stretch * np.cos(twice), stretch * np.sin(twice)
    grains: list[Grain] = []
    spots: list[Spot] = []
    for number, phase in enumerate(phases, start=1):
        grain, own = simulate(phase, scale, rng, first_id=len(spots) + 1)
        grains.append(replace(grain, id=number))
        spots += stretched(own, np.eye(2) + np.array([[c, s], [s, -c]]))
    return grains, spots


def candidates(rng: np.random.Generator) -> tuple[Phase, Phase, list[Phase]]:
    """Two phases of the table, and the phases left by an element analysis."""
    table = usual_phases(load_table())
    while True:
        first = table[rng.integers(len(table))]
        phases = plausible(first, rng)
        others = [phase for phase in phases if phase.id != first.id]
        if others:
            return first, others[rng.integers(len(others))], phases


def measure(number: int, stretch: float, error: float, trials: int, seed: int) -> str:
    """One line of the table, for images with the given number of grains."""
    rng = np.random.default_rng([seed, number, round(1000 * error)])
    seen: list[tuple[str, GrainMatch]] = []
    absent: list[GrainMatch] = []
    stretch_off, scale_off = [], []
    for _ in range(trials):
        first, second, phases = candidates(rng)
        truth = [first, *(second if rng.random() < 0.5 else first for _ in range(number - 1))]
        scale = float(np.exp(rng.normal(0, error)))
        grains, spots = image(truth, stretch, scale, rng)
        without = [phase for phase in phases if phase.id not in {one.id for one in truth}]
        for table in filter(None, (phases, without)):
            cache = EvidenceCache(build_index(table))
            found = match_image(grains, spots, table, error, cache=cache, stated=True)
            match_of = {match.grain: match for match in reversed(found.matches)}
            if table is without:
                absent += match_of.values()
                continue
            seen += [(phase.id, match_of[n]) for n, phase in enumerate(truth, start=1)]
            if any(match.outcome in NAMED for match in found.matches):
                stretch_off.append(abs(found.geometry.stretch - stretch))
                scale_off.append(abs(np.log(found.geometry.scale) - np.log(scale)))
    sets = [(truth, match) for truth, match in seen if match.outcome is Outcome.AMBIGUOUS]
    four = [match for _, match in seen if len(match.spots) >= 4]
    values = (
        np.mean([match.outcome in NAMED for _, match in seen]),
        np.mean([match.outcome in NAMED for match in four]),
        np.mean([match.outcome in NAMED and match.phases != (truth,) for truth, match in seen]),
        np.mean([truth in match.phases for truth, match in sets]) if sets else np.nan,
        np.mean([len(match.phases) for _, match in sets]) if sets else np.nan,
        np.mean([match.outcome in NAMED for match in absent]) if absent else np.nan,
        100 * np.median(stretch_off) if stretch_off else np.nan,
        100 * np.median(scale_off) if scale_off else np.nan,
    )
    return "".join(f"{value:10.3f}" for value in values)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--trials", type=int, default=60)
    parser.add_argument("--seed", type=int, default=SEED)
    args = parser.parse_args()
    print(f"{'grains, stretch, scale':26}" + "".join(f"{name:>10}" for name in HEADER))
    for name, number in (("several", 4), ("single", 1)):
        for stretch in (0.0, 0.01, 0.03, 0.05):
            for error in (0.01, 0.03, 0.05) if stretch in (0.0, 0.03) else (0.01,):
                label = f"{name} {100 * stretch:g} %, scale {100 * error:g} %"
                line = measure(number, stretch, error, args.trials * 4 // number, args.seed)
                print(f"{label:26}{line}", flush=True)


if __name__ == "__main__":
    main()
