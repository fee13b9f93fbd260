"""Training of the sub-region network.

`tumorlens train segmentation --data DIR --output DIR` runs this; every run is reproducible from
its seed and can be resumed from its last checkpoint.
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Iterator
from collections.abc import Sequence as Items
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, IterableDataset

from brain_tumor.devices import placed
from brain_tumor.errors import InputError
from brain_tumor.labels import LabelArray, Region
from brain_tumor.segmentation.data.brats import Cube, load_cubes, load_masks, load_wholes
from brain_tumor.segmentation.data.folds import fold_name, patient_fold
from brain_tumor.segmentation.hardware import bf16_autocast
from brain_tumor.segmentation.metrics.overlap import region_dice
from brain_tumor.segmentation.subregions.losses import CrossEntropy, dice_cross_entropy
from brain_tumor.segmentation.subregions.networks import DEFAULT_CHANNELS, build_unet
from brain_tumor.segmentation.training.precision import run_wide_layers_in_float32
from brain_tumor.segmentation.training.subregions.augmentation import (
    drop_sequences,
    random_contrast,
    random_crop,
    random_symmetry,
)
from brain_tumor.segmentation.training.subregions.composites import (
    Host,
    compose,
    healthy_scan,
    make_host,
    to_canvas,
)
from brain_tumor.segmentation.training.subregions.hard_negatives import HardNegative, mine
from brain_tumor.segmentation.training.subregions.phantom_hosts import (
    brain_box_centre,
    make_phantom_hosts,
)
from brain_tumor.segmentation.training.subregions.remnants import add_remnants
from brain_tumor.training_kit.averaging import AveragedWeights
from brain_tumor.training_kit.run_folder import RunFolder, checkpoint_of, restore
from brain_tumor.training_kit.schedule import warm_up_then_cosine

logger = logging.getLogger(__name__)

CROP_SHAPE = (64, 80, 96)
CUBES_PER_STEP = 8
HOST_ONLY_SHARE = 0.25
REAL_HOST_SHARE, STRIPPED_PHANTOM_SHARE = 0.65, 0.15
REMNANT_SHARE, MINED_SHARE = 0.25, 0.15
NEGATIVES = ("remnants", "mined")
STRIPPED_PHANTOM_SEEDS = range(9000, 9006)
WHOLE_HEAD_SEEDS = range(9100, 9106)
USES_PER_SAMPLE = 2
MAX_GRADIENT_NORM = 1.0
REFUSED_GRADIENT_NORM = 1e3


@dataclass(frozen=True)
class TrainingPlan:
    """Everything that decides a run.

    Attributes:
        fold: Fold of patients kept out, 0-4, or None to train on all.
        steps: Optimiser steps.
        seed: Seed of weights, samples and augmentation.
        learning_rate: Peak of the cosine schedule.
        warmup_steps: Linear warm-up.
        weight_decay: Of AdamW.
        ema_decay: Decay of the averaged weights that are validated and shipped.
        validate_every: Steps between validations and checkpoints.
        channels: Features per level of the U-Net.
        threads: Torch threads.
        cross_entropy: What cross-entropy is taken over.
        negatives: Healthy tissue beside the hosts' own: remnants of the skull at the rim of
            stripped brains, and false positives mined at each validation.
        continued_from: Steps of an earlier run, perhaps without these negatives, that this one
            continues; the schedule begins there.
        plain_share: Share of brains and cubes whose contrast and resolution stay as they are.
    """

    fold: int | None = 0
    steps: int = 8400
    seed: int = 2026
    learning_rate: float = 1.5e-3
    warmup_steps: int = 200
    weight_decay: float = 1e-2
    ema_decay: float = 0.998
    validate_every: int = 600
    channels: tuple[int, ...] = DEFAULT_CHANNELS
    threads: int = 1
    cross_entropy: CrossEntropy = CrossEntropy.LABELS
    negatives: tuple[str, ...] = NEGATIVES
    continued_from: int = 0
    plain_share: float = 0.0


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Data of one fold."""

    cubes: list[Cube]
    masks: dict[str, LabelArray]
    hosts: list[Host]
    stripped_phantoms: list[Host]
    whole_heads: list[Host]
    validation_cubes: list[Cube]
    validation_hosts: list[Host]


