"""Bent lattices and adjacent crystals: what is reported as ring-like, and how much of it is found.

    python tests/benchmarks/bent_lattices.py [--images 4] [--seed 0] [--only bent|crystals] [--contrast 0.3]
                                             [--network spots] [--radii 5 10]

*bent*: layers of 0.34 nm in arcs of 4 nm thickness (15 to 20 nm long, or closed), and onions with layers from
1.5 nm outwards. Printed for each radius, over images with different directions and noise: the fraction of the
layers' area in any grain and in the ring-like component, the number of grains, and the number of images with
a ring-like component that contains half of what was found.

*crystals*, which must remain crystals: polycrystals with one visible family each (touching with random
directions, textured, separate, of two phases 4.6 % apart), bicrystals, twins (two and five parts), moires of
two layers. Printed: the fraction of images with anything ring-like, and the fraction of grains in it.

The specimens are those of `bent_model`, in a field of 31 nm. A contrast of 0.3 times the noise of a pixel
gives an SNR of about 300 in the local filter of 1 nm.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from bent_model import NEGATIVES, Specimen, analysed, arc, onion
from napari_tem_fft.core.grains.regions import union
from napari_tem_fft.core.maps.component_map import bent_lattices_of
from napari_tem_fft.core.maps.map_grid import resample
from napari_tem_fft.core.pipeline import Analysis, Segment
from napari_tem_fft.nn.inference.model import load_segmenter

RADII = (5.0, 7.0, 10.0, 15.0, 20.0, 30.0, 50.0)
OUTER = (5.0, 8.0, 12.0)


def recall(analysis: Analysis, specimen: Specimen) -> tuple[float, float]:
    """Fraction of the layers' area in any grain, and in a ring-like component."""
    truth = resample(specimen.inside, analysis.map_grid.shape)
    any_grain = union(analysis.grain_regions, truth.shape)
    bent = np.zeros(truth.shape, bool)
    for component in analysis.components:
        if component.bent is not None:
            bent |= component.mask
    area = np.count_nonzero(truth)
    return np.count_nonzero(truth & any_grain) / area, np.count_nonzero(truth & bent) / area


def report_bent(
    title: str,
    radii: Sequence[float],
    make: Callable[..., Specimen],
    images: int,
    seed: int,
    contrast: float,
    segment: Segment | None,
) -> None:
    """Print one line per radius."""
    print(f"{title}  radius (nm)  1/radius  area in grains  ring-like  grains  images with one ring-like")
    for radius in radii:
        found, seen, joined = [], 0, 0
        for number in range(images):
            rng = np.random.default_rng([seed, number, int(10 * radius)])
            specimen = make(radius, rng)
            analysis = analysed(specimen, contrast, rng, segment)
            found.append(recall(analysis, specimen))
            seen += len(analysis.grains)
            joined += len(bent_lattices_of(analysis.components)) == 1 and found[-1][1] > found[-1][0] / 2
        grains, bent = np.mean(found, axis=0)
        print(
            f"{title}  {radius:11.0f}  {1 / radius:8.3f}  {grains:14.2f}  {bent:9.2f}  {seen / images:6.1f}"
            f"  {joined} of {images}",
            flush=True,
        )


def report_crystals(images: int, seed: int, contrast: float, segment: Segment | None) -> None:
    """Print one line per kind, and one for all."""
    wrong: dict[str, list[bool]] = {}
    grains: dict[str, list[int]] = {}
    joined: dict[str, list[int]] = {}
    for kind, make in NEGATIVES.items():
        for number in range(images):
            rng = np.random.default_rng([seed, 1000 + number])
            analysis = analysed(make(rng), contrast, rng, segment)
            bent = bent_lattices_of(analysis.components)
            wrong.setdefault(kind, []).append(bool(bent))
            grains.setdefault(kind, []).append(len(analysis.grains))
            joined.setdefault(kind, []).append(sum(len(one.grains) for one in bent))
    print("crystals       images  wrongly joined  grains  wrongly joined")
    for kind, each in wrong.items():
        print(f"{kind:13}  {len(each):6}  {sum(each):14}  {sum(grains[kind]):6}  {sum(joined[kind]):14}")
    of = sum(map(len, wrong.values())), sum(map(sum, grains.values()))
    bad = sum(map(sum, wrong.values())), sum(map(sum, joined.values()))
    print(f"all            {of[0]:6}  {bad[0] / of[0]:14.3f}  {of[1]:6}  {bad[1] / max(of[1], 1):14.3f}")


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--contrast", type=float, default=0.3)
    parser.add_argument("--only", choices=("bent", "crystals"))
    parser.add_argument("--network", help="name or folder of a model; none if it is not given")
    parser.add_argument("--radii", type=float, nargs="+", default=RADII, help="of the arcs, nm")
    args = parser.parse_args()
    segment = load_segmenter(args.network) if args.network else None
    how = args.images, args.seed, args.contrast, segment
    if args.only != "crystals":
        report_bent("arcs  ", args.radii, arc, *how)
        report_bent("onions", OUTER, onion, *how)
    if args.only != "bent":
        report_crystals(*how)


if __name__ == "__main__":
    main()
