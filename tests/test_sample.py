"""The main job on the bundled sample, against what is true of it."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import ndimage
from skimage.draw import polygon2mask

import make_small_samples as small
from make_sample import MARGIN, PIXEL_SIZE, SHAPE, crystals, film
from napari_tem_fft import analyse, read
from napari_tem_fft.api import select
from napari_tem_fft.core.grains.grain import Grain
from napari_tem_fft.core.pipeline import Analysis
from napari_tem_fft.io.phases.table import load_table
from napari_tem_fft.io.results.folder import load_results, save_results
from napari_tem_fft.layers.image import micrograph_of
from napari_tem_fft.plugin.reader import open_edge, open_film
from small_analysis import assert_same

TRUTH = json.loads((Path(__file__).parent / "data" / "sample_truth.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def analysis() -> Analysis:
    return analyse(read(str(files("napari_tem_fft") / "data" / "sample.dm4")))


def nearest(analysis: Analysis, truth: dict[str, Any]) -> Grain:
    def distance(grain: Grain) -> float:
        return float(np.hypot(*np.subtract(grain.centre, truth["centre"])))

    return min(analysis.grains, key=distance)


def test_truth_belongs_to_the_script() -> None:
    made = [truth for _, truth in crystals({phase.id: phase for phase in load_table()})]
    stored = [{k: v for k, v in grain.items() if k != "area_nm2"} for grain in TRUTH["grains"]]
    assert json.loads(json.dumps(made)) == stored


def test_every_grain_is_found_where_it_is(analysis: Analysis) -> None:
    assert len(analysis.grains) == len(TRUTH["grains"])
    for truth in TRUTH["grains"]:
        grain = nearest(analysis, truth)
        middle = np.mean(truth["polygon_nm"], axis=0)
        assert np.hypot(*(np.array(grain.centre) - middle)) < 1.0
        assert grain.area == pytest.approx(truth["area_nm2"], rel=0.2)


def test_every_grain_has_its_phase_and_no_other_is_named(analysis: Analysis) -> None:
    named = {match.grain: match.phases for match in analysis.matches}
    for truth in TRUTH["grains"]:
        assert truth["phase"] in named[nearest(analysis, truth).id]
    # cubic boron nitride has the lattice of copper, to 0.02 %, but its 200 is weak
    assert {part.name for part in analysis.components} == {"Cu", "Li2O", "Li2CO3"}


def test_d_is_right(analysis: Analysis) -> None:
    spots = {spot.id: spot for spot in analysis.spots}
    errors = []
    for truth in TRUTH["grains"]:
        for spot in (spots[i] for i in nearest(analysis, truth).spots):
            turned = [abs((spot.azimuth - r["azimuth_deg"] + 90) % 180 - 90) for r in truth["reflections"]]
            near = [r["d_nm"] for r, turn in zip(truth["reflections"], turned, strict=True) if turn < 2]
            if near:
                errors.append(min(abs(spot.d / d - 1) for d in near))
    assert len(errors) > 35
    assert np.median(errors) < 1.5e-3
    assert np.quantile(errors, 0.9) < 5e-3


def truly_specimen(shape: tuple[int, int]) -> np.ndarray:
    """Film and crystals on the maps' grid."""
    inside = film()[MARGIN:-MARGIN, MARGIN:-MARGIN]
    for truth in TRUTH["grains"]:
        inside = inside | polygon2mask(SHAPE, np.array(truth["polygon_nm"]) / PIXEL_SIZE)
    rows, columns = (
        ((np.arange(n) + 0.5) * size / n).astype(int) for n, size in zip(shape, SHAPE, strict=True)
    )
    return inside[np.ix_(rows, columns)]


def test_nothing_is_mapped_in_vacuum(analysis: Analysis) -> None:
    specimen = truly_specimen(analysis.map_grid.shape)
    margin = round(1.0 / analysis.map_grid.pixel_size[0])
    vacuum = ~ndimage.binary_dilation(specimen, iterations=margin)
    assert vacuum.mean() > 0.1
    for part in analysis.components:
        assert not (part.mask & vacuum).any()
    assert analysis.specimen.mean() == pytest.approx(specimen.mean(), abs=0.05)


def test_results_on_disk_are_the_analysis(analysis: Analysis, tmp_path: Path) -> None:
    loaded = load_results(save_results(analysis, tmp_path / "sample"), analysis.micrograph)
    assert (loaded.spots, loaded.grains, loaded.matches) == (
        analysis.spots,
        analysis.grains,
        analysis.matches,
    )
    assert loaded.phases == analysis.phases and loaded.params == analysis.params
    assert_same(loaded.grain_regions, analysis.grain_regions)
    np.testing.assert_array_equal(loaded.diffractogram.power, analysis.diffractogram.power)
    for one, other in zip(analysis.components, loaded.components, strict=True):
        np.testing.assert_array_equal(one.heat, other.heat)


def test_small_samples_belong_to_their_script() -> None:
    for opened, made in ((open_film(), small.film()), (open_edge(), small.edge())):
        np.testing.assert_array_equal(opened[0][0], made)


def test_the_film_shows_nothing() -> None:
    analysis = analyse(micrograph_of(*open_film()[0][:2]))
    assert analysis.spots == () and analysis.components == ()


def test_the_crystal_at_the_edge() -> None:
    analysis = analyse(micrograph_of(*open_edge()[0][:2]), select(elements="Li, F"))
    (grain,) = analysis.grains
    assert np.hypot(*np.subtract(grain.centre, small.CENTRE)) < 0.7
    (part,) = analysis.components
    assert "LiF" in part.phases
    assert analysis.specimen.mean() == pytest.approx(small.EDGE / 15.36, abs=0.12)
