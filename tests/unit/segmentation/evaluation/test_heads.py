"""Tables of heads with and without a tumour."""

from dataclasses import replace

import numpy as np
import pytest
from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import VolumeError
from brain_tumor.labels import Label, LabelScheme
from brain_tumor.segmentation.data.lgg import Head
from brain_tumor.segmentation.evaluation import heads as module
from brain_tumor.segmentation.evaluation.heads import (
    FREE_SLICE_MM2,
    evaluate_heads,
    summarise_heads,
)
from brain_tumor.segmentation.presence import Presence
from brain_tumor.segmentation.result import SegmentationResult

MODEL = ModelVersion("m", "1.0.0", "00")


class Fixed:
    """Outlines one box whatever it is given; refuses a lone flair."""

    version = MODEL

    def segment(self, case, *, mirrored=False):
        if case.present == (Sequence.FLAIR,):
            raise VolumeError("too little")
        labelmap = np.zeros(case.shape, dtype=np.uint8)
        labelmap[:10, :10, 1:3] = Label.ED
        return SegmentationResult(
            labelmap, LabelScheme.SUBREGIONS, MODEL, "r", {}, presence=Presence(0.7, 0.2)
        )


def head():
    """Tumour of 10 x 20 voxels of 2 x 2 x 5 mm in slice 1 of four."""
    volume = Volume(np.ones((20, 20, 4), np.float32), np.diag([2.0, 2.0, 5.0, 1.0]))
    drawn = np.zeros((20, 20, 4), dtype=bool)
    drawn[:10, :20, 1] = True
    case = Case("h", Sequence.FLAIR, {Sequence.T1: volume, Sequence.FLAIR: volume})
    return Head("h", "p", case, drawn)


@pytest.fixture
def rows(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "heads_of_fold", lambda data, fold: iter([head()]))
    monkeypatch.setattr(module, "healthy_of_fold", lambda data, fold: iter([head().case]))
    return evaluate_heads(Fixed(), tmp_path, fold=0).rows


def test_scores_by_hand(rows):
    complete, lone_flair, thin, healthy = rows
    # drawn 200, outlined 2 slices of 100, shared 100 voxels
    assert complete.dice == pytest.approx(2 * 100 / 400)
    assert complete.tumour_ml == pytest.approx(200 * 20 / 1000)
    assert complete.predicted_ml == pytest.approx(4.0)
    assert complete.presence == pytest.approx(0.7)
    # slices 0, 2 and 3 are free; 100 voxels of 4 mm2 are outlined on slice 2
    assert (complete.free_slices, complete.free_slices_outlined) == (3, 1)
    assert FREE_SLICE_MM2 < 100 * 4
    assert lone_flair.sequences == "flair"
    assert lone_flair.dice == 0.0
    assert "too little" in lone_flair.failure
    # slices 0 to 2 as a case of their own: the box lies in both its last slices
    assert (thin.collection, thin.sequences) == ("thin_slabs", "t1+flair")
    assert thin.dice == pytest.approx(2 * 100 / 400)
    assert healthy.dice is None
    assert healthy.predicted_ml == pytest.approx(4.0)


def test_summary_by_hand(rows):
    found = summarise_heads(rows)
    groups = {group["name"]: group for group in found["heads"]["groups"]}
    assert groups["all"]["cases"] == 1
    assert groups["all"]["dice"]["mean"] == pytest.approx(0.5)
    assert groups["all"]["under_half"] == 0.0
    assert groups["tumour under 10 mL"]["cases"] == 1
    assert "slices of 5 mm or more" in groups
    assert "slices under 5 mm" not in groups
    assert [s["sequences"] for s in found["heads"]["subsets"]] == ["t1+flair", "flair"]
    assert found["heads"]["subsets"][1]["called_empty"] == 1.0
    assert found["free_slices"] == {"slices": 3, "outlined": pytest.approx(1 / 3)}
    assert found["healthy"]["silent"] == 0.0
    assert found["thin_slabs"]["cases"] == 1
    assert found["free_slabs"] == {"cases": 0, "silent": None, "largest_ml": None}


def test_silence_counts_under_a_millilitre(rows):
    quiet = replace(rows[-1], predicted_ml=0.99)
    assert summarise_heads([rows[-1], quiet])["healthy"]["silent"] == 0.5


def test_slices_far_from_the_tumour_are_read_as_a_case_without_one(monkeypatch, tmp_path):
    volume = Volume(np.ones((20, 20, 9), np.float32), np.diag([2.0, 2.0, 5.0, 1.0]))
    drawn = np.zeros((20, 20, 9), dtype=bool)
    drawn[:, :, 0] = True
    tall = Head("h", "p", Case("h", Sequence.T1, {Sequence.T1: volume}), drawn)
    monkeypatch.setattr(module, "heads_of_fold", lambda data, fold: iter([tall]))
    monkeypatch.setattr(module, "healthy_of_fold", lambda data, fold: iter([]))
    rows = evaluate_heads(Fixed(), tmp_path, fold=0).rows
    assert [row.collection for row in rows] == ["heads", "thin_slabs", "free_slabs"]
    # slices 2 to 8 are left; in two of them 100 voxels of 20 mm3 are outlined
    assert (rows[2].dice, rows[2].free_slices) == (None, 7)
    found = summarise_heads(rows)
    assert found["free_slabs"] == {"cases": 1, "silent": 0.0, "largest_ml": pytest.approx(4.0)}
    assert found["free_slices"]["slices"] == 8  # those of the whole head alone
