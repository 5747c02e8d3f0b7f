"""Small fields of view: are the stated errors of g large enough, and are two crystals found as two?

    python tests/benchmarks/small_fields.py [--images 12] [--only perfect,offsets,pairs,refusals]

1. Perfect single crystals that fill fields of 3 to 20 nm, and strips of 5 x 41 nm, with random orientation,
   pixel size and dose: grains per image, errors of |g| in per cent and in units of the stated sigma, and the
   fraction of spots beyond 2.2 sigma (expected: 2.8 %).
2. Fringes with a whole number of periods in the field, and with a quarter and half a period more: errors of
   g_y and g_x in units of sigma.
3. Two adjacent crystals, each at least 3 nm wide, in fields of 6, 8 and 10 nm: misoriented by at least 8
   degrees, twins with a shared reflection and two or one of their own, and two materials. The second
   strongest spot of the fainter one has an SNR of 20 to 300. Correct means: exactly two grains, each with
   spots of one crystal alone, and a twin's shared reflection in both.
4. Fields that are too small are refused with a message.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.pipeline import Analysis, analysis_steps
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.core.spots.spot import separations

FIELDS = (
    (3.0, 3.0),
    (4.0, 4.0),
    (5.12, 5.12),
    (6.0, 6.0),
    (8.0, 8.0),
    (10.0, 10.0),
    (14.0, 14.0),
    (20.0, 20.0),
)
STRIPS = ((5.12, 41.0), (41.0, 5.12), (3.5, 30.0))
PAIR_FIELDS = (6.0, 8.0, 10.0)
#: Narrowest crystal of a pair, nm.
NARROWEST = 3.0


def turned(g: NDArray[np.float64], angle: float) -> NDArray[np.float64]:
    """Rotate frequencies (y, x) by an angle in radians."""
    c, s = np.cos(angle), np.sin(angle)
    return np.stack([c * g[:, 0] - s * g[:, 1], s * g[:, 0] + c * g[:, 1]], axis=1)


def cubic_011(a: float) -> NDArray[np.float64]:
    """(200), (111) and (1-11) of a cubic lattice along [011], (y, x), 1/nm."""
    third = np.radians(54.7356)
    length, angle = np.array([2.0, 3**0.5, 3**0.5]) / a, np.array([0.0, third, -third])
    return np.stack([length * np.sin(angle), length * np.cos(angle)], axis=1)


def hexagonal_001(a: float) -> NDArray[np.float64]:
    """(100), (010) and (-110) of a hexagonal lattice along [001], (y, x), 1/nm."""
    angle = np.radians([0.0, 60.0, 120.0])
    return np.stack([np.sin(angle), np.cos(angle)], axis=1) * 2 / (3**0.5 * a)


def micrograph(expected: NDArray[np.float64], pixel: float, rng: np.random.Generator) -> Micrograph:
    """Poisson counts for the expectation in each pixel."""
    counts = rng.poisson(np.maximum(expected, 0.0)).astype(np.float32)
    return Micrograph(counts, Calibration.real((pixel, pixel)), "small field")


def waves(
    shape: tuple[int, int], pixel: float, g: NDArray[np.float64], phases: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Sum of cosines."""
    y, x = np.arange(shape[0])[:, None] * pixel, np.arange(shape[1]) * pixel
    return np.sum(
        [np.cos(2 * np.pi * (gy * y + gx * x) + p) for (gy, gx), p in zip(g, phases, strict=True)], axis=0
    )


def perfect(extent: tuple[float, float], seed: int) -> tuple[Micrograph, NDArray[np.float64]]:
    """One crystal that fills the field, and its g."""
    rng = np.random.default_rng(seed)
    pixel = rng.choice([0.01, 0.015, 0.02, 0.03]) if max(extent) < 15 else 0.02
    g = turned([cubic_011, hexagonal_001][seed % 2](rng.uniform(0.30, 0.45)), rng.uniform(0, np.pi))
    shape = (max(round(extent[0] / pixel), 64), max(round(extent[1] / pixel), 64))
    dose = np.exp(rng.uniform(np.log(20), np.log(1000))) * (pixel / 0.02) ** 2
    image = 1 + rng.uniform(0.05, 0.25) * waves(shape, pixel, g, rng.uniform(0, 2 * np.pi, 3))
    return micrograph(dose * image, pixel, rng), g


def errors(analysis: Analysis, g: NDArray[np.float64]) -> tuple[list[float], list[float], int]:
    """Relative errors of |g|, the same in units of sigma, and the number of spots without a reflection."""
    relative, sigmas, false = [], [], 0
    for spot in analysis.spots:
        apart = separations(spot.g, g)
        k = int(apart.argmin())
        length, true = float(np.hypot(*spot.g)), float(np.hypot(*g[k]))
        if apart[k] > 0.03 * true:
            false += 1
            continue
        relative.append(length / true - 1)
        sigmas.append((length - true) / spot.sigma)
    return relative, sigmas, false


