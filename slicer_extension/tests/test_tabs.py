"""The tabs See, Question, Correct and Teach, each with what a user does there."""

import numpy as np
import pytest

from slicer_extension.tests import phantoms
from slicer_extension.tests.fake_server import FakeServer, serving

pytestmark = pytest.mark.slicer

PATCH = np.s_[2:4, 9:12, 10:13]


def cells(table):
    return [
        [table.item(r, c).text() for c in range(table.columnCount)] for r in range(table.rowCount)
    ]


def plain(html):
    """Texts of the cells of a table."""
    import qt

    document = qt.QTextDocument()
    document.setHtml(html)
    return [line.strip() for line in document.toPlainText().split("\n") if line.strip()]


def rgb(label, x, y):
    """Colour of a pixel of a label's picture, and how opaque it is."""
    color = label.pixmap.toImage().pixelColor(x, y)
    return (color.red(), color.green(), color.blue()), color.alpha()


def choose(combo, value):
    combo.setCurrentIndex(combo.findData(value))


# See.


def test_volumes_and_heat_are_told_in_numbers(panel, server):
    panel.open_and_analyse(server.url)
    assert "<b>1.1&nbsp;mL" in panel.ui.volumesLabel.text
    assert panel.ui.heatLabel.text == (
        "Grad-CAM++ for glioma; 82 % of the heat lies inside the tumour; "
        "passed its faithfulness test."
    )


def test_sliders_and_switches_reach_the_views(panel, server, slice_views):
    panel.open_and_analyse(server.url)
    ui, node = panel.ui, panel.workspace.segmentation
    ui.heatCheck.click()
    ui.opacitySlider.value = 0.25
    ui.heatRange.setValues(0.5, 0.9)
    assert slice_views[1].composite.GetForegroundOpacity() == pytest.approx(0.25)
    display = panel.workspace.heat.node.GetDisplayNode()
    assert display.GetLowerThreshold() == pytest.approx(0.5)
    assert display.GetUpperThreshold() == pytest.approx(0.9)
    ui.segmentsCheck.click()
    assert not node.GetDisplayNode().GetVisibility()
    ui.fillSlider.value = 0.7
    assert node.GetDisplayNode().GetOpacity2DFill() == pytest.approx(0.7)
    ui.surfaceCheck.click()
    assert node.GetSegmentation().ContainsRepresentation("Closed surface")


def test_the_panel_always_says_which_colour_is_which_heat(panel, server):
    from TumorLensLib.colours import HEAT
    from TumorLensPanels import legend

    label, top, middle = panel.ui.legendLabel, 1, legend.MARGIN + 135  # of 0-271
    hot = tuple(int(255 * v) for v in HEAT.steps()[127])
    assert rgb(label, middle, top) == (hot, 255)  # before any server was asked
    assert legend.numbers(0.3, 1.0) == [(0.0, "0"), (0.3, "0.30"), (1.0, "1")]
    assert legend.numbers(0.05, 0.98) == [(0.0, "0"), (1.0, "1")]  # no room
    panel.ui.heatRange.setValues(0.6, 1.0)
    assert rgb(label, middle, top)[1] == 0  # left out in the views, so a thin line here
    assert rgb(label, middle, legend.BAR - 1) == (hot, 255)
    server.faithful = False
    panel.open_and_analyse(server.url)
    (red, green, blue), _ = rgb(label, middle, legend.BAR - 1)
    assert red == green == blue


def test_the_legend_in_the_views_is_switched_with_the_heat_and_by_itself(panel, server):
    panel.connect(server.url).open("CASE-1")
    assert not panel.ui.legendCheck.enabled
    panel.analyse()
    shown = panel.workspace.heat.legend
    assert not shown.GetVisibility()
    panel.ui.heatCheck.click()
    assert shown.GetVisibility()
    panel.ui.legendCheck.click()
    assert not shown.GetVisibility()
    assert panel.workspace.heat.is_visible


def test_the_hottest_point_is_where_the_slices_go(panel, server, slice_views):
    import slicer

    panel.open_and_analyse(server.url)
    panel.ui.hottestButton.click()
    peak = phantoms.point_mm(phantoms.PEAK_IJK)
    for view in slice_views:
        plane = slicer.util.arrayFromVTKMatrix(view.node.GetSliceToRAS())
        assert abs(np.subtract(peak, plane[:3, 3]) @ plane[:3, 2]) <= 0.5


