import os
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import pytest

from napari_tem_fft.batch.plots import composition, histogram, key_style
from napari_tem_fft.core.maps.colours import PALETTE, SHADES

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page(HTMLParser):
    """Tags, texts and pictures of a page; checks that every tag is closed."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.rows, self.pictures, self.links, self.text = 0, 0, [], ""
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.rows += tag == "tr" and "images" in self.open
        self.pictures += tag == "img" and values["src"].startswith("data:image/jpeg;base64,")
        self.links += [values["href"]] if tag == "a" else []
        assert "src" not in values or values["src"].startswith("data:")
        if tag not in ("meta", "img"):
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
    assert plot.count("<pattern") == 1 and f'fill="{PALETTE[0]}"' in plot
    assert plot.count(f"url(#hatch{SHADES[0][1:]})") == 1
    assert key_style(PALETTE[0]) == f"background:{PALETTE[0]}" and "gradient" in key_style(SHADES[0])


def test_names_of_files_are_escaped(finished, page):
    assert "a <b>.dm4" in page.text
    assert "<b>.dm4" not in (finished / "report.html").read_text()
    assert "a%20%3Cb%3E.dm4/" in page.links


def test_failures_and_doubts_are_told(page):
    assert "3 analysed, 2 failed, 0 not begun" in page.text
    assert "not a Gatan file" in page.text
    assert "failed; uncalibrated" in page.text


def test_plots_show_shares_and_sizes():
    svg = composition([{"Cu": 0.25}, {"Cu": 0.5, "LiF": 0.5}], {"Cu": "#111111", "LiF": "#222222"})
    assert svg.count("#111111") == 2 and svg.count("#222222") == 1
    assert composition([{"Cu": 0.1}] * 1000, {"Cu": "#111111"}).count("<rect") == 250
    assert histogram([], "nm") == "" and histogram([1.0, 5.0], "nm").count("<rect") == 2


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
