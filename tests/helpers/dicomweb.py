"""A DICOMweb archive over a folder of files, in this process; it can be told to misbehave."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread, dcmwrite
from pydicom.dataset import Dataset

BOUNDARY = "part-of-a-study"


class FakeArchive:
    """Instances by UID.

    Attributes:
        instances: What it holds.
        refuses: Authorization header without which it answers 401; empty lets everybody in.
        loses: How many images of each series it keeps to itself.
        silent: Set by a test to make it wait until `awake`.
        says: Body instead of DICOM JSON.
        refuses_objects: Whether STOW fails.
        failures: Answers 503 this many times first.
    """

    def __init__(self) -> None:
        self.instances: dict[str, Dataset] = {}
        self.refuses = ""
        self.loses = 0
        self.silent = False
        self.awake = threading.Event()
        self.says = ""
        self.refuses_objects = False
        self.failures = 0
        self.requests: list[str] = []
        self.url = ""

    def add(self, folder: Path) -> None:
        """Take in the files below a folder."""
        for path in folder.rglob("*.dcm"):
            one = dcmread(path)
            self.instances[str(one.SOPInstanceUID)] = one

    def series(self, study: str | None) -> list[dict[str, Any]]:
        """QIDO reply about the MR series."""
        found: dict[str, list[Dataset]] = {}
        for one in self.instances.values():
            if one.Modality == "MR" and study in (None, str(one.StudyInstanceUID)):
                found.setdefault(str(one.SeriesInstanceUID), []).append(one)
        return [
            {
                "00080060": {"vr": "CS", "Value": ["MR"]},
                "0020000D": {"vr": "UI", "Value": [str(group[0].StudyInstanceUID)]},
                "0020000E": {"vr": "UI", "Value": [uid]},
                "0008103E": {"vr": "LO", "Value": [str(group[0].get("SeriesDescription", ""))]},
                "00080020": {"vr": "DA", "Value": [str(group[0].get("StudyDate", ""))]},
                "00180015": {"vr": "CS", "Value": [str(group[0].get("BodyPartExamined", ""))]},
                "00201209": {"vr": "IS", "Value": [len(group)]},
            }
            for uid, group in found.items()
        ]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    archive: FakeArchive

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        archive = self.archive
        archive.requests.append(self.path)
        if self._turned_away():
            return
        path = self.path.partition("?")[0]
        if re.fullmatch(r"/web(/studies/[\d.]+)?/series", path):
            study = path.split("/")[3] if path.count("/") > 2 else None
            body = archive.says or json.dumps(archive.series(study))
            self._send(200, body.encode(), "application/dicom+json")
        elif match := re.fullmatch(r"/web/studies/([\d.]+)/series/([\d.]+)", path):
            images = [i for i in archive.instances.values() if i.SeriesInstanceUID == match[2]]
            parts = []
            for one in images[archive.loses :]:
                stream = BytesIO()
                dcmwrite(stream, one)
                head = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode()
                parts.append(head + stream.getvalue() + b"\r\n")
            kind = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
            self._send(200, b"".join(parts) + f"--{BOUNDARY}--\r\n".encode(), kind)
        else:
            self._send(404, b"", "text/plain")

    def do_POST(self) -> None:
        body = self._body()
        if self._turned_away():
            return
        boundary = re.search(r'boundary="?([^";]+)', self.headers["Content-Type"])[1]  # type: ignore[index]
        reply: dict[str, Any] = {}
        for part in body.split(f"--{boundary}".encode())[1:-1]:
            one = dcmread(BytesIO(part.partition(b"\r\n\r\n")[2]))
            if self.archive.refuses_objects:
                failed = {"00081155": {"vr": "UI", "Value": [str(one.SOPInstanceUID)]}}
                reply.setdefault("00081198", {"vr": "SQ", "Value": []})["Value"].append(failed)
            else:
                self.archive.instances[str(one.SOPInstanceUID)] = one
        self._send(200, json.dumps(reply).encode(), "application/dicom+json")

    def _body(self) -> bytes:
        if "Content-Length" in self.headers:
            return self.rfile.read(int(self.headers["Content-Length"]))
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _turned_away(self) -> bool:
        archive = self.archive
        if archive.silent:
            archive.awake.wait()
            self.close_connection = True
            return True
        if archive.refuses and self.headers.get("Authorization") != archive.refuses:
            self._send(401, b"", "text/plain")
            return True
        if archive.failures:
            archive.failures -= 1
            self._send(503, b"", "text/plain")
            return True
        return False

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def fake_archive(certificate: Path | None = None) -> Iterator[FakeArchive]:
    """An archive on a free port of loopback.

    Args:
        certificate: File with key and certificate, for TLS.
    """
    archive = FakeArchive()
    handler = type("Handler", (_Handler,), {"archive": archive})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    if certificate is not None:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        server.socket = context.wrap_socket(server.socket, server_side=True)
    scheme = "http" if certificate is None else "https"
    archive.url = f"{scheme}://127.0.0.1:{server.server_address[1]}/web"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield archive
    finally:
        archive.awake.set()
        server.shutdown()
        thread.join()
        server.server_close()


def self_signed_certificate(folder: Path) -> Path:
    """Key and certificate of 127.0.0.1 in one file."""
    path = folder / "archive.pem"
    made = subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
            *("-keyout", str(folder / "key.pem"), "-out", str(folder / "certificate.pem")),
        ],
        capture_output=True,
        check=False,
    )
    if made.returncode:
        pytest.skip("openssl makes no certificate on this machine")
    path.write_text((folder / "key.pem").read_text() + (folder / "certificate.pem").read_text())
    return path
