"""A second reader with fixed answers, which counts how often it is asked."""

from __future__ import annotations

from brain_tumor.bundles import ModelVersion
from brain_tumor.classification.result import ClassificationResult
from brain_tumor.concepts.reader import ConceptReading, SymptomReading, WordWeight

SECOND = ModelVersion("concepts", "0.0.1", "d" * 64)


def a_reading(disagreement=None, symptoms=(), **probabilities) -> ConceptReading:
    """What it says; the limit of disagreement is 0.15."""
    return ConceptReading(symptoms, probabilities, disagreement, 0.15, "", SECOND)


def a_symptom(text: str, kind: str, score: float, feature: str, present: bool | None):
    """One symptom with one word."""
    words = (WordWeight(text.split()[0], 0.1),)
    return SymptomReading(text, kind, score, score >= 0.5, 0.5, feature, 1.0, 0.5, present, words)


class FixedReader:
    """Gives every class the same probability, whatever it is shown.

    Args:
        probabilities: By class.
    """

    version = SECOND

    def __init__(self, **probabilities: float) -> None:
        self.probabilities = probabilities
        self.calls = 0

    def read_case(self, result: ClassificationResult) -> ConceptReading | None:
        """Disagrees with the likeliest type of a result as far as the probabilities say."""
        self.calls += 1
        if result.probabilities is None:
            return None
        first = max(result.probabilities, key=lambda kind: result.probabilities[kind])
        symptoms = (
            a_symptom("smooth round outline", "meningioma", 0.9, "irregularity", True),
            a_symptom("right on the midline", "pituitary", 0.1, "lateral_offset", False),
        )
        return a_reading(1.0 - self.probabilities[first.value], symptoms, **self.probabilities)
