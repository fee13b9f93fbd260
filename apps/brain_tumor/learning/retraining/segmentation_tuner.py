"""Fine-tuning of the sub-region network from corrected masks."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import nn

from brain_tumor.bundles import read_bundle
from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.preprocessing import WorkingCase, sample_on_grid, to_working_grid
from brain_tumor.cases.volume import Volume
from brain_tumor.devices import autocast, memory_watched, placed
from brain_tumor.errors import InputError
from brain_tumor.labels import Label, LabelArray, LabelScheme, check_scheme
from brain_tumor.learning.retraining.tuner import (
    CHANGED,
    MASK_RULES,
    Examples,
    Scorer,
    Truth,
    distillation,
    read_example,
    split_codes,
    weighted_dice_cross_entropy,
    write_example,
)
from brain_tumor.model_names import ModelName
from brain_tumor.segmentation.foreign.adapter import ADAPTED
from brain_tumor.segmentation.metrics.overlap import region_dice
from brain_tumor.segmentation.subregions.inference import SubregionSegmenter
from brain_tumor.segmentation.subregions.networks import network_from_metadata
from brain_tumor.segmentation.training.precision import run_wide_layers_in_float32
from brain_tumor.segmentation.training.subregions.augmentation import (
    drop_sequences,
    random_contrast,
    random_crop,
)

CROP_SHAPE = (64, 64, 64)
REPLAY_WEIGHT = 1.0
CLASSES = (Label.BACKGROUND, Label.NCR, Label.ED, Label.ET)


class SegmentationTuner:
    """Sub-region network that learns from corrections and is held by its own past.

    Each step sees a crop of a corrected case, where voxels that the parent gets wrong weigh more,
    and a crop of a replayed one, where it learns the mask and the parent's own answer.

    Args:
        parent: Bundle to start from; it is the teacher, too.
        crop: Shape of the crops, multiples of 16.
    """

    name = ModelName.SEGMENTATION.value
    learns_from = "masks"
    rules = MASK_RULES
    learnt_share = 1.0

    def __init__(self, parent: Path, *, crop: tuple[int, int, int] = CROP_SHAPE) -> None:
        bundle = read_bundle(parent)
        if bundle.metadata.get("network", {}).get("name") == ADAPTED:
            raise InputError(
                f"{bundle.version.name} {bundle.version.version} was imported; it does not learn "
                "from corrections",
                remedy="Train it where it is from, or roll back to a version of this project.",
            )
        self._network = placed(network_from_metadata(bundle.metadata, bundle.weights()))
        self._teacher = copy.deepcopy(self._network).eval().requires_grad_(requires_grad=False)
        run_wide_layers_in_float32(self._network)
        self._parent = SubregionSegmenter.load(parent)
        self._version = bundle.version
        self._crop = crop

    @property
    def network(self) -> nn.Module:
        """Network that learns."""
        return self._network

    def prepare(self, case: Case, truth: Truth, path: Path) -> bool:
        """Write case and labels on the working grid; an undivided core says too little."""
        if check_scheme(truth.labels) is not LabelScheme.SUBREGIONS:
            return False
        working = to_working_grid(case)
        wanted = labels_on_working_grid(truth.labels, case, working)
        found = self._parent.predict(working).probabilities.max(dim=0).indices.numpy()
        codes = wanted + CHANGED * (found != wanted).astype(np.uint8)
        write_example(path, working.channels, codes.astype(np.uint8))
        return True

    def loss(
        self, corrections: list[Path], replay: list[Path], rng: np.random.Generator
    ) -> torch.Tensor:
        """Loss of one step."""
        image, codes = self._sample(corrections, rng)
        labels, weight = split_codes(codes)
        total = weighted_dice_cross_entropy(self._logits(self._network, image), labels, weight)
        if replay:
            image, codes = self._sample(replay, rng)
            labels, _ = split_codes(codes)
            logits = self._logits(self._network, image)
            with torch.no_grad():
                teacher = self._logits(self._teacher, image)
            inside = (image != 0).any(dim=1).float()
            kept = distillation(logits, teacher, inside)
            known = weighted_dice_cross_entropy(logits, labels, torch.ones(labels.shape))
            total = total + REPLAY_WEIGHT * (kept + 0.5 * known)
        return total

    def complete(self, bundle: Path, examples: Examples) -> None:
        """Nothing: weights, metadata and card are all."""

    def scorer(self, bundle: Path) -> Scorer:
        """Measures a bundle."""
        return _scorer(SubregionSegmenter.load(bundle))

    def scorer_of(self, network: nn.Module) -> Scorer:
        """Measures weights in memory."""
        return _scorer(SubregionSegmenter(network, self._version))

    def _sample(
        self, paths: list[Path], rng: np.random.Generator
    ) -> tuple[torch.Tensor, torch.Tensor]:
        image, codes = read_example(paths[int(rng.integers(len(paths)))])
        crop, crop_codes = random_crop(image, codes, self._crop, rng)
        return drop_sequences(random_contrast(crop, rng), rng)[None], crop_codes[None]

    def _logits(self, network: nn.Module, image: torch.Tensor) -> torch.Tensor:
        with memory_watched(), autocast():
            logits: torch.Tensor = network(image)
        return logits


def labels_on_working_grid(labels: LabelArray, case: Case, working: WorkingCase) -> LabelArray:
    """Labels at the voxels of the working grid: the label with the largest share.

    Args:
        labels: On the reference grid of the case.
        case: The case.
        working: The case on the working grid.
    """
    i, j, k = working.foreground.shape
    shares = [
        sample_on_grid(
            Volume((labels == label).astype(np.float32), case.affine), working.affine, (i, j, k)
        )
        for label in CLASSES
    ]
    return np.asarray(np.stack(shares).argmax(axis=0), dtype=np.uint8)


def _scorer(segmenter: SubregionSegmenter) -> Scorer:
    def score(case: Case, truth: Truth) -> Mapping[str, float]:
        if check_scheme(truth.labels) is not LabelScheme.SUBREGIONS:
            return {}
        found = region_dice(segmenter.segment(case).labelmap, truth.labels)
        return {region.value: dice for region, dice in found.items()}

    return score
