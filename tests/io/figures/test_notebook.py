"""An analysis shows itself in notebooks: a picture and tables, escaped, without other files."""

import base64
import io
from dataclasses import replace

from PIL import Image

from napari_tem_fft.io.figures.notebook import MOST_SPOTS
from small_analysis import small_analysis


def test_the_picture_is_one_and_the_tables_hold_components_grains_and_spots() -> None:
    html = small_analysis()._repr_html_()
    picture = html.partition("base64,")[2].partition('"')[0]
    assert Image.open(io.BytesIO(base64.b64decode(picture))).size == (990, 605)
    assert len(html) < 250_000
    for text in (
        "LiF / mine",
        "ambiguous",
        "3.8 ± 0.3",
        "unknown crystal",
        "[0 1 1]",
        "a warning of the analysis",
    ):
        assert text in html, text
    assert html.count("<table>") == 3 and html.count("<table>") == html.count("</table>")
    assert "0.2000" not in html  # the third spot is switched off


def test_names_are_escaped_and_long_tables_cut() -> None:
    analysis = small_analysis()
    many = tuple(replace(analysis.spots[0], id=number) for number in range(MOST_SPOTS + 5))
    odd = replace(analysis.micrograph, name="<script>")
    html = replace(
        analysis, spots=many, micrograph=odd, grains=(), matches=(), components=(), grain_regions=()
    )
    shown = html._repr_html_()
    assert "<script>" not in shown and "and 5 more" in shown and "No crystal was found." in shown