def load_training_data(data: Path, fold: int | None) -> TrainingData:
    """Read the data and split it by patient."""
    cubes, wholes = load_cubes(data), load_wholes(data)
    masks = {
        patient: np.asarray(to_canvas(mask), dtype=np.uint8)
        for patient, mask in load_masks(data).items()
    }
    kept_out = {p for p in masks if patient_fold(p) == fold}
    kept_out |= {w.patient for w in wholes if patient_fold(w.patient) == fold}
    hosts = [make_host(w) for w in wholes if w.patient not in kept_out]
    centres = np.array([brain_box_centre(host.brain) for host in hosts]).mean(axis=0)
    centre = (float(centres[0]), float(centres[1]), float(centres[2]))
    return TrainingData(
        cubes=[c for c in cubes if c.patient not in kept_out],
        masks=masks,
        hosts=hosts,
        stripped_phantoms=make_phantom_hosts(
            STRIPPED_PHANTOM_SEEDS, skull_stripped=True, brain_centre=centre
        ),
        whole_heads=make_phantom_hosts(WHOLE_HEAD_SEEDS, skull_stripped=False, brain_centre=centre),
        validation_cubes=[c for c in cubes if c.patient in kept_out],
        validation_hosts=[make_host(w) for w in wholes if w.patient in kept_out and w.expert],
    )


