"""Second reader: names what it sees in words, checks each word against a measurement.

The reader shares the image tower with the hybrid classifier and nothing else: its classes are
merged symptoms. Where the two disagree, the case is uncertain.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from brain_tumor.bundles import ModelVersion
from brain_tumor.classification.classifier import pool_logits
from brain_tumor.classification.features.features import FeatureVector
from brain_tumor.classification.result import ClassificationResult
from brain_tumor.concepts.captions import caption
from brain_tumor.concepts.head import ConceptModel, read_concepts
from brain_tumor.errors import InputError
from brain_tumor.labels import TumorType

MATCHED = 0.5
"""A symptom counts as seen from this score on."""
Measured = FeatureVector | Mapping[str, float]


@dataclass(frozen=True)
class WordWeight:
    """A word and what it adds to its symptom's similarity.

    Attributes:
        word: The word.
        weight: Similarity with the word less without it.
    """

    word: str
    weight: float


@dataclass(frozen=True)
class SymptomReading:
    """One symptom of one class in one slice.

    Attributes:
        text: The symptom in words.
        kind: Class that it speaks for.
        score: How likely it is seen, 0-1.
        matched: Whether it counts as seen.
        weight: Its share in the class's merged feature, 0-1.
        feature: Id of the measured feature that proves it.
        value: Measured value, or None if it could not be measured.
        limit: Value where the symptom starts.
        present: Whether the measurement shows it; None if it could not be measured.
        words: Weight of every word.
    """

    text: str
    kind: str
    score: float
    matched: bool
    weight: float
    feature: str
    value: float | None
    limit: float
    present: bool | None
    words: tuple[WordWeight, ...]

    @property
    def conflict(self) -> bool:
        """Whether picture and measurement contradict each other."""
        return self.present is not None and self.present != self.matched


@dataclass(frozen=True)
class ConceptReading:
    """What the second reader says.

    Attributes:
        symptoms: All symptoms, classes together, in the order of the vocabulary.
        probabilities: Calibrated, by class; they sum to 1.
        disagreement: 1 less the probability of the hybrid's likeliest class, 0-1; None without it.
        limit: Beyond it the readers disagree.
        caption: What was measured, as a sentence.
        model: Model behind it.
    """

    symptoms: tuple[SymptomReading, ...]
    probabilities: Mapping[str, float]
    disagreement: float | None
    limit: float
    caption: str
    model: ModelVersion

    @property
    def prediction(self) -> str:
        """Likeliest class."""
        return max(self.probabilities, key=lambda kind: self.probabilities[kind])

    @property
    def names_a_type(self) -> bool:
        """Whether the likeliest class is a tumour type, not one that was added by words."""
        return self.prediction in set(TumorType)

    @property
    def disagrees(self) -> bool:
        """Whether the disagreement is among the largest 15 % of the held-out patients.

        A class that the hybrid does not know always is a disagreement.
        """
        if self.disagreement is None:
            return False
        return self.disagreement > self.limit or not self.names_a_type

    def to_json(self, evidence: Mapping[str, str] | None = None) -> list[dict[str, Any]]:
        """Rows of the reply section `symptoms`.

        Args:
            evidence: Id of a feature, or of a symptom, to that of its evidence item; others are
                null.
        """
        ids = evidence or {}
        return [
            {
                "text": s.text,
                "class": s.kind,
                "score": round(s.score, 4),
                "matched": s.matched,
                "present": s.present,
                "evidence": ids.get(s.feature),
                "item": ids.get(symptom_id(row)),
                "feature": s.feature,
                "words": [{"word": w.word, "weight": round(w.weight, 4)} for w in s.words],
            }
            for row, s in enumerate(self.symptoms)
        ]


def symptom_id(row: int) -> str:
    """Name of a symptom in evidence, by its place in the vocabulary.

    Example:
        >>> symptom_id(0)
        'symptom_1'
    """
    return f"symptom_{row + 1}"


class ConceptReader:
    """Reads symptoms and classes from the hybrid's embedding; thread-safe, holds no state.

    Args:
        model: Head with its words.
    """

    def __init__(self, model: ConceptModel) -> None:
        self.model = model
        self._attention = model.head.attention()

    @classmethod
    def load(cls, bundle: Path) -> ConceptReader:
        """Reader of a bundle folder.

        Raises:
            ModelError: If the bundle is missing or damaged.
        """
        return cls(read_concepts(bundle))

    @property
    def version(self) -> ModelVersion:
        """Model behind this reader; part of every cache key."""
        return self.model.version

    def read(
        self,
        embedding: npt.NDArray[np.floating[Any]],
        measurements: Measured,
        hybrid: Mapping[TumorType, float] | None = None,
    ) -> ConceptReading:
        """Read one slice.

        Args:
            embedding: Image feature of the hybrid network, (D,).
            measurements: Measured features of the slice, or their values by id.
            hybrid: Probabilities of the hybrid classifier, to compare with.

        Raises:
            InputError: If the embedding is of another network.
        """
        row = self._row(embedding)
        with torch.inference_mode():
            logits = self.model.head(row).numpy()
        return self._reading(row, measurements, logits[0], hybrid)

    def read_case(self, result: ClassificationResult) -> ConceptReading | None:
        """Read a case: classes from all its slices, symptoms from its largest cross-section.

        Args:
            result: Of the hybrid classifier.

        Returns:
            None if no tumour was found.
        """
        main = result.main_slice
        if main is None:
            return None
        rows = torch.cat([self._row(reading.embedding) for reading in result.slices])
        with torch.inference_mode():
            logits = self.model.head(rows).numpy()
        pooled = pool_logits(
            [replace(r, logits=x) for r, x in zip(result.slices, logits, strict=True)]
        )
        return self._reading(self._row(main.embedding), main.features, pooled, result.probabilities)

    def _row(self, embedding: npt.NDArray[np.floating[Any]]) -> torch.Tensor:
        width = self.model.settings.image_width
        if np.shape(embedding) != (width,):
            raise InputError(
                f"embedding has shape {np.shape(embedding)}; expected ({width},)",
                remedy="Use the symptom reader that was exported with this classifier.",
            )
        return torch.from_numpy(np.asarray(embedding, dtype=np.float32))[None]

    def _reading(
        self,
        row: torch.Tensor,
        measurements: Measured,
        logits: npt.NDArray[np.floating[Any]],
        hybrid: Mapping[TumorType, float] | None,
    ) -> ConceptReading:
        settings, head = self.model.settings, self.model.head
        with torch.inference_mode():
            near = head.symptom_similarities(row)[0].numpy()
            weights = head.word_weights(row, self.model.words)[0].numpy()
        words: list[list[WordWeight]] = [[] for _ in settings.vocabulary.symptoms]
        for word, weight in zip(self.model.words, weights, strict=True):
            words[word.symptom].append(WordWeight(word.text, float(weight)))
        symptoms = []
        for index, symptom in enumerate(settings.vocabulary.symptoms):
            grounding = settings.groundings[index]
            score = settings.scales[index].score(float(near[index]))
            value = _value(measurements, grounding.feature)
            symptoms.append(
                SymptomReading(
                    text=symptom.text,
                    kind=symptom.kind,
                    score=score,
                    matched=score >= MATCHED,
                    weight=float(self._attention[index]),
                    feature=grounding.feature,
                    value=value if np.isfinite(value) else None,
                    limit=grounding.limit,
                    present=grounding.present(value),
                    words=tuple(words[index]),
                )
            )
        chances = settings.calibration.reported(settings.calibration.probabilities(logits))
        kinds = settings.vocabulary.kinds
        probabilities = {k: float(p) for k, p in zip(kinds, chances, strict=True)}
        return ConceptReading(
            symptoms=tuple(symptoms),
            probabilities=probabilities,
            disagreement=_disagreement(probabilities, hybrid),
            limit=settings.disagreement_limit,
            caption=self._caption(measurements),
            model=self.model.version,
        )

    def _caption(self, measurements: Measured) -> str:
        rules = self.model.settings.rules
        names = tuple(rules.limits)
        values = np.array([[_value(measurements, name) for name in names]])
        return caption(rules.grades(values, names)[0])


def disagreement_of(
    hybrid: npt.NDArray[np.floating[Any]], second: npt.NDArray[np.floating[Any]]
) -> npt.NDArray[np.float64]:
    """1 less the second reader's probability of the hybrid's likeliest class, (N,).

    Args:
        hybrid: Probabilities, (N, classes).
        second: Probabilities, (N, classes).

    Example:
        >>> disagreement_of(np.array([[0.9, 0.1]]), np.array([[0.25, 0.75]]))
        array([0.75])
    """
    rows = np.arange(len(hybrid))
    return np.asarray(1.0 - second[rows, hybrid.argmax(axis=1)], dtype=np.float64)


def _disagreement(
    second: Mapping[str, float], hybrid: Mapping[TumorType, float] | None
) -> float | None:
    if hybrid is None:
        return None
    first = max(hybrid, key=lambda kind: hybrid[kind])
    return 1.0 - second[first.value]


def _value(measurements: Measured, name: str) -> float:
    if isinstance(measurements, FeatureVector):
        return float(measurements[name].value)
    return float(measurements.get(name, np.nan))
