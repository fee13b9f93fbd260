"""Where the training patients of each type lie, feature by feature: quantiles and percentiles."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.errors import InputError
from brain_tumor.labels import TumorType

QUANTILE_LEVELS: tuple[float, ...] = (
    *(0.0, 0.01, 0.025),
    *(round(0.05 * step, 2) for step in range(1, 20)),
    *(0.975, 0.99, 1.0),
)
"""Levels at which quantiles are stored; percentiles are interpolated between them."""
SHOWN_LEVELS = (0.05, 0.5, 0.95)
LEAST_PATIENTS = 10
"""A type with fewer measured patients has no reference for a feature: its tails mean nothing."""
TYPICAL_RANGE = (0.25, 0.75)
"""Between these percentiles a value is called typical: the middle half of the patients."""


@dataclass(frozen=True)
class FeatureReference:
    """Quantiles of every feature over the training patients, by tumour type.

    Attributes:
        quantiles: Feature id to type to the values at `QUANTILE_LEVELS`, not decreasing.
        patients: Number of training patients of each type.
    """

    quantiles: Mapping[str, Mapping[TumorType, tuple[float, ...]]]
    patients: Mapping[TumorType, int]

    def shown(self, feature: str) -> dict[TumorType, tuple[float, float, float]]:
        """The 5th, 50th and 95th percentile by type; types without a reference are absent."""
        rows = [QUANTILE_LEVELS.index(level) for level in SHOWN_LEVELS]
        return {
            tumor: (values[rows[0]], values[rows[1]], values[rows[2]])
            for tumor, values in self.quantiles.get(feature, {}).items()
        }

    def percentile(self, feature: str, value: float) -> dict[TumorType, float]:
        """Share of the training patients of each type below a value, 0-1.

        Args:
            feature: Feature id; one without a reference gives an empty mapping.
            value: Measured value, finite.

        Returns:
            Interpolated between the stored quantiles; in a run of equal values its middle.
        """
        return {
            tumor: _percentile(values, value)
            for tumor, values in self.quantiles.get(feature, {}).items()
        }

    def limits(self, feature: str) -> tuple[float, float] | None:
        """1st and 99th percentile over all types, or None without a reference."""
        by_type = self.quantiles.get(feature, {})
        if not by_type:
            return None
        low, high = QUANTILE_LEVELS.index(0.01), QUANTILE_LEVELS.index(0.99)
        return min(v[low] for v in by_type.values()), max(v[high] for v in by_type.values())

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary for a model bundle."""
        return {
            "levels": list(QUANTILE_LEVELS),
            "patients": {tumor.value: count for tumor, count in self.patients.items()},
            "quantiles": {
                feature: {tumor.value: list(values) for tumor, values in by_type.items()}
                for feature, by_type in self.quantiles.items()
            },
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> FeatureReference:
        """Inverse of `to_json`.

        Raises:
            InputError: If keys are missing, levels differ, or quantiles decrease.
        """
        try:
            levels = tuple(document["levels"])
            patients = {TumorType(k): int(v) for k, v in document["patients"].items()}
            quantiles = {
                str(feature): {
                    TumorType(tumor): tuple(float(v) for v in values)
                    for tumor, values in by_type.items()
                }
                for feature, by_type in document["quantiles"].items()
            }
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(
                f"feature reference cannot be read ({error}); expected levels, patients, quantiles",
                remedy="Restore the classification bundle from its release.",
            ) from error
        if levels != QUANTILE_LEVELS:
            raise InputError(f"feature reference has the levels {levels}; expected QUANTILE_LEVELS")
        for feature, by_type in quantiles.items():
            for tumor, values in by_type.items():
                if len(values) != len(levels) or not np.all(np.diff(values) >= 0.0):
                    raise InputError(
                        f"feature reference of {feature}, {tumor.value}: expected {len(levels)} "
                        f"quantiles that do not decrease; got {len(values)} values"
                    )
        return cls(quantiles, patients)


def build_reference(
    values: npt.NDArray[np.floating[Any]],
    features: Sequence[str],
    types: Sequence[TumorType],
    patients: Sequence[int | str],
) -> FeatureReference:
    """Reference from the slices of the training patients.

    Each patient counts once: with the median of the slices in which the feature was measured.

    Args:
        values: Shape (slices, features), NaN where missing.
        features: Feature ids of the columns.
        types: Type of each slice.
        patients: Patient (group) of each slice.

    Raises:
        InputError: If the lengths do not agree.
    """
    if values.shape != (len(types), len(features)) or len(patients) != len(types):
        raise InputError(
            f"values have shape {values.shape}; expected ({len(types)}, {len(features)}) for "
            f"{len(types)} types, {len(patients)} patients and {len(features)} features"
        )
    rows: dict[tuple[str, TumorType], list[int]] = {}
    for row, (patient, tumor) in enumerate(zip(patients, types, strict=True)):
        rows.setdefault((str(patient), tumor), []).append(row)
    counts = {t: sum(1 for _, other in rows if other is t) for t in TumorType}
    quantiles: dict[str, dict[TumorType, tuple[float, ...]]] = {}
    for column, feature in enumerate(features):
        by_type: dict[TumorType, list[float]] = {tumor: [] for tumor in TumorType}
        for (_, tumor), members in rows.items():
            found = values[members, column]
            found = found[np.isfinite(found)]
            if found.size:
                by_type[tumor].append(float(np.median(found)))
        kept = {
            tumor: tuple(float(q) for q in np.quantile(sample, QUANTILE_LEVELS))
            for tumor, sample in by_type.items()
            if len(sample) >= LEAST_PATIENTS
        }
        if kept:
            quantiles[feature] = kept
    return FeatureReference(quantiles, counts)


def _percentile(quantiles: Sequence[float], value: float) -> float:
    """Level of a value among quantiles; the middle of the levels that share the value."""
    below = int(np.searchsorted(quantiles, value, side="left"))
    above = int(np.searchsorted(quantiles, value, side="right"))
    if above > below:
        return 0.5 * (QUANTILE_LEVELS[below] + QUANTILE_LEVELS[above - 1])
    if below == 0:
        return 0.0
    if below == len(quantiles):
        return 1.0
    low, high = quantiles[below - 1], quantiles[below]
    share = (value - low) / (high - low)
    level = QUANTILE_LEVELS[below - 1]
    result = level + share * (QUANTILE_LEVELS[below] - level)
    return result if math.isfinite(result) else level
