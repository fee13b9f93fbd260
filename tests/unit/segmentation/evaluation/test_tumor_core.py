import json
from dataclasses import replace

import numpy as np
import pytest
from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.errors import FileFormatError, NotFoundError
from brain_tumor.labels import Label, LabelScheme, Region
from brain_tumor.segmentation.cards.tumor_core import pages_of, render_pages, take_over_run
from brain_tumor.segmentation.data.cheng_slices import CHENG_PIXEL_MM, ChengSlice, volume_fold
from brain_tumor.segmentation.evaluation import tumor_core as evaluation
from brain_tumor.segmentation.evaluation.tumor_core import (
    _cheng_rows,
    _volume_rows,
    summarise,
    write_rows,
)
from brain_tumor.segmentation.evaluation.tumor_core_cases import (
    estimate_plane,
    read_reference,
    slice_case,
)
from brain_tumor.segmentation.result import SegmentationResult
from brain_tumor.segmentation.tumor_core.slices import Plane

from tests.helpers.core_scores import A_ROW, A_VOLUME, metadata_and_metrics


def test_the_mean_counts_slices_and_the_patient_mean_counts_patients():
    rows = [replace(A_ROW, dice=d, patient=p) for d, p in [(0.9, "a"), (0.8, "a"), (0.1, "b")]]
    summary = summarise(rows)["slices"]["all slices"]
    assert summary["dice_mean"] == pytest.approx(0.6)
    assert summary["dice_mean_of_patients"] == pytest.approx((0.85 + 0.1) / 2)
    assert summary["dice_median"] == pytest.approx(0.8)
    assert summary["share_below_half"] == pytest.approx(1 / 3)
    assert (summary["slices"], summary["patients"]) == (3, 2)
    assert summary["dice_mean_ci95"] == [pytest.approx(0.1), pytest.approx(0.85)]


def test_missed_slices_stay_in_the_mean():
    missed = replace(A_ROW, dice=0.0, sensitivity=0.0, precision=0.0, hd95_mm=40.0)
    summary = summarise([A_ROW, missed])["slices"]["all slices"]
    assert summary["missed"] == 1
    assert summary["dice_mean"] == pytest.approx(0.4)
    assert summary["hd95_mm_median"] == pytest.approx(21.0)
    assert summary["precision_mean"] == pytest.approx(0.45)
    assert summary["surface_dice_mean"] == pytest.approx(0.75)


def test_subgroups_hold_their_own_slices_and_volumes_stay_apart():
    rows = [
        A_ROW,
        replace(A_ROW, cohort="MR", dice=0.6),
        replace(A_ROW, tumor_type="pituitary", plane="sagittal", reference_size=120.0, dice=0.4),
        A_VOLUME,
    ]
    summary = summarise(rows)
    means = {name: group["dice_mean"] for name, group in summary["slices"].items()}
    assert means == pytest.approx(
        {
            "all slices": 0.6,
            "glioma, numeric cohort": 0.8,
            "glioma, MR cohort": 0.6,
            "glioma": 0.7,
            "pituitary": 0.4,
            "axial (estimated)": 0.7,
            "sagittal (estimated)": 0.4,
            "under 300 mm2": 0.4,
        }
    )
    assert [volume["case"] for volume in summary["volumes"]] == ["btp_01_pre"]


def a_head(rows, columns, *, neck=False, lopsided=False):
    i, j = np.indices((256, 256))
    head = ((i - 120) / rows) ** 2 + ((j - 128) / columns) ** 2 < 1
    if neck:
        head |= (i > 120) & (np.abs(j - 128) < 60)
    if lopsided:
        head[200:, 128:] = False
    image = np.where(head, 100.0, 0.0)
    image += head * (40 * np.sin((j - 128) / 9.0) if lopsided else 40 * np.cos((j - 128) / 9.0))
    return image.clip(0, 255).astype(np.uint8)


def test_planes_are_estimated_from_the_outline_of_the_head():
    assert estimate_plane(a_head(95, 75)) is Plane.AXIAL
    assert estimate_plane(a_head(100, 75, neck=True)) is Plane.CORONAL
    assert estimate_plane(a_head(105, 112, neck=True, lopsided=True)) is Plane.SAGITTAL


def test_a_slice_becomes_a_case_whose_display_is_the_slice():
    picture = np.arange(12, dtype=np.uint8).reshape(3, 4)
    case = slice_case("one", picture, 0.5)
    assert case.shape == (4, 3, 1)
    assert case.spacing_mm == pytest.approx((0.5, 0.5, 6.0))
    np.testing.assert_array_equal(case.volumes[case.reference].array[:, :, 0].T, picture)


