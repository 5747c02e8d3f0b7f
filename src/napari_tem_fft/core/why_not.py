"""Why a grain is not named as some phase: how well it would fit, what it would need, and what contradicts it.

The phase need not be a candidate of the analysis. It is fitted to the grain's spots as in the matching,
once with the known uncertainty of the image's scale, and once at any scale.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from .crystal.orientation import simulated_pattern
from .crystal.phase import Phase, format_hkl, format_zone
from .matching import Candidate, EvidenceCache, GrainMatch, Outcome
from .matching.assignment import known_scale, recorded_band, without_shear
from .matching.candidates import candidate
from .matching.geometry import Distortions, ScalePrior, expected_distortions
from .matching.match import HINT_SCALE
from .matching.observations import Observed, observe
from .matching.pair_index import build_index
from .matching.search import search
from .matching.verdict import LARGEST_MISFIT, LIKELY_SPOTS, Context, hint_words, needs_scale, needs_stretch
from .pipeline import Analysis
from .spots.spot import Spot
from .text import signed

#: Largest number of grains that are tried if none is given, those with most spots first.
MOST_GRAINS = 12
#: A reflection with at least this fraction of the largest |F| of its zone should be visible with the others.
OUGHT_TO_BE_SEEN = 0.5
#: At most this many of the spots and reflections that contradict a phase are listed.
MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class WhyNot:
    """What a grain's spots say about a phase.

    Attributes
    ----------
    grain : int
    phase : str
    fit : Candidate, optional
        Its best fit: within the uncertainty of the scale if any spot fits there, otherwise at any scale.
    probability : float
        Probability that it would have if it were one of the grain's candidates.
    named : bool
        Whether the grain is named as this phase, or as a set that contains it.
    reasons : tuple of str
        Evidence against it, the strongest first; may be empty.
    """

    grain: int
    phase: str
    fit: Candidate | None
    probability: float
    named: bool
    reasons: tuple[str, ...]

    @property
    def words(self) -> str:
        """The whole explanation, for the user."""
        head = f"{self.phase} in grain {self.grain}"
        if self.named:
            return "; ".join([f"{head}: it is named", *self.reasons])
        return f"{head}: {'; '.join(self.reasons) or 'there is no evidence against it'}"


def why_not(
    analysis: Analysis, phase: Phase, grain: int | None = None, cache: EvidenceCache | None = None
) -> WhyNot:
    """Explain why a grain is not named as a phase.

    Parameters
    ----------
    analysis : Analysis
    phase : Phase
        Any phase, a candidate or not.
    grain : int, optional
        Id of the grain; by default the grain that the phase fits best.
    cache : EvidenceCache, optional
        Evidence that was already computed for these grains.

    Raises
    ------
    ValueError
        If there is no such grain, or no grain at all.
    """
    firsts = {match.grain: match for match in reversed(analysis.matches)}
    if grain is not None and grain not in firsts:
        raise ValueError(f"there is no grain {grain}")
    if not firsts:
        raise ValueError("no crystal was found in this image, so there is nothing that could be this phase")
    clearest = sorted(firsts, key=lambda number: (-len(firsts[number].spots), number))[:MOST_GRAINS]
    asked = clearest if grain is None else [grain]
    found = [_ask(analysis, phase, _match_of(analysis, number, phase.id), cache) for number in asked]
    return max(found, key=lambda one: (one.named, one.probability, one.fit.explained if one.fit else 0.0))


def _match_of(analysis: Analysis, grain: int, phase: str) -> GrainMatch:
    """The match of a grain (of several overlapping lattices) that names the phase, or the first one."""
    own = [match for match in analysis.matches if match.grain == grain]
    return next((match for match in own if phase in match.phases), own[0])


def _ask(analysis: Analysis, phase: Phase, match: GrainMatch, cache: EvidenceCache | None) -> WhyNot:
    shear = analysis.micrograph.calibration.shear or 0.0
    straight = without_shear(analysis.spots, shear)
    grain = next(each for each in analysis.grains if each.id == match.grain)
    ids = match.spots or grain.spots  # matches of version 0.1 do not say which spots are theirs
    spots = [spot for spot in straight if spot.id in ids and spot.enabled]
    if phase.id in match.phases:
        said = next((c for c in match.candidates if c.phase == phase.id), None)
        return WhyNot(match.grain, phase.id, said, said.posterior if said else 0.0, True, (match.reason,))
    choice = _choice_reasons(analysis, phase, match)
    own = replace(grain, spots=ids)
    observed = observe([own], spots, analysis.params.matching, _band(analysis))
    observed = replace(observed, brightness=analysis.candidates_stated)
    if phase.d_only or not observed.two_directions()[0]:
        return WhyNot(match.grain, phase.id, None, 0.0, False, (*choice, *_by_d(analysis, phase, spots)))
    rivals = [c.phase for c in match.candidates if c.phase != phase.id]
    known = {each.id: each for each in analysis.known_phases}
    phases = (phase, *(known[name] for name in rivals if name in known and not known[name].d_only))
    weighed = cache or EvidenceCache()
    scale, params = _scale_without(analysis, match.grain), analysis.params.matching
    distortions = expected_distortions(
        params.stretch,
        analysis.micrograph.metadata,
        analysis.micrograph.calibration.shear is not None,
    )
    found = search(observed, build_index(phases), (len(phases),) * 2, scale, distortions, params, weighed)
    probability = float(found.phase[0, 0])
    best = found.best(0, 0)
    near = candidate(found, best, probability, phase) if best is not None else None
    far = _at_any_scale(analysis, phase, observed, scale, distortions, weighed)
    fit = max(filter(None, (near, far)), key=lambda c: (round(c.explained, 3), c is near), default=None)
    context = Context(scale, params, {each.id: each for each in phases}, stated=analysis.candidates_stated)
    reported = next((c.posterior for c in match.candidates if c.phase == phase.id), probability)
    against = _against(analysis, phase, fit, spots, context, _standards(analysis, match.grain))
    is_candidate = any(phase.id == each.id for each in analysis.phases)
    # probabilities of the candidates, including the phase
    weighed_so = {c.phase: c.posterior for c in match.candidates}
    if phase.id not in weighed_so:
        weighed_so = {each.id: float(share) for each, share in zip(phases, found.phase[0], strict=False)}
    compared = _comparison(match, phase.id, weighed_so, reported, is_candidate)
    return WhyNot(match.grain, phase.id, fit, reported, False, (*choice, *against, *compared))


def _band(analysis: Analysis) -> tuple[float, float]:
    return recorded_band(analysis.profiles[0])


def _scale_without(analysis: Analysis, grain: int) -> ScalePrior:
    """The knowledge of the image's scale without a given grain."""
    others = [match for match in analysis.matches if match.grain != grain]
    return known_scale(others, analysis.micrograph.calibration.uncertainty)