def print_perfect(images: int) -> None:
    """Print the table of single crystals."""
    print(
        "perfect crystals: field (nm), grains an image (mean, most), spots, |error| %, |z|, beyond 2.2 sigma"
    )
    every: list[float] = []
    for extent in FIELDS + STRIPS:
        relative, sigmas, false, grains = [], [], 0, []
        for seed in range(images):
            image, g = perfect(extent, 1000 * FIELDS.index(extent) + seed if extent in FIELDS else seed)
            analysis = exhaust(analysis_steps(image, ()))
            one = errors(analysis, g)
            relative += one[0]
            sigmas += one[1]
            false += one[2]
            grains.append(len(analysis.grains))
        z, error = np.abs(sigmas), 100 * np.abs(relative)
        every += list(z)
        print(
            f"{extent[0]:5.2f} x {extent[1]:5.2f}: grains {np.mean(grains):.2f} ({max(grains)}),"
            f" {len(z)} spots, {false} false; error median {np.median(error):.3f}, most {error.max():.3f};"
            f" |z| median {np.median(z):.2f}, largest {z.max():.1f}, beyond 2.2: {np.mean(z > 2.2):.3f}",
            flush=True,
        )
    print(f"all: {len(every)} spots, beyond 2.2 sigma {np.mean(np.array(every) > 2.2):.3f}")


def print_offsets() -> None:
    """Print the table of fringes that are periodic in the field or not."""
    print("fringes that close at the border, or do not: errors (y, x) in sigmas")
    for shape in ((256, 256), (256, 1024), (512, 512)):
        for offset in (0.0, 0.25, 0.5):
            bins = np.array([(-21 - offset, 7 + offset), (13 + offset, 17 + offset)])
            g = np.vstack([bins, bins.sum(axis=0)]) / 5.12
            rng = np.random.default_rng(1)
            image = micrograph(200 * (1 + 0.25 * waves(shape, 0.02, g, np.zeros(3))), 0.02, rng)
            analysis = exhaust(analysis_steps(image, ()))
            rows = []
            for spot in analysis.spots:
                signed = np.concatenate([g, -g]) - spot.g
                error = -signed[np.hypot(*signed.T).argmin()] / spot.sigma
                rows.append(f"({error[0]:+.1f}, {error[1]:+.1f})")
            print(
                f"{shape[0]} x {shape[1]}, offset {offset}: {len(analysis.grains)} grains; {' '.join(rows)}",
                flush=True,
            )


@dataclass(frozen=True)
class Pair:
    """Two adjacent crystals.

    Attributes
    ----------
    image : Micrograph
    own : two ndarrays, shape (n, 2), 1/nm
        Reflections that only one of them has.
    shared : ndarray, shape (n, 2)
    """

    image: Micrograph
    own: tuple[NDArray[np.float64], NDArray[np.float64]]
    shared: NDArray[np.float64]


def pair(kind: str, extent: float, seed: int) -> Pair:
    """A pair with a straight boundary."""
    rng = np.random.default_rng([seed, round(extent), len(kind)])
    pixel = float(rng.choice([0.01, 0.015, 0.02, 0.03]))
    n = round(extent / pixel)
    lattice = [cubic_011, hexagonal_001][seed % 2]
    a = rng.uniform(0.30, 0.45)
    first = turned(lattice(a), rng.uniform(0, np.pi))
    shared = np.zeros((0, 2))
    if kind == "misoriented":
        # 8 degrees or more, the symmetry of the pattern counted
        most = 30.0 if lattice is hexagonal_001 else 45.0
        second = turned(first, np.radians(rng.choice([-1, 1]) * rng.uniform(8, most)))
    elif kind == "twin":
        first = turned(cubic_011(a), rng.uniform(0, np.pi))
        shared = first[1:2]
        axis = shared[0] / np.hypot(*shared[0])
        mirrored = first[[0, 2]] - 2 * np.outer(first[[0, 2]] @ axis, axis)
        own = [0, 1] if seed % 3 else [seed % 2]
        first, second = first[[0, 2]][own], mirrored[own]
    else:
        second = turned(
            [hexagonal_001, cubic_011][seed % 2](a * rng.uniform(1.05, 1.15)), rng.uniform(0, np.pi)
        )
    inside = first_side(n, pixel, extent, rng)
    snr = np.exp(rng.uniform(np.log(20), np.log(300)))
    contrast = rng.uniform(0.06, 0.16)
    share = (1.0, float(rng.uniform(0.6, 1.0)))
    amplitudes = [c * contrast * rng.uniform(0.8, 1.2, 3) for c in share]
    image = np.ones((n, n))
    common = rng.uniform(0, 2 * np.pi)  # shared planes go on across the boundary
    doses = []
    for side, g, strength in zip((inside, ~inside), (first, second), amplitudes, strict=True):
        both = np.concatenate([g, shared])
        phases = np.append(rng.uniform(0, 2 * np.pi, len(g)), np.full(len(shared), common))
        for k, wave in enumerate(both):
            image += side * strength[k] * waves((n, n), pixel, wave[None], phases[k : k + 1])
        second_strongest = np.sort(strength[: len(both)])[-2]
        # a window that falls to zero inside the crystal leaves 0.44 of its area
        doses.append(snr / ((second_strongest / 2) ** 2 * 0.44 * side.sum()))
    return Pair(micrograph(max(doses) * image, pixel, rng), (first, second), shared)


