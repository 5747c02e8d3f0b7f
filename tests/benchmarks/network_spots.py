"""Check that the network does not remove spots that are found without it.

    python tests/benchmarks/network_spots.py [--data DIR]

Each micrograph in the folders ``dev``, ``strong`` and ``real_labelled`` of DIR (by default
NAPARI_TEM_FFT_DATA) is analysed without phases, once without and once with the network. For each enabled spot
of the former there must be an enabled or satellite spot of the latter within 0.3 % in |g| and 0.5 degrees.
Printed per image: number of spots without the network, with the network, and of those without a counterpart;
exits with 1 if there are any.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import numpy as np

from napari_tem_fft.api import read
from napari_tem_fft.core.image.calibration import CalibrationError
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.pipeline import AnalysisParams, Segment, analysis_steps
from napari_tem_fft.core.progress import exhaust
from napari_tem_fft.core.spots.spot import Spot
from napari_tem_fft.nn.inference.model import load_segmenter

FOLDERS, SUFFIXES = ("dev", "strong", "real_labelled"), (".dm3", ".dm4", ".tif")
LENGTH, DEGREES = 0.003, 0.5


def found(micrograph: Micrograph, segment: Segment | None) -> tuple[Spot, ...]:
    """The spots of the complete analysis."""
    return exhaust(analysis_steps(micrograph, (), AnalysisParams(), segment)).spots


def has_partner(spot: Spot, others: list[Spot]) -> bool:
    """Whether one of the other spots is the same, or its Friedel mate."""
    gy, gx = spot.g
    for other in others:
        angle = abs(np.degrees(np.arctan2(gy, gx) - np.arctan2(*other.g))) % 180
        if abs(other.length / spot.length - 1) <= LENGTH and min(angle, 180 - angle) <= DEGREES:
            return True
    return False


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=os.environ.get("NAPARI_TEM_FFT_DATA"))
    args = parser.parse_args()
    if args.data is None:
        raise SystemExit("skipped: no --data, and NAPARI_TEM_FFT_DATA is not set")
    segment, lost = load_segmenter(), 0
    for path in sorted(
        p for name in FOLDERS for p in Path(args.data, name).rglob("*") if p.suffix in SUFFIXES
    ):
        micrograph = read(path)
        try:
            alone, spots = (
                [spot for spot in found(micrograph, None) if spot.enabled],
                found(micrograph, segment),
            )
        except CalibrationError:
            print(f"{path.name}: left out, for it has no pixel size")
            continue
        kept = [spot for spot in spots if spot.enabled or spot.kind == "satellite"]
        missing = [spot for spot in alone if not has_partner(spot, kept)]
        lost += len(missing)
        on = sum(spot.enabled for spot in spots)
        names = "; ".join(f"d {1 / spot.length:.4f} nm, SNR {spot.snr:.0f}" for spot in missing)
        counts = f"{len(alone)} alone, {on} with the network, {len(missing)} without a partner"
        print(f"{path.name}: {counts}  {names}".rstrip(), flush=True)
    print(f"{lost} spots of the statistics that the network takes away")
    return 1 if lost else 0


if __name__ == "__main__":
    raise SystemExit(main())
