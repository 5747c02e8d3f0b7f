import stat
import zipfile

import pytest

from napari_tem_fft.io.errors import ReadError
from napari_tem_fft.io.exchange import archive
from napari_tem_fft.io.exchange.archive import pack, unpack


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
    with pytest.raises(ReadError, match="elsewhere"), unpack(path):
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
    monkeypatch.setattr(archive, "SMALL_BYTES", 1000)
    path = tmp_path / "bomb.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bomb:
        bomb.writestr("zeros", bytes(10**7))
    with pytest.raises(ReadError, match="claim to hold 10000000"), unpack(path):
        pass
