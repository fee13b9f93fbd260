"""Remnants of skull, dura and scalp at the rim of a stripped brain.

Stripping tools leave crescents and patches of bright or dark tissue outside the brain. A network
that has only seen clean rims takes them for enhancing tumour.
"""

from __future__ import annotations

import numpy as np
from scipy import ndimage

from brain_tumor.cases.grid.preprocessing import WORKING_SPACING_MM, BoolArray
from brain_tumor.cases.volume import ScalarArray

THICKNESS_MM = (1.0, 6.0)
INTENSITY = (-2.5, 4.5)
TEXTURE = 0.3
PATCH_VOXELS = 6.0
CRESCENT_COSINE = (0.3, 0.85)
SHALLOWEST_MM = min(WORKING_SPACING_MM)


def add_remnants(image: ScalarArray, rng: np.random.Generator) -> ScalarArray:
    """Put a crescent or patches of tissue just outside a stripped brain.

    Thickness, shape and the intensity of each sequence are random. Voxels that any sequence
    shows already, and sequences that are missing, stay as they are.

    Args:
        image: Normalised intensities on the working grid, shape (4, I, J, K), 0 outside.
        rng: Source of randomness.

    Returns:
        New image of the same shape.
    """
    brain = image.any(axis=0)
    if not brain.any():
        return image.copy()
    distance = ndimage.distance_transform_edt(~brain, sampling=WORKING_SPACING_MM)
    thickness = max(float(rng.uniform(*THICKNESS_MM)), SHALLOWEST_MM)
    shape = _crescent(brain, rng) if rng.random() < 0.5 else _patches(brain, rng)
    voxels = ~brain & (distance <= thickness) & shape
    changed = image.copy()
    for channel in changed:
        level, texture = rng.uniform(*INTENSITY), rng.standard_normal(int(voxels.sum()))
        if channel.any():
            channel[voxels] = level + TEXTURE * texture
    return changed


def _crescent(brain: BoolArray, rng: np.random.Generator) -> BoolArray:
    """Voxels that lie in a random direction from the centre of the brain."""
    direction = rng.standard_normal(3)
    direction /= np.linalg.norm(direction)
    centre = [float(index.mean()) for index in np.nonzero(brain)]
    axes = np.ogrid[tuple(slice(n) for n in brain.shape)]
    offsets = [
        (axis - middle) * step
        for axis, middle, step in zip(axes, centre, WORKING_SPACING_MM, strict=True)
    ]
    along = sum(part * offset for part, offset in zip(direction, offsets, strict=True))
    length = np.sqrt(sum(offset**2 for offset in offsets))
    return np.asarray(along > rng.uniform(*CRESCENT_COSINE) * length)


def _patches(brain: BoolArray, rng: np.random.Generator) -> BoolArray:
    """Random blobs that cover a fifth of the space."""
    noise = rng.standard_normal(brain.shape, dtype=np.float32)
    smooth = ndimage.gaussian_filter(noise, PATCH_VOXELS, mode="wrap")
    return np.asarray(smooth > np.quantile(smooth, 0.8))
