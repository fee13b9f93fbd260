"""What `tumorlens train segmentation` does."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path

import torch

from brain_tumor.errors import InputError
from brain_tumor.segmentation.cleanup import CleanUpRule
from brain_tumor.segmentation.losses import CrossEntropy
from brain_tumor.segmentation.training.export import export_bundle
from brain_tumor.segmentation.training.subregions import TrainingPlan, load_training_data, train

NEEDED = ("brats20/cubes.npz", "brats20/masks128.npz", "brats20/twins.json", "glioma3d")
VERSION = "0.3.1"
CONTINUED_LEARNING_RATE = 3e-4
"""Peak of the schedule of a run that continues another one."""


def train_segmentation(
    data: Path,
    output: Path,
    *,
    fold: int | None,
    steps: int | None = None,
    cross_entropy: CrossEntropy = CrossEntropy.LABELS,
    continue_from: Path | None = None,
) -> Path:
    """Train the sub-region network and write its bundle.

    Args:
        data: Folder with `brats20` and `glioma3d`.
        output: Run folder; resumed if it holds a checkpoint. The bundle goes to
            `output/segmentation`.
        fold: Fold of patients kept out, or None.
        steps: Optimiser steps; the plan's default if None.
        cross_entropy: What cross-entropy is taken over.
        continue_from: Finished run whose weights this one begins with; `steps` counts its too.

    Returns:
        Folder of the bundle.

    Raises:
        InputError: If a part of the data or the run to continue is missing, or that has not ended.
    """
    missing = [name for name in NEEDED if not (data / name).exists()]
    if missing:
        raise InputError(f"training data lacks {', '.join(missing)}; expected {', '.join(NEEDED)}")
    plan = TrainingPlan(fold=fold, cross_entropy=cross_entropy)
    if steps is not None:
        plan = dataclasses.replace(plan, steps=steps)
    if continue_from is not None:
        plan = _continued(plan, continue_from, output)
    network = train(plan, load_training_data(data, fold), output)
    bundle = output / "segmentation"
    export_bundle(network, plan, CleanUpRule(), VERSION, bundle)
    return bundle


def _continued(plan: TrainingPlan, earlier: Path, output: Path) -> TrainingPlan:
    """Plan that goes on after a finished run; copies its checkpoint unless there is one."""
    if not all((earlier / name).is_file() for name in ("plan.json", "checkpoint.pt")):
        raise InputError(
            f"'{earlier.name}' holds no finished run; expected plan.json and checkpoint.pt",
            remedy="Give the --output of an earlier training to --continue-from.",
        )
    steps = int(json.loads((earlier / "plan.json").read_text("utf-8"))["steps"])
    done = int(torch.load(earlier / "checkpoint.pt", weights_only=True)["step"])
    if done < steps:
        raise InputError(
            f"the run in '{earlier.name}' stopped at step {done} of {steps}",
            remedy="Let it end first: repeat its own command.",
        )
    if plan.steps <= steps:
        raise InputError(
            f"--steps {plan.steps} is not more than the {steps} steps of '{earlier.name}'",
            remedy="Count the steps of the earlier run too.",
        )
    output.mkdir(parents=True, exist_ok=True)
    if not (output / "checkpoint.pt").exists():
        for name in ("plan.json", "checkpoint.pt"):
            shutil.copyfile(earlier / name, output / name)
    return dataclasses.replace(plan, continued_from=steps, learning_rate=CONTINUED_LEARNING_RATE)
