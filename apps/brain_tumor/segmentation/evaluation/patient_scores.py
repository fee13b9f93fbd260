"""Dice of a patient's tumour as a whole, from the scores of its lesion cubes.

Challenges score a patient, not a lesion: a satellite of 0.2 mL that is missed costs a patient
little, but a cube of its own half its mean. Both are worth knowing, so the card has both.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from brain_tumor.labels import Region
from brain_tumor.segmentation.evaluation.rows import CaseRow
from brain_tumor.segmentation.subregions.cleanup import EnhancementRule

NESTED = (Region.WT, Region.TC, Region.ET)


def volume_dice(overlap: float, reference: float, found: float) -> float:
    """Dice from volumes; 1 if there is nothing and nothing is found.

    Args:
        overlap: Volume in both masks.
        reference: Volume of the reference.
        found: Volume of the prediction.
    """
    total = reference + found
    return 2 * overlap / total if total else 1.0


def believed_dice(
    overlap: float, reference: float, found: float, likely: float, rule: EnhancementRule
) -> float:
    """Dice from volumes of enhancement, of which none is found if it is not believed.

    Args:
        overlap: Volume in both masks, in mL.
        reference: Volume of the reference, in mL.
        found: Volume of the prediction, in mL.
        likely: The same, each voxel counting its probability.
        rule: Of the clean-up.
    """
    if found and not rule.believes(found, likely / found):
        overlap = found = 0.0
    return volume_dice(overlap, reference, found)


def pooled_dice(rows: Iterable[CaseRow]) -> float:
    """Dice of several cubes as if they were one; 1 if both masks are empty in all of them.

    Args:
        rows: One region of the cubes of one patient.
    """
    return volume_dice(*_pooled_volumes(list(rows)))


def enhancing_dice(rows: Sequence[CaseRow], rule: EnhancementRule) -> float:
    """Dice of the enhancement of one patient, of which none is found if it is not believed.

    Args:
        rows: Enhancing tumour in the cubes of one patient.
        rule: Of the clean-up.
    """
    likely = sum(row.predicted_ml * (row.enhancing_probability or 0.0) for row in rows)
    return believed_dice(*_pooled_volumes(rows), likely, rule)


def _pooled_volumes(rows: Sequence[CaseRow]) -> tuple[float, float, float]:
    """Volumes in both masks, of the reference and of the prediction, in mL."""
    return (
        sum((row.sensitivity or 0.0) * (row.reference_ml or 0.0) for row in rows),
        sum(row.reference_ml or 0.0 for row in rows),
        sum(row.predicted_ml for row in rows),
    )


def scores_by_patient(
    rows: Sequence[CaseRow], enhancement: EnhancementRule
) -> dict[str, dict[Region, float]]:
    """Dice of the nested regions per patient.

    Args:
        rows: Rows of cubes, all read with the same sequences.
        enhancement: Of the clean-up; what it does not believe is necrotic core.
    """
    found: dict[str, dict[Region, float]] = {}
    for patient in sorted({row.patient for row in rows}):
        own = [row for row in rows if row.patient == patient]
        regions = {r: [row for row in own if row.region == r.value] for r in NESTED}
        found[patient] = {
            Region.WT: pooled_dice(regions[Region.WT]),
            Region.TC: pooled_dice(regions[Region.TC]),
            Region.ET: enhancing_dice(regions[Region.ET], enhancement),
        }
    return found
