from dataclasses import replace

import numpy as np
import pytest

from napari_tem_fft.core.fourier.local_spectra import LocalSpectra
from napari_tem_fft.nn.inference.prepare import InputParams
from napari_tem_fft.nn.simulation.conditions import SynthesisParams, plain, without_crystals
from napari_tem_fft.nn.simulation.crystals import (
    FIRST_HALF,
    ORDER,
    Lattice,
    Shape,
    facet_shape,
    fringes,
    random_lattice,
    rotate_in_plane,
)
from napari_tem_fft.nn.simulation.imaging import Camera, Lens, Probe, Scan, expose, record_image, surroundings
from napari_tem_fft.nn.simulation.synthesis import WindowViews, drifting, synthesise
from napari_tem_fft.nn.training.dataset import load_pairs, make_pairs, spectra_of

FEW = SynthesisParams(sizes=(256,), shares=(1.0,), pixel_size=(0.03, 0.04), dose=(500, 2000), vacuum=0.0)
#: The shares of FEW of what makes an image other than straight lattices before a camera.
KINDS = ("scanned", "curved", "bent", "filtered", "resampled", "eight_bit", "labelled")


def test_transfer_of_a_known_lens():
    """300 kV, defocus 40 nm, no Cs, full coherence: 2 sin(pi lambda z g^2) at g = 3 1/nm."""
    lens = Lens(cs_mm=0.0, defocus=40.0, focal_spread=0.0, convergence=0.0, amplitude_contrast=0.0)
    assert lens.wavelength == pytest.approx(0.0019687, rel=1e-4)
    expected = 2 * np.sin(np.pi * 0.0019687 * 40 * 9)
    assert lens.transfer(np.array(0.0), np.array(3.0)) == pytest.approx(expected, rel=1e-4)


def test_fringes_have_their_spacing_and_amplitude():
    shape = Shape(slice(0, 64), slice(0, 64), np.ones((64, 64), np.float32))
    field = fringes(shape, (0.0625, 0.0625), np.array([[0.0, 4.0]]), np.array([0.5 + 0j]))
    assert field.max() == pytest.approx(1.0, abs=1e-5)
    spectrum = np.abs(np.fft.rfft2(field))
    assert np.unravel_index(spectrum.argmax(), spectrum.shape) == (0, 16)


def test_potentials_are_real():
    lattice = random_lattice(np.random.default_rng(3))
    assert np.allclose(lattice.strength, np.conj(lattice.strength[::-1, ::-1]))
    assert lattice.strength[ORDER, ORDER] == 0 and lattice.strength[FIRST_HALF].any()
    quarter = rotate_in_plane(Lattice(np.eye(2), lattice.strength), np.pi / 2)
    assert np.allclose(np.linalg.norm(quarter.basis, axis=1), 1)


@pytest.mark.parametrize("counting", [True, False])
def test_camera_noise_is_what_the_truth_says(counting):
    """100 electrons a pixel: relative variance 1 %, less where an integrating camera blurs it."""
    camera = Camera(dose=1e6, counting=counting, blur=0.1)
    grey = record_image(np.ones((400, 400), np.float32), (0.01, 0.01), camera, np.random.default_rng(0))
    relative = ((grey - 100) / 1000).var()
    kept = 1.0 if counting else (0.8**2 + 2 * 0.1**2) ** 2
    assert relative == pytest.approx(0.01 * kept, rel=0.02)


def test_film_noise_is_what_the_truth_says():
    """Power of a film's contrast at any g: strength^2 times film and lens squared, a pixel."""
    rng, lens = np.random.default_rng(1), Lens(focal_spread=0.0, convergence=0.0)
    camera = Camera(dose=1e12)
    film = 0.05 * rng.standard_normal((512, 512), np.float32)
    grey = expose(film, no_crystal(film.shape, (0.04, 0.04)), (0.04, 0.04), lens, camera, 0.0, rng)
    contrast = (grey - 100) / (10 * camera.electrons((0.04, 0.04))) - 1
    power = np.abs(np.fft.rfft2(contrast)) ** 2 / contrast.size
    gy, gx = np.fft.fftfreq(512, 0.04)[:, None], np.fft.rfftfreq(512, 0.04)
    ring = np.abs(np.hypot(gy, gx) - 3.0) < 0.2
    g = np.array(3.0)
    expected = (0.05 / (1 + 9 / 16)) ** 2 * lens.transfer(np.array(0.0), g) ** 2
    assert power[ring].mean() == pytest.approx(expected, rel=0.15)


