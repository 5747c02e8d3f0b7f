"""Conversion of results to napari's layer tuples ``(data, kwargs, type)`` and back.

Only this package knows the names and units of layers. It does not import napari, so that the reader, the
docks and their tests can share it. All layers define their position completely (scale, translate, units, axis
labels), because a single layer without units removes the units of all.

Reciprocal space is drawn on a `Plane`. In the main viewer, next to the micrograph, its coordinates are in nm
like those of all other layers; the true frequency step, in 1/nm, is in the layer's metadata under
``tem_fft``. The data of points and shapes in reciprocal space are in 1/nm; their scale and translate define
the position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..core.crystal.orientation import PatternSpot
from ..core.fourier.diffractogram import FrequencyGrid
from ..core.grains.grain import Grain
from ..core.grains.regions import GrainRegion
from ..core.image.micrograph import Micrograph
from ..core.maps.component_map import PALETTE, UNKNOWN, ComponentMap
from ..core.maps.map_grid import MapGrid
from ..core.maps.strain import SHOWN
from ..core.matching import GrainMatch
from ..core.spots.seeds import NetworkPicture
from ..core.spots.spot import Spot
from .image import (
    KEY,
    SMOOTH,
    LayerData,
    contrast,
    grey_range,
    place,
)
from .reciprocal_plane import LABEL_OFFSET, Bar, Plane, Point, Ring, label_azimuths, spot_features

#: Colour of disabled satellites.
GREYED = "#7F7F7F80"
#: Roles in the order of the layer list, from bottom to top; "heat" stands for all heat maps.
ORDER: tuple[str, ...] = (
    *("micrograph", "ifft", "fringes", "specimen", "grains", "heat", "selected"),
    *("orientation", *SHOWN, "numbers", "legend", "key", "part", "line"),
    *("fft", "live", "grain_fft", "probability", "rings", "mask", "spots"),
    *("phase", "compare", "choice", "pattern", "region", "line_fft", "angle", "bars"),
)
#: Colour of text beside the images, readable on napari's dark and light backgrounds.
BESIDE = "#808080"
#: Roles of layers that belong to a selection or a tool and are not saved.
PASSING = frozenset(
    (
        *("fringes", "selected", "part", "line", "live", "grain_fft"),
        *("phase", "compare", "choice", "pattern", "region", "line_fft", "angle"),
    )
)
#: Colour of the mask, which is not a component.
MASK = "#FFD95A"
CLEAR = "#00000000"
#: Colour of measured lines and angles, visible on grey and on the colours of a diffractogram.
MEASURED = "#FFF200"
#: Width of the outlines of grains and specimen, in cells of the map.
OUTLINE = 1
#: Largest number of grains whose ids are shown initially, and of rows of the legend.
MOST_NUMBERS, MOST_ROWS = 60, 8


def fft_layer(
    snr: NDArray[np.float32], grid: FrequencyGrid, plane: Plane, of: str, live: bool = False
) -> LayerData:
    """Image layer of a diffractogram, of the whole image or of a live ROI: log10 of power over mean noise."""
    high = float(np.percentile(snr, 99.9))
    kwargs = {
        **_on_grid(grid, plane),
        "name": f"{'Live FFT (ROI)' if live else 'FFT'} · {of}",
        "colormap": "inferno",
        "contrast_limits": (0.0, max(high, 0.5)),
    }
    role = "live" if live else "fft"
    notes = _reciprocal(role, of, grid, plane, grey_range=(min(float(snr.min()), -1.0), high + 3.0))
    return snr, {**kwargs, "metadata": notes}, "image"


def grain_fft_layer(
    snr: NDArray[np.float32], grid: FrequencyGrid, plane: Plane, of: str, grain: int
) -> LayerData:
    """Image layer of the diffractogram of one grain, in the style of `fft_layer`."""
    data, kwargs, kind = fft_layer(snr, grid, plane, of)
    notes = {**kwargs["metadata"][KEY], "role": "grain_fft", "grain": grain}
    return data, {**kwargs, "name": f"FFT of grain {grain} · {of}", "metadata": {KEY: notes}}, kind


def probability_layer(picture: NetworkPicture, plane: Plane, of: str) -> LayerData:
    """Image layer of the network's output for every frequency, 0 to 1; initially hidden."""
    kwargs = {
        **_on_grid(picture.grid, plane),
        "name": f"network · {of}",
        "colormap": "viridis",
        "contrast_limits": (0.0, 1.0),
        "blending": "additive",
        "visible": False,
    }
    return (
        picture.probability,
        {**kwargs, "metadata": _reciprocal("probability", of, picture.grid, plane)},
        "image",
    )


