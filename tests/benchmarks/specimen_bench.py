"""Specimen masks of processed micrographs: low-passed, resampled, quantised, compressed.

    python tests/benchmarks/specimen_bench.py --data DIR [--image ID ...] [--only NAME ...]

Then fields without vacuum, in which nothing may be cut away: films of which a part is half as strong, wedges,
uneven beams.

DIR contains the folders dev and strong of simulated micrographs with ground truth. Each image with vacuum is
processed in each way; the mask is compared with the ground truth pixel by pixel. A row gives the number of
masks found, the smallest and median Dice coefficients of specimen and vacuum, the number of inverted masks
(more specimen in the true vacuum than in the true specimen), and how often "no vacuum found" is reported.
"""

from __future__ import annotations

import argparse
import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy import fft, ndimage
from skimage.transform import resize

sys.path.insert(0, str(Path(__file__).parents[1]))

from forward_model import Optics, film_image
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.maps.map_grid import resample
from napari_tem_fft.core.pipeline import analysis_steps
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.io.readers.micrographs import read_micrograph

Pixels = NDArray[np.float32]
Processing = Callable[[Pixels], Pixels]


def low_pass(share: float, order: float = 8.0) -> Processing:
    """Butterworth low-pass filter at a fraction of the Nyquist frequency."""

    def apply(pixels: Pixels) -> Pixels:
        gy = 2 * fft.fftfreq(pixels.shape[0])[:, None]
        gx = 2 * fft.rfftfreq(pixels.shape[1])[None, :]
        keep = 1 / (1 + (np.hypot(gy, gx) / share) ** (2 * order))
        filtered: Pixels = fft.irfft2(fft.rfft2(pixels) * keep, pixels.shape).astype(np.float32)
        return filtered

    return apply


def gaussian(sigma: float) -> Processing:
    """Gaussian filter with a standard deviation in pixels."""
    return lambda pixels: ndimage.gaussian_filter(pixels, sigma)


def resampled(factor: float, order: int = 1) -> Processing:
    """Resample by a factor with linear or cubic interpolation; averaged first if it becomes smaller."""

    def apply(pixels: Pixels) -> Pixels:
        shape = tuple(round(n * factor) for n in pixels.shape)
        low, high = float(pixels.min()), float(pixels.max())
        small = resize((pixels - low) / (high - low), shape, order=order, anti_aliasing=factor < 1)
        return (low + (high - low) * small).astype(np.float32)

    return apply


def quantised(pixels: Pixels) -> Pixels:
    """Quantise to eight bits between the 0.5 and 99.5 percentiles, as programs export pictures."""
    low, high = np.percentile(pixels, (0.5, 99.5))
    return np.round(255 * np.clip((pixels - low) / (high - low), 0, 1)).astype(np.float32)


def jpeg(quality: int) -> Processing:
    """Quantise to eight bits, then compress as JPEG."""

    def apply(pixels: Pixels) -> Pixels:
        buffer = io.BytesIO()
        Image.fromarray(quantised(pixels).astype(np.uint8)).save(buffer, "JPEG", quality=quality)
        return np.asarray(Image.open(buffer), np.float32)

    return apply


def one_after_another(*steps: Processing) -> Processing:
    """Several processing steps in this order."""

    def apply(pixels: Pixels) -> Pixels:
        for step in steps:
            pixels = step(pixels)
        return pixels

    return apply


PROCESSINGS: dict[str, Processing] = {
    "as it is": lambda pixels: pixels,
    **{f"low-pass {share:g}": low_pass(share) for share in (0.3, 0.4, 0.5, 0.65, 0.8)},
    "low-pass 0.3, soft": low_pass(0.3, 2.0),
    "low-pass 0.5, soft": low_pass(0.5, 2.0),
    "Gaussian 1 px": gaussian(1.0),
    "Gaussian 1.5 px": gaussian(1.5),
    **{f"resampled {factor:g}": resampled(factor) for factor in (0.5, 0.7, 1.4, 2.0)},
    "resampled 2, cubic": resampled(2.0, 3),
    "8 bits": quantised,
    "JPEG 90": jpeg(90),
    "JPEG 75": jpeg(75),
    "low-pass 0.5, 8 bits": one_after_another(low_pass(0.5), quantised),
    "low-pass 0.3, 8 bits": one_after_another(low_pass(0.3), quantised),
    "resampled 1.4, 8 bits": one_after_another(resampled(1.4), quantised),
    "resampled 0.5, low-pass 0.4": one_after_another(resampled(0.5), low_pass(0.4)),
}
CONTROLS = (
    "as it is",
    "low-pass 0.3",
    "low-pass 0.5",
    "Gaussian 1 px",
    "low-pass 0.3, 8 bits",
    "resampled 0.7",
)
SIZE, PIXEL, DOSE = 1024, 0.025, 400.0  # pixels, nm, e/A^2


def processed(micrograph: Micrograph, processing: Processing) -> Micrograph:
    """The same field after processing, with the pixel size adapted to the number of pixels."""
    pixels = processing(np.asarray(micrograph.pixels, np.float32))
    size = tuple(e / n for e, n in zip(micrograph.extent, pixels.shape, strict=True))
    return replace(micrograph, pixels=pixels, calibration=Calibration.real((size[0], size[1])))


