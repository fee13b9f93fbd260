"""Vessels, dura and choroid plexus: what lights up after contrast in a healthy head.

Courses are polylines in template millimetres, read off an anatomy atlas to a few millimetres;
they make an image plausible and say nothing about a real vascular tree.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import numpy.typing as npt

from brain_tumor.phantoms.brain import fissure_mm
from brain_tumor.phantoms.fields import (
    FloatArray,
    Points,
    Vector3,
    capsule_mm,
    coverage,
    smooth_noise,
    smoothstep,
)
from brain_tumor.phantoms.tissue import Tissue, TissueMaps

# Right side; the left is its mirror image. Radius in mm, then the course.
ARTERIES: tuple[tuple[float, tuple[Vector3, ...]], ...] = (
    (2.3, ((15, 6, -64), (16, -2, -46), (13, 2, -38), (13, 10, -33), (12, 4, -24))),
    (1.6, ((12, 4, -22), (24, 5, -20), (37, 4, -14), (42, -4, -2), (40, -16, 8))),
    (1.3, ((12, 4, -22), (4, 12, -19), (2, 27, -9), (2, 40, 8), (2, 30, 29), (2, 4, 38))),
    (1.3, ((0, -14, -21), (13, -19, -17), (22, -34, -9), (20, -58, -1))),
    (1.8, ((8, -30, -72), (0, -24, -58), (0, -15, -46), (0, -13, -32), (0, -13, -21))),
)
VEINS: tuple[tuple[float, tuple[Vector3, ...]], ...] = (
    (1.0, ((2, 2, 12), (2, -16, 12), (1, -34, 9), (0, -44, 7))),
    (2.2, ((0, -44, 7), (0, -62, 3), (0, -80, -6), (0, -98, -14))),
    (3.2, ((0, -101, -14), (28, -97, -19), (52, -72, -25), (57, -50, -32))),
    (3.2, ((57, -50, -32), (52, -42, -48), (36, -36, -62))),
)
CHOROID: tuple[tuple[float, tuple[Vector3, ...]], ...] = (
    (2.0, ((25, -40, 2), (23, -41, 11), (17, -35, 18))),
    (0.8, ((17, -35, 18), (9, -14, 21))),
)
FALX_HALF_THICKNESS_MM = 0.6


def rounded(course: tuple[Vector3, ...]) -> list[Vector3]:
    """Course with its corners cut twice (Chaikin), ends kept."""
    corners = np.array(course, dtype=np.float64)
    for _ in range(2):
        near = 0.75 * corners[:-1] + 0.25 * corners[1:]
        far = 0.25 * corners[:-1] + 0.75 * corners[1:]
        inner = np.stack([near, far], axis=1).reshape(-1, 3)
        corners = np.concatenate([corners[:1], inner, corners[-1:]])
    return [(x, y, z) for x, y, z in corners.tolist()]


def polyline_mm(points: Points, radius_mm: float, course: tuple[Vector3, ...]) -> FloatArray:
    """Signed distance to a tube along a polyline, negative inside."""
    distance = np.full(len(points), 1e3, dtype=np.float32)
    for start, end in pairwise(rounded(course)):
        near = _in_box(points, np.minimum(start, end), np.maximum(start, end), radius_mm + 2)
        tube = capsule_mm(points[near], start, end, radius_mm, radius_mm)
        distance[near] = np.minimum(distance[near], tube)
    return distance


def _in_box(
    points: Points, low: npt.ArrayLike, high: npt.ArrayLike, margin_mm: float
) -> npt.NDArray[np.int64]:
    lower = np.asarray(low, dtype=np.float32) - np.float32(margin_mm)
    upper = np.asarray(high, dtype=np.float32) + np.float32(margin_mm)
    found = np.arange(len(points))
    for axis in (2, 1, 0):  # the vertical extent of a vessel is the most selective
        column = points[found, axis]
        found = found[(column > lower[axis]) & (column < upper[axis])]
    return found


def paint_dura(maps: TissueMaps, *, convexity: bool) -> None:
    """Falx in the fissure, dura along the inner skull, superior sagittal sinus; in place.

    Args:
        maps: Tissue to paint on.
        convexity: Whether to draw the dura along the skull, which skull stripping removes.
    """
    q, skull = maps.template_mm, maps.skull_mm
    intracranial = coverage(skull, 1.0)
    reach = 16 + 22 * smoothstep(q[:, 1], 40, -60)
    sheet = coverage(fissure_mm(q) - np.float32(FALX_HALF_THICKNESS_MM), 1.0)
    maps.lay(Tissue.DURA, 0.9 * sheet * coverage(-skull - reach, 3.0) * intracranial)
    if convexity:
        shell = coverage(np.abs(skull + np.float32(0.3)) - np.float32(0.5), 1.0)
        maps.lay(Tissue.DURA, np.float32(0.8) * shell)
    y, z = q[:, 1], q[:, 2]
    top = ((z > 20) | (y < -60) | (y > 45)) & (z > -14)
    half_width = np.float32(3.4) * smoothstep(skull, -7, -1)
    sinus = coverage(np.abs(q[:, 0]) - half_width, 1.2) * coverage(-skull - 6, 1.0) * intracranial
    maps.lay(Tissue.VESSEL, np.where(top, sinus, 0).astype(np.float32))


def paint_vessels(maps: TissueMaps, surface_mm: FloatArray, rng: np.random.Generator) -> None:
    """Large arteries, deep veins, cortical veins and choroid plexus; in place.

    Args:
        maps: Tissue to paint on.
        surface_mm: Distance to the brain surface, negative inside, shape (N,).
        rng: Course and number of the cortical veins, waviness of the others.
    """
    inner = np.flatnonzero(maps.skull_mm < 8)
    q = maps.template_mm[inner]
    folded = q + np.float32(2) * smooth_noise(rng, 11.0, channels=3)(q).T
    np.abs(folded[:, 0], out=folded[:, 0])
    for tissue, most, edge_mm, courses in (
        (Tissue.VESSEL, 1.0, 1.2, (*ARTERIES, *VEINS)),
        (Tissue.CHOROID, 0.7, 2.5, CHOROID),
    ):
        for radius_mm, course in courses:
            corners = np.array(course)
            box = _in_box(folded, corners.min(axis=0), corners.max(axis=0), radius_mm + 2)
            share = coverage(polyline_mm(folded[box], radius_mm, course), edge_mm)
            share *= np.float32(most)
            if tissue is Tissue.CHOROID:
                share *= smoothstep(maps.fractions[Tissue.CSF, inner[box]], 0.3, 0.9)
            maps.lay(tissue, share, inner[box])

    # The zero sets of two smooth fields cross in curves: a vein wherever both are near zero.
    shell = np.flatnonzero((surface_mm > -14) & (maps.skull_mm < 0.5))
    fields = smooth_noise(rng, 9.0, channels=2)(maps.template_mm[shell])
    tube_mm = np.hypot(fields[0], fields[1]) * np.float32(9.0) - np.float32(0.75)
    in_sulcus = smoothstep(maps.fractions[Tissue.CSF, shell], 0.1, 0.6)
    maps.lay(Tissue.VESSEL, coverage(tube_mm, 1.2) * in_sulcus, shell)