class SampleStream(IterableDataset[dict[str, torch.Tensor]]):
    """Endless stream of augmented samples."""

    def __init__(
        self,
        data: TrainingData,
        seed: int,
        negatives: Items[str] = (),
        mined: Items[HardNegative] = (),
        plain_share: float = 0.0,
    ) -> None:
        self._data = data
        self._plain_share = plain_share
        self._seed = seed
        self._negatives = frozenset(negatives)
        self._healthy = healthy_hosts(data)
        self._mined = mined

    def __iter__(self) -> Iterator[dict[str, torch.Tensor]]:
        torch.set_num_threads(1)
        rng = np.random.default_rng(self._seed)
        while True:
            yield self._sample(rng)

    def _sample(self, rng: np.random.Generator) -> dict[str, torch.Tensor]:
        data = self._data
        image, labels = self._whole(rng)
        image = self._with_contrast(image, rng)
        cubes, cube_labels = [], []
        for index in rng.integers(0, len(data.cubes), CUBES_PER_STEP):
            lesion = data.cubes[index]
            one, one_labels = random_symmetry(
                torch.from_numpy(lesion.image), torch.from_numpy(lesion.labels).long(), rng
            )
            cubes.append(self._with_contrast(one, rng))
            cube_labels.append(one_labels)
        return {
            "image": image,
            "labels": labels,
            "cubes": torch.stack(cubes),
            "cube_labels": torch.stack(cube_labels),
        }

    def _with_contrast(self, image: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        plain = self._plain_share > 0 and rng.random() < self._plain_share
        return image if plain else random_contrast(image, rng)

    def _whole(self, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor]:
        """Crop of a whole brain: one of its false positives, or a composite."""
        data = self._data
        if self._mined and rng.random() < MINED_SHARE:
            false = self._mined[int(rng.integers(len(self._mined)))]
            host = self._healthy[false.host]
            image = healthy_scan(host)
            return random_crop(image, host.healthy_labels, CROP_SHAPE, rng, place=false.centre)
        host = self._host(rng)
        cube = data.cubes[rng.integers(len(data.cubes))]
        alone = rng.random() < HOST_ONLY_SHARE
        sample = compose(None if alone else cube, data.masks[cube.patient], host, data.hosts, rng)
        image = sample.image
        if "remnants" in self._negatives and not host.whole_head and rng.random() < REMNANT_SHARE:
            image = add_remnants(image, rng)
        return random_crop(image, sample.labels, CROP_SHAPE, rng)

    def _host(self, rng: np.random.Generator) -> Host:
        data, draw = self._data, rng.random()
        if draw < REAL_HOST_SHARE:
            hosts = data.hosts
        elif draw < REAL_HOST_SHARE + STRIPPED_PHANTOM_SHARE:
            hosts = data.stripped_phantoms
        else:
            hosts = data.whole_heads
        return hosts[int(rng.integers(len(hosts)))]


def healthy_hosts(data: TrainingData) -> list[Host]:
    """Hosts that are searched for false positives."""
    return [*data.hosts, *data.stripped_phantoms, *data.whole_heads]


def _reused(loader: DataLoader[Any], rng: np.random.Generator) -> Iterator[dict[str, torch.Tensor]]:
    """Each sample several times, mirrored in turn and with other sequences missing."""
    for batch in loader:
        for use in range(USES_PER_SAMPLE):
            image, labels, cubes, cube_labels = (
                batch[k] for k in ("image", "labels", "cubes", "cube_labels")
            )
            if use % 2:
                image, labels = image.flip(1), labels.flip(0)
                cubes, cube_labels = cubes.flip(2), cube_labels.flip(1)
            yield {
                "image": drop_sequences(image, rng),
                "labels": labels,
                "cubes": torch.stack([drop_sequences(cube, rng) for cube in cubes]),
                "cube_labels": cube_labels,
            }


def train(plan: TrainingPlan, data: TrainingData, output: Path) -> nn.Module:
    """Run or resume a training.

    Args:
        plan: What to do.
        data: Training and validation data.
        output: Run folder; gets `plan.json`, `log.jsonl` and `checkpoint.pt`.

    Returns:
        Network with averaged weights, in eval mode.

    Raises:
        InputError: If the run to resume held out other patients or had other negatives.
    """
    run = RunFolder(output)
    _check_resumable(run, plan)
    run.write_plan(plan)
    torch.set_num_threads(plan.threads)
    torch.manual_seed(plan.seed)
    network = placed(build_unet(plan.channels))
    average = AveragedWeights(network, plan.ema_decay)
    run_wide_layers_in_float32(network)
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=plan.learning_rate, weight_decay=plan.weight_decay
    )
    first = 0
    if run.has_checkpoint:
        first = restore(run.read_checkpoint(), network, average, optimizer)
        logger.info("resumed %s at step %d", output.name, first)
    healthy = healthy_hosts(data) if "mined" in plan.negatives else []
    mined = mine(average.network, healthy) if first else []
    started, losses = time.monotonic(), []
    batches = _batches(plan, data, first, mined)
    for step in range(first, plan.steps):
        batch = next(batches)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(plan, step)
        losses.append(_step(network, optimizer, batch, plan.cross_entropy))
        average.update(network)
        if (step + 1) % plan.validate_every == 0 or step + 1 == plan.steps:
            record: dict[str, Any] = {
                "step": step + 1,
                "loss": float(np.mean(losses)),
                "seconds": round(time.monotonic() - started, 1),
                **validate(average.network, data),
            }
            mined = mine(average.network, healthy)
            record["false_pieces"] = len(mined)
            record["false_voxels"] = sum(piece.voxels for piece in mined)
            losses = []
            logger.info("%s", record)
            run.log(record)
            run.write_checkpoint(checkpoint_of(step + 1, network, average, optimizer))
            batches = _batches(plan, data, step + 1, mined)
    return average.network


def _batches(
    plan: TrainingPlan,
    data: TrainingData,
    first: int,
    mined: Items[HardNegative],
) -> Iterator[dict[str, torch.Tensor]]:
    """Batches from a step to the next validation, the same whether or not the run was resumed."""
    stream = SampleStream(data, plan.seed + first, plan.negatives, mined, plan.plain_share)
    loader = DataLoader(stream, batch_size=None, num_workers=1, prefetch_factor=4)
    return _reused(loader, np.random.default_rng(plan.seed + first))


