"""Choosing phases by name, set and elements."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_tem_fft.core.phase_choice import ElementRule, find_phase, parse_elements, select_phases
from napari_tem_fft.core.phases import Phase


def _phase(name: str, formula: str, elements: str, tags: str = "", aliases: tuple[str, ...] = ()) -> Phase:
    return Phase(
        name, f"{name} phase", formula, frozenset(elements.split()), "", (), (), tuple(tags.split()), aliases
    )


TABLE = (
    _phase("LiF", "LiF", "Li F", "battery sei", ("griceite", "lithium fluoride")),
    _phase("LiOH", "LiOH", "Li O H", "sei"),
    _phase("Li2CO3", "Li2CO3", "Li C O", "sei", ("zabuyelite",)),
    _phase("Cu", "Cu", "Cu", "collector metal", ("copper",)),
    _phase("TiO2_rutile", "TiO2", "Ti O", "oxide", ("rutile",)),
    _phase("TiO2_anatase", "TiO2", "Ti O", "oxide", ("anatase",)),
    _phase("Au", "Au", "Au", "metal"),
    _phase("mine", "", "", "user"),
)


def _ids(**choice) -> list[str]:
    return [phase.id for phase in select_phases(TABLE, **choice)]


@pytest.mark.parametrize("name", ["LiF", "lif", " LIF ", "Griceite", "lithium-fluoride", "Lithium Fluoride"])
def test_case_and_punctuation_do_not_matter(name):
    assert find_phase(TABLE, name).id == "LiF"


@pytest.mark.parametrize("name", ["TiO2_rutile", "tio2 rutile", "TiO2 (rutile)", "RUTILE"])
def test_a_polymorph_by_its_name(name):
    assert find_phase(TABLE, name).id == "TiO2_rutile"


def test_an_ambiguous_formula_names_the_choices():
    with pytest.raises(ValueError, match="TiO2_rutile, TiO2_anatase"):
        find_phase(TABLE, "TiO2")


def test_a_misspelt_name_gets_near_matches():
    with pytest.raises(ValueError, match="'zabuylite'; did you mean Li2CO3"):
        select_phases(TABLE, names=["LiF", "zabuylite"])


@pytest.mark.parametrize("name", ["unobtainium", "", "??"])
def test_a_name_like_no_other_is_refused(name):
    with pytest.raises(ValueError, match="no phase is called"):
        find_phase(TABLE, name)


def test_named_phases_come_once_in_the_asked_order():
    assert _ids(names=["Cu", "griceite", "LiF"]) == ["Cu", "LiF"]


def test_default_set_holds_the_user_s_own():
    assert _ids() == ["LiF", "LiOH", "Li2CO3", "Cu", "mine"]


def test_sets_add_up():
    assert _ids(tags=["metal"]) == ["Cu", "Au", "mine"]
    assert _ids(tags=["metal", "sei"]) == ["LiF", "LiOH", "Li2CO3", "Cu", "Au", "mine"]
    assert _ids(tags=["all"]) == [phase.id for phase in TABLE]


def test_an_unknown_set_names_those_there_are():
    with pytest.raises(ValueError, match=r"no set is called quantum; there are .*metal"):
        select_phases(TABLE, tags=["quantum"])


def test_elements_in_their_four_states():
    rule = parse_elements("Li, o; +cu -NA !K Fe|Co")
    assert rule == ElementRule(
        frozenset({"Li", "O"}), frozenset({"Cu"}), frozenset({"Fe", "Co"}), frozenset({"Na", "K"})
    )


def test_hydrogen_is_optional_unless_excluded():
    assert _ids(elements="Li, O") == ["LiOH", "mine"]
    assert _ids(elements="Li O -H") == ["mine"]


def test_required_any_and_excluded_elements():
    assert _ids(elements="+Li, F, O, C") == ["LiF", "LiOH", "Li2CO3"]
    assert _ids(elements="Li C|F O") == ["LiF", "Li2CO3"]
    assert _ids(tags=["all"], elements="-Li") == ["Cu", "TiO2_rutile", "TiO2_anatase", "Au", "mine"]


@pytest.mark.parametrize("text", ["", " ", ",", "Li, F,", "Li;;F\n"])
def test_empty_places_in_the_list_mean_nothing(text):
    assert parse_elements(text).optional == (frozenset({"Li", "F"}) if "Li" in text else frozenset())


def test_every_unknown_element_is_named():
    with pytest.raises(ValueError, match="not an element: 'Xx', 'LiF'"):
        parse_elements("Li, Xx, LiF")


@pytest.mark.parametrize("text", ["+", "Fe|", "-|Li", "Li2"])
def test_half_written_tokens_are_refused(text):
    with pytest.raises(ValueError, match="not an element"):
        parse_elements(text)


@given(st.text(max_size=20))
def test_any_text_is_read_or_refused_in_words(text):
    try:
        parse_elements(text)
    except ValueError as error:
        assert str(error).startswith("not an element: ")