def images_with_vacuum(folder: Path, wanted: list[str]) -> Iterator[tuple[str, Path, NDArray[np.bool_]]]:
    """Names, files and true vacuum of the simulated micrographs that have vacuum."""
    for path in sorted(folder.glob("*/truth/*.json")):
        truth = json.loads(path.read_text())
        if not truth.get("vacuum_mask") or (wanted and truth["id"] not in wanted):
            continue
        vacuum = np.asarray(Image.open(path.parent / truth["vacuum_mask"])) > 0
        if vacuum.any():
            yield truth["id"], path.parents[1] / "images" / f"{truth['id']}.dm4", vacuum


def found_specimen(micrograph: Micrograph) -> NDArray[np.bool_]:
    """The specimen mask of an analysis without a network."""
    analysis = exhaust(analysis_steps(micrograph, ()))
    return analysis.specimen


def dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """Dice coefficient of two masks."""
    return 2 * float((found & truth).sum()) / max(float(found.sum() + truth.sum()), 1.0)


def compared(found: NDArray[np.bool_], vacuum: NDArray[np.bool_]) -> tuple[float, float, bool]:
    """Dice coefficients of specimen and vacuum, and whether the mask is inverted."""
    answer = resample(found, vacuum.shape)
    inverted = bool(answer[vacuum].mean() > answer[~vacuum].mean())
    return dice(answer, ~vacuum), dice(~answer, vacuum), inverted


def fields_without_vacuum(count: int) -> Iterator[tuple[str, Micrograph]]:
    """Films that cover the field and change from left to right, without vacuum."""
    x = np.linspace(0, 1, SIZE)[None, :]
    kinds = {
        "half as strong": (np.where(x < 0.4, 0.5, 1.0), np.ones_like(x)),
        "wedge": (0.4 + 0.6 * x, np.ones_like(x)),
        "uneven beam": (np.ones_like(x), 0.75 + 0.5 * x),
    }
    for seed in range(count):
        rng = np.random.default_rng(seed)
        optics = Optics(defocus=rng.uniform(30, 400), astigmatism=3, astigmatism_deg=20)
        film = film_image((SIZE, SIZE), (PIXEL, PIXEL), seed, optics, strength=0.04)
        for kind, (power, beam) in kinds.items():
            counts = np.maximum(1 + (film - 1) * np.sqrt(power), 0.01) * beam * DOSE * 100 * PIXEL**2
            pixels = rng.poisson(counts).astype(np.float32)
            yield kind, Micrograph(pixels, Calibration.real(PIXEL), f"{kind}, seed {seed}")


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--image", nargs="*", default=[])
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--each", action="store_true", help="print every image too")
    parser.add_argument("--fields", type=int, default=5, help="fields without a vacuum of each kind")
    args = parser.parse_args()
    images = list(images_with_vacuum(args.data, args.image))
    started = time.process_time()
    print(f"{len(images)} images with a vacuum: {', '.join(name for name, _, _ in images)}")
    print(f"{'processing':28} drawn  Dice: least median  of vacuum  inverted  whole frame")
    totals = np.zeros(4, int)
    for title, processing in PROCESSINGS.items():
        if args.only and title not in args.only:
            continue
        rows = []
        for name, path, vacuum in images:
            micrograph = processed(read_micrograph(path), processing)
            found = found_specimen(micrograph)
            score = (*compared(found, vacuum), bool(found.all()))
            rows.append(score)
            if args.each:
                kind = "whole" if score[3] else "INVERTED" if score[2] else ""
                print(f"    {name:28} {score[0]:.3f} {score[1]:.3f} {kind}")
        drawn = [row for row in rows if not row[3]]
        good = [row[0] for row in drawn] or [float("nan")]
        empty = [row[1] for row in drawn] or [float("nan")]
        inverted = sum(row[2] for row in drawn)
        totals += (len(rows), len(rows) - len(drawn), inverted, sum(row[0] < 0.95 for row in drawn))
        print(
            f"{title:28} {len(drawn):2} / {len(rows)}   {min(good):8.3f} {np.median(good):.3f}"
            f"  {min(empty):9.3f}  {inverted:8}  {len(rows) - len(drawn):11}",
            flush=True,
        )
    cut: dict[str, list[bool]] = {}
    for kind, micrograph in fields_without_vacuum(args.fields):
        for title in CONTROLS:
            found = found_specimen(processed(micrograph, PROCESSINGS[title]))
            cut.setdefault(kind, []).append(not found.all())
    for kind, wrong in cut.items():
        print(f"no vacuum, {kind:24} cut in {sum(wrong)} of {len(wrong)}")
    print(
        f"of {totals[0]} masks: {totals[1]} whole frames ({totals[1] / max(totals[0], 1):.1%}), "
        f"{totals[2]} inverted, {totals[3]} drawn with a Dice below 0.95; "
        f"{time.process_time() - started:.0f} s of processor"
    )


if __name__ == "__main__":
    main()
