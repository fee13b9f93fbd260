"""Nearest training patients in the space of the measured features, as numbers only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.classification.features.measurement import Measurement
from brain_tumor.errors import InputError
from brain_tumor.explanation.facts.feature_families import family_of, is_view
from brain_tumor.explanation.facts.model import SimilarCase
from brain_tumor.labels import TumorType

NEIGHBOURS = 5
LEAST_SHARED = 0.5
"""Share of the features that case and patient must both have measured to be compared."""
MOST_STANDARD = 4.0
"""Standardised differences beyond this count as this much: one wild value must not decide."""
AGREEING = 0.35
"""Standardised difference up to which a feature agrees."""
MOST_AGREEING = 3
LEAST_SPREAD = 1e-9
SAME_PATIENT = 1e-4
"""Distance up to which a row is the case itself; the table keeps five digits of each value."""


@dataclass(frozen=True, eq=False)
class TrainingTable:
    """Training patients, one row each: the median of their slices.

    Attributes:
        features: Ids of the columns.
        values: Shape (patients, features), NaN where not measured.
        groups: Number of each patient.
        types: Type of each patient.
        centre: Median of each feature, shape (features,).
        spread: Robust standard deviation of each feature, shape (features,), > 0.
    """

    features: tuple[str, ...]
    values: npt.NDArray[np.float32]
    groups: tuple[int, ...]
    types: tuple[TumorType, ...]
    centre: npt.NDArray[np.float32]
    spread: npt.NDArray[np.float32]

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary for a model bundle; missing values are null, five digits are kept."""
        return {
            "features": list(self.features),
            "groups": list(self.groups),
            "types": [tumor.value for tumor in self.types],
            "values": [
                [float(f"{v:.5g}") if np.isfinite(v) else None for v in row] for row in self.values
            ],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> TrainingTable:
        """Inverse of `to_json`.

        Raises:
            InputError: If keys are missing or lengths do not agree.
        """
        try:
            features = tuple(str(name) for name in document["features"])
            groups = tuple(int(group) for group in document["groups"])
            types = tuple(TumorType(tumor) for tumor in document["types"])
            rows = document["values"]
            values = np.array(
                [[np.nan if v is None else float(v) for v in row] for row in rows], dtype=np.float32
            ).reshape(len(rows), -1)
        except (KeyError, TypeError, ValueError) as error:
            raise InputError(
                f"table of training patients cannot be read ({error}); expected features, groups, "
                "types and values",
                remedy="Restore the classification bundle from its release.",
            ) from error
        return _table(features, values, groups, types)


def joined_tables(one: TrainingTable, other: TrainingTable) -> TrainingTable:
    """Patients of both tables; centre and spread are those of all.

    Raises:
        InputError: If the tables have other columns.
    """
    if one.features != other.features:
        raise InputError(
            f"tables of patients have {len(one.features)} and {len(other.features)} features that "
            "are not the same",
            remedy="Restore the classification bundle from its release.",
        )
    values = np.concatenate([one.values, other.values])
    return _table(one.features, values, (*one.groups, *other.groups), (*one.types, *other.types))


def build_table(
    values: npt.NDArray[np.floating[Any]],
    features: Sequence[str],
    types: Sequence[TumorType],
    groups: Sequence[int],
) -> TrainingTable:
    """Table from the slices of the training patients.

    Features of the view of a slice are left out: patients are not alike because of the plane.

    Args:
        values: Shape (slices, features), NaN where missing.
        features: Ids of the columns.
        types: Type of each slice.
        groups: Patient of each slice.

    Raises:
        InputError: If lengths do not agree.
    """
    if values.shape != (len(types), len(features)) or len(groups) != len(types):
        raise InputError(
            f"values have shape {values.shape}; expected ({len(types)}, {len(features)})"
        )
    columns = [i for i, name in enumerate(features) if not is_view(name)]
    rows: dict[tuple[int, TumorType], list[int]] = {}
    for row, key in enumerate(zip(groups, types, strict=True)):
        rows.setdefault(key, []).append(row)
    medians = np.full((len(rows), len(columns)), np.nan)
    for number, members in enumerate(rows.values()):
        medians[number] = medians_of(values[np.ix_(members, columns)])
    return _table(
        tuple(features[i] for i in columns),
        medians.astype(np.float32),
        tuple(group for group, _ in rows),
        tuple(tumor for _, tumor in rows),
    )


def medians_of(rows: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.float64]:
    """Median of each column over slices, NaN where no slice was measured.

    Args:
        rows: Shape (slices, features).
    """
    found = np.full(rows.shape[1], np.nan)
    known = np.isfinite(rows).any(axis=0)
    found[known] = np.nanmedian(rows[:, known], axis=0)
    return found


def similar_cases(
    measurements: Mapping[str, Measurement],
    table: TrainingTable,
    *,
    count: int = NEIGHBOURS,
) -> tuple[SimilarCase, ...]:
    """Nearest training patients.

    Distance is the root mean square of the standardised differences over the features that both
    have, each at most `MOST_STANDARD`. A patient without any difference is taken for the case
    itself and left out: a training patient is not similar to itself.

    Args:
        measurements: Of the case, by feature id.
        table: Training patients.
        count: How many to return.

    Returns:
        Nearest first; empty if too few features are measured.
    """
    case = np.array(
        [measurements[n].value if n in measurements else np.nan for n in table.features],
        dtype=np.float64,
    )
    difference = np.abs(table.values - case) / table.spread
    distance = distances(case, table.values, table.spread)
    usable = np.isfinite(distance) & (distance > SAME_PATIENT)
    order = [int(i) for i in np.argsort(distance, kind="stable") if usable[i]][:count]
    return tuple(
        SimilarCase(
            table.groups[row],
            table.types[row],
            float(distance[row]),
            _agreeing(difference[row], table.features),
        )
        for row in order
    )


def distances(
    case: npt.NDArray[np.floating[Any]],
    rows: npt.NDArray[np.floating[Any]],
    spread: npt.NDArray[np.floating[Any]],
) -> npt.NDArray[np.float64]:
    """Root mean square of the standardised differences over the features that both have.

    Each counts `MOST_STANDARD` at most.

    Args:
        case: Measured values, shape (features,), NaN where not measured.
        rows: Of patients, shape (patients, features).
        spread: Standard deviation of each feature, shape (features,).

    Returns:
        Shape (patients,); infinite where too few features are shared.
    """
    difference = np.abs(np.asarray(rows, dtype=np.float64) - case) / spread
    both = np.isfinite(difference)
    limited = np.where(both, np.minimum(difference, MOST_STANDARD), 0.0)
    shared = both.sum(axis=1)
    found = np.sqrt((limited**2).sum(axis=1) / np.maximum(shared, 1))
    return np.where(shared >= LEAST_SHARED * rows.shape[1], found, np.inf)


def _agreeing(
    difference: npt.NDArray[np.floating[Any]], features: Sequence[str]
) -> tuple[str, ...]:
    """Features that agree best, one of each family."""
    chosen: list[str] = []
    said: set[str] = set()
    for column in np.argsort(difference, kind="stable"):
        name = features[int(column)]
        if not difference[column] <= AGREEING or len(chosen) == MOST_AGREEING:
            break
        if name not in said:
            said |= family_of(name)
            chosen.append(name)
    return tuple(chosen)


def _table(
    features: tuple[str, ...],
    values: npt.NDArray[np.float32],
    groups: tuple[int, ...],
    types: tuple[TumorType, ...],
) -> TrainingTable:
    if not len(values) == len(groups) == len(types) or values.shape[1] != len(features):
        raise InputError(
            f"table of training patients has values of shape {values.shape}, {len(groups)} groups "
            f"and {len(types)} types for {len(features)} features"
        )
    centre = np.zeros(len(features), dtype=np.float32)
    spread = np.ones(len(features), dtype=np.float32)
    for column in range(len(features)):
        known = values[np.isfinite(values[:, column]), column]
        if known.size:
            centre[column] = np.median(known)
            low, high = np.percentile(known, [15.9, 84.1])
            width = 0.5 * float(high - low)
            spread[column] = width if width > LEAST_SPREAD else max(float(known.std()), 1.0)
    return TrainingTable(features, values, groups, types, centre, spread)
