"""Symmetry in every form in which CIF files give it."""

from pathlib import Path

import numpy as np
import pytest

from napari_tem_fft.core.crystal.phase_selection import select_phases
from napari_tem_fft.core.crystal.structure import LatticePlanes
from napari_tem_fft.io.phases.cif import read_cif, read_cif_with_warnings
from napari_tem_fft.io.phases.table import load_table, with_own_phases

CELL = """_cell_length_a {a}
_cell_length_b {b}
_cell_length_c {c}
_cell_angle_alpha {alpha}
_cell_angle_beta {beta}
_cell_angle_gamma {gamma}
"""
SITES = """loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
_atom_site_occupancy
"""
TABLE = {phase.id: phase for phase in load_table()}
LIF = ["Li1 Li1+ 0 0 0 1", "F1 F1- 0.5 0.5 0.5 1"]
FCC = [(0, 0, 0), (0, 0.5, 0.5), (0.5, 0, 0.5), (0.5, 0.5, 0)]
LIF_EXPANDED = [f"Li{i} Li {x} {y} {z} 1" for i, (x, y, z) in enumerate(FCC)] + [
    f"F{i} F {(x + 0.5) % 1} {(y + 0.5) % 1} {(z + 0.5) % 1} 1" for i, (x, y, z) in enumerate(FCC)
]


def cif(symmetry="", atoms=LIF, a=4.027, **cell):
    values = {"a": a, "b": a, "c": a, "alpha": 90, "beta": 90, "gamma": 90} | cell
    return f"data_x\n{CELL.format(**values)}{symmetry}\n" + (SITES + "\n".join(atoms) + "\n" if atoms else "")


def named(symbol):
    return f"_space_group_name_H-M_alt '{symbol}'"


def operators(*ops):
    return "loop_\n_space_group_symop_operation_xyz\n" + "\n".join(f"'{op}'" for op in ops)


@pytest.fixture
def read(tmp_path):
    def read_text(text, encoding="utf-8"):
        path = tmp_path / "mine.cif"
        path.write_bytes(text.encode(encoding))
        return read_cif_with_warnings(path)

    return read_text


def assert_is(phase, name, rel=1e-3, f=5e-3):
    """The same reflections with the same multiplicities and amplitudes as a bundled phase."""
    for ours, theirs in zip(phase.reflections[:8], TABLE[name].reflections[:8], strict=True):
        assert ours.d == pytest.approx(theirs.d, rel=rel)
        assert ours.multiplicity == theirs.multiplicity
        assert ours.relative_f == pytest.approx(theirs.relative_f, abs=f)


@pytest.mark.parametrize(
    "symmetry",
    [
        named("F m -3 m"),
        named("Fm-3m"),
        "_space_group_IT_number 225",
        "_symmetry_Int_Tables_number 225",
        "_symmetry_space_group_name_H-M 'F m -3 m'\n_space_group_IT_number 225",
        "_space_group_name_Hall '-F 4 2 3'",
    ],
)
def test_symmetry_by_symbol_number_or_hall(read, symmetry):
    found = read(cif(symmetry))
    assert_is(found.phase, "LiF")
    assert found.phase.formula == "LiF" and found.phase.elements == {"Li", "F"}


def test_operators_without_a_symbol(read):
    assert_is(read(cif(operators("x,y,z"), LIF_EXPANDED)).phase, "LiF")


def test_operators_of_a_setting_that_has_no_symbol(read):
    ops = operators("x,y,z", "-x+1/4,-y,z", "x+1/2,y,z+1/2", "-x+3/4,-y,z+1/2")
    phase = read(cif(ops, ["C1 C 0.1 0.2 0.3 1"], b=5.1, c=6.3)).phase
    assert len(phase.reflections.structure.sites) == 4


def test_two_origins_without_operators(read):
    for x in (0.0, 0.125):
        found = read(cif(named("F d -3 m"), [f"Si1 Si {x} {x} {x} 1"], a=5.431))
        assert_is(found.phase, "Si")
        assert any("two origins" in text for text in found.warnings)


@pytest.mark.parametrize(
    ("symbol", "x"), [("F d -3 m S", 0.0), ("F d -3 m Z", 0.125), ("F d -3 m :2", 0.125)]
)
def test_two_origins_that_are_told(read, symbol, x):
    found = read(cif(named(symbol), [f"Si1 Si {x} {x} {x} 1"], a=5.431))
    assert_is(found.phase, "Si")
    assert found.warnings == ()


def test_spinel_by_number_takes_the_origin_with_sane_distances(read):
    atoms = ["Mg Mg 0.125 0.125 0.125 1", "Al Al 0.5 0.5 0.5 1", "O O 0.2624 0.2624 0.2624 1"]
    assert_is(read(cif("_space_group_IT_number 227", atoms, a=8.0831)).phase, "MgAl2O4")


def test_rhombohedral_and_hexagonal_axes(read):
    hexagonal = read(cif(named("R -3 m"), ["Sb Sb 0 0 0.2335 1"], a=4.307, c=11.273, gamma=120)).phase
    assert_is(hexagonal, "Sb")
    a, c = 4.307, 11.273
    edge = np.sqrt(a**2 / 3 + c**2 / 9)
    angle = np.degrees(np.arccos(1 - a**2 / (2 * edge**2)))
    axes = {"alpha": angle, "beta": angle, "gamma": angle}
    rhombohedral = read(cif(named("R -3 m"), ["Sb Sb 0.2335 0.2335 0.2335 1"], a=edge, **axes)).phase
    assert rhombohedral.reflections[0].d == pytest.approx(hexagonal.reflections[0].d, rel=1e-4)
    assert rhombohedral.reflections[0].multiplicity == hexagonal.reflections[0].multiplicity


def test_element_from_the_label_where_there_is_no_type(read):
    text = cif(named("F m -3 m")).replace("_atom_site_type_symbol\n", "").replace("Li1 Li1+", "Li1")
    assert_is(read(text.replace("F1 F1-", "F1")).phase, "LiF")


def test_special_positions_are_not_counted_twice(read):
    sites = read(cif(named("F m -3 m"))).phase.reflections.structure
    assert len(sites.sites) == 8
    assert sites.amplitude(np.array([[2, 0, 0]]))[0] < 60


def test_names_and_sources(read):
    extra = "_chemical_name_mineral griceite\n_journal_year 1953\n_cod_database_code 9008667\n"
    phase = read(cif(extra + named("F m -3 m"))).phase
    assert (phase.id, phase.name) == ("mine", "griceite")
    assert "1953" in phase.source and "COD 9008667" in phase.source
    assert isinstance(phase.reflections, LatticePlanes) and phase.tags == ("user",)


def test_simulated_structures(data_folder: Path):
    for path in sorted((data_folder / "dev" / "cifs").glob("*.cif")):
        phase = read_cif(path)
        name = "TiO2_anatase" if path.stem == "TiO2" else path.stem
        assert_is(phase, name, rel=5e-3, f=0.02)


def test_own_phases_are_always_candidates(read):
    mine = read(cif(named("F m -3 m"), ["Eu Eu 0 0 0 1", "O O 0.5 0.5 0.5 1"], a=5.14)).phase
    table, _ = with_own_phases(load_table(), [mine])
    assert "mine" in {phase.id for phase in select_phases(table)}
    assert "mine" in {phase.id for phase in select_phases(table, tags=["metal"])}
    assert "mine" not in {phase.id for phase in select_phases(table, elements="Li, O")}
