"""The clean-up rule of the tumour core: what is compared, what is taken, what is kept of it."""

import json

import numpy as np
import pytest
from brain_tumor.errors import InputError
from brain_tumor.segmentation.data.cheng_slices import ChengSlice
from brain_tumor.segmentation.training.tumor_core import rule as core_rule
from brain_tumor.segmentation.training.tumor_core.rule import (
    FoldScores,
    RuleScore,
    candidates,
    choose,
    keep,
    main,
    measure,
    pool,
)
from brain_tumor.segmentation.tumor_core.segmenter import CleanUp, CoreProbabilities
from brain_tumor.segmentation.tumor_core.slices import Plane

BEFORE = RuleScore(CleanUp(), patients=0.70, volumes=0.60, outlined_free=0.10)


def scored(threshold, peak, patients, volumes=0.60, outlined_free=0.10):
    return RuleScore(CleanUp(threshold, 0.1, peak), patients, volumes, outlined_free)


def test_the_rule_set_beforehand_is_compared_first_and_once():
    rules = candidates()
    assert rules[0] == CleanUp(0.5, 0.1, 0.7)
    assert len(rules) == len(set(rules)) == 6 * 3 * 5


def test_the_best_rule_wins_that_outlines_no_more_healthy_slices_and_loses_no_volume():
    greedy = scored(0.3, 0.5, 0.80, outlined_free=0.11)
    harmful = scored(0.35, 0.7, 0.79, volumes=0.59)
    good = scored(0.4, 0.7, 0.75)
    assert choose([BEFORE, greedy, harmful, good]) == good
    assert choose([BEFORE, greedy, harmful]) == BEFORE


def test_within_the_tolerance_the_rule_that_changes_least_wins():
    best = scored(0.3, 0.6, 0.7504)
    fewer = scored(0.4, 0.7, 0.7501)
    far = scored(0.3, 0.7, 0.7502)
    too_low = scored(0.45, 0.7, 0.7498)
    assert choose([BEFORE, best, fewer, far, too_low]) == fewer


class Says:
    """Finds the probabilities that the picture itself shows."""

    def probabilities(self, volume):
        return CoreProbabilities(volume.array.astype(np.float32), (Plane.AXIAL,), {})


def test_patients_count_alike_and_tumour_free_slices_are_counted(monkeypatch, tmp_path):
    # Patient a: two slices, Dice 1 and 0 at a threshold of 0.5; patient b: one, Dice 1. At 0.3
    # every slice is found: the second of a has its probability of 0.4.
    mask = np.zeros((4, 4), dtype=bool)
    mask[1, 2] = True
    shown = {1: 0.9, 2: 0.4, 3: 0.9}
    rows = [ChengSlice(n, g, "glioma", "MR", 512) for n, g in ((1, "a"), (2, "a"), (3, "b"))]
    monkeypatch.setattr(core_rule, "cheng_slices_of_fold", lambda *_: rows)
    monkeypatch.setattr(
        core_rule, "read_cheng_slice", lambda _, row: (mask * shown[row.index], mask)
    )
    monkeypatch.setattr(core_rule, "volume_paths", lambda *_: [])
    free = [("c", mask * 0.4), ("c", mask * 0.1)]
    monkeypatch.setattr(core_rule, "tumour_free_slices", lambda *_: iter(free))
    rules = [CleanUp(0.5, 0.1, 0.5), CleanUp(0.3, 0.1, 0)]
    fold = measure(Says(), tmp_path, 1, rules)
    np.testing.assert_allclose(fold.patients, [[0.5, 1.0], [1.0, 1.0]])
    strict, loose = pool([fold], rules)
    assert (strict.patients, strict.outlined_free) == (pytest.approx(0.75), 0.0)
    assert (loose.patients, loose.outlined_free) == (pytest.approx(1.0), 0.5)
    assert strict.volumes == loose.volumes == 0.0


def test_folds_are_pooled_by_patient():
    rules = [CleanUp()]
    empty = np.zeros((0, 1))
    large = FoldScores(np.array([[0.5], [0.5], [0.5]]), np.array([[0.4]]), empty)
    small = FoldScores(np.array([[0.9]]), np.array([[0.8]]), empty)
    (found,) = pool([large, small], rules)
    assert found == RuleScore(CleanUp(), pytest.approx(0.6), pytest.approx(0.6), 0.0)


def test_the_rule_goes_into_the_metadata_with_what_it_was_chosen_by(tmp_path):
    path = tmp_path / "configs/metadata.json"
    path.parent.mkdir()
    path.write_text(json.dumps({"clean_up": {}, "training": {"steps": 3}}))
    keep(tmp_path, scored(0.4, 0.6, 0.75), BEFORE, [1, 2])
    written = json.loads(path.read_text())
    assert written["clean_up"] == {"threshold": 0.4, "smallest_share": 0.1, "least_peak": 0.6}
    assert written["training"]["steps"] == 3
    assert written["training"]["clean_up"]["chosen_on"] == "folds 1, 2"
    assert written["training"]["clean_up"]["chosen"]["patients"] == 0.75
    assert written["training"]["clean_up"]["set_beforehand"]["rule"]["threshold"] == 0.5


def test_a_bundle_of_every_patient_has_no_rule_to_measure(monkeypatch, tmp_path):
    monkeypatch.setattr(core_rule, "held_out_fold", lambda _: None)
    with pytest.raises(InputError, match="every fold"):
        main(["--data", "x", "--runs", "y", "--bundles", str(tmp_path)])
