"""Export the steps of an analysis as a command or as Python, either of which reproduces the result."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..core.image.calibration import AS_READ, DELIVERED_UNCERTAINTY
from ..core.image.micrograph import ImageStack, Micrograph
from ..core.image.roi import PART
from ..core.matching import PhaseOverride
from ..core.parameters import to_dict
from ..core.pipeline import Analysis, AnalysisParams, options
from ..core.reanalysis import spots_of_run
from ..io.exchange.temfft import SUFFIX, load_temfft
from ..io.readers.micrographs import read_images
from ..io.results.overrides import specimen_text
from ..nn.inference.model import names_model
from .analysis import reference_table, select

Corner = tuple[float, float]
NO_FILE = (
    "this image is not from a file that still exists, so no command can open it: save it (File > Save"
    " Selected Layers), open the saved file, and run again"
)


@dataclass(frozen=True, slots=True)
class Recipe:
    """All settings and edits of an analysis, from the file to the last edit.

    Attributes
    ----------
    source : str
        Path of the file.
    image, frame : int, optional
    pixel_size : tuple of float, (y, x), nm, optional
        If it differs from the file's.
    uncertainty : float, optional
        Relative uncertainty of the scale, if it was stated.
    roi : tuple of (y, x), nm
        Corners of the region of interest.
    names, sets, elements : optional
        How the candidates were selected.
    library : bool
        Whether the user's library was searched as well.
    cif : tuple of str
        Files of phases that were added to the table.
    params : mapping
        Parameters that differ from their defaults, by group.
    delete, restore : tuple of int
        Ids of spots.
    add : tuple of (gy, gx, radius), 1/nm
    decisions : tuple of PhaseOverride
    specimen : str
        Specimen mask drawn by the user, in the format of `specimen_text`.

    Examples
    --------
    >>> recipe = Recipe("edge.dm4", elements="Li, F", delete=(2,))
    >>> as_command(recipe)
    "napari-tem-fft analyse edge.dm4 -o results --elements 'Li, F' --delete-spots 2 --forget"
    """

    source: str
    image: int | None = None
    frame: int | None = None
    pixel_size: tuple[float, float] | None = None
    uncertainty: float | None = None
    roi: tuple[Corner, ...] = ()
    names: tuple[str, ...] | None = None
    sets: tuple[str, ...] | None = None
    elements: str | None = None
    library: bool = False
    cif: tuple[str, ...] = ()
    params: Mapping[str, Any] = field(default_factory=dict)
    delete: tuple[int, ...] = ()
    restore: tuple[int, ...] = ()
    add: tuple[tuple[float, float, float], ...] = ()
    decisions: tuple[PhaseOverride, ...] = ()
    specimen: str = ""

    @property
    def edited(self) -> bool:
        """Whether spots were edited."""
        return bool(self.delete or self.restore or self.add)


def recipe_of(
    analysis: Analysis, request: Mapping[str, Any] | None = None, cif: Sequence[Path] = (), source: str = ""
) -> Recipe:
    """Create the recipe of an analysis.

    Parameters
    ----------
    analysis : Analysis
    request : mapping, optional
        How its candidates were selected: "names", "sets", "elements", "library".
    cif : sequence of Path
        Files of phases that were added to the table.
    source : str
        Path of the file, if the micrograph does not contain it.

    Raises
    ------
    ValueError
        If the image's file no longer exists, or it was not read from a file.

    Examples
    --------
    >>> from importlib.resources import files
    >>> from napari_tem_fft import analyse, read, select, without_spots
    >>> micrograph = read(files("napari_tem_fft") / "data" / "edge.dm4")
    >>> result = analyse(micrograph, select(elements="Li, F, Cu"))
    >>> recipe = recipe_of(without_spots(result, [4]), {"elements": "Li, F, Cu"})
    >>> recipe.elements, recipe.delete
    ('Li, F, Cu', (4,))
    """
    micrograph = analysis.micrograph
    path = micrograph.source or source
    if not path or not Path(path).is_file():
        raise ValueError(NO_FILE)
    calibration, frame = micrograph.calibration, micrograph.metadata.get("frame")
    if frame is not None and np.ndim(frame):
        raise ValueError(f"{micrograph.name}: frames of a stack with more than one frame axis have no number")
    frame = None if frame is None else int(frame)
    before = {spot.id: spot.enabled for spot in spots_of_run(analysis)}
    hand = [spot for spot in analysis.spots if spot.id not in before and spot.enabled]
    known = [spot for spot in analysis.spots if spot.id in before and spot.enabled != before[spot.id]]
    return Recipe(
        source=str(path),
        image=_image_number(Path(path), micrograph, frame),
        frame=frame,
        pixel_size=None if calibration.source == AS_READ else calibration.pixel_size,
        uncertainty=None if calibration.uncertainty == DELIVERED_UNCERTAINTY else calibration.uncertainty,
        roi=_corners(micrograph),
        **_candidates(analysis, request or {}, cif),
        cif=tuple(map(str, cif)),
        params=_changed(to_dict(analysis.params), to_dict(AnalysisParams())),
        delete=tuple(spot.id for spot in known if not spot.enabled),
        restore=tuple(spot.id for spot in known if spot.enabled),
        add=tuple((*spot.g, spot.radius) for spot in hand),
        decisions=analysis.decisions,
        specimen=specimen_text(analysis.specimen) if analysis.specimen_by_user else "",
    )


def as_command(recipe: Recipe, output: str = "results") -> str:
    """The recipe as a command, quoted for the shell of this system.

    Examples
    --------
    >>> as_command(Recipe("a b.dm4", elements="Li, F", frame=3))
    "napari-tem-fft analyse 'a b.dm4' -o results --frame 3 --elements 'Li, F' --forget"
    """
    words = ["napari-tem-fft", "analyse", recipe.source, "-o", output]
    if recipe.image is not None:
        words += ["--image", str(recipe.image)]
    if recipe.frame is not None:
        words += ["--frame", str(recipe.frame)]
    if recipe.pixel_size is not None:
        words += ["--pixel-size", _numbers(recipe.pixel_size)]
    if recipe.uncertainty is not None:
        words += ["--calibration-uncertainty", repr(round(100 * recipe.uncertainty, 10))]
    if recipe.roi:
        words.append("--roi=" + ";".join(map(_numbers, recipe.roi)))
    if recipe.names is not None:
        words += ["--phases", ",".join(recipe.names)]
    if recipe.sets is not None:
        words += ["--sets", ",".join(recipe.sets)]
    if recipe.elements is not None:
        words.append(f"--elements={recipe.elements}" if recipe.elements.startswith("-") else "--elements")
        words += [] if recipe.elements.startswith("-") else [recipe.elements]
    if recipe.library:
        words.append("--library")
    if recipe.cif:
        words += ["--cif", os.pathsep.join(recipe.cif)]
    words += _parameter_words(recipe.params)
    for option, ids in (("--delete-spots", recipe.delete), ("--restore-spots", recipe.restore)):
        words += [option, ",".join(map(str, ids))] if ids else []
    words += [f"--add-spot={_numbers(place)}" for place in recipe.add]
    for one in recipe.decisions:
        words += [f"--{one.kind}", f"{one.grain}={one.phase}"]
    words += ["--specimen", recipe.specimen] if recipe.specimen else []
    words.append("--forget")  # otherwise overrides of earlier results in the folder would be added
    return subprocess.list2cmdline(words) if os.name == "nt" else shlex.join(words)


def as_python(recipe: Recipe) -> str:
    """The recipe as lines of Python, in which `result` is the analysis.

    Examples
    --------
    >>> print(as_python(Recipe("film.dm4", elements="Li, F")))
    from napari_tem_fft import api
    <BLANKLINE>
    micrograph = api.read('film.dm4')
    phases = api.select(elements='Li, F')
    result = api.analyse(micrograph, phases)
    """
    given = {
        "pixel_size": recipe.pixel_size,
        "image": recipe.image,
        "frame": recipe.frame,
        "uncertainty": recipe.uncertainty,
    }
    imports = ["from napari_tem_fft import api"]
    lines = [f"micrograph = api.read({', '.join([repr(recipe.source), *_named(given)])})"]
    if recipe.roi:
        lines.append(f"micrograph = api.cut(micrograph, {list(recipe.roi)!r})")
    words, more = ["micrograph"], dict[str, str]()
    asked = {
        "names": None if recipe.names is None else list(recipe.names),
        "sets": None if recipe.sets is None else list(recipe.sets),
        "elements": recipe.elements,
    }
    if recipe.cif:
        lines.append(f"table, notes = api.reference_table({list(recipe.cif)!r})")
    if recipe.cif or any(value is not None for value in asked.values()):
        table = ["table=table"] if recipe.cif else []
        lines.append(f"phases = api.select({', '.join([*table, *_named(asked)])})")
        words.append("phases")
        stated = recipe.names is not None or recipe.elements is not None
        more |= {"others": "table"} if recipe.cif else {}
        more |= {} if stated else {"stated": "False"}
    if recipe.library:
        lines.append(
            f"library = api.open_library({'' if recipe.elements is None else repr(recipe.elements)})"
        )
        more["library"] = "library"
    if recipe.params:
        imports.append("from napari_tem_fft.core.parameters import from_dict")
        imports.append("from napari_tem_fft.core.pipeline import AnalysisParams")
        lines.append(f"params = from_dict(AnalysisParams, {dict(recipe.params)!r})")
        more["params"] = "params"
    if recipe.specimen:
        imports.append("from napari_tem_fft.io.results.overrides import read_specimen")
        lines.append(f"specimen = read_specimen({recipe.specimen!r})")
        more["specimen"] = "specimen"
    call = ", ".join([*words, *(f"{name}={value}" for name, value in more.items())])
    lines.append(f"result = api.analyse({call})")
    if recipe.edited:
        edits = {
            "delete": list(recipe.delete) or None,
            "restore": list(recipe.restore) or None,
            "add": list(recipe.add) or None,
        }
        lines.append(f"result = api.with_edited_spots(result, {', '.join(_named(edits))})")
    lines += [
        f"result = api.decide(result, {one.grain}, {one.phase!r}, {one.kind!r})" for one in recipe.decisions
    ]
    return "\n".join([*sorted(imports), "", *lines])


def _candidates(analysis: Analysis, request: Mapping[str, Any], cif: Sequence[Path]) -> dict[str, Any]:
    """How to select the candidates: as before, or by name if that selection has another result now."""
    names, sets, elements = (request.get(key) or None for key in ("names", "sets", "elements"))
    asked: dict[str, Any] = {
        "names": tuple(names) if names else None,
        "sets": tuple(sets) if sets else None,
        "elements": str(elements) if elements else None,
    }
    if request.get("library") is True:
        return {**asked, "library": True}
    ids = {phase.id for phase in analysis.phases}
    try:
        same = {phase.id for phase in select(**asked, table=reference_table(list(cif))[0])} == ids
    except ValueError:
        same = False
    return asked if same else {"names": tuple(phase.id for phase in analysis.phases)}


def _image_number(path: Path, micrograph: Micrograph, frame: int | None) -> int | None:
    """Index of the image in its file; None if the file needs none."""
    if path.suffix.lower() == SUFFIX:
        return _number_in_document(path, micrograph)
    try:
        images = read_images(path)
    except ValueError:
        return None  # not a file of images, for example results
    if len(images) == 1:
        return None
    kind = Micrograph if frame is None else ImageStack
    whole = micrograph.name.removesuffix(PART)
    for number, image in enumerate(images):
        if isinstance(image, kind) and (whole == image.name or whole.startswith(f"{image.name} ")):
            return number
    return None


def _number_in_document(path: Path, micrograph: Micrograph) -> int | None:
    """Index of the document's image with the same pixels."""
    images = load_temfft(path).images
    start = micrograph.roi.start if micrograph.roi is not None else (0, 0)
    part = tuple(slice(first, first + n) for first, n in zip(start, micrograph.shape, strict=True))
    for number, image in enumerate(images):
        pixels = image.micrograph.pixels
        if np.array_equal(pixels, micrograph.pixels) or np.array_equal(pixels[part], micrograph.pixels):
            return number if len(images) > 1 else None
    raise ValueError(NO_FILE)


