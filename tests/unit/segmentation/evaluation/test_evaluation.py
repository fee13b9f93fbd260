"""The evaluation of sub-region models on folders that are written for the purpose."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from brain_tumor.cases.sequences import Sequence
from brain_tumor.errors import FileFormatError, LabelError, NotFoundError, VolumeError
from brain_tumor.labels import Label, LabelArray
from brain_tumor.segmentation.data.brats import load_cubes
from brain_tumor.segmentation.evaluation.data import count_cases, read_cubes, read_wholes
from brain_tumor.segmentation.evaluation.evaluation import (
    SUBSETS,
    EvaluationReport,
    evaluate_bundle,
    evaluate_segmentation,
)
from brain_tumor.segmentation.evaluation.rows import CaseRow, read_rows
from brain_tumor.segmentation.evaluation.summary import (
    bootstrap_interval,
    patient_statistics,
    resamples,
    summarise,
)
from brain_tumor.segmentation.subregions.cleanup import CleanUpRule
from brain_tumor.segmentation.subregions.networks import build_unet
from brain_tumor.segmentation.training.subregions.export import export_bundle
from brain_tumor.segmentation.training.subregions.train import TrainingPlan

from tests.helpers.evaluation_data import (
    EXPERT,
    TWO,
    WEAK,
    WHOLE_LOW,
    WHOLE_SHAPE,
    ALegibleModel,
    a_patient,
    in_brats,
    sequences_given,
    some_labels,
    write_cubes,
    write_twins,
    write_whole,
)

REGIONS = ("WT", "TC", "ET", "NCR", "ED")


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Fold 0: two cubes of one patient, one cube without enhancement, a two-sequence case.

    Fold 1: one cube, a four-sequence case. A weak case in fold 0.
    """
    first, second, other = a_patient(0), a_patient(0, 1), a_patient(1)
    folder = tmp_path / "data"
    write_cubes(
        folder,
        {
            f"{first}_lesion1": some_labels(),
            f"{first}_lesion2": some_labels(),
            f"{second}_lesion3": some_labels(enhancing=False),
            f"{other}_lesion4": some_labels(),
        },
    )
    write_whole(folder, "two_sequences", some_labels(), modalities=TWO)
    write_whole(folder, "four_sequences", some_labels())
    write_whole(folder, "weak", some_labels(), kind=WEAK)
    write_twins(
        folder,
        {"two_sequences": a_patient(0, 2), "four_sequences": other, "weak": a_patient(0, 3)},
    )
    return folder


def without_core(labels: LabelArray) -> LabelArray:
    return np.where(labels == Label.ED, labels, 0).astype(np.uint8)


def group(report: EvaluationReport, collection: str, name: str) -> dict[str, Any]:
    groups = report.to_json()[collection]["groups"]
    return next(g for g in groups if g["name"] == name)


def test_a_model_that_returns_the_reference_has_dice_one_everywhere(data: Path) -> None:
    report = evaluate_segmentation(ALegibleModel(), data, fold=None, subsets=())
    measured = [row for row in report.rows if row.expert]
    assert {row.dice for row in measured} == {1.0}
    assert {row.hd95_mm for row in measured} == {0.0}
    everything = group(report, "cubes", "all")
    assert (everything["cases"], everything["patients"], everything["failures"]) == (4, 3, 0)
    assert everything["regions"]["WT"]["dice"] == {
        "n": 3,
        "undefined": 0,
        "mean": 1.0,
        "median": 1.0,
        "ci95": [1.0, 1.0],
    }


def test_scores_of_a_model_that_draws_oedema_only_are_those_worked_out_by_hand(
    data: Path,
) -> None:
    report = evaluate_segmentation(ALegibleModel(without_core), data, fold=1, subsets=())
    # oedema 6 x 8 x 8 - 4 x 4 x 8 = 256 of 384 voxels of the whole tumour
    regions = group(report, "wholes", "all")["regions"]
    assert regions["WT"]["dice"]["mean"] == pytest.approx(2 * 256 / (256 + 384))
    assert regions["WT"]["absolute_volume_difference_ml"]["mean"] == pytest.approx(0.128)
    assert regions["TC"]["dice"]["mean"] == 0.0
    assert regions["ED"]["dice"]["mean"] == 1.0
    assert regions["ET"]["states"] == {"prediction empty": 1}
    assert regions["ET"]["hd95_mm"]["mean"] == pytest.approx((24**2 + 22**2 + 20**2) ** 0.5)


