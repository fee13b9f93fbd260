"""Choice of the clean-up rule for small enhancement, on patients that the training had.

    python -m brain_tumor.segmentation.training.enhancing_rule --data DIR --bundle DIR

A network that sees a few enhancing voxels in a tumour without enhancement is wrong altogether, so
a total below some volume is better called necrotic core. The volume is the smallest whose mean
Dice of enhancing tumour per patient, with four sequences and with t1c and flair, comes within
`TOLERANCE` of the best; the held-out fold is not looked at.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brain_tumor.cases.sequences import Sequence as MriSequence
from brain_tumor.labels import Label
from brain_tumor.segmentation.evaluation import CubePredictor, held_out_fold
from brain_tumor.segmentation.evaluation_data import CUBE_SPACING_MM, read_cubes
from brain_tumor.segmentation.inference import SubregionSegmenter
from brain_tumor.segmentation.patient_scores import volume_dice
from brain_tumor.segmentation.training.cleanup_choice import folds_to_choose_on, keep_choice

logger = logging.getLogger(__name__)

CANDIDATES_ML = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0)
TOLERANCE = 0.001
SUBSETS = (tuple(MriSequence), (MriSequence.T1C, MriSequence.FLAIR))
VOXEL_ML = float(np.prod(CUBE_SPACING_MM)) / 1000.0


@dataclass
class Enhancement:
    """Enhancing volumes of one patient, in mL.

    Attributes:
        overlap: In the reference and found.
        reference: In the reference.
        found: Found by the network.
    """

    overlap: float = 0.0
    reference: float = 0.0
    found: float = 0.0

    def dice(self, smallest_ml: float) -> float:
        """Dice if less than a volume in all is not believed."""
        return volume_dice(self.overlap, self.reference, self.found, smallest_ml)


def measure(segmenter: CubePredictor, data: Path, folds: Sequence[int]) -> list[Enhancement]:
    """Enhancement per patient and subset of sequences.

    Args:
        segmenter: Network, without clean-up.
        data: Folder with `brats20`.
        folds: Folds of patients to read.
    """
    found: dict[tuple[str, int], Enhancement] = {}
    for fold in folds:
        for cube in read_cubes(data, fold):
            reference = cube.labels == Label.ET
            for number, subset in enumerate(SUBSETS):
                labels = segmenter.predict_labels(cube.reduced(subset)) == Label.ET
                entry = found.setdefault((cube.patient, number), Enhancement())
                entry.overlap += np.count_nonzero(labels & reference) * VOXEL_ML
                entry.reference += np.count_nonzero(reference) * VOXEL_ML
                entry.found += np.count_nonzero(labels) * VOXEL_ML
    return list(found.values())


def choose(patients: Sequence[Enhancement]) -> tuple[float, dict[float, float]]:
    """Smallest volume whose mean Dice is within `TOLERANCE` of the best, and every mean."""
    means = {c: float(np.mean([p.dice(c) for p in patients])) for c in CANDIDATES_ML}
    best = max(means.values())
    return min(c for c, mean in means.items() if mean >= best - TOLERANCE), means


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: choose the volume and write it into the bundle's metadata."""
    parser = argparse.ArgumentParser(description="Choose the smallest enhancement to believe.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    chosen = parser.parse_args(argv)
    logging.basicConfig(format="%(message)s")
    logger.setLevel(logging.INFO)
    folds = folds_to_choose_on(chosen.bundle, held_out_fold(chosen.bundle))
    patients = measure(SubregionSegmenter.load(chosen.bundle), chosen.data, folds)
    smallest, means = choose(patients)
    for volume, mean in means.items():
        logger.info("%.2f mL: mean Dice of enhancing tumour %.4f", volume, mean)
    told = {"mean_dice": {f"{volume:g} mL": round(mean, 4) for volume, mean in means.items()}}
    name = "smallest_enhancing_ml"
    keep_choice(chosen.bundle, name, {name: smallest}, folds, told)
    logger.info("chosen: %g mL", smallest)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
