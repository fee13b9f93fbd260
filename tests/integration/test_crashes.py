"""A server that is killed in the middle of its work, and one that starts after it."""

import hashlib
import threading

import numpy as np
import pytest
import requests

from tests.helpers.server import (
    SHAPE,
    free_port,
    launcher_command,
    running,
    write_app,
    write_label,
    write_studies,
)

pytestmark = pytest.mark.integration

WRITERS = 8
LABELS = 200
KILL_AFTER = 60


def labels_of(folder):
    """200 different small label files."""
    files = []
    for n in range(LABELS):
        labels = np.zeros(SHAPE, dtype=np.uint8)
        labels.ravel()[: n + 1] = 1 + n % 3
        files.append(write_label(folder / f"{n}.nii.gz", labels).read_bytes())
    return files


def test_no_acknowledged_label_is_lost_when_the_server_is_killed(tmp_path):
    studies, app = write_studies(tmp_path / "studies"), write_app(tmp_path / "app")
    contents = labels_of(tmp_path / "labels")
    cases = ("FULL", "LONE", "SPARE")
    acknowledged, mutex, enough = {}, threading.Lock(), threading.Event()

    def start():
        port = free_port()
        return running(
            launcher_command(studies, app, "127.0.0.1", port),
            port,
            studies=studies,
            app_folder=app,
        )

    def write(server, numbers):
        for n in numbers:
            try:
                reply = requests.put(
                    f"{server.url}/datastore/label?image={cases[n % 3]}&tag=tag{n % 5}",
                    files={"label": ("label.nii.gz", contents[n])},
                    timeout=60,
                )
            except (requests.ConnectionError, requests.exceptions.ChunkedEncodingError):
                return  # killed before the reply, or in the middle of it
            assert reply.status_code == 200, reply.text
            with mutex:
                acknowledged[n] = reply.json()["version"]
                if len(acknowledged) >= KILL_AFTER:
                    enough.set()

    def write_all(server, numbers):
        threads = [
            threading.Thread(target=write, args=(server, numbers[w::WRITERS]))
            for w in range(WRITERS)
        ]
        for thread in threads:
            thread.start()
        return threads

    with start() as server:
        threads = write_all(server, list(range(LABELS)))
        assert enough.wait(300)
        server.kill()  # in the middle of what the writers do
        for thread in threads:
            thread.join(120)
    first = dict(acknowledged)
    assert KILL_AFTER <= len(first) < LABELS
    index = studies / "datastore_v2.json"
    index.write_bytes(index.read_bytes()[:200])  # and a torn index on top of it

    with start() as server:
        assert_all_there(server, first, contents, cases)
        rest = [n for n in range(LABELS) if n not in first]
        for thread in write_all(server, rest):
            thread.join(300)
        assert len(acknowledged) == LABELS
        assert_all_there(server, acknowledged, contents, cases)
    assert not [p for p in studies.rglob("*") if p.name.startswith(".tumorlens-tmp-")]


def assert_all_there(server, acknowledged, contents, cases):
    """Every acknowledged version is listed with its checksum, and the newest is the label."""
    listed = {}
    for case in cases:
        reply = server.request("GET", f"/datastore/label/history?label={case}").json()
        for version in reply["versions"]:
            listed[case, version["tag"], version["version"]] = version
    for n, number in acknowledged.items():
        version = listed[cases[n % 3], f"tag{n % 5}", number]
        assert version["sha256"] == hashlib.sha256(contents[n]).hexdigest()
    for (case, tag, number), version in listed.items():
        newest = max(v for c, t, v in listed if (c, t) == (case, tag))
        if number == newest:
            held = server.request("GET", f"/datastore/label?label={case}&tag={tag}")
            assert hashlib.sha256(held.content).hexdigest() == version["sha256"]
