import numpy as np

from napari_tem_fft.core.maps.colours import PALETTE, SHADES, UNKNOWN, colours_of, is_colour

#: Ottosson's OKLab, and Machado et al. (2009) at full severity: all cones, none for long, none for medium.
TO_CONES = np.array(
    [[0.41222, 0.53633, 0.05145], [0.21190, 0.68070, 0.10740], [0.08830, 0.28172, 0.62998]],
)
TO_OKLAB = np.array(
    [[0.21045, 0.79362, -0.00407], [1.97800, -2.42859, 0.45059], [0.02590, 0.78277, -0.80868]],
)
VIEWS = (
    np.eye(3),
    np.array([[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.0520]]),
    np.array([[0.3673, 0.8606, -0.2280], [0.2801, 0.6725, 0.0474], [-0.0118, 0.0429, 0.9689]]),
)


def test_a_name_keeps_its_colour_in_other_company() -> None:
    assert colours_of(["LiF"])["LiF"] == colours_of(["LiF", "Li2O"])["LiF"]


def test_no_clash_within_an_image_and_any_order_gives_the_same() -> None:
    names = [f"phase {i}" for i in range(len(PALETTE))]
    assert len(set(colours_of(names).values())) == len(PALETTE)
    assert colours_of(names) == colours_of(names[::-1])


def test_unknown_crystal_is_grey_and_takes_no_colour() -> None:
    assert colours_of(["unknown crystal"])["unknown crystal"] == UNKNOWN


def test_colours_beyond_the_palette_do_not_repeat_and_earlier_ones_stay() -> None:
    few = colours_of(f"phase {i}" for i in range(len(PALETTE)))
    many = colours_of([f"phase {i}" for i in range(36)], few)
    assert len(set(many.values())) == 36 and set(many.values()) == {*PALETTE, *SHADES}
    assert few.items() <= many.items()


def _seen(colour: str) -> list[np.ndarray]:
    """The colour in OKLab, as it is and without cones for long or for medium waves."""
    s = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    linear = np.where(s <= 0.04045, s / 12.92, ((s + 0.055) / 1.055) ** 2.4)
    return [TO_OKLAB @ np.cbrt(TO_CONES @ np.clip(view @ linear, 0, 1)) for view in VIEWS]


def test_shades_are_told_apart_by_colour_blind_people_too() -> None:
    """The nearest two of the palette alone are .015 apart."""
    seen = [_seen(colour) for colour in (*PALETTE, *SHADES, UNKNOWN)]
    for number in range(len(PALETTE), len(PALETTE) + len(SHADES)):
        others = [*seen[:number], seen[-1]]
        nearest = min(
            np.linalg.norm(a - b) for other in others for a, b in zip(seen[number], other, strict=True)
        )
        assert nearest > 0.035


def test_more_components_than_colours() -> None:
    assert len(colours_of(map(str, range(40)))) == 40


def test_a_colour_is_six_hexadecimal_digits() -> None:
    assert all(map(is_colour, (*PALETTE, UNKNOWN, "#00ffAA")))
    assert not any(map(is_colour, ("red", "#00ffA", "#00ffAA0", "#00ffAG", None, 7)))
