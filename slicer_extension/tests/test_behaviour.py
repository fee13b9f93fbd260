"""What goes wrong in practice: each time a clear sentence, and nothing lost."""

import hashlib
import threading
import types

import numpy as np
import pytest

from slicer_extension.tests import phantoms
from slicer_extension.tests.fake_server import FakeServer, serving
from slicer_extension.tests.harness.boot import spin

pytestmark = pytest.mark.slicer

PATCH = np.s_[2:4, 9:12, 10:13]


def edited_labels():
    array = phantoms.labels()
    array[PATCH] = 3
    return array


def nodes(kind):
    from TumorLensLib.volumes import of_class

    return of_class(kind)


# Waiting.


def test_the_panel_stays_free_while_a_request_runs_and_shows_how_long(panel, server):
    panel.connect(server.url).open("CASE-1")
    server.hold.clear()
    panel.ui.analyseButton.click()  # returns although the server waits
    assert panel.controller.jobs.current.name == "Analysing CASE-1"
    assert not panel.ui.analyseButton.enabled
    assert panel.ui.cancelButton.enabled
    assert panel.ui.progressBar.maximum == 0
    ticks = []
    spin(lambda: ticks.append(1) or len(ticks) > 20)
    assert panel.status.startswith("Analysing CASE-1 … ")
    server.hold.set()
    panel.wait()
    assert panel.ui.analyseButton.enabled
    assert not panel.ui.cancelButton.enabled
    assert panel.ui.progressBar.maximum == 1


def test_cancel_frees_the_panel_at_once_and_the_late_result_is_dropped(panel, server):
    panel.connect(server.url).open("CASE-1")
    server.hold.clear()
    panel.ui.analyseButton.click()
    spin(lambda: any(path == "/infer/analysis" for _, path, _ in server.requests))
    panel.ui.cancelButton.click()
    assert panel.ui.analyseButton.enabled
    assert panel.status == "Cancelled: Analysing CASE-1."
    server.hold.set()
    for _ in range(50):
        panel.controller.on_tick()
    assert panel.workspace.segmentation is None
    panel.analyse()
    assert panel.workspace.segmentation is not None


def test_cancel_breaks_the_connection_off(panel, server):
    panel.connect(server.url).open("CASE-1")
    server.hold.clear()
    panel.ui.analyseButton.click()
    spin(lambda: any(path == "/infer/analysis" for _, path, _ in server.requests))
    panel.ui.cancelButton.click()
    name = "TumorLens Analysing CASE-1"
    spin(lambda: name not in {thread.name for thread in threading.enumerate()}, 5)


def test_a_question_in_the_background_neither_ends_the_analysis_nor_is_cancelled_for_it(
    panel, server
):
    from TumorLensLib.session import State

    panel.connect(server.url).open("CASE-1")
    server.hold.clear()
    failures = []

    def fail(_client):
        raise ValueError("no answer")

    panel.controller.run("Asking", lambda client: client.label("CASE-9"), print)  # held, too
    panel.ui.analyseButton.click()
    panel.controller.run("Watching", fail, print, failed=failures.append, is_quiet=True)
    spin(lambda: failures)
    assert panel.session.state is State.ANALYSING
    panel.ui.cancelButton.click()  # the oldest one: the question, not the analysis
    assert panel.controller.jobs.current.name == "Analysing CASE-1"
    assert panel.session.state is State.ANALYSING
    server.hold.set()
    panel.wait()
    assert panel.session.proposal is not None


def test_a_request_that_takes_too_long_is_given_up_with_a_sentence(panel, server):
    panel.connect(server.url).open("CASE-1")
    server.hold.clear()
    panel.ui.analyseButton.click()
    panel.controller.jobs.current.timeout_s = 0.0
    panel.wait()
    assert panel.status == "Analysing CASE-1: no answer within 0 s."
    assert panel.ui.analyseButton.enabled


