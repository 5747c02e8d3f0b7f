"""Statistics over images: sums by hand, intervals that hold what they say, nothing that cannot be told."""

import csv
from dataclasses import replace

import numpy as np
import pytest

from napari_tem_fft.batch.record import ComponentSummary, Record
from napari_tem_fft.batch.statistics import (
    enough_images,
    session_statistics,
    statistics_rows,
    write_statistics,
)


def part(name, area, diameters, axes=()):
    mean = float(np.mean(diameters)) if len(diameters) else 0.0
    return ComponentSummary(
        name,
        (name,),
        "identified",
        0.99,
        area,
        1.0,
        area / 100,
        len(diameters),
        mean,
        (),
        tuple(diameters),
        axes,
    )


def image(*parts, specimen=100.0, state="analysed"):
    return Record(0, "a.dm4", "a", state, specimen=specimen, parts=parts)


def test_shares_are_of_all_specimens_together() -> None:
    found = session_statistics(
        [
            image(part("Cu", 30.0, [4.0, 6.0], ("0 1 1", "0 0 1")), part("LiF", 10.0, [3.0])),
            image(part("Cu", 10.0, [2.0], ("0 1 1",)), specimen=300.0),
            image(state="failed"),
        ]
    )
    copper, fluoride = found.components
    assert (found.images, found.specimen) == (2, 400.0)
    assert copper.share.value == pytest.approx(40 / 400) and copper.images == 2 and copper.grains == 3
    assert copper.diameter.value == pytest.approx(4.0)
    assert copper.zone_axes == (("0 1 1", 2), ("0 0 1", 1))
    assert fluoride.share.value == pytest.approx(10 / 400) and fluoride.images == 1


def test_the_uncertainty_is_that_of_a_mean() -> None:
    """Of equal specimens the share is a mean over images, whose standard error is known."""
    shares = np.random.default_rng(3).uniform(0, 60, 50)
    found = session_statistics([image(part("Cu", area, [5.0])) for area in shares], draws=4000)
    error = shares.std(ddof=1) / np.sqrt(len(shares)) / 100
    assert found.components[0].share.sigma == pytest.approx(error, rel=0.05)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    rng, held, runs = np.random.default_rng(7), 0, 200
    for _ in range(runs):
        images = [image(part("Cu", area, [5.0])) for area in rng.uniform(0, 60, 30)]
        share = session_statistics(images, draws=300).components[0].share
        held += share.low <= 0.30 <= share.high
    assert 0.89 <= held / runs <= 0.99  # 95 %, less what 30 images and 200 runs cannot tell


def test_the_uncertainty_falls_with_the_root_of_the_number() -> None:
    shares = np.random.default_rng(1).uniform(0, 60, 200)
    curve = dict(session_statistics([image(part("Cu", area, [])) for area in shares]).components[0].curve)
    assert min(curve) == 2 and max(curve) == 200
    assert curve[2] / curve[200] == pytest.approx(10, rel=0.25)


def test_how_many_images_one_percentage_point_needs() -> None:
    shares = np.random.default_rng(1).uniform(0, 60, 100)
    found = session_statistics([image(part("Cu", area, [])) for area in shares])
    (one,) = found.components
    needed = one.images_for(0.01, 100)
    assert needed == pytest.approx(100 * (one.share.sigma / 0.01) ** 2, abs=1)
    assert f"about {needed} images give one percentage point." in enough_images(found)


def test_one_image_and_images_without_crystals_say_so() -> None:
    one = session_statistics([image(part("Cu", 30.0, [5.0]))])
    assert np.isnan(one.components[0].share.sigma) and one.components[0].curve == ()
    assert "One image says nothing" in enough_images(one)
    assert session_statistics([image(), image()]).components == ()
    assert session_statistics([]).images == 0 and enough_images(session_statistics([])) == ""


def test_the_order_of_nothing_matters_and_numbers_are_the_same_again() -> None:
    images = [image(part("Cu", area, [5.0])) for area in (1.0, 20.0, 30.0)]
    first, again = session_statistics(images), session_statistics(iter(images))
    assert list(statistics_rows(first)) == list(statistics_rows(again))


def test_runs_of_0_1_have_the_mean_sizes_only(tmp_path) -> None:
    old = replace(part("Cu", 10.0, [4.0, 6.0]), diameters=())
    found = session_statistics([image(old)])
    assert found.components[0].diameters.tolist() == [5.0]
    write_statistics(tmp_path, found)
    with (tmp_path / "statistics.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["component"], row["grains"], row["share_sigma"]) == ("Cu", "2", "")
