"""Two dates of one patient beside each other."""

from __future__ import annotations

import numpy as np
from fastapi import APIRouter
from fastapi.responses import Response

from brain_tumor.cases.files.writers import encode_labelmap, encode_volume
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import InputError
from brain_tumor.labels import Region
from brain_tumor.server.app import ServerApp
from brain_tumor.server.http.bodies import BoundedRoute
from brain_tumor.server.http.replies import (
    FilePart,
    file_reply,
    json_reply,
    media_type,
    multipart_reply,
)
from brain_tumor.server.routes.common import App
from brain_tumor.server.tasks.follow_up import FollowUp

router = APIRouter(prefix="/follow_up", tags=["Follow-up"], route_class=BoundedRoute)


@router.get("/measures", summary="Volumes and diameters of one date")
def measures(app: App, image: str) -> Response:
    """Of the submitted label, else of the model's outline; with a second reading of the scan."""
    return json_reply(_of(app).measures(image))


@router.get("/changes", summary="What grew, what is new and what is gone between two dates")
def changes(app: App, earlier: str, later: str, region: str = Region.TC.value) -> Response:
    """JSON of every region and, as the part `changes`, the map of one on the later grid.

    Raises:
        InputError: If the region is none.
    """
    if region not in list(Region):
        known = [r.value for r in Region]
        raise InputError(f"region is {region!r:.20}; expected one of {known}")
    follow_up = _of(app)
    found = follow_up.compare(earlier, later)
    change = found.changes.get(Region(region))
    if change is None:
        return json_reply(found.to_json())
    affine = follow_up.reading(later).case.affine
    content = encode_labelmap(change.labels, affine)
    part = FilePart("changes", "changes.nii.gz", media_type("changes.nii.gz"), content)
    return multipart_reply(found.to_json(), [part])


@router.get("/volume", summary="A sequence of the earlier date on the grid of the later one")
def volume(app: App, earlier: str, later: str, sequence: str) -> Response:
    """NIfTI file, moved onto the later head.

    Raises:
        NotFoundError: If the earlier date lacks the sequence.
    """
    array, now = _of(app).moved_volume(earlier, later, sequence)
    content = encode_volume(Volume(array, now.affine))
    return file_reply(FilePart(sequence, "earlier.nii.gz", media_type("x.gz"), content))


@router.get("/label", summary="The outline of the earlier date on the grid of the later one")
def label(app: App, earlier: str, later: str) -> Response:
    """NIfTI file, moved onto the later head."""
    follow_up = _of(app)
    values = follow_up.moved_label(earlier, later)
    affine = follow_up.reading(later).case.affine
    content = encode_labelmap(values.astype(np.uint8), affine)
    return file_reply(FilePart("label", "earlier.nii.gz", media_type("x.gz"), content))


@router.get("/outline", summary="The outline of one date that is compared")
def outline(app: App, image: str) -> Response:
    """NIfTI file of the submitted label, else of the model's outline."""
    reading = _of(app).reading(image)
    content = encode_labelmap(reading.labelmap, reading.case.affine)
    return file_reply(FilePart("label", "outline.nii.gz", media_type("x.gz"), content))


def _of(app: ServerApp) -> FollowUp:
    return FollowUp(app.datastore(), app.infer_task("segmentation"), app.services)