def test_two_cases_in_a_hurry_the_first_analysis_never_lands_on_the_second(panel, server):
    panel.connect(server.url).open("CASE-1")
    server.hold.clear()
    panel.ui.analyseButton.click()
    spin(lambda: any(path == "/infer/analysis" for _, path, _ in server.requests))
    panel.select("CASE-2")
    panel.ui.openButton.click()
    server.hold.set()
    panel.wait()
    assert panel.session.case.name == "CASE-2"
    assert panel.workspace.image.GetName() == "CASE-2"
    assert panel.workspace.segmentation is None


# Servers.


def test_nobody_at_the_address(panel):
    panel.connect("http://127.0.0.1:9")
    assert panel.status == (
        "No server answers at http://127.0.0.1:9. "
        "Start it (tumorlens serve) and check address and port."
    )
    assert panel.controller.client is None
    assert panel.ui.connectButton.enabled


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("0.0.0.0:8000", "0.0.0.0 means 'every address' to a server and none to a client."),
        ("ftp://x", "'ftp://x' is not a server address."),
        ("http://a b", "'http://a b' is not a server address."),
        ("http://host:99999", "'http://host:99999' is not a server address."),
        ("http://user:pw@host", "'http://user:pw@host' holds more than an address."),
    ],
)
def test_addresses_that_are_none(panel, typed, sentence):
    panel.connect(typed)
    assert panel.status.startswith(sentence)


def test_the_token_is_asked_for_and_sent(panel):
    with serving(FakeServer(token="secret-secret-secret")) as server:
        panel.connect(server.url)
        assert "the token is missing or wrong" in panel.status.lower()
        assert "Enter the token that the server printed" in panel.status
        panel.connect(server.url, "secret-secret-secret")
        assert panel.controller.client is not None


def test_something_else_answers_at_the_address(panel, server):
    server.fail["/info/"] = "html"
    panel.connect(server.url)
    assert "answered /info/ with status 502" in panel.status
    server.fail["/info/"] = (200, {"hello": "world"})
    panel.connect(server.url)
    assert "is no MONAI Label server" in panel.status
    assert panel.controller.client is None


def test_a_server_with_other_labels_is_refused(panel, server):
    server.server_labels = {"necrotic core": 1, "oedema": 2, "enhancing tumour": 4}
    panel.connect(server.url)
    assert "enhancing tumour: 3 here, 4 there" in panel.status
    assert panel.controller.client is None


def test_a_server_of_another_version_is_named(panel, server):
    server.schema_version = "2.0"
    panel.open_and_analyse(server.url)
    assert "replies of version 2.0; this panel reads version 1" in panel.status
    assert panel.workspace.segmentation is None


def test_a_server_without_explanations_still_segments(panel):
    with serving(FakeServer(models=("segmentation",), has_learning=False)) as server:
        panel.open_and_analyse(server.url)
        assert "does not offer explanations" in panel.status
        assert panel.workspace.segmentation is not None
        assert not panel.ui.explainButton.enabled
        assert not panel.ui.recomputeButton.enabled
        assert "does not offer a tumour type" in panel.ui.classificationLabel.text
        assert panel.ui.pointsLabel.text == "This server does not offer refinement."
        panel.paint(3, PATCH)
        panel.ui.submitButton.click()
        panel.wait()
        np.testing.assert_array_equal(server.labels["CASE-1"][-1].array, edited_labels())
        panel.open("CASE-1")
        np.testing.assert_array_equal(panel.workspace.current_label().array, edited_labels())


def test_a_case_that_cannot_be_explained_is_segmented_all_the_same(panel, server):
    refusal = {"code": "bad_input", "message": "the slice shows no head", "remedy": ""}
    server.fail["/infer/analysis"] = (400, refusal)
    panel.open_and_analyse(server.url)
    assert panel.status == (
        "Only the segments are shown, without explanation: the slice shows no head"
    )
    np.testing.assert_array_equal(panel.workspace.current_label().array, phantoms.labels())
    assert not panel.ui.explainButton.enabled


