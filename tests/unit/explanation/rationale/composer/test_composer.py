import pytest
from brain_tumor.classification.features.feature_table import FEATURE_IDS, FEATURES
from brain_tumor.explanation.facts.model import HeatFacts, Language, SymptomFact, UndeterminedReason
from brain_tumor.explanation.facts.numbers import WrittenNumber, number_text, written
from brain_tumor.explanation.facts.vocabulary import FEATURE_WORDS, REASON_WORDS
from brain_tumor.explanation.rationale import claims as c
from brain_tumor.explanation.rationale.composer.composer import compose, variants
from brain_tumor.explanation.rationale.composer.english import ENGLISH
from brain_tumor.explanation.rationale.composer.korean import KOREAN, with_particle
from brain_tumor.explanation.rationale.findings import rival_of
from brain_tumor.explanation.rationale.plan import plan_statements
from brain_tumor.explanation.rationale.statements import Form, Kind, Statement
from brain_tumor.labels import TumorType

from tests.helpers.fact_sheets import (
    decided,
    diverse_facts,
    facts_of,
    random_facts,
    some_symptoms,
    undetermined,
)

G, M, P = TumorType


def texts_of(facts, language=Language.ENGLISH):
    return [sentence.text for sentence in compose(facts, language)]


def text_of(facts, form, language=Language.ENGLISH):
    return [s.text for s in compose(facts, language) if s.statement.form is form]


def test_a_clear_glioma_reads_like_this():
    assert texts_of(facts_of())[:5] == [
        "The tumour lies in the left temporal lobe and measures 42 mm across (core 31 mL, with "
        "oedema 61 mL).",
        "Among the three types, image and measurements point clearly to a glioma (probability "
        "93 %); the necrotic share (34 %), higher than in 85 % of the training meningiomas and "
        "typical of the training gliomas, speaks for it.",
        "An enhancing tumour with a dark core is also seen in metastasis, abscess and "
        "demyelination, which are not among the three types.",
        "The ring-enhancement index is 1.31, higher than in nearly all training meningiomas and "
        "typical of the training gliomas; it speaks for a glioma.",
        "The solidity of the outline (0.50) speaks for a glioma: it is lower than in nearly all "
        "training meningiomas and typical of the training gliomas.",
    ]


def test_three_sentences_at_most_are_read_first():
    for facts in [*diverse_facts().values(), *(random_facts(seed) for seed in range(20))]:
        said = compose(facts)
        first = [s.statement.form for s in said if s.statement.is_summary]
        assert 1 <= len(first) <= 3
        assert [s.statement.form for s in said[: len(first)]] == first
        assert {Form.TYPE, Form.UNDETERMINED} & set(first)


def test_a_clear_glioma_reads_like_this_in_korean():
    assert texts_of(facts_of(), Language.KOREAN)[:3] == [
        "종양은 왼쪽 측두엽에 있으며 최대 크기는 42 mm입니다(핵심부 31 mL, 부종 포함 61 mL).",
        "세 유형 가운데 영상과 측정값은 교종을 뚜렷하게 가리킵니다(확률 93 %); 괴사 비율은 34 %로, "
        "학습 수막종의 85 %보다 높고 학습 교종에서는 전형적이며 이를 뒷받침합니다.",
        "중심이 어두운 조영증강 종양은 전이, 농양, 탈수초 병변에서도 보이며 이는 세 유형에 "
        "없습니다.",
    ]


@pytest.mark.parametrize("language", Language)
def test_every_sentence_names_its_evidence(language):
    sheets = [*diverse_facts().values(), *(random_facts(seed) for seed in range(20))]
    for facts in sheets:
        ids = {item.id for item in facts.evidence}
        for sentence in compose(facts, language):
            assert sentence.evidence, sentence.text
            assert set(sentence.evidence) <= ids


