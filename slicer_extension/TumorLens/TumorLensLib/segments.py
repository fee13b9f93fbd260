"""Labelmaps and segmentations.

A segment's class stands in a tag. Slicer changes names, colours, order and even label values while
a segmentation is edited; tags stay, also in files.
"""

from __future__ import annotations

import numpy as np
import slicer
import vtk

from TumorLensLib.labels import ED, SCHEMES, LabelClass, scheme_of
from TumorLensLib.volumefiles import VolumeData
from TumorLensLib.volumes import OWNER, add_volume, remove

TAG = "TumorLens.Label"
FILL_OPACITY = 0.35
OEDEMA_OPACITY_3D = 0.25
"""So that what it surrounds can be seen."""


class SegmentError(ValueError):
    """The segments are not a labelmap of a known scheme; the text names them."""


def import_labelmap(
    labelmap: VolumeData,
    reference: slicer.vtkMRMLScalarVolumeNode,
    scheme: str,
    node: slicer.vtkMRMLSegmentationNode | None = None,
    name: str = "Segmentation",
) -> slicer.vtkMRMLSegmentationNode:
    """Show a labelmap as editable segments; classes without voxels become empty segments.

    Args:
        labelmap: Values of the scheme.
        reference: Volume on whose grid the segments are edited.
        scheme: Key of `SCHEMES`.
        node: Segmentation to refill; None makes one.
        name: Name of a new segmentation.

    Raises:
        SegmentError: If the labelmap holds other values; then the node is as it was.
    """
    classes = SCHEMES[scheme]
    found = {int(v) for v in np.flatnonzero(np.bincount(labelmap.array.ravel()))} - {0}
    unknown = found - {one.value for one in classes}
    if unknown:
        known = ", ".join(f"{one.value} {one.name}" for one in classes)
        raise SegmentError(f"the labelmap holds the values {sorted(unknown)}; expected {known}")
    if node is None:
        node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLSegmentationNode", name)
        node.SetAttribute(OWNER, "segments")
        node.CreateDefaultDisplayNodes()
        node.GetDisplayNode().SetOpacity2DFill(FILL_OPACITY)
    node.SetReferenceImageGeometryParameterFromVolumeNode(reference)
    segmentation = node.GetSegmentation()
    had_surface = segmentation.ContainsRepresentation("Closed surface")
    segmentation.RemoveAllSegments()
    if found:
        kind = "vtkMRMLLabelMapVolumeNode"
        temporary = add_volume(labelmap, "TumorLens import", "temporary", kind)
        try:
            logic = slicer.modules.segmentations.logic()
            if not logic.ImportLabelmapToSegmentationNode(temporary, node, ""):
                raise SegmentError("Slicer could not import the labelmap")
        finally:
            remove(temporary)
    by_value = {
        segmentation.GetNthSegment(i).GetLabelValue(): segmentation.GetNthSegmentID(i)
        for i in range(segmentation.GetNumberOfSegments())
    }  # label values are right at this moment and not later
    for one in sorted(classes, key=lambda c: c.value):
        identity = by_value.get(one.value) or segmentation.AddEmptySegment(one.key, one.name)
        _dress(segmentation.GetSegment(identity), one)
    if had_surface:
        node.CreateClosedSurfaceRepresentation()
    return node


def _dress(segment: slicer.vtkSegment, one: LabelClass) -> None:
    segment.SetName(one.name)
    segment.SetColor(*one.color)
    segment.SetTag(TAG, str(one.value))
    segment.SetTag(slicer.vtkSegment.GetTerminologyEntryTagName(), one.terminology)


def value_of(segment: slicer.vtkSegment) -> int | None:
    """Label value that a segment stands for, or None for a foreign one."""
    text = vtk.reference("")
    if not segment.GetTag(TAG, text):
        return None
    try:
        return int(str(text))
    except ValueError:
        return None


def segment_ids(node: slicer.vtkMRMLSegmentationNode) -> dict[int, list[str]]:
    """Segment ids by label value; a class may have several segments, after a copy.

    Raises:
        SegmentError: If a segment stands for no class; the text names all of them.
    """
    segmentation = node.GetSegmentation()
    found: dict[int, list[str]] = {}
    stray = []
    for index in range(segmentation.GetNumberOfSegments()):
        value = value_of(segmentation.GetNthSegment(index))
        if value is None:
            stray.append(segmentation.GetNthSegment(index).GetName())
        else:
            found.setdefault(value, []).append(segmentation.GetNthSegmentID(index))
    if stray:
        names = ", ".join(f"'{name}'" for name in stray)
        raise SegmentError(
            f"the segments {names} belong to no class of the tumour; "
            "move their voxels into one of its classes, or delete them"
        )
    return found


def export_array(
    node: slicer.vtkMRMLSegmentationNode, reference: slicer.vtkMRMLScalarVolumeNode
) -> np.ndarray:
    """Labelmap of the segments on the grid of the reference, uint8, shape (K, J, I).

    Raises:
        SegmentError: If a segment stands for no class, or classes of two schemes are mixed.
    """
    by_value = segment_ids(node)
    try:
        scheme = scheme_of(set(by_value))
    except ValueError as error:
        raise SegmentError(str(error)) from error
    out = np.zeros(slicer.util.arrayFromVolume(reference).shape, np.uint8)
    segmentation = node.GetSegmentation()
    for one in SCHEMES[scheme]:
        for identity in by_value.get(one.value, []):
            if _is_empty(segmentation.GetSegment(identity)):
                continue
            mask = slicer.util.arrayFromSegmentBinaryLabelmap(node, identity, reference)
            out[mask > 0] = one.value
    return out


def _is_empty(segment: slicer.vtkSegment) -> bool:
    image = segment.GetRepresentation("Binary labelmap")
    return image is None or image.IsEmpty()


def set_surface(node: slicer.vtkMRMLSegmentationNode, visible: bool) -> None:
    """Show the segments in 3D views, or not."""
    if visible:
        node.CreateClosedSurfaceRepresentation()
        segmentation = node.GetSegmentation()
        for index in range(segmentation.GetNumberOfSegments()):
            if value_of(segmentation.GetNthSegment(index)) == ED.value:
                identity = segmentation.GetNthSegmentID(index)
                node.GetDisplayNode().SetSegmentOpacity3D(identity, OEDEMA_OPACITY_3D)
        node.GetDisplayNode().SetVisibility3D(True)
    else:
        node.GetDisplayNode().SetVisibility3D(False)
        node.RemoveClosedSurfaceRepresentation()
