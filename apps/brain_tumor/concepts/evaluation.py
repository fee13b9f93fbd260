"""Figures of the symptom reader on the folds of the classifier.

    tumorlens evaluate concepts --runs RUN --data DIR --output FILE.json

Every variant is trained on a fold's known patients and read on its held-out ones, which neither
the image tower nor the prompts have seen; see `training.study`.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.classification.model.calibration import fit_calibration
from brain_tumor.classification.scores import (
    Calibrated,
    cross_calibrate,
    interval,
    pool_patients,
    score,
)
from brain_tumor.concepts.encoders import TextTower
from brain_tumor.concepts.reader import disagreement_of
from brain_tumor.concepts.training.embeddings import EXPERT, OWN, finished_folds
from brain_tumor.concepts.training.study import READER, SHOT_DRAWS, SHOTS, FoldStudy, study_fold
from brain_tumor.errors import NotFoundError
from brain_tumor.segmentation.data.cheng_slices import FOLDS

logger = logging.getLogger(__name__)

COVERAGE = 0.95
MOST_DISAGREED = 0.15
DIGITS = 4
OUTLINES = {"expert": EXPERT, "own": OWN}
LEAST_FOLDS = 2
SHARES = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)

Probabilities = npt.NDArray[np.float64]


def evaluate_run(run: Path, output: Path, tower: TextTower | None = None) -> dict[str, Any]:
    """Figures of all finished folds; trains what is not trained yet.

    Args:
        run: Run folder of `tumorlens train classification`.
        output: `.json` file.
        tower: Frozen text tower; the installed one if None, and none if nothing is to be trained.

    Raises:
        NotFoundError: If fewer than two folds are finished.
        ModelError: If something is to be trained and no text tower is installed.
    """
    folds = finished_folds(run)
    if len(folds) < LEAST_FOLDS:
        raise NotFoundError(
            f"the run has {len(folds)} finished folds; expected {FOLDS}, at least {LEAST_FOLDS}",
            remedy="Run `tumorlens train classification --fold all` first.",
        )
    found = summarise([study_fold(run, fold, tower) for fold in folds])
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(json.dumps(rounded(found), indent=2) + "\n", encoding="utf-8")
    return found


def summarise(studies: Sequence[FoldStudy]) -> dict[str, Any]:
    """All figures of the studies of some folds."""
    whole = join(studies)
    return {
        "model": "concepts",
        "protocol": "folds of patient groups; image tower, symptoms, limits, space and prompts "
        "from the other folds' patients; each fold calibrated on the other folds",
        "folds": sorted({int(fold) for fold in whole.fold}),
        "slices": len(whole.truth),
        "patients": len(np.unique(whole.patient)),
        "variants": {
            name: {which: brief(values[:, v], whole) for which, v in OUTLINES.items()}
            for name, values in whole.logits.items()
            if "draw" not in name
        },
        "few_shot": _few_shot(whole),
        "reader": {
            which: _full(whole.logits[READER][:, v], whole) for which, v in OUTLINES.items()
        },
        "hybrid": {which: _full(whole.fused[:, v], whole) for which, v in OUTLINES.items()},
        "second_reader": {which: second_reader(whole, v) for which, v in OUTLINES.items()},
        "deletion_test": _deletion(studies),
        "symptoms": _symptoms(studies),
        "head_ms": float(np.median([study.notes["head_ms"] for study in studies])),
    }


def join(studies: Sequence[FoldStudy]) -> FoldStudy:
    """Studies of several folds as one; only variants that all have."""
    names = [n for n in studies[0].logits if all(n in study.logits for study in studies)]

    def glue(key: str) -> npt.NDArray[Any]:
        return np.concatenate([getattr(study, key) for study in studies])

    return FoldStudy(
        {name: np.concatenate([study.logits[name] for study in studies]) for name in names},
        fused=glue("fused"),
        truth=glue("truth"),
        patient=glue("patient"),
        cohort=glue("cohort"),
        index=glue("index"),
        fold=glue("fold"),
        notes={},
    )


def brief(logits: npt.NDArray[Any], whole: FoldStudy) -> dict[str, Any]:
    """Accuracy, macro-F1 and sensitivities of slices."""
    guess = logits.argmax(axis=1)
    right = guess == whole.truth
    numeric = (whole.truth == 0) & (whole.cohort == "numeric")
    return {
        "accuracy": float(right.mean()),
        "macro_f1": macro_f1(whole.truth, guess),
        "sensitivity": [float(right[whole.truth == kind].mean()) for kind in range(3)],
        "numeric_glioma_sensitivity": float(right[numeric].mean()) if numeric.any() else None,
    }


def macro_f1(truth: npt.NDArray[np.int64], guess: npt.NDArray[np.int64]) -> float:
    """Mean of the classes' F1 = 2 TP / (2 TP + FP + FN), 0 for a class that never occurs.

    Args:
        truth: (N,), 0 to 2.
        guess: (N,).

    Example:
        >>> round(macro_f1(np.array([0, 0, 1, 2]), np.array([0, 1, 1, 2])), 4)
        0.7778
    """
    counts = np.bincount(3 * truth + guess, minlength=9).reshape(3, 3)
    total = counts.sum(axis=0) + counts.sum(axis=1)
    return float((2 * np.diag(counts) / np.maximum(total, 1)).mean())


def second_reader(whole: FoldStudy, outline: int) -> dict[str, Any]:
    """What the reader adds to the hybrid: their mixture, and where they disagree.

    Args:
        whole: Slices of at least two folds.
        outline: Position of the outline.
    """
    logits = [whole.fused[:, outline], whole.logits[READER][:, outline]]
    mixture = mix(logits[0], logits[1], whole.truth, whole.fold)
    hybrid, together = mixture.first, mixture.together
    wrong = hybrid.argmax(axis=1) != whole.truth
    apart = disagreement_of(hybrid, mixture.second)
    unsure = 1.0 - hybrid.max(axis=1)
    guesses = [p.argmax(axis=1) for p in (hybrid, together)]

    def gain(rows: npt.NDArray[np.int64]) -> float:
        alone, both = (macro_f1(whole.truth[rows], guess[rows]) for guess in guesses)
        return both - alone

    return {
        "hybrid_macro_f1": macro_f1(whole.truth, guesses[0]),
        "together_macro_f1": macro_f1(whole.truth, guesses[1]),
        "together_gain": gain(np.arange(len(whole.truth))),
        "together_gain_interval": interval(gain, whole.patient),
        "hybrid_log_loss": log_loss(hybrid, whole.truth),
        "together_log_loss": log_loss(together, whole.truth),
        "reader_share": float(mixture.share.mean()),
        "together_accuracy": float((guesses[1] == whole.truth).mean()),
        "hybrid_errors": int(wrong.sum()),
        "errors_in_most_disagreed": captured(apart, wrong),
        "errors_in_most_disagreed_interval": interval(
            lambda rows: captured(apart[rows], wrong[rows]), whole.patient
        ),
        "errors_in_least_confident": captured(unsure, wrong),
        "disagreement_limit": disagreement_limit(whole, outline),
        "different_answers": float((guesses[0] != mixture.second.argmax(axis=1)).mean()),
    }


def disagreement_limit(whole: FoldStudy, outline: int) -> float:
    """Disagreement that `MOST_DISAGREED` of the patients exceed, each read from all its slices.

    A patient's logits are pooled as those of a case when it is served, but for the areas of the
    slices, which are not kept, and calibrated as there on slices, here of the other folds.

    Args:
        whole: Slices of at least two folds.
        outline: Position of the outline.
    """
    logits = whole.logits[READER][:, outline]
    hybrid, first = pool_patients(whole.fused[:, outline], whole.patient)
    second, _ = pool_patients(logits, whole.patient)
    apart = np.zeros(len(first))
    for number in np.unique(whole.fold):
        here, known = whole.fold[first] == number, whole.fold != number
        scale = fit_calibration(logits[known], whole.truth[known], COVERAGE)
        read = np.asarray(scale.probabilities(second[here]))
        apart[here] = disagreement_of(hybrid[here], read)
    return float(np.quantile(apart, 1 - MOST_DISAGREED))


@dataclass(frozen=True, eq=False)
class Mixture:
    """Two readers and their weighted mean on held-out examples.

    Attributes:
        first: Calibrated probabilities of the first, (N, classes).
        second: Of the second.
        together: Of both.
        share: Weight of the second, (N, 1).
    """

    first: Probabilities
    second: Probabilities
    together: Probabilities
    share: Probabilities


def mix(
    first: npt.NDArray[Any],
    second: npt.NDArray[Any],
    truth: npt.NDArray[np.int64],
    fold: npt.NDArray[np.int64],
) -> Mixture:
    """Mix two readers; everything that is chosen for a fold is chosen on the other folds.

    Both temperatures and the weight of the second reader, which may be 0, are those of the largest
    likelihood on the held-out examples of the other folds.

    Args:
        first: Held-out logits, (N, classes).
        second: Of the other reader, same shape.
        truth: (N,).
        fold: Fold of every example, (N,); at least two different ones.
    """
    alone, other, together = (np.zeros(first.shape) for _ in range(3))
    shares = np.zeros((len(truth), 1))
    for number in np.unique(fold):
        here, known = fold == number, fold != number
        read = [
            np.asarray(fit_calibration(one[known], truth[known], COVERAGE).probabilities(one))
            for one in (first, second)
        ]
        losses = [
            log_loss((1 - share) * read[0][known] + share * read[1][known], truth[known])
            for share in SHARES
        ]
        share = SHARES[int(np.argmin(losses))]
        shares[here] = share
        alone[here], other[here] = (one[here] for one in read)
        together[here] = (1 - share) * alone[here] + share * other[here]
    return Mixture(alone, other, together, shares)


def log_loss(probabilities: Probabilities, truth: npt.NDArray[np.int64]) -> float:
    """Mean negative log-probability of the true class.

    Example:
        >>> round(log_loss(np.array([[0.5, 0.5], [0.0, 1.0]]), np.array([0, 1])), 4)
        0.3466
    """
    return float(-np.log(probabilities[np.arange(len(truth)), truth] + 1e-9).mean())


def captured(
    suspicion: npt.NDArray[np.float64], wrong: npt.NDArray[np.bool_], share: float = MOST_DISAGREED
) -> float:
    """Share of the errors among the most suspicious examples.

    Args:
        suspicion: (N,).
        wrong: (N,).
        share: Of the examples that are looked at.

    Example:
        >>> captured(np.array([0.9, 0.1, 0.2, 0.8]), np.array([True, True, False, False]), 0.5)
        0.5
    """
    first = np.argsort(-suspicion, kind="stable")[: round(share * len(suspicion))]
    return float(wrong[first].sum() / max(int(wrong.sum()), 1))


def rounded(value: Any) -> Any:
    """Figures with `DIGITS` digits after the point."""
    if isinstance(value, Mapping):
        return {key: rounded(inside) for key, inside in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(inside) for inside in value]
    return round(value, DIGITS) if isinstance(value, float) else value


def _calibrated(logits: npt.NDArray[Any], whole: FoldStudy) -> Calibrated:
    return cross_calibrate(logits, whole.truth, whole.fold, COVERAGE)


def _full(logits: npt.NDArray[Any], whole: FoldStudy) -> dict[str, Any]:
    calibrated = _calibrated(logits, whole)
    found = score(calibrated, whole.truth, whole.cohort, whole.patient)
    guess = calibrated.probabilities.argmax(axis=1)
    found["macro_f1_interval"] = interval(
        lambda rows: macro_f1(whole.truth[rows], guess[rows]), whole.patient
    )
    return found


def _few_shot(whole: FoldStudy) -> dict[str, Any]:
    table = {}
    for shots in SHOTS:
        rows = [
            brief(whole.logits[f"MeP, {shots}-shot, draw {draw + 1}"][:, EXPERT], whole)
            for draw in range(SHOT_DRAWS)
        ]
        table[str(shots)] = {
            key: {"mean": float(np.mean(values)), "sd": float(np.std(values))}
            for key in ("accuracy", "macro_f1")
            for values in [[row[key] for row in rows]]
        }
    return table


def _deletion(studies: Sequence[FoldStudy]) -> dict[str, float]:
    passed = sum(float(study.notes["deletion"]["passed"]) for study in studies)
    count = sum(int(study.notes["deletion"]["n"]) for study in studies)
    return {
        "passed": passed / count,
        "n": count,
        "drop_top": float(np.mean([study.notes["deletion_drop"]["top"] for study in studies])),
        "drop_random": float(np.mean([s.notes["deletion_drop"]["random"] for s in studies])),
    }


def _symptoms(studies: Sequence[FoldStudy]) -> list[dict[str, Any]]:
    """Mean figures of every symptom over the folds that kept it."""
    table: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for study in studies:
        for row in study.notes["symptoms"]:
            table.setdefault((row["kind"], row["text"]), []).append(row)
    found = []
    for (kind, text), rows in sorted(table.items()):
        figures = {
            key: float(np.mean(values))
            for key in ("auc", "picture_auc", "picture_auc_with_context", "agreement")
            for values in [[row[key] for row in rows if row[key] is not None]]
            if values
        }
        found.append(
            {
                "kind": kind,
                "text": text,
                "feature": rows[0]["feature"],
                "direction": rows[0]["direction"],
                "folds": len(rows),
                **figures,
            }
        )
    return found
