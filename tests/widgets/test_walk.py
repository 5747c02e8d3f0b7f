"""The whole walk in a real viewer: open, run, correct the mask, cancel, and what goes wrong."""

import numpy as np
import pytest
from napari.utils.key_bindings import coerce_keybinding

from mouse import stroke
from napari_tem_fft.core.fourier.mask import render
from napari_tem_fft.layers.image import KEY


def names(viewer):
    return [layer.name for layer in viewer.layers]


def test_a_run_adds_all_layers(viewer, analysed):
    assert names(viewer) == [
        "grain",
        "IFFT · grain",
        "specimen · grain",
        "grains · grain",
        *[f"{component.name} · grain" for component in reversed(analysed.components)],
        "numbers · grain",
        "legend · grain",
        "FFT · grain",
        "rings · grain",
        "mask · grain",
        "spots · grain",
        "scale bars · grain",
    ]
    assert [str(unit) for unit in viewer.layers.units] == ["nanometer", "nanometer"]
    assert all(layer.axis_labels == ("y", "x") for layer in viewer.layers)
    assert sorted(analysed.group["spots"].features["d (nm)"]) == pytest.approx(
        [0.2035, 0.2035, 0.235, 0.235], abs=0.002
    )


def test_a_run_leaves_the_choice_of_layers_alone(viewer, analysed):
    assert set(viewer.layers.selection) == {analysed.layer}
    assert viewer.layers.selection.active is analysed.layer


def test_fft_lies_beside_the_image_with_its_true_step(viewer, analysed):
    fft, image = analysed.group["fft"], analysed.layer
    assert fft.extent.world[0, 1] > image.extent.world[1, 1]
    assert np.ptp(fft.extent.world[:, 1]) == pytest.approx(np.ptp(image.extent.world[:, 1]), rel=0.01)
    assert fft.metadata[KEY]["step_1_nm"] == pytest.approx((1 / (240 * 0.03), 1 / (256 * 0.03)))
    assert not viewer.canvas.overlays.scale_bar.visible


def test_a_second_run_replaces_the_layers(viewer, dock, analysed, run):
    before = list(viewer.layers)
    analysed.group["fft"].colormap = "viridis"
    run(dock.session, dock.run.click)
    assert list(viewer.layers) == before
    assert analysed.group["fft"].colormap.name == "viridis"


def test_step_by_step(viewer, dock, grain_file, run):
    viewer.open(str(grain_file), plugin="napari-tem-fft")
    run(dock.session, dock.step.click)
    assert names(viewer) == ["grain", "FFT · grain", "scale bars · grain"]
    assert dock.run.text() == "Run the rest"
    run(dock.session, dock.step.click)
    run(dock.session, dock.step.click)
    assert "spots · grain" in names(viewer)
    assert dock.session.current.analysis is None
    assert not dock.session.current.group["mask"].editable
    run(dock.session, dock.run.click)
    assert dock.session.current.analysis is not None
    assert dock.session.current.group["mask"].editable
    assert dock.run.text() == "Run"


def test_erasing_a_disc_disables_its_spot_and_undo_brings_it_back(viewer, dock, analysed, run):
    mask = analysed.group["mask"]
    spot = analysed.spots[0]
    before = {p.curve: p for p in analysed.profiles}["masked"].intensity.sum()
    mask.mode, mask.brush_size = "erase", 9
    centre = centre_of(mask, spot)
    run(dock.session, lambda: stroke(mask, centre, centre + 1))
    assert [s.enabled for s in analysed.spots] == [False, True]
    assert len(analysed.group["spots"].data) == 2  # +g and -g of the other
    assert {p.curve: p for p in analysed.profiles}["masked"].intensity.sum() < 0.7 * before
    assert not mask.data[tuple((np.array(mask.data.shape) - 1 - centre).astype(int))]
    assert dock.spots.undo.isEnabled()
    run(dock.session, dock.spots.undo.click)
    assert [s.enabled for s in analysed.spots] == [True, True]
    assert mask.data[tuple(centre.astype(int))]
    run(dock.session, dock.spots.redo.click)
    assert [s.enabled for s in analysed.spots] == [False, True]


