"""Correcting labelmaps by clicks, on evidence worked out by hand."""

import numpy as np
import pytest
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import InputError, LabelError
from brain_tumor.labels import Label, LabelScheme
from brain_tumor.segmentation.refinement.claims import (
    FLOOR,
    REACH_MM,
    ClaimWeights,
    explore,
    score,
)
from brain_tumor.segmentation.refinement.evidence import (
    Evidence,
    gather_evidence,
    sample_nearest,
    share_out,
)
from brain_tumor.segmentation.refinement.refine import refine
from brain_tumor.segmentation.refinement.simulation import next_click
from brain_tumor.segmentation.refinement.strokes import (
    SCRIBBLED_BACKGROUND,
    Stroke,
    check_labels,
    click,
    ras_to_index,
    scribbles,
)
from brain_tumor.segmentation.result import ClassProbabilities, SegmentationResult

from tests.helpers.server import MODEL

SIZE = 40
SPACING_MM = 2.0
AFFINE = np.diag([SPACING_MM, SPACING_MM, SPACING_MM, 1.0])
CENTRE = (20, 20, 20)


def ball(centre, radius_voxels):
    grid = np.indices((SIZE,) * 3) - np.array(centre).reshape(3, 1, 1, 1)
    return (grid**2).sum(axis=0) <= radius_voxels**2


def evidence_of(bright, probability=0.05):
    """One sequence, 3 deviations brighter in an object; the model believes in nothing anywhere."""
    channels = np.where(bright, 3.0, 0.0).astype(np.float16)[None]
    tumour = {
        label: np.full(bright.shape, p, dtype=np.float16)
        for label, p in ((Label.NCR, 0.01), (Label.ED, 0.01), (Label.ET, probability))
    }
    return Evidence(channels, tumour, np.ones(bright.shape, dtype=bool), AFFINE)


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


def nothing():
    return np.zeros((SIZE,) * 3, dtype=np.uint8)


