"""README tells what the measurements say, and names nothing that does not exist."""

import re
from pathlib import Path

import pytest
from brain_tumor.cli import build_parser

from docs.update_readme import _heat, results, updated

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_results_are_those_of_the_metrics_files():
    assert updated(README, results()) == README


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


@pytest.mark.parametrize("link", re.findall(r"\]\((?!https?:)([^)#]+)\)", README))
def test_every_local_link_leads_somewhere(link):
    assert (ROOT / link).exists(), link


def test_every_command_in_the_table_exists():
    commands = set(re.findall(r"^\| `tumorlens ([a-z-]+)", README, flags=re.MULTILINE))
    actions = next(a for a in build_parser()._actions if hasattr(a, "choices") and a.choices)
    assert commands == set(actions.choices)
