from napari_tem_fft.core.colours import PALETTE, UNKNOWN, colours_of


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
