"""Markup written by code: the drawings. Text is escaped unless it already is markup."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeAlias

from markupsafe import Markup, escape

__all__ = ["Content", "Markup", "element", "escaped", "joined", "visible"]

_INVISIBLE = dict.fromkeys(
    (
        *(code for code in range(0x20) if chr(code) not in "\t\n"),
        *range(0x7F, 0xA0),
        *range(0x202A, 0x202F),  # direction overrides can make text read as something else
        *range(0x2066, 0x206A),
    )
)

Content: TypeAlias = "str | Iterable[Content] | None"


def visible(text: str) -> str:
    """Text without control characters and direction overrides.

    Halves of surrogate pairs, which no file can hold, become question marks.
    """
    return text.translate(_INVISIBLE).encode("utf-8", "replace").decode("utf-8")


def escaped(text: str) -> Markup:
    """Text as markup, also safe inside quotes.

    Example:
        >>> str(escaped("<b> & '"))
        '&lt;b&gt; &amp; &#39;'
    """
    return escape(visible(text))


def joined(*content: Content) -> Markup:
    """Pieces one after another: markup as it is, other text escaped, None left out."""
    parts: list[str] = []
    for piece in content:
        if piece is None:
            continue
        if isinstance(piece, str):
            parts.append(piece if isinstance(piece, Markup) else escaped(piece))
        else:
            parts.append(joined(*piece))
    return Markup("".join(parts))


def element(name: str, /, *content: Content, **attributes: str | float | None) -> Markup:
    """One element.

    Args:
        name: Of the element; not checked, so never from outside.
        *content: Children; plain text is escaped.
        **attributes: `class_` stands for the word that Python reserves, other underscores for
            hyphens. None gives none.

    Example:
        >>> str(element("text", "1 < 2", class_="a", x=0.5, fill=None))
        '<text class="a" x="0.5">1 &lt; 2</text>'
    """
    words = [name]
    for key, value in attributes.items():
        if value is not None:
            attribute = key.rstrip("_").replace("_", "-")
            text = value if isinstance(value, str) else f"{value:.4g}"
            words.append(f'{attribute}="{escaped(text)}"')
    return Markup(f"<{' '.join(words)}>{joined(*content)}</{name}>")
