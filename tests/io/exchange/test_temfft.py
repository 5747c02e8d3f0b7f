"""Documents: what is saved comes back, and what was tampered with is refused.

Stored analyses of every kind are found with their micrographs.
"""

import json
import shutil
import stat
import zipfile
from dataclasses import fields, replace

import numpy as np
import pytest

from dm_writer import write_dm
from forward_model import fringes, white_noise
from napari_tem_fft import analyse, load, read, save, save_results, select
from napari_tem_fft.core.image.calibration import Calibration
from napari_tem_fft.core.image.micrograph import Micrograph, RegionOfInterest
from napari_tem_fft.core.pipeline import Analysis
from napari_tem_fft.io.exchange import temfft
from napari_tem_fft.io.exchange.temfft import (
    Document,
    StoredImage,
    StoredLayer,
    load_temfft,
    pack,
    save_temfft,
    unpack,
)
from napari_tem_fft.io.plain import ReadError
from napari_tem_fft.io.readers.data_sets import FramesOnDisk
from napari_tem_fft.io.readers.micrographs import read_images, read_micrograph
from small_analysis import assert_same, small_analysis

PIXELS = np.random.default_rng(0).normal(size=(40, 48)).astype(np.float32)


@pytest.fixture(scope="module")
def analysis():
    return small_analysis()


@pytest.fixture(scope="module")
def saved(analysis, tmp_path_factory):
    return save_temfft(tmp_path_factory.mktemp("out") / "small.temfft", analysis)


