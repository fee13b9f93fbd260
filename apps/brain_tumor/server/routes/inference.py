"""POST /infer/{model}: several files in one reply, in a thread, a bounded number at once."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, File, Form, UploadFile
from fastapi.responses import Response

from brain_tumor.cases.case_ids import check_case_id
from brain_tumor.errors import InputError, NotFoundError
from brain_tumor.server.app import ServerApp
from brain_tumor.server.http.bodies import BoundedRoute
from brain_tumor.server.http.replies import file_reply, json_reply, multipart_reply
from brain_tumor.server.http.validation import (
    DICOM_SUFFIX,
    check_name,
    check_tag,
    label_suffix,
    parse_object,
    safe_filename,
)
from brain_tumor.server.routes.common import App, receive_file, staging_folder
from brain_tumor.server.tasks.base import LabelInput, TaskReply
from brain_tumor.server.tasks.inputs import (
    session_input,
    stored_input,
    stored_label,
    take_told,
    uploaded_input,
    uploaded_label,
)
from brain_tumor.server.tasks.refine import PROPOSAL

router = APIRouter(tags=["Inference"], route_class=BoundedRoute)

DICOM_SEG = "dicom_seg"
OUTPUTS = ("all", "json", "image", DICOM_SEG)


@router.post("/infer/{model}", summary="Run a model on a case, a session or an uploaded volume")
def infer(
    app: App,
    model: str,
    image: str = "",
    session_id: str = "",
    output: str = "all",
    params: Annotated[str, Form()] = "{}",
    file: Annotated[UploadFile | None, File()] = None,
    label: Annotated[UploadFile | None, File()] = None,
    scribbles: Annotated[UploadFile | None, File()] = None,
) -> Response:
    """Run a model on the first given of `session_id`, `file` and `image` (a case id).

    `label` and `scribbles` are for models that correct a labelmap. The params `t1`, `t1c`, `t2`,
    `flair` and `channels` tell which uploaded file or volume is which sequence.
    """
    task = app.infer_task(check_name(model, "model"))
    given = parse_object(params, "params")
    told = take_told(given)
    if output not in OUTPUTS:
        raise InputError(f"output is {output!r:.40}; expected one of {list(OUTPUTS)}")
    if output == DICOM_SEG:
        given["result_extension"] = DICOM_SUFFIX
    options = task.check_options(given)
    if not task.takes_label and (label is not None or scribbles is not None):
        raise InputError(f"model '{model}' takes no label file; the request has one")
    if image:
        check_case_id(image)
    current, scribbled = _receive_label(app, label), _receive_label(app, scribbles)
    if session_id:
        case_input = session_input(app.sessions().require(session_id), told)
        case_input = replace(case_input, label=current, scribbles=scribbled)
        return _reply(app.run_task(task, case_input, options), output)
    if file is not None:
        with staging_folder(app) as folder:
            name = safe_filename(file.filename, "volume.nii.gz")
            case_input = uploaded_input(receive_file(file, folder / name), told)
            case_input = replace(case_input, label=current, scribbles=scribbled)
            return _reply(app.run_task(task, case_input, options), output)
    if not image:
        raise InputError("the request names no input; expected image, session_id or file")
    if told is not None:
        raise InputError(
            "params name sequences, but the case is stored; its sequences were told at its import",
            remedy="Leave out t1, t1c, t2, flair and channels, or import the case again.",
        )
    case_input = stored_input(app.datastore(), image)
    start = options.get("start", PROPOSAL)
    if label is None and start != PROPOSAL:
        current = stored_label(app.datastore(), image, check_tag(start))
    case_input = replace(case_input, label=current, scribbles=scribbled)
    return _reply(app.run_task(task, case_input, options, stored_as=image), output)


def _receive_label(app: ServerApp, upload: UploadFile | None) -> LabelInput | None:
    """Labelmap of a form file, read to the end."""
    if upload is None:
        return None
    with app.readers.reading(), staging_folder(app) as folder:
        name = safe_filename(upload.filename, "label.nii.gz")
        path = receive_file(upload, folder / f"label{label_suffix(name)}")
        return uploaded_label(path)


def _reply(reply: TaskReply, output: str) -> Response:
    """Reply in the form that the client asked for.

    Raises:
        NotFoundError: If a file was asked for and the task makes none.
    """
    if output in ("image", DICOM_SEG):
        if not reply.parts:
            raise NotFoundError("this model makes no file", remedy="Ask for output=json.")
        return file_reply(reply.parts[0])
    if output == "json" or not reply.parts:
        return json_reply(reply.params)
    return multipart_reply(reply.params, reply.parts)
