"""The map of text features into the shared space, kept in the bundle for new classes by words.

Serving does not need it: the symptoms that a bundle knows are mapped already.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from brain_tumor.concepts.alignment import SharedSpace
from brain_tumor.errors import ModelError

TEXT_MAP = Path("models/text_map.safetensors")


class TextProjection(Protocol):
    """Maps text features into the shared space."""

    def project_texts(self, features: torch.Tensor) -> torch.Tensor:
        """Text features in the shared space, (N, width), from (N, text_width)."""
        ...


@dataclass(frozen=True, eq=False)
class TextMap:
    """The text half of a `SharedSpace`.

    Attributes:
        centre: Mean text feature of the training phrases, (text_width,).
        weight: Linear map, (width, text_width).
    """

    centre: torch.Tensor
    weight: torch.Tensor

    def project_texts(self, features: torch.Tensor) -> torch.Tensor:
        """Text features in the shared space, (N, width)."""
        return (features - self.centre) @ self.weight.T


def write_text_map(space: SharedSpace, bundle: Path) -> None:
    """Write the text half of a space into a bundle."""
    (bundle / TEXT_MAP).parent.mkdir(parents=True, exist_ok=True)
    parts = {"centre": space.text_centre, "weight": space.text.weight.detach()}
    save_file({name: part.clone().contiguous() for name, part in parts.items()}, bundle / TEXT_MAP)


def read_text_map(bundle: Path) -> TextMap:
    """Text map of a bundle.

    Raises:
        ModelError: If the bundle has none, or it is damaged.
    """
    try:
        parts = load_file(bundle / TEXT_MAP)
        return TextMap(parts["centre"].float(), parts["weight"].float())
    except (OSError, SafetensorError, KeyError) as error:
        raise ModelError(
            f"bundle '{bundle.name}' has no usable {TEXT_MAP}; a class cannot be added to it",
            remedy="Use the shipped bundle, or export it again from its run.",
        ) from error