@pytest.mark.parametrize(
    ("probability", "words"),
    [
        (0.93, "point clearly to a glioma (probability 93 %)"),
        (0.81, "point to a glioma (probability 81 %)"),
        (0.62, "suggest a glioma, without certainty (probability 62 %)"),
        (0.45, "favour a glioma only slightly (probability 45 %)"),
    ],
)
def test_hedging_grows_as_the_probability_falls(probability, words):
    rest = (1.0 - probability) / 2
    facts = facts_of(decision=decided(G, probability, rest, rest, (G,)))
    (text,) = text_of(facts, Form.TYPE)
    assert text.startswith(f"Among the three types, image and measurements {words}; ")


def test_beyond_99_per_cent_no_number_is_told():
    facts = facts_of(decision=decided(G, 0.9941, 0.004, 0.0019, (G,)))
    assert "(probability more than 99 %)" in text_of(facts, Form.TYPE)[0]
    assert "(확률 99 % 초과)" in text_of(facts, Form.TYPE, Language.KOREAN)[0]
    facts = facts_of(decision=decided(G, 0.99, 0.006, 0.004, (G,)))
    assert "(probability 99 %)" in text_of(facts, Form.TYPE)[0]


def test_the_second_type_is_named_unless_the_first_is_clear():
    doubtful = facts_of(decision=decided(G, 0.62, 0.31, 0.07, (G, M)))
    assert text_of(doubtful, Form.LOOKALIKE) == [
        "The next possibility is a meningioma (31 %); an enhancing tumour with a dark core is also "
        "seen in metastasis, abscess and demyelination, which are not among the three types."
    ]
    assert not any("next possibility" in text for text in texts_of(facts_of()))


def test_what_speaks_against_the_type_is_said_to_speak_against_it():
    assert text_of(facts_of(), Form.FINDING_AGAINST) == [
        "The share of the outline at the dura (68 %), however, speaks against a glioma and for a "
        "meningioma: it is higher than in 95 % of the training gliomas and typical of the training "
        "meningiomas."
    ]


def test_what_the_training_patients_do_not_bear_out_only_counts_in_this_decision():
    number = written(0.5, "1")
    claims = (
        c.ValueClaim("solidity", number),
        c.SupportClaim("solidity", G, favours=False),
        c.SupportClaim("solidity", M, favours=True),
    )
    statement = Statement(Form.FINDING_AGAINST, Kind.FINDING, claims)
    assert variants(statement, Language.ENGLISH)[0] == (
        "The solidity of the outline (0.50), however, counts against a glioma and for a "
        "meningioma in this decision."
    )


def test_a_negligible_second_type_is_not_what_findings_are_held_against():
    # Necrosis is higher than in 85 % of the meningiomas; of pituitary tumours nothing is known.
    facts = facts_of(decision=decided(G, 0.97, 0.01, 0.02, (G,)))
    assert facts.decision.runner_up is P
    assert rival_of(facts) is M
    assert "higher than in 85 % of the training meningiomas" in text_of(facts, Form.TYPE)[0]
    assert rival_of(facts_of(decision=decided(G, 0.9, 0.04, 0.06, (G,)))) is P
    assert rival_of(facts_of(decision=decided(P, 0.02, 0.0, 0.98, (P,)))) is M


def test_several_tumours_are_plural():
    (text,) = text_of(facts_of(pieces=2), Form.LOOKALIKE)[:1]
    assert text.startswith("Several separate tumours are also seen in metastasis, lymphoma and ")


@pytest.mark.parametrize("reason", UndeterminedReason)
def test_an_undetermined_case_gets_its_reason_and_no_type(reason):
    facts = facts_of(decision=undetermined(reason))
    forms = {sentence.statement.form for sentence in compose(facts)}
    assert not forms & {Form.TYPE, Form.FINDING, Form.FINDING_AGAINST}
    (text,) = text_of(facts, Form.UNDETERMINED)
    assert REASON_WORDS[reason][0].lower() in text.lower()
    (korean,) = text_of(facts, Form.UNDETERMINED, Language.KOREAN)
    assert REASON_WORDS[reason][1] in korean or "종양이 발견되지 않았으므로" in korean


