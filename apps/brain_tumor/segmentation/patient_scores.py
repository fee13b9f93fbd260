"""Dice of a patient's tumour as a whole, from the scores of its lesion cubes.

Challenges score a patient, not a lesion: a satellite of 0.2 mL that is missed costs a patient
little, but a cube of its own half its mean. Both are worth knowing, so the card has both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from brain_tumor.labels import Region
from brain_tumor.segmentation.evaluation_rows import CaseRow

NESTED = (Region.WT, Region.TC, Region.ET)


def pooled_dice(rows: Iterable[CaseRow]) -> float:
    """Dice of several cubes as if they were one; 1 if both masks are empty in all of them.

    Args:
        rows: One region of the cubes of one patient.
    """
    overlap = sum((row.sensitivity or 0.0) * (row.reference_ml or 0.0) for row in rows)
    total = sum((row.reference_ml or 0.0) + row.predicted_ml for row in rows)
    return 2 * overlap / total if total else 1.0


def pooled_enhancing_dice(rows: Sequence[CaseRow], smallest_enhancing_ml: float) -> float:
    """`pooled_dice` of enhancing tumour after the clean-up rule for a whole patient.

    Args:
        rows: Enhancing tumour of the cubes of one patient.
        smallest_enhancing_ml: Less than this in all becomes necrotic core.
    """
    if sum(row.predicted_ml for row in rows) >= smallest_enhancing_ml:
        return pooled_dice(rows)
    return float(not any(row.reference_ml for row in rows))


def scores_by_patient(
    rows: Sequence[CaseRow], smallest_enhancing_ml: float
) -> dict[str, dict[Region, float]]:
    """Dice of the nested regions per patient.

    Args:
        rows: Rows of cubes, all read with the same sequences.
        smallest_enhancing_ml: See `pooled_enhancing_dice`.
    """
    found: dict[str, dict[Region, float]] = {}
    for patient in sorted({row.patient for row in rows}):
        own = [row for row in rows if row.patient == patient]
        regions = {r: [row for row in own if row.region == r.value] for r in NESTED}
        found[patient] = {
            Region.WT: pooled_dice(regions[Region.WT]),
            Region.TC: pooled_dice(regions[Region.TC]),
            Region.ET: pooled_enhancing_dice(regions[Region.ET], smallest_enhancing_ml),
        }
    return found
