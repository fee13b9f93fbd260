"""Scores of classifications: by slice, by patient, calibrated on other patients."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import f1_score, roc_auc_score

from brain_tumor.classification.model.calibration import (
    Calibration,
    brier_score,
    expected_calibration_error,
    fit_mixed_calibration,
)
from brain_tumor.labels import TYPES, TumorType

Array = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Texts = npt.NDArray[np.str_]

BOOTSTRAPS = 1000
BOOTSTRAP_SEED = 5
REFUSED_SHARE = 0.1


@dataclass(frozen=True, eq=False)
class Calibrated:
    """Probabilities and sets of held-out examples, calibrated on the other folds.

    Attributes:
        probabilities: (N, 3).
        sets: Prediction sets, (N, 3).
    """

    probabilities: Array
    sets: npt.NDArray[np.bool_]


def join_calibrated(parts: Sequence[Calibrated]) -> Calibrated:
    """Calibrated examples of several folds as one."""
    return Calibrated(
        np.concatenate([p.probabilities for p in parts]), np.concatenate([p.sets for p in parts])
    )


def cross_calibrate(
    logits: npt.NDArray[Any], truth: Integers, folds: Integers, coverage: float
) -> Calibrated:
    """Calibrate every fold on the held-out logits of the other folds.

    Args:
        logits: Held-out logits, (N, 3).
        truth: (N,).
        folds: Fold of every example, (N,); at least two different ones.
        coverage: Promise of the prediction sets.
    """
    return cross_calibrate_mixed({"": logits}, truth, folds, coverage)[""]


def cross_calibrate_mixed(
    readings: Mapping[str, npt.NDArray[Any]], truth: Integers, folds: Integers, coverage: float
) -> dict[str, Calibrated]:
    """Calibrate every fold on all readings of the other folds alike, as the shipped model is.

    Args:
        readings: Held-out logits, (N, 3), by the kind of outline that they were read with.
        truth: (N,).
        folds: Fold of every example, (N,); at least two different ones.
        coverage: Promise of the prediction sets.

    Returns:
        Probabilities and sets of every reading.
    """
    found = {
        name: Calibrated(np.zeros(logits.shape), np.zeros(logits.shape, dtype=bool))
        for name, logits in readings.items()
    }
    for fold in np.unique(folds):
        inside = folds == fold
        others = [logits[~inside] for logits in readings.values()]
        fitted = fit_mixed_calibration(others, truth[~inside], coverage)
        for name, logits in readings.items():
            part = apply_calibration(logits[inside], fitted)
            found[name].probabilities[inside] = part.probabilities
            found[name].sets[inside] = part.sets
    return found


def apply_calibration(logits: npt.NDArray[Any], calibration: Calibration) -> Calibrated:
    """Probabilities and sets by a calibration that is given."""
    probabilities = calibration.probabilities(logits)
    return Calibrated(np.asarray(probabilities), calibration.prediction_set(probabilities))


def pool_patients(logits: npt.NDArray[Any], patients: Texts) -> tuple[Array, npt.NDArray[np.int64]]:
    """Mean log-probabilities of each patient's slices.

    Returns:
        Logits, (P, 3), and the index of one slice of each patient, (P,).
    """
    scores = np.asarray(logits, dtype=np.float64)
    scores = scores - np.logaddexp.reduce(scores, axis=1, keepdims=True)
    _, first, group = np.unique(patients, return_index=True, return_inverse=True)
    pooled = np.stack([scores[group == index].mean(axis=0) for index in range(len(first))])
    return pooled, first


def score(
    calibrated: Calibrated,
    truth: Integers,
    cohort: Texts,
    patients: Texts,
    *,
    unread: npt.NDArray[np.bool_] | None = None,
) -> dict[str, Any]:
    """Every score of a set of examples, with 95 % intervals over patients where it matters.

    Args:
        calibrated: Probabilities and sets, (N, 3).
        truth: (N,).
        cohort: (N,).
        patients: (N,); the bootstrap draws patients, never slices.
        unread: Examples without an answer, which count as wrong, (N,).
    """
    probabilities, sets = calibrated.probabilities, calibrated.sets
    guess = probabilities.argmax(axis=1)
    right = guess == truth
    if unread is not None:
        right &= ~unread
    confident = np.argsort(-probabilities.max(axis=1))
    kept = confident[: int(np.ceil((1 - REFUSED_SHARE) * len(truth)))]
    numeric = (truth == TYPES.index(TumorType.GLIOMA)) & (cohort == "numeric")
    found: dict[str, Any] = {
        "n": len(truth),
        "patients": len(np.unique(patients)),
        "accuracy": float(right.mean()),
        "accuracy_interval": interval(lambda chosen: float(right[chosen].mean()), patients),
        "macro_f1": float(f1_score(truth, guess, average="macro")),
        "sensitivity": {},
        "specificity": {},
        "auc": {},
        "numeric_glioma_sensitivity": float(right[numeric].mean()) if numeric.any() else None,
        "numeric_glioma_n": int(numeric.sum()),
        "ece": expected_calibration_error(probabilities, truth),
        "brier": brier_score(probabilities, truth),
        "coverage": float(sets[np.arange(len(truth)), truth].mean()),
        "mean_set_size": float(sets.sum(axis=1).mean()),
        "undecided": float((sets.sum(axis=1) != 1).mean()),
        "accuracy_of_decided": _mean(right[sets.sum(axis=1) == 1]),
        "accuracy_at_10_percent_refusals": float(right[kept].mean()),
        "confusion": np.array(
            [[int(((truth == a) & (guess == b)).sum()) for b in range(3)] for a in range(3)]
        ).tolist(),
    }
    for index, kind in enumerate(TYPES):
        of_kind = truth == index
        found["sensitivity"][kind.value] = _mean(right[of_kind])
        found["specificity"][kind.value] = _mean(guess[~of_kind] != index)
        found["auc"][kind.value] = (
            float(roc_auc_score(of_kind, probabilities[:, index]))
            if 0 < of_kind.sum() < len(truth)
            else None
        )
    return found


def interval(
    statistic: Callable[[npt.NDArray[np.int64]], float], patients: Texts
) -> tuple[float, float]:
    """95 % interval of a statistic, by drawing patients with replacement.

    Args:
        statistic: From indices of examples to a number.
        patients: Patient of every example.
    """
    rng = np.random.default_rng(BOOTSTRAP_SEED)
    names, group = np.unique(patients, return_inverse=True)
    members = [np.flatnonzero(group == index) for index in range(len(names))]
    drawn = []
    for _ in range(BOOTSTRAPS):
        chosen = rng.integers(0, len(names), len(names))
        drawn.append(statistic(np.concatenate([members[index] for index in chosen])))
    low, high = np.percentile(drawn, (2.5, 97.5))
    return float(low), float(high)


def _mean(values: npt.NDArray[np.bool_]) -> float | None:
    return float(values.mean()) if len(values) else None
