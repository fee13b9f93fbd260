"""A provider that lies in every way we could think of; nothing of it may reach the reader."""

import pytest
from brain_tumor.explanation.facts.model import (
    Counterfactual,
    CounterfactualSearch,
    Facts,
    HeatFacts,
    Language,
    UndeterminedReason,
)
from brain_tumor.explanation.rationale.composer.composer import compose
from brain_tumor.explanation.rationale.rationale import explain_in_words
from brain_tumor.explanation.rationale.verifier.verifier import parse, verify
from brain_tumor.labels import TumorType

from tests.helpers.fact_sheets import (
    decided,
    diverse_facts,
    facts_of,
    random_facts,
    some_symptoms,
    undetermined,
)
from tests.helpers.lying import lies

G, M, P = TumorType

# The facts: glioma 93 %, left temporal lobe, 42 mm; ring index 1.31 (for glioma, typical of
# gliomas, above nearly all meningiomas), necrosis 34 % (for), dural contact 68 % (against),
# 82 % of the heat inside with its peak; wins for meningioma at ring index 0.97; 4 of 5 glioma.
ENGLISH_LIES = {
    "wrong number": "The ring-enhancement index is 1.91.",
    "digits swapped": "The ring-enhancement index is 1.13.",
    "number too coarse": "The ring-enhancement index is 1.",
    "number with a wrong sign": "The ring-enhancement index is -1.31.",
    "number at another feature": "The solidity of the outline is 1.31.",
    "wrong unit": "The ring-enhancement index is 1.31 mm.",
    "unit ten times too large": "The tumour measures 42 cm across.",
    "share as a plain number": "The necrotic share is 34.",
    "decimal comma trick": "The necrotic share is 3.4 %.",
    "wrong side": "The tumour lies in the right temporal lobe.",
    "wrong lobe": "The tumour lies in the left frontal lobe.",
    "side alone wrong": "The tumour lies on the right side.",
    "midline": "The tumour lies at the midline.",
    "both sides": "The tumour lies in the left temporal lobe and in the right temporal lobe.",
    "wrong class": "Image and measurements point clearly to a meningioma.",
    "second class as first": "The most likely type is a meningioma (5 %).",
    "class without doubt": "The tumour is a glioma.",
    "certainty": "The tumour is definitely a glioma.",
    "proof": "The ring-enhancement index proves a glioma.",
    "wrong probability": "The probability of glioma is 99 %.",
    "probability of another type": "Meningioma has a probability of 93 %.",
    "type outside the scheme": "Image and measurements point to a metastasis.",
    "over-specific type": "Image and measurements point clearly to a glioblastoma.",
    "grade": "Image and measurements point clearly to a high-grade glioma.",
    "direction turned": "The ring-enhancement index is lower than in 90 % of the meningiomas.",
    "rank overstated": (
        "The share of the outline at the dura is higher than in 99 % of the gliomas."
    ),
    "rank understated": "The ring-enhancement index is higher than in 60 % of the meningiomas.",
    "rank of another class": "The ring-enhancement index is higher than in 95 % of the gliomas.",
    "typical of the wrong class": "The ring-enhancement index is typical of the meningiomas.",
    "support turned": "The ring-enhancement index speaks against a glioma.",
    "counter-evidence turned": "The share of the outline at the dura speaks for a glioma.",
    "support of the wrong class": "The necrotic share of 34 % speaks for a meningioma.",
    "support by what is missing": "The midline shift speaks for a glioma.",
    "missing value invented": "The midline shift is 6 mm.",
    "measured value denied": "The ring-enhancement index could not be measured.",
    "wrong reason for missing": "The midline shift could not be measured (no FLAIR).",
    "no such finding": "The tumour shows calcification.",
    "invented dural tail": "A dural tail is visible.",
    "invented oedema": "There is marked oedema around the tumour.",
    "negated finding": "The necrotic share does not speak for a glioma.",
    "history": "The patient has a history of breast cancer.",
    "age": "The patient is a 63-year-old man.",
    "symptoms": "The tumour explains the headache and seizures.",
    "treatment": "Surgical resection is recommended.",
    "treatment behind a true clause": (
        "The ring-enhancement index is 1.31, so resection is recommended."
    ),
    "prognosis": "Median survival is 15 months.",
    "prognosis behind a true clause": "The necrotic share is 34 % and predicts poor survival.",
    "genetics": "The tumour is probably an IDH-wildtype glioma.",
    "cause": "The necrotic share is 34 % because of rapid growth.",
    "follow-up": "Follow-up in three months is advised.",
    "earlier scan": "The tumour has grown since the last scan.",
    "heat share wrong": (
        "In the heatmap of glioma, 28 % of the heat and its peak lie inside the tumour."
    ),
    "heat of another class": "82 % of the heat of meningioma lies inside the tumour.",
    "heat peak outside": "The heatmap peak lies outside the tumour.",
    "heat disagrees": "Heatmap and measurements disagree on the place.",
    "heat low": "The heatmap is low at the place of the ring-enhancement index.",
    "heat failed": "The heatmap failed its faithfulness test.",
    "coverage wrong": "At 99 % coverage, only a glioma remains possible.",
    "set too large": "At 90 % coverage, a glioma and a meningioma both remain possible.",
    "set empty": "At 90 % coverage, no type remains possible.",
    "unlike training": "The image is unlike the training images.",
    "undetermined": "The type of the tumour remains undetermined.",
    "no tumour": "No tumour was found, so no type is given.",
    "counterfactual number": (
        "If the ring-enhancement index were 1.20 instead of 1.31, a meningioma would be the most "
        "probable type."
    ),
    "counterfactual class": (
        "If the ring-enhancement index were 0.97 instead of 1.31, a pituitary tumour would be the "
        "most probable type."
    ),
    "counterfactual feature": (
        "If the necrotic share were 20 % instead of 34 %, a meningioma would be the most probable "
        "type."
    ),
    "counterfactual denied": (
        "No single measurement, changed within the range of the training patients, would make a "
        "meningioma the most probable type."
    ),
    "similar count": "Of the 5 most similar training patients, 5 had a glioma.",
    "similar total": "All 4 most similar training patients had a glioma.",
    "volume wrong": "The volume of the enhancing tumour is 31 mL.",
    "volumes swapped": "The volume of the tumour core is 61 mL.",
    "thin evidence": "Only 12 of 63 measurements could be made, so the evidence is thin.",
    "view": (
        "Part of the decision rests on the view of the slice (the mirror symmetry of the slice), "
        "not on the tumour."
    ),
    "two truths and a lie": (
        "The ring-enhancement index is 1.31, typical of the training gliomas; it speaks for a "
        "meningioma."
    ),
    "question": "Is this a glioma?",
    "nothing but a name": "The ring-enhancement index.",
    "letters of another alphabet": (
        "The ring-enhancement index is 1.31, \u0456t speaks for a glioma."
    ),
    "hidden characters": "The tumour lies in the right\u200b temporal lobe.",
    "token smuggling": "<F:solidity> is <N:0>.",
    "prompt echo": "As an AI language model, I cannot interpret this scan.",
    "another language": "Der Tumor ist ein Gliom.",
    "list marker and lie": "1.91 is the ring-enhancement index.",
    "vague intensifier": "The ring-enhancement index is extremely high.",
    "number words": "The ring-enhancement index is two.",
    "possible and impossible": "A pituitary tumour is the next possibility (5 %).",
    "doctor": "Consult a neurosurgeon immediately.",
    "claim borrowed from a missing finding": (
        "The midline shift and the ring-enhancement index supports a glioma."
    ),
    "claim borrowed from a finding against": (
        "The share of the outline at the dura and the necrotic share speaks for a glioma."
    ),
    "finding tagged on": "The ring-enhancement index is 1.31, with the midline shift.",
    "finding before a number": "The midline shift and the ring-enhancement index is 1.31.",
    "finding before another fact": "The midline shift, the heatmap passed its faithfulness test.",
    "finding before a heat": (
        "The midline shift, and the heatmap is high at the place of the ring-enhancement index."
    ),
    "finding before a type": "The midline shift, so the most probable type is a glioma.",
    "finding after a type": "The most probable type is a glioma, with the midline shift.",
    "finding before a waiting type": "The midline shift, speaking for a glioma.",
    "finding before a share": "The midline shift, and 82 % of the heat lies inside the tumour.",
    "missing finding among measured ones": (
        "The ring-enhancement index, the midline shift could not be measured."
    ),
    "finding named twice with one claim": (
        "Speaking for a glioma, the midline shift and the necrotic share is 34 %."
    ),
}

