"""Fills the templates of the cards and of docs/experiments, and writes both.

A card is one page for who uses the model: `templates/card.md` has its sections, each model its
words. Everything else that was measured or tried stands in `docs/experiments/<model>.md`.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from textwrap import fill
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined, UndefinedError

from brain_tumor.bundles import CARD, write_checksums
from brain_tumor.errors import FileFormatError

EXPERIMENTS = Path("docs/experiments")
WIDTH = 100
_UNBROKEN = "\N{NO-BREAK SPACE}"
_PER_CENT = re.compile(r"(?<=\d) (?=%)")


@dataclass(frozen=True)
class Pages:
    """What is told of a model, in Markdown.

    Attributes:
        name: Of the model.
        card: One page: use, accuracy, limits, licence.
        experiments: All that was measured and tried.
    """

    name: str
    card: str
    experiments: str


@cache
def environment() -> Environment:
    """Jinja for Markdown: nothing is escaped, a name that is not given fails."""
    made = Environment(
        loader=PackageLoader("brain_tumor.model_cards"),
        autoescape=False,  # Markdown of our own figures
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    made.filters["wrapped"] = wrapped
    return made


def render(template: str, /, **values: Any) -> str:
    """A template filled with values.

    Raises:
        FileFormatError: If a value that it needs is not given.
    """
    try:
        return environment().get_template(template).render(values)
    except UndefinedError as error:
        raise FileFormatError(f"metadata or metrics lack what a card needs: {error}") from error


def wrapped(text: str, indent: str = "") -> str:
    """Text in lines of a card's width.

    Args:
        text: A paragraph or an item of a list.
        indent: Before every line but the first.
    """
    options: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
    joined = _PER_CENT.sub(_UNBROKEN, " ".join(text.split()))
    lines = fill(joined, WIDTH, subsequent_indent=indent, **options)
    return lines.replace(_UNBROKEN, " ")


def markdown_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Markdown table from cells.

    Example:
        >>> print(markdown_table(["a", "b"], [["1", "2"]]))
        | a | b |
        | --- | --- |
        | 1 | 2 |
    """
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def write_pages(pages: Pages, bundle: Path, experiments: Path | None = None) -> Path:
    """Write the card of a bundle and, where a folder is given, its page of experiments.

    Args:
        pages: What to write.
        bundle: Folder of the bundle.
        experiments: Folder of the pages of experiments.

    Returns:
        Path of the card.
    """
    card = bundle / CARD
    card.parent.mkdir(parents=True, exist_ok=True)
    card.write_text(pages.card, encoding="utf-8")
    if experiments is not None:
        experiments.mkdir(parents=True, exist_ok=True)
        (experiments / f"{pages.name}.md").write_text(pages.experiments, encoding="utf-8")
    write_checksums(bundle)
    return card


def add_experiments_option(parser: argparse.ArgumentParser) -> None:
    """The option of the commands that write a card."""
    parser.add_argument(
        "--experiments",
        type=Path,
        default=EXPERIMENTS,
        metavar="DIR",
        help="folder of the page with all measurements (default: %(default)s)",
    )


def card_command(pages_of: Callable[[Path], Pages], argv: Sequence[str] | None = None) -> int:
    """Command line that writes the pages of a bundle from its own files."""
    parser = argparse.ArgumentParser(description="Write the card of a bundle and its experiments.")
    parser.add_argument("bundle", type=Path)
    add_experiments_option(parser)
    chosen = parser.parse_args(argv)
    write_pages(pages_of(chosen.bundle), chosen.bundle, chosen.experiments)
    return 0
