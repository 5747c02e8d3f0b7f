"""The parts of `api` about other programs: orix, HyperSpy, and files for these and others."""

from ..io.exchange.crystal_map import to_crystal_map as to_crystal_map
from ..io.exchange.export import export as export
from ..io.exchange.hyperspy_signals import from_signal as from_signal
from ..io.exchange.hyperspy_signals import to_signals as to_signals
