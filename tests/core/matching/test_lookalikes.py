from napari_tem_fft.core.matching import Candidate, IndexedSpot
from napari_tem_fft.core.matching.lookalikes import what_would_settle
from napari_tem_fft.io.phases.table import load_table

PHASES = {phase.id: phase for phase in load_table()}


def candidate(phase, scale, hkl=(1, 1, 1)):
    return Candidate(phase, 0.5, scale, None, (IndexedSpot(1, hkl, 0.2, 0.0),), 1.0)


def test_what_settles_a_set_is_elements_a_third_of_the_gap_of_scales_or_more_reflections():
    apart = what_would_settle([candidate("LiF", 1.0), candidate("LiH", 1.015)], PHASES)
    assert apart == "an element analysis (F, H) or a calibration better than 0.5 % (an internal standard)"
    same = what_would_settle([candidate("SiO2_quartz", 1.0), candidate("SiO2_quartz", 1.003)], PHASES)
    assert same == "another zone axis or more reflections"
    seen = what_would_settle([candidate("LiF", 1.0), candidate("LiH", 1.001, (2, 0, 0))], PHASES)
    assert seen == "an element analysis (F, H) or another zone axis or more reflections"