def test_a_fold_holds_its_patients_only_and_a_whole_case_follows_its_twin(data: Path) -> None:
    report = evaluate_segmentation(ALegibleModel(), data, fold=1, subsets=())
    assert {row.case for row in report.rows} == {f"{a_patient(1)}_lesion4", "four_sequences"}
    assert {row.patient for row in report.rows} == {a_patient(1)}
    assert count_cases(data, 1) == 2
    assert count_cases(data, None) == 7


def test_progress_names_every_case_once(data: Path) -> None:
    names: list[str] = []
    evaluate_segmentation(ALegibleModel(), data, fold=0, subsets=(), progress=names.append)
    assert len(names) == len(set(names)) == count_cases(data, 0) == 5


def test_cubes_are_given_with_channels_of_missing_sequences_at_zero(data: Path) -> None:
    model = ALegibleModel()
    evaluate_segmentation(model, data, fold=1)
    given = [sequences_given(image) for image in model.cubes]
    assert given == [tuple(s.value for s in subset) for subset in SUBSETS]
    assert model.cubes[0].shape == (4, 16, 16, 16)
    assert model.cubes[0].dtype == np.float32


def test_whole_cases_are_given_all_that_they_have_first_and_then_listed_subsets(
    data: Path,
) -> None:
    model = ALegibleModel()
    report = evaluate_segmentation(model, data, fold=0)
    present = [case.present for case in model.cases if case.case_id == "two_sequences"]
    t1c, flair = Sequence.T1C, Sequence.FLAIR
    assert present == [(t1c, flair), (t1c,), (flair,)]
    rows = [r for r in report.rows if r.case == "two_sequences" and r.region == "WT"]
    assert [(r.sequences, r.is_complete) for r in rows] == [
        ("t1c+flair", True),
        ("t1c", False),
        ("flair", False),
    ]


def test_weak_groups_come_first_and_the_table_by_sequences_starts_with_all_four(
    data: Path,
) -> None:
    summary = evaluate_segmentation(ALegibleModel(), data, fold=None).to_json()
    assert [g["name"] for g in summary["wholes"]["groups"]] == [
        "fewer than four sequences",
        "four sequences",
        "all",
    ]
    cubes = summary["cubes"]["groups"]
    assert [(g["name"], g["cases"]) for g in cubes] == [("no enhancing tumour", 1), ("all", 4)]
    subsets = [(s["sequences"], s["cases"]) for s in summary["wholes"]["subsets"]]
    assert subsets[0] == ("t1+t1c+t2+flair", 1)
    assert ("t1c+flair", 2) in subsets
    assert len(subsets) == len(SUBSETS)


def test_tumours_under_ten_ml_are_a_group_of_their_own(tmp_path: Path) -> None:
    large = np.full((16, 16, 16), Label.ED, dtype=np.uint8)  # 4096 voxels of 4.3 mm3: 17.6 mL
    write_cubes(tmp_path, {"a_lesion1": large, "b_lesion2": some_labels()})  # and 1.6 mL
    report = evaluate_segmentation(ALegibleModel(), tmp_path, fold=None, subsets=())
    small = group(report, "cubes", "tumour under 10 mL")
    assert (small["cases"], small["patients"]) == (1, 1)


def test_a_case_that_the_model_refuses_is_a_failure_and_stays_in_n(data: Path) -> None:
    class Refuses(ALegibleModel):
        def predict_probabilities(self, image: Any) -> Any:
            if len(self.cubes) == 0:
                self.cubes.append(image)
                raise VolumeError("volume is empty:\nevery voxel is 0")
            return super().predict_probabilities(image)

    report = evaluate_segmentation(Refuses(), data, fold=0, subsets=())
    everything = group(report, "cubes", "all")
    assert (everything["cases"], everything["failures"]) == (3, 1)
    # the first patient has a failed and a perfect cube, the second a perfect one
    assert everything["regions"]["TC"]["dice"]["mean"] == pytest.approx((0.5 + 1.0) / 2)
    assert everything["regions"]["TC"]["dice"]["n"] == 2
    [failure] = report.to_json()["failures"]
    assert failure["reason"] == "VolumeError: volume is empty: every voxel is 0"
    assert failure["sequences"] == "t1+t1c+t2+flair"


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda labels: labels[1:], "has shape (15, 16, 16); expected (16, 16, 16)"),
        (lambda labels: np.where(labels > 0, 4, 0).astype(np.uint8), "scheme core"),
        (lambda labels: labels + np.uint8(5), "LabelError"),
    ],
    ids=["shape", "scheme", "values"],
)
def test_an_answer_that_is_no_labelmap_of_the_case_is_a_failure(
    tmp_path: Path, change: Any, reason: str
) -> None:
    write_cubes(tmp_path, {"a_lesion1": some_labels()})
    report = evaluate_segmentation(ALegibleModel(change), tmp_path, fold=None, subsets=())
    assert all(reason in row.failure for row in report.rows)
    assert {row.dice for row in report.rows} == {0.0}


