"""Heat over the image, and a second layer for uncertain or changed voxels."""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from TumorLensLib.volumefiles import VolumeData
from TumorLensLib.volumes import OWNER, add_volume, affine_of, of_class, remove

HOT, GREY = "TumorLens heat", "TumorLens heat, not trusted"
MARKS = "TumorLens marks"
INFERNO = (
    (0.000, 0.000, 0.014), (0.106, 0.047, 0.275), (0.290, 0.047, 0.420), (0.471, 0.110, 0.427),
    (0.647, 0.173, 0.376), (0.812, 0.267, 0.275), (0.929, 0.412, 0.145), (0.984, 0.608, 0.024),
    (0.969, 0.820, 0.239), (0.988, 1.000, 0.643),
)  # fmt: skip
"""Anchors of a map whose lightness rises steadily, so that more heat always looks brighter."""
STEPS = 256
HOTTEST_SHARE = 0.001
LEGEND_TITLE, LEGEND_LABELS, LEGEND_SIZE, LEGEND_FONT = "heat", 3, (0.08, 0.3), 12
"""Size as a share of the view; small, because it covers the image."""
UNCERTAIN, CHANGED = 1, 2
MARK_COLORS = {UNCERTAIN: ("uncertain", (1.0, 0.3, 1.0)), CHANGED: ("changed", (0.0, 0.9, 1.0))}


def colour_steps(trusted: bool) -> np.ndarray:
    """RGB of each step, shape (256, 3): a perceptual map, or greys when the heat is not trusted."""
    x = np.linspace(0.0, 1.0, STEPS)
    if not trusted:
        return np.repeat((0.15 + 0.6 * x)[:, None], 3, axis=1)
    anchors = np.linspace(0.0, 1.0, len(INFERNO))
    return np.stack([np.interp(x, anchors, [c[k] for c in INFERNO]) for k in range(3)], axis=1)


def colour_table(trusted: bool = True) -> slicer.vtkMRMLColorTableNode:
    """Colour table of the heat; made once a scene."""
    name = HOT if trusted else GREY
    found = _colour_node(name)
    if found is None:
        found = _new_table(name, STEPS)
        for step, (r, g, b) in enumerate(colour_steps(trusted)):
            found.SetColor(step, f"{step / (STEPS - 1):.2f}", r, g, b, 1.0)
        slicer.mrmlScene.AddNode(found)
    return found


def _mark_table() -> slicer.vtkMRMLColorTableNode:
    found = _colour_node(MARKS)
    if found is None:
        found = _new_table(MARKS, max(MARK_COLORS) + 1)
        found.SetColor(0, "none", 0.0, 0.0, 0.0, 0.0)
        for value, (name, color) in MARK_COLORS.items():
            found.SetColor(value, name, *color, 1.0)
        slicer.mrmlScene.AddNode(found)
    return found


def _colour_node(name: str) -> slicer.vtkMRMLColorTableNode | None:
    return next((n for n in of_class("vtkMRMLColorTableNode") if n.GetName() == name), None)


def _new_table(name: str, size: int) -> slicer.vtkMRMLColorTableNode:
    node = slicer.vtkMRMLColorTableNode()
    node.SetName(name)
    node.SetTypeToUser()
    node.SetNumberOfColors(size)
    node.SetSaveWithScene(True)
    return node


