import threading

import pytest
from brain_tumor.server.http.access import AccessPolicy
from brain_tumor.server.http.front import Front, take_over
from brain_tumor.server.http.replies import REFERENCE_KEY
from starlette.testclient import TestClient

from tests.helpers.server import parse_reply
from tests.server.conftest import LOCAL, client_of, refusal

TOKEN = "a-token-of-some-length"
NETWORKED = AccessPolicy(token=TOKEN, any_address=True)


def test_the_stock_page_is_behind_the_front(client):
    assert client.get("/stock").json() == {"page": "stock"}


@pytest.mark.parametrize(
    ("method", "path", "hint"),
    [
        ("POST", "/reload", "Restart"),
        ("GET", "/proxy/dicom/wado/x", "DICOM"),
        ("POST", "/proxy/dicom/qido/x", "DICOM"),
        ("GET", "/logs/", "console"),
        ("GET", "/logs/gpu", "console"),
        ("PUT", "/model/segmentation", "tumorlens models"),
        ("DELETE", "/model/segmentation", "tumorlens models"),
        ("GET", "/model/segmentation", "tumorlens models"),
        ("POST", "/scoring/dice", "strategies"),
        ("POST", "/infer/wsi/segmentation", "slides"),
        ("POST", "/infer/wsi_v2/segmentation", "slides"),
        ("GET", "/ohif/", "Slicer"),
    ],
)
def test_a_dangerous_stock_route_is_closed_and_says_what_to_do(client, method, path, hint):
    reply = client.request(method, path)
    assert "closed" in refusal(reply, 404, "not_found")
    assert hint in reply.json()["remedy"]


@pytest.mark.parametrize(
    ("method", "path"), [("GET", "/nothing"), ("POST", "/"), ("PATCH", "/info/"), ("PUT", "/docs")]
)
def test_what_is_no_route_is_refused_in_the_same_form(client, method, path):
    assert path in refusal(client.request(method, path), 404, "not_found")


def test_an_error_of_a_stock_page_gets_our_form(client):
    assert refusal(client.get("/static/missing"), 404, "not_found") == "Resource NOT Found"


def test_a_failure_of_a_stock_page_tells_a_reference_and_no_secret(client, caplog):
    reply = client.get("/static/fails")
    message = refusal(reply, 500, "internal")
    assert "secret" not in reply.text
    reference = message.split("reference ")[1].rstrip(")")
    assert any(reference in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("path", ["/static/../x", "/..", "/a\\..\\b", "/a\nb", "/\x00"])
def test_a_path_that_climbs_reaches_no_route(path):
    seen = []

    async def routes(scope, receive, send):
        seen.append(scope["path"])

    assert ask(Front(routes, AccessPolicy(), 100), path)["status"] == 400
    assert seen == []


def ask(front, path, headers=()):
    """One request as a server would pass it on, before any client tidies the path."""
    import anyio

    sent = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        sent.append(message)

    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [(b"host", b"127.0.0.1:8000"), *headers],
        "client": ("127.0.0.1", 1),
        "scheme": "http",
    }
    anyio.run(front, scope, receive, send)
    return sent[0]


def test_a_foreign_page_gets_nothing_and_no_permission(client):
    origin = {"Origin": "http://evil.example"}
    for method, path in (("GET", "/info/"), ("POST", "/train/x"), ("OPTIONS", "/info/")):
        reply = client.request(
            method, path, headers={**origin, "Access-Control-Request-Method": "POST"}
        )
        refusal(reply, 403, "forbidden")
        assert "access-control-allow-origin" not in reply.headers


def test_a_rebound_host_name_gets_nothing(client):
    refusal(client.get("/info/", headers={"Host": "evil.example:8000"}), 403, "forbidden")


def test_a_listed_origin_may_read_and_may_ask_before(app):
    origin = "http://viewer.example:3000"
    client = client_of(app, AccessPolicy(origins=frozenset({origin})))
    reply = client.get("/info/", headers={"Origin": origin})
    assert reply.status_code == 200
    assert reply.headers["access-control-allow-origin"] == origin
    assert "access-control-allow-credentials" not in reply.headers
    asked = client.options(
        "/infer/x", headers={"Origin": origin, "Access-Control-Request-Method": "POST"}
    )
    assert asked.status_code == 204
    assert asked.headers["access-control-allow-origin"] == origin
    assert "access-control-allow-origin" not in client.get("/info/").headers


def test_the_stock_page_reflects_no_origin(client):
    reply = client.get("/stock", headers={"Origin": LOCAL})
    assert reply.status_code == 200
    assert not [name for name in reply.headers if name.startswith("access-control")]


def test_another_machine_gets_nothing_without_a_token(app):
    client = client_of(app, client=("192.168.0.7", 1))
    refusal(client.get("/info/"), 403, "forbidden")


