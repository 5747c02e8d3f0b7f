"""Named grains in orix, .ang and .ctf: the same crystals, points and numbers, read back by orix itself."""

from dataclasses import replace

import numpy as np
import pytest

from napari_tem_fft import to_crystal_map
from napari_tem_fft.core.crystal.orientation import CrystalOrientation, orientation_matrix
from napari_tem_fft.core.matching import Candidate, GrainMatch, IndexedSpot, Outcome
from napari_tem_fft.io.exchange.orientation_maps import (
    LAUE_GROUPS,
    orientation_grid,
    oxford_frame,
    space_group,
    write_ang,
    write_ctf,
)
from napari_tem_fft.io.phases.table import load_table
from small_analysis import GRID, small_analysis

TABLE = {phase.id: phase for phase in load_table()}
#: A cubic and a hexagonal crystal: zone axis, planes, rotation.
LIF, GRAPHITE = ((0, 1, 1), (2, 0, 0), 30.0), ((0, 0, 1), (1, 0, 0), 10.0)


@pytest.fixture(scope="module")
def analysis():
    """Two overlapping grains, the first of LiF, the second, weaker one, of graphite."""
    found = small_analysis()
    weak = replace(found.grain_regions[1], heat=found.grain_regions[1].heat * np.float32(0.8))
    return replace(
        found,
        phases=(TABLE["LiF"], TABLE["graphite"]),
        matches=(named(1, "LiF", 0.99, LIF), named(2, "graphite", 0.96, GRAPHITE)),
        grain_regions=(found.grain_regions[0], weak),
    )


def named(grain, phase, posterior, orientation):
    zone, hkl, rotation = orientation
    lies = CrystalOrientation(zone, hkl, rotation, 0.25, 180.0, 0.2)
    indexed = (IndexedSpot(0, hkl, 0.2, 0.0),) * 3
    candidate = Candidate(phase, posterior, 1.0, zone, indexed, 1.0, orientation=lies)
    return GrainMatch(grain, Outcome.IDENTIFIED, (phase,), (candidate,))


def matrix(phase, orientation):
    return orientation_matrix(TABLE[phase].cell, *orientation)


def test_only_grains_of_one_named_phase_are_there(analysis) -> None:
    assert [one.grain for one in orientation_grid(analysis).grains] == [1, 2]
    ambiguous = small_analysis()  # its first grain is LiF or another phase, its second unknown
    assert orientation_grid(ambiguous).grains == ()
    assert not orientation_grid(ambiguous).labels.any()


def test_where_grains_overlap_the_stronger_one_has_the_point(analysis) -> None:
    grid = orientation_grid(analysis)
    assert grid.labels[25, 27] == 1 and grid.labels[35, 27] == 2 and grid.labels[0, 0] == 0
    assert grid.heat[25, 27] == pytest.approx(0.9) and grid.heat[35, 27] == pytest.approx(0.72)


def test_orix_has_the_same_rotations_phases_and_positions(analysis) -> None:
    pytest.importorskip("orix")
    found = to_crystal_map(analysis)
    assert found.shape == GRID.shape and found.scan_unit == "nm"
    assert (found.dy, found.dx) == pytest.approx(GRID.pixel_size)
    at = np.ravel_multi_index((12, 15), GRID.shape), np.ravel_multi_index((35, 40), GRID.shape)
    assert [found.phases[found.phase_id[i]].name for i in at] == ["LiF", "graphite"]
    assert found.phase_id[0] == -1 and not found.is_indexed[0]
    assert found.prop["confidence"][list(at)] == pytest.approx([0.99, 0.96])
    assert found.prop["grain"][list(at)].tolist() == [1, 2]
    for i, phase, orientation in zip(at, ("LiF", "graphite"), (LIF, GRAPHITE), strict=True):
        # orix's rotations go from the sample to the crystal
        np.testing.assert_allclose(found.rotations[i].to_matrix()[0].T, matrix(phase, orientation), atol=1e-6)


