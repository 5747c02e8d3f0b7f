"""Network: the chosen model, in a process that runs while a dock is open."""

from __future__ import annotations

from weakref import ref

from napari.utils.notifications import show_warning
from qtpy.QtCore import QObject, Signal

from ..core.pipeline import AnalysisParams
from ..nn.model import model_folder, names_model
from ..nn.process import NetworkProcess, Tell
from ..nn.propose import Segmenter

#: What is said of the process's states.
WORDS = {"starting": "is being loaded", "ready": "is ready", "busy": "is at work", "ended": "is not loaded"}


class Network(QObject):
    """Keeps the process of the chosen model: starts it early, and again if it dies, and ends it.

    Signals
    -------
    changed()
        Another model was chosen, or its process has got ready or has ended.
    listed()
        There are more models than before.
    """

    changed = Signal()
    listed = Signal()
    _told = Signal(str, str)

    def __init__(self) -> None:
        super().__init__()
        self._process: NetworkProcess | None = None
        self._name = ""
        self._holders: set[int] = set()
        self._was_ready = False
        self._told.connect(self._on_told)

    @property
    def name(self) -> str:
        """Name of the chosen model or path of its folder; empty for none."""
        return self._name if self._process is not None else ""

    @property
    def words(self) -> str:
        """What the process is at, to be shown; empty without a network."""
        if self._process is None:
            return ""
        return WORDS.get(self._process.state, "cannot be loaded")

    def hold(self, holder: int) -> None:
        """Let the process run until the same holder calls `release`."""
        self._holders.add(holder)
        if self._process is not None:
            self._process.start()
            self.changed.emit()

    def release(self, holder: int) -> None:
        """End the process and give its memory back, if nobody else holds it."""
        self._holders.discard(holder)
        if not self._holders and self._process is not None:
            self._process.close()
            self.changed.emit()

    def choose(self, name: str) -> None:
        """Choose a model, or none; its process is started if somebody holds it.

        Raises
        ------
        ModelError
            If there is no such model.
        """
        if name == self._name:
            return
        process = NetworkProcess(model_folder(name), self._teller()) if names_model(name) else None
        if self._process is not None:
            self._process.close()
        self._process, self._name, self._was_ready = process, name, False
        if process is not None and self._holders:
            process.start()
        self.changed.emit()

    def segmenter(self, params: AnalysisParams) -> Segmenter | None:
        """What proposes spots in a run with these parameters; None for the statistics alone.

        Raises
        ------
        ModelError
            If there is no such model.
        """
        self.choose(params.network)
        if self._process is None:
            return None
        self._process.start()
        self.changed.emit()
        return self._process.segmenter(params.spots.false_alarms)

    def cancel(self) -> None:
        """Call off what the process was asked."""
        if self._process is not None:
            self._process.cancel()

    def _teller(self) -> Tell:
        """A function for other threads that does not keep this object alive."""
        who = ref(self)

        def tell(event: str, text: str) -> None:
            network = who()
            try:
                if network is not None:
                    network._told.emit(event, text)
            except RuntimeError:  # Qt has deleted it meanwhile
                pass

        return tell

    def _on_told(self, event: str, text: str) -> None:
        """One that dies after it was ready is started again: what died at once would die for ever."""
        if event == "ready":
            self._was_ready = True
        elif event == "ended" and self._was_ready and self._process is not None:
            self._was_ready = False
            self._process.start()
            show_warning(f"{text}; it is started again")
        self.changed.emit()
