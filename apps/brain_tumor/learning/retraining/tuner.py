"""What a model must offer to be retrained from corrections, and the losses that they share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from brain_tumor.cases.case import Case
from brain_tumor.errors import StorageError
from brain_tumor.labels import LabelArray, TumorType
from brain_tumor.learning.gate.promotion import GateRules
from brain_tumor.segmentation.subregions.losses import SMOOTH, region_probabilities

CHANGED = 16
"""Added to the label of a voxel that the parent model gets wrong: one array carries both."""

CHANGED_WEIGHT = 3.0
"""Such a voxel counts 1 + this many times."""


@dataclass(frozen=True, eq=False)
class Truth:
    """What is right about a case.

    Attributes:
        labels: Labelmap on the reference grid.
        tumor_type: Type of the tumour; None where nobody said it.
    """

    labels: LabelArray
    tumor_type: TumorType | None = None


class Scorer(Protocol):
    """A version of a model that can be measured."""

    def __call__(self, case: Case, truth: Truth) -> Mapping[str, float]:
        """Score per metric on one case, higher is better; empty if it cannot be measured on it."""


@dataclass(frozen=True, eq=False)
class Examples:
    """Files that `FineTuner.prepare` wrote.

    Attributes:
        corrections: Of corrected cases.
        replay: Of base data.
    """

    corrections: list[Path]
    replay: list[Path]


LEAST_OVERLAP = 0.2
MASK_RULES = GateRules(least_current=LEAST_OVERLAP)
"""What the gate demands of a model that learns from masks.

Where the version in use hardly overlaps with the held-out masks of patients like those that it was
checked on, outlines at the wrong place are likelier than a model that finds nothing: a candidate
that learnt the same mistake would look far better on them.
"""


class FineTuner(Protocol):
    """A model that learns from corrections."""

    name: str
    """Bundle name."""

    learns_from: str
    """What a correction is to this model, in the plural: masks, or tumour types."""

    rules: GateRules
    """What the gate demands of a candidate."""

    learnt_share: float
    """How far the candidate goes from the parent's weights (0) to the fine-tuned ones (1)."""

    @property
    def network(self) -> nn.Module:
        """Network that learns; starts with the parent's weights.

        It may hold a part of the parent's parameters only; the others stay as they are.
        """

    def prepare(self, case: Case, truth: Truth, path: Path) -> bool:
        """Write an example to a file; False if the case has nothing for this model."""

    def loss(
        self, corrections: list[Path], replay: list[Path], rng: np.random.Generator
    ) -> torch.Tensor:
        """Loss of one optimiser step on a random correction and a random replayed example."""

    def complete(self, bundle: Path, examples: Examples) -> None:
        """Write what a candidate's bundle holds besides weights, metadata and card."""

    def scorer(self, bundle: Path) -> Scorer:
        """Measures a bundle of this model as it would answer requests."""

    def scorer_of(self, network: nn.Module) -> Scorer:
        """Measures weights in memory."""


def write_example(path: Path, image: npt.NDArray[np.float32], codes: LabelArray) -> None:
    """Write an example of a mask so that it appears whole.

    Args:
        path: File with the ending `.npz`.
        image: Normalised intensities; kept as float16.
        codes: Labels, plus `CHANGED` where the parent model is wrong.

    Raises:
        StorageError: If it cannot be written.
    """
    write_arrays(path, image=image.astype(np.float16), codes=codes)


def write_arrays(path: Path, **arrays: npt.NDArray[Any]) -> None:
    """Write named arrays so that the file appears whole.

    Args:
        path: File with the ending `.npz`.
        arrays: By name.

    Raises:
        StorageError: If they cannot be written.
    """
    temporary = path.with_name(f".{path.name}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as stream:
            np.savez(stream, **arrays)
        temporary.replace(path)
    except OSError as error:
        raise StorageError(f"an example cannot be stored: {error.strerror}") from error


def read_example(path: Path) -> tuple[npt.NDArray[np.float32], LabelArray]:
    """Example as `write_example` wrote it."""
    with np.load(path, allow_pickle=False) as stored:
        return stored["image"].astype(np.float32), stored["codes"]


def split_codes(codes: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Labels, and the weight of each voxel."""
    changed = codes >= CHANGED
    return torch.where(changed, codes - CHANGED, codes), 1.0 + CHANGED_WEIGHT * changed.float()


def weighted_dice_cross_entropy(
    logits: torch.Tensor, labels: torch.Tensor, weight: torch.Tensor
) -> torch.Tensor:
    """Cross-entropy over classes with a weight per voxel, plus one minus soft Dice over regions.

    Args:
        logits: Shape (N, 4, I, J, K).
        labels: Label values, shape (N, I, J, K), int64.
        weight: Weight per voxel, same shape.
    """
    logits = logits.float()
    entropy = F.cross_entropy(logits, labels, reduction="none")
    cross = (entropy * weight).sum() / weight.sum()
    predicted = region_probabilities(logits.softmax(dim=1))
    one_hot = F.one_hot(labels, logits.shape[1]).movedim(-1, 1).float()
    target = region_probabilities(one_hot)
    axes = (0, 2, 3, 4)
    overlap = (predicted * target).sum(dim=axes)
    total = predicted.square().sum(dim=axes) + target.sum(dim=axes)
    return cross + (1 - (2 * overlap + SMOOTH) / (total + SMOOTH)).mean()


def distillation(
    logits: torch.Tensor, teacher_logits: torch.Tensor, inside: torch.Tensor
) -> torch.Tensor:
    """Kullback-Leibler divergence from the teacher's classes, averaged over the foreground.

    Args:
        logits: Student, shape (N, C, ...).
        teacher_logits: Teacher, same shape.
        inside: Foreground, shape (N, ...).

    References:
        Hinton et al. 2015, arXiv:1503.02531; Li and Hoiem 2016, arXiv:1606.09282 (learning
        without forgetting).
    """
    student = logits.float().log_softmax(dim=1)
    teacher = teacher_logits.float().log_softmax(dim=1)
    divergence = (teacher.exp() * (teacher - student)).sum(dim=1)
    return (divergence * inside).sum() / inside.sum().clamp(min=1)
