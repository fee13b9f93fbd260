"""Comparing, reorienting and aligning volumes in world mm.

Grids themselves are in `grids`, interpolation in `resampling`; this is the door to both.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping

import numpy as np

from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.grids import AxisMap, Shape, axis_map, corners_mm, inside_grid
from brain_tumor.cases.grid.resampling import resample_array, resample_tissue, resample_to
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import GeometryError, SequenceError

__all__ = [
    "GRID_TOLERANCE_MM",
    "AxisMap",
    "axis_map",
    "case_on_reference_grid",
    "chosen_reference",
    "corners_mm",
    "covered_share",
    "grid_distance_mm",
    "reorient",
    "resample_array",
    "resample_to",
    "same_grid",
]

logger = logging.getLogger(__name__)

GRID_TOLERANCE_MM = 0.5
"""Grids whose corners are this close are one grid."""
MIN_COVERED_SHARE = 0.5
"""Share of the reference's tissue that every sibling has to cover."""
REFERENCE_PREFERENCE = (Sequence.T1C, Sequence.FLAIR, Sequence.T2, Sequence.T1)
"""Which sequence becomes the reference when nobody says."""

_COVERAGE_SAMPLES_PER_AXIS = 32


def grid_distance_mm(a: Volume, b: Volume) -> float:
    """Largest distance between corresponding corners of two grids, in mm.

    Infinite when the shapes differ. Distances do not cancel: a grid that is turned about its
    middle is as far away as its farthest corner.
    """
    if a.shape != b.shape:
        return float("inf")
    difference = corners_mm(a.shape, a.affine) - corners_mm(b.shape, b.affine)
    return float(np.linalg.norm(difference, axis=1).max())


def same_grid(a: Volume, b: Volume, tolerance_mm: float = GRID_TOLERANCE_MM) -> bool:
    """True when two volumes have one shape and every corner within the tolerance."""
    return grid_distance_mm(a, b) <= tolerance_mm


def reorient(volume: Volume, codes: str = "RAS") -> tuple[Volume, AxisMap]:
    """Volume with its axes permuted and flipped towards an orientation.

    Args:
        volume: Volume of any orientation.
        codes: See `axis_map`.

    Returns:
        The same voxels at the same places in space, and the map whose `undo` brings arrays on
        the new grid back to the old one.
    """
    mapping = axis_map(volume.shape, volume.affine, codes)
    array = mapping.apply(volume.array)
    return Volume(array, mapping.map_affine(volume.affine)), mapping


def covered_share(reference: Volume, sibling: Volume) -> float:
    """Share of the reference's tissue that lies inside the sibling's grid.

    Tissue is what is brighter than the reference's mean, so that the air around a head does not
    count. Looked up on a lattice of at most 32 voxels an axis.

    Returns:
        0 (apart) to 1 (covered).
    """
    steps = [max(1, -(-n // _COVERAGE_SAMPLES_PER_AXIS)) for n in reference.shape]
    lattice = reference.array[:: steps[0], :: steps[1], :: steps[2]]
    tissue = lattice > lattice.mean()
    if not tissue.any():
        tissue = np.ones_like(tissue)
    mapping = np.linalg.inv(sibling.affine) @ reference.affine @ np.diag([*steps, 1.0])
    size: Shape = lattice.shape  # type: ignore[assignment]
    inside = inside_grid(mapping, size, sibling.shape)
    return float(np.count_nonzero(inside & tissue) / np.count_nonzero(tissue))


def chosen_reference(
    case_id: str, volumes: Mapping[Sequence, Volume], reference: Sequence | None = None
) -> Sequence:
    """Sequence whose grid is kept.

    Args:
        case_id: Name of the case, for messages.
        volumes: Volumes by sequence.
        reference: What was asked for; default: the first present of t1c, flair, t2, t1.

    Raises:
        SequenceError: If there is no volume or the reference is missing.
    """
    if not volumes:
        raise SequenceError(f"case {case_id} has no volumes; expected at least one sequence")
    chosen = reference or next(s for s in REFERENCE_PREFERENCE if s in volumes)
    if chosen not in volumes:
        present = ", ".join(s.value for s in volumes)
        raise SequenceError(f"reference {chosen.value} is missing; case {case_id} has {present}")
    return chosen


def case_on_reference_grid(
    case_id: str,
    volumes: Mapping[Sequence, Volume],
    reference: Sequence | None = None,
    *,
    tolerance_mm: float = GRID_TOLERANCE_MM,
) -> Case:
    """Case with every sequence on the grid of the reference.

    Siblings within the tolerance keep their voxels, others are resampled (`resample_tissue`).

    Args:
        case_id: Name of the case.
        volumes: One volume per sequence, each on its own grid.
        reference: Sequence whose grid is kept; default: the first present of t1c, flair, t2, t1.
        tolerance_mm: See `same_grid`.

    Raises:
        SequenceError: If there is no volume or the reference is missing.
        GeometryError: If a sibling covers less than half of the reference's tissue.
    """
    chosen = chosen_reference(case_id, volumes, reference)
    base = volumes[chosen]
    aligned: dict[Sequence, Volume] = {}
    for sequence in Sequence:
        if sequence in volumes:
            aligned[sequence] = _on_grid_of(base, volumes[sequence], sequence, chosen, tolerance_mm)
    return Case(case_id, chosen, aligned)


def _on_grid_of(
    base: Volume, volume: Volume, sequence: Sequence, reference: Sequence, tolerance_mm: float
) -> Volume:
    if volume is base:
        return volume
    distance_mm = grid_distance_mm(base, volume)
    if distance_mm == 0.0:
        return volume
    if distance_mm <= tolerance_mm:
        return Volume(volume.array, base.affine)
    share = covered_share(base, volume)
    if share < MIN_COVERED_SHARE:
        raise GeometryError(
            f"{sequence.value} covers {share:.0%} of the tissue in {reference.value}; "
            f"expected at least {MIN_COVERED_SHARE:.0%}",
            remedy=f"Leave {sequence.value} out, or register it to {reference.value} first.",
        )
    logger.debug("resampling %s to the grid of %s", sequence.value, reference.value)
    return resample_tissue(volume, base.shape, base.affine)
