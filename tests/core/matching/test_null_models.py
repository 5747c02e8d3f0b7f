"""The common kinds of lattices that stand for phases that are not in the table."""

import numpy as np
import pytest

from napari_tem_fft.core.matching.null_models import common_phases


@pytest.mark.parametrize(
    ("kind", "a", "lines"),
    [
        ("face-centred", 0.42, {(1, 1, 1): 3, (2, 0, 0): 4, (2, 2, 0): 8, (3, 1, 1): 11}),
        ("body-centred", 0.34, {(1, 1, 0): 2, (2, 0, 0): 4, (2, 1, 1): 6, (2, 2, 0): 8}),
        ("primitive", 0.40, {(1, 0, 0): 1, (1, 1, 0): 2, (1, 1, 1): 3, (2, 0, 0): 4}),
        ("diamond", 0.55, {(1, 1, 1): 3, (2, 2, 0): 8, (3, 1, 1): 11, (4, 0, 0): 16}),
    ],
)
def test_cubic_kinds_show_the_lines_of_their_centring(kind, a, lines):
    phases = [phase for phase in common_phases() if phase.id == kind]
    for phase, size in zip(phases, (0.74, 1.35), strict=True):
        first = phase.reflections[:4]
        assert [r.hkl for r in first] == list(lines)
        assert [r.d for r in first] == pytest.approx([size * a / np.sqrt(n) for n in lines.values()])


def test_close_packed_layers_show_100_002_101_and_102():
    (phase, _) = (phase for phase in common_phases() if phase.id == "close-packed")
    a, c = 0.74 * 0.29, 0.74 * 0.29 * 1.62
    first = {tuple(sorted(map(abs, r.hkl))): (r.d, r.multiplicity) for r in phase.reflections[:4]}
    assert first[0, 0, 2] == (pytest.approx(c / 2), 2)
    assert max(d for d, _ in first.values()) == pytest.approx(a * np.sqrt(0.75))
    assert sorted(count for _, count in first.values()) == [2, 6, 12, 12]
