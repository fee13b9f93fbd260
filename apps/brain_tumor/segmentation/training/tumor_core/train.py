"""Training of the tumour-core network.

    python -m brain_tumor.segmentation.training.tumor_core.train --data DIR --output DIR --fold 0

Fixed schedule: the weights of the last step are the result, whatever validation says, so the
scores of the held-out fold stay honest. The default schedule runs over steps or over minutes,
whichever ends first; steps that are asked for are never cut off by the clock.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import monai
import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn

from brain_tumor.bundles import METADATA, WEIGHTS
from brain_tumor.cases.sequences import Sequence as MriSequence
from brain_tumor.devices import placed
from brain_tumor.errors import FileFormatError, InputError
from brain_tumor.labels import LABEL_STYLES, Label
from brain_tumor.segmentation.data.cheng_slices import (
    CHENG_PIXEL_MM,
    FOLDS,
    cheng_slices_of_fold,
    load_training_slices,
    read_cheng_slice,
    to_canvas,
)
from brain_tumor.segmentation.data.folds import fold_name
from brain_tumor.segmentation.evaluation.tumor_core import held_out_fold
from brain_tumor.segmentation.hardware import bf16_autocast
from brain_tumor.segmentation.training.precision import run_depthwise_layers_in_float32
from brain_tumor.segmentation.training.tumor_core.augmentation import (
    AugmentationPlan,
    Batch,
    BatchMaker,
)
from brain_tumor.segmentation.training.tumor_core.pretrained import (
    load_pretrained,
    pretrained_weights_file,
)
from brain_tumor.segmentation.tumor_core.network import (
    CoreNetwork,
    CoreNetworkArguments,
)
from brain_tumor.segmentation.tumor_core.segmenter import CleanUp
from brain_tumor.segmentation.tumor_core.slices import normalise_slices
from brain_tumor.training_kit.averaging import AveragedWeights
from brain_tumor.training_kit.schedule import warm_up_under_cosine

logger = logging.getLogger(__name__)

VERSION = "0.5.0"
HISTORY = "history.jsonl"
BUNDLED_HISTORY = Path("docs") / HISTORY
CONTINUED_LEARNING_RATE = 4e-4
"""Peak of a training that goes on from finished weights."""
VALIDATION_BATCH = 16
PATCH_PIXELS = 192
DEFAULT_MINUTES = 92.0


@dataclass(frozen=True)
class TrainingOptions:
    """How long and how to train.

    Attributes:
        fold: Fold held out (0-4), or None to train on every patient.
        steps: Optimiser steps of the whole schedule.
        minutes: The schedule ends here if the steps take longer; None never ends it.
        batch_size: Slices per step.
        learning_rate: Peak of the cosine schedule.
        encoder_rate: Share of it for the pretrained encoder.
        weight_decay: Of AdamW.
        warm_up_steps: Linear warm-up.
        ema_decay: Per-step decay of the averaged weights, which are the result.
        validate_every: Steps between validations.
        seed: Of weights, sampling and augmentation.
        threads: Torch threads.
    """

    fold: int | None = 0
    steps: int = 4600
    minutes: float | None = None
    batch_size: int = 16
    learning_rate: float = 1.5e-3
    encoder_rate: float = 0.4
    weight_decay: float = 2e-2
    warm_up_steps: int = 100
    ema_decay: float = 0.998
    validate_every: int = 400
    seed: int = 11
    threads: int = 1

    def __post_init__(self) -> None:
        if self.fold is not None and not 0 <= self.fold < FOLDS:
            raise InputError(f"fold is {self.fold}; expected 0 to {FOLDS - 1} or all")
        is_timeless = self.minutes is not None and self.minutes <= 0
        if self.steps < 1 or is_timeless or self.batch_size < 1:
            raise InputError("steps, minutes and batch size must be positive")


def chosen_schedule(steps: int | None, minutes: float | None) -> tuple[int, float | None]:
    """Steps and minutes of a run; the clock ends the default schedule, or where it is asked to.

    Args:
        steps: Asked for, or None.
        minutes: Asked for, or None.
    """
    if steps is None:
        return TrainingOptions.steps, DEFAULT_MINUTES if minutes is None else minutes
    return steps, minutes


def augmentation(pixel_mm: float) -> AugmentationPlan:
    """What a training of slices of this pixel draws."""
    return AugmentationPlan(
        patch_pixels=PATCH_PIXELS,
        patch_mm=PATCH_PIXELS * pixel_mm,
        cheng_share=0.82,
        free_head_share=0.12,
        healed_chance=0.1,
        cut_chance=0.1,
        cut_away_share=0.5,
        quarter_turn_chance=0.05,
        stripped_chance=0.15,
        coarse_chance=0.2,
    )


def core_loss(logits: torch.Tensor, target: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    """Binary cross-entropy plus soft Dice per slice, both blind where `weight` is 0.

    Dice is smoothed by ten pixels, so that a healthy slice asks for few, not for no, pixels. It
    counts every pixel that is seen once: where a weight is high because tumour was missed, a
    weighted Dice would reward outlines that are too large.

    Args:
        logits: Network output, (N, 1, H, W).
        target: 1 in the tumour core, same shape.
        weight: Of each pixel in the cross-entropy, at least 0, same shape.
    """
    logits = logits.float()
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    cross = (entropy * weight).sum() / weight.sum().clamp(min=1)
    seen = (weight > 0).float()
    found, wanted = logits.sigmoid() * seen, target * seen
    overlap = 2 * (found * wanted).sum(dim=(1, 2, 3)) + 10.0
    total = found.sum(dim=(1, 2, 3)) + wanted.sum(dim=(1, 2, 3)) + 10.0
    return cross + (1 - overlap / total).mean()


@dataclass(frozen=True, eq=False)
class ValidationSet:
    """Held-out slices of the slice collection on the network's canvas.

    Attributes:
        images: Normalised slices, (N, 1, H, W).
        masks: Expert masks, (N, H, W) bool.
        strata: Tumour type and cohort per slice.
    """

    images: torch.Tensor
    masks: torch.Tensor
    strata: tuple[str, ...]


def load_validation_slices(
    data_dir: Path, fold: int, arguments: CoreNetworkArguments
) -> ValidationSet:
    """Held-out slices of one fold, padded to what the network takes."""
    divisor, pixel_mm = arguments.divisor, arguments.pixel_mm
    images, masks, strata = [], [], []
    spacing = (CHENG_PIXEL_MM, CHENG_PIXEL_MM)
    for row in cheng_slices_of_fold(data_dir, fold):
        image, mask = read_cheng_slice(data_dir, row)
        images.append(np.rint(to_canvas(image, spacing, pixel_mm)))
        masks.append(to_canvas(mask, spacing, pixel_mm) > 0.5)
        strata.append(f"{row.tumor_type} {row.cohort}")
    stack = torch.from_numpy(normalise_slices(np.stack(images)))[:, None]
    side = -(-stack.shape[-1] // divisor) * divisor
    extra = side - stack.shape[-1]
    before, after = extra // 2, extra - extra // 2
    padding = (before, after, before, after)
    return ValidationSet(
        F.pad(stack, padding, mode="replicate"),
        F.pad(torch.from_numpy(np.stack(masks)), padding),
        tuple(strata),
    )


def validate(network: nn.Module, held_out: ValidationSet) -> dict[str, float]:
    """Mean Dice per slice at threshold 0.5, overall and per stratum."""
    network.eval()
    scores: list[float] = []
    with torch.inference_mode(), bf16_autocast():
        for images, masks in zip(
            torch.split(held_out.images, VALIDATION_BATCH),
            torch.split(held_out.masks, VALIDATION_BATCH),
            strict=True,
        ):
            found = network(images)[:, 0] > 0
            both = (found & masks).sum(dim=(1, 2))
            scores += (2 * both / (found.sum(dim=(1, 2)) + masks.sum(dim=(1, 2)))).tolist()
    dice, strata = np.array(scores), np.array(held_out.strata)
    summary = {"all": float(dice.mean())}
    return summary | {str(s): float(dice[strata == s].mean()) for s in np.unique(strata)}


def train(
    data_dir: Path,
    output_dir: Path,
    options: TrainingOptions,
    arguments: CoreNetworkArguments | None = None,
    *,
    start: Path | None = None,
) -> Path:
    """Train and write weights, metadata and history.

    Args:
        data_dir: Folder with `cheng`, `t1ce_gbm`, `glioma3d` and `lgg`.
        output_dir: Run folder; gets `models/model.safetensors` (fp16), `configs/metadata.json`
            and `history.jsonl`.
        options: Schedule.
        arguments: Network size.
        start: Run or bundle whose weights the training starts from and whose history it continues;
            it must hold out the same patients. By default the encoder starts from ImageNet weights.

    Returns:
        `output_dir`.

    Raises:
        InputError: If the run to start from held out other patients.
        ModelError: If it is no finished run.
    """
    arguments = arguments or CoreNetworkArguments()
    if start is not None and held_out_fold(start) != options.fold:
        raise InputError(
            f"the run to start from held out {fold_name(held_out_fold(start))}; expected "
            f"{fold_name(options.fold)}",
            remedy="Train with the fold of that run, or start from another one.",
        )
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    output_dir.mkdir(parents=True, exist_ok=True)
    slices = load_training_slices(data_dir, options.fold, arguments.pixel_mm, free_heads=True)
    maker = BatchMaker(slices, options.seed, augmentation(arguments.pixel_mm))
    held_out = (
        None if options.fold is None else load_validation_slices(data_dir, options.fold, arguments)
    )
    network = placed(CoreNetwork(arguments))
    earlier: list[dict[str, Any]] = []
    if not start:
        load_pretrained(network.encoder, pretrained_weights_file())
    else:
        state = load_file(start / WEIGHTS)
        network.load_state_dict({k: v.float() for k, v in state.items()})
        bundled = start / BUNDLED_HISTORY
        earlier = read_history(bundled if bundled.is_file() else start / HISTORY)
    steps_before, minutes_before = _spent(earlier)
    (output_dir / HISTORY).unlink(missing_ok=True)
    _append_history(output_dir, earlier)
    average = AveragedWeights(network, options.ema_decay)
    run_depthwise_layers_in_float32(network)
    network.to(memory_format=torch.channels_last)
    optimiser = torch.optim.AdamW(
        [
            {"params": list(network.encoder.parameters()), "share": options.encoder_rate},
            {"params": list(network.decoder.parameters()), "share": 1.0},
        ],
        lr=options.learning_rate,
        weight_decay=options.weight_decay,
    )
    started = time.monotonic()
    losses: list[float] = []
    done = 0

    def checkpoint(steps_done: int) -> None:
        scores = validate(average.network, held_out) if held_out else {}
        minutes = minutes_before + _minutes_since(started)
        line = history_line(steps_before + steps_done, minutes, losses, scores)
        logger.info("%s", line)
        _append_history(output_dir, [line])
        losses.clear()
        write_weights(output_dir / WEIGHTS, average.state)

    for step in range(options.steps):
        progress = step / options.steps
        if options.minutes is not None:
            progress = max(progress, _minutes_since(started) / options.minutes)
        if progress >= 1:
            break
        factor = warm_up_under_cosine(step, progress, options.warm_up_steps)
        losses.append(
            _step(
                network, optimiser, maker.batch(options.batch_size), factor * options.learning_rate
            )
        )
        average.update(network)
        done = step + 1
        if done % options.validate_every == 0:
            checkpoint(done)
    if losses:
        checkpoint(done)
    spent = minutes_before + _minutes_since(started)
    path = output_dir / METADATA
    write_metadata(path, options, arguments, steps_before + done, spent, steps_before)
    return output_dir


def train_tumor_core(
    data: Path,
    output: Path,
    *,
    fold: int | None,
    steps: int | None = None,
    continue_from: Path | None = None,
) -> Path:
    """What `tumorlens train tumor_core` does: `train` with the default schedule.

    Args:
        data: Folder with `cheng`, `t1ce_gbm`, `glioma3d` and `lgg`.
        output: The bundle goes to `output/tumor_core`.
        fold: Fold of patients kept out, or None.
        steps: Optimiser steps, however long they take; the default schedule if None.
        continue_from: Run or bundle that held out the same fold, to begin with its weights at a
            lower learning rate.

    Returns:
        Folder of the bundle.
    """
    chosen, minutes = chosen_schedule(steps, None)
    options = TrainingOptions(fold=fold, steps=chosen, minutes=minutes)
    if continue_from is not None:
        options = replace(options, learning_rate=CONTINUED_LEARNING_RATE)
    return train(data, output / "tumor_core", options, start=continue_from)


def _minutes_since(started: float) -> float:
    return (time.monotonic() - started) / 60


def _step(
    network: nn.Module, optimiser: torch.optim.Optimizer, batch: Batch, learning_rate: float
) -> float:
    for group in optimiser.param_groups:
        group["lr"] = learning_rate * group["share"]
    network.train()
    with bf16_autocast():
        logits = network(batch.images)
    loss = core_loss(logits, batch.target, batch.weight)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    nn.utils.clip_grad_norm_(network.parameters(), 5.0)
    optimiser.step()
    return float(loss.detach())


def history_line(
    step: int, minutes: float, losses: Sequence[float], scores: Mapping[str, float]
) -> dict[str, Any]:
    """What a checkpoint reports: mean loss since the last one and held-out Dice."""
    loss = round(float(np.mean(losses)), 4)
    return {"step": step, "minutes": round(minutes, 2), "loss": loss, "dice": dict(scores)}


def read_history(path: Path) -> list[dict[str, Any]]:
    """Lines of a run's history.

    Raises:
        FileFormatError: If the file is missing or damaged.
    """
    try:
        return [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    except (OSError, ValueError) as error:
        raise FileFormatError(f"training history cannot be read: {error}") from error


def _append_history(output_dir: Path, lines: Sequence[Mapping[str, Any]]) -> None:
    with (output_dir / HISTORY).open("a", encoding="utf-8") as stream:
        stream.writelines(json.dumps(line) + "\n" for line in lines)


def _spent(history: Sequence[Mapping[str, Any]]) -> tuple[int, float]:
    """Steps and minutes at the end of a history."""
    return (int(history[-1]["step"]), float(history[-1]["minutes"])) if history else (0, 0.0)


def write_weights(path: Path, state: dict[str, torch.Tensor]) -> None:
    """Write weights as fp16 safetensors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    half = {k: v.half().contiguous() if v.is_floating_point() else v for k, v in state.items()}
    save_file(half, path)


