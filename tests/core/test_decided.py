"""A person's word on a grain names everything again, and changes nothing else."""

import pytest

from napari_tem_fft.core.decided import reanalyse_after_override
from napari_tem_fft.core.matching import PhaseOverride
from napari_tem_fft.core.progress import exhaust
from small_analysis import small_analysis


def test_all_is_named_again_by_the_decision_and_told_in_two_steps():
    before, steps = small_analysis(), []
    after = exhaust(reanalyse_after_override(before, [PhaseOverride(1, "LiF", "override")]), steps.append)
    assert [(step.name, step.done, step.total) for step in steps] == [("phases", 1, 2), ("maps", 2, 2)]
    assert steps[0].product is after.matches and steps[1].product is after.components
    assert after.matches[0].phases == ("LiF",) and after.matches[0].decided_by_user
    assert after.decisions[0].centre == pytest.approx(before.grains[0].centre)
    assert (after.components[0].name, after.components[0].by_user) == ("LiF", True)
    assert after.spots is before.spots and after.grain_regions is before.grain_regions