def test_a_segmentation_on_another_grid_is_not_shown(panel, server):
    moved = phantoms.OBLIQUE.copy()
    moved[0, 3] += 3.0
    server.strange_grid = moved
    panel.open_and_analyse(server.url)
    assert "does not lie on the image (3.0 mm away)" in panel.status
    assert panel.workspace.segmentation is None
    assert panel.ui.analyseButton.enabled


@pytest.mark.parametrize(
    ("failure", "sentence"),
    [
        ("torn", "The server's reply cannot be read: the reply ends in the middle."),
        ("drop", "broke off"),
        ((503, {"code": "busy", "message": "8 wait already", "remedy": "Try later."}),
         "8 wait already. Try later."),
        ((507, {"code": "storage", "message": "the disk is full", "remedy": "Free some."}),
         "The disk is full. Free some."),
    ],
)  # fmt: skip
def test_a_failed_analysis_leaves_the_case_as_it_was(panel, server, failure, sentence):
    panel.connect(server.url).open("CASE-1")
    server.fail["/infer/analysis"] = failure
    panel.analyse()
    assert sentence in panel.status
    assert panel.session.case.name == "CASE-1"
    del server.fail["/infer/analysis"]
    panel.connect(server.url).analyse()
    assert panel.workspace.segmentation is not None


def submitted_by_another(server, panel):
    """The panel opens a case and edits it; meanwhile somebody else submits a label of it."""
    panel.open_and_analyse(server.url).paint(3, PATCH)
    server.labels["CASE-1"] = [phantoms.labelmap()]


def test_who_submits_second_is_asked_and_may_keep_both(panel, server):
    submitted_by_another(server, panel)
    panel.ui.submitButton.click()
    panel.wait()
    title, question = panel.answers.asked[-1]
    assert title == "Somebody else was faster"
    assert "is at version 1, saved by bea; yours started from version 0. Submit" in question
    assert [info.get("base_version") for info in server.label_info] == [0]
    assert server.label_info[-1]["force"] is True
    np.testing.assert_array_equal(server.labels["CASE-1"][-1].array, edited_labels())
    panel.paint(2, PATCH)  # goes on from the version that was just submitted
    panel.ui.submitButton.click()
    panel.wait()
    assert server.label_info[-1]["base_version"] == 2
    assert "force" not in server.label_info[-1]


def test_who_submits_second_may_keep_the_changes_to_themselves(panel, server):
    submitted_by_another(server, panel)
    panel.answers.answer = lambda title, _text: title != "Somebody else was faster"
    panel.ui.submitButton.click()
    panel.wait()
    assert panel.status == "Not submitted; your changes are kept."
    assert len(server.labels["CASE-1"]) == 1
    assert panel.session.is_edited
    assert panel.ui.submitButton.enabled


def test_the_volume_that_a_label_was_drawn_on_is_told(panel, server):
    from TumorLensLib.volumefiles import write_nrrd

    panel.open_and_analyse(server.url).paint(3, PATCH)
    panel.ui.submitButton.click()
    panel.wait()
    content = write_nrrd(server.images["CASE-1"])
    assert server.label_info[-1]["image_sha256"] == hashlib.sha256(content).hexdigest()


def test_an_unsent_correction_knows_what_it_started_from(panel, server):
    submitted_by_another(server, panel)
    panel.controller.correct_panel.save_now()
    panel.session.is_edited = False
    panel.open("CASE-1")
    assert panel.session.origin.version == 0
    panel.ui.submitButton.click()
    panel.wait()
    assert panel.answers.titles[-1] == "Somebody else was faster"


class Box:
    """A message box that notes what it is told."""

    Question, Ok, Cancel = 4, 1, 2

    def __init__(self, _parent):
        self.told = {}

    def __getattr__(self, name):
        return lambda value: self.told.update({name: value})