def centre_of(mask, spot):
    notes = mask.metadata[KEY]
    return np.round(np.array(spot.g) / notes["step_1_nm"] + (np.array(mask.data.shape) - 1) / 2)


def test_keys_on_the_mask_undo_and_redo(dock, analysed, run):
    mask = analysed.group["mask"]
    run(dock.session, lambda: mask.fill(centre_of(mask, analysed.spots[0]), 0))
    run(dock.session, lambda: mask.keymap[coerce_keybinding("Control-Z")](mask))
    assert analysed.spots[0].enabled
    run(dock.session, lambda: mask.keymap[coerce_keybinding("Control-Shift-Z")](mask))
    assert not analysed.spots[0].enabled


def test_painting_adds_a_spot_by_hand(dock, analysed, run):
    mask = analysed.group["mask"]
    mask.mode, mask.brush_size = "paint", 5
    place = (np.array(mask.data.shape) - 1) / 2 + (20, 30)
    run(dock.session, lambda: stroke(mask, place, place))
    assert len(analysed.spots) == 3
    added = analysed.spots[-1]
    assert added.origin == "hand"
    assert mask.data[tuple(centre_of(mask, added).astype(int))]
    assert mask.data[tuple((np.array(mask.data.shape) - 1 - centre_of(mask, added)).astype(int))]


def test_fill_and_napari_own_undo_are_followed(dock, analysed, run):
    mask, spot = analysed.group["mask"], analysed.spots[0]
    run(dock.session, lambda: mask.fill(centre_of(mask, spot), 0))
    assert not analysed.spots[0].enabled
    run(dock.session, mask.undo)
    assert analysed.spots[0].enabled


def test_erasing_everything_leaves_nothing(viewer, dock, analysed, run):
    mask = analysed.group["mask"]

    def erase_all():
        mask.data[:] = 0
        mask.refresh()

    run(dock.session, erase_all)
    assert not any(spot.enabled for spot in analysed.spots)
    assert analysed.components == ()
    assert not any(role.startswith("heat") for role in analysed.group.roles)
    assert len(analysed.group["spots"].data) == 0


def test_the_mask_is_drawn_from_the_spots(analysed):
    from napari_tem_fft.core.fourier.diffractogram import display_grid

    grid = display_grid(analysed.analysis.diffractogram)
    assert np.array_equal(analysed.group["mask"].data, render(analysed.spots, grid))


def test_cancel_keeps_what_is_there(viewer, dock, grain_file, run, qtbot):
    viewer.open(str(grain_file), plugin="napari-tem-fft")
    run(dock.session, dock.step.click)
    dock.step.click()
    dock.cancel.click()
    assert not dock.session.running
    assert names(viewer) == ["grain", "FFT · grain", "scale bars · grain"]
    qtbot.wait(300)
    assert names(viewer) == ["grain", "FFT · grain", "scale bars · grain"]
    assert dock.run.isEnabled()


def test_cancel_of_a_second_run_shows_the_first_again(viewer, dock, analysed, run):
    spots = analysed.spots
    dock.params.value = type(dock.params.value)()
    run(dock.session, dock.step.click)
    run(dock.session, dock.cancel.click)
    assert analysed.spots == spots
    assert analysed.group["mask"].editable


def test_removing_the_image_removes_what_was_made_of_it(viewer, analysed, qtbot):
    viewer.layers.remove(analysed.layer)
    qtbot.waitUntil(lambda: names(viewer) == [])


def test_all_layers_can_be_removed_at_once(viewer, dock, analysed):
    viewer.layers.clear()
    assert names(viewer) == []
    assert dock.session.current is None


def test_a_removed_layer_stays_away_until_the_next_run(viewer, dock, analysed, run):
    viewer.layers.remove(analysed.group["ifft"])
    mask = analysed.group["mask"]
    run(dock.session, lambda: mask.fill(centre_of(mask, analysed.spots[0]), 0))
    assert "IFFT · grain" not in names(viewer)
    run(dock.session, dock.run.click)
    assert "IFFT · grain" in names(viewer)
