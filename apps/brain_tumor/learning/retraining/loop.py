"""The training loop: fixed schedule, averaged weights, checkpoints, several processes if wanted.

The weights at the end of the schedule are the result, whatever the validation says, so that the
held-out corrections stay honest for the gate. Every step draws from its own seed: a resumed run
makes the same steps as one that was never interrupted.

A candidate may lie between its parent and the fine-tuned weights (`FineTuner.learnt_share`): on
the straight line between them what was learnt comes sooner than what was known goes.

References:
    Wortsman et al. 2022, arXiv:2109.01903 (weights between the first and the fine-tuned model).
"""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from torch import nn

from brain_tumor.learning.retraining.tuner import Examples, FineTuner
from brain_tumor.training_kit.averaging import move_average
from brain_tumor.training_kit.run_folder import write_whole
from brain_tumor.training_kit.schedule import warm_up_then_cosine

logger = logging.getLogger(__name__)

MAX_GRADIENT_NORM = 1.0
EMA_DECAY = 0.98
WEIGHT_DECAY = 1e-3
WARM_UP_SHARE = 0.1


@dataclass(frozen=True)
class Schedule:
    """How long and how fast.

    Attributes:
        epochs: Passes.
        steps_per_epoch: Optimiser steps per pass.
        learning_rate: Peak of the cosine schedule.
        seed: Of sampling and augmentation.
    """

    epochs: int
    steps_per_epoch: int
    learning_rate: float
    seed: int

    @property
    def steps(self) -> int:
        """Optimiser steps in all."""
        return self.epochs * self.steps_per_epoch

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0: linear warm-up, then cosine to zero.

        Example:
            >>> Schedule(1, 10, 1.0, 0).rate(0)
            1.0
        """
        warm_up = max(1, round(WARM_UP_SHARE * self.steps))
        return self.learning_rate * warm_up_then_cosine(step, self.steps, warm_up)


@dataclass(frozen=True)
class StepReport:
    """What the loop tells after every step.

    Attributes:
        step: Steps that are done.
        loss: Mean loss since the last epoch began, or since the start.
        seconds: Time spent in steps, over all starts.
        seconds_left: At the speed of this start.
    """

    step: int
    loss: float
    seconds: float
    seconds_left: float


def fine_tune(
    tuner: FineTuner,
    examples: Examples,
    schedule: Schedule,
    checkpoint: Path,
    *,
    on_step: Callable[[StepReport], None],
    on_epoch: Callable[[int, nn.Module], None],
    shall_stop: Callable[[], bool],
) -> bool:
    """Run or resume a fine-tuning; afterwards the tuner's network has the candidate's weights.

    These are the averaged ones, or those on the way to them (`FineTuner.learnt_share`).

    With `torch.distributed` initialised, every process draws its own samples and gradients are
    averaged, so that all of them keep the same weights.

    Args:
        tuner: Network and loss.
        examples: What to learn from; at least one correction.
        schedule: How long.
        checkpoint: File to resume from; written after each epoch and when the run is stopped.
        on_step: Called after each step.
        on_epoch: Called after each epoch with its number from 1 and the averaged network.
        shall_stop: Asked before each step.

    Returns:
        Whether the schedule was finished.
    """
    network = tuner.network
    parent = {name: value.detach().clone() for name, value in network.state_dict().items()}
    average = {name: value.clone() for name, value in parent.items()}
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=schedule.learning_rate, weight_decay=WEIGHT_DECAY
    )
    first, spent = _resume(checkpoint, network, parent, average, optimizer)
    started, losses = time.monotonic(), []
    for step in range(first, schedule.steps):
        if _agreed(shall_stop()):
            seconds = spent + time.monotonic() - started
            _save(checkpoint, step, seconds, network, parent, average, optimizer)
            return False
        losses.append(_step(tuner, examples, schedule, step, optimizer))
        move_average(average, network, EMA_DECAY, step + 1)
        elapsed = time.monotonic() - started
        left = elapsed / (step + 1 - first) * (schedule.steps - step - 1)
        on_step(StepReport(step + 1, float(np.mean(losses)), spent + elapsed, left))
        if (step + 1) % schedule.steps_per_epoch == 0:
            _save(checkpoint, step + 1, spent + elapsed, network, parent, average, optimizer)
            with weighing(network, between(parent, average, tuner.learnt_share)):
                on_epoch((step + 1) // schedule.steps_per_epoch, network)
            losses = []
    network.load_state_dict(between(parent, average, tuner.learnt_share))
    network.eval()
    return True


def between(
    parent: dict[str, torch.Tensor], learnt: dict[str, torch.Tensor], share: float
) -> dict[str, torch.Tensor]:
    """Weights on the straight line from the parent's (share 0) to the learnt ones (1).

    Numbers that are no floats (counters) are the learnt ones.
    """
    return {
        name: torch.lerp(parent[name], value, share) if value.is_floating_point() else value
        for name, value in learnt.items()
    }


@contextmanager
def weighing(network: nn.Module, weights: dict[str, torch.Tensor]) -> Iterator[None]:
    """The network has these weights inside the block."""
    own = {name: value.detach().clone() for name, value in network.state_dict().items()}
    network.load_state_dict(weights)
    network.eval()
    try:
        yield
    finally:
        network.load_state_dict(own)
        network.train()


def _step(
    tuner: FineTuner,
    examples: Examples,
    schedule: Schedule,
    step: int,
    optimizer: torch.optim.Optimizer,
) -> float:
    rank = dist.get_rank() if dist.is_initialized() else 0
    rng = np.random.default_rng([schedule.seed, step, rank])
    for group in optimizer.param_groups:
        group["lr"] = schedule.rate(step)
    tuner.network.train()
    optimizer.zero_grad()
    loss = tuner.loss(examples.corrections, examples.replay, rng)
    loss.backward()  # type: ignore[no-untyped-call]
    average_gradients(tuner.network)
    norm = float(nn.utils.clip_grad_norm_(tuner.network.parameters(), MAX_GRADIENT_NORM))
    if math.isfinite(norm):
        optimizer.step()
    else:
        logger.warning("step %d skipped: gradient norm %g", step, norm)
    return float(loss.detach())


def average_gradients(network: nn.Module) -> None:
    """Mean of the gradients over all processes; nothing to do in a single one."""
    if not dist.is_initialized():
        return
    for parameter in network.parameters():
        if parameter.grad is not None:
            dist.all_reduce(parameter.grad)
            parameter.grad /= dist.get_world_size()


def _agreed(stop: bool) -> bool:
    """Whether any process was told to stop; all of them then do."""
    if not dist.is_initialized():
        return stop
    flag = torch.tensor(float(stop))
    dist.all_reduce(flag, dist.ReduceOp.MAX)
    return bool(flag > 0)


def _save(
    path: Path,
    step: int,
    seconds: float,
    network: nn.Module,
    parent: dict[str, torch.Tensor],
    average: dict[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
) -> None:
    if dist.is_initialized() and dist.get_rank() > 0:
        return
    state: dict[str, Any] = {
        "step": step,
        "seconds": seconds,
        "network": network.state_dict(),
        "parent": parent,
        "average": average,
        "optimizer": optimizer.state_dict(),
    }
    write_whole(state, path)


def _resume(
    path: Path,
    network: nn.Module,
    parent: dict[str, torch.Tensor],
    average: dict[str, torch.Tensor],
    optimizer: torch.optim.Optimizer,
) -> tuple[int, float]:
    """Steps that are done, and the seconds that they took."""
    if not path.exists():
        return 0, 0.0
    state = torch.load(path, weights_only=True)
    network.load_state_dict(state["network"])
    parent.update(state["parent"])
    average.update(state["average"])
    optimizer.load_state_dict(state["optimizer"])
    logger.info("resumed at step %d", state["step"])
    return int(state["step"]), float(state["seconds"])