@pytest.mark.parametrize(("is_html", "shown_as"), [(False, "plain"), (True, "rich")])
def test_what_a_server_says_is_plain_text_in_questions(panel, monkeypatch, is_html, shown_as):
    from TumorLensPanels import dialogs

    formats = types.SimpleNamespace(PlainText="plain", RichText="rich")
    monkeypatch.setattr(dialogs, "qt", types.SimpleNamespace(QMessageBox=Box, Qt=formats))
    told = dialogs.Dialogs()._box("<img src=x>", "title", is_html=is_html).told
    assert (told["setTextFormat"], told["setText"]) == (shown_as, "<img src=x>")


def test_tool_tips_show_text_as_it_is(panel):
    from TumorLensPanels import tables

    assert tables.plain_tip("<b>bold</b>") == "<qt>&lt;b&gt;bold&lt;/b&gt;</qt>"
    assert tables.plain_tip("") == ""


def test_a_server_that_goes_away_costs_no_edits(panel, tmp_path):
    with serving() as server:
        panel.open_and_analyse(server.url).paint(3, PATCH)
        server.fail["/datastore/label"] = "drop"
        panel.ui.submitButton.click()
        panel.wait()
        assert "broke off" in panel.status
        assert panel.ui.serverLabel.text.startswith("Connection lost")
        assert panel.session.is_edited
        assert not panel.ui.submitButton.enabled
        del server.fail["/datastore/label"]
        panel.connect(server.url)
        np.testing.assert_array_equal(panel.workspace.current_label().array, edited_labels())
        panel.ui.submitButton.click()
        panel.wait()
        np.testing.assert_array_equal(server.labels["CASE-1"][-1].array, edited_labels())


# Unsent work.


def test_closing_the_scene_while_a_request_runs_drops_its_result(panel, server):
    import slicer

    panel.connect(server.url).open("CASE-1")
    server.hold.clear()
    panel.ui.analyseButton.click()
    spin(lambda: any(path == "/infer/analysis" for _, path, _ in server.requests))
    slicer.mrmlScene.Clear()
    assert not panel.controller.jobs.is_running
    server.hold.set()
    for _ in range(50):
        panel.controller.on_tick()
    assert nodes("vtkMRMLSegmentationNode") == []
    assert panel.session.case is None
    assert panel.ui.caseLabel.text == "No case is open."
    panel.open("CASE-2").analyse()
    assert panel.workspace.segmentation is not None


def test_edits_survive_closing_the_scene(panel, server):
    import slicer

    panel.open_and_analyse(server.url).paint(3, PATCH)
    slicer.mrmlScene.Clear()
    assert panel.session.case is None
    panel.open("CASE-1")
    assert panel.answers.titles[-1] == "Unsent correction"
    np.testing.assert_array_equal(panel.workspace.current_label().array, edited_labels())
    np.testing.assert_array_equal(panel.session.proposal.array, phantoms.labels())
    assert panel.session.is_edited


def test_unsent_edits_are_offered_when_the_case_is_left_and_opened_again(panel, server):
    panel.open_and_analyse(server.url).paint(3, PATCH).open("CASE-2")
    assert panel.session.case.name == "CASE-2"
    statuses = [panel.ui.casesTable.item(row, 1).text() for row in range(3)]
    assert statuses == ["predicted, unsent changes here", "new", "new"]
    panel.open("CASE-1")
    np.testing.assert_array_equal(panel.workspace.current_label().array, edited_labels())


def test_staying_with_unsent_edits_is_possible(panel, server):
    panel.open_and_analyse(server.url).paint(3, PATCH)
    panel.answers.answer = False
    panel.open("CASE-2")
    assert panel.session.case.name == "CASE-1"
    np.testing.assert_array_equal(panel.workspace.current_label().array, edited_labels())


def test_a_declined_recovery_is_kept_aside_and_not_offered_again(panel, server, tmp_path):
    panel.open_and_analyse(server.url).paint(3, PATCH).open("CASE-2")
    panel.answers.answer = lambda title, _text: title != "Unsent correction"
    panel.open("CASE-1")
    assert panel.workspace.segmentation is None
    assert [p.suffix for p in (tmp_path / "unsent").iterdir()] == [".declined"]
    asked = len(panel.answers.asked)
    panel.open("CASE-2").open("CASE-1")
    assert len(panel.answers.asked) == asked


