"""Labels of cases: submit, read, list and bring back versions."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, File, Form, UploadFile
from fastapi.responses import Response

from brain_tumor.cases.case_ids import check_case_id
from brain_tumor.errors import InputError, StorageError
from brain_tumor.server.datastore.history import LabelVersion
from brain_tumor.server.http.bodies import BoundedRoute
from brain_tumor.server.http.replies import FilePart, file_reply, json_reply, media_type
from brain_tumor.server.http.validation import (
    Parameter,
    check_client_id,
    check_info,
    check_params,
    check_tag,
    label_suffix,
    parse_object,
    safe_filename,
)
from brain_tumor.server.learning.labels import check_effort
from brain_tumor.server.routes.common import App, receive_file, staging_folder

router = APIRouter(prefix="/datastore", tags=["Labels"], route_class=BoundedRoute)


_MEETING = {
    "base_version": Parameter((int, type(None))),
    "image_sha256": Parameter((str, type(None))),
    "force": Parameter((bool,), default=False),
}
"""What a client may tell so that two annotators do not overwrite each other."""


@router.put("/label", summary="Submit a label as the newest version of its tag")
def save_label(
    app: App,
    image: str,
    label: Annotated[UploadFile, File()],
    params: Annotated[str, Form()] = "{}",
    tag: str = "final",
) -> Response:
    """Store a label once it passed the checks; the reply means that it is on disk."""
    info = check_info(parse_object(params, "params"), "params")
    check_client_id(info)
    check_effort(info)
    given = {key: info.pop(key) for key in _MEETING if key in info}
    told, client = check_params(given, _MEETING), info.get("client_id")
    base = told["base_version"]
    if not told["force"]:
        app.learning.check_volume(check_case_id(image), told["image_sha256"], client)
    with app.readers.reading(), staging_folder(app) as folder:
        name = safe_filename(label.filename, f"{image}.nii.gz")
        path = receive_file(label, folder / f"label{label_suffix(name)}")
        version = app.datastore().submit_label(
            check_case_id(image),
            path,
            tag or "final",
            info,
            base_version=None if told["force"] else base,
        )
    more = app.on_save_label(image, image) or {}
    return json_reply(
        {
            **more,
            "image": image,
            "label": image,
            "tag": version.tag,
            "version": version.version,
            "sha256": version.sha256,
            "warnings": _warnings(app, version, base, client),
        }
    )


def _warnings(app: App, version: LabelVersion, base: int | None, client: str | None) -> list[str]:
    """What an annotator must know about others who work on the case."""
    found = []
    if base is not None and version.version > base + 1:
        found.append(
            f"Version {version.version - 1} was submitted after the version {base} that yours "
            "started from; both are kept."
        )
    try:
        holder = app.learning.ledger.cases.state(version.image).reserved_by
    except StorageError:  # the label is stored, which the reply must say
        holder = None
    if holder not in (None, client):
        found.append(f"This case is reserved by {holder}.")
    return found


@router.get("/label", summary="Download a label")
def get_label(app: App, label: str, tag: str) -> Response:
    """Current file of a label."""
    name, content = app.datastore().read_label(label, tag)
    return file_reply(FilePart("image", name, media_type(name), content))


@router.head("/label", summary="Does a label exist?")
def has_label(app: App, tag: str, image: str = "", label: str = "") -> Response:
    """Empty reply if it does. Stock clients say `image`, as stock servers want it here."""
    app.datastore().require_label(image or label, tag)
    return json_reply({})


@router.delete("/label", summary="Take a label away; its versions are kept")
def remove_label(app: App, id: str, tag: str) -> Response:
    """Remove the current label."""
    app.datastore().remove_label(id, tag)
    return json_reply({})


@router.get("/label/info", summary="What is known about a label")
def get_label_info(app: App, label: str, tag: str) -> Response:
    """Free-form information and what the server wrote."""
    app.datastore().require_label(label, tag)
    return json_reply(app.datastore().get_label_info(label, check_tag(tag)))


@router.put("/label/info", summary="Add information to a label")
def put_label_info(app: App, label: str, tag: str, info: Annotated[str, Form()] = "{}") -> Response:
    """Merge keys; those that the server writes are refused."""
    checked = check_info(parse_object(info, "info"), "info")
    app.datastore().update_label_info(label, tag, checked)
    return json_reply({})


@router.put("/updatelabelinfo", summary="Old address of PUT /label/info", deprecated=True)
def put_label_info_as_params(
    app: App, label: str, tag: str, params: Annotated[str, Form()] = "{}"
) -> Response:
    """Same, with the older name of the field."""
    return put_label_info(app, label, tag, params)


@router.get("/label/history", summary="Every version of a label")
def label_history(app: App, label: str, tag: str = "") -> Response:
    """Versions of one tag or of all, oldest first in each tag."""
    store = app.datastore()
    store.require_image(label)
    tags = [check_tag(tag)] if tag else store.history.tags(label)
    versions: list[dict[str, Any]] = []
    for one in tags:
        current = store.get_label_info(label, one).get("version")
        versions += [
            {**version.to_json(), "current": version.version == current}
            for version in store.history.versions(label, one)
        ]
    return json_reply({"label": label, "versions": versions})


@router.get("/label/version", summary="Download one version of a label")
def label_version(app: App, label: str, tag: str, version: int) -> Response:
    """File of a version, checked against its checksum."""
    store = app.datastore()
    found = store.history.get(check_case_id(label), check_tag(tag), version)
    content = store.history.content(found)
    name = f"{label}-{tag}-{version}{found.suffix}"
    return file_reply(FilePart("image", name, media_type(name), content))


@router.post("/label/restore", summary="Bring a version back as the newest one")
def restore_label(app: App, label: str, tag: str, version: int, client_id: str = "") -> Response:
    """Nothing is overwritten: the version becomes a new one."""
    check_client_id({"client_id": client_id})
    if version < 1:
        raise InputError(f"version is {version}; expected 1 or more")
    restored = app.datastore().restore_label(label, tag, version, client_id or None)
    return json_reply(restored.to_json())
