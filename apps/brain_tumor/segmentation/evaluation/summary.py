"""From the per-case table to means, medians and intervals by patient."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from types import MappingProxyType
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.segmentation.evaluation.patient_scores import NESTED, scores_by_patient
from brain_tumor.segmentation.evaluation.rows import (
    CUBE_COLLECTION,
    WHOLE_COLLECTION,
    CaseRow,
)
from brain_tumor.segmentation.metrics.metrics import Structure
from brain_tumor.segmentation.subregions.cleanup import EnhancementRule

SMALL_TUMOUR_ML = 10.0
FALSE_LESION_ML = 1.0
RESAMPLES = 2000
SEED = 2026
WORST_CASES = 5
ALL = "all"
WEAK_NOTE = (
    "The reference labels of these cases were made by algorithms. What is listed is how much was "
    "outlined away from them; it is not a measurement of accuracy."
)
SUMMARISED = (
    *("dice", "iou", "sensitivity", "specificity", "precision", "hd95_mm", "surface_dice"),
    *("absolute_volume_difference_ml", "relative_volume_difference"),
    *("lesion_dice", "lesion_sensitivity"),
    *("false_lesions", "false_lesions_ml", "largest_false_lesion_ml"),
)
GROUPS: Mapping[str, Callable[[CaseRow], bool]] = MappingProxyType(
    {
        "fewer than four sequences": lambda row: row.available.count("+") < 3,
        f"tumour under {SMALL_TUMOUR_ML:g} mL": lambda row: row.tumour_ml < SMALL_TUMOUR_ML,
        "no enhancing tumour": lambda row: row.enhancing_ml == 0.0,
        "four sequences": lambda row: row.available.count("+") == 3,
        ALL: lambda _: True,
    }
)
"""Sub-groups of cases, the weak ones first; each case with every sequence that it has."""


def summarise(
    rows: Sequence[CaseRow], enhancement: EnhancementRule | None = None
) -> dict[str, Any]:
    """Tables of an evaluation; a pure function of the per-case table.

    Args:
        rows: Rows of one evaluation, or of several folds after one another.
        enhancement: Clean-up rule that is applied when the cubes of a patient are taken
            together.

    Returns:
        The keys `cubes`, `wholes`, `weak_cases` and `failures` of the report; see
        `segmentation.evaluation.EvaluationReport`.
    """
    measured = [row for row in rows if row.expert]
    rule = enhancement or EnhancementRule()
    cubes = _collection(measured, CUBE_COLLECTION)
    return {
        CUBE_COLLECTION: {**cubes, "whole_patients": _patients(measured, rule)},
        WHOLE_COLLECTION: _collection(measured, WHOLE_COLLECTION),
        "weak_cases": {"note": WEAK_NOTE, "rows": _weak([r for r in rows if not r.expert])},
        "failures": _failures(rows),
    }


def patient_statistics(patients: Sequence[str], values: Sequence[float | None]) -> dict[str, Any]:
    """Mean, median and 95 % interval over patients; each patient counts once.

    The value of a patient is the mean over that patient's cases. The interval is the percentile
    bootstrap over patients with a fixed seed; one patient has none.

    Args:
        patients: Patient of each case.
        values: Value of each case, None where it is undefined.

    Returns:
        `n` (patients with a value), `undefined` (cases without), `mean`, `median`, `ci95`.
    """
    by_patient: dict[str, list[float]] = {}
    for patient, value in zip(patients, values, strict=True):
        if value is not None:
            by_patient.setdefault(patient, []).append(value)
    means = np.array([np.mean(by_patient[p]) for p in sorted(by_patient)], dtype=np.float64)
    undefined = sum(value is None for value in values)
    if means.size == 0:
        return {"n": 0, "undefined": undefined, "mean": None, "median": None, "ci95": None}
    return {
        "n": len(means),
        "undefined": undefined,
        "mean": float(means.mean()),
        "median": float(np.median(means)),
        "ci95": bootstrap_interval(means),
    }


def bootstrap_interval(values: npt.NDArray[np.float64]) -> list[float] | None:
    """Percentile bootstrap of the mean, 2.5 to 97.5 %; None for a single value.

    References:
        Efron and Tibshirani 1993, doi:10.1201/9780429246593, chapter 13.
    """
    if len(values) < 2:
        return None
    low, high = np.percentile(values[resamples(len(values))].mean(axis=1), [2.5, 97.5])
    return [float(low), float(high)]


@cache
def resamples(count: int) -> npt.NDArray[np.intp]:
    """Indices of every resample; the same for every metric, so that intervals are comparable."""
    return np.random.default_rng(SEED).integers(count, size=(RESAMPLES, count))


def _collection(measured: Sequence[CaseRow], collection: str) -> dict[str, Any]:
    rows = [row for row in measured if row.collection == collection]
    complete = [row for row in rows if row.is_complete]
    groups = []
    for name, belongs in GROUPS.items():
        found = [row for row in complete if belongs(row)]
        if found and (name == ALL or len(found) < len(complete)):
            groups.append({"name": name, **_table(found)})
    subsets: dict[str, list[CaseRow]] = {}
    for row in rows:
        subsets.setdefault(row.sequences, []).append(row)
    order = sorted(subsets, key=lambda name: (-name.count("+"), name))
    return {
        "groups": groups,
        "subsets": [{"sequences": name, **_table(subsets[name])} for name in order],
        "worst": _worst(complete),
    }


def _patients(measured: Sequence[CaseRow], enhancement: EnhancementRule) -> list[dict[str, Any]]:
    """Dice with all cubes of a patient taken as one, per subset of sequences."""
    subsets: dict[str, list[CaseRow]] = {}
    for row in measured:
        if row.collection == CUBE_COLLECTION:
            subsets.setdefault(row.sequences, []).append(row)
    tables = []
    for name in sorted(subsets, key=lambda name: (-name.count("+"), name)):
        scores = scores_by_patient(subsets[name], enhancement)
        regions = {
            region.value: patient_statistics(list(scores), [s[region] for s in scores.values()])
            for region in NESTED
        }
        tables.append({"sequences": name, "patients": len(scores), "regions": regions})
    return tables


def _table(rows: Sequence[CaseRow]) -> dict[str, Any]:
    cases = {(row.collection, row.case): row for row in rows}
    regions = {}
    for structure in Structure:
        found = [row for row in rows if row.region == structure.value]
        if found:
            regions[structure.value] = _region(found)
    return {
        "cases": len(cases),
        "patients": len({row.patient for row in rows}),
        "failures": sum(bool(row.failure) for row in cases.values()),
        "regions": regions,
    }


def _region(rows: Sequence[CaseRow]) -> dict[str, Any]:
    patients = [row.patient for row in rows]
    plain = [row.to_json() for row in rows]
    states = [row.state for row in rows]
    return {
        "states": {state: states.count(state) for state in sorted(set(states))},
        "cases_with_false_lesion_over_1_ml": sum(
            row.largest_false_lesion_ml > FALSE_LESION_ML for row in rows
        ),
        **{name: patient_statistics(patients, [p[name] for p in plain]) for name in SUMMARISED},
    }


def _worst(complete: Sequence[CaseRow]) -> list[dict[str, Any]]:
    """Cases with the lowest Dice, averaged over the nested regions."""
    by_case: dict[str, dict[str, Any]] = {}
    for row in complete:
        if row.region in (Structure.WT, Structure.TC, Structure.ET):
            entry = by_case.setdefault(
                row.case,
                {"case": row.case, "sequences": row.sequences, "tumour_ml": row.tumour_ml}
                | {"enhancing_ml": row.enhancing_ml, "failure": row.failure, "dice": {}},
            )
            entry["dice"][row.region] = row.dice
    return sorted(by_case.values(), key=lambda e: (_mean(e["dice"].values()), e["case"]))[
        :WORST_CASES
    ]


def _mean(values: Iterable[float | None]) -> float:
    found = [value for value in values if value is not None]
    return float(np.mean(found)) if found else 0.0


def _weak(rows: Sequence[CaseRow]) -> list[dict[str, Any]]:
    keys = (
        *("case", "sequences", "region", "failure", "predicted_ml"),
        *("false_lesions", "false_lesions_ml", "largest_false_lesion_ml"),
    )
    return [{key: row.to_json()[key] for key in keys} for row in rows]


def _failures(rows: Sequence[CaseRow]) -> list[dict[str, str]]:
    seen = {(row.collection, row.case, row.sequences): row.failure for row in rows if row.failure}
    return [
        {"collection": c, "case": case, "sequences": s, "reason": reason}
        for (c, case, s), reason in seen.items()
    ]
