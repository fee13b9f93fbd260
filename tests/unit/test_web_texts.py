"""The texts of the page: each has its Korean, and fields stay the same."""

import json
import re
from pathlib import Path

import pytest
from brain_tumor.classification.scope import SCOPE_NOTE

WEB = Path(__file__).parents[2] / "apps" / "brain_tumor" / "server" / "web"
CATALOGUE = json.loads((WEB / "texts.json").read_text(encoding="utf-8"))
FIELD = re.compile(r"\{(\w+)\}")


def spoken():
    for path in sorted((WEB / "js").glob("*.js")):
        source = path.read_text(encoding="utf-8")
        for text in re.findall(r'\bt\(\s*"((?:[^"\\]|\\.)*)"', source):
            yield path.name, text
        for heads in re.findall(r"const heads = \[(.*?)\];", source, re.DOTALL):
            yield from ((path.name, text) for text in re.findall(r'"([^"]*)"', heads) if text)


@pytest.mark.parametrize(("file", "text"), sorted(set(spoken())))
def test_every_sentence_of_the_page_has_a_translation(file, text):
    korean = CATALOGUE["page"].get(text) or CATALOGUE["server"].get(text)
    assert korean, f"{file}: {text!r} is not in texts.json"


@pytest.mark.parametrize("part", CATALOGUE)
def test_a_translation_names_no_field_that_the_sentence_lacks(part):
    for english, korean in CATALOGUE[part].items():
        assert set(FIELD.findall(korean)) <= set(FIELD.findall(english)), english


def test_nothing_is_fetched_from_elsewhere():
    for path in WEB.glob("js/*.js"):
        assert not re.findall(r"https?://(?!www\.w3\.org)", path.read_text(encoding="utf-8")), path
    lock = (WEB / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock  # no address of a registry


def test_beside_the_type_stands_what_the_model_does_not_know():
    question = (WEB / "js" / "question.js").read_text(encoding="utf-8")
    assert "told(found.scope.note)" in question
    korean = CATALOGUE["server"][SCOPE_NOTE.rstrip(".")]
    assert "전이, 림프종, 농양, 신경초종, 탈수초 병변" in korean
