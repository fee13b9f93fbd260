"""What an explanation compares a case with: the training patients of a classifier, as numbers.

Two files of the classification bundle, which `explanation.training.references` writes:
`configs/feature_reference.json` and `configs/training_patients.json`. A third,
`configs/known_patients.json`, holds patients of the known types whom the classifier has not seen;
what is unlike them, too, may be a lesion that it does not know.
"""

from __future__ import annotations

import json
import logging
import math
from dataclasses import dataclass, replace
from pathlib import Path

from brain_tumor.bundles import ModelVersion, read_bundle
from brain_tumor.classification.classifier import TumorTypeClassifier
from brain_tumor.classification.model.network import embedding_sha256
from brain_tumor.classification.result import ClassificationResult
from brain_tumor.concepts.head import MADE_FOR
from brain_tumor.concepts.reader import ConceptReader, ConceptReading
from brain_tumor.errors import InputError, ModelError
from brain_tumor.explanation.facts.numbers import NEARLY_CERTAIN
from brain_tumor.explanation.facts.reference import FeatureReference
from brain_tumor.explanation.facts.similar_cases import TrainingTable, joined_tables
from brain_tumor.explanation.facts.vocabulary import TYPE_WORDS
from brain_tumor.explanation.faithfulness.method_sanity import UNMEASURED, MethodSanity, read_sanity
from brain_tumor.labels import TumorType

logger = logging.getLogger(__name__)

REFERENCE = Path("configs/feature_reference.json")
PATIENTS = Path("configs/training_patients.json")
KNOWN = Path("configs/known_patients.json")
NO_SYMPTOMS = "Visual symptoms are switched off: their reader was made for another classifier."


@dataclass(frozen=True, eq=False)
class TypeReader:
    """A classifier and the patients that it was trained on.

    Attributes:
        classifier: Names the type.
        reference: Distribution of every feature.
        patients: For similar cases.
        sanity: How the heatmap methods did in the sanity check of the classifier.
        symptoms: Second reader, which reads the classifier's embedding in words, or None.
        warnings: Sentences that the reader of an explanation must see first.
        known: Patients of the known types, those of training among them; None where there are no
            others.
    """

    classifier: TumorTypeClassifier
    reference: FeatureReference
    patients: TrainingTable
    sanity: MethodSanity = UNMEASURED
    symptoms: ConceptReader | None = None
    warnings: tuple[str, ...] = ()
    known: TrainingTable | None = None

    @property
    def versions(self) -> tuple[ModelVersion, ...]:
        """Models that read the type: the classifier, then the second reader if there is one."""
        second = () if self.symptoms is None else (self.symptoms.version,)
        return (self.classifier.version, *second)


def load_type_reader(bundle: Path, symptoms: Path | None = None) -> TypeReader:
    """Classifier and references of a bundle.

    Args:
        bundle: Of the classifier.
        symptoms: Bundle of the symptom reader, if there is one. It is left out if it was made for
            another embedding than this classifier's.

    Raises:
        ModelError: If a part is missing or damaged.
    """
    try:
        reference = FeatureReference.from_json(json.loads((bundle / REFERENCE).read_text("utf-8")))
        patients = _table(bundle / PATIENTS)
        others = _table(bundle / KNOWN) if (bundle / KNOWN).is_file() else None
        known = None if others is None else joined_tables(patients, others)
        sanity = read_sanity(bundle)
    except (OSError, ValueError, InputError) as error:
        raise ModelError(f"references of bundle '{bundle.name}' cannot be read: {error}") from error
    stored = read_bundle(bundle)
    weights = stored.weights()
    classifier = TumorTypeClassifier.of_bundle(stored, weights)
    alone = TypeReader(classifier, reference, patients, sanity, known=known)
    if symptoms is None or not symptoms.is_dir():
        return alone
    if read_bundle(symptoms).metadata.get(MADE_FOR) != embedding_sha256(stored, weights):
        logger.warning("the symptom reader was made for another classifier and is left out")
        return replace(alone, warnings=(NO_SYMPTOMS,))
    return replace(alone, symptoms=ConceptReader.load(symptoms))


def _table(file: Path) -> TrainingTable:
    return TrainingTable.from_json(json.loads(file.read_text("utf-8")))


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
        f"gives the same type only {_percent(likeliest)}"
        if same
        else f"sees a {TYPE_WORDS[TumorType(second.prediction)][0]} ({_percent(likeliest)})"
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
        f"that the classifier does not know: '{second.prediction}' ({_percent(likeliest)})."
    )


def _percent(probability: float) -> str:
    """A probability in per cent, never 100 %; without words, so that it needs no translation."""
    return "> 99%" if probability > NEARLY_CERTAIN else f"{probability:.0%}"