class TestRefine:
    def test_a_click_takes_the_object_that_it_hits_and_little_else(self):
        target = ball(CENTRE, 5)
        refined = refine(
            nothing(), AFFINE, evidence_of(target), [click(CENTRE, Label.ET, target.shape)]
        )
        assert dice(refined == Label.ET, target) > 0.9
        assert set(np.unique(refined)) == {0, 3}

    def test_a_negative_click_removes_a_false_lesion_and_spares_the_true_one(self):
        false, true = ball((12, 20, 20), 3), ball((30, 20, 20), 4)
        labels = np.where(false | true, np.uint8(Label.ET), np.uint8(0))
        evidence = evidence_of(false | true, probability=0.6)
        refined = refine(
            labels, AFFINE, evidence, [click((12, 20, 20), Label.BACKGROUND, labels.shape)]
        )
        assert np.count_nonzero(refined[false]) < 0.2 * np.count_nonzero(false)
        assert (refined[true] == Label.ET).all()

    def test_nothing_beyond_the_reach_changes(self):
        everything = np.ones((SIZE,) * 3, dtype=bool)
        corner = (2, 2, 2)
        refined = refine(
            nothing(), AFFINE, evidence_of(everything, 0.45), [click(corner, Label.ET, (SIZE,) * 3)]
        )
        grid = np.indices(refined.shape) - np.array(corner).reshape(3, 1, 1, 1)
        away_mm = np.linalg.norm(grid * SPACING_MM, axis=0)
        assert away_mm[refined > 0].max() <= REACH_MM
        assert away_mm[refined > 0].max() > REACH_MM / 2  # it does reach

    def test_a_click_is_honoured_where_images_and_model_speak_against_it(self):
        evidence = evidence_of(np.zeros((SIZE,) * 3, dtype=bool), probability=0.0)
        stubborn = ClaimWeights(constant=-100.0)
        stroke = click(CENTRE, Label.NCR, (SIZE,) * 3)
        refined = refine(nothing(), AFFINE, evidence, [stroke], stubborn)
        # the voxel and its six neighbours at 2 mm
        assert np.count_nonzero(refined) == 7
        assert refined[CENTRE] == Label.NCR

    def test_all_clicks_hold_in_the_end_and_of_two_at_one_place_the_last(self):
        target = ball(CENTRE, 5)
        near = (21, 20, 20)
        strokes = [
            click(CENTRE, Label.ET, target.shape),
            click(near, Label.NCR, target.shape),
            click((5, 5, 5), Label.ED, target.shape),
            click((5, 5, 5), Label.BACKGROUND, target.shape),
        ]
        refined = refine(nothing(), AFFINE, evidence_of(target), strokes)
        assert refined[CENTRE] == Label.ET
        assert refined[near] == Label.NCR
        assert refined[5, 5, 5] == Label.BACKGROUND

    def test_clicks_sent_again_with_their_result_change_nothing(self):
        target = ball(CENTRE, 5)
        strokes = [click(CENTRE, Label.ET, target.shape)]
        once = refine(nothing(), AFFINE, evidence_of(target), strokes)
        np.testing.assert_array_equal(refine(once, AFFINE, evidence_of(target), strokes), once)

    def test_a_click_sent_again_leaves_what_was_edited_by_hand_beside_it(self):
        target = ball(CENTRE, 5)
        strokes = [click(CENTRE, Label.ET, target.shape)]
        edited = refine(nothing(), AFFINE, evidence_of(target), strokes)
        edited[21, 20, 20] = Label.NCR  # 2 mm from the click
        again = refine(edited, AFFINE, evidence_of(target), strokes)
        np.testing.assert_array_equal(again, edited)

    def test_of_two_close_clicks_the_later_takes_what_lies_near_both(self):
        evidence = evidence_of(np.zeros((SIZE,) * 3, dtype=bool), probability=0.0)
        strokes = [
            click(CENTRE, Label.NCR, (SIZE,) * 3),
            click((22, 20, 20), Label.ED, (SIZE,) * 3),
        ]
        refined = refine(nothing(), AFFINE, evidence, strokes, ClaimWeights(constant=-100.0))
        assert refined[19:24, 20, 20].tolist() == [1, 1, 2, 2, 2]

    def test_an_earlier_click_defends_its_own(self):
        target = ball((14, 20, 20), 4) | ball((26, 20, 20), 4)
        evidence = evidence_of(target)
        first = click((14, 20, 20), Label.ET, target.shape)
        second = click((26, 20, 20), Label.NCR, target.shape)
        refined = refine(nothing(), AFFINE, evidence, [first, second])
        held = ball((14, 20, 20), 4)
        assert (refined[held] == Label.ET).mean() > 0.95
        assert (refined[ball((26, 20, 20), 4)] == Label.NCR).mean() > 0.9

    def test_no_stroke_changes_nothing_and_the_input_is_left_alone(self):
        labels = np.where(ball(CENTRE, 5), np.uint8(2), np.uint8(0))
        before = labels.copy()
        evidence = evidence_of(labels > 0)
        np.testing.assert_array_equal(refine(labels, AFFINE, evidence, []), before)
        refine(labels, AFFINE, evidence, [click(CENTRE, Label.ET, labels.shape)])
        np.testing.assert_array_equal(labels, before)

    def test_orientation_of_the_case_does_not_matter(self):
        target = ball((15, 20, 24), 5)
        evidence = evidence_of(target)
        straight = refine(
            nothing(), AFFINE, evidence, [click((15, 20, 24), Label.ET, target.shape)]
        )
        # axes permuted to (k, i, j) and the first one flipped
        turned = np.array(
            [[0, 2.0, 0, 0], [0, 0, 2.0, 0], [-2.0, 0, 0, 2.0 * (SIZE - 1)], [0, 0, 0, 1]]
        )
        stroke = click((SIZE - 1 - 24, 15, 20), Label.ET, target.shape)
        refined = refine(nothing(), turned, evidence, [stroke])
        np.testing.assert_array_equal(refined.transpose(1, 2, 0)[:, :, ::-1], straight)

    def test_a_click_in_the_air_outside_the_head_removes_what_was_labelled_there(self):
        head = ball(CENTRE, 12)
        evidence = evidence_of(head)
        evidence = Evidence(evidence.channels, evidence.tumour, head, AFFINE)
        stray = ball((3, 20, 20), 2)
        labels = np.where(stray, np.uint8(3), np.uint8(0))
        refined = refine(
            labels, AFFINE, evidence, [click((3, 20, 20), Label.BACKGROUND, labels.shape)]
        )
        assert np.count_nonzero(refined) < np.count_nonzero(stray) / 2


