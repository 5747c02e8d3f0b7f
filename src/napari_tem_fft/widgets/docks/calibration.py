"""The calibration dock: correct the image's scale on spots or rings of a known crystal."""

from __future__ import annotations

import re
from pathlib import Path

from napari.components import ViewerModel
from qtpy.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDoubleSpinBox,
    QFileDialog,
    QWidget,
)

from ...core.crystal.phase import format_hkl
from ...core.image.calibration import Calibration, Correction
from ...core.image.calibration_reference import (
    CalibrationFeature,
    calibration_features,
    correction_on,
    nearest_reflection,
)
from ...core.profile.radial_profile import listed_peaks
from ...core.text import factor, length, signed, spacing, symbol
from ...io.exchange.calibration_profile import (
    CalibrationProfile,
    apply_profile,
    load_profile,
    profile_of,
    profiles_folder,
    save_profile,
    setting_words,
)
from ...io.phases.table import load_table
from ..forms.controls import Columns, Scrolled, button, flowing, form_in, short, side_by_side, wrapped_label
from ..forms.tree import ResultTree, Row
from ..session.image_state import ImageState, Rescaled
from ..session.runner import tell
from ..session.settings import length_unit, units
from ..session.source import micrograph_from
from .dock import Dock

COLUMNS = ("feature", "d measured\n({})", "reflection", "d reference\n({})", "d corrected\n({})", "Δd (%)")
HELP = (
    "Spot or ring; click a row to remove it",
    "d by the present calibration",
    "Reflection that it is assigned to",
    "d of the reference",
    "d with the correction",
    "Corrected d relative to the reference d",
)
#: Pixels for the buttons of a number's field, and for the table to show all its columns.
BUTTONS, TABLE = 50, 420
#: Entry of the list of phases for a d that is typed in.
OTHER = "a known d"
PROFILES = "Calibration profiles (*.json)"


