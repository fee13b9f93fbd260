"""Beginning a run with what an earlier one has learnt."""

from __future__ import annotations

import dataclasses
import json
import shutil
from pathlib import Path
from typing import Any

from brain_tumor.bundles import METADATA, read_bundle
from brain_tumor.errors import InputError, ModelError
from brain_tumor.segmentation.learning_curve import HISTORY, LOG
from brain_tumor.segmentation.training.subregions.train import TrainingPlan
from brain_tumor.training_kit.run_folder import CHECKPOINT, PLAN, RunFolder

CONTINUED_LEARNING_RATE = 3e-4
"""Peak of the schedule of a run that continues another one."""

CONTINUED_PLAIN_SHARE = 0.5
"""A run ends on scans as they are: the network of 0.3.1, which had seen none unchanged, outlined
enhancement of patients that it had learnt from no better than that of patients it had not."""


def continue_run(plan: TrainingPlan, earlier: Path, output: Path) -> TrainingPlan:
    """Plan that goes on after a finished run; takes its checkpoint and log unless there are any.

    A bundle has no state of the optimiser and its weights are the averaged ones in float16: both
    the network and its average begin with them, and the optimiser begins anew.

    Args:
        plan: Plan of the new run; its steps count those of the earlier one.
        earlier: Run folder, or the bundle that a run has ended in.
        output: Folder of the new run.

    Returns:
        The plan with a schedule that begins where the earlier run ended, and milder changes of
        contrast.

    Raises:
        InputError: If there is no finished run, or the plan has no step more than it.
    """
    recorded, checkpoint = _read_bundle(earlier) if _is_bundle(earlier) else _read_run(earlier)
    steps = int(recorded["steps"])
    if plan.steps <= steps:
        raise InputError(
            f"--steps {plan.steps} is not more than the {steps} steps of '{earlier.name}'",
            remedy="Count the steps of the earlier run too.",
        )
    output.mkdir(parents=True, exist_ok=True)
    if not RunFolder(output).has_checkpoint:
        (output / PLAN).write_text(json.dumps(recorded, indent=2), encoding="utf-8")
        history = earlier / (HISTORY if _is_bundle(earlier) else LOG)
        if history.is_file():
            shutil.copyfile(history, output / LOG)
        RunFolder(output).write_checkpoint(checkpoint)
    return dataclasses.replace(
        plan,
        continued_from=steps,
        learning_rate=CONTINUED_LEARNING_RATE,
        plain_share=CONTINUED_PLAIN_SHARE,
    )


def _is_bundle(folder: Path) -> bool:
    return (folder / METADATA).is_file()


def _read_bundle(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        bundle = read_bundle(folder)
        recorded = bundle.metadata["training"]["plan"]
        weights = bundle.weights()
        step = recorded["steps"]
    except (ModelError, KeyError, TypeError) as error:
        raise InputError(
            f"'{folder.name}' is no bundle of a sub-region training: {error}",
            remedy="Give the --output of an earlier training or its bundle to --continue-from.",
        ) from error
    return recorded, {"step": step, "network": weights, "average": weights, "optimizer": None}


def _read_run(folder: Path) -> tuple[dict[str, Any], dict[str, Any]]:
    if not all((folder / name).is_file() for name in (PLAN, CHECKPOINT)):
        raise InputError(
            f"'{folder.name}' holds no finished run; expected {PLAN} and {CHECKPOINT}",
            remedy="Give the --output of an earlier training or its bundle to --continue-from.",
        )
    recorded = json.loads((folder / PLAN).read_text("utf-8"))
    checkpoint = RunFolder(folder).read_checkpoint()
    if checkpoint["step"] < recorded["steps"]:
        raise InputError(
            f"the run in '{folder.name}' stopped at step {checkpoint['step']} "
            f"of {recorded['steps']}",
            remedy="Let it end first: repeat its own command.",
        )
    return recorded, checkpoint
