"""One space for pictures and phrases, learnt from training patients.

The text tower knows no radiology and the image tower no words, so two linear maps are learnt with
a contrastive loss. A caption is a few phrases that are true of a slice; it is true of other slices
too, and a text is never a negative of a picture that it is true of.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from brain_tumor.concepts.prompts import similarities

WIDTH = 128
ALIGNMENT_TEMPERATURE = 0.05


class SharedSpace(nn.Module):
    """Linear maps of image and text features into one space.

    Args:
        image_width: Width of image features.
        text_width: Width of text features.
        width: Of the shared space.
    """

    image_centre: torch.Tensor
    image_scale: torch.Tensor
    text_centre: torch.Tensor

    def __init__(self, image_width: int, text_width: int, width: int = WIDTH) -> None:
        super().__init__()
        self.register_buffer("image_centre", torch.zeros(image_width))
        self.register_buffer("image_scale", torch.ones(image_width))
        self.register_buffer("text_centre", torch.zeros(text_width))
        self.image = nn.Linear(image_width, width, bias=False)
        self.text = nn.Linear(text_width, width, bias=False)

    def project_images(self, features: torch.Tensor) -> torch.Tensor:
        """Image features in the shared space, (N, width)."""
        found: torch.Tensor = self.image((features - self.image_centre) / self.image_scale)
        return found

    def project_texts(self, features: torch.Tensor) -> torch.Tensor:
        """Text features in the shared space, (N, width)."""
        found: torch.Tensor = self.text(features - self.text_centre)
        return found


@dataclass(frozen=True)
class AlignmentPlan:
    """How the space is learnt.

    Attributes:
        steps: Optimiser steps.
        batch_size: Slices, and captions, per step.
        learning_rate: Peak of the cosine schedule of AdamW.
        weight_decay: Of AdamW.
        most_phrases: Longest caption.
        seed: Of weights and sampling.
    """

    steps: int = 400
    batch_size: int = 256
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    most_phrases: int = 4
    seed: int = 2026


def multi_positive_loss(
    images: torch.Tensor,
    texts: torch.Tensor,
    positives: torch.Tensor,
    temperature: float = ALIGNMENT_TEMPERATURE,
) -> torch.Tensor:
    """Contrastive loss in both directions with any number of positives.

    Each picture's target is spread evenly over all texts that are true of it, and the reverse;
    rows without a positive do not count.

    Args:
        images: (N, width).
        texts: (M, width).
        positives: 1 where a text is true of a picture, (N, M).
        temperature: Above 0.

    References:
        Khosla et al. 2020, arXiv:2004.11362 (several positives).
    """
    logits = similarities(images, texts) / temperature
    return (_one_way(logits, positives) + _one_way(logits.T, positives.T)) / 2


def align(
    images: torch.Tensor,
    truth_of_phrases: torch.Tensor,
    phrases: torch.Tensor,
    plan: AlignmentPlan,
    weights: torch.Tensor | None = None,
) -> SharedSpace:
    """Learn the space.

    Args:
        images: Frozen image features, (N, V, width): V outlines of each slice.
        truth_of_phrases: 1 where a phrase is true of a slice, (N, phrases).
        phrases: Frozen text features of the phrases, (phrases, width).
        plan: How.
        weights: Chance of each slice to be drawn, (N,); even if None.

    Returns:
        Space, frozen.
    """
    torch.manual_seed(plan.seed)
    rng = np.random.default_rng(plan.seed)
    space = SharedSpace(images.shape[-1], phrases.shape[1])
    flat = images.flatten(0, 1)
    space.image_centre.copy_(flat.mean(dim=0))
    space.image_scale.copy_(flat.std(dim=0).clamp(min=1e-3))
    space.text_centre.copy_(phrases.mean(dim=0))
    optimiser = torch.optim.AdamW(
        space.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, plan.steps)
    chance = None if weights is None else (weights / weights.sum()).double().numpy()
    if chance is not None:
        chance = chance / chance.sum()
    for _ in range(plan.steps):
        rows = rng.choice(len(images), plan.batch_size, p=chance)
        shown = images[rows, rng.integers(0, images.shape[1], plan.batch_size)]
        true = truth_of_phrases[rows]
        chosen = draw_captions(true.numpy(), rng, plan.most_phrases)
        captions = torch.from_numpy(chosen)
        texts = captions @ phrases / captions.sum(dim=1, keepdim=True).clamp(min=1)
        positives = ((true @ captions.T) >= captions.sum(dim=1)[None] - 0.5).float()
        loss = multi_positive_loss(
            space.project_images(shown), space.project_texts(texts), positives
        )
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return space.eval().requires_grad_(requires_grad=False)


def draw_captions(
    true: np.ndarray[tuple[int, int], np.dtype[np.float32]], rng: np.random.Generator, most: int
) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    """For each slice 1 to `most` of its true phrases, at random: 1 where a phrase is said."""
    order = rng.random(true.shape) * (true > 0)
    rank = np.argsort(np.argsort(-order, axis=1), axis=1)
    count = rng.integers(1, most + 1, len(true))[:, None]
    return ((rank < count) & (true > 0)).astype(np.float32)


def _one_way(logits: torch.Tensor, positives: torch.Tensor) -> torch.Tensor:
    total = positives.sum(dim=1, keepdim=True)
    target = positives / total.clamp(min=1)
    loss = -(target * F.log_softmax(logits, dim=1)).sum(dim=1)
    counted = total[:, 0] > 0
    return loss[counted].mean() if bool(counted.any()) else logits.sum() * 0.0
