"""Heat and uncertainty over the image: two graded layers that can be shown at the same time.

Slice views draw from below: image (background), heat (foreground), uncertainty (an additional
layer), then outlines (label layer; see marks.py).
"""

from __future__ import annotations

from typing import Any

import numpy as np
import slicer

from TumorLensLib.colours import DOUBT, HEAT, UNTRUSTED_HEAT, ColourScale
from TumorLensLib.volumefiles import VolumeData
from TumorLensLib.volumes import OWNER, add_volume, affine_of, of_class, remove

HIGHEST_SHARE = 0.001
LEGEND_TITLE, LEGEND_LABELS, LEGEND_SIZE, LEGEND_FONT = "heat", 3, (0.08, 0.3), 12
"""Size as a share of the view; small, because it covers the image."""


class GradedLayer:
    """A volume of values from 0 to 1 in a layer of all slice views.

    Args:
        name: Name of the volume.
        role: What the module uses it for.
        colours: Colours of the values.
        opacity: Opacity 0-1.
        lower: Value from which it is shown.

    Attributes:
        node: The volume node, or None before the first one.
        colours: Colours of the values.
        is_visible: Whether it is shown.
        lower: Value from which it is shown.
        upper: Value up to which it is shown.
    """

    def __init__(
        self, name: str, role: str, colours: ColourScale, opacity: float, lower: float
    ) -> None:
        self.node: slicer.vtkMRMLScalarVolumeNode | None = None
        self.colours = colours
        self.is_visible = False
        self.opacity = opacity
        self.lower, self.upper = lower, 1.0
        self._name, self._role = name, role

    def take(self, data: VolumeData, scale: float) -> None:
        """Take a volume; replaces the last one.

        Args:
            data: Stored values.
            scale: Factor to 0-1 of values stored in steps; others are taken as they are.
        """
        self.drop()
        values = data.array
        if values.dtype.kind in "iu":
            values = values.astype(np.float32) * np.float32(scale)
        data = VolumeData(np.clip(values.astype(np.float32), 0.0, 1.0), data.ijk_to_ras)
        self.node = add_volume(data, self._name, self._role)
        self.node.CreateDefaultDisplayNodes()
        display = self.node.GetDisplayNode()
        display.SetAndObserveColorNodeID(self.colours.table().GetID())
        display.SetInterpolate(True)
        display.AutoWindowLevelOff()
        display.SetWindowLevelMinMax(0.0, 1.0)
        self._apply_range()

    def drop(self) -> None:
        """Forget the volume."""
        self.show(False)
        remove(self.node)
        self.node = None

    def forget(self) -> None:
        """The scene was closed: the volume is gone, the settings stay."""
        self.node, self.is_visible = None, False

    def show(self, visible: bool) -> None:
        """Switch the layer on or off in every slice view."""
        self.is_visible = bool(visible) and self.node is not None
        for composite in of_class("vtkMRMLSliceCompositeNode"):
            if self.is_visible:
                self._put(composite)
            else:
                self._take_out(composite)

    def show_in(self, composite: slicer.vtkMRMLSliceCompositeNode) -> None:
        """Show the layer in a view that opened later."""
        if self.is_visible:
            self._put(composite)

    def set_opacity(self, opacity: float) -> None:
        """Opacity 0-1."""
        self.opacity = min(max(float(opacity), 0.0), 1.0)
        if self.is_visible:
            self.show(True)

    def set_range(self, lower: float, upper: float) -> None:
        """Show what lies between two values only."""
        self.lower, self.upper = sorted((float(lower), float(upper)))
        self._apply_range()

    def _apply_range(self) -> None:
        if self.node is not None:
            display = self.node.GetDisplayNode()
            display.AutoThresholdOff()
            display.ApplyThresholdOn()
            display.SetThreshold(self.lower, self.upper)

    def _put(self, composite: slicer.vtkMRMLSliceCompositeNode) -> None:
        raise NotImplementedError

    def _take_out(self, composite: slicer.vtkMRMLSliceCompositeNode) -> None:
        raise NotImplementedError

    def values(self) -> np.ndarray:
        """Values, shape (K, J, I); of a layer that has a volume."""
        return slicer.util.arrayFromVolume(self.node)

    def highest_ras(self) -> tuple[float, float, float] | None:
        """Middle of the highest 0.1 %, so that no noisy voxel decides; None if all is 0."""
        if self.node is None:
            return None
        values = self.values()
        above = values[values > 0]
        if not above.size:
            return None
        where = np.nonzero(values >= np.quantile(above, 1.0 - HIGHEST_SHARE))
        weights = values[where]
        k, j, i = (float(np.average(axis, weights=weights)) for axis in where)
        x, y, z = (affine_of(self.node) @ np.array([i, j, k, 1.0]))[:3]
        return (float(x), float(y), float(z))


