"""Volumes in memory and volume nodes of the scene."""

from __future__ import annotations

import numpy as np
import slicer
import vtk

from TumorLensLib.volumefiles import VolumeData

OWNER = "TumorLens.role"
"""Attribute that marks nodes made by this module, with what they are for."""


def affine_of(node: slicer.vtkMRMLVolumeNode) -> np.ndarray:
    """Voxel indices to mm (RAS) of a volume node, 4x4."""
    matrix = vtk.vtkMatrix4x4()
    node.GetIJKToRASMatrix(matrix)
    return slicer.util.arrayFromVTKMatrix(matrix)


def data_of(node: slicer.vtkMRMLVolumeNode) -> VolumeData:
    """Copy of a volume node's voxels with its geometry.

    Raises:
        ValueError: If the volume is transformed: its voxels are elsewhere than its file says.
    """
    if node.GetParentTransformNode() is not None:
        raise ValueError(
            f"the volume '{node.GetName()}' is moved by a transform; harden the transform first"
        )
    return VolumeData(np.array(slicer.util.arrayFromVolume(node)), affine_of(node))


def add_volume(
    data: VolumeData, name: str, role: str, kind: str = "vtkMRMLScalarVolumeNode"
) -> slicer.vtkMRMLVolumeNode:
    """New volume node.

    Args:
        data: Voxels and geometry; copied.
        name: Shown to the user.
        role: What the module uses it for.
        kind: Node class.
    """
    node = slicer.mrmlScene.AddNewNodeByClass(kind, name)
    node.SetIJKToRASMatrix(slicer.util.vtkMatrixFromArray(np.asarray(data.ijk_to_ras, float)))
    slicer.util.updateVolumeFromArray(node, data.array)
    node.SetAttribute(OWNER, role)
    return node


def add_image(data: VolumeData, name: str) -> slicer.vtkMRMLScalarVolumeNode:
    """Image of a case, windowed so that 0.1 % of it is saturated."""
    node = add_volume(data, name, "image")
    node.CreateDefaultDisplayNodes()
    sample = data.array[::2, ::2, ::2]
    sample = sample[sample > sample.min()] if sample.size else sample
    if sample.size:
        low, high = (float(v) for v in np.percentile(sample, (0.1, 99.9)))
        display = node.GetDisplayNode()
        display.AutoWindowLevelOff()
        display.SetWindowLevelMinMax(low, max(high, low + 1e-6))
    return node


def show_as_background(node: slicer.vtkMRMLVolumeNode) -> None:
    """Show an image in all slice views, linked, and fit them to it."""
    for composite in of_class("vtkMRMLSliceCompositeNode"):
        composite.SetBackgroundVolumeID(node.GetID())
        composite.SetLinkedControl(1)
    logics = slicer.app.applicationLogic().GetSliceLogics()
    for index in range(logics.GetNumberOfItems()):
        logics.GetItemAsObject(index).FitSliceToBackground()


def of_class(kind: str) -> list:
    """Nodes of a class."""
    scene = slicer.mrmlScene
    return [scene.GetNthNodeByClass(i, kind) for i in range(scene.GetNumberOfNodesByClass(kind))]


def remove(node: slicer.vtkMRMLNode | None) -> None:
    """Remove a node that may be gone already."""
    if node is not None and node.GetScene() is not None:
        node.GetScene().RemoveNode(node)


def farthest_corner_mm(a: VolumeData, b: VolumeData) -> float:
    """Largest distance between the same corner of two grids; infinite if their sizes differ."""
    if a.array.shape != b.array.shape:
        return float("inf")
    size = np.array(a.array.shape[::-1]) - 1
    corners = np.array([[*(size * np.array(bits)), 1.0] for bits in np.ndindex(2, 2, 2)])
    moved = corners @ (a.ijk_to_ras - b.ijk_to_ras).T
    return float(np.linalg.norm(moved[:, :3], axis=1).max())


def is_same_grid(a: VolumeData, b: VolumeData) -> bool:
    """Whether two volumes agree within half a voxel everywhere."""
    return farthest_corner_mm(a, b) <= 0.5 * min(a.spacing_mm)
