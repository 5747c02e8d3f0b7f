"""A short summary of the results for the main dock."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from ...core.image.calibration import Calibration
from ...core.maps.component_map import ComponentMap, colours_of, overlap_words
from ...core.pipeline import Analysis
from ...core.text import count_text, with_sigma
from ..session.image_state import ImageState
from .candidates import HYDROGEN, assumes_hydrogen
from .controls import unbroken_percent
from .match_rows import component_words, single_d_fits

#: Largest number of phases that are listed for a single d.
MOST_LISTED = 6
NOTHING_OPEN = (
    "Open a micrograph (File &gt; Open, or drop a .dm3 or .dm4 file), then press <b>Run</b>. To try it:"
    " File &gt; Open Sample &gt; TEM FFT."
)
NOT_ANALYSED = (
    "Press <b>Run</b> to analyse it, but state its elements first: they decide which phases can be named."
)
STATED = "Press <b>Run</b> to analyse it, if the elements and phases above are those of this image."
PATTERN = "It is a diffraction pattern in nm⁻¹: the command napari-tem-fft pattern measures it."
WITHOUT_SCALE = "Give it a pixel size above, then press <b>Run</b>."


def summary(
    image_state: ImageState | None, calibration: Calibration | None = None, stated: bool = False
) -> str:
    """Rich text: numbers of spots and grains, and the components with their areas.

    Parameters
    ----------
    image_state : ImageState, optional
    calibration : Calibration, optional
        Calibration of the chosen image if it has no results yet; None if no image is open.
    stated : bool
        Whether elements or phases are stated, possibly for another image.
    """
    if image_state is None and calibration is not None:
        run = STATED if stated else NOT_ANALYSED
        return {"real": run, "reciprocal": PATTERN}.get(calibration.space, WITHOUT_SCALE)
    if image_state is None:
        return NOTHING_OPEN
    spots = [spot for spot in image_state.spots if spot.enabled]
    if not spots:
        return "no lattice fringes found" if image_state.analysis is not None else ""
    lines = [f"{count_text(len(spots), 'spot')} in {count_text(len(image_state.grains), 'grain')}"]
    colours = colours_of(component.name for component in image_state.components)
    for component in image_state.components:
        lines.append(_line(image_state, component, colours[component.name]))
        lines += [f"<i>{escape(text)}</i>" for text in _assumptions(image_state, component)]
        if not component.phases:
            lines.append(f"<i>{escape(_reason(image_state, component))}</i>")
    lines += [f"<i>{escape(text)}</i>" for text in _image_words(image_state.analysis)]
    if image_state.analysis is not None and image_state.analysis.searched is not None:
        searched = image_state.analysis.searched.text.replace("search them with --library", "tick 'Library'")
        lines.append(f"<i>{escape(searched, quote=False)}</i>")
    if image_state.analysis is not None and image_state.analysis.specimen_by_user:
        lines.append("the specimen is as you drew it")
    return unbroken_percent("<br>".join(lines))


def _image_words(analysis: Analysis | None) -> list[str]:
    """Scale and stretch of the image from the named crystals, and a note on overlapping shares."""
    if analysis is None:
        return []
    texts = []
    if analysis.geometry is not None and (sentence := analysis.geometry.sentence()):
        stated = analysis.micrograph.calibration.uncertainty_percent
        texts.append(f"{sentence}; stated +/- {stated:.2g} %".replace("+/-", "±"))
    return [*texts, *overlap_words(analysis.components)]


def pixel_size_words(calibration: Calibration) -> str:
    """Describe the pixel size of an image.

    Examples
    --------
    >>> pixel_size_words(Calibration((0.025, 0.025), "real"))
    'pixel 0.0250 nm'
    """
    sy, sx = calibration.scale
    if calibration.unit == "pixel":
        return "not calibrated"
    unit = "nm⁻¹" if calibration.space == "reciprocal" else calibration.unit
    if abs(sy / sx - 1) < 1e-6:
        return f"pixel {_three(sx)} {unit}"
    return f"pixel {_three(sx)} (x), {_three(sy)} (y) {unit}"


def _three(size: float) -> str:
    """Format with three significant digits."""
    return f"{size:#.3g}"


def _reason(image_state: ImageState, unknown: ComponentMap) -> str:
    """Why the first grain of an unknown crystal was not identified, and what would help."""
    own = [m for m in image_state.matches if m.grain in unknown.grains and not m.outcome.names_phases]
    return own[0].reason if own else ""


def _assumptions(image_state: ImageState, component: ComponentMap) -> list[str]:
    """Assumptions of a name: elements that were not stated, and phases outside the candidates."""
    texts = []
    elements = str(image_state.request.get("elements") or "")
    own = [image_state.phases[name] for name in component.phases if name in image_state.phases]
    if assumes_hydrogen(elements, own):
        texts.append(f"{HYDROGEN}: {', '.join(p.id for p in own if {'H', 'D'} & p.elements)}")
    others = dict.fromkeys(
        candidate.phase
        for match in image_state.matches
        if match.grain in component.grains and match.phases and not match.decided_by_user
        for candidate in match.alternatives
        if candidate.phase not in component.phases
    )
    if others:
        texts.append(f"phases outside the candidates that fit equally well: {', '.join(others)}")
    return texts


def _line(image_state: ImageState, component: ComponentMap, colour: str) -> str:
    share = f"{with_sigma(component.area, component.area_sigma, 0)} nm², {component.fraction:.1%}"
    square = f'<span style="color:{colour}">■</span>'
    fits = single_d_fits(image_state, component)
    if fits is not None:
        return f"{square} <b>single d only</b>: fits {escape(_listed(fits))}; {share}"
    said = component.phases or component.bent
    words = f"{component_words(image_state, component)}, " if said else ""
    return f"{square} <b>{escape(component.name)}</b>: {words}{share}"


def _listed(phases: Sequence[str]) -> str:
    """List some phases, and the number of further ones.

    Examples
    --------
    >>> _listed(()), _listed(("Ag", "Ag2O"))
    ('none of the candidates', 'Ag, Ag2O')
    """
    more = f" and {len(phases) - MOST_LISTED} more" if len(phases) > MOST_LISTED else ""
    return ", ".join(phases[:MOST_LISTED]) + more if phases else "none of the candidates"
