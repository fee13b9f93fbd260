"""The files of the page: each text has its Korean, and a wheel holds them all."""

import json
import re
import runpy
from pathlib import Path

import pytest
import setuptools
from brain_tumor.classification.scope import SCOPE_NOTE
from brain_tumor.server.routes.page import MEDIA_TYPES

ROOT = Path(__file__).parents[2]
WEB = ROOT / "apps" / "brain_tumor" / "server" / "web"
CATALOGUE = json.loads((WEB / "texts.json").read_text(encoding="utf-8"))
FIELD = re.compile(r"\{(\w+)\}")


def spoken():
    for path in sorted((WEB / "js").rglob("*.js")):
        source = path.read_text(encoding="utf-8")
        for text in re.findall(r'\bt\(\s*"((?:[^"\\]|\\.)*)"', source):
            yield path.name, text
        for heads in re.findall(r"const heads = \[(.*?)\];", source, re.DOTALL):
            yield from ((path.name, text) for text in re.findall(r'"([^"]*)"', heads) if text)
    source = (WEB / "js" / "common" / "help.js").read_text(encoding="utf-8")
    yield from (("help.js", text) for text in re.findall(r'\["[^"]+", "([^"]+)"\]', source))


@pytest.mark.parametrize(("file", "text"), sorted(set(spoken())))
def test_every_sentence_of_the_page_has_a_translation(file, text):
    korean = CATALOGUE["page"].get(text) or CATALOGUE["server"].get(text)
    assert korean, f"{file}: {text!r} is not in texts.json"


@pytest.mark.parametrize("part", CATALOGUE)
def test_a_translation_names_no_field_that_the_sentence_lacks(part):
    for english, korean in CATALOGUE[part].items():
        assert set(FIELD.findall(korean)) <= set(FIELD.findall(english)), english


def test_nothing_is_fetched_from_elsewhere():
    for path in WEB.glob("js/**/*.js"):
        assert not re.findall(r"https?://(?!www\.w3\.org)", path.read_text(encoding="utf-8")), path
    lock = (WEB / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock  # no address of a registry


def test_beside_the_type_stands_what_the_model_does_not_know():
    question = (WEB / "js" / "case" / "question.js").read_text(encoding="utf-8")
    assert "told(found.scope.note)" in question
    korean = CATALOGUE["server"][SCOPE_NOTE.rstrip(".")]
    assert "전이, 림프종, 농양, 신경초종, 탈수초 병변" in korean


def test_a_wheel_holds_every_file_of_the_page_and_nothing_that_built_it(monkeypatch):
    told = {}
    monkeypatch.setattr(setuptools, "setup", lambda **given: told.update(given))
    runpy.run_path(str(ROOT / "setup.py"))
    package = ROOT / "apps" / "brain_tumor"
    found = {path for glob in told["package_data"]["brain_tumor"] for path in package.glob(glob)}
    held = {path.relative_to(WEB) for path in found if path.is_relative_to(WEB)}
    sources = {p.relative_to(WEB) for p in WEB.rglob("*") if p.is_file()}
    served = {p for p in sources if p.suffix in MEDIA_TYPES and p.parts[0] != "node_modules"}
    built_with = {Path("package.json"), Path("package-lock.json")}
    assert len(held) > 30
    assert held == served - built_with
