"""Training of the whole-head network.

`tumorlens train whole_head --data DIR --output DIR` runs this; a run is reproducible from its
seed, is resumed from its last checkpoint, and can begin with the weights of an earlier one.
"""

from __future__ import annotations

import json
import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.volume import ScalarArray
from brain_tumor.devices import memory_watched, placed
from brain_tumor.errors import InputError
from brain_tumor.labels import Region
from brain_tumor.segmentation.data.folds import fold_name
from brain_tumor.segmentation.hardware import bf16_autocast
from brain_tumor.segmentation.metrics.overlap import dice
from brain_tumor.segmentation.training.whole_head.loss import (
    half_resolution,
    known_loss,
    region_targets,
)
from brain_tumor.segmentation.training.whole_head.samples import batches
from brain_tumor.segmentation.training.whole_head.sources import LabelledStack, Sources
from brain_tumor.segmentation.whole_head.network import DEFAULT_CHANNELS, REGIONS, SliceUNet
from brain_tumor.segmentation.whole_head.reader import WholeHeadReader
from brain_tumor.segmentation.whole_head.stack import with_neighbours
from brain_tumor.training_kit.averaging import AveragedWeights
from brain_tumor.training_kit.run_folder import RunFolder, checkpoint_of, restore
from brain_tumor.training_kit.schedule import warm_up_then_cosine

logger = logging.getLogger(__name__)