KOREAN_LIES = {
    "wrong number": "고리 조영증강 지수는 1.91입니다.",
    "wrong unit": "고리 조영증강 지수는 1.31 mm입니다.",
    "wrong side": "종양은 오른쪽 측두엽에 있습니다.",
    "wrong lobe": "종양은 왼쪽 전두엽에 있습니다.",
    "wrong class": "영상과 측정값은 수막종을 뚜렷하게 가리킵니다(확률 93 %).",
    "wrong probability": "영상과 측정값은 교종을 뚜렷하게 가리킵니다(확률 99 %).",
    "certainty": "종양은 확실히 교종입니다.",
    "direction turned": "고리 조영증강 지수는 1.31로, 학습 수막종 거의 전부보다 낮습니다.",
    "support turned": "고리 조영증강 지수는 1.31로, 교종에 반합니다.",
    "support of the wrong class": "괴사 비율은 34 %로, 수막종을 뒷받침합니다.",
    "missing value": "정중선 이동은 6 mm입니다.",
    "measured value denied": "괴사 비율은 측정할 수 없었습니다.",
    "heat share": "교종 열지도에서 열의 28 %가 종양 안에 있고 정점도 종양 안에 있습니다.",
    "heat peak": "정점은 종양 밖에 있습니다.",
    "heat failed": "열지도는 충실도 검사를 통과하지 못했습니다.",
    "set": "포함률 90 %에서 교종과 수막종이 모두 가능합니다.",
    "similar": "가장 비슷한 학습 환자 5명은 모두 교종이었습니다.",
    "counterfactual": (
        "고리 조영증강 지수가 1.31 대신 1.20이었다면 수막종의 확률이 가장 높았을 것입니다."
    ),
    "treatment": "수술을 권고합니다.",
    "prognosis": "생존 기간은 15개월입니다.",
    "history": "환자는 유방암 병력이 있습니다.",
    "age": "환자는 63세 남성입니다.",
    "symptom": "두통과 발작이 있습니다.",
    "true clause with a tail": "괴사 비율은 34 %로, 교종을 뒷받침하며 수술이 필요합니다.",
    "undetermined": "종양의 유형은 판정하지 않았습니다.",
    "negation": "괴사 비율은 34 %로, 교종을 뒷받침하지 않습니다.",
    "borrowed claim": "정중선 이동, 고리 조영증강 지수는 교종을 뒷받침합니다.",
    "finding before a number": "정중선 이동, 괴사 비율은 34 %입니다.",
    "finding tagged on": "괴사 비율은 34 %로, 정중선 이동.",
    "finding before another fact": "정중선 이동, 열의 82 %가 종양 안에 있습니다.",
}


