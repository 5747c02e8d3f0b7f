import pytest
from qtpy.QtCore import QMimeData, QPointF, Qt, QUrl
from qtpy.QtGui import QDropEvent

from napari_tem_fft.core.crystal.phase_selection import usual_phases
from napari_tem_fft.io.phases.table import load_table
from napari_tem_fft.widgets.forms import candidates as _candidates
from napari_tem_fft.widgets.forms.candidates import CandidatesForm

CIF = """data_mine
_cell_length_a 4.5
_cell_length_b 4.5
_cell_length_c 4.5
_cell_angle_alpha 90
_cell_angle_beta 90
_cell_angle_gamma 90
_space_group_name_H-M_alt 'F m -3 m'
loop_
_atom_site_label
_atom_site_type_symbol
_atom_site_fract_x
_atom_site_fract_y
_atom_site_fract_z
Ag1 Ag 0 0 0
"""


@pytest.fixture
def form(qtbot, tmp_path, monkeypatch):
    monkeypatch.setattr(_candidates, "user_folder", lambda: tmp_path / "own")
    form = CandidatesForm(load_table())
    qtbot.addWidget(form)
    return form


@pytest.fixture
def cif(tmp_path):
    path = tmp_path / "odd_silver.cif"
    path.write_text(CIF)
    return path


def test_usual_sets_at_first(form):
    ids = {phase.id for phase in form.phases()}
    assert {"LiF", "Cu"} <= ids
    ice = sum("cryo" in phase.tags for phase in load_table())
    waiting = len(load_table()) - len(ids) - ice
    further = f"{waiting} further phases are searched where the sample's elements are stated"
    further += f", {ice} of ice where hydrogen is stated"
    assert form.count.text() == f"{len(ids)} of {len(load_table())} phases active; {further}"


def test_names_and_elements(form):
    form.names.setText("LiF, Li2O")
    assert [phase.id for phase in form.phases()] == ["LiF", "Li2O"]
    assert form.count.text() == f"2 of {len(load_table())} phases active: LiF, Li2O"
    form.elements.setText("Li, F")
    assert [phase.id for phase in form.phases()] == ["LiF"]
    form.elements.setText("Au")
    with pytest.raises(ValueError, match="no phase fits"):
        form.phases()
    assert "no phase fits" in form.count.text()


def test_own_phases_are_dropped_in(form, cif, tmp_path):
    (tmp_path / "bad.cif").write_text("nothing")
    data = QMimeData()
    names = ("bad.cif", "odd_silver.cif", "a.txt")
    data.setUrls([QUrl.fromLocalFile(str(tmp_path / name)) for name in names])
    copy, left = Qt.DropAction.CopyAction, Qt.MouseButton.LeftButton
    form.dropEvent(QDropEvent(QPointF(), copy, data, left, Qt.KeyboardModifier.NoModifier))
    assert "odd_silver" in {phase.id for phase in form.phases()}


def test_own_folder_is_taken_along(qtbot, cif, tmp_path, monkeypatch):
    own = tmp_path / "own"
    own.mkdir()
    cif.rename(own / cif.name)
    monkeypatch.setattr(_candidates, "user_folder", lambda: own)
    form = CandidatesForm(load_table())
    qtbot.addWidget(form)
    assert "odd_silver" in {phase.id for phase in form.phases()}


def test_table_lists_planes_and_files(form, cif, tmp_path):
    (tmp_path / "bad.cif").write_text("nothing")
    form.add_files([cif, tmp_path / "bad.cif"])
    form.names.setText("ZnO, odd_silver")
    form.look_up.click()
    window = form._window
    first, second, third = (window.phases.topLevelItem(i) for i in range(3))
    assert {first.text(0), second.text(0)} == {"ZnO", "odd_silver"} and third.toolTip(0).startswith(
        "not active"
    )
    zinc = first if first.text(0) == "ZnO" else second
    zinc.setExpanded(True)
    assert zinc.child(0).text(0) == "(1 0 -1 0)" and zinc.child(0).text(4) == "0.28144 nm"
    states = {item.text(0): item.text(1) for item in window.files.items()}
    assert states["bad.cif"] == "refused" and states["odd_silver.cif"] in ("ok", "warning")
    window.filter.setText("zincite")
    assert not zinc.isHidden() and third.isHidden()
    window.close()


def test_what_may_not_be_named_is_known_too(form):
    form.names.setText("LiF")
    choice = form.choice()
    assert [phase.id for phase in choice.phases] == ["LiF"]
    assert len(choice.non_candidates) == len(usual_phases(load_table())) - 1
