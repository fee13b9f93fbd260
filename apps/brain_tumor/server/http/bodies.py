"""How much of a request is read, and how long: decided before anything of it is parsed."""

from __future__ import annotations

import email.message
import re
import time
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request
from fastapi.responses import Response
from fastapi.routing import APIRoute
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException

from brain_tumor.cases.files.durable import storage_reason

MAX_JSON_BYTES = 1024**2
"""Bodies that are parsed in memory: JSON in every spelling, and forms without files."""
MAX_FILES = 1000
MAX_FIELDS = 20
BODY_PATIENCE_S = 30.0
SLOWEST_BYTES_PER_S = 1024.0

_UPLOADS = re.compile(r"/datastore/(?:image|label)?|/session/?|/infer/[^/]*|/datastore")


def body_limit(method: str, path: str, content_type: str, max_bytes: int) -> int:
    """Largest body of a request.

    Args:
        method: HTTP method.
        path: Address.
        content_type: Header, as sent.
        max_bytes: Largest upload.

    Example:
        >>> body_limit("PUT", "/session/", "Multipart/Form-Data; boundary=x", 2**29) == 2**29
        True
        >>> body_limit("PUT", "/session/", "Application/JSON", 2**29) == MAX_JSON_BYTES
        True
    """
    header = email.message.Message()
    header["content-type"] = content_type or "application/json"
    is_form = header.get_content_type() == "multipart/form-data"
    is_upload = is_form and method in {"PUT", "POST"} and _UPLOADS.fullmatch(path) is not None
    return max_bytes if is_upload else min(max_bytes, MAX_JSON_BYTES)


class BodyClock:
    """Tells when a body comes too slowly to wait for.

    Args:
        clock: Seconds; monotonic.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()

    def patience_s(self, received: int) -> float:
        """Seconds to wait for more, after so many bytes; 0 or less when the patience is over."""
        due = self._started + BODY_PATIENCE_S + received / SLOWEST_BYTES_PER_S
        return min(due - self._clock(), BODY_PATIENCE_S)


class BoundedRequest(Request):
    """Request whose forms have few fields, and that tells a full disk from a damaged body."""

    def form(self, **_: Any) -> Any:
        """Form with the limits of this server, whatever the caller asks for."""
        return _Form(self)

    async def bounded_form(self) -> FormData:
        """The form.

        Raises:
            HTTPException: 507 if the disk does not take its files.
        """
        try:
            return await super().form(
                max_files=MAX_FILES, max_fields=MAX_FIELDS, max_part_size=MAX_JSON_BYTES
            )
        except OSError as error:
            if reason := storage_reason(error):
                raise HTTPException(507, f"the upload cannot be stored: {reason}") from error
            raise


class _Form:
    """What Starlette's `form()` returns: awaited by FastAPI."""

    def __init__(self, request: BoundedRequest) -> None:
        self._request = request

    def __await__(self) -> Any:
        return self._request.bounded_form().__await__()


class BoundedRoute(APIRoute):
    """Route that parses its body as a `BoundedRequest`."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Handler of the route."""
        handler = super().get_route_handler()

        async def bounded(request: Request) -> Response:
            return await handler(BoundedRequest(request.scope, request.receive, request._send))

        return bounded
