"""Losses of the sub-region network: cross-entropy plus Dice on the nested regions."""

from __future__ import annotations

from enum import StrEnum

import torch
import torch.nn.functional as F

from brain_tumor.labels import REGION_LABELS, Label, Region

SMOOTH = 1.0


class CrossEntropy(StrEnum):
    """What cross-entropy is taken over."""

    LABELS = "labels"
    REGIONS = "regions"


def region_probabilities(probabilities: torch.Tensor) -> torch.Tensor:
    """Probability of WT, TC and ET from exclusive class probabilities.

    Args:
        probabilities: Shape (N, 4, ...), classes in the order of `Label`.

    Returns:
        Shape (N, 3, ...), in the order WT, TC, ET.
    """
    parts = _inside_and_outside(probabilities.shape[1])
    return torch.stack([probabilities[:, inside].sum(dim=1) for inside, _ in parts], dim=1)


def region_logits(logits: torch.Tensor) -> torch.Tensor:
    """Logits of WT, TC and ET from logits of exclusive classes: log p(inside) - log p(outside).

    Args:
        logits: Shape (N, 4, ...), classes in the order of `Label`.

    Returns:
        Shape (N, 3, ...), in the order WT, TC, ET; their sigmoid is `region_probabilities`.
    """
    return torch.stack(
        [
            logits[:, inside].logsumexp(dim=1) - logits[:, outside].logsumexp(dim=1)
            for inside, outside in _inside_and_outside(logits.shape[1])
        ],
        dim=1,
    )


def dice_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, over: CrossEntropy = CrossEntropy.LABELS
) -> torch.Tensor:
    """Cross-entropy plus one minus soft Dice over the regions, 1:1.

    Dice pools the batch, so that a crop without tumour does not divide by nothing. Computed in
    float32 whatever the autocast type.

    Args:
        logits: Shape (N, 4, I, J, K).
        labels: Label values, shape (N, I, J, K), int64.
        over: Cross-entropy of the exclusive labels, or the mean of the three regions' own.

    References:
        Milletari et al. 2016, arXiv:1606.04797 (soft Dice, squared denominator);
        Isensee et al. 2020, arXiv:2011.00848 (training on nested regions).
    """
    logits = logits.float()
    predicted = region_probabilities(logits.softmax(dim=1))
    one_hot = F.one_hot(labels, logits.shape[1]).movedim(-1, 1).float()
    target = region_probabilities(one_hot)
    if over is CrossEntropy.LABELS:
        entropy = F.cross_entropy(logits, labels)
    else:
        entropy = F.binary_cross_entropy_with_logits(region_logits(logits), target)
    axes = (0, 2, 3, 4)
    overlap = (predicted * target).sum(dim=axes)
    total = predicted.square().sum(dim=axes) + target.sum(dim=axes)
    dice = (2 * overlap + SMOOTH) / (total + SMOOTH)
    return entropy + (1 - dice).mean()


def _inside_and_outside(count: int) -> list[tuple[list[int], list[int]]]:
    """Of the first `count` classes those inside and outside WT, TC and ET."""
    classes = [int(label) for label in Label if int(label) < count]
    parts = []
    for region in (Region.WT, Region.TC, Region.ET):
        inside = [c for c in classes if Label(c) in REGION_LABELS[region]]
        parts.append((inside, [c for c in classes if c not in inside]))
    return parts
