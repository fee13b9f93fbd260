"""Places in mm: slices jump there, measurements are drawn there, clicks are read from there."""

from __future__ import annotations

import itertools
import math

import numpy as np
import slicer
import vtk

from TumorLensLib.reply import Evidence
from TumorLensLib.volumefiles import VolumeData
from TumorLensLib.volumes import OWNER, affine_of, of_class, remove

CIRCLE_POINTS = 24
EVIDENCE_COLOR = (1.0, 0.85, 0.1)
BACKGROUND_STROKE = 255
STROKE_VALUE = "TumorLens.stroke"
POSITIVE_COLOR, NEGATIVE_COLOR = (0.2, 0.9, 0.3), (0.95, 0.25, 0.2)


def jump_to(ras: tuple[float, float, float]) -> None:
    """Scroll every slice view to a point, without moving what is in its middle."""
    for view in of_class("vtkMRMLSliceNode"):
        view.JumpSliceByOffsetting(*(float(v) for v in ras))


class EvidenceMarker:
    """The measurement that the user asked for: a point with its name and, if known, its size.

    Attributes:
        nodes: Markups in the scene.
    """

    def __init__(self) -> None:
        self.nodes: list[slicer.vtkMRMLMarkupsNode] = []

    def show(self, evidence: Evidence, text: str) -> None:
        """Draw a measurement and go there; one without a place only clears the last one."""
        self.clear()
        if evidence.ras is None:
            return
        point = self._add("vtkMRMLMarkupsFiducialNode", text)
        point.AddControlPoint(vtk.vtkVector3d(*evidence.ras), text)
        if evidence.extent_mm:
            circle = self._add("vtkMRMLMarkupsClosedCurveNode", text)
            circle.GetDisplayNode().SetPointLabelsVisibility(False)
            circle.GetDisplayNode().SetPropertiesLabelVisibility(False)
            circle.GetDisplayNode().SetGlyphScale(0.3)
            x, y, z = evidence.ras
            radius = evidence.extent_mm / 2.0
            for step in range(CIRCLE_POINTS):
                angle = 2.0 * math.pi * step / CIRCLE_POINTS
                dx, dy = radius * math.cos(angle), radius * math.sin(angle)
                circle.AddControlPoint(vtk.vtkVector3d(x + dx, y + dy, z), "")
        for node in self.nodes:
            node.SetLocked(True)
        jump_to(evidence.ras)

    def clear(self) -> None:
        """Remove what was drawn."""
        for node in self.nodes:
            if node.GetDisplayNode() is not None:
                node.GetDisplayNode().SetVisibility(False)  # views redraw before it is gone
            remove(node)
        self.nodes = []

    def _add(self, kind: str, name: str) -> slicer.vtkMRMLMarkupsNode:
        node = _add_markups(kind, name, "evidence", EVIDENCE_COLOR)
        node.SetSaveWithScene(False)
        self.nodes.append(node)
        return node


