"""PictureOptions: which panels a picture has, in which formats; what is labelled in it, and where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from ...core.profile.radial_profile import ProfilePeak
from ...core.saed.measure import PatternMeasurement
from ...core.spots.spot import Spot
from ...core.text import printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Panel = Literal["micrograph", "fft", "components", "profile"]
Format = Literal["png", "svg", "pdf"]
PANELS: tuple[Panel, ...] = ("micrograph", "fft", "components", "profile")
FORMATS: tuple[Format, ...] = ("png", "svg", "pdf")
#: Pixels per inch by default, at least and at most.
DPI, LEAST_DPI, MOST_DPI = 100, 30, 1200


@dataclass(frozen=True, slots=True)
class PictureOptions:
    """How the overview of an analysis is drawn and written.

    Attributes
    ----------
    panels : tuple of {"micrograph", "fft", "components", "profile"}
        Panels to draw. They always appear in this order.
    formats : tuple of {"png", "svg", "pdf"}
        Text stays text in the last two; images in them have `dpi` as well.
    dpi : int
        Pixels per inch; an image panel is about 5.5 inches wide.

    Raises
    ------
    ValueError
        If there is no panel or format, one is unknown, or the dpi are out of the question.

    Examples
    --------
    >>> PictureOptions(("profile", "fft")).panels
    ('fft', 'profile')
    """

    panels: tuple[Panel, ...] = PANELS
    formats: tuple[Format, ...] = ("png",)
    dpi: int = DPI

    def __post_init__(self) -> None:
        for given, known, what in ((self.panels, PANELS, "panel"), (self.formats, FORMATS, "format")):
            unknown = [one for one in given if one not in known]
            if unknown or not given:
                raise ValueError(f"{', '.join(unknown) or 'nothing'} is no {what}: {', '.join(known)}")
        if not LEAST_DPI <= self.dpi <= MOST_DPI:
            raise ValueError(f"{self.dpi} dpi: choose {LEAST_DPI} to {MOST_DPI}")
        object.__setattr__(self, "panels", tuple(one for one in PANELS if one in self.panels))


def save_figure(figure: Figure, path: Path, dpi: int = DPI, trim: bool = False) -> None:
    """Write a figure in the format that the file's suffix names; text of SVG and PDF stays text.

    With `trim` it ends a little outside of what is drawn.

    Raises
    ------
    ValueError
        For another suffix than those of `FORMATS`.
    OSError
        If the file cannot be written.
    """
    import warnings

    from matplotlib import rc_context

    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise ValueError(f"{path.name}: pictures are written as {', '.join(f'.{one}' for one in FORMATS)}")
    more: dict[str, Any] = {"metadata": {"Date": None}} if kind == "svg" else {}
    more |= {"pil_kwargs": {"compress_level": 1}} if kind == "png" else {}
    more |= {"bbox_inches": "tight"} if trim else {}
    with rc_context({"svg.fonttype": "none", "pdf.fonttype": 42}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # a name in a script that the font lacks has boxes there
        figure.savefig(path, format=kind, dpi=dpi, **more)


#: Spots and peaks whose d differ by less than this share get one label.
SAME_D = 0.006
MOST_RINGS = 12
MOST_PEAKS = 22
#: Most spacings that are listed for a component, from its strongest spots.
MOST_D = 4


def plain_words(text: str) -> str:
    """A name as it stands in a picture: what cannot be printed escaped, and no dollar for a formula."""
    return printable(text).replace("$", r"\$")


def scale_by_log(axes: Axes) -> None:
    """A logarithmic axis of heights with plain numbers: powers as formulas take long to draw."""
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")


def calibration_words(measured: PatternMeasurement) -> str:
    """Scale, how well it is known, and who says so, in a line."""
    calibration = measured.micrograph.calibration
    sy, sx = calibration.scale
    scale = f"{sx:.5g}" if np.isclose(sy, sx, rtol=1e-4) else f"{sx:.5g} x {sy:.5g}"
    return f"{scale} 1/nm a pixel ± {100 * calibration.uncertainty:.2g} % ({calibration.source})"


def ring_groups(spots: Sequence[Spot]) -> list[tuple[float, list[Spot]]]:
    """Spots of nearly the same d together, with their mean g in 1/nm: the strongest dozen, by rising g."""
    groups: list[list[Spot]] = []
    for spot in sorted(spots, key=lambda spot: spot.length):
        if groups and spot.length / groups[-1][-1].length - 1 < SAME_D:
            groups[-1].append(spot)
        else:
            groups.append([spot])
    strongest = sorted(groups, key=lambda group: -max(spot.snr for spot in group))[:MOST_RINGS]
    rings = [(float(np.mean([spot.length for spot in group])), group) for group in strongest]
    return sorted(rings, key=lambda ring: ring[0])


def distinct_peaks(peaks: Sequence[ProfilePeak]) -> list[ProfilePeak]:
    """The most significant peaks by rising g; of those with nearly the same d only the strongest."""
    chosen: list[ProfilePeak] = []
    for peak in sorted(peaks, key=lambda peak: -peak.significance):
        if len(chosen) < MOST_PEAKS and all(abs(peak.g / other.g - 1) > SAME_D for other in chosen):
            chosen.append(peak)
    return sorted(chosen, key=lambda peak: peak.g)


def spread_labels(positions: Sequence[float], gap: float) -> NDArray[np.float64]:
    """Rising positions moved as little as possible (least squares) so that neighbours keep a gap.

    By pooling adjacent violators: positions without their gaps need only be non-decreasing.
    """
    pools: list[tuple[float, int]] = []
    for i, position in enumerate(positions):
        pool = (position - i * gap, 1)
        while pools and pools[-1][0] > pool[0]:
            value, count = pools.pop()
            pool = ((value * count + pool[0] * pool[1]) / (count + pool[1]), count + pool[1])
        pools.append(pool)
    flat = np.repeat([value for value, _ in pools], [count for _, count in pools])
    moved: NDArray[np.float64] = flat + gap * np.arange(len(flat))
    return moved


def spacings(spots: Sequence[tuple[float, float]]) -> list[float]:
    """Measured d of the strongest spots, given as (d in nm, SNR), each once, largest first."""
    chosen: list[float] = []
    for d, _ in sorted(spots, key=lambda spot: -spot[1]):
        if len(chosen) < MOST_D and all(abs(d / other - 1) > SAME_D for other in chosen):
            chosen.append(d)
    return sorted(chosen, reverse=True)
