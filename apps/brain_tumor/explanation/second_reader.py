"""The type of a case by both readers, and what is said where the second is not convinced."""

from __future__ import annotations

import math
from dataclasses import dataclass

from brain_tumor.bundles import ModelVersion
from brain_tumor.classification.result import ClassificationResult
from brain_tumor.concepts.reader import ConceptReading
from brain_tumor.explanation.facts.vocabulary import TYPE_WORDS
from brain_tumor.labels import TumorType


@dataclass(frozen=True, eq=False)
class TypeReading:
    """What was read of the type.

    Attributes:
        classification: Of the classifier; its warnings tell of the second reader's doubt.
        symptoms: What the second reader says; None without one, without a tumour, or where it was
            not asked for.
        warnings: Sentences on a second reader that could not be used.
    """

    classification: ClassificationResult
    symptoms: ConceptReading | None = None
    warnings: tuple[str, ...] = ()

    @property
    def models(self) -> tuple[ModelVersion, ...]:
        """Models that read: the classifier, and the second reader if it did."""
        second = () if self.symptoms is None else (self.symptoms.model,)
        return (self.classification.model, *second)


def second_reader_warnings(
    classification: ClassificationResult, second: ConceptReading | None
) -> tuple[str, ...]:
    """That the second reader is not convinced.

    Where no type is told there is none to doubt; a class that the classifier does not know is
    told of all the same.

    Args:
        classification: Of the classifier.
        second: What the second reader says; None without one.
    """
    if second is None or second.disagreement is None:
        return ()
    if not second.names_a_type:
        return (_class_of_words(second),)
    if not second.disagrees or classification.prediction is None:
        return ()
    return (doubt_of_second_reader(second, second.disagreement),)


def doubt_of_second_reader(second: ConceptReading, disagreement: float) -> str:
    """Sentence on a second reader that names another type, or the same one with less conviction.

    Args:
        second: What it says; names a type.
        disagreement: One less the probability that it gives the classifier's answer.
    """
    likeliest = second.probabilities[second.prediction]
    same = math.isclose(likeliest, 1.0 - disagreement, abs_tol=1e-6)
    what = (
        f"gives the same type only {likeliest:.0%}"
        if same
        else f"sees a {TYPE_WORDS[TumorType(second.prediction)][0]} ({likeliest:.0%})"
    )
    return (
        f"The second reader, which reads visual symptoms, {what}: the type is less certain than "
        "its probability says."
    )


def _class_of_words(second: ConceptReading) -> str:
    """Sentence on a class that the classifier cannot name."""
    likeliest = second.probabilities[second.prediction]
    return (
        "The second reader, which reads visual symptoms, names a class that was added by words and "
        f"that the classifier does not know: '{second.prediction}' ({likeliest:.0%})."
    )
