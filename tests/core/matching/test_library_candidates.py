"""Phases of a library: found by the grain's own cell, joined where they are one, named aloud."""

from dataclasses import replace

import numpy as np
import pytest

from napari_tem_fft.core.crystal.phase_library import PhaseLibrary
from napari_tem_fft.core.grains.grain import Grain, GrainSet
from napari_tem_fft.core.grains.plane_cell import plane_cells
from napari_tem_fft.core.matching import EvidenceCache, MatchParams, Outcome
from napari_tem_fft.core.matching.assignment import CandidateSet, assign_phases
from napari_tem_fft.core.matching.library_candidates import label_of, select_entries
from napari_tem_fft.core.matching.zone_patterns import zone_cells, zone_patterns
from napari_tem_fft.core.profile.radial_profile import RadialProfile
from napari_tem_fft.core.spots.spot import Spot
from napari_tem_fft.io.phases.cif import structures_in
from napari_tem_fft.io.phases.library import PhaseDatabase, open_library
from napari_tem_fft.io.phases.library_import import library_rows
from napari_tem_fft.io.phases.table import load_table
from napari_tem_fft.io.results.description import describe_library, restore_library

TABLE = {phase.id: phase for phase in load_table()}
STRUCTURES = {
    "copper0": (3.607, "F m -3 m", ("Cu 0 0 0",)),
    "copper1": (3.622, "F m -3 m", ("Cu 0 0 0",)),
    "pyrite0": (5.418, "P a -3", ("Fe 0 0 0", "S 0.385 0.385 0.385")),
    "pyrite1": (5.448, "P a -3", ("Fe 0 0 0", "S 0.384 0.384 0.384")),
    "cattierite": (5.535, "P a -3", ("Co 0 0 0", "S 0.389 0.389 0.389")),
    "uraninite": (5.469, "F m -3 m", ("U 0 0 0", "O 0.25 0.25 0.25")),
}


def cif(a: float, group: str, atoms) -> str:
    cell = [f"_cell_length_{e} {a}" for e in "abc"] + [
        f"_cell_angle_{e} 90" for e in ("alpha", "beta", "gamma")
    ]
    sites = ["loop_", "_atom_site_label", *(f"_atom_site_fract_{x}" for x in "xyz"), *atoms]
    return "\n".join(["data_x", *cell, f"_space_group_name_H-M_alt '{group}'", *sites, ""])


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> PhaseLibrary:
    folder = tmp_path_factory.mktemp("library")
    for name, structure in STRUCTURES.items():
        (folder / f"{name}.cif").write_text(cif(*structure))
    PhaseDatabase(folder / "library.sqlite").write(library_rows([folder]))
    return open_library(None, folder / "library.sqlite", [TABLE["Cu"], TABLE["Ni"]])


def pattern_of(planes, uvw, spots: int = 8, scale: float = 1.0) -> tuple[Grain, list[Spot]]:
    """A grain that shows the strongest reflections of a zone."""
    (zone,) = [one for one in zone_patterns(planes) if sorted(map(abs, one.uvw)) == sorted(map(abs, uvw))]
    g = scale * (zone.position @ zone.basis)[np.argsort(-zone.visibility, kind="stable")[:spots]]
    found = [Spot(n + 1, (y, x), 0.008, 80.0 - n, -70.0) for n, (x, y) in enumerate(g.tolist())]
    return Grain(1, tuple(spot.id for spot in found), (0.0, 0.0), 80.0, 10.0), found


def named(grain: Grain, spots: list[Spot], choice: CandidateSet, uncertainty: float = 0.01):
    whole = RadialProfile("whole image", np.linspace(0.5, 8, 50), np.ones(50), np.ones(50), ())
    found = GrainSet(tuple(spots), (grain,), ())
    return assign_phases(found, (whole,), choice, uncertainty, MatchParams(), EvidenceCache())


def pyrite_planes():
    (found,) = structures_in(cif(*STRUCTURES["pyrite0"]).encode(), "x")
    return found.phase.reflections


def test_zones_have_the_lattices_of_their_patterns():
    for name in ("Au", "Si", "Li2CO3", "graphite"):
        planes = TABLE[name].reflections
        cells, patterns = zone_cells(planes), zone_patterns(planes)
        assert sorted(map(tuple, cells.uvw.tolist())) == sorted(tuple(p.uvw.tolist()) for p in patterns)
        by_axis = {tuple(p.uvw.tolist()): p for p in patterns}
        for uvw, shape in zip(cells.uvw.tolist(), cells.shape, strict=True):
            a, b = by_axis[tuple(uvw)].basis
            lengths = sorted(np.linalg.norm(v) for v in (a, b, a + b, a - b))[:3]
            assert np.exp(shape) == pytest.approx(lengths, rel=1e-6)
        assert cells.share.sum() == pytest.approx(1)


def test_only_what_has_the_grain_s_cell_is_selected(library):
    cells = plane_cells(*pattern_of(pyrite_planes(), (0, 0, 1)))
    chosen = select_entries(library, [cells], MatchParams(stretch=0.2), 0.005)
    names = {library.ids[entry] for entry in chosen.zones}
    assert {"FeS2_Pa-3", "FeS2_Pa-3-2"} <= names and not {"Cu_Fm-3m", "Cu_Fm-3m-2"} & names
    assert all(chosen.zones[entry] for entry in chosen.zones)


