"""The shipped bundle of symptoms agrees with its card, the vocabulary and the classifier."""

import numpy as np
import pytest
from brain_tumor.bundles import WEIGHTS, models_folder
from brain_tumor.classification.model.network import EMBEDDING
from brain_tumor.concepts.prompts import TEMPERATURE
from brain_tumor.concepts.reader import ConceptReader
from brain_tumor.concepts.vocabulary import read_symptoms
from brain_tumor.labels import TumorType

pytestmark = pytest.mark.model
BUNDLE = models_folder() / "concepts"


@pytest.fixture(scope="module")
def reader():
    if not BUNDLE.is_dir():
        pytest.skip("the symptom bundle is not in the models folder")
    return ConceptReader.load(BUNDLE)


def test_the_bundle_is_small_and_reads_the_embedding_of_the_classifier(reader):
    assert sum(path.stat().st_size for path in BUNDLE.rglob("*") if path.is_file()) < 10_000_000
    assert (BUNDLE / WEIGHTS).is_file()
    assert reader.model.settings.image_width == EMBEDDING
    assert TEMPERATURE == 0.01


def test_the_symptoms_are_the_reviewed_ones(reader):
    shipped = [(s.kind, s.text) for s in reader.model.settings.vocabulary.symptoms]
    assert shipped == [(s.kind, s.text) for s in read_symptoms().symptoms]


def test_a_reading_of_an_average_slice_is_complete(reader):
    embedding = reader.model.head.image_centre.numpy()
    found = reader.read(embedding, {}, dict.fromkeys(TumorType, 1 / 3))
    assert set(found.probabilities) == {kind.value for kind in TumorType}
    assert len(found.symptoms) == len(reader.model.settings.vocabulary.symptoms)
    assert all(0 <= s.score <= 1 and s.words for s in found.symptoms)
    assert np.isfinite([w.weight for s in found.symptoms for w in s.words]).all()
