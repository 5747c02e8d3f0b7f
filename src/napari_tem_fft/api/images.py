"""Reading of single images with their scale, and measurement of their spots."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import as_file, files
from os import PathLike
from pathlib import Path

from ..core.crystal.phase import Phase
from ..core.image.calibration import GIVEN, Calibration, CalibrationError, Correction, Space
from ..core.image.calibration_reference import CalibrationFeature, calibration_features
from ..core.image.micrograph import ImageStack, Micrograph
from ..core.image.roi import part_of
from ..core.matching.standard import correction_on_grain
from ..core.pipeline import AnalysisParams, ProfilesReady, SpotsFound, analysis_steps
from ..core.profile.radial_profile import listed_peaks
from ..core.progress import exhaust
from ..core.saed.measure import PatternMeasurement, PatternParams
from ..core.saed.measure import measure_pattern as pattern_measured
from ..core.spots.spot import Spot
from ..io.exchange.calibration_profile import CalibrationProfile, apply_profile, load_profile
from ..io.exchange.temfft import SUFFIX, load_temfft
from ..io.plain import ReadError
from ..io.readers.micrographs import read_images, read_micrograph

Profile = CalibrationProfile | str | PathLike[str]
#: Names of the simulated micrographs bundled with the package.
SAMPLES = ("sample", "film", "edge")


def read(
    path: str | PathLike[str],
    pixel_size: float | tuple[float, float] | None = None,
    image: int | None = None,
    frame: int | None = None,
    calibration_profile: Profile | None = None,
    uncertainty: float | None = None,
) -> Micrograph:
    """Read a micrograph from a .dm3 or .dm4 file, another microscope's file, or a ``*.temfft`` document.

    Parameters
    ----------
    path : path
    pixel_size : float or tuple of float, (y, x), nm, optional
        Replaces the pixel size of the file.
    image, frame : int, optional
        Index of the image in the file (or document), and of the frame in a stack, both counted from 0.
    calibration_profile : CalibrationProfile or path, optional
        Profile that corrects the file's scale.
    uncertainty : float, optional
        Relative standard uncertainty of the scale (0.003 is 0.3 %); by default 2 %, or the profile's.

    Returns
    -------
    Micrograph

    Raises
    ------
    ReadError
        If the file cannot be read, or contains no image.
    CalibrationError
        If a pixel size is given for an image in 1/nm, or the profile does not belong to the image.
    ValueError
        If the uncertainty is not between 0 and 0.5.

    Examples
    --------
    >>> from importlib.resources import files
    >>> import napari_tem_fft as tem_fft
    >>> sample = files("napari_tem_fft") / "data" / "sample.dm4"
    >>> tem_fft.read(sample, uncertainty=0.003).calibration.uncertainty
    0.003
    """
    if Path(path).suffix.lower() == SUFFIX:
        micrograph = _read_from_document(path, image, frame)
    else:
        micrograph = read_micrograph(path, image, frame)
    return _calibrate(micrograph, "real", pixel_size, calibration_profile, uncertainty)


def read_sample(name: str = "sample") -> Micrograph:
    """Read one of the simulated micrographs bundled with the package.

    Parameters
    ----------
    name : {"sample", "film", "edge"}
        Grains of three phases on a film next to vacuum; a film without crystals; a LiF crystal at the edge of
        a film.

    Raises
    ------
    ValueError
        If there is no sample with this name.

    Examples
    --------
    >>> read_sample("edge").shape
    (512, 512)
    """
    if name not in SAMPLES:
        raise ValueError(f"{name!r} is not one of the samples: {', '.join(SAMPLES)}")
    with as_file(files("napari_tem_fft") / "data" / f"{name}.dm4") as path:
        return read(path)


def cut(micrograph: Micrograph, corners: Sequence[Sequence[float]]) -> Micrograph:
    """Cut a region of interest out of a micrograph, to be analysed as a separate image.

    Parameters
    ----------
    micrograph : Micrograph
    corners : sequence of (y, x), nm
        Corners of a polygon, from the centre of the first pixel; two opposite corners give a rectangle.

    Raises
    ------
    ValueError
        If fewer than 16 x 16 pixels of the image are inside, or there are fewer than two corners.

    Examples
    --------
    >>> from napari_tem_fft.api import cut, read_sample
    >>> cut(read_sample("edge"), [(1.0, 1.0), (9.0, 7.0)]).shape
    (267, 200)
    """
    points = [(float(y), float(x)) for y, x in corners]
    if len(points) < 2:
        raise ValueError("a region of interest needs two opposite corners, or at least three corners")
    if len(points) == 2:
        (top, left), (bottom, right) = points
        points = [(top, left), (top, right), (bottom, right), (bottom, left)]
    return part_of(micrograph, points)[0]


def read_stack(
    path: str | PathLike[str],
    pixel_size: float | tuple[float, float] | None = None,
    image: int | None = None,
    calibration_profile: Profile | None = None,
    uncertainty: float | None = None,
) -> ImageStack:
    """Read a stack, whose frames are returned by `ImageStack.frame`; the arguments are those of `read`.

    Raises
    ------
    ReadError
        If the file cannot be read, or contains no stack.
    CalibrationError
        If a pixel size is given for an image in 1/nm, or the profile does not belong to the image.
    ValueError
        If the uncertainty is not between 0 and 0.5.

    Examples
    --------
    >>> from napari_tem_fft import read_stack
    >>> stack = read_stack("heating.dm4")  # doctest: +SKIP
    >>> stack.frame(3).shape  # doctest: +SKIP
    (2048, 2048)
    """
    images = read_images(path)
    chosen = images if image is None else images[image : image + 1] if image >= 0 else ()
    stack = next((one for one in chosen if isinstance(one, ImageStack)), None)
    if stack is None:
        raise ReadError(path, "there is no stack of images in it", "give a stack, or several files as frames")
    first = _calibrate(stack.frame(0), "real", pixel_size, calibration_profile, uncertainty)
    return replace(stack, calibration=first.calibration, warnings=first.warnings)


def _read_from_document(path: str | PathLike[str], image: int | None, frame: int | None) -> Micrograph:
    images = [stored.micrograph for stored in load_temfft(Path(path)).images]
    if not images:
        raise ReadError(path, "there is no micrograph in it", "choose the micrograph's own file")
    names = ", ".join(f"{number} {one.name}" for number, one in enumerate(images))
    if frame is not None:
        raise ReadError(path, "there is no stack in it", f"choose one of its images: {names}")
    if image is not None and not 0 <= image < len(images):
        raise ReadError(path, f"there is no image {image} in it", f"choose one of its images: {names}")
    chosen = images[image or 0]
    if image is None and len(images) > 1:
        warning = f"the first of {len(images)} images is used, {chosen.name}; all by number: {names}"
        return replace(chosen, warnings=(*chosen.warnings, warning))
    return chosen


def read_pattern(
    path: str | PathLike[str],
    pixel_size: float | tuple[float, float] | None = None,
    image: int | None = None,
    frame: int | None = None,
    calibration_profile: Profile | None = None,
    uncertainty: float | None = None,
) -> Micrograph:
    """Read a stored diffraction pattern or FFT; the arguments are those of `read`.

    Parameters
    ----------
    pixel_size : float or tuple of float, (y, x), 1/nm, optional
        Replaces the pixel size of the file.

    Examples
    --------
    >>> from napari_tem_fft import read_pattern
    >>> read_pattern("pattern.dm4", pixel_size=0.02).calibration.space  # doctest: +SKIP
    'reciprocal'
    """
    pattern = read_micrograph(path, image, frame, space="reciprocal")
    return _calibrate(pattern, "reciprocal", pixel_size, calibration_profile, uncertainty)


def _calibrate(
    micrograph: Micrograph,
    space: Space,
    pixel_size: float | tuple[float, float] | None,
    profile: Profile | None,
    uncertainty: float | None,
) -> Micrograph:
    """The image with the scale given by the user or corrected by a profile, and the given uncertainty."""
    scaled = _scale(micrograph, space, pixel_size, profile)
    if uncertainty is None:
        return scaled
    return replace(scaled, calibration=scaled.calibration.with_uncertainty(uncertainty))


def _scale(
    micrograph: Micrograph,
    space: Space,
    pixel_size: float | tuple[float, float] | None,
    profile: Profile | None,
) -> Micrograph:
    """The image with the scale given by the user, or with the file's scale corrected by a profile."""
    calibration = micrograph.calibration
    if pixel_size is not None and profile is not None:
        raise CalibrationError(
            "give a pixel size, or a calibration profile that corrects the file's, not both"
        )
    if pixel_size is not None:
        if calibration.space not in (space, "none"):
            raise CalibrationError(
                f"{micrograph.name}: the file is calibrated in {calibration.unit}; a pixel size in"
                f" {'nm' if space == 'real' else '1/nm'} does not make it another kind of image"
            )
        given = Calibration.real(pixel_size, GIVEN)
        calibration = replace(given, space=space, origin=calibration.origin)
        return micrograph.with_calibration(calibration)
    if profile is None:
        return micrograph
    loaded = profile if isinstance(profile, CalibrationProfile) else load_profile(profile)
    return apply_profile(loaded, micrograph)


