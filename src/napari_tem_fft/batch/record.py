"""Record: summary of one file of a run, read from its results folder."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..core.grains.bent_lattices import BentLattice
from ..core.maps.component_map import UNKNOWN_CRYSTAL, colours_of
from ..core.maps.map_grid import resample
from ..core.matching import Outcome
from ..core.pipeline import Analysis
from ..io.figures.labels import spacings
from ..io.plain import from_plain, json_line, read_json, to_plain, whole_file
from ..io.results.folder import ANALYSIS, SPOTS
from ..io.results.tables import read_rows
from ..io.results.whole_folder import plain_name

State = Literal["analysed", "failed", "stopped"]
#: Outcomes that name phases.
NAMING = frozenset(outcome.value for outcome in Outcome if outcome.names_phases)


@dataclass(frozen=True, slots=True)
class ComponentSummary:
    """One component of an image as listed in the summary; lengths in nm.

    `ring_like` describes a bent lattice and replaces its outcome; it is empty for crystals.

    Runs of version 0.1 have neither the diameters of single grains nor zone axes.
    """

    name: str
    phases: tuple[str, ...]
    outcome: str
    score: float
    area: float
    area_sigma: float
    fraction: float
    grains: int
    mean_size: float
    d: tuple[float, ...]
    diameters: tuple[float, ...] = ()
    zone_axes: tuple[str, ...] = ()
    ring_like: str = ""


@dataclass(frozen=True, slots=True)
class Record:
    """Summary of one file of a run.

    Attributes
    ----------
    index : int
    path, folder : str
        As in `Source`.
    state : {"analysed", "failed", "stopped"}
        "stopped" if its results could not be written, which ends the run.
    reason : str
        Why it failed, in the user's terms.
    sha256 : str
    seconds : float
    attempts : int
        2 if a worker died once while analysing it.
    shape : tuple of int, (y, x)
    pixel_size : tuple of float, (y, x), nm
    uncertainty : float
        Relative uncertainty of the scale, per cent.
    calibration : str
        Source of the calibration.
    specimen : float, nm^2
    grains, spots : int
    parts : tuple of ComponentSummary
    warnings : tuple of str
    corrected : bool
        Whether the user has edited its spots or overridden phases of its grains.
    written : int
        When its description was written, nanoseconds.
    size, modified : int
        Size of the file in bytes, and when it was last modified, nanoseconds.
    """

    index: int
    path: str
    folder: str
    state: State = "analysed"
    reason: str = ""
    sha256: str = ""
    seconds: float = 0.0
    attempts: int = 1
    shape: tuple[int, ...] = ()
    pixel_size: tuple[float, ...] = ()
    uncertainty: float = 0.0
    calibration: str = ""
    specimen: float = 0.0
    grains: int = 0
    spots: int = 0
    parts: tuple[ComponentSummary, ...] = ()
    warnings: tuple[str, ...] = ()
    corrected: bool = False
    written: int = 0
    size: int = 0
    modified: int = 0

    @property
    def name(self) -> str:
        """Name of the file."""
        return Path(self.path).name

    @property
    def flags(self) -> tuple[str, ...]:
        """Reasons to inspect the image: failed, uncalibrated, no crystal, ambiguous."""
        if self.state != "analysed":
            uncalibrated = "pixel size" in self.reason or "calibrat" in self.reason
            return ("failed", "uncalibrated") if uncalibrated else ("failed",)
        if not self.parts:
            return ("no crystal",)
        return ("ambiguous",) if any(part.outcome == Outcome.AMBIGUOUS for part in self.parts) else ()

    def to_json(self) -> str:
        """The record as one line of JSON."""
        return json_line(to_plain(self), separators=(",", ":"))


def from_json(line: str) -> Record:
    """Parse the result of `Record.to_json`.

    Raises
    ------
    ValueError
        If the line is not a record.
    """
    try:
        record = from_plain(Record, json.loads(line))
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"not a record of a file ({error})") from error
    if record.folder and not all(map(plain_name, record.folder.split("/"))):
        raise ValueError(f"not a record of a file (its results would be in {record.folder!r})")
    return record


def describe_record(folder: Path, record: Record) -> Record:
    """Complete a record from the results in a folder.

    Raises
    ------
    ValueError, OSError
        If there are no readable results.
    """
    path = folder / ANALYSIS
    try:
        stored = read_json(path)
        return _with_components(record, stored, list(read_rows(folder / SPOTS)), path.stat().st_mtime_ns)
    except (KeyError, TypeError) as error:
        raise ValueError(f"{folder}: the results are incomplete or damaged ({error})") from error


def _with_components(
    record: Record, stored: Mapping[str, Any], spots: Sequence[Mapping[str, str]], written: int
) -> Record:
    micrograph = stored["micrograph"]
    file = _stat(record.path)
    diameters = {grain["id"]: float(grain["diameter"]) for grain in stored["grains"]}
    calibration = micrograph["calibration"]
    return Record(
        index=record.index,
        path=record.path,
        folder=record.folder,
        sha256=micrograph["sha256"],
        seconds=record.seconds,
        attempts=record.attempts,
        shape=tuple(micrograph["shape"]),
        pixel_size=tuple(calibration["scale"]),
        uncertainty=float(stored["parameters"]["calibration_uncertainty"]),
        calibration=calibration["source"],
        specimen=float(stored["specimen_area"]),
        grains=len(stored["grains"]),
        spots=sum(spot["enabled"] == "1" for spot in spots),
        parts=tuple(_part(entry, diameters, spots, stored["matches"]) for entry in stored["components"]),
        warnings=tuple(dict.fromkeys([*micrograph["warnings"], *stored["warnings"]])),
        corrected=bool(stored.get("decisions"))
        or bool(stored.get("specimen_by_user"))
        or any(spot["origin"] == "hand" or spot["enabled"] != "1" for spot in spots),
        written=written,
        size=record.size or file[0],
        modified=record.modified or file[1],
    )


def _stat(path: str) -> tuple[int, int]:
    try:
        found = Path(path).stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


def _component_name(spot: Mapping[str, str]) -> set[str]:
    """The phases of a spot's grain, if its outcome names them."""
    named = spot["outcome"] in NAMING
    return set(spot["phase"].split(" / ")) - {""} if named else set()


