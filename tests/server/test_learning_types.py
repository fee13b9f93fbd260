import json

import numpy as np
import pytest
from brain_tumor.bundles import MODELS_ENV, WEIGHTS
from brain_tumor.explanation.analyst import Explanation
from brain_tumor.explanation.references import NO_SYMPTOMS
from brain_tumor.labels import TYPES, Label, LabelScheme
from brain_tumor.learning.job_folder import JobFolder
from brain_tumor.learning.training_job import run_job, symptoms_switched_off
from brain_tumor.segmentation.result import SegmentationResult, region_volumes_ml
from brain_tumor.server.app import ServerApp
from brain_tumor.server.learning_jobs import TrainingJobs, describe
from brain_tumor.server.type_reader import active_type_reader

from tests.helpers.server import MODEL, parse_reply
from tests.helpers.type_learning import sized_case, write_sized_studies, write_typed_models
from tests.helpers.volumes import write_nifti
from tests.server.conftest import client_of, refusal

CASES = 24  # six patients are held out
BASE = range(100, 115)
WITHOUT_MASK = 2
WRONG = dict(zip(TYPES, (*TYPES[1:], TYPES[0]), strict=True))
OPTIONS = {"max_epochs": 30, "learning_rate": 0.003}
BRIGHT = 120


class BrightSegmenter:
    """Takes everything bright for tumour core; exact on the sized cases but for noise."""

    version = MODEL

    def segment(self, case, *, mirrored=False):
        labels = (case.volumes[case.reference].array > BRIGHT).astype(np.uint8) * Label.CORE
        return SegmentationResult(
            labelmap=labels,
            scheme=LabelScheme.CORE,
            model=MODEL,
            reason="a test asked for it",
            volumes_ml=region_volumes_ml(labels, case.spacing_mm, LabelScheme.CORE),
            uncertainty=None,
            timings_s={},
            warnings=(),
        )


class TypedApp(ServerApp):
    """The app as `main.py` builds it, with the classifier of the tests."""

    def load_segmenter(self):
        return BrightSegmenter()

    def load_type_reader(self):
        return active_type_reader(self.registry)


class JobsInThisProcess(TrainingJobs):
    """Trainings that are over when they have been started."""

    def start(self, request):
        self.job = JobFolder(self._folder / "job")
        self.job.create(request)
        run_job(self.job.path)
        return describe(self.job)


class NoJobs(TrainingJobs):
    """Keeps what was asked for."""

    def start(self, request):
        self.request = request
        return {"status": "SUBMITTED"}


@pytest.fixture
def studies(tmp_path):
    write_sized_studies(tmp_path / "studies", range(CASES))
    return tmp_path / "studies"


@pytest.fixture
def models(tmp_path):
    return write_typed_models(tmp_path / "models")


@pytest.fixture
def app(studies, models, tmp_path, monkeypatch):
    write_sized_studies(tmp_path / "base", BASE, base=True)
    monkeypatch.setenv(MODELS_ENV, str(models))
    monkeypatch.setenv("TUMORLENS_REPLAY", str(tmp_path / "base"))
    app = TypedApp(app_dir=str(tmp_path), studies=str(studies), conf={})
    app.learning.trainings.jobs = JobsInThisProcess(tmp_path / "training")
    return app


def correct(client, number, answer=None):
    case, _, kind = sized_case(number)
    body = {"image": case.case_id, "type": answer or kind.value, "client_id": "anna"}
    reply = client.post("/corrections/type", json=body)
    assert reply.status_code == 200, reply.text
    return reply.json()


def outline(client, tmp_path, number):
    case, labels, _ = sized_case(number)
    path = write_nifti(tmp_path / "upload.nii.gz", labels, case.affine)
    reply = client.put(
        f"/datastore/label?image={case.case_id}",
        files={"label": ("l.nii.gz", path.read_bytes())},
        data={"params": json.dumps({"client_id": "anna"})},
    )
    assert reply.status_code == 200, reply.text


def said(client, number):
    """Version of the classifier, and its probabilities of a case through the stored outline."""
    params, _ = parse_reply(client.post(f"/infer/classification?image=S{number}"))
    (version,) = [m["version"] for m in params["models"] if m["name"] == "classification"]
    return version, params["classification"]["probabilities"]


