import threading

import numpy as np
import pytest
from brain_tumor.bundles import MODELS_ENV

from tests.helpers.learning import (
    BETTER,
    KEPT,
    SwitchingApp,
    gate,
    write_bundle,
    write_glioma_study,
    write_models,
)
from tests.helpers.server import parse_reply
from tests.server.conftest import refusal


@pytest.fixture
def studies(tmp_path):
    return write_glioma_study(tmp_path / "studies")


@pytest.fixture
def app(studies, tmp_path, monkeypatch):
    monkeypatch.setenv(MODELS_ENV, str(write_models(tmp_path / "models")))
    return SwitchingApp(app_dir=str(tmp_path), studies=str(studies), conf={})


@pytest.fixture
def candidate(app, tmp_path):
    """Version 0.1.1 in the registry, not judged."""
    source = write_bundle(tmp_path / "candidate", version="0.1.1", seed=7)
    return app.registry.add(source, data={"corrections": 8}, metrics={"dice": 0.5}, parent="0.1.0")


def segment(client):
    return parse_reply(client.post("/infer/segmentation?image=P1"))


def judged(app, *parts):
    app.registry.record_decision("segmentation", "0.1.1", gate(*parts).to_json())


def test_the_versions_are_listed(client, candidate):
    listed = client.get("/models").json()
    assert sorted(listed) == ["segmentation", "tumor_core"]
    entry = listed["segmentation"]
    assert entry["active"] == "0.1.0"
    shipped, new = entry["versions"]
    assert (shipped["state"], new["state"], new["parent"]) == ("active", "candidate", "0.1.0")
    assert (new["sha256"], new["metrics"]) == (candidate.sha256, {"dice": 0.5})
    assert "path" not in new


def test_what_the_gate_did_not_let_pass_stays_out(client, app, candidate):
    promote = "/models/segmentation/promote"
    assert "was not judged" in refusal(client.post(promote, json={"version": "0.1.1"}), 400)
    dry = {"version": "0.1.1", "dry_run": True}
    refusal(client.post(promote, json=dry), 404, "not_found")
    judged(app, BETTER[:2], KEPT)
    message = refusal(client.post(promote, json={"version": "0.1.1"}), 400, "bad_input")
    assert "expected at least 5" in message
    assert client.post(promote, json=dry).json()["promote"] is False
    assert client.get("/models").json()["segmentation"]["active"] == "0.1.0"


def test_a_promoted_version_answers_without_a_restart_and_rollback_gives_the_old_replies(
    client, app, candidate
):
    before, files_before = segment(client)
    assert before["models"][0]["version"] == "0.1.0"
    judged(app, BETTER, KEPT)
    reply = client.post(
        "/models/segmentation/promote", json={"version": "0.1.1", "client_id": "anna"}
    )
    assert (reply.json()["active"], reply.json()["state"]) == ("0.1.1", "active")
    during, files_during = segment(client)
    assert (during["cached"], during["models"][0]["sha256"]) == (False, candidate.sha256)
    assert client.get("/model/info/segmentation").json()["checksum"] != candidate.sha256
    rolled = client.post("/models/segmentation/rollback", json={"client_id": "ben"}).json()
    assert rolled["active"] == "0.1.0"
    app.services.cache.clear()
    after, files_after = segment(client)
    assert (after["cached"], after["models"]) == (False, before["models"])
    assert files_after["image"] == files_before["image"] != files_during["image"]
    events = [(e["event"], e["version"], e["by"]) for e in app.learning.ledger.model_events()]
    assert events == [("promoted", "0.1.1", "anna"), ("rolled back", "0.1.0", "ben")]


def test_a_request_that_runs_during_a_switch_finishes_on_the_old_version(
    client, app, candidate, monkeypatch
):
    from brain_tumor.segmentation.subregions.inference import SubregionSegmenter

    entered, leave, replies = threading.Event(), threading.Event(), []
    predict = SubregionSegmenter.predict

    def slow(self, working, **more):
        entered.set()
        assert leave.wait(60)
        return predict(self, working, **more)

    monkeypatch.setattr(SubregionSegmenter, "predict", slow)
    thread = threading.Thread(target=lambda: replies.append(segment(client)))
    thread.start()
    assert entered.wait(60)
    judged(app, BETTER, KEPT)
    client.post("/models/segmentation/promote", json={"version": "0.1.1"})
    leave.set()
    thread.join(60)
    assert replies[0][0]["models"][0]["version"] == "0.1.0"
    params, _ = segment(client)
    assert (params["models"][0]["version"], params["cached"]) == ("0.1.1", False)
    client.post("/models/segmentation/rollback")
    again, files = segment(client)
    assert (again["models"][0]["version"], again["cached"]) == ("0.1.0", False)
    assert np.array_equal(
        np.frombuffer(files["image"], np.uint8), np.frombuffer(replies[0][1]["image"], np.uint8)
    )


def test_the_report_is_json_or_a_page(client, app, candidate):
    judged(app, BETTER, KEPT)
    address = "/models/segmentation/report?version=0.1.1"
    assert client.get(address).json()["promote"] is True
    page = client.get(f"{address}&format=html")
    assert page.headers["content-type"].startswith("text/html")
    assert "segmentation 0.1.1 may be promoted" in page.text
    refusal(client.get(f"{address}&format=pdf"), 400)
    refusal(client.get("/models/segmentation/report?version=0.1.0"), 404)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/models/segmentation/promote", {}, 400),
        ("/models/segmentation/promote", {"version": "../x"}, 400),
        ("/models/segmentation/promote", {"version": "9.9.9"}, 404),
        ("/models/nope/promote", {"version": "0.1.0"}, 404),
        ("/models/segmentation/rollback", {}, 404),
        ("/models/segmentation/rollback", {"version": "9.9.9"}, 404),
        ("/models/segmentation/rollback", {"to": "0.1.0"}, 400),
    ],
)
def test_nonsense_changes_nothing(client, app, path, body, status):
    refusal(client.post(path, json=body), status)
    assert app.registry.active_record("segmentation").version == "0.1.0"
