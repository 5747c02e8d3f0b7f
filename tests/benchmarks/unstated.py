"""Simulated micrographs analysed without stating anything: are names correct, and do sets contain the truth?

    python tests/benchmarks/unstated.py --data DIR

DIR contains ``images/<id>.dm4`` and ``truth/<id>.json``, whose ``phases_present`` are the truth. For each
image, and for all: number of named grains (identified or likely), of names of phases that are not present, of
ambiguous sets, of sets without a true phase, mean number of phases in a set, and number of unnamed grains.
"""

from __future__ import annotations

import argparse
import json
import os
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

from napari_tem_fft import analyse, read
from napari_tem_fft.core.crystal.phase_selection import find_phase
from napari_tem_fft.core.matching import GrainMatch, Outcome
from napari_tem_fft.io.phases.table import load_table

COLUMNS = ("named", "wrong", "sets", "without", "size", "unnamed")


def count(matches: Iterable[GrainMatch], truth: set[str]) -> Counter[str]:
    """The counts for one image; "size" is the sum over its sets."""
    seen: Counter[str] = Counter()
    for match in matches:
        right = bool(truth & set(match.phases))
        if match.outcome in (Outcome.IDENTIFIED, Outcome.LIKELY):
            seen += Counter(named=1, wrong=int(not right))
        elif match.outcome is Outcome.AMBIGUOUS:
            seen += Counter(sets=1, without=int(not right), size=len(match.phases))
        else:
            seen["unnamed"] += 1
    return seen


def line(label: str, seen: Counter[str]) -> str:
    """One line of the table."""
    values = {**seen, "size": seen["size"] / max(seen["sets"], 1)}
    return f"{label:28}" + "".join(f"{values.get(name, 0):>9.3g}" for name in COLUMNS)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("NAPARI_TEM_FFT_DATA")
    parser.add_argument("--data", type=Path, default=Path(default) / "dev" if default else None)
    args = parser.parse_args()
    if args.data is None:
        print("skipped: --data says where the micrographs are")
        return
    table, total = load_table(), Counter[str]()
    print(f"{'image':28}" + "".join(f"{name:>9}" for name in COLUMNS))
    for path in sorted((args.data / "images").glob("*.dm4")):
        truth = json.loads((args.data / "truth" / f"{path.stem}.json").read_text())
        present = {find_phase(table, name).id for name in truth["phases_present"]}
        seen = count(analyse(read(path)).matches, present)
        total += seen
        print(line(path.stem, seen), flush=True)
    print(line("all", total))


if __name__ == "__main__":
    main()
