import os
from itertools import islice
from pathlib import Path

from napari_tem_fft.batch.job import Job
from napari_tem_fft.batch.run import batch_steps
from napari_tem_fft.batch.sources import arriving, elsewhere, find_sources, read_ahead
from small_run import SameProcess, write_micrograph


def folders(found) -> list[str]:
    return [source.folder for source in found.sources]


def test_folders_are_searched_and_results_are_arranged_like_them(images, tmp_path):
    found = find_sources([images], tmp_path)
    assert folders(found) == ["a <b>.dm4", "d.dm3", "plain.dm4", "text.dm4", "day/c.dm4"]
    assert found.left_out == 1
    assert [source.index for source in found.sources] == list(range(5))


def test_patterns_files_and_what_is_not_there(images, tmp_path):
    pattern = str(images / "**" / "*.dm4")
    assert "c.dm4" in folders(find_sources([pattern], tmp_path))
    named = find_sources([images / "notes.txt", tmp_path / "gone.dm4"], tmp_path)
    assert folders(named) == ["notes.txt", "gone.dm4"]


def test_a_file_that_is_named_twice_is_analysed_once(images, tmp_path):
    assert len(find_sources([images / "d.dm3", images, images / "day"], tmp_path).sources) == 5


def test_files_of_one_name_do_not_share_a_folder(images, tmp_path):
    other = tmp_path / "C.dm4"
    other.touch()
    assert folders(find_sources([images / "day" / "c.dm4", other], tmp_path)) == ["c.dm4", "C.dm4_2"]
    moved = elsewhere(find_sources([other], tmp_path).sources, {"c.dm4", "c.dm4_2"})
    assert moved[0].folder == "C.dm4_3"


def test_results_and_hidden_files_are_no_micrographs(tmp_path: Path):
    for name in ("out/map.tif", "earlier/analysis.json", "earlier/map.tif", ".hidden.dm4", "a.dm4"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert folders(find_sources([tmp_path], tmp_path / "out")) == ["a.dm4"]


def test_announcing_changes_nothing(images, tmp_path):
    sources = find_sources([images, tmp_path / "gone.dm4"], tmp_path).sources
    assert tuple(read_ahead(sources)) == sources


def test_a_file_comes_once_it_is_complete(tmp_path):
    now = [0.0]
    found = arriving(tmp_path, tmp_path / "out", 5.0, {}, 0, lambda: now[0])
    growing = tmp_path / "a.dm4"
    assert next(found) is None
    growing.write_bytes(b"half")
    for now[0] in (1.0, 4.0):
        assert next(found) is None
    growing.write_bytes(b"half and half")
    for now[0] in (7.0, 11.0):
        assert next(found) is None
    now[0] = 12.0
    assert next(found).folder == "a.dm4"
    assert list(islice(found, 3)) == [None] * 3


def test_a_file_that_is_written_over_in_place_is_waited_for(tmp_path):
    """Some cameras make a file of its full size first and fill it afterwards."""
    now = [0.0]
    found = arriving(tmp_path, tmp_path / "out", 5.0, {}, 0, lambda: now[0])
    file = tmp_path / "a.dm4"
    for moment in (0, 4, 8):
        now[0] = moment
        file.write_bytes(bytes([moment]) * 4)
        os.utime(file, ns=(0, moment * 10**9))
        assert next(found) is None
    now[0] = 13.0
    assert next(found).folder == "a.dm4"


def test_a_watched_folder_is_a_run_without_end(tmp_path):
    known: dict[str, str] = {}
    later = arriving(tmp_path, tmp_path / "out", 0.0, known, 0)
    write_micrograph(tmp_path / "a.dm4", 0)
    steps = batch_steps((), Job(str(tmp_path / "out")), SameProcess, arriving=later)
    assert next(steps).product.state == "analysed"
    write_micrograph(tmp_path / "b.dm4", 1)
    step = next(steps)
    steps.close()
    assert (step.name, step.done, step.total) == ("b.dm4", 2, 2)
    assert (tmp_path / "out" / "report.html").exists()
