"""The pages that say where things are name files and folders that exist."""

import re
from pathlib import Path, PurePosixPath

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "apps" / "brain_tumor"
NAMED = re.compile(r"`([\w./]+(?:\.py|/))`")


def places():
    """Every place that is named, with the folders in which it may be meant."""
    for page in ("architecture.md", "glossary.md"):
        for line in (ROOT / "docs" / page).read_text(encoding="utf-8").splitlines():
            parents = [PACKAGE, ROOT]
            for name in NAMED.findall(line):
                yield page, name, tuple(parents)
                for base in (PACKAGE, *PACKAGE.glob("*/")):
                    folder = base / PurePosixPath(name).parent
                    parents += [folder] if "/" in name and folder.is_dir() else []


@pytest.mark.parametrize(("page", "name", "parents"), list(places()))
def test_a_named_place_exists(page, name, parents):
    inside = (p / name for parent in parents for p in (parent, *parent.glob("*/")))
    assert any(path.exists() for path in inside), f"docs/{page} names {name}"


def test_the_ways_are_at_most_25_steps_each():
    text = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    ways = [part for part in text.split("\n## ") if part.startswith("The way of a")]
    assert len(ways) == 2
    for way in ways:
        steps = [int(number) for number in re.findall(r"^ ?(\d+)\. ", way, re.MULTILINE)]
        assert steps == list(range(1, len(steps) + 1))
        assert 15 <= len(steps) <= 25
