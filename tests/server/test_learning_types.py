import json
import shutil

import numpy as np
import pytest
from brain_tumor.bundles import MODELS_ENV, WEIGHTS, read_bundle
from brain_tumor.classification.model.network import embedding_sha256
from brain_tumor.concepts.head import MADE_FOR
from brain_tumor.explanation.type_reader import NO_SYMPTOMS
from brain_tumor.labels import TYPES, Label, LabelScheme
from brain_tumor.learning.retraining.job import run_job
from brain_tumor.learning.retraining.job_ending import symptoms_switched_off
from brain_tumor.learning.retraining.job_folder import JobFolder, TrainingRequest
from brain_tumor.segmentation.result import SegmentationResult, region_volumes_ml
from brain_tumor.server.app import ServerApp
from brain_tumor.server.learning.jobs import TrainingJobs, describe
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
        data={"params": json.dumps({"client_id": "anna", "numbering": "tumorlens"})},
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


class TestWhatNoLongerTeaches:
    """Four patients, so that one is held out and the others teach."""

    @pytest.fixture
    def request_of(self, app, tmp_path):
        app.learning.trainings.jobs = NoJobs(tmp_path / "training")

        def ask(client, model):
            client.post(f"/train/{model}", json={})
            request = app.learning.jobs.request
            return {c.case_id: c.label_file for c in request.corrections}, request.left_out

        return ask

    def file(self, number, version):
        return f"history/S{number}/final/{version:06d}.nii.gz"

    def test_a_mask_that_was_removed(self, client, tmp_path, request_of):
        for number in (0, 1, 3, 4, 5):
            outline(client, tmp_path, number)
        for number in (0, 1):
            assert client.delete(f"/datastore/label?id=S{number}&tag=final").status_code == 200
        outline(client, tmp_path, 1)  # drawn anew: version 3 after the removal
        masks, left_out = request_of(client, "tumor_core")
        assert masks == {f"S{n}": self.file(n, v) for n, v in ((1, 3), (3, 1), (4, 1), (5, 1))}
        assert left_out == ("S0: its label was removed",)
        client.post("/datastore/label/restore?label=S0&tag=final&version=1")
        assert request_of(client, "tumor_core")[1] == ()

    def test_a_removed_mask_that_was_reviewed_does_not_go_before_a_new_one(
        self, client, tmp_path, request_of
    ):
        for number in (0, 1, 3, 4):
            outline(client, tmp_path, number)
        number = client.get("/corrections?image=S0").json()[0]["id"]
        body = {"submission": number, "decision": "reviewed", "client_id": "ben"}
        assert client.post("/corrections/review", json=body).status_code == 200
        client.delete("/datastore/label?id=S0&tag=final")
        outline(client, tmp_path, 0)
        masks, left_out = request_of(client, "tumor_core")
        assert (masks["S0"], left_out) == (self.file(0, 3), ())

    def test_a_mask_and_a_type_of_another_volume(self, client, studies, tmp_path, request_of):
        for number in (0, 1, 3, 4, 5):
            outline(client, tmp_path, number)
            correct(client, number)
        shutil.copyfile(studies / "S2.nii.gz", studies / "S0.nii.gz")
        reason = "S0: the volume of its case is another one now"
        for model in ("tumor_core", "classification"):
            found, left_out = request_of(client, model)
            assert sorted(found) == ["S1", "S3", "S4", "S5"]
            assert left_out == (reason,)
        outline(client, tmp_path, 0)  # of the new volume
        assert request_of(client, "tumor_core")[1] == ()

    def test_the_refusal_names_what_was_left_out(self, client, app, tmp_path, request_of):
        outline(client, tmp_path, 0)
        client.delete("/datastore/label?id=S0&tag=final")
        message = refusal(client.post("/train/tumor_core", json={}), 400, "bad_input")
        assert "0 corrections" in message
        assert "S0: its label was removed" in message

    def test_the_job_says_so(self, tmp_path):
        job = JobFolder(tmp_path / "job")
        left_out = tuple(f"P{n}: its label was removed" for n in range(2))
        job.create(TrainingRequest("", "m", "s", "m", "m", (), left_out=left_out))
        assert describe(job)["details"] == [f"left out P{n}: its label was removed" for n in (0, 1)]
        assert job.request().left_out == left_out


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


def test_symptoms_of_another_embedding_are_not_trusted(app, models):
    """The symptom reader is bound to one embedding by its checksum."""
    assert symptoms_switched_off(app.registry) == ""
    folder = models / "concepts"
    for file in ("configs/metadata.json", "models/model.safetensors"):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
    (folder / "models/model.safetensors").write_bytes(b"none")
    made_for = embedding_sha256(read_bundle(app.registry.active("classification")))
    metadata = {"name": "concepts", "version": "0.1.0", MADE_FOR: made_for}
    (folder / "configs/metadata.json").write_text(json.dumps(metadata))
    assert symptoms_switched_off(app.registry) == ""
    metadata[MADE_FOR] = "0" * 64
    (folder / "configs/metadata.json").write_text(json.dumps(metadata))
    assert "visual symptoms are switched off" in symptoms_switched_off(app.registry)
    reader = active_type_reader(app.registry)()
    assert reader.symptoms is None
    assert reader.warnings == (NO_SYMPTOMS,)
    assert len(reader.versions) == 1


def test_scores_are_made_again_when_volume_or_classifier_changes(app, studies, monkeypatch):
    from brain_tumor.learning.acquisition import CaseScores
    from brain_tumor.server.learning.scorer import CaseScorer

    scorer = CaseScorer(app, budget=1.0)
    scores = CaseScores(0.5, (0.0,), 1.0)
    for image in app.datastore().list_images():
        digest = app.learning.case_ref(image).image_sha256
        app.learning.ledger.scores.add(image, digest, scorer._models(), scores.to_json())
    assert scorer.pending() == []
    shutil.copyfile(studies / "S2.nii.gz", studies / "S0.nii.gz")
    assert scorer.pending() == ["S0"]
    task = app.infer_task("explanation")
    other = [type(m)(m.name, "9.9.9", "e" * 64) for m in task.models()]
    monkeypatch.setattr(task, "models", lambda result=None: other)
    assert len(scorer.pending()) == CASES
    assert np.unique(scorer.pending()).size == CASES
