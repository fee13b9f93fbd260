"""Files below a folder, through links too."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

HIDDEN_PREFIXES = (".", "__")


def files_below(folder: Path) -> Iterator[Path]:
    """Files in a folder and its sub-folders, by path; hidden ones are passed over.

    Linked folders are entered, each real folder once, so that links in a ring come to an end.
    A file that several links lead to is given once.
    """
    entered: set[str] = set()
    given: set[str] = set()

    def walk(here: Path) -> Iterator[Path]:
        real = os.path.realpath(here)
        if real in entered:
            return
        entered.add(real)
        try:
            entries = sorted(here.iterdir())
        except OSError:  # a folder that may not be read holds nothing for us
            return
        for entry in entries:
            if entry.name.startswith(HIDDEN_PREFIXES):
                continue
            if entry.is_dir():
                yield from walk(entry)
            elif entry.is_file():
                target = os.path.realpath(entry) if entry.is_symlink() else str(entry)
                if target not in given:
                    given.add(target)
                    yield entry

    yield from walk(folder)


def broken_links(folder: Path) -> list[Path]:
    """Links below a folder that lead nowhere."""
    return [
        path
        for here, _, names in os.walk(folder)
        for path in (Path(here) / name for name in names)
        if path.is_symlink() and not path.exists()
    ]
