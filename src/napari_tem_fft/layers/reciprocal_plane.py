"""Plane: position of reciprocal space in a viewer; scale bars, rings and labels, and the table of spots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.fourier.diffractogram import FrequencyGrid
from ..core.grains.grain import Grain
from ..core.image.micrograph import Micrograph
from ..core.maps.component_map import component_name
from ..core.matching import GrainMatch
from ..core.matching.result import indexed_as, matches_of_spots
from ..core.spots.spot import Spot
from ..core.text import LengthUnit, round_length, spacing
from .image import KEY, LayerData

Point = tuple[float, float]

#: Gap between a micrograph and its diffractogram, as a fraction of the micrograph's width.
GAP = 0.04
#: Size (y, x) of a ring's label ("0.1153 nm" as drawn by napari), as a fraction of half the picture's width.
LABEL_SIZE = (0.09, 0.38)
#: A label covers a spot that is closer than this to its centre, in units of the label's size.
HALF_LABEL = 0.6
#: Distance of a label's centre from its ring, as a fraction of half the picture's width, and angular step of
#: the search for its position, degrees.
LABEL_OFFSET, TURN = 0.035, 5.0
NOT_INDEXED = "not indexed"
#: Roles of rings labelled with their d; rings of a phase are labelled with (hkl).
NAMED_BY_D = ("rings", "choice")


@dataclass(frozen=True, slots=True)
class Plane:
    """Position of reciprocal space in a viewer: world = centre + factor * g.

    Attributes
    ----------
    centre : tuple of float, (y, x)
        World position of zero frequency.
    factor : float
        World units per 1/nm.
    unit : str
        Unit of the viewer's world: "nm" next to a micrograph, "1/nm" in a separate viewer.
    """

    centre: Point = (0.0, 0.0)
    factor: float = 1.0
    unit: str = "1/nm"

    @classmethod
    def next_to(cls, micrograph: Micrograph, grid: FrequencyGrid) -> Plane:
        """Place it to the right of the micrograph, with the same displayed width."""
        (ny, nx), (py, px) = micrograph.shape, micrograph.pixel_size
        width = nx * px
        factor = width / (grid.shape[1] * grid.step[1])
        return cls(((ny - 1) / 2 * py, (nx - 0.5) * px + (GAP + 0.5) * width), factor, "nm")

    def cell_size(self, grid: FrequencyGrid) -> Point:
        """Size (y, x) of the grid's cells in world units."""
        return self.factor * grid.step[0], self.factor * grid.step[1]

    def corner(self, grid: FrequencyGrid) -> Point:
        """World position (y, x) of the centre of cell (0, 0)."""
        return self.world(grid.origin)

    def world(self, g: Point) -> Point:
        """World position (y, x) of a frequency (y, x) in 1/nm."""
        return self.centre[0] + self.factor * g[0], self.centre[1] + self.factor * g[1]

    def frequency(self, world: Sequence[float]) -> Point:
        """Frequency (y, x) in 1/nm at a world position; leading axes of a stack are ignored."""
        y, x = world[-2:]
        return float(y - self.centre[0]) / self.factor, float(x - self.centre[1]) / self.factor


@dataclass(frozen=True, slots=True)
class Ring:
    """A circle of constant |g| with a label.

    Attributes
    ----------
    g : float, 1/nm
    label : str
    colour : str
        "#RRGGBB".
    """

    g: float
    label: str
    colour: str

    def box(self) -> NDArray[np.float64]:
        """Corners (y, x) of the circle's bounding box, shape (4, 2), 1/nm."""
        return self.g * np.array([(-1.0, -1.0), (-1.0, 1.0), (1.0, 1.0), (1.0, -1.0)])

    def label_place(self, azimuth: float, offset: float) -> NDArray[np.float64]:
        """Radial line outside the ring (azimuth in degrees, counter-clockwise), shape (2, 2), 1/nm.

        The label is at its centre.
        """
        direction = np.array([-np.sin(np.radians(azimuth)), np.cos(np.radians(azimuth))])
        return np.array([self.g * direction, (self.g + 2 * offset) * direction])


def label_azimuths(
    rings: Sequence[Ring], reach: float, start: float = 90.0, spots: Sequence[Point] = ()
) -> list[float]:
    """Azimuths (degrees) at which the rings' labels are inside the picture, off the spots and far apart.

    Parameters
    ----------
    rings : sequence of Ring
        The labels of the first rings are placed first.
    reach : float, 1/nm
        Half the width of the picture.
    start : float
        Azimuth of the first label, unless a spot is there.
    spots : sequence of tuple of float, (y, x), 1/nm
        Spots that no label should cover, if there is space elsewhere.
    """
    turns = start + np.arange(0.0, 360.0, TURN)
    size = reach * np.array(LABEL_SIZE)
    covered = np.array(spots, float).reshape(-1, 2) / size
    directions = np.stack([-np.sin(np.radians(turns)), np.cos(np.radians(turns))], axis=1)
    placed: list[NDArray[np.float64]] = []
    azimuths = []
    for ring in rings:
        places = directions * (ring.g + LABEL_OFFSET * reach) / size
        inside = (np.abs(places) < 1 / np.array(LABEL_SIZE) - 0.5).all(axis=1)
        away = np.abs(places[:, None, :] - covered[None, :, :]).max(axis=2)
        hidden = np.count_nonzero(away < HALF_LABEL, axis=1)
        room = -turns / 360
        met = np.zeros(len(turns))
        if placed:
            apart = np.abs(places[:, None, :] - np.array(placed)[None, :, :])
            room = np.hypot(*np.moveaxis(apart, -1, 0)).min(axis=1)
            met = np.count_nonzero(apart.max(axis=2) < 1.0, axis=1)
        # priorities: stay inside the picture, avoid other labels, avoid spots
        best = int(np.argmax(room - 1e6 * ~inside - 1e4 * met - 1e2 * hidden))
        placed.append(places[best])
        azimuths.append(float(turns[best] % 360))
    return azimuths