def test_the_same_number_is_the_same_image():
    a, b, c = (synthesise(5, k, (), FEW) for k in (2, 2, 3))
    assert np.array_equal(a.micrograph.pixels, b.micrograph.pixels)
    assert np.array_equal(a.truth.snr, b.truth.snr)
    assert not np.array_equal(a.micrograph.pixels, c.micrograph.pixels)


def test_true_spots_stand_out_as_the_truth_says():
    """The truth's windows fit the grain, of 54 to 240 nm^2 here; those of the local spectra have 54 nm^2."""
    ratios = []
    large = plain(
        SynthesisParams(
            sizes=(512,),
            shares=(1.0,),
            pixel_size=(0.03, 0.03),
            dose=(800, 2000),
            diameter=(25.0, 40.0),
            vacuum=0.0,
        )
    )
    for number in range(6):
        one = synthesise(11, number, (), large)
        _, spectra = spectra_of(one.micrograph, one.window)
        truth = one.truth
        for g, snr in zip(truth.g, truth.snr, strict=True):
            if 40 < snr < 1e4 and spectra.grid.step[0] * 20 < np.hypot(*g) < 9.5:
                ratios.append(snr_at(spectra, g) / snr)
    assert len(ratios) > 10
    assert 54 / 240 < np.median(ratios) < 1


def snr_at(spectra: LocalSpectra, g: np.ndarray) -> float:
    gy, gx = g if g[1] > 0 else -g
    row, column = round(gy / spectra.grid.step[0]), round(gx / spectra.grid.step[1])
    row += spectra.grid.half[0]
    return float(spectra.snr_max[row - 1 : row + 2, max(column - 1, 0) : column + 2].max())


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_image_follows_from_its_number(kind):
    params = replace(plain(FEW), **{kind: 1.0})
    first, again, without = (synthesise(6, 1, (), p) for p in (params, params, plain(FEW)))
    assert np.array_equal(first.micrograph.pixels, again.micrograph.pixels)
    assert np.array_equal(first.truth.g, again.truth.g)
    assert not np.array_equal(first.micrograph.pixels, without.micrograph.pixels)


def test_the_shares_of_the_kinds_are_those_that_the_parameters_state():
    """60 images, all scanned by half: their lens is none."""
    params = replace(plain(FEW), sizes=(64,), scanned=0.5)
    scanned = sum(synthesise(1, k, (), params).lens is None for k in range(60))
    assert 20 <= scanned <= 40


def test_planes_of_a_bent_crystal_turn_by_the_way_over_the_radius():
    """Radius of 100 nm: 10 nm from the middle g = (3, 0) has turned by 0.1 rad, to (3, 0.3)."""
    shape = Shape(slice(0, 1024), slice(0, 1024), np.ones((1024, 1024), np.float32))
    bend = np.array([[0.0, 0.01], [0.0, 0.0]])
    field = fringes(shape, (0.04, 0.04), np.array([[3.0, 0.0]]), np.array([1.0 + 0j]), bend)
    part = field[480:544, 512 + 250 - 32 : 512 + 250 + 32] * np.outer(np.hanning(64), np.hanning(64))
    power = np.abs(np.fft.fft2(part, (1024, 1024)))[:512]
    gy, gx = np.unravel_index(power.argmax(), power.shape)
    there = np.array([gy, (gx + 512) % 1024 - 512]) / (1024 * 0.04)
    assert there * np.sign(there[0]) == pytest.approx([3.0, 0.3], abs=0.03)


def test_windows_see_the_reflections_of_a_bent_crystal_where_they_are_and_weaker():
    """Two windows 10 nm apart on planes that turn by 1 rad in 100 nm, each 2 nm wide."""
    windows = WindowViews(
        np.array([[500.0, 500.0]]), np.array([[[0.0, -5.0], [0.0, 5.0]]]), np.full((1, 2, 2), 2.0)
    )
    bend = np.array([[0.0, 0.01], [0.0, 0.0]])
    truth = drifting(windows, np.array([[3.0, 0.0]]), np.array([0.1]), bend, (0.0, 0.0), 20.0, 4)
    assert sorted(truth.g[:, 1].round(3).tolist()) == [-0.15, 0.15] and truth.g[:, 0].tolist() == [3.0, 3.0]
    assert truth.snr == pytest.approx(50 / np.sqrt(1 + (2 * np.pi * 0.03 * 4) ** 2))
    assert truth.size == pytest.approx(1 / (3 * 0.03 * 2)) and truth.grain.tolist() == [4, 4]


