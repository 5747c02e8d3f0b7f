"""Representation of an analysis in a notebook: overview, components, grains and strongest spots as HTML."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from html import escape

from ...core.pipeline import Analysis
from ...core.text import with_sigma
from ..results.grain_tables import grain_rows
from ..results.tables import spot_rows
from .overview import overview

#: Dots per inch and JPEG quality of the overview: about 100 kB, because notebooks store their output.
DPI, QUALITY = 55, 60
#: Largest number of rows of grains and of spots; the others are only counted.
MOST_GRAINS, MOST_SPOTS = 12, 10


def analysis_html(analysis: Analysis) -> str:
    """Overview, tables and warnings of an analysis as self-contained HTML.

    Returns
    -------
    str
    """
    return "".join(
        [
            "<div>",
            f'<img alt="overview of {escape(analysis.micrograph.name)}" style="max-width:100%"'
            f' src="data:image/jpeg;base64,{_overview(analysis)}">',
            _components(analysis),
            _grains(analysis),
            _spots(analysis),
            *(f"<p>{escape(warning)}</p>" for warning in analysis.warnings),
            "</div>",
        ]
    )


def _overview(analysis: Analysis) -> str:
    picture = io.BytesIO()
    overview(analysis).savefig(picture, format="jpg", dpi=DPI, pil_kwargs={"quality": QUALITY})
    return base64.b64encode(picture.getvalue()).decode()


def _components(analysis: Analysis) -> str:
    rows = [
        (
            part.name,
            part.outcome_words if part.bent is not None else str(part.outcome),
            f"{part.score:.2f}" if part.phases else "",
            with_sigma(part.area, part.area_sigma),
            f"{part.fraction:.1%}",
            str(len(part.grains)),
        )
        for part in analysis.components
    ]
    header = ("component", "outcome", "probability", "area (nm²)", "of the specimen", "grains")
    return _table("Components", header, rows) if rows else "<p>No crystal was found.</p>"


def _grains(analysis: Analysis) -> str:
    rows = [
        (
            str(row["grain"]),
            row["component"],
            row["outcome"],
            f"{row['diameter_nm']:.1f}",
            f"[{row['zone_axis']}]" if row["zone_axis"] else "",
        )
        for row in grain_rows(analysis)
    ]
    return _table(
        "Grains", ("grain", "component", "outcome", "diameter (nm)", "zone axis"), rows, MOST_GRAINS
    )


def _spots(analysis: Analysis) -> str:
    strongest = sorted((row for row in spot_rows(analysis) if row["enabled"]), key=lambda row: -row["snr"])
    rows = [
        (
            f"{row['d_nm']:.4f} ± {row['d_sigma_nm']:.4f}",
            f"{row['azimuth_deg']:.1f}",
            f"{row['snr']:.0f}",
            str(row["grain"]),
            str(row.get("phase", "")),
            str(row.get("hkl", "")),
        )
        for row in strongest
    ]
    header = ("d (nm)", "azimuth (°)", "SNR", "grain", "phase", "hkl")
    return _table("Strongest spots", header, rows, MOST_SPOTS)


def _table(title: str, header: Sequence[str], rows: Sequence[Sequence[str]], most: int | None = None) -> str:
    if not rows:
        return ""
    more = len(rows) - len(rows[:most])
    lines = "".join(f"<tr>{_cells('td', row)}</tr>" for row in rows[:most])
    rest = f"<p>and {more} more</p>" if more else ""
    return f"<p><b>{title}</b></p><table><tr>{_cells('th', header)}</tr>{lines}</table>{rest}"


def _cells(tag: str, texts: Iterable[str]) -> str:
    return "".join(f'<{tag} style="text-align:left">{escape(text)}</{tag}>' for text in texts)