def learning_rate(plan: TrainingPlan, step: int) -> float:
    """Linear warm-up, then cosine to zero, from where an earlier run ended."""
    done, planned = step - plan.continued_from, plan.steps - plan.continued_from
    return plan.learning_rate * warm_up_then_cosine(done, planned, plan.warmup_steps)


def validate(network: nn.Module, data: TrainingData) -> dict[str, Any]:
    """Mean Dice per region on the cubes and whole brains that are kept out."""
    scores: dict[str, Any] = {}
    groups = {
        "cubes": [(c.image, c.labels) for c in data.validation_cubes],
        "wholes": [(h.image, h.labels) for h in data.validation_hosts],
    }
    for name, pairs in groups.items():
        rows = []
        for image, labels in pairs:
            with (
                torch.inference_mode(),
                bf16_autocast(),
            ):
                predicted = network(torch.from_numpy(image)[None])[0].max(dim=0).indices
            rows.append(region_dice(predicted.numpy().astype(np.uint8), labels))
        for region in (Region.WT, Region.TC, Region.ET):
            values = [row[region] for row in rows]
            scores[f"{name}_{region.value}"] = float(np.mean(values)) if values else None
    return scores


def _step(
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: dict[str, torch.Tensor],
    over: CrossEntropy,
) -> float:
    network.train()
    optimizer.zero_grad()
    total = 0.0
    pairs = (
        (batch["image"][None], batch["labels"][None]),
        (batch["cubes"], batch["cube_labels"]),
    )
    for image, labels in pairs:
        with bf16_autocast():
            logits = network(image)
        loss = 0.5 * dice_cross_entropy(logits, labels, over)
        loss.backward()  # type: ignore[no-untyped-call]
        total += float(loss.detach())
    norm = float(nn.utils.clip_grad_norm_(network.parameters(), MAX_GRADIENT_NORM))
    if norm > REFUSED_GRADIENT_NORM or not math.isfinite(norm):
        logger.warning("step skipped: gradient norm %g", norm)
        return total
    optimizer.step()
    return total


def _check_resumable(run: RunFolder, plan: TrainingPlan) -> None:
    """Refuse to resume a run that has seen the patients held out now, or that began otherwise.

    A checkpoint is that of this run, or the end of the one that this run continues.

    Raises:
        InputError: If the folder holds a checkpoint of another fold, of nobody knows which, or of a
            run with other negatives or another beginning that is not said to be continued.
    """
    if not run.has_checkpoint:
        return
    earlier, output = _recorded_plan(run), run.path
    if earlier is None or earlier["fold"] != plan.fold:
        held_out = fold_name(earlier["fold"]) if earlier else "an unknown fold: no plan can be read"
        raise InputError(
            f"the run in '{output.name}' held out {held_out}; expected {fold_name(plan.fold)}",
            remedy="Resume it with its own --fold, or choose another --output.",
        )
    if plan.continued_from and plan.continued_from == earlier.get("steps"):
        return
    negatives = tuple(earlier.get("negatives", ()))
    if negatives != plan.negatives:
        raise InputError(
            f"the run in '{output.name}' learnt from other negatives: "
            f"{', '.join(negatives) or 'none'}",
            remedy="Name it with --continue-from and choose another --output.",
        )
    began = earlier.get("continued_from", 0)
    if began != plan.continued_from:
        raise InputError(
            f"the run in '{output.name}' began at step {began}; expected {plan.continued_from}",
            remedy="Repeat its own --continue-from, or choose another --output.",
        )


def _recorded_plan(run: RunFolder) -> dict[str, Any] | None:
    """Plan that a run folder holds; None if there is none, or not that of a training."""
    plan = run.read_plan()
    try:
        fold_name((plan or {})["fold"])
    except (ValueError, KeyError, TypeError):
        return None
    return plan