def test_a_phase_of_the_library_is_named_in_the_field_s_way(library):
    fe_s = library.selected(np.array([elements <= {"Fe", "S"} for elements in library.elements]))
    grain, spots = pattern_of(pyrite_planes(), (0, 0, 1), 10)
    found = named(grain, spots, CandidateSet((), library=fe_s, stated=True))
    (match,) = found.matches
    assert match.outcome is Outcome.IDENTIFIED and match.phases == ("FeS2_Pa-3",)
    assert "FeS2, Pa-3; 2 entries, a 0.5418-0.5448 nm, nearest FeS2_Pa-3" in match.reason
    searched = found.choice.searched
    assert (searched.allowed, searched.held, searched.pool, searched.weighed) == (2, 6, 1, 1)
    assert searched.text == "library: 2 of 6 structures by elements searched, 1 phases weighed"


def test_entries_of_a_checked_phase_join_it_and_keep_its_id(library):
    grain, spots = pattern_of(TABLE["Cu"].reflections, (0, 1, 1), 6, 1 / 1.002)
    choice = CandidateSet((TABLE["Cu"],), library=library, stated=True)
    found = named(grain, spots, choice, 0.0003)
    (match,) = found.matches
    assert match.phases == ("Cu",) and "2 entries, a 0.3607-0.3622 nm" in match.reason
    (copper,) = [phase for phase in found.choice.phases if phase.id == "Cu"]
    assert copper.cell == TABLE["Cu"].cell and len(copper.references) == 3
    (nearest,) = [one.id for one in copper.references if round(one.cell[0], 4) == 0.3622]
    assert match.candidates[0].reference == nearest
    assert match.candidates[0].scale == pytest.approx(1.0, abs=5e-4)


def test_a_phase_outside_the_candidates_stays_outside(library):
    choice = CandidateSet((TABLE["Ni"],), (TABLE["Cu"],), library=library, stated=True)
    found = named(*pattern_of(TABLE["Cu"].reflections, (0, 1, 1), 6), choice)
    assert not any(phase.id.startswith("Cu") for phase in found.choice.phases)


def test_the_size_of_the_pool_makes_the_answer_more_careful(library):
    grain, spots = pattern_of(pyrite_planes(), (0, 0, 1), 5)
    small = named(grain, spots, CandidateSet((), library=library))
    crowd = replace(small.choice.searched, pool=100_000)
    large = named(grain, spots, replace(small.choice, searched=crowd))
    assert large.matches[0].unlisted > small.matches[0].unlisted


def test_what_was_weighed_is_stored_in_full_and_gives_the_same_again(library):
    grain, spots = pattern_of(TABLE["Cu"].reflections, (0, 1, 1), 6)
    found = named(grain, spots, CandidateSet((TABLE["Cu"],), library=library, stated=True))
    searched, phases = restore_library(describe_library(found.choice.searched, found.choice.phases))
    assert searched == found.choice.searched
    assert [phase.id for phase in phases] == [
        p.id for p in found.choice.phases if p.references or "library" in p.tags
    ]
    again = named(grain, spots, CandidateSet(tuple(phases), searched=searched, stated=True))
    assert [c.phase for c in again.matches[0].candidates] == [c.phase for c in found.matches[0].candidates]
    for ours, theirs in zip(again.matches[0].candidates, found.matches[0].candidates, strict=True):
        assert ours.posterior == pytest.approx(theirs.posterior, abs=1e-6)


def test_an_empty_selection_searches_nothing(library):
    nothing = library.selected(np.zeros(len(library), bool))
    grain, spots = pattern_of(TABLE["Cu"].reflections, (0, 1, 1), 6)
    found = named(grain, spots, CandidateSet((TABLE["Cu"],), library=nothing, stated=True))
    assert found.matches[0].phases == ("Cu",) and found.choice.searched.allowed == 0


def test_labels_give_the_spread_of_the_cells(library):
    number = library.ids.index("FeS2_Pa-3")
    (phase,) = library.load([number], [None])
    assert (
        label_of(library, int(library.references[number]), phase)
        == "FeS2, Pa-3; 2 entries, a 0.5418-0.5448 nm"
    )


def test_the_same_phase_at_another_cell_is_one_name(tmp_path):
    for name, a in (("cold", 5.39), ("warm", 5.48)):
        (tmp_path / f"{name}.cif").write_text(cif(a, *STRUCTURES["pyrite0"][1:]))
    PhaseDatabase(tmp_path / "library.sqlite").write(library_rows([tmp_path]))
    pyrites = open_library("Fe, S", tmp_path / "library.sqlite", ())
    assert len(set(pyrites.references.tolist())) == 2
    grain, spots = pattern_of(pyrite_planes(), (0, 0, 1), 10)  # its edge lies between the two
    found = named(grain, spots, CandidateSet((), library=pyrites, stated=True))
    (match,) = found.matches
    assert match.outcome is Outcome.IDENTIFIED and len(match.phases) == 1
    assert "its cell can be that of FeS2_Pa-3" in match.reason
    assert {phase.id: phase.kin for phase in found.choice.phases} == {
        "FeS2_Pa-3": {"FeS2_Pa-3-2"},
        "FeS2_Pa-3-2": {"FeS2_Pa-3"},
    }
    alone = tuple(replace(phase, kin=frozenset()) for phase in found.choice.phases)
    apart = named(grain, spots, CandidateSet(alone, searched=found.choice.searched, stated=True))
    assert apart.matches[0].outcome is Outcome.AMBIGUOUS
    _, stored = restore_library(describe_library(found.choice.searched, found.choice.phases))
    assert [phase.kin for phase in stored] == [phase.kin for phase in found.choice.phases]
