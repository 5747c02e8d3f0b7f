"""Job: how each file of a run is analysed; small, plain and independent of the machine."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from .. import __version__
from ..core.crystal.phase_selection import parse_elements
from ..core.image.calibration import UNCERTAINTY, Calibration
from ..core.matching.params import OUTSIDE
from ..core.parameters import to_dict
from ..core.pipeline import AnalysisParams
from ..core.text import UNITS, LengthUnit
from ..io.phases.library import PhaseDatabase
from ..io.phases.table import user_folder
from ..io.plain import from_plain, to_plain
from ..io.results.description import without_old_default
from ..io.results.folder import KEEP, Keep

#: File in the run's folder with the library entries that the run searches.
LIBRARY = "library.sqlite"


@dataclass(frozen=True, slots=True)
class Job:
    """Parameters, candidates and image options of a run.

    Attributes
    ----------
    output : str
        Absolute path of the run's folder.
    params : AnalysisParams
        Including the network's name; each worker loads it once.
    keep : {"tables", "maps", "pictures"}
        Which results are kept for each image.
    unit : {"nm", "angstrom"}
        Unit of d-spacings in tables, figures and the report.
    names, sets : tuple of str, optional
    elements, cif : str, optional
        The candidates, as for `api.select` and `api.reference_table`.
    pixel_size : tuple of float, (y, x), nm, optional
    image, frame : int, optional
    calibration_profile : str, optional
        As for `api.read`.
    calibration_uncertainty : float, %, optional
        Uncertainty of all scales; by default each file or the profile states it.
    thumbnails : bool
    library : str, optional
        A phase library that is searched as well. The entries that may be named are copied to the run's folder
        (`LIBRARY`), where workers read them.
    """

    output: str
    params: AnalysisParams = field(default_factory=AnalysisParams)
    keep: Keep = "maps"
    unit: LengthUnit = "nm"
    names: tuple[str, ...] | None = None
    sets: tuple[str, ...] | None = None
    elements: str | None = None
    cif: str | None = None
    pixel_size: tuple[float, float] | None = None
    image: int | None = None
    frame: int | None = None
    calibration_profile: str | None = None
    calibration_uncertainty: float | None = None
    thumbnails: bool = True
    library: str | None = None

    def __post_init__(self) -> None:
        for value, choices in ((self.keep, KEEP), (self.unit, UNITS)):
            if value not in choices:
                raise ValueError(f"{value!r} is not one of {', '.join(choices)}")
        if self.uncertainty is not None:
            Calibration(uncertainty=self.uncertainty)  # raises if the value is impossible

    @property
    def uncertainty(self) -> float | None:
        """The stated relative uncertainty, as for `api.read`."""
        return None if self.calibration_uncertainty is None else self.calibration_uncertainty / 100

    @property
    def library_copy(self) -> Path:
        """Path of the library entries that this run searches."""
        return Path(self.output) / LIBRARY

    def library_key(self) -> str | None:
        """Hash of these entries; None if no library is searched."""
        if self.library is None:
            return None
        if self.library_copy.exists():
            return PhaseDatabase(self.library_copy).key()
        rule = None if self.elements is None else parse_elements(self.elements)
        return PhaseDatabase(self.library).key(rule)

    def settings(self) -> dict[str, Any]:
        """Everything on which the results depend, as flat JSON values; files are given by their hashes."""
        values: dict[str, Any] = {
            "software": f"napari-tem-fft {__version__}",
            UNCERTAINTY.name: self.calibration_uncertainty,
            **_flat(to_dict(self.params)),
            "keep": self.keep,
            "unit": self.unit,
            "phases": list(self.names) if self.names is not None else None,
            "sets": list(self.sets) if self.sets is not None else None,
            "elements": self.elements,
            "cif": _content_hash(self.cif),
            "own phases": _content_hash(str(user_folder())),
            "pixel size": list(self.pixel_size) if self.pixel_size is not None else None,
            "image": self.image,
            "frame": self.frame,
            "calibration profile": _content_hash(self.calibration_profile),
            **({} if self.library is None else {"library": self.library_key()}),
        }
        return json.loads(json.dumps(values))  # type: ignore[no-any-return]


def stored_job(run: Mapping[str, Any], output: str) -> Job:
    """The job of a run from its description, to be resumed in a folder that may have been moved.

    Raises
    ------
    ValueError
        If the description contains no valid job.
    """
    try:
        return replace(from_plain(Job, _upgrade_job(run["job"])), output=output)
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"the description of the run in {output} has no valid settings ({error})") from error


def changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Differences between two settings, as text."""
    before = _upgrade_settings(before)
    names = [*after, *(name for name in before if name not in after)]
    return [
        f"{name}: {before.get(name)} then, {after.get(name)} now"
        for name in names
        if before.get(name) != after.get(name)
    ]


def _upgrade_job(job: Mapping[str, Any]) -> dict[str, Any]:
    """Convert a stored job to the current format; version 0.1 stored the uncertainty even if not given."""
    if "uncertainty_stated" not in job:
        return dict(job)
    params = without_old_default(from_plain(AnalysisParams, job["params"]))
    percent = job["params"][UNCERTAINTY.name] if job["uncertainty_stated"] else None
    return {**job, "params": to_plain(params), UNCERTAINTY.name: percent}


def _upgrade_settings(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Convert stored settings to the current format; parameters that did not exist get their defaults."""
    settings = _flat(to_dict(AnalysisParams())) | dict(settings)
    stated = settings.pop("uncertainty stated", None)
    if stated is False:
        settings[UNCERTAINTY.name] = None
    if stated is not None and settings.get("matching.outside") == OUTSIDE:
        settings["matching.outside"] = None
    return settings


def _flat(values: dict[str, Any], prefix: str = "") -> dict[str, Any]:
    flat: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{name}.")
        else:
            flat[f"{prefix}{name}"] = value
    return flat


def _content_hash(path: str | None) -> str | None:
    """Hash of a file, or of all files of a folder."""
    if path is None or not Path(path).exists():
        return None
    root = Path(path)
    files = sorted(root.rglob("*")) if root.is_dir() else [root]
    digest = hashlib.sha256()
    for file in files:
        if file.is_file():
            digest.update(file.relative_to(root).as_posix().encode() + b"\0" + file.read_bytes())
    return digest.hexdigest()[:16]