def test_another_method_and_type_replace_heat_and_text_but_not_edits(panel, server):
    panel.open_and_analyse(server.url).paint(3, PATCH)
    before = panel.workspace.current_label().array
    choose(panel.ui.methodCombo, "occlusion")
    choose(panel.ui.targetCombo, "runner_up")
    panel.ui.recomputeButton.click()
    panel.wait()
    assert server.bodies[-1]["method"] == "occlusion"
    assert "occlusion for meningioma" in panel.ui.heatLabel.text
    np.testing.assert_array_equal(panel.workspace.current_label().array, before)
    assert panel.session.is_edited


def test_heat_of_a_region_is_asked_for_by_the_method_that_explains_one(panel, server):
    panel.open_and_analyse(server.url)
    choose(panel.ui.methodCombo, "occlusion")
    choose(panel.ui.targetCombo, "ET")
    panel.ui.recomputeButton.click()
    panel.wait()
    assert (server.bodies[-1]["method"], server.bodies[-1]["target"]) == ("layercam", "ET")
    assert "Layer-CAM for outline of ET" in panel.ui.heatLabel.text


def test_heat_that_failed_its_test_is_grey_and_said_so_first(panel, server):
    server.faithful = False
    panel.open_and_analyse(server.url)
    assert "failed its faithfulness test" in panel.ui.heatLabel.text
    assert "deletion is no better than chance" in panel.ui.warningsLabel.text
    color = panel.workspace.heat.node.GetDisplayNode().GetColorNode()
    assert color.GetName() == "TumorLens heat, not trusted"


def test_uncertainty_is_a_second_overlay_with_colours_and_numbers_of_its_own(
    panel, server, slice_views
):
    from TumorLensLib.colours import DOUBT
    from TumorLensPanels import legend

    ui = panel.ui
    panel.connect(server.url).open("CASE-1")
    assert not ui.uncertainCheck.enabled
    assert ui.uncertainLabel.text == ""
    panel.analyse()  # with uncertainty, unless it is switched off
    ui.heatCheck.click()
    ui.uncertainCheck.click()
    composites = [view.composite for view in slice_views]
    heat, doubt = panel.workspace.heat.node.GetID(), panel.workspace.uncertainty.node.GetID()
    layer = composites[0].Layer_Last
    assert [c.GetForegroundVolumeID() for c in composites] == [heat] * 3
    assert [c.GetNthLayerVolumeID(layer) for c in composites] == [doubt] * 3
    assert ui.uncertainLabel.text == "0.2 mL lie in this range."  # 36 voxels of 5 mm3 at 200/255
    ui.uncertainRange.setValues(0.05, 0.95)
    assert ui.uncertainLabel.text == "1.1 mL lie in this range."  # all 216 of the tumour
    ui.uncertainOpacitySlider.value = 0.25
    assert [c.GetNthLayerOpacity(layer) for c in composites] == pytest.approx([0.25] * 3)
    assert composites[0].GetForegroundOpacity() == pytest.approx(0.6)  # that of the heat
    top = legend.MARGIN + 135
    assert rgb(ui.uncertainLegendLabel, top, 1)[0] == tuple(
        int(255 * v) for v in DOUBT.steps()[127]
    )
    ui.uncertainCheck.click()
    assert {c.GetNumberOfAdditionalLayers() for c in composites} == {0}
    assert panel.workspace.heat.is_visible


def test_uncertain_voxels_are_outlined_beside_changed_ones(panel, server):
    import slicer
    from TumorLensLib.colours import CHANGED, UNCERTAIN

    panel.open_and_analyse(server.url).paint(3, PATCH)
    panel.ui.uncertainOutlineCheck.click()
    panel.ui.changesCheck.click()
    changed = phantoms.labels()
    changed[PATCH] = 3
    expected = np.where(phantoms.uncertainty().array == 200, UNCERTAIN, 0)
    expected[changed != phantoms.labels()] = CHANGED
    marks = panel.workspace.marks
    np.testing.assert_array_equal(slicer.util.arrayFromVolume(marks.node), expected)
    panel.ui.changesCheck.click()
    assert marks.has(UNCERTAIN)
    panel.ui.uncertainOutlineCheck.click()
    assert marks.node is None