@dataclass(frozen=True, slots=True)
class Bar:
    """A scale bar on a dark plate, in world units.

    Attributes
    ----------
    corner : tuple of float, (y, x)
        Lower right corner of the field that contains it.
    width : float
        Width of that field.
    length : float
        Length of the bar.
    label : str
    """

    corner: Point
    width: float
    length: float
    label: str

    @property
    def plate(self) -> NDArray[np.float64]:
        """Corners of the dark plate, shape (4, 2)."""
        margin, height = 0.02 * self.width, 0.08 * self.width
        bottom, right = self.corner[0] - margin, self.corner[1] - margin
        return _rectangle(bottom - height, right - self.plate_width, bottom, right)

    @property
    def plate_width(self) -> float:
        """Width of the plate: that of the bar or of the label, whichever is larger."""
        return max(self.length + 0.04 * self.width, 0.022 * self.width * len(self.label))

    @property
    def stroke(self) -> NDArray[np.float64]:
        """Corners of the bar itself, shape (4, 2)."""
        margin, thick = 0.02 * self.width, 0.009 * self.width
        bottom = self.corner[0] - 1.7 * margin
        right = self.corner[1] - margin - (self.plate_width - self.length) / 2
        return _rectangle(bottom - thick, right - self.length, bottom, right)


def scale_bars(micrograph: Micrograph, grid: FrequencyGrid, plane: Plane) -> tuple[Bar, Bar]:
    """Scale bars in nm for the micrograph and in 1/nm for the diffractogram next to it."""
    (ny, nx), (py, px) = micrograph.shape, micrograph.pixel_size
    nm = round_length(0.2 * nx * px)
    real = Bar(((ny - 0.5) * py, (nx - 0.5) * px), nx * px, nm, f"{nm:g} nm")
    width = grid.shape[1] * grid.step[1]
    inverse = round_length(0.2 * width)
    edge = plane.world(((grid.half[0] + 0.5) * grid.step[0], (grid.half[1] + 0.5) * grid.step[1]))
    return real, Bar(edge, plane.factor * width, plane.factor * inverse, f"{inverse:g} nm⁻¹")


def _rectangle(top: float, left: float, bottom: float, right: float) -> NDArray[np.float64]:
    return np.array([(top, left), (top, right), (bottom, right), (bottom, left)])


def spot_features(
    spots: Sequence[Spot], grains: Sequence[Grain] = (), matches: Sequence[GrainMatch] = ()
) -> dict[str, list[Any]]:
    """Columns of the table of spots; units are part of the names."""
    grain_of = {spot: grain.id for grain in grains for spot in grain.spots}
    match_of = matches_of_spots(grains, matches)
    return {
        "spot": [spot.id for spot in spots],
        "d (nm)": [round(spot.d, 5) for spot in spots],
        "d fit sigma (nm)": [round(spot.d_sigma, 6) for spot in spots],
        "angle (deg)": [round(spot.azimuth, 2) for spot in spots],
        "SNR": [round(spot.snr, 1) for spot in spots],
        "grain": [grain_of.get(spot.id, 0) for spot in spots],
        "phase": [_phase(spot.id, match_of.get(spot.id)) for spot in spots],
        "hkl": [_hkl(spot.id, match_of.get(spot.id)) for spot in spots],
        "origin": [spot.origin for spot in spots],
        "kind": [spot.kind for spot in spots],
    }


def _phase(spot: int, match: GrainMatch | None) -> str:
    """Component of a spot; "not indexed" if its grain is named but the name does not explain the spot."""
    if match is None:
        return ""
    return component_name(match) if not match.phases or indexed_as(spot, match) else NOT_INDEXED


def _hkl(spot: int, match: GrainMatch | None) -> str:
    indexed = indexed_as(spot, match) if match is not None else None
    return " ".join(map(str, indexed.hkl)) if indexed is not None else ""


def in_unit(layer_data: LayerData, unit: LengthUnit) -> LayerData:
    """Convert the labels of a layer of rings labelled with d to another unit; other layers are unchanged."""
    data, kwargs, kind = layer_data
    if kwargs["metadata"][KEY]["role"] not in NAMED_BY_D:
        return layer_data
    features = kwargs["features"]
    return data, {**kwargs, "features": {**features, "label": d_labels(features, unit)}}, kind


def d_labels(features: Mapping[str, Any], unit: LengthUnit) -> list[str]:
    """Labels with d in a unit; only the lines that carry the labels have one, not the rings themselves."""
    pairs = zip(features["label"], features["d (nm)"], strict=True)
    return [spacing(float(d), unit=unit) if label else "" for label, d in pairs]