def mask_layer(mask: NDArray[np.uint8], grid: FrequencyGrid, plane: Plane, of: str) -> LayerData:
    """Labels layer of the Bragg mask, for painting; 1 is inside the mask."""
    kwargs = {
        **_on_grid(grid, plane),
        "name": f"mask · {of}",
        "colormap": [CLEAR, MASK],
        "opacity": 0.45,
    }
    return mask, {**kwargs, "metadata": _reciprocal("mask", of, grid, plane)}, "labels"


def spots_layer(
    spots: Sequence[Spot],
    plane: Plane,
    of: str,
    grains: Sequence[Grain] = (),
    matches: Sequence[GrainMatch] = (),
    colours: Mapping[str, str] | None = None,
) -> LayerData:
    """Points layer of the enabled spots, in 1/nm, with their properties: first all at +g, then all at -g.

    Disabled satellites are also shown, greyed.
    """
    once = [spot for spot in spots if spot.enabled or spot.kind in ("satellite", "camera")]
    shown = 2 * once
    features = {name: 2 * column for name, column in spot_features(once, grains, matches).items()}
    features["half"] = ["+g"] * len(once) + ["-g"] * len(once)
    edges = [
        (colours or {}).get(name, UNKNOWN) if spot.enabled else GREYED
        for spot, name in zip(shown, features["phase"], strict=True)
    ]
    kwargs = {
        **_drawn_shapes(plane),
        "name": f"spots · {of}",
        "features": features,
        "size": np.array([2.6 * spot.radius for spot in shown]) if shown else 0.2,
        "face_color": "transparent",
        "border_color": edges or "white",
        "border_width": 0.15,
    }
    points = np.array([spot.g for spot in once], float).reshape(-1, 2)
    points = np.concatenate([points, -points])
    return points, {**kwargs, "metadata": _reciprocal("spots", of, None, plane)}, "points"


def ifft_layer(
    image: NDArray[np.float32], pixel_size: tuple[float, float], of: Micrograph, chosen: bool = False
) -> LayerData:
    """Image layer of the Bragg-filtered image (inverse transform of the masked spectrum).

    Parameters
    ----------
    image : ndarray
    pixel_size : tuple of float, (y, x), nm
    of : Micrograph
    chosen : bool
        Whether it shows only selected spots and is therefore visible immediately.
    """
    kwargs = {
        **over_map(of, MapGrid(image.shape, pixel_size)),
        **contrast(image),
        "name": f"{'Bragg-filtered image' if chosen else 'IFFT'} · {of.name}",
        "colormap": "gray",
        "interpolation2d": SMOOTH,
        "visible": chosen,
    }
    notes = real_notes("fringes" if chosen else "ifft", of, grey_range=grey_range(image))
    return image, {**kwargs, "metadata": notes}, "image"


def heat_layer(component: ComponentMap, grid: MapGrid, of: Micrograph, colour: str) -> LayerData:
    """Image layer of one component's heat map, transparent outside the component."""
    said = {"component": component.name, "outcome": str(component.outcome), "score": component.score}
    notes = real_notes(heat_role(component), of, **said)
    return _coloured_layer(component.heat, grid, of, component.name, colour, notes)


def _coloured_layer(
    heat: NDArray[np.float32], grid: MapGrid, of: Micrograph, name: str, colour: str, notes: dict[str, Any]
) -> LayerData:
    """Image layer of a heat map in one colour, more transparent where the heat is lower."""
    kwargs = {
        **over_map(of, grid),
        "name": f"{name} · {of.name}",
        "colormap": {"colors": [f"{colour}00", f"{colour}FF"], "name": map_name(colour)},
        "contrast_limits": (0.0, 1.0),
        "blending": "translucent_no_depth",
        "interpolation2d": SMOOTH,
        "opacity": 0.65,
    }
    return heat, {**kwargs, "metadata": notes}, "image"


def map_name(colour: str) -> str:
    """Name of a component's colour map; short, because napari's controls are as wide as the longest name."""
    return f"map {colour}"


def selected_grains_layer(
    regions: Sequence[GrainRegion], grid: MapGrid, of: Micrograph, colour: str
) -> LayerData:
    """Image layer of selected grains alone, in the colour of their component."""
    heat = np.zeros(grid.shape, np.float32)
    for region in regions:
        heat[region.box] = np.maximum(heat[region.box], region.heat)
    return _coloured_layer(heat, grid, of, "selected grains", colour, real_notes("selected", of))


