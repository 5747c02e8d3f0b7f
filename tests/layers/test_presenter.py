"""What is shown in one turn of the window: known layers get new contents together, a new one comes alone."""

import numpy as np

from forward_model import white_noise
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph
from napari_tem_fft.core.pipeline import (
    Analysis,
    DiffractogramReady,
    GrainsFound,
    LocalSpectraReady,
    MapsReady,
    PhasesAssigned,
    ProfilesReady,
    SpotsFound,
    analysis_steps,
)
from napari_tem_fft.core.progress import Step, exhaust
from napari_tem_fft.core.reanalysis import reanalyse_after_spot_edit
from napari_tem_fft.layers.image import KEY
from napari_tem_fft.layers.presenter import Presenter, shown_in_turn
from napari_tem_fft.layers.results import role_of
from small_analysis import small_analysis


def layer(role):
    return None, {"metadata": {KEY: {"role": role}}}, "image"


def test_a_new_layer_has_a_turn_of_its_own():
    layers = [layer(role) for role in ("mask", "spots", "heat A", "rings", "ifft", "grains", "specimen")]
    known = {"mask", "spots", "rings", "ifft", "grains", "specimen"}
    steps = list(shown_in_turn(Step("maps", 1, 2), "product", layers, known))
    roles = [[role[1]["metadata"][KEY]["role"] for role in step.product.layers] for step in steps]
    assert roles == [["mask", "spots"], ["heat A"], ["rings", "ifft", "grains"], ["specimen"], []]
    assert [step.product.product for step in steps] == ["product", None, None, None, None]
    assert [step.product.more for step in steps] == [True, True, True, True, False]


def test_an_image_without_any_spot_delivers_an_event_for_each_stage():
    pixels = white_noise((256, 256), 5).astype(np.float32)
    micrograph = Micrograph(pixels, Calibration.real(0.03), "nothing")
    steps = []
    analysis = exhaust(Presenter(micrograph).present(analysis_steps(micrograph, ())), steps.append)
    assert analysis.spots == analysis.grains == analysis.matches == analysis.components == ()
    products = [step.product.product for step in steps if step.product.product is not None]
    assert [type(product) for product in products] == [
        DiffractogramReady, LocalSpectraReady, SpotsFound, ProfilesReady, GrainsFound, PhasesAssigned,
        MapsReady, Analysis,
    ]  # fmt: skip
    roles = [role_of(layer) for step in steps for layer in step.product.layers]
    assert sorted(roles) == ["bars", "fft", "ifft", "mask", "specimen", "spots"]


def test_an_edit_that_leaves_no_spot_delivers_that_there_is_nothing():
    before, steps = small_analysis(), []
    edit = reanalyse_after_spot_edit(before, ())
    exhaust(Presenter.after(before).present(edit), steps.append)
    products = [step.product.product for step in steps if step.product.product is not None]
    grains, matches, maps = products[1].grains, products[2].matches, products[3].components
    assert grains == matches == maps == ()
