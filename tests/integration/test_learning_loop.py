"""The loop as a whole: corrections over HTTP, a real training process, a judged candidate."""

import json

import pytest
from brain_tumor.bundles import MODELS_ENV
from brain_tumor.learning.registry.reloading import active_segmenter
from brain_tumor.server.app import ServerApp

from tests.helpers.learning import write_corrected_studies, write_models
from tests.server.conftest import client_of

pytestmark = [pytest.mark.integration, pytest.mark.slow]

DEADLINE_S = 1200


class TinyApp(ServerApp):
    """The app as `main.py` builds it, over tiny models and without a classifier."""

    def load_segmenter(self):
        return active_segmenter(self.registry)


def test_corrections_become_a_candidate_that_the_gate_judges(tmp_path, monkeypatch):
    base = tmp_path / "base"
    for one in write_corrected_studies(base, 3, first=10):  # other patients than those corrected
        label = base / "labels/final" / f"{one.case_id}.nii.gz"
        label.parent.mkdir(parents=True, exist_ok=True)
        label.write_bytes((base / one.label_file).read_bytes())
    studies = tmp_path / "studies"
    corrections = write_corrected_studies(studies, 3)
    labels = {}
    for one in corrections:
        path = studies / one.label_file
        labels[one.case_id] = path.read_bytes()
        path.unlink()
    monkeypatch.setenv(MODELS_ENV, str(write_models(tmp_path / "models")))
    monkeypatch.setenv("TUMORLENS_REPLAY", str(base))
    app = TinyApp(app_dir=str(tmp_path), studies=str(studies), conf={})
    client = client_of(app)
    for one in corrections:
        reply = client.put(
            f"/datastore/label?image={one.case_id}",
            files={"label": ("label.nii.gz", labels[one.case_id])},
            data={"params": json.dumps({"client_id": "anna"})},
        )
        assert reply.status_code == 200, reply.text
    options = {"max_epochs": 1, "steps_per_epoch": 2, "client_id": "anna"}
    started = client.post("/train/segmentation", json=options)
    assert started.status_code == 200, started.text
    assert app.learning.jobs.wait(DEADLINE_S)
    status = client.get("/train/").json()
    assert status["status"] == "DONE", status
    assert (status["epoch"], status["step"], status["version"]) == (1, 2, "0.1.1")
    assert status["promoted"] is False  # one patient held out is too few
    entry = client.get("/models").json()["segmentation"]
    assert (entry["active"], entry["versions"][1]["state"]) == ("0.1.0", "refused")
    assert entry["versions"][1]["data"]["replay"] == "base"
    asked = {"version": "0.1.1", "dry_run": True}
    report = client.post("/models/segmentation/promote", json=asked).json()
    assert report["promote"] is False
    assert report["reasons"]
