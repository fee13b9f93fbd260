"""What is said where the second reader does not share the classifier's conviction."""

import pytest
from brain_tumor.bundles import ModelVersion
from brain_tumor.concepts.reader import ConceptReading
from brain_tumor.explanation.analyst import doubt_of_second_reader


def a_reading(**probabilities):
    return ConceptReading((), probabilities, None, 0.15, "", ModelVersion("concepts", "1", "00"))


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
