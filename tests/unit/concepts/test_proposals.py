"""A language model proposes symptoms; what is unusable is refused before anybody reviews it."""

import json

import pytest
from brain_tumor.cli import main
from brain_tumor.concepts.proposals import messages_for, propose, read_answer
from brain_tumor.concepts.vocabulary import Direction, read_candidates
from brain_tumor.errors import InputError
from brain_tumor.explanation.rationale.composer.composer import compose
from brain_tumor.explanation.rationale.providers import registry as language_models

ANSWER = """1. Bright ring around a dark centre. | ring_enhancement_index | high
- smooth round outline | irregularity | LOW
looks like a glioma | area_mm2 | high
smooth round outline | compactness | high
soft to the touch | softness | high
large lump | area_mm2 | huge
Here are some more ideas:
"""


class Scripted:
    """Answers every question alike."""

    name = "scripted"

    def __init__(self, answer):
        self.answer, self.asked = answer, []

    def chat(self, messages):
        self.asked.append(messages)
        return self.answer

    def phrase(self, facts, language):
        return [sentence.text for sentence in compose(facts, language)]


def test_usable_lines_become_symptoms_and_the_others_say_why_not():
    found = read_answer(ANSWER, "glioma")
    ring, smooth = [p.symptom for p in found if p.symptom]
    assert (ring.text, ring.feature, ring.direction) == (
        "bright ring around a dark centre", "ring_enhancement_index", Direction.HIGH,
    )  # fmt: skip
    assert (smooth.kind, smooth.feature, smooth.direction) == (
        "glioma", "irregularity", Direction.LOW,
    )  # fmt: skip
    reasons = [p.reason for p in found if p.reason]
    for reason, words in zip(
        reasons,
        ("names a class", "proposed before", "'softness' is not measured", "'huge' is neither",
         "not of the form"),
        strict=True,
    ):  # fmt: skip
        assert words in reason


def test_the_question_names_the_class_and_what_is_measured():
    system, user = messages_for("meningioma")
    assert "meningioma" in user["content"]
    assert "ring_enhancement_index: " in system["content"]


def test_a_class_of_which_nothing_usable_was_said_is_refused():
    with pytest.raises(InputError, match="nothing usable for glioma"):
        propose(Scripted("I cannot help with that.").chat, ["glioma"], "scripted")


def test_the_command_writes_a_file_in_the_form_of_the_committed_candidates(
    tmp_path, monkeypatch, capsys
):
    scripted = Scripted(ANSWER)
    monkeypatch.setattr(language_models, "provider_of_environment", lambda name: scripted)
    output = tmp_path / "proposed.json"
    command = ["concepts", "propose", "--provider", "endpoint", "--output", str(output)]
    assert main(command) == 0
    assert len(scripted.asked) == 3
    assert "6 symptoms to review, 15 lines refused" in capsys.readouterr().out
    found = read_candidates(output)
    assert found.kinds == ("glioma", "meningioma", "pituitary")
    plain = json.loads(output.read_text(encoding="utf-8"))
    assert plain["source"] == "proposed by scripted; not reviewed"
    assert main(command) == 2  # nothing that was reviewed is written over
    assert "exists" in capsys.readouterr().err


def test_a_provider_that_only_phrases_facts_is_refused(tmp_path, capsys):
    output = tmp_path / "proposed.json"
    assert main(["concepts", "propose", "--provider", "composer", "--output", str(output)]) == 2
    assert "answers no questions" in capsys.readouterr().err
    assert not output.exists()
