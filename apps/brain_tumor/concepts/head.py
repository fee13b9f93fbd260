"""Everything that serving needs of the symptoms, without a text tower, and its bundle.

`configs/concepts.json` holds words and limits, `models/model.safetensors` the arrays: the image
map, the text features of every symptom with the context prompt baked in, the same without each
word, the merging prompt, and the context tokens for whoever wants to add classes.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch import nn

from brain_tumor.bundles import METADATA, WEIGHTS, ModelVersion, read_bundle
from brain_tumor.classification.model.calibration import Calibration
from brain_tumor.concepts.attribution import Word, list_words, word_weights_of_symptoms
from brain_tumor.concepts.captions import CaptionRules
from brain_tumor.concepts.grounding import Grounding
from brain_tumor.concepts.prompts import Merging, MergingPrompt, class_logits, similarities
from brain_tumor.concepts.vocabulary import Direction, Vocabulary
from brain_tumor.errors import ModelError

CONCEPTS = Path("configs/concepts.json")
MADE_FOR = "embedding_sha256"
"""Key of the metadata: checksum of the embedding that the reader was trained on."""


@dataclass(frozen=True)
class SymptomScale:
    """From the similarity of a symptom to how likely it is seen: 1 / (1 + exp(-(a s + b))).

    Attributes:
        slope: a.
        offset: b.
    """

    slope: float
    offset: float

    def score(self, similarity: float) -> float:
        """Likelihood that the symptom is there, 0-1."""
        return float(1.0 / (1.0 + np.exp(-(self.slope * similarity + self.offset))))


@dataclass(frozen=True, eq=False)
class ConceptSettings:
    """Words and numbers of a reader.

    Attributes:
        vocabulary: Symptoms, classes in order.
        groundings: Limit of every symptom.
        scales: Scale of every symptom.
        rules: Limits of captions.
        calibration: Of the class logits.
        disagreement_limit: Beyond it the second reader counts as disagreeing.
        image_width: Width of the image features.
    """

    vocabulary: Vocabulary
    groundings: tuple[Grounding, ...]
    scales: tuple[SymptomScale, ...]
    rules: CaptionRules
    calibration: Calibration
    disagreement_limit: float
    image_width: int

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary; `from_json` reads it."""
        return {
            "symptoms": self.vocabulary.to_json(),
            "groundings": [{**asdict(g), "direction": g.direction.value} for g in self.groundings],
            "scales": [asdict(scale) for scale in self.scales],
            "caption_limits": self.rules.to_json(),
            "calibration": asdict(self.calibration),
            "disagreement_limit": self.disagreement_limit,
            "image_width": self.image_width,
        }

    @classmethod
    def from_json(cls, plain: Mapping[str, Any]) -> ConceptSettings:
        """Read what `to_json` wrote.

        Raises:
            ModelError: If a part is missing or does not fit.
        """
        try:
            found = cls(
                Vocabulary.from_json(plain["symptoms"]),
                tuple(
                    Grounding(**{**row, "direction": Direction(row["direction"])})
                    for row in plain["groundings"]
                ),
                tuple(SymptomScale(**row) for row in plain["scales"]),
                CaptionRules.from_json(plain["caption_limits"]),
                Calibration(**plain["calibration"]),
                float(plain["disagreement_limit"]),
                int(plain["image_width"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise ModelError(f"settings of the symptom reader are unusable: {error!r}") from error
        count = len(found.vocabulary.symptoms)
        if len(found.groundings) != count or len(found.scales) != count:
            raise ModelError(f"the symptom reader has {count} symptoms but not as many limits")
        return found


class ConceptHead(nn.Module):
    """Scores of classes and symptoms from an image feature.

    Args:
        image_width: Width of the image feature.
        width: Of the shared space.
        symptoms: Number of symptoms.
        words: Number of their words.
        rows: Rows of the symptoms of each class.
        context: Shape of the context tokens.
    """

    image_centre: torch.Tensor
    image_scale: torch.Tensor
    texts: torch.Tensor
    seen_texts: torch.Tensor
    shorter_texts: torch.Tensor
    context: torch.Tensor

    def __init__(
        self,
        image_width: int,
        width: int,
        symptoms: int,
        words: int,
        rows: Sequence[Sequence[int]],
        context: tuple[int, int],
    ) -> None:
        super().__init__()
        self.rows = tuple(tuple(chosen) for chosen in rows)
        self.register_buffer("image_centre", torch.zeros(image_width))
        self.register_buffer("image_scale", torch.ones(image_width))
        self.register_buffer("texts", torch.zeros(symptoms, width))
        self.register_buffer("seen_texts", torch.zeros(symptoms, width))
        self.register_buffer("shorter_texts", torch.zeros(words, width))
        self.register_buffer("context", torch.zeros(context))
        self.image = nn.Linear(image_width, width, bias=False)
        self.prompt = MergingPrompt(len(self.rows), width)

    def project(self, embedding: torch.Tensor) -> torch.Tensor:
        """Image features in the shared space, (N, width)."""
        found: torch.Tensor = self.image((embedding - self.image_centre) / self.image_scale)
        return found

    def forward(self, embedding: torch.Tensor) -> torch.Tensor:
        """Class logits, (N, classes), with both prompts."""
        return class_logits(
            self.project(embedding), self.texts, self.rows, Merging.PROMPT, self.prompt
        )

    def symptom_similarities(self, embedding: torch.Tensor) -> torch.Tensor:
        """Cosine of each symptom as it is worded, without the context prompt, (N, symptoms)."""
        return similarities(self.project(embedding), self.seen_texts)

    def word_weights(self, embedding: torch.Tensor, words: Sequence[Word]) -> torch.Tensor:
        """Share of every word in the similarity of its symptom, (N, words)."""
        owners = [word.symptom for word in words]
        return word_weights_of_symptoms(
            self.project(embedding), self.seen_texts, self.shorter_texts, owners
        )

    def attention(self) -> npt.NDArray[np.float32]:
        """Weight of every symptom in its class's merged feature, (symptoms,)."""
        found = np.zeros(len(self.texts), dtype=np.float32)
        with torch.no_grad():
            for kind, chosen in enumerate(self.rows):
                found[list(chosen)] = self.prompt.weights(kind, self.texts[list(chosen)]).numpy()
        return found


@dataclass(frozen=True, eq=False)
class ConceptModel:
    """A head with its words.

    Attributes:
        head: In evaluation mode.
        settings: Words and numbers.
        words: Every word, in the order of the head's features without it.
        version: Of the bundle.
    """

    head: ConceptHead
    settings: ConceptSettings
    words: tuple[Word, ...]
    version: ModelVersion


def write_concepts(
    head: ConceptHead, settings: ConceptSettings, metadata: Mapping[str, Any], bundle: Path
) -> None:
    """Write a bundle folder."""
    for part in (CONCEPTS, METADATA, WEIGHTS):
        (bundle / part).parent.mkdir(parents=True, exist_ok=True)
    (bundle / CONCEPTS).write_text(
        json.dumps(settings.to_json(), indent=1) + "\n", encoding="utf-8"
    )
    state = {k: v.detach().clone().contiguous() for k, v in head.state_dict().items()}
    save_file(state, bundle / WEIGHTS)
    (bundle / METADATA).write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")


def read_concepts(path: Path) -> ConceptModel:
    """Read a bundle folder.

    Raises:
        ModelError: If a file is missing, damaged or does not fit the others.
    """
    bundle = read_bundle(path)
    try:
        plain = json.loads((path / CONCEPTS).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError(f"settings of bundle '{path.name}' cannot be read: {error}") from error
    settings = ConceptSettings.from_json(plain)
    vocabulary = settings.vocabulary
    words = list_words(vocabulary.texts)
    weights = bundle.weights()
    try:
        tokens, token_width = weights["context"].shape
        head = ConceptHead(
            settings.image_width,
            weights["texts"].shape[1],
            len(vocabulary.symptoms),
            len(words),
            [vocabulary.rows(kind) for kind in vocabulary.kinds],
            (tokens, token_width),
        )
        head.load_state_dict(weights)
    except (KeyError, ValueError, RuntimeError) as error:
        raise ModelError(f"weights of '{path.name}' do not fit its symptoms: {error}") from error
    head.eval().requires_grad_(requires_grad=False)
    return ConceptModel(head, settings, words, bundle.version)
