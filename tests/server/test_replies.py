import json
from enum import StrEnum

import numpy as np
import pytest
from brain_tumor import errors
from brain_tumor.bundles import ModelVersion
from brain_tumor.server.http.replies import (
    FilePart,
    error_reply,
    internal_reply,
    json_reply,
    multipart_reply,
    reply_to,
    status_of,
    to_plain,
)
from fastapi.exceptions import RequestValidationError
from monailabel.interfaces.exception import (
    ImageNotFoundException,
    MONAILabelError,
    MONAILabelException,
)
from starlette.exceptions import HTTPException


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (errors.InputError("m"), 400),
        (errors.GeometryError("m"), 400),
        (errors.LabelError("m"), 400),
        (errors.AccessError("m"), 403),
        (errors.NotFoundError("m"), 404),
        (errors.ModelError("m"), 500),
        (errors.BusyError("m"), 503),
        (errors.StorageError("m"), 507),
        (errors.TumorLensError("m"), 500),
    ],
)
def test_each_error_class_has_one_status(error, status):
    assert status_of(error) == status
    assert error_reply(error).status_code == status


def test_every_error_class_is_mapped():
    pending, seen = [errors.TumorLensError], set()
    while pending:
        kind = pending.pop()
        seen.add(kind)
        pending += kind.__subclasses__()
    assert all(400 <= status_of(kind("m")) < 600 for kind in seen)
    assert len(seen) >= 12


def test_an_error_reply_has_code_message_and_remedy():
    reply = error_reply(errors.LabelError("value 9 is no label", remedy="use 1-3"))
    assert json.loads(reply.body) == {
        "code": "bad_labels",
        "message": "value 9 is no label",
        "remedy": "use 1-3",
    }
    assert reply.headers["content-type"] == "application/json"


def test_a_busy_server_says_when_to_come_back():
    assert error_reply(errors.BusyError("m")).headers["retry-after"] == "5"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (MONAILabelException(MONAILabelError.INVALID_INPUT, "no model"), 400, "bad_input"),
        (ImageNotFoundException("Image x not found"), 404, "not_found"),
        (MONAILabelException(MONAILabelError.APP_ERROR, "broken"), 500, "error"),
        (HTTPException(404, "Image NOT Found"), 404, "not_found"),
        (HTTPException(405, "Method Not Allowed"), 405, "method_not_allowed"),
        (HTTPException(500, "x"), 500, "internal"),
        (HTTPException(418, "tea"), 418, "bad_input"),
    ],
)
def test_errors_of_the_stock_server_get_the_same_form(error, status, code):
    reply = reply_to(error)
    body = json.loads(reply.body)
    assert (reply.status_code, body["code"]) == (status, code)
    assert set(body) == {"code", "message", "remedy"}
    assert body["remedy"]


def test_a_request_that_fastapi_cannot_read_names_the_field():
    error = RequestValidationError(
        [{"loc": ("query", "image"), "msg": "Field required", "type": "missing"}]
    )
    reply = reply_to(error)
    assert reply.status_code == 400
    assert "query image: field required" in json.loads(reply.body)["message"]


def test_an_unforeseen_failure_tells_a_reference_and_nothing_else():
    assert reply_to(ZeroDivisionError("secret path /home/x")) is None
    body = json.loads(internal_reply("ab12").body)
    assert body["code"] == "internal"
    assert "ab12" in body["message"]


class Colour(StrEnum):
    RED = "red"


def test_everything_in_a_reply_becomes_plain_json():
    value = {
        Colour.RED: np.int16(3),
        "nan": float("nan"),
        "inf": np.float32("inf"),
        "array": np.array([[1.5, np.nan]]),
        "set": {2, 1},
        "model": ModelVersion("m", "1", "ff"),
        "bool": np.bool_(True),
        "none": None,
    }
    assert to_plain(value) == {
        "red": 3,
        "nan": None,
        "inf": None,
        "array": [[1.5, None]],
        "set": [1, 2],
        "model": {"name": "m", "version": "1", "sha256": "ff"},
        "bool": True,
        "none": None,
    }
    json.loads(json_reply(value).body)


def test_what_has_no_json_form_is_an_error_and_no_silent_text():
    with pytest.raises(TypeError):
        to_plain(object())


def test_a_multipart_reply_is_read_by_pythons_own_parser():
    import cgi
    import io

    parts = [
        FilePart("image", "a.nrrd", "application/octet-stream", b"NRRD\r\n--x\x00\xff"),
        FilePart("heatmap", "b.nrrd", "application/octet-stream", b"heat"),
    ]
    reply = multipart_reply({"volume": 6.0}, parts)
    form = cgi.FieldStorage(
        fp=io.BytesIO(reply.body),
        environ={"REQUEST_METHOD": "POST"},
        headers={
            "content-type": reply.headers["content-type"],
            "content-length": str(len(reply.body)),
        },
    )
    assert [field.name for field in form.list] == ["params", "image", "heatmap"]
    assert json.loads(form.list[0].value) == {"volume": 6.0}
    assert form.list[1].filename == "a.nrrd"
    assert form.list[1].value == b"NRRD\r\n--x\x00\xff"
    assert form.list[2].value == b"heat"
