"""Sessions: volumes that a visitor uploads for a while, never stored with the cases."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, UploadFile
from fastapi.responses import Response
from monailabel.utils.sessions import SessionInfo

from brain_tumor.errors import InputError
from brain_tumor.server.datastore.archives import is_archive
from brain_tumor.server.http.bodies import MAX_FILES, BoundedRoute
from brain_tumor.server.http.replies import json_reply
from brain_tumor.server.http.validation import safe_filename
from brain_tumor.server.routes.common import App, receive_file, send_file

router = APIRouter(prefix="/session", tags=["Sessions"], route_class=BoundedRoute)


@router.put("/", summary="Upload one volume, several sequences or an archive of them")
def create_session(
    app: App,
    files: Annotated[list[UploadFile], File()],
    uncompress: bool = False,
    expiry: int = 0,
) -> Response:
    """Open a session. Sequences are recognised by their file names."""
    if len(files) > MAX_FILES:
        raise InputError(
            f"{len(files)} files; expected at most {MAX_FILES}",
            remedy="Send them as one zip archive.",
        )
    if expiry < 0:
        raise InputError(f"expiry is {expiry}; expected seconds")
    names = [safe_filename(upload.filename, f"volume-{i}") for i, upload in enumerate(files)]
    if len(set(names)) < len(names):
        raise InputError("two files of the upload have the same name; expected different names")
    session_id, folder = app.sessions().open_upload()
    try:
        paths = [receive_file(f, folder / name) for f, name in zip(files, names, strict=True)]
        archive = uncompress or (len(names) == 1 and is_archive(names[0]))
        with app.readers.reading():
            info = app.sessions().complete(
                session_id,
                paths,
                expiry_s=expiry,
                archive=archive,
                max_bytes=app.limits.max_unpacked_bytes,
            )
    except BaseException:
        app.sessions().remove_session(session_id)
        raise
    return json_reply({"session_id": session_id, "session_info": _public(info)})


@router.get("/{session_id}", summary="Is a session still there?")
def get_session(
    app: App, session_id: str, update_ts: bool = False, image: bool = False
) -> Response:
    """Description of a session, or its volume."""
    info = app.sessions().require(session_id, update_ts=update_ts)
    if not image:
        return json_reply(_public(info))
    path = Path(info.image)
    if path.is_dir():
        raise InputError(f"session '{session_id}' holds several files; it has no one image")
    return send_file(path)


@router.delete("/{session_id}", summary="Remove a session and its files")
def remove_session(app: App, session_id: str) -> Response:
    """Remove it now rather than when it expires."""
    info = app.sessions().require(session_id)
    app.sessions().remove_session(session_id)
    return json_reply(_public(info))


def _public(info: SessionInfo) -> dict[str, Any]:
    """Description of a session without the server's folders."""
    return {**info.to_json(), "path": "", "image": Path(info.image).name}
