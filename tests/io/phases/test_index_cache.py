"""The index on disk: found again by content, and never trusted blindly."""

import numpy as np

from napari_tem_fft.core.crystal.phase_selection import select_phases
from napari_tem_fft.core.matching.pair_index import build_index, index_key
from napari_tem_fft.io.phases.index_cache import KEPT, prepare_index, prepared_choice
from napari_tem_fft.io.phases.table import load_table


def phases(*names):
    return select_phases(load_table(), names=names)


def test_written_once_and_read_back(tmp_path, monkeypatch):
    chosen = phases("LiF", "Cu")
    built = prepare_index(chosen, tmp_path).arrays()
    monkeypatch.setattr("napari_tem_fft.io.phases.index_cache.build_index", None)
    read = prepare_index(chosen, tmp_path)
    assert read.key == index_key(chosen)
    for name, array in read.arrays().items():
        assert np.array_equal(array, built[name]) and array.dtype == built[name].dtype
    assert len(list(tmp_path.iterdir())) == 1


def test_a_damaged_file_is_built_anew(tmp_path):
    chosen = phases("LiF")
    prepare_index(chosen, tmp_path)
    (file,) = tmp_path.iterdir()
    for damage in (b"", b"PK\x03\x04 nonsense", file.read_bytes()[:500]):
        file.write_bytes(damage)
        assert len(prepare_index(chosen, tmp_path).pair_ratio)


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    assert len(prepare_index(phases("Cu"), tmp_path / "file" / "below").pair_ratio)


def test_old_files_go(tmp_path):
    for phase in load_table()[: KEPT + 3]:
        prepare_index([phase], tmp_path)
    assert len(list(tmp_path.iterdir())) == KEPT


def test_the_key_follows_phases_and_their_order():
    assert index_key(phases("LiF", "Cu")) != index_key(phases("Cu", "LiF"))
    assert index_key(phases("LiF", "Cu")) == index_key(phases("lithium fluoride", "copper"))


def test_pairs_of_a_cube():
    index = build_index(phases("Cu"))
    found = np.abs(index.pair_ratio - 0.5 * np.log(4 / 3)) < 1e-6
    assert np.allclose(np.unique(index.pair_angle[found].round(3)), [54.736], atol=0.01)
    assert (np.diff(index.pair_ratio) >= 0).all()


def test_a_choice_is_prepared_with_one_index_for_candidates_and_others():
    table = phases("Cu", "LiF", "Si")
    choice = prepared_choice(table[1:2], table)
    assert [[p.id for p in part] for part in (choice.phases, choice.non_candidates)] == [
        ["LiF"],
        ["Cu", "Si"],
    ]
    assert choice.index is not None and choice.index.key == index_key(choice.known_phases)
