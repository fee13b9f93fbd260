"""Outlines of uncertain and of changed voxels, in the label layer of all slice views."""

from __future__ import annotations

import numpy as np
import slicer

from TumorLensLib.colours import CHANGED, UNCERTAIN, mark_table
from TumorLensLib.volumefiles import VolumeData
from TumorLensLib.volumes import add_volume, affine_of, of_class, remove


class MarkLayer:
    """Outlined voxels of both kinds; a voxel of both is outlined as changed.

    Attributes:
        node: Labelmap of the outlines; None when nothing is outlined.
    """

    def __init__(self) -> None:
        self.node: slicer.vtkMRMLLabelMapVolumeNode | None = None
        self._masks: dict[int, np.ndarray] = {}

    def has(self, kind: int) -> bool:
        """Whether voxels of a kind are outlined."""
        return kind in self._masks

    def show(self, mask: np.ndarray, ijk_to_ras: np.ndarray, kind: int) -> None:
        """Outline voxels of a kind instead of those outlined before.

        Args:
            mask: Voxels to outline, shape (K, J, I).
            ijk_to_ras: Their grid; that of the image, for both kinds.
            kind: `UNCERTAIN` or `CHANGED`; says the colour.
        """
        self._masks[kind] = mask
        self._draw(ijk_to_ras)

    def hide(self, kind: int | None = None) -> None:
        """Outline voxels of a kind no longer, or none at all."""
        if kind is None:
            self._masks.clear()
        else:
            self._masks.pop(kind, None)
        if self.node is None:
            return
        if self._masks:
            self._draw(affine_of(self.node))
        else:
            self._remove()

    def forget(self) -> None:
        """The scene was closed: the labelmap is gone."""
        self.node = None
        self._masks.clear()

    def show_in(self, composite: slicer.vtkMRMLSliceCompositeNode) -> None:
        """Show the outlines in a view that opened later."""
        if self.node is not None:
            composite.SetLabelVolumeID(self.node.GetID())
            composite.SetLabelOpacity(1.0)

    def _draw(self, ijk_to_ras: np.ndarray) -> None:
        self._remove()
        shape = next(iter(self._masks.values())).shape
        values = np.zeros(shape, np.uint8)
        for kind in (UNCERTAIN, CHANGED):
            if kind in self._masks:
                values[self._masks[kind]] = kind
        data = VolumeData(values, ijk_to_ras)
        self.node = add_volume(data, "TumorLens marks", "marks", "vtkMRMLLabelMapVolumeNode")
        self.node.CreateDefaultDisplayNodes()
        self.node.GetDisplayNode().SetAndObserveColorNodeID(mark_table().GetID())
        for composite in of_class("vtkMRMLSliceCompositeNode"):
            self.show_in(composite)
        for view in of_class("vtkMRMLSliceNode"):
            view.SetUseLabelOutline(True)

    def _remove(self) -> None:
        for composite in of_class("vtkMRMLSliceCompositeNode"):
            if self.node is not None and composite.GetLabelVolumeID() == self.node.GetID():
                composite.SetLabelVolumeID(None)
        remove(self.node)
        self.node = None