# The symptoms: dead area 0.97 and faint edge 0.88 of a glioma, both measured; smooth outline 0.81
# of a meningioma, denied by its measurement; midline 0.12 of a pituitary tumour, although
# measured; air around it neither; solid centre 0.66 of a meningioma, not measurable.
SYMPTOM_LIES = {
    "not seen": "The second reader sees black air, bone or fluid around it.",
    "not seen, with its score": "The second reader sees right on the midline (score 0.12).",
    "wrong score": "The second reader sees large dark dead area inside (score 0.57).",
    "score as a share": "The second reader sees large dark dead area inside (score 97 %).",
    "score alone wrong": "Smooth round outline has a score of 0.97.",
    "unknown symptom": "The second reader sees a bright ring around a darker centre.",
    "symptom in other words": "The second reader sees a large dead area.",
    "symptom of the shipped reader, not of this case": (
        "The second reader sees mixed bright and black surroundings (score 0.97)."
    ),
    "borrowed class": (
        "The second reader sees smooth round outline (a symptom of a glioma, score 0.81)."
    ),
    "class outside the scheme": (
        "The second reader sees smooth round outline (a symptom of a metastasis, score 0.81)."
    ),
    "agreement invented": (
        "The second reader sees this visual symptom, and the measurement agrees: smooth round "
        "outline (score 0.81)."
    ),
    "agreement without a measurement": (
        "The second reader sees this visual symptom, and the measurement agrees: solid bright "
        "centre without a ring (score 0.66)."
    ),
    "agreement lent to a second symptom": (
        "The second reader sees these visual symptoms, and the measurements agree: large dark dead "
        "area inside (score 0.97) and smooth round outline (score 0.81)."
    ),
    "conflict invented": (
        "The second reader and the measurements contradict each other: large dark dead area inside "
        "is seen (score 0.97), but the measurement denies it."
    ),
    "support by a symptom": "Large dark dead area inside speaks for a glioma.",
    "support tagged on": (
        "The second reader sees large dark dead area inside (score 0.97), which speaks for a "
        "glioma."
    ),
    "type of the second reader": "The second reader sees a meningioma.",
    "certainty": "The second reader clearly sees large dark dead area inside.",
    "negation": "The second reader sees no large dark dead area inside.",
    "advice": "The second reader sees large dark dead area inside, so a biopsy is advised.",
    "nothing but a symptom": "Large dark dead area inside.",
    "token smuggling": "The second reader sees <Y:0>.",
}
KOREAN_SYMPTOM_LIES = {
    "not seen": (
        "두 번째 판독기가 본 다음 영상 소견은 측정값과 일치합니다: 정중선 바로 위 (점수 0.12)."
    ),
    "wrong score": (
        "두 번째 판독기가 본 다음 영상 소견은 측정값과 일치합니다: "
        "안쪽의 크고 어두운 괴사 부위 (점수 0.57)."
    ),
    "borrowed class": (
        "두 번째 판독기가 본 다음 영상 소견은 측정값과 일치합니다: "
        "안쪽의 크고 어두운 괴사 부위 (수막종의 소견, 점수 0.97)."
    ),
    "agreement invented": (
        "두 번째 판독기가 본 다음 영상 소견은 측정값과 일치합니다: 매끄럽고 둥근 윤곽 (점수 0.81)."
    ),
    "conflict invented": (
        "두 번째 판독기와 측정값이 서로 어긋납니다: "
        "안쪽의 크고 어두운 괴사 부위 (보이지만 측정값은 그렇지 않음, 점수 0.97)."
    ),
    "unknown symptom": "두 번째 판독기가 본 다음 영상 소견은 측정값과 일치합니다: 밝은 고리.",
}


