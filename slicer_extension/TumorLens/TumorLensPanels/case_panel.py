"""Tab Case: server, cases, volumes of the scene, and the analysis."""

from __future__ import annotations

import contextlib
import datetime
from dataclasses import dataclass
from typing import Any

from TumorLensLib.cases import LABELLED, WITH_LABEL, CaseEntry, list_cases, shortened
from TumorLensLib.client import Client, InferReply
from TumorLensLib.labels import SCHEMES, differences_from
from TumorLensLib.sequences import SEQUENCES, assign
from TumorLensLib.session import Action, Case, Origin, State
from TumorLensLib.texts import LANGUAGES
from TumorLensLib.transport import NotOfferedError, RefusedError, ServerError, parse_address
from TumorLensLib.volumefiles import VolumeData
from TumorLensLib.volumes import data_of, of_class
from TumorLensLib.workspace import label_scheme

from TumorLensPanels import tables
from TumorLensPanels.panel import Panel

RESERVE_MINUTES = 60
DEFAULT_NAME = "annotator"
CANNOT_EXPLAIN = (400, 500)
"""Refusals of an analysis after which the segmentation alone is tried."""


@dataclass(frozen=True)
class Opened:
    """A case as it came from the server.

    Attributes:
        name: Case id.
        volume: Its reference volume.
        label: Its label, if it has one to go on from.
        origin: What corrections of it start from.
    """

    name: str
    volume: VolumeData
    label: VolumeData | None
    origin: Origin


