"""Keeping an uploaded session as a case of the studies folder."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Body
from fastapi.responses import Response

from brain_tumor.cases.case_ids import check_case_id
from brain_tumor.cases.studies import ImportStatus, find_cases, import_case
from brain_tumor.cases.study_layout import PATIENT_KEY
from brain_tumor.errors import InputError, StorageError
from brain_tumor.server.http.bodies import BoundedRoute
from brain_tumor.server.http.replies import json_reply
from brain_tumor.server.http.validation import (
    STUDY_DATE_KEY,
    Parameter,
    check_info,
    check_object,
    check_params,
)
from brain_tumor.server.routes.common import App

router = APIRouter(tags=["Cases"], route_class=BoundedRoute)

JsonBody = Annotated[Any, Body()]


@router.post("/cases/import", summary="Keep an uploaded session as a case")
def import_session(app: App, body: JsonBody = None) -> Response:
    """Store all sequences of a session under a case id; the session goes.

    Raises:
        InputError: If the session holds no case or several, or the id is taken by another case.
    """
    allowed = {
        "session_id": Parameter((str,), default=""),
        "image": Parameter((str,), default=""),
        "patient": Parameter((str,), default=""),
        STUDY_DATE_KEY: Parameter((str,), default=""),
        "client_id": Parameter((str, type(None))),
    }
    given = check_params(check_object(body, "the body"), allowed, "the body")
    told = {key: given[key] for key in (PATIENT_KEY, STUDY_DATE_KEY) if given[key]}
    info = check_info(told, "the body")
    session = app.sessions().require(given["session_id"])
    found = find_cases(Path(session.image))
    if len(found) != 1:
        raise InputError(
            f"the upload holds {len(found)} cases; expected one",
            remedy="Upload one study at a time, or import them with tumorlens import.",
        )
    one = found[0]
    if one.source is None:
        raise one.error or InputError("the upload holds no sequence")
    if given["image"]:
        source = replace(one.source, case_id=check_case_id(given["image"]))
        one = replace(one, source=source)
    report = import_case(one, app.datastore().root)
    if report.status is ImportStatus.REFUSED:
        raise InputError(report.message, remedy=report.remedy)
    app.datastore().refresh()
    if info:
        app.learning.check_patient(
            report.case_id, info, app.datastore().require_image(report.case_id)
        )
        try:
            app.datastore().update_image_info(report.case_id, info)
        except StorageError as error:
            raise StorageError(
                f"case '{report.case_id}' is imported, but not its patient: {error.message}",
                remedy="Free disk space and import it again; what is there already stays.",
            ) from error
    app.sessions().remove_session(given["session_id"])
    return json_reply(
        {
            "image": report.case_id,
            "status": report.status.value,
            "sequences": [s.value for s in report.sequences],
            "warnings": list(report.warnings),
        }
    )
