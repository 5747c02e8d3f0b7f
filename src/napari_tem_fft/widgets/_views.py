"""Flights of the camera between the micrograph and its FFT."""

from __future__ import annotations

from typing import Literal

from napari.components import ViewerModel

from ._findings import Findings

Space = Literal["real", "reciprocal", "both"]
SPACES: tuple[Space, ...] = ("real", "reciprocal", "both")


def look_at(viewer: ViewerModel, findings: Findings | None, space: Space) -> None:
    """Fly to the micrograph, to its FFT, or so far off that both are seen."""
    fft = findings.group.get("fft") if findings is not None else None
    if findings is None or fft is None:
        return
    layers = {"real": [findings.layer], "reciprocal": [fft], "both": [findings.layer, fft]}[space]
    for each in (viewer, findings.group.home("fft")):
        here = [layer for layer in layers if layer in each.layers]
        if here:
            each.fit_to_view(layers=here, margin=0.03)


def fly_to(viewer: ViewerModel, place: tuple[float, float], size: float) -> None:
    """Look at a place (y, x) of the micrograph so that something of a size, in nm, is well seen."""
    viewer.scene.camera.center = (0.0, *place)
    viewer.scene.camera.zoom = 0.35 * min(viewer.canvas.size) / max(size, 1e-3)
