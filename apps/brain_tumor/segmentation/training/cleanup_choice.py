"""Clean-up rules that are chosen on the patients of training: which, and how a choice is kept."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from brain_tumor.bundles import METADATA, write_checksums
from brain_tumor.errors import InputError
from brain_tumor.segmentation.data.folds import FOLDS


def folds_to_choose_on(bundle: Path, held_out: int | None) -> list[int]:
    """Folds that the rule of a bundle may be chosen on: all that it is not measured on.

    Args:
        bundle: Folder of the bundle.
        held_out: Fold that it was trained without, or None.

    Raises:
        InputError: If it was trained on every fold.
    """
    if held_out is None:
        raise InputError(f"'{bundle.name}' was trained on every fold; its rule cannot be measured")
    return [fold for fold in range(FOLDS) if fold != held_out]


def keep_choice(
    bundle: Path,
    name: str,
    rule: Mapping[str, float],
    folds: Sequence[int],
    told: Mapping[str, Any],
) -> None:
    """Write a chosen rule and what it was chosen by into the metadata of a bundle.

    Args:
        bundle: Folder of the bundle.
        name: Under which `training` tells of the choice.
        rule: Chosen attributes of the bundle's clean-up rule.
        folds: That they were chosen on.
        told: What the card tells of the choice.
    """
    path = bundle / METADATA
    metadata = json.loads(path.read_text("utf-8"))
    metadata["clean_up"] |= rule
    chosen_on = "folds " + ", ".join(str(fold) for fold in folds)
    metadata["training"][name] = {"chosen_on": chosen_on, **told}
    path.write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    write_checksums(bundle)
