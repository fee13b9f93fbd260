"""From a labelmap and strokes to a better labelmap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch

from brain_tumor.cases.grid.preprocessing import to_native_grid
from brain_tumor.cases.volume import Affine, ScalarArray, spacing_from_affine
from brain_tumor.labels import Label, LabelArray
from brain_tumor.segmentation.refinement.claims import (
    FLOOR,
    ClaimWeights,
    Surroundings,
    explore,
    reachable_box,
    score,
)
from brain_tumor.segmentation.refinement.evidence import Box, Evidence, sample_nearest
from brain_tumor.segmentation.refinement.strokes import Stroke

THRESHOLD = -0.4
"""Score from which a voxel is given to a stroke: chosen with the weights, on the same patients."""


class _Claim:
    """A stroke that has been dealt with; it defends what it holds against later ones.

    Its surroundings are explored when first needed: most clicks never meet another.
    """

    def __init__(self, stroke: Stroke, explored: Callable[[], Surroundings]) -> None:
        self.stroke = stroke
        self._explored = explored
        self._around: Surroundings | None = None

    @property
    def around(self) -> Surroundings:
        """What lies around the stroke."""
        if self._around is None:
            self._around = self._explored()
        return self._around


def refine(
    labels: LabelArray,
    affine: Affine,
    evidence: Evidence,
    strokes: Sequence[Stroke],
    weights: ClaimWeights | None = None,
) -> LabelArray:
    """Correct a labelmap by strokes, in their order.

    Every stroke takes the voxels whose score passes the threshold, unless an earlier stroke holds
    them with a higher score. The voxels of a stroke have its label in the end; where strokes
    contradict each other, the last one holds. A stroke whose voxels have its label already changes
    nothing, it only defends its surroundings; so clients may send old strokes again. Nothing
    further than `REACH_MM` from every stroke changes.

    Args:
        labels: Label values, shape (I, J, K).
        affine: Their voxel centres to RAS+ mm.
        evidence: Of the case.
        strokes: What the annotator drew.
        weights: Of the score.

    Returns:
        New labels of the same shape.
    """
    refined = labels.copy()
    claims: list[_Claim] = []
    for stroke in strokes:
        claim = _Claim(stroke, partial(_explore, refined, affine, evidence, stroke))
        if not (refined[tuple(stroke.voxels.T)] == stroke.label).all():
            _grow(refined, affine, claim.around, claims, weights)
            _honour(refined, affine, stroke)
        claims.append(claim)
    for claim in claims:
        refined[tuple(claim.stroke.voxels.T)] = claim.stroke.label
    return refined


def _explore(
    labels: LabelArray, affine: Affine, evidence: Evidence, stroke: Stroke
) -> Surroundings:
    voxels = evidence.nearest(stroke.voxels, affine)
    box, start = reachable_box(evidence, voxels)
    size = (box[0].stop - box[0].start, box[1].stop - box[1].start, box[2].stop - box[2].start)
    tumour = sample_nearest(labels, affine, start, size) > 0
    return explore(evidence, tumour, voxels, stroke.label)


def _grow(
    refined: LabelArray,
    affine: Affine,
    around: Surroundings,
    claims: Sequence[_Claim],
    weights: ClaimWeights | None,
) -> None:
    """Give a stroke what it claims; changes `refined`."""
    mine, place = _native_score(refined, affine, around, None, weights)
    part = refined[place]  # a view
    taken = (mine > THRESHOLD) & (part != around.label)
    for claim in claims:
        if claim.stroke.label == around.label:
            continue
        other, their_place = _native_score(refined, affine, claim.around, around.label, weights)
        here, there = _overlap(place, their_place)
        held = part[here] == claim.around.label
        taken[here] &= ~((other[there] >= mine[here]) & held)
    part[taken] = around.label


def _native_score(
    labels: LabelArray,
    affine: Affine,
    around: Surroundings,
    rival: Label | None,
    weights: ClaimWeights | None,
) -> tuple[ScalarArray, Box]:
    """Score at the voxels of the case; what a stroke holds is scored against its rival."""
    current = sample_nearest(labels, affine, around.affine, around.shape)
    if rival is not None:
        current = np.where(current == around.label, np.uint8(rival), current)
    above_floor = torch.from_numpy(score(around, current, weights) - FLOOR)[None]
    shape = (labels.shape[0], labels.shape[1], labels.shape[2])
    part, place = to_native_grid(above_floor, around.affine, affine, shape)
    return np.asarray(part[0].numpy() + FLOOR, dtype=np.float32), place


def _overlap(one: Box, other: Box) -> tuple[Box, Box]:
    """What two boxes share, as parts of the first and of the second; empty if nothing."""
    parts = []
    for a, b in zip(one, other, strict=True):
        low = max(a.start, b.start)
        high = max(low, min(a.stop, b.stop))
        parts.append((slice(low - a.start, high - a.start), slice(low - b.start, high - b.start)))
    (i, u), (j, v), (k, w) = parts
    return (i, j, k), (u, v, w)


def _honour(refined: LabelArray, affine: Affine, stroke: Stroke) -> None:
    """Set the voxels of a stroke, and those within its radius; changes `refined`."""
    refined[tuple(stroke.voxels.T)] = stroke.label
    if stroke.radius_mm <= 0:
        return
    spacing = np.array(spacing_from_affine(affine))
    margin = np.ceil(stroke.radius_mm / spacing).astype(int)
    for voxel in stroke.voxels:
        low = np.maximum(voxel - margin, 0)
        high = np.minimum(voxel + margin + 1, refined.shape)
        box = tuple(slice(int(a), int(b)) for a, b in zip(low, high, strict=True))
        grid = np.indices(tuple(high - low)) + (low - voxel).reshape(3, 1, 1, 1)
        away_mm = np.linalg.norm(np.tensordot(affine[:3, :3], grid, axes=1), axis=0)
        refined[box][away_mm <= stroke.radius_mm] = stroke.label
