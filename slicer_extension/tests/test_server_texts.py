"""What the server and errors say in English stands in Korean in a Korean panel."""

import re

import pytest
from TumorLensLib import korean_measurements
from TumorLensLib.korean_replies import WORDS
from TumorLensLib.texts import Translator
from TumorLensLib.told import SENTENCES, in_korean

from slicer_extension.tests import server_texts, web_texts

KO = Translator("ko")
FIELD = re.compile(r"{(\w+)}")


def leftovers(texts):
    """Texts without Korean, or with two English words in a row."""
    found = {text: in_korean(text).replace("(tumorlens serve)", "") for text in texts}
    return sorted(
        f"{text} -> {korean}"
        for text, korean in found.items()
        if not re.search("[가-힣]", korean) or re.search(r"\b[a-z]{2,} [a-z]{2,}\b", korean)
    )


def test_no_sentence_of_a_reply_stays_english():
    said = server_texts.of_server()
    assert len(said) > 30
    assert leftovers(said) == []


def test_no_refusal_of_the_server_stays_english():
    said = server_texts.of_server_errors()
    assert len(said) > 50
    assert leftovers(said) == []


def test_no_error_of_the_extension_stays_english():
    said = server_texts.of_extension_errors()
    assert len(said) > 40
    assert leftovers(said) == []


def test_measurements_places_and_missing_values_are_named_as_the_server_names_them():
    measured = server_texts.pairs("explanation/facts/vocabulary.py", "FEATURE_WORDS")
    assert len(measured) > 60
    assert measured.items() <= korean_measurements.MEASUREMENTS.items()
    features = server_texts.feature_names()
    assert len(features) > 60
    assert features <= set(korean_measurements.MEASUREMENTS)
    missing = server_texts.pairs("explanation/facts/vocabulary.py", "MISSING_WORDS")
    assert missing == korean_measurements.MISSING
    sides = {"left": "왼쪽", "right": "오른쪽", "midline": "정중선"}
    regions = server_texts.pairs("explanation/facts/vocabulary.py", "REGION_WORDS")
    assert len(regions) == 14
    assert {**regions, **sides} == korean_measurements.PLACES


def test_symptoms_of_the_shipped_second_reader_are_told_in_korean():
    import json

    path = server_texts.ROOT / "models" / "concepts" / "configs" / "concepts.json"
    symptoms = json.loads(path.read_text())["symptoms"]
    assert leftovers({one["text"] for listed in symptoms.values() for one in listed}) == []


def test_korean_sentences_have_the_values_of_the_english_ones():
    assert {e: set(FIELD.findall(k)) for e, k in SENTENCES.items()} == {
        e: set(FIELD.findall(e)) for e in SENTENCES
    }


@pytest.mark.parametrize(
    ("english", "korean"),
    [
        ("base / mean", "기본 자료 / 평균"),
        ("corrections / ET", "교정 / ET"),
        ("sequences t1c+flair / mean", "시퀀스 t1c+flair / 평균"),
        ("slices thick / mean", "두꺼운 단면 / 평균"),
        ("type meningioma / mean", "유형 수막종 / 평균"),
        ("every patient", "환자 각각"),
        (
            "clearly worse on base / ET: 0.700 -> 0.658, difference -0.042 (-0.061 to -0.021), "
            "p 0.990, n 7",
            "'기본 자료 / ET'에서 분명히 나쁩니다: 0.700 → 0.658, 차이 -0.042 (-0.061에서 -0.021), "
            "p 0.990, n 7",
        ),
        (
            "the gate refused segmentation 0.1.2: no base data to measure forgetting on; loses "
            "more than 0.3 on 1 patients: A, B",
            "승격 기준이 segmentation 0.1.2을(를) 거절했습니다: "
            "잊음을 측정할 기본 자료가 없습니다; 환자 1명에서 0.3보다 많이 잃습니다: A, B",
        ),
        (
            "t1: the header gives no orientation; left and right may be exchanged",
            "t1: 헤더에 방향 정보가 없습니다. 좌우가 바뀌었을 수 있습니다",
        ),
        (
            "At 95% coverage glioma and meningioma cannot be told apart.",
            "포함률 95%에서 교종, 수막종을(를) 구별할 수 없습니다.",
        ),
        (
            "The second reader, which reads visual symptoms, sees a pituitary tumour (61%): the "
            "type is less certain than its probability says.",
            "시각 징후를 읽는 두 번째 판독기는 뇌하수체 종양(으)로 봅니다 (61%). 유형은 확률이 "
            "말하는 것보다 덜 확실합니다.",
        ),
        (
            "The second reader, which reads visual symptoms, names a class that was added by words "
            "and that the classifier does not know: 'metastasis' (50%).",
            "시각 징후를 읽는 두 번째 판독기가 분류기에는 없고 말로 추가된 종류를 봅니다: "
            "'metastasis' (50%).",
        ),
        ("left temporal lobe", "왼쪽 측두엽"),
        ("epoch 3/20: loss 0.4100, validation 0.812", "에포크 3/20: 손실 0.4100, 검증 0.812"),
        (
            "the server's reply cannot be read: the reply ends in the middle",
            "서버의 응답을 읽을 수 없습니다: 응답이 중간에 끊겼습니다",
        ),
    ],
)
def test_sentences_are_told_with_their_values(english, korean):
    assert KO.told(english) == korean
    assert Translator("en").told(english) == english


def test_a_sentence_may_begin_with_a_capital():
    assert KO.told("No training is running.") == "진행 중인 학습이 없습니다."


def test_what_is_not_known_stays_as_it_is():
    for text in (
        "",
        "MemoryError: 12",
        "no such sentence; at all",
        "first, second-hand",
        "CASE: 1",
    ):
        assert KO.told(text) == text


def test_words_are_no_panel_texts_so_that_one_table_holds_each():
    from TumorLensLib.korean import KOREAN

    assert not set(WORDS) & set(KOREAN)


def test_the_page_in_a_browser_says_it_in_the_same_words():
    import json

    held = json.loads(web_texts.PAGE_TEXTS.read_text(encoding="utf-8"))
    assert held == web_texts.from_the_panel(), f"run: {web_texts.COMMAND}"
