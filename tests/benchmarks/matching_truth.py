"""Match the reflections known to be visible in simulated micrographs, to find faults of the matching.

    python tests/benchmarks/matching_truth.py --data DIR [--cifs]

DIR contains ``truth/<id>.json`` (per grain: phase, zone axis, visible reflections with measured d and SNR),
``images/<id>.meta.json`` (candidates) and ``cifs/``. The spots are those of the ground truth, so that only
the matching is tested. With ``--cifs`` the candidates are the CIF files, otherwise the bundled phases.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

from napari_tem_fft.core.crystal.phase_selection import find_phase, select_phases
from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.matching import match_image
from napari_tem_fft.core.spots.spot import Spot, friedel_representative
from napari_tem_fft.io.phases.table import load_cif_folder, load_table, with_own_phases

#: Calibration uncertainty stated for an image; its id begins with the key.
UNCERTAINTY = {"": 0.005, "dev5": 0.02}


def visible_grains(truth: dict) -> tuple[list[Grain], list[Spot], list[dict]]:
    """Grains and spots as from a perfect detector."""
    grains, spots, kept = [], [], []
    for grain in truth["grains"]:
        own = [r for r in grain["reflections"] if r["visible"]]
        first = len(spots) + 1
        for number, reflection in enumerate(own, start=first):
            g = np.array(reflection["g_rc_per_nm"])
            d = reflection["measured_d_nm"] * truth["px_nm_nominal"] / truth["px_nm_true"]
            g *= 1 / (d * np.linalg.norm(g))
            snr = reflection["snr_local"]
            sigma = 0.39 / (grain["diameter_nm"] * np.sqrt(snr))
            spots.append(Spot(number, friedel_representative((float(g[0]), float(g[1]))), sigma, snr, -snr))
        if own:
            ids = tuple(range(first, len(spots) + 1))
            centre = tuple(grain["centre_nm"])
            grains.append(Grain(len(grains) + 1, ids, centre, grain["area_nm2"], grain["diameter_nm"]))
            kept.append(grain)
    return grains, spots, kept


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--cifs", action="store_true")
    args = parser.parse_args()
    table = load_table()
    if args.cifs:
        table, _ = with_own_phases(table, load_cif_folder(args.data / "cifs")[0])
    right = wrong = total = 0
    for path in sorted((args.data / "truth").glob("*.json")):
        truth = json.loads(path.read_text())
        meta = json.loads((args.data / "images" / f"{path.stem}.meta.json").read_text())
        phases = select_phases(table, names=meta["candidates"])
        grains, spots, kept = visible_grains(truth)
        stated = UNCERTAINTY[max((key for key in UNCERTAINTY if path.stem.startswith(key)), key=len)]
        print(f"{path.stem}: {', '.join(truth['phases_detectable']) or 'nothing'}")
        matches = {
            match.grain: match for match in reversed(match_image(grains, spots, phases, stated).matches)
        }
        for grain, truth_grain in zip(grains, kept, strict=True):
            match = matches[grain.id]
            expected = find_phase(table, truth_grain["phase"]).id
            total, right = total + 1, right + (match.phases == (expected,))
            wrong += bool(match.phases) and expected not in match.phases
            best = match.candidates[0] if match.candidates else None
            shown = (
                f"{best.phase} {best.posterior:.3f} {100 * (best.scale - 1):+.2f} %" if best else "nothing"
            )
            print(
                f"  {truth_grain['phase']:8}{truth_grain['zone_axis']!s:12}{len(grain.spots):3} spots"
                f"  {match.outcome:10} {', '.join(match.phases):14} {shown:24} unlisted {match.unlisted:.3f}"
            )
    print(
        f"{total} grains: {right} named rightly, {wrong} wrongly, {total - right - wrong} not or ambiguously"
    )


if __name__ == "__main__":
    main()
