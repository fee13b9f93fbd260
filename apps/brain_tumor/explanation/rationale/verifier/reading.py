"""Reading claims out of marked text: rules that consume clauses until nothing is left.

A sentence is understood only if rules and connecting words account for all of it. There is no
list of forbidden words: what no rule knows is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from re import Match
from typing import TypeVar

from brain_tumor.explanation.facts.model import OUT_OF_DISTRIBUTION
from brain_tumor.explanation.facts.numbers import WrittenNumber, number_text
from brain_tumor.explanation.rationale import claims as c
from brain_tumor.explanation.rationale.claims import (
    Claim,
    NotMeasuredClaim,
    SupportClaim,
    SymptomClaim,
    SymptomConflictClaim,
)
from brain_tumor.explanation.rationale.verifier.lexicon import MarkedText
from brain_tumor.labels import TumorType

_ClaimType = TypeVar("_ClaimType")

_SLOTS = {
    "F": r"<F:(?P<{}>\w+)>",
    "N": r"<N:(?P<{}>\d+)>",
    "C": r"<C:(?P<{}>\w+)>",
    "D": r"<D:(?P<{}>\w+)>",
    "P": r"<P:(?P<{}>\w+)>",
    "S": r"<S:(?P<{}>\w+)>",
    "R": r"<R:(?P<{}>[\w ]+)>",
    "W": r"<W:(?P<{}>\d+)>",
    "M": r"<M:(?P<{}>\d+)>",
    "Y": r"<Y:(?P<{}>\d+)>",
}


@dataclass
class Reading:
    """State while a sentence is read.

    Attributes:
        marked: The sentence.
        claims: What it asserts so far.
        subject: Feature that a clause without its own subject speaks of.
        open_mentions: Features that were named and of which nothing was said yet; more than one
            only where a list follows of what was not measured.
        tumor: Type that a probability without its own type belongs to.
        pending: Types and polarities that wait for a subject ("speaking for glioma, ...").
        heat_target: Type of the heatmap that the sentence names.
        total: Number of similar patients that the sentence names.
    """

    marked: MarkedText
    claims: list[Claim] = field(default_factory=list)
    subject: str | None = None
    open_mentions: list[str] = field(default_factory=list)
    tumor: TumorType | None = None
    pending: list[tuple[TumorType, bool]] = field(default_factory=list)
    heat_target: TumorType | None = None
    total: int | None = None

    def number(self, index: str) -> WrittenNumber:
        """Number of a token."""
        return self.marked.numbers[int(index)]

    def count(self, index: str) -> int | None:
        """A number without decimals and unit, or None."""
        number = self.number(index)
        if number.decimals or number.unit:
            return None
        return int(number.value)

    def add(self, *claims: Claim) -> bool:
        """Note claims; false, and nothing noted, if a finding named before has no part in them.

        Without this "the shift and the index support a glioma" would lend the claim of the index
        to the shift.
        """
        if not set(self.open_mentions) <= {name for claim in claims for name in claim.features}:
            return False
        self.claims.extend(claims)
        self.open_mentions.clear()
        return True

    def mention(self, feature: str) -> None:
        """Note a subject; a waiting polarity belongs to it, else it waits for a claim."""
        self.subject = feature
        if not self.pending:
            self.open_mentions.append(feature)
        self.claims += [SupportClaim(feature, tumor, favours) for tumor, favours in self.pending]
        self.pending.clear()

    def last(self, kind: type[_ClaimType]) -> _ClaimType | None:
        """The last claim, if it is of a class."""
        if self.claims and isinstance(self.claims[-1], kind):
            return self.claims[-1]
        return None

    def has(self, kind: type[_ClaimType]) -> bool:
        """Whether there is a claim of a class."""
        return any(isinstance(claim, kind) for claim in self.claims)

    def give_reason(self, reason: str) -> bool:
        """Give the reason to the features that are said to be missing; false if there are none."""
        missing = [claim for claim in self.claims if isinstance(claim, NotMeasuredClaim)]
        if not missing:
            return False
        self.claims = [
            NotMeasuredClaim(claim.feature, reason)
            if isinstance(claim, NotMeasuredClaim)
            else claim
            for claim in self.claims
        ]
        return True


Handler = Callable[[Reading, re.Match[str]], bool]


@dataclass(frozen=True)
class Rule:
    """A clause and what it asserts.

    Attributes:
        pattern: Compiled from a pattern with slots: {F}, {N}, {C}, ... become named groups f, n,
            c, ...; {N2} is a second one with the name n2.
        handler: Notes the claims; false if the clause does not fit here.
    """

    pattern: re.Pattern[str]
    handler: Handler


def rule(pattern: str, handler: Handler) -> Rule:
    """A rule from a pattern with slots."""

    def slot(match: re.Match[str]) -> str:
        return _SLOTS[match[1]].format((match[1] + match[2]).lower())

    return Rule(re.compile(re.sub(r"\{([A-Z])(\d?)\}", slot, pattern)), handler)


@dataclass(frozen=True)
class ParsedSentence:
    """What a sentence asserts.

    Attributes:
        claims: In order.
        problem: Why it was not understood; empty if all of it was.
        features: Ids of the features that it names, understood or not.
    """

    claims: tuple[Claim, ...]
    problem: str
    features: tuple[str, ...]


def read(marked: MarkedText, rules: Sequence[Rule], connectors: re.Pattern[str]) -> ParsedSentence:
    """Consume a sentence from left to right, the longest fitting clause first.

    Args:
        marked: The sentence.
        rules: Clauses.
        connectors: Words and signs that may stand between clauses and assert nothing.
    """
    named = tuple(dict.fromkeys(re.findall(r"<F:(\w+)>", marked.text)))
    if marked.problem:
        return ParsedSentence((), marked.problem, named)
    reading = Reading(marked)
    rest = marked.text
    while rest:
        step = _clause(reading, rest, rules) or _connector(rest, connectors)
        if step == 0:
            shown = re.sub(r"<\w:([^>]*)>", r"\1", _with_numbers(marked, rest))[:60]
            return ParsedSentence((), f"no fact accounts for '{shown}'", named)
        rest = rest[step:].lstrip()
    if reading.pending:
        return ParsedSentence((), "a type is supported by nothing", named)
    if reading.open_mentions and reading.claims:
        return ParsedSentence((), f"nothing is said of {', '.join(reading.open_mentions)}", named)
    if not reading.claims:
        return ParsedSentence((), "asserts nothing that a fact could bear out", named)
    return ParsedSentence(tuple(dict.fromkeys(reading.claims)), "", named)


def _with_numbers(marked: MarkedText, rest: str) -> str:
    """Text with its numbers in place of their tokens."""
    return re.sub(r"<N:(\d+)>", lambda m: number_text(marked.numbers[int(m[1])]), rest)


def _clause(reading: Reading, rest: str, rules: Sequence[Rule]) -> int:
    """Characters of the longest clause that fits, 0 if none does."""
    found = []
    for candidate in rules:
        match = candidate.pattern.match(rest)
        if match is not None and _ends_at_word(rest, match.end()):
            found.append((match.end(), match, candidate.handler))
    for end, match, handler in sorted(found, key=lambda entry: -entry[0]):
        if handler(reading, match):
            return end
    return 0


def _connector(rest: str, connectors: re.Pattern[str]) -> int:
    match = connectors.match(rest)
    return match.end() if match is not None and _ends_at_word(rest, match.end()) else 0


def _ends_at_word(text: str, end: int) -> bool:
    """Whether a clause ends where a word ends."""
    if end == 0 or end >= len(text):
        return end > 0
    return not (text[end - 1].isalnum() and text[end].isalnum())


def value(reading: Reading, m: Match[str]) -> bool:
    """A measured number."""
    reading.mention(m["f"])
    return reading.add(c.ValueClaim(m["f"], reading.number(m["n"])))


def mention(reading: Reading, m: Match[str]) -> bool:
    """A finding is named; what follows is about it."""
    reading.mention(m["f"])
    return True


def tumor_type(strength: int) -> Handler:
    """A type, as sure as the words say."""

    def handler(reading: Reading, m: Match[str]) -> bool:
        reading.tumor = TumorType(m["c"])
        return reading.add(c.TypeClaim(reading.tumor, strength))

    return handler


def undetermined(reading: Reading, _: Match[str]) -> bool:
    """No type is given."""
    return reading.add(c.UndeterminedClaim())


def distance(reading: Reading, m: Match[str]) -> bool:
    """Distance from the training images."""
    return reading.add(c.ValueClaim(OUT_OF_DISTRIBUTION, reading.number(m["n"])))


def limit(reading: Reading, m: Match[str]) -> bool:
    """Distance from which on an image counts as unlike them."""
    return reading.add(c.OutsideLimitClaim(reading.number(m["n"])))


def above_limit(reading: Reading, m: Match[str]) -> bool:
    """The same limit, of a distance named before."""
    if reading.subject != OUT_OF_DISTRIBUTION:
        return False
    return reading.add(c.OutsideLimitClaim(reading.number(m["n"])))


def not_measured(reading: Reading, _: Match[str]) -> bool:
    """What was named could not be measured."""
    if not reading.open_mentions:
        return False
    return reading.add(*(c.NotMeasuredClaim(name) for name in reading.open_mentions))


def missing_reason(reading: Reading, m: Match[str]) -> bool:
    """Why it could not."""
    return reading.give_reason(reading.marked.missing_reasons[int(m["m"])])


def none_made(reading: Reading, m: Match[str]) -> bool:
    """None of the measurements was made."""
    total = reading.count(m["n"])
    return total is not None and reading.add(c.ThinEvidenceClaim(0, total))


def view(reading: Reading, m: Match[str]) -> bool:
    """A property of the view, not of the tumour."""
    return reading.add(c.ViewClaim(m["f"]))


def for_it(reading: Reading, _: Match[str]) -> bool:
    """The finding speaks for the type that was named last."""
    if reading.subject is None or reading.tumor is None:
        return False
    return reading.add(c.SupportClaim(reading.subject, reading.tumor, favours=True))


def volume(feature: str) -> Handler:
    """A volume in the sentence on the place."""

    def handler(reading: Reading, m: Match[str]) -> bool:
        return reading.add(c.ValueClaim(feature, reading.number(m["n"])))

    return handler


def among_types(reading: Reading, _: Match[str]) -> bool:
    """What is said is said among the three types."""
    return reading.add(c.ScopeClaim())


def not_among_types(reading: Reading, m: Match[str]) -> bool:
    """Lesions that are not among them."""
    return reading.add(c.ScopeClaim(_lesions(m)))


def also_seen_in(reading: Reading, m: Match[str]) -> bool:
    """A finding that lesions outside the types show, too."""
    return reading.add(c.LookalikeClaim(m["d"], _lesions(m)))


def _lesions(m: Match[str]) -> frozenset[str]:
    return frozenset(re.findall(r"<E:(\w+)>", m["others"]))


def similar_total(reading: Reading, m: Match[str]) -> bool:
    """How many similar patients are counted."""
    reading.total = reading.count(m["n"])
    return reading.total is not None


def similar(reading: Reading, m: Match[str]) -> bool:
    """How many of them had a type."""
    count = reading.count(m["n"])
    if count is None or reading.total is None:
        return False
    return reading.add(c.SimilarClaim(reading.total, count, TumorType(m["c"])))


def all_similar(reading: Reading, m: Match[str]) -> bool:
    """All of them had one type."""
    total = reading.count(m["n"])
    return total is not None and reading.add(c.SimilarClaim(total, total, TumorType(m["c"])))


def _symptom(*, seen: bool | None, agrees: bool | None = None) -> Handler:
    """A symptom that is (or is not) seen; the group `agrees` says that measurements agree."""

    def handler(reading: Reading, m: Match[str]) -> bool:
        agree = True if m.groupdict().get("agrees") else agrees
        return _note(reading, m, seen, agree)

    return handler


def _again(reading: Reading, m: Match[str]) -> bool:
    """A further symptom of a list."""
    last = reading.last(SymptomClaim)
    return last is not None and last.seen is True and _note(reading, m, True, last.agrees)


def _note(reading: Reading, m: Match[str], seen: bool | None, agrees: bool | None) -> bool:
    found = reading.marked.symptoms[int(m["y"])]
    reading.subject = found.id
    groups = m.groupdict()
    tumor, number = groups.get("c"), groups.get("n")
    return reading.add(
        SymptomClaim(
            found.id,
            found.text,
            found.feature,
            seen,
            agrees,
            reading.number(number) if number else None,
            TumorType(tumor) if tumor else None,
        )
    )


def _conflict(reading: Reading, _: Match[str]) -> bool:
    return reading.add(SymptomConflictClaim())


_ITEM = r"{Y}(?: \( (?:symptom of {C} , )?score {N} \))?"
_KOREAN_ITEM = r"{Y}(?: \( (?:{C}의 소견 , )?점수 {N} \))?"

ENGLISH_SYMPTOM_RULES: tuple[Rule, ...] = (
    rule(
        r"second reader sees(?: (?:this|these) visual symptoms?)?"
        r"(?P<agrees> , and measurements? agrees?)?(?: :)? " + _ITEM,
        _symptom(seen=True),
    ),
    rule(_ITEM, _again),
    rule(r"{Y} has score of {N}", _symptom(seen=None)),
    rule(r"second reader and measurements contradict each other", _conflict),
    rule(
        r"{Y} is seen(?: \( score {N} \))? , but (?:its )?measurement denies it",
        _symptom(seen=True, agrees=False),
    ),
    rule(
        r"{Y} is measured , but not seen(?: \( score {N} \))?", _symptom(seen=False, agrees=False)
    ),
)
KOREAN_SYMPTOM_RULES: tuple[Rule, ...] = (
    rule(
        r"두 번째 판독기가 본 다음 영상 소견은 (?P<agrees>측정값과 일치합니다) : " + _KOREAN_ITEM,
        _symptom(seen=True),
    ),
    rule(_KOREAN_ITEM, _again),
    rule(r"두 번째 판독기와 측정값이 서로 어긋납니다", _conflict),
    rule(r"{Y} \( 보이지만 측정값은 그렇지 않음 , 점수 {N} \)", _symptom(seen=True, agrees=False)),
    rule(r"{Y} \( 측정값은 그렇지만 보이지 않음 , 점수 {N} \)", _symptom(seen=False, agrees=False)),
)
