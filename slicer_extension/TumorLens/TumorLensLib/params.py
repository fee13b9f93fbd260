"""Typed access to what the scene remembers of the panel."""

from __future__ import annotations

from typing import Any

PREFIX = "TumorLens."


class Parameters:
    """Values and node references on the module's parameter node, so they survive saving the scene.

    Args:
        node: vtkMRMLScriptedModuleNode.
    """

    def __init__(self, node: Any) -> None:
        self.node = node

    def text(self, key: str, default: str = "") -> str:
        """Text value."""
        return self.node.GetParameter(PREFIX + key) or default

    def set_text(self, key: str, value: str) -> None:
        """Store a text value."""
        self.node.SetParameter(PREFIX + key, value)

    def number(self, key: str, default: float) -> float:
        """Number; the default if it is absent or no number."""
        try:
            return float(self.text(key))
        except ValueError:
            return default

    def set_number(self, key: str, value: float) -> None:
        """Store a number, exactly."""
        self.set_text(key, repr(float(value)))

    def referenced(self, role: str) -> Any:
        """Node in a role, or None."""
        return self.node.GetNodeReference(PREFIX + role)

    def refer(self, role: str, node: Any) -> None:
        """Remember a node in a role; None forgets it."""
        self.node.SetNodeReferenceID(PREFIX + role, node.GetID() if node is not None else None)
