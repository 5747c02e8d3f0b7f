"""What the dock does, in a few lines of Python.

>>> from napari_tem_fft import analyse, read
>>> result = analyse(read("micrograph.dm4"))
>>> [(part.name, part.outcome, part.area) for part in result.components]
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path

from .core.calibration import Calibration, CalibrationError, Space
from .core.micrograph import Micrograph
from .core.pattern import PatternMeasurement, PatternParams
from .core.pattern import measure_pattern as pattern_measured
from .core.phases import Phase
from .core.pipeline import Analysis, AnalysisParams, Segment, analysis_steps
from .core.profile import RadialProfile
from .core.progress import Step, exhaust
from .core.spots import Spot
from .core.standard import Mark, marks_of
from .io.calibration import CalibrationProfile, apply_profile, load_profile
from .io.dm import read_micrograph
from .io.errors import ReadError
from .io.index_cache import prepare_index
from .io.phases import load_cif_folder, load_table, select_phases, with_own_phases
from .io.temfft import SUFFIX, load_temfft, save_temfft

__all__ = [
    "analyse",
    "load",
    "measure_marks",
    "measure_pattern",
    "read",
    "read_pattern",
    "reference_table",
    "save",
    "select",
]

Profile = CalibrationProfile | str | PathLike[str]
#: Smallest relative uncertainty of a scale that the parameters of an analysis take.
LEAST_UNCERTAINTY = 1e-4


def read(
    path: str | PathLike[str],
    pixel_size: float | tuple[float, float] | None = None,
    image: int | None = None,
    frame: int | None = None,
    calibration_profile: Profile | None = None,
) -> Micrograph:
    """Read a micrograph: a .dm3 or .dm4 file, another microscope's, or the one in a ``*.temfft``.

    Parameters
    ----------
    path : path
    pixel_size : float or tuple of float, (y, x), nm, optional
        Takes the place of the file's.
    image, frame : int, optional
        Which image of the file, which frame of a stack, both counted from 0.
    calibration_profile : CalibrationProfile or path, optional
        Corrects the file's scale.

    Returns
    -------
    Micrograph

    Raises
    ------
    ReadError
        If the file cannot be read, or holds no image.
    CalibrationError
        If the pixel size is given for an image in 1/nm, or the profile does not belong to the image.
    """
    if Path(path).suffix.lower() == SUFFIX:
        micrograph = _of_document(path)
    else:
        micrograph = read_micrograph(path, image, frame)
    return _calibrated(micrograph, "real", pixel_size, calibration_profile)


def _of_document(path: str | PathLike[str]) -> Micrograph:
    micrograph = load_temfft(Path(path)).micrograph
    if micrograph is None:
        raise ReadError(path, "there is no micrograph in it", "choose the micrograph's own file")
    return micrograph


def read_pattern(
    path: str | PathLike[str],
    pixel_size: float | tuple[float, float] | None = None,
    image: int | None = None,
    frame: int | None = None,
    calibration_profile: Profile | None = None,
) -> Micrograph:
    """Read a stored diffraction pattern or FFT; the arguments are those of `read`.

    Parameters
    ----------
    pixel_size : float or tuple of float, (y, x), 1/nm, optional
        Takes the place of the file's.
    """
    pattern = read_micrograph(path, image, frame, space="reciprocal")
    return _calibrated(pattern, "reciprocal", pixel_size, calibration_profile)


def _calibrated(
    micrograph: Micrograph,
    space: Space,
    pixel_size: float | tuple[float, float] | None,
    profile: Profile | None,
) -> Micrograph:
    """The image with the scale that the user gives, or with the file's corrected by a profile."""
    calibration = micrograph.calibration
    if pixel_size is not None and profile is not None:
        raise CalibrationError(
            "give a pixel size or a calibration profile, which corrects the file's: not both"
        )
    if pixel_size is not None:
        if calibration.space not in (space, "none"):
            raise CalibrationError(
                f"{micrograph.name}: the file is calibrated in {calibration.unit}, and a pixel size in"
                f" {'nm' if space == 'real' else '1/nm'} does not make it another kind of image"
            )
        given = Calibration.real(pixel_size, "given by the user")
        calibration = replace(given, space=space, origin=calibration.origin)
        return replace(micrograph, calibration=calibration)
    if profile is None:
        return micrograph
    loaded = profile if isinstance(profile, CalibrationProfile) else load_profile(profile)
    return apply_profile(loaded, micrograph)


def measure_pattern(
    source: Micrograph | str | PathLike[str],
    params: PatternParams | None = None,
    centre: tuple[float, float] | None = None,
) -> PatternMeasurement:
    """Measure a stored diffraction pattern or FFT in 1/nm as it is; it is never transformed again.

    Parameters
    ----------
    source : Micrograph or path
    params : PatternParams, optional
    centre : tuple of float, (y, x), pixels, optional
        Place of the direct beam; found where absent.

    Returns
    -------
    PatternMeasurement
        Centre, spots and radial profile.

    Raises
    ------
    ReadError
        If the file cannot be read.
    CalibrationError
        If the image is not calibrated in 1/nm.
    ValueError
        If the pattern has no centre of symmetry and none is given, or cannot be measured.
    """
    pattern = source if isinstance(source, Micrograph) else read_pattern(source)
    return pattern_measured(pattern, params, centre)


