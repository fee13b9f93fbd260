"""The one place where errors become HTTP, and where results become JSON or multipart."""

from __future__ import annotations

import dataclasses
import enum
import json
import math
import secrets
from collections.abc import Mapping
from collections.abc import Sequence as Items
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from monailabel.interfaces.exception import (
    ImageNotFoundException,
    LabelNotFoundException,
    MONAILabelError,
    MONAILabelException,
)
from starlette.exceptions import HTTPException

from brain_tumor.errors import (
    AccessError,
    ArchiveError,
    BusyError,
    ConflictError,
    InputError,
    ModelError,
    NotFoundError,
    StorageError,
    TumorLensError,
)

STATUS_BY_ERROR: tuple[tuple[type[TumorLensError], int], ...] = (
    (InputError, 400),
    (AccessError, 403),
    (NotFoundError, 404),
    (ModelError, 500),
    (ConflictError, 409),
    (BusyError, 503),
    (ArchiveError, 502),
    (StorageError, 507),
    (TumorLensError, 500),
)
"""First match wins, so subclasses of `InputError` are 400 as well."""

RETRY_AFTER_S = 5
REFERENCE_KEY = "tumorlens.reference"
"""Where a request's scope holds the text that links a failure's reply to the log."""

_CODE_AND_REMEDY: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        400: ("bad_input", "Correct the request; docs/http-api.md shows each route."),
        404: ("not_found", "See docs/http-api.md for the routes of this server."),
        405: ("method_not_allowed", "See docs/http-api.md for the methods of this route."),
        408: ("too_slow", "Send it again over a faster connection."),
        413: ("too_large", "Send fewer or compressed volumes, or raise TUMORLENS_MAX_UPLOAD_MB."),
        503: ("busy", BusyError.default_remedy),
        507: ("storage", StorageError.default_remedy),
    }
)


@dataclass(frozen=True)
class FilePart:
    """A file inside a multipart reply.

    Attributes:
        name: Part name: `image` for a labelmap, else what it shows (`heatmap`, `uncertainty`).
        filename: Name that stock clients save it under; never a patient name.
        media_type: MIME type.
        content: The bytes.
    """

    name: str
    filename: str
    media_type: str
    content: bytes


def media_type(filename: str) -> str:
    """MIME type of a volume file.

    Example:
        >>> media_type("case.nii.gz")
        'application/gzip'
    """
    if filename.endswith(".dcm"):
        return "application/dicom"
    return "application/gzip" if filename.endswith(".gz") else "application/octet-stream"


def status_of(error: TumorLensError) -> int:
    """HTTP status of an error class.

    Example:
        >>> status_of(NotFoundError("no case 'x'"))
        404
    """
    return next(status for kind, status in STATUS_BY_ERROR if isinstance(error, kind))


