"""A tiny data folder in the layout of the research data, and a model that can read it.

The labels are written into the intensities of every sequence, so that `ALegibleModel` finds the
reference exactly whatever sequences it is given.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import ScalarArray
from brain_tumor.labels import LabelArray, LabelScheme
from brain_tumor.segmentation.data.folds import patient_fold
from brain_tumor.segmentation.result import SegmentationResult

FOUR = ("t1", "t1ce", "t2", "flair")
TWO = ("t1ce", "flair")
BRATS = {0: 0, 1: 1, 2: 2, 3: 4}
SIDE = 16
EXPERT = "expert"
WEAK = "ALGORITHM consensus, not expert"
WHOLE_SHAPE = (24, 22, 20)
WHOLE_LOW = (3, 2, 1)


def a_patient(fold: int, number: int = 0) -> str:
    """Name of a patient that the hash puts into a fold."""
    names = (f"patient{n}" for n in range(10_000))
    return [name for _, name in zip(range(200), names, strict=False) if patient_fold(name) == fold][
        number
    ]


def some_labels(*, enhancing: bool = True, side: int = SIDE) -> LabelArray:
    """Oedema of 6 x 8 x 8 voxels around a core of 4 x 4 x 8, half of it enhancing."""
    labels = np.zeros((side, side, side), dtype=np.uint8)
    labels[2:8, 3:11, 4:12] = 2
    labels[3:7, 5:9, 4:12] = 1
    if enhancing:
        labels[3:7, 5:9, 4:8] = 3
    return labels


def in_brats(labels: LabelArray) -> npt.NDArray[np.uint8]:
    """Labels as BraTS 2020 writes them."""
    return np.vectorize(BRATS.__getitem__, otypes=[np.uint8])(labels)


def write_cubes(data: Path, cubes: dict[str, LabelArray]) -> None:
    """`brats20/cubes.npz`; q = 80 is a z-score of 0 and each label adds 1."""
    folder = data / "brats20"
    folder.mkdir(parents=True, exist_ok=True)
    labels = np.stack(list(cubes.values()))
    image = np.repeat((80 + 20 * labels)[:, None], 4, axis=1).astype(np.uint8)
    image[:, :, 0] = 0  # a plane of background
    np.savez_compressed(
        folder / "cubes.npz",
        image=image,
        label=in_brats(labels),
        ids=np.array(list(cubes)),
        bbox=np.tile(np.array([0, SIDE] * 3, dtype=np.int16), (len(labels), 1)),
        modalities=np.array(FOUR),
    )


def write_whole(
    data: Path,
    name: str,
    labels: LabelArray,
    *,
    modalities: tuple[str, ...] = FOUR,
    kind: str = EXPERT,
    seg: npt.NDArray[np.uint8] | None = None,
    **extra: Any,
) -> None:
    """`glioma3d/<name>.npz` with an LPS affine, cropped out of 24 x 22 x 20 mm."""
    folder = data / "glioma3d"
    folder.mkdir(parents=True, exist_ok=True)
    np.savez_compressed(
        folder / f"{name}.npz",
        image=np.stack([80 + 20 * labels] * len(modalities)).astype(np.uint8),
        seg=in_brats(labels) if seg is None else seg,
        affine=np.diag([-1.0, -1.0, 1.0, 1.0]),
        orig_shape=np.array(WHOLE_SHAPE),
        crop_lo=np.array(WHOLE_LOW),
        modalities=np.array(modalities),
        seg_kind=kind,
        **extra,
    )


def write_twins(data: Path, twins: dict[str, str]) -> None:
    """`brats20/twins.json`."""
    (data / "brats20").mkdir(parents=True, exist_ok=True)
    (data / "brats20/twins.json").write_text(json.dumps(twins), encoding="utf-8")


class ALegibleModel:
    """Reads the labels from the intensities; remembers what it was given.

    Args:
        change: Applied to every labelmap before it is returned.
    """

    def __init__(self, change: Callable[[LabelArray], LabelArray] = lambda labels: labels) -> None:
        self.change = change
        self.cubes: list[ScalarArray] = []
        self.cases: list[Case] = []

    @property
    def version(self) -> ModelVersion:
        return ModelVersion("segmentation", "0.0.1", "ab" * 32)

    def predict_probabilities(self, image: ScalarArray) -> ScalarArray:
        self.cubes.append(image)
        labels = self.change(np.round(image.max(axis=0)).clip(0, 3).astype(np.uint8))
        certain = np.eye(max(4, int(labels.max()) + 1), dtype=np.float32)[labels]
        return np.moveaxis(certain, -1, 0)

    def segment(self, case: Case, *, mirrored: bool = False) -> SegmentationResult:
        self.cases.append(case)
        array = case.volumes[case.reference].array
        labels = ((array - 80) / 20).clip(0, 3).astype(np.uint8)
        return SegmentationResult(
            self.change(labels), LabelScheme.SUBREGIONS, self.version, "legible", {}
        )


def sequences_given(image: ScalarArray) -> tuple[str, ...]:
    """Names of the channels that hold anything."""
    return tuple(s.value for s, channel in zip(Sequence, image, strict=True) if channel.any())