def _standards(analysis: Analysis, grain: int) -> str:
    """The identified phases of other grains, which determine the image's scale."""
    sure = [m for m in analysis.matches if m.grain != grain and m.outcome is Outcome.IDENTIFIED]
    return " and ".join(dict.fromkeys(name for match in sure for name in match.phases))


def _at_any_scale(
    analysis: Analysis,
    phase: Phase,
    observed: Observed,
    scale: ScalePrior,
    distortions: Distortions,
    cache: EvidenceCache,
) -> Candidate | None:
    """The best fit within the largest possible error of the scale, in an image with little distortion."""
    far = ScalePrior(scale.middle, max(HINT_SCALE, 2 * scale.error))
    narrow = ((1.0, min(distortion for _, distortion in distortions)),)
    params = analysis.params.matching
    found = search(observed, build_index([phase]), (1, 1), far, narrow, params, cache)
    best = found.best(0, 0)
    return candidate(found, best, float(found.phase[0, 0]), phase) if best is not None else None


def _choice_reasons(analysis: Analysis, phase: Phase, match: GrainMatch) -> list[str]:
    """Overrides by the user that keep the phase from being named."""
    reasons = []
    if any(d.grain == match.grain and d.phase == phase.id and d.kind == "reject" for d in analysis.decisions):
        reasons.append("you have excluded it here")
    elif match.decided_by_user and match.phases:
        reasons.append(f"you have said that the grain is {' / '.join(match.phases)}")
    if all(phase.id != each.id for each in analysis.phases):
        reasons.append("it was not among the candidates")
    return reasons


def _by_d(analysis: Analysis, phase: Phase, spots: Sequence[Spot]) -> list[str]:
    """Evidence from single d without angles."""
    if not spots:
        return ["the grain has no spot left"]
    spot = max(spots, key=lambda each: each.snr)
    nearest = min(phase.reflections, key=lambda r: abs(np.log(spot.d / r.d)), default=None)
    if nearest is None:
        return ["it has no reflection in the table's range"]
    off = spot.d / nearest.d - 1
    error = np.hypot(analysis.micrograph.calibration.uncertainty, analysis.params.matching.d_error / 100)
    name = f"({format_hkl(nearest.hkl, phase)}) at {nearest.d:.4f} nm"
    place = (
        f"the strongest spot has d = {spot.d:.4f} nm, {signed(100 * off, 1)} % from its nearest line {name}"
    )
    why = "only its d are known, no angles" if phase.d_only else "the spots lie in one direction"
    if abs(off) <= 2 * error:
        return [f"{place}: it fits, but {why}, and one d names nothing"]
    return [f"{place}, and the uncertainty allows at most {200 * error:.1f} %"]