def _part(
    entry: Mapping[str, Any],
    diameters: Mapping[int, float],
    spots: Sequence[Mapping[str, str]],
    matches: Sequence[Mapping[str, Any]],
) -> ComponentSummary:
    places = {str(number) for number in (entry.get("bent") or {}).get("spots", ())}
    bent = {str(match["grain"]) for match in matches if match.get("ring_like")}
    own = [
        s
        for s in spots
        if s["grain"]
        and s["enabled"] == "1"
        and (
            s["id"] in places
            if places
            else _component_name(s) == set(entry["phases"]) and (entry["phases"] or s["grain"] not in bent)
        )
    ]
    sizes = [diameters[number] for number in entry["grains"] if number in diameters]
    return ComponentSummary(
        name=entry["name"] or UNKNOWN_CRYSTAL,
        phases=tuple(entry["phases"]),
        outcome=entry["outcome"],
        score=float(entry["score"]),
        area=float(entry["area"]),
        area_sigma=float(entry["area_sigma"]),
        fraction=float(entry["fraction"]),
        grains=len(entry["grains"]),
        mean_size=sum(sizes) / len(sizes) if sizes else 0.0,
        d=tuple(spacings([(float(spot["d_nm"]), float(spot["snr"])) for spot in own])),
        diameters=tuple(round(size, 3) for size in sizes),
        zone_axes=tuple(_zone_axes(set(entry["phases"]), matches)),
        ring_like=from_plain(BentLattice, entry["bent"]).words() if entry.get("bent") else "",
    )


def _zone_axes(phases: set[str], matches: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """Yield the zone axis of each grain that is identified as the single phase of a component."""
    for match in matches:
        axis = match["candidates"][0]["zone_axis"] if match["candidates"] else None
        if axis and len(phases) == 1 and match["outcome"] in NAMING and set(match["phases"]) == phases:
            yield " ".join(map(str, axis))


THUMBNAIL = "thumbnail.jpg"
#: Size of a thumbnail, pixels per axis.
SIDE = 200
#: Largest number of the micrograph's pixels, per axis, averaged for one pixel of the thumbnail.
MOST_AVERAGED = 4
#: Opacity of a component's colour.
OPACITY = 0.45


def place_thumbnail(folder: Path, analysis: Analysis, known: Mapping[str, str] | None = None) -> None:
    """Write the thumbnail to a results folder, replacing an earlier one atomically."""
    with whole_file(folder / THUMBNAIL) as temporary:
        write_thumbnail(temporary, analysis, known)


def write_thumbnail(path: Path, analysis: Analysis, known: Mapping[str, str] | None = None) -> None:
    """Write the thumbnail as JPEG, whatever the file's name; components have the `known` colours."""
    from PIL import Image

    grey = _grey(analysis.micrograph.pixels)
    picture = np.repeat(grey[..., None], 3, axis=2)
    colours = colours_of((component.name for component in analysis.components), known)
    for component in analysis.components:
        inside = resample(component.mask, grey.shape)
        colour = np.array([int(colours[component.name][i : i + 2], 16) / 255 for i in (1, 3, 5)])
        picture[inside] = (1 - OPACITY) * picture[inside] + OPACITY * colour
    Image.fromarray((255 * picture).astype(np.uint8)).save(path, "JPEG", quality=80)


def _grey(pixels: NDArray[np.generic]) -> NDArray[np.float32]:
    """The image binned to at most `SIDE` pixels per axis, scaled to 0..1 from its 1st to 99th percentile."""
    step = max(1, -(-max(pixels.shape) // SIDE))
    averaged = min(step, MOST_AVERAGED)
    ny, nx = (n // step for n in pixels.shape)
    ny, nx = max(ny, 1), max(nx, 1)
    total = np.zeros((ny, nx), np.float64)
    for dy in range(averaged):
        for dx in range(averaged):
            total += pixels[dy * step // averaged :: step, dx * step // averaged :: step][:ny, :nx]
    total = np.nan_to_num(total, posinf=0.0, neginf=0.0)
    low, high = np.percentile(total, (1, 99))
    return np.asarray(np.clip((total - low) / max(high - low, 1e-12), 0, 1), np.float32)