def write_metadata(
    path: Path,
    options: TrainingOptions,
    arguments: CoreNetworkArguments,
    steps_done: int,
    minutes: float,
    continued_from_step: int = 0,
) -> None:
    """Write the bundle's metadata: network, input contract and how it was trained.

    Args:
        path: `configs/metadata.json` of the bundle.
        options: Schedule of the last stage.
        arguments: Network size.
        steps_done: Steps of all stages.
        minutes: Duration of all stages.
        continued_from_step: Steps of the stages before the last.
    """
    held_out = "none" if options.fold is None else f"fold {options.fold} of {FOLDS} by patient"
    pixels = f"{arguments.divisor}*n"
    metadata = {
        "name": "tumor_core",
        "version": VERSION,
        "task": "Tumour core from a T1-weighted image with contrast agent, slice by slice",
        "description": "U-Net on an EfficientNet-Lite0 encoder, read in every plane that resolves, "
        "then averaged",
        "authors": "TumorLens",
        "copyright": "Apache-2.0; weights for research use only (terms of the training data)",
        "intended_use": "Research; a proposal for an annotator to correct. Not for diagnosis.",
        "monai_version": monai.__version__,
        "pytorch_version": torch.__version__.split("+")[0],
        "numpy_version": np.__version__,
        "python_version": platform.python_version(),
        "network": arguments.to_json(),
        "clean_up": asdict(CleanUp()),
        "training": {
            "held_out": held_out,
            "options": asdict(options),
            "steps": steps_done,
            "minutes": round(minutes, 1),
            "continued_from_step": continued_from_step,
            "data": ["cheng", "t1ce_gbm", "glioma3d", "lgg"],
        },
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "format": "per slice (x - median) / (p90 - p10) of the foreground, -3 to 5",
                    "num_channels": 1,
                    "spatial_shape": [pixels, pixels],
                    "spacing_mm": [arguments.pixel_mm, arguments.pixel_mm],
                    "orientation": "rows and columns towards: axial P and L, coronal I and L, "
                    "sagittal I and P",
                    "skull": "with or without",
                    "channel_def": {"0": MriSequence.T1C.value},
                }
            },
            "outputs": {
                "pred": {
                    "type": "image",
                    "format": "logits",
                    "num_channels": 1,
                    "channel_def": {"0": LABEL_STYLES[Label.CORE].name},
                    "label": int(Label.CORE),
                }
            },
        },
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")


