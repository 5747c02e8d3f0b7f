"""PictureOptions: panels, file formats and resolution of figures."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Panel = Literal["micrograph", "fft", "components", "profile"]
Format = Literal["png", "svg", "pdf"]
PANELS: tuple[Panel, ...] = ("micrograph", "fft", "components", "profile")
FORMATS: tuple[Format, ...] = ("png", "svg", "pdf")
#: Default, smallest and largest resolution, dots per inch.
DPI, LEAST_DPI, MOST_DPI = 100, 30, 1200


@dataclass(frozen=True, slots=True)
class PictureOptions:
    """How the overview of an analysis is drawn and saved.

    Attributes
    ----------
    panels : tuple of {"micrograph", "fft", "components", "profile"}
        Panels to draw, always in this order.
    formats : tuple of {"png", "svg", "pdf"}
        Text in SVG and PDF files remains text; images in them have the resolution `dpi`.
    dpi : int
        Dots per inch; an image panel is about 5.5 inches wide.

    Raises
    ------
    ValueError
        If there is no panel or format, one is unknown, or the resolution is out of range.

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
                raise ValueError(f"{', '.join(unknown) or 'nothing'} is not a {what}: {', '.join(known)}")
        if not LEAST_DPI <= self.dpi <= MOST_DPI:
            raise ValueError(f"{self.dpi} dpi: choose {LEAST_DPI} to {MOST_DPI}")
        object.__setattr__(self, "panels", tuple(one for one in PANELS if one in self.panels))


def save_figure(figure: Figure, path: Path, dpi: int = DPI, trim: bool = False) -> None:
    """Save a figure in the format given by the file's suffix; text in SVG and PDF files remains text.

    With `trim`, empty margins are removed.

    Raises
    ------
    ValueError
        If the suffix is not one of `FORMATS`.
    OSError
        If the file cannot be written.
    """
    import warnings

    from matplotlib import rc_context

    kind = path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise ValueError(f"{path.name}: figures are saved as {', '.join(f'.{one}' for one in FORMATS)}")
    more: dict[str, Any] = {"metadata": {"Date": None}} if kind == "svg" else {}
    more |= {"pil_kwargs": {"compress_level": 1}} if kind == "png" else {}
    more |= {"bbox_inches": "tight"} if trim else {}
    with rc_context({"svg.fonttype": "none", "pdf.fonttype": 42}), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph")  # characters that the font lacks are drawn as boxes
        figure.savefig(path, format=kind, dpi=dpi, **more)
