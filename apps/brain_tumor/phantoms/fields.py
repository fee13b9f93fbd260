"""Scalar and vector fields in world millimetres: lattices, smooth noise, soft edges.

Everything a phantom is made of is a function of position in mm, never of a voxel index, so that
the same seed is the same head on every grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

FloatArray = npt.NDArray[np.float32]
Points = npt.NDArray[np.float32]
Vector3 = tuple[float, float, float]

NOISE_HALF_EXTENT_MM = 132.0


def vector3(values: npt.ArrayLike) -> Vector3:
    """Three numbers as a tuple of floats."""
    x, y, z = np.asarray(values, dtype=np.float64).tolist()
    return x, y, z


@dataclass(frozen=True, eq=False)
class LatticeField:
    """Field given by values on a regular lattice, linear between them, constant beyond.

    Attributes:
        values: Shape (C, X, Y, Z), float32.
        origin_mm: Position of the first lattice node.
        spacing_mm: Distance of lattice nodes, the same along x, y and z.
    """

    values: FloatArray
    origin_mm: Vector3
    spacing_mm: float

    def __call__(self, points: Points) -> FloatArray:
        """Values at points in mm, shape (N, 3) -> (C, N)."""
        nodes = np.array(self.values.shape[1:], dtype=np.float32)
        scale = np.float32(2.0) / (np.maximum(nodes - 1, 1) * np.float32(self.spacing_mm))
        shift = np.asarray(self.origin_mm, dtype=np.float32) * scale + np.float32(1)
        unit = np.empty_like(points)  # grid_sample wants z, y, x, each from -1 to 1
        for axis in range(3):
            np.multiply(points[:, axis], scale[axis], out=unit[:, 2 - axis])
            unit[:, 2 - axis] -= shift[axis]
        grid = torch.from_numpy(unit)[None, None, None]
        with torch.no_grad():
            sampled = F.grid_sample(
                torch.from_numpy(self.values)[None],
                grid,
                mode="bilinear",
                padding_mode="border",
                align_corners=True,
            )
        values: FloatArray = sampled[0, :, 0, 0].numpy()
        return values


def lattice_points(shape: tuple[int, ...], origin_mm: Vector3, spacing_mm: float) -> Points:
    """Positions of the nodes of a regular lattice, shape (X * Y * Z, 3), z fastest."""
    axes = [
        np.float32(o) + np.float32(spacing_mm) * np.arange(n, dtype=np.float32)
        for n, o in zip(shape, origin_mm, strict=True)
    ]
    points: Points = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    return points


def smooth_noise(
    rng: np.random.Generator,
    spacing_mm: float,
    *,
    channels: int = 1,
    half_extent_mm: float = NOISE_HALF_EXTENT_MM,
    centre_mm: Vector3 = (0.0, 0.0, 0.0),
) -> LatticeField:
    """Smooth random field with mean 0 and standard deviation about 1.

    White noise on a lattice, blurred once with (1, 2, 1) / 4 along every axis; its correlation
    length is about 1.5 lattice steps.

    Args:
        rng: Source of the noise.
        spacing_mm: Lattice step.
        channels: Number of independent fields.
        half_extent_mm: Half the side of the cube that the lattice covers.
        centre_mm: Centre of that cube.
    """
    count = int(np.ceil(2 * half_extent_mm / spacing_mm)) + 1
    values = _blurred_noise(rng, (channels, count, count, count))
    x, y, z = (c - 0.5 * (count - 1) * spacing_mm for c in centre_mm)
    return LatticeField(values, (x, y, z), spacing_mm)


def voxel_noise(
    rng: np.random.Generator, shape: tuple[int, int, int], steps: Vector3
) -> FloatArray:
    """Smooth noise on a voxel grid, mean 0, standard deviation near 1; fast on whole volumes.

    Args:
        rng: Source of the noise.
        shape: Voxels along I, J, K.
        steps: Lattice step along I, J, K in voxels; steps under 1 count as 1.
    """
    nodes = [
        int(np.ceil((n - 1) / max(step, 1.0))) + 1 for n, step in zip(shape, steps, strict=True)
    ]
    values = _blurred_noise(rng, (1, nodes[0], nodes[1], nodes[2]))
    with torch.no_grad():
        grown = F.interpolate(
            torch.from_numpy(values)[None], size=shape, mode="trilinear", align_corners=True
        )
    noise: FloatArray = grown[0, 0].numpy()
    return noise


def _blurred_noise(rng: np.random.Generator, shape: tuple[int, int, int, int]) -> FloatArray:
    values = rng.standard_normal(shape, dtype=np.float32)
    for axis in (1, 2, 3):
        neighbours = np.roll(values, 1, axis=axis)
        neighbours += np.roll(values, -1, axis=axis)
        neighbours *= np.float32(0.25)
        values *= np.float32(0.5)
        values += neighbours
    values /= np.float32((6 / 16) ** 1.5)  # standard deviation that the blur leaves
    return values


def coverage(signed_distance_mm: FloatArray, edge_mm: float = 1.0) -> FloatArray:
    """Share of a voxel inside a surface: 1 well inside (negative), 0 well outside.

    Args:
        signed_distance_mm: Distance to the surface, negative inside.
        edge_mm: Width of the linear transition, > 0.
    """
    share: FloatArray = np.clip(
        np.float32(0.5) - signed_distance_mm / np.float32(edge_mm), 0, 1
    ).astype(np.float32)
    return share


def smoothstep(values: FloatArray, low: float, high: float) -> FloatArray:
    """Cubic ramp from 0 at low to 1 at high; high may be smaller than low."""
    t = np.clip((values - np.float32(low)) / np.float32(high - low), 0, 1)
    ramp: FloatArray = (t * t * (3 - 2 * t)).astype(np.float32)
    return ramp


def ellipsoid_mm(points: Points, centre_mm: Vector3, semi_axes_mm: Vector3) -> FloatArray:
    """Approximate signed distance to an axis-aligned ellipsoid, negative inside.

    Exact for a sphere; for other shapes it is first-order exact near the surface:
    k (k - 1) / |grad k| with k the scaled radius.
    """
    semi = np.asarray(semi_axes_mm, dtype=np.float32)
    offset = (points - np.asarray(centre_mm, dtype=np.float32)) / semi
    radius = np.sqrt(np.einsum("ij,ij->i", offset, offset))
    slope = np.sqrt(np.einsum("ij,ij->i", offset / semi, offset / semi))
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = radius * (radius - 1) / slope
    centre = -np.float32(min(semi_axes_mm))
    result: FloatArray = np.where(slope > 0, distance, centre).astype(np.float32)
    return result


def capsule_mm(
    points: Points, start_mm: Vector3, end_mm: Vector3, radius_mm: float, end_radius_mm: float
) -> FloatArray:
    """Approximate signed distance to a tapered capsule between two points, negative inside."""
    a = np.asarray(start_mm, dtype=np.float32)
    axis = np.asarray(end_mm, dtype=np.float32) - a
    offset = points - a
    along = np.clip(offset @ axis / np.float32(axis @ axis), 0, 1)
    gap = offset - along[:, None] * axis
    radius = np.float32(radius_mm) + along * np.float32(end_radius_mm - radius_mm)
    distance: FloatArray = (np.sqrt(np.einsum("ij,ij->i", gap, gap)) - radius).astype(np.float32)
    return distance


def smooth_minimum(a: FloatArray, b: FloatArray, blend_mm: float) -> FloatArray:
    """Union of two signed distances with a fillet of about blend_mm."""
    h = np.clip(np.float32(0.5) + np.float32(0.5) * (b - a) / np.float32(blend_mm), 0, 1)
    union: FloatArray = (b + (a - b) * h - np.float32(blend_mm) * h * (1 - h)).astype(np.float32)
    return union
