"""Words and numbers of the page in English and Korean."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from brain_tumor.explanation.facts.model import SIMILAR_CASES, Language, probability_id
from brain_tumor.explanation.facts.numbers import NEARLY_CERTAIN, number_text, written
from brain_tumor.explanation.facts.vocabulary import (
    FEATURE_WORDS,
    MISSING_WORDS,
    PERCENT_FEATURES,
    REASON_WORDS,
    REGION_WORDS,
    TYPE_WORDS,
    symptom_words,
)
from brain_tumor.explanation.page.labels import LABELS, NAMES
from brain_tumor.labels import TumorType

NONE = "\N{EN DASH}"
_MINUS = "\N{MINUS SIGN}"
_PROBABILITIES = frozenset(probability_id(tumor) for tumor in TumorType)
_UNITS = frozenset({"mm", "mm2", "1/mm", "mL", "1"})
_BEFORE_UNIT = re.compile(r"(?<=\d) (?=mL|mm|1/mm|%)")
_SIDES: Mapping[str, str] = MappingProxyType(
    {"left": "왼쪽", "right": "오른쪽", "midline": "정중선"}
)
_PLACE = re.compile(r"(left|right|midline) (.+)")


@dataclass(frozen=True)
class Texts:
    """The page's words in one language.

    Attributes:
        language: Which.
    """

    language: Language

    def __call__(self, key: str, **values: object) -> str:
        """A label, its placeholders filled."""
        english, korean = LABELS[key]
        return (english if self._is_english else korean).format(**values)

    @property
    def _is_english(self) -> bool:
        return self.language is Language.ENGLISH

    def tumor(self, name: object) -> str:
        """Name of a tumour type; one that is not known stands for itself."""
        if name in set(TumorType):
            english, _, korean = TYPE_WORDS[TumorType(str(name))]
            return english if self._is_english else korean
        return self.name(name)

    def name(self, name: object) -> str:
        """Name of a region, label, method or the like; one that is not known stands for itself."""
        found = NAMES.get(str(name))
        return str(name) if found is None else found[0 if self._is_english else 1]

    def evidence(self, item: Mapping[str, Any]) -> str:
        """Name of an evidence item."""
        own = str(item.get("name") or item.get("feature") or NONE)
        found = FEATURE_WORDS.get(str(item.get("feature")))
        if found is None:
            return symptom_words(own, self.language)
        return own if self._is_english else found[1]

    def feature(self, feature: object) -> str:
        """Name of a feature id; a name stays a name."""
        found = FEATURE_WORDS.get(str(feature))
        return str(feature) if found is None else found[0 if self._is_english else 1]

    def reason(self, reason: object) -> str:
        """Why a type is undetermined or a value missing."""
        found = REASON_WORDS.get(str(reason))
        if found is not None:
            return found[0 if self._is_english else 1]
        korean = None if self._is_english else MISSING_WORDS.get(str(reason))
        return korean or str(reason)

    def place(self, item: Mapping[str, Any]) -> str:
        """Region, or else side, of an evidence item; empty if neither is known."""
        region, side = item.get("region"), item.get("side")
        if self._is_english or not (region or side):
            return str(region or side or "")
        found = _PLACE.fullmatch(str(region)) if region else None
        if found:
            return f"{_SIDES[found[1]]} {REGION_WORDS.get(found[2], found[2])}"
        return REGION_WORDS.get(str(region), str(region)) if region else _SIDES.get(str(side), "")


def finite(value: object) -> float | None:
    """A finite number, or None for anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if math.isfinite(value) else None


def measured_text(value: object, unit: object, feature: object = "") -> str:
    """A measured value with its unit, written as the sentences write it."""
    number = finite(value)
    if number is None:
        return NONE
    if feature == SIMILAR_CASES:
        return f"{number:.0f}"
    if feature in _PROBABILITIES:
        return probability_text(number)
    known = str(unit) if unit in _UNITS else "1"
    text = number_text(written(number, known, percent=feature in PERCENT_FEATURES))
    return text if unit in _UNITS or not unit else f"{text} {unit}"


def unbroken(text: str) -> str:
    """A sentence whose units stay on the line of their numbers.

    Example:
        >>> len(unbroken("about 23 mL of 70 mm").split(" "))
        4
    """
    return _BEFORE_UNIT.sub("\N{NO-BREAK SPACE}", text)


def decimal_text(value: object, decimals: int = 2, *, signed: bool = False) -> str:
    """A number with fixed decimals and a typographic minus."""
    number = finite(value)
    if number is None:
        return NONE
    digits = f"{abs(number):.{decimals}f}"
    if not float(digits):
        return digits
    return (_MINUS if number < 0 else "+" if signed else "") + digits


def percent_text(value: object) -> str:
    """A share in per cent; never 0 or 100 unless it is exactly that.

    Example:
        >>> percent_text(0.913), percent_text(0.9998), percent_text(0.0004), percent_text(1)
        ('91 %', '> 99 %', '< 1 %', '100 %')
    """
    share = finite(value)
    if share is None:
        return NONE
    if 0.0 < share < 0.005:
        return "< 1 %"
    if 0.995 <= share < 1.0:
        return "> 99 %"
    return f"{100 * share:.0f} %"


def probability_text(value: object) -> str:
    """A probability in per cent; above 99 % and below 1 % it is told as no number.

    Example:
        >>> probability_text(0.913), probability_text(0.994), probability_text(0.006)
        ('91 %', '> 99 %', '< 1 %')
    """
    share = finite(value)
    if share is None:
        return NONE
    if share > NEARLY_CERTAIN:
        return "> 99 %"
    return "< 1 %" if share < 1.0 - NEARLY_CERTAIN else f"{100 * share:.0f} %"


def point_text(ras: object) -> str:
    """A point in RAS mm in letters, which leave no doubt about signs.

    Example:
        >>> point_text([-38.2, -12.0, 4.0])
        'L 38, P 12, S 4 mm'
    """
    if not isinstance(ras, list | tuple) or len(ras) != 3:
        return ""
    numbers = [finite(v) for v in ras]
    found = [v for v in numbers if v is not None]
    if len(found) != 3:
        return ""
    return ", ".join(map(_axis_text, found, ("RL", "AP", "SI"))) + " mm"


def position_text(value: float, axis: int) -> str:
    """A coordinate along R, A or S (axis 0, 1, 2), in letters.

    Example:
        >>> position_text(-31.4, 2), position_text(0.2, 0)
        ('I 31 mm', '0 mm')
    """
    return _axis_text(value, ("RL", "AP", "SI")[axis]) + " mm"


def _axis_text(value: float, letters: str) -> str:
    whole = round(abs(value))
    return f"{letters[value < 0]} {whole}" if whole else "0"
