"""QuickText: text on a matplotlib canvas that is made once for each of its looks and copied ever after."""

from __future__ import annotations

from threading import Lock
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backend_bases import RendererBase
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from matplotlib.transforms import IdentityTransform, Transform
from numpy.typing import NDArray

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