def _against(
    analysis: Analysis,
    phase: Phase,
    fit: Candidate | None,
    spots: Sequence[Spot],
    context: Context,
    standards: str,
) -> list[str]:
    """Evidence of the spots against the phase."""
    if fit is None or not fit.indexed:
        return ["no two spots have d and angle of two of its reflections along a low zone axis"]
    zone = f" along {format_zone(fit.zone_axis, phase)}" if fit.zone_axis else ""
    seen = f"{len(fit.indexed)} of {len(spots)} spots fit in d and angle{zone}"
    if needs_scale(fit, context) or needs_stretch(fit, context):
        needs = hint_words(fit, context).removeprefix(f"{fit.phase} ")
        known = f"the scale is known to {100 * context.scale.error:.2g} %"
        if standards:
            stated = 100 * analysis.micrograph.calibration.uncertainty
            known += f" if the rest is {standards}, else to {stated:.2g} %"
        reasons = [f"{seen}, but only {needs}; {known}"]
    else:
        reasons = [f"{seen}, with {signed(100 * (fit.scale - 1))} % calibration"]
    if len(fit.indexed) < LIKELY_SPOTS:
        reasons.append(f"a name requires at least {LIKELY_SPOTS} spots")
    if left := _unexplained(fit, spots):
        reasons.append(f"no reflection for {left}")
    if fit.misfit > LARGEST_MISFIT:
        reasons.append(f"d and angles are off by more than their errors (misfit {fit.misfit:.1f})")
    missing = _missing(analysis, phase, fit, spots)
    if missing:
        reasons.append(f"strong reflections that are missing: {missing}")
    return reasons


def _unexplained(fit: Candidate, spots: Sequence[Spot]) -> str:
    """The strongest spots for which the phase has no reflection."""
    explained = {indexed.spot for indexed in fit.indexed}
    left = sorted((spot for spot in spots if spot.id not in explained), key=lambda spot: -spot.snr)
    named = ", ".join(f"spot {spot.id} ({spot.d:.4f} nm)" for spot in left[:MOST_NAMED])
    return f"{named} and {len(left) - MOST_NAMED} more" if len(left) > MOST_NAMED else named


def _missing(analysis: Analysis, phase: Phase, fit: Candidate, spots: Sequence[Spot]) -> str:
    """Strong reflections of the zone that the image could show, but that have no spot."""
    if fit.orientation is None:
        return ""
    low, high = _band(analysis)
    by_id = {spot.id: spot for spot in spots}
    farthest = max(by_id[indexed.spot].length for indexed in fit.indexed)
    pattern = simulated_pattern(phase, fit.orientation, fit.scale, min(high, 1.1 * farthest))
    pattern = tuple(one for one in pattern if np.hypot(*one.g) >= low and one.relative_f > 0)
    if not pattern:
        return ""
    strongest, places = max(one.relative_f for one in pattern), [np.array(spot.g) for spot in spots]
    missing: dict[float, str] = {}
    for one in pattern:
        g = np.array(one.g)
        apart = min((float(min(np.hypot(*(g - p)), np.hypot(*(g + p)))) for p in places), default=np.inf)
        if one.relative_f >= OUGHT_TO_BE_SEEN * strongest and apart > 0.05 * float(np.hypot(*g)):
            d = fit.scale / float(np.hypot(*g))
            name = (
                f"({format_hkl(max(one.hkl, (-one.hkl[0], -one.hkl[1], -one.hkl[2])), phase)}) at {d:.4f} nm"
            )
            missing.setdefault(round(d, 5), name)
    return ", ".join(missing[d] for d in sorted(missing, reverse=True)[:MOST_NAMED])


def _comparison(
    match: GrainMatch, phase: str, weighed: Mapping[str, float], probability: float, is_candidate: bool
) -> list[str]:
    """The phase's probability compared with the named, or the most probable, phase."""
    rivals = [name for name in weighed if name != phase]
    first = max(rivals, key=lambda name: weighed[name], default=None)
    says = "its probability is" if is_candidate else "as a candidate its probability would be"
    words = f"{says} {_percent(probability)}"
    if first is not None and match.outcome is not Outcome.UNKNOWN:
        return [f"{words}, compared with {_percent(weighed[first])} for {first}"]
    return [f"{words}, compared with {_percent(match.unlisted)} for an unlisted lattice"]


def _percent(share: float) -> str:
    """A fraction in per cent; a positive one is never shown as zero.

    Examples
    --------
    >>> _percent(0.034), _percent(0.00001), _percent(1.0)
    ('3.4 %', 'less than 0.1 %', '100 %')
    """
    return "less than 0.1 %" if share < 0.001 else f"{100 * share:.3g} %" if share < 0.995 else "100 %"
