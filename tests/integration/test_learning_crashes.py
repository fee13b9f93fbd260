"""The ledger when the server is killed while annotators submit."""

import os
import random
import threading
import time

import pytest
import requests

from tests.helpers.server import (
    free_port,
    launcher_command,
    running,
    write_app,
    write_studies,
)
from tests.integration.test_crashes import labels_of

pytestmark = pytest.mark.integration

WRITERS = 4
CASES = ("FULL", "LONE", "SPARE")


def test_no_acknowledged_correction_is_lost_when_the_server_is_killed(tmp_path):
    studies, app = write_studies(tmp_path / "studies"), write_app(tmp_path / "app")
    contents = labels_of(tmp_path / "labels")
    moments, acknowledged, mutex = random.Random(3), set(), threading.Lock()

    def start():
        port = free_port()
        command = launcher_command(studies, app, "127.0.0.1", port)
        return running(command, port, studies=studies, app_folder=app)

    def write(server, numbers):
        for n in numbers:
            case = CASES[n % 3]
            try:
                reply = requests.put(
                    f"{server.url}/datastore/label?image={case}",
                    files={"label": ("label.nii.gz", contents[n % len(contents)])},
                    timeout=120,
                )
                kind = requests.post(
                    f"{server.url}/corrections/type",
                    json={"image": case, "type": "glioma", "reason": str(n)},
                    timeout=120,
                )
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                return  # killed before the reply, or in the middle of it
            with mutex:
                acknowledged.add((case, "mask", reply.json()["version"]))
                acknowledged.add((case, "type", kind.json()["payload"]["reason"]))

    for attempt in range(int(os.environ.get("TUMORLENS_KILLS", "1"))):
        with start() as server:
            before = len(acknowledged)
            threads = [
                threading.Thread(
                    target=write, args=(server, range(1000 * attempt + w, 10**6, WRITERS))
                )
                for w in range(WRITERS)
            ]
            for thread in threads:
                thread.start()
            deadline = time.monotonic() + 300
            while len(acknowledged) < before + 10 and time.monotonic() < deadline:
                time.sleep(0.01)
            time.sleep(moments.uniform(0.0, 1.0))
            server.kill()
            for thread in threads:
                thread.join(120)
    with start() as server:
        rows = server.request("GET", "/corrections?limit=1000").json()
        listed = {
            (r["case_id"], r["kind"], r["label_version"] or r["payload"]["reason"]) for r in rows
        }
        versions = set()
        for case in CASES:
            found = server.request("GET", f"/datastore/label/history?label={case}").json()
            versions |= {(case, version["version"]) for version in found["versions"]}
    assert len(acknowledged) >= 10
    assert acknowledged <= listed
    # and what reached the disk without being acknowledged is in the ledger, too
    assert versions == {(c, n) for c, kind, n in listed if kind == "mask"}
