"""What the classifier decides from readings of slices, and each reason why it does not."""

from dataclasses import replace

import numpy as np
import pytest
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.classification.case_slices import cut_patch, tumour_slices
from brain_tumor.classification.classifier import (
    NO_HEAD,
    NO_TUMOUR,
    TOO_SMALL,
    TumorTypeClassifier,
    _standing_reasons,
    _unfit,
    pool_logits,
)
from brain_tumor.classification.features.features import FeatureVector
from brain_tumor.classification.model.calibration import Calibration
from brain_tumor.classification.model.outliers import OutlierModel
from brain_tumor.classification.model.training_statistics import ClassifierStatistics
from brain_tumor.classification.result import SliceReading
from brain_tumor.labels import TumorType
from brain_tumor.phantoms.phantom import PhantomSpec, make_phantom
from brain_tumor.segmentation.tumor_core.slices import Plane

from tests.helpers.type_reader import CLASSIFIER, a_type_reader

SURE = (0.9, 0.07, 0.03)
STATISTICS = ClassifierStatistics(
    slice_calibration=Calibration(1.0, 0.95, 0.3),
    case_calibration=Calibration(2.0, 0.95, 0.6),
    outliers=OutlierModel(np.zeros((3, 2)), np.eye(2), 3.0),
    least_agreement=0.7,
)


@pytest.fixture(scope="module")
def a_reading():
    """Makes readings of one slice of a phantom's head."""
    phantom = make_phantom(PhantomSpec(seed=5, spacing_mm=(1.5, 1.5, 1.5)))
    part = tumour_slices(phantom.case.volumes[Sequence.T1C], phantom.labelmap > 0)[0]
    patch = cut_patch(part)

    def make(probabilities=SURE, *, plane=Plane.AXIAL, area=None, head=True, **other):
        drawn = part
        if area is not None:
            mask = np.zeros(part.mask.shape, dtype=bool)
            mask.flat[:area] = True
            drawn = replace(part, mask=mask, pixel_mm=(1.0, 1.0))
        return SliceReading(
            part=replace(drawn, plane=plane),
            patch=patch if head else replace(patch, image=np.zeros_like(patch.image)),
            features=FeatureVector({}),
            logits=np.log(np.array(probabilities, dtype=np.float32)),
            probabilities=dict(zip(TumorType, probabilities, strict=True)),
            embedding=other.get("embedding", np.zeros(2, dtype=np.float32)),
            contributions=np.zeros((0, 3), dtype=np.float32),
            agreement=other.get("agreement", 1.0),
        )

    return make


@pytest.fixture(scope="module")
def classifier():
    known = a_type_reader().classifier
    return TumorTypeClassifier(known.network, known.features, STATISTICS, CLASSIFIER, bf16=False)


def test_planes_count_alike_and_slices_by_the_root_of_their_area(a_reading):
    readings = (
        a_reading((0.5, 0.25, 0.25), area=1),
        a_reading((0.25, 0.5, 0.25), area=4),
        a_reading((0.25, 0.25, 0.5), plane=Plane.CORONAL, area=100),
    )
    # in units of ln 2: axial (-1 - 2*2, -2 - 2*1, -2 - 2*2) / 3, coronal (-2, -2, -1)
    expected = (np.array([-5 / 3, -4 / 3, -2.0]) + np.array([-2.0, -2.0, -1.0])) / 2 * np.log(2)
    assert pool_logits(readings) == pytest.approx(expected, abs=1e-6)


def test_a_sure_reading_of_a_head_is_told_without_a_reason(classifier, a_reading):
    found = classifier._pool((a_reading(),), [])
    assert found.prediction is TumorType.GLIOMA
    assert found.prediction_set == (TumorType.GLIOMA,)
    assert found.reasons == ()


def test_a_lone_slice_is_calibrated_as_a_slice_and_several_as_a_case(classifier, a_reading):
    lone = classifier._pool((a_reading((0.8, 0.1, 0.1)),), [])
    assert lone.probabilities[TumorType.GLIOMA] == pytest.approx(0.8)
    case = classifier._pool((a_reading((0.8, 0.1, 0.1)),) * 2, [])
    # temperature 2 takes the root: sqrt(8) of sqrt(8) + 1 + 1
    assert case.probabilities[TumorType.GLIOMA] == pytest.approx(8**0.5 / (8**0.5 + 2))


def test_a_case_is_told_no_surer_than_its_held_out_patients_allow(classifier, a_reading):
    counted = replace(STATISTICS, slice_calibration=Calibration(1.0, 0.95, 0.3, patients=8))
    known = TumorTypeClassifier(
        classifier.network, classifier.features, counted, CLASSIFIER, bf16=False
    )
    found = known._pool((a_reading((0.998, 0.0015, 0.0005)),), [])
    assert found.prediction is TumorType.GLIOMA
    assert list(found.probabilities.values()) == pytest.approx([0.9, 0.075, 0.025])
    (read,) = known.read([a_reading().part], [known.measure(a_reading().part)])
    assert max(read.probabilities.values()) <= 0.9