def heat_role(component: ComponentMap) -> str:
    """Role of a component's layer, which contains the component's name."""
    return f"heat {component.name}"


def grains_layer(
    regions: Sequence[GrainRegion],
    ids: Sequence[int],
    grid: MapGrid,
    of: Micrograph,
    colours: Mapping[int, str] | None = None,
) -> LayerData:
    """Labels layer of the grains by their ids, drawn as outlines; smaller grains are on top of larger ones.

    Parameters
    ----------
    regions : sequence of GrainRegion
    ids : sequence of int
    grid : MapGrid
    of : Micrograph
    colours : mapping of int to str, optional
        Colour of each grain's component; napari's own colours if it is not given.
    """
    labels = np.zeros(grid.shape, np.uint16)
    for region, number in sorted(zip(regions, ids, strict=True), key=lambda one: -one[0].area):
        region.paint(labels, number)
    kwargs: dict[str, Any] = {**over_map(of, grid), "name": f"grains · {of.name}", "opacity": 0.9}
    if colours:
        kwargs["colormap"] = {None: UNKNOWN, 0: CLEAR, **colours}
    return labels, {**kwargs, "metadata": real_notes("grains", of, outline=OUTLINE)}, "labels"


def numbers_layer(grains: Sequence[Grain], of: Micrograph) -> LayerData:
    """Points layer of the grains' ids at their centres, in nm; hidden if they would cover everything."""
    kwargs = {
        **place((1.0, 1.0), (0.0, 0.0), "nm"),
        "name": f"numbers · {of.name}",
        "features": {
            "grain": [grain.id for grain in grains],
            "diameter (nm)": [round(grain.diameter, 2) for grain in grains],
        },
        "size": 0.004 * of.extent[1],
        "face_color": "transparent",
        "border_width": 0,
        "border_color": "transparent",
        "text": {**_text(0.028 * of.extent[1]), "string": "{grain}"},
        "visible": len(grains) <= MOST_NUMBERS,
    }
    points = _apart([grain.centre for grain in grains], 0.05 * of.extent[1])
    return points, {**kwargs, "metadata": real_notes("numbers", of)}, "points"


def _apart(centres: Sequence[tuple[float, float]], room: float) -> NDArray[np.float64]:
    """Places of labels: where they would cover each other, the later ones stand to the right.

    Examples
    --------
    >>> _apart([(1.0, 1.0), (1.0, 1.0), (5.0, 1.0)], 0.5).tolist()
    [[1.0, 1.0], [1.0, 1.5], [5.0, 1.0]]
    """
    placed: list[tuple[float, float]] = []
    for y, x in centres:
        while any(abs(y - b) < room and abs(x - a) < 0.999 * room for b, a in placed):
            x += room
        placed.append((y, x))
    return np.array(placed, float).reshape(-1, 2)


def legend_layer(components: Sequence[ComponentMap], of: Micrograph, colours: Mapping[str, str]) -> LayerData:
    """Points layer with the legend of the components' colours, in rows below the micrograph, in nm."""
    shown, width = components[:MOST_ROWS], of.extent[1]
    rows = [of.extent[0] + width * (0.035 + 0.056 * number) for number in range(len(shown))]
    words = [f"{part.name}{_outcome_in_legend(part)}  {100 * part.fraction:.1f} %" for part in shown]
    kwargs = {
        **place((1.0, 1.0), (0.0, 0.0), "nm"),
        "name": f"legend · {of.name}",
        "features": {"component": [part.name for part in shown], "label": words},
        "size": 0.026 * width,
        "symbol": "square",
        "face_color": [colours[part.name] for part in shown] or "white",
        "border_width": 0,
        "border_color": "transparent",
        "text": {
            **_text(0.026 * width),
            "color": BESIDE,
            "anchor": "upper_left",
            "translation": np.array([0.026 * width, 0.025 * width]),
        },
    }
    points = np.array([(row, 0.013 * width) for row in rows], float).reshape(-1, 2)
    return points, {**kwargs, "metadata": real_notes("legend", of)}, "points"


