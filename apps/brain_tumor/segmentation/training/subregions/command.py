"""What `tumorlens train segmentation` does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from brain_tumor.errors import InputError
from brain_tumor.segmentation.subregions.cleanup import CleanUpRule
from brain_tumor.segmentation.subregions.losses import CrossEntropy
from brain_tumor.segmentation.training.subregions.continuation import continue_run
from brain_tumor.segmentation.training.subregions.export import export_bundle
from brain_tumor.segmentation.training.subregions.train import (
    TrainingPlan,
    load_training_data,
    train,
)

NEEDED = ("brats20/cubes.npz", "brats20/masks128.npz", "brats20/twins.json", "glioma3d")
VERSION = "0.4.0"


def train_segmentation(
    data: Path,
    output: Path,
    *,
    fold: int | None,
    steps: int | None = None,
    cross_entropy: CrossEntropy = CrossEntropy.LABELS,
    continue_from: Path | None = None,
    threads: int = 1,
) -> Path:
    """Train the sub-region network and write its bundle.

    Args:
        data: Folder with `brats20` and `glioma3d`.
        output: Run folder; resumed if it holds a checkpoint. The bundle goes to
            `output/segmentation`.
        fold: Fold of patients kept out, or None.
        steps: Optimiser steps; the plan's default if None.
        cross_entropy: What cross-entropy is taken over.
        continue_from: Finished run, or its bundle, whose weights this one begins with; `steps`
            counts its too.
        threads: Torch threads; another number gives other weights in the last bits.

    Returns:
        Folder of the bundle.

    Raises:
        InputError: If a part of the data or the run to continue is missing, or that has not ended.
    """
    missing = [name for name in NEEDED if not (data / name).exists()]
    if missing:
        raise InputError(f"training data lacks {', '.join(missing)}; expected {', '.join(NEEDED)}")
    plan = TrainingPlan(fold=fold, cross_entropy=cross_entropy, threads=threads)
    if steps is not None:
        plan = dataclasses.replace(plan, steps=steps)
    if continue_from is not None:
        plan = continue_run(plan, continue_from, output)
    network = train(plan, load_training_data(data, fold), output)
    bundle = output / "segmentation"
    export_bundle(network, plan, CleanUpRule(), VERSION, bundle)
    return bundle
