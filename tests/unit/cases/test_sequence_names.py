"""The table of names: what people call their images, with the right answer of each."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from brain_tumor.cases.sequences import (
    Agent,
    Sequence,
    agent_of_text,
    names_other_image,
    read_name,
    recognise_sequence,
)

TABLE = Path(__file__).with_name("sequence_names.csv")
with TABLE.open(encoding="utf-8", newline="") as stream:
    ROWS = [(row["name"], row["answer"], row["language"]) for row in csv.DictReader(stream)]


def said(name: str) -> str:
    sequence = recognise_sequence(name)
    return sequence.value if sequence else "other" if names_other_image(name) else "none"


def test_the_table_speaks_ten_languages() -> None:
    assert len(ROWS) >= 500
    assert len({name for name, _, _ in ROWS}) == len(ROWS)
    languages = {"en", "de", "fr", "es", "it", "pt", "nl", "ko", "zh", "ja"}
    for language in languages:
        assert {"t1", "t1c"} <= {answer for _, answer, spoken in ROWS if spoken == language}


@pytest.mark.parametrize("language", sorted({language for _, _, language in ROWS}))
def test_every_name_of_the_table_is_read_right(language: str) -> None:
    wrong = {
        name: (said(name), answer)
        for name, answer, spoken in ROWS
        if spoken == language and said(name) != answer
    }
    assert wrong == {}


def test_no_name_of_the_table_depends_on_capitals_or_underscores() -> None:
    for name, answer, _ in ROWS:
        assert said(name.upper()) == answer
        assert said(name.lower()) == answer
        assert said(name.replace(" ", "_")) == answer, name


def test_no_name_is_read_as_native_and_as_enhanced_with_an_agent_in_the_header() -> None:
    for name, answer, language in ROWS:
        if answer != "t1" or language == "any":
            continue
        expected = Sequence.T1 if read_name(name).agent is Agent.NOT_GIVEN else Sequence.T1C
        assert recognise_sequence(name, agent_given=True) is expected


@pytest.mark.parametrize(
    ("text", "agent"),
    [
        *((t, Agent.NOT_GIVEN) for t in ("NONE", "none", "No", "NO", "N/A", "n/a", "NA", "0")),
        *((t, Agent.NOT_GIVEN) for t in ("No contrast", "without", "W/O", "-", "Nil", "0 ml")),
        *((t, Agent.NOT_GIVEN) for t in ("ohne KM", "sans injection", "senza mdc", "조영제 없음")),
        *((t, Agent.NOT_GIVEN) for t in ("sin contraste", "not given", "Nein", "keine", "0.0")),
        *((t, Agent.GIVEN) for t in ("Dotarem", "GADOVIST 7.5 ML", "Gd", "YES", "contrast", "IV")),
        *(
            (t, Agent.GIVEN)
            for t in ("Magnevist", "CLARISCAN", "1", "APPLIED", "Gd-DOTA", "조영제")
        ),
        *((t, Agent.UNTOLD) for t in ("", "   ", "unknown", "UNK", "?")),
    ],
)
def test_a_header_that_names_no_agent_means_none(text: str, agent: Agent) -> None:
    assert agent_of_text(text) is agent


def test_words_beside_t1_that_stand_in_no_table_are_told() -> None:
    assert read_name("AX T1 QWERTY").unknown == ("qwerty",)
    assert read_name("T1 axial FS 3mm p2").unknown == ()
    assert read_name("T2 QWERTY").unknown == ()
