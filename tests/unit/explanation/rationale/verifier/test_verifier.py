from dataclasses import replace

import pytest
from brain_tumor.explanation.facts.location import TumourPlace
from brain_tumor.explanation.facts.model import Language, Side, UndeterminedReason
from brain_tumor.explanation.facts.numbers import WrittenNumber
from brain_tumor.explanation.facts.vocabulary import REGION_WORDS
from brain_tumor.explanation.rationale import findings, plan
from brain_tumor.explanation.rationale.claims import (
    ProbabilityClaim,
    RankClaim,
    SupportClaim,
    TypeClaim,
    TypicalClaim,
    ValueClaim,
)
from brain_tumor.explanation.rationale.composer.composer import compose, variants
from brain_tumor.explanation.rationale.plan import plan_statements
from brain_tumor.explanation.rationale.statements import Form, Kind
from brain_tumor.explanation.rationale.verifier.verifier import parse, verify
from brain_tumor.labels import TumorType

from tests.helpers.fact_sheets import decided, diverse_facts, facts_of, random_facts, undetermined

G, M, P = TumorType
EN, KO = Language


def test_a_sentence_is_read_into_its_claims():
    text = (
        "The ring-enhancement index is 1.31, higher than in 85 % of the meningiomas and typical of "
        "the gliomas of the training patients, which speaks against a pituitary tumour."
    )
    ring = "ring_enhancement_index"
    assert parse(text, facts_of(), EN).claims == (
        ValueClaim(ring, WrittenNumber(1.31, 2)),
        RankClaim(ring, True, 0.85, M),
        TypicalClaim(ring, G),
        SupportClaim(ring, P, False),
    )


def test_a_korean_sentence_is_read_into_its_claims():
    text = "괴사 비율은 34 %로, 학습 수막종의 85 %보다 높고 교종을 뒷받침합니다."
    assert parse(text, facts_of(), KO).claims == (
        ValueClaim("necrosis_fraction", WrittenNumber(34.0, 0, "%")),
        RankClaim("necrosis_fraction", True, 0.85, M),
        SupportClaim("necrosis_fraction", G, True),
    )


@pytest.mark.parametrize("language", Language)
def test_every_wording_of_the_composer_is_read_back_as_what_it_was_to_say(language):
    sheets = [*diverse_facts().values(), *(random_facts(seed) for seed in range(15))]
    for facts in sheets:
        for statement in plan_statements(facts):
            for text in variants(statement, language):
                parsed = parse(text, facts, language)
                assert not parsed.problem, (text, parsed.problem)
                if statement.form is Form.NOT_MEASURED:
                    continue  # a reason without Korean words is left out
                assert set(parsed.claims) <= set(statement.claims), text
                unsaid = set(statement.claims) - set(parsed.claims)
                assert not unsaid, text


@pytest.mark.parametrize("language", Language)
def test_the_honest_composer_is_kept_whole(language):
    sheets = [*diverse_facts().values(), *(random_facts(seed) for seed in range(15))]
    for facts in sheets:
        texts = [sentence.text for sentence in compose(facts, language)]
        verified = verify(texts, facts, language)
        assert [sentence.text for sentence in verified.sentences] == texts
        assert verified.claims == verified.supported
        assert verified.problems == ()
        assert verified.added == 0


def test_a_composer_that_errs_is_refused_like_anyone_else(monkeypatch):
    honest = plan.value_of
    facts = facts_of()
    true = {sentence.text for sentence in compose(facts, EN)}

    def doubled(item, value=None):
        number = honest(item, value)
        return replace(number, value=2.0 * number.value)

    for module in (plan, findings):
        monkeypatch.setattr(module, "value_of", doubled)
    composed = [sentence.text for sentence in compose(facts, EN)]
    wrong = set(composed) - true
    # place, type, volumes, two findings for, one against, and the counterfactual hold values
    assert len(wrong) == 7
    verified = verify(composed, facts, EN)
    assert {problem.text for problem in verified.problems} == wrong
    assert {sentence.text for sentence in verified.sentences} == true & set(composed)
    # the sentence on the type gives way to another one on its probability
    assert (verified.removed, verified.rewritten, verified.added) == (6, 1, 0)
    # nor does it stand in for another provider
    other = verify(["The necrotic share is 54 %."], facts, EN)
    assert not wrong & {sentence.text for sentence in other.sentences}
    # what else looks so rests on the necrotic share, too, and holds
    assert other.rewritten == 1
    assert {problem.text for problem in other.problems} & wrong  # what speaks against the type


