"""The panel against the project's own server process, end to end."""

import re

import numpy as np
import pytest

from slicer_extension.tests import phantoms, real_server
from slicer_extension.tests.harness.boot import spin

pytestmark = [pytest.mark.slicer, pytest.mark.integration]

PATCH = np.s_[2:4, 9:12, 10:13]
TRAINING_DEADLINE_S = 1500.0
"""The training runs at low priority, so a busy machine makes it wait."""


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with real_server.serving(tmp_path_factory.mktemp("server")) as address:
        yield address


def status_of(panel, case):
    table = panel.ui.casesTable
    rows = {table.item(r, 0).text(): table.item(r, 1).text() for r in range(table.rowCount)}
    return rows[case]


def click(panel, kind, *points_mm):
    """Place points, or draw a line through them where strokes are drawn."""
    import vtk

    ui, clicks = panel.ui, panel.workspace.clicks
    (ui.tumourPointsButton if kind == "positive" else ui.otherPointsButton).click()
    node = clicks.strokes[-1] if ui.strokesCheck.checked else clicks.node(kind)
    for point in points_mm:
        node.AddControlPoint(vtk.vtkVector3d(*point))
    panel.controller.update()


def refine(panel):
    """Press the button; the labelmap that is shown afterwards."""
    panel.ui.refineButton.click()
    panel.wait(240)
    assert panel.status == "The segments were refined; check them."
    return panel.workspace.current_label().array


def train(panel, **options):
    """Start a training of the segmentation from the tab."""
    ui = panel.ui
    ui.tabs.setCurrentIndex(4)
    panel.wait(60)
    ui.trainerCombo.setCurrentIndex(ui.trainerCombo.findData("segmentation"))
    table = ui.optionsTable
    rows = {table.item(row, 0).text(): row for row in range(table.rowCount)}
    for name, value in options.items():
        table.item(rows[name], 1).setText(str(value))
    ui.trainButton.click()
    panel.wait(60)
    assert panel.controller.teach_panel.state.is_running, panel.status
    return panel.controller.teach_panel


def versions(panel):
    """State by version of the segmentation, as the table shows it."""
    table = panel.ui.modelsTable
    rows = [[table.item(r, c).text() for c in range(3)] for r in range(table.rowCount)]
    return {version: state for model, version, state in rows if model == "segmentation"}


def choose_version(panel, version):
    """Select a version of the segmentation."""
    table = panel.ui.modelsTable
    rows = range(table.rowCount)
    wanted = ("segmentation", version)
    table.selectRow(
        next(r for r in rows if (table.item(r, 0).text(), table.item(r, 1).text()) == wanted)
    )


def ask_the_gate(panel, version):
    """What the gate says about a version; the table of its comparisons as text."""
    choose_version(panel, version)
    panel.ui.tryButton.click()
    panel.wait(60)
    return panel.status, panel.ui.gateLabel.text


def analysed_by(panel):
    """Version of the segmentation that the panel names for the open case."""
    panel.analyse_for(240)
    panel.ui.explainButton.checked = True
    return re.search(r"segmentation ([\d.]+)", panel.ui.rationaleView.plainText).group(1)


def corrected(labels):
    labels = labels.copy()
    labels[PATCH] = 3
    return labels


@pytest.mark.parametrize("case", ["A-oblique", "B-flipped", "C-left"])
def test_from_the_first_look_to_the_reopened_correction(panel, url, case):
    import qt

    ui = panel.ui
    ui.clientEdit.text = "anna"
    panel.connect(url)
    assert "analysis" in ui.serverLabel.text
    panel.open(case)
    assert panel.session.case.name == case, panel.status
    ui.uncertaintyCheck.checked = True
    panel.analyse_for(240)
    assert panel.workspace.segmentation is not None, panel.status
    np.testing.assert_array_equal(panel.workspace.current_label().array, phantoms.labels())
    assert status_of(panel, case) == "predicted"

    analysis = panel.workspace.analysis
    assert analysis.sentences
    assert sum(analysis.classification.probabilities.values()) == pytest.approx(1.0, abs=1e-3)
    ui.explainButton.click()
    assert analysis.sentences[0].text in ui.rationaleView.plainText
    assert panel.workspace.heat.is_visible
    measured = next(item for item in analysis.evidence if item.ras is not None)
    ui.rationaleView.anchorClicked.emit(qt.QUrl(f"evidence:{measured.id}"))
    grid = real_server.CASES[case]
    voxel = np.linalg.solve(grid, [*measured.ras, 1.0])[:3]
    assert (voxel > -0.5).all()
    assert (voxel < np.array(phantoms.SHAPE_KJI[::-1]) - 0.5).all()

    panel.paint(3, PATCH)
    ui.submitButton.click()
    panel.wait(120)
    assert panel.status == f"Submitted '{case}'."
    assert not panel.session.is_edited
    assert status_of(panel, case) == "submitted"

    ui.historyButton.click()
    panel.wait(60)
    assert ui.historyTable.item(0, 2).text() == "anna"
    panel.open(case)
    np.testing.assert_array_equal(
        panel.workspace.current_label().array, corrected(phantoms.labels())
    )
    assert status_of(panel, case) == "corrected"


