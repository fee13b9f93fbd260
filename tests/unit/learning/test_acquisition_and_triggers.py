from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from brain_tumor.errors import InputError
from brain_tumor.learning.acquisition import (
    NOTHING_FOUND,
    CaseScores,
    case_features,
    combined_scores,
    distance_to_known,
    diversity,
    fit_minutes,
    normalised_entropy,
    ranks,
    standardised,
    tumour_uncertainty,
    unsure_ml,
)
from brain_tumor.learning.triggers import Policy, Trigger, is_due, last_turn, parse_policy

from tests.helpers.phantoms import a_glioma_phantom, a_healthy_phantom, a_meningioma_phantom


def scored(uncertainty=0.5, place=(0.0, 0.0), unsure=1.0, **more):
    return CaseScores(uncertainty, tuple(map(float, place)), unsure, **more)


class TestUncertainty:
    def test_air_does_not_count_and_neither_does_size(self):
        doubt, labels = np.zeros((20, 20, 20), np.float32), np.zeros((20, 20, 20), np.uint8)
        labels[2:4, 2:4, 2:4] = 3
        doubt[2:4, 2:4, 2] = 0.8  # half of the eight voxels
        assert tumour_uncertainty(doubt, labels) == pytest.approx(0.4)
        labels[2:4, 2:4, 2:6] = 3
        doubt[2:4, 2:4, 4] = 0.8
        assert tumour_uncertainty(doubt, labels) == pytest.approx(0.4)

    def test_doubt_around_the_tumour_counts(self):
        doubt, labels = np.zeros((4, 4, 4), np.float32), np.zeros((4, 4, 4), np.uint8)
        labels[0, 0, 0] = 3
        doubt[1, 1, 1] = 0.5
        assert tumour_uncertainty(doubt, labels) == pytest.approx(0.25)

    def test_a_haze_over_the_whole_box_does_not_hide_the_doubt_in_the_tumour(self):
        doubt, labels = np.full((20, 20, 20), 0.03, np.float32), np.zeros((20, 20, 20), np.uint8)
        labels[:2, 0, 0] = 3
        doubt[:2, 0, 0] = 0.2
        doubt[2:4, 0, 0] = 0.6  # the rim
        assert tumour_uncertainty(doubt, labels) == pytest.approx(0.4)

    def test_a_case_without_any_tumour_is_looked_at(self):
        empty = np.zeros((4, 4, 4))
        found = tumour_uncertainty(empty.astype(np.float32), empty.astype(np.uint8))
        assert found == NOTHING_FOUND == 1.0

    def test_the_volume_in_doubt_is_in_ml(self):
        doubt = np.zeros((10, 10, 10), np.float32)
        doubt[:5, :4, 0] = 0.5
        doubt[:, :, 5] = 0.49
        assert unsure_ml(doubt, (1.0, 2.0, 5.0)) == pytest.approx(0.2)

    def test_entropy_of_types(self):
        assert normalised_entropy([1.0, 0.0, 0.0]) == 0.0
        assert normalised_entropy([0.5, 0.5, 0.0]) == pytest.approx(np.log(2) / np.log(3))


class TestDiversity:
    def test_distances_by_hand(self):
        points = np.array([[3.0, 4.0], [0.0, 1.0]])
        assert distance_to_known(points, np.zeros((1, 2))).tolist() == [5.0, 1.0]

    def test_features_are_brought_to_one_scale(self):
        found = standardised(np.array([[0.0, 5.0], [10.0, 5.0], [20.0, 5.0]]))
        assert found[:, 0].tolist() == [-1.0, 0.0, 1.0]
        assert found[:, 1].tolist() == [0.0, 0.0, 0.0]

    def test_a_repeat_of_a_corrected_case_is_recognised(self):
        known = [scored(place=(0, 0)), scored(place=(8, 0)), scored(place=(0, 8))]
        cases = [scored(place=(0.1, 0)), scored(place=(5, 5))]
        novelty, is_repeat = diversity(cases, known)
        assert novelty[0] < novelty[1]
        assert is_repeat.tolist() == [True, False]

    def test_phantoms_of_another_kind_are_farther_apart(self):
        def features(phantom):
            return np.array(case_features(phantom.case, phantom.labelmap))

        glioma, meningioma = features(a_glioma_phantom()), features(a_meningioma_phantom())
        assert len(glioma) == 19
        assert np.isfinite([glioma, meningioma]).all()
        assert np.linalg.norm(glioma - meningioma) > 1
        assert np.isfinite(features(a_healthy_phantom())).all()


