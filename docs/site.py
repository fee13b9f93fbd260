"""Hook of mkdocs: pages from outside this folder, and pages that are written when it builds.

Texts of the repository link to files of the repository, so that they can be read there. On the
site those links lead to the pages that the files became; a link to a file that is no page becomes
its words.
"""

from __future__ import annotations

import json
import os.path
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path, PurePosixPath
from pkgutil import iter_modules
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
MODELS = ("segmentation", "whole_head", "tumor_core", "classification", "concepts")
PAGES = {
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
    "slicer_extension/README.md": "slicer.md",
    **{f"models/{name}/docs/README.md": f"models/{name}.md" for name in MODELS},
    "docs/reply.schema.json": "reference/reply.md",
}
"""File of the repository and the page that it becomes."""

LINK = re.compile(
    r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\((?!https?:|mailto:|#)([^)\s#]+)(#[^)\s]*)?\)"
)
FENCE = re.compile(r"^\s*```")
INDENTED = re.compile(r"^    (?!!\[)")
"""Code, unless it is a picture of an item of a list."""


def place_of(path: str) -> str | None:
    """Where a file of the repository lies on the site.

    Args:
        path: Relative to the repository.

    Returns:
        Path relative to the site's sources; None if it is not there.
    """
    if path in PAGES:
        return PAGES[path]
    if path.startswith("slicer_extension/Screenshots/"):
        return f"pictures/slicer/{PurePosixPath(path).name}"
    if path.startswith("docs/") and not path.endswith((".py", "/")) and (ROOT / path).is_file():
        return path.removeprefix("docs/")
    return None


def translated(text: str, source: str, page: str) -> str:
    """Text whose links lead to pages of the site.

    Args:
        text: Markdown.
        source: File of the repository that it is from.
        page: Page that it becomes.
    """
    folder = PurePosixPath(source).parent.as_posix()

    def follow(match: re.Match[str]) -> str:
        mark, words, target, anchor = match.groups()
        goal = place_of(os.path.normpath(os.path.join(folder, target)))  # noqa: PTH118
        if goal is None:
            return str(words)
        words = LINK.sub(follow, words)
        way = os.path.relpath(goal, PurePosixPath(page).parent)
        return f"{mark}[{words}]({way}{anchor or ''})"

    lines, fenced = [], False
    for line in text.split("\n"):
        fenced ^= FENCE.match(line) is not None
        code = fenced or INDENTED.match(line)
        lines.append(line if code else LINK.sub(follow, line))
    return "\n".join(lines)


def routes_page(document: dict[str, Any]) -> str:
    """Every route, from an OpenAPI document."""
    parts = [
        "# Every route",
        "Written from the OpenAPI document, which a server gives at `/openapi.json`. How the "
        "routes are meant to be used: [HTTP interface](../http-api.md).",
    ]
    groups: dict[str, list[str]] = {}
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            if operation.get("deprecated"):
                continue
            names = ", ".join(f"`{p['name']}`" for p in operation.get("parameters", ()))
            row = f"| `{method.upper()} {path}` | {operation.get('summary', '')} | {names} |"
            groups.setdefault((operation.get("tags") or ["Other"])[0], []).append(row)
    for tag, rows in groups.items():
        head = ["| route | what it does | parameters |", "|---|---|---|"]
        parts.append("\n".join([f"## {tag}", "", *head, *rows]))
    return "\n\n".join(parts) + "\n"


def openapi_document() -> dict[str, Any]:
    """The document of all our routes, without a server and its models."""
    from brain_tumor.server import routes
    from fastapi import FastAPI

    app = FastAPI(title="TumorLens")
    for module in iter_modules(routes.__path__, "brain_tumor.server.routes."):
        router = getattr(import_module(module.name), "router", None)
        if router is not None:
            app.include_router(router)
    return app.openapi()


def reply_page(schema: dict[str, Any]) -> str:
    """Keys of a reply, from its JSON schema."""
    rows = [
        "# The reply",
        "",
        f"{schema.get('description', '')} The schema itself is `docs/reply.schema.json`; an "
        "example is in the [HTTP interface](../http-api.md#the-json-part).",
        "",
        "| key | holds | what it is |",
        "|---|---|---|",
    ]
    required = set(schema.get("required", ()))
    for path, entry in _keys(schema):
        kind = entry.get("type", "one of several" if "oneOf" in entry or "anyOf" in entry else "")
        kinds = ", ".join(kind) if isinstance(kind, list) else kind
        always = " (always)" if path in required else ""
        words = entry.get("description", "").replace("|", "\\|").replace("\n", " ")
        rows.append(f"| `{path}`{always} | {kinds} | {words} |")
    return "\n".join(rows) + "\n"


def _keys(schema: dict[str, Any], before: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    for name, entry in schema.get("properties", {}).items():
        yield f"{before}{name}", entry
        yield from _keys(entry, f"{before}{name}.")
        items = entry.get("items")
        if isinstance(items, dict):
            yield from _keys(items, f"{before}{name}[].")


def on_files(files: Any, config: Any) -> Any:
    """Add what does not lie in the docs folder."""
    from mkdocs.structure.files import File

    def add(page: str, content: str | bytes) -> None:
        files.append(File.generated(config, page, content=content))

    for source, page in PAGES.items():
        if source.endswith(".md"):
            add(page, translated((ROOT / source).read_text(encoding="utf-8"), source, page))
    for picture in sorted((ROOT / "slicer_extension/Screenshots").glob("*.png")):
        add(f"pictures/slicer/{picture.name}", picture.read_bytes())
    schema = json.loads((ROOT / "docs/reply.schema.json").read_text(encoding="utf-8"))
    add("reference/reply.md", reply_page(schema))
    add("reference/routes.md", routes_page(openapi_document()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Lead the links of a page of the docs folder to pages of the site."""
    if page.file.generated_by is not None:
        return markdown
    return translated(markdown, f"docs/{page.file.src_uri}", page.file.src_uri)
