"""The training dock: save corrected masks as training pairs, and fine-tune a network on them."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from time import monotonic

from napari.components import ViewerModel
from napari.utils.notifications import show_info
from qtpy.QtWidgets import (
    QComboBox,
    QFileDialog,
    QFormLayout,
    QHBoxLayout,
    QLabel,
    QLineEdit,
    QProgressBar,
    QTreeWidget,
    QTreeWidgetItem,
)

from ...core.pipeline import Analysis
from ...core.progress import Step
from ...core.reanalysis import is_edited
from ...nn.inference.model import known_models, load_config, model_folder, own_folder
from ...nn.inference.prepare import InputParams
from ...nn.training.corrections import PairError, pair_summary, save_pair
from ..forms.controls import button, fill_row, wrapped_label
from ..session.child_processes import FineTuning
from ..session.runner import Runner, tell
from .dock import Dock

COLUMNS = ("micrograph", "spots", "saved")


class TrainDock(Dock):
    """Saves the current mask as a training pair, lists the pairs, and fine-tunes a model on them.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self.saver = Runner()
        self.training = FineTuning(self)
        self._stage: tuple[str, int, float] | None = None
        self._scores: list[dict[str, float]] = []
        self._make_controls()
        self._lay_out()
        self._connect()
        self._fill_models()
        self._list_pairs()
        self._on_found()
        self._on_ended("")

    def _make_controls(self) -> None:
        self.folder = QLineEdit(str(own_folder().with_name("corrections")))
        self.folder.setToolTip("Folder of the training pairs")
        self.browse = button("Folder...", "Choose the folder of the training pairs")
        self.save = button(
            "Save corrected mask as a training pair",
            "Save the input of the network for this image, with the present spots of the mask",
        )
        self.pairs = QTreeWidget()
        self.pairs.setHeaderLabels(COLUMNS)
        self.pairs.setRootIsDecorated(False)
        self.base = QComboBox(toolTip="The model from which the training starts")
        self.name = QLineEdit("corrected", toolTip="Name under which the new model can be chosen")
        self.start = button("Fine-tune", "Train the model on all pairs of the folder and on simulated images")
        self.cancel = button("Cancel", "Cancel the training; no model is saved")
        self.progress = QProgressBar()
        self.state = wrapped_label()
        self.estimate = wrapped_label()
        self.scores = wrapped_label()
        self.scores.setToolTip(
            "Spots of your pairs that the network alone finds, before statistical confirmation. It was"
            " trained on these pairs; napari-tem-fft evaluate measures how good it is on others"
        )

    def _lay_out(self) -> None:
        layout = self.column()
        layout.addLayout(fill_row(QHBoxLayout(), QLabel("pairs in"), self.folder, self.browse))
        layout.addWidget(self.save)
        layout.addWidget(self.pairs, stretch=1)
        form = QFormLayout()
        form.addRow("start from", self.base)
        form.addRow("new model", self.name)
        layout.addLayout(form)
        layout.addLayout(fill_row(QHBoxLayout(), self.start, self.cancel))
        layout.addWidget(self.estimate)
        layout.addWidget(self.progress)
        layout.addWidget(self.state)
        layout.addWidget(self.scores)

    def _connect(self) -> None:
        self.browse.clicked.connect(self._on_browse)
        self.folder.editingFinished.connect(self._list_pairs)
        self.save.clicked.connect(self._on_save)
        self.base.currentIndexChanged.connect(self._show_estimate)
        self.start.clicked.connect(self._on_start)
        self.cancel.clicked.connect(self.training.cancel)
        self.saver.returned.connect(self._on_saved)
        self.saver.failed.connect(tell)
        self.saver.stopped.connect(self._on_found)
        self.training.progressed.connect(self._on_progressed)
        self.training.ended.connect(self._on_ended)
        self.training.scored.connect(self._on_scored)
        self.follow(self._on_found, running=True)
        for signal in (self.session.network.listed, self.session.network.changed):
            signal.connect(self._fill_models)

    def _fill_models(self) -> None:
        before = self.base.currentData()
        chosen = self.session.network.name
        names = list(dict.fromkeys((*known_models(), *((chosen,) if chosen else ()))))
        self.base.clear()
        for name in names:
            self.base.addItem(Path(name).name, name)
        self.base.setCurrentIndex(names.index(before) if before in names else len(names) - 1)
        self.start.setEnabled(bool(names) and not self.training.running)
        self._show_estimate()

    def _list_pairs(self) -> None:
        self.pairs.clear()
        for path in sorted(Path(self.folder.text()).glob("*.npz")):
            try:
                name, spots, saved = pair_summary(path)
            except PairError as error:
                name, spots, saved = f"{path.name}: no training pair", 0, ""
                item = QTreeWidgetItem([name, "", saved])
                item.setToolTip(0, str(error))
            else:
                item = QTreeWidgetItem([name, str(spots), saved[:16].replace("T", " ")])
                item.setToolTip(0, str(path))
            self.pairs.addTopLevelItem(item)
        self._show_estimate()

    def _on_browse(self) -> None:
        folder = QFileDialog.getExistingDirectory(self, "Folder of training pairs", self.folder.text())
        if folder:
            self.folder.setText(folder)
            self._list_pairs()

    def _on_found(self) -> None:
        image_state = self.session.current
        ready = image_state is not None and image_state.analysis is not None
        self.save.setEnabled(ready and not self.session.running and not self.saver.running)

    def _on_save(self) -> None:
        image_state = self.session.current
        if image_state is None or image_state.analysis is None:
            return
        base = self.base.currentData()
        if not is_edited(image_state.analysis):
            tell(ValueError("this mask was not edited: correct it first, or there is nothing to learn"))
            return
        try:
            params = load_config(model_folder(base)).inputs if base else InputParams()
        except ValueError as error:
            tell(error)
            return
        self.saver.start(_saving(Path(self.folder.text()), image_state.analysis, params))
        self.save.setEnabled(False)

    def _on_saved(self, path: Path) -> None:
        show_info(f"saved as a training pair: {path}")
        self._list_pairs()

    def _on_start(self) -> None:
        name = self.name.text().strip()
        try:
            if not name or name != Path(name).name or name.startswith("."):
                raise ValueError("give the new model a name that is valid for a folder")
            if name in known_models():
                raise ValueError(f"a model {name} exists already: give the new one another name")
            if not any(Path(self.folder.text()).glob("*.npz")):
                raise ValueError("there is no training pair in this folder: correct a mask and save it first")
            self.training.start(self.base.currentData(), Path(self.folder.text()), own_folder() / name)
        except ValueError as error:
            tell(error)
            return
        self.scores.clear()
        self._stage, self._scores = None, []
        self.state.setText("loading the network")
        self.progress.setRange(0, 0)
        self.start.setEnabled(False)
        self.cancel.setEnabled(True)

    def _on_progressed(self, what: str, step: int, steps: int) -> None:
        self.progress.setRange(0, steps)
        self.progress.setValue(step)
        self.state.setText(f"{what}: {step} of {steps}{self._left(what, step, steps)}")

    def _whole(self) -> str:
        """Duration of a training on this computer, from previous ones."""
        base = self.base.currentData()
        try:
            seconds = self.training.expected_seconds(base) if base else 0.0
        except ValueError:  # the model does not exist any longer
            seconds = 0.0
        return time_words(seconds) if seconds else ""

    def _show_estimate(self) -> None:
        """Show how long a training will take."""
        whole = self._whole() if self.pairs.topLevelItemCount() else ""
        self.estimate.setText(f"Fine-tuning takes {whole} on this computer" if whole else "")
        self.estimate.setVisible(bool(whole))

    def _on_scored(self, scores: dict[str, float]) -> None:
        """Show the scores of the network before and now."""
        self._scores = [*self._scores[:1], scores]
        self.scores.setText(score_words(self._scores))

    def _left(self, what: str, step: int, steps: int) -> str:
        """Remaining time of the present stage, extrapolated from the time so far."""
        stage, now = what.split(",")[0], monotonic()
        if self._stage is None or self._stage[0] != stage or step < self._stage[1]:
            self._stage = stage, step, now
        _, first, began = self._stage
        return (
            "" if step <= first else f"; {time_words((now - began) * (steps - step) / (step - first))} left"
        )

    def _on_ended(self, trouble: str) -> None:
        self.progress.setRange(0, 1)
        self.progress.setValue(0)
        self.cancel.setEnabled(False)
        self.start.setEnabled(self.base.count() > 0)
        self.state.setText(trouble)
        if trouble.startswith("the training"):
            tell(ValueError(trouble))
        elif not trouble and self.training.output.name:
            self.state.setText(f"{self.training.output.name} is ready, and can be chosen in the TEM FFT dock")
            self.session.network.listed.emit()


