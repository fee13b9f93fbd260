"""What a matched clause claims, where it does not depend on the language."""

from __future__ import annotations

from re import Match

from brain_tumor.explanation.facts.model import OUT_OF_DISTRIBUTION
from brain_tumor.explanation.rationale import claims as c
from brain_tumor.explanation.rationale.verifier.reading import Handler, Reading
from brain_tumor.labels import TumorType


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