def test_an_analysis_without_uncertainty_says_how_to_get_it(panel, server):
    panel.connect(server.url).open("CASE-1")
    panel.ui.uncertaintyCheck.checked = False
    panel.analyse()
    asked = [body["uncertainty"] for body in server.bodies if "uncertainty" in body]
    assert asked == [False]
    assert not panel.ui.uncertainCheck.enabled
    assert panel.ui.uncertainLabel.text.startswith("This analysis came without uncertainty;")


def test_the_greatest_doubt_is_where_the_slices_go(panel, server, slice_views):
    import slicer

    panel.open_and_analyse(server.url)
    panel.ui.uncertainPointButton.click()
    place = phantoms.point_mm((5.5, 5.5, 3))  # middle of the layer at 200/255
    for view in slice_views:
        plane = slicer.util.arrayFromVTKMatrix(view.node.GetSliceToRAS())
        assert abs(np.subtract(place, plane[:3, 3]) @ plane[:3, 2]) <= 0.5


def test_the_share_of_heat_inside_follows_the_corrected_outline(panel, server):
    panel.open_and_analyse(server.url).paint(3, np.s_[:, :, :])
    panel.ui.compareButton.click()
    assert "100 % of the heat lies inside the tumour" in panel.ui.heatLabel.text


def test_a_view_that_opens_later_shows_the_same_layers(panel, server):
    import slicer

    panel.open_and_analyse(server.url)
    panel.ui.heatCheck.click()
    panel.ui.uncertainCheck.click()
    panel.ui.uncertainOutlineCheck.click()
    late = slicer.mrmlScene.AddNode(slicer.vtkMRMLSliceCompositeNode())
    workspace = panel.workspace
    assert late.GetBackgroundVolumeID() == workspace.image.GetID()
    assert late.GetForegroundVolumeID() == workspace.heat.node.GetID()
    assert late.GetNthLayerVolumeID(late.Layer_Last) == workspace.uncertainty.node.GetID()
    assert late.GetLabelVolumeID() == workspace.marks.node.GetID()
    slicer.mrmlScene.RemoveNode(late)


def test_sliders_keep_their_meaning_after_the_scene_was_closed(panel, server, slice_views):
    import slicer

    panel.open_and_analyse(server.url)
    panel.ui.opacitySlider.value = 0.25
    panel.ui.uncertainOpacitySlider.value = 0.35
    slicer.mrmlScene.Clear()
    panel.open("CASE-1").analyse()
    panel.ui.heatCheck.click()
    panel.ui.uncertainCheck.click()
    composite = slice_views[0].composite
    assert composite.GetForegroundOpacity() == pytest.approx(0.25)
    assert composite.GetNthLayerOpacity(composite.Layer_Last) == pytest.approx(0.35)


# Question.


def test_a_click_on_evidence_goes_there_and_draws_it(panel, server, slice_views):
    import qt
    import slicer

    panel.open_and_analyse(server.url)
    panel.ui.explainButton.click()
    panel.ui.rationaleView.anchorClicked.emit(qt.QUrl("evidence:e1"))
    peak = phantoms.point_mm(phantoms.PEAK_IJK)
    for view in slice_views:
        plane = slicer.util.arrayFromVTKMatrix(view.node.GetSliceToRAS())
        assert np.subtract(peak, plane[:3, 3]) @ plane[:3, 2] == pytest.approx(0.0, abs=1e-6)
    assert panel.workspace.evidence.nodes[0].GetNthControlPointLabel(0) == "e1: 1.31"
    assert panel.status == "ring-enhancement index: 1.31"
    panel.ui.rationaleView.anchorClicked.emit(qt.QUrl("evidence:e2"))
    assert panel.status == "This measurement has no place in the image."


def test_evidence_is_listed_with_ranges_and_what_it_speaks_for(panel, server):
    panel.open_and_analyse(server.url)
    panel.ui.explainButton.click()
    text = panel.ui.rationaleView.plainText
    for part in ("1.31", "glioma: 0.9–1.9", "left temporal lobe", "+0.41", "not measured"):
        assert part in text


