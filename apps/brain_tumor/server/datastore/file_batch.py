"""Several files changed as one: after a crash each is the old one or the new one."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from brain_tumor.cases.files.durable import (
    make_folder,
    storage_errors,
    sync_file,
    sync_folder,
    temporary_sibling,
    write_new,
)

AT_ONCE = 16
"""Files that the disk is asked to write together."""


@dataclass(frozen=True)
class _Step:
    """One rename or removal that a commit makes.

    Attributes:
        source: File that moves or goes.
        destination: Where it moves to; None removes it.
        temporary: Whether the source exists for this step only.
    """

    source: Path
    destination: Path | None
    temporary: bool = False


class FileBatch:
    """Changes of several files, made one after the other, each whole.

    `write` puts the bytes beside the destination; nothing is visible yet, so a full disk is noticed
    before anything changed. `commit` waits until the disk has all of them, takes all steps in their
    order and makes them durable.
    """

    def __init__(self) -> None:
        self._steps: list[_Step] = []

    def write(self, destination: Path, content: bytes) -> None:
        """Stage a new or replaced file.

        Raises:
            StorageError: If the bytes cannot be stored.
        """
        with storage_errors(destination.name):
            make_folder(destination.parent)
            temporary = temporary_sibling(destination)
            self._steps.append(_Step(temporary, destination, temporary=True))
            write_new(temporary, content)

    def move(self, source: Path, destination: Path) -> None:
        """Stage a rename on the same disk; the destination's folder exists."""
        self._steps.append(_Step(source, destination))

    def remove(self, path: Path) -> None:
        """Stage a removal."""
        self._steps.append(_Step(path, None))

    def commit(self) -> None:
        """Take all steps.

        Raises:
            StorageError: If the disk does not take the files (then no step was taken), or a step
                fails; those after it are not taken.
        """
        self._sync()
        folders: dict[Path, None] = {}
        while self._steps:
            step = self._steps[0]
            with storage_errors((step.destination or step.source).name):
                if step.destination is None:
                    step.source.unlink(missing_ok=True)
                else:
                    step.source.replace(step.destination)
                    folders[step.destination.parent] = None
            folders[step.source.parent] = None
            del self._steps[0]
        for folder in folders:
            with storage_errors(folder.name):
                sync_folder(folder)

    def _sync(self) -> None:
        """Wait until the disk has all files; together takes a tenth of one after the other."""
        written = [step for step in self._steps if step.temporary]
        if len(written) > 1:
            with ThreadPoolExecutor(min(AT_ONCE, len(written))) as threads:
                list(threads.map(_sync_step, written))
        else:
            for step in written:
                _sync_step(step)

    def discard(self) -> None:
        """Forget the steps that were not taken, with their temporary files."""
        for step in self._steps:
            if step.temporary:
                step.source.unlink(missing_ok=True)
        self._steps.clear()


def _sync_step(step: _Step) -> None:
    with storage_errors((step.destination or step.source).name):
        sync_file(step.source)


@contextmanager
def file_batch() -> Iterator[FileBatch]:
    """Batch that leaves no temporary file behind, whatever happens.

    The caller commits; leaving the block without `commit` discards.
    """
    batch = FileBatch()
    try:
        yield batch
    finally:
        batch.discard()
