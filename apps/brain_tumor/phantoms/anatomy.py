"""Tissue of a whole head on a grid: brain, vessels, dura, skull and scalp put together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from brain_tumor.phantoms.brain import brain_fractions
from brain_tumor.phantoms.fields import (
    FloatArray,
    LatticeField,
    coverage,
    lattice_points,
    smooth_noise,
)
from brain_tumor.phantoms.head import head_mm, paint_head
from brain_tumor.phantoms.plans import TumorPlan
from brain_tumor.phantoms.template import HEAD_BOX_MM, Deformation, template
from brain_tumor.phantoms.tissue import Grid, Tissue, TissueMaps
from brain_tumor.phantoms.vessels import paint_dura, paint_vessels

BRAIN_EDGE_MM = 0.9


def tissue_maps(
    grid: Grid,
    deformation: Deformation,
    rng: np.random.Generator,
    *,
    skull_stripped: bool = True,
    mirrored: bool = False,
    plan: TumorPlan | None = None,
) -> TissueMaps:
    """Tissue of a head without a tumour on a grid.

    Args:
        grid: Where to evaluate it.
        deformation: The head, patient to template space.
        rng: Gyri, vessels and everything outside the skull.
        skull_stripped: Leave out what is outside the brain.
        mirrored: Reflect the head left to right.
        plan: Tumour to come; its surroundings are kept even outside the brain.
    """
    known = template()
    shape_noise = smooth_noise(rng, 40.0)
    edge_noise = smooth_noise(rng, 9.0)
    flip = np.array([-1 if mirrored else 1, 1, 1], dtype=np.float32)

    surroundings = None if skull_stripped else _skin_field(deformation, shape_noise)

    def outline(points: npt.NDArray[np.float32]) -> tuple[FloatArray, ...]:
        where = deformation(points)
        surface, skull = known.distances(where)
        if surroundings is None:
            skin = surface - np.float32(0.3) - np.float32(0.7) * edge_noise(where)[0]
        else:
            skin = surroundings(points)[0]
        return where, surface, skull, skin

    voxels = _candidates(grid, flip, lambda p: outline(p)[3], plan)
    points = grid.points(voxels) * flip
    where, surface, skull, skin = outline(points)
    keep = skin < 0.6
    if plan is not None:
        keep |= _around(points, plan)
    voxels, points, where = voxels[keep], points[keep], where[keep]
    surface, skull, skin = surface[keep], skull[keep], skin[keep]

    fractions = np.zeros((len(Tissue), len(voxels)), dtype=np.float32)
    detail = np.zeros(len(voxels), dtype=np.float32)
    fractions[Tissue.CSF] = 1
    held = np.flatnonzero(surface < BRAIN_EDGE_MM + 0.75)
    gm, wm, detail[held] = known.tissues(where[held])
    brain = coverage(surface[held] - np.float32(BRAIN_EDGE_MM), 1.5)
    shares = brain * brain_fractions(gm, wm, surface[held], where[held], rng)
    fractions[: Tissue.WM + 1, held] = shares
    fractions[Tissue.CSF, held] += 1 - brain
    inside = skin < 0 if skull_stripped else surface < 1
    maps = TissueMaps(grid, voxels, points, where, fractions, detail, inside, skull)
    paint_dura(maps, convexity=not skull_stripped)
    paint_vessels(maps, surface, rng)
    if not skull_stripped:
        paint_head(maps, skin, rng)
    return maps


def _skin_field(deformation: Deformation, bumps: LatticeField) -> LatticeField:
    """Distance to the skin on a lattice in patient space."""
    step = 4.0
    low, high = np.array(HEAD_BOX_MM) + np.array([[-8.0], [8.0]])
    counts = np.ceil((high - low) / step).astype(int) + 1
    i, j, k = counts.tolist()
    x, y, z = low.tolist()
    nodes = lattice_points((i, j, k), (x, y, z), step)
    where = deformation(nodes)
    distance = head_mm(where, template().distances(where)[1], bumps(where)[0])
    return LatticeField(distance.reshape(1, i, j, k), (x, y, z), step)


def _around(points: npt.NDArray[np.float32], plan: TumorPlan) -> npt.NDArray[np.bool_]:
    gap = points - np.asarray(plan.centre_mm, dtype=np.float32)
    reach = 1.5 * plan.radius_mm + 2 * plan.suprasellar_mm + 4
    near: npt.NDArray[np.bool_] = np.einsum("ij,ij->i", gap, gap) < reach**2
    return near


def _candidates(
    grid: Grid,
    flip: npt.NDArray[np.float32],
    outline: Callable[[npt.NDArray[np.float32]], FloatArray],
    plan: TumorPlan | None,
) -> npt.NDArray[np.int64]:
    """Voxels that may hold tissue, found on every fourth voxel and grown by one step."""
    step = 4
    counts = [-(-n // step) for n in grid.shape]
    coarse_affine = grid.affine @ np.diag([step, step, step, 1.0])
    coarse = Grid((counts[0], counts[1], counts[2]), coarse_affine)
    points = coarse.points(np.arange(int(np.prod(counts)))) * flip
    margin = step * float(np.linalg.norm(np.linalg.norm(grid.affine[:3, :3], axis=0)))
    held = outline(points) < margin
    if plan is not None:
        held |= _around(points, plan)
    block = held.reshape(counts)
    for axis, count in enumerate(grid.shape):
        block = np.repeat(block, step, axis=axis).take(range(count), axis=axis)
    return np.flatnonzero(block)
