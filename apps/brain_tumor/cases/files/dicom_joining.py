"""Joining DICOM series that are pieces of one stack of slices."""

from __future__ import annotations

import logging
from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np

from brain_tumor.cases.files.dicom_headers import Vector
from brain_tumor.cases.files.dicom_series import MIN_SLICE_DISTANCE_MM, DicomSeries

logger = logging.getLogger(__name__)

ORIENTATION_TOLERANCE = 1e-3
SPACING_TOLERANCE_MM = 1e-3
_MAX_PIECES = 4096


def has_doubles(series: DicomSeries) -> bool:
    """True if two of its planes lie at one place."""
    positions = np.array([s.position_mm for s in series.slices])
    if len(positions) < 2:
        return False
    return bool(np.linalg.norm(np.diff(positions, axis=0), axis=1).min() < MIN_SLICE_DISTANCE_MM)


def join_pieces(found: list[DicomSeries]) -> list[DicomSeries]:
    """Join series that are pieces of one stack; say of those that cannot be joined that they are.

    Some archives give every slice, or every slab, a SeriesInstanceUID of its own.
    """
    groups: dict[tuple[Any, ...], list[DicomSeries]] = {}
    for series in found:
        name = series.names[0] if series.names else ""
        groups.setdefault((series.study, name, series.size, series.agent), []).append(series)
    joined: list[DicomSeries] = []
    for group in groups.values():
        for part in _alike(group):
            joined += _joined(part) if 1 < len(part) <= _MAX_PIECES else part
    return joined


def _alike(group: list[DicomSeries]) -> list[list[DicomSeries]]:
    """Series of one direction and voxel size, the dynamic ones alone."""
    parts: list[list[DicomSeries]] = []
    for series in group:
        for part in parts:
            turned = np.abs(part[0].orientation - series.orientation).max()
            resized_mm = np.abs(part[0].spacing_mm - series.spacing_mm).max()
            is_still = not (part[0].is_dynamic or series.is_dynamic)
            if turned < ORIENTATION_TOLERANCE and resized_mm < SPACING_TOLERANCE_MM and is_still:
                part.append(series)
                break
        else:
            parts.append([series])
    return parts


def _joined(pieces: list[DicomSeries]) -> list[DicomSeries]:
    """Pieces as one series if they make a regular stack, as they are if each is a volume."""
    normal = np.cross(pieces[0].orientation[0], pieces[0].orientation[1])
    slices = [s for piece in pieces for s in piece.slices]
    slices.sort(key=lambda s: float(s.position_mm @ normal))
    whole = replace(pieces[0], slices=tuple(slices), number=min(p.number for p in pieces))
    if has_doubles(whole):
        return pieces  # repetitions of one another
    singles = [piece for piece in pieces if len(piece.slices) == 1]
    if whole.fault is None and _is_one_stack(pieces, whole):
        logger.info("%s: %d series joined to one stack", whole.label, len(pieces))
        return [whole]
    if len(singles) > len(pieces) / 2 and len(singles) > 2:
        reason = (
            f"is split over {len(pieces)} series that make no regular stack; slices are missing"
        )
        return [replace(whole, scattered=reason)]
    if _are_slabs_with_a_gap(pieces, normal):
        reason = f"is split over {len(pieces)} series with a gap between them; slices are missing"
        return [replace(whole, scattered=reason)]
    return pieces


def _is_one_stack(pieces: list[DicomSeries], whole: DicomSeries) -> bool:
    """True if the joined slice distance is nearer to the stated one than those of the pieces."""
    step_mm = _distance_mm(whole)
    distances = [_distance_mm(piece) for piece in pieces if len(piece.slices) > 1]
    wanted_mm = whole.thickness_mm
    off_mm = abs(step_mm - wanted_mm) - 1e-3
    return all(off_mm <= abs(own_mm - wanted_mm) for own_mm in distances)


def _distance_mm(series: DicomSeries) -> float:
    span = series.slices[-1].position_mm - series.slices[0].position_mm
    return float(np.linalg.norm(span)) / max(1, len(series.slices) - 1)


def _are_slabs_with_a_gap(pieces: list[DicomSeries], normal: Vector) -> bool:
    """True for stacks one above the other in one column, no farther apart than they are high."""
    if any(len(piece.slices) < 2 for piece in pieces):
        return False
    ranges = sorted(
        (float(p.slices[0].position_mm @ normal), float(p.slices[-1].position_mm @ normal))
        for p in pieces
    )
    firsts = np.array([p.slices[0].position_mm for p in pieces])
    across = firsts - np.outer(firsts @ normal, normal)
    is_one_column = np.abs(across - across[0]).max() < 1.0
    gaps_mm = [b[0] - a[1] for a, b in pairwise(ranges)]
    heights_mm = [high - low for low, high in ranges]
    return is_one_column and all(0 < gap <= sum(heights_mm) for gap in gaps_mm)