def _fold(text: str) -> int | None:
    return None if text == "all" else int(text)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line of the training."""
    parser = argparse.ArgumentParser(description="Train the tumour-core network.")
    parser.add_argument("--data", type=Path, required=True, help="folder laid out as the README")
    parser.add_argument("--output", type=Path, required=True, help="run folder")
    parser.add_argument("--fold", type=_fold, default=0, help="held-out fold 0-4, or all")
    parser.add_argument("--steps", type=int, help="default 4600, or what 92 minutes allow")
    parser.add_argument("--minutes", type=float, help="end here if the steps take longer")
    parser.add_argument("--validate-every", type=int, default=TrainingOptions.validate_every)
    parser.add_argument("--learning-rate", type=float, default=TrainingOptions.learning_rate)
    parser.add_argument("--start", type=Path, help="run whose weights to start from")
    parser.add_argument("--seed", type=int, default=TrainingOptions.seed)
    chosen = parser.parse_args(argv)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    steps, minutes = chosen_schedule(chosen.steps, chosen.minutes)
    options = TrainingOptions(
        fold=chosen.fold,
        steps=steps,
        minutes=minutes,
        validate_every=chosen.validate_every,
        learning_rate=chosen.learning_rate,
        seed=chosen.seed,
    )
    train(chosen.data, chosen.output, options, start=chosen.start)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
