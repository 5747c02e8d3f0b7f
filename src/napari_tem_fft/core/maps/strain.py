"""Deformation: local displacement gradient of a grain's lattice, relative to a reference lattice.

Geometric phase analysis (Hytch, Snoeck, Kilaas 1998): the phase of the fringes' complex amplitude changes
where the local g differs from the reference g. Rotation and strain follow by least squares from all g of a
grain: with at least two directions the strain (eps_xx, eps_yy, eps_xy) and the rotation, with a single
direction the change of d along it and the rotation of its planes. Thickness and the lens also shift the
phase: the maps describe the lattice of the image.

Axes: x to the right and y upwards as displayed, so that rotations are counter-clockwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import special

from ..fourier.diffractogram import Diffractogram
from ..fourier.local_spectra import LocalSpectra
from ..grains.grain import Grain, GrainSet
from ..grains.regions import GrainRegion, independent
from ..image.roi import polygon_on_grid
from ..parameters import WithinLimits, param
from ..spots.bragg_filter import SLOPE_MARGIN, bragg_field, field_noise, is_small, phase_slope
from ..spots.refinement import PHASE_WANDER
from ..spots.spot import Spot
from .map_grid import MapGrid

#: The maps of a deformation.
Shown = Literal["d_change", "rotation", "eps_xx", "eps_yy", "eps_xy"]
SHOWN: tuple[Shown, ...] = ("d_change", "rotation", "eps_xx", "eps_yy", "eps_xy")
#: The components of the strain, in the order of `Deformation.strain`.
STRAINS: tuple[Shown, ...] = ("eps_xx", "eps_yy", "eps_xy")
#: Number of the strongest spots of a grain whose geometric phases are measured.
MOST_SPOTS = 4
#: Spots closer in direction than this (degrees) count as one direction: errors across it would be fourfold.
COLLINEAR = 15.0
#: A grain has the lattice of the reference region if its g differ by less than this fraction, by strain or by
#: rotation (2.9 degrees at most). Film and substrate do; two adjacent crystals hardly ever do in two
#: directions.
SAME_LATTICE = 0.05
#: Default of `DeformationParams.reference`.
WHOLE_GRAIN = "grain"


@dataclass(frozen=True, slots=True)
class DeformationParams(WithinLimits):
    """Parameters of the maps of strain and rotation within grains."""

    deformation: bool = param(
        False, "deformation maps", help="Also map strain and rotation of the lattice within each grain."
    )
    resolution: float = param(
        2.0,
        "deformation resolution",
        unit="nm",
        low=0.5,
        high=50.0,
        option="deformation-resolution",
        help="Width of the filter of the deformation maps: noise falls with its square.",
    )
    reference: str = param(
        WHOLE_GRAIN,
        "deformation reference",
        option="deformation-reference",
        help="Undeformed reference: 'grain' for each grain's own mean, or a region of the image, by two"
        " corners x0,y0,x1,y1 or a polygon x0,y0,x1,y1,x2,y2,... in nm from the top left. Grains with"
        " another lattice than the region keep their own mean.",
    )

    def __post_init__(self) -> None:
        WithinLimits.__post_init__(self)
        reference_corners(self.reference)


def reference_corners(text: str) -> NDArray[np.float64] | None:
    """Parse the corners (y, x) in nm of a reference region; None for each grain's own mean.

    Raises
    ------
    ValueError
        If the text is neither "grain" nor the corners of a region.

    Examples
    --------
    >>> reference_corners("1, 2, 5, 8").tolist()
    [[2.0, 1.0], [2.0, 5.0], [8.0, 5.0], [8.0, 1.0]]
    >>> reference_corners("grain") is None
    True
    """
    if text.strip() == WHOLE_GRAIN:
        return None
    try:
        numbers = np.array([float(number) for number in text.split(",")])
    except ValueError:
        numbers = np.empty(0)
    if len(numbers) < 4 or len(numbers) % 2 or not np.isfinite(numbers).all():
        raise ValueError(
            f"deformation reference: {text!r} is neither 'grain' nor corners x0,y0,x1,y1 in nm,"
            " such as 2,3,8,9"
        )
    corners = numbers.reshape(-1, 2)[:, ::-1]
    if len(corners) == 2:
        (y0, x0), (y1, x1) = corners
        corners = np.array([(y0, x0), (y0, x1), (y1, x1), (y1, x0)])
    return corners


def reference_text(corners: Sequence[Sequence[float]] | NDArray[np.float64]) -> str:
    """Text for `DeformationParams.reference` of a region with corners (y, x) in nm.

    Examples
    --------
    >>> reference_text([(2.0, 1.0), (2.0, 5.0), (8.0, 5.5)])
    '1,2,5,2,5.5,8'
    """
    return ",".join(f"{number:.6g}" for y, x in corners for number in (x, y))


@dataclass(frozen=True, slots=True)
class DeformationSummary:
    """Statistics of a map within a grain, in the map's unit.

    Attributes
    ----------
    mean : float
        Mean over the grain.
    low, high : float
        5th and 95th percentiles.
    sigma : float
        Median standard uncertainty of a single position.
    significant_share : float
        Fraction of the area where the value exceeds the noise.
    """

    mean: float
    low: float
    high: float
    sigma: float
    significant_share: float


@dataclass(frozen=True, slots=True, eq=False)
class Deformation:
    """Deformation of the lattice of one grain relative to a reference, on a part of the map grid.

    Attributes
    ----------
    grain : int
        Id of the grain.
    spots : tuple of int
        Ids of the spots used.
    first : tuple of int, (y, x)
        First pixel of the arrays in the map grid.
    d_change : ndarray of float32
        Relative change of d: the mean over all directions, or along g for a grain with a single direction;
        NaN outside the grain.
    rotation : ndarray of float32, degrees
        Counter-clockwise as displayed; NaN outside the grain.
    d_sigma : ndarray of float32
        Standard uncertainty of `d_change`: noise, and the phase variations in a perfect grain.
    rotation_sigma : ndarray of float32, degrees
    strain : ndarray of float32, shape (3, y, x), optional
        eps_xx, eps_yy and eps_xy without the rotation; None for a grain with a single direction.
    strain_sigma : ndarray of float32, shape (3, y, x), optional
    along : float, degrees, optional
        Azimuth of the single direction; None if the strain is known.
    of_region : bool
        Whether the reference is the given region rather than the grain's own mean.

    Examples
    --------
    >>> from napari_tem_fft import analyse, read_sample, select, with_deformation
    >>> result = analyse(read_sample("edge"), select(["LiF", "Cu"]))
    >>> one = with_deformation(result).deformations[0]
    >>> one.grain, one.d_change.shape == one.rotation.shape
    (1, True)
    """

    grain: int
    spots: tuple[int, ...]
    first: tuple[int, int]
    d_change: NDArray[np.float32]
    rotation: NDArray[np.float32]
    d_sigma: NDArray[np.float32]
    rotation_sigma: NDArray[np.float32]
    strain: NDArray[np.float32] | None = None
    strain_sigma: NDArray[np.float32] | None = None
    along: float | None = None
    of_region: bool = False

    def value(self, what: Shown) -> NDArray[np.float32]:
        """One of the maps; all NaN for strain components that a single direction does not determine."""
        if what == "d_change":
            return self.d_change
        if what == "rotation":
            return self.rotation
        return self._component(self.strain, what)

    def sigma(self, what: Shown) -> NDArray[np.float32]:
        """Standard uncertainty of a map."""
        if what == "d_change":
            return self.d_sigma
        if what == "rotation":
            return self.rotation_sigma
        return self._component(self.strain_sigma, what)

    def _component(self, of: NDArray[np.float32] | None, what: Shown) -> NDArray[np.float32]:
        if of is None:
            return np.full_like(self.d_change, np.nan)
        return np.asarray(of[STRAINS.index(what)], np.float32)

    def summary(self, what: Shown, false_share: float) -> DeformationSummary | None:
        """Statistics of a map; None for components that a single direction does not determine."""
        value, sigma = self.value(what), self.sigma(what)
        inside = np.isfinite(value)
        if not inside.any():
            return None
        low, high = np.percentile(value[inside], (5, 95))
        return DeformationSummary(
            float(value[inside].mean()),
            float(low),
            float(high),
            float(np.median(sigma[inside])),
            float(self.significant(what, false_share)[inside].mean()),
        )

    def significant(self, what: Shown, false_share: float) -> NDArray[np.bool_]:
        """Where a map exceeds the noise; noise alone does so on the fraction `false_share` of the area."""
        level = -float(special.ndtri(false_share / 2))
        beyond: NDArray[np.bool_] = np.abs(self.value(what)) > level * self.sigma(what)
        return beyond


def unused_reference(parts: Sequence[Deformation], params: DeformationParams) -> str:
    """Warning that a given region is not used as reference by any grain; empty if it is used."""
    if not parts or reference_corners(params.reference) is None or any(part.of_region for part in parts):
        return ""
    return (
        f"the reference region contains less than {np.pi * params.resolution**2:.1f} nm^2 (one filter) of"
        " every grain, so each grain is compared with its own mean: choose a larger region, or a finer"
        " resolution"
    )


def deformation_map(
    parts: Sequence[Deformation], what: Shown, shape: tuple[int, int], false_share: float
) -> NDArray[np.float32]:
    """Image of a deformation map of all grains where it is significant; NaN elsewhere.

    Parameters
    ----------
    parts : sequence of Deformation
        Where grains overlap, the later one is used.
    what : {"d_change", "rotation", "eps_xx", "eps_yy", "eps_xy"}
    shape : tuple of int, (y, x)
        Shape of the map grid.
    false_share : float
        Fraction of an undeformed grain's area that would be shown.
    """
    image = np.full(shape, np.nan, np.float32)
    for part in parts:
        value = part.value(what)
        place = tuple(slice(a, a + n) for a, n in zip(part.first, value.shape, strict=True))
        image[place] = np.where(part.significant(what, false_share), value, image[place])
    return image


def wanted_deformations(
    params: DeformationParams,
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    found: GrainSet,
    grid: MapGrid,
) -> tuple[Deformation, ...]:
    """`deformations` of all grains of an image if the parameters request them."""
    if not params.deformation:
        return ()
    corners = reference_corners(params.reference)
    region = None if corners is None else polygon_on_grid(corners, diffractogram.pixel_size, grid)
    return deformations(
        diffractogram, spectra, found.spots, found.grains, found.regions, grid, params.resolution, region
    )


def deformations(
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    spots: Sequence[Spot],
    grains: Sequence[Grain],
    regions: Sequence[GrainRegion],
    grid: MapGrid,
    width: float,
    reference: NDArray[np.bool_] | None = None,
) -> tuple[Deformation, ...]:
    """Deformation within each grain larger than the filter, in the order of the grains.

    Parameters
    ----------
    regions : sequence of GrainRegion
        Regions of the grains.
    width : float, nm
        Width of the filter.
    reference : ndarray of bool, shape ``grid.shape``, optional
        Region in which the lattice is undeformed. It is the reference for grains that overlap it by at least
        one filter's area, and for others with the same lattice (each g within `SAME_LATTICE`). Other grains,
        and by default all grains, have their own mean as reference.
    """
    by_id = {spot.id: spot for spot in spots}
    measured: dict[int, tuple[Deformation, GradientMaps]] = {}
    later = []
    for row, (grain, region) in enumerate(zip(grains, regions, strict=True)):
        own = [by_id[n] for n in grain.spots if n in by_id and by_id[n].enabled]
        own = [spot for spot in own if spot.kind in ("reflection", "forbidden")] or own
        if not own or grain.diameter <= 2 * width:
            continue
        base = _reference_part(region, reference, np.pi * width**2 / grid.pixel_area)
        if reference is None or base is not None:
            measured[row] = _deformation(diffractogram, spectra, grain, own, region, grid, width, base)
        else:
            later.append((row, grain, own, region))
    lattices = [maps.references for _, maps in measured.values()] if reference is not None else []
    for row, grain, own, region in later:
        pairs = max((_same_lattice(own, lattice, width) for lattice in lattices), key=len, default=[])
        measured[row] = _deformation(diffractogram, spectra, grain, own, region, grid, width, None, pairs)
    return tuple(measured[row][0] for row in sorted(measured))


def _reference_part(
    region: GrainRegion, reference: NDArray[np.bool_] | None, least: float
) -> NDArray[np.bool_] | None:
    """The part of a grain, on its tight box, in the reference region; None if it is too small."""
    if reference is None:
        return None
    box, inside = region.tight()
    stated = inside & reference[box]
    return stated if int(np.count_nonzero(stated)) >= least else None


def _same_lattice(
    spots: Sequence[Spot], lattice: Sequence[ReferenceFrequency], width: float
) -> list[tuple[Spot, ReferenceFrequency]]:
    """Pair the spots of a grain with nearly equal frequencies of a lattice; empty if the lattices differ."""
    pairs: list[tuple[Spot, ReferenceFrequency]] = []
    for known in lattice:
        signs = [known, ReferenceFrequency(-known.g, known.variance)]
        off, _, spot, one = min(
            (abs(complex(spot.g[1], -spot.g[0]) - one.g), n, spot, one)
            for n, spot in enumerate(spots)
            for one in signs
        )
        if off < SAME_LATTICE * abs(known.g) and all(spot is not other for other, _ in pairs):
            pairs.append((spot, one))
    resolved = measured_spots([spot.g for spot in spots], width)
    shown = [spot.g for spot, _ in pairs]
    return pairs if shown and spans_two_directions(shown) == spans_two_directions(resolved) else []


def _deformation(
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    grain: Grain,
    spots: Sequence[Spot],
    region: GrainRegion,
    grid: MapGrid,
    width: float,
    base: NDArray[np.bool_] | None,
    pairs: Sequence[tuple[Spot, ReferenceFrequency]] = (),
) -> tuple[Deformation, GradientMaps]:
    """Deformation of a grain relative to its part `base`, known frequencies of its spots, or its mean."""
    (rows, columns), inside = region.tight()
    chosen = [spot.g for spot, _ in pairs] or measured_spots([spot.g for spot in spots], width)
    maps = displacement_gradient(
        diffractogram,
        spectra,
        chosen,
        width,
        grid.part(rows, columns),
        inside if base is None else base,
        PHASE_WANDER / grain.diameter,
        base is not None,
        [known for _, known in pairs],
    )
    ids = tuple(spot.id for spot in spots if spot.g in chosen)
    degrees = np.float32(np.degrees(1.0))
    values = np.where(inside, maps.values, np.float32(np.nan))
    sigmas = np.where(inside, maps.sigmas, np.float32(np.nan))
    whole = maps.along is None
    found = Deformation(
        grain.id,
        ids,
        (rows.start, columns.start),
        values[0],
        values[1] * degrees,
        sigmas[0],
        sigmas[1] * degrees,
        values[2:] if whole else None,
        sigmas[2:] if whole else None,
        maps.along,
        base is not None or bool(pairs),
    )
    return found, maps


def measured_spots(spots: Sequence[tuple[float, float]], width: float) -> list[tuple[float, float]]:
    """The strongest spots whose filters do not overlap, including a second direction if there is one."""
    apart = independent(spots, width)
    chosen = apart[:MOST_SPOTS]
    if not spans_two_directions(chosen):
        other = next((g for g in apart[MOST_SPOTS:] if spans_two_directions([chosen[0], g])), None)
        chosen = chosen if other is None else [*chosen[:-1], other]
    return chosen


def spans_two_directions(spots: Sequence[tuple[float, float]]) -> bool:
    """Whether frequencies have at least two directions."""
    g = np.array(spots, np.float64).reshape(-1, 2)
    length = np.hypot(*g.T)
    across = np.abs(g[0, 0] * g[:, 1] - g[0, 1] * g[:, 0])
    return bool((across > np.sin(np.radians(COLLINEAR)) * length[0] * length).any())


@dataclass(frozen=True, slots=True)
class ReferenceFrequency:
    """A frequency of the undeformed lattice, x + i y in 1/nm with y upwards, and its variance per axis."""

    g: complex
    variance: float


@dataclass(frozen=True, slots=True, eq=False)
class GradientMaps:
    """Result of `displacement_gradient`.

    Attributes
    ----------
    values, sigmas : ndarray of float32, shape (5, y, x)
        Change of d, rotation (radians, counter-clockwise as displayed), eps_xx, eps_yy, eps_xy, and their
        standard uncertainties; the last three are NaN for a single direction.
    along : float, degrees, optional
        Azimuth of the single direction.
    references : tuple of ReferenceFrequency
        Reference frequencies of the spots.
    """

    values: NDArray[np.float32]
    sigmas: NDArray[np.float32]
    along: float | None
    references: tuple[ReferenceFrequency, ...] = ()


def displacement_gradient(
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    spots: Sequence[tuple[float, float]],
    width: float,
    grid: MapGrid,
    reference: NDArray[np.bool_],
    wander: float = 0.0,
    apart: bool = False,
    known: Sequence[ReferenceFrequency] = (),
) -> GradientMaps:
    """Local strain and rotation by weighted least squares over the spots.

    A lattice whose points were moved by F (2 x 2) has frequencies ``inv(F).T @ g``. F is split into a
    rotation and a stretch; the strain is the stretch minus 1, so that a rotated crystal has none.

    Parameters
    ----------
    spots : sequence of (g_y, g_x), 1/nm
        Spots of one lattice.
    width : float, nm
        Width of the filter.
    reference : ndarray of bool, shape ``grid.shape``
        Region in which the lattice is undeformed; its mean g is the reference.
    wander : float, 1/nm
        Standard uncertainty of a local frequency in addition to the noise.
    apart : bool
        Whether the reference is elsewhere: its own uncertainty is then added at each position.
    known : sequence of ReferenceFrequency, optional
        One per spot, if the reference was measured in another grain.
    """
    given: Sequence[ReferenceFrequency | None] = known or [None] * len(spots)
    found = [
        _local_frequency(diffractogram, spectra, g, width, grid, reference, wander, apart, one)
        for g, one in zip(spots, given, strict=True)
    ]
    measured = [one for one, _ in found]
    along = None if spans_two_directions(spots) else float(np.degrees(np.angle(measured[0][0]))) % 180.0
    if along is not None:
        values, sigmas = _along_direction(measured)
    else:
        values, sigmas = _all_directions(measured)
    references = tuple(one for _, one in found)
    return GradientMaps(values.astype(np.float32), sigmas.astype(np.float32), along, references)


#: g of the reference as a complex number, x + i y with y upwards; difference of the local g; its weight.
_Measured = tuple[complex, NDArray[np.complex128], NDArray[np.float64]]


def _local_frequency(
    diffractogram: Diffractogram,
    spectra: LocalSpectra,
    g: tuple[float, float],
    width: float,
    grid: MapGrid,
    reference: NDArray[np.bool_],
    wander: float,
    apart: bool,
    known: ReferenceFrequency | None,
) -> tuple[_Measured, ReferenceFrequency]:
    field = bragg_field(diffractogram, g, width, grid)
    noise = field_noise(diffractogram, spectra, g, width, grid)
    dy, dx = phase_slope(field, grid.pixel_size)
    change = np.asarray(dx - 1j * dy, np.complex128)
    # filter of width w: the standard uncertainty of the slope along an axis is 1 / (4 pi w sqrt(SNR))
    snr = (field.real**2 + field.imag**2) / noise
    precision = np.maximum(snr.astype(np.float64), 1e-12) * (4 * np.pi * width) ** 2
    precision = 1 / (1 / precision + border_error(grid, width) ** 2)
    if known is None:
        trusted = np.where(reference, precision, 0.0)
        total = max(float(trusted.sum()), np.finfo(float).tiny)
        together = max(4 * np.pi * width**2 / grid.pixel_area, 1.0)  # map pixels with correlated noise
        mean = complex(g[1], -g[0]) + complex((trusted * change).sum() / total)
        known = ReferenceFrequency(mean, together / total + wander**2)
        of_mean = together / total if apart else 0.0
    else:
        of_mean = known.variance
    change = change + (complex(g[1], -g[0]) - known.g)
    return (known.g, change, 1 / (1 / precision + wander**2 + of_mean)), known


def border_error(grid: MapGrid, width: float) -> NDArray[np.float64]:
    """Standard uncertainty of a local frequency near the image's border, 1/nm, shape ``grid.shape``.

    A transform is periodic, so the filter mixes the fraction f of the fringes at the opposite border into
    those here, with any phase: this shifts the phase by up to f, and at the border itself by any angle. In a
    small image (`is_small`) nothing is mixed in, and the margin is unknown.
    """
    squares = np.zeros(grid.shape)
    extent = grid.whole.extent
    small = is_small(extent)
    for places, whole in zip(grid.positions(), extent, strict=True):
        inward = np.minimum(places, whole - places) / width
        if small:
            squares = squares + np.where(inward < SLOPE_MARGIN, width**-2.0, 0.0)
            continue
        alone = np.maximum(1 - 2 * special.ndtr(-inward), 1e-3)
        slope = np.exp(-0.5 * inward**2) / np.sqrt(2 * np.pi) / (2 * np.pi * width)
        squares = squares + 0.5 * (slope / alone) ** 2
    return np.asarray(np.sqrt(squares))


def _along_direction(measured: Sequence[_Measured]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Change of d along a single direction, and rotation of its planes."""
    weights = sum(weight * abs(g) ** 2 for g, _, weight in measured)
    ratio = 1 + sum(weight * change * np.conj(g) for g, change, weight in measured) / weights
    unknown = np.full(ratio.shape, np.nan)
    sigma = 1 / np.sqrt(weights)
    values = np.stack([1 / np.abs(ratio) - 1, np.angle(ratio), unknown, unknown, unknown])
    return values, np.stack([sigma, sigma, unknown, unknown, unknown])


