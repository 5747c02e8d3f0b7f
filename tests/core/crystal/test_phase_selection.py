"""Choosing candidates by name, set and element."""

import pytest

from napari_tem_fft.core.crystal.phase_selection import (
    DEFAULT_TAGS,
    ElementRule,
    extended_left_out,
    find_phase,
    is_searched,
    parse_elements,
    select_phases,
)
from napari_tem_fft.io.phases.table import load_table

TABLE = load_table()


def ids(**choice):
    return {phase.id for phase in select_phases(TABLE, **choice)}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("LiF", "LiF"),
        ("lif", "LiF"),
        ("Lithium Fluoride", "LiF"),
        ("lithium-fluoride", "LiF"),
        ("Li (bcc)", "Li"),
        ("TiO2", "TiO2_anatase"),
        ("tio2-anatase", "TiO2_anatase"),
        ("rutile", "TiO2_rutile"),
        ("Mg(OH)2", "Mg_OH_2"),
        ("LiOH.H2O", "LiOH_H2O"),
        ("lithium carbonate", "Li2CO3"),
        ("aluminum", "Al"),
        ("tin", "Sn_beta"),
        ("CO", None),
    ],
)
def test_names_without_case_and_punctuation(name, expected):
    if expected is None:
        with pytest.raises(ValueError):
            find_phase(TABLE, name)
    else:
        assert find_phase(TABLE, name).id == expected


def test_every_id_name_and_alias_is_found():
    for phase in TABLE:
        assert find_phase(TABLE, phase.id) is phase
        for name in (phase.name, *phase.aliases):
            assert find_phase(TABLE, name) is phase


def test_several_of_one_formula_are_named():
    with pytest.raises(ValueError, match="Fe_bcc, Fe_fcc"):
        find_phase(TABLE, "Fe")


def test_an_unknown_name_comes_with_near_ones():
    with pytest.raises(ValueError, match=r"did you mean .*LiCoO2"):
        find_phase(TABLE, "LiCo02")
    with pytest.raises(ValueError, match="no phase is called 'qwerty'"):
        select_phases(TABLE, names=["LiF", "qwerty"])


def test_where_nothing_is_stated_all_but_the_extended_set_is_searched_battery_phases_first():
    chosen = select_phases(TABLE)
    usual = [bool(set(phase.tags) & set(DEFAULT_TAGS)) for phase in chosen]
    extended = [phase for phase in TABLE if "extended" in phase.tags]
    cold = [phase for phase in TABLE if "cryo" in phase.tags and phase not in extended]
    assert len(chosen) == len(TABLE) - len(extended) - len(cold) and usual == sorted(usual, reverse=True)
    assert chosen == select_phases([phase for phase in TABLE if phase not in extended])
    assert {"LiF", "Li", "Cu"} <= {phase.id for phase in chosen[: sum(usual)]}
    assert len(select_phases(TABLE, tags=["all"])) == len(TABLE)
    with pytest.raises(ValueError, match="no set is called nonsense"):
        select_phases(TABLE, tags=["nonsense"])


def test_the_extended_set_waits_until_elements_phases_or_sets_are_stated():
    assert not {"ZnFe2O4", "LaAlO3"} & ids() and "ZnFe2O4" not in ids(elements="-Na")
    assert ids(elements="Zn, +Fe, O") >= {"ZnFe2O4"} <= ids(tags=["ferrite"])
    assert ids(names=["lanthanum aluminate"]) == {"LaAlO3"}
    waiting = extended_left_out(select_phases(TABLE), TABLE)
    further = len(ids(tags=["extended"]) - ids(tags=["cryo"]))
    assert waiting.startswith(f"{further} further phases")
    assert waiting.endswith(f", {len(ids(tags=['cryo']))} of ice where hydrogen is stated")
    assert len(ids()) + further + len(ids(tags=["cryo"])) == len(TABLE)  # nothing is left unsaid
    assert not extended_left_out(select_phases(TABLE, elements="Zn, Fe, O"), TABLE)
    assert not extended_left_out(select_phases(TABLE, tags=["all"]), TABLE)


def test_names_that_were_one_phase_before_the_table_was_extended_still_are():
    before = {"SiO2": "SiO2_quartz", "MnO2": "MnO2_beta", "H2O": "ice_Ih", "Si3N4": "Si3N4_beta"}
    assert {name: find_phase(TABLE, name).id for name in before} == before
    assert find_phase(TABLE, "FeOOH").id == "FeOOH_alpha"


def test_elements_alone_search_the_whole_table():
    assert ids(elements="Au") == {"Au"} and ids(elements="Si") == {"Si"}
    assert {"graphite", "Ag"} <= ids(elements="Ag, C")
    assert ids(elements="Au", tags=["metal"]) == {"Au"}
    assert ids(tags=["sei"], elements="Li, F") < ids(elements="Li, F") | {"LiF"}


def test_names_are_taken_once_and_in_order():
    chosen = select_phases(TABLE, names=["Cu", "LiF", "copper"])
    assert [phase.id for phase in chosen] == ["Cu", "LiF"]


def test_elements_are_a_subset_with_hydrogen_free():
    chosen = ids(tags=["all"], elements="Li, O")
    assert {"Li", "Li2O", "Li2O2", "LiOH", "LiH", "ice_Ih"} <= chosen
    assert not {"Li2CO3", "LiF"} & chosen


def test_ice_is_a_candidate_by_name_by_set_or_where_hydrogen_is_stated():
    assert not {"ice_Ih", "ice_Ic"} & (ids() | ids(elements="Mg, O, C") | ids(elements="-Na"))
    assert {"ice_Ih", "ice_Ic"} <= ids(elements="H, O") & ids(elements="+H, O") & ids(tags=["cryo"])
    assert ids(names=["ice"]) == {"ice_Ih"}


def test_required_excluded_and_any_of():
    assert {"Li2CO3", "LiCoO2"} <= ids(tags=["all"], elements="Li C O Co")
    assert "Li2CO3" not in ids(tags=["all"], elements="Li, C, O, Co, -C")
    assert all("O" in p.elements for p in select_phases(TABLE, tags=["all"], elements="Li +O F C"))
    either = select_phases(TABLE, tags=["all"], elements="Li O Fe|Co")
    assert {"LiCoO2", "Fe2O3_alpha"} <= {p.id for p in either}
    assert all(p.elements & {"Fe", "Co"} for p in either)


def test_excluding_alone_leaves_all_the_rest():
    rule = parse_elements("-H, !Na")
    assert rule.excluded == {"H", "Na"}
    assert rule.allows({"Li", "F"}) and not rule.allows({"Li", "H"}) and not rule.allows({"Na"})
    assert ElementRule().allows({"U"})


@pytest.mark.parametrize("text", ["Xy", "Li, Foo", "Li,,Q1", "lithium"])
def test_unknown_tokens_are_refused_aloud(text):
    with pytest.raises(ValueError, match="not an element"):
        parse_elements(text)


def test_what_is_a_gas_at_room_temperature_is_searched_where_hydrogen_or_nothing_else_is_stated():
    gases = [{"H"}, {"D"}, {"D", "O"}, {"Xe"}, {"C", "O"}, {"H", "Cl"}]
    assert not any(is_searched(elements) for elements in gases)
    assert all(is_searched(elements, parse_elements("C, O, Cl, Xe, H")) for elements in gases)
    assert is_searched({"Xe"}, parse_elements("Xe")) and not is_searched({"Xe"}, parse_elements("Xe, Ti"))
    assert all(is_searched(elements) for elements in ({"N", "H", "Cl"}, {"Li", "H"}, {"C"}, {"C", "H"}))
