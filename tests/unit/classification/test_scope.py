"""Every answer says which types are known and which lesions are not."""

from brain_tumor.classification.report import classification_section
from brain_tumor.classification.result import ClassificationResult

from tests.helpers.type_reader import CLASSIFIER


def test_also_an_answer_without_a_type_says_what_is_not_known():
    nothing = ClassificationResult(None, None, (), 0.95, ("No tumour.",), None, (), CLASSIFIER)
    scope = classification_section(nothing)["scope"]
    assert scope["known"] == ["glioma", "meningioma", "pituitary"]
    told = {"metastasis", "lymphoma", "abscess", "schwannoma", "demyelination"}
    assert told <= set(scope["not_known"])
    assert all(name in scope["note"].lower() for name in told)
