"""Learning curves of `benchmarks.learning_types`: what they come to, and a picture of them.

    python -m benchmarks.learning_types_curve

summarises the curves of the stored result once more, without running anything.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import matplotlib as mpl
import numpy as np

mpl.use("Agg")
from matplotlib import pyplot as plt

RESULT = Path(__file__).parent / "results" / "learning_types.json"
RESAMPLES = 5000
COLORS = {
    "random": "#777777",
    "disagreement": "#c44e52",
    "diversity": "#4c72b0",
    "combined": "#55a868",
}


def summarise(runs: list[dict[str, Any]], plan: Any) -> dict[str, Any]:
    """Mean curves, and how many corrections each strategy needs for what random ends with.

    The score is the gate's: the mean of accuracy and scaled log-likelihood. In each fold the target
    is the mean of random's last scores, and the curve the mean over seeds; a strategy that never
    gets there counts as needing all corrections. `mean_curve` asks the same of the mean over all
    folds; its interval is a bootstrap over folds.
    """
    counts = [n * plan.per_round for n in range(plan.rounds + 1)]
    strategies = list(dict.fromkeys(run["strategy"] for run in runs))
    folds = sorted({run["fold"] for run in runs})
    found: dict[str, Any] = {"corrections": counts, "runs": runs, "strategies": {}}
    curves = {
        (s, f): np.array(
            [
                (np.array(run["accuracy"]) + run["log_likelihood"]) / 2
                for run in runs
                if (run["strategy"], run["fold"]) == (s, f)
            ]
        )
        for s in strategies
        for f in folds
    }
    for strategy in strategies:
        mine = [run for run in runs if run["strategy"] == strategy]
        shares, reached = [], 0
        for fold in folds:
            target = float(curves["random", fold][:, -1].mean())
            needed = corrections_for(curves[strategy, fold].mean(axis=0), target, counts)
            reached += needed is not None
            shares.append((counts[-1] if needed is None else needed) / counts[-1])
        rng = np.random.default_rng(0)
        drawn = rng.integers(0, len(shares), (RESAMPLES, len(shares)))
        means = np.array(shares)[drawn].mean(axis=1)
        low, high = np.percentile(means, [2.5, 97.5])
        found["strategies"][strategy] = {
            "accuracy": np.mean([run["accuracy"] for run in mine], axis=0).round(4).tolist(),
            "log_likelihood": np.mean([run["log_likelihood"] for run in mine], axis=0)
            .round(4)
            .tolist(),
            "needed_share": {
                "mean": round(float(np.mean(shares)), 3),
                "low": round(float(low), 3),
                "high": round(float(high), 3),
                "folds_that_reach_it": f"{reached} of {len(folds)}",
                "mean_curve": share_on_mean_curve(
                    np.array([curves[strategy, fold].mean(axis=0) for fold in folds]),
                    np.array([curves["random", fold][:, -1].mean() for fold in folds]),
                    counts,
                ),
            },
            "patients_seen": round(float(np.mean([run["patients"] for run in mine])), 1),
        }
    return found


def share_on_mean_curve(
    curves: np.ndarray, targets: np.ndarray, counts: list[int]
) -> dict[str, float]:
    """Share of the corrections at which the mean curve reaches the mean target; 1 if it does not.

    Args:
        curves: Mean curve of every fold, (folds, rounds + 1).
        targets: What random ends with in every fold, (folds,).
        counts: Corrections at each point of a curve.

    Returns:
        Share, and its 95 % interval from a bootstrap over folds.
    """

    def share(chosen: np.ndarray) -> float:
        needed = corrections_for(curves[chosen].mean(axis=0), targets[chosen].mean(), counts)
        return 1.0 if needed is None else needed / counts[-1]

    rng = np.random.default_rng(0)
    drawn = [share(one) for one in rng.integers(0, len(targets), (RESAMPLES, len(targets)))]
    low, high = np.percentile(drawn, [2.5, 97.5])
    whole = share(np.arange(len(targets)))
    return {"mean": round(whole, 3), "low": round(float(low), 3), "high": round(float(high), 3)}


def corrections_for(curve: np.ndarray, target: float, counts: list[int]) -> float | None:
    """Corrections at which a curve first reaches a score, between the measured points."""
    for index, value in enumerate(curve):
        if value >= target:
            if index == 0:
                return float(counts[0])
            share = (target - curve[index - 1]) / (value - curve[index - 1])
            return float(counts[index - 1] + share * (counts[index] - counts[index - 1]))
    return None


def draw_curves(curves: dict[str, Any], path: Path) -> None:
    """Accuracy and likelihood over corrections, a line a strategy, the band one standard error."""
    figure, panels = plt.subplots(1, 2, figsize=(9.0, 3.4), layout="constrained")
    for panel, metric, title in (
        (panels[0], "accuracy", "accuracy"),
        (panels[1], "log_likelihood", "log-likelihood, scaled to 0-1"),
    ):
        for strategy in curves["strategies"]:
            rows = np.array(
                [run[metric] for run in curves["runs"] if run["strategy"] == strategy], dtype=float
            )
            mean, error = rows.mean(axis=0), rows.std(axis=0) / np.sqrt(len(rows))
            color = COLORS[strategy]
            panel.plot(
                curves["corrections"], mean, color=color, label=strategy.replace("_", " "), lw=1.8
            )
            panel.fill_between(
                curves["corrections"], mean - error, mean + error, color=color, alpha=0.12, lw=0
            )
        panel.set_xlabel("corrected slices")
        panel.set_title(title, fontsize=10)
        panel.grid(alpha=0.25)
    panels[0].legend(frameon=False, fontsize=9)
    figure.savefig(path, dpi=110, metadata={"Software": None})
    plt.close(figure)


def main() -> None:
    """Summarise the stored curves."""
    result = json.loads(RESULT.read_text(encoding="utf-8"))
    plan = SimpleNamespace(**result["plan"])
    result["curves"] = summarise(result["curves"]["runs"], plan)
    RESULT.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")
    for name, found in result["curves"]["strategies"].items():
        print(name, found["needed_share"])


if __name__ == "__main__":
    main()
