"""Hints: what a crystal would be if the scale were further off, or the image more stretched, than believed.

A name that needs this is no name. It is said with what it needs, for that is often what is wrong.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from ..crystal.phase import Phase
from ..image.calibration import STANDARD_UNCERTAINTY
from ..image.correction import Correction
from .geometry import GRAIN_SCALE, ScalePrior, stretch_direction
from .params import MatchParams
from .result import Candidate, GrainMatch

#: A name's scale is within this many standard deviations of what is stated, its own uncertainty included.
SCALE_SIGMAS = 3.0
#: More stretch than this has to be shown by the image itself, unless a person has stated how much there is.
USUAL_STRETCH = 0.015
#: It is shown by one grain with this many spots in this many directions, or by two grains that agree.
SHOWING_SPOTS, SHOWING_DIRECTIONS = 4, 3
#: Largest misfit of a likely phase, and of one that shows a stretch.
LARGEST_MISFIT = 2.2
#: A hint explains this share of the spots, and at most this many are given.
HINT_SHARE, MOST_HINTS = 0.75, 3


@dataclass(frozen=True, slots=True)
class Context:
    """What the verdict on a grain depends on besides its own spots.

    Attributes
    ----------
    scale : ScalePrior
        What is known of the image's scale without its grains (or from an internal standard).
    params : MatchParams
    phases : mapping of str to Phase
    companions : frozenset of str
        Phases that are identified in other grains of the image.
    stated : bool
        A person has said what the sample can hold, by phases or elements.
    shared : bool
        Two grains or more agree on the image's stretch.
    library : bool
        A library of phases was searched.
    """

    scale: ScalePrior
    params: MatchParams
    phases: Mapping[str, Phase]
    companions: frozenset[str] = field(default_factory=frozenset)
    stated: bool = False
    shared: bool = False
    library: bool = False

    @property
    def usual_stretch(self) -> float:
        """The stretch of an image that needs no proof."""
        stated = self.params.stretch
        return USUAL_STRETCH if stated is None else max(USUAL_STRETCH, 2 * stated / 100)


def needs_scale(candidate: Candidate, context: Context) -> bool:
    """Whether a phase needs the scale further off than is believed."""
    error = float(np.sqrt(candidate.scale_sigma**2 + GRAIN_SCALE**2 + context.scale.error**2))
    return bool(abs(np.log(candidate.scale) - context.scale.middle) > SCALE_SIGMAS * error)


def needs_stretch(candidate: Candidate, context: Context) -> bool:
    """Whether a phase needs more stretch than the image's own evidence supports."""
    if candidate.stretch <= context.usual_stretch:
        return False
    shown = context.shared or shows_stretch(candidate)
    return not (context.stated and shown and candidate.misfit <= LARGEST_MISFIT)


def shows_stretch(candidate: Candidate) -> bool:
    """Whether a grain alone shows how the image is stretched: enough spots in enough directions."""
    spots = [spot.hkl for spot in candidate.indexed]
    directions = {_direction(hkl) for hkl in spots}
    return len(spots) >= SHOWING_SPOTS and len(directions) >= SHOWING_DIRECTIONS


def _direction(hkl: tuple[int, int, int]) -> tuple[int, ...]:
    divided = tuple(i // max(int(np.gcd.reduce(hkl)), 1) for i in hkl)
    return max(divided, tuple(-i for i in divided))


def hint_words(candidate: Candidate, context: Context) -> str:
    """What a phase needs: "MgO at a scale 9.7 % shorter"."""
    needs = []
    if needs_scale(candidate, context):
        off = 100 * (candidate.scale - 1)
        needs.append(f"at a scale {abs(off):.1f} % {'longer' if off > 0 else 'shorter'}")
    if needs_stretch(candidate, context):
        along = stretch_direction(*candidate.distortion)
        needs.append(
            f"if stretched by {100 * candidate.stretch:.1f} % along {along:.0f} degrees: scan distortion?"
        )
    return " ".join([candidate.phase, *(needs or [f"with {100 * (candidate.scale - 1):+.1f} % calibration"])])


def is_hint(candidate: Candidate, context: Context) -> bool:
    """Whether a phase would be the answer but for what it needs."""
    enough = candidate.explained >= HINT_SHARE and candidate.misfit <= LARGEST_MISFIT
    return enough and (needs_scale(candidate, context) or needs_stretch(candidate, context))


def with_hints(match: GrainMatch, further: Sequence[Candidate], context: Context) -> GrainMatch:
    """An unknown crystal with its nearest hints, and with what would settle it.

    Parameters
    ----------
    match : GrainMatch
    further : sequence of Candidate
        What it would be at any scale, best first.
    context : Context
    """
    every = sorted(
        (c for c in (*match.candidates, *further) if is_hint(c, context)),
        key=lambda c: needs_scale(c, context) + needs_stretch(c, context),
    )
    nearest = tuple({c.phase: c for c in reversed(every)}.values())[::-1][:MOST_HINTS]
    said = f"; would be {', or '.join(hint_words(c, context) for c in nearest)}" if nearest else ""
    return replace(match, hints=nearest, reason=f"{match.reason}{said}; {_would_settle(nearest, context)}")


def correction_of_hint(candidate: Candidate, grain: int) -> Correction:
    """What the calibration has to be multiplied with if a grain is what a hint says.

    A stretch that is no more than usual is left alone.

    Parameters
    ----------
    candidate : Candidate
        A hint, or a member of an ambiguous set.
    grain : int
        The grain's id, for the user.

    Raises
    ------
    CalibrationError
        If the scale would change by a factor of 3 or more.

    Examples
    --------
    >>> gold = Candidate("Au", 0.4, 1.05, (0, 1, 1), (), 1.0, scale_sigma=0.001)
    >>> correction_of_hint(gold, 3).factors, correction_of_hint(gold, 3).standard
    ((1.05, 1.05), 'Au in grain 3 along [0 1 1], 0 spots')
    """
    e, f = candidate.distortion if candidate.stretch > USUAL_STRETCH else (0.0, 0.0)
    axis = " along [{} {} {}]".format(*candidate.zone_axis) if candidate.zone_axis else ""
    return Correction(
        (candidate.scale / (1 + e), candidate.scale / (1 - e)),
        max(STANDARD_UNCERTAINTY, candidate.scale_sigma),
        f"{candidate.phase} in grain {grain}{axis}, {len(candidate.indexed)} spots",
        f if candidate.stretch > USUAL_STRETCH else None,
    )


def _would_settle(hints: Sequence[Candidate], context: Context) -> str:
    means = []
    if any(needs_scale(c, context) for c in hints):
        means.append("a known crystal in the image (an internal standard)")
    if any(needs_stretch(c, context) for c in hints):
        means.append("the image's stretch, by calibrate on a known crystal")
    if not context.stated:
        means.append("the elements that the sample can hold")
    if not means:
        means.append("a CIF file of the phase that you expect, or more reflections")
    return f"{' or '.join(means)} would settle it"
