"""Tab Correct: edit, refine, compare, judge and submit."""

from __future__ import annotations

import time
from html import escape
from typing import Any

import qt
import slicer
from TumorLensLib import rationale
from TumorLensLib.client import Client, InferReply
from TumorLensLib.colours import CHANGED
from TumorLensLib.labels import CORRECT_TYPES, SCHEMES
from TumorLensLib.refine import click_params
from TumorLensLib.segments import SegmentError
from TumorLensLib.session import Action, Origin
from TumorLensLib.submission import Remarks, submit
from TumorLensLib.transport import RefusedError, ServerError
from TumorLensLib.volumefiles import VolumeData

from TumorLensPanels import tables
from TumorLensPanels.panel import Panel

AUTOSAVE_MS = 10_000
EFFECTS = (
    "Paint",
    "Draw",
    "Erase",
    "Level tracing",
    "Grow from seeds",
    "Fill between slices",
    "Margin",
    "Smoothing",
    "Scissors",
    "Islands",
    "Logical operators",
)
VERDICTS = ("", "right", "wrong", "unclear")
CONFLICT = 409


class CorrectPanel(Panel):
    """Tab Correct."""

    def setup(self) -> None:
        """Connect signals."""
        ui = self.ui
        self._opened_at_s = time.monotonic()
        self._editor_node: Any = None
        self._verdicts: list[qt.QComboBox] = []
        self._judged: tuple[str, ...] = ()
        self._judged_case: Any = None
        tables.prepare(ui.verdictTable)
        rows = ui.verdictTable.verticalHeader()
        rows.setSectionResizeMode(qt.QHeaderView.ResizeToContents)  # sentences are not cut off
        ui.tumourPointsButton.toggled.connect(self.on_tumour_points)
        ui.otherPointsButton.toggled.connect(self.on_other_points)
        ui.clearPointsButton.clicked.connect(self.on_clear_points)
        ui.refineButton.clicked.connect(self.on_refine)
        ui.changesCheck.toggled.connect(self.on_changes)
        ui.compareButton.clicked.connect(self.on_compare)
        ui.proposalButton.clicked.connect(self.on_proposal)
        ui.submitButton.clicked.connect(self.on_submit)
        self._autosave_timer = qt.QTimer()
        self._autosave_timer.setSingleShot(True)
        self._autosave_timer.setInterval(AUTOSAVE_MS)
        self._autosave_timer.timeout.connect(self.autosave)

    # The embedded segment editor.

    def attach_editor(self) -> None:
        """Give the editor the scene and a node of its own."""
        editor, scene = self.ui.editor, slicer.mrmlScene
        node = scene.GetSingletonNode("TumorLens", "vtkMRMLSegmentEditorNode")
        if node is None:
            node = slicer.vtkMRMLSegmentEditorNode()
            node.SetSingletonTag("TumorLens")
            node = scene.AddNode(node)
        node.SetOverwriteMode(slicer.vtkMRMLSegmentEditorNode.OverwriteAllSegments)
        self._editor_node = node
        editor.setMRMLScene(scene)
        editor.setMRMLSegmentEditorNode(node)
        editor.segmentationNodeSelectorVisible = False
        editor.sourceVolumeNodeSelectorVisible = False
        editor.addRemoveSegmentButtonsVisible = False
        editor.autoShowSourceVolumeNode = False  # else it hides the heatmap and the marks
        editor.setEffectNameOrder(list(EFFECTS))
        editor.unorderedEffectsVisible = False

    def release_editor(self) -> None:
        """Let go of the nodes before they vanish."""
        if self._editor_node is not None:
            self.ui.editor.setActiveEffect(None)
            self.ui.editor.setSegmentationNode(None)
            self.ui.editor.setSourceVolumeNode(None)

    def enter(self) -> None:
        """The module comes on screen."""
        self.ui.editor.setupViewObservations()
        self.ui.editor.installKeyboardShortcuts()

    def exit(self) -> None:
        """The module leaves the screen: no effect may stay active behind another module."""
        if self._editor_node is not None:
            self.ui.editor.setActiveEffect(None)
        self.ui.editor.removeViewObservations()
        self.ui.editor.uninstallKeyboardShortcuts()
        self.ui.tumourPointsButton.checked = False
        self.ui.otherPointsButton.checked = False

    def keep_for_undo(self) -> None:
        """Let the editor's undo bring back what is there now."""
        self.ui.editor.saveStateForUndo()

    # Edits and autosave.

    def on_edited(self) -> None:
        """A segment changed; save it soon."""
        self.ui.autosaveLabel.text = self.t("Unsent changes.")
        if not self._autosave_timer.active:
            self._autosave_timer.start()
        self.ui.submitButton.enabled = self.session.can(Action.SUBMIT)

    def stop(self) -> None:
        """No more timers."""
        self._autosave_timer.stop()

    def autosave(self) -> None:
        """Save unsent changes from a worker."""
        state = self._to_save()
        if state is None:
            return
        controller = self.controller

        def done(_path: Any) -> None:
            self.ui.autosaveLabel.text = self.t("Unsent changes, saved on this computer.")

        def failed(error: Exception) -> None:
            self.ui.autosaveLabel.text = controller.sentence(error)
            controller.tell(controller.sentence(error), is_problem=True)

        controller.run(
            self.t("Saving"),
            lambda _client: controller.autosave.save(*state),
            done,
            failed=failed,
            is_quiet=True,
        )

    def save_now(self) -> bool:
        """Save unsent changes at once; False if that failed, which the user is told."""
        state = self._to_save()
        if state is None:
            return True
        self._autosave_timer.stop()
        try:
            self.controller.autosave.save(*state)
        except OSError as error:
            self.controller.tell(self.controller.sentence(error), is_problem=True)
            return False
        return True

    def _to_save(self) -> tuple[str, str, VolumeData, VolumeData, str, Origin] | None:
        controller, session = self.controller, self.session
        if not session.is_edited or session.case is None or controller.client is None:
            return None
        label = self._label()
        if label is None or session.proposal is None:
            return None
        server = str(controller.client.address)
        name, before = session.case.name, session.proposal
        return server, name, label, before, session.scheme, session.origin

    def _label(self) -> VolumeData | None:
        """Labelmap of the segments; None if they are none, which the user is told."""
        try:
            return self.workspace.current_label()
        except SegmentError as error:
            self.controller.tell(self.controller.sentence(error), is_problem=True)
            return None

    # Points.

    def on_tumour_points(self, _checked: bool = False) -> None:
        """Place points that are tumour."""
        self._place("positive", self.ui.tumourPointsButton, self.ui.otherPointsButton)

    def on_other_points(self, _checked: bool = False) -> None:
        """Place points that are not."""
        self._place("negative", self.ui.otherPointsButton, self.ui.tumourPointsButton)

    def _place(self, kind: str, button: qt.QAbstractButton, other: qt.QAbstractButton) -> None:
        if button.checked:
            other.checked = False
            self.ui.editor.setActiveEffect(None)
            if self.ui.strokesCheck.checked:
                self.workspace.clicks.start_stroke(kind, int(self.ui.pointLabelCombo.currentData))
            else:
                self.workspace.clicks.start_placing(kind)
            self.controller.tell(self.t("Click into the slices; press the button again to end."))
        elif not other.checked:
            self.workspace.clicks.stop_placing()
        self.update()

    def on_clear_points(self, _checked: bool = False) -> None:
        """Remove all points."""
        self.ui.tumourPointsButton.checked = False
        self.ui.otherPointsButton.checked = False
        self.workspace.clicks.clear()
        self.update()

    def on_refine(self, _checked: bool = False) -> None:
        """Let the server improve the segments from the points."""
        controller, workspace = self.controller, self.workspace
        self.ui.tumourPointsButton.checked = False
        self.ui.otherPointsButton.checked = False
        strokes = workspace.clicks.stroke_labelmap(workspace.image)
        try:
            params = click_params(
                workspace.clicks.voxels("positive", workspace.image),
                workspace.clicks.voxels("negative", workspace.image),
                int(self.ui.pointLabelCombo.currentData),
                has_strokes=strokes is not None,
            )
        except ValueError as error:
            controller.tell(controller.sentence(error), is_problem=True)
            return
        label, case = self._label(), self.session.case
        if label is None or not self._may_send():
            return

        def done(reply: InferReply) -> None:
            if self.session.case is not case:
                return
            refined = reply.volumes.get("image")
            if refined is None:
                raise ServerError(self.t("The server sent no refined segments."))
            self.session.failed()  # back to the review that the request began in
            self.keep_for_undo()
            workspace.show_correction(refined)
            workspace.clicks.clear()
            controller.case_changed()
            self.on_edited()
            controller.tell(self.t("The segments were refined; check them."))

        controller.run(
            self.t("Refining"),
            lambda client: client.infer("refine", case.query, params, label, strokes),
            done,
            action=Action.REFINE,
            timeout_s=900.0,
        )

    # Comparison.

    def on_compare(self, _checked: bool = False) -> None:
        """Compare the segments with the proposal."""
        if self.session.proposal is None:
            self.ui.compareLabel.text = ""
            return
        label = self._label()
        if label is None:
            return
        comparison = self.workspace.comparison(label)
        self.ui.compareLabel.text = rationale.comparison_html(
            comparison, self.controller.t, self.controller.theme
        )
        self.controller.see_panel.show_volumes(label)
        if self.ui.changesCheck.checked:
            self.workspace.outline_changes(label)

    def on_changes(self, _checked: bool = False) -> None:
        """Outline changed voxels, or no longer."""
        if self.ui.changesCheck.checked:
            self.on_compare()
        elif self.workspace.marks.has(CHANGED):
            self.workspace.marks.hide(CHANGED)

    def on_proposal(self, _checked: bool = False) -> None:
        """Go back to the proposal."""
        question = self.t("Replace the segments by the proposal? Undo brings your edits back.")
        if not self.controller.dialogs.confirm(question, self.t("Back to the proposal")):
            return
        self.keep_for_undo()
        session = self.session
        self.workspace.show_label(session.proposal, session.scheme, session.reply)
        self.controller.case_changed()

    # Submission.

    def verdicts(self) -> list[dict[str, Any]]:
        """Judged sentences."""
        analysis = self.workspace.analysis
        if analysis is None:
            return []
        return [
            {
                "text": sentence.text,
                "verdict": combo.currentData,
                "evidence": list(sentence.evidence),
            }
            for sentence, combo in zip(analysis.sentences, self._verdicts, strict=True)
            if combo.currentData
        ]

    def on_submit(self, _checked: bool = False) -> None:
        """Show a summary, then send labelmap, type and verdicts."""
        controller, session = self.controller, self.session
        label = self._label()
        if label is None:
            return
        tumor_type = self.ui.typeCombo.currentData or ""
        reason, verdicts = self.ui.reasonEdit.text.strip(), self.verdicts()
        if tumor_type and not reason:
            controller.tell(self.t("Say what shows the type (field Because)."), is_problem=True)
            return
        self.save_now()
        if not self._may_send():
            return
        summary = self._summary(label, tumor_type, verdicts)
        title = self.t("Submit the correction")
        if not controller.dialogs.confirm(summary, title, is_html=True):
            controller.tell(self.t("Not submitted; your changes are kept."))
            return
        models = session.reply.get("models") or [{}]
        model = f"{models[0].get('name', '')} {models[0].get('version', '')}".strip()
        info = {
            "seconds_spent": round(time.monotonic() - self._opened_at_s),
            "heat_open": "heatmap" in session.was_shown,
            "text_open": "rationale" in session.was_shown,
            **session.origin.told,
        }
        self._send(label, info, Remarks(tumor_type, reason, verdicts, model))

    def _send(self, label: VolumeData, info: dict[str, Any], said: Remarks) -> None:
        """Send a correction; where another one came in between, ask whether to send it anyway."""
        controller, session = self.controller, self.session
        case = session.case

        def work(client: Client) -> tuple[dict[str, Any], list[tuple[str, str]]]:
            return submit(client, case.name, label, info, said)

        def done(result: tuple[dict[str, Any], list[tuple[str, str]]]) -> None:
            stored, problems = result
            version = stored.get("version")
            session.submitted(version if isinstance(version, int) else None)
            controller.autosave.remove(str(controller.client.address), case.name)
            self._autosave_timer.stop()
            session.proposal = label
            self.ui.autosaveLabel.text = self.t(
                "Submitted as version {version}.", version=stored.get("version", "?")
            )
            if problems:
                text = self.t(
                    "The segments are stored, but not everything: {what}. Submit again to retry.",
                    what="; ".join(f"{self.t(n)}: {self.told(e)}" for n, e in problems),
                )
                controller.tell(text, is_problem=True)
            else:
                self.ui.typeCombo.setCurrentIndex(0)
                self.ui.reasonEdit.text = ""
                self._judged_case = None  # what was sent is not sent again
                self._list_sentences()
                warned = [self.told(str(w)) for w in stored.get("warnings") or ()]
                told = self.t("Submitted '{case}'.", case=case.name)
                controller.tell(" ".join([told, *warned]), is_problem=bool(warned))
            self.on_compare()
            controller.case_panel.refresh()

        def failed(error: Exception) -> None:
            is_conflict = isinstance(error, RefusedError) and error.status == CONFLICT
            if not is_conflict or info.get("force"):
                return
            question = self.t(
                "{what} Submit yours anyway? Both are kept. Otherwise your changes stay here.",
                what=controller.sentence(ServerError(str(error))),
            )
            if controller.dialogs.confirm(question, self.t("Somebody else was faster")):
                self._send(label, {**info, "force": True}, said)
            else:
                controller.tell(self.t("Not submitted; your changes are kept."))

        controller.run(
            self.t("Submitting {case}", case=case.name),
            work,
            done,
            action=Action.SUBMIT,
            timeout_s=300.0,
            failed=failed,
        )

    def _summary(self, label: VolumeData, tumor_type: str, verdicts: list[dict[str, Any]]) -> str:
        theme = self.controller.theme
        lines = [
            self.t(
                "Submit '{case}' to {host}?",
                case=escape(self.session.case.name),
                host=escape(str(self.controller.client.address)),
            ),
            rationale.comparison_html(self.workspace.comparison(label), self.controller.t, theme),
        ]
        if tumor_type:
            lines.append(self.t("Type: {type}", type=self.t(tumor_type)))
        if verdicts:
            lines.append(self.t("{count} sentences are judged.", count=len(verdicts)))
        return "<br>".join(lines)

    def _may_send(self) -> bool:
        controller = self.controller
        if controller.client is None:
            controller.tell(self.t("Connect to a server first (tab Case)."), is_problem=True)
            return False
        return controller.may_send(controller.client.address)

    # State.

    def retranslate(self) -> None:
        """The language changed."""
        entries = [(self.t("as predicted"), ""), *((self.t(n), n) for n in CORRECT_TYPES)]
        tables.fill_combo(self.ui.typeCombo, entries)
        self._list_labels()
        self._list_sentences()

    def _list_labels(self) -> None:
        classes = sorted(SCHEMES[self.session.scheme], key=lambda one: -one.value)
        entries = [(self.t(one.name), one.value) for one in classes]
        tables.fill_combo(self.ui.pointLabelCombo, entries)

    def _list_sentences(self) -> None:
        analysis, table = self.workspace.analysis, self.ui.verdictTable
        sentences = analysis.sentences if analysis is not None else ()
        headers = [self.t("Verdict"), self.t("Sentence")]
        tables.fill(table, headers, [("", sentence.text) for sentence in sentences])
        case = self.session.case
        chosen = {} if case is not self._judged_case else self._chosen()
        for combo in self._verdicts:
            combo.hide()  # the table deletes it later
        self._verdicts, self._judged_case = [], case
        for row, sentence in enumerate(sentences):
            combo = qt.QComboBox()
            for verdict in VERDICTS:
                combo.addItem(self.t(verdict) if verdict else "–", verdict)
            combo.setCurrentIndex(max(combo.findData(chosen.get(sentence.text, "")), 0))
            table.setCellWidget(row, 0, combo)
            self._verdicts.append(combo)
        self._judged = tuple(sentence.text for sentence in sentences)

    def _chosen(self) -> dict[str, str]:
        """Verdicts by sentence, as they are in the table."""
        return {
            text: combo.currentData
            for text, combo in zip(self._judged, self._verdicts, strict=True)
        }

    def on_case(self) -> None:
        """Give the editor the new segments."""
        ui, workspace = self.ui, self.workspace
        self._opened_at_s = time.monotonic()
        ui.editor.setSegmentationNode(workspace.segmentation)  # before the volume: it needs it
        ui.editor.setSourceVolumeNode(workspace.image if workspace.segmentation else None)
        ui.changesCheck.checked = False
        ui.compareLabel.text = ""
        ui.autosaveLabel.text = self.t("Unsent changes.") if self.session.is_edited else ""
        self._list_labels()
        self._list_sentences()

    def on_analysis(self) -> None:
        """List the sentences of the new reply."""
        self._list_sentences()

    def update(self) -> None:
        """Enable what fits the state."""
        ui, session = self.ui, self.session
        can_edit = session.can(Action.EDIT)
        offers_refine = self.controller.offers("models", "refine")
        self.enable(can_edit, ui.editor, ui.compareButton, ui.changesCheck, ui.proposalButton)
        can_refine = offers_refine and session.can(Action.REFINE)
        self.enable(can_refine, ui.tumourPointsButton, ui.otherPointsButton, ui.clearPointsButton)
        self.enable(can_refine, ui.pointLabelCombo, ui.strokesCheck)
        clicks = self.workspace.clicks
        counts = clicks.count("positive"), clicks.count("negative"), clicks.stroke_count()
        ui.refineButton.enabled = can_refine and any(counts)
        if self.controller.client is not None and not offers_refine:
            ui.pointsLabel.text = self.t("This server does not offer refinement.")
        else:
            ui.pointsLabel.text = self.t(
                "{yes} tumour, {no} not, {strokes} strokes",
                yes=counts[0],
                no=counts[1],
                strokes=counts[2],
            )
        is_stored = session.case is not None and session.case.is_stored
        ui.submitButton.enabled = session.can(Action.SUBMIT) and is_stored
        self.enable(can_edit and is_stored, ui.typeCombo, ui.reasonEdit, ui.verdictTable)
