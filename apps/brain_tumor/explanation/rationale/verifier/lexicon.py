"""A sentence as marked text: names, types, places, reasons and numbers become tokens.

What is left between the tokens are plain words, and the verifier's rules know which of them may
stand there. Characters that no honest sentence needs are refused at once.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from brain_tumor.classification.features.feature_table import FEATURES
from brain_tumor.explanation.facts.differential import TABLE
from brain_tumor.explanation.facts.model import LOCATION, Facts, Language, Side, SymptomFact
from brain_tumor.explanation.facts.numbers import WrittenNumber
from brain_tumor.explanation.facts.vocabulary import (
    FEATURE_WORDS,
    LESION_WORDS,
    MISSING_WORDS,
    REASON_WORDS,
    REGION_WORDS,
    TYPE_WORDS,
    reason_words,
    symptom_words,
)

LONGEST_SENTENCE = 600

_ENGLISH_CHARACTERS = re.compile(r"[a-z0-9 .,;:()%/'\-]*")
_KOREAN_CHARACTERS = re.compile(r"[a-z0-9가-힣 .,;:()%/'·\-]*")
_NUMBER = (
    r"(?<![a-z0-9.])-?\d+(?:\.\d+)?"
    r"(?:\s*(?:%|percent|per cent|mm2|cm2|mm|cm|ml)(?![a-z0-9]))?(?![a-z0-9]*\.?\d)"
)
_NUMBER_PARTS = re.compile(r"(-?\d+(?:\.(\d+))?)\s*(.*)")
_SPELLINGS = (
    (re.compile(r"\btumor"), "tumour"),
    (re.compile(r"\bedema"), "oedema"),
    (re.compile(r"\bcenter\b"), "centre"),
    (re.compile(r"\bfavor"), "favour"),
)
_ARTICLE = re.compile(r"\b(?:the|a|an) (?![^<>]*>)")
"""Articles, but not those inside a token: "upper front of the head" is the name of a region."""


@dataclass(frozen=True)
class MarkedText:
    """A sentence with its names and numbers replaced by tokens.

    Attributes:
        text: Lower case, single spaces; tokens are `<F:id>` feature, `<C:type>` type, `<P:type>`
            types in the plural, `<D:row>` finding of the differential, `<E:lesion>`, `<S:side>`,
            `<R:region>`, `<W:i>` reason for undetermined, `<M:i>` reason for a missing value,
            `<Y:i>` visual symptom, `<N:i>` number.
        numbers: Numbers by index.
        decision_reasons: Reasons for undetermined by index.
        missing_reasons: Reasons for missing values by index.
        symptoms: Visual symptoms by index.
        problem: Why the sentence cannot be read at all; empty if it can.
    """

    text: str
    numbers: tuple[WrittenNumber, ...] = ()
    decision_reasons: tuple[str, ...] = ()
    missing_reasons: tuple[str, ...] = ()
    symptoms: tuple[SymptomFact, ...] = ()
    problem: str = ""


def mark(sentence: str, facts: Facts, language: Language) -> MarkedText:
    """Replace what is known by tokens.

    Args:
        sentence: One sentence.
        facts: Their reasons and symptoms are recognised word for word.
        language: Of the sentence.
    """
    plain = _plain(sentence)
    if len(plain) > LONGEST_SENTENCE:
        return MarkedText("", problem=f"longer than {LONGEST_SENTENCE} characters")
    allowed = _ENGLISH_CHARACTERS if language is Language.ENGLISH else _KOREAN_CHARACTERS
    own_phrases = {**_reasons(facts, language), **_symptoms(facts, language)}
    free = plain
    for phrase in own_phrases:
        free = free.replace(phrase, "")
    if not allowed.fullmatch(free):
        return MarkedText("", problem="characters that no fact needs")
    phrases = {**_names(language), **own_phrases}
    marked, numbers = _replace(plain, phrases, language)
    return MarkedText(
        marked, numbers, decision_reasons(facts), missing_reasons(facts), facts.symptoms
    )


def _plain(sentence: str) -> str:
    """Lower case, one kind of minus, quote and space, British spelling, no final stop."""
    text = unicodedata.normalize("NFC", sentence).lower()
    for old, new in (
        ("\N{MINUS SIGN}", "-"),
        ("\N{EN DASH}", "-"),
        ("\N{NO-BREAK SPACE}", " "),
        ("\N{RIGHT SINGLE QUOTATION MARK}", "'"),
        ("\N{SUPERSCRIPT TWO}", "2"),
    ):
        text = text.replace(old, new)
    for pattern, british in _SPELLINGS:
        text = pattern.sub(british, text)
    return re.sub(r"\s+", " ", text).strip().removesuffix(".").rstrip()


def _reasons(facts: Facts, language: Language) -> dict[str, str]:
    """Phrases of the reasons that these facts hold, to their tokens."""
    found = {}
    for index, reason in enumerate(decision_reasons(facts)):
        found[_plain(reason_words(reason, language))] = f"<W:{index}>"
    for index, reason in enumerate(missing_reasons(facts)):
        phrase = reason if language is Language.ENGLISH else MISSING_WORDS.get(reason, "")
        if phrase:
            found.setdefault(_plain(phrase), f"<M:{index}>")
    return found


def _symptoms(facts: Facts, language: Language) -> dict[str, str]:
    """Words of the visual symptoms of these facts, to their tokens."""
    return {
        _plain(symptom_words(symptom.text, language)): f"<Y:{index}>"
        for index, symptom in enumerate(facts.symptoms)
    }


def decision_reasons(facts: Facts) -> tuple[str, ...]:
    """The known reasons for "undetermined", then those of these facts."""
    return tuple(dict.fromkeys([*(str(code) for code in REASON_WORDS), *facts.decision.reasons]))


def missing_reasons(facts: Facts) -> tuple[str, ...]:
    """Reasons of the values that are missing, without doubles."""
    return tuple(dict.fromkeys(item.reason for item in facts.evidence if item.reason))


@lru_cache(maxsize=2)
def _names(language: Language) -> Mapping[str, str]:
    """Phrases that mean the same in every case, to their tokens."""
    english = language is Language.ENGLISH
    names: dict[str, str] = {}
    if english:
        names |= {definition.name.lower(): f"<F:{definition.id}>" for definition in FEATURES}
        names |= {
            "that of the tumour core": "<F:volume_tc_ml>",
            "that of the enhancing tumour": "<F:volume_et_ml>",
            "volume of the enhancing part": "<F:volume_et_ml>",
        }
    else:
        names["최대 크기"] = f"<F:{LOCATION}>"
    names |= {
        _plain(words[0 if english else 1]): f"<F:{feature}>"
        for feature, words in FEATURE_WORDS.items()
    }
    for tumor, (one, many, korean) in TYPE_WORDS.items():
        if english:
            names |= {one: f"<C:{tumor.value}>", many: f"<P:{tumor.value}>"}
        else:
            names[korean] = f"<C:{tumor.value}>"
    for region, korean in REGION_WORDS.items():
        names[region if english else korean] = f"<R:{region}>"
    for name, words in LESION_WORDS.items():
        names[_plain(words[0 if english else 1])] = f"<E:{name}>"
    for row in TABLE:
        names[_plain(row.english if english else row.korean)] = f"<D:{row.id}>"
    sides = dict(zip(Side, ("왼쪽", "오른쪽", "정중선"), strict=True))
    for side in Side:
        names[side.value if english else sides[side]] = f"<S:{side.value}>"
    return names


@lru_cache(maxsize=64)
def _pattern(phrases: tuple[str, ...], english: bool) -> re.Pattern[str]:
    """Names, where a word begins and ends; numbers elsewhere. Korean particles follow a name."""
    right = r"(?![a-z0-9])" if english else r"(?![a-z0-9]*[a-z])"
    known = "|".join(re.escape(phrase) for phrase in phrases)
    return re.compile(rf"(?P<name>(?<![a-z0-9가-힣])(?:{known}){right})|(?P<number>{_NUMBER})")


def _replace(
    text: str, phrases: Mapping[str, str], language: Language
) -> tuple[str, tuple[WrittenNumber, ...]]:
    """Longest phrases first, numbers where no phrase stands."""
    english = language is Language.ENGLISH
    pattern = _pattern(tuple(sorted(phrases, key=len, reverse=True)), english)
    numbers: list[WrittenNumber] = []

    def token(match: re.Match[str]) -> str:
        if match["name"] is not None:
            return phrases[match["name"]]
        parts = _NUMBER_PARTS.fullmatch(match["number"])
        if parts is None:
            return match["number"]
        unit = "%" if parts[3] in {"percent", "per cent"} else parts[3]
        numbers.append(WrittenNumber(float(parts[1]), len(parts[2] or ""), unit))
        return f"<N:{len(numbers) - 1}>"

    marked = pattern.sub(token, text)
    if english:
        marked = _ARTICLE.sub("", marked)
    marked = re.sub(r"\s*([(),;:])\s*", r" \1 ", re.sub(r"<(\w):([^>]*)>", r"<\1=\2>", marked))
    marked = re.sub(r"<(\w)=([^>]*)>", r"<\1:\2>", marked)
    return re.sub(r"\s+", " ", marked).strip(), tuple(numbers)