def _corners(micrograph: Micrograph) -> tuple[Corner, ...]:
    """Corners of the region of interest, nm from the centre of the whole image's first pixel."""
    roi = micrograph.roi
    if roi is None:
        return ()
    size = micrograph.pixel_size
    top, left = (start * step for start, step in zip(roi.start, size, strict=True))
    if roi.corners:
        return tuple((top + y, left + x) for y, x in roi.corners)
    height, width = ((n - 1) * step for n, step in zip(micrograph.shape, size, strict=True))
    return (top, left), (top + height, left + width)


def _changed(values: Mapping[str, Any], default: Mapping[str, Any]) -> dict[str, Any]:
    """The values that differ from the default, in their groups."""
    changed: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            changed |= {name: inner} if (inner := _changed(value, default[name])) else {}
        elif value != default[name]:
            changed[name] = value
    network = changed.get("network")
    return changed | {"network": "none"} if network is not None and not names_model(network) else changed


def _parameter_words(params: Mapping[str, Any]) -> list[str]:
    words = []
    for option in options():
        place = params.get(option.group, {}) if option.group else params
        if option.parameter.name not in place:
            continue
        value = place[option.parameter.name]
        if isinstance(value, bool):
            words.append(f"--{'' if value else 'no-'}{option.name}")
        elif value is not None:
            words.append(f"--{option.name}={value}")
    return words


def _numbers(values: Sequence[float]) -> str:
    return ",".join(repr(float(value)) for value in values)


def _named(values: Mapping[str, Any]) -> list[str]:
    return [f"{name}={value!r}" for name, value in values.items() if value is not None]
