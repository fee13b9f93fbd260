"""The panel against the project's own server process, end to end."""

import numpy as np
import pytest

from slicer_extension.tests import phantoms, real_server

pytestmark = [pytest.mark.slicer, pytest.mark.integration]

PATCH = np.s_[2:4, 9:12, 10:13]


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    with real_server.serving(tmp_path_factory.mktemp("server")) as address:
        yield address


def status_of(panel, case):
    table = panel.ui.casesTable
    rows = {table.item(r, 0).text(): table.item(r, 1).text() for r in range(table.rowCount)}
    return rows[case]


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
    ui.submitButton.click()
    panel.wait(120)
    assert panel.status == "Submitted 'B-flipped'."
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
    panel.connect(url).open(case)
    assert "ben" in panel.status


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


def test_training_status_and_models_are_shown(panel, url):
    panel.connect(url)
    panel.ui.tabs.setCurrentIndex(4)
    panel.wait(60)
    assert "IDLE" in panel.ui.trainLog.plainText
    assert panel.ui.trainerCombo.count >= 1
