"""A matplotlib canvas in napari's colours, with a toolbar whose icons can be seen in any theme."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from threading import Lock
from time import perf_counter
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backend_bases import Event, RendererBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.backends.backend_qt import NavigationToolbar2QT
from matplotlib.backends.backend_qtagg import FigureCanvasQTAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform, Transform
from napari.utils.theme import get_theme
from numpy.typing import NDArray
from qtpy.QtCore import QSize, QTimer
from qtpy.QtGui import QColor, QPalette, QShowEvent
from qtpy.QtWidgets import QWidget

#: Pictures that are kept, and the pixels around a text that are kept with it.
KEPT, MARGIN = 2000, 2
Picture = tuple[NDArray[np.uint8], tuple[int, int]]


class QuickText(Text):
    """Text whose picture is kept: laying it out takes a hundred times as long as copying pixels.

    In files of lines it is the text itself.

    Parameters
    ----------
    axes : Axes
    x, y : float
    text : str
    transform : Transform
        Of x and y.
    clip_on : bool
        Whether the axes' edges cut it.
    **style
        Properties of matplotlib's `Text`, each a number or a word.
    """

    def __init__(
        self,
        axes: Axes,
        x: float,
        y: float,
        text: str,
        transform: Transform,
        clip_on: bool = False,
        **style: Any,
    ) -> None:
        super().__init__(x, y, text, transform=transform, clip_on=clip_on, **style)
        self._looks = (text, *sorted(style.items()))
        axes.add_artist(self)

    def ready(self) -> bool:
        """Whether its picture for the canvas is there."""
        figure = self.get_figure(root=True)
        return figure is not None and (figure.dpi, *self._looks) in _pictures

    def draw(self, renderer: RendererBase) -> None:
        """Copy the text's picture, after making it if need be."""
        if not isinstance(renderer, RendererAgg):
            super().draw(renderer)
            return
        pixels, (dx, dy) = picture_of(renderer.dpi, self._looks)
        x, y = self.get_transform().transform(self.get_unitless_position())
        gc = renderer.new_gc()
        if self.get_clip_on():
            gc.set_clip_rectangle(self.get_clip_box())
        renderer.draw_image(gc, round(x) + dx, round(y) + dy, pixels)
        gc.restore()
        self.stale = False


def picture_of(dpi: float, looks: tuple[Any, ...]) -> Picture:
    """Picture of a text.

    Parameters
    ----------
    dpi : float
    looks : tuple
        The text, then pairs of the names of properties of `Text` and their values.

    Returns
    -------
    pixels : ndarray of uint8, shape (y, x, 4)
        From the lowest row up.
    start : tuple of int, (x, y)
        Where they begin from the text's anchor, to the right and up.
    """
    key = (dpi, *looks)
    if key not in _pictures:
        if len(_pictures) >= KEPT:
            _pictures.clear()
        with _drawing:
            _pictures[key] = _drawn(dpi, looks[0], dict(looks[1:]))
    return _pictures[key]


def _drawn(dpi: float, words: str, style: dict[str, Any]) -> Picture:
    text = Text(0, 0, words, transform=IdentityTransform(), figure=Figure(dpi=dpi), **style)
    box = text.get_window_extent(RendererAgg(1, 1, dpi))  # type: ignore[no-untyped-call]
    left, low = int(np.floor(box.x0)) - MARGIN, int(np.floor(box.y0)) - MARGIN
    width, height = int(box.x1) - left + MARGIN + 1, int(box.y1) - low + MARGIN + 1
    canvas = RendererAgg(width, height, dpi)  # type: ignore[no-untyped-call]
    text.set_position((-left, -low))
    text.draw(canvas)
    return np.array(canvas.buffer_rgba())[::-1], (left, low)  # type: ignore[no-untyped-call]


_pictures: dict[tuple[Any, ...], Picture] = {}
#: matplotlib reads formulas with one parser for all threads, and the first text is made off the GUI thread.
_drawing = Lock()


#: Seconds for new texts in one drawing.
AT_ONCE = 0.02
#: Buttons of matplotlib's toolbar for what the docks' own controls do, and those for which there is no room.
LEFT_OUT = (None, "Back", "Forward", "Subplots", "Customize", "Save")


@dataclass(frozen=True, slots=True)
class PlotColours:
    """Colours of a napari theme as matplotlib takes them ("#RRGGBB"), and whether it is a dark one."""

    background: str
    text: str
    faint: str
    strong: str
    dark: bool

    @classmethod
    def of(cls, theme: str) -> PlotColours:
        """Take them from the theme of that name."""
        found = get_theme(theme)
        dark = QColor(found.background.as_hex(format="long")).lightness() < 128
        return cls(
            found.background.as_hex(format="long"),
            found.text.as_hex(format="long"),
            "#9A9FA8" if dark else "#6B7078",
            "#FFFFFF" if dark else "#000000",
            dark,
        )


