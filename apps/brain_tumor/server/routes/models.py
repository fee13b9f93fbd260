"""Versions of the models: list, judge, promote, roll back."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body
from fastapi.responses import HTMLResponse, Response

from brain_tumor.errors import InputError, NotFoundError, StorageError
from brain_tumor.learning.gate.promotion import promote_if_accepted
from brain_tumor.learning.gate.report import gate_page
from brain_tumor.learning.registry.registry import VersionRecord, check_version
from brain_tumor.server.http.bodies import BoundedRoute
from brain_tumor.server.http.replies import json_reply
from brain_tumor.server.http.validation import Parameter, check_name, check_object, check_params
from brain_tumor.server.routes.common import App

router = APIRouter(prefix="/models", tags=["Models"], route_class=BoundedRoute)

JsonBody = Annotated[Any, Body()]
FORMATS = ("json", "html")
_CLIENT = {"client_id": Parameter((str, type(None)))}


@router.get("", summary="Every version of every model")
def models(app: App) -> Response:
    """Active version and all versions with checksum, parent, metrics and state."""
    registry = app.registry
    found = {}
    for name in registry.names():
        versions = registry.versions(name)
        active = registry.active_record(name).version
        found[name] = {"active": active, "versions": [v.to_json() for v in versions]}
    return json_reply(found)


@router.get("/{name}/report", summary="What the promotion gate said about a version")
def report(app: App, name: str, version: str, format: str = "json") -> Response:
    """Report as JSON, or as a page."""
    if format not in FORMATS:
        raise InputError(f"format is {format!r:.20}; expected one of {list(FORMATS)}")
    found = _decision(app, check_name(name, "model"), version)
    return HTMLResponse(gate_page(found)) if format == "html" else json_reply(found)


@router.post("/{name}/promote", summary="Make a version the active one, if the gate let it pass")
def promote(app: App, name: str, body: JsonBody = None) -> Response:
    """Switch; with `dry_run` only tell what the gate said."""
    allowed = {
        "version": Parameter((str,), default=""),
        "dry_run": Parameter((bool,), default=False),
        **_CLIENT,
    }
    given = check_params(check_object(body, "the body"), allowed, "the body")
    version = check_version(given["version"])
    if given["dry_run"]:
        return json_reply({**_decision(app, check_name(name, "model"), version), "dry_run": True})
    by = given["client_id"] or "HTTP"
    record = promote_if_accepted(app.registry, check_name(name, "model"), version, by=by)
    _note(app, record, "promoted", by)
    return json_reply({"name": name, "active": version, **record.to_json()})


@router.post("/{name}/rollback", summary="Go back to an earlier version")
def rollback(app: App, name: str, body: JsonBody = None) -> Response:
    """Back to the version before the active one, or to the one that is named."""
    allowed = {"version": Parameter((str, type(None))), **_CLIENT}
    given = check_params(check_object(body, "the body"), allowed, "the body")
    version = check_version(given["version"]) if given["version"] else None
    by = given["client_id"] or "HTTP"
    record = app.registry.rollback(check_name(name, "model"), version, by=by)
    _note(app, record, "rolled back", by)
    return json_reply({"name": name, "active": record.version, **record.to_json()})


def _note(app: App, record: VersionRecord, event: str, by: str) -> None:
    """Write a switch down in the ledger.

    Raises:
        StorageError: If the ledger cannot take it; the switch itself is made.
    """
    detail = {"sha256": record.sha256}
    try:
        app.learning.ledger.note_model(record.name, record.version, event, by, detail)
    except StorageError as error:
        raise StorageError(
            f"{record.name} {record.version} is active now, but that is not in the ledger: "
            f"{error.message}",
            remedy="Free disk space; do not switch again, the version is in use.",
        ) from error


def _decision(app: App, name: str, version: str) -> dict[str, Any]:
    """What the gate said.

    Raises:
        NotFoundError: If there is no such version, or the gate has not judged it.
    """
    app.registry.get(name, check_version(version))
    found = app.registry.decision(name, version)
    if found is None:
        raise NotFoundError(
            f"{name} {version} was never judged by the gate",
            remedy="Every training ends with the gate; shipped versions need none.",
        )
    return found
