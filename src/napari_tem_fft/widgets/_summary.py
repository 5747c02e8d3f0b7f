"""A few lines on what was found, for the main dock."""

from __future__ import annotations

from html import escape

from ..core.colours import colours_of
from ..core.maps import ComponentMap
from ._findings import Findings

HINT = (
    "Open a micrograph (File &gt; Open, or drop a .dm3 or .dm4 file), then press <b>Run</b>. To try it:"
    " File &gt; Open Sample &gt; TEM FFT."
)


def summary(findings: Findings | None) -> str:
    """Rich text: numbers of spots and grains, and the components with their areas."""
    if findings is None:
        return HINT
    spots = [spot for spot in findings.spots if spot.enabled]
    if not spots:
        return "no lattice fringes found" if findings.analysis is not None else ""
    lines = [f"{len(spots)} spots in {len(findings.grains)} grains"]
    colours = colours_of(component.name for component in findings.components)
    lines += [_line(component, colours[component.name]) for component in findings.components]
    return "<br>".join(lines)


def _line(component: ComponentMap, colour: str) -> str:
    words = f"{component.outcome}, " if component.phases else ""
    share = f"{component.area:.0f} ± {component.area_sigma:.0f} nm², {component.fraction:.1%} of the specimen"
    return f'<span style="color:{colour}">■</span> <b>{escape(component.name)}</b>: {words}{share}'
