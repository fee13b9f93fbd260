"""What a scanner does to an ideal image: point spread, thick slices, bias field, noise."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

from brain_tumor.labels import Label, LabelArray
from brain_tumor.phantoms.fields import FloatArray, smooth_noise
from brain_tumor.phantoms.tissue import Grid

BIAS_SCALE_MM = 80.0

_Scalar = TypeVar("_Scalar", bound=np.generic)


def blur(image: FloatArray, side_weight: float) -> FloatArray:
    """Convolve with (w, 1 - 2 w, w) along every axis; edges repeat.

    Args:
        image: Shape (I, J, K).
        side_weight: w, 0 to 1/3. It widens edges by sqrt(2 w) voxels.
    """
    result = image
    for axis in range(image.ndim):
        if result.shape[axis] < 2 or side_weight == 0:
            continue
        spread = np.float32(side_weight) * result
        result = result - np.float32(2) * spread
        planes, from_planes = np.moveaxis(result, axis, 0), np.moveaxis(spread, axis, 0)
        planes[1:] += from_planes[:-1]
        planes[:-1] += from_planes[1:]
        planes[0] += from_planes[0]
        planes[-1] += from_planes[-1]
    return result


def block_mean(image: FloatArray, factors: tuple[int, int, int]) -> FloatArray:
    """Mean of blocks of voxels: what a thick voxel measures.

    Args:
        image: Shape a multiple of factors.
        factors: Voxels per block along I, J, K.
    """
    if factors == (1, 1, 1):
        return image
    mean: FloatArray = _blocks(image, factors).mean(axis=(1, 3, 5), dtype=np.float32)
    return mean


def block_majority(labelmap: LabelArray, factors: tuple[int, int, int]) -> LabelArray:
    """Label that fills most of each block; the smaller value wins a tie."""
    if factors == (1, 1, 1):
        return labelmap
    blocks = _blocks(labelmap, factors)
    counts = np.stack([(blocks == label).sum(axis=(1, 3, 5)) for label in Label])
    majority: LabelArray = counts.argmax(axis=0).astype(np.uint8)
    return majority


def _blocks(
    image: npt.NDArray[np.generic], factors: tuple[int, int, int]
) -> npt.NDArray[np.generic]:
    (i, j, k), (a, b, c) = image.shape, factors
    return image.reshape(i // a, a, j // b, b, k // c, c)


def bias_field(grid: Grid, strength: float, rng: np.random.Generator) -> FloatArray:
    """Smooth multiplicative field of a receive coil, mean about 1.

    Args:
        grid: Where to evaluate it.
        strength: Standard deviation of its logarithm, 0 for none.
        rng: Source of chance.

    Returns:
        Shape of the grid, exp(strength * noise).
    """
    field = smooth_noise(rng, BIAS_SCALE_MM)
    coarse = tuple(max(2, -(-n // 8) + 1) for n in grid.shape)
    steps = [np.linspace(0, n - 1, c) for n, c in zip(grid.shape, coarse, strict=True)]
    ijk = np.stack(np.meshgrid(*steps, indexing="ij"), axis=-1).reshape(-1, 3)
    points = (ijk @ grid.affine[:3, :3].T + grid.affine[:3, 3]).astype(np.float32)
    values = field(points)[0].reshape(coarse)
    for axis, (count, step) in enumerate(zip(grid.shape, steps, strict=True)):
        values = _stretch(values, axis, np.interp(np.arange(count), step, np.arange(len(step))))
    exponential: FloatArray = np.exp(np.float32(strength) * values).astype(np.float32)
    return exponential


def _stretch(values: FloatArray, axis: int, where: npt.NDArray[np.float64]) -> FloatArray:
    low = np.minimum(where.astype(int), values.shape[axis] - 2)
    shape = [1] * values.ndim
    shape[axis] = len(where)
    part = (where - low).astype(np.float32).reshape(shape)
    stretched: FloatArray = (1 - part) * np.take(values, low, axis) + part * np.take(
        values, low + 1, axis
    )
    return stretched


def add_rician_noise(image: FloatArray, sigma: float, rng: np.random.Generator) -> FloatArray:
    """Magnitude of the signal plus complex Gaussian noise.

    Args:
        image: Signal, >= 0.
        sigma: Standard deviation of the real and the imaginary part, in units of the signal.
        rng: Source of chance.

    References:
        Gudbjartsson and Patz 1995, doi:10.1002/mrm.1910340618.
    """
    if sigma == 0:
        return image
    real = image + np.float32(sigma) * rng.standard_normal(image.shape, dtype=np.float32)
    imaginary = np.float32(sigma) * rng.standard_normal(image.shape, dtype=np.float32)
    real *= real
    imaginary *= imaginary
    real += imaginary
    return np.sqrt(real, out=real)
