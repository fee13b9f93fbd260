"""Tab Teach, for researchers: corrections, retraining, promotion and history."""

from __future__ import annotations

import datetime
from typing import Any

import qt
from TumorLensLib import rationale, training
from TumorLensLib.cases import shortened
from TumorLensLib.client import Client
from TumorLensLib.session import Origin
from TumorLensLib.transport import ServerError
from TumorLensLib.volumefiles import VolumeData

from TumorLensPanels import curves, tables
from TumorLensPanels.panel import Panel

WATCH_MS = 2000
MAX_CURVES = 4


class TeachPanel(Panel):
    """Tab Teach."""

    def setup(self) -> None:
        """Connect signals."""
        ui = self.ui
        self.versions: list[training.ModelVersion] = []
        self.state: training.TrainingState | None = None
        self._corrections: list[dict[str, Any]] = []
        self._history: list[dict[str, Any]] = []
        self._is_watching = False
        for table in (ui.correctionsTable, ui.modelsTable, ui.historyTable):
            tables.prepare(table)
            table.itemSelectionChanged.connect(self.update)
        ui.optionsTable.verticalHeader().setVisible(False)
        ui.optionsTable.horizontalHeader().setStretchLastSection(True)
        ui.teachRefreshButton.clicked.connect(self.refresh)
        ui.acceptButton.clicked.connect(lambda: self.on_review("reviewed"))
        ui.rejectButton.clicked.connect(lambda: self.on_review("rejected"))
        ui.trainerCombo.currentIndexChanged.connect(self.on_trainer)
        ui.trainButton.clicked.connect(self.on_train)
        ui.stopButton.clicked.connect(self.on_stop)
        ui.tryButton.clicked.connect(lambda: self.on_promote(dry_run=True))
        ui.promoteButton.clicked.connect(lambda: self.on_promote(dry_run=False))
        ui.rollbackButton.clicked.connect(self.on_rollback)
        ui.historyButton.clicked.connect(self.on_history)
        ui.showVersionButton.clicked.connect(self.on_show_version)
        ui.restoreVersionButton.clicked.connect(self.on_restore_version)
        ui.tabs.currentChanged.connect(self._on_tab)
        self._watch_timer = qt.QTimer()
        self._watch_timer.setInterval(WATCH_MS)
        self._watch_timer.timeout.connect(self.watch)

    def _on_tab(self, _index: int = 0) -> None:
        is_here = self.ui.tabs.currentWidget() == self.ui.teachTab
        if is_here and self.controller.client is not None and not self.versions:
            self.refresh()

    def on_connected(self) -> None:
        """List the trainers of the server."""
        trainers = self.controller.server_info.get("trainers") or {}
        tables.fill_combo(self.ui.trainerCombo, [(name, name) for name in sorted(trainers)])
        self.on_trainer()

    # Corrections and models.

    def refresh(self, _checked: bool = False, *, is_quiet: bool = False) -> None:
        """Fetch corrections, versions and the state of the training.

        Args:
            is_quiet: Follows something else, whose message stays in the status line.
        """

        def work(client: Client) -> tuple[Any, Any, Any, list[tuple[str, ServerError]]]:
            answers: list[Any] = []
            missing: list[tuple[str, ServerError]] = []
            for name, ask in (
                ("corrections", client.corrections),
                ("models", client.models),
                ("training", client.train_status),
            ):
                try:
                    answers.append(ask())
                except ServerError as error:
                    answers.append(None)
                    missing.append((name, error))
            if len(missing) == len(answers):
                client.info()  # raises what is really wrong
            return answers[0], answers[1], answers[2], missing

        def done(result: tuple[Any, Any, Any, list[tuple[str, ServerError]]]) -> None:
            corrections, models, status, missing = result
            self._corrections = corrections or []
            self.versions = training.parse_models(models or {})
            self._show_corrections()
            self._show_models()
            if status is not None:
                self._show_training(training.parse_training(status))
            if missing and not is_quiet:
                what = "; ".join(f"{self.t(n)} ({self.told(str(e))})" for n, e in missing)
                text = self.t("This server does not offer: {what}.", what=what)
                self.controller.tell(text)

        what = self.t("Asking for corrections and models")
        self.controller.run(what, work, done, is_quiet=is_quiet)

    def _show_corrections(self) -> None:
        headers = [
            self.t(text) for text in ("Number", "Case", "What", "State", "By", "When", "For")
        ]
        rows = [
            (
                c.get("id", "?"),
                c.get("case_id", ""),
                self.t(str(c.get("kind", ""))),
                self.t(str(c.get("state", ""))),
                c.get("annotator") or "",
                _when(c.get("at")),
                self.t(str(c.get("part", ""))),
            )
            for c in self._corrections
        ]
        waiting = sum(c.get("state") == "submitted" for c in self._corrections)
        self.ui.waitingLabel.text = (
            self.t("{count} wait for a review.", count=waiting)
            if self._corrections
            else self.t("Nothing was corrected yet.")
        )
        tables.fill(self.ui.correctionsTable, headers, rows, flexible=1)

    def on_review(self, decision: str) -> None:
        """Accept or reject the chosen correction."""
        row = self.ui.correctionsTable.currentRow()
        if not 0 <= row < len(self._corrections):
            return
        chosen = self._corrections[row]
        number = chosen.get("id")
        note = self.ui.noteEdit.text.strip()

        def done(_reply: dict[str, Any]) -> None:
            self.ui.noteEdit.text = ""
            self.refresh(is_quiet=True)

        self.controller.run(
            self.t("Reviewing"), lambda client: client.review(number, decision, note), done
        )

    def _show_models(self) -> None:
        metrics = training.common_metrics(self.versions)
        self._show_gate(None)
        headers = [self.t(text) for text in ("Model", "Version", "State", "Created", "From")]
        rows = [
            (
                v.model,
                v.version,
                self.t("active") if v.is_active else self.t(v.state),
                v.created,
                v.parent,
                *(f"{v.metrics[m]:.3f}" if m in v.metrics else "–" for m in metrics),
            )
            for v in self.versions
        ]
        tables.fill(self.ui.modelsTable, [*headers, *map(self.told, metrics)], rows)
        self._draw_curve(metrics)

    def _draw_curve(self, metrics: list[str]) -> None:
        names = {v.model for v in self.versions}
        model = self.ui.trainerCombo.currentData
        model = model if model in names else (sorted(names)[0] if names else "")
        shown = [v for v in self.versions if v.model == model]
        lines = {
            m: [v.metrics.get(m) for v in shown]
            for m in metrics
            if any(0.0 <= v.metrics.get(m, -1.0) <= 1.0 for v in shown)
        }
        lines = dict(list(lines.items())[:MAX_CURVES])
        is_worth_it = bool(lines) and len(shown) > 1
        self.ui.curveLabel.visible = is_worth_it
        if is_worth_it:
            labels = [v.version for v in shown]
            picture = curves.draw(lines, labels, self.controller.theme.text)
            self.ui.curveLabel.setPixmap(picture)

    def _chosen_version(self) -> training.ModelVersion | None:
        row = self.ui.modelsTable.currentRow()
        return self.versions[row] if 0 <= row < len(self.versions) else None

    def on_promote(self, *, dry_run: bool) -> None:
        """Ask the gate about the chosen version, or let it answer requests."""
        chosen, controller = self._chosen_version(), self.controller
        if chosen is None:
            return
        question = self.t(
            "Let {model} {version} answer all requests from now on?",
            model=chosen.model,
            version=chosen.version,
        )
        if not dry_run and not controller.dialogs.confirm(question, self.t("Promote")):
            return

        def done(reply: dict[str, Any]) -> None:
            passed = reply.get("promote") if dry_run else reply.get("active") == chosen.version
            self._show_gate(training.parse_gate(reply) if dry_run else None)
            reasons = reply.get("reasons")
            why = (
                "; ".join(self.told(str(one)) for one in reasons)
                if isinstance(reasons, list)
                else ""
            )
            if dry_run:
                text = self.t("It would pass.") if passed else self.t("It would not pass.")
            else:
                text = self.t("Promoted.") if passed else self.t("Not promoted.")
            if not dry_run:
                self.refresh(is_quiet=True)
            controller.tell(f"{text} {why}".strip())

        controller.run(
            self.t("Asking the promotion gate"),
            lambda client: client.promote(chosen.model, chosen.version, dry_run=dry_run),
            done,
            timeout_s=600.0,
        )

    def _show_gate(self, report: training.GateReport | None) -> None:
        """Candidate beside the current version, comparison by comparison."""
        text = (
            rationale.gate_html(report, self.controller.t, self.controller.theme) if report else ""
        )
        self.ui.gateLabel.text = text
        self.ui.gateLabel.visible = bool(text)

    def on_rollback(self, _checked: bool = False) -> None:
        """Go back to the version before."""
        chosen, controller = self._chosen_version(), self.controller
        if chosen is None:
            return
        question = self.t("Roll {model} back to the version before?", model=chosen.model)
        if not controller.dialogs.confirm(question, self.t("Roll back")):
            return

        def done(_reply: dict[str, Any]) -> None:
            controller.tell(self.t("Rolled back."))
            self.refresh(is_quiet=True)

        controller.run(self.t("Rolling back"), lambda client: client.rollback(chosen.model), done)

    # Training.

    def on_trainer(self, _index: int = 0) -> None:
        """Show the options of the chosen trainer."""
        trainers = self.controller.server_info.get("trainers") or {}
        trainer = trainers.get(self.ui.trainerCombo.currentData) or {}
        config = trainer.get("config") if isinstance(trainer, dict) else None
        rows = [
            (name, value)
            for name, value in (config or {}).items()
            if isinstance(value, (str, int, float, bool))
        ]
        table = self.ui.optionsTable
        tables.fill(table, [self.t("Option"), self.t("Value")], rows)
        self._defaults = dict(rows)
        self._draw_curve(training.common_metrics(self.versions))
        self.update()

    def options(self) -> dict[str, Any]:
        """Options that the user changed.

        Raises:
            ValueError: If one cannot be read; the text names it.
        """
        changed = {}
        table = self.ui.optionsTable
        for row in range(table.rowCount):
            name, text = table.item(row, 0).text(), table.item(row, 1).text()
            default = self._defaults[name]
            try:
                value = training.parse_option(text, default)
            except ValueError as error:
                raise ValueError(f"{name}: {error}") from error
            if value != default:
                changed[name] = value
        return changed

    def on_train(self, _checked: bool = False) -> None:
        """Start a training with the options of the table."""
        controller, model = self.controller, self.ui.trainerCombo.currentData
        try:
            options = self.options()
        except ValueError as error:
            controller.tell(controller.sentence(error), is_problem=True)
            return
        question = self.t(
            "Train '{model}' on the server with the submitted corrections?", model=model
        )
        if not controller.dialogs.confirm(question, self.t("Retraining")):
            return
        controller.run(
            self.t("Starting the training"),
            lambda client: client.start_training(model, options),
            lambda reply: self._show_training(training.parse_training(reply)),
        )

    def on_stop(self, _checked: bool = False) -> None:
        """Stop the training."""
        self.controller.run(
            self.t("Stopping the training"),
            lambda client: client.stop_training(),
            lambda reply: self._show_training(training.parse_training(reply)),
        )

    def watch(self) -> None:
        """Ask how far the training is; one question at a time."""
        if self._is_watching or self.controller.client is None:
            return
        self._is_watching = True

        def done(reply: dict[str, Any]) -> None:
            self._is_watching = False
            self._show_training(training.parse_training(reply))

        def failed(_error: Exception) -> None:
            self._is_watching = False
            self.ui.trainLog.appendPlainText(self.t("The server does not answer."))

        self.controller.run(
            self.t("Watching"),
            lambda client: client.train_status(),
            done,
            failed=failed,
            is_quiet=True,
            timeout_s=30.0,
        )

    def stop_watching(self) -> None:
        """No more questions about the training."""
        self._watch_timer.stop()
        self._is_watching = False

    def _show_training(self, state: training.TrainingState) -> None:
        was_running = self.state is not None and self.state.is_running
        self.state = state
        ui = self.ui
        first = f"{state.model} {self.told(state.status)}".strip()
        ui.trainLog.setPlainText("\n".join((first, *(self.told(line) for line in state.lines))))
        bar = ui.trainLog.verticalScrollBar()
        bar.setValue(bar.maximum)
        if state.is_running and state.progress is None:
            ui.trainBar.setRange(0, 0)
        else:
            ui.trainBar.setRange(0, 100)
            done = 1.0 if state.status == "DONE" else (state.progress or 0.0)
            ui.trainBar.setValue(int(100 * done))
        if state.is_running:
            self._watch_timer.start()
        else:
            self.stop_watching()
            if was_running:
                self.refresh(is_quiet=True)
        self.update()

    # History.

    def on_history(self, _checked: bool = False) -> None:
        """List the versions of the open case's labels."""
        case = self.session.case

        def done(versions: list[dict[str, Any]]) -> None:
            self._history = versions
            headers = [self.t(text) for text in ("Version", "Label", "By", "From model", "When")]
            rows = [
                (
                    v.get("version", "?"),
                    self.t(str(v.get("tag", ""))),
                    v.get("saved_by") or "",
                    _model_name(v.get("proposed_by")),
                    _when(v.get("saved_at", v.get("created", v.get("time")))),
                )
                for v in versions
            ]
            tables.fill(self.ui.historyTable, headers, rows)
            if not versions:
                self.controller.tell(self.t("Nothing was submitted for this case yet."))

        self.controller.run(
            self.t("Asking for the history"), lambda client: client.label_history(case.name), done
        )

    def _chosen_history(self) -> tuple[str, int] | None:
        row = self.ui.historyTable.currentRow()
        if not 0 <= row < len(self._history):
            return None
        chosen = self._history[row]
        return str(chosen.get("tag", "final")), int(chosen.get("version", 0))

    def on_show_version(self, _checked: bool = False) -> None:
        """Outline where the segments differ from a version."""
        chosen, case, workspace = self._chosen_history(), self.session.case, self.workspace
        if chosen is None or workspace.segmentation is None:
            return

        def done(version: VolumeData) -> None:
            label = workspace.current_label()
            if version.array.shape != label.array.shape:
                raise ServerError(self.t("That version has another grid."))
            count = workspace.outline_changes(label, version.array)
            self.controller.tell(self.t("{count} voxels are outlined.", count=count))

        self.controller.run(
            self.t("Fetching a version"),
            lambda client: client.label_version(case.name, *chosen),
            done,
        )

    def on_restore_version(self, _checked: bool = False) -> None:
        """Make a version the newest one again, on the server."""
        chosen, case = self._chosen_history(), self.session.case
        if chosen is None:
            return
        question = self.t(
            "Make version {version} of '{case}' the newest one again? Nothing is overwritten.",
            version=chosen[1],
            case=case.name,
        )
        if not self.controller.dialogs.confirm(question, self.t("Bring back")):
            return

        def done(reply: dict[str, Any]) -> None:
            version, session = reply.get("version"), self.session
            if chosen[0] == "final" and isinstance(version, int):  # who brings it back knows it
                session.origin = Origin(version, session.origin.image_sha256)
            self.controller.tell(
                self.t("Version {version} is the newest again.", version=chosen[1])
            )
            self.on_history()

        self.controller.run(
            self.t("Bringing a version back"),
            lambda client: client.restore_label(case.name, *chosen),
            done,
        )

    # State.

    def retranslate(self) -> None:
        """The language changed."""
        self._show_corrections()
        self._show_models()
        self.on_trainer()

    def on_case(self) -> None:
        """The history is of another case."""
        self._history = []
        tables.fill(self.ui.historyTable, [], [])

    def update(self) -> None:
        """Enable what fits the state."""
        ui, controller = self.ui, self.controller
        is_online = controller.client is not None
        is_running = self.state is not None and self.state.is_running
        is_busy = controller.jobs.current is not None
        ui.teachRefreshButton.enabled = is_online and not is_busy
        has_correction = ui.correctionsTable.currentRow() >= 0
        self.enable(is_online and has_correction, ui.acceptButton, ui.rejectButton)
        has_trainer = ui.trainerCombo.count > 0
        ui.trainButton.enabled = is_online and has_trainer and not is_running and not is_busy
        ui.stopButton.enabled = is_online and is_running
        chosen = self._chosen_version()
        is_candidate = chosen is not None and not chosen.is_active
        self.enable(is_online and is_candidate, ui.tryButton, ui.promoteButton)
        ui.rollbackButton.enabled = is_online and chosen is not None
        case = self.session.case
        has_case = is_online and case is not None and case.is_stored
        ui.historyButton.enabled = has_case
        has_version = has_case and self._chosen_history() is not None
        ui.showVersionButton.enabled = has_version and self.workspace.segmentation is not None
        ui.restoreVersionButton.enabled = has_version


def _when(value: Any) -> str:
    """Time of day for something of today, else its date."""
    today = datetime.datetime.now().strftime("%Y-%m-%d")
    return shortened(str(value or "").replace("T", " ")[:16], today)


def _model_name(proposed_by: Any) -> str:
    if isinstance(proposed_by, dict):
        return f"{proposed_by.get('name', '')} {proposed_by.get('version', '')}".strip()
    return str(proposed_by or "")