def test_a_fault_of_the_program_is_not_hidden_as_a_failure(data: Path) -> None:
    def wrong(_: LabelArray) -> LabelArray:
        raise TypeError("programming error")

    with pytest.raises(TypeError, match="programming error"):
        evaluate_segmentation(ALegibleModel(wrong), data, fold=0, subsets=())


def test_labels_made_by_algorithms_measure_false_volumes_only(data: Path) -> None:
    def with_a_false_lesion(labels: LabelArray) -> LabelArray:
        changed = labels.copy()
        changed[-2:, -2:, -2:] = Label.ET
        return changed

    report = evaluate_segmentation(ALegibleModel(with_a_false_lesion), data, fold=0)
    rows = [row for row in report.rows if row.case == "weak"]
    assert {row.sequences for row in rows} == {"t1+t1c+t2+flair"}
    assert {(row.dice, row.hd95_mm, row.reference_ml, row.lesion_dice) for row in rows} == {
        (None, None, None, None)
    }
    summary = report.to_json()
    assert "not a measurement" in summary["weak_cases"]["note"]
    whole = next(r for r in summary["weak_cases"]["rows"] if r["region"] == "WT")
    assert (whole["false_lesions"], whole["false_lesions_ml"]) == (1, pytest.approx(0.008))
    assert group(report, "wholes", "all")["cases"] == 1
    assert "weak" not in {entry["case"] for entry in summary["wholes"]["worst"]}


def test_the_worst_cases_are_listed_from_the_lowest_dice(tmp_path: Path) -> None:
    write_cubes(tmp_path, {"a_lesion1": some_labels(), "b_lesion2": some_labels(enhancing=False)})

    def enhancement_everywhere(labels: LabelArray) -> LabelArray:
        return np.where(labels == Label.NCR, Label.ET, labels).astype(np.uint8)

    model = ALegibleModel(enhancement_everywhere)
    worst = evaluate_segmentation(model, tmp_path, fold=None, subsets=()).to_json()["cubes"][
        "worst"
    ]
    assert [entry["case"] for entry in worst] == ["b_lesion2", "a_lesion1"]
    assert worst[0]["dice"] == {"WT": 1.0, "TC": 1.0, "ET": 0.0}


def test_any_part_of_the_data_may_be_missing_but_not_all(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="holds neither"):
        evaluate_segmentation(ALegibleModel(), tmp_path, fold=None, subsets=())
    write_whole(tmp_path, "anybody", some_labels())
    report = evaluate_segmentation(ALegibleModel(), tmp_path, fold=None, subsets=())
    assert {row.patient for row in report.rows} == {"anybody"}
    assert report.to_json()["cubes"] == {
        **{"groups": [], "subsets": [], "worst": []},
        "whole_patients": [],
    }


def test_files_that_cannot_be_read_are_named(data: Path) -> None:
    (data / "glioma3d/broken.npz").write_bytes(b"PK\x03\x04 not really")
    with pytest.raises(FileFormatError, match=r"broken\.npz"):
        evaluate_segmentation(ALegibleModel(), data, fold=None, subsets=())
    np.savez(data / "brats20/cubes.npz", image=np.zeros(3))
    with pytest.raises(FileFormatError, match=r"cubes\.npz"):
        evaluate_segmentation(ALegibleModel(), data, fold=None, subsets=())