class TestScore:
    def test_the_score_is_the_weighted_sum(self):
        shape = (20, 20, 20)
        channels = np.zeros((1, *shape), dtype=np.float16)
        tumour = {Label.ET: np.full(shape, 0.25, dtype=np.float16)}
        evidence = Evidence(channels, tumour, np.ones(shape, dtype=bool), np.eye(4))
        around = explore(evidence, np.zeros(shape, dtype=bool), np.array([[9, 9, 9]]), Label.ET)
        weights = ClaimWeights(1.0, 0.1, 2.0, 5.0, 3.0, 0.5, 0.2, 0.3, 100.0, 100.0)
        found = score(around, np.zeros(shape, dtype=np.uint8), weights)
        # two steps of 1 mm through tissue that looks the same
        surprise = np.log(0.25 / 0.75)
        wanted = (
            1.0
            + 0.1 * np.log(3)
            + 2.0 * np.exp(-0.1)
            + 3.0 * np.log(0.25)
            + 0.5 * surprise
            + 0.2 * surprise
            + 0.3 * surprise * np.log(3)
        )
        assert found[11, 9, 9] == pytest.approx(wanted, abs=2e-3)

    def test_different_tissue_makes_the_way_longer(self):
        shape = (20, 8, 8)
        channels = np.zeros((1, *shape), dtype=np.float16)
        channels[0, 10:] = 4.0
        evidence = Evidence(channels, {}, np.ones(shape, dtype=bool), np.eye(4))
        around = explore(evidence, np.zeros(shape, dtype=bool), np.array([[2, 4, 4]]), Label.ET)
        # 2 per deviation and mm: 9 times as long beyond the border
        assert around.path_mm[6, 4, 4] == pytest.approx(4.0, abs=0.1)
        step = around.path_mm[18, 4, 4] - around.path_mm[17, 4, 4]
        assert step == pytest.approx(9.0, abs=0.1)

    def test_what_cannot_be_reached_has_the_lowest_score(self):
        shape = (20, 8, 8)
        foreground = np.ones(shape, dtype=bool)
        foreground[10] = False  # a wall
        evidence = Evidence(np.zeros((1, *shape), np.float16), {}, foreground, np.eye(4))
        around = explore(evidence, np.zeros(shape, dtype=bool), np.array([[2, 4, 4]]), Label.ET)
        found = score(around, np.zeros(shape, dtype=np.uint8))
        assert (found[10] == FLOOR).all()
        assert found[18, 4, 4] < found[9, 4, 4] - 2


class TestEvidence:
    def test_a_model_of_the_undivided_core_shares_out_evenly(self):
        background, ncr, ed, et, core = share_out({Label.CORE: np.full((1, 1, 1), 0.6)}, (1, 1, 1))
        values = [float(a[0, 0, 0]) for a in (background, ncr, ed, et, core)]
        assert values == pytest.approx([0.4, 0.3, 0.2, 0.3, 0.6])

    def test_a_model_of_sub_regions_gives_their_sum_to_the_core(self):
        tumour = {
            label: np.full((1, 1, 1), p)
            for label, p in ((Label.NCR, 0.2), (Label.ED, 0.1), (Label.ET, 0.3))
        }
        values = [float(a[0, 0, 0]) for a in share_out(tumour, (1, 1, 1))]
        assert values == pytest.approx([0.4, 0.2, 0.1, 0.3, 0.5])

    def test_nearest_labels_of_a_shifted_and_coarser_grid(self):
        labels = np.arange(8, dtype=np.uint8).reshape(8, 1, 1)
        target = np.diag([2.0, 1.0, 1.0, 1.0])
        target[0, 3] = -1.8
        # centres at -1.8, 0.2, 2.2 and 8.2: only two of them in the grid
        found = sample_nearest(labels, np.eye(4), target, (6, 1, 1))
        np.testing.assert_array_equal(found.ravel(), [0, 0, 2, 4, 6, 0])

    def test_the_likeliest_label_is_read_at_the_click_and_among_those_allowed(self):
        evidence = evidence_of(ball(CENTRE, 5), probability=0.3)
        half = np.diag([1.0, 1.0, 1.0, 1.0])  # case of 1 mm, working grid of 2 mm
        everything = set(Label) - {Label.CORE}
        assert evidence.likeliest(np.array([40, 40, 40]), half, everything) is Label.BACKGROUND
        assert evidence.likeliest(np.array([40, 40, 40]), half, {Label.ED, Label.ET}) is Label.ET

    def _case(self):
        shape = (48, 48, 48)
        grid = np.indices(shape) - 23.5
        head = np.linalg.norm(grid, axis=0) < 20
        noise = np.random.default_rng(0).normal(100.0, 5.0, shape)
        volume = Volume(np.where(head, noise, 0.0).astype(np.float32), np.diag([3.0, 3, 3, 1]))
        labels = np.zeros(shape, dtype=np.uint8)
        labels[20:26, 20:26, 20:26] = 3
        return Case("a", Sequence.T1C, {Sequence.T1C: volume}), labels

    @pytest.mark.parametrize("has_probabilities", [True, False])
    def test_evidence_of_a_case_lies_where_the_case_lies(self, has_probabilities):
        case, labels = self._case()
        maps = (0.7 * (labels == 3)[None]).astype(np.float16)
        probabilities = ClassProbabilities((Label.ET,), maps, case.affine)
        result = SegmentationResult(
            labels,
            LabelScheme.SUBREGIONS,
            MODEL,
            "test",
            {},
            probabilities=probabilities if has_probabilities else None,
        )
        evidence = gather_evidence(case, result)
        assert evidence.channels.shape[0] == 1
        among = set(Label) - {Label.CORE}
        assert evidence.likeliest(np.array([23, 23, 23]), case.affine, among) is Label.ET
        assert evidence.likeliest(np.array([12, 23, 23]), case.affine, among) is Label.BACKGROUND
        refined = refine(
            np.zeros_like(labels), case.affine, evidence, [click((23, 23, 23), Label.ET, (48,) * 3)]
        )
        assert dice(refined == 3, labels == 3) > 0.6


