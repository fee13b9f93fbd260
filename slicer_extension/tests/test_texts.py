"""English and Korean say the same things."""

import re

import pytest
from TumorLensLib.korean import KOREAN
from TumorLensLib.texts import Translator

pytestmark = pytest.mark.slicer


@pytest.fixture(scope="module")
def texts(slicer_app):
    from slicer_extension.tests import panel_texts

    return panel_texts.all_texts()


def fields(text):
    return sorted(re.findall(r"{(\w+)}", text))


def test_every_text_of_the_panel_has_a_korean_one_and_none_is_left_over(texts):
    assert len(texts) > 200
    assert sorted(texts - set(KOREAN)) == []
    assert sorted(set(KOREAN) - texts) == []


def test_korean_texts_have_the_same_fields():
    assert {e: fields(k) for e, k in KOREAN.items()} == {e: fields(e) for e in KOREAN}


def test_korean_texts_are_korean():
    latin = {
        "Grad-CAM++",
        "Grad-CAM",
        "Layer-CAM",
        "T1:",
        "T2:",
        "FLAIR:",
        "{name} {version} at {host}: {models}",
    }
    without = {e for e, k in KOREAN.items() if not re.search("[가-힣]", k)}
    assert without == latin


def test_a_translator_fills_fields_and_falls_back_to_english():
    assert Translator("ko")("Opening {case}", case="A") == "A 여는 중"
    assert Translator("en")("Opening {case}", case="A") == "Opening A"
    assert Translator("xx")("Cancel") == "Cancel"
    assert Translator("ko")("no such sentence") == "no such sentence"
