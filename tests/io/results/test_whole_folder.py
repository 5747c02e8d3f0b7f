import json

import pytest

from napari_tem_fft.io.results.whole_folder import plain_name, read_description, replace_folder


def write(folder, files, text="{}"):
    with replace_folder(folder, "about.json") as fresh:
        for name in files:
            (fresh / name).write_text("new")
        (fresh / "about.json").write_text(text)


def about(*files):
    return json.dumps({"format": "napari-tem-fft test", "format_version": 1, "files": files})


def test_an_earlier_folder_is_replaced_and_strangers_are_left_alone(tmp_path):
    folder = tmp_path / "deep" / "out"
    write(folder, ["old.txt"], about("old.txt", "../outside.txt"))
    (tmp_path / "deep" / "outside.txt").write_text("mine")
    (folder / "notes.txt").write_text("mine")
    write(folder, ["new.txt"], about("new.txt"))
    assert {path.name for path in folder.iterdir()} == {"about.json", "new.txt", "notes.txt"}
    assert {path.name for path in folder.parent.iterdir()} == {"out", "outside.txt"}


def test_nothing_is_left_of_a_failure(tmp_path):
    with pytest.raises(ZeroDivisionError), replace_folder(tmp_path / "out", "about.json") as fresh:
        (fresh / "a.txt").write_text("half")
        raise ZeroDivisionError
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [("{", "no readable"), ("[]", "not written"), (about().replace("1", "2"), "newer version")],
)
def test_a_description_of_another_kind_is_refused(tmp_path, text, words):
    path = tmp_path / "about.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=words):
        read_description(path, "napari-tem-fft test", 1)


def test_only_names_are_names():
    assert plain_name("map_Li.tif")
    assert not any(map(plain_name, ["", "..", "a/b", "..\\b", "c:x", "/etc", 3, None]))
