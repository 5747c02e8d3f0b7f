"""A drawn part of a micrograph, analysed by itself where it lies."""

import numpy as np
import pytest

from mouse import click
from napari_tem_fft.layers.image import KEY


def test_a_rectangle_is_analysed_in_its_place(viewer, dock, analysed, run):
    box = [(1.0, 0.6), (1.0, 5.4), (6.6, 5.4), (6.6, 0.6)]
    viewer.add_shapes([np.array(box)], shape_type="rectangle", units=("nm", "nm"), axis_labels=("y", "x"))
    part = run(dock.session, dock.part.click)
    assert part is not analysed and part.layer.name == "grain part"
    assert part.layer.translate == pytest.approx((1.02, 0.6))
    for role in ("specimen", "grains", "ifft"):
        first, corner = part.group[role].extent.world[0], part.layer.extent.world[0]
        np.testing.assert_allclose(first, corner, atol=0.16)  # middles of first cells
    fft = part.group["fft"]
    assert fft.extent.world[0, 1] > part.layer.extent.world[1, 1]
    (spot, *_) = part.spots
    middle = np.add(part.grains[0].centre, part.group.offset)
    assert middle == pytest.approx(analysed.grains[0].centre, abs=0.4)
    click(viewer, middle)
    assert dock.session.chosen.grains == (1,)
    dock.session.pick(None)
    click(
        viewer,
        np.add(fft.metadata[KEY]["centre"], fft.metadata[KEY]["world_per_inverse_nm"] * np.array(spot.g)),
    )
    assert dock.session.chosen.spots == (spot.id,)
    assert viewer.layers.units == part.layer.units


def test_nothing_drawn_is_told(viewer, dock, analysed):
    before = list(viewer.layers)
    dock.part.click()
    assert list(viewer.layers) == before
