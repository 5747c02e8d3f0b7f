"""What is shown in one turn of the window: known layers get new contents together, a new one comes alone."""

from napari_tem_fft.core.progress import Step
from napari_tem_fft.layers.presenter import shown_in_turn
from napari_tem_fft.layers.results import KEY


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
