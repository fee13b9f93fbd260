"""Folder of a training run: its plan, its log and the checkpoint it is resumed from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from brain_tumor.training_kit.averaging import AveragedWeights

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

PLAN, LOG, CHECKPOINT = "plan.json", "log.jsonl", "checkpoint.pt"


@dataclass(frozen=True)
class RunFolder:
    """Reads and writes a run; a checkpoint is whole or is not there.

    Attributes:
        path: The folder; made when its plan is written.
    """

    path: Path

    @property
    def has_checkpoint(self) -> bool:
        """Whether there is something to resume."""
        return (self.path / CHECKPOINT).exists()

    def write_plan(self, plan: DataclassInstance) -> None:
        """Keep everything that decides the run."""
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / PLAN).write_text(json.dumps(asdict(plan), indent=2), encoding="utf-8")

    def read_plan(self) -> dict[str, Any] | None:
        """The kept plan; None if there is none or it cannot be read."""
        try:
            plan = json.loads((self.path / PLAN).read_text("utf-8"))
        except (OSError, ValueError):
            return None
        return plan if isinstance(plan, dict) else None

    def log(self, record: Mapping[str, Any]) -> None:
        """Add a line to the log."""
        with (self.path / LOG).open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(record) + "\n")

    def write_checkpoint(self, state: Mapping[str, Any]) -> None:
        """Replace the checkpoint; the earlier one stays until the new one is whole."""
        self.path.mkdir(parents=True, exist_ok=True)
        write_whole(state, self.path / CHECKPOINT)

    def read_checkpoint(self) -> dict[str, Any]:
        """The checkpoint, read without running any code of it."""
        state: dict[str, Any] = torch.load(self.path / CHECKPOINT, weights_only=True)
        return state


def write_whole(state: Mapping[str, Any], path: Path) -> None:
    """Write a checkpoint whole or not at all."""
    temporary = path.with_suffix(".tmp")
    torch.save(dict(state), temporary)
    temporary.replace(path)


def checkpoint_of(
    step: int,
    network: nn.Module,
    average: AveragedWeights[Any],
    optimizer: torch.optim.Optimizer,
    **more: Any,
) -> dict[str, Any]:
    """What a run is resumed from.

    Args:
        step: Steps that are done.
        network: As trained.
        average: Its averaged weights.
        optimizer: Of the network.
        more: What else decides how the run goes on.
    """
    return {
        "step": step,
        "network": network.state_dict(),
        "average": average.state,
        "optimizer": optimizer.state_dict(),
        **more,
    }


def restore(
    state: Mapping[str, Any],
    network: nn.Module,
    average: AveragedWeights[Any],
    optimizer: torch.optim.Optimizer,
) -> int:
    """Put a checkpoint back; its optimiser is None where weights alone are gone on with.

    Returns:
        Steps that are done.
    """
    step = int(state["step"])
    network.load_state_dict(state["network"])
    average.restore(state["average"], updates=step)
    if state["optimizer"] is not None:
        optimizer.load_state_dict(state["optimizer"])
    return step
