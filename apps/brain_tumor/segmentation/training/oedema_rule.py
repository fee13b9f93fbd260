"""Choice of the clean-up rule for small pieces of oedema, on experts' masks of training patients.

    python -m brain_tumor.segmentation.training.oedema_rule --data DIR --bundle DIR

In whole brains nearly every small piece of oedema without core, apart from the tumour, is a false
one; experts draw few of them. The volume is the largest of the candidates with which the rule
would take no more than `ALLOWED_LOSS` of an expert's tumour, mean over patients. No network is
asked, and the held-out fold is not looked at.
"""

from __future__ import annotations

import argparse
import json
import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from brain_tumor.bundles import METADATA
from brain_tumor.errors import InputError
from brain_tumor.labels import LabelArray, from_brats
from brain_tumor.segmentation.cleanup import CleanUpRule, clean_up
from brain_tumor.segmentation.evaluation import held_out_fold
from brain_tumor.segmentation.evaluation_data import CUBE_SPACING_MM
from brain_tumor.segmentation.training.folds import FOLDS, patient_fold

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


def lost_share(labels: LabelArray, smallest_oedema_ml: float) -> float:
    """Share of a tumour that the rule takes beyond what other rules take.

    Args:
        labels: Label values of an expert on the grid of the cubes, not empty.
        smallest_oedema_ml: See `CleanUpRule`.
    """
    sure = np.ones(labels.shape, dtype=np.float32)
    kept = [
        np.count_nonzero(clean_up(labels, sure, VOXEL_ML, CleanUpRule(smallest_oedema_ml=volume)))
        for volume in (0.0, smallest_oedema_ml)
    ]
    return (kept[0] - kept[1]) / np.count_nonzero(labels)


def measure(masks: Sequence[LabelArray]) -> dict[float, Loss]:
    """What every candidate takes from masks, none of them empty."""
    found = {}
    for candidate in CANDIDATES_ML:
        shares = np.array([lost_share(mask, candidate) for mask in masks])
        found[candidate] = Loss(
            round(float(shares.mean()), 5),
            round(float(shares.max()), 4),
            int(np.count_nonzero(shares)),
        )
    return found


def choose(losses: dict[float, Loss]) -> float:
    """Largest candidate whose mean loss is allowed."""
    return max(volume for volume, loss in losses.items() if loss.mean_share <= ALLOWED_LOSS)


def expert_masks(data: Path, folds: Sequence[int]) -> list[npt.NDArray[np.uint8]]:
    """Experts' whole masks of the patients of some folds, empty ones left out."""
    with np.load(data / "brats20/masks128.npz") as file:
        names, masks = file["ids"], file["seg"]
    chosen = [m for n, m in zip(names, masks, strict=True) if patient_fold(str(n)) in folds]
    return [from_brats(mask) for mask in chosen if mask.any()]


def main(argv: Sequence[str] | None = None) -> int:
    """Command line: choose the volume and write it into the bundle's metadata."""
    parser = argparse.ArgumentParser(description="Choose the smallest lone oedema to believe.")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    chosen = parser.parse_args(argv)
    logging.basicConfig(format="%(message)s")
    logger.setLevel(logging.INFO)
    held_out = held_out_fold(chosen.bundle)
    if held_out is None:
        raise InputError("the bundle was trained on every fold; its rule cannot be chosen")
    folds = [fold for fold in range(FOLDS) if fold != held_out]
    masks = expert_masks(chosen.data, folds)
    losses = measure(masks)
    smallest = choose(losses)
    path = chosen.bundle / METADATA
    metadata = json.loads(path.read_text("utf-8"))
    metadata["clean_up"]["smallest_oedema_ml"] = smallest
    metadata["training"]["smallest_oedema_ml"] = {
        "chosen_on": "folds " + ", ".join(str(fold) for fold in folds),
        "patients": len(masks),
        "allowed_loss": ALLOWED_LOSS,
        "lost": {f"{volume:g} mL": asdict(loss) for volume, loss in losses.items()},
    }
    path.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    logger.info("chosen: %g mL", smallest)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
