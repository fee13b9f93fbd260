"""HTML that is safe by construction: text is escaped unless it already is markup."""

from __future__ import annotations

import html
from collections.abc import Iterable
from typing import TypeAlias

_VOID = frozenset({"br", "input", "meta"})
_INVISIBLE = dict.fromkeys(
    (
        *(code for code in range(0x20) if chr(code) not in "\t\n"),
        *range(0x7F, 0xA0),
        *range(0x202A, 0x202F),  # direction overrides can make text read as something else
        *range(0x2066, 0x206A),
    )
)


class Markup(str):
    """Text that is HTML already."""

    __slots__ = ()


Content: TypeAlias = "str | Iterable[Content] | None"


def escaped(text: str) -> Markup:
    """Text as HTML, also safe inside quotes.

    Control characters and direction overrides are dropped; halves of surrogate pairs, which no
    file can hold, become question marks.

    Example:
        >>> escaped("<b> & '")
        '&lt;b&gt; &amp; &#x27;'
    """
    clean = text.translate(_INVISIBLE).encode("utf-8", "replace").decode("utf-8")
    return Markup(html.escape(clean, quote=True))


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


def element(name: str, /, *content: Content, **attributes: str | float | bool | None) -> Markup:
    """One element.

    Args:
        name: Of the element; not checked, so never from outside.
        *content: Children; plain text is escaped.
        **attributes: `class_` and `for_` stand for words that Python reserves, other underscores
            for hyphens. True gives an attribute without value, None and False give none.

    Example:
        >>> element("p", "1 < 2", element("br"), class_="a", hidden=False)
        '<p class="a">1 &lt; 2<br></p>'
    """
    words = [name]
    for key, value in attributes.items():
        attribute = key.rstrip("_").replace("_", "-")
        if value is True:
            words.append(attribute)
        elif value is not None and value is not False:
            text = value if isinstance(value, str) else f"{value:.4g}"
            words.append(f'{attribute}="{escaped(text)}"')
    opening = f"<{' '.join(words)}>"
    return Markup(opening if name in _VOID else f"{opening}{joined(*content)}</{name}>")