class ThemedCanvas(FigureCanvasQTAgg):
    """Canvas with one figure; subclasses draw in `redraw`, which a change of theme calls too.

    Parameters
    ----------
    theme : str
        Name of a napari theme.
    """

    def __init__(self, theme: str) -> None:
        super().__init__(Figure())  # type: ignore[no-untyped-call]
        self.colours = PlotColours.of(theme)
        self._moving: Sequence[Artist] = ()
        self._frame: object = None
        self._still: Any = None
        self._waits = False
        self._rest = QTimer(self, singleShot=True, interval=0)
        self._rest.timeout.connect(self._draw_over)
        # not at once: where it is pending, matplotlib draws while the window paints what else has changed
        self._soon = QTimer(self, singleShot=True, interval=1)
        self._soon.timeout.connect(super().draw_idle)
        self.mpl_connect("draw_event", self._on_drawn)
        self.setMinimumSize(220, 110)

    def sizeHint(self) -> QSize:
        """Return a size that leaves most of the window to the images."""
        return QSize(600, 190)

    def set_theme(self, theme: str) -> None:
        """Draw again in the colours of another theme."""
        self.colours = PlotColours.of(theme)
        self.redraw()

    def redraw_all(self) -> None:
        """Draw anew even what seems to be as it was, after the figure was drawn for something else."""
        self._still = None
        self.redraw()

    def draw_idle(self) -> None:
        """Draw soon; when it is seen again, while it is hidden or behind a tab."""
        self._waits = not self.isVisible()
        if not self._waits:
            self._soon.start()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Draw what has waited."""
        super().showEvent(event)  # type: ignore[no-untyped-call]
        if self._waits:
            self.draw_idle()

    def redraw(self) -> None:
        """Draw the figure from what is known."""
        self.figure.set_facecolor(self.colours.background)
        self.draw_idle()

    def redraw_moving(self, artists: Sequence[Artist]) -> None:
        """Draw artists that change with the data over axes and numbers, which are drawn anew only if need be.

        Text is most of the work of a drawing, and most of it is numbers of axes that stay.
        """
        self._moving = artists
        for artist in artists:
            artist.set_animated(True)
        if self._still is None or self._frame != self._frame_now():
            ThemedCanvas.redraw(self)
        else:
            self._draw_over()

    def _frame_now(self) -> object:
        """All that axes and numbers depend on."""
        axes = [
            (a.get_xlim(), a.get_ylim(), a.get_yscale(), a.axison, a.get_visible()) for a in self.figure.axes
        ]
        return self.colours, tuple(self.figure.get_size_inches()), self.device_pixel_ratio, axes

    def _on_drawn(self, event: Event) -> None:
        if not self.is_saving():
            self._still, self._frame = self.copy_from_bbox(self.figure.bbox), self._frame_now()  # type: ignore[no-untyped-call]
            self._draw_moving()

    def _draw_moving(self) -> None:
        """Draw what moves; new texts wait for the next turn where making their pictures takes long."""
        self._rest.stop()
        until = perf_counter() + AT_ONCE
        for artist in self._moving:
            if perf_counter() > until and isinstance(artist, QuickText) and not artist.ready():
                self._rest.start()
            else:
                self.figure.draw_artist(artist)

    def _draw_over(self) -> None:
        self.restore_region(self._still)  # type: ignore[no-untyped-call]
        self._draw_moving()
        self.update()

    def style(self, axes: Axes) -> None:
        """Give axes the theme's colours."""
        axes.set_facecolor("none")
        axes.tick_params(colors=self.colours.text, which="both", labelsize=8)
        for spine in axes.spines.values():
            spine.set_color(self.colours.faint)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set(color=self.colours.text, fontsize=9)


class ThemedToolbar(NavigationToolbar2QT):
    """matplotlib's toolbar with icons in the theme's text colour; made anew when the theme changes.

    Parameters
    ----------
    canvas : ThemedCanvas
    parent : QWidget
    """

    def __init__(self, canvas: ThemedCanvas, parent: QWidget) -> None:
        self._colours = canvas.colours
        self.toolitems = [item for item in self.toolitems if item[0] not in LEFT_OUT]
        super().__init__(canvas, parent, coordinates=False)  # type: ignore[no-untyped-call]
        self.setIconSize(QSize(18, 18))

    def palette(self) -> QPalette:
        """Palette of the theme: matplotlib colours its icons by it."""
        palette = super().palette()
        palette.setColor(self.backgroundRole(), QColor(self._colours.background))
        palette.setColor(self.foregroundRole(), QColor(self._colours.text))
        return palette
