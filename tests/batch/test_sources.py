from pathlib import Path

from napari_tem_fft.batch.sources import elsewhere, find_sources, read_ahead


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