def specimen_layer(specimen: NDArray[np.bool_], grid: MapGrid, of: Micrograph) -> LayerData:
    """Labels layer of the specimen, drawn as its outline; vacuum and holes are outside."""
    kwargs = {
        **over_map(of, grid),
        "name": f"specimen · {of.name}",
        "colormap": [CLEAR, PALETTE[1]],
        "opacity": 0.8,
        "visible": bool(specimen.any() and not specimen.all()),
    }
    notes = real_notes("specimen", of, outline=OUTLINE)
    return specimen.astype(np.uint8), {**kwargs, "metadata": notes}, "labels"


def rings_layer(
    rings: Sequence[Ring],
    plane: Plane,
    of: str,
    reach: float,
    role: str = "rings",
    spots: Sequence[Spot] = (),
) -> LayerData:
    """Shapes layer of rings and their labels, in 1/nm.

    Parameters
    ----------
    rings : sequence of Ring
    plane : Plane
    of : str
        Name of the micrograph.
    reach : float, 1/nm
        Largest frequency shown; it sets the line width.
    role : {"rings", "choice", "phase", "compare"}
        Origin of the rings: peaks of the profile, a selection (highlighted), a candidate, or a phase that is
        compared.
    spots : sequence of Spot
        Spots that labels should not cover.
    """
    # also disabled ones, so that the labels stay in place after an edit
    covered = [(sign * spot.g[0], sign * spot.g[1]) for spot in spots for sign in (1, -1)]
    azimuths = label_azimuths(rings, reach, {"phase": 45, "compare": 20}.get(role, 90), covered)
    carriers = [ring.label_place(a, LABEL_OFFSET * reach) for ring, a in zip(rings, azimuths, strict=True)]
    kwargs = {
        **_drawn_shapes(plane),
        "name": f"{'selection' if role == 'choice' else role} · {of}",
        "shape_type": ["ellipse"] * len(rings) + ["line"] * len(rings),
        "edge_width": (0.008 if role == "choice" else 0.004) * reach,
        "edge_color": [ring.colour for ring in rings] + [CLEAR] * len(rings),
        "face_color": "transparent",
        "opacity": 0.75,
        "features": {
            "label": [""] * len(rings) + [ring.label for ring in rings],
            "d (nm)": [round(1 / ring.g, 5) for ring in rings] * 2,
        },
        "text": _text(0.038 * reach * plane.factor),
    }
    shapes = [ring.box() for ring in rings] + carriers
    return shapes, {**kwargs, "metadata": _reciprocal(role, of, None, plane)}, "shapes"


def pattern_layer(
    pattern: Sequence[PatternSpot],
    name: str,
    labels: Sequence[str],
    plane: Plane,
    of: str,
    colour: str,
    reach: float,
    height: float,
) -> LayerData:
    """Points layer of a simulated pattern over the diffractogram, in 1/nm, with (hkl), and the zone axis.

    Parameters
    ----------
    pattern : sequence of PatternSpot
    name : str
        Phase and zone axis.
    labels : sequence of str
        (hkl) of each spot; empty for spots without a label.
    plane : Plane
    of : str
        Name of the micrograph.
    colour : str
    reach, height : float, 1/nm
        Half the width and half the height of the diffractogram.
    """
    title = (height + 0.1 * reach, 0.0)  # its words stand below the diffractogram, where no spot is
    points = np.array([title, (0.0, 0.0), *(spot.g for spot in pattern)], float)
    kwargs = {
        **_drawn_shapes(plane),
        "name": f"pattern · {of}",
        "features": {
            "label": [name, "", *labels],
            "hkl": ["", "0 0 0", *(" ".join(map(str, spot.hkl)) for spot in pattern)],
            "d (nm)": [np.nan, np.inf, *(round(1 / float(np.hypot(*spot.g)), 5) for spot in pattern)],
        },
        "size": [1e-3 * reach, *[0.05 * reach] * (1 + len(pattern))],
        "symbol": "diamond",
        "face_color": "transparent",
        "border_color": ["transparent", *[colour] * (1 + len(pattern))],
        "border_width": 0.1,
        "text": {
            **_text(0.034 * reach * plane.factor),
            "color": colour,
            "translation": np.array([-0.095 * reach * plane.factor, 0.0]),
        },
    }
    return points, {**kwargs, "metadata": _reciprocal("pattern", of, None, plane)}, "points"


def region_layer(outlines: Sequence[NDArray[np.float64]], plane: Plane, of: str, reach: float) -> LayerData:
    """Shapes layer of the outlines of a region of reciprocal space, in 1/nm."""
    kwargs = {
        **_drawn_shapes(plane),
        "name": f"region · {of}",
        "shape_type": ["path"] * len(outlines),
        "edge_width": 0.006 * reach,
        "edge_color": MASK,
        "face_color": "transparent",
        "features": {"part": list(range(len(outlines)))},
    }
    return list(outlines), {**kwargs, "metadata": _reciprocal("region", of, None, plane)}, "shapes"


