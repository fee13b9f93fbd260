"""Slices of the collection read with the outlines of the product, which has not seen them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from brain_tumor.bundles import ModelVersion
from brain_tumor.classification.predictions import (
    Predictions,
    join,
    predict_collection,
    segmenter_outlines,
)
from brain_tumor.classification.training.run import load_run, run_features
from brain_tumor.errors import InputError
from brain_tumor.segmentation.data.cheng_slices import cheng_slices_of_fold
from brain_tumor.segmentation.evaluation.tumor_core import held_out_fold
from brain_tumor.segmentation.tumor_core.segmenter import TumorCoreSegmenter


@dataclass(frozen=True, eq=False)
class Segmented:
    """Slices read with outlines of segmenters that have not seen them.

    Attributes:
        models: The segmenters.
        held_out: Fold that each has not seen.
        folds: Fold of each slice, (N,).
        predictions: `own` is read with the segmenter's outline.
    """

    models: tuple[ModelVersion, ...]
    held_out: tuple[int, ...]
    folds: npt.NDArray[np.int64]
    predictions: Predictions


def outline_with_segmenters(run: Path, data: Path, cores: Sequence[Path]) -> Segmented:
    """Read slices with the outlines of tumour-core segmenters, on patients that neither has seen.

    Args:
        run: Run folder with five folds.
        data: Folder with `cheng`.
        cores: Tumour-core bundles, each with another fold held out: the one that ships, or the
            five of a five-fold run.

    Raises:
        InputError: If a bundle was trained on every fold.
    """
    models, held_out, read = [], [], []
    for core in cores:
        segmenter = TumorCoreSegmenter.load(core)
        fold = held_out_fold(core)
        if fold is None:
            raise InputError("the tumour-core bundle has seen every patient; no fold is left")
        models.append(segmenter.version)
        held_out.append(fold)
        part = run / f"fold{fold}"
        read.append(
            predict_collection(
                load_run(part),
                run_features(part),
                data,
                cheng_slices_of_fold(data, fold),
                outliner=segmenter_outlines(segmenter),
            )
        )
    folds = np.concatenate([np.full(len(p), f) for f, p in zip(held_out, read, strict=True)])
    return Segmented(tuple(models), tuple(held_out), folds, join(read))
