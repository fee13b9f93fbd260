"""Training of the hybrid network, end to end.

    tumorlens train classification --data DIR --output DIR --fold 0

Outline, boundary importance and type are learned together. Types are read from experts' outlines
and from the network's own, in turn, and from measured features of outlines that are on and off the
mark, so that the classifier does not depend on a perfect mask. The schedule is fixed: the averaged
weights of the last step are the result, whatever the held-out fold says.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from brain_tumor.classification.model.boundary_layer import edge_of
from brain_tumor.classification.model.network import PIXEL_MM, HybridNetwork, NetworkArguments
from brain_tumor.classification.training.data import MASK_VARIANTS, NO_TYPE, TypedSlices, held_out
from brain_tumor.segmentation.hardware import bf16_autocast
from brain_tumor.segmentation.training.tumor_core.augmentation import (
    AugmentationPlan,
    Batch,
    BatchMaker,
)
from brain_tumor.segmentation.training.tumor_core.pretrained import (
    load_pretrained,
    pretrained_weights_file,
)
from brain_tumor.segmentation.training.tumor_core.train import core_loss
from brain_tumor.training_kit.averaging import AveragedWeights
from brain_tumor.training_kit.run_folder import RunFolder
from brain_tumor.training_kit.schedule import warm_up_under_cosine

logger = logging.getLogger(__name__)

PATCH_PIXELS = 144
AUGMENTATION = AugmentationPlan(
    patch_pixels=PATCH_PIXELS,
    patch_mm=PATCH_PIXELS * PIXEL_MM,
    cheng_share=0.86,
    healed_chance=0.12,
    cut_chance=0.15,
    cut_away_share=0.4,
    quarter_turn_chance=0.04,
)
LEAST_TUMOUR_PIXELS = 15
OWN_MASK_CHANCE = 0.5
LABEL_SMOOTHING = 0.05
DEEP_WEIGHT, MEASURED_WEIGHT = 0.5, 0.5
MASK_WEIGHT, BOUNDARY_WEIGHT = 0.7, 0.3
FEATURE_NOISE = 0.15
"""Of a feature's robust standard deviation."""
FEATURE_LOSS_CHANCE = 0.08
BRANCH_LOSS_CHANCE = 0.12
LARGEST_NORM = 5.0


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that decides a run.

    Attributes:
        fold: Fold of patients kept out, 0-4, or None to train on all.
        steps: Optimiser steps.
        batch_size: Slices per step.
        learning_rate: Peak of the cosine schedule for new layers.
        encoder_rate: Share of it for the pretrained encoder.
        weight_decay: Of AdamW.
        warmup_steps: Linear warm-up.
        ema_decay: Of the averaged weights, which are the result.
        seed: Of weights, sampling and augmentation.
        report_every: Steps between lines of the log.
        threads: Torch threads.
        boundary: Whether the network has its boundary layer and the loss its term; without both,
            the run shows what they are worth.
    """

    fold: int | None = 0
    steps: int = 900
    batch_size: int = 16
    learning_rate: float = 1.5e-3
    encoder_rate: float = 0.4
    weight_decay: float = 2e-2
    warmup_steps: int = 60
    ema_decay: float = 0.99
    seed: int = 2026
    report_every: int = 150
    threads: int = 1
    boundary: bool = True


def train(
    plan: TrainingPlan, data: TypedSlices, arguments: NetworkArguments, output: Path
) -> HybridNetwork:
    """Run a training.

    Args:
        plan: What to do.
        data: Slices of all folds; the plan's fold is kept out.
        arguments: Of the network; its features are those of `data`, its boundary is the plan's.
        output: Run folder; gets `plan.json` and `log.jsonl`.

    Returns:
        Network with averaged weights, in evaluation mode.

    Raises:
        ModelError: If the pretrained weights are not installed.
    """
    run = RunFolder(output)
    run.write_plan(plan)
    torch.set_num_threads(plan.threads)
    torch.manual_seed(plan.seed)
    known = data.subset(~held_out(data, plan.fold))
    network = HybridNetwork(arguments)
    load_pretrained(network.encoder, pretrained_weights_file())
    _fit_scaler(network, known)
    average = AveragedWeights(network, plan.ema_decay)
    optimiser = _optimiser(network, plan)
    maker = BatchMaker(known.slices, plan.seed, AUGMENTATION)
    rng = np.random.default_rng(plan.seed)
    started, losses = time.monotonic(), []
    for step in range(plan.steps):
        factor = warm_up_under_cosine(step, step / plan.steps, plan.warmup_steps)
        for group in optimiser.param_groups:
            group["lr"] = group["peak"] * factor
        batch = maker.batch(plan.batch_size)
        losses.append(_step(network, optimiser, batch, known, rng, boundary=plan.boundary))
        average.update(network)
        if (step + 1) % plan.report_every == 0 or step + 1 == plan.steps:
            record = {
                "step": step + 1,
                "seconds": round(time.monotonic() - started, 1),
                **{k: round(float(np.mean([x[k] for x in losses])), 4) for k in losses[0]},
            }
            losses.clear()
            logger.info("%s", record)
            run.log(record)
    network.load_state_dict(average.state)
    return network.eval().requires_grad_(requires_grad=False)


def _optimiser(network: HybridNetwork, plan: TrainingPlan) -> torch.optim.Optimizer:
    encoder = {id(p) for p in network.encoder.parameters()}
    groups: list[dict[str, Any]] = []
    for inside, peak in (
        (True, plan.encoder_rate * plan.learning_rate),
        (False, plan.learning_rate),
    ):
        chosen = [p for p in network.parameters() if (id(p) in encoder) == inside]
        groups.append({"params": chosen, "peak": peak})
    return torch.optim.AdamW(groups, lr=plan.learning_rate, weight_decay=plan.weight_decay)


def _fit_scaler(network: HybridNetwork, known: TypedSlices) -> None:
    """Median and robust spread of every feature over the training slices."""
    values = known.features[known.types != NO_TYPE, 0]
    measured = np.isfinite(values).any(axis=0)  # FLAIR features never are
    low, centre, high = np.nanpercentile(values[:, measured], (16, 50, 84), axis=0)
    network.feature_centre[torch.from_numpy(measured)] = torch.from_numpy(centre).float()
    spread = torch.from_numpy(np.maximum((high - low) / 2, 1e-3)).float()
    network.feature_scale[torch.from_numpy(measured)] = spread


def _step(
    network: HybridNetwork,
    optimiser: torch.optim.Optimizer,
    batch: Batch,
    known: TypedSlices,
    rng: np.random.Generator,
    *,
    boundary: bool,
) -> Mapping[str, float]:
    network.train()
    features = _draw_features(network, known, batch.chosen, rng)
    shown = batch.target.sum(dim=(1, 2, 3)) >= LEAST_TUMOUR_PIXELS
    types = torch.from_numpy(known.types[batch.chosen])
    types = torch.where(shown, types, NO_TYPE)
    with bf16_autocast():
        maps = network.see(batch.images)
        own = torch.from_numpy(rng.random(len(types)) < OWN_MASK_CHANCE)[:, None, None, None]
        masks = torch.where(own, maps.mask_logits.detach().float().sigmoid(), batch.target)
        logits = network.name(maps, masks, features)
    terms = {"mask": MASK_WEIGHT * core_loss(maps.mask_logits, batch.target, batch.weight)}
    if boundary:
        edge = core_loss(maps.boundary_logits, edge_of(batch.target), batch.weight)
        terms["boundary"] = BOUNDARY_WEIGHT * edge
    for name, weight in (("fused", 1.0), ("deep", DEEP_WEIGHT), ("measured", MEASURED_WEIGHT)):
        terms[name] = weight * _type_loss(getattr(logits, name), types)
    optimiser.zero_grad(set_to_none=True)
    torch.stack(list(terms.values())).sum().backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), LARGEST_NORM)
    optimiser.step()
    return {name: float(term.detach()) for name, term in terms.items()}


def _type_loss(logits: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
    """Cross-entropy over the slices that have a type; 0 if none has."""
    if bool((types == NO_TYPE).all()):
        return logits.sum() * 0.0
    return F.cross_entropy(
        logits.float(), types, ignore_index=NO_TYPE, label_smoothing=LABEL_SMOOTHING
    )


def _draw_features(
    network: HybridNetwork,
    known: TypedSlices,
    chosen: npt.NDArray[np.int64],
    rng: np.random.Generator,
) -> torch.Tensor:
    """Features of a random outline of each slice, blurred, some missing."""
    variants = rng.integers(0, MASK_VARIANTS, len(chosen))
    drawn = torch.from_numpy(known.features[chosen, variants])
    noise = torch.from_numpy(rng.standard_normal(drawn.shape).astype(np.float32))
    drawn = drawn + FEATURE_NOISE * network.feature_scale * noise
    lost = rng.random(drawn.shape) < FEATURE_LOSS_CHANCE
    lost |= (rng.random(len(chosen)) < BRANCH_LOSS_CHANCE)[:, None]
    return torch.where(torch.from_numpy(lost), torch.nan, drawn)
