"""A round of corrections over HTTP with the ledger in a real PostgreSQL."""

import json

import pytest

from tests.helpers.postgresql import PostgresqlServer, skip_without_postgresql
from tests.helpers.server import MODEL, ThresholdSegmenter, write_label
from tests.server.conftest import InProcessApp, client_of, refusal


@pytest.fixture
def ledger_url(postgresql, monkeypatch):
    url = postgresql.new_database()
    monkeypatch.setenv("TUMORLENS_LEDGER", url)
    return url


def submit(client, folder, image="FULL", **params):
    path = write_label(folder / "upload" / "label.nii.gz")
    return client.put(
        f"/datastore/label?image={image}&tag=final",
        files={"label": ("l.nii.gz", path.read_bytes())},
        data={"params": json.dumps(params)},
    )


def test_a_round_of_corrections_is_there_after_a_restart(
    ledger_url, studies, app, client, tmp_path
):
    nul = json.dumps({"patient": "Kim\0 7"})  # PostgreSQL cannot store it
    refusal(client.put("/datastore/image/info?image=FULL", data={"info": nul}), 400, "bad_input")
    told = json.dumps({"patient": "Kim 7"})
    assert client.put("/datastore/image/info?image=FULL", data={"info": told}).status_code == 200
    assert client.post("/infer/segmentation?image=FULL").status_code == 200
    body = {"image": "FULL", "client_id": "anna", "minutes": 30}
    assert client.post("/cases/reserve", json=body).json()["reserved_by"] == "anna"
    refusal(client.post("/cases/reserve", json={**body, "client_id": "ben"}), 503, "busy")
    told = {"seconds_spent": 42.5, "heat_open": True, "client_id": "anna"}
    assert submit(client, tmp_path, **told).status_code == 200
    body = {"image": "FULL", "type": "meningioma", "reason": "경막 꼬리", "client_id": "anna"}
    kind = client.post("/corrections/type", json=body).json()
    body = {"image": "FULL", "sentences": [{"text": "The rim enhances.", "verdict": "wrong"}]}
    assert client.post("/corrections/sentences", json=body).status_code == 200
    body = {"submission": kind["id"], "decision": "reviewed", "client_id": "dora", "note": "예"}
    assert client.post("/corrections/review", json=body).json()["state"] == "reviewed"
    assert not (studies / ".tumorlens" / "ledger.sqlite3").exists()
    app.learning.ledger.close()

    again = client_of(InProcessApp(studies, ThresholdSegmenter()))
    sentences, typed, mask = again.get("/corrections").json()
    assert (mask["kind"], mask["annotator"], mask["seconds_spent"]) == ("mask", "anna", 42.5)
    assert (mask["proposed_by"], mask["change"]["changed_ml"]) == (MODEL.to_json(), 0.0)
    assert (typed["payload"]["reason"], typed["reviews"][0]["note"]) == ("경막 꼬리", "예")
    assert sentences["payload"]["sentences"][0]["verdict"] == "wrong"
    (result,) = again.get("/results?patient=kim 7").json()
    assert (result["case"], result["patient"]) == ("FULL", "Kim 7")
    assert result["model_sha256"] == MODEL.sha256
    (status,) = [s for s in again.get("/cases/status").json() if s["id"] == "FULL"]
    assert (status["status"], status["reserved_by"]) == ("submitted", None)


@pytest.mark.parametrize(
    ("path", "body", "status", "message"),
    [
        ("review", {"submission": 2**40, "decision": "reviewed"}, 404, "no submission"),
        ("review", {"submission": 1, "decision": "reviewed", "note": "a\0b"}, 400, "NUL"),
        ("type", {"image": "FULL", "type": "glioma", "reason": "\ud800"}, 400, "half a char"),
    ],
)
def test_what_postgresql_cannot_hold_is_the_clients_error(
    ledger_url, client, path, body, status, message
):
    headers = {"content-type": "application/json"}
    reply = client.post(f"/corrections/{path}", content=json.dumps(body), headers=headers)
    assert message in refusal(reply, status)
    refusal(client.get("/results?patient=%00"), 400, "bad_input")


def test_while_the_database_is_away_nothing_is_acknowledged_and_nothing_lost(
    monkeypatch, studies, tmp_path
):
    skip_without_postgresql()
    server = PostgresqlServer()
    try:
        server.start()
        monkeypatch.setenv("TUMORLENS_LEDGER", server.new_database())
        app = InProcessApp(studies, ThresholdSegmenter())
        client = client_of(app)
        submit(client, tmp_path, image="FULL")
        server.stop()
        refusal(submit(client, tmp_path, image="LONE"), 507, "storage")
        body = {"image": "FULL", "type": "glioma"}
        refusal(client.post("/corrections/type", json=body), 507, "storage")
        assert client.post("/infer/segmentation?image=SPARE").status_code == 200
        server.start()
        assert [s["case_id"] for s in client.get("/corrections").json()] == ["FULL"]
        assert app.learning.labels.sync() == 1  # the mask that was stored without its row
        assert [s["case_id"] for s in client.get("/corrections").json()] == ["LONE", "FULL"]
        app.learning.ledger.close()
    finally:
        server.close()
