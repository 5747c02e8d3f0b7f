"""Convert results folders to the format of a scorer for simulated micrographs.

    python tests/benchmarks/to_score.py RESULT_FOLDER... -o DIR

For a folder named ``<stem>.dm4`` it writes ``<stem>.json`` and one ``<stem>__<phase>.npy`` per detected
phase: peaks (one entry per pair of spots, d with the file's scale), the phases considered, best first, with
their posterior and whether they count as detected, and maps (float32, at least 0.5 inside). Maps of an
earlier answer are removed. The results must contain their maps.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
from numpy.typing import NDArray

#: Outcomes that name phases.
NAMED = ("identified", "likely", "ambiguous")


def write_score(folder: Path, output: Path) -> Path:
    """Write the answer for one results folder and return its path."""
    analysis = json.loads((folder / "analysis.json").read_text(encoding="utf-8"))
    stem = Path(folder.name).stem
    output.mkdir(parents=True, exist_ok=True)
    for old in output.glob(f"{stem}__*.npy"):
        old.unlink()
    heats = detected_heats(analysis, folder)
    maps = {phase: f"{stem}__{phase}.npy" for phase in heats}
    for phase, name in maps.items():
        np.save(output / name, heats[phase])
    peaks = [
        {"d_nm": spot["d"], "azimuth_deg": spot["azimuth"], "snr": spot["snr"]}
        for spot in analysis["spots"]
        if spot["enabled"]
    ]
    answer = {
        "peaks": peaks,
        "phases": phase_scores(analysis, set(heats)),
        "maps": maps,
        "map_threshold": 0.5,
    }
    path = output / f"{stem}.json"
    path.write_text(json.dumps(answer, indent=1), encoding="utf-8")
    return path


def detected_heats(analysis: dict[str, Any], folder: Path) -> dict[str, NDArray[np.float32]]:
    """Heat map of each detected phase: the maximum over the components that it may be."""
    heats: dict[str, NDArray[np.float32]] = {}
    for component in analysis["components"]:
        heat = tifffile.imread(folder / component["map"])
        for phase in component["phases"] if component["outcome"] in NAMED else ():
            heats[phase] = np.maximum(heats[phase], heat) if phase in heats else heat
    return heats


def phase_scores(analysis: dict[str, Any], detected: set[str]) -> list[dict[str, Any]]:
    """All phases considered, best first, with posterior and whether they count as detected."""
    best: dict[str, float] = dict.fromkeys(detected, 0.0)
    for match in analysis["matches"]:
        for candidate in match["candidates"]:
            best[candidate["phase"]] = max(best.get(candidate["phase"], 0.0), candidate["posterior"])
    order = sorted(best, key=lambda phase: (phase not in detected, -best[phase]))
    return [{"name": phase, "score": best[phase], "detected": phase in detected} for phase in order]


def main() -> None:
    """Write the answers for all folders."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", nargs="+", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    args = parser.parse_args()
    for folder in args.folders:
        print(write_score(folder, args.output))


if __name__ == "__main__":
    sys.exit(main())