def test_jitter_has_its_variance_and_takes_its_share_of_a_fringe():
    """Lines 0.03 nm off leave exp(-(2 pi 5 0.03)^2) = 41 % of the power of fringes of 5 1/nm in the spot."""
    scan, rng = Scan(jitter=0.03), np.random.default_rng(0)
    assert np.var(scan.places(20000, 0.05, rng)) == pytest.approx(0.03**2, rel=0.05)
    x = np.arange(400) * 0.05
    field = np.tile(np.cos(2 * np.pi * 5 * x), (4000, 1)).astype(np.float32)
    before, after = (np.abs(one.mean(axis=0)) ** 2 for one in (field, scan.scanned(field, (0.05, 0.05), rng)))
    share = float(scan.kept(np.array([[0.0, 5.0]]))[0])
    assert share == pytest.approx(0.411, abs=0.001)
    assert after.sum() / before.sum() == pytest.approx(share, rel=0.05)


def test_drift_shears_a_scanned_image_as_the_truth_says():
    """A tenth of a pixel a line: fringes of (0, 4) 1/nm become (-0.4, 4)."""
    scan = Scan(slope=0.1)
    x = np.arange(400) * 0.05
    field = np.tile(np.cos(2 * np.pi * 4 * x), (400, 1)).astype(np.float32)
    power = np.abs(np.fft.fft2(scan.scanned(field, (0.05, 0.05), np.random.default_rng(0))))[:, :200]
    row, column = np.unravel_index(power.argmax(), power.shape)
    assert ((row + 200) % 400 - 200) / 20 == pytest.approx(-0.4) and column / 20 == 4.0
    assert scan.sheared(np.array([0.0, 4.0])).tolist() == [-0.4, 4.0]


def test_a_probe_blurs_and_never_reverses_the_contrast():
    """0.05 nm wide: exp(-2 (pi 0.05 4)^2) = 45 % is left of 4 1/nm."""
    probe = Probe(0.05, 1.0)
    assert probe.transfer(np.array(0.0), np.array(4.0)) == pytest.approx(0.454, abs=0.001)
    assert (probe.transfer(np.array(0.0), np.linspace(0, 12, 50)) > 0).all()


def test_images_of_curved_planes_alone_have_arcs_of_the_layers_spacing():
    graphite = replace(
        plain(FEW), empty=1.0, curved=1.0, curvature=(8.0, 20.0), layer=(0.34, 0.341), best_snr=(300, 3000)
    )
    lengths = np.concatenate(
        [one.truth.g[one.truth.snr > 25] for one in (synthesise(3, k, (), graphite) for k in range(4))]
    )
    first = np.hypot(*lengths.T)
    first = first[first < 3.6]
    assert (
        len(first) > 10
        and first.min() > 1 / 0.40 / 1.25
        and np.median(first) == pytest.approx(2.75, rel=0.12)
    )


def test_images_without_crystals_have_no_reflection():
    assert len(synthesise(5, 1, (), without_crystals(FEW)).truth.snr) == 0


def test_pairs_are_made_once_and_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_tem_fft.nn.training.dataset.SHARD", 2)
    inputs = InputParams(half=31, margin=8)
    assert list(make_pairs(tmp_path, 4, 5, (), FEW, inputs, workers=1))[-1] == 4
    times = [p.stat().st_mtime_ns for p in sorted(tmp_path.glob("*.npz"))]
    assert list(make_pairs(tmp_path, 4, 5, (), FEW, inputs, workers=1)) == [4]
    assert times == [p.stat().st_mtime_ns for p in sorted(tmp_path.glob("*.npz"))]
    pairs = load_pairs(tmp_path, 2, first=1)
    assert np.array_equal(pairs.truth[0].snr, synthesise(5, 1, (), FEW).truth.snr)
    with pytest.raises(ValueError, match="another seed"):
        list(make_pairs(tmp_path, 4, 6, (), FEW, inputs, workers=1))


