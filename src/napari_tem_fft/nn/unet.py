"""The U-Net: from the prepared diffractogram to the probability that a cell belongs to a Bragg spot.

After Ronneberger, Fischer and Brox (2015), with few features: the spots are small, and what tells them
from side lobes is the pattern around them, which the coarse levels see. Blocks of `fold` x `fold` cells
become channels first, and the output is unfolded again: processors are poor at wide layers of few features.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

from ..core.parameters import Field, check_limits
from .prepare import InputParams

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True, slots=True)
class NetworkParams:
    """The architecture of the U-Net."""

    base: Annotated[
        int,
        Field(
            "base", low=1, high=128, help="Features of the finest level; each coarser one has twice as many."
        ),
    ] = 24
    depth: Annotated[int, Field("depth", low=1, high=6, help="Times that the resolution is halved.")] = 3
    fold: Annotated[
        int, Field("fold", low=1, high=4, help="Cells an axis of the blocks that become channels: 1, 2 or 4.")
    ] = 4
    norm: Annotated[
        str, Field("norm", choices=("none", "batch", "group"), help="What follows each convolution.")
    ] = "batch"

    def __post_init__(self) -> None:
        check_limits(self)
        if self.fold == 3:
            raise ValueError("fold: 3 is none of 1, 2, 4")

    @property
    def multiple(self) -> int:
        """Rows and columns of an input must be multiples of this."""
        return int(self.fold * 2**self.depth)


def build_unet(network: NetworkParams, shape: tuple[int, int], channels: int, seed: int = 0) -> keras.Model:
    """An untrained U-Net.

    Parameters
    ----------
    shape : tuple of int
        Rows and columns, multiples of ``network.multiple``.
    channels : int
        Of the input.
    seed : int
        Of the initial weights.

    Returns
    -------
    keras.Model
        Input (n, rows, columns, channels), output (n, rows, columns, 1): logits.
    """
    import keras

    if any(n % network.multiple for n in shape):
        raise ValueError(f"{shape[0]} x {shape[1]} cells are no multiples of {network.multiple}")
    keras.utils.set_random_seed(seed)
    inputs = keras.Input((*shape, channels))
    x: Any = _folded(inputs, network.fold)
    skips = []
    for level in range(network.depth):
        x = _two_convolutions(x, network.base * 2**level, network)
        skips.append(x)
        x = keras.layers.MaxPooling2D()(x)
    x = _two_convolutions(x, network.base * 2**network.depth, network)
    for level in reversed(range(network.depth)):
        x = keras.layers.Conv2DTranspose(network.base * 2**level, 2, strides=2)(x)
        x = keras.layers.Concatenate()([skips[level], x])
        x = _two_convolutions(x, network.base * 2**level, network)
    # few cells belong to spots: starting from their share keeps the first steps from being wasted
    rare = keras.initializers.Constant(-4.0)
    x = keras.layers.Conv2D(network.fold**2, 1, bias_initializer=rare)(x)
    return keras.Model(inputs, _unfolded(x, network.fold))


def _folded(x: Any, fold: int) -> Any:
    """Blocks of cells as channels: (n, h, w, c) to (n, h / f, w / f, f f c)."""
    from keras import layers

    if fold == 1:
        return x
    _, height, width, channels = x.shape
    x = layers.Reshape((height // fold, fold, width // fold, fold * channels))(x)
    x = layers.Permute((1, 3, 2, 4))(x)
    return layers.Reshape((height // fold, width // fold, fold * fold * channels))(x)


def _unfolded(x: Any, fold: int) -> Any:
    """Channels as blocks of cells: (n, h, w, f f) to (n, f h, f w, 1)."""
    from keras import layers

    if fold == 1:
        return x
    _, height, width, _ = x.shape
    x = layers.Reshape((height, width, fold, fold))(x)
    x = layers.Permute((1, 3, 2, 4))(x)
    return layers.Reshape((height * fold, width * fold, 1))(x)


def _two_convolutions(x: Any, features: int, network: NetworkParams) -> Any:
    import keras

    for _ in range(2):
        bare = network.norm == "none"
        x = keras.layers.Conv2D(features, 3, padding="same", use_bias=bare, kernel_initializer="he_normal")(x)
        if network.norm == "batch":
            x = keras.layers.BatchNormalization(momentum=0.9)(x)
        elif network.norm == "group":
            x = keras.layers.GroupNormalization(groups=min(4, features))(x)
        x = keras.layers.Activation("relu")(x)
    return x


def network_for(inputs: InputParams, network: NetworkParams, seed: int = 0) -> keras.Model:
    """An untrained U-Net that fits an input."""
    return build_unet(network, inputs.shape, len(inputs.channels), seed)
