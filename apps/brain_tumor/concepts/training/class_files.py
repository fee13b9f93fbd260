"""The files behind `tumorlens concepts`: symptoms, labelled cases, and the bundle that is written.

Symptoms are a JSON list, cases a CSV table with the columns `case` and `class`:

    [{"text": "bright spots with thin walls", "feature": "ring_enhancement_index",
      "direction": "high"}, ...]
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from brain_tumor.bundles import CARD, read_bundle, write_checksums
from brain_tumor.cases.loading import load_case
from brain_tumor.classification.classifier import TumorTypeClassifier
from brain_tumor.classification.model.network import embedding_sha256
from brain_tumor.concepts.encoders import TextTower, default_text_tower
from brain_tumor.concepts.head import MADE_FOR, read_concepts, write_concepts
from brain_tumor.concepts.stored_words import StoredWords, write_words
from brain_tumor.concepts.text_map import TEXT_MAP, read_text_map
from brain_tumor.concepts.training.new_class import LabelledSlices, add_class
from brain_tumor.concepts.vocabulary import Direction, Vocabulary
from brain_tumor.errors import FileFormatError, InputError
from brain_tumor.segmentation.segmenter import load_segmenter

SymptomRow = tuple[str, str, Direction]


def read_symptom_list(path: Path, kind: str) -> tuple[SymptomRow, ...]:
    """Symptoms of one class.

    Args:
        path: JSON list of objects with `text`, `feature` and `direction`.
        kind: Class.

    Raises:
        FileFormatError: If it cannot be read.
        InputError: If a symptom is unusable.
    """
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        found = Vocabulary.from_json({kind: rows})
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise FileFormatError(
            f"symptoms {path.name} cannot be read: {error}",
            remedy='Write a JSON list of {"text": ..., "feature": ..., "direction": "high"}.',
        ) from error
    return tuple((s.text, s.feature or "", s.direction) for s in found.symptoms)


def read_labelled_cases(table: Path, models: Path) -> LabelledSlices:
    """Outline and read every case of a table.

    Args:
        table: CSV with `case` (a volume file or a folder of sequences, relative to the table) and
            `class`; a further column `patient` keeps several cases of one patient together.
        models: Folder of the bundles.

    Raises:
        FileFormatError: If the table cannot be read.
        InputError: If no tumour is found in a case.
    """
    try:
        with table.open(encoding="utf-8", newline="") as stream:
            rows = [dict(row) for row in csv.DictReader(stream)]
        cases = [(row["case"], row["class"], row.get("patient") or row["case"]) for row in rows]
    except (OSError, ValueError, KeyError) as error:
        raise FileFormatError(
            f"{table.name} cannot be read: {error!r}; expected the columns case and class"
        ) from error
    segmenter = load_segmenter(models)
    classifier = TumorTypeClassifier.load(models / "classification")
    names = classifier.features
    embedding, features, kinds, patients = [], [], [], []
    for case, kind, patient in cases:
        volumes = load_case(table.parent / case).case
        read = classifier.classify(volumes, segmenter.segment(volumes).labelmap)
        if not read.slices:
            raise InputError(f"no tumour was found in {case}; it cannot be learnt from")
        for one in read.slices:
            embedding.append(one.embedding)
            features.append([one.features[name].value for name in names])
            kinds.append(kind)
            patients.append(patient)
    return LabelledSlices(
        np.array(embedding, dtype=np.float32),
        np.array(features, dtype=np.float32),
        tuple(names),
        np.array(kinds),
        np.array(patients),
    )


def encode_words(kind: str, symptoms: Path, bundle: Path, output: Path) -> None:
    """Write the word features of a class, where the text tower is installed.

    Raises:
        ModelError: If it is not, or the bundle is damaged.
        InputError: If a symptom is unusable.
    """
    texts = [text for text, _, _ in read_symptom_list(symptoms, kind)]
    write_words(output, texts, default_text_tower(), read_concepts(bundle).head.context)


def write_added_class(
    kind: str,
    symptoms: Path,
    cases: Path,
    models: Path,
    output: Path,
    words: Path | None = None,
) -> dict[str, int]:
    """What `tumorlens concepts add-class` does: a new bundle of the symptom reader.

    Args:
        kind: Name of the class.
        symptoms: Its symptoms.
        cases: Labelled cases of every class.
        models: Folder of the bundles; `concepts` in it is left as it is.
        output: Folder of the new bundle, which must not exist.
        words: Word features of the symptoms; the installed text tower encodes them if None.

    Returns:
        Patients of every class that were learnt from.

    Raises:
        InputError: If the output exists, or the class, a symptom or a case is unusable.
        ModelError: If there are neither word features nor a text tower, or a bundle is damaged.
    """
    if output.exists():
        raise InputError(f"folder '{output.name}' exists; expected a new one")
    listed = read_symptom_list(symptoms, kind)
    bundle, classifier = models / "concepts", models / "classification"
    stored, model, text_map = read_bundle(bundle), read_concepts(bundle), read_text_map(bundle)
    if stored.metadata.get(MADE_FOR) != embedding_sha256(read_bundle(classifier)):
        raise InputError("the symptom reader was made for another classifier than that beside it")
    tower: TextTower = default_text_tower() if words is None else StoredWords(words)
    slices = read_labelled_cases(cases, models)
    head, settings = add_class(model, text_map, tower, kind, listed, slices)
    counts = {
        name: len(np.unique(slices.patient[slices.kind == name]))
        for name in settings.vocabulary.kinds
    }
    metadata = _metadata(stored.metadata, stored.version.version, settings.vocabulary, counts)
    write_concepts(head, settings, metadata, output)
    (output / TEXT_MAP).write_bytes((bundle / TEXT_MAP).read_bytes())
    (output / CARD).parent.mkdir(parents=True, exist_ok=True)
    (output / CARD).write_text(_card(kind, metadata, counts), encoding="utf-8")
    write_checksums(output)
    return counts


def _metadata(
    parent: Any, version: str, vocabulary: Vocabulary, counts: dict[str, int]
) -> dict[str, Any]:
    """Metadata of the parent with what has changed."""
    major, minor, patch = version.split(".")
    formats = json.loads(json.dumps(parent["network_data_format"]))
    formats["outputs"]["types"]["channel_def"] = dict(enumerate(vocabulary.kinds))
    formats["outputs"]["symptoms"]["num_channels"] = len(vocabulary.symptoms)
    return {
        **parent,
        "version": f"{major}.{minor}.{int(patch) + 1}",
        "parent_version": version,
        "added_class": {"name": vocabulary.kinds[-1], "patients": counts},
        "network_data_format": formats,
    }


def _card(kind: str, metadata: dict[str, Any], counts: dict[str, int]) -> str:
    """Short card: what was added, from how much, and that nothing was measured."""
    patients: Sequence[str] = [f"{name} {count}" for name, count in counts.items()]
    return (
        f"# Symptom reader with the class '{kind}'\n\n"
        f"Version {metadata['version']}, made from {metadata['parent_version']} with `tumorlens "
        "concepts add-class`. Research use only; not a medical device.\n\n"
        f"Labelled patients: {', '.join(patients)}. Limits and scores of the new symptoms rest on "
        "them alone; calibration and the limit of disagreement are those of the known classes. "
        f"How often '{kind}' is named rightly has not been measured.\n"
    )
