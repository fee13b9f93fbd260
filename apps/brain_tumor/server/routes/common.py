"""What the route modules share."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, cast

from fastapi import Depends, Request, UploadFile
from fastapi.responses import FileResponse

from brain_tumor.cases.files.durable import storage_errors
from brain_tumor.server.app import ServerApp
from brain_tumor.server.http.replies import media_type

COPY_CHUNK_BYTES = 1024**2


async def server_app(request: Request) -> ServerApp:
    """The app behind the routes."""
    return cast("ServerApp", request.app.state.server)


App = Annotated[ServerApp, Depends(server_app)]


@contextmanager
def staging_folder(app: ServerApp) -> Iterator[Path]:
    """Private folder for the files of one request; gone afterwards, whatever happens.

    Raises:
        StorageError: If it cannot be made.
    """
    folder = app.staging / secrets.token_hex(12)
    with storage_errors(folder.name):
        folder.mkdir(mode=0o700)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def receive_file(upload: UploadFile, destination: Path) -> Path:
    """Write an uploaded file.

    Raises:
        StorageError: If the disk is full.
    """
    with storage_errors(destination.name), destination.open("xb") as target:
        shutil.copyfileobj(upload.file, target, COPY_CHUNK_BYTES)
    return destination


def send_file(path: Path) -> FileResponse:
    """Reply that is a file from disk."""
    return FileResponse(path, media_type=media_type(path.name), filename=path.name)
