"""Simulated micrographs with their truth, as files: ``images/<id>.dm4`` and ``truth/<id>.json``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ...core.image.micrograph import Micrograph
from ..readers.dm import read_micrograph

#: Largest truth file that is read.
LARGEST = 64 << 20


def known_micrographs(folder: Path) -> Iterator[tuple[Micrograph, NDArray[np.float64], NDArray[np.intp]]]:
    """Each micrograph of a folder with what is true of its reflections.

    Yields
    ------
    micrograph : Micrograph
    reflections : ndarray, shape (n, 4)
        g (y, x) in 1/nm by the file's calibration, local SNR, diameter of its grain in nm.
    grain : ndarray of int, shape (n,)

    Raises
    ------
    ValueError
        If a truth file is missing or damaged.
    """
    for path in sorted((folder / "images").glob("*.dm4")):
        truth = folder / "truth" / f"{path.stem}.json"
        try:
            if truth.stat().st_size > LARGEST:
                raise ValueError("too large")
            described = json.loads(truth.read_text(encoding="utf-8"))
            rows, grains = _reflections(described)
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{truth}: not a truth file ({error})") from error
        yield read_micrograph(path), rows, grains


def _reflections(described: dict[str, object]) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
    rows, grains = [], []
    for number, grain in enumerate(described["grains"]):  # type: ignore[arg-type, var-annotated]
        for one in grain["reflections"]:
            scale = float(one["d_proj_nm"]) / float(one["d_apparent_nm"]) if one.get("d_apparent_nm") else 1.0
            gy, gx = (scale * float(v) for v in one["g_rc_per_nm"])
            rows.append((gy, gx, float(one["snr_local"]), float(grain["diameter_nm"])))
            grains.append(number)
    return np.array(rows, np.float64).reshape(-1, 4), np.array(grains, np.intp)