@pytest.mark.parametrize(
    ("sentence", "words"),
    [
        ("At 90% coverage glioma and meningioma cannot be told apart.", "more than one type fits"),
        (
            "There are 4 separate tumours; metastases cannot be excluded.",
            "several separate tumours",
        ),
        ("No type is likely enough; the most probable one has 48%.", "no type is probable enough"),
        (
            "The outline does not lie where the network sees tumour (agreement 0.32, least 0.80).",
            "the outline does not lie where the network sees tumour",
        ),
        ("The case has no contrast-enhanced T1 volume.", "no contrast-enhanced T1 volume"),
        ("The tumour is too small to be read: no slice shows 9 pixels of it.", "too small to be"),
    ],
)
def test_sentences_of_the_classifier_are_understood_as_reasons(sentence, words):
    facts = facts_of(decision=undetermined(sentence))
    assert words in text_of(facts, Form.UNDETERMINED)[0]
    (korean,) = text_of(facts, Form.UNDETERMINED, Language.KOREAN)
    assert not any("a" <= letter <= "z" for letter in korean)


def test_a_reason_in_free_words_is_given_word_for_word():
    facts = facts_of(decision=undetermined("The slices show only the tip of the tumour"))
    assert text_of(facts, Form.UNDETERMINED) == [
        "The type of the tumour remains undetermined: the slices show only the tip of the tumour."
    ]


@pytest.mark.parametrize(
    ("heat", "form", "words"),
    [
        (HeatFacts(G, 0.31, False), Form.HEAT_CONFLICT, "only 31 % of the heat"),
        (HeatFacts(G, 0.64, False), Form.HEAT_CONFLICT, "but its peak lies outside"),
        (HeatFacts(G, 0.31, True), Form.HEAT_CONFLICT, "although its peak lies inside"),
        (
            HeatFacts(G, 0.44, False, near_share=0.71, peak_near=False),
            Form.HEAT_CONFLICT,
            "its peak lies outside",
        ),
        (HeatFacts(G, 0.82, True, False), Form.UNFAITHFUL, "failed its faithfulness test"),
    ],
)
def test_every_conflict_of_the_heat_is_reported(heat, form, words):
    for language in Language:
        found = [s for s in compose(facts_of(heat=heat), language) if s.statement.form is form]
        assert [s.statement.kind for s in found] == [Kind.CONFLICT]
        assert language is Language.KOREAN or words in found[0].text


def test_a_peak_at_the_rim_agrees_and_is_said_to_be_near():
    facts = facts_of(heat=HeatFacts(G, 0.44, False, True, near_share=0.71, peak_near=True))
    assert text_of(facts, Form.HEAT_AGREES) == [
        "44 % of the heat for a glioma lies inside the tumour, and its peak lies within 5 mm of "
        "the tumour."
    ]
    assert text_of(facts, Form.HEAT_CONFLICT) == []


def test_heat_that_is_low_at_the_leading_measurement_is_a_conflict():
    assert text_of(facts_of(heat_near=lambda _: 0.05), Form.HEAT_NEAR_CONFLICT) == [
        "The ring-enhancement index speaks for a glioma, although the heatmap is low (5 % of its "
        "maximum) at its place."
    ]
    assert text_of(facts_of(heat_near=lambda _: 0.2), Form.HEAT_NEAR_CONFLICT) == []


def test_a_value_at_home_with_another_type_is_a_conflict():
    (text,) = text_of(diverse_facts()["odd shape"], Form.ATYPICAL)
    assert text == (
        "The solidity of the outline (0.80) speaks for a glioma in this decision, although it is "
        "higher than in nearly all training gliomas and typical of the training meningiomas."
    )


def test_a_decision_that_rests_on_the_view_says_so():
    (text,) = text_of(diverse_facts()["odd shape"], Form.VIEW)
    assert "the mirror symmetry of the slice), not on the tumour" in text


