"""The slices of one plane as a field on the reference grid: heat, weight and coverage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brain_tumor.cases.volume import ScalarArray

BoolArray = npt.NDArray[np.bool_]
FloatArray = npt.NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class FieldTotals:
    """Sums over planes on a piece of the reference grid; changed in place.

    Attributes:
        heat: Sum of coverage * evidence * heat.
        weight: Sum of coverage * evidence.
        coverage: Largest coverage.
    """

    heat: ScalarArray
    weight: ScalarArray
    coverage: ScalarArray


@dataclass(frozen=True, eq=False)
class PlaneField:
    """Parallel slices across one axis; see `brain_tumor.explanation.heat.fusion.fuse_slices`.

    Attributes:
        axis: Axis of the grid that the slices lie across.
        box: Part of the grid that the plane has anything to say about.
        steps: Share of each slice in each voxel of the box along `axis`, shape (voxels, slices).
        coverage: Of each voxel of the box along `axis`.
        evidence: The same, the weight where planes cross.
        pictures: Heat of the slices inside the box, shape (slices, rows, columns).
        seen: Where the slices have pixels, same shape.
    """

    axis: int
    box: tuple[slice, slice, slice]
    steps: FloatArray
    coverage: FloatArray
    evidence: FloatArray
    pictures: ScalarArray
    seen: BoolArray

    def add(self, start: int, totals: FieldTotals) -> None:
        """Add the plane to the totals of the piece of the grid that starts here on axis 0."""
        low = max(self.box[0].start, start)
        high = min(self.box[0].stop, start + len(totals.heat))
        if low >= high:
            return
        own = slice(low - self.box[0].start, high - self.box[0].start)
        voxels, rows = (own, slice(None)) if self.axis == 0 else (slice(None), own)
        steps, coverage = self.steps[voxels], self.coverage[voxels]
        weight = coverage * self.evidence[voxels]
        seen = self.seen[:, rows]
        heat = _along(weight[:, None] * steps, self.pictures[:, rows], self.axis)
        covered, weights = _along_axis(coverage, self.axis), _along_axis(weight, self.axis)
        if not seen.all():
            shown = _shown(seen, steps, self.axis)
            heat, covered, weights = heat * shown, covered * shown, weights * shown
        slab = (slice(low - start, high - start), *self.box[1:])
        totals.heat[slab] += heat
        totals.weight[slab] += weights
        np.maximum(totals.coverage[slab], covered, out=totals.coverage[slab])


def plane_field(
    axis: int,
    length: int,
    positions: FloatArray,
    evidence: FloatArray,
    thickness: float,
    pictures: tuple[ScalarArray, BoolArray],
) -> PlaneField:
    """Field of slices that were brought to the rows and columns of the grid.

    Args:
        axis: Axis of the grid that the slices lie across.
        length: Voxels of the grid along it.
        positions: Place of each slice along it, in voxels, rising.
        evidence: Weight of each slice, above 0.
        thickness: Of the slices, in voxels; the least distance over which coverage falls.
        pictures: Heat at the grid's rows and columns, shape (slices, R, C), and where it was seen.
    """
    gap = max(thickness, float(np.diff(positions).mean())) if len(positions) > 1 else thickness
    first = max(0, int(np.floor(positions[0] - gap)) + 1)
    last = min(length - 1, int(np.ceil(positions[-1] + gap)) - 1)
    voxels = np.arange(first, last + 1)
    steps = _interpolation(positions, voxels)
    beyond = np.maximum(np.maximum(positions[0] - voxels, voxels - positions[-1]), 0.0)
    heat, seen = pictures
    rows, columns = _used(seen.any(axis=(0, 2))), _used(seen.any(axis=(0, 1)))
    across = [rows, columns]
    across.insert(axis, slice(first, max(first, last + 1)))
    return PlaneField(
        axis,
        (across[0], across[1], across[2]),
        steps,
        1 - beyond / gap,
        steps @ evidence,
        heat[:, rows, columns],
        seen[:, rows, columns],
    )


def _used(profile: BoolArray) -> slice:
    used = np.flatnonzero(profile)
    return slice(int(used[0]), int(used[-1]) + 1) if len(used) else slice(0, 0)


def _interpolation(positions: FloatArray, voxels: npt.NDArray[np.int_]) -> FloatArray:
    """Share of every slice in every voxel, shape (voxels, slices); the rows sum to 1.

    Linear between slices; beyond the outermost ones those count alone. Slices at one place share.
    """
    places, member = np.unique(np.round(positions, 6), return_inverse=True)
    shares = np.stack([np.interp(voxels, places, unit) for unit in np.eye(len(places))], axis=1)
    return np.asarray(shares[:, member] / np.bincount(member)[member])


def _along(steps: FloatArray, pictures: ScalarArray, axis: int) -> ScalarArray:
    """Slices (n, R, C) weighted for each voxel, with the slice direction at its own axis."""
    matrix = steps.astype(np.float32)
    count, rows, columns = pictures.shape
    flat = pictures.reshape(count, -1)
    if axis == 0:
        return np.asarray((matrix @ flat).reshape(-1, rows, columns))
    if axis == 1:
        return np.asarray(matrix @ pictures.transpose(1, 0, 2))
    return np.asarray((flat.T @ matrix.T).reshape(rows, columns, -1))


def _along_axis(values: FloatArray, axis: int) -> ScalarArray:
    """One value per voxel of an axis, to be broadcast over the other two."""
    shape = [1, 1, 1]
    shape[axis] = -1
    return np.asarray(values, dtype=np.float32).reshape(shape)


def _shown(seen: BoolArray, steps: FloatArray, axis: int) -> ScalarArray:
    """1 where all slices that a voxel is interpolated from have pixels, else 0."""
    missing = _along((steps > 0).astype(np.float64), (~seen).astype(np.float32), axis)
    return np.asarray(missing == 0, dtype=np.float32)