def measure_pattern(
    source: Micrograph | str | PathLike[str],
    params: PatternParams | None = None,
    centre: tuple[float, float] | None = None,
) -> PatternMeasurement:
    """Measure a stored diffraction pattern or FFT in 1/nm, without transforming it.

    Parameters
    ----------
    source : Micrograph or path
    params : PatternParams, optional
    centre : tuple of float, (y, x), pixels, optional
        Position of the direct beam; by default it is determined from the pattern.

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
        If the pattern has no centre of symmetry and no centre is given, or it cannot be measured.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_tem_fft import measure_pattern
    >>> from napari_tem_fft.core.image.calibration import Calibration
    >>> from napari_tem_fft.core.image.micrograph import Micrograph
    >>> y, x = np.indices((256, 256)) - 128.0
    >>> light = 20 + 2000 / (1 + (y**2 + x**2) / 300)  # diffuse, around the direct beam
    >>> for dy, dx in ((0, 50), (0, -50), (40, 0), (-40, 0)):
    ...     light += 400 * np.exp(-((y - dy) ** 2 + (x - dx) ** 2) / 4)
    >>> counts = np.random.default_rng(1).poisson(light)
    >>> pattern = Micrograph(counts, Calibration((0.1, 0.1), "reciprocal"), "pattern")
    >>> sorted(round(spot.d, 3) for spot in measure_pattern(pattern).spots)
    [0.2, 0.25]
    """
    pattern = source if isinstance(source, Micrograph) else read_pattern(source)
    return pattern_measured(pattern, params, centre)


