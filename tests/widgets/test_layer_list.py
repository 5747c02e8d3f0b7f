"""The layer list: what belongs to an image stands with it, and long names take no room from the images."""

import numpy as np
from napari.layers import Layer

from dm_writer import write_dm
from forward_model import fringes
from mouse import press
from napari_tem_fft.layers.image import KEY
from napari_tem_fft.plugin.reader import read_layers
from napari_tem_fft.widgets.docks.tem_fft import TemFftDock

PIXEL = 0.03


def add(viewer, folder, name, azimuth):
    image = np.random.default_rng(1).normal(0, 1, (200, 220))
    image += fringes(image.shape, (PIXEL, PIXEL), 0.2035, azimuth)
    path = write_dm(folder / f"{name}.dm4", image.astype(np.float32), PIXEL, "nm")
    return viewer.add_layer(Layer.create(*read_layers(str(path))[0]))


def test_the_layers_of_an_image_stand_above_it_and_below_the_next_image(viewer, dock, tmp_path, run):
    images = [add(viewer, tmp_path, name, azimuth) for name, azimuth in (("one", 20.0), ("two", 50.0))]
    for image in images:  # both are opened before either is analysed
        dock.image.image = image
        run(dock.session, lambda: press(dock.run))
    owners = [layer.metadata[KEY].get("of", layer.name) for layer in viewer.layers]
    first = owners.index("two")
    assert set(owners[:first]) == {"one"} and set(owners[first:]) == {"two"} and first > 5
    dock.image.image = images[0]
    run(dock.session, lambda: press(dock.run))  # again: nothing moves
    assert [layer.metadata[KEY].get("of", layer.name) for layer in viewer.layers] == owners


def test_long_names_widen_neither_the_layer_list_nor_its_controls(make_napari_viewer, tmp_path, run, qtbot):
    viewer = make_napari_viewer(show=True)
    dock = TemFftDock(viewer)
    viewer.window.add_dock_widget(dock, name="TEM FFT")
    viewer.window._qt_window.resize(1280, 800)
    dock.candidates.names.setText("LiF")
    add(viewer, tmp_path, "2024-05-11_Titan_380kx_anode_after_200_cycles_lamella_03_region_B_defocus", 20.0)
    column = viewer.window._qt_viewer.dockLayerList
    controls = viewer.window._qt_viewer.controls
    qtbot.wait(200)
    before = column.width(), controls.minimumSizeHint().width()
    run(dock.session, lambda: press(dock.run))
    viewer.layers.selection.active = dock.session.current.group["heat unknown crystal"]
    qtbot.wait(200)
    assert (column.width(), controls.minimumSizeHint().width()) == before