class TestCombination:
    def test_ranks_share_ties_and_put_the_unknown_in_the_middle(self):
        assert ranks([5.0, 1.0, 5.0]).tolist() == [0.75, 0.0, 0.75]
        assert ranks([None, 2.0, 1.0]).tolist() == [0.5, 1.0, 0.0]
        assert ranks([2.0, 2.0]).tolist() == [0.5, 0.5]

    def test_doubt_disagreement_and_novelty_raise_and_effort_lowers(self):
        known = [scored(place=(0, 0)), scored(place=(1, 1))]
        for better, worse in (
            (scored(0.9, (4, 4)), scored(0.1, (4, 4))),
            (scored(place=(4, 4), disagreement=0.9), scored(place=(4, 4), disagreement=0.1)),
            (scored(place=(4, 4), type_entropy=0.9), scored(place=(4, 4), type_entropy=0.1)),
            (scored(place=(9, 9)), scored(place=(4, 4))),
            (scored(place=(4, 4), unsure=1.0), scored(place=(4, 4), unsure=50.0)),
        ):
            first, second = combined_scores([better, worse], known)
            assert first > second

    def test_a_repeat_falls_behind_everything(self):
        known = [scored(place=(0, 0)), scored(place=(8, 0)), scored(place=(0, 8))]
        repeat, other = scored(1.0, (0.05, 0), disagreement=1.0), scored(0.1, (5, 5))
        first, second = combined_scores([repeat, other], known)
        assert first < second

    def test_effort_is_learnt_from_five_corrections_on(self):
        volumes, seconds = [0.0, 10.0, 20.0, 30.0, 40.0], [60.0, 120.0, 180.0, 240.0, 300.0]
        assert fit_minutes(volumes, seconds) == pytest.approx((1.0, 0.1))
        assert fit_minutes(volumes[:4], seconds[:4]) == (2.0, 0.15)
        assert fit_minutes([1.0] * 6, [60.0] * 6) == (2.0, 0.15)

    def test_scores_survive_the_ledger(self):
        case = scored(0.25, (1, 2), 3.5, type_entropy=0.5)
        assert CaseScores.from_json(case.to_json()) == case


class TestTriggers:
    NOW = datetime(2026, 5, 4, 2, 40, tzinfo=UTC)

    def test_policies_are_read(self):
        assert parse_policy("manual") == Policy()
        assert parse_policy("every 20") == Policy(Trigger.EVERY, corrections=20)
        nightly = parse_policy("nightly 02:30")
        assert (nightly.trigger, nightly.at.hour, nightly.at.minute) == (Trigger.NIGHTLY, 2, 30)
        for text in ("", "every 0", "every", "nightly 25:00", "per save"):
            with pytest.raises(InputError, match="TUMORLENS_RETRAIN"):
                parse_policy(text)

    def test_manual_never_starts(self):
        assert not is_due(Policy(), self.NOW, None, 1000)

    def test_every_n_corrections_and_never_twice_within_an_hour(self):
        policy = parse_policy("every 20")
        assert not is_due(policy, self.NOW, None, 19)
        assert is_due(policy, self.NOW, None, 20)
        assert not is_due(policy, self.NOW, self.NOW - timedelta(minutes=59), 40)
        assert is_due(policy, self.NOW, self.NOW - timedelta(minutes=61), 40)

    def test_nightly_once_a_night_if_there_is_something_new(self):
        policy = parse_policy("nightly 02:30")
        assert is_due(policy, self.NOW, self.NOW - timedelta(days=1), 1)
        assert not is_due(policy, self.NOW, self.NOW - timedelta(days=1), 0)
        assert not is_due(policy, self.NOW, self.NOW - timedelta(minutes=5), 1)
        early = self.NOW - timedelta(minutes=20)  # 02:20 belongs to the night before
        assert not is_due(policy, early, self.NOW - timedelta(days=1), 1)
        assert is_due(policy, self.NOW + timedelta(hours=2), None, 1)  # 04:40, others went first
        assert is_due(policy, self.NOW + timedelta(hours=2), self.NOW - timedelta(days=1), 1)
        next_turn = self.NOW + timedelta(hours=23, minutes=49)  # 02:29 of the next night
        assert not is_due(policy, next_turn, self.NOW, 1)
        assert is_due(policy, next_turn + timedelta(minutes=1), self.NOW, 1)
        late = parse_policy("nightly 23:45")
        assert is_due(late, datetime(2026, 5, 5, 0, 10, tzinfo=UTC), None, 1)

    def test_the_turn_is_the_newest_set_time(self):
        policy = parse_policy("nightly 02:30")
        assert last_turn(policy, self.NOW) == datetime(2026, 5, 4, 2, 30, tzinfo=UTC)
        earlier = self.NOW - timedelta(minutes=20)
        assert last_turn(policy, earlier) == datetime(2026, 5, 3, 2, 30, tzinfo=UTC)
        assert last_turn(parse_policy("every 20"), self.NOW) == self.NOW