def test_a_submitted_correction_is_not_offered_again(panel, server, tmp_path):
    panel.open_and_analyse(server.url).paint(3, PATCH)
    panel.controller.correct_panel.autosave()
    panel.wait()
    assert len(list((tmp_path / "unsent").iterdir())) == 1
    assert panel.ui.autosaveLabel.text == "Unsent changes, saved on this computer."
    panel.ui.submitButton.click()
    panel.wait()
    assert list((tmp_path / "unsent").iterdir()) == []


def test_the_autosave_timer_starts_with_the_first_edit(panel, server):
    timer = panel.controller.correct_panel._autosave_timer
    panel.open_and_analyse(server.url)
    assert not timer.active
    panel.paint(3, PATCH)
    assert timer.active
    timer.timeout.emit()
    panel.wait()
    assert panel.ui.autosaveLabel.text == "Unsent changes, saved on this computer."


def test_a_full_disk_is_told_and_the_edits_stay_open(panel, server, monkeypatch):
    from TumorLensLib import autosave

    panel.open_and_analyse(server.url).paint(3, PATCH)

    def full(*_arguments, **_options):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(autosave.np, "savez_compressed", full)
    panel.controller.correct_panel.autosave()
    panel.wait()
    assert "No space left on device" in panel.ui.autosaveLabel.text
    panel.open("CASE-2")  # refused: the edits could not be saved
    assert panel.session.case.name == "CASE-1"
    np.testing.assert_array_equal(panel.workspace.current_label().array, edited_labels())


def test_a_new_analysis_asks_before_it_replaces_edits(panel, server):
    panel.open_and_analyse(server.url).paint(3, PATCH)
    panel.answers.answer = False
    panel.analyse()
    np.testing.assert_array_equal(panel.workspace.current_label().array, edited_labels())
    panel.answers.answer = True
    panel.analyse()
    assert "undo state" in panel.ui.editor.calls
    np.testing.assert_array_equal(panel.workspace.current_label().array, phantoms.labels())


def test_a_stray_segment_is_named_and_nothing_is_sent(panel, server):
    panel.open_and_analyse(server.url)
    panel.workspace.segmentation.GetSegmentation().AddEmptySegment("", "Segment_1")
    panel.ui.submitButton.click()
    panel.wait()
    assert "'Segment_1' belong to no class" in panel.status
    assert server.labels == {}


def test_a_scene_that_was_saved_with_a_case_is_taken_up_again(panel, server):
    panel.open_and_analyse(server.url).paint(3, PATCH)
    workspace = panel.workspace
    image, segmentation = workspace.image, workspace.segmentation
    workspace._stop_observing()
    workspace.image = workspace.segmentation = None  # as in a new session of the application
    panel.session.closed()
    panel.widget.onSceneEndImport(None, None)
    assert panel.session.case.name == "CASE-1"
    assert panel.workspace.image is image
    assert panel.workspace.segmentation is segmentation
    np.testing.assert_array_equal(panel.workspace.current_label().array, edited_labels())
    assert panel.ui.submitButton.enabled


# Consent.


def test_nothing_is_sent_before_the_user_agreed(panel, server):
    panel.open_and_analyse(server.url)
    panel.answers.answer = lambda title, _text: title != "Send data"
    panel.ui.submitButton.click()
    panel.wait()
    assert panel.status == "Nothing was sent."
    assert server.labels == {}
    question = panel.answers.asked[-1][1]
    assert server.url in question
    assert "runs on this computer" in question


def test_the_user_is_asked_once_for_each_server_until_the_permission_is_withdrawn(panel, server):
    panel.open_and_analyse(server.url)
    for expected in (1, 1):
        panel.ui.submitButton.click()
        panel.wait()
        assert panel.answers.titles.count("Send data") == expected
    panel.ui.forgetConsentButton.click()
    panel.ui.submitButton.click()
    panel.wait()
    assert panel.answers.titles.count("Send data") == 2


