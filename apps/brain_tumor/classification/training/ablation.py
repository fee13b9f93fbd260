"""What a part of the network is worth: two trainings of the same folds, with it and without it.

    tumorlens train classification --data DIR --output WITH --fold 0 --seed 1
    tumorlens train classification --data DIR --output WITHOUT --fold 0 --seed 1 --without boundary
    python -m brain_tumor.classification.training.ablation WITH/fold0 WITHOUT/fold0 --output F.json

Both networks see the same slices of the same patients from the same seed; the difference is
measured on patients that neither has seen. Several pairs (folds, seeds) may be given in turn.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import f1_score

from brain_tumor.classification.predictions import Predictions, load_predictions
from brain_tumor.classification.scores import interval
from brain_tumor.classification.training.run import PREDICTIONS
from brain_tumor.errors import InputError

DIGITS = 4


def main(arguments: Sequence[str] | None = None) -> None:
    """Write the comparison as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("runs", type=Path, nargs="+", help="WITH WITHOUT [WITH WITHOUT ...]")
    parser.add_argument("--output", type=Path, required=True, metavar="FILE.json")
    chosen = parser.parse_args(arguments)
    if len(chosen.runs) % 2:
        raise InputError(f"{len(chosen.runs)} runs are no pairs; expected WITH and WITHOUT in turn")
    pairs = [
        (load_predictions(one / PREDICTIONS), load_predictions(other / PREDICTIONS))
        for one, other in zip(chosen.runs[::2], chosen.runs[1::2], strict=True)
    ]
    plans = [_same_plan(a, b) for a, b in zip(chosen.runs[::2], chosen.runs[1::2], strict=True)]
    found = {"pairs": plans, **compare(pairs)}
    text = json.dumps(found, indent=2) + "\n"
    chosen.output.write_text(text, encoding="utf-8")


def compare(pairs: Sequence[tuple[Predictions, Predictions]]) -> dict[str, Any]:
    """Accuracy and macro-F1 with the part, without it, and the gain with its 95 % interval.

    Args:
        pairs: Held-out predictions with and without the part; slices of several pairs are pooled,
            and the bootstrap draws patients.

    Raises:
        InputError: If the two of a pair do not hold the same slices.
    """
    for one, other in pairs:
        if not np.array_equal(one.index, other.index):
            raise InputError(
                f"a pair holds {len(one)} and {len(other)} slices that are not the same; "
                "expected two trainings of one fold"
            )
    truth = np.concatenate([one.truth for one, _ in pairs])
    patient = np.concatenate([one.patient for one, _ in pairs])
    found: dict[str, Any] = {"slices": len(truth), "patients": len(np.unique(patient))}
    for outline in ("expert", "own"):
        having, lacking = (
            np.concatenate([getattr(pair[which], outline).fused.argmax(axis=1) for pair in pairs])
            for which in (0, 1)
        )
        found[outline] = {
            "accuracy": _gain(truth, having, lacking, patient, _accuracy),
            "macro_f1": _gain(truth, having, lacking, patient, _macro_f1),
        }
    return found


def _same_plan(having: Path, lacking: Path) -> dict[str, int]:
    """Fold, seed and steps that two trainings share.

    Raises:
        InputError: If they do not, or they are not with and without the boundary layer.
    """
    one, other = (
        json.loads((run / "plan.json").read_text(encoding="utf-8")) for run in (having, lacking)
    )
    shared = {name: int(one[name]) for name in ("fold", "seed", "steps")}
    if any(other[name] != value for name, value in shared.items()):
        raise InputError("a pair differs in fold, seed or steps; expected the same of both")
    if not one.get("boundary", True) or other.get("boundary", True):
        raise InputError("a pair is not one run with the boundary layer and one without, in turn")
    return shared


def _gain(
    truth: npt.NDArray[np.int64],
    having: npt.NDArray[np.int64],
    lacking: npt.NDArray[np.int64],
    patient: npt.NDArray[np.str_],
    measure: Callable[[npt.NDArray[np.int64], npt.NDArray[np.int64]], float],
) -> dict[str, Any]:
    low, high = interval(
        lambda rows: measure(truth[rows], having[rows]) - measure(truth[rows], lacking[rows]),
        patient,
    )
    scores = measure(truth, having), measure(truth, lacking)
    return {
        "with": round(scores[0], DIGITS),
        "without": round(scores[1], DIGITS),
        "gain": round(scores[0] - scores[1], DIGITS),
        "gain_interval": [round(low, DIGITS), round(high, DIGITS)],
    }


def _accuracy(truth: npt.NDArray[np.int64], guess: npt.NDArray[np.int64]) -> float:
    return float((truth == guess).mean())


def _macro_f1(truth: npt.NDArray[np.int64], guess: npt.NDArray[np.int64]) -> float:
    return float(f1_score(truth, guess, average="macro"))


if __name__ == "__main__":
    main()
