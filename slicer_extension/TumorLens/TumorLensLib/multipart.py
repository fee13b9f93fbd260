"""Multipart bodies, as MONAI Label sends and takes them."""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable, Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Part:
    """One part of a multipart body.

    Attributes:
        name: Field name.
        content: The bytes.
        filename: File name, or None for a plain field.
    """

    name: str
    content: bytes
    filename: str | None = None


class MultipartError(ValueError):
    """A body that is not what its content type says."""


def encode(fields: Mapping[str, str], files: Iterable[Part]) -> tuple[bytes, str]:
    """Body and its content type."""
    boundary = secrets.token_hex(16)
    chunks: list[bytes] = []
    parts = [Part(name, text.encode()) for name, text in fields.items()] + list(files)
    for part in parts:
        chunks.append(
            f'--{boundary}\r\nContent-Disposition: form-data; name="{part.name}"'.encode()
        )
        if part.filename is not None:
            safe = re.sub(r"[^\w.\-]", "_", part.filename)
            chunks.append(f'; filename="{safe}"\r\nContent-Type: application/octet-stream'.encode())
        chunks += [b"\r\n\r\n", part.content, b"\r\n"]
    chunks.append(f"--{boundary}--\r\n".encode())
    return b"".join(chunks), f"multipart/form-data; boundary={boundary}"


def decode(content: bytes, content_type: str) -> list[Part]:
    """Parts of a body, in their order.

    Raises:
        MultipartError: If the body ends before its last boundary.
    """
    match = re.search(r'boundary="?([^";]+)"?', content_type)
    if match is None:
        raise MultipartError(f"content type '{content_type:.60}' names no boundary")
    mark = b"--" + match.group(1).encode()
    chunks = (b"\r\n" + content).split(b"\r\n" + mark)
    if len(chunks) < 2 or not chunks[-1].startswith(b"--"):
        raise MultipartError("the reply ends in the middle")
    parts = []
    for chunk in chunks[1:-1]:
        head, separator, body = chunk.partition(b"\r\n\r\n")
        name = re.search(rb'[; ]name="([^"]*)"', head)
        if not separator or name is None:
            raise MultipartError("a part of the reply has no name")
        filename = re.search(rb'filename="([^"]*)"', head)
        parts.append(
            Part(name.group(1).decode(), body, filename.group(1).decode() if filename else None)
        )
    return parts
