"""Keyboard shortcuts: one table for what binds them and for what tells of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod

from napari.components import ViewerModel

#: Key (napari's notation) and words for each thing that has one.
KEYS: dict[str, tuple[str, str]] = {
    "run": ("Shift-R", "run"),
    "real": ("Shift-I", "look at the image"),
    "reciprocal": ("Shift-F", "look at the FFT"),
    "both": ("Shift-B", "look at both"),
    "look": ("Shift-Q", "no tool: select by a click"),
    "add": ("Shift-A", "add a spot by a click"),
    "remove": ("Shift-X", "delete a spot by a click"),
    "angle": ("Shift-M", "angle between two spots"),
    "line": ("Shift-L", "line: distance, angle and profile"),
    "circle": ("Shift-C", "disk"),
    "ring": ("Shift-O", "annulus"),
    "wedge": ("Shift-W", "sector"),
    "deselect": ("Escape", "end the selection, and lay the tool down"),
    "undo": ("Control-Z", "undo, on the mask"),
    "redo": ("Control-Shift-Z", "redo, on the mask"),
}


def words_of(name: str) -> str:
    """The key in brackets, for a tooltip; empty for what has none."""
    return f" ({_key_text(KEYS[name][0])})" if name in KEYS else ""


def list_of_keys() -> str:
    """Rich text: a table of all keys."""
    rows = (
        f"<tr><td><b>{_key_text(key)}</b>&nbsp;&nbsp;</td><td>{words}</td></tr>"
        for key, words in KEYS.values()
    )
    return f"<table>{''.join(rows)}</table>"


def bind(viewer: ViewerModel, name: str, method: Callable[..., object], *arguments: object) -> None:
    """Bind a viewer's key to a method, as long as its object lives; a later one takes over."""
    known = WeakMethod(method)

    def describe_key(viewer: Any) -> None:
        alive = known()
        if alive is not None:
            alive(*arguments)

    viewer.bind_key(KEYS[name][0], describe_key, overwrite=True)


def _key_text(key: str) -> str:
    return key.replace("Control", "Ctrl").replace("-", "+")
