"""Training pairs on disk: inputs with one byte per value, and the ground truth, from which targets are drawn.

A folder contains `series.json` (seed and parameters of the series) and numbered shards of pairs, so that an
interrupted generation is continued, with the same result for any number of processes.

Everything follows from a seed and the number of the step, so that an interrupted training continues as if it
had not been interrupted.
"""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ...core.crystal.phase import Phase
from ...core.fourier.diffractogram import Diffractogram, SpectrumParams, compute_diffractogram
from ...core.fourier.local_spectra import LocalSpectra, compute_local_spectra
from ...core.fourier.stft import WindowParams
from ...core.fourier.threads import processors
from ...core.image.micrograph import Micrograph, prepared_pixels
from ..inference.prepare import CHANNELS, InputParams, mirror, network_input, radius_plane, target
from ..simulation.conditions import SynthesisParams
from ..simulation.synthesis import FAINT, VISIBLE, Truth, synthesise

#: Stored channels; |g| is omitted because it is the same for all images.
STORED = CHANNELS[:-1]
SHARD = 32
#: SNR and size assigned to spots marked by the user.
SURE = 1e6
#: A stored byte is (value + OFFSET) * SCALE.
SCALE, OFFSET = 24.0, 1.5


@dataclass(frozen=True, slots=True, eq=False)
class Pairs:
    """Training pairs in memory.

    Attributes
    ----------
    inputs : ndarray of uint8, shape (n, rows, columns, len(STORED))
    truth : tuple of n Truth
    limits : ndarray, shape (n, 2), 1/nm
        q_min and q_max of each image.
    """

    inputs: NDArray[np.uint8]
    truth: tuple[Truth, ...]
    limits: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.truth)

    @classmethod
    def of_corrections(
        cls, corrected: Sequence[tuple[NDArray[Any], NDArray[np.float64]]], params: InputParams
    ) -> Pairs:
        """Create pairs from masks corrected by the user: (input of all `CHANNELS`, g of the spots) each."""
        sure = [
            Truth(g, np.full(len(g), SURE), np.full(len(g), SURE), np.zeros(len(g), np.intp))
            for _, g in corrected
        ]
        inputs = np.stack([quantise_inputs(np.asarray(one, np.float32)) for one, _ in corrected])
        limits = np.tile([0.0, params.q_max], (len(sure), 1))
        return cls(inputs, tuple(sure), limits)


def join_pairs(parts: Sequence[Pairs]) -> Pairs:
    """Concatenate sets of pairs."""
    return Pairs(
        np.concatenate([part.inputs for part in parts]),
        tuple(truth for part in parts for truth in part.truth),
        np.concatenate([part.limits for part in parts]),
    )


def spectra_of(micrograph: Micrograph, window: float) -> tuple[Diffractogram, LocalSpectra]:
    """Diffractogram and local spectra of a micrograph, computed as in an analysis."""
    image, _ = prepared_pixels(micrograph)
    diffractogram = compute_diffractogram(image, micrograph, SpectrumParams())
    q_min, q_max = diffractogram.q_min, diffractogram.q_max
    return diffractogram, compute_local_spectra(
        image, micrograph.pixel_size, q_min, q_max, WindowParams(window)
    )


