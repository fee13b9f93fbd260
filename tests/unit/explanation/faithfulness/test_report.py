"""Tests of heatmaps, tested: on scores whose truth is known by hand."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from brain_tumor.errors import InputError
from brain_tumor.explanation.faithfulness.curves import (
    centre_blob,
    perturbation_curves,
    random_heat,
)
from brain_tumor.explanation.faithfulness.infidelity import max_sensitivity, normalised_infidelity
from brain_tumor.explanation.faithfulness.report import (
    TestedSlice,
    case_faithfulness,
    compare_with_controls,
    with_sanity,
)
from brain_tumor.explanation.heat.baseline import blurred_head
from brain_tumor.explanation.heat.methods import ClassTarget
from brain_tumor.explanation.heat.volume import heat_volume

SIDE = 80
SPOT = (slice(48, 56), slice(16, 24))
TARGET = ClassTarget(0)


def a_slice():
    """A head of 2 with a spot of 6 away from its middle, in air of 0."""
    image = torch.zeros(1, SIDE, SIDE)
    image[:, 8:72, 8:72] = 2.0
    image[:, SPOT[0], SPOT[1]] = 6.0
    return image


def spot_score(images):
    """Logit 0: mean of the spot; logit 1: 0."""
    spot = images[:, 0, SPOT[0], SPOT[1]].mean(dim=(1, 2))
    return torch.stack([spot, torch.zeros_like(spot)], dim=1)


def true_heat():
    heat = np.zeros((SIDE, SIDE), dtype=np.float32)
    heat[SPOT] = 1.0
    return heat


def curves(heat, score=spot_score, steps=8, target=TARGET):
    (found,) = perturbation_curves(score, a_slice(), [heat], target, steps=steps)
    return found


def test_the_curves_of_the_true_map_are_those_worked_out_by_hand():
    found = curves(true_heat())
    # the head has 64 * 64 = 4096 pixels, the spot 64; step n of 8 replaces n^2 of 64 shares of it:
    # the first step replaces 64 pixels, exactly the spot
    assert found.shares.tolist() == [n**2 / 64 for n in range(9)]
    assert found.deletion[0] == pytest.approx(6.0)
    assert found.deletion[1:] == pytest.approx([found.deletion[-1]] * 8)
    assert found.insertion[1:] == pytest.approx([6.0] * 8)
    # areas: a triangle over the first step, and its complement
    assert found.deletion_auc == pytest.approx(1 / 64 / 2)
    assert found.insertion_auc == pytest.approx(1 - 1 / 64 / 2)
    assert found.gain == pytest.approx(1 - 1 / 64)
    assert found.effect == pytest.approx(6.0 - found.insertion[0])


def test_inverted_polarity_is_caught():
    right, inverted = curves(true_heat()), curves(1 - true_heat())
    # the spot goes last
    assert inverted.deletion_auc > 0.85
    assert inverted.insertion_auc < 0.15
    assert right.gain > 0.9
    assert inverted.gain < -0.7


def test_only_the_head_is_replaced():
    seen = []

    def score(images):
        seen.append(images.clone())
        return spot_score(images)

    heat = np.ones((SIDE, SIDE), dtype=np.float32)
    heat[:4] = 9.0  # air is hottest
    perturbation_curves(score, a_slice(), [heat], TARGET, steps=4)
    versions = torch.cat(seen)
    assert versions[:, 0, :8].abs().max() == 0
    # full, baseline, and three steps out and in
    assert len(versions) == 8


def test_pixels_of_equal_heat_go_from_the_hot_place_outwards():
    seen = []

    def score(images):
        seen.append(images.clone())
        return spot_score(images)

    perturbation_curves(score, a_slice(), [true_heat()], TARGET, steps=4)
    # the second of four steps blurs a quarter of the head: the spot and what is around it; the
    # blur changes pixels near the spot, and those that are left over are as they were
    versions = torch.cat(seen)
    changed = versions[4, 0] != versions[0, 0]
    places = torch.nonzero(changed).float()
    assert 900 < len(places) <= 1024
    distance = ((places - torch.tensor([51.5, 19.5])) ** 2).sum(dim=1).sqrt()
    assert distance.max() < 32


def test_heat_too_faint_to_see_does_not_decide_the_order():
    faint = true_heat()
    faint[8:16, 60:68] = 0.02  # far from the spot: noise, no finding
    clear = true_heat()
    clear[8:16, 60:68] = 0.1

    def far_score(images):
        far = images[:, 0, 8:16, 60:68].mean(dim=(1, 2))
        return torch.stack([far, torch.zeros_like(far)], dim=1)

    image = a_slice()
    image[:, 8:16, 60:68] = 6.0
    spot, noise, finding = perturbation_curves(
        far_score, image, [true_heat(), faint, clear], TARGET, steps=8
    )
    # step 2 of 8 takes 256 pixels: the spot, then what the map calls warm next
    assert noise.deletion[2] == pytest.approx(spot.deletion[2], abs=0.05)
    assert noise.deletion[2] == pytest.approx(6.0, abs=0.05)
    assert finding.deletion[2] < 5.0


def test_log_odds_do_not_saturate():
    def certain(images):
        return spot_score(images) * 100

    # probabilities would be 1 all along
    assert curves(true_heat(), certain).gain == pytest.approx(curves(true_heat()).gain, abs=1e-4)


def test_the_log_odds_of_three_classes_and_of_a_contrast():
    def three(images):
        spot = images[:, 0, SPOT[0], SPOT[1]].mean(dim=(1, 2))
        return torch.stack([spot, torch.zeros_like(spot), torch.ones_like(spot)], dim=1)

    odds = curves(true_heat(), three).deletion[0]
    assert odds == pytest.approx(6.0 - np.log(1 + np.e))
    contrast = curves(true_heat(), three, target=ClassTarget(0, against=2)).deletion[0]
    assert contrast == pytest.approx(5.0)


def test_curves_of_slices_add_up():
    one = curves(true_heat())
    both = one + curves(1 - true_heat())
    assert both.effect == pytest.approx(2 * one.effect)
    assert both.gain == pytest.approx((one.gain + curves(1 - true_heat()).gain) / 2)


def test_a_map_of_another_size_or_a_slice_without_head_is_refused():
    with pytest.raises(InputError, match="heat has shape"):
        curves(np.zeros((4, 4), dtype=np.float32))
    with pytest.raises(InputError, match="no head"):
        perturbation_curves(spot_score, torch.zeros(1, SIDE, SIDE), [true_heat()], TARGET)
    with pytest.raises(InputError, match="at least 2"):
        curves(true_heat(), steps=1)


def test_random_maps_are_smooth_and_repeatable():
    heat = random_heat((80, 80), (10, 10), seed=3)
    np.testing.assert_array_equal(heat, random_heat((80, 80), (10, 10), seed=3))
    assert not np.array_equal(heat, random_heat((80, 80), (10, 10), seed=4))
    # linear between cells of 8 pixels: no step is larger than an eighth of the range
    assert np.abs(np.diff(heat, axis=1)).max() <= 1 / 8 + 1e-6


def test_the_centre_blob_is_in_the_middle_of_the_head():
    image = torch.zeros(1, 40, 60)
    image[:, 4:15, 30:51] = 1.0
    blob = centre_blob(image)
    assert np.unravel_index(blob.argmax(), blob.shape) == (9, 40)
    assert blob.max() == 1.0


def a_tested_slice(heat=None, score=spot_score):
    return TestedSlice(score, a_slice(), true_heat() if heat is None else heat)


def test_the_true_map_beats_its_controls_and_the_blob_does_not():
    good = compare_with_controls([a_tested_slice()], TARGET, steps=8, random_maps=3)
    assert good.beats_random
    assert good.keeps_up_with_blob
    assert good.own.gain > 0.9
    assert good.blob.gain < 0.5
    bad = compare_with_controls(
        [a_tested_slice(centre_blob(a_slice()))], TARGET, steps=8, random_maps=3
    )
    assert bad.own.gain == pytest.approx(bad.blob.gain)


def volumes(heat=None):
    picture = true_heat() if heat is None else heat
    tumour = np.zeros((SIDE, SIDE, 1), dtype=bool)
    tumour[SPOT] = True
    return heat_volume(picture[..., None], np.eye(4), "gradcam++", "glioma"), tumour


def test_a_true_map_passes_and_says_by_how_much():
    report = case_faithfulness(*volumes(), [a_tested_slice()], TARGET, steps=8)
    assert report.passed
    assert report.reasons == ()
    assert report.inside_share == 1.0
    assert report.peak_inside
    assert report.deletion_auc == pytest.approx(1 / 128)
    assert report.random_deletion_auc > 0.3
    document = report.to_json()
    assert document["passed"] is True
    assert document["insertion_auc"] == pytest.approx(1 - 1 / 128, abs=1e-4)
    assert document["reasons"] == []


def test_every_tested_map_tells_its_infidelity_and_its_steadiness():
    def explain(versions):
        # doubles the heat under any noise: norm of the change over norm of the heat is 1
        noisy = (versions != a_slice()).flatten(1).any(dim=1)
        return torch.from_numpy(true_heat())[None] * (1.0 + noisy.float()[:, None, None])

    steady = replace(a_tested_slice(), explain=explain)
    report = case_faithfulness(*volumes(), [steady], TARGET, steps=8)
    assert report.to_json()["sensitivity"] == pytest.approx(1.0, abs=1e-4)
    assert report.untested == ()
    assert 0 <= report.infidelity < 0.9
    flat = np.ones_like(true_heat())
    worse = case_faithfulness(*volumes(flat), [a_tested_slice(flat)], TARGET, steps=8)
    assert worse.infidelity > report.infidelity
    assert worse.sensitivity is None
    assert "How steady the heat is was not measured" in worse.untested[0]
    again = case_faithfulness(*volumes(), [steady], TARGET, steps=8)
    assert again == report


def test_infidelity_asks_the_network_once_for_each_square():
    asked = []

    def score(images):
        asked.append(len(images))
        return spot_score(images)

    normalised_infidelity(score, a_slice(), true_heat(), TARGET, squares=5)
    assert sum(asked) in (6, 10)  # the slice itself, alone or once a square


def test_a_method_that_survives_shuffled_weights_speaks_against_a_true_map():
    true = case_faithfulness(*volumes(), [a_tested_slice()], TARGET, steps=8)
    sane = with_sanity(true, -0.5)
    assert (sane.passed, sane.reasons, sane.to_json()["shuffled_correlation"]) == (True, (), -0.5)
    insane = with_sanity(true, 0.831)
    assert not insane.passed
    assert insane.reasons == (
        "The heat hardly changes when the network's weights are shuffled (rank correlation "
        "0.83): it shows the pictures, not what was learnt.",
    )
    assert with_sanity(true, None).to_json()["shuffled_correlation"] is None


def test_an_inverted_map_fails_for_every_reason():
    inverted = 1 - true_heat()
    report = case_faithfulness(*volumes(inverted), [a_tested_slice(inverted)], TARGET, steps=8)
    assert not report.passed
    text = " ".join(report.reasons)
    assert "Only" in text
    assert "of the heat lies within 5 mm of the tumour" in text
    assert "no more than random places do" in text
    assert "middle of the head explains the answer better" in text


def test_a_map_at_the_wrong_place_fails_although_the_network_follows_it():
    heat, tumour = volumes()
    report = case_faithfulness(
        heat, np.roll(tumour, 40, axis=1), [a_tested_slice()], TARGET, steps=8
    )
    assert not report.passed
    assert len(report.reasons) == 2
    assert "more than 5 mm away" in report.reasons[1]


def test_an_answer_that_the_pictures_do_not_decide_cannot_be_explained_by_heat():
    def habit(images):
        return spot_score(images) * 0.01

    report = case_faithfulness(*volumes(), [a_tested_slice(score=habit)], TARGET, steps=8)
    assert not report.passed
    assert "hardly weakens the answer" in report.reasons[0]
    assert report.deletion_auc is None
    assert report.effect_log_odds == pytest.approx(0.03, abs=0.02)


def test_an_empty_map_fails_and_says_so():
    report = case_faithfulness(
        *volumes(np.zeros((SIDE, SIDE), np.float32)), [a_tested_slice()], TARGET
    )
    assert report.reasons == ("Nothing in the pictures speaks for glioma: the heatmap is empty.",)
    assert not report.passed


def test_without_a_tumour_or_a_tested_slice_nothing_passes():
    heat, tumour = volumes()
    report = case_faithfulness(heat, np.zeros_like(tumour), [a_tested_slice()], TARGET, steps=8)
    assert report.reasons == ("No tumour was found, so the heat cannot be compared with one.",)
    report = case_faithfulness(heat, tumour, [], TARGET)
    assert not report.passed
    assert "No slice was tested" in report.reasons[0]


def test_infidelity_is_zero_for_a_map_that_foretells_every_cost():
    image = a_slice()

    def linear(images):  # the score falls by the sum over the spot of what is taken away
        return spot_score(images) * 64

    cost = (image - blurred_head(image[None])[0])[0].numpy() * true_heat()
    assert normalised_infidelity(linear, image, cost, TARGET) == pytest.approx(0.0, abs=1e-5)
    flat = np.ones((SIDE, SIDE), dtype=np.float32)
    assert normalised_infidelity(linear, image, flat, TARGET) > 0.3
    nothing = np.zeros((SIDE, SIDE), dtype=np.float32)
    assert normalised_infidelity(linear, image, nothing, TARGET) == pytest.approx(1.0)


def test_sensitivity_is_the_relative_change_of_the_heat():
    image = a_slice()
    assert max_sensitivity(lambda images: torch.ones(len(images), 4, 4), image) == 0.0

    def brightness(images):
        return torch.ones(len(images), 4, 4) * images[:, 0, 0, 0][:, None, None]

    # the corner's brightness is 10 in the slice, and moves by at most 0.5 under the noise
    image[0, 0, 0] = 10.0
    assert 0 < max_sensitivity(brightness, image, noise=0.5) <= 0.05
