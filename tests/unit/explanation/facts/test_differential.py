"""What else looks so: rows that apply, and sentences that may be made of them."""

import pytest
from brain_tumor.classification.features.measurement import Measurement
from brain_tumor.classification.scope import NOT_KNOWN
from brain_tumor.explanation.facts.differential import TABLE, lookalikes
from brain_tumor.explanation.facts.location import TumourPlace
from brain_tumor.explanation.facts.model import Language, Side, UndeterminedReason
from brain_tumor.explanation.facts.vocabulary import LESION_WORDS
from brain_tumor.explanation.rationale.verifier.verifier import verify
from brain_tumor.explanation.sections import differential_section
from brain_tumor.labels import TumorType

from tests.helpers.fact_sheets import decided, diverse_facts, facts_of, undetermined

G, M, P = TumorType
PROBABILITIES = {G: (0.93, 0.05, 0.02), M: (0.05, 0.93, 0.02), P: (0.02, 0.05, 0.93)}


def rows(kind=G, place=None, pieces=1, **values):
    """Ids of the rows of a case with these measurements; without them nothing special is there."""
    given = {
        "ring_enhancement_index": 0.9,
        "necrosis_fraction": 0.05,
        "enhancement_ratio": 1.4,
        "border_distance_mm": 20.0,
        "border_contact_ratio": 0.0,
        **values,
    }
    measured = {name: Measurement(value, "1") for name, value in given.items()}
    more = {} if place is None else {"place": place}
    facts = facts_of(
        measurements=measured,
        pieces=pieces,
        decision=decided(kind, *PROBABILITIES[kind], (kind,)),
        **more,
    )
    return [row.id for row in lookalikes(facts)]


def low_in_the_back(side=Side.LEFT):
    return TumourPlace((-25.0, -40.0, -35.0), 25.0, side, None, 0.0, "", "lower middle of the head")


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({}, ["solid"]),
        ({"enhancement_ratio": 1.0}, ["dull"]),
        ({"ring_enhancement_index": 1.2, "necrosis_fraction": 0.2}, ["ring", "solid"]),
        ({"ring_enhancement_index": 1.2, "necrosis_fraction": 0.1}, ["solid"]),
        ({"necrosis_fraction": 0.4, "enhancement_ratio": 1.0}, ["ring"]),
        ({"pieces": 2}, ["several", "solid"]),
        ({"kind": P}, ["sella"]),
        ({"kind": M}, ["solid"]),
        ({"kind": M, "border_distance_mm": 1.0}, ["dura"]),
        ({"kind": M, "border_contact_ratio": 0.2}, ["dura"]),
        ({"kind": M, "border_contact_ratio": 0.2, "enhancement_ratio": 1.2}, []),
        (
            {"kind": M, "border_distance_mm": 1.0, "place": low_in_the_back()},
            ["angle", "dura"],
        ),
        ({"kind": M, "border_distance_mm": 1.0, "place": low_in_the_back(Side.MIDLINE)}, ["dura"]),
        ({"kind": M, "border_distance_mm": 9.0, "place": low_in_the_back()}, ["solid"]),
    ],
)
def test_a_finding_is_measured_or_it_is_not_told(given, expected):
    assert rows(**given) == expected


@pytest.mark.parametrize(
    "reason",
    [
        UndeterminedReason.NO_TUMOUR,
        UndeterminedReason.NO_CONTRAST,
        UndeterminedReason.NO_HEAD,
        UndeterminedReason.OUTLINE_ELSEWHERE,
    ],
)
def test_where_nothing_can_be_believed_nothing_looks_like_anything(reason):
    assert lookalikes(facts_of(decision=undetermined(reason))) == ()


def test_every_row_has_a_source_and_lesions_outside_the_types():
    assert set(LESION_WORDS) == set(NOT_KNOWN)
    for row in TABLE:
        assert set(row.looks_like) <= set(NOT_KNOWN)
        assert any(letter.isdigit() for letter in row.source)
    assert len({row.id for row in TABLE}) == len(TABLE)


def test_the_reply_tells_finding_lesions_source_and_evidence():
    facts = facts_of()
    told = differential_section(facts)[0]
    assert told["finding"] == "enhancing tumour with a dark core"
    assert told["looks_like"] == ["metastasis", "abscess", "demyelination"]
    assert "doi:10.1148/rg.272065155" in told["source"]
    assert told["evidence"] == list(
        facts.evidence_ids("ring_enhancement_index", "necrosis_fraction")
    )


LIES = {
    "another lesion": (
        "An enhancing tumour with a dark core is also seen in schwannoma, which is not among the "
        "three types."
    ),
    "a finding that was not measured": (
        "A mass at the sella is also seen in craniopharyngioma, which is not among the three types."
    ),
    "a lesion as the type": "Image and measurements point to a metastasis.",
    "a lesion as likely": "A metastasis is the next possibility (5 %).",
    "no lesion": "An enhancing tumour with a dark core is also seen in glioma.",
    "a type outside the types": "Glioma and other lesions are not among the three types.",
    "excluded": "A metastasis is excluded.",
}


@pytest.mark.parametrize("lie", LIES.values(), ids=LIES)
def test_nothing_else_may_be_said_of_what_the_model_does_not_know(lie):
    assert [p.text for p in verify([lie], facts_of(), Language.ENGLISH).problems] == [lie]


@pytest.mark.parametrize(
    "text",
    [
        "An enhancing tumour with a dark core is also seen in metastasis and abscess, which are "
        "not among the three types.",
        "Metastasis, schwannoma and other lesions are not among the three types.",
        "Among the three types, the most probable type is a glioma.",
    ],
)
def test_a_part_of_it_may_be_said(text):
    verified = verify([text], facts_of(), Language.ENGLISH)
    assert verified.problems == ()
    assert text in [sentence.text for sentence in verified.sentences]


def test_what_else_it_could_be_is_said_whoever_writes():
    for name, facts in diverse_facts().items():
        if facts.decision.ranked:
            said = " ".join(s.text for s in verify([], facts, Language.ENGLISH).sentences)
            assert "not among the three types" in said, name
