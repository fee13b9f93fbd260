"""Choice of the clean-up rule for small pieces of oedema, on experts' masks of training patients.

    python -m brain_tumor.segmentation.training.subregions.oedema_rule --data DIR --bundle DIR

In whole brains nearly every small piece of oedema without core, apart from the tumour, is a false
one; experts draw few of them. The volume is the largest of the candidates with which the rule
would take no more than `ALLOWED_LOSS` of an expert's tumour, mean over patients. No network is
asked, and the held-out fold is not looked at.
"""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from brain_tumor.labels import LabelArray
from brain_tumor.segmentation.data.brats import load_masks
from brain_tumor.segmentation.data.folds import patient_fold
from brain_tumor.segmentation.evaluation.data import CUBE_SPACING_MM
from brain_tumor.segmentation.evaluation.evaluation import held_out_fold
from brain_tumor.segmentation.subregions.cleanup import CleanUpRule, clean_up
from brain_tumor.segmentation.training.cleanup_choice import folds_to_choose_on, keep_choice

logger = logging.getLogger(__name__)

CANDIDATES_ML = (0.0, 0.25, 0.5, 1.0, 2.0, 3.0, 5.0)
ALLOWED_LOSS = 0.002
VOXEL_ML = float(np.prod(CUBE_SPACING_MM)) / 1000.0


@dataclass(frozen=True)
class Loss:
    """What a rule takes from experts' masks.

    Attributes:
        mean_share: Of the tumour, mean over patients.
        largest_share: Of the tumour of the patient who loses most.
        patients: How many lose anything.
    """

    mean_share: float
    largest_share: float
    patients: int


def lost_shares(labels: LabelArray, volumes_ml: Sequence[float]) -> list[float]:
    """Share of a tumour that the rule takes beyond what other rules take, by its volume.

    Args:
        labels: Label values of an expert on the grid of the cubes, not empty.
        volumes_ml: See `CleanUpRule.smallest_oedema_ml`.
    """
    sure = np.ones(labels.shape, dtype=np.float32)
    kept, *left = (
        np.count_nonzero(clean_up(labels, sure, VOXEL_ML, CleanUpRule(smallest_oedema_ml=volume)))
        for volume in (0.0, *volumes_ml)
    )
    return [(kept - one) / np.count_nonzero(labels) for one in left]


def measure(masks: Sequence[LabelArray]) -> dict[float, Loss]:
    """What every candidate takes from masks, none of them empty."""
    shares = np.array([lost_shares(mask, CANDIDATES_ML) for mask in masks])
    return {
        candidate: Loss(
            round(float(lost.mean()), 5), round(float(lost.max()), 4), int(np.count_nonzero(lost))
        )
        for candidate, lost in zip(CANDIDATES_ML, shares.T, strict=True)
    }


def choose(losses: dict[float, Loss]) -> float:
    """Largest candidate whose mean loss is allowed."""
    return max(volume for volume, loss in losses.items() if loss.mean_share <= ALLOWED_LOSS)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: choose the volume and write it into the bundle's metadata."""
    parser = argparse.ArgumentParser(description="Choose the smallest lone oedema to believe.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    chosen = parser.parse_args(argv)
    logging.basicConfig(format="%(message)s")
    logger.setLevel(logging.INFO)
    folds = folds_to_choose_on(chosen.bundle, held_out_fold(chosen.bundle))
    whole = load_masks(chosen.data)
    masks = [m for patient, m in whole.items() if patient_fold(patient) in folds and m.any()]
    losses = measure(masks)
    smallest = choose(losses)
    told = {
        "patients": len(masks),
        "allowed_loss": ALLOWED_LOSS,
        "lost": {f"{volume:g} mL": asdict(loss) for volume, loss in losses.items()},
    }
    name = "smallest_oedema_ml"
    keep_choice(chosen.bundle, name, {name: smallest}, folds, told)
    logger.info("chosen: %g mL", smallest)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