def test_an_archive_that_cannot_be_written_leaves_the_one_before_and_nothing_else(tmp_path, monkeypatch):
    (folder := tmp_path / "folder").mkdir()
    (folder / "a.csv").write_text("1")
    pack(folder, tmp_path / "out" / "a.zip")
    before = (tmp_path / "out" / "a.zip").read_bytes()

    def full(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("zipfile.ZipFile.write", full)
    with pytest.raises(OSError, match="No space left"):
        pack(folder, tmp_path / "out" / "a.zip")
    assert [(path.name, path.read_bytes()) for path in (tmp_path / "out").iterdir()] == [("a.zip", before)]


def assert_same_analysis(one, other):
    for f in fields(Analysis):
        if f.name != "micrograph":
            assert_same(getattr(one, f.name), getattr(other, f.name), f.name)
    np.testing.assert_array_equal(one.micrograph.pixels, other.micrograph.pixels)
    for name in ("calibration", "name", "source", "file_hash", "warnings"):
        assert getattr(one.micrograph, name) == getattr(other.micrograph, name)
    assert other.micrograph.metadata["voltage_kV"] == 300.0


def test_an_analysis_comes_back_from_one_file(analysis, saved):
    assert zipfile.is_zipfile(saved)
    loaded = load_temfft(saved)
    assert loaded.analysis is not None and loaded.layers == ()
    assert_same_analysis(analysis, loaded.analysis)
    assert loaded.micrograph is loaded.analysis.micrograph


def test_a_region_of_interest_comes_back_and_stands_where_version_0_1_had_it(analysis, tmp_path):
    roi = RegionOfInterest((3, 4), ((0.0, 0.0), (0.0, 1.5), (2.5, 0.0)))
    drawn = replace(analysis, micrograph=replace(analysis.micrograph, roi=roi))
    saved = save_temfft(tmp_path / "small.temfft", drawn)
    with zipfile.ZipFile(saved) as archive:
        for name in ("temfft.json", "results/analysis.json"):
            stored = json.loads(archive.read(name))["micrograph"]["metadata"]
            assert stored["part_start"] == [3, 4] and stored["part"] == [[0, 0], [0, 1.5], [2.5, 0]]
    loaded = load_temfft(saved)
    assert loaded.micrograph.roi == loaded.analysis.micrograph.roi == roi
    assert loaded.micrograph.metadata.keys() == analysis.micrograph.metadata.keys()


def test_a_folder_is_as_good_and_is_replaced_as_a_whole(analysis, tmp_path):
    path = save_temfft(tmp_path / "small", analysis, folder=True)
    assert path == tmp_path / "small.temfft" and path.is_dir()
    assert_same_analysis(analysis, load_temfft(path).analysis)
    (path / "notes.txt").write_text("mine")
    save_temfft(path, Document(analysis.micrograph))
    assert load_temfft(path).analysis is None
    assert {one.name for one in path.iterdir()} == {"temfft.json", "micrograph.npy", "layers", "notes.txt"}


@pytest.mark.parametrize(
    "dtype", ["int8", "uint8", "int16", "uint16", "int32", "uint32", "float32", "float64", "bool"]
)
def test_pixels_of_every_type_come_back_exactly(tmp_path, dtype):
    pixels = (100 * PIXELS).astype(dtype)
    micrograph = Micrograph(pixels, Calibration((0.1, 0.2), "reciprocal", 0.01, "file", (3.0, 4.5)), "a")
    loaded = load_temfft(save_temfft(tmp_path / "a.temfft", Document(micrograph))).micrograph
    assert loaded.pixels.dtype == pixels.dtype
    np.testing.assert_array_equal(loaded.pixels, pixels)
    assert loaded.calibration == micrograph.calibration


def test_layers_come_back(tmp_path):
    layers = (
        StoredLayer(PIXELS, {"name": "image", "scale": [0.1, 0.2]}, "image"),
        StoredLayer(np.ones((3, 4, 5), np.uint8), {}, "labels"),
        StoredLayer(np.zeros((0, 2)), {"size": 3.0}, "points"),
        StoredLayer((np.eye(2), np.zeros((4, 2))), {}, "shapes"),
    )
    loaded = load_temfft(save_temfft(tmp_path / "a.temfft", Document(layers=layers)))
    assert loaded.micrograph is None
    for before, after in zip(layers, loaded.layers, strict=True):
        assert (before.kind, before.attributes) == (after.kind, after.attributes)
        for one, other in zip(before.data, after.data, strict=True):
            np.testing.assert_array_equal(one, other)


def test_the_micrograph_s_pixels_are_stored_once(tmp_path):
    micrograph = Micrograph(PIXELS, Calibration.real(0.02), "a")
    layer = StoredLayer(micrograph.pixels, {"name": "a"}, "image")
    path = save_temfft(tmp_path / "a.temfft", Document(micrograph, layers=(layer,)))
    assert [name for name in zipfile.ZipFile(path).namelist() if name.endswith(".npy")] == ["micrograph.npy"]
    loaded = load_temfft(path)
    assert loaded.layers[0].data is loaded.micrograph.pixels


def test_frames_on_disk_are_copied(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_tem_fft.io.readers.gatan.LAZY_BYTES", 1000)
    frames = np.arange(4 * 20 * 24, dtype=np.int16).reshape(4, 20, 24)
    (stack,) = read_images(write_dm(tmp_path / "s.dm4", frames, (1.0, 0.02, 0.02), ("", "nm", "nm")))
    assert isinstance(stack.frames, FramesOnDisk)
    path = save_temfft(tmp_path / "s.temfft", Document(layers=(StoredLayer(stack.frames, {}, "image"),)))
    np.testing.assert_array_equal(load_temfft(path).layers[0].data, frames)


@pytest.mark.parametrize("moved", [False, True])
def test_pixels_may_stay_in_their_file(tmp_path, moved):
    source = (
        write_dm(tmp_path / "there" / "film.dm4" if moved else tmp_path / "film.dm4", PIXELS, 0.02, "nm")
        if not moved
        else _write_in(tmp_path / "there", PIXELS)
    )
    micrograph = replace(read_micrograph(source), calibration=Calibration.real(0.03, "given by the user"))
    path = save_temfft(tmp_path / "film.temfft", Document(micrograph), pixels=False)
    assert "micrograph.npy" not in zipfile.ZipFile(path).namelist()
    if moved:
        source.rename(tmp_path / "film.dm4")
    loaded = load_temfft(path).micrograph
    np.testing.assert_array_equal(loaded.pixels, PIXELS)
    assert loaded.calibration.pixel_size == (0.03, 0.03)
    write_dm(tmp_path / "film.dm4", 2 * PIXELS, 0.02, "nm")
    with pytest.raises(ReadError, match=r"an unchanged film\.dm4 is not found"):
        load_temfft(path)


def _write_in(folder, pixels):
    folder.mkdir()
    return write_dm(folder / "film.dm4", pixels, 0.02, "nm")


def test_pixels_without_a_file_have_to_be_kept(tmp_path):
    with pytest.raises(ValueError, match="keep its pixels"):
        save_temfft(tmp_path / "a", Document(Micrograph(PIXELS)), pixels=False)


def test_a_failure_leaves_the_earlier_file(saved, monkeypatch):
    before = saved.read_bytes()
    monkeypatch.setattr("napari_tem_fft.io.exchange.temfft.save_results", lambda *_, **__: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        save_temfft(saved, small_analysis())
    assert saved.read_bytes() == before
    assert list(saved.parent.iterdir()) == [saved]


def tampered(saved, tmp_path, change):
    """A copy of a document whose description was changed, and the name of the copy."""
    path = tmp_path / "tampered.temfft"
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            if name == "temfft.json":
                stored = json.loads(content)
                change(stored)
                content = json.dumps(stored).encode()
            new.writestr(name, content)
    return path


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"format": "else"}, "not a document"),
        ({"format_version": 2}, "newer version"),
        ({"results": None, "pixels": None, "micrograph": {"file": "../../etc/passwd"}}, "damaged"),
        ({"layers": [{"kind": "image", "attributes": {}, "data": "../../x.npy"}]}, "unknown place"),
        ({"layers": [{"kind": "image", "attributes": {}, "data": "layers/../a.npy"}]}, "unknown place"),
        ({"layers": [{"kind": "surface", "attributes": {}}]}, "unknown kind"),
        ({"micrograph": None}, "no micrograph"),
        ({"layers": 3}, "damaged"),
    ],
)
def test_a_description_that_cannot_be_is_refused(saved, tmp_path, changes, words):
    path = tampered(saved, tmp_path, lambda stored: stored.update(changes))
    with pytest.raises(ReadError, match=rf"tampered\.temfft: .*{words}"):
        load_temfft(path)


