"""Layers of quantities within grains: orientation, change of d, rotation, strain."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from ..core.maps.component_map import CIRCULAR, DIVERGING, deformation_limits
from ..core.maps.map_grid import MapGrid
from ..core.maps.orientation import (
    colour_factors,
    families,
    finer_factor,
    orientation_map,
    orientations,
)
from ..core.maps.strain import SHOWN, Deformation, Shown, deformation_map, unused_reference
from ..core.pipeline import Analysis
from ..core.progress import Step
from ..core.reanalysis import measure_deformation
from .image import KEY, SMOOTH, LayerData, place
from .results import BESIDE, over_map, real_notes

#: Largest number of grains with a single direction that are listed in a note.
MOST_SINGLE = 4


#: Titles of the colour bars of the deformation layers.
_MEANINGS: dict[Shown, str] = {
    "d_change": "change of d within a grain (%)",
    "rotation": "rotation within a grain (°)",
    "eps_xx": "strain along x (%)",
    "eps_yy": "strain along y (%)",
    "eps_xy": "shear strain (%)",
}


def grain_layer_steps(
    analysis: Analysis, reference: str | None = None
) -> Generator[Step, None, tuple[LayerData, ...]]:
    """Create the layers "orientation", "d_change", "rotation" and strain, transparent where below the noise.

    The deformation is measured if the analysis does not contain it.

    Parameters
    ----------
    reference : str, optional
        The undeformed reference, as in `DeformationParams.reference`; by default that of the analysis.
    """
    yield Step("deformation", 0, 2)
    asked = analysis.params.deformation.reference
    reference = asked if reference is None else reference
    wanted = replace(analysis.params.deformation, deformation=True, reference=reference)
    known = analysis.deformations if reference == asked else ()
    deformed = known or measure_deformation(analysis, wanted).deformations
    found = orientations(analysis.components, analysis.grains, analysis.matches, analysis.spots)
    yield Step("maps", 1, 2)
    planes = families(found, analysis.known_phases)
    share, shape = analysis.params.grains.false_share, analysis.map_grid.shape
    grains = analysis.grains, analysis.grain_regions, analysis.specimen
    finer = finer_factor(shape)
    azimuth = orientation_map(found, *grains, deformed, share, colours=True, finer=finer)
    factors = f", {words}" if (words := colour_factors(found)) else ""
    maps = [
        _layer(analysis, "orientation", azimuth, CIRCULAR, (0.0, 180.0), f"azimuth (°{factors}) of {planes}")
    ]
    for what in SHOWN:
        factor = np.float32(1 if what == "rotation" else 100)
        image = factor * deformation_map(deformed, what, shape, share)
        maps.append(_layer(analysis, what, image, DIVERGING, deformation_limits(image), _MEANINGS[what]))
    notes = (unused_reference(deformed, wanted), *_exceptions(deformed))
    maps[1][1]["metadata"][KEY]["note"] = "\n".join(filter(None, notes))
    return (*maps, _key_layer(analysis, maps))


def _exceptions(deformed: Sequence[Deformation]) -> Iterator[str]:
    """Notes on grains whose reference is the given region, and on grains with only one direction."""
    region = " ".join(str(part.grain) for part in deformed if part.of_region)
    if region:
        yield f"strain and rotation are relative to the region in grains {region}, else to each grain's mean"
    single = [part for part in deformed if part.along is not None]
    if single:
        along = ", ".join(f"{part.grain} ({part.along:.0f}°)" for part in single[:MOST_SINGLE])
        more = ", ..." if len(single) > MOST_SINGLE else ""
        yield f"no strain, but the change of d along their only g: grains {along}{more}"


def legend(layers: tuple[LayerData, ...]) -> str:
    """What the colours of the layers mean, one line per layer, and one for those without visible values."""
    lines, noise = [], []
    for _, kwargs, kind in layers:
        if kind != "image":
            continue
        low, high = kwargs["contrast_limits"]
        notes = kwargs["metadata"][KEY]
        if notes["share"]:
            lines.append(f"{notes['meaning']}: {low:.3g} to {high:.3g}, on {notes['share']:.0%} of the map")
        else:
            noise.append(notes["meaning"])
    notes = [kwargs["metadata"][KEY].get("note", "") for _, kwargs, _ in layers]
    return "\n".join([*filter(None, notes), *lines, *([f"below noise: {', '.join(noise)}"] if noise else [])])


def _key_layer(analysis: Analysis, maps: Sequence[LayerData]) -> LayerData:
    """Points layer with the title of each map's colour bar, in rows above the micrograph, in nm."""
    of, width = analysis.micrograph, analysis.micrograph.extent[1]
    shown = [kwargs for _, kwargs, _ in maps if kwargs["metadata"][KEY]["share"]]
    names = [str(kwargs["name"]).split(" · ")[0] for kwargs in shown]
    reach = ["{:.3g} to {:.3g}".format(*kwargs["contrast_limits"]) for kwargs in shown]
    short = [kwargs["metadata"][KEY]["meaning"].partition(")") for kwargs in shown]  # up to the unit
    words = [
        f"{name}: {meaning}{unit}, {limits}"
        for name, (meaning, unit, _), limits in zip(names, short, reach, strict=True)
    ]
    # on the right, because napari's colour bars are on the left
    rows = [(-width * (0.035 + 0.056 * n), width) for n in range(len(words))]
    points = np.array(rows, float).reshape(-1, 2)
    kwargs = {
        **place((1.0, 1.0), (0.0, 0.0), "nm"),
        "name": f"colour bars · {of.name}",
        "features": {"label": words},
        "size": 0.001 * width,
        "face_color": "transparent",
        "border_width": 0,
        "border_color": "transparent",
        "text": {
            "string": "{label}",
            "size": 0.024 * width,
            "scaling": True,
            "color": BESIDE,
            "anchor": "upper_right",
        },
    }
    return points, {**kwargs, "metadata": real_notes("key", of)}, "points"


def _layer(
    analysis: Analysis,
    role: str,
    image: NDArray[np.float32],
    colours: str,
    limits: tuple[float, float],
    meaning: str,
) -> LayerData:
    of = analysis.micrograph
    shown = float(np.isfinite(image).mean())
    kwargs = {
        **over_map(of, MapGrid(image.shape, (of.extent[0] / image.shape[0], of.extent[1] / image.shape[1]))),
        "name": f"{role.replace('d_change', 'change of d')} · {of.name}",
        "colormap": colours,
        "contrast_limits": limits,
        "blending": "translucent_no_depth",
        "opacity": 0.9,
        # the mean azimuth of 179 and 1 degrees is not 90: no interpolation, but finer pixels
        "interpolation2d": "nearest" if role == "orientation" else SMOOTH,
        "visible": role == "orientation",
    }
    notes = real_notes(role, of, meaning=meaning, share=shown, colour_bar=True)
    return image, {**kwargs, "metadata": notes}, "image"
