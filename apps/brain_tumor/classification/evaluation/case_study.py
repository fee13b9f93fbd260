"""The answer for a case, measured as the product gives it: chosen slices of every plane, pooled.

The slices of a held-out patient make one case of all its planes, as a thin volume gives them, and
one case a plane, as a volume of thick slices does. Slices are chosen and pooled by the functions of
the product; the calibration of a fold comes from the other folds, as the shipped one is fitted.

The collection does not tell the plane of a slice. It is estimated from the picture, and an estimate
that stands alone between two others of the same patient takes theirs: slices of a plane follow each
other.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from brain_tumor.classification.case_slices import choose_slices, slices_per_plane
from brain_tumor.classification.model.calibration import (
    Calibration,
    expected_calibration_error,
    pool_slices,
)
from brain_tumor.classification.predictions import Predictions, Reading, fit_calibrations
from brain_tumor.classification.scores import (
    Calibrated,
    cross_calibrate_mixed,
    score,
)
from brain_tumor.labels import TYPES
from brain_tumor.segmentation.data.cheng_slices import (
    CHENG_PIXEL_MM,
    read_cheng_index,
    read_cheng_slice,
)
from brain_tumor.segmentation.evaluation.tumor_core_cases import estimate_plane

PLANES = Path("planes.json")
AREA = "area_mm2"
ALL_PLANES, ONE_PLANE = "all_planes", "one_plane"

Folds = npt.NDArray[np.int64]
Texts = npt.NDArray[np.str_]


@dataclass(frozen=True, eq=False)
class PooledCases:
    """Cases of one kind, read with one kind of outline.

    Attributes:
        logits: Pooled, (C, 3); even where no slice could be read.
        slices_read: How many slices each case was read from, (C,).
        first: Index of a slice of each case, (C,).
    """

    logits: npt.NDArray[np.float64]
    slices_read: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]


def kept_or_estimated_planes(data: Path, runs: Path, *, progress: bool = True) -> dict[int, str]:
    """Plane of every slice of the collection by its number, kept in the run folder.

    Args:
        data: Folder with `cheng`.
        runs: Run folder; delete its `planes.json` to estimate again.
        progress: Show a bar.
    """
    path = runs / PLANES
    if not path.is_file():
        rows = read_cheng_index(data)
        seen = [
            estimate_plane(read_cheng_slice(data, row)[0]).value
            for row in tqdm(rows, desc="planes", disable=not progress)
        ]
        smoothed = without_strays(seen, [row.group for row in rows])
        kept = {row.index: plane for row, plane in zip(rows, smoothed, strict=True)}
        path.write_text(json.dumps(kept), encoding="utf-8")
    found = json.loads(path.read_text(encoding="utf-8"))
    return {int(number): str(plane) for number, plane in found.items()}


def without_strays(planes: Sequence[str], patients: Sequence[str]) -> list[str]:
    """Planes with single strays replaced by the plane on both sides of them.

    Args:
        planes: Estimated, in the order of the slices.
        patients: Patient of each slice.

    Example:
        >>> without_strays(["axial", "coronal", "axial"], ["a"] * 3)
        ['axial', 'axial', 'axial']
        >>> without_strays(["axial", "coronal", "axial"], ["a", "a", "b"])
        ['axial', 'coronal', 'axial']
    """
    found = list(planes)
    for middle in range(1, len(planes) - 1):
        before, after = middle - 1, middle + 1
        same = patients[before] == patients[middle] == patients[after]
        if same and planes[before] == planes[after]:
            found[middle] = planes[before]
    return found


def pool_cases(
    reading: Reading, features: tuple[str, ...], planes: Texts, index: Folds, cases: Texts
) -> PooledCases:
    """Choose and pool the slices of every case as the product does.

    Args:
        reading: Of all slices, (N,).
        features: Features of the reading, in order; the area of the outline is one.
        planes: (N,).
        index: Number of each slice in the collection, which is the order of a stack, (N,).
        cases: Case of each slice, (N,).
    """
    areas = np.nan_to_num(reading.features[:, features.index(AREA)])
    pixels = np.round(areas / CHENG_PIXEL_MM**2).astype(int)
    logits, counts, first = [], [], []
    for case in np.unique(cases):
        inside = np.flatnonzero(cases == case)
        inside = inside[np.argsort(index[inside])]
        stacks = [inside[planes[inside] == plane] for plane in np.unique(planes[inside])]
        most = slices_per_plane(len(stacks))
        chosen = np.concatenate(
            [stack[list(choose_slices(pixels[stack], most))] for stack in stacks]
        )
        chosen = chosen.astype(np.int64)
        even = np.full(len(TYPES), -np.log(len(TYPES)))
        logits.append(
            pool_slices(reading.fused[chosen], planes[chosen].tolist(), areas[chosen].tolist())
            if len(chosen)
            else even
        )
        counts.append(len(chosen))
        first.append(inside[0])
    return PooledCases(np.array(logits), np.array(counts), np.array(first))


def study_cases(
    predictions: Predictions,
    folds: Folds,
    features: tuple[str, ...],
    planes: Mapping[int, str],
    coverage: float,
    outlines: Mapping[str, tuple[Predictions, Reading]],
) -> dict[str, Any]:
    """Scores of cases of all planes and of one plane, by kind of outline.

    Args:
        predictions: Held-out predictions that calibrations are fitted on.
        folds: Fold of each of them, (N,).
        features: Measured features of the readings, in order.
        planes: Plane of every slice by its number.
        coverage: Promise of the prediction sets.
        outlines: What is scored, by name: a reading and the predictions that it is of, at least one
            of `predictions`.

    Returns:
        By kind of case and name: as of `scores.score`, with `slices_a_case` and `unread`, cases in
        which no slice shows enough of the outline, which count as wrong. For readings of
        `predictions` also `ece_if_fitted_on_cases`, by a temperature fitted on such pooled cases
        of the other folds in place of the means of all slices.
    """
    fold_of = dict(zip(predictions.patient.tolist(), folds.tolist(), strict=True))
    calibrations = {
        f: fit_calibrations(predictions, coverage, folds != f) for f in np.unique(folds)
    }
    found: dict[str, Any] = {}
    for kind in (ALL_PLANES, ONE_PLANE):
        rows: dict[str, Any] = {}
        refitted: dict[str, npt.NDArray[np.float64]] = {}
        for name, (source, reading) in outlines.items():
            plane = np.array([planes[int(number)] for number in source.index])
            series = np.array([f"{p} {q}" for p, q in zip(source.patient, plane, strict=True)])
            cases = source.patient if kind == ALL_PLANES else series
            pooled = pool_cases(reading, features, plane, source.index, cases)
            truth, patient = source.truth[pooled.first], source.patient[pooled.first]
            at = np.array([fold_of[str(one)] for one in patient])
            unread = pooled.slices_read == 0
            calibrated = _calibrated(pooled, at, calibrations)
            rows[name] = score(
                calibrated, truth, source.cohort[pooled.first], patient, unread=unread
            ) | {
                "slices_a_case": float(pooled.slices_read.mean()),
                "unread": int(unread.sum()),
            }
            if source is predictions:
                refitted[name] = pooled.logits
                known = (truth, at)
        for name, own in cross_calibrate_mixed(refitted, *known, coverage).items():
            rows[name]["ece_if_fitted_on_cases"] = expected_calibration_error(
                own.probabilities, known[0]
            )
        found[kind] = rows
    return found


def _calibrated(
    pooled: PooledCases, folds: Folds, calibrations: Mapping[int, tuple[Calibration, Calibration]]
) -> Calibrated:
    """Each case by its fold's calibration: that of a slice if it was read from one alone."""
    probabilities = np.zeros(pooled.logits.shape)
    sets = np.zeros(pooled.logits.shape, dtype=bool)
    for row, (logits, count, fold) in enumerate(
        zip(pooled.logits, pooled.slices_read, folds, strict=True)
    ):
        by_slice, by_case = calibrations[int(fold)]
        chosen = by_slice if count == 1 else by_case
        probabilities[row] = chosen.probabilities(logits)
        sets[row] = chosen.prediction_set(probabilities[row])
    return Calibrated(probabilities, sets)