def _all_directions(measured: Sequence[_Measured]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean change of d, rotation and strain from all directions."""
    n_xx = sum(weight * g.real**2 for g, _, weight in measured)
    n_xy = sum(weight * g.real * g.imag for g, _, weight in measured)
    n_yy = sum(weight * g.imag**2 for g, _, weight in measured)
    # by_x: sum of weight x change x g_x, whose real part belongs to the change along x; by_y likewise
    by_x = sum(weight * change * g.real for g, change, weight in measured)
    by_y = sum(weight * change * g.imag for g, change, weight in measured)
    det = n_xx * n_yy - n_xy**2
    of_x, of_y = (n_yy * by_x - n_xy * by_y) / det, (n_xx * by_y - n_xy * by_x) / det
    # g becomes (1 + a) g, with a = [[xx, xy], [yx, yy]]; F is the inverse of 1 + a, transposed
    xx, yx, xy, yy = of_x.real, of_x.imag, of_y.real, of_y.imag
    area = (1 + xx) * (1 + yy) - xy * yx
    turn = np.arctan2(yx - xy, 2 + xx + yy)
    cos, sin = np.cos(turn), np.sin(turn)
    eps_xx = (cos * (1 + yy) - sin * xy) / area - 1
    eps_yy = (sin * yx + cos * (1 + xx)) / area - 1
    eps_xy = (sin * (1 + xx) - cos * yx) / area
    mean = 1 / np.sqrt(np.maximum(area, 1e-6)) - 1
    var_x, var_y = n_yy / det, n_xx / det
    both = 0.5 * np.sqrt(var_x + var_y)
    values = np.stack([mean, turn, eps_xx, eps_yy, eps_xy])
    return values, np.stack([both, both, np.sqrt(var_x), np.sqrt(var_y), both])