class TestStrokes:
    @pytest.mark.parametrize("position", [(-1.0, 0, 0), (0, 40.0, 0), (0, 0, float("nan"))])
    def test_a_click_outside_the_volume_is_refused(self, position):
        with pytest.raises(InputError, match="outside the volume"):
            click(position, Label.ET, (40, 40, 40))

    def test_a_point_in_mm_finds_its_voxel(self):
        affine = np.array([[0, -2.0, 0, 10], [3.0, 0, 0, -6], [0, 0, 1.0, 0], [0, 0, 0, 1]])
        # voxel (2, 4, 5) lies at (10 - 8, -6 + 6, 5)
        assert ras_to_index((2.0, 0.0, 5.0), affine) == pytest.approx((2, 4, 5))

    def test_scribbles_become_one_stroke_a_connected_piece(self):
        volume = np.zeros((4, 4, 4), dtype=np.uint8)
        volume[0, 0, :2] = 3
        volume[1, 1, 2] = 3  # touches the first by a corner
        volume[3, 3, 0] = 3
        volume[2, 2, 2] = SCRIBBLED_BACKGROUND
        first, second, third = scribbles(volume, (4, 4, 4))
        assert [s.label for s in (first, second, third)] == [Label.ET, Label.ET, Label.BACKGROUND]
        assert first.voxels.tolist() == [[0, 0, 0], [0, 0, 1], [1, 1, 2]]
        assert second.voxels.tolist() == [[3, 3, 0]]
        assert third.voxels.tolist() == [[2, 2, 2]]

    def test_scribbles_of_too_many_pieces_are_refused(self):
        volume = np.zeros((10, 10, 10), dtype=np.uint8)
        volume[::2, ::2, ::2] = 3
        with pytest.raises(InputError, match="125 pieces"):
            scribbles(volume, (10, 10, 10))

    def test_scribbles_of_another_shape_or_with_other_values_are_refused(self):
        with pytest.raises(InputError, match="expected"):
            scribbles(np.zeros((4, 4, 4), dtype=np.uint8), (4, 4, 5))
        with pytest.raises(LabelError, match="7"):
            scribbles(np.full((4, 4, 4), 7, dtype=np.uint8), (4, 4, 4))

    def test_labels_of_the_other_scheme_are_refused(self):
        stroke = Stroke(np.zeros((1, 3), dtype=np.intp), Label.CORE)
        check_labels([stroke], LabelScheme.CORE)
        with pytest.raises(LabelError, match=r"\[1, 2, 3\]"):
            check_labels([stroke], LabelScheme.SUBREGIONS)


class TestSimulation:
    def test_the_middle_of_the_largest_wrong_piece_is_clicked(self):
        reference = np.zeros((12, 12, 12), dtype=np.uint8)
        reference[1:4, 1:4, 1:4] = 3
        reference[6:11, 6:11, 6:11] = 2
        labels = np.zeros_like(reference)
        assert next_click(labels, reference, (1.0, 1.0, 1.0)) == ((8, 8, 8), Label.ED)
        labels[6:11, 6:11, 6:11] = 2
        assert next_click(labels, reference, (1.0, 1.0, 1.0)) == ((2, 2, 2), Label.ET)

    def test_false_tumour_is_clicked_as_background_and_the_truth_not_at_all(self):
        reference = np.zeros((8, 8, 8), dtype=np.uint8)
        labels = reference.copy()
        labels[2:5, 2:5, 2:5] = 1
        assert next_click(labels, reference, (1.0, 1.0, 1.0)) == ((3, 3, 3), Label.BACKGROUND)
        assert next_click(reference, reference, (1.0, 1.0, 1.0)) is None
