"""What an explanation compares a case with: the training patients of a classifier, as numbers.

Two files of the classification bundle, written after a training run:
`configs/feature_reference.json` and `configs/training_patients.json`.

    python -m brain_tumor.explanation.type_reader --run RUN --bundle models/classification
"""

from __future__ import annotations

import argparse
import json
import logging
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from brain_tumor.bundles import ModelVersion, read_bundle
from brain_tumor.classification.classifier import TumorTypeClassifier
from brain_tumor.classification.model.network import embedding_sha256
from brain_tumor.classification.predictions import load_predictions
from brain_tumor.classification.result import ClassificationResult
from brain_tumor.classification.training.run import PREDICTIONS, run_features
from brain_tumor.concepts.head import MADE_FOR
from brain_tumor.concepts.reader import ConceptReader, ConceptReading
from brain_tumor.errors import InputError, ModelError
from brain_tumor.explanation.facts.reference import FeatureReference, build_reference
from brain_tumor.explanation.facts.similar_cases import TrainingTable, build_table
from brain_tumor.explanation.facts.vocabulary import TYPE_WORDS
from brain_tumor.explanation.faithfulness.method_sanity import UNMEASURED, MethodSanity, read_sanity
from brain_tumor.labels import TYPES, TumorType

logger = logging.getLogger(__name__)

REFERENCE = Path("configs/feature_reference.json")
PATIENTS = Path("configs/training_patients.json")
DIGITS = 6
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
    """

    classifier: TumorTypeClassifier
    reference: FeatureReference
    patients: TrainingTable
    sanity: MethodSanity = UNMEASURED
    symptoms: ConceptReader | None = None
    warnings: tuple[str, ...] = ()

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
        patients = TrainingTable.from_json(json.loads((bundle / PATIENTS).read_text("utf-8")))
        sanity = read_sanity(bundle)
    except (OSError, ValueError, InputError) as error:
        raise ModelError(f"references of bundle '{bundle.name}' cannot be read: {error}") from error
    stored = read_bundle(bundle)
    weights = stored.weights()
    classifier = TumorTypeClassifier.of_bundle(stored, weights)
    if symptoms is None or not symptoms.is_dir():
        return TypeReader(classifier, reference, patients, sanity)
    if read_bundle(symptoms).metadata.get(MADE_FOR) != embedding_sha256(stored, weights):
        logger.warning("the symptom reader was made for another classifier and is left out")
        return TypeReader(classifier, reference, patients, sanity, warnings=(NO_SYMPTOMS,))
    return TypeReader(classifier, reference, patients, sanity, ConceptReader.load(symptoms))


def write_references(run: Path, bundle: Path) -> None:
    """Write both files from the final network's predictions of a run.

    Patients are numbered in a mixed order, so that a number leads back to nobody.

    Args:
        run: Run folder of `tumorlens train classification`.
        bundle: Bundle folder.
    """
    found = load_predictions(run / "final" / PREDICTIONS)
    features = run_features(run / "final")
    types = [TYPES[index] for index in found.truth]
    names = np.unique(found.patient)
    numbers = np.random.default_rng(len(names)).permutation(len(names)) + 1
    number_of = dict(zip(names.tolist(), numbers.tolist(), strict=True))
    groups = [int(number_of[str(patient)]) for patient in found.patient]
    values = found.expert.features
    measured = np.isfinite(values).any(axis=0)
    values = values[:, measured]
    features = tuple(np.array(features)[measured].tolist())
    documents = {
        REFERENCE: build_reference(values, features, types, groups).to_json(),
        PATIENTS: build_table(values, features, types, groups).to_json(),
    }
    for path, document in documents.items():
        (bundle / path).parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(_short(document), separators=(",", ":")) + "\n"
        (bundle / path).write_text(text, encoding="utf-8")


def _short(value: object) -> object:
    """Floats with six significant digits."""
    if isinstance(value, dict):
        return {key: _short(inside) for key, inside in value.items()}
    if isinstance(value, list):
        return [_short(inside) for inside in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write the references of a classifier.")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    chosen = parser.parse_args(argv)
    write_references(chosen.run, chosen.bundle)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())


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