class CalibrationDock(Dock):
    """Assign spots or rings to known reflections, and correct the scale of the image.

    Parameters
    ----------
    napari_viewer : napari.Viewer
    """

    def __init__(self, napari_viewer: ViewerModel) -> None:
        super().__init__(napari_viewer)
        self._phases = {phase.id: phase for phase in load_table()}
        self._pairs: list[tuple[CalibrationFeature, float, str]] = []
        self._marks: tuple[CalibrationFeature, ...] = ()
        self._correction: Correction | None = None
        self._d_now = 0.2
        self._make_controls()
        self._lay_out()
        self._connect()
        self._on_phase(OTHER)
        self._on_found()

    def _make_controls(self) -> None:
        self.scale = wrapped_label()
        self.feature, self.phase, self.reflection = (short(QComboBox(), 5) for _ in range(3))
        self.feature.setToolTip("A spot or ring of the reference; selecting a spot in the FFT chooses it")
        self.phase.addItems([OTHER, *sorted(self._phases)])
        self.phase.setToolTip("The known crystal")
        self.reflection.setToolTip("The lattice planes that cause the spot")
        self.d = QDoubleSpinBox(decimals=5, minimum=0.03, maximum=50.0, singleStep=0.001)
        self.d.setValue(0.2 * factor(length_unit()))
        self.d.setToolTip("The reference lattice spacing")
        # the minimum width of napari's style takes precedence over a widget's, and would hide the unit
        width = self.d.fontMetrics().horizontalAdvance("00.00000 nm") + BUTTONS
        self.d.setStyleSheet(f"QDoubleSpinBox {{ min-width: {width}px }}")
        self.add = button("Add reference", "Correct the scale so that this spot has this d")
        self.per_axis = QCheckBox("Calibrate x and y separately")
        self.per_axis.setToolTip("A factor for each axis, from at least two spots in different directions")
        self.tree = ResultTree(COLUMNS, HELP)
        self.tree.setRootIsDecorated(False)
        self._show_unit()
        self.correct = button("Apply", "Apply the corrected scale to the image and analyse it again")
        self.save = button(
            "Save calibration profile...",
            "Save the correction as a profile; in the proposed folder it is offered for matching images",
        )
        self.undo = button("Undo calibration", "Restore the previous scale and its analysis")
        self.load = button("Load calibration profile...", "Correct the scale by a saved profile")

    def _lay_out(self) -> None:
        layout = self.column()
        left = QWidget()
        form = form_in(left)
        form.addRow("scale", self.scale)
        form.addRow("feature", self.feature)
        form.addRow("reference", side_by_side(self.phase, self.reflection, self.d))
        form.addRow(side_by_side(self.add, self.per_axis))
        layout.addWidget(Columns(Scrolled(left), self.tree, (3, 2), TABLE), stretch=1)
        layout.addWidget(flowing(self.correct, self.undo, self.save, self.load))

    def _connect(self) -> None:
        self.phase.currentTextChanged.connect(self._on_phase)
        self.feature.currentIndexChanged.connect(self._on_mark)
        self.add.clicked.connect(self._on_add)
        self.per_axis.toggled.connect(self._work_out)
        self.tree.chosen.connect(self._on_row)
        self.correct.clicked.connect(self._on_correct)
        self.save.clicked.connect(self._on_save)
        self.load.clicked.connect(self._on_load)
        self.undo.clicked.connect(self.session.undo_calibration)
        self.session.scale_changed.connect(self._on_found)
        units.changed.connect(self._on_unit_changed)
        self.d.valueChanged.connect(self._on_d_edited)
        self.follow(self._on_found)
        self.session.chosen_changed.connect(self._on_chosen)

    def _on_found(self) -> None:
        """List the features of the finished analysis; pairs of a previous one are removed."""
        image_state = self.session.current
        features = measured_marks(image_state) if image_state is not None else ()
        scale = image_state.micrograph.calibration.sentence() if image_state else "no image analysed yet"
        standards = standard_words(image_state) if image_state is not None else []
        last = image_state.rescaled[-1:] if image_state is not None else []
        self.undo.setEnabled(bool(last))
        self.scale.setText("\n".join([scale.replace("+/-", "±"), *map(rescaled_words, last), *standards]))
        if features != self._marks:
            self._marks, self._pairs = features, []
            self.feature.clear()
            self.feature.addItems([mark_words(feature) for feature in features])
            self._on_phase(self.phase.currentText())
        self._work_out()

    def _show_unit(self) -> None:
        sign = symbol(length_unit())
        self.tree.setHeaderLabels([column.format(sign) for column in COLUMNS])
        self.d.setSuffix(f" {sign}")

    def _on_d_edited(self, value: float) -> None:
        self._d_now = value / factor(length_unit())

    def _on_unit_changed(self) -> None:
        """Show all lengths in the chosen unit; the typed d is converted."""
        d, chosen = self._d_now, self.reflection.currentIndex()
        self._show_unit()
        for number, feature in enumerate(self._marks):
            self.feature.setItemText(number, mark_words(feature))
        self._list_reflections()
        self.reflection.setCurrentIndex(chosen)
        self.d.setValue(d * factor(length_unit()))
        self._work_out()

    def _on_chosen(self) -> None:
        chosen = self.session.chosen
        labels = [feature.label for feature in self._marks]
        if chosen is not None and len(chosen.spots) == 1 and str(chosen.spots[0]) in labels:
            self.feature.setCurrentIndex(labels.index(str(chosen.spots[0])))

    def _on_phase(self, name: str) -> None:
        phase = self._phases.get(name)
        self.reflection.setVisible(phase is not None)
        self.d.setVisible(phase is None)
        self._list_reflections()
        self._on_mark()

    def _list_reflections(self) -> None:
        phase = self._phases.get(self.phase.currentText())
        self.reflection.clear()
        if phase is not None:
            unit = length_unit()
            lines = [
                f"({format_hkl(r.hkl, phase)})  {spacing(r.d, unit=unit, digits=5)}"
                for r in phase.reflections
            ]
            self.reflection.addItems(lines)

    def _on_mark(self, index: int = 0) -> None:
        """Propose the reflection with the nearest d."""
        feature, phase = self._mark(), self._phases.get(self.phase.currentText())
        if feature is None:
            return
        if phase is None:
            self.d.setValue(feature.d * factor(length_unit()))
            return
        hkl, _ = nearest_reflection(phase, feature.d)
        names = [" ".join(map(str, r.hkl)) for r in phase.reflections]
        self.reflection.setCurrentIndex(names.index(hkl))

    def _mark(self) -> CalibrationFeature | None:
        index = self.feature.currentIndex()
        return self._marks[index] if 0 <= index < len(self._marks) else None

    def _known(self) -> tuple[float, str]:
        """The reference d, and its description."""
        phase = self._phases.get(self.phase.currentText())
        if phase is None:
            d = self.d.value() / factor(length_unit())
            return d, f"d = {self.d.value():g} {symbol(length_unit())}"
        reflection = phase.reflections[self.reflection.currentIndex()]
        return reflection.d, f"{phase.id} {format_hkl(reflection.hkl, phase)}"

    def _on_add(self) -> None:
        feature = self._mark()
        if feature is not None:
            others = [pair for pair in self._pairs if pair[0].label != feature.label]
            self._pairs = [*others, (feature, *self._known())]
            self._work_out()

    def _on_row(self, label: str) -> None:
        self._pairs = [pair for pair in self._pairs if pair[0].label != label]
        self._work_out()

    def _work_out(self) -> None:
        """Compute the correction from the pairs, and show its effect on them."""
        self._correction, problem = None, ""
        if self._pairs:
            features, known, names = zip(*self._pairs, strict=True)
            try:
                standard = ", ".join(dict.fromkeys(names))
                self._correction = correction_on(features, known, standard, self.per_axis.isChecked())
            except ValueError as error:
                problem = str(error)
        self.tree.fill([pair_row(*pair, self._correction) for pair in self._pairs])
        self.correct.setToolTip(problem or "Apply the corrected scale to the image and analyse it again")
        self.correct.setText(correction_words(self._correction, problem))
        for each in (self.correct, self.save):
            each.setEnabled(self._correction is not None)
        self.load.setEnabled(self.session.current is not None)

    def _on_correct(self) -> None:
        image_state, correction = self.session.current, self._correction
        if image_state is not None and correction is not None:
            self._set(image_state, image_state.micrograph.calibration.corrected(correction))

    def _set(self, image_state: ImageState, calibration: Calibration) -> None:
        self._pairs = []
        self.session.calibrate(image_state, calibration)

    def _on_save(self) -> None:
        image_state, correction = self.session.current, self._correction
        if image_state is None or correction is None:
            return
        profile, folder = profile_of(image_state.micrograph, correction), profiles_folder()
        name = re.sub(r"[^\w.-]+", "_", setting_words(profile)).strip("_")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path: str = QFileDialog.getSaveFileName(
                self, "Save a calibration profile", str(folder / f"{name}.json"), PROFILES
            )[0]
            if path:
                save_profile(Path(path).with_suffix(".json"), profile)
        except OSError as error:
            tell(error)

    def _on_load(self) -> None:
        image_state = self.session.current
        known = str(profiles_folder()) if profiles_folder().is_dir() else ""
        path: str = QFileDialog.getOpenFileName(self, "Load a calibration profile", known, PROFILES)[0]
        if not path or image_state is None:
            return
        try:
            profile: CalibrationProfile = load_profile(path)
            corrected = apply_profile(profile, micrograph_from(image_state.layer, self.session.viewer))
        except (OSError, ValueError) as error:
            tell(error)
        else:
            self._set(image_state, corrected.calibration)