def test_right_types_become_a_better_version_wrong_ones_do_not_and_it_can_be_taken_back(
    client, app, tmp_path, models
):
    before = said(client, 0)
    assert before[0] == "0.1.0"
    for number in range(CASES):
        correct(client, number)
        if number != WITHOUT_MASK:
            outline(client, tmp_path, number)
    status = client.post("/train/classification", json=OPTIONS).json()
    assert status["status"] == "DONE", status["details"]
    assert (status["promoted"], status["version"]) == (True, "0.1.1"), status["details"][-1]
    request = app.learning.jobs.job.request()
    told = {c.case_id: (c.tumor_type, bool(c.label_file)) for c in request.corrections}
    assert told["S1"] == ("meningioma", True)
    assert told[f"S{WITHOUT_MASK}"] == ("pituitary", False)
    assert sum(c.held_out for c in request.corrections) == CASES // 4
    listed = client.get("/models").json()["classification"]
    assert listed["active"] == "0.1.1"
    report = client.get("/models/classification/report?version=0.1.1").json()
    gain = report["checks"][0]["difference"]
    assert (gain["n"], gain["candidate"] > gain["current"] + 0.1) == (6, True)
    version, probabilities = said(client, 0)
    assert version == "0.1.1"
    assert probabilities != before[1]
    assert sum(probabilities.values()) == pytest.approx(1, abs=1e-3)
    for number in range(CASES):  # a wrong hand spoils training and hold-out alike
        correct(client, number, WRONG[sized_case(number)[2]].value)
    app.learning.trainings.jobs = JobsInThisProcess(tmp_path / "second")
    status = client.post("/train/classification", json=OPTIONS).json()
    assert (status["status"], status["promoted"]) == ("DONE", False), status["details"][-1]
    report = client.get("/models/classification/report?version=0.1.2").json()
    assert (report["current"], report["promote"]) == ("0.1.1", False)
    assert said(client, 0) == (version, probabilities)
    client.post("/models/classification/rollback", json={"client_id": "anna"})
    assert said(client, 0) == before
    shipped = (models / "classification" / WEIGHTS).read_bytes()
    assert (app.registry.active("classification") / WEIGHTS).read_bytes() == shipped


def test_only_usable_types_count_and_masks_alone_are_none(client, app, tmp_path):
    app.learning.trainings.jobs = NoJobs(tmp_path / "training")
    outline(client, tmp_path, 0)
    message = refusal(client.post("/train/classification", json={}), 400, "bad_input")
    assert "0 corrections" in message
    rejected = correct(client, 4)
    correct(client, 3, "other")
    decision = {"submission": rejected["id"], "decision": "rejected", "client_id": "ben"}
    client.post("/corrections/review", json=decision)
    kept = {f"S{n}": correct(client, n)["id"] for n in (1, 2, 5, 6, 7, 8)}
    client.post("/train/classification", json={"learning_rate": 0.002})
    request = app.learning.jobs.request
    assert {c.case_id: c.submission for c in request.corrections} == kept
    assert (request.model, request.learning_rate) == ("classification", 0.002)


def test_the_policy_counts_types_for_the_classifier(app, studies, tmp_path, monkeypatch):
    monkeypatch.setenv("TUMORLENS_RETRAIN", "every 3")
    app = TypedApp(app_dir=str(tmp_path), studies=str(studies), conf={})
    app.learning.trainings.jobs = NoJobs(tmp_path / "training")
    client = client_of(app)
    for number in range(2):
        correct(client, number)
    assert app.learning.trainings.retrain_if_due() is None
    for number in range(2, 4):  # of four patients one is held out
        correct(client, number)
    assert app.learning.trainings.retrain_if_due() == "classification"
    assert app.learning.jobs.request.learning_rate == 0.001


def test_a_new_version_is_no_reason_to_trust_symptoms_read_with_the_old_one(app, models):
    """The symptom reader is bound to one classifier by its checksum."""
    assert symptoms_switched_off(app.registry) == ""
    folder = models / "concepts"
    for file in ("configs/metadata.json", "models/model.safetensors"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / "models/model.safetensors").write_bytes(b"none")
    made_for = app.registry.active_record("classification").sha256
    metadata = {"name": "concepts", "version": "0.1.0", "classifier_sha256": made_for}
    (folder / "configs/metadata.json").write_text(json.dumps(metadata))
    assert symptoms_switched_off(app.registry) == ""
    metadata["classifier_sha256"] = "0" * 64
    (folder / "configs/metadata.json").write_text(json.dumps(metadata))
    assert "visual symptoms are switched off" in symptoms_switched_off(app.registry)
    reader = active_type_reader(app.registry)()
    assert reader.symptoms is None
    assert reader.warnings == (NO_SYMPTOMS,)
    told = Explanation(None, None, None, None, reader.symptoms, {}, reader.warnings)
    assert told.warnings == reader.warnings
    assert len(reader.versions) == 1


def test_scores_are_made_again_when_the_classifier_changes(app, monkeypatch):
    from brain_tumor.learning.acquisition import CaseScores
    from brain_tumor.server.learning_scorer import CaseScorer

    scorer = CaseScorer(app, budget=1.0)
    scores = CaseScores(0.5, (0.0,), 1.0)
    for image in app.datastore().list_images():
        digest = app.learning.case_ref(image).image_sha256
        app.learning.ledger.scores.add(image, digest, scorer._models(), scores.to_json())
    assert scorer.pending() == []
    task = app.infer_task("explanation")
    other = [type(m)(m.name, "9.9.9", "e" * 64) for m in task.models()]
    monkeypatch.setattr(task, "models", lambda result=None: other)
    assert len(scorer.pending()) == CASES
    assert np.unique(scorer.pending()).size == CASES