def score_words(scores: Sequence[Mapping[str, float]]) -> str:
    """Describe recall and precision on the spots of the pairs, before and now.

    Examples
    --------
    >>> before = {"f1": 0.5, "precision": 0.4, "recall": 0.7}
    >>> print(score_words([before, {"f1": 0.9, "precision": 0.9, "recall": 0.9}]))
    On your pairs: F1 0.50 before, 0.90 now
    right answers 40 %, now 90 %; spots found 70 %, now 90 %
    """
    first, last = scores[0], scores[-1]
    if len(scores) == 1:
        return f"On your pairs: F1 {first['f1']:.2f} before"
    shares = [
        f"{what} {100 * first[key]:.0f} %, now {100 * last[key]:.0f} %"
        for what, key in (("right answers", "precision"), ("spots found", "recall"))
    ]
    return f"On your pairs: F1 {first['f1']:.2f} before, {last['f1']:.2f} now\n{'; '.join(shares)}"


def time_words(seconds: float) -> str:
    """Describe a duration approximately.

    Examples
    --------
    >>> time_words(31), time_words(140), time_words(7300)
    ('about 30 s', 'about 2 min', 'about 2 h')
    """
    if seconds < 90:
        return f"about {max(10 * round(seconds / 10), 1)} s"
    return f"about {round(seconds / 60)} min" if seconds < 5400 else f"about {round(seconds / 3600)} h"


def _saving(folder: Path, analysis: Analysis, params: InputParams) -> Generator[Step, None, Path]:
    """Save a pair as a job of one step."""
    path = save_pair(folder, analysis, analysis.spots, params)
    yield Step("training pair", 1, 1, path)
    return path
