"""Probabilities as frequencies and doubt as a warning, worked out by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from brain_tumor.cases.sequences import Sequence
from brain_tumor.labels import Label, Region
from brain_tumor.segmentation.evaluation.data import EvaluationCube
from brain_tumor.segmentation.evaluation.reliability import (
    BINS,
    PatientReliability,
    bin_voxels,
    calibration_error,
    measure_reliability,
    read_patient,
    reliability,
    summarise_reliability,
)

from tests.helpers.evaluation_data import a_patient, some_labels, write_cubes

ALL = tuple(Sequence)


def voxels(*probabilities: tuple[float, float, float, float]) -> np.ndarray:
    return np.array(probabilities, dtype=np.float32).T


def test_voxels_are_counted_by_their_probability() -> None:
    bins = bin_voxels(
        np.array([0.0, 0.25, 0.28, 1.0], np.float32), np.array([False, True, False, True])
    )
    assert bins.shape == (BINS, 3)
    assert bins[0].tolist() == [1, 0, 0]
    assert bins[2] == pytest.approx([2, 0.53, 1])
    assert bins[9].tolist() == [1, 1, 1]  # a probability of 1 belongs to the last bin
    assert bins[:, 0].sum() == 4
    # by hand: |0 - 0| + |0.53 - 1| + |1 - 1| over four voxels
    assert calibration_error(bins) == pytest.approx(0.47 / 4)


def test_the_probability_of_a_region_is_that_of_its_labels() -> None:
    # background, NCR, ED, ET
    found = reliability(voxels((0.35, 0.05, 0.25, 0.35)), np.array([Label.ET], np.uint8))
    assert found.bins[Region.WT][6] == pytest.approx([1, 0.65, 1])
    assert found.bins[Region.TC][4] == pytest.approx([1, 0.40, 1])
    assert found.bins[Region.ET][3] == pytest.approx([1, 0.35, 1])


def test_doubt_that_is_highest_where_the_outline_is_wrong_is_perfect() -> None:
    sure, unsure = (0.01, 0.97, 0.01, 0.01), (0.1, 0.6, 0.2, 0.1)
    right = np.array([Label.NCR, Label.NCR, Label.ED], np.uint8)
    assert reliability(voxels(sure, sure, unsure), right).error_auc == 1
    assert reliability(voxels(unsure, unsure, sure), right).error_auc == 0
    assert reliability(voxels(sure, unsure, sure), right).error_auc == 0.25  # a tie, a loss
    assert reliability(voxels(sure, sure, sure), np.full(3, Label.NCR, np.uint8)).error_auc is None


def test_doubt_is_that_of_the_outline_and_full_where_nothing_is_outlined() -> None:
    half, background = (0.0, 0.5, 0.0, 0.5), (0.6, 0.2, 0.1, 0.1)
    sure = (0.0, 1.0, 0.0, 0.0)
    truth = np.array([Label.NCR, Label.NCR, Label.NCR], np.uint8)
    assert reliability(voxels(half, sure, background), truth).doubt == pytest.approx(0.5)
    assert reliability(voxels(background, background, background), truth).doubt == 1


def test_dice_is_the_mean_of_the_nested_regions() -> None:
    ncr, ed, background = (0.0, 1.0, 0.0, 0.0), (0.0, 0.0, 1.0, 0.0), (1.0, 0.0, 0.0, 0.0)
    truth = np.array([Label.NCR, Label.NCR, Label.ED, Label.BACKGROUND], np.uint8)
    found = reliability(voxels(ncr, ed, ed, background), truth)
    # by hand: WT 3 of 3, TC 1 of 1 and 2, ET empty in both
    assert found.dice == pytest.approx((1 + 2 / 3 + 1) / 3)


class Fixed:
    """Says the same of every voxel and remembers what it was shown."""

    def __init__(self, *probabilities: float) -> None:
        self.probabilities = np.array(probabilities, np.float32)
        self.shown: list[np.ndarray] = []

    def predict_probabilities(self, image: np.ndarray) -> np.ndarray:
        self.shown.append(image)
        return np.broadcast_to(self.probabilities[:, None, None, None], image.shape).copy()


def test_background_of_the_image_does_not_count_and_missing_sequences_are_cleared() -> None:
    image = np.zeros((4, 16, 16, 16), np.float32)
    image[:, 0, 0, :2] = 1
    cube = EvaluationCube("a", "p", image, np.zeros((16, 16, 16), np.uint8))
    model = Fixed(0.75, 0.25, 0, 0)
    found = read_patient(model, [cube, cube], (Sequence.T1C, Sequence.FLAIR))
    assert found.bins[Region.WT][2] == pytest.approx([4, 1, 0])  # two voxels a cube
    assert [channel.any() for channel in model.shown[0]] == [False, True, False, True]


def a_patient_with(bins: list[float], auc: float | None, doubt: float, dice: float):
    full = np.zeros((BINS, 3))
    full[-1] = bins
    return PatientReliability(
        dict.fromkeys((Region.WT, Region.TC, Region.ET), full), auc, doubt, dice
    )


def test_patients_are_pooled_and_ranked() -> None:
    summary = summarise_reliability(
        [
            a_patient_with([3, 3.0, 3], 0.9, 0.1, 0.9),
            a_patient_with([1, 1.0, 0], None, 0.5, 0.4),
            a_patient_with([4, 4.0, 4], 0.7, 0.3, 0.8),
        ]
    )
    region = summary["regions"]["TC"]
    assert region["ece"] == pytest.approx(1 / 8)
    assert region["bins"][-1] == {"voxels": 8, "probability": 1.0, "frequency": 0.875}
    assert region["bins"][0] == {"voxels": 0, "probability": None, "frequency": None}
    assert summary["error_auc"]["mean"] == pytest.approx(0.8)
    assert summary["error_auc"]["undefined"] == 1
    assert summary["doubt_and_dice"] == pytest.approx(-1)
    assert summary["patients"] == 3


def test_one_patient_has_neither_interval_nor_rank() -> None:
    summary = summarise_reliability([a_patient_with([3, 3.0, 3], 0.9, 0.1, 0.9)])
    assert summary["regions"]["WT"]["ci95"] is None
    assert summary["doubt_and_dice"] is None


def test_the_cubes_of_a_patient_are_taken_as_one(tmp_path: Path) -> None:
    one, other = a_patient(1), a_patient(1, 1)
    write_cubes(
        tmp_path,
        {
            f"{one}_lesion1": some_labels(),
            f"{other}_lesion1": some_labels(),
            f"{one}_lesion2": some_labels(),
        },
    )
    tables = measure_reliability(Fixed(0.25, 0.25, 0.25, 0.25), tmp_path, 1)
    assert [table["sequences"] for table in tables] == ["t1+t1c+t2+flair", "t1c+flair"]
    assert [table["patients"] for table in tables] == [2, 2]
