"""Stored analyses of every kind are found with their micrographs."""

import shutil

import numpy as np
import pytest

from dm_writer import write_dm
from forward_model import fringes, white_noise
from napari_tem_fft import analyse, load, read, save, save_results, select
from napari_tem_fft.io.errors import ReadError


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """Folder with a micrograph, its folder of results, and its .temfft."""
    folder = tmp_path_factory.mktemp("stored")
    shape = (200, 220)
    pixels = 1000 + 40 * fringes(shape, (0.03, 0.03), 0.235, 20.0) + white_noise(shape, 1, 60.0)
    write_dm(folder / "a.dm4", np.rint(pixels).astype(np.int16), 0.03, "nm")
    analysis = analyse(read(folder / "a.dm4"), select(["Al"]))
    save_results(analysis, folder / "results", "maps")
    save_results(analysis, folder / "tables", "tables")
    save(analysis, folder / "a.temfft")
    return folder, analysis


@pytest.mark.parametrize("name", ["results", "a.temfft"])
def test_the_same_analysis_comes_out_of_each(stored, name) -> None:
    folder, analysis = stored
    assert load(folder / name).spots == analysis.spots


def test_a_micrograph_that_was_moved_is_found_in_the_results_or_given(stored, tmp_path) -> None:
    folder, analysis = stored
    moved = shutil.copytree(folder / "results", tmp_path / "results")
    text = (moved / "analysis.json").read_text().replace(str(folder / "a.dm4"), str(tmp_path / "a.dm4"))
    (moved / "analysis.json").write_text(text)
    with pytest.raises(ReadError, match=r"a\.dm4 as it was then is not found; put a\.dm4 next to it"):
        load(moved)
    assert load(moved, read(folder / "a.dm4")).spots == analysis.spots
    shutil.copy(folder / "a.dm4", moved)
    assert load(moved).spots == analysis.spots


def test_tables_alone_are_refused_in_words(stored) -> None:
    with pytest.raises(ReadError, match="only tables were kept of this analysis"):
        load(stored[0] / "tables")
