"""The index of a studies folder (`datastore_v2.json`): changed as a whole, or not at all."""

from __future__ import annotations

import json
import logging
import os
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from monailabel.datastore.local import DataModel, LocalDatastoreModel

from brain_tumor.cases.case_ids import check_case_id
from brain_tumor.cases.durable import storage_errors
from brain_tumor.cases.study_layout import INDEX_NAME
from brain_tumor.errors import BusyError, InputError
from brain_tumor.server.atomic import FileBatch, file_batch
from brain_tumor.server.history import LabelVersion
from brain_tumor.server.validation import VOLUME_SUFFIXES, check_tag

logger = logging.getLogger(__name__)

CONFIG = INDEX_NAME
BACKUP = f"{INDEX_NAME}.bak"
LABELS_FOLDER = "labels"
STOCK_LOCK = ".lock"
LOCK_PATIENCE_S = 30.0


@dataclass
class Change:
    """What a transaction works on.

    Attributes:
        root: Studies folder.
        index: Copy of the index, free to change.
        batch: Files that change before the index does.
        after: Files that are removed once the index is durable.
    """

    root: Path
    index: LocalDatastoreModel
    batch: FileBatch
    after: list[Path] = field(default_factory=list)

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
        labels = self.index.objects[version.image].labels
        labels[version.tag] = DataModel(ext=suffix, info=info)


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
        self._current = LocalDatastoreModel(
            name="studies", description="TumorLens studies", images_dir=".", base_path=str(root)
        )

    @property
    def current(self) -> LocalDatastoreModel:
        """The index as last loaded or committed; not to be changed."""
        return self._current

    def load(self) -> None:
        """Read the index if it changed on disk; fall back to the backup, then to an empty one.

        A damaged index is kept beside under another name. Once loaded, the copy in memory is the
        truth until a sound file replaces it.

        Raises:
            StorageError: If the folder cannot be read.
        """
        with self.mutex, storage_errors(self._config.name):
            stamp = _stamp(self._config)
            if stamp == self._stamp and self._is_loaded:
                return
            index = _read(self._config, self._root)
            if index is None and stamp is not None:
                aside = self._config.with_suffix(f".damaged-{time.time_ns()}.json")
                logger.error("%s is damaged; kept as %s and recovered", CONFIG, aside.name)
                self._config.replace(aside)
                stamp = None
            if index is None and not self._is_loaded:
                index = _read(self._backup, self._root)
            if index is not None:
                self._current = index
            self._stamp, self._is_loaded = stamp, True

    def ensure_on_disk(self) -> None:
        """Write the index if there is none, or if it had to be recovered.

        Raises:
            StorageError: If it cannot be written.
        """
        if _stamp(self._config) is None:
            with self.transaction():
                pass

    @contextmanager
    def transaction(self) -> Iterator[Change]:
        """Change the index and files together, for one thread of one process at a time.

        Raises:
            StorageError: If something cannot be stored; nothing changed if the disk is full.
            BusyError: If another process holds the lock for too long.
        """
        with self.mutex, self._between_processes(), file_batch() as batch:
            self.load()
            change = Change(self._root, self._current.model_copy(deep=True), batch)
            yield change
            content = encode(change.index)
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


def encode(index: LocalDatastoreModel) -> bytes:
    """Index as it stands on disk."""
    plain: dict[str, Any] = index.model_dump(exclude={"base_path"})
    return json.dumps(plain, indent=2, default=str).encode()


def label_files(folder: Path, image: str, *, without: str = "") -> list[Path]:
    """Files of an image in a tag's folder, except the one with a given suffix."""
    paths = (folder / f"{image}{suffix}" for suffix in VOLUME_SUFFIXES if suffix != without)
    return [path for path in paths if os.path.lexists(path)]


def _stamp(path: Path) -> tuple[int, ...] | None:
    """What changes when a file is replaced or written; None without a file."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _read(path: Path, root: Path) -> LocalDatastoreModel | None:
    """Index from disk without entries that lead out of the folder; None if it is damaged."""
    try:
        index = LocalDatastoreModel.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValueError):
        return None
    index.base_path, index.images_dir, index.labels_dir = str(root), ".", LABELS_FOLDER
    for image in list(index.objects):
        case = index.objects[image]
        try:
            check_case_id(image)
            for tag in case.labels:
                check_tag(tag)
            suffixes = {case.image.ext, *(label.ext for label in case.labels.values())}
            sound = suffixes <= set(VOLUME_SUFFIXES)
        except InputError:
            sound = False
        if not sound:
            logger.error("dropped an entry of %s that is no case of this folder", path.name)
            del index.objects[image]
    return index
