"""Tumours of a phantom: where they grow, what they push away, how they look, their exact mask.

All shapes are signed distances in patient millimetres (negative inside), so the mask is exact on
any grid: a voxel centre is tumour where the field is negative.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
from skimage.graph import MCP_Geometric

from brain_tumor.labels import Label, LabelArray, TumorType
from brain_tumor.phantoms.fields import (
    FloatArray,
    LatticeField,
    Points,
    coverage,
    ellipsoid_mm,
    lattice_points,
    smooth_minimum,
    smooth_noise,
    smoothstep,
    vector3,
)
from brain_tumor.phantoms.plans import TumorPlan
from brain_tumor.phantoms.template import Deformation, template
from brain_tumor.phantoms.tissue import Tissue, TissueMaps

OEDEMA_STEP_MM = 3.0
OEDEMA_COST = {Tissue.WM: 1.0, Tissue.GM: 3.5, Tissue.CSF: 12.0}
PUSH_STEP_MM = 5.0
PUSH_HALF_EXTENT_MM = 85.0
MIN_RIM_MM = 1.0


def core_mm(plan: TumorPlan, points: Points, rng: np.random.Generator) -> FloatArray:
    """Signed distance to the surface of the tumour core, not yet clipped to the head.

    Args:
        plan: The tumour.
        points: Patient positions in mm, shape (N, 3).
        rng: Shape of the irregular border; the same state gives the same shape.
    """
    reach = 2.5 * plan.radius_mm + 12
    warp = _local_noise(plan, rng, 0.6 * plan.radius_mm, 3, reach)
    ripple = _local_noise(plan, rng, 5.0, 1, reach)
    grain = _local_noise(plan, rng, 2.6, 1, reach)
    moved = points
    if plan.irregularity > 0:
        swing = np.float32(0.21 * plan.irregularity * plan.radius_mm)
        moved = points + swing * warp(points).T
    semi = np.asarray(plan.elongation) * plan.radius_mm
    distance = ellipsoid_mm(moved, plan.centre_mm, vector3(semi))
    if plan.suprasellar_mm > 0:
        x, y, z = plan.centre_mm
        top = (x, y - 1.0, z + 0.78 * plan.radius_mm + 0.62 * plan.suprasellar_mm)
        upper = ellipsoid_mm(moved, top, vector3(plan.suprasellar_mm * np.array([1, 0.95, 1.05])))
        distance = smooth_minimum(distance, upper, 3.0)
    if plan.irregularity > 0:
        rough = np.float32(min(1.0, 0.06 * plan.radius_mm) * plan.irregularity)
        distance = distance + rough * (ripple(points)[0] + np.float32(0.5) * grain(points)[0])
    return distance


def _local_noise(
    plan: TumorPlan, rng: np.random.Generator, step_mm: float, channels: int, reach_mm: float
) -> LatticeField:
    return smooth_noise(
        rng, step_mm, channels=channels, half_extent_mm=reach_mm, centre_mm=plan.centre_mm
    )


def push_field(plan: TumorPlan, deformation: Deformation) -> LatticeField:
    """Mass effect: where the tissue now at x came from, minus x.

    A ball of radius R that pushes the share a of its volume aside maps the radius r to
    (r^3 - a R^3)^(1/3): the volume outside is kept and the push fades with the square of the
    distance. It fades to zero at the skull, which does not move, except around the sella.

    Returns:
        Three channels, mm, on a lattice around the tumour that ends in zeros.
    """
    count = 2 * int(PUSH_HALF_EXTENT_MM / PUSH_STEP_MM) + 1
    low = np.asarray(plan.centre_mm) - 0.5 * (count - 1) * PUSH_STEP_MM
    nodes = lattice_points((count,) * 3, vector3(low), PUSH_STEP_MM)
    offset = nodes - np.asarray(plan.centre_mm, dtype=np.float32)
    scaled = offset / np.asarray(plan.elongation, dtype=np.float32)
    centre_radius = np.linalg.norm(scaled, axis=1)
    full = np.float32(plan.radius_mm)
    radius = np.maximum(centre_radius, full)
    shift = radius - np.cbrt(radius**3 - np.float32(plan.pushed_share) * full**3)
    shift *= np.minimum(centre_radius / full, 1)
    distance = np.linalg.norm(offset, axis=1)
    shift *= smoothstep(distance, PUSH_HALF_EXTENT_MM - 8, 45)
    if plan.tumor_type is not TumorType.PITUITARY:
        skull = template().distances(deformation(nodes))[1]
        shift *= smoothstep(-skull, 0, 14)
    heading = offset / np.maximum(distance, 1e-3)[:, None]
    values = -(heading * shift[:, None]).T.reshape(3, count, count, count)
    return LatticeField(np.ascontiguousarray(values, np.float32), vector3(low), PUSH_STEP_MM)


def oedema_travel_mm(
    plan: TumorPlan, deformation: Deformation, rng: np.random.Generator
) -> LatticeField:
    """Travel distance from the core when white matter is easy and cortex and fluid are hard.

    Args:
        plan: The tumour.
        deformation: The head with the tumour in place.
        rng: State that `core_mm` starts from.

    Returns:
        One channel, mm of white matter, 0 in the core.

    References:
        Konukoglu et al. 2010, doi:10.1109/TMI.2009.2026413 (anisotropic travel time).
    """
    half = plan.radius_mm * 1.6 + plan.oedema_mm + 2 * OEDEMA_STEP_MM
    count = 2 * int(np.ceil(half / OEDEMA_STEP_MM)) + 1
    shape = (count, count, count)
    low = vector3(np.asarray(plan.centre_mm) - 0.5 * (count - 1) * OEDEMA_STEP_MM)
    nodes = lattice_points(shape, low, OEDEMA_STEP_MM)
    known = template()
    where = deformation(nodes)
    gm, wm, _ = known.tissues(where)
    surface = known.distances(where)[0]
    parenchyma = np.where(surface < 0, gm + wm, 0)
    cost = OEDEMA_COST[Tissue.WM] * wm + OEDEMA_COST[Tissue.GM] * gm
    cost += OEDEMA_COST[Tissue.CSF] * np.clip(1 - parenchyma, 0, 1)
    core = core_mm(plan, nodes, rng)
    cost = np.where(core < 0, 1e-3, np.maximum(cost, 0.5)).reshape(shape)
    starts = np.argwhere(core.reshape(shape) < 0)
    if len(starts) == 0:
        starts = np.array([[count // 2] * 3])
    paths: Any = MCP_Geometric(cost)
    travel, _ = paths.find_costs([tuple(s) for s in starts.tolist()])
    distance = np.minimum(travel * OEDEMA_STEP_MM, 1e3).astype(np.float32)
    return LatticeField(np.ascontiguousarray(distance[None]), low, OEDEMA_STEP_MM)


def render_tumor(
    maps: TissueMaps,
    plan: TumorPlan,
    deformation: Deformation,
    rng: np.random.Generator,
) -> LabelArray:
    """Put a tumour into tissue maps, in place, and return its exact mask.

    Args:
        maps: Tissue of the head, already displaced by the tumour (`push_field`).
        plan: The tumour.
        deformation: The head with the tumour in place.
        rng: Border, rim and oedema.

    Returns:
        `Label` value of each voxel of the maps, shape (N,). The dural tail of a meningioma is
        drawn but not labelled: it is mostly reactive dura.
    """
    shape_seed, detail_seed = rng.integers(0, 2**63, 2)
    detail = np.random.default_rng(detail_seed)
    labels = np.zeros(len(maps.voxels), dtype=np.uint8)

    if plan.oedema_mm > 0:
        travel = oedema_travel_mm(plan, deformation, np.random.default_rng(shape_seed))
        _paint_oedema(maps, plan, travel, labels, detail)

    reach = 2.0 * plan.radius_mm + 2.2 * plan.suprasellar_mm + 14
    gap = np.abs(maps.points_mm - np.asarray(plan.centre_mm, dtype=np.float32)).max(axis=1)
    near = np.flatnonzero(gap < reach)
    points = maps.points_mm[near]
    core = core_mm(plan, points, np.random.default_rng(shape_seed))
    if plan.tumor_type is not TumorType.PITUITARY:
        core = np.maximum(core, maps.skull_mm[near] + np.float32(0.4))
    if plan.falx_side != 0:
        core = np.maximum(core, np.float32(0.8) - plan.falx_side * maps.template_mm[near, 0])
    if plan.tumor_type is TumorType.GLIOMA:
        _paint_glioma(maps, plan, near, core, labels, detail)
    elif plan.tumor_type is TumorType.MENINGIOMA:
        _paint_meningioma(maps, plan, near, core, detail)
        labels[near[core < 0]] = Label.ET
    else:
        maps.lay(Tissue.ADENOMA, coverage(core, 1.2), near)
        labels[near[core < 0]] = Label.ET
    maps.brain[labels > 0] = True
    return labels


def _paint_oedema(
    maps: TissueMaps,
    plan: TumorPlan,
    travel: LatticeField,
    labels: LabelArray,
    rng: np.random.Generator,
) -> None:
    half = 0.5 * (travel.values.shape[1] - 1) * travel.spacing_mm
    gap = np.abs(maps.points_mm - np.asarray(plan.centre_mm, dtype=np.float32)).max(axis=1)
    near = np.flatnonzero(gap < half)
    points = maps.points_mm[near]
    rough = smooth_noise(rng, 6.0, half_extent_mm=half, centre_mm=plan.centre_mm)(points)[0]
    drift = smooth_noise(rng, 18.0, half_extent_mm=half, centre_mm=plan.centre_mm)(points)[0]
    limit = np.float32(plan.oedema_mm) * (1 + np.float32(0.22) * drift) + np.float32(1.3) * rough
    distance = travel(points)[0] - limit
    solid = maps.fractions[Tissue.GM, near] + maps.fractions[Tissue.WM, near]
    white = maps.fractions[Tissue.WM, near]
    border = smoothstep(distance, 3.5, -3.5)
    strength = np.float32(0.55) + np.float32(0.4) * smoothstep(distance, 0, -plan.oedema_mm)
    share = border * strength * solid * (np.float32(0.5) + np.float32(0.5) * white)
    maps.lay(Tissue.OEDEMA, share, near)
    labels[near[(distance < 0) & (solid > 0.5) & (maps.skull_mm[near] < 0)]] = Label.ED


def _paint_glioma(
    maps: TissueMaps,
    plan: TumorPlan,
    near: npt.NDArray[np.int64],
    core: FloatArray,
    labels: LabelArray,
    rng: np.random.Generator,
) -> None:
    points = maps.points_mm[near]
    reach = 2.5 * plan.radius_mm + 14
    wide = _local_noise(plan, rng, 7.0, 1, reach)(points)[0]
    shaggy = _local_noise(plan, rng, 2.5, 2, reach)(points)
    dull = np.float32(0.5 * plan.irregularity) * smoothstep(shaggy[1] - wide, -0.6, 1.8)
    enhancing = np.clip(1 - dull, 0.45, 1.0)
    inside = coverage(core, 1.2)
    maps.lay(Tissue.OEDEMA, inside, near)
    maps.lay(Tissue.RIM, inside * np.where(inside > 0, enhancing, 0).astype(np.float32), near)
    labels[near[core < 0]] = Label.ET
    if plan.rim_mm is None:
        return
    rim = np.float32(plan.rim_mm) * np.exp(np.float32(0.6 * plan.irregularity) * wide)
    rim += np.float32(1.1 * plan.irregularity) * shaggy[0]
    hollow = core + np.maximum(rim, np.float32(MIN_RIM_MM))
    maps.lay(Tissue.NECROSIS, smoothstep(hollow, 0.9, -0.9), near)
    labels[near[hollow < 0]] = Label.NCR


def _paint_meningioma(
    maps: TissueMaps,
    plan: TumorPlan,
    near: npt.NDArray[np.int64],
    core: FloatArray,
    rng: np.random.Generator,
) -> None:
    points = maps.points_mm[near]
    reach = 2.5 * plan.radius_mm + 14
    noise = _local_noise(plan, rng, 8.0, 1, reach)(points)[0]
    skull = maps.skull_mm[near]
    intracranial = coverage(skull + np.float32(0.4), 1.0)
    # A cleft of fluid between tumour and brain marks it as outside the brain.
    cleft = coverage(np.abs(core - np.float32(0.8)) - np.float32(0.6), 1.2)
    maps.lay(
        Tissue.CSF,
        np.float32(0.65) * cleft * smoothstep(noise, -0.8, 0.8) * intracranial,
        near,
    )
    # Dural tail: thickened dura that thins out from the edge of the tumour.
    away = core - 0.3 * plan.radius_mm * np.clip(noise, -0.5, 1)
    thickness = np.float32(2.2) * smoothstep(away, 16, 1)
    tail = coverage(-skull - thickness, 1.0) * intracranial * (thickness > 0.3)
    maps.lay(Tissue.MENINGIOMA, np.float32(0.85) * tail, near)
    maps.lay(Tissue.MENINGIOMA, coverage(core, 1.2), near)