def line_layer(
    start: Point,
    end: Point,
    label: str,
    of: str,
    field: tuple[Point, Point],
    plane: Plane | None = None,
    unit: str = "nm",
) -> LayerData:
    """Shapes layer of a measured line with its ends, the angle from +x at its lower end, and its label.

    Parameters
    ----------
    start, end : tuple of float, (y, x)
        End points in the image's coordinates in `unit`; in 1/nm on a diffractogram.
    label : str
    of : str
        Name of the micrograph.
    field : tuple of tuple of float, (y, x)
        Smallest and largest coordinates of the picture, in the same unit; the label stays inside.
    plane : Plane, optional
        Position of the diffractogram, if the line is on it.
    unit : str
        Unit of the image.
    """
    a, b = np.array(start, float), np.array(end, float)
    first, last = np.array(field, float)
    size = float(last[1] - first[1])
    length = max(float(np.hypot(*(b - a))), 1e-9)
    along = (b - a) / length
    # the angle is drawn at the lower end, from which the line points up
    low, up = (a, along) if along[0] < 0 or (along[0] == 0 and along[1] > 0) else (b, -along)
    across = np.array([-abs(up[1]), up[0] * np.sign(up[1] or 1.0)])
    tick = 0.012 * size * across
    radius = min(0.3 * length, 0.08 * size)
    turn = float(np.arctan2(-up[0], up[1]))
    arc = [low + radius * np.array([-np.sin(t), np.cos(t)]) for t in np.linspace(0.0, turn, 24)]
    # half the size of the label, assuming letters about as wide as they are high
    reach = size * np.array([0.045, 0.0145 * max(map(len, label.split("\n"))) + 0.01])
    beyond = b + along * (float(np.abs(along) @ reach) + 0.02 * size)
    place = np.clip(beyond, np.minimum(first + reach, last - reach), last - reach)
    lines = [
        np.array([a, b]),
        *(np.array([tip - tick, tip + tick]) for tip in (a, b)),
        np.array([low, low + 1.3 * radius * np.array([0.0, 1.0])]),
        np.array(arc),
        np.array([place - along * 1e-6 * size, place + along * 1e-6 * size]),
    ]
    return _drawn_lines("line", lines, [*[""] * 5, label], of, size, plane, unit)


def angle_layer(one: Point, other: Point, label: str, plane: Plane, of: str, size: float) -> LayerData:
    """Shapes layer of the angle between two frequencies (y, x) in 1/nm: both vectors, the arc, and the label.

    Parameters
    ----------
    one, other : tuple of float, (y, x), 1/nm
    label : str
    plane : Plane
        Position of the diffractogram.
    of : str
        Name of the micrograph.
    size : float, 1/nm
        Width of the diffractogram.
    """
    first, last = (float(np.arctan2(-g[0], g[1])) for g in (one, other))
    opening = (last - first + np.pi) % (2 * np.pi) - np.pi
    radius = 0.45 * min(float(np.hypot(*one)), float(np.hypot(*other)))
    turns = first + np.linspace(0.0, opening, 48)
    arc = radius * np.stack([-np.sin(turns), np.cos(turns)], axis=1)
    middle = first + opening / 2
    away = np.array([-np.sin(middle), np.cos(middle)])
    carrier = (radius + 0.045 * size) * away
    centre = np.zeros(2)
    lines = [
        np.array([centre, one]),
        np.array([centre, other]),
        arc,
        np.array([carrier, carrier + 1e-6 * size * away]),
    ]
    return _drawn_lines("angle", lines, ["", "", "", label], of, size, plane)


def _drawn_lines(
    kind: str,
    lines: Sequence[NDArray[np.float64]],
    labels: Sequence[str],
    of: str,
    size: float,
    plane: Plane | None = None,
    unit: str = "nm",
) -> LayerData:
    """Shapes layer of lines, of which the last one is invisible and carries the label."""
    kwargs: dict[str, Any] = {
        **(_drawn_shapes(plane) if plane is not None else place((1.0, 1.0), (0.0, 0.0), unit)),
        "name": f"{kind} · {of}",
        "shape_type": ["path"] * len(lines),
        "edge_width": 0.004 * size,
        "edge_color": [MEASURED] * (len(lines) - 1) + [CLEAR],
        "face_color": "transparent",
        "features": {"label": list(labels)},
        "opacity": 1.0,
        "text": {**_text(0.03 * size * (plane.factor if plane is not None else 1.0)), "color": MEASURED},
    }
    if plane is None:
        return list(lines), {**kwargs, "metadata": {KEY: {"role": kind, "of": of}}}, "shapes"
    role = "line_fft" if kind == "line" else kind
    return list(lines), {**kwargs, "metadata": _reciprocal(role, of, None, plane)}, "shapes"