def test_the_panel_and_the_explanation_speak_korean(panel, server):
    panel.open_and_analyse(server.url)
    choose(panel.ui.languageCombo, "ko")
    assert panel.ui.analyseButton.text == "분석"
    assert panel.ui.tabs.tabText(2) == "질문"
    assert cells(panel.ui.casesTable)[0][1] == "예측됨"
    panel.ui.explainButton.click()
    panel.ui.againButton.click()
    panel.wait()
    assert server.bodies[-1]["language"] == "ko"
    assert "조영 증강 고리" in panel.ui.rationaleView.plainText
    assert "교종" in panel.ui.classificationLabel.text
    choose(panel.ui.languageCombo, "en")
    assert panel.ui.analyseButton.text == "Analyse"
    assert panel.ui.tabs.tabText(2) == "Question"


def test_other_wordings_of_the_server_can_be_chosen(panel, server):
    panel.open_and_analyse(server.url)
    assert panel.ui.providerCombo.count == 2
    choose(panel.ui.providerCombo, "small language model")
    panel.ui.againButton.click()
    panel.wait()
    assert server.bodies[-1]["provider"] == "small language model"


def test_a_dark_window_gets_light_text(panel, server):
    import qt
    from TumorLensLib.rationale import DARK

    panel.open_and_analyse(server.url)
    palette = qt.QPalette(qt.QColor("#323232"))
    panel.controller.root.setPalette(palette)
    panel.controller.set_language("en")
    assert DARK.bar in panel.ui.classificationLabel.text
    assert panel.controller.theme is DARK


def test_keys_press_what_is_enabled_only(panel, server):
    keys = panel.controller.shortcuts._keys
    keys["Ctrl+Shift+A"]()
    assert not panel.controller.jobs.is_running
    panel.open_and_analyse(server.url)
    keys["Ctrl+Shift+H"]()
    assert panel.workspace.heat.is_visible
    keys["Ctrl+Shift+E"]()
    assert panel.ui.explainButton.checked


# Correct.


def test_a_comparison_shows_what_changed_and_outlines_it(panel, server):
    panel.open_and_analyse(server.url).paint(3, PATCH)
    panel.ui.changesCheck.click()
    expected = phantoms.labels()
    expected[PATCH] = 3
    count = int((expected != phantoms.labels()).sum())
    assert f"{count} voxels changed" in panel.ui.compareLabel.text
    import slicer

    marked = slicer.util.arrayFromVolume(panel.workspace.marks.node)
    np.testing.assert_array_equal(marked > 0, expected != phantoms.labels())
    panel.ui.changesCheck.click()
    assert panel.workspace.marks.node is None


def test_the_proposal_can_be_taken_back(panel, server):
    panel.open_and_analyse(server.url).paint(3, PATCH)
    panel.ui.proposalButton.click()
    np.testing.assert_array_equal(panel.workspace.current_label().array, phantoms.labels())
    assert not panel.session.is_edited
    assert "undo state" in panel.ui.editor.calls


def test_points_refine_the_segments_as_they_are_now(panel, server):
    import vtk

    panel.open_and_analyse(server.url).paint(3, PATCH)
    clicks, before = panel.workspace.clicks, panel.workspace.current_label().array
    assert not panel.ui.refineButton.enabled
    panel.ui.tumourPointsButton.click()
    clicks.node("positive").AddControlPoint(vtk.vtkVector3d(*phantoms.point_mm((10, 10, 10))))
    panel.ui.otherPointsButton.click()
    assert not panel.ui.tumourPointsButton.checked
    clicks.node("negative").AddControlPoint(vtk.vtkVector3d(*phantoms.point_mm((3, 3, 3))))
    choose(panel.ui.pointLabelCombo, 2)
    panel.controller.update()
    assert panel.ui.pointsLabel.text == "1 tumour, 1 not, 0 strokes"
    panel.ui.refineButton.click()
    panel.wait()
    np.testing.assert_array_equal(server.refine_labels[-1].array, before)
    expected = before.copy()
    expected[10, 10, 10] = 2
    expected[3, 3, 3] = 0
    np.testing.assert_array_equal(panel.workspace.current_label().array, expected)
    np.testing.assert_array_equal(panel.session.proposal.array, phantoms.labels())
    assert panel.session.is_edited
    assert clicks.count("positive") == 0
    panel.ui.editor.undo()
    np.testing.assert_array_equal(panel.workspace.current_label().array, before)
    panel.ui.editor.redo()
    np.testing.assert_array_equal(panel.workspace.current_label().array, expected)


