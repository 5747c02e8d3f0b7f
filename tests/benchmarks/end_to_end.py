"""Time and memory of the complete analysis of a simulated 4096 x 4096 micrograph.

    python tests/benchmarks/end_to_end.py [--size 4096] [--grains 30] [--repeat 3]

Prints the seconds of each stage, the total as a ratio to reading the file and one float32 `rfft2` of it,
measured in the same run; the fraction taken by all maps (outlines of grains, specimen, components) of the
analysis and of the total with writing; and peak memories of separate processes: of the command with and
without the network, and of its imports without and with the network.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from functools import wraps
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from scipy import fft

sys.path.insert(0, str(Path(__file__).parents[1]))
PIXEL = 0.025
MAPS = "all maps"


def make_micrograph(path: Path, size: int, grains: int) -> None:
    """A field of amorphous film with faceted crystals of three phases, as int16 .dm4."""
    from dm_writer import write_dm
    from forward_model import Optics, amorphous, camera, thickness, transfer, zone
    from make_sample import ZONES, facets
    from napari_tem_fft.io.phases.table import load_table

    table = {phase.id: phase for phase in load_table()}
    rng = np.random.default_rng(5)
    field = (0.05 * amorphous((size, size), (PIXEL, PIXEL), 1)).astype(np.float32)
    for number in range(grains):
        name = list(ZONES)[number % len(ZONES)]
        axis, strength = ZONES[name]
        _, g, relative = zone(table[name], axis, rng.uniform(0, 180))
        radius = rng.uniform(3.0, 6.0)
        side = int(2.6 * radius / PIXEL)
        top, left = rng.integers(0, size - side, 2)
        shape = thickness(
            (side, side), (PIXEL, PIXEL), facets(g, (1.3 * radius, 1.3 * radius), radius, number)
        )
        y, x = np.arange(side)[:, None] * PIXEL, np.arange(side)[None, :] * PIXEL
        for (gy, gx), amplitude in zip(g, strength * relative, strict=True):
            fringes = amplitude * np.cos(2 * np.pi * (gy * y + gx * x))
            field[top : top + side, left : left + side] += (shape * fringes).astype(np.float32)
    spectrum = fft.rfft2(field, workers=-1)
    spectrum *= transfer((size, size), (PIXEL, PIXEL), Optics(defocus=37.0)).astype(np.float32)
    image = 1.0 - fft.irfft2(spectrum, s=(size, size), workers=-1)
    write_dm(path, camera(image, (PIXEL, PIXEL), 80_000.0, 2), PIXEL, "nm")


def reference(path: Path) -> float:
    """Seconds for reading the file and one transform in float32."""
    from napari_tem_fft.io.readers.micrographs import read_micrograph

    start = time.perf_counter()
    pixels = read_micrograph(path).pixels
    fft.rfft2(pixels.astype(np.float32), workers=-1)
    return time.perf_counter() - start


class Maps:
    """Seconds spent on maps, in whatever stage."""

    def __init__(self) -> None:
        from napari_tem_fft.core import pipeline
        from napari_tem_fft.core.grains.grain import search as grain_search

        self.seconds = 0.0
        self._wrap(grain_search, "outline_grain")
        self._wrap(grain_search, "separate")
        self._wrap(pipeline, "specimen_of")
        self._wrap(pipeline, "component_maps")

    def _wrap(self, module: Any, name: str) -> None:
        function = getattr(module, name)

        @wraps(function)
        def timed(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            result = function(*args, **kwargs)
            self.seconds += time.perf_counter() - start
            return result

        setattr(module, name, timed)


def stages(path: Path, maps: Maps) -> list[tuple[str, float]]:
    """Names and seconds of reading, of each stage of the analysis and of writing, and of the maps in them."""
    from napari_tem_fft.api import read, select
    from napari_tem_fft.core.pipeline import analysis_steps
    from napari_tem_fft.core.progress import exhaust
    from napari_tem_fft.io.results.folder import save_results

    times = [("", time.perf_counter())]
    micrograph = read(path)
    times.append(("read", time.perf_counter()))
    phases = select()
    times.append(("phases", time.perf_counter()))
    maps.seconds = 0.0
    steps = analysis_steps(micrograph, phases)
    analysis = exhaust(steps, lambda step: times.append((step.name, time.perf_counter())))
    times.append(("end", time.perf_counter()))
    with tempfile.TemporaryDirectory() as folder:
        save_results(analysis, Path(folder) / "results")
        times.append(("write", time.perf_counter()))
    print(
        f"{len(analysis.spots)} spots, {len(analysis.grains)} grains, {len(analysis.components)} components"
    )
    return [*((name, now - before) for (_, before), (name, now) in pairwise(times)), (MAPS, maps.seconds)]


def peak_memory(code: str, *arguments: str) -> float:
    """Largest resident memory of a separate process, MiB (Linux)."""
    code += "; print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"
    command = [sys.executable, "-c", code, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return int(done.stdout.split()[-2]) / 1024


def memories(path: Path, output: Path) -> list[tuple[str, float]]:
    """Names of what was run, with peak memory in MiB."""
    run = "import sys; from napari_tem_fft.cli.main import main; main(sys.argv[1:])"
    command = ("analyse", str(path), "-o", str(output))
    load = "from napari_tem_fft.nn.inference.model import load_segmenter; load_segmenter('spots', 0.01)"
    imports = (
        "import napari_tem_fft.cli.main, napari_tem_fft.io.figures.overview, napari_tem_fft.core.pipeline"
    )
    return [
        ("analyse", peak_memory(run, *command)),
        ("analyse --network none", peak_memory(run, *command, "--network", "none")),
        ("imports", peak_memory(imports)),
        ("imports and network", peak_memory(f"{imports}; {load}")),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--size", type=int, default=4096)
    parser.add_argument("--grains", type=int, default=30)
    parser.add_argument("--repeat", type=int, default=3)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "large.dm4"
        maker = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import end_to_end as b;"
        call = f"b.make_micrograph(b.Path({str(path)!r}), {args.size}, {args.grains})"
        subprocess.run([sys.executable, "-c", f"{maker} {call}"], check=True)
        memory, maps = memories(path, Path(folder)), Maps()
        stages(path, maps)  # imports and caches
        base = min(reference(path) for _ in range(args.repeat + 1))
        best = min((stages(path, maps) for _ in range(args.repeat)), key=lambda one: sum(t for _, t in one))
    *best, (_, mapping) = best
    whole, seconds_of = sum(t for _, t in best), dict(best)
    for name, seconds in [*best, ("whole", whole)]:
        print(f"{name:28s} {seconds:7.3f} s  {seconds / base:6.1f} x")
    analysing = whole - sum(seconds_of[name] for name in ("read", "phases", "write"))
    print(
        f"{MAPS:28s} {mapping:7.3f} s  {mapping / base:6.1f} x   ({mapping / analysing:.0%} of the analysis,"
        f" {mapping / whole:.0%} of the whole)"
    )
    print(f"{'read + float32 rfft2':28s} {base:7.3f} s     1.0 x   ({os.cpu_count()} processors)")
    for what, mebibytes in memory:
        print(f"peak memory, {what}: {mebibytes:.0f} MiB")


if __name__ == "__main__":
    main()