@pytest.mark.parametrize("path", ["/info/", "/stock", "/openapi.json", "/datastore/", "/nothing"])
def test_every_route_of_a_networked_server_needs_the_token(app, path):
    client = client_of(app, NETWORKED, base_url="http://192.168.0.5:8000", client=("10.0.0.9", 1))
    reply = client.get(path)
    refusal(reply, 401, "unauthorised")
    assert reply.headers["www-authenticate"] == "Bearer"
    refusal(client.get(path, headers={"Authorization": "Bearer wrong"}), 401)
    held = client.get(path, headers={"Authorization": f"Bearer {TOKEN}"})
    assert held.status_code == (404 if path == "/nothing" else 200)


def test_the_token_is_needed_from_this_machine_too(app):
    refusal(client_of(app, NETWORKED).get("/info/"), 401)


class TestBodies:
    @pytest.fixture
    def client(self, app):
        from dataclasses import replace

        app.limits = replace(app.limits, max_body_bytes=2000)
        return client_of(app)

    def test_an_announced_body_over_the_limit_is_refused(self, client):
        files = {"file": ("a.nii.gz", b"x" * 3000)}
        message = refusal(client.put("/datastore/image", files=files), 413, "too_large")
        assert "MiB" in message

    def test_the_announcement_alone_is_enough(self):
        async def routes(scope, receive, send):
            raise AssertionError("reached the routes")

        announced = [(b"content-length", b"101")]
        assert ask(Front(routes, AccessPolicy(), 100), "/x", announced)["status"] == 413

    def test_a_body_that_grows_over_the_limit_is_refused_while_it_arrives(self, client, app):
        def chunks():
            yield b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.nii.gz"\r\n\r\n'
            for _ in range(30):
                yield b"x" * 100
            yield b"\r\n--b--\r\n"

        reply = client.put(
            "/datastore/image?image=BIG",
            content=chunks(),
            headers={"Content-Type": "multipart/form-data; boundary=b"},
        )
        refusal(reply, 413, "too_large")
        assert "BIG" not in app.datastore().list_images()

    def test_a_json_body_over_the_limit_is_refused(self, client):
        reply = client.post("/activelearning/first", json={"client_id": "x" * 3000})
        refusal(reply, 413, "too_large")

    def test_a_body_under_the_limit_passes(self, client):
        assert client.post("/activelearning/first", json={"client_id": "x" * 100}).json()["id"]


def test_a_json_body_has_a_limit_of_its_own(client):
    reply = client.post("/activelearning/first", json={"client_id": "x" * 1024**2})
    assert "1 MiB" in refusal(reply, 413, "too_large")


def test_addresses_work_with_and_without_the_final_slash(client):
    assert client.get("/info").json()["name"] == "TumorLens"
    assert client.get("/datastore").json() == client.get("/datastore/").json()
    assert client.get("/train").status_code == 200
    assert client.get("/batch/infer/").json()["status"] == "IDLE"


def test_a_reply_is_neither_sniffed_nor_stored(client):
    headers = client.get("/info/").headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "Origin" in headers["vary"]


def test_a_failure_in_our_own_routes_is_one_clear_reply(client, app, monkeypatch, caplog):
    monkeypatch.setattr(app, "info", lambda: 1 // 0)
    message = refusal(client.get("/info/"), 500, "internal")
    reference = message.split("reference ")[1].rstrip(")")
    assert any(reference in r.getMessage() and r.exc_info for r in caplog.records)


def test_a_failure_before_the_routes_is_one_clear_reply():
    async def broken(scope, receive, send):
        assert scope[REFERENCE_KEY]
        raise ZeroDivisionError

    client = TestClient(Front(broken, AccessPolicy(), 100), base_url=LOCAL, client=("127.0.0.1", 1))
    refusal(client.get("/x"), 500, "internal")


def test_the_front_takes_the_place_of_the_stock_middleware():
    class Stock:
        middleware_stack = "stock"

    stock, front = Stock(), object()
    take_over(stock, front)
    assert stock.middleware_stack is front


def test_info_answers_while_an_inference_runs(studies):
    from tests.helpers.server import Gate, ThresholdSegmenter
    from tests.server.conftest import InProcessApp

    gate = Gate()
    app = InProcessApp(studies, ThresholdSegmenter(gate))
    replies = []
    client = client_of(app)
    thread = threading.Thread(
        target=lambda: replies.append(client.post("/infer/segmentation?image=FULL"))
    )
    thread.start()
    assert gate.entered.acquire(timeout=60)
    assert client.get("/info/").status_code == 200
    assert client.get("/datastore/").json()["total"] == 3
    assert replies == []  # the inference is still inside the gate
    gate.leave.set()
    thread.join(60)
    assert parse_reply(replies[0])[0]["case"] == "FULL"
