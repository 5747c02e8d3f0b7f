"""Network: the model that proposes spots in a window's analyses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from threading import Lock

from qtpy.QtCore import QObject, Signal

from ...core.fourier.diffractogram import Diffractogram
from ...core.fourier.local_spectra import LocalSpectra
from ...core.pipeline import AnalysisParams, Segment
from ...core.spots.seeds import Seed
from ...nn.inference.model import load_config, load_segmenter, model_folder, names_model
from ...nn.inference.propose import Segmenter


class Network(QObject):
    """The chosen model, loaded by the first run that uses it and kept for the next ones.

    Signals
    -------
    listed()
        There are more models than before.
    changed()
        Another model, or none, was chosen.
    """

    listed = Signal()
    changed = Signal()

    def __init__(self) -> None:
        super().__init__()
        self._model: _Model | None = None

    @property
    def name(self) -> str:
        """Name of the chosen model or path of its folder; empty for none."""
        return "" if self._model is None else self._model.name

    def choose(self, name: str) -> None:
        """Choose a model, or none.

        Raises
        ------
        ModelError
            If there is no such model.
        """
        wanted = name if names_model(name) else ""
        if wanted == self.name:
            return
        if wanted:
            load_config(model_folder(wanted))
        self._model = _Model(wanted) if wanted else None
        self.changed.emit()

    def segmenter(self, params: AnalysisParams) -> Segment | None:
        """What proposes spots in a run with these parameters; None for the statistics alone.

        The weights are read when it is first called, which a worker does.

        Raises
        ------
        ModelError
            If there is no such model.
        """
        self.choose(params.network)
        model, false_alarms = self._model, params.spots.false_alarms
        if model is None:
            return None
        return lambda diffractogram, spectra: model.propose(diffractogram, spectra, false_alarms)


class _Model:
    """A model whose weights are read once, at its first use."""

    def __init__(self, name: str) -> None:
        self.name = name
        self._loading = Lock()
        self._segmenter: Segmenter | None = None

    def propose(
        self, diffractogram: Diffractogram, spectra: LocalSpectra, false_alarms: float
    ) -> Sequence[Seed]:
        with self._loading:
            if self._segmenter is None:
                self._segmenter = load_segmenter(self.name)
        return replace(self._segmenter, false_alarms=false_alarms)(diffractogram, spectra)