def test_another_computer_without_encryption_is_named_as_such(panel):
    from TumorLensLib.transport import parse_address

    panel.controller.may_send(parse_address("http://scanner:8000"))
    assert "another computer, and the connection is NOT encrypted" in panel.answers.asked[-1][1]
    panel.controller.may_send(parse_address("https://scanner"))
    assert "the connection is encrypted" in panel.answers.asked[-1][1]


# Housekeeping.


def test_closing_a_case_leaves_no_node_behind(panel, server):
    def count():
        kinds = ("vtkMRMLVolumeNode", "vtkMRMLSegmentationNode", "vtkMRMLMarkupsNode")
        return [len(nodes(kind)) for kind in kinds]

    panel.connect(server.url)
    before = count()
    panel.ui.uncertaintyCheck.checked = True
    panel.open("CASE-1").analyse()
    panel.ui.explainButton.click()
    panel.ui.uncertainCheck.checked = True
    panel.controller.question_panel.on_link(qurl("evidence:e1"))
    panel.workspace.close_case()
    assert count() == before


def qurl(text):
    import qt

    return qt.QUrl(text)


def test_leaving_the_module_switches_effects_and_shortcuts_off(panel, server):
    panel.open_and_analyse(server.url)
    panel.ui.editor.setActiveEffectByName("Paint")
    panel.widget.exit()
    assert panel.ui.editor.mrmlSegmentEditorNode().GetActiveEffectName() == ""
    assert panel.ui.editor.calls[-2:] == ["views off", "shortcuts off"]
    assert panel.controller.shortcuts._installed == []
    panel.widget.enter()
    assert len(panel.controller.shortcuts._installed) == 10


def test_keys_press_the_buttons_that_name_them(panel, server):
    panel.open_and_analyse(server.url).paint(3, PATCH)
    keys = {s.key.toString(): press for s, press in panel.controller.shortcuts._installed}
    texts = " ".join(
        str(getattr(w, "text", "")) + str(w.toolTip)
        for w in vars(panel.ui).values()
        if hasattr(w, "toolTip")
    )
    assert sorted(key for key in keys if f"({key})" not in texts) == []
    keys["Ctrl+Shift+G"]()
    assert not panel.workspace.segmentation.GetDisplayNode().GetVisibility()
    keys["Ctrl+Shift+D"]()
    assert panel.workspace.marks.node is not None
    keys["Ctrl+Shift+R"]()  # no point was placed: the button is off, and so is its key
    assert not panel.controller.jobs.is_running
    keys["Ctrl+Shift+N"]()
    panel.wait()
    assert panel.session.case.name == "CASE-2"


def test_a_restarted_server_that_forgot_the_volumes_says_so(panel, server):
    from TumorLensLib import volumes

    volumes.add_image(phantoms.image(), "T1ce").SetAttribute(volumes.OWNER, None)
    panel.connect(server.url)
    panel.ui.recogniseButton.click()
    panel.ui.useSceneButton.click()
    panel.wait()
    server.sessions.clear()
    panel.analyse()
    assert panel.status == "No such session. Upload the volumes again."
    assert panel.ui.useSceneButton.enabled


def test_the_editor_gets_the_segments_before_the_volume(panel, server):
    panel.open_and_analyse(server.url)
    calls = [c for c in panel.ui.editor.calls if c in ("segmentation", "source")]
    assert calls[-2:] == ["segmentation", "source"]
    assert panel.ui.editor.segmentationNode() is panel.workspace.segmentation
    assert panel.ui.editor.sourceVolumeNode() is panel.workspace.image
    assert not panel.ui.editor.addRemoveSegmentButtonsVisible


def test_widgets_are_not_touched_from_workers(panel, server):
    panel.connect(server.url)
    caught = []

    def work(_client):
        try:
            panel.ui.statusLabel.text = "from a worker"
        except RuntimeError as error:
            caught.append(str(error))

    panel.controller.run("Trying", work, lambda _result: None)
    panel.wait()
    assert caught == ["a widget was touched from a worker thread"]
