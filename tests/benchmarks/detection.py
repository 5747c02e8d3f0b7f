"""Visible reflections found in local spectra, compared with the transform of the whole image.

    python tests/benchmarks/detection.py --data DIR [--false-alarms 0.01] [--window NM]

For each simulated micrograph in DIR (``images/`` and ``truth/``) the visible reflections with d > 0.12 nm are
counted that are found with the same expected number of false alarms per image: in the whole image's
diffractogram only, in the local spectra only, and as spots of the complete analysis. "false" are distinct
frequencies found that are not close to any visible reflection (mostly side lobes of grains).
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from napari_tem_fft.core.fourier.diffractogram import Diffractogram
from napari_tem_fft.core.fourier.local_spectra import LocalSpectra
from napari_tem_fft.core.fourier.stft import WindowParams
from napari_tem_fft.core.pipeline import AnalysisParams, analysis_steps
from napari_tem_fft.core.spots.false_alarms import log_tail
from napari_tem_fft.io.readers.micrographs import read_micrograph

D_MIN = 0.12
Points = NDArray[np.float64]


def visible(truth: dict[str, Any]) -> tuple[Points, Points]:
    """g (y, x) with the file's calibration of each visible reflection, and its tolerance, 1/nm."""
    g, tolerance = [], []
    for grain in truth["grains"]:
        for one in grain["reflections"]:
            if one["visible"] and one["d_apparent_nm"] > D_MIN:
                angle = np.radians(one["azimuth_deg"])
                g.append(np.array([-np.sin(angle), np.cos(angle)]) / one["d_apparent_nm"])
                tolerance.append(max(0.05, 0.5 / grain["diameter_nm"]))
    return np.array(g).reshape(-1, 2), np.array(tolerance)


def in_whole_image(diffractogram: Diffractogram, false_alarms: float) -> Points:
    """Significant frequencies in the transform of the whole image."""
    gy, gx = diffractogram.axes()
    radius = np.hypot(gy, gx)
    searched = (radius >= diffractogram.q_min) & (radius <= diffractogram.q_max)
    searched[: diffractogram.half[0] + 1, 0] = False
    log_p = log_tail(diffractogram.snr(), diffractogram.counts)
    rows, columns = np.nonzero(searched & (log_p < np.log(false_alarms / searched.sum())))
    return np.stack([gy[rows, 0], gx[0, columns]], axis=1)


def in_windows(spectra: LocalSpectra, false_alarms: float) -> Points:
    """Significant frequencies in local windows."""
    return spectra.detections.g[spectra.detections.log_p < np.log(false_alarms / spectra.tests)]


def near(a: Points, b: Points, tolerance: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether a[i] or its mirror image is within tolerance[i] of any b."""
    if not len(b):
        return np.zeros(len(a), bool)
    distance = [np.linalg.norm(a[:, None] - sign * b[None], axis=2).min(axis=1) for sign in (1, -1)]
    return np.minimum(*distance) < tolerance


def distinct(g: Points, reach: float) -> Points:
    """One frequency of each group of close ones."""
    chosen, count = np.empty((len(g), 2)), 0
    for one in g:
        if not count or not near(one[None], chosen[:count], np.array([reach]))[0]:
            chosen[count] = one
            count += 1
    return chosen[:count]


def false_ones(found: Points, true: Points, tolerance: NDArray[np.float64]) -> int:
    """Distinct frequencies that are not close to any visible reflection, d > 0.12 nm."""
    found = found[np.linalg.norm(found, axis=1) < 1 / D_MIN]
    if not len(true):
        return len(distinct(found, 0.1))
    loose = np.full(len(found), float(tolerance.max(initial=0.05)))
    return len(distinct(found[~near(found, true, loose)], 0.1))


def row(path: Path, truth: dict[str, Any], params: AnalysisParams) -> list[str]:
    """One line of the table."""
    true, tolerance = visible(truth)
    steps = analysis_steps(read_micrograph(path), (), params)
    diffractogram, spectra = next(steps).product.diffractogram, next(steps).product.spectra
    spots = next(steps).product.spots
    rate = params.spots.false_alarms
    ways = (
        in_whole_image(diffractogram, rate),
        in_windows(spectra, rate),
        np.array([spot.g for spot in spots]).reshape(-1, 2),
    )
    cells = [path.stem, str(len(true))]
    for found in ways:
        cells.append(f"{near(true, found, tolerance).sum()} ({false_ones(found, true, tolerance)})")
    return cells


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("NAPARI_TEM_FFT_DATA")
    parser.add_argument("--data", type=Path, default=Path(default) / "dev" if default else None)
    parser.add_argument("--false-alarms", type=float, default=0.01)
    parser.add_argument("--window", type=float, default=WindowParams().window, help="nm")
    args = parser.parse_args()
    if args.data is None:
        print("skipped: --data says where the simulated micrographs are")
        return 0
    params = AnalysisParams(windows=WindowParams(args.window))
    params = type(params)(windows=params.windows, spots=type(params.spots)(args.false_alarms))
    print("| image | visible | whole image (false) | local spectra (false) | spots of the chain (false) |")
    print("|---|---|---|---|---|")
    for path in sorted((args.data / "images").glob("*.dm4")):
        truth = json.loads((args.data / "truth" / f"{path.stem}.json").read_text())
        print("| " + " | ".join(row(path, truth, params)) + " |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
