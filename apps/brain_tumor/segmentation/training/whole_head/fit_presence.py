"""The model of presence, fitted on persons that the networks have not seen.

    python -m brain_tumor.segmentation.training.whole_head.fit_presence \
        --data DIR --run RUN --models models --bundle models/whole_head

reads the held-out heads of a run with all their sequences and with fewer. Cases with a tumour are
the whole heads and the held-out stripped brains; cases without are the slabs of the same heads in
which the experts drew nothing. The fitted entry goes into the metadata of a bundle.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from tqdm import tqdm

from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.geometry import case_on_reference_grid
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import ScalarArray
from brain_tumor.errors import InputError
from brain_tumor.segmentation.data.lgg import heads_of_fold
from brain_tumor.segmentation.evaluation.data import read_wholes
from brain_tumor.segmentation.evaluation.evaluation import SUBSETS, held_out_fold
from brain_tumor.segmentation.evaluation.heads import free_slab
from brain_tumor.segmentation.joint import JointSegmenter
from brain_tumor.segmentation.presence import measure_presence
from brain_tumor.segmentation.training.presence import fit_presence, write_presence


def measure(
    segmenter: JointSegmenter, data: Path, fold: int
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Measurements of held-out cases with and without a tumour, each of shape (N, 2)."""
    with_tumour, without = [], []
    for head in tqdm(heads_of_fold(data, fold), desc="heads", unit="head"):
        slab = free_slab(head.whole_tumor, head.thickness_mm)
        for case in _reduced(head.case):
            tumour, voxel_ml = _tumour_map(segmenter, case)
            with_tumour.append(measure_presence(tumour, voxel_ml))
            if slab is not None:
                without.append(measure_presence(tumour[..., slab], voxel_ml))
    for whole in read_wholes(data, fold):
        for case in _reduced(whole.case) if whole.expert else ():
            with_tumour.append(measure_presence(*_tumour_map(segmenter, case)))
    return np.array(with_tumour), np.array(without)


def _reduced(case: Case) -> Iterator[Case]:
    yield case
    for sequences in SUBSETS:
        if set(sequences) < set(case.present) and set(sequences) - {Sequence.T1}:
            volumes = {s: case.volumes[s] for s in sequences}
            yield case_on_reference_grid(case.case_id, volumes)


def _tumour_map(segmenter: JointSegmenter, case: Case) -> tuple[ScalarArray, float]:
    """Probability of tumour on the grid of the case, and the volume of its voxel."""
    return segmenter.tumour_probability(case), float(np.prod(case.spacing_mm)) / 1000.0


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--run", type=Path, required=True, help="run that held out a fold")
    parser.add_argument("--models", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True, help="gets the fitted model")
    chosen = parser.parse_args()
    fold = held_out_fold(chosen.run / "whole_head")
    if fold is None:
        raise InputError("the run has held out nobody", remedy="Name a run of one fold.")
    segmenter = JointSegmenter.load(chosen.models / "segmentation", chosen.run / "whole_head")
    with_tumour, without = measure(segmenter, chosen.data, fold)
    model = fit_presence(with_tumour, without)
    write_presence(model, chosen.bundle, with_tumour, without)


if __name__ == "__main__":
    main()