def first_side(n: int, pixel: float, extent: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Mask of the first crystal of a pair; both are at least `NARROWEST` wide along the whole boundary."""
    room = extent / 2 - NARROWEST
    middle, tilt = extent / 2 + rng.uniform(-room, room), 0.0
    left = room - abs(middle - extent / 2)
    tilt = rng.uniform(-left, left) / (extent / 2)
    y, x = (np.arange(n) + 0.5)[:, None] * pixel, (np.arange(n) + 0.5) * pixel
    inside = x < middle + tilt * (y - extent / 2)
    return inside.T if rng.random() < 0.5 else inside


def verdict(found: Analysis, truth: Pair) -> str:
    """ "right", or what is wrong with the grains of a pair."""
    spots = {spot.id: spot for spot in found.spots}
    sides: list[set[int]] = []
    shared = []
    for grain in found.grains:
        g = np.array([spots[i].g for i in grain.spots if spots[i].enabled]).reshape(-1, 2)
        near = [own_reached(g, own) for own in truth.own]
        sides.append({k for k in (0, 1) if near[k].any()})
        shared.append(bool(own_reached(g, truth.shared).all()))
    if len(found.grains) < 2:
        return "merged" if any(len(side) == 2 for side in sides) else "one missed"
    if any(len(side) == 2 for side in sides):
        return "mixed"
    if len(found.grains) > 2:
        return "too many"
    if sides not in ([{0}, {1}], [{1}, {0}]):
        return "other"
    return "right" if all(shared) else "shared in one"


def own_reached(g: NDArray[np.float64], true: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which true reflections have a spot."""
    return np.array([bool((separations(t, g) < 0.03 * np.hypot(*t)).any()) for t in true], bool)


def cases(images: int) -> Iterator[tuple[str, float, list[int]]]:
    """Kinds, fields and seeds."""
    for kind, extent in itertools.product(("misoriented", "twin", "two materials"), PAIR_FIELDS):
        yield kind, extent, list(range(images))


def print_pairs(images: int) -> None:
    """Print the table of pairs."""
    print("two crystals side by side: two grains in")
    right = total = 0
    sigmas: list[float] = []
    for kind, extent, seeds in cases(images):
        counts: dict[str, int] = {}
        for seed in seeds:
            truth = pair(kind, extent, seed)
            analysis = exhaust(analysis_steps(truth.image, ()))
            answer = verdict(analysis, truth)
            if answer == "right":
                sigmas += errors(analysis, np.concatenate([*truth.own, truth.shared]))[1]
            counts[answer] = counts.get(answer, 0) + 1
        right += counts.get("right", 0)
        total += images
        wrong = ", ".join(f"{n} {name}" for name, n in sorted(counts.items()) if name != "right")
        good = counts.get("right", 0)
        print(f"{kind:14s} {extent:4.0f} nm: {good} of {images}{': ' + wrong if wrong else ''}", flush=True)
    print(f"all: {right} of {total} ({100 * right / total:.0f} %)")
    beyond = np.mean(np.abs(sigmas) > 2.2)
    print(f"of their {len(sigmas)} spots {beyond:.3f} are beyond 2.2 sigma")


def print_refusals() -> None:
    """Print the messages for fields that are too small."""
    for n, pixel in ((64, 0.02), (100, 0.02), (63, 0.1), (150, 0.02), (64, 0.05)):
        image = micrograph(np.full((n, n), 100.0), pixel, np.random.default_rng(0))
        try:
            exhaust(analysis_steps(image, ()))
            print(f"{n} x {n} pixels of {pixel} nm: analysed")
        except ValueError as error:
            print(error)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--only", default="perfect,offsets,pairs,refusals")
    args = parser.parse_args()
    wanted = args.only.split(",")
    if "perfect" in wanted:
        print_perfect(args.images)
    if "offsets" in wanted:
        print_offsets()
    if "pairs" in wanted:
        print_pairs(args.images)
    if "refusals" in wanted:
        print_refusals()


if __name__ == "__main__":
    main()