class HeatLayer:
    """A volume of values 0-1 in the foreground of all slice views.

    Attributes:
        node: The volume node, or None before the first heatmap.
        legend: Colour legend in the views; None in an application that has none.
        has_legend: Whether it is shown with the heat.
        is_trusted: Whether the heatmap passed the test of faithfulness.
    """

    def __init__(self) -> None:
        self.node: slicer.vtkMRMLScalarVolumeNode | None = None
        self.legend: Any = None
        self.is_trusted = True
        self.has_legend = True
        self.is_visible = False
        self.opacity = 0.6
        self.lower, self.upper = 0.3, 1.0

    def load(self, data: VolumeData, scale: float, *, trusted: bool) -> None:
        """Take a heatmap; replaces the last one.

        Args:
            data: Stored values.
            scale: Factor to 0-1.
            trusted: False greys it out, because it failed the test of faithfulness.
        """
        self.drop()
        values = data.array
        if values.dtype.kind in "iu":
            values = values.astype(np.float32) * np.float32(scale)
        data = VolumeData(np.clip(values.astype(np.float32), 0.0, 1.0), data.ijk_to_ras)
        self.node = add_volume(data, "TumorLens heatmap", "heat")
        self.node.CreateDefaultDisplayNodes()
        display = self.node.GetDisplayNode()
        display.SetAndObserveColorNodeID(colour_table(trusted).GetID())
        display.SetInterpolate(True)
        display.AutoWindowLevelOff()
        display.SetWindowLevelMinMax(0.0, 1.0)
        self.is_trusted = trusted
        self.legend = _colour_legend(self.node)
        self._apply_range()

    def drop(self) -> None:
        """Forget the heatmap."""
        self.show(False)
        remove(self.legend)
        remove(self.node)
        self.node = self.legend = None
        self.is_trusted = True

    def show(self, visible: bool) -> None:
        """Switch the layer on or off in every slice view."""
        self.is_visible = bool(visible) and self.node is not None
        for composite in of_class("vtkMRMLSliceCompositeNode"):
            if self.is_visible:
                composite.SetForegroundVolumeID(self.node.GetID())
                composite.SetForegroundOpacity(self.opacity)
            else:
                if self.node is None or composite.GetForegroundVolumeID() == self.node.GetID():
                    composite.SetForegroundVolumeID(None)
                composite.SetForegroundOpacity(0.0)
        self._apply_legend()

    def set_legend(self, visible: bool) -> None:
        """Show the colours in the views, too, whenever the heat is shown."""
        self.has_legend = bool(visible)
        self._apply_legend()

    def _apply_legend(self) -> None:
        if self.legend is not None:
            self.legend.SetVisibility(self.is_visible and self.has_legend)

    def set_opacity(self, opacity: float) -> None:
        """Opacity 0-1."""
        self.opacity = min(max(float(opacity), 0.0), 1.0)
        if self.is_visible:
            self.show(True)

    def set_range(self, lower: float, upper: float) -> None:
        """Show heat between two values only."""
        self.lower, self.upper = sorted((float(lower), float(upper)))
        self._apply_range()

    def _apply_range(self) -> None:
        if self.node is not None:
            display = self.node.GetDisplayNode()
            display.AutoThresholdOff()
            display.ApplyThresholdOn()
            display.SetThreshold(self.lower, self.upper)

    def hottest_ras(self) -> tuple[float, float, float] | None:
        """Middle of the hottest 0.1 %, so that no noisy voxel decides; None without heat."""
        if self.node is None:
            return None
        heat = slicer.util.arrayFromVolume(self.node)
        warm = heat[heat > 0]
        if not warm.size:
            return None
        limit = np.quantile(warm, 1.0 - HOTTEST_SHARE)
        where = np.nonzero(heat >= limit)
        weights = heat[where]
        k, j, i = (float(np.average(axis, weights=weights)) for axis in where)
        x, y, z = (affine_of(self.node) @ np.array([i, j, k, 1.0]))[:3]
        return (float(x), float(y), float(z))

    def share_inside(self, mask: np.ndarray) -> float | None:
        """Share of all heat that lies inside a mask; None without heat."""
        if self.node is None:
            return None
        heat = slicer.util.arrayFromVolume(self.node)
        total = float(heat.sum(dtype=np.float64))
        return float(heat[mask].sum(dtype=np.float64)) / total if total > 0 else None


def _colour_legend(node: slicer.vtkMRMLScalarVolumeNode) -> Any:
    """Colour legend of a volume, hidden; None where the application has none."""
    colors = getattr(slicer.modules, "colors", None)
    logic = colors.logic() if colors is not None else None
    add = getattr(logic, "AddDefaultColorLegendDisplayNode", None)
    legend = add(node) if add is not None else None
    if legend is not None:
        legend.SetVisibility(False)
        legend.SetSaveWithScene(False)
        legend.SetTitleText(LEGEND_TITLE)
        legend.SetLabelFormat("%.2f")
        legend.SetNumberOfLabels(LEGEND_LABELS)
        legend.SetSize(*LEGEND_SIZE)
        for text in (legend.GetTitleTextProperty(), legend.GetLabelTextProperty()):
            text.SetFontSize(LEGEND_FONT)
    return legend


class MarkLayer:
    """Outlined voxels in the label layer of all slice views: uncertain ones, or changed ones.

    Attributes:
        kind: `UNCERTAIN`, `CHANGED`, or 0 when off.
    """

    def __init__(self) -> None:
        self.node: slicer.vtkMRMLLabelMapVolumeNode | None = None
        self.kind = 0

    def show(self, mask: np.ndarray, ijk_to_ras: np.ndarray, kind: int) -> None:
        """Mark voxels.

        Args:
            mask: Voxels to mark, shape (K, J, I).
            ijk_to_ras: Their grid.
            kind: `UNCERTAIN` or `CHANGED`; says the colour.
        """
        self.hide()
        data = VolumeData(mask.astype(np.uint8) * np.uint8(kind), ijk_to_ras)
        self.node = add_volume(data, "TumorLens marks", "marks", "vtkMRMLLabelMapVolumeNode")
        self.node.CreateDefaultDisplayNodes()
        self.node.GetDisplayNode().SetAndObserveColorNodeID(_mark_table().GetID())
        self.kind = kind
        for composite in of_class("vtkMRMLSliceCompositeNode"):
            composite.SetLabelVolumeID(self.node.GetID())
            composite.SetLabelOpacity(1.0)
        for view in of_class("vtkMRMLSliceNode"):
            view.SetUseLabelOutline(True)

    def hide(self) -> None:
        """Switch the layer off."""
        for composite in of_class("vtkMRMLSliceCompositeNode"):
            if self.node is not None and composite.GetLabelVolumeID() == self.node.GetID():
                composite.SetLabelVolumeID(None)
        remove(self.node)
        self.node, self.kind = None, 0


def forget_scene_nodes() -> None:
    """Remove what the layers of an earlier session left in the scene."""
    for kind in ("vtkMRMLScalarVolumeNode", "vtkMRMLLabelMapVolumeNode"):
        for node in of_class(kind):
            if node.GetAttribute(OWNER) in ("heat", "marks", "temporary"):
                remove(node)
