"""What the table of cases shows, and the volumes that the viewer draws."""

from __future__ import annotations

import io
from functools import lru_cache
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from fastapi import APIRouter
from fastapi.responses import Response
from PIL import Image

from brain_tumor.cases.case_ids import check_case_id
from brain_tumor.cases.files.readers import read_labelmap, read_volume
from brain_tumor.cases.files.writers import encode_labelmap, encode_volume
from brain_tumor.cases.sequences import Sequence, recognise_sequence
from brain_tumor.cases.study_layout import PATIENT_KEY, find_siblings, read_record
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import NotFoundError, TumorLensError
from brain_tumor.server.app import ServerApp
from brain_tumor.server.http.bodies import BoundedRoute
from brain_tumor.server.http.replies import FilePart, file_reply, json_reply, media_type
from brain_tumor.server.http.validation import STUDY_DATE_KEY, check_tag
from brain_tumor.server.routes.common import App, send_file, staging_folder
from brain_tumor.server.tasks.base import CaseInput
from brain_tumor.server.tasks.inputs import session_input, stored_input

router = APIRouter(tags=["Cases"], route_class=BoundedRoute)

THUMBNAIL_PIXELS = 96
MAX_PICTURE_PIXELS = 4096


@router.get("/cases/overview", summary="Everything that a table of the cases shows")
def overview(app: App) -> Response:
    """Per case: patient, sequences, status, tags of its labels, and its newest result."""
    store = app.datastore()
    newest = app.learning.ledger.results.newest_summaries()
    rows = []
    for status in app.learning.work.statuses():
        case = status["id"]
        result = newest.get(case)
        info = store.get_image_info(case)
        patient = info.get(PATIENT_KEY) or (result or {}).get("patient") or case
        reference, siblings = _sequences(store.root, case)
        names = [s.value for s in Sequence if s == reference or s in siblings]
        rows.append(
            {
                **status,
                "patient": patient,
                "study_date": info.get(STUDY_DATE_KEY) or None,
                "reference": reference.value,
                "sequences": names,
                "labels": sorted(store.get_labels_by_image_id(case)),
                "result": result,
            }
        )
    return json_reply(rows)


@router.get("/cases/sequences", summary="Sequences of a case or a session, on one grid")
def sequences(app: App, image: str = "", session_id: str = "") -> Response:
    """Which sequences there are, which is the reference, how the others fit, what was doubtful."""
    with app.readers.reading():
        loaded = app.infer_task("segmentation").load(_input(app, image, session_id))
    return json_reply(
        {
            "reference": loaded.case.reference.value,
            "sequences": [s.value for s in loaded.case.present],
            "missing": [s.value for s in loaded.case.missing],
            "registration": [fit.to_json() for fit in loaded.fits],
            "warnings": list(loaded.warnings),
        }
    )


@router.get("/cases/volume", summary="A sequence of a case or a session on the reference grid")
def volume(app: App, sequence: str, image: str = "", session_id: str = "") -> Response:
    """NIfTI file; the stored one where that lies on the reference grid as it is.

    Raises:
        NotFoundError: If the case lacks the sequence.
    """
    if image and not session_id:
        path = _as_stored(app, image, sequence)
        if path is not None:
            return send_file(path)
    with app.readers.reading():
        case = app.infer_task("segmentation").load(_input(app, image, session_id)).case
        found = next((v for s, v in case.volumes.items() if s.value == sequence), None)
        if found is None:
            raise NotFoundError(f"this case has no {sequence!r:.20}; it has {_names(case.present)}")
        content = encode_volume(found)
    name = f"{sequence}.nii.gz"
    return file_reply(FilePart(sequence, name, media_type(name), content))


