import numpy as np
import pytest

from napari_tem_fft.nn.simulation.curved import Stack, arc_power, layer_fringes, random_layers

SHAPE, PIXEL = (512, 512), (0.04, 0.04)
#: Layers of 0.34 nm around a point to the left of the image, 13 to 18 nm away.
CURLED = Stack((10.0, -5.0), np.arange(13.0, 18.0, 0.34), 0.0, 1.0)


def local_frequency(stack: Stack, y: float, x: float) -> tuple[float, float]:
    """Frequency (y, x) of the fringes at a place in a stack, 1/nm, by differences over 0.01 nm."""
    step = 0.005
    (above, below), (right, left) = (
        [stack.phase_and_cover(np.array(y + a), np.array(x + b))[0] for a, b in pair]
        for pair in (((step, 0), (-step, 0)), ((0, step), (0, -step)))
    )
    return float(above - below) / (2 * step), float(right - left) / (2 * step)


def test_fringes_of_curved_planes_point_away_from_the_centre_of_curvature():
    """15 nm away, by 0.3 rad: g = (sin 0.3, cos 0.3) / 0.34 nm."""
    y, x = 10.0 + 15 * np.sin(0.3), -5.0 + 15 * np.cos(0.3)
    assert local_frequency(CURLED, y, x) == pytest.approx((np.sin(0.3) / 0.34, np.cos(0.3) / 0.34), rel=1e-3)


def test_planes_turn_by_the_way_along_them_over_their_radius():
    """From one end of an arc of 1 rad to the other the frequency turns by 1 rad, whatever the radius."""
    ends = [
        local_frequency(CURLED, 10.0 + 15 * np.sin(turn), -5.0 + 15 * np.cos(turn)) for turn in (-0.45, 0.45)
    ]
    turned = np.arctan2(*ends[1]) - np.arctan2(*ends[0])
    assert turned == pytest.approx(0.9, abs=1e-3)


def test_the_layers_drift_and_disorder_stay_small_and_their_number_is_the_way_over_the_spacing():
    layers = random_layers(np.random.default_rng(1), 5.0, 11.0, 0.35)
    assert len(layers) == 17 and layers[0] == 5.0
    assert np.diff(layers) == pytest.approx(0.35, rel=0.03 + 0.03 * 2.5)


def test_fringes_are_drawn_in_the_stack_and_nowhere_else():
    found = layer_fringes(CURLED, SHAPE, PIXEL, ((8, 8), (8, 8)), (1.0,))
    assert found is not None
    (rows, columns), fringes, cover = found
    y, x = (np.arange(side.start, side.stop) - 8 + 0.5 for side in (rows, columns))
    away = np.hypot(y[:, None] * 0.04 - 10.0, x * 0.04 + 5.0)
    assert fringes[(away < 12.8) | (away > 18.1)].max(initial=0) == 0
    inside = cover == 1
    assert fringes[inside].max() == pytest.approx(1.0, abs=0.01)
    assert np.mean(fringes[inside] ** 2) == pytest.approx(0.5, abs=0.02)  # of a cosine


def test_a_stack_outside_the_image_draws_nothing():
    assert layer_fringes(CURLED, (64, 64), PIXEL, ((0, 0), (0, 0)), (1.0,)) is None
    assert len(arc_power(CURLED, 1, (64, 64), PIXEL)[0]) == 0


def test_power_along_an_arc_is_the_power_of_its_fringes_in_the_best_window():
    """By the slow way: every window of the image times the fringes, at three frequencies of the arc."""
    from napari_tem_fft.core.fourier.stft import WindowParams, window_line, window_pixels

    g, area = arc_power(CURLED, 1, SHAPE, PIXEL)
    length = np.hypot(*g.T)
    strong = area > 0.1 * area.max()
    assert length[strong] == pytest.approx(1 / 0.34, rel=0.015)
    turn = np.arctan2(g[strong, 0], g[strong, 1])
    assert turn.min() == pytest.approx(-0.5, abs=0.15) and turn.max() == pytest.approx(0.5, abs=0.15)
    found = layer_fringes(CURLED, SHAPE, PIXEL, ((0, 0), (0, 0)), (1.0,))
    assert found is not None
    field = np.zeros(SHAPE)
    field[found[0]] = 2 * found[1]  # exp(i phase) and its conjugate
    sides = window_pixels(SHAPE, PIXEL, WindowParams())
    rows, columns = (window_line(n, side, p) for n, side, p in zip(SHAPE, sides, PIXEL, strict=True))
    for k in np.flatnonzero(strong)[::9]:
        wave = [
            np.exp(-2j * np.pi * f * (np.arange(n) + 0.5) * 0.04) for f, n in zip(g[k], SHAPE, strict=True)
        ]
        lines = [
            np.array(
                [
                    np.interp(np.arange(512) - s, np.arange(side), t, 0, 0)
                    for s, t in zip(line.starts, line.tapers, strict=True)
                ]
            )
            for line, side in zip((rows, columns), sides, strict=True)
        ]
        seen = (lines[0] * wave[0]) @ field @ (lines[1] * wave[1]).T
        power = np.abs(seen) ** 2 / np.outer(*[np.sum(line**2, axis=1) for line in lines])
        assert area[k] == pytest.approx(power.max(), rel=0.06)


def test_more_bent_planes_are_seen_by_a_window_with_less_power():
    power = [
        arc_power(
            Stack((10.0, 10.0 - r), r + 0.34 * np.arange(-7, 8), 0.0, min(10 / r, 6.0)), 1, SHAPE, PIXEL
        )[1].max()
        for r in (5.0, 15.0, 50.0)
    ]
    assert power[0] < 0.5 * power[1] and power[1] < power[2]
