from napari_tem_fft.core.colours import PALETTE, UNKNOWN, colours_of, is_colour


def test_a_name_keeps_its_colour_in_other_company() -> None:
    assert colours_of(["LiF"])["LiF"] == colours_of(["LiF", "Li2O"])["LiF"]


def test_no_clash_within_an_image_and_any_order_gives_the_same() -> None:
    names = [f"phase {i}" for i in range(len(PALETTE))]
    assert len(set(colours_of(names).values())) == len(PALETTE)
    assert colours_of(names) == colours_of(names[::-1])


def test_unknown_crystal_is_grey_and_takes_no_colour() -> None:
    assert colours_of(["unknown crystal"])["unknown crystal"] == UNKNOWN


def test_more_components_than_colours() -> None:
    assert len(colours_of(map(str, range(40)))) == 40


def test_a_colour_is_six_hexadecimal_digits() -> None:
    assert all(map(is_colour, (*PALETTE, UNKNOWN, "#00ffAA")))
    assert not any(map(is_colour, ("red", "#00ffA", "#00ffAA0", "#00ffAG", None, 7)))