def measure_marks(micrograph: Micrograph, params: AnalysisParams | None = None) -> tuple[Mark, ...]:
    """Measure spots and rings by which a calibration can be corrected: of a micrograph, or of a pattern.

    Parameters
    ----------
    micrograph : Micrograph
    params : AnalysisParams, optional
        For a micrograph.

    Raises
    ------
    CalibrationError
        If the image has no scale.
    ValueError
        If it cannot be measured.
    """
    if micrograph.calibration.space == "reciprocal":
        measured = pattern_measured(micrograph)
        return marks_of(measured.spots, measured.profile.peaks)
    spots: Sequence[Spot] = ()
    for step in analysis_steps(micrograph, (), params):
        match step.product:
            case (Spot(), *_):
                spots = step.product
            case (RadialProfile(), *_):
                peaks = {profile.curve: profile.peaks for profile in step.product}
                return marks_of(spots, peaks["masked"] or peaks["local maximum"])
    return marks_of(spots, ())


def reference_table(cif: str | PathLike[str] | None = None) -> tuple[tuple[Phase, ...], tuple[str, ...]]:
    """The phases that can be named, before any choice.

    Parameters
    ----------
    cif : path, optional
        Folder of CIF files and CSV lists of d-spacings, which join the bundled table; one of the same
        id, name or alias takes the bundled one's place.

    Returns
    -------
    phases : tuple of Phase
    notes : tuple of str
        What the user should know: files that were refused or read with a doubt, phases replaced.

    Raises
    ------
    ValueError
        If there is no such folder.
    """
    if cif is None:
        return load_table(), ()
    own, states = load_cif_folder(Path(cif))
    phases, replaced = with_own_phases(load_table(), own)
    doubts = (f"{one.file}: {one.state}: {one.reason}" for one in states if one.state != "ok")
    return phases, (*doubts, *replaced)


def select(
    names: Sequence[str] | None = None,
    sets: Sequence[str] | None = None,
    elements: str | None = None,
    table: Sequence[Phase] | None = None,
) -> tuple[Phase, ...]:
    """Choose the phases that may be named.

    Parameters
    ----------
    names : sequence of str, optional
        Ids, names, aliases or formulas; without them the sets decide.
    sets : sequence of str, optional
        "battery", "sei", "metal", ... or "all".
    elements : str, optional
        What the sample can hold: "Li, F, O, +C, -Na".
    table : sequence of Phase, optional
        From `reference_table`; the bundled one where absent.

    Returns
    -------
    tuple of Phase

    Raises
    ------
    ValueError
        For a name, set or element that is unknown or ambiguous, or if nothing is left.
    """
    phases = select_phases(load_table() if table is None else table, names, sets, elements)
    if not phases:
        raise ValueError("no phase of the table fits this choice of names, sets and elements")
    return phases


def analyse(
    source: Micrograph | str | PathLike[str],
    phases: Sequence[Phase] | None = None,
    params: AnalysisParams | None = None,
    segment: Segment | None = None,
    on_step: Callable[[Step], None] | None = None,
) -> Analysis:
    """Run the whole chain on a micrograph.

    Parameters
    ----------
    source : Micrograph or path
    phases : sequence of Phase, optional
        Candidates from `select`; the default sets where absent.
    params : AnalysisParams, optional
        Without them the calibration's own uncertainty is assumed.
    segment : callable, optional
        A network that proposes spots beside the classical detector.
    on_step : callable, optional
        Called with each finished `Step`.

    Returns
    -------
    Analysis

    Raises
    ------
    ReadError
        If the file cannot be read.
    CalibrationError
        If the image has no pixel size in nm.
    ValueError
        If the image cannot be transformed.
    """
    micrograph = source if isinstance(source, Micrograph) else read(source)
    candidates = select() if phases is None else phases
    prepare_index(candidates)
    micrograph, params = agreed(micrograph, params)
    return exhaust(analysis_steps(micrograph, candidates, params, segment), on_step)


def save(analysis: Analysis, path: str | PathLike[str], pixels: bool = True) -> Path:
    """Write a whole analysis, with the micrograph, into one ``*.temfft`` file.

    Parameters
    ----------
    analysis : Analysis
    path : path
        The suffix is added where it is missing; a folder of that name is filled.
    pixels : bool
        Keep the micrograph's pixels; else only its file and hash.

    Returns
    -------
    Path
        What was written.
    """
    return save_temfft(Path(path), analysis, pixels)


def load(path: str | PathLike[str]) -> Analysis:
    """Read the analysis of a ``*.temfft`` file or folder.

    Raises
    ------
    ReadError
        If there is no analysis in it, it is damaged, or its micrograph is not found.
    """
    document = load_temfft(Path(path))
    if document.analysis is None:
        raise ReadError(path, "there is no analysis in it", "open it in napari, and analyse the micrograph")
    return document.analysis


def agreed(
    micrograph: Micrograph, params: AnalysisParams | None, stated: bool = True
) -> tuple[Micrograph, AnalysisParams]:
    """Image and parameters that agree on how well the scale is known.

    Parameters
    ----------
    micrograph : Micrograph
    params : AnalysisParams, optional
    stated : bool
        The parameters say it; else, and where there are none, the image's calibration does.
    """
    calibration = micrograph.calibration
    if params is None or not stated:
        percent = 100 * max(calibration.uncertainty, LEAST_UNCERTAINTY)
        return micrograph, replace(params or AnalysisParams(), calibration_uncertainty=percent)
    known = replace(calibration, uncertainty=params.calibration_uncertainty / 100)
    return replace(micrograph, calibration=known), params
