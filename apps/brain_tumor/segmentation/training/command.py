"""What `tumorlens train segmentation` does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from brain_tumor.errors import InputError
from brain_tumor.segmentation.cleanup import CleanUpRule
from brain_tumor.segmentation.losses import CrossEntropy
from brain_tumor.segmentation.training.export import export_bundle
from brain_tumor.segmentation.training.subregions import TrainingPlan, load_training_data, train

NEEDED = ("brats20/cubes.npz", "brats20/masks128.npz", "brats20/twins.json", "glioma3d")
VERSION = "0.3.1"


def train_segmentation(
    data: Path,
    output: Path,
    *,
    fold: int | None,
    steps: int | None = None,
    cross_entropy: CrossEntropy = CrossEntropy.LABELS,
) -> Path:
    """Train the sub-region network and write its bundle.

    Args:
        data: Folder with `brats20` and `glioma3d`.
        output: Run folder; resumed if it holds a checkpoint. The bundle goes to
            `output/segmentation`.
        fold: Fold of patients kept out, or None.
        steps: Optimiser steps; the plan's default if None.
        cross_entropy: What cross-entropy is taken over.

    Returns:
        Folder of the bundle.

    Raises:
        InputError: If a part of the data is missing.
    """
    missing = [name for name in NEEDED if not (data / name).exists()]
    if missing:
        raise InputError(f"training data lacks {', '.join(missing)}; expected {', '.join(NEEDED)}")
    plan = TrainingPlan(fold=fold, cross_entropy=cross_entropy)
    if steps is not None:
        plan = dataclasses.replace(plan, steps=steps)
    network = train(plan, load_training_data(data, fold), output)
    bundle = output / "segmentation"
    export_bundle(network, plan, CleanUpRule(), VERSION, bundle)
    return bundle
