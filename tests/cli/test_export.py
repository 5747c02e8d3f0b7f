"""The command that writes stored results for other programs."""

import pytest

from napari_tem_fft import save, save_results
from napari_tem_fft.cli.main import main
from small_analysis import small_analysis


@pytest.fixture
def document(tmp_path):
    return save(small_analysis(), tmp_path / "small.temfft")


def test_a_document_is_written_beside_itself(document, capsys) -> None:
    assert main(["export", str(document), "--to", "nexus,ctf"]) == 0
    folder = document.with_name("small.exchange")
    assert {path.name for path in folder.iterdir()} == {"grains.ctf", "analysis.nxs"}
    assert capsys.readouterr().out.split() == [str(folder / "grains.ctf"), str(folder / "analysis.nxs")]


def test_tables_are_enough_for_the_provenance(tmp_path) -> None:
    save_results(small_analysis(), tmp_path / "results", "tables")
    assert main(["export", str(tmp_path / "results"), "--to", "ro-crate"]) == 0
    assert (tmp_path / "results" / "ro-crate-metadata.json").is_file()


def test_what_cannot_be_exported_is_told_and_the_rest_is_done(document, tmp_path, capsys) -> None:
    (tmp_path / "nothing").mkdir()
    assert main(["export", str(tmp_path / "nothing"), str(document), "--to", "ang"]) == 1
    assert "nothing: " in capsys.readouterr().err
    assert (tmp_path / "small.exchange" / "grains.ang").is_file()
    assert main(["export", str(document), "--to", "ro-crate"]) == 1
    assert "an RO-Crate describes a folder of results" in capsys.readouterr().err


def test_an_unknown_format_and_one_folder_for_many_are_refused(document, capsys) -> None:
    with pytest.raises(SystemExit):
        main(["export", str(document), "--to", "docx"])
    assert "docx is not one of ang, ctf" in capsys.readouterr().err
    assert main(["export", str(document), str(document), "--to", "ang", "-o", "x"]) == 2
