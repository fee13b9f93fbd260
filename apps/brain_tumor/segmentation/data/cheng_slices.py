"""Training slices of the tumour-core network, from four collections, split by patient.

Collections (folder layout of the data README): `cheng` (T1c slices of three tumour types, with
skull), `t1ce_gbm` (thick T1c volumes, enhancing rim only), `glioma3d` (skull-stripped 1 mm
volumes) and `lgg` (T1c slices of heads with skull, those without tumour). All become 8-bit slices
on one canvas at the network's pixel, in display orientation.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from PIL import Image
from scipy import ndimage
from sklearn.model_selection import StratifiedGroupKFold

from brain_tumor.cases.grid.geometry import axis_map
from brain_tumor.errors import FileFormatError, NotFoundError
from brain_tumor.segmentation.data.lgg import PIXEL_MM as LGG_PIXEL_MM
from brain_tumor.segmentation.data.lgg import Head, free_t1c_slices, heads_beside_fold
from brain_tumor.segmentation.tumor_core.network import PIXEL_MM
from brain_tumor.segmentation.tumor_core.slices import ORIENTATION, Plane, plane_stack

FOLDS = 5
SPLIT_SEED = 20
FREE_HEAD = "head without tumour"
"""Stratum of slices in which there is none."""
CANVAS_MM = 250.0  # the field of view of the slice collection
CHENG_PIXEL_MM = 0.98
GBM_SPACING_MM = (0.94, 0.94, 6.0)  # the headers of btp_* say 1, 1, 1: wrong
SLICE_STEP = 2  # of thin volumes every second slice
MIN_TISSUE_SHARE = 0.05
BRATS_CORE_VALUES = (1, 3, 4)
WHOLE_CASE_FOLDS = {
    "brats_2013_pat0002_1": 0,
    "Brats18_2013_2_1": 1,
    "brats_2013_pat0001_1": 2,
    "brats_2013_pat0004_1": 3,
    "BraTS-GLI-00001-000": 4,
    "TCGA-DU-7294": 4,
}
HEALTHY_ONLY_CASES = frozenset({"TCGA-DU-7294"})
"""Cases whose mask algorithms drew without an enhancing core: only healthy slices are used."""
WEAK_CASES = frozenset({"BraTS-GLI-00001-000", "TCGA-DU-7294"})
"""Cases whose masks algorithms drew: never measured on."""

ByteArray = npt.NDArray[np.uint8]


class Pixel(IntEnum):
    """What a training pixel is."""

    OTHER = 0
    CORE = 1
    IGNORED = 2  # inside an enhancing rim: core or resection cavity, nobody drew it


class Collection(IntEnum):
    """Where a slice is from."""

    CHENG = 0
    GBM = 1
    WHOLE = 2
    HEAD = 3


@dataclass(frozen=True)
class ChengSlice:
    """One row of the slice collection's index.

    Attributes:
        index: Number of the slice, also its file name.
        group: Patient group; the unit of every split.
        tumor_type: glioma, meningioma or pituitary.
        cohort: `MR` (only gliomas) or `numeric`.
        native_size: Rows of the original slice.
    """

    index: int
    group: str
    tumor_type: str
    cohort: str
    native_size: int


@dataclass(frozen=True, eq=False)
class SliceSet:
    """Slices on one canvas with what sampling needs to know.

    Attributes:
        images: 8-bit intensities, shape (N, side, side): squares of `CANVAS_MM`.
        pixels: `Pixel` values, same shape.
        depth_mm: Distance to the outside of the head, 0-255 mm, same shape.
        collection: `Collection` per slice.
        stratum: Sampling stratum per slice, for example `glioma numeric`.
        patient: Patient per slice.
        has_core: Whether a slice shows tumour.
        pixel_mm: Pixel of the images.
    """

    images: ByteArray
    pixels: ByteArray
    depth_mm: ByteArray
    collection: npt.NDArray[np.int64]
    stratum: npt.NDArray[np.str_]
    patient: npt.NDArray[np.str_]
    has_core: npt.NDArray[np.bool_]
    pixel_mm: float

    def __len__(self) -> int:
        return len(self.images)


def read_cheng_index(data_dir: Path) -> list[ChengSlice]:
    """Rows of `cheng/index.csv`.

    Raises:
        NotFoundError: If the file is missing.
        FileFormatError: If a column is missing.
    """
    path = data_dir / "cheng" / "index.csv"
    if not path.is_file():
        raise NotFoundError(
            "the data folder has no cheng/index.csv",
            remedy="Give the folder that holds cheng, t1ce_gbm and glioma3d.",
        )
    with path.open(encoding="utf-8", newline="") as stream:
        try:
            return [
                ChengSlice(
                    int(row["index"]),
                    row["group"],
                    row["label_name"],
                    row["cohort"],
                    int(row["native_size"]),
                )
                for row in csv.DictReader(stream)
            ]
        except (KeyError, ValueError, TypeError) as error:
            raise FileFormatError(f"cheng/index.csv is unusable: {error!r}") from error


def cheng_folds(rows: list[ChengSlice]) -> npt.NDArray[np.int64]:
    """Fold (0-4) of every slice; all slices of a patient group are in one fold.

    Strata are tumour type and cohort, so that the numeric-cohort gliomas spread over all folds.
    """
    strata = np.array([f"{row.tumor_type} {row.cohort}" for row in rows])
    groups = np.array([row.group for row in rows])
    folds = np.full(len(rows), -1, dtype=np.int64)
    splitter = StratifiedGroupKFold(n_splits=FOLDS, shuffle=True, random_state=SPLIT_SEED)
    for fold, (_, held_out) in enumerate(splitter.split(strata, strata, groups)):
        folds[held_out] = fold
    return folds


def cheng_slices_of_fold(data_dir: Path, fold: int) -> list[ChengSlice]:
    """Slices of one fold's patients, in the order of the index.

    Raises:
        NotFoundError: If the index is missing.
        FileFormatError: If a column of it is missing.
    """
    rows = read_cheng_index(data_dir)
    return [row for row, at in zip(rows, cheng_folds(rows), strict=True) if at == fold]


def volume_patient(stem: str) -> str:
    """Patient of a volume file: both time points of `btp_01` are one patient."""
    return "_".join(stem.split("_")[:2]) if stem.startswith("btp_") else stem


def volume_fold(stem: str) -> int:
    """Fold of a volume file's patient."""
    if stem in WHOLE_CASE_FOLDS:
        return WHOLE_CASE_FOLDS[stem]
    patient = volume_patient(stem)
    return (int(patient.split("_")[1]) - 1) % FOLDS if patient.startswith("btp_") else FOLDS - 1


