"""The peaks by which an image is described: one list for plots, figures, rings and calibration."""

from __future__ import annotations

from collections.abc import Sequence

from .radial_profile import Curve, ProfilePeak, RadialProfile

#: Curves from which the peaks are taken, the best first: what lies in the mask has the least noise below it.
CURVES: tuple[Curve, ...] = ("masked", "local maximum", "whole image")


def listed_peaks(profiles: Sequence[RadialProfile]) -> tuple[ProfilePeak, ...]:
    """Peaks of the masked profile; of the local maximum where nothing is masked, else of the whole image.

    A plane has a peak in each of the curves, and they differ by their backgrounds and widths: shown side by
    side, d would seem to have two values.

    Examples
    --------
    >>> import numpy as np
    >>> one, other = (ProfilePeak(4.8 + n / 100, 0.01, 0.1, 5.0, 20.0, "") for n in range(2))
    >>> g = np.linspace(1, 9, 3)
    >>> whole = RadialProfile("whole image", g, g, g, (one,))
    >>> listed_peaks([whole, RadialProfile("masked", g, g, g, (other,))])[0].g
    4.81
    """
    peaks = {profile.curve: profile.peaks for profile in profiles}
    return next((peaks[curve] for curve in CURVES if peaks.get(curve)), ())
