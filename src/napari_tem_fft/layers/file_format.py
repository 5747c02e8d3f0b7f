"""Conversion of layers as passed to a writer to plain values, and back; used by `layers.results`.

Only the attributes listed here are stored, so that files can be opened by other versions of napari, and
nothing else in a manipulated file reaches a layer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import NoneType
from typing import Any

import numpy as np

from .image import LayerData

_Plain = Callable[[Any], Any]
#: Longest colour cycle that was presumably chosen by the user; napari's own cycle is longer.
LONGEST_CYCLE = 8


def plain_layer(data: Any, attributes: Mapping[str, Any], kind: str) -> tuple[Any, dict[str, Any]]:
    """Convert the data and attributes of a layer to arrays and JSON values.

    Parameters
    ----------
    data : array or sequence of array
    attributes : mapping
        Attributes as napari passes them to a writer.
    kind : {"image", "labels", "points", "shapes"}
    """
    kept = {
        name: convert(attributes[name])
        for name, convert in {**_COMMON, **_OF_KIND[kind]}.items()
        if name in attributes
    }
    if kind == "shapes":
        return tuple(np.asarray(vertices, float) for vertices in data), kept
    return (data if hasattr(data, "shape") else np.asarray(data)), kept


def layer_from_plain(data: Any, attributes: Mapping[str, Any], kind: str) -> LayerData:
    """Create a layer tuple from the result of `plain_layer`; unknown attributes are ignored."""
    known = {**_COMMON, **_OF_KIND[kind]}
    kwargs = {name: value for name, value in attributes.items() if name in known}
    if kwargs.get("text", "") is None:
        del kwargs["text"]
    if "features" in kwargs:
        kwargs["features"] = {name: _column(column) for name, column in kwargs["features"].items()}
    if kind == "labels" and isinstance(kwargs.get("colormap"), Mapping):
        colours = {None if key == "other" else int(key): value for key, value in kwargs["colormap"].items()}
        same = colours.keys() == {0, 1, None} and colours[1] == colours[None]
        kwargs["colormap"] = [colours[0], colours[1]] if same else colours
    for name in ("units", "axis_labels"):
        if name in kwargs:
            kwargs[name] = tuple(kwargs[name])
    return (list(data) if kind == "shapes" else data), kwargs, kind


def _value(value: Any) -> Any:
    """Convert numbers, text, lists and dictionaries; others are omitted, NaN and infinity become None."""
    if isinstance(value, np.ndarray):
        value = value.tolist()
    elif isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, Mapping):
        return {str(key): _value(item) for key, item in value.items() if _is_plain(item)}
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return [_value(item) for item in value]
    if isinstance(value, float) and not np.isfinite(value):
        return None
    return value if isinstance(value, bool | int | float | str) else None


def _is_plain(value: Any) -> bool:
    plain = (Mapping, Sequence, np.ndarray, np.generic, bool, int, float, str, NoneType)
    return isinstance(value, plain) and not isinstance(value, bytes)


def _texts(values: Any) -> list[str]:
    """Units and similar objects, as their names."""
    return [str(value) for value in values]


def _colours(value: Any) -> Any:
    """A colour or one for each element; napari names that of the next point if all points were deleted."""
    if isinstance(value, str):
        return str(value)
    if any(isinstance(colour, str) for colour in value):
        return [_colours(colour) for colour in value]
    return np.asarray(value, float).tolist()


def _interpolation(value: Any) -> str:
    """Interpolation mode; modes that depend on the zoom are recomputed when the layer is shown."""
    return "linear" if str(value) == "custom" else str(value)


def _image_colormap(value: Any) -> Any:
    """Colours along the scale, with the name of the colour map."""
    if isinstance(value, str):
        return value
    colours = value["colors"] if isinstance(value, Mapping) else value.colors
    name = value["name"] if isinstance(value, Mapping) else value.name
    return {"colors": np.asarray(colours, float).tolist(), "name": str(name)}


def _labels_colormap(value: Any) -> Any:
    """Colour of each label, or a short colour cycle; a longer cycle is napari's default and is not stored."""
    found = value if isinstance(value, Mapping) else getattr(value, "color_dict", None)
    if found is not None:
        return {"other" if key is None else str(int(key)): _colours(colour) for key, colour in found.items()}
    cycle = getattr(value, "colors", value)
    few = cycle is not None and len(cycle) <= LONGEST_CYCLE
    return [_colours(colour) for colour in cycle] if few else None


def _text(value: Any) -> Any:
    """Labels of points and shapes: format ("{d (nm)}"), size and colour; None without labels."""
    string = value.get("string", "") if isinstance(value, Mapping) else ""
    string = string.get("format", "") if isinstance(string, Mapping) else string
    if not string:
        return None
    colour = value.get("color", "white")
    if isinstance(colour, Mapping):
        colour = colour.get("constant", "white")
    kept = {
        name: _value(value[name]) for name in ("size", "anchor", "translation", "scaling") if name in value
    }
    return {**kept, "string": str(string), "color": _colours(colour)}


def _features(value: Any) -> dict[str, dict[str, Any]]:
    """Columns of a table with their types, from a pandas table or a dictionary of sequences."""
    columns = {str(name): np.asarray(value[name]) for name in value}
    return {name: {"type": column.dtype.kind, "values": _value(column)} for name, column in columns.items()}


def _column(column: Mapping[str, Any]) -> Any:
    kind, values = column["type"], column["values"]
    if kind == "f":
        return np.array([np.nan if value is None else value for value in values], float)
    return np.array(values, {"i": np.int64, "u": np.uint64, "b": np.bool_}.get(kind, object))


_COMMON: dict[str, _Plain] = {
    **dict.fromkeys(
        ("name", "opacity", "visible", "metadata", "scale", "translate", "rotate", "shear"), _value
    ),
    "blending": str,
    "units": _texts,
    "axis_labels": _texts,
}
_OF_KIND: dict[str, dict[str, _Plain]] = {
    "image": {
        **dict.fromkeys(("contrast_limits", "gamma", "rgb"), _value),
        "interpolation2d": _interpolation,
        "colormap": _image_colormap,
    },
    "labels": {"colormap": _labels_colormap, "features": _features},
    "points": {
        **dict.fromkeys(("size", "border_width", "border_width_is_relative", "shown", "ndim"), _value),
        "symbol": _texts,
        "face_color": _colours,
        "border_color": _colours,
        "text": _text,
        "features": _features,
    },
    "shapes": {
        **dict.fromkeys(("edge_width", "z_index", "ndim"), _value),
        "shape_type": _texts,
        "face_color": _colours,
        "edge_color": _colours,
        "text": _text,
        "features": _features,
    },
}