def test_orix_places_crystal_axes_as_we_do(analysis) -> None:
    """The normal of the measured planes points where the image shows it, in orix's own arithmetic."""
    pytest.importorskip("orix")
    from orix.vector import Miller

    found = to_crystal_map(analysis)
    for point, (_, hkl, azimuth) in (((12, 15), LIF), ((35, 40), GRAPHITE)):
        i = np.ravel_multi_index(point, GRID.shape)
        planes = Miller(hkl=[hkl], phase=found.phases[found.phase_id[i]])
        normal = (~found.rotations[i] * planes).data.ravel()
        angle = np.degrees(np.arctan2(-normal[1], normal[0]))
        assert (angle - azimuth + 90) % 180 - 90 == pytest.approx(0, abs=1e-3)
        assert abs(normal[2]) < 1e-6 * np.linalg.norm(normal)


def test_an_ang_file_comes_back_through_orix(analysis, tmp_path) -> None:
    io = pytest.importorskip("orix.io")
    path = write_ang(tmp_path / "grains.ang", analysis)
    back, here = io.load(str(path), autogen_names=False), to_crystal_map(analysis)
    assert back.shape == here.shape
    np.testing.assert_allclose(1000 * back.x, here.x, atol=1e-5)  # micrometres
    np.testing.assert_array_equal(back.phase_id, here.phase_id)
    assert [back.phases[i].name for i in (1, 2)] == ["LiF", "graphite"]
    assert back.phases[2].structure.lattice.abcABG() == pytest.approx(
        [*np.multiply(TABLE["graphite"].cell[:3], 10), 90, 90, 120], abs=1e-3
    )
    np.testing.assert_allclose(back.prop["ci"][here.is_indexed], here.prop["confidence"][here.is_indexed])
    np.testing.assert_array_equal(back.prop["detector_signal"], here.prop["grain"])
    apart = (~back["indexed"].rotations * here["indexed"].rotations).angle
    assert np.degrees(apart).max() < 0.01


def test_a_ctf_file_comes_back_through_orix(analysis, tmp_path) -> None:
    io = pytest.importorskip("orix.io")
    path = write_ctf(tmp_path / "grains.ctf", analysis)
    back, here = io.load(str(path)), to_crystal_map(analysis)
    assert back.shape == here.shape
    np.testing.assert_array_equal(back.phase_id, here.phase_id)
    assert [back.phases[i].name for i in (1, 2)] == ["LiF", "graphite"]
    assert back.phases[1].space_group.number == 225 and back.phases[2].point_group.name == "6/mmm"
    assert set(back.prop["bands"][here.is_indexed]) == {3} and set(back.prop["error"]) == {0, 3}
    assert back.prop["BC"].max() == round(255 * 0.99)
    # orix leaves the crystal axes of a .ctf as they are: x along a*, 30 degrees from a in a hexagonal crystal
    for point, phase, orientation in (((12, 15), "LiF", LIF), ((35, 40), "graphite", GRAPHITE)):
        i = np.ravel_multi_index(point, GRID.shape)
        wanted = matrix(phase, orientation) @ oxford_frame(TABLE[phase])
        np.testing.assert_allclose(back.rotations[i].to_matrix()[0].T, wanted, atol=1e-5)


def test_the_axes_of_a_ctf_are_turned_by_30_degrees_in_a_hexagonal_crystal() -> None:
    turned = oxford_frame(TABLE["graphite"])
    c, s = np.cos(np.radians(30)), np.sin(np.radians(30))
    np.testing.assert_allclose(turned, [[c, -s, 0], [s, c, 0], [0, 0, 1]], atol=1e-12)  # from a towards b
    np.testing.assert_allclose(oxford_frame(TABLE["LiF"]), np.eye(3), atol=1e-12)


def test_every_phase_of_the_table_has_a_laue_group() -> None:
    crystals = [phase for phase in TABLE.values() if not phase.d_only]
    assert {space_group(phase).laue_str() for phase in crystals} <= set(LAUE_GROUPS)


def test_a_symbol_that_is_no_space_group_is_named() -> None:
    with pytest.raises(ValueError, match="LiF: unknown space group 'X-3'"):
        space_group(replace(TABLE["LiF"], space_group="X-3"))


def test_an_image_without_named_grains_gives_an_empty_map(tmp_path) -> None:
    lines = write_ctf(tmp_path / "none.ctf", small_analysis()).read_text().splitlines()
    assert "Phases\t0" in lines and len(lines) == lines.index("Phases\t0") + 2 + GRID.shape[0] * GRID.shape[1]