def test_what_was_not_measurable_is_said_with_its_reason():
    assert text_of(facts_of(), Form.NOT_MEASURED) == [
        "The reach of the oedema on FLAIR could not be measured (no FLAIR).",
        "The midline shift could not be measured (no mirror plane in this slice).",
    ]
    assert text_of(diverse_facts()["thin evidence"], Form.THIN) == [
        "Only 19 of 63 measurements could be made, so the evidence is thin."
    ]


def test_all_wordings_of_a_statement_are_different():
    for facts in diverse_facts().values():
        for statement in plan_statements(facts):
            for language in Language:
                wordings = variants(statement, language)
                assert len(set(wordings)) == len(wordings)
                assert all(text.endswith(".") and text[0] != " " for text in wordings)
                assert not any("  " in text or " ," in text for text in wordings)


def test_findings_that_say_the_same_are_said_once():
    contributions = {n: {G: 0.5, M: -0.4, P: -0.1} for n in ("lateral_offset", "lateral_offset_mm")}
    facts = facts_of(contributions=contributions)
    told = [*text_of(facts, Form.FINDING), *text_of(facts, Form.TYPE)]
    assert sum("offset from the midline" in text for text in told) == 1


def test_every_feature_has_words_of_its_own_in_both_languages():
    assert set(FEATURE_IDS) <= set(FEATURE_WORDS)
    for column in (0, 1):
        words = [words[column] for words in FEATURE_WORDS.values()]
        assert len(set(words)) == len(words)
    names = {feature.name: feature.id for feature in FEATURES}
    for identifier, (english, _) in FEATURE_WORDS.items():
        assert names.get(english, identifier) == identifier


@pytest.mark.parametrize(
    ("value", "unit", "percent", "text"),
    [
        (1.3149, "1", False, "1.31"),
        (0.0449, "1", False, "0.045"),
        (0.345, "1", True, "34 %"),
        (0.004, "1", True, "0.4 %"),
        (0.0, "mL", False, "0 mL"),
        (42.34, "mm", False, "42 mm"),
        (4.234, "mm", False, "4.2 mm"),
        (-4.234, "mm", False, "\N{MINUS SIGN}4.2 mm"),
        (812.4, "mm2", False, "812 mm\N{SUPERSCRIPT TWO}"),
        (0.04, "mL", False, "0.04 mL"),
        (123.4, "1", False, "123"),
    ],
)
def test_numbers_are_written_with_sense(value, unit, percent, text):
    number = written(value, unit, percent=percent)
    assert number_text(number).replace("0.040", "0.04") == text
    assert number.states(value, unit)


def test_a_number_states_a_fact_only_within_its_digits_and_unit():
    assert WrittenNumber(1.31, 2).states(1.314, "1")
    assert not WrittenNumber(1.31, 2).states(1.316, "1")
    assert not WrittenNumber(1.0, 0).states(1.31, "1")  # true to the digit, yet 24 % away
    assert WrittenNumber(4.2, 1, "cm").states(42.3, "mm")
    assert not WrittenNumber(42, 0, "cm").states(42.3, "mm")
    assert WrittenNumber(34, 0, "%").states(0.342, "1")
    assert not WrittenNumber(34, 0).states(0.342, "1")


def test_korean_particles_follow_the_last_sound():
    assert with_particle("측두엽", "은", "는") == "측두엽은"
    assert with_particle("지수", "은", "는") == "지수는"
    assert with_particle("0.80", "으로", "로") == "0.80으로"  # yeong
    assert with_particle("1.31", "으로", "로") == "1.31로"  # il: ends in l
    assert with_particle("34 %", "으로", "로") == "34 %로"
    assert with_particle("0.97", "이었다면", "였다면") == "0.97이었다면"


def test_every_form_has_words_in_both_languages():
    assert ENGLISH.forms == KOREAN.forms == frozenset(Form)


