"""What the docs tell to type exists; their links lead somewhere."""

import re
import shlex
from pathlib import Path

import pytest
from brain_tumor.cli import build_parser

from docs.site import openapi_document, place_of, reply_page, routes_page, translated

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
        ROOT / "slicer_extension/README.md",
        *(ROOT / "models").glob("*/docs/README.md"),
    ]
)
TEXTS = {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in PAGES}
METHODS = "GET|POST|PUT|DELETE|PATCH"
NOT_OURS = {"GET /", "GET /openapi.json", "DELETE /model/{model}"}
"""The page, the document itself, and a stock route that the docs call closed."""


def links():
    for name, text in TEXTS.items():
        for target in re.findall(r"\]\((?!https?:|mailto:)([^)\s]+)\)", text):
            yield pytest.param(name, target, id=f"{name}:{target}")


def slugs(text):
    """Anchors of a page's headings."""
    for heading in re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE):
        words = re.sub(r"[^\w\s-]", "", heading).strip().lower()
        yield re.sub(r"[-\s]+", "-", words)


@pytest.mark.parametrize(("name", "target"), links())
def test_every_link_leads_to_a_file_and_a_heading(name, target):
    path, _, anchor = target.partition("#")
    goal = (ROOT / name).parent / path if path else ROOT / name
    assert goal.exists()
    if anchor:
        assert anchor in set(slugs(goal.read_text(encoding="utf-8")))


def commands():
    for name, text in TEXTS.items():
        for line in re.findall(
            r"^ {4,}((?:[A-Z_]+=\S+ )*(?:\.venv/bin/)?tumorlens .*)$", text, re.M
        ):
            yield pytest.param(line, id=f"{name}:{line[:60]}")


@pytest.mark.parametrize("line", commands())
def test_every_command_is_understood(line):
    words = [w for w in shlex.split(line, comments=True) if not re.match(r"[A-Z_]+=", w)]
    build_parser().parse_args(["1" if word == "STEPS" else word for word in words[1:]])


def test_every_command_in_a_sentence_exists():
    actions = next(a for a in build_parser()._actions if hasattr(a, "choices") and a.choices)
    for name, text in TEXTS.items():
        for named in re.findall(r"`tumorlens ([a-z][a-z|-]*)", text):
            assert set(named.split("|")) <= set(actions.choices), name


def test_every_target_of_make_exists():
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), flags=re.MULTILINE))
    for name, text in TEXTS.items():
        assert (
            set(re.findall(r"(?:`|^ {4,})make ([a-z-]+)", text, flags=re.MULTILINE)) <= targets
        ), name


def test_every_route_that_is_named_exists():
    known = [
        re.compile(method.upper() + " " + re.sub(r"{[^}]*}", "[^/]+", path).rstrip("/"))
        for path, methods in openapi_document()["paths"].items()
        for method in methods
    ]
    named = {
        f"{method} {path if path == '/' else path.rstrip('/')}"
        for name, text in TEXTS.items()
        for method, path in re.findall(rf"`({METHODS}) (/[^`\s?]*)", text)
    }
    assert len(named) > 30
    left = {one for one in named if not any(route.fullmatch(one) for route in known)}
    assert left == NOT_OURS


def test_examples_in_python_are_python():
    for name, text in TEXTS.items():
        for block in re.findall(r"```python\n(.*?)```", text, flags=re.DOTALL):
            compile(block, name, "exec")


def test_the_newcomer_has_twenty_questions_each_with_a_place():
    rows = re.findall(r"^\| (\d+) \| .+\? \| .*\]\(", TEXTS["docs/newcomer.md"], flags=re.MULTILINE)
    assert [int(row) for row in rows] == list(range(1, 21))


def test_links_of_the_repository_become_links_of_the_site():
    text = "[a](docs/cli.md#x) ![b](docs/workspace.png) [c](LICENSE) [d](https://x.org/e)"
    assert translated(text, "README.md", "index.md") == (
        "[a](cli.md#x) ![b](workspace.png) c [d](https://x.org/e)"
    )
    up = "[card](../models/concepts/docs/README.md), [map](architecture.md), [start](../README.md)"
    assert translated(up, "docs/newcomer.md", "newcomer.md") == (
        "[card](models/concepts.md), [map](architecture.md), [start](index.md)"
    )
    deep = "    ![p](../../slicer_extension/Screenshots/question.png)\n    a[0](b.md)"
    assert translated(deep, "docs/tutorial/clinician.md", "tutorial/clinician.md") == (
        "    ![p](../pictures/slicer/question.png)\n    a[0](b.md)"
    )
    fenced = "```\n[a](docs/cli.md)\n```\n[a](docs/cli.md)"
    assert translated(fenced, "README.md", "index.md") == (
        "```\n[a](docs/cli.md)\n```\n[a](cli.md)"
    )


def test_code_of_the_docs_folder_is_no_page():
    assert place_of("docs/site.py") is None
    assert place_of("docs/cli.md") == "cli.md"
    assert place_of("CHANGELOG.md") == "changelog.md"


def test_a_reply_is_told_key_by_key():
    inner = {"type": "object", "properties": {"b": {"type": ["number", "null"]}}}
    schema = {"required": ["a"], "properties": {"a": {**inner, "description": "first"}}}
    schema["properties"]["c"] = {"type": "array", "items": inner}
    page = reply_page(schema)
    assert "| `a` (always) | object | first |" in page
    assert "| `a.b` | number, null |  |" in page
    assert "| `c[].b` | number, null |  |" in page


def test_routes_are_told_by_group_and_old_ones_left_out():
    document = {
        "paths": {
            "/a": {"get": {"tags": ["Cases"], "summary": "Read a", "parameters": [{"name": "x"}]}},
            "/b": {"get": {"tags": ["Cases"], "deprecated": True}},
        }
    }
    page = routes_page(document)
    assert "## Cases\n\n| route |" in page
    assert "| `GET /a` | Read a | `x` |" in page
    assert "/b" not in page


def test_the_site_is_built_without_a_warning(tmp_path, monkeypatch):
    pytest.importorskip("mkdocs", reason="the extra 'docs' is not installed")
    monkeypatch.setenv("NO_MKDOCS_2_WARNING", "1")
    from mkdocs.__main__ import cli
    from mkdocs.exceptions import Abort

    try:
        cli.main(
            [
                "build",
                "--strict",
                "-q",
                "-f",
                str(ROOT / "mkdocs.yml"),
                "-d",
                str(tmp_path / "site"),
            ],
            standalone_mode=False,
        )
    except Abort as error:
        pytest.fail(f"mkdocs: {error}")
    assert (tmp_path / "site/reference/routes.html").is_file()
    assert "load_case" in (tmp_path / "site/reference/python.html").read_text(encoding="utf-8")