def test_a_case_without_a_likely_type_stays_undetermined_and_names_candidates(
    classifier, a_reading
):
    # roots of 0.49, 0.49 and 0.02: 0.7, 0.7, 0.141 of 1.541: 45 %, 45 %, 9 %; 60 % are asked for
    found = classifier._pool((a_reading((0.49, 0.02, 0.49)),) * 2, [])
    assert found.prediction is None
    assert found.prediction_set == (TumorType.GLIOMA, TumorType.MENINGIOMA, TumorType.PITUITARY)
    assert found.reasons == ("No type is likely enough; the most probable one has 45%.",)
    # roots of 0.36, 0.64 and 0.0004: 0.6, 0.8, 0.02 of 1.42: the first two have 98.6 %
    found = classifier._pool((a_reading((0.3598, 0.6398, 0.0004)),) * 2, [])
    assert found.prediction_set == (TumorType.GLIOMA, TumorType.MENINGIOMA)
    assert found.reasons == ("No type is likely enough; the most probable one has 56%.",)


def test_two_likely_types_of_a_slice_are_both_in_the_set(classifier, a_reading):
    found = classifier._pool((a_reading((0.5, 0.4, 0.1)),), [])
    assert found.prediction is None
    assert found.prediction_set == (TumorType.GLIOMA, TumorType.MENINGIOMA)
    assert found.reasons == ("At 95% coverage glioma and meningioma cannot be told apart.",)


def test_the_middle_distance_decides_what_is_unlike_the_training_cases(classifier, a_reading):
    near, far = (a_reading(embedding=np.array(e, dtype=np.float32)) for e in ((1, 1), (3, 4)))
    # sqrt((9 + 16) / 2) = 3.54
    found = classifier._pool((near, far, far), [])
    assert found.prediction is None
    assert found.reasons == (
        "The tumour looks unlike the training cases (distance 3.54, limit 3.00).",
    )
    assert classifier._pool((near, near, far), []).reasons == ()


def test_an_outline_elsewhere_is_refused_by_the_middle_agreement(classifier, a_reading):
    good, bad = a_reading(agreement=0.9), a_reading(agreement=0.25)
    assert classifier._pool((good, good, bad), []).prediction is TumorType.GLIOMA
    found = classifier._pool((good, bad, bad), [])
    assert found.prediction is None
    assert found.reasons == (
        "The outline does not lie where the network sees tumour (agreement 0.25, least 0.70).",
    )


def test_a_picture_that_is_no_head_is_refused_for_that_reason(classifier, a_reading):
    head, none = a_reading(), a_reading(head=False)
    found = classifier._pool((head, none, none), [])
    assert found.prediction is None
    assert found.reasons == (NO_HEAD,)
    assert classifier._pool((head, none), []).reasons == ()


def test_a_standing_reason_refuses_whatever_the_network_says(classifier, a_reading):
    found = classifier._pool((a_reading(),), ["There are 3 separate tumours."])
    assert found.prediction is None
    assert found.reasons == ("There are 3 separate tumours.",)
    assert found.prediction_set == (TumorType.GLIOMA,)


def a_case(shape, spacing_mm, sequence=Sequence.T1C):
    affine = np.diag([*spacing_mm, 1.0])
    return Case("c", sequence, {sequence: Volume(np.zeros(shape, dtype=np.float32), affine)})


def test_without_contrast_the_reason_says_so():
    reason = _unfit(a_case((40, 40, 40), (1.0,) * 3, Sequence.T2), Sequence.T2)
    assert reason.startswith("The case has no contrast-enhanced T1 volume")


def test_without_contrast_nothing_is_read_so_no_probability_is_told(classifier):
    labelmap = np.zeros((64, 64, 40), dtype=np.uint8)
    labelmap[20:40, 20:40, 10:30] = 3
    found = classifier.classify(a_case(labelmap.shape, (1.0,) * 3, Sequence.FLAIR), labelmap)
    assert (found.prediction, found.probabilities, found.slices) == (None, None, ())
    assert found.reasons[0].startswith("The case has no contrast-enhanced T1 volume")
    assert found.shape is not None


def test_three_tumours_are_a_reason_by_rule():
    assert _standing_reasons(2) == []
    (reason,) = _standing_reasons(3)
    assert reason.startswith("There are 3 separate tumours; metastases")


@pytest.mark.parametrize(
    ("shape", "spacing_mm", "slab"),
    [
        ((256, 256, 5), (1.0, 1.0, 1.0), "a thin slab of 5 mm"),
        ((12, 256, 256), (1.2, 1.0, 1.0), "a thin slab of 14 mm"),
        ((256, 256, 24), (1.0, 1.0, 1.0), ""),  # thick slices whose header claims 1 mm
        ((256, 256, 3), (1.0, 1.0, 5.0), ""),
        ((256, 256, 1), (1.0, 1.0, 1.0), ""),
    ],
)
def test_a_few_thin_slices_tell_no_type_thick_ones_and_a_lone_one_may(shape, spacing_mm, slab):
    reason = _unfit(a_case(shape, spacing_mm), Sequence.T1C)
    assert (reason is None) is not bool(slab)
    assert slab in (reason or "")


@pytest.mark.parametrize(("pixels", "reason"), [(0, NO_TUMOUR), (8, TOO_SMALL)])
def test_no_tumour_and_one_too_small_to_be_read_are_told_apart(classifier, pixels, reason):
    labelmap = np.zeros((64, 64, 1), dtype=np.uint8)
    labelmap[30, 30 : 30 + pixels] = 4
    found = classifier.classify(a_case(labelmap.shape, (1.0, 1.0, 6.0)), labelmap)
    assert (found.prediction, found.probabilities, found.prediction_set) == (None, None, ())
    assert found.reasons == (reason,)