def calibrate_on_grain(
    micrograph: Micrograph, phase: Phase, grain: int | None = None, params: AnalysisParams | None = None
) -> Correction:
    """Determine the scale, stretch and shear of an image from one grain of a known crystal.

    Parameters
    ----------
    micrograph : Micrograph
    phase : Phase
        Phase of the grain, from `select`.
    grain : int, optional
        Id of the grain in an analysis; by default the grain with most spots.
    params : AnalysisParams, optional

    Raises
    ------
    CalibrationError
        If the image has no scale, there is no such grain, or its spots do not match the phase.

    Examples
    --------
    >>> from napari_tem_fft.api import calibrate_on_grain, read_sample, select
    >>> correction = calibrate_on_grain(read_sample("edge"), select(["LiF"])[0])
    >>> correction.standard, [round(factor, 3) for factor in correction.factors]
    ('LiF along [0 1 -1], 4 spots', [1.001, 0.996])
    """
    analysis = exhaust(analysis_steps(micrograph, (), params))
    grains = [one for one in analysis.grains if grain in (None, one.id)]
    if not grains:
        number = f"grain {grain}" if grain is not None else "grain"
        raise CalibrationError(f"{micrograph.name}: there is no {number} in this image")
    best = max(grains, key=lambda one: len(one.spots))
    return correction_on_grain(best, analysis.spots, phase)


def measure_calibration_features(
    micrograph: Micrograph, params: AnalysisParams | None = None
) -> tuple[CalibrationFeature, ...]:
    """Measure spots and rings of a micrograph or pattern with which a calibration can be corrected.

    Parameters
    ----------
    micrograph : Micrograph
    params : AnalysisParams, optional
        Parameters of the analysis, for a micrograph.

    Raises
    ------
    CalibrationError
        If the image has no scale.
    ValueError
        If the image cannot be measured.

    Examples
    --------
    >>> from napari_tem_fft.api import measure_calibration_features, read_sample
    >>> [round(one.d, 3) for one in measure_calibration_features(read_sample("edge"))[:2]]  # LiF 200, 220
    [0.202, 0.142]
    """
    if micrograph.calibration.space == "reciprocal":
        measured = pattern_measured(micrograph)
        return calibration_features(measured.spots, measured.profile.peaks)
    spots: Sequence[Spot] = ()
    for step in analysis_steps(micrograph, (), params):
        match step.product:
            case SpotsFound(found):
                spots = found
            case ProfilesReady(profiles):
                return calibration_features(spots, listed_peaks(profiles))
    return calibration_features(spots, ())
