"""The U-Net: from the prepared diffractogram to the probability that a cell belongs to a Bragg spot.

After Ronneberger, Fischer and Brox (2015), with few features: the spots are small, and they differ from side
lobes by the pattern around them, which the coarse levels see. Blocks of `fold` x `fold` cells are folded into
channels first, and the output is unfolded again, because CPUs are slow at wide layers with few features.

`UNet` computes a trained network with NumPy; `keras_unet` builds the same network for training.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from ...core.parameters import WithinLimits, param

Array = NDArray[np.float32]
Shape = tuple[int, ...]
#: Constant that Keras adds to a variance before dividing by its square root.
EPSILON = 1e-3
#: Number of input values, each row with its neighbours, that are multiplied at a time, so that they fit into
#: the processor's cache and memory does not grow with the grid (2**18 to 2**20 took the same time in a test).
BLOCK = 2**19


@dataclass(frozen=True, slots=True)
class NetworkParams(WithinLimits):
    """The architecture of the U-Net."""

    base: int = param(
        24, "base", low=1, high=128, help="Features of the finest level; each coarser one has twice as many."
    )
    depth: int = param(3, "depth", low=1, high=6, help="How often the resolution is halved.")
    fold: int = param(
        4, "fold", low=1, high=4, help="Side of the blocks of cells folded into channels: 1, 2 or 4."
    )
    norm: str = param(
        "batch", "norm", choices=("none", "batch", "group"), help="Normalisation after each convolution."
    )

    def __post_init__(self) -> None:
        WithinLimits.__post_init__(self)
        if self.fold == 3:
            raise ValueError("fold: 3 is not one of 1, 2, 4")
        features = [self.base * 2**level for level in range(self.depth + 1)]
        if self.norm == "group" and any(n % normalised_groups(n) for n in features):
            raise ValueError(f"base: {self.base} features cannot be normalised in groups; 4 and 24 can")

    @property
    def multiple(self) -> int:
        """The numbers of rows and columns of an input must be multiples of this."""
        return int(self.fold * 2**self.depth)


def normalised_groups(features: int) -> int:
    """Number of groups for group normalisation of `features` features."""
    return min(4, features)


def weight_shapes(network: NetworkParams, channels: int) -> dict[str, Shape]:
    """Shapes of all arrays of a network's weights, by the names under which Keras stores them.

    Parameters
    ----------
    network : NetworkParams
    channels : int
        Number of input channels.
    """
    shapes: dict[str, Shape] = {}
    convolutions = 0

    def add(layer: str, number: int, *arrays: Shape) -> None:
        name = f"{layer}_{number}" if number else layer
        shapes.update({f"{name}/vars/{i}": shape for i, shape in enumerate(arrays)})

    def add_two(inputs: int, features: int) -> None:
        nonlocal convolutions
        for size in (inputs, features):
            bias = [(features,)] if network.norm == "none" else []
            add("conv2d", convolutions, (3, 3, size, features), *bias)
            if network.norm == "batch":
                add("batch_normalization", convolutions, *[(features,)] * 4)
            elif network.norm == "group":
                add("group_normalization", convolutions, *[(features,)] * 2)
            convolutions += 1

    size = channels * network.fold**2
    for level in range(network.depth + 1):
        features = network.base * 2**level
        add_two(size, features)
        size = features
    for number, level in enumerate(reversed(range(network.depth))):
        features = network.base * 2**level
        add("conv2d_transpose", number, (2, 2, features, size), (features,))
        add_two(2 * features, features)
        size = features
    add("conv2d", convolutions, (1, 1, size, network.fold**2), (network.fold**2,))
    return shapes


@dataclass(frozen=True, slots=True, eq=False)
class _Convolution:
    """A 3 x 3 convolution with normalisation, bias and ReLU.

    Attributes
    ----------
    kernel : ndarray of float32, shape (3, 3 * inputs, features)
        Rows of the kernel, including the factors of a batch normalisation.
    bias : ndarray of float32, shape (features,)
    groups : int
        Number of groups of the group normalisation; 0 for none.
    gain : ndarray of float32, shape (features,)
        Gain of the group normalisation, whose offset is `bias`.
    """

    kernel: Array
    bias: Array
    groups: int
    gain: Array

    def __call__(self, x: Array) -> Array:
        height, width, channels = x.shape
        features = self.bias.size
        result = np.empty((height, width, features), np.float32)
        rows = max(1, BLOCK // (3 * width * channels))
        for first in range(0, height, rows):
            last = min(first + rows, height)
            wide = _with_neighbours(x, first - 1, last + 1).reshape(-1, 3 * channels)
            part = result[first:last].reshape(-1, features)
            cells = len(part)
            np.matmul(wide[:cells], self.kernel[0], out=part)
            part += wide[width : width + cells] @ self.kernel[1]
            part += wide[2 * width :] @ self.kernel[2]
        if self.groups:
            _normalise(result, self.groups)
            result *= self.gain
        result += self.bias
        return np.maximum(result, 0, out=result)


def _with_neighbours(x: Array, first: int, last: int) -> Array:
    """Rows `first` to `last`, zero outside x, with the left and right neighbours of each cell as channels."""
    height, width, channels = x.shape
    wide = np.zeros((last - first, width, 3, channels), np.float32)
    inside = slice(max(first, 0), min(last, height))
    rows = wide[inside.start - first : inside.stop - first]
    rows[:, 1:, 0] = x[inside, :-1]
    rows[:, :, 1] = x[inside]
    rows[:, :-1, 2] = x[inside, 1:]
    return wide


def _normalise(x: Array, groups: int) -> None:
    """Normalise each group of features to mean 0 and variance 1, in place."""
    parts = x.reshape(*x.shape[:2], groups, -1)
    mean = parts.mean(axis=(0, 1, 3), dtype=np.float64, keepdims=True)[0]
    variance = parts.var(axis=(0, 1, 3), dtype=np.float64, keepdims=True)[0]
    parts -= mean.astype(np.float32)
    parts /= np.sqrt(variance + EPSILON).astype(np.float32)


class UNet:
    """A trained U-Net, computed with NumPy.

    Parameters
    ----------
    network : NetworkParams
    weights : mapping of str to ndarray of float32
        Arrays with the names and shapes of `weight_shapes`.

    Notes
    -----
    A 3 x 3 convolution is computed as three matrix products, one for each row of the kernel.
    """

    def __init__(self, network: NetworkParams, weights: Mapping[str, Array]) -> None:
        self._network = network
        self._convolutions = list(_convolutions(network, weights))
        self._raising = []
        for number in range(network.depth):
            name = f"conv2d_transpose_{number}" if number else "conv2d_transpose"
            kernel, bias = weights[f"{name}/vars/0"], weights[f"{name}/vars/1"]
            self._raising.append((kernel.transpose(3, 0, 1, 2).copy(), bias))
        last = f"conv2d_{len(self._convolutions)}"
        self._last = weights[f"{last}/vars/0"][0, 0], weights[f"{last}/vars/1"]

    def __call__(self, inputs: Array) -> Array:
        """Compute the probability that a cell belongs to a Bragg spot.

        Parameters
        ----------
        inputs : ndarray of float32, shape (rows, columns, channels)
            The numbers of rows and columns are multiples of ``network.multiple``.

        Returns
        -------
        ndarray of float32, shape (rows, columns), 0..1

        Raises
        ------
        ValueError
            If they are not.
        """
        if any(n % self._network.multiple for n in inputs.shape[:2]):
            raise ValueError(f"{inputs.shape[:2]} cells are not multiples of {self._network.multiple}")
        depth = self._network.depth
        convolutions = iter(self._convolutions)

        def convolved_twice(x: Array) -> Array:
            for convolution in islice(convolutions, 2):
                x = convolution(x)
            return x

        x = _fold(inputs, self._network.fold)
        skips = []
        for _ in range(depth):
            x = convolved_twice(x)
            skips.append(x)
            height, width, features = x.shape
            x = x.reshape(height // 2, 2, width // 2, 2, features).max(axis=(1, 3))
        x = convolved_twice(x)
        for raising in self._raising:
            x = np.concatenate([skips.pop(), _upsample(x, *raising)], axis=-1)
            x = convolved_twice(x)
        kernel, bias = self._last
        return np.asarray(expit(_unfold(x @ kernel + bias, self._network.fold)), np.float32)


def _convolutions(network: NetworkParams, weights: Mapping[str, Array]) -> Iterator[_Convolution]:
    for number in range(2 * (2 * network.depth + 1)):
        end = f"_{number}/vars" if number else "/vars"
        kernel = weights[f"conv2d{end}/0"]
        _, _, inputs, features = kernel.shape
        groups, gain = 0, np.ones(features, np.float32)
        if network.norm == "none":
            bias = weights[f"conv2d{end}/1"]
        elif network.norm == "group":
            gain, bias = (weights[f"group_normalization{end}/{i}"] for i in range(2))
            groups = normalised_groups(features)
        else:
            factor, offset, mean, variance = (
                weights[f"batch_normalization{end}/{i}"].astype(np.float64) for i in range(4)
            )
            factor = factor / np.sqrt(variance + EPSILON)
            kernel, bias = (kernel * factor).astype(np.float32), (offset - mean * factor).astype(np.float32)
        yield _Convolution(kernel.reshape(3, 3 * inputs, features), bias, groups, gain)


def _upsample(x: Array, kernel: Array, bias: Array) -> Array:
    """Double the number of rows and columns by a transposed convolution of 2 x 2 cells."""
    height, width, channels = x.shape
    features = bias.size
    blocks = x.reshape(-1, channels) @ kernel.reshape(channels, -1)
    blocks = blocks.reshape(height, width, 2, 2, features).transpose(0, 2, 1, 3, 4)
    return blocks.reshape(2 * height, 2 * width, features) + bias


def _fold(x: Array, fold: int) -> Array:
    """Fold blocks of cells into channels: (h, w, c) to (h / f, w / f, f f c)."""
    height, width, channels = x.shape
    blocks = x.reshape(height // fold, fold, width // fold, fold * channels).swapaxes(1, 2)
    return blocks.reshape(height // fold, width // fold, fold * fold * channels)


def _unfold(x: Array, fold: int) -> Array:
    """Unfold channels into blocks of cells: (h, w, f f) to (f h, f w)."""
    height, width, _ = x.shape
    return x.reshape(height, width, fold, fold).swapaxes(1, 2).reshape(height * fold, width * fold)
