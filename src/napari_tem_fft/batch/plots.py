"""Plots of a run as SVG, written by hand: small, sharp, and readable without any library."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from ..core.maps.colours import SHADES

#: Size of a plot, in its own units.
WIDTH, HEIGHT, LEFT, BOTTOM = 1000, 220, 50, 24
#: Most bars: of more images, neighbours share one.
MOST_BARS = 250
BINS = 30


def composition(shares: Sequence[Mapping[str, float]], colours: Mapping[str, str]) -> str:
    """Stacked bars: the share of every component in every image, or in groups of neighbouring images."""
    groups = np.array_split(np.arange(len(shares)), min(len(shares), MOST_BARS))
    width = (WIDTH - LEFT) / max(len(groups), 1)
    bars = []
    for number, members in enumerate(groups):
        top = 0.0
        for name, colour in colours.items():
            share = float(np.mean([shares[i].get(name, 0.0) for i in members]))
            if share > 0:
                top += share
                bars.append(
                    _bar(LEFT + number * width, 1 - min(top, 1.0), max(width - 1, 0.8), share, colour)
                )
    ticks = [(f"{share:.0%}", 1 - share) for share in (0.0, 0.5, 1.0)]
    hatches = "".join(_hatch(colour) for colour in dict.fromkeys(colours.values()) if colour in SHADES)
    return _svg(f"<defs>{hatches}</defs>{''.join(bars)}", ticks, ("1", "image", str(len(shares))))


def key_style(colour: str) -> str:
    """CSS of a colour's field in a key, hatched as its bars are."""
    if colour not in SHADES:
        return f"background:{colour}"
    return f"background:repeating-linear-gradient(45deg,{colour} 0 3px,#fff 3px 4px)"


def _hatch(colour: str) -> str:
    """A pattern of the colour with thin white lines."""
    return (
        f'<pattern id="hatch{colour[1:]}" width="5" height="5" patternUnits="userSpaceOnUse"'
        f' patternTransform="rotate(45)"><rect width="5" height="5" fill="{colour}"/>'
        '<path d="M0 0V5" stroke="#fff" stroke-width="1.5"/></pattern>'
    )


def histogram(values: Sequence[float], unit: str) -> str:
    """Bars of how many values there are in equal ranges."""
    if not values:
        return ""
    counts, edges = np.histogram(values, BINS, range=(0, max(values) * 1.001))
    width, most = (WIDTH - LEFT) / BINS, max(int(counts.max()), 1)
    bars = "".join(
        _bar(LEFT + i * width, 1 - count / most, width - 1, count / most, "#0072B2")
        for i, count in enumerate(counts)
        if count
    )
    ticks = [("0", 1.0), (str(most), 0.0)]
    return _svg(bars, ticks, ("0", f"{edges[-1] / 2:.1f} {unit}", f"{edges[-1]:.1f} {unit}"))


def _bar(x: float, top: float, width: float, height: float, colour: str) -> str:
    fill = f"url(#hatch{colour[1:]})" if colour in SHADES else colour
    y, tall = top * (HEIGHT - BOTTOM), height * (HEIGHT - BOTTOM)
    return f'<rect x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" height="{tall:.2f}" fill="{fill}"/>'


def _svg(inside: str, ticks: Sequence[tuple[str, float]], below: tuple[str, str, str]) -> str:
    """Bars with marks at the left, a line under them, and three texts below it."""
    labels = "".join(
        f'<text x="{LEFT - 6}" y="{10 + share * (HEIGHT - BOTTOM - 6):.0f}" text-anchor="end">{text}</text>'
        for text, share in ticks
    )
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" font-size="12" role="img">{inside}{labels}'
        f'<path d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH}" stroke="#888"/>'
        f'<text x="{LEFT}" y="{HEIGHT - 6}">{below[0]}</text>'
        f'<text x="{(WIDTH + LEFT) / 2}" y="{HEIGHT - 6}" text-anchor="middle">{below[1]}</text>'
        f'<text x="{WIDTH}" y="{HEIGHT - 6}" text-anchor="end">{below[2]}</text></svg>\n'
    )