COARSE_WEIGHT = 0.3
MAX_GRADIENT_NORM = 5.0


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that decides a run.

    Attributes:
        fold: Fold of persons kept out, 0-4, or None to train on all.
        steps: Optimiser steps.
        seed: Seed of weights, samples and augmentation.
        batch: Slices a step.
        learning_rate: Peak of the cosine schedule.
        warmup_steps: Linear warm-up.
        weight_decay: Of AdamW.
        ema_decay: Decay of the averaged weights that are validated and shipped.
        validate_every: Steps between validations and checkpoints.
        channels: Features per level.
        threads: Torch threads.
        began_with: What an earlier run had behind it, or "" for random weights.
    """

    fold: int | None = 0
    steps: int = 5600
    seed: int = 2026
    batch: int = 12
    learning_rate: float = 1.5e-3
    warmup_steps: int = 100
    weight_decay: float = 1e-2
    ema_decay: float = 0.998
    validate_every: int = 400
    channels: tuple[int, ...] = DEFAULT_CHANNELS
    threads: int = 1
    began_with: str = ""


def train(
    plan: TrainingPlan, sources: Sources, output: Path, start: SliceUNet | None = None
) -> SliceUNet:
    """Run or resume a training.

    Args:
        plan: What to do.
        sources: Training and validation data of the plan's fold.
        output: Run folder; gets `plan.json`, `log.jsonl` and `checkpoint.pt`.
        start: Network to begin with, unless the folder holds a checkpoint.

    Returns:
        Network with averaged weights, in evaluation mode.

    Raises:
        InputError: If the folder holds a run with another plan.
    """
    run = RunFolder(output)
    _check_resumable(run, plan)
    run.write_plan(plan)
    torch.set_num_threads(plan.threads)
    torch.manual_seed(plan.seed)
    network = start if start is not None else SliceUNet(plan.channels)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    placed(network)
    average = AveragedWeights(network, plan.ema_decay)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
    )
    rng = np.random.default_rng(plan.seed)
    first = 0
    if run.has_checkpoint:
        state = run.read_checkpoint()
        first = restore(state, network, average, optimizer)
        rng.bit_generator.state = json.loads(state["rng"])
        logger.info("resumed %s at step %d", output.name, first)
    stream = batches(sources, rng, plan.batch)
    started, losses = time.monotonic(), []
    for step in range(first, plan.steps):
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(plan, step)
        losses.append(_step(network, optimizer, *next(stream)))
        average.update(network)
        if (step + 1) % plan.validate_every == 0 or step + 1 == plan.steps:
            record = {
                "step": step + 1,
                "loss": float(np.mean(losses)),
                "seconds": round(time.monotonic() - started, 1),
                **validate(average.network, sources),
            }
            losses = []
            logger.info("%s", record)
            run.log(record)
            state_of_rng = json.dumps(rng.bit_generator.state)
            run.write_checkpoint(
                checkpoint_of(step + 1, network, average, optimizer, rng=state_of_rng)
            )
    return average.network


def learning_rate(plan: TrainingPlan, step: int) -> float:
    """Linear warm-up, then cosine to zero."""
    return plan.learning_rate * warm_up_then_cosine(step, plan.steps, plan.warmup_steps)


def validate(network: SliceUNet, sources: Sources) -> dict[str, Any]:
    """Dice by patient on the heads and brains that are kept out, and what is outlined in health.

    Returns:
        Mean, median and share under 0.5 of the whole tumour in heads with skull; mean Dice of
        every region in whole brains; mL outlined in healthy heads; mm2 a tumour-free slice of the
        heads at the 98th percentile. None where there is nothing to measure.
    """
    heads, free_mm2 = [], []
    for stack in sources.validation_heads:
        outlined = predict(network, stack)[:, 0] > 0.5
        heads.append(dice(outlined, stack.labels > 0))
        free = ~(stack.labels > 0).any(axis=(1, 2))
        free_mm2 += list(outlined[free].sum(axis=(1, 2)) * 1.875**2)
    rows = []
    for stack in sources.validation_brains:
        regions = predict(network, stack) > 0.5
        target = region_targets(torch.from_numpy(stack.labels))[0].numpy() > 0.5
        rows.append([dice(regions[:, r], target[:, r]) for r in range(len(REGIONS))])
    healthy = {
        stack.name: float((predict(network, stack)[:, 0] > 0.5).sum())
        * 1.875**2
        * stack.thickness_mm
        / 1000
        for stack in sources.validation_healthy
    }
    return {
        "heads_mean": float(np.mean(heads)) if heads else None,
        "heads_median": float(np.median(heads)) if heads else None,
        "heads_under_half": float(np.mean(np.array(heads) < 0.5)) if heads else None,
        "free_slices_p98_mm2": float(np.percentile(free_mm2, 98)) if free_mm2 else None,
        **{
            f"brains_{region.value}": float(np.mean([row[r] for row in rows])) if rows else None
            for r, region in enumerate((Region.WT, Region.TC, Region.ET))
        },
        "healthy_ml": {name: round(value, 1) for name, value in healthy.items()},
    }


def predict(network: SliceUNet, stack: LabelledStack) -> ScalarArray:
    """Probabilities of WT, TC and ET as the reader gives them, shape (K, 3, I, J)."""
    reader = WholeHeadReader(network, ModelVersion("whole_head", "", ""), {})
    inputs = with_neighbours(stack.slices.astype(np.float32), stack.present)
    return np.asarray(reader.probabilities(torch.from_numpy(inputs)).numpy(), dtype=np.float32)


def _step(
    network: SliceUNet,
    optimizer: torch.optim.Optimizer,
    inputs: torch.Tensor,
    labels: torch.Tensor,
) -> float:
    network.train()
    there = next(network.parameters()).device
    targets, known = (part.to(there) for part in region_targets(labels))
    shown = inputs.to(there).contiguous(memory_format=torch.channels_last)
    with memory_watched(), bf16_autocast():
        fine, coarse = network.both_scales(shown)
    loss = known_loss(fine.float(), targets, known) + COARSE_WEIGHT * known_loss(
        coarse.float(), half_resolution(targets), half_resolution(known)
    )
    optimizer.zero_grad()
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT_NORM)
    optimizer.step()
    return float(loss.detach())


def _check_resumable(run: RunFolder, plan: TrainingPlan) -> None:
    if not run.has_checkpoint:
        return
    earlier = run.read_plan() or {}
    try:
        same = {**earlier, "channels": tuple(earlier["channels"])} == asdict(plan)
        told = (
            f"held out {fold_name(earlier['fold'])} and was to take {earlier['steps']} steps from "
            f"'{earlier['began_with'] or 'random weights'}'"
        )
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(
            f"the run in '{run.path.name}' cannot be resumed: its plan cannot be read",
            remedy="Choose another --output.",
        ) from error
    if not same:
        raise InputError(
            f"the run in '{run.path.name}' {told}",
            remedy="Repeat its options, or choose another --output.",
        )
