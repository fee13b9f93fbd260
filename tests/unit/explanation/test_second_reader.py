"""What is said where the second reader does not share the classifier's conviction."""

from types import SimpleNamespace

import pytest
from brain_tumor.bundles import ModelVersion
from brain_tumor.classification.result import ClassificationResult
from brain_tumor.concepts.reader import ConceptReading
from brain_tumor.explanation.analyst import Analyst, doubt_of_second_reader
from brain_tumor.explanation.references import TypeReader
from brain_tumor.labels import TumorType


def a_reading(disagreement=None, **probabilities):
    model = ModelVersion("concepts", "1", "00")
    return ConceptReading((), probabilities, disagreement, 0.15, "", model)


class Says:
    """Classifier and second reader of a case, with fixed answers."""

    def __init__(self, prediction, second):
        self.prediction, self.second = prediction, second

    def classify(self, case, labelmap):
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
        return self.second


def warned(prediction, disagreement):
    shares = {"glioma": 1 - disagreement, "meningioma": disagreement, "pituitary": 0.0}
    says = Says(prediction, a_reading(disagreement, **shares))
    analyst = Analyst(None, lambda: TypeReader(says, None, None, says))
    return analyst.classify(None, SimpleNamespace(labelmap=None)).warnings


def test_a_type_that_the_second_reader_doubts_carries_a_warning_wherever_it_is_told():
    thin, doubt = warned(TumorType.GLIOMA, 0.7)  # the limit is 0.15
    assert thin == "thin"
    assert "sees a meningioma (70%)" in doubt
    assert warned(TumorType.GLIOMA, 0.1) == ("thin",)


def test_a_case_without_a_type_is_not_told_that_its_type_is_uncertain():
    assert warned(None, 0.7) == ("thin",)


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
