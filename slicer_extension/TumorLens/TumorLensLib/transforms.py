"""Motions that the server found between sequences, as transform nodes.

The nodes move nothing by themselves. Who puts the volume of a sequence under the one of its name
sees it where the server read it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import slicer

from TumorLensLib.volumes import OWNER, remove

REGISTERED = "registered"


def matrices(reply: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """By name, 4x4 matrices in mm (RAS) of the sequences that the server moved."""
    entries = reply.get("registration")
    found = {}
    for entry in entries if isinstance(entries, list) else []:
        if not isinstance(entry, Mapping) or entry.get("status") != REGISTERED:
            continue
        try:
            matrix = np.array(entry.get("matrix"), dtype=float)
        except (TypeError, ValueError):
            continue
        if matrix.shape == (4, 4) and np.isfinite(matrix).all():
            found[f"{entry.get('sequence')} onto {entry.get('reference')}"] = matrix
    return found


class Transforms:
    """The transform nodes of the open case."""

    def __init__(self) -> None:
        self.nodes: list[slicer.vtkMRMLLinearTransformNode] = []

    def show(self, reply: Mapping[str, Any]) -> None:
        """Take the registrations of a reply; those of the last one go."""
        self.drop()
        for name, matrix in matrices(reply).items():
            node = slicer.mrmlScene.AddNewNodeByClass("vtkMRMLLinearTransformNode", name)
            node.SetMatrixTransformToParent(slicer.util.vtkMatrixFromArray(matrix))
            node.SetAttribute(OWNER, "registration")
            self.nodes.append(node)

    def drop(self) -> None:
        """Take them out of the scene; a volume under one is where its file says again."""
        for node in self.nodes:
            remove(node)
        self.forget()

    def forget(self) -> None:
        """The scene was closed: they are gone."""
        self.nodes = []
