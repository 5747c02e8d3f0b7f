"""What the plot of radial profiles shows: curves, peaks and the lines of phases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ...core.lengths import LengthUnit
from ...core.profile.radial_profile import ProfilePeak, RadialProfile, listed_peaks

#: Peaks that are labelled at most.
MOST_LABELS = 30


@dataclass(frozen=True, slots=True)
class PhaseLines:
    """Ticks below the profile: where a phase has its reflections.

    Attributes
    ----------
    name, colour : str
    g : tuple of float, 1/nm
    names : tuple of str
        (hkl) of each, written beside the ticks where there is room; none where it is empty.
    strength : tuple of float
        The strongest are named first.
    """

    name: str
    colour: str
    g: tuple[float, ...]
    names: tuple[str, ...] = ()
    strength: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class ProfileView:
    """What the plot shows.

    Attributes
    ----------
    profiles : sequence of RadialProfile
    curves : frozenset of str
        Those that are drawn.
    above_background : bool
        Each curve less its background, so that lattice planes stand out; else as measured, with the
        backgrounds. Either way over its largest value, for the curves differ in size by far.
    logarithmic : bool
    phases : tuple of PhaseLines
    chosen : tuple of float, 1/nm
        Frequencies that were picked, each marked by a line.
    names : tuple of str
        (hkl) of the peaks, in the order of `peaks`, empty where there is none; shown where there is room.
    unit : {"nm", "angstrom"}
        Of the numbers.
    """

    profiles: Sequence[RadialProfile] = ()
    curves: frozenset[str] = frozenset(("whole image", "masked", "local maximum"))
    above_background: bool = True
    logarithmic: bool = False
    phases: tuple[PhaseLines, ...] = ()
    chosen: tuple[float, ...] = ()
    names: tuple[str, ...] = ()
    unit: LengthUnit = "nm"

    def same_as(self, other: ProfileView) -> bool:
        """Whether another view shows the same."""
        names = ("curves", "above_background", "logarithmic", "phases", "chosen", "names", "unit")
        return (
            all(getattr(self, name) == getattr(other, name) for name in names)
            and len(self.profiles) == len(other.profiles)
            and all(map(_same_profile, self.profiles, other.profiles))
        )

    def drawn(self) -> list[RadialProfile]:
        """Curves that are asked for and there."""
        return [p for p in self.profiles if p.curve in self.curves and np.isfinite(p.intensity).any()]

    def reach(self) -> tuple[float, float]:
        """Range of g in 1/nm in which any of the curves has a value."""
        finite = [p.g[np.isfinite(p.intensity)] for p in self.drawn()]
        return (float(min(g[0] for g in finite)), float(max(g[-1] for g in finite))) if finite else (0.0, 1.0)

    def peaks(self) -> list[ProfilePeak]:
        """The most significant peaks of the curves that are drawn, by rising g."""
        best = sorted(listed_peaks(self.drawn()), key=lambda peak: -peak.significance)[:MOST_LABELS]
        return sorted(best, key=lambda peak: peak.g)

    def values(self, profile: RadialProfile) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The curve and its background as they are drawn."""
        base = profile.background if self.above_background else np.zeros_like(profile.background)
        values = profile.intensity - base
        top = max(float(np.nanmax(values)), 1e-12)
        return values / top, (profile.background - base) / top


def _same_profile(one: RadialProfile, other: RadialProfile) -> bool:
    same = one.curve == other.curve and one.peaks == other.peaks
    return one is other or (
        same
        and np.array_equal(one.intensity, other.intensity, equal_nan=True)
        and np.array_equal(one.background, other.background, equal_nan=True)
    )
