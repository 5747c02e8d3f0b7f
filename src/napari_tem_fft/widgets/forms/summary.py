"""A few lines on what was found, for the main dock."""

from __future__ import annotations

from html import escape

from ...core.maps.colours import colours_of
from ...core.maps.component_map import ComponentMap
from ..session.image_state import ImageState

HINT = (
    "Open a micrograph (File &gt; Open, or drop a .dm3 or .dm4 file), then press <b>Run</b>. To try it:"
    " File &gt; Open Sample &gt; TEM FFT."
)


def summary(image_state: ImageState | None) -> str:
    """Rich text: numbers of spots and grains, and the components with their areas."""
    if image_state is None:
        return HINT
    spots = [spot for spot in image_state.spots if spot.enabled]
    if not spots:
        return "no lattice fringes found" if image_state.analysis is not None else ""
    lines = [f"{count_text(len(spots), 'spot')} in {count_text(len(image_state.grains), 'grain')}"]
    colours = colours_of(component.name for component in image_state.components)
    for component in image_state.components:
        lines.append(_line(component, colours[component.name]))
        if not component.phases:
            lines.append(f"<i>{escape(_reason(image_state, component))}</i>")
    if image_state.analysis is not None and image_state.analysis.specimen_by_user:
        lines.append("the specimen is as you drew it")
    return "<br>".join(lines)


def count_text(number: int, noun: str) -> str:
    """Number and noun: "1 grain", "2 grains"."""
    return f"{number} {noun}{'' if number == 1 else 's'}"


def _reason(image_state: ImageState, unknown: ComponentMap) -> str:
    """Why the first grain of an unknown crystal has no name, and what would help."""
    own = [m for m in image_state.matches if m.grain in unknown.grains and not m.outcome.names_phases]
    return own[0].reason if own else ""


def _line(component: ComponentMap, colour: str) -> str:
    words = f"{component.outcome_words}, " if component.phases else ""
    share = f"{component.area:.0f} ± {component.area_sigma:.0f} nm², {component.fraction:.1%}"
    return f'<span style="color:{colour}">■</span> <b>{escape(component.name)}</b>: {words}{share}'
