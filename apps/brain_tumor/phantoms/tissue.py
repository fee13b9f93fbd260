"""Tissues of a phantom and their shares in the voxels of a grid."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
import numpy.typing as npt

from brain_tumor.cases.volume import Affine
from brain_tumor.phantoms.fields import FloatArray, Points


class Tissue(IntEnum):
    """Tissues of the phantom: rows of `TissueMaps.fractions`. What is left of a voxel is air."""

    CSF = 0
    GM = 1
    WM = 2
    VESSEL = 3
    DURA = 4
    CHOROID = 5
    GLAND = 6
    BONE = 7
    MARROW = 8
    FAT = 9
    MUSCLE = 10
    SKIN = 11
    MUCOSA = 12
    VITREOUS = 13
    NECROSIS = 14
    OEDEMA = 15
    RIM = 16
    MENINGIOMA = 17
    ADENOMA = 18


@dataclass(frozen=True)
class Grid:
    """Voxel grid.

    Attributes:
        shape: Voxels along I, J, K.
        affine: Voxel centres to RAS+ mm, 4x4.
    """

    shape: tuple[int, int, int]
    affine: Affine

    def points(self, voxels: npt.NDArray[np.int64]) -> Points:
        """Positions in mm, shape (N, 3), of voxels given by flat C-order index."""
        ijk = np.stack(np.unravel_index(voxels, self.shape), axis=-1).astype(np.float32)
        matrix = self.affine[:3, :3].astype(np.float32)
        points: Points = ijk @ matrix.T + self.affine[:3, 3].astype(np.float32)
        return points


@dataclass(frozen=True, eq=False)
class TissueMaps:
    """Tissue fractions of the voxels of a grid that are not air.

    Attributes:
        grid: Where the voxels are.
        voxels: Flat C-order index of each of the N voxels, increasing.
        points_mm: Position in patient space, shape (N, 3).
        template_mm: Matching position in template space, shape (N, 3).
        fractions: Share of each `Tissue` in each voxel, shape (T, N), sums to at most 1.
        detail: Fine T1 contrast of the template, shape (N,), white matter = 1.
        brain: Voxels that a skull-stripping tool would keep, shape (N,).
        skull_mm: Distance to the inner skull, negative inside, shape (N,).
    """

    grid: Grid
    voxels: npt.NDArray[np.int64]
    points_mm: Points
    template_mm: Points
    fractions: FloatArray
    detail: FloatArray
    brain: npt.NDArray[np.bool_]
    skull_mm: FloatArray

    def volume(self, values: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
        """Spread one value per voxel over the grid; air is 0."""
        flat = np.zeros(int(np.prod(self.grid.shape)), dtype=values.dtype)
        flat[self.voxels] = values
        return flat.reshape(self.grid.shape)

    def lay(
        self, tissue: Tissue, share: FloatArray, where: npt.NDArray[np.int64] | None = None
    ) -> None:
        """Put a tissue over what is there, in place.

        Args:
            tissue: Tissue to add.
            share: Share of each voxel it covers, 0-1.
            where: Voxels (0..N-1) that share speaks of; all when None.
        """
        covered = np.flatnonzero(share > 0)
        if covered.size == 0:
            return
        part = share[covered]
        target = covered if where is None else where[covered]
        rest = 1 - part
        for row in self.fractions:
            row[target] *= rest
        self.fractions[tissue, target] += part
