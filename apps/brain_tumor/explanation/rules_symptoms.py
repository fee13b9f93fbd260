"""Clauses on visual symptoms in both languages, and what each asserts."""

from __future__ import annotations

from re import Match

from brain_tumor.explanation.rationale.claims import SymptomClaim, SymptomConflictClaim
from brain_tumor.explanation.rationale.verifier.reading import Handler, Reading, Rule, rule
from brain_tumor.labels import TumorType


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

ENGLISH: tuple[Rule, ...] = (
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
KOREAN: tuple[Rule, ...] = (
    rule(
        r"두 번째 판독기가 본 다음 영상 소견은 (?P<agrees>측정값과 일치합니다) : " + _KOREAN_ITEM,
        _symptom(seen=True),
    ),
    rule(_KOREAN_ITEM, _again),
    rule(r"두 번째 판독기와 측정값이 서로 어긋납니다", _conflict),
    rule(r"{Y} \( 보이지만 측정값은 그렇지 않음 , 점수 {N} \)", _symptom(seen=True, agrees=False)),
    rule(r"{Y} \( 측정값은 그렇지만 보이지 않음 , 점수 {N} \)", _symptom(seen=False, agrees=False)),
)
