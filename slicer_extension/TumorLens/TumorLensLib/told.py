"""Korean for what arrives in English: texts of the server, and errors of this library."""

from __future__ import annotations

import re
from functools import cache

from TumorLensLib.korean import KOREAN
from TumorLensLib.korean_errors import ERRORS
from TumorLensLib.korean_measurements import MEASUREMENTS, MISSING, PLACES
from TumorLensLib.korean_replies import REPLIES, WORDS

MAX_DEPTH, MAX_LENGTH = 4, 2000
"""A longer text is no sentence; it stays as it is."""
SENTENCES = {**REPLIES, **ERRORS}
TOLD_FIELDS = frozenset(
    {"name", "names", "what", "why", "reason", "reasons", "numbers", "type", "metric"}
)
"""Fields that hold words or sentences, which are translated in turn."""
NUMBER_FIELDS = frozenset({"current", "candidate", "mean", "low", "high", "p", "n"})
"""Fields that hold one word without comma, mostly a number."""
_PHRASES = {**WORDS, **MEASUREMENTS, **MISSING, **PLACES}
_FIELD = re.compile(r"{(\w+)}")
_ENDS = ".!"
NUMBER = r"[^\s,;]+"
ONE_WORD, ANY = r"[^\s:]+", ".+?"


def in_korean(text: str, depth: int = 0) -> str:
    """A text in Korean; one that is not known, or its unknown parts, stay as they are.

    Example:
        >>> in_korean("clearly worse on base / ET: nobody knows")
        "'기본 자료 / ET'에서 분명히 나쁩니다: nobody knows"
    """
    body = text.rstrip(_ENDS)
    stop = text[len(body) :]
    known = KOREAN.get(text) or _PHRASES.get(body)
    if known is not None or depth > MAX_DEPTH or not 0 < len(body) <= MAX_LENGTH:
        return known or text
    for pattern, korean in _patterns():
        found = pattern.fullmatch(body)
        if found is not None:
            return korean.format(**_values(found, depth)) + stop
    told = (
        _headed(body, depth, ONE_WORD) or _listed(body, depth) or _headed(body, depth, ANY) or body
    )
    return told + stop


def _headed(body: str, depth: int, heads: str) -> str:
    """A side with its region, or a sentence after a head and a colon; empty if it is neither."""
    place = re.fullmatch(r"(left|right|midline) (.+)", body)
    if place:
        return f"{PLACES[place[1]]} {in_korean(place[2], depth + 1)}"
    found = re.fullmatch(f"({heads}): (.+)", body, re.DOTALL)
    told = in_korean(found[2], depth + 1) if found else ""
    return f"{found[1]}: {told}" if found and told != found[2] else ""


def _listed(body: str, depth: int) -> str:
    """Sentences in a row, or names in a row that are all known; empty if it is neither."""
    for separator, joined in (("; ", "; "), (" and ", ", "), (", ", ", ")):
        parts = body.split(separator)
        told = [in_korean(part, depth + 1) for part in parts]
        changed = [new != old for new, old in zip(told, parts, strict=True)]
        if len(parts) > 1 and (all(changed) or (separator == "; " and any(changed))):
            return joined.join(told)
    return ""


def _values(found: re.Match[str], depth: int) -> dict[str, str]:
    return {
        name: in_korean(value, depth + 1) if name in TOLD_FIELDS else value
        for name, value in found.groupdict().items()
    }


@cache
def _patterns() -> tuple[tuple[re.Pattern[str], str], ...]:
    """Templates as patterns, those with most words of their own first.

    The first letter may be a capital or not, because sentences of errors begin with a capital.
    """
    found = []
    for template, korean in SENTENCES.items():
        parts = _FIELD.split(template)
        own = "".join(parts[::2])
        pattern = "".join(
            f"(?P<{part}>{NUMBER if part in NUMBER_FIELDS else ANY})"
            if index % 2
            else re.escape(part)
            for index, part in enumerate(parts)
        )
        first = template[0]
        if first.isalpha():
            pattern = f"[{first.lower()}{first.upper()}]{pattern[1:]}"
        found.append((len(own), re.compile(pattern, re.DOTALL), korean))
    found.sort(key=lambda entry: -entry[0])
    return tuple((pattern, korean) for _, pattern, korean in found)
