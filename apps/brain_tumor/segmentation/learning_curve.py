"""Learning curve of a training as a picture."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from brain_tumor.errors import FileFormatError, InputError

LOG = "log.jsonl"
"""A training's record of validations, in its run folder."""

HISTORY = Path("docs/history.jsonl")
"""The same in the bundle, where it outlives the run."""

REGIONS = ("WT", "TC", "ET")
LOGGED_SETS = ("cubes", "wholes")


def draw_learning_curve(log: Path, png: Path) -> None:
    """Draw training loss and held-out Dice over steps.

    Args:
        log: `log.jsonl` of a training; of a step that a resumed run logged twice, the last counts.
        png: Picture to write.

    Raises:
        FileFormatError: If the log is damaged or empty.
        InputError: If matplotlib is not installed.
    """
    records = _read_log(log)
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise InputError(
            "matplotlib is not installed; drawing needs it",
            remedy="Install the extra: pip install 'tumorlens[train]'.",
        ) from error
    steps = [int(record["step"]) for record in records]
    figure = Figure(figsize=(10, 3.6), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(1, 1 + len(LOGGED_SETS))
    axes[0].plot(steps, [_plottable(record["loss"]) for record in records], color="0.3")
    axes[0].set(xlabel="step", ylabel="training loss (Dice + cross-entropy)")
    for axis, name in zip(axes[1:], LOGGED_SETS, strict=True):
        for region in REGIONS:
            values = [_plottable(record.get(f"{name}_{region}")) for record in records]
            axis.plot(steps, values, label=region)
        axis.set(xlabel="step", ylabel=f"Dice, held-out {name}", ylim=(0, 1))
        axis.legend(frameon=False)
    for axis in axes:
        axis.grid(alpha=0.25)
        axis.spines[["top", "right"]].set_visible(False)
    png.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(png, dpi=100, metadata={"Software": None})


def _read_log(log: Path) -> list[dict[str, Any]]:
    """Records by step, each step once."""
    by_step: dict[int, dict[str, Any]] = {}
    try:
        for line in log.read_text(encoding="utf-8").splitlines():
            if line.strip():
                record = json.loads(line)
                by_step[int(record["step"])] = {**record, "loss": record["loss"]}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"training log cannot be read: {error!r}") from error
    if not by_step:
        raise FileFormatError("training log is empty; expected one line per validation")
    return [by_step[step] for step in sorted(by_step)]


def _plottable(value: float | None) -> float:
    return math.nan if value is None else float(value)
