"""The check of a given outline against the network's own map of the tumour."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from brain_tumor.classification.classifier import TumorTypeClassifier
from brain_tumor.classification.model.network import HybridNetwork, NetworkArguments
from brain_tumor.classification.model.plausibility import NO_EVIDENCE, outline_agreement
from brain_tumor.classification.model.training_statistics import STATISTICS, read_statistics
from brain_tumor.classification.predictions import lone_slice
from brain_tumor.classification.training.outline_check import (
    AGREEMENTS,
    EXPERT,
    MOVED,
    RESULT,
    Agreement,
    agreements,
    figures,
    limits_of_others,
    main,
    mirrored_outline,
    moved_outline,
    read_agreements,
    write_agreements,
)
from brain_tumor.classification.training.own_outlines import (
    OWN_OUTLINES,
    OwnOutline,
    own_figures,
    read_own_outlines,
    write_own_outlines,
)
from brain_tumor.classification.training.run import model_features
from brain_tumor.errors import FileFormatError, InputError

from tests.helpers.shapes import HeadDrawing
from tests.helpers.type_reader import a_type_reader

HEAD = np.array([[0.0, 5.0, 5.0, 5.0, 5.0, 5.0]], dtype=np.float32)
OUTLINE = np.array([[0.0, 0.0, 0.0, 0.0, 1.0, 1.0]], dtype=np.float32)


@pytest.mark.parametrize(
    ("logits", "expected"),
    [
        ([9.0, 0.0, 1.0, 2.0, 3.0, 4.0], 1.0),  # air does not count, however bright
        ([0.0, 4.0, 4.0, 4.0, 1.0, 2.0], 0.0),
        ([0.0, 1.0, 3.0, 5.0, 2.0, 4.0], 0.5),  # above one and above two of three
        ([0.0, 7.0, 7.0, 7.0, 7.0, 7.0], 0.5),  # ties count half
    ],
)
def test_agreement_is_the_share_of_the_head_that_looks_less_like_tumour(logits, expected):
    found = outline_agreement(np.array([logits], dtype=np.float32), OUTLINE, HEAD)
    assert found == pytest.approx(expected)


def test_without_an_outline_there_is_no_evidence():
    assert outline_agreement(HEAD, np.zeros_like(HEAD), HEAD) == NO_EVIDENCE


def a_network_that_sees(place):
    """Network whose map of the tumour is bright in a square at a place of the patch."""
    network = HybridNetwork(NetworkArguments(model_features())).eval()
    see = network.see

    def bright(images):
        maps = see(images)
        logits = torch.full_like(maps.mask_logits, -5.0)
        row, column = place
        logits[:, :, row - 8 : row + 8, column - 8 : column + 8] = 5.0
        return replace(maps, mask_logits=logits)

    network.see = bright
    return network


def test_an_outline_elsewhere_than_the_network_sees_tumour_is_not_typed():
    reader = a_type_reader().classifier
    image, mask = HeadDrawing(tumour_mm=(146.0, 138.0), radius_mm=13.0).draw()
    part = lone_slice(image, mask, 1.0)
    patch = reader.read([part], [reader.measure(part)])[0].patch
    rows, columns = np.nonzero(patch.mask > 0.5)
    here = (int(rows.mean()), int(columns.mean()))
    statistics = replace(reader.statistics, least_agreement=0.7)
    answers = []
    for place in (here, (here[0], patch.mask.shape[1] - here[1])):
        classifier = TumorTypeClassifier(
            a_network_that_sees(place), reader.features, statistics, reader.version, bf16=False
        )
        readings = classifier.read([part], [classifier.measure(part)])
        answers.append((readings[0].agreement, classifier._pool(readings, ()).reasons))
    (right, right_reasons), (wrong, wrong_reasons) = answers
    assert right > 0.9
    assert wrong < 0.6
    assert not any("does not lie where" in reason for reason in right_reasons)
    assert any("least 0.70" in reason for reason in wrong_reasons)


def test_agreements_of_several_outlines_come_from_one_map():
    image, mask = HeadDrawing(tumour_mm=(146.0, 138.0), radius_mm=13.0).draw()
    middle = (72, 72)  # of a patch that shows the whole head
    dot = np.zeros_like(mask)
    rows, columns = (slice(side // 2 - 4, side // 2 + 4) for side in mask.shape)
    dot[rows, columns] = True
    central, off = agreements(a_network_that_sees(middle), image, [dot, mask], 1.0)
    assert central > 0.9
    assert off == pytest.approx(0.5, abs=0.1)


def test_the_limit_of_a_fold_comes_from_the_other_folds():
    found = [Agreement(0, EXPERT, f"a{i}", 0.9) for i in range(20)]
    found += [Agreement(1, EXPERT, f"b{i}", 0.5) for i in range(20)]
    found += [Agreement(0, MOVED, "a0", 0.6), Agreement(1, MOVED, "b0", 0.8)]
    table = figures(found)["outlines"]
    # Fold 0 is judged by the 0.5 of fold 1, so nothing is refused; fold 1 by the 0.9 of fold 0.
    assert table[EXPERT] == {"n": 40, "patients": 40, "refused": 0.5}
    assert table[MOVED] == {"n": 2, "patients": 2, "refused": 0.5}
    with pytest.raises(InputError, match="fewer than two folds"):
        figures(found[:20])


def test_a_moved_outline_keeps_its_form_and_clears_the_tumour():
    brain = np.zeros((60, 60), dtype=bool)
    brain[5:55, 5:55] = True
    outline = np.zeros_like(brain)
    outline[10:18, 10:16] = True
    moved = moved_outline(outline, brain, outline, np.random.default_rng(1))
    assert moved is not None
    assert np.count_nonzero(moved) == 48
    assert not (moved & outline).any()
    assert moved_outline(outline, brain, np.ones_like(brain), np.random.default_rng(1)) is None


def test_a_mirrored_outline_lies_on_the_other_side_or_nowhere():
    brain = np.zeros((40, 50), dtype=bool)
    brain[5:35, 10:40] = True
    outline = np.zeros_like(brain)
    outline[10:14, 12:16] = True
    other = mirrored_outline(outline, brain)
    assert other is not None
    np.testing.assert_array_equal(np.flatnonzero(other.any(axis=0)), [34, 35, 36, 37])
    middle = np.zeros_like(brain)
    middle[10:14, 22:28] = True
    assert mirrored_outline(middle, brain) is None


def test_the_limit_is_kept_in_the_bundle_and_older_bundles_have_none(tmp_path):
    statistics = replace(a_type_reader().classifier.statistics, least_agreement=0.7)
    statistics.write(tmp_path)
    assert read_statistics(tmp_path).least_agreement == 0.7
    plain = json.loads((tmp_path / STATISTICS).read_text(encoding="utf-8"))
    del plain["least_agreement"]
    (tmp_path / STATISTICS).write_text(json.dumps(plain), encoding="utf-8")
    assert read_statistics(tmp_path).least_agreement == 0.0


def test_patients_are_counted_by_the_metrics_where_the_statistics_do_not_and_are_none_without(
    tmp_path,
):
    statistics = a_type_reader().classifier.statistics
    statistics.write(tmp_path)
    assert read_statistics(tmp_path).case_calibration.patients == 0
    metrics = {"patients": {"expert": {"n": 37}}}
    (tmp_path / "metrics.json").write_text(json.dumps(metrics), encoding="utf-8")
    assert read_statistics(tmp_path).case_calibration.patients == 37
    counted = replace(statistics.slice_calibration, patients=5)
    replace(statistics, slice_calibration=counted).write(tmp_path)
    assert read_statistics(tmp_path).slice_calibration.patients == 5


def test_the_command_writes_the_limit_and_the_figures_of_kept_agreements(tmp_path):
    found = [Agreement(fold, EXPERT, f"{fold}", 0.8) for fold in range(2)]
    found.append(Agreement(0, MOVED, "0", 0.123456))
    runs, bundle = tmp_path / "runs", tmp_path / "bundle"
    runs.mkdir()
    a_type_reader().classifier.statistics.write(bundle)
    write_agreements(runs / AGREEMENTS, found)
    assert read_agreements(runs / AGREEMENTS)[2] == Agreement(0, MOVED, "0", 0.12346)
    assert main(["--data", str(tmp_path), "--runs", str(runs), "--bundle", str(bundle)]) == 0
    result = json.loads((bundle / RESULT).read_text(encoding="utf-8"))
    assert result["least_agreement"] == 0.8
    assert result["outlines"][MOVED]["refused"] == 1.0
    assert read_statistics(bundle).least_agreement == 0.8
    (runs / AGREEMENTS).write_text("fold,kind\n0,expert\n", encoding="utf-8")
    with pytest.raises(FileFormatError, match="holds no agreements"):
        read_agreements(runs / AGREEMENTS)


def test_the_price_for_own_outlines_is_told_by_the_limits_of_the_other_folds(tmp_path):
    found = [
        OwnOutline(0, "a", 0.6, right=False),
        OwnOutline(0, "a", 0.95, right=True),
        OwnOutline(1, "b", 0.6, right=True),
        OwnOutline(1, "c", 0.4, right=True),
    ]
    path = tmp_path / OWN_OUTLINES
    write_own_outlines(path, found)
    assert read_own_outlines(path) == found
    # Fold 0 is held to 0.9, fold 1 to 0.5: the first and the last outline are refused.
    assert own_figures(found, {0: 0.9, 1: 0.5}) == {
        "n": 4,
        "patients": 3,
        "refused": 0.5,
        "wrong_of_refused": 0.5,
        "wrong_of_passed": 0.0,
    }
    assert own_figures(found[1:2], {0: 0.9})["wrong_of_refused"] is None
    path.write_text("fold,patient\n0,a\n", encoding="utf-8")
    with pytest.raises(FileFormatError, match="holds no own outlines"):
        read_own_outlines(path)


def test_one_in_twenty_of_the_experts_outlines_pays_for_the_limit():
    found = [Agreement(fold, EXPERT, "a", n / 20) for fold in (0, 1) for n in range(21)]
    assert figures(found)["least_agreement"] == pytest.approx(0.05)
    assert limits_of_others(found) == pytest.approx({0: 0.05, 1: 0.05})