def read_cheng_slice(data_dir: Path, row: ChengSlice) -> tuple[ByteArray, npt.NDArray[np.bool_]]:
    """8-bit picture and expert mask of one slice, both 256 x 256."""
    folder = data_dir / "cheng"
    with Image.open(folder / "images" / f"{row.index}.jpg") as picture:
        image = np.asarray(picture.convert("L"), dtype=np.uint8)
    with Image.open(folder / "masks" / f"{row.index}.png") as picture:
        mask = np.asarray(picture).astype(bool)
    return image, mask


def load_training_slices(
    data_dir: Path,
    fold: int | None,
    pixel_mm: float = PIXEL_MM,
    *,
    free_heads: bool = False,
) -> SliceSet:
    """All slices of patients outside the held-out fold.

    Args:
        data_dir: Folder with `cheng`, `t1ce_gbm`, `glioma3d` and, for healthy slices, `lgg`.
        fold: Fold to hold out, 0-4, or None to use every patient.
        pixel_mm: Pixel of the slices.
        free_heads: Add the slices of heads of `lgg` that show no tumour.
    """
    builder = _Builder(pixel_mm)
    rows = read_cheng_index(data_dir)
    for row, row_fold in zip(rows, cheng_folds(rows), strict=True):
        if row_fold != fold:
            image, mask = read_cheng_slice(data_dir, row)
            stratum = f"{row.tumor_type} {row.cohort}"
            builder.add(
                image,
                mask.astype(np.uint8),
                (CHENG_PIXEL_MM, CHENG_PIXEL_MM),
                Collection.CHENG,
                stratum,
                row.group,
            )
    for path in sorted((data_dir / "t1ce_gbm").glob("*.npz")):
        if volume_fold(path.stem) != fold:
            builder.add_gbm(path)
    for path in sorted((data_dir / "glioma3d").glob("*.npz")):
        if volume_fold(path.stem) != fold:
            builder.add_whole(path)
    for head in heads_beside_fold(data_dir, fold) if free_heads else ():
        builder.add_free_slices(head)
    return builder.finish()


def rim_to_pixels(rim: npt.NDArray[np.bool_]) -> ByteArray:
    """`Pixel` values of one slice of which only the enhancing rim was drawn."""
    filled = ndimage.binary_fill_holes(rim)
    pixels = np.where(rim, Pixel.CORE, Pixel.OTHER).astype(np.uint8)
    pixels[filled & ~rim] = Pixel.IGNORED
    return pixels


def to_canvas(
    image: npt.NDArray[Any],
    spacing_mm: tuple[float, float],
    pixel_mm: float = PIXEL_MM,
    *,
    nearest: bool = False,
) -> npt.NDArray[np.float32]:
    """Resample a slice to the network's pixel and centre it on the canvas (zeros around it)."""
    side = round(CANVAS_MM / pixel_mm)
    tensor = torch.from_numpy(np.ascontiguousarray(image, dtype=np.float32))[None, None]
    size = [
        max(1, round(length * mm / pixel_mm))
        for length, mm in zip(image.shape, spacing_mm, strict=True)
    ]
    if nearest:
        resized = F.interpolate(tensor, size=size, mode="nearest-exact")[0, 0].numpy()
    else:
        resized = F.interpolate(tensor, size=size, mode="bilinear", antialias=True)[0, 0].numpy()
    canvas = np.zeros((side, side), dtype=np.float32)
    source, target = [], []
    for length in resized.shape:
        kept = min(length, side)
        source.append(slice((length - kept) // 2, (length - kept) // 2 + kept))
        target.append(slice((side - kept) // 2, (side - kept) // 2 + kept))
    canvas[tuple(target)] = resized[tuple(source)]
    return canvas


def head_depth_mm(image: npt.NDArray[Any], pixel_mm: float = PIXEL_MM) -> ByteArray:
    """Distance of every pixel of the head to the outside, in mm; 0 outside the head."""
    head = ndimage.binary_opening(image > 0.08 * np.percentile(image, 99.5), iterations=2)
    labels, count = ndimage.label(head)
    if count == 0:
        return np.zeros(image.shape, dtype=np.uint8)
    largest = 1 + int(np.argmax(np.bincount(labels.ravel())[1:]))
    # The head often runs out of the picture (neck): only its air boundary counts as outside.
    padded = np.pad(ndimage.binary_fill_holes(labels == largest), 1, mode="edge")
    depth = ndimage.distance_transform_edt(padded)[1:-1, 1:-1] * pixel_mm
    clipped: ByteArray = np.clip(depth, 0, 255).astype(np.uint8)
    return clipped


class _Builder:
    """Collects slices; `finish` stacks them."""

    def __init__(self, pixel_mm: float) -> None:
        self._pixel_mm = pixel_mm
        self._images: list[ByteArray] = []
        self._pixels: list[ByteArray] = []
        self._depths: list[ByteArray] = []
        self._tags: list[tuple[Collection, str, str]] = []

    def add(
        self,
        image: npt.NDArray[Any],
        pixels: ByteArray,
        spacing_mm: tuple[float, float],
        collection: Collection,
        stratum: str,
        patient: str,
    ) -> None:
        canvas = to_canvas(image, spacing_mm, self._pixel_mm)
        self._images.append(np.clip(np.rint(canvas), 0, 255).astype(np.uint8))
        drawn = to_canvas(pixels, spacing_mm, self._pixel_mm, nearest=True)
        self._pixels.append(drawn.astype(np.uint8))
        stripped = collection is Collection.WHOLE
        self._depths.append(
            np.full(canvas.shape, 255, dtype=np.uint8)
            if stripped
            else head_depth_mm(canvas, self._pixel_mm)
        )
        self._tags.append((collection, stratum, patient))

    def add_gbm(self, path: Path) -> None:
        image, seg, affine = read_t1c_volume(path)
        turn = axis_map(_shape(image), affine, ORIENTATION)
        stack, masks = (plane_stack(turn.apply(a), Plane.AXIAL) for a in (image, seg > 0))
        spacing = GBM_SPACING_MM[:2] if path.stem.startswith("btp_") else (0.78, 0.78)
        for picture, rim in zip(stack, masks, strict=True):
            if np.count_nonzero(picture > 20) >= MIN_TISSUE_SHARE * picture.size:
                pixels = rim_to_pixels(rim)
                self.add(picture, pixels, spacing, Collection.GBM, "gbm", volume_patient(path.stem))

    def add_whole(self, path: Path) -> None:
        image, seg, affine = read_t1c_volume(path)
        core = np.isin(seg, BRATS_CORE_VALUES)
        turn = axis_map(_shape(image), affine, ORIENTATION)
        for plane in Plane:
            stacks = [plane_stack(turn.apply(a), plane) for a in (image, core, seg > 0)]
            for picture, mask, lesion in list(zip(*stacks, strict=True))[::SLICE_STEP]:
                if np.count_nonzero(picture) < MIN_TISSUE_SHARE * picture.size:
                    continue
                if path.stem in HEALTHY_ONLY_CASES and lesion.any():
                    continue
                self.add(
                    picture,
                    mask.astype(np.uint8),
                    (1.0, 1.0),
                    Collection.WHOLE,
                    f"whole {plane.value}",
                    path.stem,
                )

    def add_free_slices(self, head: Head) -> None:
        """Slices of a head with contrast agent that are not next to one with tumour."""
        for _, picture in free_t1c_slices(head):
            self.add(
                picture.T,
                np.zeros(picture.T.shape, dtype=np.uint8),
                (LGG_PIXEL_MM, LGG_PIXEL_MM),
                Collection.HEAD,
                FREE_HEAD,
                head.person,
            )

    def finish(self) -> SliceSet:
        pixels = np.stack(self._pixels)
        return SliceSet(
            images=np.stack(self._images),
            pixels=pixels,
            depth_mm=np.stack(self._depths),
            collection=np.array([int(tag[0]) for tag in self._tags], dtype=np.int64),
            stratum=np.array([tag[1] for tag in self._tags]),
            patient=np.array([tag[2] for tag in self._tags]),
            has_core=(pixels == Pixel.CORE).any(axis=(1, 2)),
            pixel_mm=self._pixel_mm,
        )


def read_t1c_volume(
    path: Path,
) -> tuple[ByteArray, ByteArray, npt.NDArray[np.float64]]:
    """T1c channel, mask (as stored) and affine of an npz volume.

    Raises:
        FileFormatError: If the file lacks one of them.
    """
    try:
        with np.load(path, allow_pickle=False) as stored:
            channel = list(stored["modalities"]).index("t1ce")
            image, seg, affine = stored["image"][channel], stored["seg"], stored["affine"]
    except (OSError, KeyError, ValueError) as error:
        raise FileFormatError(f"volume {path.stem} cannot be read: {error}") from error
    return image, seg, affine


def _shape(array: npt.NDArray[Any]) -> tuple[int, int, int]:
    i, j, k = array.shape
    return i, j, k