def test_whole_cases_go_back_to_their_original_grid(tmp_path):
    folder = tmp_path / "glioma3d"
    folder.mkdir()
    image, seg = np.full((2, 3, 2), 9, dtype=np.uint8), np.zeros((2, 3, 2), dtype=np.uint8)
    seg[0, 0, 0], seg[1, 0, 0], seg[0, 1, 0] = 4, 2, 3
    affine = np.diag([-1.0, -1.0, 1.0, 1.0])
    affine[:3, 3] = (-4.0, 95.0, 6.0)  # of the cropped array: voxel 0 is voxel (4, 5, 6)
    np.savez(
        folder / "case.npz",
        image=image[None],
        seg=seg,
        affine=affine,
        modalities=np.array(["t1ce"]),
        orig_shape=np.array((10, 12, 14)),
        crop_lo=np.array((4, 5, 6)),
    )
    volume, core, ignored = read_reference(folder / "case.npz")
    assert volume.shape == (10, 12, 14)
    assert volume.array[4:6, 5:8, 6:8].min() == 9
    assert np.count_nonzero(volume.array) == 12
    np.testing.assert_array_equal(np.argwhere(core), [[4, 5, 6], [4, 6, 6]])
    assert not ignored.any()
    np.testing.assert_allclose(volume.affine[:3, 3], [0.0, 100.0, 0.0])


class OutlinesEverythingBright:
    """A segmenter whose outline is every voxel above 50."""

    version = ModelVersion("stub", "0", "0")

    def segment(self, case: Case, *, mirrored: bool = False) -> SegmentationResult:
        bright = case.volumes[case.reference].array > 50
        labelmap = np.where(bright, np.uint8(Label.CORE), np.uint8(0))
        return SegmentationResult(
            labelmap, LabelScheme.CORE, self.version, "stub", {Region.TC: 0.0}
        )


def test_the_inside_of_a_rim_counts_neither_for_nor_against(tmp_path):
    folder = tmp_path / "t1ce_gbm"
    folder.mkdir()
    (tmp_path / "glioma3d").mkdir()
    image, seg = np.zeros((20, 20, 3), dtype=np.uint8), np.zeros((20, 20, 3), dtype=np.uint8)
    image[5:12, 5:12, 1] = 200  # the outline: rim and what it encloses
    seg[5:12, 5:12, 1] = 1
    seg[7:10, 7:10, 1] = 0
    np.savez(
        folder / "btp_01_pre.npz",
        image=image[None],
        seg=seg,
        affine=np.diag([-1.0, -1.0, 1.0, 1.0]),
        modalities=np.array(["t1ce"]),
    )
    fold = volume_fold("btp_01_pre")
    (row,) = _volume_rows(tmp_path, fold, OutlinesEverythingBright(), None)
    assert row.dice == 1.0
    assert row.patient == "btp_01"
    # 40 voxels of 0.94 x 0.94 x 6 mm.
    assert row.reference_size == pytest.approx(40 * 0.94 * 0.94 * 6 / 1000)
    assert list(_volume_rows(tmp_path, fold + 1, OutlinesEverythingBright(), None)) == []


def test_a_slice_that_is_missed_gets_the_worst_scores_of_the_common_policy(tmp_path, monkeypatch):
    mask = np.zeros((30, 40), dtype=bool)
    mask[5:10, 5:15] = True
    entry = ChengSlice(7, "a", "glioma", "MR", 512)
    monkeypatch.setattr(evaluation, "cheng_slices_of_fold", lambda *_: [entry])
    monkeypatch.setattr(evaluation, "read_cheng_slice", lambda *_: (mask * 0, mask))
    (row,) = _cheng_rows(tmp_path, 0, OutlinesEverythingBright(), None)
    assert (row.dice, row.iou, row.surface_dice, row.precision) == (0.0, 0.0, 0.0, 0.0)
    assert row.hd95_mm == pytest.approx(50 * CHENG_PIXEL_MM)  # 30, 40, 50
    assert row.specificity == 1.0
    assert row.lesion_dice is None


