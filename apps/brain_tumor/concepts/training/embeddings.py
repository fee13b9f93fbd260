"""What the frozen image tower says about slices, taken from a run of the hybrid classifier.

The image tower of fold K is the hybrid network of fold K, which has never seen the fold's
patients. A run keeps the embeddings of its held-out slices and of every third slice that it was
trained on, with the expert's outline and with the network's own; prompts train on them in seconds.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np
import numpy.typing as npt

from brain_tumor.classification.predictions import Predictions, load_predictions
from brain_tumor.errors import FileFormatError, NotFoundError
from brain_tumor.segmentation.data.cheng_slices import FOLDS

HELD_OUT = "predictions.npz"
KNOWN = "known.npz"
PLAN = "plan.json"
FINAL = "final"
EXPERT, OWN = 0, 1
"""Outlines of a slice, by position."""


@dataclass(frozen=True, eq=False)
class EmbeddedSlices:
    """Slices as the prompts see them: V outlines each, the expert's first, then the network's.

    Attributes:
        embedding: Frozen image features, (N, V, D).
        features: Measured features, (N, V, F), NaN where missing.
        fused: The hybrid's logits, (N, V, 3).
        truth: Index into `TumorType`, (N,).
        patient: Patient group, (N,).
        cohort: Cohort, (N,).
        index: Number of the slice in the collection, (N,).
    """

    embedding: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32]
    fused: npt.NDArray[np.float32]
    truth: npt.NDArray[np.int64]
    patient: npt.NDArray[np.str_]
    cohort: npt.NDArray[np.str_]
    index: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.truth)

    def subset(self, chosen: npt.NDArray[np.bool_] | npt.NDArray[np.int64]) -> EmbeddedSlices:
        """The chosen slices, by mask or by row."""
        return EmbeddedSlices(*(getattr(self, field.name)[chosen] for field in fields(self)))


@dataclass(frozen=True, eq=False)
class RunPart:
    """One network of a run.

    Attributes:
        names: Ids of its measured features.
        known: Slices of patients that it was trained on.
        held_out: Slices of patients that it has never seen; None for the final network.
    """

    names: tuple[str, ...]
    known: EmbeddedSlices
    held_out: EmbeddedSlices | None


def read_part(run: Path, fold: int | None) -> RunPart:
    """Embeddings of one network of a run of `tumorlens train classification`.

    Args:
        run: Run folder.
        fold: Fold that was kept out, or None for the network trained on all patients.

    Raises:
        NotFoundError: If the network is not trained or its slices were not read.
        FileFormatError: If its plan names no features.
    """
    folder = part_folder(run, fold)
    names = _features(folder)
    if fold is None:
        return RunPart(names, _read(folder / HELD_OUT), None)
    return RunPart(names, _read(folder / KNOWN), _read(folder / HELD_OUT))


def part_folder(run: Path, fold: int | None) -> Path:
    """Folder of one network of a run."""
    return run / (FINAL if fold is None else f"fold{fold}")


def finished_folds(run: Path) -> tuple[int, ...]:
    """Folds that have been trained and read."""
    return tuple(
        fold
        for fold in range(FOLDS)
        if all((part_folder(run, fold) / name).is_file() for name in (HELD_OUT, KNOWN, PLAN))
    )


def embedded(predictions: Predictions) -> EmbeddedSlices:
    """Both readings of each slice side by side."""
    both = (predictions.expert, predictions.own)
    return EmbeddedSlices(
        embedding=np.stack([reading.embedding for reading in both], axis=1),
        features=np.stack([reading.features for reading in both], axis=1),
        fused=np.stack([reading.fused for reading in both], axis=1),
        truth=predictions.truth,
        patient=predictions.patient,
        cohort=predictions.cohort,
        index=predictions.index,
    )


def not_in_run(path: Path) -> NotFoundError:
    """Error of a file that a run should have."""
    return NotFoundError(
        f"the run has no {path.parent.name}/{path.name}",
        remedy="Run `tumorlens train classification` with the same folder first.",
    )


def _read(path: Path) -> EmbeddedSlices:
    if not path.is_file():
        raise not_in_run(path)
    return embedded(load_predictions(path))


def _features(folder: Path) -> tuple[str, ...]:
    path = folder / PLAN
    if not path.is_file():
        raise not_in_run(path)
    names = json.loads(path.read_text(encoding="utf-8")).get("features")
    if not names:
        raise FileFormatError(f"{folder.name}/{PLAN} names no features")
    return tuple(str(name) for name in names)