def test_strokes_are_sent_as_a_labelmap_with_255_for_background(panel, server):
    import vtk

    panel.open_and_analyse(server.url)
    ui, clicks = panel.ui, panel.workspace.clicks
    ui.strokesCheck.checked = True
    choose(ui.pointLabelCombo, 2)
    for button, ends in ((ui.tumourPointsButton, (2, 12)), (ui.otherPointsButton, (4, 7))):
        button.click()
        for i in ends:
            node = clicks.strokes[-1]
            j = 10 if node is clicks.strokes[0] else 12
            node.AddControlPoint(vtk.vtkVector3d(*phantoms.point_mm((i, j, 10))))
    panel.controller.update()
    assert ui.pointsLabel.text == "0 tumour, 0 not, 2 strokes"
    ui.refineButton.click()
    panel.wait()
    expected = np.zeros(phantoms.SHAPE_KJI, np.uint8)
    expected[10, 10, 2:13] = 2
    expected[10, 12, 4:8] = 255
    np.testing.assert_array_equal(server.scribbles[-1].array, expected)
    np.testing.assert_allclose(server.scribbles[-1].ijk_to_ras, phantoms.OBLIQUE)
    assert clicks.stroke_count() == 0


def test_the_summary_comes_before_anything_is_submitted(panel, server):
    panel.open_and_analyse(server.url).paint(3, PATCH)
    choose(panel.ui.typeCombo, "meningioma")
    panel.ui.submitButton.click()
    panel.wait()
    assert panel.status == "Say what shows the type (field Because)."
    panel.ui.reasonEdit.text = "dural tail"
    choose(panel.controller.correct_panel._verdicts[1], "wrong")
    panel.answers.answer = lambda title, _text: title == "Send data"
    panel.ui.submitButton.click()
    panel.wait()
    assert panel.status == "Not submitted; your changes are kept."
    title, summary = panel.answers.asked[-1]
    assert title == "Submit the correction"
    for part in ("voxels changed", "Type: meningioma", "1 sentences are judged", server.url):
        assert part in summary
    assert server.labels == {}
    assert panel.session.is_edited


def test_type_and_verdicts_are_sent_with_who_and_how_long_and_what_was_seen(panel, server):
    panel.ui.clientEdit.text = "anna"
    panel.open_and_analyse(server.url)
    panel.ui.explainButton.click()
    choose(panel.ui.typeCombo, "meningioma")
    panel.ui.reasonEdit.text = "dural tail"
    choose(panel.controller.correct_panel._verdicts[0], "right")
    choose(panel.controller.correct_panel._verdicts[1], "wrong")
    panel.ui.submitButton.click()
    panel.wait()
    info = server.label_info[-1]
    assert info["client_id"] == "anna"
    assert (info["heat_open"], info["text_open"]) == (True, True)
    assert info["seconds_spent"] >= 0
    kinds = {c["kind"]: c["payload"] for c in server.corrections}
    assert (kinds["type"]["type"], kinds["type"]["reason"]) == ("meningioma", "dural tail")
    verdicts = [(s["verdict"], s["evidence"]) for s in kinds["sentences"]["sentences"]]
    assert verdicts == [("right", ["e1"]), ("wrong", ["e2"])]
    assert panel.ui.reasonEdit.text == ""
    assert server.reserved == {}


def test_verdicts_stay_until_they_are_sent_or_another_case_is_opened(panel, server):
    panel.open_and_analyse(server.url)
    verdicts = panel.controller.correct_panel
    choose(verdicts._verdicts[1], "wrong")
    choose(panel.ui.languageCombo, "ko")
    choose(panel.ui.languageCombo, "en")
    panel.paint(3, PATCH)
    panel.ui.proposalButton.click()
    assert [combo.currentData for combo in verdicts._verdicts] == ["", "wrong"]
    panel.ui.submitButton.click()
    panel.wait()
    assert [combo.currentData for combo in verdicts._verdicts] == ["", ""]
    choose(verdicts._verdicts[0], "right")
    panel.open("CASE-2").analyse()
    assert [combo.currentData for combo in verdicts._verdicts] == ["", ""]


