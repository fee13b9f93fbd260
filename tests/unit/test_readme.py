"""README and its tables tell what the measurements say, and name nothing that does not exist."""

import argparse
import re
from pathlib import Path

import pytest
from brain_tumor.cli import build_parser

from docs import commands
from docs.update_readme import _heat, blocks, updated, with_blocks

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", ["README.md", "docs/results.md"])
def test_the_results_are_those_of_the_metrics_files(name):
    text = (ROOT / name).read_text(encoding="utf-8")
    assert with_blocks(text, blocks()[name]) == text, "run python -m docs.update_readme"


def test_the_readme_has_one_table_of_six_rows_each_with_something_beside_it():
    rows = blocks()["README.md"]["results"].splitlines()[2:]
    assert len(rows) == 6
    for row in rows:
        question, ours, anchor = row.strip("| ").split(" | ")
        assert re.search(r"\d\.\d", ours), question
        assert re.search(r"\d (s|\()|\d \(|not comparable", anchor), question


def test_a_text_without_the_marks_is_refused():
    with pytest.raises(ValueError, match="no marks <!-- results -->"):
        updated("nothing here", "results", "table")
    assert updated("a <!-- x -->old<!-- /x --> b", "x", "new") == "a <!-- x -->\nnew\n<!-- /x --> b"


def test_shares_of_measurable_slices_name_their_number():
    found = {"patients": 8, "measurable": 0.75, "pointing_game": 1.0, "near_share": 0.5}
    shares = {"beats_random": 1.0, "beats_blob": 0.5, "beats_blob_by_type": {"pituitary": 0.25}}
    shares |= {"blob_ahead": 0.125}
    result = {"patients_without_outline": 2, "folds": [0]}
    said = _heat({**result, "faithfulness": {"gradcam++": {**found, **shares}}})
    assert "one slice of each of 10 patients" in said
    assert "patients of fold 0, outlined" in said
    assert "In 6 of 8 blurring the slice moves the answer enough to measure; of these" in said
    assert "the blob is ahead by more than 0.05 in 12%." in said


def test_the_page_of_the_command_line_is_that_of_the_parser():
    page = (ROOT / "docs/cli.md").read_text(encoding="utf-8")
    assert page == commands.page(build_parser()), "run python -m docs.update_readme"


def test_a_command_is_written_with_its_arguments():
    parser = argparse.ArgumentParser()
    actions = parser.add_subparsers()
    serve = actions.add_parser("serve", help="serve 5 %% faster")
    serve.add_argument("--port", type=int, default=8000, help="where")
    serve.add_argument("model", choices=("a", "b"))
    page = commands.page(parser)
    assert "## tumorlens serve\n\nServe 5 % faster.\n" in page
    assert "| `--port` `PORT` | where | `8000` |" in page
    assert "| `MODEL` | one of `a`, `b` |  |" in page


def test_every_setting_of_the_code_is_documented():
    settings = (ROOT / "docs/settings.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"^\| `(TUMORLENS_[A-Z_]+)`", settings, flags=re.MULTILINE))
    sources = (ROOT / "apps/brain_tumor").rglob("*.py")
    used = {
        name
        for source in sources
        for name in re.findall(r'"(TUMORLENS_[A-Z_]+)"', source.read_text(encoding="utf-8"))
    }
    assert documented == used


@pytest.mark.parametrize("link", re.findall(r"\]\((?!https?:)([^)#]+)\)", README))
def test_every_local_link_leads_somewhere(link):
    assert (ROOT / link).exists(), link
