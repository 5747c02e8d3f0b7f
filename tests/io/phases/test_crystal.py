"""Atoms of a cell: how near they are, whatever the cell's shape."""

from dataclasses import replace

import numpy as np
import pytest

from napari_tem_fft.io.phases.crystal import Atom, build_structure, shortest_contact, symmetry_by_name

P1 = symmetry_by_name("P 1")


def _structure(cell, *positions):
    return build_structure(cell, [Atom("C", position) for position in positions], P1)


@pytest.mark.parametrize(
    ("cell", "positions", "distance"),
    [
        ((0.4, 0.4, 0.4, 90, 90, 90), [(0, 0, 0), (0.5, 0, 0)], 0.2),
        ((0.4, 0.4, 0.4, 90, 90, 90), [(0.05, 0, 0), (0.95, 0, 0)], 0.04),  # through the face
        ((0.4, 0.4, 0.4, 90, 90, 60), [(0, 0, 0), (2 / 3, 2 / 3, 0)], 0.4 / np.sqrt(3)),  # the long diagonal
        ((0.4, 0.3, 0.5, 90, 90, 90), [(0, 0, 0)], 0.3),  # its own image
    ],
)
def test_the_shortest_contact_crosses_the_cell_s_faces(cell, positions, distance):
    assert shortest_contact(_structure(cell, *positions)) == pytest.approx(distance, rel=1e-4)


def test_mixed_sites_do_not_touch_one_another():
    structure = _structure((0.4, 0.4, 0.4, 90, 90, 90), (0, 0, 0), (0, 0, 0), (0.5, 0.5, 0.5))
    mixed = replace(structure, occupancy=np.array([0.5, 0.5, 1.0]))
    assert shortest_contact(mixed) == pytest.approx(0.4)
    assert shortest_contact(replace(structure, occupancy=np.full(3, 0.5))) == np.inf
