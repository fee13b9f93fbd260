"""Dice of a patient's tumour as a whole, from the scores of its lesion cubes.

Challenges score a patient, not a lesion: a satellite of 0.2 mL that is missed costs a patient
little, but a cube of its own half its mean. Both are worth knowing, so the card has both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from brain_tumor.labels import Region
from brain_tumor.segmentation.evaluation_rows import CaseRow

NESTED = (Region.WT, Region.TC, Region.ET)


def volume_dice(overlap: float, reference: float, found: float, least: float = 0.0) -> float:
    """Dice from volumes; 1 if there is nothing and nothing is found.

    Args:
        overlap: Volume in both masks.
        reference: Volume of the reference.
        found: Volume of the prediction.
        least: A prediction smaller than this counts as nothing.
    """
    if found < least:
        overlap = found = 0.0
    total = reference + found
    return 2 * overlap / total if total else 1.0


def pooled_dice(rows: Iterable[CaseRow], least_ml: float = 0.0) -> float:
    """Dice of several cubes as if they were one; 1 if both masks are empty in all of them.

    Args:
        rows: One region of the cubes of one patient.
        least_ml: Less than this in all counts as nothing found: the clean-up rule for enhancement.
    """
    pooled = list(rows)
    return volume_dice(
        sum((row.sensitivity or 0.0) * (row.reference_ml or 0.0) for row in pooled),
        sum(row.reference_ml or 0.0 for row in pooled),
        sum(row.predicted_ml for row in pooled),
        least_ml,
    )


def scores_by_patient(
    rows: Sequence[CaseRow], smallest_enhancing_ml: float
) -> dict[str, dict[Region, float]]:
    """Dice of the nested regions per patient.

    Args:
        rows: Rows of cubes, all read with the same sequences.
        smallest_enhancing_ml: Of the clean-up rule; less in all is necrotic core.
    """
    found: dict[str, dict[Region, float]] = {}
    for patient in sorted({row.patient for row in rows}):
        own = [row for row in rows if row.patient == patient]
        regions = {r: [row for row in own if row.region == r.value] for r in NESTED}
        found[patient] = {
            Region.WT: pooled_dice(regions[Region.WT]),
            Region.TC: pooled_dice(regions[Region.TC]),
            Region.ET: pooled_dice(regions[Region.ET], smallest_enhancing_ml),
        }
    return found