def measured_marks(image_state: ImageState) -> tuple[CalibrationFeature, ...]:
    """Return the spots and rings of an analysis that can be used to correct the scale."""
    return calibration_features(image_state.spots, listed_peaks(image_state.profiles))


def mark_words(feature: CalibrationFeature) -> str:
    """Describe a feature for the list."""
    direction = "" if feature.azimuth is None else f" at {feature.azimuth:.1f}°"
    return f"{_mark_name(feature)} {spacing(feature.d, feature.d_sigma, length_unit())}{direction}"


def _mark_name(feature: CalibrationFeature) -> str:
    return "ring" if feature.azimuth is None else f"spot {feature.label}"


def rescaled_words(step: Rescaled) -> str:
    """Describe what the last correction of the scale has changed."""
    (by, bx), (ay, ax) = step.before.scale, step.after.scale
    changes = [signed(100 * (after / before - 1)) for before, after in ((bx, ax), (by, ay))]
    same = abs(bx / by - 1) < 1e-6 and abs(ax / ay - 1) < 1e-6
    size = f"{bx:.5g} → {ax:.5g}" if same else f"x {bx:.5g} → {ax:.5g}, y {by:.5g} → {ay:.5g}"
    change = f"{changes[0]} %" if changes[0] == changes[1] else f"x {changes[0]} %, y {changes[1]} %"
    return f"changed: {size} {step.after.unit} per pixel ({change}), {step.after.source}"


def standard_words(image_state: ImageState) -> list[str]:
    """Describe the scale by the grains that the user has made internal standards."""
    analysis, lines = image_state.analysis, []
    for one in analysis.decisions if analysis is not None else ():
        scales = [
            candidate.scale
            for match in image_state.matches
            if match.grain == one.grain
            for candidate in match.candidates
            if candidate.phase == one.phase
        ]
        if one.kind == "lock" and scales:
            change = signed(100 * (scales[0] - 1))
            lines.append(f"internal standard: {one.phase} in grain {one.grain}, scale {change} %")
    return lines


def correction_words(correction: Correction | None, problem: str) -> str:
    """Text of the button, with the factors."""
    if correction is None:
        return "These spots do not determine the scale" if problem else "Apply"
    fy, fx = correction.factors
    factor = f"{fx:.5f}" if fy == fx else f"x {fx:.5f}, y {fy:.5f}"
    return f"Apply {factor} ± {100 * correction.uncertainty:.2g} %"


def pair_row(feature: CalibrationFeature, known: float, name: str, correction: Correction | None) -> Row:
    """Return the row of a feature and its reference."""
    unit = length_unit()
    cells = [_mark_name(feature), length(feature.d, unit, 5), name, length(known, unit, 5)]
    if correction is None:
        return Row(feature.label, (*cells, "", ""))
    after = feature.correct_scale(correction).d
    return Row(feature.label, (*cells, length(after, unit, 5), signed(100 * (after / known - 1))))