def quantise_inputs(inputs: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Convert a network's input of all `CHANNELS` to bytes, without |g|."""
    levels = np.rint((inputs[..., : len(STORED)] + OFFSET) * SCALE)
    return np.asarray(np.clip(levels, 0, 255), np.uint8)


def restore_inputs(levels: NDArray[np.uint8], params: InputParams) -> NDArray[np.float32]:
    """Convert bytes to inputs as of `network_input`, shape (n, rows, columns, channels of `params`)."""
    values = levels.astype(np.float32) / np.float32(SCALE) - np.float32(OFFSET)
    radius = np.broadcast_to(radius_plane(params), (len(levels), *params.shape))[..., None]
    whole = np.concatenate([values, radius], axis=-1)
    return whole[..., [CHANNELS.index(name) for name in params.channels]]


def make_pairs(
    folder: Path,
    count: int,
    seed: int,
    phases: Sequence[Phase],
    synthesis: SynthesisParams,
    inputs: InputParams,
    workers: int = 0,
) -> Iterator[int]:
    """Generate the missing ones of the first `count` pairs of a series; yields the number that exist.

    Parameters
    ----------
    workers : int
        Number of processes; 0 for as many as there are processors.

    Raises
    ------
    ValueError
        If the folder contains another series.
    """
    folder.mkdir(parents=True, exist_ok=True)
    described = {"seed": seed, "synthesis": asdict(synthesis), "grid": asdict(inputs)["half"]}
    _check_series(folder / "series.json", json.loads(json.dumps(described)))
    shards = range(-(-count // SHARD))
    missing = [k for k in shards if not (folder / _name(k)).is_file()]
    done = len(shards) - len(missing)
    yield min(done * SHARD, count)
    make = partial(
        _make_shard, folder=folder, seed=seed, phases=tuple(phases), synthesis=synthesis, inputs=inputs
    )
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers or processors(), context) as pool:
        for number, _ in enumerate(pool.map(make, missing), done + 1):
            yield min(number * SHARD, count)


def load_pairs(folder: Path, count: int, first: int = 0) -> Pairs:
    """Load pairs `first` to ``first + count`` of a series.

    Raises
    ------
    ValueError
        If some have not been generated.
    """
    parts = [_load_shard(folder / _name(k)) for k in range(first // SHARD, -(-(first + count) // SHARD))]
    whole, skip = join_pairs(parts), first % SHARD
    chosen = slice(skip, skip + count)
    return Pairs(whole.inputs[chosen], whole.truth[chosen], whole.limits[chosen])


def _name(shard: int) -> str:
    return f"pairs-{shard:05d}.npz"


def _check_series(path: Path, described: dict[str, Any]) -> None:
    if not path.is_file():
        path.write_text(json.dumps(described, indent=1) + "\n", encoding="utf-8")
    elif json.loads(path.read_text(encoding="utf-8")) != described:
        raise ValueError(
            f"{path.parent}: contains pairs with another seed or other parameters; choose a new folder"
        )


def _make_shard(
    shard: int,
    folder: Path,
    seed: int,
    phases: tuple[Phase, ...],
    synthesis: SynthesisParams,
    inputs: InputParams,
) -> None:
    levels, truths, limits = [], [], []
    for index in range(shard * SHARD, (shard + 1) * SHARD):
        one = synthesise(seed, index, phases, synthesis)
        diffractogram, spectra = spectra_of(one.micrograph, one.window)
        levels.append(quantise_inputs(network_input(diffractogram, spectra, inputs)))
        truths.append(one.truth)
        limits.append((diffractogram.q_min, diffractogram.q_max))
    path = folder / _name(shard)
    temporary = path.with_suffix(".part.npz")
    ends = np.cumsum([len(t.snr) for t in truths])
    columns: dict[str, NDArray[Any]] = {
        name: np.concatenate([getattr(t, name) for t in truths]) for name in ("g", "snr", "size", "grain")
    }
    columns |= {"inputs": np.stack(levels), "limits": np.array(limits), "ends": ends}
    np.savez(temporary, allow_pickle=False, **columns)
    temporary.replace(path)


def _load_shard(path: Path) -> Pairs:
    if not path.is_file():
        raise ValueError(f"{path}: these pairs have not been generated")
    with np.load(path, allow_pickle=False) as data:
        ends = data["ends"]
        starts = np.concatenate([[0], ends[:-1]])
        columns = [data[name] for name in ("g", "snr", "size", "grain")]
        truth = tuple(Truth(*(column[a:b] for column in columns)) for a, b in zip(starts, ends, strict=True))
        return Pairs(data["inputs"], truth, data["limits"])


#: Standard deviations of the random gain and offset of each channel of an augmented input.
GAIN, SHIFT = 0.05, 0.05


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Inputs, shape (n, rows, columns, channels); targets and weights, shape (n, rows, columns, 1)."""

    inputs: NDArray[np.float32]
    target: NDArray[np.float32]
    weight: NDArray[np.float32]


def visible(truth: Truth, limits: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which reflections should be found: local SNR above `VISIBLE`, |g| within the search limits."""
    length = np.hypot(*truth.g.T)
    return np.asarray((truth.snr >= VISIBLE) & (length >= limits[0]) & (length <= limits[1]))


def drawn(
    truth: Truth, limits: NDArray[np.float64], disc: float, params: InputParams
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Draw target and weight on the network's cells.

    Returns
    -------
    target : ndarray of uint8, shape (rows, columns)
        1 in discs around visible reflections.
    weight : ndarray of uint8, shape (rows, columns)
        0 in discs around doubtful reflections, and where nothing is searched.
    """
    found = visible(truth, limits)
    wanted = target(truth.g[found], disc, params)
    doubtful = target(truth.g[(truth.snr >= FAINT) & ~found], 1.5 * disc, params)
    length = radius_of_cells(params)
    searched = (length >= limits[0]) & (length <= limits[1])
    return wanted, (searched & ((doubtful == 0) | (wanted == 1))).astype(np.uint8)


def radius_of_cells(params: InputParams) -> NDArray[np.float64]:
    """|g| of an input's cells, 1/nm; infinite in its unused row."""
    rows = np.arange(-params.half, params.half + 2)[:, None]
    columns = np.arange(-params.margin, params.half + 1)
    radius = np.hypot(rows, columns) * params.grid.step[0]
    radius[-1] = np.inf
    return np.asarray(radius)


def batch_of(
    pairs: Pairs,
    members: NDArray[np.intp],
    disc: float,
    params: InputParams,
    rng: np.random.Generator | None = None,
) -> Batch:
    """Batch of the pairs with these indices, augmented (rotations, mirrors, gain) if a generator is given."""
    both = [drawn(pairs.truth[i], pairs.limits[i], disc, params) for i in members]
    inputs = restore_inputs(pairs.inputs[members], params)
    masks = np.stack([np.stack(pair, axis=-1) for pair in both]).astype(np.float32)
    if rng is not None:
        for i in range(len(members)):
            transpose, flip = bool(rng.integers(2)), bool(rng.integers(2))
            inputs[i] = mirror(inputs[i], params, transpose, flip)
            masks[i] = mirror(masks[i], params, transpose, flip)
        shape = (len(members), 1, 1, inputs.shape[-1])
        inputs *= 1 + GAIN * rng.standard_normal(shape, np.float32)
        inputs += SHIFT * rng.standard_normal(shape, np.float32) * (inputs != 0)
    return Batch(inputs, masks[..., :1], masks[..., 1:])


def batches(
    pairs: Pairs, size: int, disc: float, params: InputParams, seed: int, first: int, last: int
) -> Iterator[Batch]:
    """Yield the augmented batches `first` to `last` (exclusive), preparing each during the previous one."""
    per_epoch = max(len(pairs) // size, 1)

    def make(number: int) -> Batch:
        epoch, place = divmod(number, per_epoch)
        order = np.random.default_rng([seed, epoch]).permutation(len(pairs))
        members = order[place * size : (place + 1) * size]
        return batch_of(pairs, members, disc, params, np.random.default_rng([seed, 7, number]))

    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(make, first)
        for number in range(first, last):
            batch = coming.result()
            if number + 1 < last:
                coming = pool.submit(make, number + 1)
            yield batch
