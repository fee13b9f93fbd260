"""README tells what the measurements say, and names nothing that does not exist."""

import re
from pathlib import Path

import pytest
from brain_tumor.cli import build_parser

from docs.update_readme import results, updated

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_results_are_those_of_the_metrics_files():
    assert updated(README, results()) == README


@pytest.mark.parametrize("link", re.findall(r"\]\((?!https?:)([^)#]+)\)", README))
def test_every_local_link_leads_somewhere(link):
    assert (ROOT / link).exists(), link


def test_every_command_in_the_table_exists():
    commands = set(re.findall(r"^\| `tumorlens ([a-z-]+)", README, flags=re.MULTILINE))
    actions = next(a for a in build_parser()._actions if hasattr(a, "choices") and a.choices)
    assert commands == set(actions.choices)
