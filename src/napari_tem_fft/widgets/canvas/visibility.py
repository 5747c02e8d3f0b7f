"""Layers that are put out of sight for a while, and come back as the user had them.

What they were is noted in their metadata, so that a saved document knows of it too.
"""

from __future__ import annotations

from typing import Any

from napari.layers import Layer

from ...layers.results import KEY

#: Name of the note.
BEFORE = "was_visible"


def hide(layer: Layer) -> None:
    """Put a layer out of sight; what it was before the first of several calls counts."""
    notes = notes_of(layer)
    if BEFORE not in notes:
        write_notes(layer, {**notes, BEFORE: bool(layer.visible)})
    layer.visible = False


def bring_back(layer: Layer) -> None:
    """Show a layer that was put out of sight as it was before; leave any other alone."""
    notes = notes_of(layer)
    if BEFORE in notes:
        layer.visible = bool(notes[BEFORE])
        write_notes(layer, {name: value for name, value in notes.items() if name != BEFORE})


def set_visible(layer: Layer, visible: bool) -> None:
    """Show a layer or not, at once or, where it was put out of sight, when it comes back."""
    if is_hidden(layer):
        write_notes(layer, {**notes_of(layer), BEFORE: visible})
    else:
        layer.visible = visible


def is_hidden(layer: Layer) -> bool:
    """Whether a layer was put out of sight."""
    return BEFORE in notes_of(layer)


def notes_of(layer: Layer) -> dict[str, Any]:
    """Return this plugin's notes of a layer; of an image that another reader opened, those it would have."""
    known: dict[str, Any] = layer.metadata.get(KEY, {"role": "micrograph", "name": layer.name})
    return known


def write_notes(layer: Layer, notes: dict[str, Any]) -> None:
    """Give a layer other notes; a duplicate of it, which shares them, keeps its own."""
    layer.metadata[KEY] = notes
