"""Orthanc with its DICOMweb plug-in on loopback, for a test; skipped where it is not installed."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

PLUGINS = ("/usr/share/orthanc/plugins", "/usr/lib/orthanc")
START_S = 60.0


@dataclass(frozen=True)
class Orthanc:
    """A running Orthanc.

    Attributes:
        url: Base of its DICOMweb services.
        dicom_port: Port of its DICOM node ORTHANC.
    """

    url: str
    dicom_port: int


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


@contextmanager
def running_orthanc(folder: Path) -> Iterator[Orthanc]:
    """Orthanc with an empty store in a folder."""
    program = shutil.which("Orthanc", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
    if program is None or not any(list(Path(p).glob("*OrthancDicomWeb*")) for p in PLUGINS):
        pytest.skip("Orthanc with DICOMweb is not installed (apt-get install orthanc-dicomweb)")
    port, dicom_port = _free_port(), _free_port()
    settings = {
        "Name": "test",
        "StorageDirectory": str(folder / "store"),
        "IndexDirectory": str(folder / "store"),
        "HttpPort": port,
        "DicomPort": dicom_port,
        "DicomAet": "ORTHANC",
        "RemoteAccessAllowed": False,
        "AuthenticationEnabled": True,
        "RegisteredUsers": {"tester": "secret"},
        "DicomAlwaysAllowStore": True,
        "Plugins": [p for p in PLUGINS if Path(p).is_dir()],
        "DicomWeb": {"Enable": True, "Root": "/dicom-web/"},
    }
    configuration = folder / "orthanc.json"
    configuration.write_text(json.dumps(settings))
    with (folder / "orthanc.log").open("wb") as log:
        process = subprocess.Popen([program, str(configuration)], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + START_S
        while not _answers(f"http://127.0.0.1:{port}/dicom-web/series"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise AssertionError((folder / "orthanc.log").read_text()[-2000:])
            time.sleep(0.05)
        yield Orthanc(f"http://127.0.0.1:{port}/dicom-web", dicom_port)
    finally:
        process.terminate()
        process.wait(30)


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5)
    except urllib.error.HTTPError as error:
        return error.code == 401  # it is up, and asks who is there
    except OSError:
        return False
    return True
