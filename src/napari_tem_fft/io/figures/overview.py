"""Overview figure of an analysis: micrograph, diffractogram, components and profile.

Drawn with matplotlib's objects: it needs no display and does not touch pyplot.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import Circle, Patch, Rectangle
from matplotlib.patheffects import withStroke
from numpy.typing import ArrayLike, NDArray

from ...core.crystal.phase import format_hkl
from ...core.fourier.diffractogram import display
from ...core.grains.regions import box_of
from ...core.image.micrograph import Micrograph
from ...core.maps.component_map import UNKNOWN, ComponentMap, colours_of, component_name
from ...core.matching.result import indexed_as, matches_of_spots
from ...core.pipeline import Analysis
from ...core.profile.radial_profile import listed_peaks
from ...core.text import LengthUnit, in_unit, length, round_length, symbol, with_sigma
from .labels import distinct_peaks, plain_words, ring_groups, scale_by_log, spread_labels
from .picture import DPI, PANELS, PictureOptions, save_figure

#: Width of an image panel, height of the row of images and of the profile, space for a legend of eight
#: components, and smallest width of a profile, inches.
PANEL, IMAGE_ROW, PROFILE_ROW, LEGEND, LEAST_PROFILE = 6.0, 7.2, 3.8, 1.9, 10.0
#: Largest number of pixels per axis of the displayed micrograph.
SHOWN = 900
MOST_NAMED = 8
#: Longest line of the legend, characters; longer ones do not fit into the figure.
WIDEST_LEGEND = 64
#: Largest number of spots labelled with hkl, and distance of the labels from them, 1/nm.
MOST_INDEXED, BESIDE = 16, 0.3
CURVES = {"whole image": "#777777", "masked": "#0072B2", "local maximum": "#D55E00"}
OUTLINE = [withStroke(linewidth=2.5, foreground="black")]


def write_overview(
    path: Path,
    analysis: Analysis,
    unit: LengthUnit = "nm",
    known: Mapping[str, str] | None = None,
    options: PictureOptions | None = None,
) -> None:
    """Draw the overview of an analysis into a file; `known` are colours that components already have.

    Raises
    ------
    ValueError
        If the file's suffix is not .png, .svg or .pdf.
    OSError
        If the file cannot be written.
    """
    options = options or PictureOptions()
    trim = options.panels != PANELS
    save_figure(overview(analysis, unit, known, options), path, options.dpi, trim)


def overview(
    analysis: Analysis,
    unit: LengthUnit = "nm",
    known: Mapping[str, str] | None = None,
    options: PictureOptions | None = None,
) -> Figure:
    """Overview of an analysis as a figure, not registered with pyplot; d-spacings are in `unit`.

    Images are side by side with the profile below them; panels that `options` omit leave no gap.
    """
    options = options or PictureOptions()
    images = [panel for panel in options.panels if panel != "profile"]
    figure, rows = _figure(images, "profile" in options.panels)
    colours = colours_of((component.name for component in analysis.components), known)
    image, extent = shown_image(analysis.micrograph, SHOWN * max(options.dpi, DPI) // DPI)
    for panel, axes in zip(images, rows[0], strict=True):
        match panel:
            case "micrograph":
                _draw_micrograph(axes, analysis.micrograph, image, extent)
            case "fft":
                _draw_diffractogram(axes, analysis, colours, unit)
            case "components":
                _draw_components(axes, analysis, image, extent, colours, unit)
    for axes in rows[1]:
        _draw_profiles(axes, analysis, unit)
    return figure


def _figure(images: Sequence[str], profile: bool) -> tuple[Figure, tuple[list[Axes], list[Axes]]]:
    """Create a figure with axes for the images and, below them, the profile; margins are in inches."""
    width = max(PANEL * len(images), LEAST_PROFILE if profile else 0.0)
    legend = LEGEND if "components" in images and not profile else 0.0
    height = (IMAGE_ROW if images else 0.0) + (PROFILE_ROW if profile else 0.0) + legend
    figure = Figure(figsize=(width, height), dpi=DPI)
    sides = {
        "left": 0.85 / width,
        "right": 1 - 0.27 / width,
        "top": 1 - 0.66 / height,
        "bottom": (0.55 + legend) / height,
    }
    ratios = [1.75] * bool(images) + [1.0] * profile
    grid = figure.add_gridspec(
        len(ratios), max(len(images), 1), height_ratios=ratios, wspace=0.17, hspace=0.32, **sides
    )
    top = [figure.add_subplot(grid[0, i]) for i in range(len(images))]
    return figure, (top, [figure.add_subplot(grid[-1, :])] if profile else [])


def shown_image(
    micrograph: Micrograph, most: int = SHOWN
) -> tuple[NDArray[np.float32], tuple[float, float, float, float]]:
    """Micrograph binned to at most 900 x 900 pixels, grey levels 0..1, and its extent for `imshow` in nm."""
    factors = [max(1, -(-n // most)) for n in micrograph.shape]
    ny, nx = (n // f * f for n, f in zip(micrograph.shape, factors, strict=True))
    blocks = micrograph.pixels[:ny, :nx].reshape(ny // factors[0], factors[0], nx // factors[1], factors[1])
    image = np.nan_to_num(blocks.mean(axis=(1, 3), dtype=np.float64), posinf=0.0, neginf=0.0)
    low, high = np.percentile(image, (0.5, 99.5))
    grey = np.clip((image - low) / max(high - low, 1e-12), 0, 1).astype(np.float32)
    py, px = micrograph.pixel_size
    return grey, (0.0, nx * px, ny * py, 0.0)


def _draw_micrograph(
    axes: Axes, micrograph: Micrograph, image: NDArray[np.float32], extent: tuple[float, float, float, float]
) -> None:
    ny, nx = micrograph.shape
    py, px = micrograph.pixel_size
    pixel = f"{px:.4g} nm" if np.isclose(py, px, rtol=1e-4) else f"{px:.4g} x {py:.4g} nm"
    known = f"± {100 * micrograph.calibration.uncertainty:.2g} % ({_short(micrograph.calibration.source)})"
    axes.set_title(
        f"{plain_words(_short(micrograph.name))}\n{nx} x {ny} pixels of {pixel} {known}", fontsize=11
    )
    axes.imshow(image, cmap="gray", vmin=0, vmax=1, extent=extent)
    scale_bar(axes, extent)


def _short(name: str, most: int = 48) -> str:
    return name if len(name) <= most else f"{name[: most - 1]}…"


def scale_bar(axes: Axes, extent: tuple[float, float, float, float]) -> None:
    """Draw a scale bar of about a fifth of the width, with a round length in nm, at the lower left."""
    _, width, height, _ = extent
    length = round_length(width / 4)
    x, y = 0.04 * width, height - 0.05 * max(width, height)
    bar = Rectangle((x, y), length, 0.012 * max(width, height), facecolor="white", edgecolor="black")
    axes.add_patch(bar)
    axes.text(
        x + length / 2, y - 0.01 * height, f"{length:g} nm", color="white", ha="center", va="bottom",
        fontsize=12, fontweight="bold", path_effects=OUTLINE,
    )  # fmt: skip
    axes.set_axis_off()


def _draw_diffractogram(axes: Axes, analysis: Analysis, colours: Mapping[str, str], unit: LengthUnit) -> None:
    grid, image = display(analysis.diffractogram)
    (oy, ox), (sy, sx) = grid.origin, grid.step
    extent = (ox - sx / 2, -ox + sx / 2, -oy + sy / 2, oy - sy / 2)
    high = max(float(np.percentile(image, 99.95)), 1.0)
    # matplotlib would colour all cells before it selects the displayed ones: 250 MB for the same picture
    axes.imshow(
        image, cmap="gray", vmin=-0.5, vmax=high, extent=extent, interpolation="nearest",
        interpolation_stage="data",
    )  # fmt: skip
    spots = [spot for spot in analysis.spots if spot.enabled]
    owners = _owners(analysis)
    for spot in spots:
        colour = colours.get(owners.get(spot.id, ""), UNKNOWN)
        for sign in (1, -1):
            centre = (sign * spot.g[1], sign * spot.g[0])
            axes.add_patch(Circle(centre, max(spot.radius, 0.1), fill=False, edgecolor=colour, linewidth=1.3))
    _name_spots(axes, analysis)
    groups = ring_groups(spots)
    for number, (g, members) in enumerate(groups):
        names = {owners.get(spot.id, "") for spot in members}
        colour = colours.get(names.pop(), "white") if len(names) == 1 else "white"
        _ring(axes, g, number, colour, length(1 / g, unit))
    reach = _reach([g for g, _ in groups], analysis.diffractogram.q_max)
    axes.set(xlim=(-reach, reach), ylim=(reach, -reach), xlabel="g along x (1/nm)", ylabel="g along y (1/nm)")
    pairs = f"{len(spots)} pair{'' if len(spots) == 1 else 's'} of spots"
    axes.set_title(f"diffractogram, rings at d in {symbol(unit)}\n{pairs}", fontsize=11)


def _name_spots(axes: Axes, analysis: Analysis) -> None:
    """Label the strongest spots of named phases with hkl and overbars, on the side away from the centre."""
    matches = matches_of_spots(analysis.grains, analysis.matches)
    known = {phase.id: phase for phase in analysis.known_phases}
    indexed = [
        (spot, matches[spot.id], found)
        for spot in sorted(analysis.spots, key=lambda spot: -spot.snr)
        if spot.enabled and spot.id in matches and (found := indexed_as(spot.id, matches[spot.id]))
    ]
    for spot, match, found in indexed[:MOST_INDEXED]:
        y, x = (g * (1 + BESIDE / spot.length) for g in spot.g)
        name = format_hkl(found.hkl, known.get(match.candidates[0].phase), "overbar")
        axes.text(
            x, y, name, color="white", fontsize=8, ha="center", va="center", path_effects=OUTLINE,
            clip_on=True,
        )  # fmt: skip


def _owners(analysis: Analysis) -> dict[int, str]:
    """Component of each spot that belongs to a grain."""
    matches = matches_of_spots(analysis.grains, analysis.matches)
    return {spot: component_name(match) for spot, match in matches.items()}


def _ring(axes: Axes, g: float, number: int, colour: str, label: str) -> None:
    axes.add_patch(Circle((0, 0), g, fill=False, edgecolor=colour, linewidth=0.9, linestyle=":"))
    angle = np.radians(20 + 34 * (number % 5) + 180 * (number % 2))
    axes.text(
        g * np.cos(angle), -g * np.sin(angle), label, color="white", fontsize=9, ha="center",
        va="center", path_effects=OUTLINE, clip_on=True,
    )  # fmt: skip


def _reach(rings: Sequence[float], q_max: float) -> float:
    return float(np.clip(1.25 * max(rings, default=q_max), 0.4 * q_max, q_max))


def _draw_components(
    axes: Axes,
    analysis: Analysis,
    image: NDArray[np.float32],
    extent: tuple[float, float, float, float],
    colours: Mapping[str, str],
    unit: LengthUnit,
) -> None:
    axes.imshow(image, cmap="gray", vmin=-0.2, vmax=1.2, extent=extent)
    (ny, nx), (py, px) = analysis.map_grid.shape, analysis.map_grid.pixel_size
    whole = (0.0, nx * px, ny * py, 0.0)
    for component in analysis.components:
        layer = np.empty((ny, nx, 4), np.float32)
        layer[..., :3] = to_rgb(colours[component.name])
        layer[..., 3] = 0.6 * np.clip(component.heat, 0, 1)
        axes.imshow(layer, extent=whole, interpolation="nearest")
        draw_outline(axes, component.mask, whole, colours[component.name])
    draw_outline(axes, analysis.specimen, whole, "white")
    axes.set(xlim=extent[:2], ylim=extent[2:])
    scale_bar(axes, extent)
    title = "components" if analysis.components else "no crystal found"
    drawn = ", drawn by the user" if analysis.specimen_by_user else ""
    axes.set_title(f"{title}\nspecimen {analysis.specimen.sum() * py * px:.0f} nm²{drawn}", fontsize=11)
    _name_components(axes, analysis.components, colours, unit)


def _name_components(
    axes: Axes, components: Sequence[ComponentMap], colours: Mapping[str, str], unit: LengthUnit
) -> None:
    """Draw a legend below the axes: the largest eight components, in a smaller font if there are many."""
    patches = [Patch(color=colours[part.name], label=_legend(part, unit)) for part in components[:MOST_NAMED]]
    if patches:
        size = 10 if len(patches) <= 4 else 8
        axes.legend(
            handles=patches, loc="upper center", bbox_to_anchor=(0.5, -0.01), fontsize=size, frameon=False
        )


def draw_outline(
    axes: Axes, mask: NDArray[np.bool_], extent: tuple[float, float, float, float], colour: str
) -> None:
    """Draw the outline of a mask that covers `extent`, using only the part of the mask that is needed."""
    if not mask.any() or mask.all():
        return
    # matplotlib's line keeps its source array: masks of hundreds of grains would fill the memory
    sides = [
        slice(max(side.start - 1, 0), min(side.stop + 1, n))
        for side, n in zip(box_of(mask), mask.shape, strict=True)
    ]
    left, right, bottom, top = extent
    y, x = (
        first + (last - first) * np.array([side.start, side.stop]) / n
        for side, n, (first, last) in zip(sides, mask.shape, ((top, bottom), (left, right)), strict=True)
    )
    axes.contour(
        mask[tuple(sides)], levels=[0.5], colors=colour, linewidths=1.0, extent=(*x, *y[::-1]), origin="upper"
    )


def _legend(component: ComponentMap, unit: LengthUnit) -> str:
    area = f"{with_sigma(component.area, component.area_sigma)} nm²"
    if component.bent is not None:
        words, _, hint = component.bent.words(unit).partition("; ")
        hint = f"{hint}  " if hint else ""
        return f"{words}:\n    {hint}{area}, {component.fraction:.1%} of the specimen"
    said = ", by the user" if component.by_user else ""
    words = component.outcome_words
    first, second = f"{component.name}  ({words}{said}):", f"{area}, {component.fraction:.1%} of the specimen"
    gap = "  " if len(first) + len(second) <= WIDEST_LEGEND else "\n    "
    return f"{first}{gap}{second}"


def _draw_profiles(axes: Axes, analysis: Analysis, unit: LengthUnit) -> None:
    """Draw each curve divided by its background, so that all share one axis."""
    top = 1.0
    for profile in analysis.profiles:
        ratio = _over_background(profile.intensity, profile.background)
        colour = CURVES.get(profile.curve, "black")
        axes.plot(profile.g, ratio, color=colour, linewidth=1.2, label=profile.curve)
        for peak in profile.peaks:
            axes.plot(peak.g, np.interp(peak.g, profile.g, np.nan_to_num(ratio)), "v", color=colour, ms=5)
        top = max(top, float(np.nanmax(ratio, initial=1.0)))
    limits = analysis.diffractogram.q_min, analysis.diffractogram.q_max
    axes.set(
        xlim=limits, ylim=(0.5, 0.5 * (2 * top) ** 1.4), xlabel="g (1/nm)", ylabel="intensity / background"
    )
    scale_by_log(axes)
    second = axes.secondary_xaxis("top", functions=(_inverse, _inverse))
    ticks = [d for d in (0.5, 0.4, 0.3, 0.25, 0.2, 0.16, 0.14, 0.12, 0.1) if 1 / d <= limits[1]]
    second.set_xticks(ticks, [f"{in_unit(d, unit):g}" for d in ticks])
    second.set_xlabel(f"d ({symbol(unit)})")
    _label_peaks(axes, analysis, limits, unit)
    axes.legend(loc="upper right", bbox_to_anchor=(1.0, 0.76), fontsize=10)


def _over_background(intensity: NDArray[np.float64], background: NDArray[np.float64]) -> NDArray[np.float64]:
    usable = np.isfinite(background) & (background > 0)
    # where a mask blocks everything both are zero: the ratio is set to 1, so that the curve has no gap
    ratio = np.where(np.isfinite(background), 1.0, np.nan)
    np.divide(intensity, background, out=ratio, where=usable)
    return ratio


def _inverse(values: ArrayLike) -> NDArray[np.float64]:
    given = np.asarray(values, float)
    inverse = np.full(given.shape, 1e9)
    np.divide(1.0, given, out=inverse, where=given != 0)
    return inverse


def _label_peaks(axes: Axes, analysis: Analysis, limits: tuple[float, float], unit: LengthUnit) -> None:
    """Label the most significant peaks with d, side by side without overlap, with lines to the peaks."""
    chosen = distinct_peaks(listed_peaks(analysis.profiles))
    gap = 0.016 * (limits[1] - limits[0])
    for peak, x in zip(chosen, spread_labels([peak.g for peak in chosen], gap), strict=True):
        axes.annotate(
            length(peak.d, unit), xy=(peak.g, 0.76), xytext=(x, 0.98), xycoords=("data", "axes fraction"),
            textcoords=("data", "axes fraction"), rotation=90, ha="center", va="top", fontsize=9,
            color=CURVES.get(peak.curve, "black"),
            arrowprops={"arrowstyle": "-", "color": "0.6", "linewidth": 0.6},
        )  # fmt: skip