def test_a_sentence_to_judge_is_shown_as_a_whole(panel, server):
    import qt

    panel.open_and_analyse(server.url)
    panel.ui.tabs.setCurrentIndex(3)
    table = panel.ui.verdictTable
    header = table.verticalHeader()
    assert header.sectionResizeMode(0) == qt.QHeaderView.ResizeToContents
    table.item(0, 1).setText("A ring of enhancement surrounds a darker core. " * 4)
    for _ in range(5):
        panel.widget.parent.repaint()
    assert table.rowHeight(0) > 1.8 * table.rowHeight(1)


def test_what_was_not_stored_is_named_and_what_was_is_not_lost(panel, server):
    panel.open_and_analyse(server.url)
    choose(panel.ui.typeCombo, "other")
    panel.ui.reasonEdit.text = "a cyst"
    server.fail["/corrections/type"] = (
        507,
        {"code": "storage", "message": "the disk is full", "remedy": ""},
    )
    panel.ui.submitButton.click()
    panel.wait()
    assert "CASE-1" in server.labels
    assert "type: the disk is full" in panel.status
    assert panel.ui.reasonEdit.text == "a cyst"


def test_volumes_of_the_scene_are_sent_named_by_sequence_and_stay_when_closed(panel, server):
    from TumorLensLib import volumes

    nodes = {name: volumes.add_image(phantoms.image(), name) for name in ("p1 T2 FLAIR", "p1 T1ce")}
    for node in nodes.values():
        node.SetAttribute(volumes.OWNER, None)  # loaded by the user
    panel.connect(server.url)
    panel.ui.recogniseButton.click()
    assert panel.ui.t1cSelector.currentNode() is nodes["p1 T1ce"]
    panel.ui.useSceneButton.click()
    panel.wait()
    assert sorted(server.sessions["session-1"]) == ["flair.nrrd", "t1c.nrrd"]
    assert panel.answers.titles == ["Send data"]
    panel.analyse()
    np.testing.assert_array_equal(panel.workspace.current_label().array, phantoms.labels())
    assert not panel.ui.submitButton.enabled  # the server does not keep the case
    panel.workspace.close_case()
    assert all(node.GetScene() is not None for node in nodes.values())


def test_one_volume_for_two_sequences_is_refused(panel, server):
    from TumorLensLib import volumes

    node = volumes.add_image(phantoms.image(), "T1")
    panel.connect(server.url)
    panel.ui.t1Selector.setCurrentNode(node)
    panel.ui.t2Selector.setCurrentNode(node)
    panel.ui.useSceneButton.click()
    assert panel.status == "One volume is chosen for two sequences."
    assert server.sessions == {}


# Case list.


def test_the_next_case_is_reserved_and_statuses_follow(panel, server):
    panel.connect(server.url)
    choose(panel.ui.strategyCombo, "uncertainty")
    panel.ui.nextButton.click()
    panel.wait()
    assert ("POST", "/activelearning/uncertainty", {}) in server.requests
    assert cells(panel.ui.casesTable)[0][:3] == ["CASE-1", "new", "annotator"]
    panel.analyse()
    panel.ui.submitButton.click()
    panel.wait()
    assert cells(panel.ui.casesTable)[0][:3] == ["CASE-1", "submitted", ""]
    panel.open("CASE-1")
    assert cells(panel.ui.casesTable)[0][1] == "corrected"
    assert server.reserved == {"CASE-1": "annotator"}
    panel.open("CASE-2")
    assert server.reserved == {"CASE-2": "annotator"}


def test_when_every_case_is_labelled_it_says_so(panel, server):
    server.statuses = dict.fromkeys(server.statuses, "submitted")
    panel.connect(server.url)
    panel.ui.nextButton.click()
    panel.wait()
    assert panel.status == "No case is left: each is labelled or reserved by somebody."
    assert panel.ui.nextButton.enabled


def test_a_case_that_another_has_is_said_so(panel, server):
    server.fail["/cases/reserve"] = (
        503,
        {"code": "busy", "message": "CASE-1 is reserved by ben", "remedy": "Take another case."},
    )
    panel.connect(server.url).open("CASE-1")
    assert panel.status == "CASE-1 is reserved by ben. Take another case."
    assert panel.session.case is None


