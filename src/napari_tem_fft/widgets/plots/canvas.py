"""A matplotlib canvas in the colours of napari's theme, with a toolbar whose icons match it."""

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

#: Number of pictures in the cache, and margin around a text in pixels.
KEPT, MARGIN = 2000, 2
Picture = tuple[NDArray[np.uint8], tuple[int, int]]


class QuickText(Text):
    """Text that is drawn from a cached picture, because its layout takes a hundred times as long.

    In vector graphics it is drawn as ordinary text.

    Parameters
    ----------
    axes : Axes
    x, y : float
    text : str
    transform : Transform
        Transform of x and y.
    clip_on : bool
        Whether it is clipped at the edges of the axes.
    **style
        Properties of matplotlib's `Text`, as numbers or strings.
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
        """Whether the picture for the canvas is in the cache."""
        figure = self.get_figure(root=True)
        return figure is not None and (figure.dpi, *self._looks) in _pictures

    def draw(self, renderer: RendererBase) -> None:
        """Copy the picture of the text; create it if needed."""
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
    """Render a text to a picture.

    Parameters
    ----------
    dpi : float
    looks : tuple
        The text, followed by pairs of names and values of properties of `Text`.

    Returns
    -------
    pixels : ndarray of uint8, shape (y, x, 4)
        Rows from bottom to top.
    start : tuple of int, (x, y)
        Offset of the first pixel from the anchor of the text, to the right and up.
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
#: matplotlib parses formulas with one parser for all threads, and the first text is rendered in a thread.
_drawing = Lock()


#: Seconds that one drawing spends on new texts.
AT_ONCE = 0.02
#: Buttons of matplotlib's toolbar that are removed: the docks have own controls, or there is no room.
LEFT_OUT = (None, "Back", "Forward", "Subplots", "Customize", "Save")


@dataclass(frozen=True, slots=True)
class PlotColours:
    """Colours of a napari theme in matplotlib's notation ("#RRGGBB"), and whether the theme is dark."""

    background: str
    text: str
    faint: str
    strong: str
    dark: bool

    @classmethod
    def of(cls, theme: str) -> PlotColours:
        """Create them from the theme of that name."""
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
    """Canvas with one figure. Subclasses draw in `redraw`, which is also called when the theme changes.

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
        # not immediately: with a pending draw, matplotlib would draw while the window paints other changes
        self._soon = QTimer(self, singleShot=True, interval=1)
        self._soon.timeout.connect(super().draw_idle)
        self.mpl_connect("draw_event", self._on_drawn)
        self.setMinimumSize(220, 110)

    def sizeHint(self) -> QSize:
        """Return a size that leaves most of the window for the images."""
        return QSize(600, 190)

    def set_theme(self, theme: str) -> None:
        """Redraw in the colours of another theme."""
        self.colours = PlotColours.of(theme)
        self.redraw()

    def redraw_all(self) -> None:
        """Redraw everything, after the figure was drawn for another purpose."""
        self._still = None
        self.redraw()

    def draw_idle(self) -> None:
        """Draw soon, or when the canvas becomes visible again."""
        self._waits = not self.isVisible()
        if not self._waits:
            self._soon.start()

    def showEvent(self, event: QShowEvent | None) -> None:
        """Draw if a drawing is pending."""
        super().showEvent(event)  # type: ignore[no-untyped-call]
        if self._waits:
            self.draw_idle()

    def redraw(self) -> None:
        """Draw the figure from the stored state."""
        self.figure.set_facecolor(self.colours.background)
        self.draw_idle()

    def redraw_moving(self, artists: Sequence[Artist]) -> None:
        """Draw artists that change with the data over axes and tick labels, which are redrawn only if needed.

        Text takes most of the time of a drawing, and most of it is tick labels that do not change.
        """
        self._moving = artists
        for artist in artists:
            artist.set_animated(True)
        if self._still is None or self._frame != self._frame_now():
            ThemedCanvas.redraw(self)
        else:
            self._draw_over()

    def _frame_now(self) -> object:
        """Everything that axes and tick labels depend on."""
        axes = [
            (a.get_xlim(), a.get_ylim(), a.get_yscale(), a.axison, a.get_visible()) for a in self.figure.axes
        ]
        return self.colours, tuple(self.figure.get_size_inches()), self.device_pixel_ratio, axes

    def _on_drawn(self, event: Event) -> None:
        if not self.is_saving():
            self._still, self._frame = self.copy_from_bbox(self.figure.bbox), self._frame_now()  # type: ignore[no-untyped-call]
            self._draw_moving()

    def _draw_moving(self) -> None:
        """Draw the changing artists; new texts wait for the next drawing if rendering them takes too long."""
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
        """Apply the colours of the theme to axes."""
        axes.set_facecolor("none")
        axes.tick_params(colors=self.colours.text, which="both", labelsize=8)
        for spine in axes.spines.values():
            spine.set_color(self.colours.faint)
        for label in (axes.xaxis.label, axes.yaxis.label):
            label.set(color=self.colours.text, fontsize=9)


class ThemedToolbar(NavigationToolbar2QT):
    """matplotlib's toolbar with icons in the text colour of the theme; recreated when the theme changes.

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
        """Palette of the theme, by which matplotlib colours its icons."""
        palette = super().palette()
        palette.setColor(self.backgroundRole(), QColor(self._colours.background))
        palette.setColor(self.foregroundRole(), QColor(self._colours.text))
        return palette