def part_layer(of: Micrograph, side: int) -> LayerData:
    """Shapes layer with a movable square of `side` pixels in the centre of the micrograph, in nm."""
    middle = np.array(of.extent) / 2
    reach = side * np.array(of.pixel_size) / 2
    square = [middle + reach * np.array(corner) for corner in ((-1, -1), (-1, 1), (1, 1), (1, -1))]
    kwargs = {
        **place((1.0, 1.0), (0.0, 0.0), "nm"),
        "name": f"ROI · {of.name}",
        "shape_type": "rectangle",
        "edge_width": 0.006 * of.extent[1],
        "edge_color": MASK,
        "face_color": "#FFFFFF18",
    }
    return [np.array(square)], {**kwargs, "metadata": real_notes("part", of)}, "shapes"


def bars_layer(bars: Sequence[Bar], of: str) -> LayerData:
    """Shapes layer of scale bars, each correct at its position, in world units of nm."""
    kwargs = {
        **place((1.0, 1.0), (0.0, 0.0), "nm"),
        "name": f"scale bars · {of}",
        "shape_type": "rectangle",
        "edge_width": 0,
        "edge_color": "transparent",
        "face_color": ["#000000A0"] * len(bars) + ["#FFFFFF"] * len(bars),
        "features": {"label": [bar.label for bar in bars] + [""] * len(bars)},
        "text": {**_text(0.026 * bars[0].width), "translation": np.array([-0.014 * bars[0].width, 0.0])},
    }
    shapes = [bar.plate for bar in bars] + [bar.stroke for bar in bars]
    return shapes, {**kwargs, "metadata": {KEY: {"role": "bars", "of": of}}}, "shapes"


def _outcome_in_legend(component: ComponentMap) -> str:
    if component.bent is not None:
        return f" (d {component.bent.d_low:.3f}-{component.bent.d_high:.3f} nm)"
    return f" ({component.outcome})" if component.phases else ""


def _text(size: float) -> dict[str, Any]:
    """Labels that scale with the zoom; the size is in world units."""
    return {"string": "{label}", "size": size, "scaling": True, "color": "white", "anchor": "center"}


def role_of(layer_data: LayerData) -> str:
    """Role of a layer tuple in its group: "fft", "mask", "heat LiF"."""
    role: str = layer_data[1]["metadata"][KEY]["role"]
    return role


def plane_of(metadata: Mapping[str, Any]) -> Plane:
    """Position of reciprocal space, from the metadata of any layer in it."""
    notes = metadata[KEY]
    return Plane(notes["centre"], notes["world_per_inverse_nm"], notes["world_unit"])


def _on_grid(grid: FrequencyGrid, plane: Plane) -> dict[str, Any]:
    return place(plane.cell_size(grid), plane.corner(grid), plane.unit)


def _drawn_shapes(plane: Plane) -> dict[str, Any]:
    return place((plane.factor, plane.factor), plane.centre, plane.unit)


def over_map(micrograph: Micrograph, grid: MapGrid) -> dict[str, Any]:
    """Position over the micrograph, with coinciding outer edges (not centres of the first pixels)."""
    corner = [(a - b) / 2 for a, b in zip(grid.pixel_size, micrograph.pixel_size, strict=True)]
    return place(grid.pixel_size, corner, "nm")


def real_notes(role: str, of: Micrograph, **notes: Any) -> dict[str, Any]:
    """Metadata of a layer over a micrograph."""
    return {KEY: {"role": role, "of": of.name, "file_hash": of.file_hash, **notes}}


def _reciprocal(role: str, of: str, grid: FrequencyGrid | None, plane: Plane, **notes: Any) -> dict[str, Any]:
    step = {} if grid is None else {"step_1_nm": grid.step}
    where = {"centre": plane.centre, "world_per_inverse_nm": plane.factor, "world_unit": plane.unit}
    return {KEY: {"role": role, "of": of, **where, **step, **notes}}
