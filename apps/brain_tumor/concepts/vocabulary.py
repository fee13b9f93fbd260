"""Visual symptoms: short plain phrases, each tied to something that is measured.

`candidates.json` is the reviewed outcome of the first stage (what a language model or a
radiologist proposes), `symptoms.json` what the second stage kept because training patients show
it; see `generator`. A symptom never names its class: it must be seen, not read.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

from brain_tumor.classification.features.feature_table import feature
from brain_tumor.errors import FileFormatError, InputError
from brain_tumor.labels import TumorType

FOLDER = Path(__file__).parent
CANDIDATES_FILE = FOLDER / "candidates.json"
SYMPTOMS_FILE = FOLDER / "symptoms.json"
FORBIDDEN = re.compile(
    r"gliom|gliobl|astrocyt|mening|pituit|hypophys|adenom|macroaden|tumou?r type|cancer", re.I
)
"""Names of the classes and of their kin; none may occur in a symptom or a caption."""
MOST_WORDS = 14
WORD = re.compile(r"[\w'-]+")
"""A word of a phrase, without punctuation."""


class Direction(StrEnum):
    """On which side of its limit a feature shows a symptom."""

    HIGH = "high"
    LOW = "low"

    @property
    def sign(self) -> int:
        """1 if more of the feature means more of the symptom, else -1."""
        return 1 if self is Direction.HIGH else -1


class Control(StrEnum):
    """Vocabularies that should do worse than the true one."""

    OUT_OF_DOMAIN = "out_of_domain"
    UNHELPFUL = "unhelpful"
    INVERTED = "inverted"


@dataclass(frozen=True)
class Symptom:
    """One visual symptom of one class.

    Attributes:
        text: Plain words, lower case, without the class.
        kind: Class that shows it: a tumour type, or the name of a class added by words.
        feature: Id of the measured feature that proves it, or None for a control.
        direction: Side of the limit on which the feature proves it.
    """

    text: str
    kind: str
    feature: str | None
    direction: Direction

    def __post_init__(self) -> None:
        check_text(self.text, self.kind)
        if self.feature is not None:
            feature(self.feature)

    @property
    def words(self) -> tuple[str, ...]:
        """Words without punctuation, as highlighted in a reply."""
        return words_of(self.text)

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary; `from_json` reads it."""
        return {"text": self.text, "feature": self.feature, "direction": self.direction.value}

    @classmethod
    def from_json(cls, kind: str, row: Mapping[str, Any]) -> Symptom:
        """Read what `to_json` wrote.

        Raises:
            FileFormatError: If a part is missing.
        """
        try:
            named = row["feature"]
            return cls(
                str(row["text"]),
                kind,
                None if named is None else str(named),
                Direction(row["direction"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise FileFormatError(f"symptom of {kind} is unusable: {error!r}") from error


@dataclass(frozen=True)
class Vocabulary:
    """Symptoms of every class, classes in a fixed order.

    Attributes:
        symptoms: All symptoms, those of a class together.
    """

    symptoms: tuple[Symptom, ...]

    @property
    def kinds(self) -> tuple[str, ...]:
        """Classes in order of appearance."""
        return tuple(dict.fromkeys(symptom.kind for symptom in self.symptoms))

    @property
    def texts(self) -> tuple[str, ...]:
        """Text of every symptom."""
        return tuple(symptom.text for symptom in self.symptoms)

    def rows(self, kind: str) -> tuple[int, ...]:
        """Rows of the symptoms of a class.

        Raises:
            InputError: If the class has none.
        """
        found = tuple(i for i, symptom in enumerate(self.symptoms) if symptom.kind == kind)
        if not found:
            raise InputError(f"class '{kind}' has no symptoms; known: {', '.join(self.kinds)}")
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary: class to symptoms."""
        return {k: [self.symptoms[i].to_json() for i in self.rows(k)] for k in self.kinds}

    @classmethod
    def from_json(cls, values: Mapping[str, Sequence[Mapping[str, Any]]]) -> Vocabulary:
        """Read what `to_json` wrote.

        Raises:
            FileFormatError: If a symptom is unusable.
            InputError: If there are none.
        """
        symptoms = tuple(Symptom.from_json(k, row) for k, rows in values.items() for row in rows)
        if not symptoms:
            raise InputError("the vocabulary holds no symptoms; expected some for every class")
        return cls(symptoms)

    def inverted(self) -> Vocabulary:
        """Every class with the symptoms of the next one: words that are seen, but elsewhere."""
        kinds = self.kinds
        following = dict(zip(kinds, (*kinds[1:], kinds[0]), strict=True))
        return Vocabulary(
            tuple(
                Symptom(s.text, kind, s.feature, s.direction)
                for kind in kinds
                for s in (self.symptoms[row] for row in self.rows(following[kind]))
            )
        )


def words_of(text: str) -> tuple[str, ...]:
    """Words of a phrase without punctuation.

    Example:
        >>> words_of("black air, bone or fluid")
        ('black', 'air', 'bone', 'or', 'fluid')
    """
    return tuple(WORD.findall(text))


def check_text(text: str, kind: str) -> None:
    """Refuse a phrase that names a class or is no short phrase.

    Raises:
        InputError: If it is.
    """
    named = FORBIDDEN.search(text) or re.search(rf"\b{re.escape(kind)}\b", text, re.I)
    if named:
        raise InputError(
            f"symptom '{text}' of {kind} names a class ('{named[0]}')",
            remedy="Describe what is seen instead.",
        )
    if not 1 <= len(words_of(text)) <= MOST_WORDS:
        raise InputError(
            f"symptom '{text}' has {len(words_of(text))} words; expected 1 to {MOST_WORDS}"
        )


def read_candidates(path: Path = CANDIDATES_FILE) -> Vocabulary:
    """Reviewed proposals of the first stage."""
    return Vocabulary.from_json(_read(path, "candidates"))


def read_symptoms(path: Path = SYMPTOMS_FILE) -> Vocabulary:
    """Symptoms that the second stage kept on all training patients."""
    return Vocabulary.from_json(_read(path, "symptoms"))


def control_vocabulary(control: Control, truth: Vocabulary) -> Vocabulary:
    """A vocabulary that should do worse than the true one, with as many symptoms a class.

    Args:
        control: Which one.
        truth: The true vocabulary.
    """
    if control is Control.INVERTED:
        return truth.inverted()
    rows: Mapping[str, Sequence[str]] = _read(CANDIDATES_FILE, "controls")[control.value]
    return Vocabulary(
        tuple(
            Symptom(text, kind, None, Direction.HIGH)
            for kind in truth.kinds
            for text in rows[kind][: len(truth.rows(kind))]
        )
    )


def tumour_kinds(vocabulary: Vocabulary) -> tuple[TumorType, ...]:
    """The tumour types of a vocabulary, which must be exactly those of the classifier, in order.

    Raises:
        InputError: If they are not.
    """
    if vocabulary.kinds != tuple(kind.value for kind in TumorType):
        raise InputError(
            f"vocabulary has the classes {', '.join(vocabulary.kinds)}; "
            f"expected {', '.join(kind.value for kind in TumorType)}"
        )
    return tuple(TumorType)


def _read(path: Path, part: str) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))[part]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FileFormatError(f"{path.name} cannot be read: {error!r}") from error