class LyingProvider:
    """Says what it is given, between true sentences."""

    name = "liar"

    def __init__(self, *lies: str) -> None:
        self._lies = lies

    def phrase(self, facts: Facts, language: Language) -> list[str]:
        true = [sentence.text for sentence in compose(facts, language)]
        return [true[0], *self._lies, *true[1:]]


@pytest.mark.parametrize("name", ENGLISH_LIES)
def test_a_lie_in_english_does_not_survive(name):
    lie = ENGLISH_LIES[name]
    facts = facts_of()
    rationale = explain_in_words(facts, "en", LyingProvider(lie))
    assert lie not in [sentence.text for sentence in rationale.sentences]
    assert rationale.text.removed + rationale.text.rewritten == 1
    assert rationale.text.problems[0].text == lie
    true = {sentence.text for sentence in compose(facts, Language.ENGLISH)}
    assert {sentence.text for sentence in rationale.sentences} == true


@pytest.mark.parametrize("name", KOREAN_LIES)
def test_a_lie_in_korean_does_not_survive(name):
    lie = KOREAN_LIES[name]
    facts = facts_of()
    rationale = explain_in_words(facts, "ko", LyingProvider(lie))
    assert rationale.text.removed + rationale.text.rewritten == 1
    true = {sentence.text for sentence in compose(facts, Language.KOREAN)}
    assert {sentence.text for sentence in rationale.sentences} == true