def test_whole_cases_are_pasted_back_and_placed_in_space(tmp_path: Path) -> None:
    write_whole(tmp_path, "anybody", some_labels())
    [whole] = read_wholes(tmp_path, None)
    assert whole.labels.shape == whole.case.shape == WHOLE_SHAPE
    place = tuple(slice(low, low + 16) for low in WHOLE_LOW)
    np.testing.assert_array_equal(whole.labels[place], some_labels())
    assert np.count_nonzero(whole.labels) == np.count_nonzero(some_labels())
    # voxel crop_lo of the whole grid is voxel 0 of the stored one, at the origin
    np.testing.assert_allclose(whole.case.affine @ [*WHOLE_LOW, 1], [0, 0, 0, 1])


def test_a_case_without_a_reference_is_not_measured(tmp_path: Path) -> None:
    write_whole(tmp_path, "anybody", some_labels(), has_seg=False)
    assert list(read_wholes(tmp_path, None)) == []


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, 2, 3, 4], EXPERT, [Label.NCR, Label.ED, Label.NCR, Label.ET]),
        ([1, 2, 3, 3], "expert (BraTS 2013/2015 labels)", [1, 2, 1, 1]),
        ([1, 2, 3, 3], "expert (BraTS23)", [1, 2, 3, 3]),
        ([1, 2, 3, 3], EXPERT, [1, 2, 3, 3]),
        ([1, 2, 4, 4], "expert (BraTS 2018 training)", [1, 2, 3, 3]),
    ],
)
def test_the_edition_of_the_labels_is_told_by_the_file_not_by_its_name(
    tmp_path: Path, values: list[int], kind: str, expected: list[int]
) -> None:
    seg = np.zeros((16, 16, 16), dtype=np.uint8)
    seg[0, 0, :4] = values
    write_whole(tmp_path, "anybody", some_labels(), seg=seg, kind=kind)
    [whole] = read_wholes(tmp_path, None)
    i, j, k = WHOLE_LOW
    assert whole.labels[i, j, k : k + 4].tolist() == expected


def test_unknown_label_values_are_refused(tmp_path: Path) -> None:
    seg = np.full((16, 16, 16), 7, dtype=np.uint8)
    write_whole(tmp_path, "anybody", some_labels(), seg=seg)
    with pytest.raises(LabelError, match="7"):
        evaluate_segmentation(ALegibleModel(), tmp_path, fold=None, subsets=())


