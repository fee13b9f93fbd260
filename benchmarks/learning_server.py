"""A server process with the learning loop, as the benchmarks of the loop drive it over HTTP."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import requests

from benchmarks.serve import free_port

START_PATIENCE_S, TRAIN_PATIENCE_S = 900.0, 900.0
POLL_S = 0.5
CLIENT = "annotator"


class LearningServer:
    """Requests to a server process."""

    def __init__(self, url: str, process: subprocess.Popen[bytes]) -> None:
        self.url = url
        self.process = process

    def ask(self, method: str, path: str, **options: Any) -> Any:
        """JSON of a reply, which must be a success."""
        return self.parts(method, path, **options)[0]

    def parts(self, method: str, path: str, **options: Any) -> tuple[Any, bytes]:
        """JSON and file (empty if there is none) of a reply, which must be a success."""
        reply = requests.request(method, f"{self.url}{path}", timeout=300, **options)
        if reply.status_code != 200:
            raise RuntimeError(f"{method} {path}: {reply.status_code} {reply.text[:300]}")
        kind = reply.headers["content-type"]
        return (reply.json(), b"") if kind.startswith("application/json") else _parts(reply)

    def wait(self) -> None:
        """Wait until it answers."""
        deadline = time.monotonic() + START_PATIENCE_S
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                requests.get(f"{self.url}/info/", timeout=5)
                return
            except requests.RequestException:
                time.sleep(POLL_S)
        raise RuntimeError("the server did not start")

    def name_patient(self, case: str, patient: str) -> None:
        """Say whose case it is; before anything else, a case keeps its first patient."""
        told = json.dumps({"patient": patient})
        self.ask("PUT", f"/datastore/image/info?image={case}", data={"info": told})

    def correct(self, case: str, label: bytes) -> None:
        """Submit a mask."""
        self.ask(
            "PUT",
            f"/datastore/label?image={case}",
            files={"label": ("label.nii.gz", label)},
            data={"params": json.dumps({"client_id": CLIENT, "numbering": "tumorlens"})},
        )

    def trained(self, patience_s: float = TRAIN_PATIENCE_S) -> dict[str, Any]:
        """State of the training when it is done."""
        deadline = time.monotonic() + patience_s
        while time.monotonic() < deadline:
            state: dict[str, Any] = self.ask("GET", "/train/")
            if state["status"] in ("DONE", "ERROR", "STOPPED"):
                if state["status"] != "DONE":
                    message = f"the training ended as {state['status']}: {state['details']}"
                    raise RuntimeError(message)
                return state
            time.sleep(POLL_S)
        raise RuntimeError("the training did not end in time")


@contextmanager
def served(studies: Path, log: Path, environment: dict[str, str]) -> Iterator[LearningServer]:
    """A server of a studies folder; ended afterwards."""
    port = free_port()
    command = [sys.executable, "-m", "brain_tumor.cli", "serve", "--port", str(port)]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*command, "--studies", str(studies)],
            stdout=stream,
            stderr=subprocess.STDOUT,
            env={**os.environ, **environment},
        )
        try:
            server = LearningServer(f"http://127.0.0.1:{port}", process)
            server.wait()
            yield server
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(60)


def _parts(reply: requests.Response) -> tuple[dict[str, Any], bytes]:
    boundary = reply.headers["content-type"].split("boundary=")[1].encode()
    told, file = None, b""
    for part in reply.content.split(b"--" + boundary)[1:-1]:
        head, _, body = part.partition(b"\r\n\r\n")
        if b"filename=" in head:
            file = body
        else:
            told = json.loads(body)
    if told is None:
        raise RuntimeError("a reply holds no JSON")
    return told, file
