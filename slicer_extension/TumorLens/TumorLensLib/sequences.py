"""Which sequence a volume is, from its name."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable

SEQUENCES = ("t1", "t1c", "t2", "flair")

_WORDS = (
    ("flair", ("flair", "t2f", "t2flair", "tirm")),
    ("t1c", ("t1c", "t1ce", "t1gd", "t1post", "t1km", "gad", "gd", "postcontrast", "contrast")),
    ("t2", ("t2", "t2w")),
    ("t1", ("t1", "t1w", "t1n", "mprage", "t1pre")),
)


def recognise(name: str) -> str:
    """Sequence that a volume's name speaks of, or empty.

    Example:
        >>> recognise("BraTS20_001_t1ce"), recognise("T2 FLAIR axial"), recognise("volume 3")
        ('t1c', 'flair', '')
    """
    words = [word for word in re.split(r"[^a-z0-9]+", name.lower()) if word]
    joined = {a + b for a, b in itertools.pairwise(words)}
    for sequence, known in _WORDS:
        if any(word in known for word in words) or any(word in known for word in joined):
            return sequence
    return ""


def assign(names: Iterable[str]) -> dict[str, str]:
    """First volume of each sequence, by sequence; a single unknown volume counts as t1c."""
    given = list(names)
    found: dict[str, str] = {}
    for name in given:
        sequence = recognise(name)
        if sequence and sequence not in found:
            found[sequence] = name
    return found or ({"t1c": given[0]} if len(given) == 1 else {})