def test_the_strategy_is_chosen_on_either_tab_and_remembered(panel, server):
    ui = panel.ui
    assert not ui.teachStrategyCombo.enabled
    panel.connect(server.url)
    choose(ui.teachStrategyCombo, "uncertainty")
    assert ui.strategyCombo.currentData == "uncertainty"
    assert ui.strategyLabel.text == "Where the model doubts about the tumour most"
    choose(ui.strategyCombo, "first")
    assert ui.teachStrategyCombo.currentData == "first"
    assert ui.strategyLabel.text == ""
    choose(ui.teachStrategyCombo, "uncertainty")
    choose(ui.languageCombo, "ko")
    assert ui.strategyCombo.currentText == "불확실성"
    assert ui.strategyLabel.text == "모델이 종양을 가장 의심하는 증례"
    assert ui.strategyCombo.currentData == "uncertainty"
    choose(ui.languageCombo, "en")
    ui.strategyCombo.clear()  # as in a new session of the application
    panel.connect(server.url)
    assert ui.strategyCombo.currentData == "uncertainty"
    ui.nextButton.click()
    panel.wait()
    assert ("POST", "/activelearning/uncertainty", {}) in server.requests


# Teach.


def test_a_server_without_corrections_says_so(panel, server):
    panel.connect(server.url)
    panel.ui.tabs.setCurrentIndex(4)
    panel.wait()
    assert panel.ui.waitingLabel.text == "Nothing was corrected yet."


def test_what_the_server_says_is_korean_in_a_korean_panel(panel, server):
    choose(panel.ui.languageCombo, "ko")
    server.faithful = False
    panel.open_and_analyse(server.url)
    ui = panel.ui
    assert "t2을(를) t1c의 격자로 다시 표본화했습니다" in ui.warningsLabel.text
    ui.explainButton.click()
    text = ui.rationaleView.plainText
    for word in ("고리 조영증강 지수", "왼쪽 측두엽"):
        assert word in text
    ui.rationaleView.anchorClicked.emit(_link("evidence:e1"))
    assert panel.status == "고리 조영증강 지수: 1.31"
    ui.tabs.setCurrentIndex(4)
    panel.wait()
    ui.modelsTable.selectRow(1)
    ui.tryButton.click()
    panel.wait()
    gate = plain(ui.gateLabel.text)
    assert "교정 / <WT>" in gate
    assert "환자 각각" in gate
    busy = {"code": "busy", "message": "no free processor within 60 s", "remedy": ""}
    server.fail["/infer/analysis"] = (503, busy)
    panel.analyse()
    assert panel.status == "60초 안에 빈 프로세서가 없었습니다."
    panel.connect("http://127.0.0.1:9")
    assert panel.status.startswith("http://127.0.0.1:9에서 답하는 서버가 없습니다. 서버를 시작하고")


def _link(text):
    import qt

    return qt.QUrl(text)


@pytest.fixture
def teaching(panel, server):
    panel.open_and_analyse(server.url)
    choose(panel.ui.typeCombo, "meningioma")
    panel.ui.reasonEdit.text = "tail"
    panel.ui.submitButton.click()
    panel.wait()
    panel.ui.tabs.setCurrentIndex(4)
    panel.wait()
    return panel


def test_corrections_are_listed_and_reviewed(teaching, server):
    table = teaching.ui.correctionsTable
    assert cells(table) == [
        ["1", "CASE-1", "type", "submitted", "annotator", "2026-01-02", "train"]
    ]
    assert teaching.ui.waitingLabel.text == "1 wait for a review."
    assert not teaching.ui.acceptButton.enabled
    table.selectRow(0)
    teaching.ui.noteEdit.text = "agreed"
    teaching.ui.acceptButton.click()
    teaching.wait()
    assert cells(table)[0][3] == "reviewed"
    assert server.bodies[-4]["note"] == "agreed"


def test_a_long_case_name_does_not_push_columns_of_corrections_out_of_sight(teaching, server):
    server.corrections[0]["case_id"] = "a-hospital-with-a-long-name_study-of-2026-11-22_t1c"
    teaching.widget.parent.resize(500, 960)
    teaching.ui.teachRefreshButton.click()
    teaching.wait()
    for _ in range(5):
        teaching.widget.parent.repaint()
    table = teaching.ui.correctionsTable
    assert cells(table)[0][6] == "train"
    width = sum(table.columnWidth(column) for column in range(7))
    assert width <= table.viewport().width
    assert table.item(0, 1).toolTip() == f"<qt>{server.corrections[0]['case_id']}</qt>"


