"""Colours of what is laid over the image: heat, uncertainty and outlines."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import slicer

from TumorLensLib.volumes import of_class

STEPS = 256
Rgb = tuple[float, float, float]


@dataclass(frozen=True)
class ColourScale:
    """Colours of the values from 0 to 1.

    Attributes:
        name: Name of the colour table in the scene.
        anchors: RGB 0-1 at even distances; their lightness rises steadily, so that more always
            looks brighter.
    """

    name: str
    anchors: tuple[Rgb, ...]

    def steps(self) -> np.ndarray:
        """RGB 0-1 of each step, shape (256, 3)."""
        x, at = np.linspace(0.0, 1.0, STEPS), np.linspace(0.0, 1.0, len(self.anchors))
        return np.stack([np.interp(x, at, [c[k] for c in self.anchors]) for k in range(3)], axis=1)

    def table(self) -> slicer.vtkMRMLColorTableNode:
        """Colour table node; made once a scene."""
        found = _colour_node(self.name)
        if found is None:
            found = _new_table(self.name, STEPS)
            for step, (r, g, b) in enumerate(self.steps()):
                found.SetColor(step, f"{step / (STEPS - 1):.2f}", r, g, b, 1.0)
            slicer.mrmlScene.AddNode(found)
        return found


HEAT = ColourScale(
    "TumorLens heat",
    (
        (0.000, 0.000, 0.014), (0.106, 0.047, 0.275), (0.290, 0.047, 0.420), (0.471, 0.110, 0.427),
        (0.647, 0.173, 0.376), (0.812, 0.267, 0.275), (0.929, 0.412, 0.145), (0.984, 0.608, 0.024),
        (0.969, 0.820, 0.239), (0.988, 1.000, 0.643),
    ),
)  # fmt: skip
UNTRUSTED_HEAT = ColourScale("TumorLens heat, not trusted", ((0.15,) * 3, (0.75,) * 3))
DOUBT = ColourScale(
    "TumorLens uncertainty",
    (
        (0.000, 0.060, 0.110), (0.000, 0.220, 0.300), (0.000, 0.400, 0.490), (0.020, 0.590, 0.650),
        (0.250, 0.800, 0.800), (0.700, 1.000, 0.950),
    ),
)  # fmt: skip
"""Hues that the heat has nowhere, so that both can be told apart where they overlap."""

UNCERTAIN, CHANGED = 1, 2
MARK_COLORS = {UNCERTAIN: ("uncertain", (0.0, 0.9, 1.0)), CHANGED: ("changed", (1.0, 0.3, 1.0))}
MARKS = "TumorLens marks"


def mark_table() -> slicer.vtkMRMLColorTableNode:
    """Colour table of the outlines; made once a scene."""
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
