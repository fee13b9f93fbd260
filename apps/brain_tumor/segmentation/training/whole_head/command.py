"""What `tumorlens train whole_head` does."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from brain_tumor.bundles import read_bundle
from brain_tumor.errors import InputError
from brain_tumor.segmentation.training.whole_head.export import NAME, export_bundle
from brain_tumor.segmentation.training.whole_head.sources import load_sources
from brain_tumor.segmentation.training.whole_head.train import TrainingPlan, train
from brain_tumor.segmentation.whole_head.network import SliceUNet, network_from_metadata

NEEDED = (
    *("lgg/index.csv", "healthy", "glioma3d"),
    *("brats20/cubes.npz", "brats20/masks128.npz", "brats20/twins.json"),
)
VERSION = "0.1.1"
CONTINUED_RATE = 1 / 3
"""Share of the learning rate for weights that have learnt already."""


def train_whole_head(
    data: Path,
    output: Path,
    *,
    fold: int | None,
    steps: int | None = None,
    continue_from: Path | None = None,
    threads: int = 1,
) -> Path:
    """Train the whole-head network and write its bundle.

    Args:
        data: Folder with `lgg`, `healthy`, `brats20` and `glioma3d`.
        output: Run folder; resumed if it holds a checkpoint. The bundle goes to
            `output/whole_head`.
        fold: Fold of persons kept out, or None.
        steps: Optimiser steps; the plan's default if None.
        continue_from: Bundle whose weights this run begins with.
        threads: Torch threads; another number gives other weights in the last bits.

    Returns:
        Folder of the bundle.

    Raises:
        InputError: If a part of the data is missing, or the bundle to begin with has seen persons
            of the fold.
    """
    missing = [name for name in NEEDED if not (data / name).exists()]
    if missing:
        raise InputError(f"training data lacks {', '.join(missing)}; expected {', '.join(NEEDED)}")
    plan = TrainingPlan(fold=fold, threads=threads)
    if steps is not None:
        plan = dataclasses.replace(plan, steps=steps)
    start = None
    if continue_from is not None:
        start, plan = _begin_with(continue_from, plan)
    network = train(plan, load_sources(data, fold, plan.seed), output, start)
    bundle = output / NAME
    export_bundle(network, plan, VERSION, bundle)
    return bundle


def _begin_with(path: Path, plan: TrainingPlan) -> tuple[SliceUNet, TrainingPlan]:
    earlier = read_bundle(path)
    done = earlier.metadata["training"]["plan"]
    if plan.fold is not None and done["fold"] != plan.fold:
        raise InputError(
            f"'{path.name}' has seen persons of fold {plan.fold}",
            remedy="Begin with a bundle that held out the same fold, or train on 'all'.",
        )
    network = network_from_metadata(earlier.metadata, earlier.weights())
    began = f"{done['steps']} steps, {earlier.metadata['training']['held_out']} held out"
    if done.get("began_with"):
        began = f"{done['began_with']}, then {began}"
    return network, dataclasses.replace(
        plan,
        began_with=began,
        learning_rate=plan.learning_rate * CONTINUED_RATE,
        channels=tuple(earlier.metadata["network"]["channels"]),
    )
