"""Choice of the clean-up rule for enhancement, on patients that the training had.

    python -m brain_tumor.segmentation.training.subregions.enhancing_rule --data DIR --bundle DIR

A network that sees a little enhancement in a tumour without is wrong altogether, so a total below
some volume, or whose voxels are on average not likely to enhance, is better called necrotic core.
Of the pairs of thresholds whose mean Dice of enhancing tumour per patient, with four sequences
and with t1c and flair, comes within `TOLERANCE` of the best, the one with the lowest probability
and then the smallest volume is taken; the held-out fold is not looked at.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path

import numpy as np

from brain_tumor.cases.sequences import Sequence as MriSequence
from brain_tumor.labels import Label
from brain_tumor.segmentation.evaluation.data import CUBE_SPACING_MM, read_cubes
from brain_tumor.segmentation.evaluation.evaluation import held_out_fold
from brain_tumor.segmentation.evaluation.patient_scores import believed_dice
from brain_tumor.segmentation.evaluation.reliability import CubePredictor
from brain_tumor.segmentation.subregions.cleanup import EnhancementRule
from brain_tumor.segmentation.subregions.inference import SubregionSegmenter
from brain_tumor.segmentation.training.cleanup_choice import folds_to_choose_on, keep_choice

logger = logging.getLogger(__name__)

CANDIDATES_ML = (0.0, 0.05, 0.1, 0.2, 0.3, 0.5, 0.7, 1.0, 1.5, 2.0)
CANDIDATE_PROBABILITIES = (0.0, 0.45, 0.5, 0.52, 0.54, 0.56, 0.58, 0.6, 0.62, 0.65, 0.7)
CANDIDATES = tuple(
    EnhancementRule(volume, probability)
    for probability, volume in product(CANDIDATE_PROBABILITIES, CANDIDATES_ML)
)
TOLERANCE = 0.001
SUBSETS = (tuple(MriSequence), (MriSequence.T1C, MriSequence.FLAIR))
VOXEL_ML = float(np.prod(CUBE_SPACING_MM)) / 1000.0


@dataclass
class Enhancement:
    """Enhancement of one patient.

    Attributes:
        overlap: Volume in the reference and found, in mL.
        reference: In the reference, in mL.
        found: Found by the network, in mL.
        likely: Found, each voxel counting its probability, in mL.
    """

    overlap: float = 0.0
    reference: float = 0.0
    found: float = 0.0
    likely: float = 0.0

    def dice(self, rule: EnhancementRule) -> float:
        """Dice if enhancement that the rule does not believe is none."""
        return believed_dice(self.overlap, self.reference, self.found, self.likely, rule)


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
                probabilities = segmenter.predict_probabilities(cube.reduced(subset))
                enhancing = probabilities.argmax(axis=0) == Label.ET
                likely = probabilities[int(Label.ET)][enhancing].sum(dtype=np.float64)
                entry = found.setdefault((cube.patient, number), Enhancement())
                entry.overlap += np.count_nonzero(enhancing & reference) * VOXEL_ML
                entry.reference += np.count_nonzero(reference) * VOXEL_ML
                entry.found += np.count_nonzero(enhancing) * VOXEL_ML
                entry.likely += float(likely) * VOXEL_ML
    return list(found.values())


def choose(
    patients: Sequence[Enhancement],
) -> tuple[EnhancementRule, dict[EnhancementRule, float]]:
    """Mildest rule whose mean Dice is within `TOLERANCE` of the best, and every mean."""
    means = {rule: float(np.mean([p.dice(rule) for p in patients])) for rule in CANDIDATES}
    best = max(means.values())
    good = [rule for rule, mean in means.items() if mean >= best - TOLERANCE]
    return min(good, key=lambda rule: (rule.least_probability, rule.smallest_ml)), means


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: choose the rule and write it into the bundle's metadata."""
    parser = argparse.ArgumentParser(description="Choose the enhancement to believe.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    chosen = parser.parse_args(argv)
    logging.basicConfig(format="%(message)s")
    logger.setLevel(logging.INFO)
    folds = folds_to_choose_on(chosen.bundle, held_out_fold(chosen.bundle))
    rule, means = choose(measure(SubregionSegmenter.load(chosen.bundle), chosen.data, folds))
    told = {
        "mean_dice_without": round(means[EnhancementRule()], 4),
        "mean_dice_by_volume": {
            f"{r.smallest_ml:g} mL": round(mean, 4)
            for r, mean in means.items()
            if r.least_probability == rule.least_probability
        },
        "mean_dice_by_probability": {
            f"{r.least_probability:g}": round(mean, 4)
            for r, mean in means.items()
            if r.smallest_ml == rule.smallest_ml
        },
    }
    for name, figures in told.items():
        logger.info("%s: %s", name, figures)
    keep_choice(
        chosen.bundle,
        "enhancement_rule",
        {
            "smallest_enhancing_ml": rule.smallest_ml,
            "least_enhancing_probability": rule.least_probability,
        },
        folds,
        told,
    )
    logger.info("chosen: %g mL, probability %g", rule.smallest_ml, rule.least_probability)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
