"""The workspace in a browser: the page at `/` and its files, which need no token."""

from __future__ import annotations

import gzip
import hashlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType

from fastapi import APIRouter, Request
from fastapi.responses import Response

from brain_tumor.errors import NotFoundError

router = APIRouter(tags=["Page"], include_in_schema=False)

WEB = Path(__file__).resolve().parents[1] / "web"
VIEWER = "vendor/niivue.js"
NOT_BUILT = (
    "The workspace page is not built, because its viewer NiiVue is missing: "
    "run 'make web' (it needs npm), or install the wheel, which holds it."
)
MEDIA_TYPES = MappingProxyType(
    {
        ".html": "text/html; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".json": "application/json",
        ".svg": "image/svg+xml",
        ".txt": "text/plain; charset=utf-8",
    }
)
CONTENT_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "img-src 'self' data: blob:",
        "connect-src 'self' data:",  # NiiVue reads its own font from a data address
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
"""Nothing is fetched from elsewhere and no script but ours runs, whatever a report says."""


@dataclass(frozen=True)
class PageFile:
    """A file of the page as it is sent.

    Attributes:
        content: The bytes.
        packed: The bytes, gzip.
        tag: Changes with the content.
    """

    content: bytes
    packed: bytes
    tag: str


def is_built() -> bool:
    """Whether the viewer is there."""
    return (WEB / VIEWER).is_file()


@router.get("/")
def start(request: Request) -> Response:
    """The page; one sentence where it was not built."""
    if not is_built():
        return Response(NOT_BUILT, status_code=503, media_type="text/plain; charset=utf-8")
    return _send(request, "index.html")


@router.get("/web/{path:path}")
def web_file(request: Request, path: str) -> Response:
    """A script, style or text of the page.

    Raises:
        NotFoundError: If the page has no such file.
    """
    return _send(request, path)


def _send(request: Request, name: str) -> Response:
    """File of the page, packed where the browser takes that, or that it has it already."""
    path = (WEB / name).resolve()
    parts = path.relative_to(WEB).parts if path.is_relative_to(WEB) else ()
    known = parts and "node_modules" not in parts and path.suffix in MEDIA_TYPES
    if not known or not path.is_file():
        raise NotFoundError(f"the page has no file {name!r:.80}")
    file = _read(path, path.stat().st_mtime_ns)
    headers = {
        "Cache-Control": "no-cache",  # asked for each time, sent only when it changed
        "ETag": file.tag,
        "Vary": "Accept-Encoding",
        "Content-Security-Policy": CONTENT_POLICY,
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Opener-Policy": "same-origin",
    }
    if request.headers.get("if-none-match") == file.tag:
        return Response(status_code=304, headers=headers)
    content = file.content
    if "gzip" in request.headers.get("accept-encoding", ""):
        content, headers = file.packed, {**headers, "Content-Encoding": "gzip"}
    return Response(content, media_type=MEDIA_TYPES[path.suffix], headers=headers)


@lru_cache(maxsize=128)
def _read(path: Path, _changed_ns: int) -> PageFile:
    """File, read again when it changes."""
    content = path.read_bytes()
    tag = f'"{hashlib.sha256(content).hexdigest()[:32]}"'
    return PageFile(content, gzip.compress(content, 9, mtime=0), tag)
