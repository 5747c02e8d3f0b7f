"""Python interface: everything that the docks do, in a few lines of code.

>>> from napari_tem_fft import analyse, read_sample, select
>>> result = analyse(read_sample("edge"), select(elements="Li, F, O, C"))
>>> [(part.name, str(part.outcome), round(part.area)) for part in result.components]
[('LiF / LiH', 'ambiguous', 42)]
"""

from ..io.exchange.export import export
from ..io.exchange.hyperspy_signals import from_signal, to_signals
from ..io.exchange.orientation_maps import to_crystal_map
from .analysis import (
    analyse,
    analyse_series,
    load,
    open_library,
    reference_table,
    save,
    save_results,
    segment_of,
    select,
)
from .edits import (
    decide,
    fft_of,
    fringes_of,
    mask_of,
    with_deformation,
    with_edited_spots,
    with_mask,
    with_specimen,
    with_spot,
    without_spots,
)
from .images import (
    calibrate_on_grain,
    cut,
    measure_calibration_features,
    measure_pattern,
    read,
    read_pattern,
    read_sample,
    read_stack,
)

__all__ = [
    "analyse",
    "analyse_series",
    "calibrate_on_grain",
    "cut",
    "decide",
    "export",
    "fft_of",
    "fringes_of",
    "from_signal",
    "load",
    "mask_of",
    "measure_calibration_features",
    "measure_pattern",
    "open_library",
    "read",
    "read_pattern",
    "read_sample",
    "read_stack",
    "reference_table",
    "save",
    "save_results",
    "segment_of",
    "select",
    "to_crystal_map",
    "to_signals",
    "with_deformation",
    "with_edited_spots",
    "with_mask",
    "with_specimen",
    "with_spot",
    "without_spots",
]
