"""Accuracy over all patients: five networks, each measured on the fifth that it has not seen."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from tqdm import tqdm

from brain_tumor.bundles import read_bundle
from brain_tumor.errors import InputError
from brain_tumor.segmentation.data.cheng_slices import FOLDS
from brain_tumor.segmentation.evaluation.tumor_core import (
    CoreRow,
    evaluate_tumor_core,
    held_out_fold,
    summarise,
    write_rows,
)
from brain_tumor.segmentation.tumor_core.network import CoreNetworkArguments
from brain_tumor.segmentation.tumor_core.segmenter import TumorCoreSegmenter

FIVE_FOLDS = Path("five_folds.json")


def fold_bundles(runs: Path) -> list[Path]:
    """The five bundles of a run, in the order of their folds.

    Args:
        runs: Folder with bundles `fold0` to `fold4`, each trained without its fold.

    Raises:
        ModelError: If one is missing or cannot be read.
        InputError: If one held out other patients.
    """
    bundles = [runs / f"fold{fold}" for fold in range(FOLDS)]
    for fold, bundle in enumerate(bundles):
        held_out = held_out_fold(bundle)
        if held_out != fold:
            raise InputError(
                f"'{bundle.name}' of the run held out fold {held_out}; expected fold {fold}",
                remedy=f"Train it with --fold {fold}.",
            )
    return bundles


def evaluate_run(runs: Path, data: Path, output: Path) -> Path:
    """Measure five bundles on their held-out patients and write the pooled tables.

    Args:
        runs: Folder with bundles `fold0` to `fold4`, each trained without its fold.
        data: Folder with `cheng`, `t1ce_gbm` and `glioma3d`.
        output: JSON file; the table of cases gets the suffix `.csv`. Keys: `folds` (per fold:
            checksum, steps, those of earlier stages, pixel, and the summary of its slices),
            `slices` and `volumes` as of `evaluation.summarise` over the patients of all folds.

    Returns:
        `output`.

    Raises:
        ModelError: If a bundle is missing or damaged.
        InputError: If a bundle held out other patients.
    """
    rows: list[CoreRow] = []
    folds: list[dict[str, Any]] = []
    with tqdm(desc="tumour core", unit="case", file=sys.stderr) as bar:
        for fold, path in enumerate(fold_bundles(runs)):
            bundle = read_bundle(path)
            arguments = CoreNetworkArguments.from_json(bundle.metadata["network"])
            found = evaluate_tumor_core(
                path,
                data,
                fold,
                segmenter=TumorCoreSegmenter.load(path),
                progress=lambda _: bar.update(),
            )
            folds.append(
                {
                    "fold": fold,
                    "sha256": bundle.version.sha256,
                    "steps": bundle.metadata["training"]["steps"],
                    "continued_from_step": bundle.metadata["training"].get(
                        "continued_from_step", 0
                    ),
                    "pixel_mm": arguments.pixel_mm,
                    **summarise(found)["slices"]["all slices"],
                }
            )
            rows += found
    output.parent.mkdir(parents=True, exist_ok=True)
    tables = {"folds": folds, **summarise(rows)}
    output.write_text(json.dumps(tables, indent=1) + "\n", encoding="utf-8")
    write_rows(output.with_suffix(".csv"), rows)
    return output