def error_reply(
    error: TumorLensError,
    *,
    status: int | None = None,
    code: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """JSON reply `{code, message, remedy}` of an error.

    Args:
        error: What went wrong.
        status: Overrides the status of the error class where HTTP has a finer one (401, 413).
        code: Overrides the code of the error class, as `status`.
        headers: Further response headers.
    """
    status = status or status_of(error)
    wait_s = getattr(error, "retry_after_s", None) or RETRY_AFTER_S
    extra = {"Retry-After": str(wait_s)} if status == 503 else {}
    return json_reply(
        {"code": code or error.code, "message": error.message, "remedy": error.remedy},
        status=status,
        headers={**extra, **(headers or {})},
    )


def status_reply(status: int, reason: str) -> Response:
    """JSON error reply for an HTTP status that no error class stands for."""
    fallback = ("internal", "See the server's log.") if status >= 500 else _CODE_AND_REMEDY[400]
    code, remedy = _CODE_AND_REMEDY.get(status, fallback)
    return error_reply(TumorLensError(reason, remedy=remedy), status=status, code=code)


def reply_to(error: Exception) -> Response | None:
    """JSON reply to an error that somebody foresaw, or None for any other."""
    if isinstance(error, TumorLensError):
        return error_reply(error)
    if isinstance(error, MONAILabelException):
        return error_reply(_from_monailabel(error))
    if isinstance(error, RequestValidationError):
        return status_reply(400, _validation_sentence(error))
    if isinstance(error, HTTPException):
        return status_reply(error.status_code, str(error.detail))
    return None


def internal_reply(reference: str) -> Response:
    """JSON reply for a failure that nobody foresaw; the log holds the rest."""
    return error_reply(
        TumorLensError(
            f"the server failed while answering this request (reference {reference})",
            remedy="Look up the reference in the server's log and report it.",
        ),
        status=500,
        code="internal",
    )


def json_reply(
    content: Any, *, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """JSON reply of anything that `to_plain` understands."""
    return Response(
        _encoded(content),
        status_code=status,
        media_type="application/json",
        headers=dict(headers or {}),
    )


def to_plain(value: Any) -> Any:
    """Plain Python of a value, ready for strict JSON.

    NumPy scalars and arrays become numbers and lists, enumerations their values, dataclasses
    dictionaries; NaN and infinity become None.

    Raises:
        TypeError: If there is no plain form.

    Example:
        >>> to_plain({"a": np.float32(0.5), "b": float("nan"), "c": (np.int64(1),)})
        {'a': 0.5, 'b': None, 'c': [1]}
    """
    if isinstance(value, enum.Enum):
        return to_plain(value.value)
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, np.generic):
        return to_plain(value.item())
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, np.ndarray):
        return to_plain(value.tolist())
    if isinstance(value, Mapping):
        return {str(to_plain(k)): to_plain(v) for k, v in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, (set, frozenset)):
        return sorted(to_plain(item) for item in value)
    if isinstance(value, (list, tuple)):
        return [to_plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


def multipart_reply(params: Mapping[str, Any], parts: Items[FilePart]) -> Response:
    """Multipart reply of stock MONAI Label: JSON part `params`, then one part per file.

    Stock clients save the first file and ignore the others.

    Args:
        params: JSON of the reply.
        parts: Files, the labelmap first.
    """
    boundary = secrets.token_hex(24)
    payload = _encoded(params)
    chunks = [
        f'--{boundary}\r\nContent-Disposition: form-data; name="params"\r\n'
        "Content-Type: application/json\r\n\r\n".encode(),
        payload,
    ]
    for part in parts:
        chunks.append(
            f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="{part.name}"; '
            f'filename="{part.filename}"\r\nContent-Type: {part.media_type}\r\n\r\n'.encode()
        )
        chunks.append(part.content)
    chunks.append(f"\r\n--{boundary}--\r\n".encode())
    return Response(b"".join(chunks), media_type=f"multipart/form-data; boundary={boundary}")


def file_reply(part: FilePart) -> Response:
    """Reply that is one file."""
    return Response(
        part.content,
        media_type=part.media_type,
        headers={"Content-Disposition": f'attachment; filename="{part.filename}"'},
    )


def _encoded(content: Any) -> bytes:
    """JSON in UTF-8; half a character, which UTF-8 has no bytes for, stays escaped."""
    text = json.dumps(to_plain(content), allow_nan=False, ensure_ascii=False)
    return text.encode("utf-8", "backslashreplace")


def _from_monailabel(error: MONAILabelException) -> TumorLensError:
    """Error of the stock server as one of ours."""
    if error.error == MONAILabelError.INVALID_INPUT:
        return InputError(error.msg)
    is_missing = isinstance(error, (ImageNotFoundException, LabelNotFoundException))
    return NotFoundError(error.msg) if is_missing else TumorLensError(error.msg)


def _validation_sentence(error: RequestValidationError) -> str:
    """What FastAPI found wrong with a request, in words."""
    found = [
        f"{' '.join(str(part) for part in problem['loc'])}: {problem['msg'].lower()}"
        for problem in error.errors()
    ]
    return f"the request cannot be understood: {'; '.join(found)}"
