"""Tab Question: warnings, type, and on demand the rationale with its heatmap."""

from __future__ import annotations

from typing import Any

import qt
from TumorLensLib import rationale
from TumorLensLib.client import InferReply
from TumorLensLib.session import Action

from TumorLensPanels import tables
from TumorLensPanels.panel import Panel

LINK = "evidence:"


class QuestionPanel(Panel):
    """Tab Question."""

    def setup(self) -> None:
        """Connect signals."""
        ui = self.ui
        self._is_open = False
        ui.rationaleView.openLinks = False
        ui.rationaleView.visible = False
        ui.explainButton.toggled.connect(self.on_explain)
        ui.rationaleView.anchorClicked.connect(self.on_link)
        ui.againButton.clicked.connect(self.on_again)
        tables.fill_combo(ui.providerCombo, [("composer", "composer")])

    def options(self) -> dict[str, Any]:
        """Parameters for the wording, if the server lists several."""
        provider = self.ui.providerCombo.currentData
        return {"provider": provider} if provider and provider != "composer" else {}

    def on_connected(self) -> None:
        """Offer the wordings of the server."""
        details = self.controller.server_info.get("explanation_details") or {}
        listed = details.get("providers")
        names = [str(p.get("name", p) if isinstance(p, dict) else p) for p in listed or []]
        names = list(dict.fromkeys(["composer", *names]))
        tables.fill_combo(self.ui.providerCombo, [(name, name) for name in names])

    def on_explain(self, _checked: bool = False) -> None:
        """Show the text, and the heatmap with it."""
        shown = bool(self.ui.explainButton.checked)
        if shown:
            self.session.was_shown.add("rationale")
            if self.workspace.heat.node is not None:
                self.ui.heatCheck.checked = True
        self.render()

    def on_heat_shown(self, visible: bool) -> None:
        """The heatmap was switched; the text does not stay without it."""
        if not visible and self.workspace.heat.node is not None and self.ui.explainButton.checked:
            self.ui.explainButton.checked = False

    def on_link(self, url: qt.QUrl) -> None:
        """A piece of evidence was clicked: go there and draw it."""
        target = url.toString()
        if target == rationale.FOLD:
            self._is_open = not self._is_open
            self.render()
            return
        analysis = self.workspace.analysis
        if analysis is None or not target.startswith(LINK):
            return
        item = analysis.evidence_by_id(target[len(LINK) :])
        if item is None:
            return
        if item.ras is None:
            self.controller.tell(self.t("This measurement has no place in the image."))
            return
        value = rationale.number(item.value, item.unit)
        self.workspace.evidence.show(item, f"{item.id}: {value}")
        self.controller.tell(f"{self.told(item.name)}: {value}")

    def on_again(self, _checked: bool = False) -> None:
        """Ask for the explanation again, in the language of the panel."""
        analysis = self.workspace.analysis
        has_heat = analysis is not None and analysis.heat is not None
        self.ask(self.t("Explaining"), **({"method": analysis.heat.method} if has_heat else {}))

    @property
    def can_ask(self) -> bool:
        """Whether another explanation can be asked for now."""
        return self.controller.offers("models", "explanation") and self.session.can(Action.EXPLAIN)

    def ask(self, what: str, **more: str) -> None:
        """Ask for another heatmap and rationale of the open case, in the language of the panel.

        Args:
            what: What the status line says meanwhile.
            more: Further parameters of the request.
        """
        controller, case = self.controller, self.session.case
        params: dict[str, Any] = {"language": controller.t.language, **self.options(), **more}

        def done(reply: InferReply) -> None:
            if self.session.case is case:
                self.workspace.show_explanation(reply)
                controller.analysed()

        controller.run(
            what,
            lambda client: client.infer("explanation", case.query, params),
            done,
            action=Action.EXPLAIN,
            timeout_s=900.0,
        )

    def render(self) -> None:
        """Show what belongs on the tab now."""
        ui, analysis = self.ui, self.workspace.analysis
        t, theme = self.controller.t, self.controller.theme
        shown = bool(ui.explainButton.checked) and analysis is not None
        ui.rationaleView.visible = shown
        ui.explainHint.visible = not shown
        ui.explainButton.text = (
            self.t("Hide the explanation")
            if shown
            else self.t("Show the explanation with its heatmap")
        )
        if analysis is None:
            ui.warningsLabel.text = ui.classificationLabel.text = ""
            ui.rationaleView.setHtml("")
            return
        warnings = rationale.warnings_html(analysis, t, theme)
        ui.warningsLabel.text = warnings
        ui.warningsLabel.visible = bool(warnings)
        ui.classificationLabel.text = rationale.classification_html(
            analysis.classification, t, theme
        )
        if not shown:
            return
        parts = [
            rationale.folded_html(analysis.sentences, t, theme, is_open=self._is_open)
            or self.t("This server does not offer a written explanation."),
            rationale.evidence_html(analysis.evidence, t, theme) if analysis.evidence else "",
            rationale.more_html(analysis, t, theme),
        ]
        position = ui.rationaleView.verticalScrollBar().value
        ui.rationaleView.setHtml("<br>".join(part for part in parts if part))
        ui.rationaleView.verticalScrollBar().setValue(position)

    def retranslate(self) -> None:
        """The language changed."""
        self.render()

    def on_case(self) -> None:
        """Another case: its explanation is hidden until it is asked for."""
        if self.workspace.analysis is None:
            self.workspace.evidence.clear()
        self._is_open = False
        self.ui.explainButton.checked = False
        self.render()

    def on_analysis(self) -> None:
        """Show the new reply."""
        self.render()

    def update(self) -> None:
        """Enable what fits the state."""
        analysis = self.workspace.analysis
        has_text = analysis is not None and bool(analysis.sentences or analysis.evidence)
        self.ui.explainButton.enabled = has_text
        self.enable(self.can_ask, self.ui.againButton, self.ui.providerCombo)
