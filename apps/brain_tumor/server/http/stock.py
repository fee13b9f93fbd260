"""The stock routes that stay open, with their errors in our form."""

from __future__ import annotations

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from brain_tumor.errors import NotFoundError
from brain_tumor.server.http.replies import error_reply, status_reply

START_PAGE = "/stock"
"""Where the stock start page lies; `/` is the workspace."""
OPEN_PATHS = frozenset({START_PAGE, "/docs", "/favicon.ico"})
OPEN_FOLDERS = ("/static/",)

CLOSED: Mapping[str, str] = MappingProxyType(
    {
        "/reload": "Restart the server to load a changed app.",
        "/proxy": "Ask the DICOM server itself.",
        "/logs": "Logs go to the server's console.",
        "/model": "Model versions change with 'tumorlens models', on the server.",
        "/scoring": "Scores are kept by the strategies of this server.",
        "/infer/wsi": "This server reads volumes, no slides.",
        "/infer/wsi_v2": "This server reads volumes, no slides.",
        "/auth": "Log in with POST /auth/token, or send 'Authorization: Bearer TOKEN'.",
        "/ohif": "OHIF needs a DICOM server, which this server does not read; use 3D Slicer.",
    }
)
"""Stock routes that are closed on purpose, and what to do instead."""


class StockRoutes:
    """Lets requests to harmless stock pages through and refuses all others.

    Args:
        stock: The stock application.
        inside: Its middleware and routes, as they were before `take_over`.
    """

    def __init__(self, stock: ASGIApp, inside: ASGIApp) -> None:
        self._stock = stock
        self._inside = inside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        path, method = scope["path"], scope["method"]
        if method not in {"GET", "HEAD"} or not _is_open(path):
            await _refusal(method, path)(scope, receive, send)
            return
        held: list[Message] = []

        async def hold_errors(message: Message) -> None:
            is_error = message["type"] == "http.response.start" and message["status"] >= 400
            if held or is_error:
                held.append(message)
            else:
                await send(message)

        inside = "/" if path == START_PAGE else path
        await self._inside({**scope, "path": inside, "app": self._stock}, receive, hold_errors)
        if held:
            body = b"".join(m.get("body", b"") for m in held)
            await status_reply(held[0]["status"], _reason(body))(scope, receive, send)


def _is_open(path: str) -> bool:
    """Whether a stock page may be read."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)


def _refusal(method: str, path: str) -> Response:
    """Reply for everything that is not open."""
    for prefix, remedy in CLOSED.items():
        if path == prefix or path.startswith(f"{prefix}/"):
            error = NotFoundError(f"{prefix} is closed on this server", remedy=remedy)
            return error_reply(error)
    return status_reply(404, f"no route for {method} {path:.80}")


def _reason(body: bytes) -> str:
    """Reason from a stock error body."""
    try:
        content: Any = json.loads(body)
    except ValueError:
        content = body.decode("utf-8", "replace")
    detail = content.get("detail", content) if isinstance(content, dict) else content
    return str(detail)[:300] or "the stock route gave no reason"