def test_a_slice_is_scored_in_its_plane(tmp_path, monkeypatch):
    # Ten rows of the reference, ten of the outline, six in common; four rows apart at the ends.
    picture, mask = np.zeros((40, 3)), np.zeros((40, 3), dtype=bool)
    mask[10:20] = True
    picture[14:24] = 200
    entry = ChengSlice(7, "a", "glioma", "MR", 512)
    monkeypatch.setattr(evaluation, "cheng_slices_of_fold", lambda *_: [entry])
    monkeypatch.setattr(evaluation, "read_cheng_slice", lambda *_: (picture, mask))
    (row,) = _cheng_rows(tmp_path, 0, OutlinesEverythingBright(), None)
    assert (row.dice, row.iou) == (pytest.approx(0.6), pytest.approx(12 / 28))
    assert row.hd95_mm == pytest.approx(4 * CHENG_PIXEL_MM)
    assert row.specificity == pytest.approx(26 / 30)


def test_the_table_of_cases_has_one_line_each(tmp_path):
    write_rows(tmp_path / "rows.csv", [A_ROW, A_VOLUME])
    lines = (tmp_path / "rows.csv").read_text().splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("case,collection,patient,")
    assert lines[2].startswith("btp_01_pre,t1ce_gbm,a,")


def test_the_card_holds_the_numbers_of_the_metrics_file():
    card = render_pages(*metadata_and_metrics()).experiments
    assert "| glioma, numeric cohort | 1 | 1 | 0.800 (0.800-0.800) | 0.800 |" in card
    volume = "| btp_01_pre | t1ce_gbm | 500.0 | 400.0 | 0.800 | 0.700 | 0.900 | 2.0 |"
    assert f"{volume} 0.750 | 0.600 | 0.25 |" in card
    assert "Dice 0.9987" in card
    assert "trained without fold 0 of 5 by patient" in card
    short = render_pages(*metadata_and_metrics()).card
    assert "| glioma, numeric cohort | 1 | 0.800 (0.800-0.800) | 0 of 1 |" in short
    assert "Not a medical device" in short


def test_the_card_says_when_the_patients_measured_were_seen_in_training():
    metadata, metrics = metadata_and_metrics()
    honest = render_pages(metadata, metrics)
    leaking = render_pages(metadata, {**metrics, "seen_in_training": True})
    for before, after in ((honest.card, leaking.card), (honest.experiments, leaking.experiments)):
        assert "not a measure of accuracy" not in " ".join(before.split())
        assert "not a measure of accuracy" in " ".join(after.split())


def test_the_card_admits_what_was_decided_on_the_fold_it_reports():
    metadata, metrics = metadata_and_metrics()
    card = render_pages(metadata, metrics).experiments
    assert "this kind of network was chosen" in card
    metadata["training"] |= {"continued_from_step": 40}
    card = render_pages(metadata, metrics).experiments
    assert "first 40 steps were a stage" in card
    assert "as validation" in card


def test_the_card_tells_where_the_clean_up_rule_comes_from():
    metadata, metrics = metadata_and_metrics()
    assert "were set beforehand" in render_pages(metadata, metrics).experiments
    rule = {"threshold": 0.5, "smallest_share": 0.1, "least_peak": 0.7}
    before = {"rule": rule, "patients": 0.7, "volumes": 0.6, "outlined_free": 0.1}
    chosen = {"rule": rule | {"threshold": 0.4}, "patients": 0.75, "volumes": 0.61}
    metadata["training"]["clean_up"] = {
        "chosen_on": "folds 1, 2",
        "chosen": chosen | {"outlined_free": 0.05},
        "set_beforehand": before,
    }
    card = render_pages(metadata, metrics).experiments
    assert "were set beforehand" not in card
    assert "chosen on folds 1, 2" in card
    same = metadata | {"training": metadata["training"] | {"clean_up": None}}
    same["training"]["clean_up"] = {"chosen_on": "folds 1, 2", "chosen": before}
    same["training"]["clean_up"]["set_beforehand"] = before
    assert (
        "were set beforehand. Compared with others on folds 1, 2"
        in render_pages(same, metrics).experiments
    )
    assert "patients there 0.750 instead of 0.700, of volumes 0.610 instead of 0.600" in card
    assert "outlined 5.0 % instead of 10.0 %" in card


def test_the_pages_are_made_from_the_files_of_the_bundle(tmp_path):
    metadata, metrics = metadata_and_metrics()
    with pytest.raises(NotFoundError):
        pages_of(tmp_path)
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/metadata.json").write_text(json.dumps(metadata))
    (tmp_path / "metrics.json").write_text(json.dumps(metrics))
    assert pages_of(tmp_path) == render_pages(metadata, metrics)
    (tmp_path / "metrics.json").write_text("{}")
    with pytest.raises(FileFormatError):
        pages_of(tmp_path)


def test_an_unfinished_training_is_not_taken_over(tmp_path):
    with pytest.raises(NotFoundError, match="run folder"):
        take_over_run(tmp_path, tmp_path / "bundle")
