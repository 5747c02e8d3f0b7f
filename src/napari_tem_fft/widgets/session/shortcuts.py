"""Keyboard shortcuts: which key does what, and how it is bound."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod

from napari.components import ViewerModel

#: Key (in napari's notation) and description of each action.
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
    "deselect": ("Escape", "clear the selection, and deactivate the tool"),
    "undo": ("Control-Z", "undo, on the mask"),
    "redo": ("Control-Shift-Z", "redo, on the mask"),
}


def words_of(name: str) -> str:
    """The key of an action in brackets, for a tooltip; empty if it has none."""
    return f" ({_key_text(KEYS[name][0])})" if name in KEYS else ""


def list_of_keys() -> str:
    """A table of all keys, as rich text."""
    rows = (
        f"<tr><td><b>{_key_text(key)}</b>&nbsp;&nbsp;</td><td>{words}</td></tr>"
        for key, words in KEYS.values()
    )
    return f"<table>{''.join(rows)}</table>"


def bind(viewer: ViewerModel, name: str, method: Callable[..., object], *arguments: object) -> None:
    """Bind a key of a viewer to a method as long as its object exists; a later binding replaces it."""
    known = WeakMethod(method)

    def run_action(viewer: Any) -> None:
        alive = known()
        if alive is not None:
            alive(*arguments)

    viewer.bind_key(KEYS[name][0], run_action, overwrite=True)


def _key_text(key: str) -> str:
    return key.replace("Control", "Ctrl").replace("-", "+")
