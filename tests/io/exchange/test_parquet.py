"""Parquet tables hold what the CSV tables do, typed, with units in the columns' metadata."""

import csv

import pytest

from napari_tem_fft import save_results
from napari_tem_fft.io.exchange.parquet import unit_of, write_analysis_tables
from small_analysis import small_analysis


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    pytest.importorskip("pyarrow")
    folder = tmp_path_factory.mktemp("tables")
    analysis = small_analysis()
    save_results(analysis, folder, "tables")
    write_analysis_tables(folder, analysis)
    return folder


@pytest.mark.parametrize("name", ["spots", "profile", "grains", "sizes", "misorientations"])
def test_every_cell_is_that_of_the_csv_file(folder, name) -> None:
    from pyarrow import parquet

    table = parquet.read_table(folder / f"{name}.parquet")
    with (folder / f"{name}.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert table.num_rows == len(rows)
    for parquet_row, row in zip(table.to_pylist(), rows, strict=True):
        for column, value in parquet_row.items():
            text = row[column]
            if value is None or value == "":
                assert text == "", column
            elif isinstance(value, str):
                assert text == value, column
            else:
                assert float(text) == pytest.approx(value, rel=1e-6, nan_ok=True), column


def test_units_stand_in_the_metadata(folder) -> None:
    from pyarrow import parquet

    schema = parquet.read_schema(folder / "spots.parquet")
    assert schema.field("d_nm").metadata == {b"unit": b"nm"}
    assert schema.field("g_per_nm").metadata == {b"unit": b"1/nm"}
    assert schema.field("snr").metadata is None
    assert str(schema.field("id").type) == "int64" and str(schema.field("hkl").type) == "string"


@pytest.mark.parametrize(
    ("column", "unit"),
    [("area_nm2", "nm^2"), ("d_angstrom", "angstrom"), ("azimuth_sigma_deg", "deg"), ("seconds", "s"),
     ("d_residual_percent", "%"), ("component", "")],
)  # fmt: skip
def test_the_name_of_a_column_tells_its_unit(column, unit) -> None:
    assert unit_of(column) == unit