def test_of_a_tumour_too_small_to_be_read_nothing_is_said_of_its_types_or_measurements():
    facts = facts_of(decision=undetermined(UndeterminedReason.TOO_SMALL))
    forms = {sentence.statement.form for sentence in compose(facts)}
    assert not forms & {Form.SET, Form.FINDING_NEUTRAL, Form.NOT_MEASURED, Form.UNKNOWN_PLACE}


def test_symptoms_that_are_seen_and_measured_are_one_sentence_and_conflicts_another():
    facts = facts_of(symptoms=some_symptoms())
    assert text_of(facts, Form.SYMPTOMS) == [
        "The second reader sees these visual symptoms, and the measurements agree: large dark dead "
        "area inside (a symptom of a glioma, score 0.97) and faint edge that melts into the brain "
        "(a symptom of a glioma, score 0.88)."
    ]
    assert text_of(facts, Form.SYMPTOM_CONFLICT) == [
        "The second reader and the measurements contradict each other: right on the midline is "
        "measured, but not seen (score 0.12); smooth round outline is seen (score 0.81), but the "
        "measurement denies it."
    ]
    assert text_of(facts, Form.SYMPTOMS, Language.KOREAN) == [
        "두 번째 판독기가 본 다음 영상 소견은 측정값과 일치합니다: "
        "안쪽의 크고 어두운 괴사 부위 (교종의 소견, 점수 0.97), "
        "뇌로 녹아드는 희미한 경계 (교종의 소견, 점수 0.88)."
    ]


def test_symptoms_of_the_type_come_first_and_one_of_another_class_is_told_too():
    def seen(row, kind, score):
        return SymptomFact(
            f"symptom_{row}", f"sign {kind} {row}", kind, score, True, "area_mm2", True
        )

    symptoms = (
        seen(1, "meningioma", 0.95), seen(2, "glioma", 0.7), seen(3, "glioma", 0.8),
        seen(4, "meningioma", 0.9), seen(5, "glioma", 0.6),
    )  # fmt: skip

    def told(**changes):
        (sentence,) = [
            s for s in compose(facts_of(symptoms=symptoms, **changes))
            if s.statement.form is Form.SYMPTOMS
        ]  # fmt: skip
        return [claim.feature for claim in sentence.statement.claims]

    assert told() == ["symptom_3", "symptom_2", "symptom_1"]
    unknown = undetermined(UndeterminedReason.AMBIGUOUS)
    assert told(decision=unknown) == ["symptom_1", "symptom_4", "symptom_3"]


def test_a_score_near_one_half_is_no_conflict_worth_a_sentence():
    near = SymptomFact("symptom_1", "sign", "glioma", 0.7, True, "area_mm2", False)
    facts = facts_of(symptoms=(near,))
    assert text_of(facts, Form.SYMPTOM_CONFLICT) == []


def test_a_symptom_sentence_rests_on_the_scores_and_the_measurements():
    facts = facts_of(symptoms=some_symptoms()[:1])
    (said,) = [s for s in compose(facts) if s.statement.form is Form.SYMPTOMS]
    assert said.evidence == facts.evidence_ids("symptom_1", "necrosis_fraction")
    item = facts.item("symptom_1")
    assert (item.name, item.value, item.unit) == ("large dark dead area inside", 0.97, "1")
    assert facts.evidence[-1] is item


def test_the_class_of_a_symptom_that_was_added_by_words_is_not_named():
    facts = diverse_facts()["symptom of a class that was added"]
    assert text_of(facts, Form.SYMPTOMS) == [
        "The second reader sees this visual symptom, and the measurement agrees: many (score 0.90)."
    ]


def test_symptoms_of_an_image_unlike_the_training_images_are_not_told():
    unlike = undetermined(UndeterminedReason.OUT_OF_DISTRIBUTION, kept=(), ood_score=6.4)
    facts = facts_of(decision=unlike, symptoms=some_symptoms())
    assert not [s for s in compose(facts) if s.statement.form.startswith("symptom")]
