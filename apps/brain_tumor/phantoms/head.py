"""The head around the brain: skull, sella, orbits, sinuses, muscle, fat and skin.

The template is skull-stripped, so this is built from distances to its inner skull surface and
from simple solids placed in template millimetres.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from brain_tumor.phantoms.fields import (
    FloatArray,
    Points,
    Vector3,
    capsule_mm,
    coverage,
    ellipsoid_mm,
    smooth_minimum,
    smooth_noise,
    smoothstep,
)
from brain_tumor.phantoms.template import SELLA_MM
from brain_tumor.phantoms.tissue import Tissue, TissueMaps

SKULL_THICKNESS_MM = 6.5
SCALP_THICKNESS_MM = 6.0
SKIN_MM = 1.8

EYE_CENTRE_MM: Vector3 = (33.0, 64.0, -40.0)
EYE_RADIUS_MM = 12.0
ORBIT_APEX_MM: Vector3 = (16.0, 22.0, -31.0)

AIR_SPACES: tuple[tuple[Vector3, Vector3, float, float], ...] = (
    ((6, 50, -45), (9, 30, 15), 0.6, 0.35),
    ((4, 56, -66), (9, 32, 16), 0.8, 0.22),
    ((28, 52, -68), (13, 16, 15), 1.0, 0.0),
    ((7, 17, -49), (9, 12, 8), 0.8, 0.03),
    ((9, 86, -24), (12, 5, 9), 0.6, 0.06),
    ((0, 6, -72), (13, 12, 9), 1.5, 0.0),
)
"""Ethmoid, nose, maxillary, sphenoid and frontal sinus, nasopharynx: centre and semi-axes of the
right side in mm, thickness of the lining in mm, width of the septa."""


def _right_side(points: Points) -> Points:
    """Positions folded onto the right half."""
    folded = points.copy()
    np.abs(folded[:, 0], out=folded[:, 0])
    return folded


def head_mm(points: Points, skull_mm: FloatArray, bumps: FloatArray) -> FloatArray:
    """Signed distance to the skin, negative inside.

    Args:
        points: Template positions, shape (N, 3).
        skull_mm: Distance to the inner skull, shape (N,).
        bumps: Smooth noise that varies the thickness of the scalp, shape (N,).
    """
    folded = _right_side(points)
    crown = skull_mm - np.float32(SKULL_THICKNESS_MM + SCALP_THICKNESS_MM) - 0.8 * bumps
    lower = ellipsoid_mm(folded, (0, 0, -58), (70, 93, 68))
    cheek = ellipsoid_mm(folded, (26, 62, -66), (32, 30, 36))
    brow = ellipsoid_mm(folded, (22, 72, -22), (28, 16, 14))
    nose = capsule_mm(folded, (0, 88, -40), (0, 104, -66), 8, 12)
    temple = ellipsoid_mm(folded, (42, 28, -22), (34, 48, 40))
    ear = ellipsoid_mm(folded, (75, -20, -42), (6, 14, 24))
    outline = smooth_minimum(crown, lower, 14)
    outline = smooth_minimum(outline, cheek, 10)
    outline = smooth_minimum(outline, brow, 12)
    outline = smooth_minimum(outline, temple, 12)
    outline = smooth_minimum(outline, nose, 8)
    return smooth_minimum(outline, ear, 4)


def paint_head(maps: TissueMaps, outline_mm: FloatArray, rng: np.random.Generator) -> None:
    """Fill everything between the inner skull and the skin; in place.

    Args:
        maps: Tissue maps whose voxels include the head.
        outline_mm: Result of `head_mm` for its voxels.
        rng: Thickness, marrow, fascia and air cells.
    """
    outside = np.flatnonzero(maps.skull_mm > -1)
    points = maps.template_mm[outside]
    skull = maps.skull_mm[outside]
    depth = -outline_mm[outside]
    coarse = smooth_noise(rng, 22.0, channels=3)
    texture = smooth_noise(rng, 5.0, channels=2)
    wobble = coarse(points)
    thick, fascia, waviness = wobble
    grain, cells = texture(points)

    beyond = coverage(-skull, 1.0)
    maps.lay(Tissue.MUSCLE, beyond, outside)
    planes = coverage((np.abs(fascia + 0.25 * grain) - np.float32(0.22)) * 12, 3.0)
    maps.lay(Tissue.FAT, beyond * planes * np.float32(0.85), outside)
    _paint_scalp(maps, outside, points, depth, waviness)
    _paint_skull(maps, outside, points, skull, thick, grain)
    _paint_face(maps, outside, points, cells, wobble)
    _paint_sella(maps)
    maps.lay(Tissue.SKIN, coverage(depth - np.float32(SKIN_MM), 1.2) * beyond, outside)
    maps.fractions[:, outside] *= coverage(-depth, 1.2)


def _paint_scalp(
    maps: TissueMaps,
    outside: npt.NDArray[np.int64],
    points: Points,
    depth: FloatArray,
    waviness: FloatArray,
) -> None:
    fat_mm = np.float32(SCALP_THICKNESS_MM - 0.5) + 0.6 * waviness
    maps.lay(Tissue.FAT, coverage(depth - fat_mm, 1.2), outside)
    # The temporal muscle and the muscles of the neck lie between bone and fat.
    low = np.flatnonzero(points[:, 2] < 18)
    folded = _right_side(points[low])
    temporal = ellipsoid_mm(folded, (66, 14, -22), (14, 30, 38))
    neck = ellipsoid_mm(folded, (20, -78, -74), (44, 28, 34))
    muscle = np.minimum(temporal, neck)
    maps.lay(Tissue.MUSCLE, coverage(muscle, 2.0) * coverage(3.5 - depth[low], 1.5), outside[low])


def _paint_skull(
    maps: TissueMaps,
    outside: npt.NDArray[np.int64],
    points: Points,
    skull: FloatArray,
    thick: FloatArray,
    grain: FloatArray,
) -> None:
    y, z = points[:, 1], points[:, 2]
    total = np.float32(SKULL_THICKNESS_MM) + 1.1 * thick
    total -= 3.0 * smoothstep(z, -5, -30) * smoothstep(np.abs(points[:, 0]), 40, 55)  # temporal
    total += 1.5 * smoothstep(y, -70, -100)
    bone = coverage(skull - total, 1.0) * coverage(-skull, 1.0)
    low = np.flatnonzero(z < -40)
    foramen = capsule_mm(points[low], (0, -50, -60), (0, -50, -110), 13, 15)
    bone[low] *= 1 - coverage(foramen, 4.0)
    maps.lay(Tissue.BONE, bone, outside)
    middle = np.abs(skull - 0.5 * total) - 0.5 * total + 1.6 + 0.4 * grain
    maps.lay(Tissue.MARROW, coverage(middle, 1.2) * bone * np.float32(0.8), outside)


def _paint_face(
    maps: TissueMaps,
    outside: npt.NDArray[np.int64],
    points: Points,
    cells: FloatArray,
    wobble: FloatArray,
) -> None:
    base = np.flatnonzero((points[:, 2] < 0) & (points[:, 1] > -60))
    folded = _right_side(points[base] + np.float32(1.2) * wobble[:, base].T)

    def region(low: Vector3, high: Vector3) -> tuple[npt.NDArray[np.int64], Points, FloatArray]:
        chosen = np.flatnonzero(((folded > low) & (folded < high)).all(axis=1))
        return outside[base[chosen]], folded[chosen], cells[base[chosen]]

    # Petrous and mastoid bone with its air cells.
    where, near, grain = region((0, -60, -80), (70, 10, -25))
    _solid(maps, where, Tissue.BONE, capsule_mm(near, (14, -8, -46), (52, -34, -44), 8, 12), 3.0)
    _solid(maps, where, Tissue.MARROW, ellipsoid_mm(near, (20, -12, -46), (7, 6, 5)), 3.0)
    _hollow(maps, where, ellipsoid_mm(near, (54, -36, -50), (9, 12, 15)), grain, 0.0, 0.55)
    # Clivus and upper jaw.
    where, near, grain = region((0, -40, -95), (40, 100, -30))
    clivus = capsule_mm(near, (0, -1, -43), (0, -18, -67), 6.5, 5.0)
    _solid(maps, where, Tissue.BONE, clivus - np.float32(1.5))
    _solid(maps, where, Tissue.MARROW, clivus, 1.5)
    _solid(maps, where, Tissue.MARROW, ellipsoid_mm(near, (0, 62, -92), (26, 24, 14)), 3.0)
    # Nasal cavity, ethmoid, maxillary, sphenoid and frontal sinuses, nasopharynx.
    where, near, grain = region((0, -12, -95), (48, 100, -5))
    for centre, semi_axes, lining_mm, septa in AIR_SPACES:
        _hollow(maps, where, ellipsoid_mm(near, centre, semi_axes), grain, lining_mm, septa)
    where, near, _ = region((0, 5, -70), (62, 95, -10))
    _paint_orbits(maps, where, near)


def _solid(
    maps: TissueMaps,
    where: npt.NDArray[np.int64],
    tissue: Tissue,
    distance: FloatArray,
    edge_mm: float = 1.2,
) -> None:
    maps.lay(tissue, coverage(distance, edge_mm), where)


def _hollow(
    maps: TissueMaps,
    where: npt.NDArray[np.int64],
    distance: FloatArray,
    grain: FloatArray,
    lining_mm: float,
    septa: float,
) -> None:
    """Air space with a bony wall, a lining of mucosa and septa where the grain is near zero."""
    _solid(maps, where, Tissue.BONE, distance - np.float32(lining_mm + 1))
    _solid(maps, where, Tissue.MUCOSA, distance - np.float32(lining_mm))
    walls = coverage((np.abs(grain) - np.float32(septa)) * 4, 1.0)
    air = coverage(distance, 1.2) * (1 - walls * np.float32(0.9))
    covered = np.flatnonzero(air > 0)
    maps.fractions[:, where[covered]] *= 1 - air[covered]


def _paint_orbits(
    maps: TissueMaps,
    where: npt.NDArray[np.int64],
    folded: Points,
) -> None:
    eye = np.asarray(EYE_CENTRE_MM)
    apex = np.asarray(ORBIT_APEX_MM)
    front = eye + (eye - apex) * 0.10
    orbit = capsule_mm(folded, ORBIT_APEX_MM, (front[0], front[1], front[2]), 4.0, 17.0)
    _solid(maps, where, Tissue.BONE, orbit - 1.5)
    _solid(maps, where, Tissue.FAT, orbit)
    ahead = folded[:, 1] - np.float32(eye[1] + 8)
    maps.lay(Tissue.MUSCLE, coverage(orbit - 1.5, 1.2) * coverage(-ahead, 3.0), where)
    side = np.cross(eye - apex, (0.0, 0.0, 1.0))
    side /= np.linalg.norm(side)
    for offset in (side, -side, np.array([0, 0, 1.0]), np.array([0, 0, -1.0])):
        belly = 0.5 * (eye + apex) + 8.5 * offset
        tip = eye + 12 * offset
        for start, end, r0, r1 in ((apex, belly, 1.0, 2.6), (belly, tip, 2.6, 1.0)):
            _solid(
                maps,
                where,
                Tissue.MUSCLE,
                capsule_mm(
                    folded,
                    (start[0], start[1], start[2]),
                    (end[0], end[1], end[2]),
                    r0,
                    r1,
                ),
            )
    _solid(maps, where, Tissue.WM, capsule_mm(folded, ORBIT_APEX_MM, EYE_CENTRE_MM, 2.0, 2.0))
    globe = ellipsoid_mm(folded, EYE_CENTRE_MM, (EYE_RADIUS_MM,) * 3)
    _solid(maps, where, Tissue.MUSCLE, globe - 1.0)
    _solid(maps, where, Tissue.VITREOUS, globe)
    _solid(
        maps,
        where,
        Tissue.MUSCLE,
        ellipsoid_mm(folded, (eye[0], eye[1] + 8.0, eye[2]), (4.5, 2.2, 4.5)),
    )


def _paint_sella(maps: TissueMaps) -> None:
    sella = np.array(SELLA_MM)
    low, high = sella - np.array([24, 20, 16]), sella + np.array([24, 20, 26])
    q = maps.template_mm
    where = np.flatnonzero(((q > low) & (q < high)).all(axis=1) & (maps.skull_mm > -4))
    folded = _right_side(q[where])

    x, y, z = SELLA_MM
    skull = maps.skull_mm[where]
    _solid(
        maps,
        where,
        Tissue.BONE,
        np.maximum(ellipsoid_mm(folded, (x, y, z - 2), (12, 11, 8)), -skull),
    )
    cavernous = ellipsoid_mm(folded, (12.5, y - 2, z + 1), (4.5, 10, 6.5))
    _solid(maps, where, Tissue.DURA, cavernous)
    cistern = np.minimum(
        ellipsoid_mm(folded, (x, y - 1, z + 10), (12, 9, 7)),
        capsule_mm(folded, (0, -10, -30), (0, -30, -64), 4.5, 4.0),
    )
    _solid(maps, where, Tissue.CSF, np.maximum(cistern, -skull), 1.5)
    _solid(maps, where, Tissue.GLAND, ellipsoid_mm(folded, SELLA_MM, (7.5, 5.5, 4.0)))
    _solid(maps, where, Tissue.GLAND, capsule_mm(folded, (0, 1, -21), (0, y - 1, z + 2), 1.0, 1.3))