@pytest.mark.parametrize(
    ("language", "lie"),
    [
        *(pytest.param(Language.ENGLISH, lie, id=name) for name, lie in SYMPTOM_LIES.items()),
        *(pytest.param(Language.KOREAN, lie, id=name) for name, lie in KOREAN_SYMPTOM_LIES.items()),
    ],
)
def test_a_lie_about_a_symptom_does_not_survive(language, lie):
    facts = facts_of(symptoms=some_symptoms())
    rationale = explain_in_words(facts, language, LyingProvider(lie))
    assert rationale.text.removed + rationale.text.rewritten == 1
    assert rationale.text.problems[0].text == lie
    true = {sentence.text for sentence in compose(facts, language)}
    assert {sentence.text for sentence in rationale.sentences} == true


@pytest.mark.parametrize(
    "text",
    [
        "The second reader sees large dark dead area inside.",
        "The second reader sees smooth round outline (a symptom of a meningioma, score 0.81).",
        "The second reader sees smooth round outline and solid bright centre without a ring.",
        "Right on the midline has a score of 0.12.",
        "Right on the midline is measured, but not seen.",
        "The second reader and the measurements contradict each other.",
    ],
)
def test_what_is_true_of_a_symptom_may_be_said(text):
    facts = facts_of(symptoms=some_symptoms())
    assert verify([text], facts, Language.ENGLISH).problems == ()


def test_without_symptoms_nothing_is_said_about_symptoms():
    for text in ("The second reader sees smooth round outline.", *SYMPTOM_LIES.values()):
        assert verify([text], facts_of(), Language.ENGLISH).problems[0].text == text


def test_all_lies_at_once_leave_only_true_sentences():
    facts = facts_of()
    lies = list(ENGLISH_LIES.values())
    rationale = explain_in_words(facts, "en", LyingProvider(*lies[:20]))
    true = {sentence.text for sentence in compose(facts, Language.ENGLISH)}
    assert {sentence.text for sentence in rationale.sentences} == true
    assert rationale.text.removed + rationale.text.rewritten == 20


def test_a_flood_of_sentences_is_cut():
    verified = verify(["The necrotic share is 34 %."] * 60, facts_of(), Language.ENGLISH)
    assert verified.removed == 20  # beyond the forty that are looked at


@pytest.mark.parametrize(
    ("facts", "lie"),
    [
        (facts_of(decision=decided(G, 0.62, 0.31, 0.07, (G, M))), "point clearly to a glioma"),
        (facts_of(decision=decided(G, 0.62, 0.31, 0.07, (G, M))), "point to a glioma"),
        (facts_of(decision=decided(G, 0.45, 0.35, 0.2, (G, M, P))), "suggest a glioma"),
    ],
)
def test_more_certainty_than_the_probability_bears_is_refused(facts, lie):
    verified = verify([f"Image and measurements {lie}."], facts, Language.ENGLISH)
    assert "does not bear this certainty" in verified.problems[0].reason


@pytest.mark.parametrize(
    ("probability", "text", "holds"),
    [
        (0.9941, "The probability of glioma is 100 %.", False),
        (0.9999, "The probability of glioma is 100 %.", False),
        (0.9941, "The probability of glioma is 99 %.", True),
        (0.9941, "Glioma has a probability of more than 99 %.", True),
        (0.9899, "Glioma has a probability of more than 99 %.", False),
        (0.9941, "Glioma has a probability of more than 50 %.", False),
        (0.93, "Glioma has a probability of more than 93 %.", False),
    ],
)
def test_a_probability_is_never_told_as_certain(probability, text, holds):
    rest = (1.0 - probability) / 2
    facts = facts_of(decision=decided(G, probability, rest, rest, (G,)))
    assert bool(verify([text], facts, Language.ENGLISH).problems) is not holds


