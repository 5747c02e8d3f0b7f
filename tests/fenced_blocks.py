"""The fenced code blocks of Markdown files, and small files of the names that they use."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

import pattern_model
from dm_writer import write_dm
from forward_model import fringes, white_noise
from movie import PIXEL as MOVIE_PIXEL
from movie import movie

FENCE = re.compile(r"^```(\w*)[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)
PIXEL, SHAPE = 0.03, (300, 280)
MICROSCOPE = {"Voltage": 300e3, "Indicated Magnification": 380e3, "Microscope": "Titan"}
MODEL = Path(__file__).parents[1] / "models" / "spots"
REAL = Path(__file__).parents[1] / "docs" / "images" / "nanotubes.tif"


@dataclass(frozen=True)
class Block:
    """A block of a page: its language ("sh", "python", ..., "" where none is said), text and first line."""

    language: str
    text: str
    line: int


def blocks(text: str) -> list[Block]:
    """The fenced blocks of a Markdown text, in its order."""
    return [
        Block(match[1], match[2], text.count("\n", 0, match.start()) + 2) for match in FENCE.finditer(text)
    ]


def commands(block: Block) -> list[str]:
    """The commands of a block of shell lines: without comments, split at ``&&``, continued lines joined."""
    lines = (re.sub(r"(^|\s)#.*", "", line) for line in block.text.replace("\\\n", " ").splitlines())
    return [command.strip() for line in lines for command in line.split("&&") if command.strip()]


def write_lattice(path: Path, planes: list[tuple[float, float, float]], calibrated: bool = True) -> None:
    """A micrograph of fringes, each (d in nm, azimuth, amplitude), in noise."""
    pixels = 1000 + white_noise(SHAPE, 1, 60.0)
    for d, azimuth, amplitude in planes:
        pixels = pixels + fringes(SHAPE, (PIXEL, PIXEL), d, azimuth, amplitude)
    scale = {"scale": PIXEL, "units": "nm"} if calibrated else {}
    write_dm(path, np.rint(pixels).astype(np.int16), **scale, microscope=MICROSCOPE)


COPPER = """data_copper
_chemical_name_mineral Copper
_cell_length_a 3.615
_cell_length_b 3.615
_cell_length_c 3.615
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_symmetry_space_group_name_H-M 'F m -3 m'
loop_
_atom_site_label
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Cu 0 0 0
"""


def furnish(folder: Path) -> None:
    """Make the files that the documentation's commands name."""
    gold = [(0.2355, 20.0, 50.0), (0.2039, 74.74, 40.0)]
    for name in ("micrograph.dm4", "anode.dm4", "gold.dm4", "session/a.dm4", "session/night/b.dm4"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        write_lattice(folder / name, gold)
    frames = np.rint(1000 + 60 * movie()).astype(np.int16)
    write_dm(folder / "movie.dm4", frames, (0.5, MOVIE_PIXEL, MOVIE_PIXEL), ("s", "nm", "nm"))
    along_011 = [*gold, (0.2355, 129.47, 45.0), (0.1442, 164.74, 30.0)]
    write_lattice(folder / "particle.dm4", along_011)
    write_lattice(folder / "si.dm4", [(0.314, 45.0, 50.0), (0.192, 80.0, 30.0)])
    write_lattice(folder / "scan.dm3", gold, calibrated=False)
    shape, centre, step = (256, 256), (128.0, 128.0), (0.06, 0.06)
    counts = pattern_model.diffuse(shape, centre, step) + pattern_model.spots(
        shape, centre, step, [(0.235, 20.0, 3000.0), (0.204, 74.7, 3000.0)]
    )
    noisy = np.random.default_rng(1).poisson(counts)
    for name in ("saed_gold.dm4", "saed.dm4"):
        write_dm(folder / name, noisy.astype(np.int32), 0.06, "1/nm", 128.0)
    shutil.copy2(REAL, folder)
    shutil.copytree(MODEL, folder / "models" / "ours", ignore=shutil.ignore_patterns("*.png"))
    for name in ("cifs", "corrections", "best", "minerals"):
        (folder / name).mkdir()
    (folder / "minerals" / "copper.cif").write_text(COPPER)
    (folder / "best" / "analysis.json").write_text(
        json.dumps({"parameters": {"spots": {"false_alarms": 0.02}}})
    )
