"""The index of a studies folder (`datastore_v2.json`): changed as a whole, or not at all."""

from __future__ import annotations

import copy
import logging
import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout
from monailabel.datastore.local import DataModel, ImageLabelModel, LocalDatastoreModel

from brain_tumor.cases.files.durable import storage_errors
from brain_tumor.cases.study_layout import INDEX_NAME
from brain_tumor.errors import BusyError
from brain_tumor.server.datastore.file_batch import FileBatch, file_batch
from brain_tumor.server.datastore.history import LabelVersion
from brain_tumor.server.datastore.index_file import LABELS_FOLDER, IndexFile, encode, read_index
from brain_tumor.server.http.validation import LABEL_SUFFIXES

logger = logging.getLogger(__name__)

CONFIG = INDEX_NAME
BACKUP = f"{INDEX_NAME}.bak"
STOCK_LOCK = ".lock"
LOCK_PATIENCE_S = 30.0


@dataclass
class Change:
    """What a transaction works on.

    Attributes:
        root: Studies folder.
        index: Copy of the index; entries may be put in and taken out, see `edit`.
        batch: Files that change before the index does.
        after: Files that are removed once the index is durable.
    """

    root: Path
    index: LocalDatastoreModel
    batch: FileBatch
    after: list[Path] = field(default_factory=list)
    _edited: set[str] = field(default_factory=set)

    def edit(self, image: str) -> ImageLabelModel:
        """Entry of a case, free to change; others are shared with the index that readers see."""
        if image not in self._edited:
            self._edited.add(image)
            self.index.objects[image] = copy.deepcopy(self.index.objects[image])
        entry: ImageLabelModel = self.index.objects[image]
        return entry

    def put_label(self, version: LabelVersion, content: bytes) -> None:
        """Make a version the current label of its image and tag.

        Raises:
            StorageError: If the file cannot be staged.
        """
        folder = self.root / LABELS_FOLDER / version.tag
        self.batch.write(folder / f"{version.image}{version.suffix}", content)
        self.after += label_files(folder, version.image, without=version.suffix)
        self.note_label(version, version.suffix)

    def note_label(self, version: LabelVersion, suffix: str) -> None:
        """Enter a version whose file is in place already."""
        info = {
            **version.info,
            "ts": int(time.time()),
            "name": f"{version.image}{suffix}",
            "version": version.version,
            "sha256": version.sha256,
            "saved_at": version.saved_at,
            "proposed_by": dict(version.proposed_by) if version.proposed_by else None,
        }
        self.edit(version.image).labels[version.tag] = DataModel(ext=suffix, info=info)


class StudyIndex:
    """Index in memory and on disk, with a backup copy.

    Readers take `current`, which is never changed but replaced. Writers use `transaction`.

    Args:
        root: Studies folder.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._config, self._backup = root / CONFIG, root / BACKUP
        self.mutex = threading.RLock()
        self._process_lock = FileLock(root / STOCK_LOCK)
        self._stamp: tuple[int, ...] | None = None
        self._is_loaded = False
        self._texts: dict[str, tuple[ImageLabelModel, str]] = {}
        self._current = LocalDatastoreModel(
            name="studies", description="TumorLens studies", images_dir=".", base_path=str(root)
        )

    @property
    def current(self) -> LocalDatastoreModel:
        """The index as last loaded or committed; not to be changed."""
        return self._current

    def load(self) -> None:
        """Read the index if it changed on disk; what is damaged comes from memory or the backup.

        A damaged index is kept beside under another name. Once loaded, the copy in memory is the
        truth until a sound file replaces it.

        Raises:
            StorageError: If the folder cannot be read.
        """
        with self.mutex, storage_errors(self._config.name):
            stamp = _stamp(self._config)
            if stamp == self._stamp and self._is_loaded:
                return
            found = read_index(self._config)
            if found is not None and (found.damaged or not found.is_whole):
                aside = self._config.with_suffix(f".damaged-{time.time_ns()}.json")
                logger.error("%s is damaged; kept as %s and mended", CONFIG, aside.name)
                self._config.replace(aside)
                stamp = None
            if found is None and not self._is_loaded:
                found = read_index(self._backup)
            if found is not None and (found.is_whole or not self._is_loaded):
                index = found.mended(self._copies())
                index.base_path, index.labels_dir = str(self._root), LABELS_FOLDER
                self._current = index
            self._stamp, self._is_loaded = stamp, True

    def _copies(self) -> Iterator[Mapping[str, ImageLabelModel]]:
        """Entries of copies of the index, the newest first."""
        if self._is_loaded:
            yield self._current.objects
        backup: IndexFile | None = read_index(self._backup)
        if backup is not None:
            yield backup.entries

    def ensure_on_disk(self) -> None:
        """Write the index if there is none, or if it had to be recovered.

        Raises:
            StorageError: If it cannot be written.
        """
        if _stamp(self._config) is None:
            with self.transaction():
                pass

    def encoded(self) -> bytes:
        """The index as it stands on disk."""
        return encode(self._current, {})

    @contextmanager
    def transaction(self) -> Iterator[Change]:
        """Change the index and files together, for one thread of one process at a time.

        Raises:
            StorageError: If something cannot be stored; nothing changed if the disk is full.
            BusyError: If another process holds the lock for too long.
        """
        with self.mutex, self._between_processes(), file_batch() as batch:
            self.load()
            objects = dict(self._current.objects)
            change = Change(
                self._root, self._current.model_copy(update={"objects": objects}), batch
            )
            yield change
            content = encode(change.index, self._texts)
            batch.write(self._config, content)
            batch.write(self._backup, content)
            batch.commit()
            self._current, self._stamp = change.index, _stamp(self._config)
            for path in change.after:
                with storage_errors(path.name):
                    path.unlink(missing_ok=True)

    @contextmanager
    def _between_processes(self) -> Iterator[None]:
        """Hold the lock that other MONAI Label processes on this folder respect."""
        with storage_errors(STOCK_LOCK):
            try:
                self._process_lock.acquire(timeout=LOCK_PATIENCE_S)
            except Timeout as error:  # an OSError itself
                raise BusyError("another process holds the studies folder") from error
        try:
            yield
        finally:
            self._process_lock.release()


def label_files(folder: Path, image: str, *, without: str = "") -> list[Path]:
    """Files of an image in a tag's folder, except the one with a given suffix."""
    paths = (folder / f"{image}{suffix}" for suffix in LABEL_SUFFIXES if suffix != without)
    return [path for path in paths if os.path.lexists(path)]


def _stamp(path: Path) -> tuple[int, ...] | None:
    """What changes when a file is replaced or written; None without a file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino
