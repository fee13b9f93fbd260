"""Reading the BraTS-derived training data.

Folder layout (`--data DIR`): `brats20/{cubes,masks128}.npz`, `brats20/twins.json` and
`glioma3d/*.npz`. Everything is put on the 128 x 128 x 128 grid in RAS+ order, where cubes,
whole expert masks and whole cases lie in one space (SRI24).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.cases.grid.preprocessing import (
    WORKING_SPACING_MM,
    BoolArray,
    sample_on_grid,
    zscore,
)
from brain_tumor.cases.volume import Affine, ScalarArray, Volume
from brain_tumor.labels import Label, LabelArray, from_brats

GRID = 128
CUBE = 32
SEARCH_VOXELS = 3
QUANTUM, OFFSET = 0.05, -4.0
NATIVE_SHAPE = (240, 240, 155)
WEAK_MARK = "ALGORITHM"
BRATS_2013_PREFIX = "brats_2013"
CHANNEL_NAMES = ("t1", "t1ce", "t2", "flair")


@dataclass(frozen=True, eq=False)
class Cube:
    """Real voxels around one lesion.

    Attributes:
        patient: BraTS 2020 patient id.
        image: Normalised intensities, shape (4, 32, 32, 32), 0 in the background.
        labels: Expert labels, shape (32, 32, 32).
        corner: First voxel of the cube on the 128 grid, RAS+ order.
    """

    patient: str
    image: ScalarArray
    labels: LabelArray
    corner: tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class Whole:
    """A whole brain on the 128 grid.

    Attributes:
        name: File stem.
        patient: BraTS 2020 id of the same patient, or the name.
        image: Normalised intensities, shape (4, 128, 128, 128).
        labels: Labels, shape (128, 128, 128).
        brain: Brain mask, same shape.
        present: Which channels hold a sequence.
        expert: Whether experts drew the labels.
    """

    name: str
    patient: str
    image: ScalarArray
    labels: LabelArray
    brain: BoolArray
    present: tuple[bool, ...]
    expert: bool


def to_ras(array: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Flip the first two spatial axes (BraTS is stored LPS); spatial axes are the last three."""
    return np.ascontiguousarray(array[..., ::-1, ::-1, :])


def load_cubes(data: Path) -> list[Cube]:
    """All lesion cubes with their place in the head."""
    with np.load(data / "brats20/cubes.npz") as file:
        images, labels = file["image"], file["label"]
        names, boxes = file["ids"], file["bbox"]
    masks = _raw_masks(data)
    cubes = []
    for image, label, name, box in zip(images, labels, names, boxes, strict=True):
        patient = str(name).rsplit("_", 1)[0]
        low = _locate(label, masks[patient], box.reshape(3, 2))
        intensities = image.astype(np.float32) * QUANTUM + OFFSET
        intensities[:, (image == 0).all(axis=0)] = 0.0
        ras = (GRID - CUBE - low[0], GRID - CUBE - low[1], low[2])
        cubes.append(
            Cube(
                patient,
                np.asarray(to_ras(intensities), dtype=np.float32),
                np.asarray(to_ras(from_brats(label)), dtype=np.uint8),
                ras,
            )
        )
    return cubes


def load_masks(data: Path) -> dict[str, LabelArray]:
    """Whole expert labels per patient on the 128 grid."""
    return {
        patient: np.asarray(to_ras(from_brats(mask)), dtype=np.uint8)
        for patient, mask in _raw_masks(data).items()
    }


def load_wholes(data: Path) -> list[Whole]:
    """All whole cases of `glioma3d`."""
    twins: dict[str, str] = json.loads((data / "brats20/twins.json").read_text(encoding="utf-8"))
    return [_load_whole(path, twins) for path in sorted((data / "glioma3d").glob("*.npz"))]


def native_case(path: Path) -> tuple[dict[str, Volume], LabelArray, str]:
    """A whole case at native resolution.

    Returns:
        Volumes by BraTS channel name, labels on the same grid, and the kind of labels.
    """
    with np.load(path) as file:
        image, segmentation = file["image"], file["seg"]
        names = [str(name) for name in file["modalities"]]
        low, shape = file["crop_lo"], tuple(int(n) for n in file["orig_shape"])
        affine = np.asarray(file["affine"], dtype=np.float64)
        kind = str(file["seg_kind"])
    box = tuple(slice(int(a), int(a) + n) for a, n in zip(low, segmentation.shape, strict=True))
    origin = affine.copy()
    origin[:3, 3] -= affine[:3, :3] @ low
    year = 2013 if path.stem.startswith(BRATS_2013_PREFIX) else 2020
    labels = np.zeros(shape, dtype=np.uint8)
    labels[box] = from_brats(segmentation, year=year)
    volumes = {}
    for name, channel in zip(names, image, strict=True):
        full = np.zeros(shape, dtype=np.float32)
        full[box] = channel
        volumes[name] = Volume(full, origin)
    return volumes, labels, kind


def _load_whole(path: Path, twins: dict[str, str]) -> Whole:
    volumes, native_labels, kind = native_case(path)
    native = next(iter(volumes.values())).affine
    grid = _grid_affine(native)
    shape = (GRID, GRID, GRID)
    image = np.zeros((len(CHANNEL_NAMES), *shape), dtype=np.float32)
    brain = np.zeros(shape, dtype=bool)
    for channel, name in enumerate(CHANNEL_NAMES):
        if name not in volumes:
            continue
        sampled = sample_on_grid(volumes[name], grid, shape)
        inside = sampled > 0
        image[channel] = zscore(sampled, inside)
        brain |= inside
    scores = np.stack(
        [
            sample_on_grid(Volume((native_labels == label).astype(np.float32), native), grid, shape)
            for label in (Label.BACKGROUND, Label.NCR, Label.ED, Label.ET)
        ]
    )
    return Whole(
        name=path.stem,
        patient=twins.get(path.stem, path.stem),
        image=image,
        labels=scores.argmax(axis=0).astype(np.uint8),
        brain=brain,
        present=tuple(name in volumes for name in CHANNEL_NAMES),
        expert=WEAK_MARK not in kind,
    )


def _grid_affine(native: Affine) -> Affine:
    """The 128 grid in RAS+ order, corner voxel centres kept, for a native LPS BraTS affine."""
    far = native[:3, :3] @ (np.array(NATIVE_SHAPE) - 1) + native[:3, 3]
    grid = np.diag([*WORKING_SPACING_MM, 1.0])
    grid[:3, 3] = np.minimum(native[:3, 3], far)
    return grid


def _raw_masks(data: Path) -> dict[str, npt.NDArray[np.uint8]]:
    with np.load(data / "brats20/masks128.npz") as file:
        return dict(zip((str(i) for i in file["ids"]), file["seg"], strict=True))


def _locate(
    cube: npt.NDArray[np.uint8], mask: npt.NDArray[np.uint8], box: npt.NDArray[np.int16]
) -> tuple[int, int, int]:
    """Corner of the cube in the whole mask: centre of its box, corrected by label agreement."""
    centre = np.floor(box.sum(axis=1) / 2).astype(int) - CUBE // 2
    best, best_agreement = centre, -1.0
    for shift in np.ndindex((2 * SEARCH_VOXELS + 1,) * 3):
        low = np.clip(centre + np.array(shift) - SEARCH_VOXELS, 0, GRID - CUBE)
        part = mask[tuple(slice(a, a + CUBE) for a in low)]
        agreement = float((part == cube).mean()) - 1e-6 * float(np.abs(low - centre).sum())
        if agreement > best_agreement:
            best, best_agreement = low, agreement
    return int(best[0]), int(best[1]), int(best[2])