def test_cubes_are_read_exactly_as_for_training(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    side, low = 32, 40
    labels = np.zeros((side,) * 3, dtype=np.uint8)
    labels[5:20, 6:25, 7:30] = rng.integers(0, 4, (15, 19, 23))
    write_cubes(tmp_path, {"BraTS20_Training_001_lesion1": labels})
    with np.load(tmp_path / "brats20/cubes.npz") as stored:
        arrays = dict(stored)
    arrays["image"] = rng.integers(0, 160, (1, 4, side, side, side)).astype(np.uint8)
    arrays["image"][:, :, :3] = 0
    arrays["bbox"] = np.array([[low, low + side] * 3], dtype=np.int16)
    np.savez(tmp_path / "brats20/cubes.npz", **arrays)
    mask = np.zeros((1, 128, 128, 128), dtype=np.uint8)
    mask[0, low : low + side, low : low + side, low : low + side] = in_brats(labels)
    np.savez_compressed(
        tmp_path / "brats20/masks128.npz", seg=mask, ids=np.array(["BraTS20_Training_001"])
    )
    [for_training] = load_cubes(tmp_path)
    [measured] = read_cubes(tmp_path, None)
    np.testing.assert_array_equal(measured.image, for_training.image)
    np.testing.assert_array_equal(measured.labels, for_training.labels)
    assert measured.patient == for_training.patient


def test_a_patient_counts_once_however_many_cases_there_are() -> None:
    statistics = patient_statistics(["a", "a", "a", "b"], [1.0, 1.0, 1.0, 0.0])
    assert (statistics["n"], statistics["mean"], statistics["median"]) == (2, 0.5, 0.5)


def test_undefined_values_are_left_out_of_the_mean_and_counted() -> None:
    statistics = patient_statistics(["a", "b", "c"], [0.25, None, 0.75])
    assert (statistics["n"], statistics["undefined"], statistics["mean"]) == (2, 1, 0.5)
    nothing = patient_statistics(["a"], [None])
    assert nothing == {"n": 0, "undefined": 1, "mean": None, "median": None, "ci95": None}


def test_the_bootstrap_of_two_patients_spans_both_and_is_the_same_every_time() -> None:
    values = np.array([0.0, 1.0])
    assert bootstrap_interval(values) == [0.0, 1.0]
    many = np.linspace(0, 1, 40)
    first = bootstrap_interval(many)
    resamples.cache_clear()  # as in another process
    assert bootstrap_interval(many) == first
    assert bootstrap_interval(np.array([0.7])) is None


def test_the_bootstrap_interval_has_the_width_of_the_standard_error() -> None:
    values = np.tile([0.0, 1.0], 200)  # standard error sqrt(0.25 / 400) = 0.025
    interval = bootstrap_interval(values)
    assert interval is not None
    assert interval == pytest.approx([0.5 - 1.96 * 0.025, 0.5 + 1.96 * 0.025], abs=0.004)


def test_the_table_on_disk_gives_the_same_summary_again(data: Path, tmp_path: Path) -> None:
    report = evaluate_segmentation(ALegibleModel(without_core), data, fold=None, subsets=())
    report.write(tmp_path / "out/metrics.json")
    rows = read_rows(tmp_path / "out/metrics.csv")
    assert rows == list(report.rows)
    written = json.loads((tmp_path / "out/metrics.json").read_text(encoding="utf-8"))
    assert {k: written[k] for k in ("cubes", "wholes")} == {
        k: summarise(rows)[k] for k in ("cubes", "wholes")
    }


def test_a_table_with_a_missing_column_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("collection,case\ncubes,a\n", encoding="utf-8")
    with pytest.raises(FileFormatError, match=r"metrics\.csv is not a table"):
        read_rows(path)


def test_folds_can_be_pooled_by_joining_their_tables(data: Path) -> None:
    rows: list[CaseRow] = []
    for fold in (0, 1):
        rows.extend(
            evaluate_segmentation(ALegibleModel(without_core), data, fold=fold, subsets=()).rows
        )
    every = evaluate_segmentation(ALegibleModel(without_core), data, fold=None, subsets=())
    pooled = summarise(rows)["cubes"]["groups"][-1]
    assert pooled == every.to_json()["cubes"]["groups"][-1]


def test_the_same_model_on_the_same_data_writes_the_same_files(data: Path, tmp_path: Path) -> None:
    for name in ("a", "b"):
        model = ALegibleModel(without_core)
        evaluate_segmentation(model, data, fold=0, subsets=()).write(tmp_path / f"{name}.json")
    for suffix in ("json", "csv"):
        first, second = ((tmp_path / f"{n}.{suffix}").read_bytes() for n in ("a", "b"))
        assert first == second


def test_rows_name_every_region_and_a_report_its_definitions(data: Path) -> None:
    report = evaluate_segmentation(ALegibleModel(), data, fold=1, subsets=())
    assert [row.region for row in report.rows[:5]] == list(REGIONS)
    definitions = report.to_json()["definitions"]
    assert definitions["lesions"]["connectivity"] == 26
    assert definitions["surface_tolerance_mm"] == 2.0
    assert definitions["bootstrap"]["unit"] == "patient"
    assert json.loads(json.dumps(report.to_json())) == report.to_json()


def test_a_row_can_be_compared_field_by_field(data: Path) -> None:
    row = evaluate_segmentation(ALegibleModel(), data, fold=1, subsets=()).rows[0]
    assert dataclasses.replace(row) == row
    assert row.to_json()["tumour_ml"] == pytest.approx(384 * (239 / 127) ** 2 * (154 / 127) / 1e3)


def test_a_bundle_on_disk_is_measured_and_its_report_written(tmp_path: Path) -> None:
    plan = TrainingPlan(channels=(4, 8), fold=1)
    bundle = tmp_path / "models/segmentation"
    export_bundle(build_unet(plan.channels), plan, CleanUpRule(), "0.0.1", bundle)
    write_cubes(tmp_path, {f"{a_patient(1)}_lesion1": some_labels()})
    output = bundle / "metrics.json"
    report = evaluate_bundle(bundle, tmp_path, output, fold=1)
    written = json.loads(output.read_text(encoding="utf-8"))
    assert written["model"] == report.model.to_json()
    assert (written["fold"], written["folds"]) == (1, 5)
    assert len(read_rows(bundle / "metrics.csv")) == len(SUBSETS) * len(REGIONS)
