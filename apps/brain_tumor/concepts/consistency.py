"""An image head and a text head that are asked to agree.

As published L = (CE(image, y) + CE(text, y) + CE(image, text)) / 3, where the last term is the
cross-entropy between the two heads' distributions. It is not symmetric and pulls a good head to a
bad one; the other variant is the Jensen-Shannon divergence with the gradient stopped at whichever
head is nearer the truth. The text is a caption by rule that never names the class.

References:
    Cho, Park, Jeong: multimodal explanation for retinal OCT.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

HIDDEN = 64


class Consistency(StrEnum):
    """How the two heads are tied."""

    OFF = "off"
    PUBLISHED = "published"
    SYMMETRIC = "symmetric"


@dataclass(frozen=True)
class ConsistencyPlan:
    """How the heads are trained.

    Attributes:
        steps: Optimiser steps.
        batch_size: Slices per step.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
        said: Share of the phrases of a caption that is kept in a step.
        seed: Of weights and sampling.
    """

    steps: int = 250
    batch_size: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.05
    said: float = 0.8
    seed: int = 2026


class TwoHeads(nn.Module):
    """Feed-forward heads on image and text features of one space.

    Args:
        width: Of the features.
        classes: Number of classes.
    """

    def __init__(self, width: int, classes: int) -> None:
        super().__init__()
        self.image = _head(width, classes)
        self.text = _head(width, classes)

    def forward(
        self, images: torch.Tensor, texts: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Logits of both heads, each (N, classes)."""
        return self.image(F.normalize(images, dim=-1)), self.text(F.normalize(texts, dim=-1))


def consistency_loss(
    image: torch.Tensor, text: torch.Tensor, truth: torch.Tensor, variant: Consistency
) -> torch.Tensor:
    """Mean of the two cross-entropies and the term that ties the heads (0 if off).

    Args:
        image: Logits of the image head, (N, classes).
        text: Logits of the text head, same shape.
        truth: Classes, (N,).
        variant: How the heads are tied.
    """
    terms = [F.cross_entropy(image, truth), F.cross_entropy(text, truth)]
    if variant is Consistency.PUBLISHED:
        terms.append(F.cross_entropy(image, text.softmax(dim=1)))
    elif variant is Consistency.SYMMETRIC:
        terms.append(stopped_divergence(image, text, truth))
    return torch.stack(terms).sum() / 3


def stopped_divergence(
    image: torch.Tensor, text: torch.Tensor, truth: torch.Tensor
) -> torch.Tensor:
    """Jensen-Shannon divergence in nats; each example moves only the head that is worse there.

    Args:
        image: Logits, (N, classes).
        text: Logits, same shape.
        truth: Classes, (N,).
    """
    chosen = truth[:, None]
    image_leads = image.log_softmax(1).gather(1, chosen) >= text.log_softmax(1).gather(1, chosen)
    first = torch.where(image_leads, image.detach(), image).log_softmax(dim=1)
    second = torch.where(image_leads, text, text.detach()).log_softmax(dim=1)
    middle = torch.logaddexp(first, second) - float(np.log(2))
    apart = [(p.exp() * (p - middle)).sum(dim=1) for p in (first, second)]
    return (torch.stack(apart).sum(dim=0) / 2).mean()


def train_heads(
    images: torch.Tensor,
    said: torch.Tensor,
    phrases: torch.Tensor,
    truth: torch.Tensor,
    weights: torch.Tensor,
    variant: Consistency,
    plan: ConsistencyPlan,
) -> TwoHeads:
    """Train both heads on frozen features.

    Args:
        images: Image features in the shared space, (N, V, width).
        said: 1 where a phrase is in the caption of a slice's outline, (N, V, phrases).
        phrases: Features of the phrases in the shared space, (phrases, width).
        truth: Classes, (N,).
        weights: Chance of each slice to be drawn, (N,).
        variant: How the heads are tied.
        plan: How.
    """
    torch.manual_seed(plan.seed)
    generator = torch.Generator().manual_seed(plan.seed)
    heads = TwoHeads(images.shape[-1], int(truth.max()) + 1)
    optimiser = torch.optim.AdamW(
        heads.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
    )
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, plan.steps)
    for _ in range(plan.steps):
        rows = torch.multinomial(weights, plan.batch_size, replacement=True, generator=generator)
        outline = torch.randint(0, images.shape[1], (plan.batch_size,), generator=generator)
        caption = said[rows, outline]
        caption = caption * (torch.rand(caption.shape, generator=generator) < plan.said)
        image, text = heads(images[rows, outline], caption_features(caption, phrases))
        loss = consistency_loss(image, text, truth[rows], variant)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    return heads.eval().requires_grad_(requires_grad=False)


def caption_features(said: torch.Tensor, phrases: torch.Tensor) -> torch.Tensor:
    """Mean feature of the phrases that are said, (N, width); zero for an empty caption."""
    return said @ phrases / said.sum(dim=1, keepdim=True).clamp(min=1)


def _head(width: int, classes: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(width, HIDDEN), nn.ReLU(), nn.Dropout(0.3), nn.Linear(HIDDEN, classes)
    )
