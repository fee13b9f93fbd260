"""Where cases stand: status, reservations, reopening, and what was inferred for whom."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Body
from fastapi.responses import Response

from brain_tumor.errors import InputError
from brain_tumor.server.http.bodies import BoundedRoute
from brain_tumor.server.http.replies import json_reply
from brain_tumor.server.http.validation import Parameter, check_object, check_params
from brain_tumor.server.routes.common import App

router = APIRouter(tags=["Work"], route_class=BoundedRoute)

JsonBody = Annotated[Any, Body()]
DEFAULT_MINUTES = 60
MAX_MINUTES = 7 * 24 * 60
MAX_RESULTS = 1000


@router.get("/cases/status", summary="Where every case stands")
def statuses(app: App) -> Response:
    """Status and reservation of every case."""
    return json_reply(app.learning.work.statuses())


@router.post("/cases/reserve", summary="Keep a case from being handed to others for a while")
def reserve(app: App, body: JsonBody = None) -> Response:
    """Reserve a case, or prolong one's own reservation; 503 while another client has it."""
    allowed = {
        "image": Parameter((str,), default=""),
        "client_id": Parameter((str,), default=""),
        "minutes": Parameter((int, float), default=DEFAULT_MINUTES),
    }
    given = check_params(check_object(body, "the body"), allowed, "the body")
    if not given["client_id"]:
        raise InputError("the body lacks client_id; a reservation needs a holder")
    if not 0 < given["minutes"] <= MAX_MINUTES:
        raise InputError(f"minutes is {given['minutes']}; expected 1-{MAX_MINUTES}")
    app.datastore().require_image(given["image"])
    state = app.learning.ledger.cases.reserve(given["image"], given["client_id"], given["minutes"])
    return json_reply({"image": given["image"], **_reservation(state)})


@router.delete("/cases/reserve", summary="Give a reservation back")
def release(app: App, image: str, client_id: str = "") -> Response:
    """Release a case; the reservation of another client stays."""
    app.datastore().require_image(image)
    if not client_id:
        raise InputError("client_id is missing; only the holder releases a case")
    released = app.learning.ledger.cases.release(image, client_id)
    return json_reply({"image": image, "released": released})


@router.post("/cases/reopen", summary="Let a labelled case be corrected again")
def reopen(app: App, body: JsonBody = None) -> Response:
    """The strategies hand it out again until somebody submits."""
    allowed = {"image": Parameter((str,), default=""), "client_id": Parameter((str, type(None)))}
    given = check_params(check_object(body, "the body"), allowed, "the body")
    app.datastore().require_image(given["image"])
    state = app.learning.ledger.cases.reopen(given["image"], given["client_id"])
    return json_reply({"image": given["image"], "reopened_at": state.reopened_at})


@router.get("/results", summary="What was inferred for whom by which version")
def results(
    app: App,
    patient: str = "",
    image: str = "",
    task: str = "",
    version: str = "",
    since: str = "",
    until: str = "",
    limit: int = 100,
) -> Response:
    """Results, newest first; patient and image also find parts."""
    if not 1 <= limit <= MAX_RESULTS:
        raise InputError(f"limit is {limit}; expected 1-{MAX_RESULTS}")
    found = app.learning.ledger.results.search(
        patient=patient,
        case_id=image,
        task=task,
        version=version,
        since=since,
        until=until,
        limit=limit,
    )
    return json_reply(found)


def _reservation(state: Any) -> dict[str, Any]:
    return {"reserved_by": state.reserved_by, "reserved_until": state.reserved_until}