class CasePanel(Panel):
    """Tab Case."""

    def setup(self) -> None:
        """Connect signals."""
        ui = self.ui
        self.entries: list[CaseEntry] = []
        self.selectors = {name: getattr(ui, f"{name}Selector") for name in SEQUENCES}
        tables.prepare(ui.casesTable)
        for language, name in LANGUAGES.items():
            ui.languageCombo.addItem(name, language)
        ui.languageCombo.setCurrentIndex(
            ui.languageCombo.findData(self.controller.setting("language", "en"))
        )
        ui.addressEdit.text = self.controller.setting("address", "http://127.0.0.1:8000")
        ui.clientEdit.text = self.controller.setting("client", DEFAULT_NAME)
        ui.languageCombo.currentIndexChanged.connect(self.on_language)
        ui.connectButton.clicked.connect(self.on_connect)
        ui.forgetConsentButton.clicked.connect(self.on_forget_consent)
        ui.refreshButton.clicked.connect(self.refresh)
        ui.openButton.clicked.connect(self.on_open)
        ui.casesTable.itemDoubleClicked.connect(lambda _item: self.on_open())
        ui.casesTable.itemSelectionChanged.connect(self.update)
        ui.nextButton.clicked.connect(self.on_next)
        ui.recogniseButton.clicked.connect(self.on_recognise)
        ui.useSceneButton.clicked.connect(self.on_use_scene)
        ui.analyseButton.clicked.connect(self.on_analyse)
        for selector in self.selectors.values():
            selector.connect("currentNodeChanged(vtkMRMLNode*)", self._on_selector)

    def set_scene(self, scene: Any) -> None:
        """Let the choosers list the volumes of a scene."""
        for selector in self.selectors.values():
            selector.setMRMLScene(scene)

    def _on_selector(self, _node: Any = None) -> None:
        self.update()

    def on_language(self, _index: int = 0) -> None:
        """The language was chosen."""
        self.controller.set_language(self.ui.languageCombo.currentData)

    def on_forget_consent(self, _checked: bool = False) -> None:
        """Ask again before the next upload."""
        self.controller.consent.withdraw_all()
        self.controller.tell(self.t("You will be asked before anything is sent."))

    # Server.

    def on_connect(self, _checked: bool = False) -> None:
        """Ask the server what it offers."""
        ui, controller = self.ui, self.controller
        try:
            address = parse_address(ui.addressEdit.text)
        except ServerError as error:
            controller.tell(controller.sentence(error), is_problem=True)
            return
        name = ui.clientEdit.text.strip() or DEFAULT_NAME
        client = Client(address, ui.tokenEdit.text.strip(), name)

        def ask(bound: Client) -> tuple[dict[str, Any], dict[str, Any]]:
            info = bound.info()
            if "models" not in info or "labels" not in info:
                raise ServerError(
                    f"what answers at {address} is no MONAI Label server",
                    "Check address and port.",
                )
            details: dict[str, Any] = {}
            if "explanation" in info["models"]:
                try:
                    details = bound.model_info("explanation")
                except ServerError:
                    details = {}
            return info, details

        def done(result: tuple[dict[str, Any], dict[str, Any]]) -> None:
            info, details = result
            wrong = differences_from(info.get("labels") or {})
            if wrong:
                raise ServerError(
                    self.t("The labels of this server differ: {what}.", what="; ".join(wrong)),
                    self.t("Use the server and the extension of the same release."),
                )
            controller.set_setting("address", ui.addressEdit.text.strip())
            controller.set_setting("client", name)
            info["explanation_details"] = details
            controller.connected(client, info)

        controller.run(self.t("Connecting"), ask, done, client=client, timeout_s=30.0)

    def on_connected(self) -> None:
        """Show what the server offers and its cases."""
        client = self.controller.client
        self._show_server()
        self.ui.serverSection.collapsed = True
        self.ui.serverLabel.toolTip = tables.plain_tip(str(client.address))
        self.refresh()

    def _show_server(self) -> None:
        controller = self.controller
        if controller.client is None:
            self.ui.serverLabel.text = self.t("Not connected.")
            return
        info = controller.server_info
        self.ui.serverLabel.text = self.t(
            "{name} {version} at {host}: {models}",
            name=str(info.get("name", "?")),
            version=str(info.get("version", "?")),
            host=str(controller.client.address),
            models=", ".join(sorted(info.get("models") or {})),
        )
        self.ui.serverSection.text = self.t("Server") + f": {controller.client.address}"

    # Cases.

    def refresh(self, _checked: bool = False) -> None:
        """Fetch the list of cases."""
        self.controller.run(
            self.t("Listing the cases"), list_cases, self._show_cases, is_quiet=True
        )

    def _show_cases(self, entries: list[CaseEntry]) -> None:
        self.entries = entries
        headers = [self.t(text) for text in ("Case", "Status", "Reserved by", "Updated")]
        today = datetime.datetime.now().strftime("%Y-%m-%d")
        rows = [
            (e.name, self._status_of(e), e.reserved_by, shortened(e.updated, today))
            for e in entries
        ]
        tables.fill(self.ui.casesTable, headers, rows)

    def _status_of(self, entry: CaseEntry) -> str:
        """Status of a case, and whether a correction of it waits on this computer."""
        status, client = self.t(entry.status), self.controller.client
        if client is None or not self.controller.autosave.has(str(client.address), entry.name):
            return status
        return self.t("{status}, unsent changes here", status=status)

    def on_open(self, _checked: bool = False) -> None:
        """Open the selected case."""
        name = tables.selected(self.ui.casesTable)
        entry = next((e for e in self.entries if e.name == name), None)
        if entry is None or not self._may_leave():
            return
        is_labelled = entry.status in LABELLED
        question = self.t(
            "'{case}' is already submitted. Open it for another correction?", case=name
        )
        if is_labelled and not self.controller.dialogs.confirm(question, self.t("Reopen")):
            return
        self._fetch(name, reopen=is_labelled, with_label=entry.status in WITH_LABEL)

    def on_next(self, _checked: bool = False) -> None:
        """Open the case that the strategy picks."""
        if not self._may_leave():
            return
        strategy = self.ui.strategyCombo.currentData or "random"
        self._fetch("", strategy=strategy)

    def _may_leave(self) -> bool:
        """Whether the open case may be replaced; unsent edits are on disk before the question."""
        controller = self.controller
        if self.session.state in (State.OPENING, State.ANALYSING):
            controller.cancel_action()
        if not self.session.is_edited:
            return True
        if not controller.correct_panel.save_now():
            return False
        question = self.t(
            "The correction of '{case}' was not submitted. It is kept on this computer and offered "
            "when you open the case again. Go on?",
            case=self.session.case.name,
        )
        return controller.dialogs.confirm(question, self.t("Unsent correction"))

    def _fetch(
        self, name: str, *, reopen: bool = False, with_label: bool = False, strategy: str = ""
    ) -> None:
        before = self.session.case.name if self.session.case is not None else ""

        def work(client: Client) -> Opened | None:
            case = name or str(client.next_case(strategy).get("id", ""))
            if not case:
                return None
            try:
                if reopen:
                    client.reopen(case)
                client.reserve(case, RESERVE_MINUTES)
            except NotOfferedError:
                pass  # a server without these routes has nothing to reserve
            version = None
            with contextlib.suppress(RefusedError):  # a server without versions
                version = client.newest_version(case)  # before the label: rather told than lost
            label = None
            if with_label:
                try:
                    label = client.label(case)
                except RefusedError:
                    label = None  # it was reopened or drafted without a final label
            volume, image_sha256 = client.case_volume(case)
            if before and before != case:
                with contextlib.suppress(ServerError):  # it may be a volume of the scene
                    client.release(before)
            return Opened(case, volume, label, Origin(version, image_sha256))

        self.controller.run(
            self.t("Opening {case}", case=name or self.t("the next case")),
            work,
            self._show_case,
            action=Action.OPEN_CASE,
            timeout_s=600.0,
        )

    def _show_case(self, result: Opened | None) -> None:
        controller = self.controller
        if result is None:
            self.session.failed()
            controller.tell(self.t("No case is left: each is labelled or reserved by somebody."))
            return
        name, label = result.name, result.label
        self.workspace.open_case(Case(name), result.volume)
        self.session.origin = result.origin
        if label is not None:
            self.workspace.show_label(label, label_scheme(label), {})
        self._offer_recovery(name)
        controller.case_changed()
        self.refresh()

    def _offer_recovery(self, name: str) -> None:
        controller = self.controller
        server = str(controller.client.address)
        saved = controller.autosave.load(server, name)
        if saved is None or saved.scheme not in SCHEMES:
            return
        when = datetime.datetime.fromtimestamp(saved.saved_at_s).strftime("%Y-%m-%d %H:%M")
        question = self.t(
            "An unsent correction of this case was saved on {when}. Bring it back?", when=when
        )
        if not controller.dialogs.confirm(question, self.t("Unsent correction")):
            controller.autosave.set_aside(server, name)
            return
        if self.session.proposal is None:
            self.workspace.show_label(saved.proposal, saved.scheme, {})
        self.workspace.show_correction(saved.label)
        if saved.origin.told:  # it started from what was there then
            self.session.origin = saved.origin

    # Volumes of the scene.

    def on_recognise(self, _checked: bool = False) -> None:
        """Choose the volumes by their names."""
        nodes = {
            node.GetName(): node
            for node in of_class("vtkMRMLScalarVolumeNode")
            if node.GetClassName() == "vtkMRMLScalarVolumeNode" and not node.GetHideFromEditors()
        }
        for sequence, name in assign(nodes).items():
            self.selectors[sequence].setCurrentNode(nodes[name])

    def on_use_scene(self, _checked: bool = False) -> None:
        """Upload the chosen volumes as a session and make it the open case."""
        chosen = {
            sequence: selector.currentNode()
            for sequence, selector in self.selectors.items()
            if selector.currentNode() is not None
        }
        controller = self.controller
        if not chosen or controller.client is None or not self._may_leave():
            return
        if len({node.GetID() for node in chosen.values()}) < len(chosen):
            controller.tell(self.t("One volume is chosen for two sequences."), is_problem=True)
            return
        if not controller.may_send(controller.client.address):
            return
        reference = next(chosen[name] for name in ("t1c", "flair", "t2", "t1") if name in chosen)
        data = {sequence: data_of(node) for sequence, node in chosen.items()}

        def done(session_id: str) -> None:
            if reference.GetScene() is None:
                raise ServerError(self.t("The volume was removed from the scene meanwhile."))
            self.workspace.open_node(Case(reference.GetName(), session_id), reference)
            controller.case_changed()

        controller.run(
            self.t("Sending {count} volumes", count=len(data)),
            lambda client: client.create_session(data),
            done,
            action=Action.OPEN_CASE,
            timeout_s=600.0,
        )

    # Analysis.

    def on_analyse(self, _checked: bool = False) -> None:
        """Segment, classify and explain the open case, as far as the server offers it."""
        controller, session = self.controller, self.session
        if session.is_edited:
            if not controller.correct_panel.save_now():
                return
            question = self.t("A new analysis replaces your edits of the segments. Go on?")
            if not controller.dialogs.confirm(question, self.t("Analyse")):
                return
            controller.correct_panel.keep_for_undo()
        task = "analysis" if controller.offers("models", "analysis") else "segmentation"
        params: dict[str, Any] = {"uncertainty": bool(self.ui.uncertaintyCheck.checked)}
        if task == "analysis":
            params["language"] = controller.t.language
            params.update(controller.question_panel.options())
        case = session.case

        def work(client: Client) -> tuple[InferReply, str]:
            try:
                return client.infer(task, case.query, params), ""
            except RefusedError as error:
                if task == "segmentation" or error.status not in CANNOT_EXPLAIN:
                    raise
                alone = {"uncertainty": params["uncertainty"]}
                return client.infer("segmentation", case.query, alone), str(error)

        def done(result: tuple[InferReply, str]) -> None:
            reply, why_alone = result
            if session.case is not case:
                return  # another case was opened meanwhile
            self.workspace.show_proposal(reply)
            controller.case_changed()
            controller.analysed()
            if why_alone:
                text = self.t(
                    "Only the segments are shown, without explanation: {why}",
                    why=self.told(why_alone),
                )
            elif task == "segmentation":
                text = self.t(
                    "This server does not offer explanations; only the segments are shown."
                )
            else:
                text = self.t("Look at the images, then ask (tab Question) and correct.")
            controller.tell(text, is_problem=bool(why_alone))
            self.refresh()

        controller.run(
            self.t("Analysing {case}", case=case.name),
            work,
            done,
            action=Action.ANALYSE,
            timeout_s=900.0,
        )

    def retranslate(self) -> None:
        """The language changed."""
        self._show_server()
        self._show_cases(self.entries)
        self.on_case()

    def on_case(self) -> None:
        """Show which case is open."""
        case = self.session.case
        if case is None:
            self.ui.caseLabel.text = self.t("No case is open.")
        else:
            kind = self.t("from the server") if case.is_stored else self.t("from this scene")
            self.ui.caseLabel.text = self.t("Open: {case} ({kind})", case=case.name, kind=kind)

    def update(self) -> None:
        """Enable what fits the state."""
        ui, session = self.ui, self.session
        is_online = self.controller.client is not None and session.state is not State.OFFLINE
        is_free = session.state not in (State.SUBMITTING, State.OPENING)
        ui.connectButton.enabled = session.can(Action.CONNECT)
        ui.refreshButton.enabled = is_online
        ui.openButton.enabled = is_online and is_free and bool(tables.selected(ui.casesTable))
        ui.nextButton.enabled = is_online and is_free and ui.strategyCombo.count > 0
        has_volume = any(s.currentNode() is not None for s in self.selectors.values())
        ui.useSceneButton.enabled = is_online and session.can(Action.OPEN_CASE) and has_volume
        self.enable(session.can(Action.ANALYSE), ui.analyseButton, ui.uncertaintyCheck)
