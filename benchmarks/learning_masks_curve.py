"""What the runs of `benchmarks.learning --data` come to, and a picture of the curves."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np

from benchmarks.learning_gains import gains
from benchmarks.learning_types_curve import corrections_for

mpl.use("Agg")
from matplotlib import pyplot as plt

COLORS = {
    "random": "#777777",
    "uncertainty": "#c44e52",
    "diversity": "#4c72b0",
    "combined": "#55a868",
}
REACH = {"needed_share": 0.5, "gain": 0.05, "base_loss": 0.01, "refused": "20 of 20"}


def summarise_masks(result: dict[str, Any], plan: Any) -> dict[str, Any]:
    """Means with their bootstrap interval over runs."""
    runs = result["shifted"]
    refused = sum(not one["promoted"] for one in result["poisoned"])
    saved = [1 - one["edit_mm2_after"] / one["edit_mm2_before"] for one in runs]
    summary = {
        **gains(runs, interval),
        "edit_area_saved": interval(saved),
        "promoted": f"{sum(one['promoted'] for one in runs)} of {len(runs)}",
        "poisoned_refused": f"{refused} of {len(result['poisoned'])}",
        "curves": _curves(result["curves"], plan),
    }
    return {"reach": REACH, "summary": summary}


def _curves(runs: list[dict[str, Any]], plan: Any) -> dict[str, Any]:
    """Of each strategy its curves, and the share of corrections that random's last score takes."""
    counts = [n * plan.per_round for n in range(plan.rounds + 1)]
    targets = {one["seed"]: one["dice"][-1] for one in runs if one["strategy"] == "random"}
    found: dict[str, Any] = {"corrections": counts, "strategies": {}}
    for strategy in dict.fromkeys(one["strategy"] for one in runs):
        mine = [one for one in runs if one["strategy"] == strategy]
        needed = [corrections_for(np.array(o["dice"]), targets[o["seed"]], counts) for o in mine]
        shares = [1.0 if n is None else n / counts[-1] for n in needed]
        found["strategies"][strategy] = {
            "dice": [one["dice"] for one in mine],
            "needed_share": interval(shares),
            "runs_that_reach_it": f"{sum(n is not None for n in needed)} of {len(mine)}",
        }
    return found


def interval(values: list[float]) -> dict[str, float]:
    """Mean with its bootstrap interval; of one run no interval."""
    data = np.asarray(values)
    if len(data) < 2:
        return {"mean": round(float(data.mean()), 4), "runs": len(data)}
    rng = np.random.default_rng(0)
    means = data[rng.integers(0, len(data), (5000, len(data)))].mean(axis=1)
    low, high = np.percentile(means, [2.5, 97.5])
    mean = round(float(data.mean()), 4)
    return {"mean": mean, "low": round(low, 4), "high": round(high, 4), "runs": len(data)}


def draw_mask_curves(curves: dict[str, Any], path: Path) -> None:
    """Dice over corrections, a line a strategy, the band one standard error over seeds."""
    figure, panel = plt.subplots(figsize=(5.2, 3.4), layout="constrained")
    for strategy, one in curves["strategies"].items():
        rows = np.array(one["dice"])
        mean, error = rows.mean(axis=0), rows.std(axis=0) / np.sqrt(len(rows))
        color = COLORS[strategy]
        panel.plot(curves["corrections"], mean, color=color, label=strategy, lw=1.8)
        panel.fill_between(
            curves["corrections"], mean - error, mean + error, color=color, alpha=0.12, lw=0
        )
    panel.set_xlabel("corrected slices")
    panel.set_ylabel("Dice on other patients")
    panel.grid(alpha=0.25)
    panel.legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)
