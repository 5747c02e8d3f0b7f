"""Statistics over the images of a run: shares, sizes and zone axes of phases, and the images needed.

The images are treated as a random sample of the specimen, so uncertainties come from resampling the images
(bootstrap), whatever the number of grains in each. Images of the same place are not independent: the true
uncertainty is then larger.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..io.plain import whole_file
from ..io.results.tables import write_rows
from .record import Record

STATISTICS = "statistics.csv"
#: Number of bootstrap samples; the relative error of an uncertainty is then 2 %.
DRAWS = 1000
#: Number of bootstrap samples for each point of the curve against the number of images, and of its points.
CURVE_DRAWS, CURVE_POINTS = 200, 10
#: Smallest number of images for which the curve is computed.
FEWEST_FOR_CURVE = 5
#: Number of bootstrap samples computed at a time, so that memory does not grow with the run.
_CHUNK = 100
#: With fewer images than this, the uncertainty itself is only known to about a quarter of its value.
FEW = 10
#: Probability on each side of the stated 95 % interval, per cent.
_TAIL = 2.5
COLUMNS = (
    "component", "images", "images_in_all", "share_of_specimen", "share_sigma", "share_low_95",
    "share_high_95", "grains", "mean_diameter_nm", "mean_diameter_sigma_nm", "median_diameter_nm",
    "zone_axes", "images_for_1_percent",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Estimate:
    """A number with its standard uncertainty and 95 % interval; these are NaN with fewer than two images."""

    value: float
    sigma: float = np.nan
    low: float = np.nan
    high: float = np.nan


@dataclass(frozen=True, slots=True, eq=False)
class ComponentStatistics:
    """Statistics of one component.

    Attributes
    ----------
    name : str
    images : int
        Number of images in which the component was found.
    share : Estimate
        Share of the specimen's area in all images.
    grains : int
    diameter : Estimate, nm
        Mean over the grains; grains cut by the border contribute their visible part.
    diameters : ndarray, nm
        Diameters of single grains, or the mean of each image if the run stored only that.
    zone_axes : tuple of (str, int)
        How often each was observed, most frequent first.
    curve : tuple of (int, float)
        Uncertainty of the share for smaller numbers of images.
    """

    name: str
    images: int
    share: Estimate
    grains: int
    diameter: Estimate
    diameters: NDArray[np.float64]
    zone_axes: tuple[tuple[str, int], ...]
    curve: tuple[tuple[int, float], ...]

    def images_for(self, sigma: float, images: int) -> int | None:
        """Number of images like these `images` that gives the share to `sigma`; None if it is unknown."""
        known = self.share.sigma
        return int(np.ceil(images * (known / sigma) ** 2)) if known > 0 else None


@dataclass(frozen=True, slots=True, eq=False)
class SessionStatistics:
    """Statistics of all components of a run, largest share first.

    Attributes
    ----------
    images : int
        Number of images analysed.
    specimen : float, nm^2
    components : tuple of ComponentStatistics
    """

    images: int
    specimen: float
    components: tuple[ComponentStatistics, ...] = ()


@dataclass(slots=True)
class _ComponentSums:
    """Values of one component, collected from the records."""

    rows: list[int] = field(default_factory=list)
    areas: list[float] = field(default_factory=list)
    grains: list[int] = field(default_factory=list)
    size_sums: list[float] = field(default_factory=list)
    diameters: list[float] = field(default_factory=list)
    axes: Counter[str] = field(default_factory=Counter)


def session_statistics(records: Iterable[Record], draws: int = DRAWS, seed: int = 0) -> SessionStatistics:
    """Compute shares, sizes and zone axes of a run's components with their uncertainties.

    Parameters
    ----------
    records : iterable of Record
        Records; those of images that were not analysed are skipped.
    draws : int
    seed : int
        Seed of the bootstrap; the same records give the same numbers.

    Examples
    --------
    Two images with specimens of the same area, one of them half copper:

    >>> from napari_tem_fft.batch.record import ComponentSummary
    >>> copper = ComponentSummary("Cu", ("Cu",), "identified", 1.0, 50.0, 1.0, 0.5, 2, 5.0, ())
    >>> images = [Record(0, "a.dm4", "a", specimen=100.0, parts=(copper,)),
    ...           Record(1, "b.dm4", "b", specimen=100.0)]
    >>> found = session_statistics(images).components[0]
    >>> found.share.value, round(found.share.sigma, 2), found.images
    (0.25, 0.25, 1)
    """
    specimens: list[float] = []
    gathered: dict[str, _ComponentSums] = defaultdict(_ComponentSums)
    for record in records:
        if record.state != "analysed":
            continue
        for part in record.parts:
            one = gathered[part.name]
            one.rows.append(len(specimens))
            one.areas.append(part.area)
            one.grains.append(part.grains)
            one.size_sums.append(part.grains * part.mean_size)
            one.diameters += part.diameters or ([part.mean_size] if part.grains else [])
            one.axes.update(part.zone_axes)
        specimens.append(record.specimen)
    if not specimens:
        return SessionStatistics(0, 0.0)
    names = sorted(gathered, key=lambda name: -sum(gathered[name].areas))
    specimen = np.array(specimens)
    table = _Bootstrap(specimen, [gathered[name] for name in names], draws, np.random.default_rng(seed))
    components = tuple(table.component(number, name) for number, name in enumerate(names))
    return SessionStatistics(len(specimens), float(specimen.sum()), components)


class _Bootstrap:
    """Sums over the images, and over bootstrap samples of them, for all components at once."""

    def __init__(
        self,
        specimen: NDArray[np.float64],
        parts: Sequence[_ComponentSums],
        draws: int,
        rng: np.random.Generator,
    ) -> None:
        self._n, self._parts = len(specimen), parts
        #: Columns: specimen, then area, grains and sum of diameters of each component.
        table = np.zeros((self._n, 1 + 3 * len(parts)))
        table[:, 0] = specimen
        for number, one in enumerate(parts):
            columns: tuple[Sequence[float], ...] = (one.areas, one.grains, one.size_sums)
            for column, values in enumerate(columns):
                table[:, 1 + 3 * number + column] = np.bincount(one.rows, values, self._n)
        self._sums = table.sum(axis=0)
        self._again = _draw(table, self._n, draws, rng) if self._n > 1 else None
        self._curves = self._curve(table, rng) if self._n >= FEWEST_FOR_CURVE else {}

    def component(self, number: int, name: str) -> ComponentStatistics:
        one, first = self._parts[number], 1 + 3 * number
        return ComponentStatistics(
            name=name,
            images=len(set(one.rows)),
            share=self._ratio(first, 0),
            grains=sum(one.grains),
            diameter=self._ratio(first + 2, first + 1),
            diameters=np.array(one.diameters),
            zone_axes=tuple(one.axes.most_common()),
            curve=tuple((size, float(sigmas[number])) for size, sigmas in self._curves.items()),
        )

    def _ratio(self, above: int, below: int) -> Estimate:
        """Ratio of two sums; samples in which the denominator is 0 are ignored."""
        value = float(self._sums[above] / self._sums[below]) if self._sums[below] else 0.0
        if self._again is None:
            return Estimate(value)
        with np.errstate(invalid="ignore", divide="ignore"):
            ratios = self._again[:, above] / self._again[:, below]
        ratios = ratios[np.isfinite(ratios)]
        if len(ratios) < 2:
            return Estimate(value)
        wider = np.sqrt(self._n / (self._n - 1))  # the bootstrap underestimates the variance by (n - 1) / n
        low, high = value + wider * (np.percentile(ratios, (_TAIL, 100 - _TAIL)) - value)
        return Estimate(value, float(wider * ratios.std(ddof=1)), max(float(low), 0.0), float(high))

    def _curve(self, table: NDArray[np.float64], rng: np.random.Generator) -> dict[int, NDArray[np.float64]]:
        """Uncertainties of all shares as a function of the number of images, up to the run's own."""
        areas = table[:, [0, *range(1, table.shape[1], 3)]]
        sizes = np.unique(np.geomspace(2, self._n, CURVE_POINTS).round().astype(int))
        curves = {}
        for size in sizes:
            drawn = _draw(areas, int(size), CURVE_DRAWS, rng)
            with np.errstate(invalid="ignore", divide="ignore"):
                curves[int(size)] = np.nanstd(drawn[:, 1:] / drawn[:, :1], axis=0, ddof=1)
        return curves


