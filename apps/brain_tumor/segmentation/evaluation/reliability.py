"""Whether a network's probabilities can be read as frequencies, and its doubt as a warning.

Measured on the voxels of lesion cubes that are not background of the image. Voxels of a cube
resemble each other, so every interval is over patients.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from brain_tumor.cases.sequences import Sequence as MriSequence
from brain_tumor.cases.volume import ScalarArray
from brain_tumor.labels import (
    REGION_LABELS,
    Label,
    LabelArray,
    Region,
    region_mask,
)
from brain_tumor.segmentation.evaluation.data import EvaluationCube, read_cubes
from brain_tumor.segmentation.evaluation.patient_scores import NESTED
from brain_tumor.segmentation.evaluation.rows import join_sequences
from brain_tumor.segmentation.evaluation.summary import patient_statistics, resamples
from brain_tumor.segmentation.metrics.overlap import dice
from brain_tumor.segmentation.subregions.inference import entropy_bits

BINS = 10
SUBSETS = (tuple(MriSequence), (MriSequence.T1C, MriSequence.FLAIR))

Array = npt.NDArray[np.float64]


class CubePredictor(Protocol):
    """Anything that gives class probabilities of normalised voxels directly."""

    def predict_probabilities(self, image: ScalarArray) -> ScalarArray:
        """Probabilities, shape (4, I, J, K), of normalised intensities of that shape."""


@dataclass(frozen=True, eq=False)
class PatientReliability:
    """What all cubes of one patient say.

    Attributes:
        bins: Per region shape (BINS, 3): voxels, sum of their probabilities, those in the region.
        error_auc: How well doubt tells wrong voxels from right ones: 0.5 is chance, 1 perfect;
            None if none is wrong, or all are.
        doubt: Mean entropy in bits of the voxels outlined as tumour; 1 if there is none.
        dice: Mean Dice of the nested regions.
    """

    bins: dict[Region, Array]
    error_auc: float | None
    doubt: float
    dice: float


def measure_reliability(
    model: CubePredictor,
    data: Path,
    fold: int | None,
    subsets: Sequence[tuple[MriSequence, ...]] = SUBSETS,
) -> list[dict[str, Any]]:
    """Reliability on the lesion cubes of a fold, per subset of sequences.

    Args:
        model: It must not have seen the patients of the fold.
        data: Folder with `brats20`.
        fold: Fold of patients, or None for all.
        subsets: What the model is given in turn; patients who lack a part of it are left out.

    Returns:
        For each subset that somebody has, what `summarise_reliability` returns and `sequences`.

    Raises:
        FileFormatError: If a file is damaged.
    """
    cubes = sorted(read_cubes(data, fold), key=lambda cube: cube.patient)
    tables = []
    for given in subsets:
        patients = [
            read_patient(model, list(own), given)
            for _patient, own in groupby(
                (cube for cube in cubes if set(given) <= set(cube.present)),
                key=lambda cube: cube.patient,
            )
        ]
        if patients:
            tables.append({"sequences": join_sequences(given), **summarise_reliability(patients)})
    return tables


def read_patient(
    model: CubePredictor, cubes: Sequence[EvaluationCube], given: tuple[MriSequence, ...]
) -> PatientReliability:
    """Reliability on the cubes of one patient, taken as one."""
    probabilities, truth = [], []
    for cube in cubes:
        inside = cube.image.any(axis=0)
        probabilities.append(model.predict_probabilities(cube.reduced(given))[:, inside])
        truth.append(cube.labels[inside])
    return reliability(np.concatenate(probabilities, axis=1), np.concatenate(truth))


def reliability(probabilities: ScalarArray, truth: LabelArray) -> PatientReliability:
    """Reliability of the voxels of one patient.

    Args:
        probabilities: (4, N), classes in the order of `Label`.
        truth: Label values, (N,).
    """
    found = probabilities.argmax(axis=0)
    doubt = entropy_bits(torch.from_numpy(probabilities)).numpy()
    wrong = found != truth
    tumour = found != Label.BACKGROUND
    return PatientReliability(
        bins={
            region: bin_voxels(
                probabilities[_classes(region)].sum(axis=0), region_mask(truth, region)
            )
            for region in NESTED
        },
        error_auc=float(roc_auc_score(wrong, doubt)) if 0 < wrong.sum() < len(wrong) else None,
        doubt=float(doubt[tumour].mean()) if tumour.any() else 1.0,
        dice=float(np.mean([dice(region_mask(found, r), region_mask(truth, r)) for r in NESTED])),
    )


def bin_voxels(probability: ScalarArray, inside: npt.NDArray[np.bool_]) -> Array:
    """Voxels by probability, over equally wide bins of it.

    Args:
        probability: Of the region, (N,).
        inside: Whether the voxel is in the region, (N,).

    Returns:
        Shape (BINS, 3): voxels, sum of their probabilities, those in the region.
    """
    place = np.minimum((probability * BINS).astype(int), BINS - 1)
    weights = (None, probability, inside)
    return np.stack([np.bincount(place, w, minlength=BINS) for w in weights], axis=1).astype(float)


def calibration_error(bins: Array) -> float:
    """Mean distance between probability and frequency, each bin weighing its voxels.

    Args:
        bins: Shape (BINS, 3), see `bin_voxels`.

    References:
        Naeini et al. 2015, doi:10.1609/aaai.v29i1.9602.
    """
    voxels, said, inside = bins.T
    return float(np.abs(said - inside).sum() / voxels.sum())


def summarise_reliability(patients: Sequence[PatientReliability]) -> dict[str, Any]:
    """Reliability over patients; their voxels are pooled.

    Returns:
        `patients`; per region in `regions` the expected calibration error `ece`, its interval
        `ci95` (bootstrap over patients, None for one) and `bins` with `voxels`, mean
        `probability` and `frequency` (None if empty); statistics over patients of `error_auc`;
        `doubt_and_dice`, the rank correlation of a patient's doubt with the Dice of the outline
        (-1: doubt ranks outlines perfectly; None if undefined).
    """
    regions = {}
    for region in NESTED:
        each = np.stack([patient.bins[region] for patient in patients])
        regions[region.value] = {
            "ece": calibration_error(each.sum(axis=0)),
            "ci95": _interval(each),
            "bins": list(_described(each.sum(axis=0))),
        }
    names = [str(index) for index in range(len(patients))]
    return {
        "patients": len(patients),
        "regions": regions,
        "error_auc": patient_statistics(names, [patient.error_auc for patient in patients]),
        "doubt_and_dice": _rank_correlation(patients),
    }


def _classes(region: Region) -> list[int]:
    return [
        int(label) for label in (Label.NCR, Label.ED, Label.ET) if label in REGION_LABELS[region]
    ]


def _interval(each: Array) -> list[float] | None:
    """Percentile bootstrap over patients of the pooled error."""
    if len(each) < 2:
        return None
    errors = [calibration_error(each[drawn].sum(axis=0)) for drawn in resamples(len(each))]
    low, high = np.percentile(errors, [2.5, 97.5])
    return [float(low), float(high)]


def _described(bins: Array) -> Iterable[dict[str, Any]]:
    for voxels, said, inside in bins:
        yield {
            "voxels": int(voxels),
            "probability": said / voxels if voxels else None,
            "frequency": inside / voxels if voxels else None,
        }


def _rank_correlation(patients: Sequence[PatientReliability]) -> float | None:
    doubts, scores = [p.doubt for p in patients], [p.dice for p in patients]
    if len(set(doubts)) < 2 or len(set(scores)) < 2:
        return None
    return float(spearmanr(doubts, scores).statistic)
