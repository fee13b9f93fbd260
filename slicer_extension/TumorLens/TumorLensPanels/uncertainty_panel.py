"""Section Uncertainty of the tab See: where the model doubts its outline."""

from __future__ import annotations

from typing import Any

from TumorLensLib.colours import UNCERTAIN

from TumorLensPanels import legend
from TumorLensPanels.panel import Panel


class UncertaintyPanel(Panel):
    """Section Uncertainty."""

    def setup(self) -> None:
        """Connect signals."""
        ui, layer = self.ui, self.workspace.uncertainty
        ui.uncertainRange.setValues(layer.lower, layer.upper)
        ui.uncertainCheck.toggled.connect(self.on_shown)
        ui.uncertainOpacitySlider.valueChanged.connect(self.on_opacity)
        ui.uncertainRange.valuesChanged.connect(self.on_range)
        ui.uncertainOutlineCheck.toggled.connect(self.on_outline)
        ui.uncertainPointButton.clicked.connect(self.on_most_uncertain)

    def on_shown(self, _shown: bool = False) -> None:
        """Show or hide the uncertainty."""
        self.workspace.uncertainty.show(bool(self.ui.uncertainCheck.checked))

    def on_opacity(self, _value: float = 0.0) -> None:
        """Opacity of the uncertainty."""
        self.workspace.uncertainty.set_opacity(self.ui.uncertainOpacitySlider.value)

    def on_range(self, _low: float = 0.0, _high: float = 0.0) -> None:
        """Range of uncertainty that is shown."""
        chosen = self.ui.uncertainRange
        self.workspace.uncertainty.set_range(chosen.minimumValue, chosen.maximumValue)
        self._show_legend()
        self.on_outline()
        self._show_numbers()

    def on_outline(self, _value: Any = None) -> None:
        """Outline the voxels in the range, or no longer."""
        workspace = self.workspace
        if self.ui.uncertainOutlineCheck.checked and workspace.uncertainty.node is not None:
            workspace.outline_uncertain()
        elif workspace.marks.has(UNCERTAIN):
            workspace.marks.hide(UNCERTAIN)

    def on_most_uncertain(self, _checked: bool = False) -> None:
        """Jump to the most uncertain place."""
        if not self.workspace.go_to_highest(self.workspace.uncertainty):
            self.controller.tell(self.t("The model is sure everywhere."))

    def _show_legend(self) -> None:
        """Draw which colour is which uncertainty."""
        layer = self.workspace.uncertainty
        picture = legend.draw(
            layer.colours.steps(), layer.lower, layer.upper, self.controller.theme.text
        )
        self.ui.uncertainLegendLabel.setPixmap(picture)

    def _show_numbers(self) -> None:
        """How much lies in the range, or why there is nothing."""
        if self.workspace.uncertainty.node is not None:
            text = self.t("{ml} mL lie in this range.", ml=f"{self.workspace.uncertain_ml():.1f}")
        elif self.session.proposal is None:
            text = ""
        elif self.session.reply:
            text = self.t(
                "This analysis came without uncertainty; tick 'with uncertainty' (tab Case) and "
                "analyse again."
            )
        else:
            text = self.t("Analyse the case to see it.")
        self.ui.uncertainLabel.text = text

    def retranslate(self) -> None:
        """The language changed."""
        self.on_analysis()

    def on_case(self) -> None:
        """Bring the controls in line with the new case."""
        if self.workspace.uncertainty.node is None:
            self.ui.uncertainCheck.checked = False
            self.ui.uncertainOutlineCheck.checked = False
        self.on_analysis()

    def on_analysis(self) -> None:
        """Show what the new reply holds."""
        self.on_outline()
        self._show_legend()
        self._show_numbers()

    def update(self) -> None:
        """Enable what fits the state."""
        ui = self.ui
        self.enable(
            self.workspace.uncertainty.node is not None,
            ui.uncertainCheck,
            ui.uncertainOpacitySlider,
            ui.uncertainRange,
            ui.uncertainOutlineCheck,
            ui.uncertainPointButton,
        )
