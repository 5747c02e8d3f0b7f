"""Accuracy of d for stored diffraction patterns with known spots and rings, and false alarms.

    python tests/benchmarks/pattern_accuracy.py [--patterns 60]

Spot patterns have random centres, scales, unequal pixels, widths and strengths, and the origin stated in the
file is wrong by up to 4 pixels; a third has a beam stop. Ring patterns and diffuse light are made in the same
way.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))
from forward_model import frequency
from napari_tem_fft.core.saed.measure import PatternMeasurement, measure_pattern
from pattern_model import diffuse, recorded, rings, spots

GOLD = (0.23548, 0.20393, 0.14420, 0.12298, 0.11774)


@dataclass
class Tally:
    """Counts of what was found of what there is."""

    errors: list[float] = field(default_factory=list)
    pulls: list[float] = field(default_factory=list)
    centres: list[float] = field(default_factory=list)
    wanted: int = 0
    missed: int = 0
    false: int = 0
    patterns: int = 0
    seconds: float = 0.0

    def line(self, name: str) -> str:
        """One row of the table."""
        error = np.abs(self.errors) * 100 if self.errors else np.zeros(1)
        pull = np.std(self.pulls) if self.pulls else np.nan
        off = f"{np.median(self.centres):.3f}" if self.centres else ""
        high = np.percentile(error, 95)
        return (
            f"| {name} | {self.patterns} | {self.wanted - self.missed} / {self.wanted} | {self.false} |"
            f" {np.median(error):.4f} | {high:.4f} | {error.max():.4f} | {pull:.2f} | {off} |"
            f" {self.seconds / max(self.patterns, 1):.2f} |"
        )


def setting(rng: np.random.Generator) -> tuple[tuple[int, int], tuple[float, float], tuple[float, float]]:
    """Shape, centre and step."""
    shape = (int(rng.integers(400, 700)), int(rng.integers(400, 700)))
    centre = tuple(n / 2 + rng.uniform(-0.12, 0.12) * n for n in shape)
    step = rng.uniform(9.5, 12.0) / (0.38 * min(shape)) * 0.5
    return shape, (centre[0], centre[1]), (step, step * rng.uniform(0.97, 1.03))


def stopped(expected: np.ndarray, centre: tuple[float, float], rng: np.random.Generator) -> np.ndarray:
    """Add the shadow of a beam stop to a third of the patterns."""
    if rng.random() < 1 / 3:
        y, x = (int(c) for c in centre)
        expected[y - 9 : y + 10, : x + 12] = 4.0
    return expected


def spot_pattern(rng: np.random.Generator, tally: Tally, both: bool = True) -> None:
    shape, centre, step = setting(rng)
    width, counts = rng.uniform(1.2, 3.0), rng.uniform(150, 600)
    chosen = [(d, float(a), counts) for d in GOLD[:4] for a in (rng.uniform(0, 85), rng.uniform(95, 175))]
    expected = diffuse(shape, centre, step) + spots(shape, centre, step, chosen, width, both)
    origin = (centre[0] + rng.uniform(-4, 4), centre[1] + rng.uniform(-4, 4)) if rng.random() < 0.5 else None
    expected = stopped(expected, centre, rng)
    result = timed(recorded(expected, step, int(rng.integers(1e6)), origin), tally)
    truth = {(d, a): np.array(frequency(d, a)) for d, a, _ in chosen}
    left = list(result.spots)
    for (d, _), g in truth.items():
        inside = [0 < c + k / s < n - 1 for c, k, s, n in zip(centre, g, step, shape, strict=True)]
        near = [s for s in left if min(np.hypot(*(g - s.g)), np.hypot(*(g + s.g))) < 4 * max(step)]
        tally.wanted += all(inside)
        tally.missed += all(inside) and not near
        for spot in near[:1]:
            left.remove(spot)
            tally.errors.append(spot.d / d - 1)
            tally.pulls.append((spot.d - d) / spot.d_sigma)
    tally.false += len(left)
    tally.centres.append(float(np.hypot(*(np.array(result.centre.position) - centre))))


def ring_pattern(rng: np.random.Generator, tally: Tally) -> None:
    shape, centre, step = setting(rng)
    width = rng.uniform(0.03, 0.08)
    lines = [(d, rng.uniform(15, 80)) for d in GOLD[:4]]
    expected = diffuse(shape, centre, step) + rings(shape, centre, step, lines, width)
    result = timed(recorded(stopped(expected, centre, rng), step, int(rng.integers(1e6))), tally)
    for d, _ in lines:
        near = [p for p in result.profile.peaks if abs(p.d / d - 1) < 0.02]
        tally.wanted += 1
        tally.missed += not near
        for peak in near[:1]:
            tally.errors.append(peak.d / d - 1)
            tally.pulls.append((peak.d - d) / peak.d_sigma)
    tally.false += len(result.spots) + sum(
        all(abs(p.d / d - 1) >= 0.02 for d in GOLD) for p in result.profile.peaks
    )
    tally.centres.append(float(np.hypot(*(np.array(result.centre.position) - centre))))


def empty_pattern(rng: np.random.Generator, tally: Tally) -> None:
    shape, centre, step = setting(rng)
    result = timed(recorded(diffuse(shape, centre, step), step, int(rng.integers(1e6))), tally)
    tally.false += len(result.spots) + len(result.profile.peaks)


def timed(pattern, tally: Tally) -> PatternMeasurement:
    """Measure and count the seconds."""
    start = time.perf_counter()
    result = measure_pattern(pattern)
    tally.seconds += time.perf_counter() - start
    tally.patterns += 1
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patterns", type=int, default=60)
    count = parser.parse_args().patterns
    head = ("kind", "patterns", "found", "false", "error of d: median %", "95 %", "largest %", "pull")
    print("| " + " | ".join((*head, "centre off, pixels", "s")) + " |")
    print("|" + "---|" * 10)
    kinds = (
        ("spots at +g and -g", spot_pattern),
        ("spots on one side", partial(spot_pattern, both=False)),
        ("rings", ring_pattern),
        ("diffuse light only", empty_pattern),
    )
    for name, make in kinds:
        rng, tally = np.random.default_rng(20), Tally()
        for _ in range(count):
            make(rng, tally)
        print(tally.line(name), flush=True)


if __name__ == "__main__":
    main()