def test_type_and_sentences_reach_the_ledger_and_are_reviewed(panel, url):
    panel.ui.clientEdit.text = "anna"  # who has the case
    panel.connect(url).open("B-flipped")
    panel.analyse_for(240)
    ui = panel.ui
    ui.typeCombo.setCurrentIndex(ui.typeCombo.findData("meningioma"))
    ui.reasonEdit.text = "dural tail"
    verdict = panel.controller.correct_panel._verdicts[0]
    verdict.setCurrentIndex(verdict.findData("wrong"))
    judged = panel.workspace.analysis.sentences[0]
    ui.submitButton.click()
    panel.wait(120)
    assert panel.status == "Submitted 'B-flipped'."
    written = panel.controller.client.corrections(image="B-flipped")
    sentences, tumor_type, mask = written[:3]
    assert tumor_type["payload"] == {"type": "meningioma", "reason": "dural tail"}
    assert (mask["kind"], mask["annotator"], mask["state"]) == ("mask", "anna", "submitted")
    told = sentences["payload"]["sentences"]
    assert [(s["text"], s["verdict"], s["evidence"]) for s in told] == [
        (judged.text, "wrong", list(judged.evidence))
    ]
    ui.teachRefreshButton.click()
    panel.wait(60)
    table = ui.correctionsTable
    kinds = [table.item(r, 2).text() for r in range(table.rowCount)]
    assert kinds[:2] == ["sentences", "type"]
    table.selectRow(1)
    ui.acceptButton.click()
    panel.wait(60)
    assert table.item(1, 3).text() == "reviewed"


def test_the_next_case_is_reserved_for_whom_it_was_given_to(panel, url):
    panel.ui.clientEdit.text = "ben"
    panel.connect(url)
    panel.ui.strategyCombo.setCurrentIndex(panel.ui.strategyCombo.findData("first"))
    panel.ui.nextButton.click()
    panel.wait(60)
    case = panel.session.case.name
    table = panel.ui.casesTable
    rows = {table.item(r, 0).text(): table.item(r, 2).text() for r in range(table.rowCount)}
    assert (case, rows[case]) == ("D-next", "ben")
    panel.ui.clientEdit.text = "cleo"
    panel.connect(url)
    assert table.item(3, 2).text() == "ben"
    panel.open(case)
    assert "ben" in panel.status
    panel.ui.nextButton.click()
    panel.wait(60)
    assert panel.session.case.name == "E-last"


def test_volumes_of_the_scene_are_analysed_and_forgotten(panel, url):
    from TumorLensLib import volumes

    node = volumes.add_image(phantoms.image(phantoms.GRIDS["oblique and left-handed"]), "my T1ce")
    node.SetAttribute(volumes.OWNER, None)
    panel.connect(url)
    panel.ui.recogniseButton.click()
    panel.ui.useSceneButton.click()
    panel.wait(60)
    panel.analyse_for(240)
    core = np.where(np.isin(phantoms.labels(), (1, 3)), 4, 0)
    np.testing.assert_array_equal(panel.workspace.current_label().array, core)


