"""What is said about a cohort as a whole, gathered row by row."""

from __future__ import annotations

import heapq
from array import array
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from brain_tumor.cohorts.rows import DONE

MOST_LISTED = 200
"""Rows of each list on the page; the tables hold all of them."""
MEASURED = ("WT_ml", "TC_ml", "ET_ml", "longest_diameter_mm", "presence_probability", "seconds")
LOGARITHMIC = ("WT_ml", "TC_ml", "ET_ml")
COMPARED = ("WT_ml", "longest_diameter_mm", "largest_shift_mm", "seconds")
"""Columns whose unusual values are listed."""
FAR = 3.5
"""Modified z-score beyond which a value is unusual.

References:
    Iglewicz & Hoaglin 1993, How to Detect and Handle Outliers, ASQC Quality Press.
"""
MAD_TO_SD = 0.6745
FEWEST_COMPARED = 8


@dataclass(frozen=True)
class UnusualValue:
    """A value far from those of the other cases.

    Attributes:
        case: Case.
        column: What was measured.
        value: Its value.
        score: Modified z-score.
        report: Its report, relative to the folder; empty if it has none.
    """

    case: str
    column: str
    value: float
    score: float
    report: str


class CohortSummary:
    """Rows that were seen; it keeps a few numbers of each and the lists' worst."""

    def __init__(self) -> None:
        self.status: Counter[str] = Counter()
        self.types: Counter[str] = Counter()
        self.models: Counter[str] = Counter()
        self.warnings = 0
        self.failed: list[Mapping[str, Any]] = []
        self._doubts: list[tuple[float, int, int, Mapping[str, Any]]] = []
        names = dict.fromkeys((*MEASURED, *COMPARED))
        self._values: dict[str, array[float]] = {name: array("d") for name in names}
        self._cases: list[tuple[str, str]] = []

    def add(self, row: Mapping[str, Any]) -> None:
        """Take a row into account."""
        self.status[row["status"]] += 1
        if row["status"] != DONE:
            if len(self.failed) < MOST_LISTED:
                self.failed.append(row)
            return
        self.types[row.get("type") or "not asked for"] += 1
        self.models[row["models"]] += 1
        self.warnings += row["warning_count"]
        number = len(self._cases)
        self._cases.append((row["case"], row.get("report", "")))
        for name, values in self._values.items():
            value = row.get(name)
            values.append(float("nan") if value is None else float(value))
        entry = (float(row["doubt"]), int(row["warning_count"]), -number, row)
        if len(self._doubts) < MOST_LISTED:
            heapq.heappush(self._doubts, entry)
        else:
            heapq.heappushpop(self._doubts, entry)

    @property
    def doubts(self) -> list[Mapping[str, Any]]:
        """Cases that are doubted at all, the worst first; equals by their warnings."""
        ordered = sorted(self._doubts, key=lambda one: one[:3], reverse=True)
        return [row for doubt, warnings, _, row in ordered if doubt > 0 or warnings]

    def values(self, column: str) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """What was measured, without the cases where it was not."""
        every = np.frombuffer(self._values[column], dtype=np.float64)
        kept: np.ndarray[tuple[int], np.dtype[np.float64]] = every[np.isfinite(every)]
        return kept

    def unusual(self) -> list[UnusualValue]:
        """Values far from the middle of the cohort, the farthest first."""
        found: list[UnusualValue] = []
        for column in COMPARED:
            every = np.array(self._values[column])
            scores = modified_z_scores(np.log1p(every) if column in LOGARITHMIC else every)
            for number in np.flatnonzero(np.abs(scores) > FAR):
                case, report = self._cases[number]
                value, score = float(every[number]), float(scores[number])
                found.append(UnusualValue(case, column, value, score, report))
        found.sort(key=lambda one: (-abs(one.score), one.case))
        return found[:MOST_LISTED]


def modified_z_scores(
    values: np.ndarray[tuple[int], np.dtype[np.float64]],
) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Distance of each value from the median in robust standard deviations; NaN stays NaN.

    Zeros where there are too few values, or where more than half are the same.

    Example:
        >>> modified_z_scores(np.array([1.0, 2, 3, 4, 5, 6, 7, 8, 104.5])).round(2)[-1]
        33.56
    """
    known = values[np.isfinite(values)]
    if len(known) < FEWEST_COMPARED:
        return np.zeros_like(values)
    middle = np.median(known)
    spread = np.median(np.abs(known - middle))
    if spread == 0:
        return np.zeros_like(values)
    scores: np.ndarray[tuple[int], np.dtype[np.float64]] = MAD_TO_SD * (values - middle) / spread
    return scores
