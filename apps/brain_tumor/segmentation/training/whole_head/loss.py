"""Loss on what is known: sub-regions where they were drawn, the whole tumour everywhere."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from brain_tumor.labels import Label
from brain_tumor.segmentation.training.whole_head.sources import UNKNOWN_PART

REGION_WEIGHTS = (1.0, 0.5, 0.5)
SMOOTH = 1.0


def region_targets(labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Targets of WT, TC and ET and where they are known.

    A voxel outside the whole tumour is known to be in neither core nor enhancement; a voxel of
    `UNKNOWN_PART` tells that it is tumour and nothing more.

    Args:
        labels: `Label` values or `UNKNOWN_PART`, shape (N, I, J).

    Returns:
        Targets and weights, each of shape (N, 3, I, J).

    References:
        Fidon et al. 2021, arXiv:2107.03846; Shi et al. 2021, doi:10.1016/j.media.2021.101979
        (marginal losses on partly labelled data).
    """
    whole = labels > 0
    enhancing = labels == int(Label.ET)
    core = enhancing | (labels == int(Label.NCR))
    told = labels != UNKNOWN_PART
    targets = torch.stack([whole, core, enhancing], dim=1).float()
    known = torch.stack([torch.ones_like(told), told, told], dim=1).float()
    return targets, known


def known_loss(logits: torch.Tensor, targets: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
    """Cross-entropy plus one minus soft Dice of the batch, over what is known.

    Args:
        logits: Shape (N, 3, I, J).
        targets: Same shape, 0 to 1.
        known: Same shape, 0 to 1.
    """
    weights = torch.tensor(REGION_WEIGHTS)
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction="none")
    entropy = (entropy * known).sum(dim=(0, 2, 3)) / known.sum(dim=(0, 2, 3)).clamp(min=1)
    predicted = logits.sigmoid() * known
    target = targets * known
    overlap = (predicted * target).sum(dim=(0, 2, 3))
    total = (predicted + target).sum(dim=(0, 2, 3))
    dice = (2 * overlap + SMOOTH) / (total + SMOOTH)
    return ((entropy * 3 + 1 - dice) * weights).sum() / weights.sum()


def half_resolution(maps: torch.Tensor) -> torch.Tensor:
    """Targets or weights for logits at half resolution."""
    return F.avg_pool2d(maps, 2)
