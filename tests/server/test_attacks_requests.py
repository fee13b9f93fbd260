"""Requests that want to be believed, to be read for ever, or to stay for ever."""

import asyncio
import json
import signal
import subprocess
import sys
from types import SimpleNamespace

import pytest
from brain_tumor.server.http.access import AccessPolicy
from brain_tumor.server.http.bodies import MAX_JSON_BYTES, BodyClock, body_limit
from brain_tumor.server.http.slow_clients import _timed
from brain_tumor.server.serving import build_front

from tests.helpers.server import ThresholdSegmenter, write_studies
from tests.server.conftest import InProcessApp, a_stock_app, client_of, refusal

TOKEN = "0123456789abcdef"
KINDS = [
    *("application/json", "Application/JSON", "APPLICATION/JSON; charset=utf-8"),
    *("application/x+json", "application/problem+json", "application/json;boundary=multipart"),
    *("text/plain", "text/json", "nonsense", "", "application/x-www-form-urlencoded"),
    *("multipart/form-data; boundary=x", "Multipart/Form-Data; boundary=x", "multipart/mixed"),
]


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    studies = write_studies(tmp_path_factory.mktemp("requests") / "studies")
    return InProcessApp(studies, ThresholdSegmenter())


@pytest.mark.parametrize("kind", KINDS)
def test_a_body_that_is_parsed_is_small_whatever_it_calls_itself(app, kind):
    client = client_of(app)
    body = json.dumps({"image": "FULL", "reason": "x" * MAX_JSON_BYTES}).encode()
    headers = {"content-type": kind} if kind else {}
    for path in ("/corrections/type", "/cases/reserve", "/activelearning/first", "/train/x"):
        refusal(client.post(path, content=body, headers=headers), 413, "too_large")
        pieces = iter([body[:1000], body[1000:]])  # without a length that is announced
        refusal(client.post(path, content=pieces, headers=headers), 413, "too_large")


@pytest.mark.parametrize("kind", [kind for kind in KINDS if "form-data" not in kind.lower()])
def test_a_form_that_is_no_upload_is_small(app, kind):
    headers = {"content-type": kind} if kind else {}
    reply = client_of(app).put("/session/", content=bytes(MAX_JSON_BYTES + 1), headers=headers)
    refusal(reply, 413, "too_large")


def test_only_uploads_may_be_large():
    kind = "Multipart/Form-Data; boundary=x"
    uploads = [("PUT", "/session/"), ("PUT", "/datastore/label"), ("POST", "/infer/segmentation")]
    assert [body_limit(*one, kind, 2**29) for one in uploads] == [2**29] * 3
    others = [("POST", "/corrections/type"), ("GET", "/session/"), ("PUT", "/datastore/image/info")]
    assert [body_limit(*one, kind, 2**29) for one in others] == [MAX_JSON_BYTES] * 3


def test_a_form_has_few_fields(app):
    fields = {f"field{i}": "x" for i in range(100)}
    reply = client_of(app).put("/datastore/image/info?image=FULL", data={**fields, "info": "{}"})
    refusal(reply)


@pytest.mark.parametrize(
    "host",
    [
        *("localhost:8150.evil.example", "127.0.0.1:80@evil.example", "localhost.evil.example"),
        *("localhost:8150:1", "localhost:x", "localhost/", "localhost evil.example", "[::1].evil"),
        *("[::1]evil", "localhost#evil", "localhost:", "evil@localhost", "", "127.0.0.1,evil"),
    ],
)
def test_a_host_that_only_begins_like_this_machine_is_refused(app, host):
    refusal(client_of(app).get("/info/", headers={"host": host}), 403, "forbidden")


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:8150", "127.0.0.1:1", "[::1]:8000"])
def test_this_machine_is_known_by_its_names(app, host):
    assert client_of(app).get("/info/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("name", ["origin", "host", "authorization", "content-type"])
def test_two_headers_of_one_name_are_refused(app, name):
    values = {
        "origin": ["http://evil.example", "http://127.0.0.1:8000"],
        "host": ["127.0.0.1:8000", "evil.example"],
    }.get(name, ["a", "b"])
    headers = [("host", "127.0.0.1:8000")] * (name != "host") + [(name, v) for v in values]
    status, body, _ = call_front(app, AccessPolicy(), headers, [])
    assert status == 400
    assert f"two {name} headers" in body["message"]


def call_front(app, policy, headers, chunks, method="PUT", path="/session/"):
    """Status, body and how many chunks were read, of a request given header by header."""
    stock = a_stock_app()
    front = build_front(app, policy, stock=stock, inside=stock.build_middleware_stack())
    scope = {
        "type": "http",
        "method": method,
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(name.encode(), value.encode()) for name, value in headers],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", 8000),
        "scheme": "http",
        "http_version": "1.1",
    }
    left, sent = list(chunks), []

    async def receive():
        if not left:
            return {"type": "http.request", "body": b"", "more_body": False}
        return {"type": "http.request", "body": left.pop(0), "more_body": True}

    async def send(message):
        sent.append(message)

    asyncio.run(front(scope, receive, send))
    body = b"".join(m.get("body", b"") for m in sent)
    return sent[0]["status"], json.loads(body), len(chunks) - len(left)