@pytest.mark.parametrize(
    "lie",
    [
        "Image and measurements favour a glioma only slightly.",
        "The most probable type is a glioma.",
        "The ring-enhancement index speaks for a glioma.",
        "The tumour is probably a glioma.",
        "The type of the tumour remains undetermined: no tumour was found.",
    ],
)
def test_an_undetermined_type_is_not_named_and_its_reason_not_changed(lie):
    facts = facts_of(decision=undetermined(UndeterminedReason.LOW_PROBABILITY))
    assert verify([lie], facts, Language.ENGLISH).problems[0].text == lie


def test_agreement_with_an_unfaithful_heatmap_is_refused():
    facts = facts_of(heat=HeatFacts(G, 0.82, True, False))
    text = "Heatmap and measurements agree on the place."
    assert "faithfulness" in verify([text], facts, Language.ENGLISH).problems[0].reason
    assert not verify([text], facts_of(), Language.ENGLISH).problems


@pytest.mark.parametrize(
    ("told", "tumor"),
    [
        (Counterfactual("ring_enhancement_index", 1.31, 0.97, G), "glioma"),
        (Counterfactual("ring_enhancement_index", 1.308, 1.312, M), "meningioma"),
    ],
)
def test_a_counterfactual_that_changes_nothing_is_refused(told, tumor):
    facts = facts_of(counterfactual=CounterfactualSearch(told.tumor, told))
    lie = (
        f"If the ring-enhancement index were {told.to_value:.2f} instead of 1.31, a {tumor} would "
        "be the most probable type."
    )
    assert "already" in verify([lie], facts, Language.ENGLISH).problems[0].reason


def test_it_is_not_said_that_nothing_makes_the_predicted_type_win():
    facts = facts_of(counterfactual=CounterfactualSearch(G, None))
    lie = (
        "No single measurement, changed within the range of the training patients, would make a "
        "glioma the most probable type."
    )
    assert "already" in verify([lie], facts, Language.ENGLISH).problems[0].reason


@pytest.mark.parametrize(
    "lie",
    [
        "The heatmap peak lies inside the tumour.",
        "44 % of the heat lies inside the tumour, and so does its peak.",
        "The heatmap peak lies within 3 mm of the tumour.",
        "Heatmap and measurements disagree on the place.",
    ],
)
def test_a_peak_at_the_rim_is_not_said_to_lie_inside(lie):
    facts = facts_of(heat=HeatFacts(G, 0.44, False, True, near_share=0.71, peak_near=True))
    assert verify([lie], facts, Language.ENGLISH).problems[0].text == lie
    true = "The heatmap peak lies within 5 mm of the tumour."
    assert not verify([true], facts, Language.ENGLISH).problems


def test_without_heat_nothing_is_said_about_heat():
    facts = facts_of(heat=None, heat_near=None, counterfactual=CounterfactualSearch(M, None))
    for lie in ("heat share wrong", "heat low", "heat failed", "heat peak outside"):
        assert verify([ENGLISH_LIES[lie]], facts, Language.ENGLISH).problems


def test_what_is_true_of_another_case_only_is_refused():
    sheets = diverse_facts()
    told = [s.text for s in compose(sheets["likely meningioma"], Language.ENGLISH)]
    verified = verify(told, sheets["clear glioma"], Language.ENGLISH)
    own = {s.text for s in compose(sheets["clear glioma"], Language.ENGLISH)}
    refused = {problem.text for problem in verified.problems}
    # True of both, though only one says it: necrosis is against a meningioma.
    assert set(told) - refused - own == {
        "The necrotic share (34 %), however, speaks against a meningioma and for a glioma: it is "
        "higher than in 85 % of the training meningiomas and typical of the training gliomas.",
    }
    # Said of both: volumes, no FLAIR and no mirror plane.
    assert len(refused) == len(told) - 4


@pytest.mark.parametrize("seed", range(12))
def test_no_mutation_of_a_true_sentence_survives(seed):
    facts = random_facts(seed)
    survived = []
    for name, text in lies(facts):
        parsed = parse(text, facts, Language.ENGLISH)
        if not parsed.problem and not any(claim.problem(facts) for claim in parsed.claims):
            survived.append((name, text))
    assert survived == []