class HeatLayer(GradedLayer):
    """Where the model looked, in the foreground of all slice views.

    Attributes:
        legend: Colour legend in the views; None in an application that has none.
        has_legend: Whether it is shown with the heat.
    """

    def __init__(self) -> None:
        super().__init__("TumorLens heatmap", "heat", HEAT, opacity=0.6, lower=0.3)
        self.legend: Any = None
        self.has_legend = True

    def load(self, data: VolumeData, scale: float, *, trusted: bool) -> None:
        """Take a heatmap; replaces the last one.

        Args:
            data: Stored values.
            scale: Factor to 0-1.
            trusted: False greys it out, because it failed the test of faithfulness.
        """
        self.colours = HEAT if trusted else UNTRUSTED_HEAT
        self.take(data, scale)
        self.legend = _colour_legend(self.node)

    def drop(self) -> None:
        """Forget the heatmap."""
        self.show(False)
        remove(self.legend)
        self.legend = None
        super().drop()

    def forget(self) -> None:
        """The scene was closed: the nodes are gone, the settings stay."""
        super().forget()
        self.legend = None

    def show(self, visible: bool) -> None:
        """Switch the layer on or off in every slice view."""
        super().show(visible)
        self._apply_legend()

    def set_legend(self, visible: bool) -> None:
        """Show the colours in the views, too, whenever the heat is shown."""
        self.has_legend = bool(visible)
        self._apply_legend()

    def _apply_legend(self) -> None:
        if self.legend is not None:
            self.legend.SetVisibility(self.is_visible and self.has_legend)

    def _put(self, composite: slicer.vtkMRMLSliceCompositeNode) -> None:
        composite.SetForegroundVolumeID(self.node.GetID())
        composite.SetForegroundOpacity(self.opacity)

    def _take_out(self, composite: slicer.vtkMRMLSliceCompositeNode) -> None:
        if self.node is None or composite.GetForegroundVolumeID() == self.node.GetID():
            composite.SetForegroundVolumeID(None)
        composite.SetForegroundOpacity(0.0)

    def share_inside(self, mask: np.ndarray) -> float | None:
        """Share of all heat that lies inside a mask; None without heat."""
        if self.node is None:
            return None
        heat = self.values()
        total = float(heat.sum(dtype=np.float64))
        return float(heat[mask].sum(dtype=np.float64)) / total if total > 0 else None


class UncertaintyLayer(GradedLayer):
    """Where the model doubts its outline, in an additional layer of all slice views.

    The heatmap keeps the foreground, so both can be seen at once.
    """

    def __init__(self) -> None:
        super().__init__("TumorLens uncertainty", "uncertainty", DOUBT, opacity=0.6, lower=0.3)

    def _put(self, composite: slicer.vtkMRMLSliceCompositeNode) -> None:
        layer = self._layer_of(composite)
        if layer is None:
            layer = _free_layer(composite)
            composite.SetNthLayerVolumeID(layer, self.node.GetID())
        composite.SetNthLayerOpacity(layer, self.opacity)

    def _take_out(self, composite: slicer.vtkMRMLSliceCompositeNode) -> None:
        layer = self._layer_of(composite)
        if layer is not None:
            composite.SetNthLayerVolumeID(layer, None)

    def _layer_of(self, composite: slicer.vtkMRMLSliceCompositeNode) -> int | None:
        """Number of the layer that it has in a view; None if it has none there."""
        if self.node is None:
            return None
        identity = self.node.GetID()
        return next(
            (n for n in _additional(composite) if composite.GetNthLayerVolumeID(n) == identity),
            None,
        )

    def shown(self) -> np.ndarray:
        """Voxels within the range, shape (K, J, I); of a layer that has a volume."""
        values = self.values()
        return (values >= self.lower) & (values <= self.upper) & (values > 0)


def _additional(composite: slicer.vtkMRMLSliceCompositeNode) -> range:
    """Numbers of the layers beyond background, foreground and label."""
    first = composite.Layer_Last
    return range(first, first + composite.GetNumberOfAdditionalLayers())


def _free_layer(composite: slicer.vtkMRMLSliceCompositeNode) -> int:
    """Number of an additional layer that no other module uses."""
    taken = _additional(composite)
    return next((n for n in taken if not composite.GetNthLayerVolumeID(n)), taken.stop)


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


def forget_scene_nodes() -> None:
    """Remove what the layers of an earlier session left in the scene."""
    for kind in ("vtkMRMLScalarVolumeNode", "vtkMRMLLabelMapVolumeNode"):
        for node in of_class(kind):
            if node.GetAttribute(OWNER) in ("heat", "uncertainty", "marks", "temporary"):
                remove(node)