def test_the_body_of_a_client_without_token_is_not_read(app):
    headers = [("host", "127.0.0.1"), ("content-type", "multipart/form-data; boundary=x")]
    chunks = [bytes(16 * 1024)] * 1000
    policy = AccessPolicy(token=TOKEN)
    status, body, read = call_front(app, policy, headers, chunks)
    assert (status, body["code"]) == (401, "unauthorised")
    assert read <= 5
    status, _, read = call_front(app, AccessPolicy(), [("host", "evil.example")], chunks)
    assert (status, read) == (403, 0)


def test_a_body_may_take_its_time_only_while_it_comes():
    now = [0.0]
    clock = BodyClock(lambda: now[0])
    assert clock.patience_s(0) == 30
    now[0] = 29
    assert clock.patience_s(0) == 1
    assert clock.patience_s(10 * 1024) == 11  # ten seconds earned at 1 KiB a second
    assert clock.patience_s(10**9) == 30  # but never more than this for the next piece
    now[0] = 31
    assert clock.patience_s(0) < 0


class FakeProtocol:
    """Stands for a connection of uvicorn."""

    _tumorlens_header_clock = None

    def __init__(self):
        self.cycle, self.timers, self.aborted = None, [], []
        self.transport = SimpleNamespace(
            is_closing=lambda: bool(self.aborted), abort=lambda: self.aborted.append(True)
        )
        self.loop = SimpleNamespace(call_later=self.call_later)

    def call_later(self, delay_s, function, *given):
        timer = SimpleNamespace(delay_s=delay_s, run=lambda: function(*given), cancelled=False)
        timer.cancel = lambda: setattr(timer, "cancelled", True)
        self.timers.append(timer)
        return timer


def test_a_connection_that_never_finishes_its_header_is_closed():
    received = _timed(lambda self, *_: None, 15.0)
    connection = FakeProtocol()
    received(connection)
    received(connection)  # another byte of the header does not buy time
    assert [timer.delay_s for timer in connection.timers] == [15.0]
    connection.timers[0].run()
    assert connection.aborted == [True]


def test_a_connection_with_a_request_is_left_alone():
    received = _timed(lambda self, *_: None, 15.0)
    connection = FakeProtocol()
    received(connection)
    connection.cycle = SimpleNamespace(response_complete=False)
    received(connection)
    assert connection.timers[0].cancelled
    connection.cycle.response_complete = True
    received(connection)  # the first byte of the next request
    assert len(connection.timers) == 2
    assert connection.aborted == []


STUCK = r"""
import os, threading, time
from brain_tumor.server.ending import end_in_time

import signal
signal.signal(signal.SIGTERM, lambda *_: os.write(1, b"asked\n"))
end_in_time(lambda: os.write(1, b"children told\n"), 0.05)
threading.Thread(target=lambda: [time.sleep(1) for _ in range(600)]).start()
print("ready", flush=True)
"""


def test_the_server_ends_within_its_grace_whatever_its_threads_do():
    process = subprocess.Popen([sys.executable, "-c", STUCK], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    out, _ = process.communicate(timeout=60)
    assert process.returncode == 143
    assert set(out.split("\n")) == {"asked", "children told", ""}
