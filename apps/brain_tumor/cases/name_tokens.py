"""Words of sequence names: separators, signs, accents, scripts without spaces, joined words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from brain_tumor.cases import sequence_words as words

_SIGNED = (
    r"iv|ev|c|ce|gd|gad|gado|gadolinium|km|k|mdc|contrast|contraste|contrasto|kontrast|inj|ci|civ"
)
_SIGNS = (
    (re.compile(r"[\u2010-\u2015\u2212\ufe63]"), "-"),
    (re.compile(r"\+\s*/?\s*-|\u00b1"), " both "),
    # abbreviations with stops and strokes
    (re.compile(r"(?<![a-z0-9])s\.?\s?m\.\s?d\.\s?c\b\.?"), " without mdc "),
    (re.compile(r"(?<![a-z0-9])m\.\s?d\.\s?c\b\.?"), " mdc "),
    (re.compile(r"(?<![a-z0-9])c\.\s?i\.\s?v\b\.?"), " civ "),
    (re.compile(r"(?<![a-z0-9])([ie])\.\s?v\b\.?"), r" \1v "),
    (re.compile(r"(?<![a-z0-9])k\.\s?m\b\.?"), " km "),
    (re.compile(r"(?<![a-z0-9])w\s*[/.]\s*o(?:ut)?(?![a-z0-9])\.?"), " without "),
    (re.compile(r"(?<![a-z0-9])w\s*/\s*wo(?![a-z0-9])"), " both "),
    (re.compile(r"(?<![a-z0-9])w\s*/"), " with "),
    (re.compile(r"(?<![a-z0-9])s\s*/\s*c(?![a-z0-9])"), " without contrast "),
    (re.compile(r"(?<![a-z0-9])c\s*/\s*c(?![a-z0-9])"), " contrast "),
    (re.compile(r"(?<![a-z0-9])s\s*/\s*(?=[cgm])"), " sin "),
    (re.compile(r"(?<![a-z0-9])c\s*/\s*(?=[cgm])"), " con "),
    # plus and minus
    (re.compile(rf"\+\s*(?:{_SIGNED})(?![a-z0-9])"), " contrast "),
    (re.compile(rf"(?<![a-z0-9])(?:{_SIGNED})\s*\(?\+\)?(?![a-z0-9])"), " contrast "),
    (re.compile(rf"(?<![a-z0-9])(?:{_SIGNED})(?:-|\s*\(-\)|\s+-$)(?![a-z0-9])"), " precontrast "),
    (re.compile(rf"(?<=[\s_(])-(?:{_SIGNED})(?![a-z0-9])"), " precontrast "),
    (re.compile(r"(?<=[a-z0-9])\s*\(\+\)|(?<=[a-z0-9])\+(?![a-z0-9])|\s\+$"), " contrast "),
    (re.compile(r"(?<=t1)w?i?-(?=\s|$|\))|\(-\)"), " precontrast "),
    (re.compile(r"(?<![a-z0-9])contrast\s+x(?![a-z0-9])"), " precontrast "),  # "조영 X"
    # words of two parts
    (re.compile(r"t2w?[\s_-]*(?:\*|star(?![a-z0-9]))"), " t2star "),
    (re.compile(r"[_\W]+"), " "),
    (re.compile(r"\bdark fluid\b|\bda fl\b|\bfluid attenuated\b"), " flair "),
    (re.compile(r"\bnative? space\b"), " space "),
)
_SCRIPT_RUN = re.compile(r"[\u1100-\u11ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")
_LONGEST_PHRASE = max(map(len, words.PHRASES))
_MAX_JOINED = 48
T2_GRADIENT_ECHO = re.compile(r"(?:[a-z])?t2w?(?:s|star|gre|ffe|fl2d|fl3d|flash|map)")
_CORES = tuple(sorted((*words.T1_CORES, "t2"), key=len, reverse=True))
_SPELT_OUT = {"c": "contrast", "n": "native", "w": "weighted"}
_SUFFIXES = words.JOINED_PLAIN | words.JOINED_NATIVE | words.JOINED_CONTRAST


def tokenise(text: str) -> list[str]:
    """Words of a text in lower case without accents; signs that carry meaning become words."""
    text = unicodedata.normalize("NFKC", text).lower()
    plain = unicodedata.normalize("NFKD", text)
    text = "".join(c for c in plain if not _is_accent(c))
    text = unicodedata.normalize("NFC", text).replace("ß", "ss").replace("_", " ")
    text = _SCRIPT_RUN.sub(lambda run: f" {' '.join(_phrases(run.group()))} ", text)
    for pattern, word in _SIGNS:
        text = pattern.sub(word, text)
    return [part for token in text.split() for part in _parts(token)]


def _is_accent(character: str) -> bool:
    """True for accents of Latin letters; the voicing marks of Japanese kana are kept."""
    return unicodedata.combining(character) != 0 and character not in "\u3099\u309a"


def _phrases(run: str) -> Iterator[str]:
    """Words of a run of characters without spaces; what no table holds stays one word."""
    at, rest = 0, ""
    while at < len(run):
        for size in range(min(_LONGEST_PHRASE, len(run) - at), 0, -1):
            meaning = words.PHRASES.get(run[at : at + size])
            if meaning is not None:
                yield from filter(None, (rest, meaning))
                at, rest = at + size, ""
                break
        else:
            rest += run[at]
            at += 1
    if rest:
        yield rest


def _parts(token: str) -> tuple[str, ...]:
    """Parts of a joined word such as `t1wce`; the word itself if it is none."""
    if token in words.FLAIR:
        return ("flair",)
    if "flair" in token:
        before, _, after = token.partition("flair")
        behind = ("flair", "contrast") if _split(after, words.JOINED_CONTRAST) else ("flair",)
        return ("t1", *behind) if re.search(r"t1w?$", before) else behind
    if len(token) > _MAX_JOINED or T2_GRADIENT_ECHO.fullmatch(token):
        return (token,)
    for core in _CORES:
        at = token.find(core)
        while at >= 0:
            prefixes = _prefixes(token[:at])
            suffixes = _split(token[at + len(core) :], _SUFFIXES)
            if prefixes is not None and suffixes is not None:
                return (*prefixes, core, *suffixes)
            at = token.find(core, at + 1)
    return (token,)


def _prefixes(text: str) -> tuple[str, ...] | None:
    """Meaning of what stands before `t1` or `t2` in a joined word; None if it has none."""
    if len(text) <= 1:
        return ("contrast",) if text == "c" else ()
    return _split(text, words.JOINED_PREFIXES)


def _split(text: str, vocabulary: frozenset[str]) -> tuple[str, ...] | None:
    """Text as a chain of words, the longest first; letters that stand alone are spelt out."""
    if not text:
        return ()
    for size in range(len(text), 0, -1):
        part = text[:size]
        if part in vocabulary:
            rest = _split(text[size:], vocabulary)
            if rest is not None:
                return (_SPELT_OUT.get(part, part), *rest)
    return None
