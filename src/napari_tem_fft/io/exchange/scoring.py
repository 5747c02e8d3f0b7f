"""An analysis in the format of the scorer for simulated micrographs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.pipeline import Analysis
from ..json_file import read_json
from ..plain import to_plain


def write_score(analysis: Analysis, folder: Path, stem: str) -> Path:
    """Write ``<stem>.json`` and one ``<stem>__<phase>.npy`` a detected phase, and return the first.

    Peaks are one entry a pair of spots, with d by the file's calibration. Maps of an earlier run are
    removed. The float maps are inside from 0.5 on.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{stem}.json"
    _remove_maps(path)
    heats = detected_heat(analysis)
    maps = {phase: f"{stem}__{phase}.npy" for phase in heats}
    for phase, name in maps.items():
        np.save(folder / name, heats[phase])
    answer = {"peaks": _peaks(analysis), "phases": phase_scores(analysis), "maps": maps, "map_threshold": 0.5}
    path.write_text(json.dumps(to_plain(answer), indent=1), encoding="utf-8")
    return path


def detected_heat(analysis: Analysis) -> dict[str, NDArray[np.float32]]:
    """Heat of every detected phase: the largest over the components that it may be."""
    heats: dict[str, NDArray[np.float32]] = {}
    for component in analysis.components:
        for phase in component.phases if component.outcome.names_phases else ():
            heats[phase] = np.maximum(heats[phase], component.heat) if phase in heats else component.heat
    return heats


def phase_scores(analysis: Analysis) -> list[dict[str, Any]]:
    """Every phase that was considered, best first: its posterior, and whether it counts as detected."""
    detected = set(detected_heat(analysis))
    best: dict[str, float] = dict.fromkeys(detected, 0.0)
    for match in analysis.matches:
        for candidate in match.candidates:
            best[candidate.phase] = max(best.get(candidate.phase, 0.0), candidate.posterior)
    order = sorted(best, key=lambda phase: (phase not in detected, -best[phase]))
    return [{"name": phase, "score": best[phase], "detected": phase in detected} for phase in order]


def _peaks(analysis: Analysis) -> list[dict[str, float]]:
    return [
        {"d_nm": spot.d, "azimuth_deg": spot.azimuth, "snr": spot.snr}
        for spot in analysis.spots
        if spot.enabled
    ]


def _remove_maps(path: Path) -> None:
    """Remove the maps that an earlier answer of the same name lists."""
    try:
        earlier = read_json(path)
    except (OSError, ValueError):
        return
    maps = earlier.get("maps") if isinstance(earlier, Mapping) else None
    for name in maps.values() if isinstance(maps, Mapping) else ():
        if str(name).startswith(f"{path.stem}__") and Path(str(name)).name == name:
            (path.parent / name).unlink(missing_ok=True)