HONEST = [
    "The tumour is located in the left temporal lobe.",
    "The tumour lies in the temporal lobe on the left side.",
    "The tumor measures 4.2 cm across.",
    "The probability of glioma is 93 %.",
    "A glioma is the most likely type (93 %).",
    "The most probable type is a glioma, with a probability of 93 %.",
    "The findings point clearly to a glioma.",
    "The tumour is probably a glioma.",
    "The ring-enhancement index of 1.31 supports a glioma.",
    "The ring-enhancement index measures 1.3.",
    "Speaking for a glioma, the necrotic share is 34 %.",
    "The necrotic share is 34 percent, which argues in favour of a glioma.",
    "The necrotic share argues against a pituitary tumour.",
    "The share of the outline at the dura counts towards a meningioma.",
    "82 % of the heat lies inside the tumour, and so does its peak.",
    "Heatmap and measurements agree on the place.",
    "The heatmap is high at the place of the ring-enhancement index.",
    "The heatmap passed its faithfulness test.",
    "The midline shift was not measurable.",
    "Only a glioma remains possible at 90 % coverage.",
    "The volume of the enhancing tumour is 12.6 mL.",
]


@pytest.mark.parametrize("text", HONEST)
def test_an_honest_paraphrase_is_kept(text):
    verified = verify([text], facts_of(), EN)
    assert verified.problems == ()
    assert text in [sentence.text for sentence in verified.sentences]


def test_a_false_sentence_is_rewritten_with_the_composers_words():
    verified = verify(["The necrotic share is 54 %."], facts_of(), EN)
    assert verified.rewritten == 1
    assert verified.problems[0].reason == "necrosis_fraction is 0.34 1, not 54 %"
    (necrosis,) = [s.text for s in verified.sentences if "necrotic share" in s.text]
    assert "(34 %)" in necrosis


def test_a_sentence_about_nothing_is_removed():
    verified = verify(["Surgery is advised."], facts_of(), EN)
    assert (verified.removed, verified.rewritten, verified.claims, verified.supported) == (
        1,
        0,
        1,
        0,
    )
    assert verified.problems[0].reason == "no fact accounts for 'surgery is advised'"


def test_links_to_evidence_are_the_verifiers_own():
    facts = facts_of()
    verified = verify(["The ring-enhancement index supports a glioma."], facts, EN)
    kept = next(s for s in verified.sentences if "supports" in s.text)
    assert kept.evidence == facts.evidence_ids("ring_enhancement_index")
    assert kept.kind is Kind.FINDING


def test_what_must_not_be_left_out_is_added():
    facts = facts_of(decision=decided(G, 0.62, 0.31, 0.07, (G, M)))
    only_for = "The ring-enhancement index is 1.31; it speaks for a glioma."
    verified = verify([only_for], facts, EN)
    added = [s.text for s in verified.sentences if s.text != only_for]
    assert verified.added == len(added)
    for words in ("without certainty", "next possibility", "both remain possible", "against"):
        assert any(words in text for text in added), words


def test_the_same_claims_are_said_once():
    text = "The necrotic share is 34 %."
    verified = verify([text, "The necrotic share amounts to 34 %."], facts_of(), EN)
    assert sum("34 %" in s.text and "speaks" not in s.text for s in verified.sentences) == 1


def test_reasons_of_an_undetermined_type_are_read():
    reasons = UndeterminedReason.AMBIGUOUS, UndeterminedReason.PLANES_DISAGREE
    facts = facts_of(decision=undetermined(*reasons))
    text = "No type is given, because the slices disagree on the type."
    assert verify([text], facts, EN).problems == ()


def test_a_type_claim_carries_its_strength_and_probability():
    text = "Image and measurements suggest a glioma, without certainty (probability 62 %)."
    facts = facts_of(decision=decided(G, 0.62, 0.31, 0.07, (G, M)))
    claims = parse(text, facts, EN).claims
    assert claims == (TypeClaim(G, 1), ProbabilityClaim(G, WrittenNumber(62.0, 0, "%")))


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("region", REGION_WORDS)
def test_the_place_of_a_tumour_is_read_back_whatever_it_is_called(region, language):
    part = region if region.endswith("of the head") else None
    named = None if part else f"right {region}"
    place = TumourPlace((38.0, 1.0, 4.0), 42.3, Side.RIGHT, named, 0.0, "", part)
    facts = facts_of(place=place)
    told = [sentence.text for sentence in compose(facts, language)][:1]
    found = verify(told, facts, language)
    assert found.removed == 0
    assert found.sentences[0].text == told[0]
    assert not [p for p in found.problems if told[0] in p.text]
