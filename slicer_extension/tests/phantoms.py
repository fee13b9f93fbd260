"""Volumes whose numbers can be worked out by hand."""

from __future__ import annotations

import numpy as np
from TumorLensLib.volumefiles import VolumeData

SHAPE_KJI = (12, 14, 16)


def affine(
    spacing_mm=(1.0, 1.0, 1.0), origin_mm=(0.0, 0.0, 0.0), degrees=(0, 0, 0), flips=(1, 1, 1)
):
    """Voxel indices to mm; flips along the voxel axes, then rotation about x, y and z."""
    a, b, c = np.deg2rad(degrees)
    x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    y = np.array([[np.cos(b), 0, np.sin(b)], [0, 1, 0], [-np.sin(b), 0, np.cos(b)]])
    z = np.array([[np.cos(c), -np.sin(c), 0], [np.sin(c), np.cos(c), 0], [0, 0, 1]])
    matrix = np.eye(4)
    matrix[:3, :3] = z @ y @ x @ np.diag(np.array(spacing_mm) * np.array(flips))
    matrix[:3, 3] = origin_mm
    return matrix


GRIDS = {
    "plain": affine(),
    "anisotropic": affine((0.5, 0.75, 6.0), (-10.0, 20.0, -30.0)),
    "flipped": affine((1.0, 1.0, 1.0), (0.0, 139.0, 5.0), flips=(-1, -1, 1)),
    "oblique": affine((1.0, 2.0, 2.5), (-20.0, 12.0, 3.0), (5, 10, 20)),
    "oblique and left-handed": affine((0.9, 1.1, 3.0), (4.0, -5.0, 6.0), (-15, 5, 40), (-1, 1, 1)),
}
OBLIQUE = GRIDS["oblique"]
"""5 microlitres a voxel."""


def labels() -> np.ndarray:
    """Necrosis of 8 voxels in enhancement of 56 in oedema of 152."""
    array = np.zeros(SHAPE_KJI, np.uint8)
    array[3:9, 3:9, 3:9] = 2
    array[4:8, 4:8, 4:8] = 3
    array[5:7, 5:7, 5:7] = 1
    return array


def image(grid=OBLIQUE) -> VolumeData:
    """Head whose tumour is seen."""
    array = np.full(SHAPE_KJI, 50, np.int16)
    array += (np.indices(SHAPE_KJI).sum(axis=0) % 7).astype(np.int16)
    for value, intensity in ((2, 200), (3, 300), (1, 100)):
        array[labels() == value] = intensity
    array[:, :, 0] = 0
    return VolumeData(array, grid)


def labelmap(grid=OBLIQUE) -> VolumeData:
    """The right segmentation."""
    return VolumeData(labels(), grid)


PEAK_IJK = (6, 5, 4)


def heatmap(grid=OBLIQUE) -> VolumeData:
    """Heat that falls off around one voxel, 0-255."""
    k, j, i = np.indices(SHAPE_KJI)
    pi, pj, pk = PEAK_IJK
    distance = (i - pi) ** 2 + (j - pj) ** 2 + (k - pk) ** 2
    return VolumeData(np.rint(255 * np.exp(-distance / 8.0)).astype(np.uint8), grid)


def uncertainty(grid=OBLIQUE) -> VolumeData:
    """200 of 255 on the outer layer of the oedema, 20 elsewhere in the tumour."""
    array = np.where(labels() > 0, 20, 0).astype(np.uint8)
    array[3, 3:9, 3:9] = 200
    return VolumeData(array, grid)


def point_mm(ijk, grid=OBLIQUE):
    """Voxel centre in mm (RAS)."""
    return [float(v) for v in (grid @ np.array([*ijk, 1.0]))[:3]]
