"""The page's templates: HTML, style and script in files, every value escaped.

White space at the edges of a template's lines is for its reader alone: lines are joined without
any, or with one space where neither edge is a bracket (attributes over several lines). A Jinja
tag or comment therefore stays on one line.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from jinja2.ext import Extension

from brain_tumor.explanation.page.markup import Markup, visible

_FOLDER = "templates"
_BREAK = re.compile(r"\s*\n\s*")


class _JoinedLines(Extension):
    """Joins the lines of a template; the breaks stay in comments, so that errors name lines."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        """The source that Jinja reads."""
        return _BREAK.sub(_joint, source)


def _joint(found: re.Match[str]) -> str:
    before, after = found.string[: found.start()][-1:], found.string[found.end() :][:1]
    space = "" if before in "}>" or after in "{<" else " "
    return space + "{#" + "\n" * found[0].count("\n") + "#}"


@cache
def environment() -> Environment:
    """Jinja, set to escape every value and to fail on a name that is not given."""
    return Environment(
        loader=PackageLoader("brain_tumor.explanation.page", _FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_shown,
        extensions=(_JoinedLines,),
    )


def _shown(value: object) -> object:
    """What a template prints for a value: nothing for None, text without what is not seen."""
    if value is None:
        return ""
    return visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def render(name: str, values: Mapping[str, Any]) -> str:
    """A template filled with values."""
    return environment().get_template(name).render(values)


@cache
def text_of(name: str) -> str:
    """Style or script as it stands in its file."""
    folder = resources.files("brain_tumor.explanation.page") / _FOLDER
    return (folder / name).read_text(encoding="utf-8")


def content_security_policy(style: str, script: str) -> str:
    """Policy that lets this style, this script and pictures inside the page through, nothing else.

    Args:
        style: Exact text of the one style element.
        script: Exact text of the one script element.
    """
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src '{_digest(style)}'",
            f"script-src '{_digest(script)}'",
            "base-uri 'none'",
            "form-action 'none'",
        )
    )


def _digest(text: str) -> str:
    sha256 = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(sha256).decode('ascii')}"
