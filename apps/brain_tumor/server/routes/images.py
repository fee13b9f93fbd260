"""Cases of the studies folder."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, File, Form, UploadFile
from fastapi.responses import FileResponse, Response
from starlette.types import Receive, Scope, Send

from brain_tumor.cases.case_ids import check_case_id
from brain_tumor.errors import InputError, NotFoundError
from brain_tumor.server.archive import ArchiveCases
from brain_tumor.server.http.bodies import BoundedRoute
from brain_tumor.server.http.replies import json_reply
from brain_tumor.server.http.validation import (
    check_client_id,
    check_info,
    parse_object,
    safe_filename,
    volume_suffix,
)
from brain_tumor.server.routes.common import App, receive_file, send_file, staging_folder

router = APIRouter(prefix="/datastore", tags=["Cases"], route_class=BoundedRoute)

LISTINGS = ("stats", "all", "train")
CHECKSUMS = ("sha256", "sha512", "md5")
MAX_CASES = 100_000


@router.get("/", summary="What the studies folder holds")
def datastore(app: App, output: str = "stats") -> Response:
    """Counts (`stats`), the whole index (`all`) or image and label pairs (`train`)."""
    if output not in LISTINGS:
        raise InputError(f"output is {output!r:.40}; expected one of {list(LISTINGS)}")
    store = app.datastore()
    content = {"stats": store.status, "all": store.json, "train": store.datalist}[output]()
    if output == "all" and app.archive is not None:
        content["objects"] = _of_archive(app.archive) | content["objects"]
    return json_reply(content)


def _of_archive(archive: ArchiveCases) -> dict[str, Any]:
    """Studies of the archive in the form of the index; they are fetched when they are opened."""
    return {
        case: {
            "image": {"ext": ".nii.gz", "info": {"archive": True, "date": one.date}},
            "labels": {},
        }
        for case, one in archive.listed_if_there().items()
    }


@router.put("/", summary="Old address of PUT /datastore/image", deprecated=True)
@router.put("/image", summary="Add a volume as a new case")
def add_image(
    app: App,
    file: Annotated[UploadFile, File()],
    image: str = "",
    params: Annotated[str, Form()] = "{}",
) -> Response:
    """Store a volume that can be read; an id that is taken by another volume is refused."""
    info = check_info(parse_object(params, "params"), "params")
    check_client_id(info)
    name = safe_filename(file.filename, "volume.nii.gz")
    suffix = volume_suffix(name)
    case = check_case_id(image or name[: -len(suffix)])
    with app.readers.reading(), staging_folder(app) as folder:
        path = receive_file(file, folder / f"image{suffix}")
        app.learning.check_patient(case, info, path)
        return json_reply({"image": app.datastore().add_image(case, str(path), info)})


@router.delete("/", summary="Old address of DELETE /datastore/image", deprecated=True)
@router.delete("/image", summary="Take a case out; its labels stay in the history")
def remove_image(app: App, id: str) -> Response:
    """Move the volume to `removed/`."""
    app.datastore().remove_image(id)
    return json_reply({})


@router.head("/image", summary="Does a case exist, with this checksum?")
def has_image(app: App, image: str, check_sum: str = "") -> Response:
    """Empty reply if it does."""
    path = app.datastore().require_image(image)
    if check_sum:
        algorithm, _, digest = check_sum.lower().rpartition(":")
        if (algorithm := algorithm or "sha256") not in CHECKSUMS:
            raise InputError(f"checksum is {algorithm!r:.20}; expected one of {list(CHECKSUMS)}")
        with path.open("rb") as stream:
            if hashlib.file_digest(stream, algorithm).hexdigest() != digest:
                raise NotFoundError(f"case '{image}' has another checksum")
    return json_reply({})


@router.get("/image", summary="Download a case's reference volume")
def get_image(app: App, image: str) -> Response:
    """The file as it is stored."""
    return send_file(app.datastore().require_image(image))


@router.get("/image/info", summary="What is known about a case")
def get_image_info(app: App, image: str) -> Response:
    """Free-form information and what the server wrote."""
    app.datastore().require_image(image)
    return json_reply(app.datastore().get_image_info(image))


@router.put("/image/info", summary="Add information to a case")
def put_image_info(app: App, image: str, info: Annotated[str, Form()] = "{}") -> Response:
    """Merge keys; those that the server writes are refused, and a patient that is told too late."""
    checked = check_info(parse_object(info, "info"), "info")
    app.learning.check_patient(image, checked, app.datastore().require_image(image))
    app.datastore().update_image_info(image, checked)
    return json_reply({})


@router.get("/dataset", summary="Download labelled cases as a zip archive")
def dataset(app: App, limit_cases: int = 0) -> Response:
    """Archive of images, final labels and the index."""
    if not 0 <= limit_cases <= MAX_CASES:
        raise InputError(f"limit_cases is {limit_cases}; expected 0-{MAX_CASES}")
    path = Path(app.datastore().get_dataset_archive(limit_cases or None))
    return _PassingFile(path, media_type="application/zip", filename="dataset.zip")


class _PassingFile(FileResponse):
    """File that goes once it was sent, or once that failed."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            Path(self.path).unlink(missing_ok=True)
