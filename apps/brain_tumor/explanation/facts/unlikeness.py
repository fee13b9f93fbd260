"""Whether a tumour is measured like known patients with the type that is told.

The network has three answers and an embedding that puts a metastasis beside the gliomas; what is
measured knows nothing of the answers. A tumour whose measurements are far from those of every
known patient of its type may be one of them, but it may as well be a lesion that the model does
not know.

The limit is set on held-out patients of the known types alone: each patient is compared with the
others, and `KNOWN_SHARE` of a type lie within. Measurements do not depend on the network, so a
patient who is left out of the comparison is an unseen one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.classification.result import OutlierScore, SliceReading
from brain_tumor.explanation.facts.similar_cases import (
    NEIGHBOURS,
    TrainingTable,
    distances,
    medians_of,
)
from brain_tumor.explanation.facts.vocabulary import TYPE_WORDS
from brain_tumor.labels import TumorType

KNOWN_SHARE = 0.95
ROUNDNESS = "compactness"
LEAST_PATIENTS = 2 * NEIGHBOURS
"""With fewer patients of a type nothing is said of what is unlike them."""


def unlikeness(
    readings: Sequence[SliceReading], table: TrainingTable, tumor: TumorType
) -> OutlierScore | None:
    """How far a case is from the nearest known patients of a type.

    The case is the median of its slices, as the rows of the table are; the score is the mean
    distance of `NEIGHBOURS` patients, in robust standard deviations of a feature.

    Args:
        readings: Slices that were read.
        table: Known patients.
        tumor: Type that is told.

    Returns:
        None if too little was measured or there are too few patients to compare with.
    """
    if not readings:
        return None
    rows = np.stack([reading.features.to_array(table.features) for reading in readings])
    return unlikeness_of(rows, table, tumor)


def unlikeness_of(
    rows: npt.NDArray[np.floating[Any]], table: TrainingTable, tumor: TumorType
) -> OutlierScore | None:
    """The same of measured values, shape (slices, features), NaN where not measured."""
    known = table.values[[kind is tumor for kind in table.types]]
    if len(known) < LEAST_PATIENTS or not len(rows):
        return None
    others = [
        _nearest(distances(known[row], np.delete(known, row, axis=0), table.spread))
        for row in range(len(known))
    ]
    limit = float(np.quantile(others, KNOWN_SHARE, method="higher"))
    score = _nearest(distances(medians_of(rows), known, table.spread))
    return OutlierScore(score, limit) if np.isfinite([score, limit]).all() else None


def unlikeness_warning(found: OutlierScore, tumor: TumorType) -> str:
    """Sentence on a tumour that is measured unlike the known patients of its type.

    Args:
        found: Beyond its limit.
        tumor: Type that is told.
    """
    return (
        f"The tumour measures unlike the known patients with a {TYPE_WORDS[tumor][0]} "
        f"(distance {found.score:.2f}, limit {found.threshold:.2f}): a lesion that the model does "
        "not know cannot be excluded."
    )


def roundness_warning(
    readings: Sequence[SliceReading], table: TrainingTable, tumor: TumorType
) -> str | None:
    """Sentence on a glioma that is rounder than nearly all known ones; None for any other.

    A rule by design: metastases and abscesses grow as balls, gliomas along fibres. Its limit is
    that of the known gliomas, too: `KNOWN_SHARE` of them are less compact.

    Args:
        readings: Slices that were read.
        table: Known patients.
        tumor: Type that is told.

    References:
        Blanchet et al. 2011, doi:10.3174/ajnr.A2269 (shape of metastases and glioblastomas).
    """
    if tumor is not TumorType.GLIOMA or not readings:
        return None
    rows = np.stack([reading.features.to_array(table.features) for reading in readings])
    if not is_rounder(rows, table):
        return None
    return (
        f"The tumour is rounder than {KNOWN_SHARE:.0%} of the known gliomas; metastasis and "
        "abscess, which the model does not know, cannot be excluded."
    )


def is_rounder(rows: npt.NDArray[np.floating[Any]], table: TrainingTable) -> bool:
    """Whether measured values are rounder than `KNOWN_SHARE` of the known gliomas.

    Args:
        rows: Shape (slices, features of the table), NaN where not measured.
        table: Known patients.
    """
    if ROUNDNESS not in table.features:
        return False
    column = table.features.index(ROUNDNESS)
    known = table.values[[kind is TumorType.GLIOMA for kind in table.types], column]
    known = known[np.isfinite(known)]
    if len(known) < LEAST_PATIENTS:
        return False
    limit = np.quantile(known, KNOWN_SHARE, method="higher")
    return bool(medians_of(rows)[column] > limit)


def _nearest(found: npt.NDArray[np.float64]) -> float:
    return float(np.sort(found)[:NEIGHBOURS].mean())
