"""What registration sees of a volume: a few thousand brain points and smooth values around them."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brain_tumor.cases.grid.grids import apply_affine
from brain_tumor.cases.grid.preprocessing import foreground_mask, otsu_threshold, sample_on_grid
from brain_tumor.cases.volume import Affine, ScalarArray, Volume

COARSE_MM = 4.0
FINE_MM = 2.0
BRAIN_HEIGHT_MM = 120.0
"""From the crown down: the brain without the jaw and the neck, which move against it."""
BRAIN_ML = 2200.0
"""No brain is larger; a foreground that is has a skull."""
SCALP_MM = 8.0
"""Skin, fat and skull: skin slides, and fat lies elsewhere in every sequence."""
MIN_EXTENT_MM = 40.0
MIN_POINTS = 500
VALUE_PERCENTILES = (1.0, 99.5)

BoolArray = npt.NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class GridImage:
    """Values on an isotropic grid along the axes of RAS+ mm.

    Attributes:
        values: 0 to 1 between robust percentiles of the brain.
        affine: Voxel centres to RAS+ mm.
    """

    values: ScalarArray
    affine: Affine


@dataclass(frozen=True, eq=False)
class CoarseImage:
    """A volume at 4 mm with the mask of its brain.

    Attributes:
        image: The values.
        head: Brain or head from the crown down and a little air around it, same shape: its outline
            finds far motions.
        brain: The same without scalp, skull and air: where motions are measured.
        is_stripped: Whether the foreground is no larger than a brain.
        limits: Intensities that became 0 and 1.
    """

    image: GridImage
    head: BoolArray
    brain: BoolArray
    is_stripped: bool
    limits: tuple[float, float]

    @property
    def center_mm(self) -> npt.NDArray[np.float64]:
        """Middle of the brain, RAS mm."""
        middle = np.argwhere(self.brain).mean(axis=0)
        center: npt.NDArray[np.float64] = apply_affine(self.image.affine, middle[None])[0]
        return center


def coarse_image(volume: Volume) -> CoarseImage | None:
    """Volume at 4 mm; None where there is too little of a head to register.

    Single slices, slabs under 4 cm and volumes without an object cannot be registered.
    """
    affine, shape = _grid_over(volume, COARSE_MM)
    extents_mm = [n * s for n, s in zip(volume.shape, volume.spacing_mm, strict=True)]
    if min(extents_mm) < MIN_EXTENT_MM or min(volume.shape) < 2:
        return None
    sampled = sample_on_grid(volume, affine, shape)
    head, brain, is_stripped = _masks(sampled)
    if np.count_nonzero(brain) < MIN_POINTS:
        return None
    low, high = (float(x) for x in np.percentile(sampled[brain], VALUE_PERCENTILES))
    if high <= low:
        return None
    image = GridImage(_scaled(sampled, low, high), affine)
    return CoarseImage(image, head, brain, is_stripped, (low, high))


def fine_image(volume: Volume, limits: tuple[float, float]) -> GridImage:
    """Volume at 2 mm, scaled as its coarse image."""
    affine, shape = _grid_over(volume, FINE_MM)
    return GridImage(_scaled(sample_on_grid(volume, affine, shape), *limits), affine)


def points_in(
    mask: BoolArray, affine: Affine, count: int, generator: np.random.Generator
) -> npt.NDArray[np.float64]:
    """Points in a mask, RAS mm, shape (N, 3); between the voxels, so that no grid is favoured.

    Points on a grid make mutual information peak wherever two grids coincide.
    """
    voxels = np.argwhere(mask)
    chosen = voxels[generator.integers(len(voxels), size=count)]
    jittered = chosen + generator.uniform(-0.5, 0.5, chosen.shape)
    return apply_affine(affine, jittered)


def _masks(values: ScalarArray) -> tuple[BoolArray, BoolArray, bool]:
    """Head, brain and whether they are one; see `CoarseImage`."""
    if float(values.max()) <= float(values.min()):
        empty = np.zeros(values.shape, dtype=bool)
        return empty, empty, True
    brain = _below_crown(_largest(foreground_mask(values)))
    is_stripped = bool(np.count_nonzero(brain) * COARSE_MM**3 / 1000.0 <= BRAIN_ML)
    if is_stripped:
        head = ndimage.binary_dilation(brain)
    else:
        low = float(values.min())
        tissue = values > low + 0.5 * (otsu_threshold(values) - low)
        for k in range(tissue.shape[2]):
            tissue[:, :, k] = ndimage.binary_fill_holes(tissue[:, :, k])
        tissue = _below_crown(_largest(ndimage.binary_opening(tissue)))
        brain = ndimage.binary_erosion(tissue, iterations=round(SCALP_MM / COARSE_MM))
        head = ndimage.binary_dilation(tissue)
    return np.asarray(head, dtype=bool), np.asarray(brain, dtype=bool), is_stripped


def _largest(mask: BoolArray) -> BoolArray:
    labels, count = ndimage.label(mask)
    if count < 2:
        return mask
    return np.asarray(labels == 1 + int(np.argmax(np.bincount(labels.ravel())[1:])), dtype=bool)


def _below_crown(mask: BoolArray) -> BoolArray:
    areas = mask.sum(axis=(0, 1))
    if not areas.any():
        return mask
    crown = int(np.flatnonzero(areas > 0.02 * areas.max())[-1])
    kept = mask.copy()
    kept[:, :, : max(0, crown - int(BRAIN_HEIGHT_MM / COARSE_MM))] = False
    return kept


def _grid_over(volume: Volume, spacing_mm: float) -> tuple[Affine, tuple[int, int, int]]:
    """Isotropic grid over the whole volume."""
    corners = np.array(list(product(*((0, n - 1) for n in volume.shape))), dtype=np.float64)
    world = apply_affine(volume.affine, corners)
    low, high = world.min(axis=0), world.max(axis=0)
    count = np.ceil((high - low) / spacing_mm).astype(int) + 1
    affine = np.diag([spacing_mm, spacing_mm, spacing_mm, 1.0])
    affine[:3, 3] = low
    return affine, (int(count[0]), int(count[1]), int(count[2]))


def _scaled(values: ScalarArray, low: float, high: float) -> ScalarArray:
    return np.clip((values - np.float32(low)) / np.float32(high - low), 0.0, 1.0)
