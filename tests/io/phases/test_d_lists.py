"""CSV lists of d-spacings become phases without angles."""

import pytest

from napari_tem_fft.io.phases.d_lists import read_d_list


def _read(folder, text: str):
    path = folder / "unknown.csv"
    path.write_text(text, encoding="utf-8")
    return read_d_list(path)


def test_lines_of_one_name_make_one_phase(tmp_path):
    text = "# by hand\nname,d_angstrom,hkl,intensity\nA,2.0,200,25\nA,2.5,1 1 -1,100\nB,3.1,,\n"
    first, second = _read(tmp_path, text)
    assert (first.id, second.id) == ("A", "B")
    assert first.d_only and not first.cell and first.tags == ("user",) and "d only" in first.flag
    assert [r.hkl for r in first.reflections] == [(1, 1, -1), (2, 0, 0)]
    assert [r.d for r in first.reflections] == pytest.approx([0.25, 0.20])
    assert [r.relative_f for r in first.reflections] == pytest.approx([1.0, 0.5])


def test_a_single_column_takes_the_file_s_name(tmp_path):
    (phase,) = _read(tmp_path, "\ufeffd_nm\n0.2325\n0.2013\n")
    assert phase.id == "unknown"
    assert [r.hkl for r in phase.reflections] == [(0, 0, 0)] * 2


def test_compact_indices_with_signs(tmp_path):
    (phase,) = _read(tmp_path, "d_nm,hkl\n0.3,-110\n0.2,(1-12)\n")
    assert [r.hkl for r in phase.reflections] == [(-1, 1, 0), (1, -1, 2)]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no lines"),
        ("spacing\n0.2\n", "no column is called d_nm"),
        ("d_nm\nabc\n", "not a number: 'abc'"),
        ("d_nm\n2.5e4\n", "makes no sense"),
        ("d_nm\n-0.2\n", "makes no sense"),
        ("d_nm\nnan\n", "makes no sense"),
        ("d_nm,intensity\n0.2,-5\n0.3,10\n", "negative"),
        ("d_nm,hkl\n0.2,1,1,1\n", "need quotes"),
    ],
)
def test_a_bad_list_is_refused_with_its_name(tmp_path, text, reason):
    with pytest.raises(ValueError, match=rf"unknown\.csv: .*{reason}"):
        _read(tmp_path, text)


@pytest.mark.parametrize("separator", [";", "\t"])
def test_decimal_commas_of_european_spreadsheets(tmp_path, separator):
    lines = (("name", "d_nm", "hkl", "intensity"), ("my oxide", "0,2466", "1 1 1", "100,0"))
    (phase,) = _read(tmp_path, "\n".join(separator.join(row) for row in lines) + "\n")
    assert phase.id == "my oxide"
    assert [(r.hkl, r.d) for r in phase.reflections] == [((1, 1, 1), pytest.approx(0.2466))]


def test_points_between_semicolons(tmp_path):
    (phase,) = _read(tmp_path, "d_angstrom;hkl\n2.466;111\n")
    assert phase.reflections[0].d == pytest.approx(0.2466)
