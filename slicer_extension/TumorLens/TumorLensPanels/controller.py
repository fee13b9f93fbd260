"""Holds the panel together: requests, status line, language, and what may be pressed when."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import qt
import slicer
from TumorLensLib.autosave import Autosave
from TumorLensLib.client import Client
from TumorLensLib.consent import Consent
from TumorLensLib.jobs import CancelToken, Job, Jobs
from TumorLensLib.params import Parameters
from TumorLensLib.rationale import Theme, theme_for
from TumorLensLib.session import Action
from TumorLensLib.texts import Translator
from TumorLensLib.transport import Address, NotOfferedError, ServerError, UnreachableError
from TumorLensLib.workspace import Workspace

from TumorLensPanels.case_panel import CasePanel
from TumorLensPanels.correct_panel import CorrectPanel
from TumorLensPanels.dialogs import Dialogs
from TumorLensPanels.question_panel import QuestionPanel
from TumorLensPanels.retranslation import Retranslation
from TumorLensPanels.see_panel import SeePanel
from TumorLensPanels.shortcuts import Shortcuts
from TumorLensPanels.strategy_panel import StrategyPanel
from TumorLensPanels.teach_panel import TeachPanel
from TumorLensPanels.uncertainty_panel import UncertaintyPanel

POLL_MS = 50
SETTINGS = "TumorLens/"
QUICK_S, SLOW_S = 60.0, 900.0
KEYS = {
    "Ctrl+Shift+N": "nextButton",
    "Ctrl+Shift+A": "analyseButton",
    "Ctrl+Shift+G": "segmentsCheck",
    "Ctrl+Shift+H": "heatCheck",
    "Ctrl+Shift+J": "hottestButton",
    "Ctrl+Shift+U": "uncertainCheck",
    "Ctrl+Shift+E": "explainButton",
    "Ctrl+Shift+R": "refineButton",
    "Ctrl+Shift+D": "changesCheck",
    "Ctrl+Shift+S": "submitButton",
}
"""Buttons that keys press while the module is on screen."""


class Controller:
    """The panel.

    Args:
        root: Loaded .ui.
        parameters: What the scene remembers.
        dialogs: Questions to the user.
        autosave_folder: Where unsent corrections go.

    Attributes:
        ui: Named widgets.
        client: The connected server, or None.
        server_info: What it said about itself.
        workspace: The open case in the scene.
        jobs: Running requests.
        t: Translator.
    """

    def __init__(
        self,
        root: qt.QWidget,
        parameters: Parameters,
        dialogs: Dialogs,
        autosave_folder: Path,
    ) -> None:
        self.root = root
        self.ui = slicer.util.childWidgetVariables(root)
        self.dialogs = dialogs
        self.client: Client | None = None
        self.server_info: dict[str, Any] = {}
        self.jobs = Jobs()
        self._acting: Job | None = None
        self.autosave = Autosave(autosave_folder)
        self.workspace = Workspace(parameters, self.on_edited)
        allowed = [line for line in self.setting("allowed").split("\n") if line]
        self.consent = Consent(allowed, lambda all_: self.set_setting("allowed", "\n".join(all_)))
        self.t = Translator(self.setting("language", "en"))
        self._retranslation = Retranslation(self.ui)
        self.case_panel = CasePanel(self)
        self.see_panel = SeePanel(self)
        self.uncertainty_panel = UncertaintyPanel(self)
        self.question_panel = QuestionPanel(self)
        self.correct_panel = CorrectPanel(self)
        self.teach_panel = TeachPanel(self)
        self.strategy_panel = StrategyPanel(self)
        self.panels = (
            self.case_panel,
            self.see_panel,
            self.uncertainty_panel,
            self.question_panel,
            self.correct_panel,
            self.teach_panel,
            self.strategy_panel,
        )
        self._timer = qt.QTimer()
        self._timer.setInterval(POLL_MS)
        self._timer.timeout.connect(self.on_tick)
        self.ui.cancelButton.clicked.connect(self.on_cancel)
        self.shortcuts = Shortcuts(
            root,
            {key: self._pressing(getattr(self.ui, name)) for key, name in KEYS.items()},
        )
        self.set_language(self.t.language)

    @property
    def session(self) -> Any:
        """State of the work."""
        return self.workspace.session

    @property
    def theme(self) -> Theme:
        """Colours for the palette of now, so a switch to the dark theme is followed."""
        window = self.root.palette.color(qt.QPalette.Window)
        return theme_for(window.lightness() / 255.0)

    # Settings.

    def setting(self, key: str, default: str = "") -> str:
        """Text from the user's settings."""
        value = slicer.app.userSettings().value(SETTINGS + key)
        return str(value) if value else default

    def set_setting(self, key: str, value: str) -> None:
        """Remember a text in the user's settings."""
        slicer.app.userSettings().setValue(SETTINGS + key, value)

    def set_language(self, language: str) -> None:
        """Show the whole panel in a language."""
        self.t = Translator(language)
        self.set_setting("language", self.t.language)
        self._retranslation.apply(self.t)
        for panel in self.panels:
            panel.retranslate()
        self.update()

    # Requests.

    def run(
        self,
        name: str,
        work: Callable[[Client], Any],
        done: Callable[[Any], None],
        *,
        action: Action | None = None,
        client: Client | None = None,
        timeout_s: float = QUICK_S,
        failed: Callable[[Exception], None] | None = None,
        is_quiet: bool = False,
    ) -> None:
        """Send requests from a worker.

        Args:
            name: What the status line says meanwhile.
            work: Called in the worker with a client that the Cancel button breaks off.
            done: Called with the result, here.
            action: Action of the session that this is; it must fit the state.
            client: Server; by default the connected one.
            timeout_s: When to give up.
            failed: Called after a failure was shown.
            is_quiet: Does not make the panel busy and shows no failure.
        """
        server = client or self.client
        if server is None:
            self.tell(self.t("Connect to a server first (tab Case)."), is_problem=True)
            return
        if action is not None:
            self.session.begin(action)

        def call(token: CancelToken) -> Any:
            return work(server.bound(token))

        def finish(result: Any) -> None:
            if not is_quiet:
                self.tell("")
            done(result)
            self.update()

        def fail(error: Exception) -> None:
            if action is not None:
                self.session.failed()
            if isinstance(error, UnreachableError) and server is self.client:
                self._lost()
            if not is_quiet:
                self.tell(self.sentence(error), is_problem=True)
            if failed is not None:
                failed(error)
            self.update()

        job = self.jobs.start(name, call, finish, fail, timeout_s=timeout_s, is_quiet=is_quiet)
        if action is not None:
            self._acting = job
        self._timer.start()
        self.update()

    def sentence(self, error: Exception) -> str:
        """An error for the user: what happened and what to do."""
        if isinstance(error, NotOfferedError):
            what = self.t.told(str(error))
            return self.t("This server does not offer that: {what}.", what=what)
        text = self.t.told(str(error).strip()) or type(error).__name__
        if self.t.language == "en":
            text = text[0].upper() + text[1:]
        text = text if text.endswith((".", "!", "?")) else text + "."
        remedy = self.t.told(error.remedy) if isinstance(error, ServerError) else ""
        return f"{text} {remedy}".strip()

    def _lost(self) -> None:
        """The server is gone: the case and its edits stay."""
        self.session.disconnected()
        self.ui.serverLabel.text = self.t("Connection lost. Connect again; your work is kept.")

    def on_tick(self) -> None:
        """Hand over results and show how long the running request takes."""
        self.jobs.poll()
        if not self.jobs.is_running:
            self._timer.stop()
        self._show_progress()

    def _show_progress(self) -> None:
        job = self.jobs.current
        self.ui.cancelButton.enabled = job is not None
        self.ui.progressBar.setRange(0, 0 if job is not None else 1)
        if job is not None:
            seconds = f"{self.jobs.elapsed_s(job):.0f}"
            self.tell(self.t("{what} … {seconds} s", what=job.name, seconds=seconds))

    def on_cancel(self) -> None:
        """Give up the request that the user waits for."""
        self._give_up(self.jobs.current)

    def cancel_action(self) -> None:
        """Give up what runs for the open case, because the user turns to another one."""
        self._give_up(self._acting)

    def _give_up(self, job: Job | None) -> None:
        if job is None:
            return
        self.jobs.cancel(job)
        if job is self._acting:
            self.session.failed()
        self.tell(self.t("Cancelled: {what}.", what=job.name))
        self.update()

    def tell(self, text: str, *, is_problem: bool = False) -> None:
        """One sentence in the status line."""
        style = f"color: {self.theme.warning}" if is_problem else ""
        self.ui.statusLabel.styleSheet = style
        self.ui.statusLabel.text = text

    # The server.

    def connected(self, client: Client, info: dict[str, Any]) -> None:
        """A server answered."""
        self.client, self.server_info = client, info
        self.session.connected()
        for panel in self.panels:
            panel.on_connected()
        self.update()

    def offers(self, section: str, name: str) -> bool:
        """Whether the server lists something in a section of its information."""
        listed = self.server_info.get(section)
        return isinstance(listed, dict) and name in listed

    def may_send(self, address: Address) -> bool:
        """Whether images and corrections may go to a server; asks once for each."""
        if self.consent.is_given(address):
            return True
        where = (
            self.t("It runs on this computer.")
            if address.is_this_computer
            else self.t("It is another computer, and the connection is encrypted.")
            if address.scheme == "https"
            else self.t("It is another computer, and the connection is NOT encrypted.")
        )
        question = self.t(
            "Send images and corrections to {host}? {where} You are asked once for each server.",
            host=str(address),
            where=where,
        )
        if not self.dialogs.confirm(question, self.t("Send data")):
            self.tell(self.t("Nothing was sent."))
            return False
        self.consent.give(address)
        return True

    # The case.

    def on_edited(self) -> None:
        """The annotator changed a segment."""
        self.correct_panel.on_edited()

    def case_changed(self) -> None:
        """Another case was opened, or its segments were replaced."""
        for panel in self.panels:
            panel.on_case()
        self.update()

    def analysed(self) -> None:
        """An analysis or explanation arrived."""
        for panel in self.panels:
            panel.on_analysis()
        self.update()

    def enter(self) -> None:
        """The module comes on screen."""
        self.shortcuts.install()
        self.correct_panel.enter()

    def exit(self) -> None:
        """The module leaves the screen."""
        self.shortcuts.remove()
        self.correct_panel.exit()

    def cleanup(self) -> None:
        """The module is unloaded."""
        self.correct_panel.save_now()
        self.jobs.cancel_all()
        self._timer.stop()
        self.teach_panel.stop_watching()
        self.correct_panel.stop()
        self.exit()
        self.workspace.close_case()

    def on_scene_closing(self) -> None:
        """The scene is about to be closed: save what was not sent, drop what is on its way."""
        self.correct_panel.save_now()
        self.jobs.cancel_all()
        self.correct_panel.release_editor()

    def on_scene_closed(self, parameters: Parameters) -> None:
        """The scene is empty."""
        self.workspace.parameters = parameters
        self.workspace.forget_scene()
        self.correct_panel.attach_editor()
        self.case_changed()

    def on_scene_loaded(self, parameters: Parameters) -> None:
        """A scene was loaded; take up the case that it was saved with."""
        self.workspace.parameters = parameters
        if self.session.case is None and self.workspace.restore_from_scene():
            self.case_changed()
            self.tell(self.t("Took up the case '{case}'.", case=self.session.case.name))

    def on_view_added(self, composite: Any) -> None:
        """A slice view opened, for example with another layout."""
        self.workspace.show_in_view(composite)

    def update(self) -> None:
        """Enable what fits the state."""
        self._show_progress()
        for panel in self.panels:
            panel.update()

    def _pressing(self, button: qt.QAbstractButton) -> Callable[[], None]:
        def press() -> None:
            if button.enabled:
                button.click()

        return press
