"""Printing never fails, whatever the names of files and the encoding of the terminal."""

import io
import json
import os
import sys

import numpy as np
import pytest

from dm_writer import write_dm
from napari_tem_fft.batch.record import Record, from_json
from napari_tem_fft.cli.main import main
from napari_tem_fft.core.text import printable
from napari_tem_fft.io.figures.labels import plain_words

NOISE = np.random.default_rng(0).poisson(400, (160, 160)).astype("uint16")


def terminal(monkeypatch, encoding):
    """Standard output and errors of a terminal that knows few characters."""
    streams = []
    for name in ("stdout", "stderr"):
        streams.append(io.TextIOWrapper(io.BytesIO(), encoding=encoding, errors="strict", write_through=True))
        monkeypatch.setattr(sys, name, streams[-1])
    return streams


def told(stream):
    stream.flush()
    return stream.buffer.getvalue().decode(stream.encoding)


@pytest.mark.parametrize("encoding", ["cp1252", "ascii"])
def test_a_name_that_the_terminal_lacks_counts_as_no_failure(tmp_path, monkeypatch, encoding):
    path = write_dm(tmp_path / "\u7c92\u5b50 \u03b1.dm4", NOISE, 0.02, "nm")
    out, err = terminal(monkeypatch, encoding)
    assert main(["analyse", str(path), "-o", str(tmp_path / "results"), "--phases", "Cu"]) == 0
    assert "\\u7c92\\u5b50" in told(out)
    assert told(err) == ""
    assert (tmp_path / "results" / path.name / "overview.png").exists()


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
def test_half_a_pair_and_controls_in_a_name_are_escaped_everywhere(tmp_path, monkeypatch):
    path = write_dm(tmp_path / "a.dm4", NOISE, 0.02, "nm")
    odd = path.with_name(os.fsdecode(b"film_\xff\x1b[31m$x_^{$.dm4"))
    path.rename(odd)
    out, _ = terminal(monkeypatch, "utf-8")
    assert main(["analyse", str(odd), "-o", str(tmp_path / "results"), "--phases", "Cu"]) == 0
    assert "film_\\udcff\\x1b[31m$x_^{$.dm4" in told(out)
    stored = json.loads((tmp_path / "results" / odd.name / "analysis.json").read_text(encoding="utf-8"))
    assert odd.stem in stored["micrograph"].values()


def test_a_refused_file_is_one_printable_line(tmp_path, monkeypatch):
    path = tmp_path / "not\u03b1.dm4"
    path.write_bytes(b"no image in here at all")
    _, err = terminal(monkeypatch, "ascii")
    assert main(["analyse", str(path), "-o", str(tmp_path), "--phases", "Cu"]) == 1
    assert told(err).startswith("napari-tem-fft: not\\u03b1.dm4: not a Gatan file")


def test_a_record_of_an_odd_name_comes_back():
    record = Record(0, os.fsdecode(b"/a/film_\xff.dm4"), "film")
    line = record.to_json()
    assert from_json(line.encode().decode()) == record


def test_what_is_printable_stays():
    assert printable("Gr\u00f6\u00dfe 5 nm") == "Gr\u00f6\u00dfe 5 nm"
    assert printable("a\nb", keep="\n") == "a\nb"
    assert plain_words("$a$") == r"\$a\$"


def test_a_scale_that_is_given_ends_the_advice_to_give_one(tmp_path, capsys):
    path = write_dm(tmp_path / "a.dm4", NOISE)
    assert (
        main(["analyse", str(path), "-o", str(tmp_path / "r"), "--phases", "Cu", "--pixel-size", "0.02"]) == 0
    )
    assert "not calibrated" not in capsys.readouterr().out
    assert "not calibrated" not in (tmp_path / "r" / "a.dm4" / "analysis.json").read_text(encoding="utf-8")
