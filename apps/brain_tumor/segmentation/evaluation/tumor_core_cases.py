"""Held-out slices and volumes as the cases that a user would send, with their references."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.grids import axis_map
from brain_tumor.cases.sequences import Sequence as MriSequence
from brain_tumor.cases.volume import Volume
from brain_tumor.segmentation.data.cheng_slices import (
    BRATS_CORE_VALUES,
    CHENG_PIXEL_MM,
    GBM_SPACING_MM,
    WEAK_CASES,
    head_depth_mm,
    read_t1c_volume,
    volume_fold,
    volume_patient,
)
from brain_tumor.segmentation.tumor_core.slices import ORIENTATION, Plane, plane_stack

BoolArray = npt.NDArray[np.bool_]

SYMMETRY = 0.3
FIELD_OF_VIEW_MM = 250.0
FREE_PER_VOLUME = 6
FREE_MARGIN_SLICES = 2
LEAST_TISSUE_SHARE = 0.15
THICK_SLICE_MM = 6.0


def slice_case(name: str, image: npt.NDArray[Any], pixel_mm: float = CHENG_PIXEL_MM) -> Case:
    """A lone slice in display orientation (rows down, columns right) as a case."""
    affine = np.diag([-pixel_mm, -pixel_mm, THICK_SLICE_MM, 1.0])
    array = np.asarray(image, dtype=np.float32).T[:, :, None]
    return Case(name, MriSequence.T1C, {MriSequence.T1C: Volume(array, affine)})


def estimate_plane(image: npt.NDArray[Any]) -> Plane:
    """Plane of a 250 mm slice of a head, estimated from the picture.

    A head that ends above the lower edge of the picture is axial; one that runs out of it, as a
    neck does, is sagittal if it is wide, its silhouette is not its own mirror image and neither
    are its intensities, else coronal. About nine of ten are right; it only sorts tables.
    """
    head = head_depth_mm(image) > 0
    rows, columns = np.flatnonzero(head.any(axis=1)), np.flatnonzero(head.any(axis=0))
    if len(columns) == 0 or rows[-1] < 0.975 * len(image):
        return Plane.AXIAL
    mm = FIELD_OF_VIEW_MM / len(image)
    inside = head[:, columns[0] : columns[-1] + 1]
    either = inside | inside[:, ::-1]
    agreement = float(np.count_nonzero(inside & inside[:, ::-1]) / np.count_nonzero(either))
    upper = inside[rows[0] : rows[0] + round(110 / mm)]
    width_mm = float(upper.sum(axis=1).max() * mm)
    smooth = ndimage.gaussian_filter(image[:, columns[0] : columns[-1] + 1].astype(float), 2.0)
    likeness = float(np.corrcoef(smooth[either], smooth[:, ::-1][either])[0, 1])
    lopsided = (width_mm - 187.0) / 20.0 + (0.9 - agreement) / 0.04 > 0
    return Plane.SAGITTAL if lopsided and likeness < SYMMETRY else Plane.CORONAL


def volume_paths(data_dir: Path, fold: int) -> list[Path]:
    """Volumes of a fold with masks that experts drew."""
    return [
        path
        for collection in ("t1ce_gbm", "glioma3d")
        for path in sorted((data_dir / collection).glob("*.npz"))
        if volume_fold(path.stem) == fold and path.stem not in WEAK_CASES
    ]


def tumour_free_slices(data_dir: Path, fold: int) -> Iterator[tuple[str, npt.NDArray[Any]]]:
    """Patient and picture of up to six axial slices a volume, away from every drawn tumour.

    Of the T1c glioblastoma volumes with skull of a fold; pixels of `GBM_SPACING_MM`.
    """
    for path in sorted((data_dir / "t1ce_gbm").glob("btp_*.npz")):
        if volume_fold(path.stem) != fold:
            continue
        image, seg, affine = read_t1c_volume(path)
        i, j, k = image.shape
        turn = axis_map((i, j, k), affine, ORIENTATION)
        stack, masks = (plane_stack(turn.apply(a), Plane.AXIAL) for a in (image, seg > 0))
        near = ndimage.binary_dilation(masks.any(axis=(1, 2)), iterations=FREE_MARGIN_SLICES)
        tissue = (stack > 20).mean(axis=(1, 2)) >= LEAST_TISSUE_SHARE
        good = np.flatnonzero(~near & tissue)
        chosen = np.linspace(0, len(good) - 1, min(FREE_PER_VOLUME, len(good))).round()
        for number in good[chosen.astype(int)]:
            yield volume_patient(path.stem), stack[number]


def read_reference(path: Path) -> tuple[Volume, BoolArray, BoolArray]:
    """T1c volume on its original grid, reference core, and voxels that nobody judged.

    Whole glioma cases are pasted back into their 240x240x155 grid. Of the T1c glioblastoma
    volumes only the enhancing rim was drawn; what it encloses, slice by slice, is not judged.
    """
    image, seg, affine = read_t1c_volume(path)
    if path.parent.name == "glioma3d":
        with np.load(path, allow_pickle=False) as stored:
            shape, low = tuple(stored["orig_shape"]), stored["crop_lo"]
        place = tuple(slice(int(s), int(s) + n) for s, n in zip(low, image.shape, strict=True))
        whole = np.zeros(shape, dtype=np.float32)
        core = np.zeros(shape, dtype=bool)
        whole[place], core[place] = image, np.isin(seg, BRATS_CORE_VALUES)
        shifted = affine.copy()
        shifted[:3, 3] -= affine[:3, :3] @ low
        return Volume(whole, shifted), core, np.zeros(shape, dtype=bool)
    if path.stem.startswith("btp_"):
        affine = affine @ np.diag([*GBM_SPACING_MM, 1.0])
    rim = seg > 0
    filled = np.stack([ndimage.binary_fill_holes(s) for s in rim.transpose(2, 0, 1)], axis=-1)
    return Volume(image.astype(np.float32), affine), rim, filled & ~rim