class ClickPoints:
    """Points and strokes by which the annotator tells the model what is tumour and what is not."""

    KINDS = ("positive", "negative")

    def __init__(self) -> None:
        self.nodes: dict[str, slicer.vtkMRMLMarkupsNode] = {}
        self.strokes: list[slicer.vtkMRMLMarkupsCurveNode] = []

    def node(self, kind: str) -> slicer.vtkMRMLMarkupsFiducialNode:
        """Point list of a kind; made when first asked for."""
        node = self.nodes.get(kind)
        if node is None or node.GetScene() is None:
            color = POSITIVE_COLOR if kind == "positive" else NEGATIVE_COLOR
            name = "tumour" if kind == "positive" else "no tumour"
            node = _add_markups("vtkMRMLMarkupsFiducialNode", name, "clicks", color)
            node.SetSaveWithScene(False)
            self.nodes[kind] = node
        return node

    def start_placing(self, kind: str) -> None:
        """Let the next clicks into the views add points."""
        self._place(self.node(kind))

    def _place(self, node: slicer.vtkMRMLMarkupsNode) -> None:
        selection = slicer.app.applicationLogic().GetSelectionNode()
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        if selection is None or interaction is None:
            return
        selection.SetReferenceActivePlaceNodeClassName(node.GetClassName())
        selection.SetActivePlaceNodeID(node.GetID())
        interaction.SwitchToPersistentPlaceMode()

    def stop_placing(self) -> None:
        """Clicks scroll and zoom again."""
        interaction = slicer.app.applicationLogic().GetInteractionNode()
        if interaction is not None:
            interaction.SwitchToViewTransformMode()

    def count(self, kind: str) -> int:
        """How many points of a kind there are."""
        node = self.nodes.get(kind)
        return node.GetNumberOfControlPoints() if node is not None and node.GetScene() else 0

    def voxels(
        self, kind: str, reference: slicer.vtkMRMLScalarVolumeNode
    ) -> list[tuple[int, int, int]]:
        """Voxels I, J, K under the points; those outside the volume are left out."""
        node = self.nodes.get(kind)
        if node is None or node.GetScene() is None:
            return []
        points = [node.GetNthControlPointPositionWorld(i) for i in range(self.count(kind))]
        return voxels_of([tuple(p) for p in points], reference)

    def start_stroke(self, kind: str, label: int) -> slicer.vtkMRMLMarkupsCurveNode:
        """Let the next clicks draw a line; each call begins a new one.

        Args:
            kind: `positive` or `negative`.
            label: Label value of a positive stroke.
        """
        color = POSITIVE_COLOR if kind == "positive" else NEGATIVE_COLOR
        name = "tumour stroke" if kind == "positive" else "no tumour stroke"
        node = _add_markups("vtkMRMLMarkupsCurveNode", name, "clicks", color)
        node.SetSaveWithScene(False)
        node.GetDisplayNode().SetPropertiesLabelVisibility(False)
        value = label if kind == "positive" else BACKGROUND_STROKE
        node.SetAttribute(STROKE_VALUE, str(int(value)))
        self.strokes.append(node)
        self._place(node)
        return node

    def stroke_labelmap(self, reference: slicer.vtkMRMLScalarVolumeNode) -> VolumeData | None:
        """Strokes as the labelmap that the server takes; None if nothing was drawn."""
        labels = np.zeros(reference.GetImageData().GetDimensions()[::-1], np.uint8)
        step_mm = 0.5 * min(reference.GetSpacing())
        for node in self._drawn():
            points = slicer.util.arrayFromMarkupsCurvePoints(node, world=True)
            for i, j, k in voxels_of(_along(points, step_mm), reference):
                labels[k, j, i] = int(node.GetAttribute(STROKE_VALUE))
        return VolumeData(labels, affine_of(reference)) if labels.any() else None

    def _drawn(self) -> list[slicer.vtkMRMLMarkupsCurveNode]:
        here = [node for node in self.strokes if node.GetScene() is not None]
        return [node for node in here if node.GetNumberOfControlPoints() >= 2]

    def stroke_count(self) -> int:
        """How many strokes were drawn."""
        return len(self._drawn())

    def clear(self) -> None:
        """Remove all points and strokes."""
        self.stop_placing()
        for node in (*self.nodes.values(), *self.strokes):
            remove(node)
        self.nodes, self.strokes = {}, []


def _along(points: np.ndarray, step_mm: float) -> list[tuple[float, float, float]]:
    """Points of a polyline, close enough that no voxel on the way is missed."""
    dense = [points[:1]]
    for start, end in itertools.pairwise(points):
        count = max(1, math.ceil(float(np.linalg.norm(end - start)) / step_mm))
        shares = np.linspace(0.0, 1.0, count + 1)[1:, None]
        dense.append(start + shares * (end - start))
    return [(float(x), float(y), float(z)) for x, y, z in np.concatenate(dense)]


def voxels_of(
    points: list[tuple[float, float, float]], reference: slicer.vtkMRMLScalarVolumeNode
) -> list[tuple[int, int, int]]:
    """Voxels that hold points in mm; each once, in the order of the points."""
    if not points:
        return []
    to_ijk = np.linalg.inv(affine_of(reference))
    homogeneous = np.c_[np.array(points, float), np.ones(len(points))]
    indices = np.rint((homogeneous @ to_ijk.T)[:, :3]).astype(int)
    size = reference.GetImageData().GetDimensions()
    inside = [
        (int(i), int(j), int(k))
        for i, j, k in indices
        if 0 <= i < size[0] and 0 <= j < size[1] and 0 <= k < size[2]
    ]
    return list(dict.fromkeys(inside))


def _add_markups(
    kind: str, name: str, role: str, color: tuple[float, float, float]
) -> slicer.vtkMRMLMarkupsNode:
    node = slicer.mrmlScene.AddNewNodeByClass(kind, name)
    node.SetAttribute(OWNER, role)
    node.CreateDefaultDisplayNodes()
    display = node.GetDisplayNode()
    display.SetSelectedColor(*color)
    display.SetColor(*color)
    display.SetTextScale(3.0)
    return node
