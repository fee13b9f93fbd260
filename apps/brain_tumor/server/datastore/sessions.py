"""Volumes that visitors upload for a while: private, expiring, and safe to clean up."""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import threading
import time
import uuid
from collections.abc import Sequence as Items
from pathlib import Path

from monailabel.utils.sessions import SessionInfo, Sessions

from brain_tumor.cases.files.durable import (
    make_folder,
    remove_leftovers,
    storage_errors,
    write_durably,
)
from brain_tumor.errors import InputError, NotFoundError, StorageError
from brain_tumor.server.datastore.archives import unpack
from brain_tumor.server.http.validation import check_session_id

logger = logging.getLogger(__name__)

META_FILE = "meta.info"
UPLOAD_FOLDER = "upload"
DEFAULT_EXPIRY_S = 3600
ABANDONED_S = 600
PRIVATE = 0o700


class StudySessions(Sessions):  # type: ignore[misc]
    """Sessions of MONAI Label on disk, without its faults.

    A session is `<folder>/<uuid>/` with `meta.info` and `upload/`. A folder without a readable
    `meta.info` is an upload that was cut off; it is removed once it is old.

    Args:
        folder: Where sessions live; made private to the server's user.
        expiry_s: Seconds after the last use when a session is removed, at most.
    """

    def __init__(self, folder: Path, expiry_s: int = DEFAULT_EXPIRY_S) -> None:
        super().__init__(str(folder), expiry_s)
        self._folder = folder
        self._mutex = threading.RLock()
        with storage_errors(folder.name):
            make_folder(folder, PRIVATE)
            folder.chmod(PRIVATE)

    @property
    def folder(self) -> Path:
        """Where sessions live."""
        return self._folder

    def __bool__(self) -> bool:
        """True, although a dict of no sessions would be false and is never cleaned then."""
        return True

    def open_upload(self) -> tuple[str, Path]:
        """New session id and the folder that its files go to."""
        session_id = str(uuid.uuid4())
        upload = self._folder / session_id / UPLOAD_FOLDER
        with storage_errors(upload.name):
            upload.parent.mkdir(mode=PRIVATE)
            upload.mkdir(mode=PRIVATE)
        return session_id, upload

    def complete(
        self,
        session_id: str,
        files: Items[Path],
        *,
        expiry_s: int = 0,
        archive: bool = False,
        max_bytes: int,
    ) -> SessionInfo:
        """Turn received files into a session.

        Args:
            session_id: Id from `open_upload`.
            files: Files inside the upload folder.
            expiry_s: Seconds to live after the last use; 0 takes the server's.
            archive: Whether the one file is an archive to unpack.
            max_bytes: Upper bound of unpacked bytes.

        Returns:
            The session; `image` is the one file, or the folder of several.

        Raises:
            InputError: If there is no file, or several where an archive was announced.
            FileFormatError: If the archive cannot be read.
        """
        if not files:
            raise InputError("session has no files; expected one volume or several sequences")
        upload = files[0].parent
        if archive:
            if len(files) > 1:
                raise InputError(f"{len(files)} files with uncompress; expected one archive")
            unpacked = upload.with_name("unpacked")
            with storage_errors(unpacked.name):
                unpacked.mkdir(mode=PRIVATE)
            files = unpack(files[0], unpacked, max_bytes=max_bytes)
            shutil.rmtree(upload, ignore_errors=True)
            upload = unpacked
        image = files[0] if len(files) == 1 else _innermost(upload)
        now = int(time.time())
        allowed = min(expiry_s, self.expiry) if expiry_s > 0 else self.expiry
        info = SessionInfo(
            {
                "name": session_id,
                "path": str(self._folder / session_id),
                "image": str(image),
                "meta": {},
                "create_ts": now,
                "last_access_ts": now,
                "expiry": allowed,
            }
        )
        with self._mutex:
            self._write_meta_info(session_id, info)
            self[session_id] = info
        return info

    def get_session(
        self, session_id: str, update_ts: bool = True, fetch_cache: bool = True
    ) -> SessionInfo | None:
        """Session, or None if there is none of that id or it is torn.

        Raises:
            InputError: If the id is no session id.
        """
        check_session_id(session_id)
        with self._mutex:
            info = self.get(session_id) if fetch_cache else None
            info = info or self._read(session_id)
            if info is None or not Path(info.image).exists():
                self.pop(session_id, None)
                return None
            if update_ts:
                info.last_access_ts = int(time.time())
                try:
                    self._write_meta_info(session_id, info)
                except StorageError:  # a full disk keeps nobody from reading
                    logger.warning("could not note the use of a session", exc_info=True)
            self[session_id] = info
            return info

    def require(self, session_id: str, *, update_ts: bool = True) -> SessionInfo:
        """Session of an id.

        Raises:
            InputError: If the id is no session id.
            NotFoundError: If there is no such session (any more).
        """
        info = self.get_session(session_id, update_ts=update_ts)
        if info is None:
            raise NotFoundError(
                f"no session '{session_id}'; it expired or was removed",
                remedy="Upload the volume again (PUT /session/).",
            )
        return info

    def remove_session(self, session_id: str) -> None:
        """Remove a session and its files.

        Raises:
            InputError: If the id is no session id.
        """
        check_session_id(session_id)
        with self._mutex:
            self.pop(session_id, None)
            shutil.rmtree(self._folder / session_id, ignore_errors=True)

    def recover(self) -> None:
        """Remove the uploads that a killed server did not finish; for a folder of its own."""
        with self._mutex:
            for folder in sorted(self._folder.iterdir()) if self._folder.is_dir() else []:
                with contextlib.suppress(InputError):
                    if self._read(check_session_id(folder.name)) is None:
                        self.remove_session(folder.name)
                    else:
                        remove_leftovers(folder)

    def remove_expired(self) -> int:
        """Remove what is past its time, and old torn uploads; never raises for one bad folder.

        Returns:
            How many sessions went.
        """
        removed = 0
        now = time.time()
        with self._mutex:
            for folder in sorted(self._folder.iterdir()) if self._folder.is_dir() else []:
                try:
                    session_id = check_session_id(folder.name)
                    info = self._read(session_id)
                    last_s = info.last_access_ts if info else folder.stat().st_mtime
                    if now - last_s > (info.expiry if info else ABANDONED_S):
                        self.remove_session(session_id)
                        removed += 1
                except (InputError, OSError):
                    logger.warning("left an unknown entry in the sessions folder alone")
        return removed

    def _read(self, session_id: str) -> SessionInfo | None:
        """Session from disk; None if its description is missing, torn or points elsewhere."""
        folder = self._folder / session_id
        try:
            content = json.loads((folder / META_FILE).read_text(encoding="utf-8"))
            info = SessionInfo(content)
            inside = Path(info.image).resolve().is_relative_to(folder.resolve())
            numbers = (info.last_access_ts, info.expiry)
            return info if inside and all(isinstance(n, int) for n in numbers) else None
        except (OSError, ValueError, TypeError, AttributeError):
            return None

    def _write_meta_info(self, session_id: str, session_info: SessionInfo) -> None:
        """Store the description durably."""
        path = self._folder / session_id / META_FILE
        write_durably(path, session_info.to_str().encode())


def _innermost(folder: Path) -> Path:
    """Folder that holds the files, below any chain of single folders."""
    children = list(folder.iterdir())
    while len(children) == 1 and children[0].is_dir():
        folder = children[0]
        children = list(folder.iterdir())
    return folder