def test_what_is_no_document_is_refused(tmp_path):
    (tmp_path / "a.temfft").write_text("not a zip file")
    (tmp_path / "empty.temfft").mkdir()
    for name, words in (
        ("a", "damaged"),
        ("empty", "not a document"),
        ("missing", "the file does not exist"),
    ):
        with pytest.raises(ReadError, match=rf"{name}\.temfft: .*{words}"):
            load_temfft(tmp_path / f"{name}.temfft")


def test_an_array_that_claims_more_than_there_is_is_refused(tmp_path):
    path = save_temfft(tmp_path / "a.temfft", Document(Micrograph(PIXELS)), folder=True)
    content = (path / "micrograph.npy").read_bytes()
    assert b"(40, 48)" in content
    (path / "micrograph.npy").write_bytes(content.replace(b"(40, 48), }", b"(4000000, 48000), }"))
    with pytest.raises(ReadError, match=r"a\.temfft"):
        load_temfft(path)
    (path / "micrograph.npy").write_bytes(content.replace(b"'<f4'", b"'|O' "))
    with pytest.raises(ReadError, match=r"a\.temfft"):
        load_temfft(path)


def test_no_damage_leads_to_another_error(saved):
    """Bytes flipped and ends cut off: only our own error comes out, within seconds."""
    rng, content = np.random.default_rng(3), saved.read_bytes()
    path = saved.with_name("damaged.temfft")
    opened = 0
    for number in range(150):
        damaged = bytearray(content)
        tail = len(content) - 4000 if number % 2 else 0  # the directory of the archive lies at its end
        for place in rng.integers(tail, len(content), 1 + number % 5):
            damaged[place] = rng.integers(256)
        path.write_bytes(damaged if number % 7 else damaged[: rng.integers(len(content))])
        try:
            load_temfft(path)
            opened += 1
        except ReadError as error:
            assert str(error).startswith("damaged.temfft: ")
    path.unlink()
    assert opened < 150


