"""Tab See: segments and heatmap over the image; the uncertainty has a panel of its own."""

from __future__ import annotations

from typing import Any

from TumorLensLib import rationale, segments
from TumorLensLib.labels import TUMOR_TYPES

from TumorLensPanels import legend, tables
from TumorLensPanels.panel import Panel

METHODS = {
    "gradcam++": "Grad-CAM++",
    "gradcam": "Grad-CAM",
    "layercam": "Layer-CAM",
    "integrated_gradients": "integrated gradients",
    "occlusion": "occlusion",
    "guided_gradcam": "guided Grad-CAM",
    "guided_backpropagation": "guided backpropagation",
}
"""Methods of heat with their names for people."""
TARGETS = ("prediction", "runner_up", *TUMOR_TYPES)
REGIONS = ("WT", "TC", "ET")
REGION_METHOD = "layercam"
"""The one method that explains the outline of a region."""


class SeePanel(Panel):
    """Tab See."""

    def setup(self) -> None:
        """Connect signals."""
        ui = self.ui
        ui.heatRange.setValues(0.3, 1.0)
        ui.segmentsCheck.toggled.connect(self.on_segments)
        ui.fillSlider.valueChanged.connect(self.on_fill)
        ui.surfaceCheck.toggled.connect(self.on_surface)
        ui.heatCheck.toggled.connect(self.on_heat)
        ui.opacitySlider.valueChanged.connect(self.on_opacity)
        ui.heatRange.valuesChanged.connect(self.on_range)
        ui.legendCheck.toggled.connect(self.on_legend)
        ui.recomputeButton.clicked.connect(self.on_recompute)
        ui.hottestButton.clicked.connect(self.on_hottest)

    def retranslate(self) -> None:
        """The language changed."""
        tables.fill_combo(
            self.ui.methodCombo, [(self.t(text), name) for name, text in METHODS.items()]
        )
        regions = [(self.t("outline of {region}", region=name), name) for name in REGIONS]
        targets = [(self.t(name), name) for name in TARGETS]
        tables.fill_combo(self.ui.targetCombo, targets + regions)
        self.on_analysis()

    # Segments.

    def on_segments(self, _shown: bool = False) -> None:
        """Show or hide the segments."""
        node = self.workspace.segmentation
        if node is not None:
            node.GetDisplayNode().SetVisibility(bool(self.ui.segmentsCheck.checked))

    def on_fill(self, _value: float = 0.0) -> None:
        """Fill of the segments."""
        node = self.workspace.segmentation
        if node is not None:
            node.GetDisplayNode().SetOpacity2DFill(float(self.ui.fillSlider.value))

    def on_surface(self, _shown: bool = False) -> None:
        """Surfaces in 3D views."""
        node = self.workspace.segmentation
        if node is not None:
            segments.set_surface(node, bool(self.ui.surfaceCheck.checked))

    # Heat.

    def on_heat(self, _shown: bool = False) -> None:
        """Show or hide the heatmap; without it the text is hidden as well."""
        self.workspace.heat.show(bool(self.ui.heatCheck.checked))
        if self.workspace.heat.is_visible:
            self.session.was_shown.add("heatmap")
        self.controller.question_panel.on_heat_shown(self.workspace.heat.is_visible)

    def on_opacity(self, _value: float = 0.0) -> None:
        """Opacity of the heatmap."""
        self.workspace.heat.set_opacity(self.ui.opacitySlider.value)

    def on_range(self, _low: float = 0.0, _high: float = 0.0) -> None:
        """Range of heat that is shown."""
        self.workspace.heat.set_range(
            self.ui.heatRange.minimumValue, self.ui.heatRange.maximumValue
        )
        self._show_legend()

    def on_legend(self, _shown: bool = False) -> None:
        """Show the colours in the views, or only here."""
        self.workspace.heat.set_legend(bool(self.ui.legendCheck.checked))

    def _show_legend(self) -> None:
        """Draw which colour is which heat, also before there is any."""
        heat = self.workspace.heat
        picture = legend.draw(
            heat.colours.steps(), heat.lower, heat.upper, self.controller.theme.text
        )
        self.ui.legendLabel.setPixmap(picture)

    def on_hottest(self, _checked: bool = False) -> None:
        """Jump to the hottest point."""
        if not self.workspace.go_to_highest(self.workspace.heat):
            self.controller.tell(self.t("There is no heat."))

    def on_recompute(self, _checked: bool = False) -> None:
        """Ask for the heatmap of another method or type, or of the outline of a region."""
        target = self.ui.targetCombo.currentData
        self.controller.question_panel.ask(
            self.t("Computing the heatmap"),
            method=REGION_METHOD if target in REGIONS else self.ui.methodCombo.currentData,
            target=target,
        )

    # State.

    def on_case(self) -> None:
        """Bring the controls in line with the new case."""
        self.on_segments()
        self.on_fill()
        if self.workspace.segmentation is None:
            self.ui.surfaceCheck.checked = False
        elif self.ui.surfaceCheck.checked:
            self.on_surface()
        if self.workspace.heat.node is None:
            self.ui.heatCheck.checked = False
        self.on_analysis()

    def on_analysis(self) -> None:
        """Show the numbers."""
        self.show_volumes()
        self._show_legend()

    def show_volumes(self, label: Any = None) -> None:
        """Region volumes and share of heat inside the tumour, as proposed or of a labelmap."""
        self._show_heat_numbers(label)
        workspace = self.workspace
        if workspace.segmentation is None or self.session.proposal is None:
            self.ui.volumesLabel.text = ""
            return
        shown = label if label is not None else self.session.proposal
        volumes = workspace.volumes_ml(shown)
        self.ui.volumesLabel.text = rationale.volumes_html(
            volumes,
            self.controller.t,
            self.controller.theme,
            rationale.presence_text(workspace.analysis, self.controller.t),
        )

    def _show_heat_numbers(self, label: Any) -> None:
        analysis, heat = self.workspace.analysis, self.workspace.heat
        if heat.node is None or analysis is None or analysis.heat is None:
            has_case = self.session.proposal is not None
            self.ui.heatLabel.text = (
                self.t("This server sent no heatmap for this case.") if has_case else ""
            )
            return
        target = analysis.heat.target
        what = self.t("outline of {region}", region=target) if target in REGIONS else self.t(target)
        method = self.t(METHODS.get(analysis.heat.method, analysis.heat.method))
        lines = [self.t("{method} for {type}", method=method, type=what)]
        share = analysis.heat.inside_tumor_share
        if label is not None:
            share = self.workspace.heat_inside(label)
        if share is not None:
            lines.append(
                self.t("{share} % of the heat lies inside the tumour", share=f"{100 * share:.0f}")
            )
        if analysis.heat.is_faithful is False:
            lines.append(self.t("failed its faithfulness test: shown in grey, do not rely on it"))
        elif analysis.heat.is_faithful:
            lines.append(self.t("passed its faithfulness test"))
        self.ui.heatLabel.text = "; ".join(lines) + "."

    def update(self) -> None:
        """Enable what fits the state."""
        ui, workspace = self.ui, self.workspace
        has_heat = workspace.heat.node is not None
        self.enable(has_heat, ui.heatCheck, ui.opacitySlider, ui.heatRange, ui.hottestButton)
        self.enable(workspace.heat.legend is not None, ui.legendCheck)
        has_segments = workspace.segmentation is not None
        self.enable(has_segments, ui.segmentsCheck, ui.fillSlider, ui.surfaceCheck)
        can_explain = self.controller.question_panel.can_ask
        self.enable(can_explain, ui.recomputeButton, ui.methodCombo, ui.targetCombo)
