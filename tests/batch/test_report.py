import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from napari_tem_fft.batch.plots import composition, key_style, size_bins, sizes
from napari_tem_fft.batch.record import ComponentSummary, Record
from napari_tem_fft.batch.report import shareable, write_report
from napari_tem_fft.batch.statistics import session_statistics
from napari_tem_fft.core.maps.component_map import PALETTE, SHADES

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


def image(number: int, cu: tuple[float, ...] = ()) -> Record:
    """An image of 100 nm^2 with grains of copper, 10 nm^2 each, of some diameters."""
    name = f"{number}.dm4"
    part = ComponentSummary(
        "Cu", ("Cu",), "identified", 0.99, 10.0 * len(cu), 1.0, 0.1 * len(cu), len(cu),
        sum(cu) / max(len(cu), 1), (0.2087,), cu, ("0 1 1",) * len(cu),
    )  # fmt: skip
    parts = (part,) if cu else ()
    return Record(number, name, name, pixel_size=(0.02, 0.02), specimen=100.0, parts=parts)


class Page(HTMLParser):
    """Tags, texts and pictures of a page; checks that every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows, self.pictures, self.links, self.text, self.drawn = 0, 0, [], "", False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.rows += tag == "tr" and "images" in self.open
        self.pictures += tag == "img" and values["src"].startswith("data:image/jpeg;base64,")
        self.links += [values["href"]] if tag == "a" else []
        assert "src" not in values or values["src"].startswith("data:")
        if tag not in ("meta", "img") and not self.drawn:
            self.open.append("images" if values.get("id") == "images" else tag)

    def handle_endtag(self, tag):
        last = self.open.pop()
        assert last in (tag, "images")

    def handle_data(self, data):
        self.text += data


@pytest.fixture(scope="module")
def page(finished: Path) -> Page:
    return Page((finished / "report.html").read_text())


def test_the_page_is_whole_and_needs_nothing_else(page):
    assert page.open == ["br"] * 0
    assert page.pictures == 3
    assert page.rows == 1 + 5


def test_bars_of_colours_beyond_the_palette_are_hatched():
    plot = composition([{"a": 0.5, "b": 0.25}], {"a": PALETTE[0], "b": SHADES[0]})
    assert plot.count("<pattern") == 1 and PALETTE[0].lower() in plot
    assert key_style(PALETTE[0]) == f"background:{PALETTE[0]}" and "gradient" in key_style(SHADES[0])


def test_names_of_files_are_escaped(finished, page):
    assert "a <b>.dm4" in page.text
    assert "<b>.dm4" not in (finished / "report.html").read_text()
    assert "a%20%3Cb%3E.dm4/" in page.links


def test_failures_and_doubts_are_told(page):
    assert "3 analysed, 2 failed, 0 not started" in page.text
    assert "not a Gatan file" in page.text
    assert "failed; uncalibrated" in page.text


def test_a_few_images_are_named_and_many_are_numbered():
    few = composition([{"Cu": 0.25}, {"Cu": 0.5}], {"Cu": "#111111"}, ["a <b>.dm4", "price $1$.dm4"])
    assert few.count("#111111") == 3  # two bars and the key
    assert "a &lt;b&gt;.dm4" in few and "price $1$.dm4" in few
    many = composition([{"Cu": 0.1}] * 1000, {"Cu": "#111111"}, ["x.dm4"] * 1000)
    assert many.count("#111111") == 250 + 1
    assert "x.dm4" not in many and ">300</text>" in many and ">900</text>" in many


def test_sizes_have_the_colours_of_their_components_and_whole_numbers_of_grains():
    found = session_statistics([image(0, cu=(3.0, 3.1, 4.0)), image(1, cu=(8.0,))])
    plot = sizes(found.components, {"Cu": "#123456"})
    assert plot.count("#123456") >= 4  # three bars that are not empty, and the key
    assert not re.findall(r">\d+\.\d+<[^>]*>[^<]*grains", plot)
    assert sizes([], {}) == ""


@pytest.mark.parametrize(("largest", "width"), [(1.0, 0.05), (11.0, 0.5), (23.0, 1.0), (400.0, 20.0)])
def test_bins_of_sizes_have_round_widths(largest, width):
    edges = size_bins([largest])
    assert edges[1] - edges[0] == pytest.approx(width) and edges[-2] <= largest < edges[-1] + 1e-9


def test_letters_that_the_font_lacks_are_no_trouble():
    assert "\u92fc" in composition([{"Cu": 0.25}], {"Cu": "#111111"}, ["\u92fc.dm4"])


def test_shares_and_their_uncertainty_are_on_the_page(page):
    assert "95 %" in page.text and "bootstrap" in page.text
    assert "From these 3 images" in page.text and "rough guess" in page.text


@pytest.mark.parametrize(
    ("path", "shown"),
    [("/home/ada/tem/a.dm4", "~/tem/a.dm4"), ("/Users/ada/a.dm4", "~/a.dm4"),
     (r"D:\Users\Ada B\a.dm4", r"~\a.dm4"), ("/data/home/a.dm4", "/data/home/a.dm4")],
)  # fmt: skip
def test_a_users_folder_is_not_shown(path, shown):
    assert shareable(path) == shown


def test_the_reports_own_users_folder_is_not_shown(monkeypatch):
    monkeypatch.setattr("pathlib.Path.home", lambda: Path("/srv/people/ada"))
    assert shareable("inputs /srv/people/ada/x, /srv/people/adam/y") == "inputs ~/x, /srv/people/adam/y"


def test_of_many_images_only_some_pictures_are_in_the_page(tmp_path, monkeypatch):
    monkeypatch.setattr("napari_tem_fft.batch.report.MOST_PICTURES", 2)
    monkeypatch.setattr("napari_tem_fft.batch.report.MOST_FLAGGED", 1)
    for number in range(6):
        (tmp_path / f"{number}.dm4").mkdir()
        (tmp_path / f"{number}.dm4" / "thumbnail.jpg").write_bytes(b"picture")
    records = [image(number, cu=(3.0,) if number < 3 else ()) for number in range(6)]
    header = {
        "files": 6, "analysed": 6, "failed": 0, "kept_from_before": 0, "seconds": 1.0, "state": "done",
        "problem": "", "inputs": ["/home/ada/x"], "settings": {"cif": None}, "software": {"numpy": "2"},
    }  # fmt: skip
    write_report(tmp_path, lambda: records, header, session_statistics(records))
    text = (tmp_path / "report.html").read_text()
    assert text.count("data:image/jpeg;base64,") == 2 + 1  # the first two, and one that has no crystal
    assert text.count(">picture</a>") == 3 and "/home/ada" not in text


@pytest.mark.skipif(BROWSER is None, reason="no Chromium to open the report in")
def test_a_browser_shows_and_sorts_the_table(finished, tmp_path):
    page = tmp_path / "page.html"
    click = "<script>document.querySelectorAll('#images th')[1].click()</script></body>"
    page.write_text((finished / "report.html").read_text().replace("</body>", click))
    command = [BROWSER, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom", f"file://{page}"]
    environment = {**os.environ, "HOME": str(tmp_path)}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True, env=environment)
    shown = done.stdout[done.stdout.index('id="images"') :]
    places = [shown.index(name) for name in ("a &lt;b&gt;.dm4", "c.dm4", "d.dm3", "plain.dm4", "text.dm4")]
    assert places == sorted(places)