def test_what_a_lens_moves_beyond_a_border_does_not_come_back_at_the_opposite_one():
    shape, pixel = (256, 256), (0.05, 0.05)
    lens = Lens(cs_mm=1.2, defocus=150.0)  # moves fringes of 0.25 nm by 2 nm
    crystal = no_crystal(shape, pixel)
    beyond = surroundings(shape, pixel)[1][0]
    x = (np.arange(beyond + 60) - beyond) * pixel[1]
    crystal[:, : beyond + 60] = 0.05 * np.cos(2 * np.pi * 4.0 * x)
    rng = np.random.default_rng(1)
    camera = Camera(dose=1e9)
    grey = expose(np.zeros(shape, np.float32), crystal, pixel, lens, camera, 0.0, rng)
    parts = {"crystal": grey[:, 5:45], "opposite border": grey[:, -40:], "middle": grey[:, 150:190]}
    power = {}
    for name, part in parts.items():
        spectrum = np.abs(np.fft.rfft((part - part.mean()).mean(axis=0) * np.hanning(40))) ** 2
        power[name] = spectrum[7:10].sum()  # 4 1/nm is the eighth of 40 pixels
    assert power["opposite border"] < 1e-3 * power["crystal"]
    assert power["middle"] < 1e-3 * power["crystal"]


def test_nor_does_what_a_lens_with_a_large_aberration_moves_by_many_nanometres():
    shape, pixel = (512, 512), (0.05, 0.05)
    lens = Lens(80.0, cs_mm=1.0, defocus=0.0, convergence=0.0, focal_spread=2.0)
    assert abs(lens.displacement(np.array([0.0, 5.0]))[1]) > 9
    around = surroundings(shape, pixel, lens.guard(6.0))
    crystal = np.pad(np.zeros(shape, np.float32), around)
    before = around[1][0]
    crystal[:, before : before + 60] = 0.05 * np.cos(2 * np.pi * 5.0 * np.arange(60) * pixel[1])
    rng = np.random.default_rng(1)
    grey = expose(np.zeros(shape, np.float32), crystal, pixel, lens, Camera(dose=1e9), 0.0, rng)
    power = {}
    for name, first in (("moved", 190), ("opposite border", 460)):
        part = grey[:, first : first + 40] - grey[:, first : first + 40].mean()
        power[name] = np.abs(np.fft.rfft(part.mean(axis=0) * np.hanning(40)))[9:12].max() ** 2
    assert power["opposite border"] < 1e-3 * power["moved"]


def test_a_crystal_that_goes_on_beyond_the_border_shows_its_own_fringes_alone():
    """Fringes that end at the border, or are mirrored there, put others into a defocused image."""
    shape, pixel = (256, 256), (0.05, 0.05)
    crystal = no_crystal(shape, pixel)
    (top, _), (left, _) = surroundings(shape, pixel)
    y, x = ((np.arange(n) - before) * 0.05 for n, before in zip(crystal.shape, (top, left), strict=True))
    crystal += np.where(x < 4.0, 0.05 * np.cos(2 * np.pi * (2.0 * y[:, None] + 3.0 * x)), 0).astype(
        np.float32
    )
    lens, rng = Lens(cs_mm=1.2, defocus=60.0), np.random.default_rng(1)
    grey = expose(np.zeros(shape, np.float32), crystal, pixel, lens, Camera(dose=1e9), 0.0, rng)
    part = grey[88:168, :80] - grey[88:168, :80].mean()
    power = np.abs(np.fft.rfft2(part * np.outer(np.hanning(80), np.hanning(80)))) ** 2
    own, mirrored = power[6:11, 10:15].max(), power[-10:-5, 10:15].max()  # 2 and 3 1/nm: the 8th and 12th
    assert mirrored < 1e-4 * own


def test_the_part_of_a_crystal_in_the_image_is_where_it_is():
    around = ((8, 8), (8, 8))
    lattice = Lattice(np.eye(2), np.ones((2 * ORDER + 1,) * 2, complex))
    rng = np.random.default_rng(0)
    whole = facet_shape((32, 32), (0.1, 0.1), (0.0, 1.6), 4.0, lattice, rng, around)
    assert whole is not None and whole.rows == slice(-8, 40) and whole.columns == slice(-8, 40)
    shown = whole.within((32, 32))
    assert shown.rows == slice(0, 32) and np.array_equal(shown.depth, whole.depth[8:40, 8:40])


def no_crystal(shape: tuple[int, int], pixel_size: tuple[float, float]) -> np.ndarray:
    """No potential, on an image and what surrounds it."""
    return np.pad(np.zeros(shape, np.float32), surroundings(shape, pixel_size))
