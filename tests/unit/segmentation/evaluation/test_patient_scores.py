"""Dice of a patient from the scores of its cubes, and the rule for small enhancement."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from brain_tumor.labels import Label, Region
from brain_tumor.segmentation.evaluation.patient_scores import (
    enhancing_dice,
    pooled_dice,
    scores_by_patient,
)
from brain_tumor.segmentation.evaluation.rows import CaseRow
from brain_tumor.segmentation.subregions.cleanup import EnhancementRule
from brain_tumor.segmentation.training.subregions import enhancing_rule
from brain_tumor.segmentation.training.subregions.enhancing_rule import (
    VOXEL_ML,
    Enhancement,
    choose,
    measure,
)

from tests.helpers.evaluation_data import a_patient, some_labels, write_cubes


def a_row(
    case: str, region: str, reference: float, found: float, overlap: float, likely: float = 1.0
) -> CaseRow:
    """A row of which only the volumes matter; all in mL."""
    plain = dict.fromkeys((f.name for f in dataclasses.fields(CaseRow)), None)
    return CaseRow(
        **{
            **plain,
            "collection": "cubes",
            "case": case,
            "patient": case.split("_")[0],
            "sequences": "t1c",
            "region": region,
            "reference_ml": reference,
            "predicted_ml": found,
            "enhancing_probability": likely if found else None,
            "sensitivity": overlap / reference if reference else None,
        }
    )


def test_a_small_satellite_costs_a_patient_what_it_measures() -> None:
    # lesion: 20 and 20 mL, 18 in common; satellite of 1 mL missed: 2 * 18 / (20 + 20 + 1)
    rows = [a_row("a_1", "WT", 20.0, 20.0, 18.0), a_row("a_2", "WT", 1.0, 0.0, 0.0)]
    assert pooled_dice(rows) == pytest.approx(36 / 41)


def test_nothing_found_where_nothing_is_is_right() -> None:
    assert pooled_dice([a_row("a_1", "ET", 0.0, 0.0, 0.0)]) == 1.0
    assert pooled_dice([a_row("a_1", "ET", 0.0, 0.2, 0.0)]) == 0.0


def test_enhancement_of_all_cubes_together_has_to_reach_the_least_volume() -> None:
    false = [a_row("a_1", "ET", 0.0, 0.3, 0.0), a_row("a_2", "ET", 0.0, 0.1, 0.0)]
    assert enhancing_dice(false, EnhancementRule(0.5)) == 1.0
    assert enhancing_dice(false, EnhancementRule(0.4)) == 0.0  # 0.4 mL in all are enough
    true = [a_row("a_1", "ET", 0.4, 0.4, 0.4)]
    assert enhancing_dice(true, EnhancementRule(0.5)) == 0.0
    assert enhancing_dice(true, EnhancementRule(0.1)) == 1.0


def test_enhancement_has_to_be_likely_where_it_is_outlined() -> None:
    # by hand: (3 * 0.5 + 1 * 0.9) / 4 = 0.6
    false = [a_row("a_1", "ET", 0.0, 3.0, 0.0, 0.5), a_row("a_2", "ET", 0.0, 1.0, 0.0, 0.9)]
    assert enhancing_dice(false, EnhancementRule(0.0, 0.59)) == 0.0
    assert enhancing_dice(false, EnhancementRule(0.0, 0.61)) == 1.0
    nothing = [a_row("a_1", "ET", 0.0, 0.0, 0.0)]
    assert enhancing_dice(nothing, EnhancementRule(0.5, 0.6)) == 1.0


def test_every_patient_has_one_score_per_nested_region() -> None:
    rows = [
        a_row(case, region, 2.0, 2.0, 1.0) for case in ("a_1", "a_2", "b_1") for region in Region
    ]
    scores = scores_by_patient(rows, EnhancementRule())
    assert set(scores) == {"a", "b"}
    assert scores["a"] == {Region.WT: 0.5, Region.TC: 0.5, Region.ET: 0.5}


def test_the_least_volume_that_is_as_good_as_the_best_is_chosen(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rules = [EnhancementRule(ml) for ml in (0.0, 0.2, 0.5, 1.0)]
    monkeypatch.setattr(enhancing_rule, "CANDIDATES", rules)
    false = Enhancement(overlap=0.0, reference=0.0, found=0.3, likely=0.3)
    true = Enhancement(overlap=0.8, reference=0.8, found=0.8, likely=0.8)
    chosen, means = choose([false, true])
    # 0 and 0.2 mL believe the false one, 1 mL disbelieves the true one
    assert list(means.values()) == [0.5, 0.5, 1.0, 0.5]
    assert chosen == EnhancementRule(0.5)


def test_of_rules_as_good_the_lowest_probability_goes_before_the_smallest_volume() -> None:
    false = Enhancement(overlap=0.0, reference=0.0, found=1.2, likely=1.2 * 0.51)
    true = Enhancement(overlap=2.1, reference=2.1, found=2.1, likely=2.1 * 0.8)
    chosen, means = choose([false, true])
    assert chosen == EnhancementRule(1.5, 0.0)
    assert means[EnhancementRule(0.0, 0.5)] == 0.5
    assert means[EnhancementRule(0.0, 0.52)] == 1.0
    large = Enhancement(overlap=0.0, reference=0.0, found=9.0, likely=9.0 * 0.51)
    chosen, _ = choose([large, true])  # no volume tells them apart
    assert chosen == EnhancementRule(0.0, 0.52)


def test_enhancement_is_summed_over_the_cubes_of_a_patient_and_other_folds_are_not_read(
    tmp_path: Path,
) -> None:
    first, other = a_patient(0), a_patient(1)
    names = (f"{first}_lesion1", f"{first}_lesion2", f"{other}_lesion3")
    write_cubes(tmp_path, dict.fromkeys(names, some_labels()))
    enhancing = np.count_nonzero(some_labels() == Label.ET) * VOXEL_ML

    class AllEnhancing:
        def predict_probabilities(self, image):  # type: ignore[no-untyped-def]
            likely = np.zeros((4, *image.shape[1:]), dtype=np.float32)
            likely[:2], likely[2], likely[Label.ET] = 0.125, 0.25, 0.5
            return likely

    found = measure(AllEnhancing(), tmp_path, [0])
    assert len(found) == 2  # one patient, two subsets of sequences
    for entry in found:
        assert entry.reference == pytest.approx(2 * enhancing)
        assert entry.overlap == pytest.approx(2 * enhancing)
        assert entry.found == pytest.approx(2 * some_labels().size * VOXEL_ML)
        assert entry.likely == pytest.approx(some_labels().size * VOXEL_ML)


def test_the_rule_goes_into_the_metadata_with_what_it_was_chosen_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    metadata = {"clean_up": {"least_peak": 0.7}, "training": {"plan": {"fold": 0}}}
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs/metadata.json").write_text(json.dumps(metadata))
    monkeypatch.setattr(enhancing_rule, "held_out_fold", lambda _: 0)
    monkeypatch.setattr(enhancing_rule.SubregionSegmenter, "load", lambda _: None)

    def found(_model: None, _data: Path, folds: list[int]) -> list[Enhancement]:
        assert folds == [1, 2, 3, 4]
        return [Enhancement(found=0.25, likely=0.2), Enhancement(0.9, 0.9, 0.9, 0.8)]

    monkeypatch.setattr(enhancing_rule, "measure", found)
    assert enhancing_rule.main(["--data", str(tmp_path), "--bundle", str(tmp_path)]) == 0
    written = json.loads((tmp_path / "configs/metadata.json").read_text())
    assert written["clean_up"] == {
        "least_peak": 0.7,
        "smallest_enhancing_ml": 0.3,
        "least_enhancing_probability": 0.0,
    }
    told = written["training"]["enhancement_rule"]
    assert told["chosen_on"] == "folds 1, 2, 3, 4"
    assert told["mean_dice_without"] == 0.5
    assert told["mean_dice_by_volume"]["0.3 mL"] == 1.0
    assert told["mean_dice_by_probability"]["0"] == 1.0
