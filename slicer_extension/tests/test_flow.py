"""The whole way of an annotator: connect, open, analyse, look, ask, edit, submit, reopen."""

import numpy as np
import pytest

from slicer_extension.tests import phantoms
from slicer_extension.tests.fake_server import FakeServer, serving

pytestmark = pytest.mark.slicer


def test_connecting_shows_the_server_and_its_cases(panel, server):
    panel.connect(server.url)
    assert "TumorLens 0.1.0" in panel.ui.serverLabel.text
    table = panel.ui.casesTable
    rows = [[table.item(r, c).text() for c in range(2)] for r in range(table.rowCount)]
    assert rows == [["CASE-1", "new"], ["CASE-2", "new"], ["CASE-3", "new"]]
    assert panel.ui.strategyCombo.count == 3


@pytest.mark.parametrize("grid", phantoms.GRIDS)
def test_a_correction_reaches_the_server_voxel_for_voxel_on_every_geometry(panel, grid):
    with serving(FakeServer(phantoms.GRIDS[grid])) as server:
        panel.open_and_analyse(server.url)
        np.testing.assert_array_equal(panel.workspace.current_label().array, phantoms.labels())
        panel.paint(3, np.s_[2:4, 9:12, 10:13])
        expected = phantoms.labels()
        expected[2:4, 9:12, 10:13] = 3
        panel.ui.submitButton.click()
        panel.wait()
        assert panel.status == "Submitted 'CASE-1'."
        sent = server.labels["CASE-1"][-1]
        np.testing.assert_array_equal(sent.array, expected)
        np.testing.assert_allclose(sent.ijk_to_ras, phantoms.GRIDS[grid], atol=1e-9)
        panel.open("CASE-2").open("CASE-1")
        np.testing.assert_array_equal(panel.workspace.current_label().array, expected)
        assert "Reopen" in panel.answers.titles


def test_text_and_heatmap_are_shown_together_and_on_demand(panel, server):
    panel.open_and_analyse(server.url)
    panel.ui.tabs.setCurrentIndex(2)
    assert "glioma" in panel.ui.classificationLabel.text
    assert not panel.ui.rationaleView.visible
    assert not panel.workspace.heat.is_visible
    panel.ui.explainButton.click()
    assert panel.ui.rationaleView.visible
    assert panel.workspace.heat.is_visible
    assert "a core <darker> than it" in panel.ui.rationaleView.plainText
    panel.ui.heatCheck.click()
    assert not panel.ui.rationaleView.visible
    assert not panel.workspace.heat.is_visible
