"""A run for another program: an order in, lines of JSON out, and the end when nobody listens."""

import json
import subprocess
import sys

from napari_tem_fft.batch.job import Job
from napari_tem_fft.batch.subprocess_main import OK, REFUSED, STOPPED, Order
from napari_tem_fft.io.plain import from_plain, to_plain

COMMAND = [sys.executable, "-P", "-m", "napari_tem_fft.batch.subprocess_main"]


def order(images, output, **options):
    return Order(Job(str(output), names=("Cu", "LiF")), (str(images),), **options)


def begun(wanted):
    process = subprocess.Popen(COMMAND, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    process.stdin.write(wanted.to_json())
    process.stdin.flush()
    return process


def test_an_order_is_the_same_after_its_way(tmp_path):
    wanted = order(tmp_path, tmp_path / "out", workers=3, memory_limit="8G", resume=True)
    assert from_plain(Order, json.loads(wanted.to_json())) == wanted


def test_records_and_the_outcome_come_as_lines(images, tmp_path):
    with begun(order(images, tmp_path)) as process:
        lines = [json.loads(line) for line in process.stdout]
    records = [line["record"] for line in lines if "record" in line]
    assert sorted(record["state"] for record in records) == ["analysed"] * 3 + ["failed"] * 2
    assert lines[-2]["progress"]["done"] == 5 and process.returncode == OK
    assert lines[-1]["outcome"]["analysed"] == 3 and (tmp_path / "report.html").exists()
    with begun(order(images, tmp_path)) as process:
        (line,) = process.stdout
    assert "there is a run in this folder" in line and process.returncode == REFUSED


def test_it_stops_when_its_input_is_closed(images, tmp_path):
    with begun(order(images, tmp_path)) as process:
        while "record" not in json.loads(process.stdout.readline()):
            pass
        process.stdin.close()
        process.stdout.read()
    assert process.returncode == STOPPED
    assert json.loads((tmp_path / "run.json").read_text())["state"] == "stopped"
    assert to_plain(order(images, tmp_path))["workers"] == 1
