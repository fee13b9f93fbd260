"""What is said where the second reader does not share the classifier's conviction."""

from types import SimpleNamespace

import pytest
from brain_tumor.bundles import ModelVersion
from brain_tumor.classification.result import ClassificationResult
from brain_tumor.explanation.analyst import Analyst
from brain_tumor.explanation.type_reader import NO_SYMPTOMS, TypeReader, doubt_of_second_reader
from brain_tumor.labels import TumorType

from tests.helpers.second_readers import a_reading


class Says:
    """Classifier and second reader of a case, with fixed answers."""

    def __init__(self, prediction, second):
        self.prediction, self.second, self.asked = prediction, second, 0

    def classify(self, case, labelmap, outlined):
        shares = {TumorType.GLIOMA: 0.9, TumorType.MENINGIOMA: 0.1, TumorType.PITUITARY: 0.0}
        return ClassificationResult(
            prediction=self.prediction,
            probabilities=shares,
            prediction_set=(),
            coverage=0.95,
            reasons=(),
            outlier=None,
            slices=(),
            model=ModelVersion("classification", "1", "11"),
            warnings=("thin",),
        )

    def read_case(self, result):
        self.asked += 1
        return self.second


def read(says, **options):
    analyst = Analyst(
        None, lambda: TypeReader(says, None, None, symptoms=says, warnings=(NO_SYMPTOMS,))
    )
    return analyst.read_type(None, SimpleNamespace(labelmap=None, probabilities=None), **options)


def warned(prediction, disagreement, **added):
    shares = {"glioma": 1 - disagreement, "meningioma": disagreement, "pituitary": 0.0, **added}
    says = Says(prediction, a_reading(disagreement, **shares))
    return read(says).classification.warnings


def test_a_type_that_the_second_reader_doubts_carries_a_warning_wherever_it_is_told():
    thin, doubt = warned(TumorType.GLIOMA, 0.7)  # the limit is 0.15
    assert thin == "thin"
    assert "sees a meningioma (70%)" in doubt
    assert warned(TumorType.GLIOMA, 0.1) == ("thin",)


def test_a_case_without_a_type_is_not_told_that_its_type_is_uncertain():
    assert warned(None, 0.7) == ("thin",)


def test_a_sure_second_reader_is_not_told_as_certain():
    second = a_reading(glioma=0.002, meningioma=0.997, pituitary=0.001)
    assert "sees a meningioma (> 99%)" in doubt_of_second_reader(second, 0.998)


def test_a_pituitary_tumour_is_not_called_a_pituitary():
    second = a_reading(glioma=0.2, meningioma=0.1, pituitary=0.7)
    assert "sees a pituitary tumour (70%)" in doubt_of_second_reader(second, 0.8)


def test_another_type_is_named():
    second = a_reading(glioma=0.2, meningioma=0.7, pituitary=0.1)
    # the classifier said glioma: the second reader gives it 0.2
    assert "sees a meningioma (70%)" in doubt_of_second_reader(second, 0.8)


@pytest.mark.parametrize("disagreement", [0.3, 0.3 + 1e-9])
def test_the_same_type_with_less_conviction_is_not_called_another(disagreement):
    second = a_reading(glioma=0.7, meningioma=0.2, pituitary=0.1)
    said = doubt_of_second_reader(second, disagreement)
    assert "gives the same type only 70%" in said
    assert "sees a" not in said


def test_the_second_reader_is_asked_once_and_what_it_says_is_kept():
    second = a_reading(0.7, glioma=0.3, meningioma=0.7, pituitary=0.0)
    says = Says(TumorType.GLIOMA, second)
    found = read(says)
    assert says.asked == 1
    assert found.symptoms is second
    assert [model.name for model in found.models] == ["classification", "concepts"]
    assert found.warnings == (NO_SYMPTOMS,)


def test_a_second_reader_that_is_not_wanted_is_not_asked_and_nothing_is_said_of_it():
    says = Says(TumorType.GLIOMA, a_reading(0.7, glioma=0.3, meningioma=0.7, pituitary=0.0))
    found = read(says, second_reader=False)
    assert says.asked == 0
    assert found.symptoms is None
    assert found.warnings == ()
    assert found.classification.warnings == ("thin",)
    assert [model.name for model in found.models] == ["classification"]


@pytest.mark.parametrize("prediction", [TumorType.GLIOMA, None])
def test_a_class_that_the_classifier_does_not_know_is_told_as_such(prediction):
    thin, notice = warned(prediction, 0.6, meningioma=0.1, metastasis=0.5)
    assert thin == "thin"
    assert notice == (
        "The second reader, which reads visual symptoms, names a class that was added by words and "
        "that the classifier does not know: 'metastasis' (50%)."
    )


def test_a_class_that_the_classifier_does_not_know_is_a_disagreement_within_the_limit():
    # 0.1 is below the limit of 0.15, but the classifier cannot have meant the same
    named = a_reading(0.1, glioma=0.4, meningioma=0.0, pituitary=0.0, metastasis=0.6)
    assert named.disagrees
    assert not named.names_a_type
    unsure = a_reading(0.1, glioma=0.9, meningioma=0.0, pituitary=0.0, metastasis=0.1)
    assert not unsure.disagrees
    assert warned(TumorType.GLIOMA, 0.1, metastasis=0.05) == ("thin",)
