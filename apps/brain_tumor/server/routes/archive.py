"""Studies of the DICOM archive that the server was started with."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import Response

from brain_tumor.cases.case_ids import check_case_id
from brain_tumor.errors import NotFoundError
from brain_tumor.server.archive import ArchiveCases
from brain_tumor.server.http.bodies import BoundedRoute
from brain_tumor.server.http.replies import json_reply
from brain_tumor.server.routes.common import App

router = APIRouter(prefix="/archive", tags=["Archive"], route_class=BoundedRoute)


@router.get("/", summary="Brain MR studies of the archive, and which of them are here")
def studies(app: App) -> Response:
    """Case ids, dates and counts, the newest first; nothing that names a patient."""
    held = set(app.datastore().list_images())
    listed = [
        {
            "image": case,
            "date": one.date,
            "series": one.series,
            "images": one.images,
            "fetched": case in held,
        }
        for case, one in _archive(app).listed().items()
    ]
    return json_reply({"studies": listed})


@router.post("/fetch", summary="Fetch a study of the archive; opening its case does the same")
def fetch(app: App, image: str) -> Response:
    """Import a study, whole or not at all."""
    report = _archive(app).fetch(check_case_id(image))
    if report is None:
        raise NotFoundError(f"the archive has no brain study with the case id '{image}'")
    app.datastore().refresh()
    return json_reply(report.to_json())


def _archive(app: App) -> ArchiveCases:
    if app.archive is None:
        raise NotFoundError(
            "this server has no archive",
            remedy="Start it with one: tumorlens serve --dicomweb URL.",
        )
    return app.archive