def test_clicks_and_strokes_refine_what_is_shown_and_undo_brings_it_back(panel, url):
    panel.ui.clientEdit.text = "anna"
    panel.connect(url).open("A-oblique")
    if panel.workspace.segmentation is None:
        panel.analyse_for(240)
    ui, grid = panel.ui, real_server.CASES["A-oblique"]
    before = panel.workspace.current_label().array
    ui.pointLabelCombo.setCurrentIndex(ui.pointLabelCombo.findData(2))
    click(panel, "positive", phantoms.point_mm((12, 11, 10), grid))  # far from the tumour
    click(panel, "negative", phantoms.point_mm((3, 3, 3), grid))  # a corner of the oedema
    clicked = refine(panel)
    assert (before[10, 11, 12], clicked[10, 11, 12]) == (0, 2)
    assert (before[3, 3, 3], clicked[3, 3, 3]) == (2, 0)
    assert panel.session.is_edited
    ui.editor.undo()
    np.testing.assert_array_equal(panel.workspace.current_label().array, before)

    ui.strokesCheck.checked = True
    line = [phantoms.point_mm((i, 12, 8), grid) for i in (4, 12)]
    click(panel, "positive", *line)
    click(panel, "negative", *[phantoms.point_mm((i, 3, 3), grid) for i in (4, 7)])
    drawn = refine(panel)
    assert (before[8, 12, 4:13] == 0).all()
    assert (drawn[8, 12, 4:13] == 2).all()
    assert (before[3, 3, 4:8] == 2).all()
    assert (drawn[3, 3, 4:8] == 0).all()
    ui.editor.undo()
    np.testing.assert_array_equal(panel.workspace.current_label().array, before)


def test_a_training_shows_its_progress_until_it_is_stopped(panel, url):
    panel.ui.clientEdit.text = "anna"
    panel.connect(url)
    panel.ui.tabs.setCurrentIndex(4)
    panel.wait(60)
    assert "IDLE" in panel.ui.trainLog.plainText
    teach = train(panel, max_epochs=300, steps_per_epoch=1, promote=False)
    assert panel.ui.stopButton.enabled
    assert not panel.ui.trainButton.enabled
    spin(lambda: panel.ui.trainBar.value >= 1 or not teach.state.is_running, TRAINING_DEADLINE_S)
    assert re.search(r"epoch \d+/300: loss \d", panel.ui.trainLog.plainText)
    panel.ui.stopButton.click()
    spin(lambda: not teach.state.is_running, TRAINING_DEADLINE_S)
    assert teach.state.status == "STOPPED"
    panel.wait(60)
    assert panel.ui.trainButton.enabled
    assert sorted(versions(panel)) == ["0.1.0", "0.1.1"]  # nothing came of it


def test_a_candidate_is_shown_beside_the_current_version_and_the_gate_keeps_it_back(panel, url):
    panel.ui.clientEdit.text = "anna"
    panel.connect(url)
    teach = train(panel, max_epochs=1, steps_per_epoch=1)
    spin(lambda: not teach.state.is_running, TRAINING_DEADLINE_S)
    assert teach.state.status == "DONE", panel.ui.trainLog.plainText
    assert panel.ui.trainBar.value == 100
    panel.wait(60)  # the tables follow by themselves
    assert versions(panel) == {"0.1.0": "active", "0.1.1": "accepted", "0.1.2": "refused"}
    told, comparisons = ask_the_gate(panel, "0.1.2")
    assert told.startswith("It would not pass.")
    assert "expected at least 5" in told
    assert "base / mean" in comparisons
    panel.ui.promoteButton.click()
    panel.wait(60)
    assert "gate refused segmentation 0.1.2" in panel.status
    assert versions(panel)["0.1.0"] == "active"


def test_promotion_and_rollback_change_the_version_that_answers(panel, url):
    panel.ui.clientEdit.text = "anna"
    panel.connect(url).open("B-flipped")
    assert analysed_by(panel) == "0.1.0"
    panel.ui.tabs.setCurrentIndex(4)
    panel.wait(60)
    told, comparisons = ask_the_gate(panel, "0.1.1")
    assert told.startswith("It would pass.")
    assert "0.758" in comparisons  # 0.7 and the mean of the gains
    panel.ui.promoteButton.click()
    panel.wait(60)
    assert panel.status.startswith("Promoted.")
    panel.wait(60)
    assert (versions(panel)["0.1.0"], versions(panel)["0.1.1"]) == ("shipped", "active")
    assert analysed_by(panel) == "0.1.1"
    choose_version(panel, "0.1.1")
    panel.ui.rollbackButton.click()
    panel.wait(60)
    assert versions(panel)["0.1.0"] == "active"
    assert analysed_by(panel) == "0.1.0"