def _draw(table: NDArray[np.float64], size: int, draws: int, rng: np.random.Generator) -> NDArray[np.float64]:
    """Sums of `size` rows drawn with replacement, shape (draws, columns)."""
    n, sums = len(table), []
    for start in range(0, draws, _CHUNK):
        count = min(_CHUNK, draws - start)
        sums.append(rng.multinomial(size, np.full(n, 1 / n), count).astype(np.float64) @ table)
    return np.concatenate(sums)


def enough_images(found: SessionStatistics) -> str:
    """A sentence on whether more images would help; empty without components."""
    known = [one for one in found.components if one.share.sigma > 0]
    if not found.components:
        return ""
    if found.images < 2 or not known:
        return "One image says nothing about how shares vary over the sample: take more."
    widest = max(known, key=lambda one: one.share.sigma)
    needed = widest.images_for(0.01, found.images)
    rough = f" From fewer than {FEW} images this is a rough guess." if found.images < FEW else ""
    return (
        f"From these {found.images} images the shares are known to {100 * widest.share.sigma:.2g} percentage"
        f" points at worst ({widest.name}); four times as many would halve that, and about {needed} images"
        f" give one percentage point.{rough}"
    )


def statistics_rows(found: SessionStatistics) -> Iterator[dict[str, Any]]:
    """Yield one row per component, as in ``statistics.csv``."""
    for one in found.components:
        numbers = {
            "share_of_specimen": one.share.value, "share_sigma": one.share.sigma,
            "share_low_95": one.share.low, "share_high_95": one.share.high,
            "mean_diameter_nm": one.diameter.value, "mean_diameter_sigma_nm": one.diameter.sigma,
            "median_diameter_nm": float(np.median(one.diameters)) if len(one.diameters) else np.nan,
        }  # fmt: skip
        yield {
            "component": one.name,
            "images": one.images,
            "images_in_all": found.images,
            "grains": one.grains,
            "zone_axes": "; ".join(f"{axis}: {count}" for axis, count in one.zone_axes),
            "images_for_1_percent": one.images_for(0.01, found.images) or "",
        } | {name: "" if number != number else round(number, 5) for name, number in numbers.items()}


def write_statistics(folder: Path, found: SessionStatistics) -> None:
    """Write ``statistics.csv`` to the folder of a run."""
    with whole_file(folder / STATISTICS) as temporary:
        write_rows(temporary, COLUMNS, statistics_rows(found))
