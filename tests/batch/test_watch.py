import os
from itertools import islice

from napari_tem_fft.batch.job import Job
from napari_tem_fft.batch.run import batch_steps
from napari_tem_fft.batch.watch import arriving
from small_run import SameProcess, write_micrograph


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