@router.get("/cases/label", summary="A label of a case as NIfTI, however it was submitted")
def label(app: App, image: str, tag: str = "final", version: int = 0) -> Response:
    """Current label or one of its versions; voxels and grid are those of the stored file."""
    store = app.datastore()
    if version:
        found = store.history.get(check_case_id(image), check_tag(tag), version)
        with app.readers.reading(), staging_folder(app) as folder:
            path = folder / f"label{found.suffix}"
            path.write_bytes(store.history.content(found))
            content = encode_labelmap(*read_labelmap(path))
    else:
        path = store.require_label(image, tag)
        with app.readers.reading():
            content = encode_labelmap(*read_labelmap(path))
    return file_reply(FilePart("label", "label.nii.gz", media_type("label.nii.gz"), content))


@router.get("/cases/thumbnail", summary="A small picture of a case")
def thumbnail(app: App, image: str) -> Response:
    """PNG of the middle axial slice of the reference volume."""
    path = app.datastore().require_image(image)
    with app.readers.reading():
        content = _picture(path, path.stat().st_mtime_ns)
    headers = {"Cache-Control": "private, max-age=3600"}
    return Response(content, media_type="image/png", headers=headers)


def axial_picture(volume: Volume) -> Image.Image:
    """Middle axial slice, as radiologists look at it: the patient's right is on the left.

    Example:
        >>> array = np.zeros((10, 20, 5), dtype=np.float32)
        >>> array[0, 0] = 1.0  # at the patient's right, behind
        >>> affine = np.diag([-1.0, 1.0, 1.0, 1.0])
        >>> picture = axial_picture(Volume(array, affine))
        >>> picture.size, picture.getpixel((0, 19)), picture.getpixel((9, 19))
        ((10, 20), 255, 0)
    """
    image = nib.Nifti1Image(volume.array, volume.affine)  # type: ignore[no-untyped-call]
    turned = nib.as_closest_canonical(image)  # type: ignore[no-untyped-call]
    array = np.asarray(turned.dataobj)
    plane = array[:, :, array.shape[2] // 2].astype(np.float32)
    inside = plane[plane > plane.min()]
    low, high = (plane.min(), np.percentile(inside, 99.5)) if inside.size else (0.0, 1.0)
    grey = np.clip((plane - low) / max(high - low, 1e-6), 0.0, 1.0) * 255
    picture = Image.fromarray(np.ascontiguousarray(grey.T[::-1, ::-1]).astype(np.uint8))
    zooms = turned.header.get_zooms()
    height = round(plane.shape[1] * float(zooms[1] / zooms[0]))
    return picture.resize((plane.shape[0], min(max(1, height), MAX_PICTURE_PIXELS)))


@lru_cache(maxsize=256)
def _picture(path: Path, _changed_ns: int) -> bytes:
    """PNG of a volume, made again when the file changes."""
    picture = axial_picture(read_volume(path))
    picture.thumbnail((THUMBNAIL_PIXELS, THUMBNAIL_PIXELS))
    content = io.BytesIO()
    picture.save(content, "PNG")
    return content.getvalue()


def _input(app: ServerApp, image: str, session_id: str) -> CaseInput:
    """Case of a request."""
    if session_id:
        return session_input(app.sessions().require(session_id))
    return stored_input(app.datastore(), image)


def _sequences(studies: Path, case: str) -> tuple[Sequence, dict[Sequence, Path]]:
    """Reference sequence and siblings; a damaged record is told when the case is opened."""
    try:
        record = read_record(studies, case)
    except TumorLensError:
        record = None
    named = record.reference if record else recognise_sequence(case)
    return named or Sequence.T1C, find_siblings(studies, case)


def _as_stored(app: ServerApp, image: str, sequence: str) -> Path | None:
    """File of the reference if it is that which is asked for, and one that the viewer reads.

    Others come on the grid of the reference, and registered to it.
    """
    path = app.datastore().require_image(image)
    reference, _ = _sequences(app.datastore().root, image)
    is_nifti = path.name.endswith((".nii", ".nii.gz"))
    if sequence != reference.value or not is_nifti:
        return None
    return path if len(nib.Nifti1Image.from_filename(path).shape) == 3 else None


def _names(found: tuple[Any, ...]) -> str:
    return ", ".join(s.value for s in found)