def test_a_document_holds_several_images_each_with_its_own_analysis(analysis, tmp_path):
    plain = Micrograph(PIXELS, Calibration.real(0.02), "small")  # of the same name
    layer = StoredLayer(plain.pixels, {"name": "b"}, "image")
    images = [StoredImage(analysis.micrograph, analysis), StoredImage(plain), StoredImage(plain, None)]
    path = save_temfft(tmp_path / "all.temfft", Document.of(images, (layer,)), folder=True)
    loaded = load_temfft(path)
    first, second, third = loaded.images
    assert_same_analysis(analysis, first.analysis)
    assert loaded.analysis is first.analysis and second.analysis is None and third.micrograph.name == "small"
    np.testing.assert_array_equal(second.micrograph.pixels, PIXELS)
    assert loaded.layers[0].data is second.micrograph.pixels
    save_temfft(path, Document(plain))  # what was of the others goes
    assert {one.name for one in path.iterdir()} == {"temfft.json", "micrograph.npy", "layers"}


def entry(name, mode=0o644):
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    return info


def test_a_folder_comes_back(tmp_path):
    folder = tmp_path / "folder"
    (folder / "deep").mkdir(parents=True)
    (folder / "a.json").write_text("{}")
    (folder / "deep" / "b.npy").write_bytes(bytes(1000))
    pack(folder, tmp_path / "new" / "a.zip")
    with unpack(tmp_path / "new" / "a.zip") as place:
        assert (place / "a.json").read_text() == "{}"
        assert (place / "deep" / "b.npy").read_bytes() == bytes(1000)
    assert not place.exists()
    with unpack(folder) as place:
        assert place == folder


@pytest.mark.parametrize(
    "name",
    ["../out.txt", "/etc/out.txt", "a/../../out.txt", "..\\out.txt", "C:\\out.txt", "a//b", "a/b/c/d", "./a"],
)
def test_nothing_is_written_outside(tmp_path, name):
    path = tmp_path / "in" / "bad.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as bad:
        bad.writestr(entry(name), "x")
    with pytest.raises(ReadError, match="outside its folder"), unpack(path):
        pass
    assert not list(tmp_path.rglob("out.txt"))


def test_links_and_doubles_are_refused(tmp_path):
    path = tmp_path / "bad.zip"
    with zipfile.ZipFile(path, "w") as bad:
        bad.writestr(entry("a", stat.S_IFLNK | 0o777), "/etc/passwd")
    with pytest.raises(ReadError, match="link"), unpack(path):
        pass
    with zipfile.ZipFile(path, "w") as bad:
        bad.writestr("a", "1")
        bad.writestr("A", "2")
    with pytest.raises(ReadError, match="twice"), unpack(path):
        pass


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(temfft, "SMALL_BYTES", 1000)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("zeros", bytes(10**7))
    with pytest.raises(ReadError, match="claim to contain 10000000"), unpack(path):
        pass


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
    with pytest.raises(ReadError, match=r"an unchanged a\.dm4 is not found; put a\.dm4 next to it"):
        load(moved)
    assert load(moved, read(folder / "a.dm4")).spots == analysis.spots
    shutil.copy(folder / "a.dm4", moved)
    assert load(moved).spots == analysis.spots


def test_tables_alone_are_refused_in_words(stored) -> None:
    with pytest.raises(ReadError, match="only tables of this analysis were kept"):
        load(stored[0] / "tables")
