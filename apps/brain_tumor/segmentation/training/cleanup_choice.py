"""Clean-up rules that are chosen on the patients of training: which, and how a choice is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from brain_tumor.bundles import METADATA
from brain_tumor.errors import InputError
from brain_tumor.segmentation.evaluation import held_out_fold
from brain_tumor.segmentation.training.folds import FOLDS


def folds_to_choose_on(bundle: Path) -> list[int]:
    """Folds that a bundle was trained on.

    Raises:
        InputError: If it was trained on every fold.
        ModelError: If the bundle cannot be read.
    """
    held_out = held_out_fold(bundle)
    if held_out is None:
        raise InputError("the bundle was trained on every fold; its rule cannot be measured")
    return [fold for fold in range(FOLDS) if fold != held_out]


def keep_choice(
    bundle: Path, rule: str, volume_ml: float, folds: Sequence[int], told: Mapping[str, Any]
) -> None:
    """Write a chosen volume and what it was chosen by into the metadata of a bundle.

    Args:
        bundle: Folder of the bundle.
        rule: Attribute of `CleanUpRule`.
        volume_ml: Chosen.
        folds: That it was chosen on.
        told: What the card tells of the choice.
    """
    path = bundle / METADATA
    metadata = json.loads(path.read_text("utf-8"))
    metadata["clean_up"][rule] = volume_ml
    chosen_on = "folds " + ", ".join(str(fold) for fold in folds)
    metadata["training"][rule] = {"chosen_on": chosen_on, **told}
    path.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