def test_models_are_compared_promoted_and_rolled_back(teaching, server):
    table = teaching.ui.modelsTable
    rows = cells(table)
    assert [row[1:3] for row in rows] == [["1.0.0", "active"], ["1.1.0", "candidate"]]
    assert rows[1][5:] == ["0.740", "0.840"]
    assert teaching.ui.curveLabel.visible
    table.selectRow(1)
    teaching.ui.tryButton.click()
    teaching.wait()
    assert teaching.status == "It would pass. WT Dice rose by 0.03"
    assert server.active == "1.0.0"
    assert plain(teaching.ui.gateLabel.text) == [
        *("1.0.0", "1.1.0", "change", "patients"),
        *("corrections / <WT>", "0.810", "0.840", "+0.030 (+0.010 – +0.050)", "6", "✓"),
        *("every patient", "–", "–", "–", "–", "✗"),
    ]
    teaching.ui.promoteButton.click()
    teaching.wait()
    assert server.active == "1.1.0"
    assert teaching.status == "Promoted."  # though the tables were fetched again
    assert teaching.ui.gateLabel.text == ""  # it compared with a version that is not active now
    table.selectRow(1)
    teaching.ui.rollbackButton.click()
    teaching.wait()
    assert server.active == "1.0.0"
    assert teaching.status == "Rolled back."


def test_a_training_is_started_with_changed_options_watched_and_stopped(teaching, server):
    ui = teaching.ui
    assert cells(ui.optionsTable)[0] == ["max_epochs", "5"]
    ui.optionsTable.item(0, 1).setText("lots")
    ui.trainButton.click()
    assert teaching.status.startswith("Max_epochs: ")
    ui.optionsTable.item(0, 1).setText("4")
    ui.trainButton.click()
    teaching.wait()
    assert server.training["request"] == {
        "model": "segmentation",
        "max_epochs": 4,
        "client_id": "annotator",
    }
    assert ui.trainBar.value == 25
    assert not ui.trainButton.enabled
    server.training["details"].append("epoch 3/4: loss 0.3")
    teaching.controller.teach_panel.watch()
    teaching.wait()
    assert ui.trainBar.value == 75
    assert "loss 0.3" in ui.trainLog.plainText
    ui.stopButton.click()
    teaching.wait()
    assert "CANCELED" in ui.trainLog.plainText
    assert ui.trainButton.enabled
    assert not teaching.controller.teach_panel._watch_timer.active


def test_the_history_of_a_case_is_shown_compared_and_restored(panel, server):
    panel.open_and_analyse(server.url)
    panel.ui.submitButton.click()
    panel.wait()
    panel.paint(3, PATCH)
    panel.ui.submitButton.click()
    panel.wait()
    panel.ui.historyButton.click()
    panel.wait()
    table = panel.ui.historyTable
    assert [row[0] for row in cells(table)] == ["1", "2"]
    assert cells(table)[0][2:] == ["anna", "segmentation 1.0.0", "2026-01-02"]
    table.selectRow(0)
    panel.ui.showVersionButton.click()
    panel.wait()
    expected = phantoms.labels()
    expected[PATCH] = 3
    count = int((expected != phantoms.labels()).sum())
    assert panel.status == f"{count} voxels are outlined."
    panel.ui.restoreVersionButton.click()
    panel.wait()
    assert len(server.labels["CASE-1"]) == 3
    assert cells(table)[-1][0] == "3"


def test_a_server_without_learning_says_what_it_lacks(panel):
    with serving(FakeServer(has_learning=False)) as server:
        panel.connect(server.url)
        panel.ui.teachRefreshButton.click()
        panel.wait()
        assert "does not offer: corrections" in panel.status
        assert "models" in panel.status


def test_going_back_to_the_proposal_keeps_the_heatmap_on(panel, server, slice_views):
    panel.open_and_analyse(server.url)
    panel.ui.heatCheck.click()
    panel.paint(3, PATCH)
    panel.ui.proposalButton.click()  # gives the editor its nodes again
    heat = panel.workspace.heat.node.GetID()
    assert [view.composite.GetForegroundVolumeID() for view in slice_views] == [heat] * 3
