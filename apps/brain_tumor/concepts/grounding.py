"""What makes a symptom true of a slice: a measured feature beyond a limit learnt from patients."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from sklearn.metrics import roc_auc_score, roc_curve

from brain_tumor.concepts.vocabulary import Direction, Symptom
from brain_tumor.errors import InputError

Array = npt.NDArray[np.float32]
LEAST_PATIENTS = 10


@dataclass(frozen=True)
class Grounding:
    """Limit of a symptom, and how well the symptom tells its class on training patients.

    Attributes:
        feature: Id of the measured feature.
        direction: Side of the limit on which the symptom is present.
        limit: Value of the feature where the symptom starts.
        auc: Area under the ROC curve of the class against all others, by patient; 0.5 is chance.
        share: Share of the class's patients that show the symptom.
        share_elsewhere: Share of all other patients that show it.
    """

    feature: str
    direction: Direction
    limit: float
    auc: float
    share: float
    share_elsewhere: float

    def present(self, value: float) -> bool | None:
        """Whether a measured value shows the symptom; None if it was not measured."""
        if not np.isfinite(value):
            return None
        return bool(self.direction.sign * (value - self.limit) >= 0)

    def presence(self, values: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        """1 where a value shows the symptom, 0 where not, NaN where it was not measured."""
        shown = self.direction.sign * (values - self.limit) >= 0
        return np.where(np.isfinite(values), shown.astype(np.float32), np.nan).astype(np.float32)


def ground_symptom(
    symptom: Symptom,
    names: Sequence[str],
    patients: Array,
    kinds: npt.NDArray[np.str_],
    *,
    least: int = LEAST_PATIENTS,
) -> Grounding:
    """Limit of a symptom by the largest sum of sensitivity and specificity (Youden).

    Args:
        symptom: Symptom with a feature.
        names: Feature ids of the columns.
        patients: One feature vector a patient, (P, F), NaN where missing.
        kinds: Class of every patient, (P,).
        least: Patients that it must be measured in, of the class and of the others.

    Raises:
        InputError: If the feature is not among the columns or hardly ever measured.
    """
    if symptom.feature is None or symptom.feature not in names:
        raise InputError(f"symptom '{symptom.text}' cannot be grounded in {symptom.feature}")
    values = patients[:, list(names).index(symptom.feature)]
    known = np.isfinite(values)
    inside = kinds[known] == symptom.kind
    if min(inside.sum(), (~inside).sum()) < least:
        raise InputError(
            f"'{symptom.text}': {symptom.feature} is measured in {int(inside.sum())} patients of "
            f"{symptom.kind} and {int((~inside).sum())} others; expected at least {least}"
        )
    sign = symptom.direction.sign
    scores = sign * values[known]
    false_rate, true_rate, limits = roc_curve(inside, scores)
    finite = np.isfinite(limits)
    best = int(np.argmax(np.where(finite, true_rate - false_rate, -np.inf)))
    return Grounding(
        symptom.feature,
        symptom.direction,
        float(sign * limits[best]),
        float(roc_auc_score(inside, scores)),
        float(true_rate[best]),
        float(false_rate[best]),
    )


def patient_medians(
    values: Array, patients: npt.NDArray[np.str_], truth: npt.NDArray[Any]
) -> tuple[Array, npt.NDArray[Any]]:
    """Median of every feature over each patient's slices, and the patients' classes.

    Args:
        values: Features of slices, (N, F), NaN where missing.
        patients: Patient of every slice, (N,).
        truth: Class of every slice, (N,).
    """
    _, first, group = np.unique(patients, return_index=True, return_inverse=True)
    found = np.full((len(first), values.shape[1]), np.nan, dtype=np.float32)
    for index in range(len(first)):
        rows = values[group == index]
        measured = np.isfinite(rows).any(axis=0)
        found[index, measured] = np.nanmedian(rows[:, measured], axis=0)
    return found, truth[first]
