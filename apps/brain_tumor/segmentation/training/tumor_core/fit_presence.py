"""The model of presence on a lone t1c, fitted on patients that the network has not seen.

    python -m brain_tumor.segmentation.training.tumor_core.fit_presence --data DIR --bundle BUNDLE

Cases with a tumour are the held-out slices and volumes with contrast agent; cases without are
slices, and slabs, of held-out heads of `lgg` in which experts drew nothing. Tumours that take up no
contrast agent do not show on a t1c: heads of `lgg` are no cases with a tumour here.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import InputError
from brain_tumor.segmentation.data.cheng_slices import cheng_slices_of_fold, read_cheng_slice
from brain_tumor.segmentation.data.lgg import Head, free_t1c_slices, heads_of_fold
from brain_tumor.segmentation.evaluation.heads import free_slab
from brain_tumor.segmentation.evaluation.tumor_core import held_out_fold
from brain_tumor.segmentation.evaluation.tumor_core_cases import (
    THICK_SLICE_MM,
    read_reference,
    slice_case,
    volume_paths,
)
from brain_tumor.segmentation.presence import measure_presence
from brain_tumor.segmentation.training.presence import fit_presence, write_presence
from brain_tumor.segmentation.tumor_core.segmenter import TumorCoreSegmenter, core_voxel_ml

Values = npt.NDArray[np.float64]


def measure(segmenter: TumorCoreSegmenter, data: Path, fold: int) -> tuple[Values, Values]:
    """Measurements of held-out images with and without a tumour, each of shape (N, 2)."""
    with_tumour = [_measured(segmenter, image) for image in tqdm(_with_tumour(data, fold))]
    without = [
        _measured(segmenter, image)
        for head in tqdm(list(heads_of_fold(data, fold)), desc="heads", unit="head")
        for image in free_images(head)
    ]
    return np.array(with_tumour), np.array(without)


def free_images(head: Head) -> Iterator[Volume]:
    """Slices of a head away from its tumour, one by one, and its thickest slab without any."""
    if Sequence.T1C not in head.case.volumes:
        return
    volume = head.case.volumes[Sequence.T1C]
    single = volume.affine @ np.diag([1.0, 1.0, THICK_SLICE_MM / head.thickness_mm, 1.0])
    for _, picture in free_t1c_slices(head):
        yield Volume(picture[..., None], single)
    slab = free_slab(head.whole_tumor, head.thickness_mm)
    if slab is not None:
        yield Volume(volume.array[..., slab], volume.affine)


def _with_tumour(data: Path, fold: int) -> Iterator[Volume]:
    for row in cheng_slices_of_fold(data, fold):
        case: Case = slice_case(str(row.index), read_cheng_slice(data, row)[0])
        yield case.volumes[Sequence.T1C]
    for path in volume_paths(data, fold):
        volume, core, _ = read_reference(path)
        if core.any():
            yield volume


def _measured(segmenter: TumorCoreSegmenter, image: Volume) -> tuple[float, float]:
    probability = segmenter.probabilities(image).probability
    return measure_presence(probability, core_voxel_ml(image.shape, image.spacing_mm))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True, help="gets the fitted model")
    chosen = parser.parse_args()
    fold = held_out_fold(chosen.bundle)
    if fold is None:
        raise InputError("the bundle has held out nobody", remedy="Name one of a fold.")
    with_tumour, without = measure(TumorCoreSegmenter.load(chosen.bundle), chosen.data, fold)
    write_presence(fit_presence(with_tumour, without), chosen.bundle, with_tumour, without)


if __name__ == "__main__":
    main()
