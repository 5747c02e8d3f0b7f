"""Score the complete analysis of simulated micrographs with ground truth.

    python tests/benchmarks/score_dev.py --data DIR --scorer FILE [--keep DIR] [option of analyse ...]

DIR contains ``images/<id>.dm4`` with ``images/<id>.meta.json``, which lists the candidates, and ``truth/``;
FILE is the scorer, whose table is printed. Images with a known error of the file's calibration get a larger
stated uncertainty. Further options are passed to ``napari-tem-fft analyse``.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from to_score import write_score

from napari_tem_fft.cli.main import main as command_line

#: Calibration uncertainty (%) stated for an image; its id begins with the key.
UNCERTAINTY = {"": 0.5, "dev5": 2.0}


def uncertainty(name: str) -> float:
    """Uncertainty that a user would state for this image, in per cent."""
    return UNCERTAINTY[max((key for key in UNCERTAINTY if name.startswith(key)), key=len)]


def analyse(image: Path, output: Path, options: list[str]) -> tuple[int, float]:
    """Exit code and seconds of one run of the command line."""
    meta = json.loads(image.with_suffix(".meta.json").read_text())
    chosen = ["--phases", ",".join(meta["candidates"])]
    stated = ["--calibration-uncertainty", str(uncertainty(image.stem))]
    start = time.perf_counter()
    code = command_line(["analyse", str(image), "-o", str(output), *chosen, *stated, *options])
    if not code:
        write_score(output / image.name, output)
    return code, time.perf_counter() - start


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("NAPARI_TEM_FFT_DATA")
    parser.add_argument("--data", type=Path, default=Path(default) / "dev" if default else None)
    parser.add_argument("--scorer", type=Path, help="score.py of the simulated micrographs")
    parser.add_argument("--keep", type=Path, help="folder for the results (default: a temporary one)")
    parser.add_argument("--only", default="", help="only images whose id begins so")
    args, options = parser.parse_known_args()
    if args.data is None or args.scorer is None:
        print("skipped: --data and --scorer say where the micrographs and their scorer are")
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        output = args.keep or Path(temporary)
        times = {}
        for image in sorted((args.data / "images").glob(f"{args.only}*.dm4")):
            code, times[image.stem] = analyse(image, output, options)
            if code:
                print(f"{image.stem}: failed with exit code {code}")
        print("\n".join(f"{name:28s} {seconds:6.2f} s" for name, seconds in times.items()))
        command = [sys.executable, str(args.scorer), "--results", str(output), "--data", str(args.data)]
        return subprocess.run([*command, "--per-image"]).returncode


if __name__ == "__main__":
    sys.exit(main())
