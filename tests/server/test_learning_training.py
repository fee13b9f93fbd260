import subprocess
import sys
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import BusyError, NotFoundError
from brain_tumor.learning.acquisition import CaseScores, combined_scores
from brain_tumor.learning.retraining.job import run_job
from brain_tumor.learning.retraining.job_folder import (
    Correction,
    JobFolder,
    JobStatus,
    TrainingRequest,
)
from brain_tumor.server.learning.jobs import TrainingJobs
from brain_tumor.server.learning.scorer import (
    CaseScorer,
    TypeOpinions,
    rest_s,
    score_case,
    scoring_budget,
    type_opinions,
)
from brain_tumor.server.tasks.inputs import stored_input

from tests.helpers.server import AFFINE, SHAPE, ThresholdSegmenter, a_phantom, write_label
from tests.server.conftest import refusal

DEADLINE_S = 120

WORKER = """
import os, sys, time
from pathlib import Path
from brain_tumor.learning.retraining.job_folder import JobFolder, JobStatus
job = JobFolder(Path(sys.argv[2]))
starts = job.progress().starts + 1
done = {"step": 5, "steps": 10, "epoch": 1, "max_epochs": 2, "loss": 0.5}
job.update(status=JobStatus.RUNNING, starts=starts, **done)
way = sys.argv[1]
if way == "killed once" and starts == 1 or way == "killed always":
    os.kill(os.getpid(), 9)
if way == "fails":
    sys.exit(3)
while way == "waits" and not job.shall_stop:
    time.sleep(0.02)
status = JobStatus.STOPPED if job.shall_stop else JobStatus.DONE
job.update("over", status=status, ended=time.time(), validation=0.75)
if way == "lingers":
    time.sleep(1)
"""


def a_command(way):
    """Worker that needs no network: it ends, fails, waits or is killed."""
    return lambda folder: [sys.executable, "-c", WORKER, way, str(folder)]


REQUEST = TrainingRequest(
    "", "segmentation", "s", "m", "m", (Correction(7, "P", "P", False, "f", "0"),)
)


@pytest.fixture
def jobs_that(tmp_path):
    made = []

    def make(way):
        jobs = TrainingJobs(tmp_path / "training", a_command(way))
        made.append(jobs)
        return jobs

    yield make
    for jobs in made:
        jobs.stop()
        jobs.close()


class TestJobs:
    def test_a_training_is_started_watched_and_remembered(self, jobs_that):
        jobs = jobs_that("ends")
        assert jobs.status() is None
        assert jobs.start(REQUEST)["status"] in ("SUBMITTED", "RUNNING", "DONE")
        assert jobs.wait(DEADLINE_S)
        status = jobs.status()
        assert (status["status"], status["progress"], status["validation"]) == ("DONE", 1.0, 0.75)
        assert (status["request"]["model"], status["details"]) == ("segmentation", ["over"])
        assert status["end_ts"] >= status["start_ts"] > "2020"
        jobs.start(REQUEST)
        assert jobs.wait(DEADLINE_S)
        assert len({job["id"] for job in jobs_that("ends").all()}) == 2

    def test_the_next_one_starts_as_soon_as_one_says_that_it_is_over(self, jobs_that):
        jobs = jobs_that("lingers")
        first = jobs.start(REQUEST)["id"]
        end = time.monotonic() + DEADLINE_S
        while jobs.status()["status"] != "DONE":
            assert time.monotonic() < end
            time.sleep(0.01)
        assert not jobs.is_running  # though its process has not ended
        assert jobs.start(REQUEST)["id"] != first
        assert jobs.is_running

    def test_a_killed_process_goes_on_and_one_that_is_always_killed_ends(self, jobs_that):
        jobs = jobs_that("killed once")
        jobs.start(REQUEST)
        assert jobs.wait(DEADLINE_S)
        assert jobs.status()["status"] == "DONE"
        assert "killed (signal 9); going on" in jobs.status()["details"][0]
        jobs = jobs_that("killed always")
        jobs.start(REQUEST)
        assert jobs.wait(DEADLINE_S)
        assert jobs.status()["status"] == "ERROR"

    def test_a_process_that_fails_is_an_error_that_says_so(self, jobs_that):
        jobs = jobs_that("fails")
        jobs.start(REQUEST)
        assert jobs.wait(DEADLINE_S)
        assert jobs.status()["status"] == "ERROR"
        assert "ended with code 3" in jobs.status()["details"][-1]

    def test_there_is_one_at_a_time_and_it_can_be_stopped(self, jobs_that):
        jobs = jobs_that("waits")
        jobs.start(REQUEST)
        with pytest.raises(BusyError, match="running already"):
            jobs.start(REQUEST)
        assert jobs.running()["status"] in ("SUBMITTED", "RUNNING")
        jobs.stop()
        assert jobs.wait(DEADLINE_S)
        assert jobs.status()["status"] == "STOPPED"
        assert jobs.stop() is None
        with pytest.raises(NotFoundError):
            jobs.running()

    def test_what_a_crash_cut_off_is_taken_up_again(self, jobs_that, tmp_path):
        job = JobFolder(tmp_path / "training" / "20260101-000000")
        job.create(replace(REQUEST, id="20260101-000000"))
        job.update(status=JobStatus.RUNNING, starts=1)
        jobs = jobs_that("ends")
        assert jobs.recover()
        assert jobs.wait(DEADLINE_S)
        assert (job.progress().status, job.progress().starts) == (JobStatus.DONE, 2)
        assert not jobs.recover()


HOLDER = """
import sys, time
from pathlib import Path
from brain_tumor.learning.retraining.job_folder import JobFolder, JobStatus
job = JobFolder(Path(sys.argv[1]))
with job.worked_on() as is_ours:
    assert is_ours
    print("works", flush=True)
    sys.stdin.readline()
    job.update("over", status=JobStatus.DONE)
"""


@pytest.fixture
def an_orphan(tmp_path):
    """A job that a process works on which no server watches any more."""
    job = JobFolder(tmp_path / "training" / "20260101-000000")
    job.create(replace(REQUEST, id="20260101-000000"))
    job.update(status=JobStatus.RUNNING, starts=1)
    process = subprocess.Popen(
        [sys.executable, "-c", HOLDER, str(job.path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout.readline() == b"works\n"
    yield job, process
    process.kill()
    process.communicate()


class TestOrphans:
    def test_a_training_that_outlived_its_server_is_adopted_not_doubled(self, an_orphan, jobs_that):
        job, process = an_orphan
        assert job.worker == process.pid
        jobs = jobs_that("fails")  # what a second process would do
        assert jobs.recover()
        assert jobs.is_running
        with pytest.raises(BusyError):
            jobs.start(REQUEST)
        process.communicate(b"\n")
        assert jobs.wait(DEADLINE_S)
        assert (job.progress().status, job.progress().details) == (JobStatus.DONE, ("over",))

    def test_an_orphan_that_is_killed_is_taken_up_again(self, an_orphan, jobs_that):
        job, process = an_orphan
        jobs = jobs_that("ends")
        assert jobs.recover()
        process.kill()
        assert jobs.wait(DEADLINE_S)
        assert job.progress().status is JobStatus.DONE
        assert job.progress().starts == 2

    def test_a_server_that_stops_interrupts_the_orphan_too(self, an_orphan, jobs_that):
        _, process = an_orphan
        jobs = jobs_that("ends")
        assert jobs.recover()
        jobs.close()
        assert process.wait(DEADLINE_S) == -15

    def test_a_second_process_on_one_job_leaves_it_alone(self, an_orphan):
        job, _ = an_orphan
        before = job.progress()
        with pytest.raises(BusyError, match="another process works on"):
            run_job(job.path)
        assert job.progress() == before


def submit(client, tmp_path, image, who="anna"):
    label = write_label(tmp_path / "upload.nii.gz").read_bytes()
    reply = client.put(
        f"/datastore/label?image={image}",
        files={"label": ("l.nii.gz", label)},
        data={"params": f'{{"client_id": "{who}"}}'},
    )
    assert reply.status_code == 200, reply.text


@pytest.fixture
def corrected(client, tmp_path):
    """Client of a server with three corrected cases."""
    for image in ("FULL", "LONE", "SPARE"):
        submit(client, tmp_path, image)
    return client


class TestTrainRoutes:
    def test_a_training_gets_the_corrections_and_its_state_is_told(
        self, corrected, app, tmp_path, studies
    ):
        app.learning.trainings.jobs = TrainingJobs(tmp_path / "training", a_command("waits"))
        body = {"max_epochs": 3, "promote": False, "client_id": "anna"}
        started = corrected.post("/train/segmentation", json=body).json()
        assert started["request"]["corrections"] == 3
        refusal(corrected.post("/train/tumor_core", json={}), 503, "busy")
        deadline = time.monotonic() + DEADLINE_S
        while corrected.get("/train/").json()["step"] != 5 and time.monotonic() < deadline:
            time.sleep(0.02)
        status = corrected.get("/train/?check_if_running=true").json()
        assert (status["status"], status["progress"], status["loss"]) == ("RUNNING", 0.5, 0.5)
        stats = corrected.get("/info/").json()["train_stats"]["segmentation"]
        assert (stats["epoch"], stats["total_epochs"]) == (1, 2)
        corrected.delete("/train/")
        assert app.learning.jobs.wait(DEADLINE_S)
        assert corrected.get("/train/").json()["status"] == "STOPPED"
        refusal(corrected.get("/train/?check_if_running=true"), 404)
        request, _ = app.learning.jobs.newest_of("segmentation")
        assert (request.max_epochs, request.promote, request.requested_by) == (3, False, "anna")
        assert request.parent == app.registry.active_record("segmentation").version
        for correction in request.corrections:
            path = studies / correction.label_file
            assert path.read_bytes() == (tmp_path / "upload.nii.gz").read_bytes()
        assert sum(c.held_out for c in request.corrections) <= 1

    def test_a_policy_starts_a_training_and_only_once(
        self, studies, segmenter, tmp_path, monkeypatch
    ):
        from tests.server.conftest import InProcessApp, client_of

        monkeypatch.setenv("TUMORLENS_RETRAIN", "every 2")
        app = InProcessApp(studies, segmenter)
        client = client_of(app)
        app.learning.trainings.jobs = TrainingJobs(tmp_path / "training", a_command("ends"))
        submit(client, tmp_path, "FULL")
        assert app.learning.trainings.retrain_if_due() is None
        submit(client, tmp_path, "LONE")
        submit(client, tmp_path, "SPARE")
        assert app.learning.trainings.retrain_if_due() == "segmentation"
        assert app.learning.jobs.wait(DEADLINE_S)
        assert app.learning.trainings.retrain_if_due() == "tumor_core"
        assert app.learning.jobs.wait(DEADLINE_S)
        assert app.learning.trainings.retrain_if_due() is None

    def test_only_a_finished_training_uses_corrections_up(
        self, studies, segmenter, tmp_path, monkeypatch
    ):
        app, client = self.app_with("every 2", studies, segmenter, monkeypatch)
        for image in ("FULL", "LONE", "SPARE"):
            submit(client, tmp_path, image)
        trainings = app.learning.trainings
        for way, model in (("fails", "segmentation"), ("ends", "tumor_core")):
            trainings.jobs = TrainingJobs(tmp_path / "training", a_command(way))
            assert trainings.retrain_if_due() == model
            assert trainings.jobs.wait(DEADLINE_S)
        assert trainings.retrain_if_due() is None  # never twice within an hour
        for job in trainings.jobs.jobs():
            job.update(started=time.time() - 3700)
        assert trainings.retrain_if_due() == "segmentation"
        assert trainings.jobs.wait(DEADLINE_S)
        assert trainings.retrain_if_due() is None

    def test_a_night_lasts_until_every_model_has_had_its_turn(
        self, studies, segmenter, tmp_path, monkeypatch
    ):
        past = (datetime.now().astimezone() - timedelta(hours=5)).strftime("%H:%M")
        app, client = self.app_with(f"nightly {past}", studies, segmenter, monkeypatch)
        trainings = app.learning.trainings
        trainings.jobs = TrainingJobs(tmp_path / "training", a_command("ends"))
        for image in ("FULL", "LONE", "SPARE"):
            submit(client, tmp_path, image)
        assert trainings.retrain_if_due() is None  # made after the turn: waits for the next
        before = [
            replace(s, at=(datetime.now(UTC) - timedelta(hours=6)).isoformat())
            for s in app.learning.ledger.submissions()
        ]
        monkeypatch.setattr(app.learning.ledger, "submissions", lambda **_: before)
        for model in ("segmentation", "tumor_core"):  # hours after the set time
            assert trainings.retrain_if_due() == model
            assert trainings.jobs.wait(DEADLINE_S)
        assert trainings.retrain_if_due() is None

    def app_with(self, policy, studies, segmenter, monkeypatch):
        from tests.server.conftest import InProcessApp, client_of

        monkeypatch.setenv("TUMORLENS_RETRAIN", policy)
        app = InProcessApp(studies, segmenter)
        return app, client_of(app)


class TestNextCase:
    def next_case(self, client, who=None, strategy="first"):
        body = {"client_id": who} if who else {}
        return client.post(f"/activelearning/{strategy}", json=body).json().get("id")

    def test_two_annotators_never_get_the_same_case(self, client):
        assert self.next_case(client, "anna") == "FULL"
        assert self.next_case(client, "ben") == "LONE"
        assert self.next_case(client, "anna") == "FULL"
        assert self.next_case(client, "carl", "random") == "SPARE"
        assert self.next_case(client, "dora") is None
        reserved = {r["id"]: r["reserved_by"] for r in client.get("/cases/status").json()}
        assert reserved == {"FULL": "anna", "LONE": "ben", "SPARE": "carl"}

    def test_a_submission_ends_the_reservation(self, client, tmp_path):
        self.next_case(client, "anna")
        submit(client, tmp_path, "FULL", "anna")
        (row,) = [r for r in client.get("/cases/status").json() if r["id"] == "FULL"]
        assert (row["status"], row["reserved_by"]) == ("submitted", None)

    def test_a_reservation_runs_out(self, app, client):
        past = datetime.now(UTC) - timedelta(hours=2)
        app.learning.ledger.cases.reserve("FULL", "anna", 60, now=past)
        assert self.next_case(client, "ben") == "FULL"

    def test_a_reopened_case_is_handed_out_until_it_is_submitted(self, corrected, tmp_path):
        assert self.next_case(corrected, "ben") is None
        corrected.post("/cases/reopen", json={"image": "LONE", "client_id": "carl"})
        assert self.next_case(corrected, "ben") == "LONE"
        submit(corrected, tmp_path, "LONE", "ben")
        assert self.next_case(corrected, "ben") is None


class TestScores:
    def add(self, app, case, uncertainty, place, **more):
        scores = CaseScores(uncertainty, place, 1.0, **more)
        app.learning.ledger.scores.add(case, "a" * 64, "f" * 64, scores.to_json())

    def test_each_strategy_hands_out_its_own_favourite(self, client, app, tmp_path):
        submit(client, tmp_path, "SPARE")
        self.add(app, "SPARE", 0.5, (0.0, 0.0))
        self.add(app, "FULL", 0.9, (1.0, 0.0), disagreement=0.1)
        self.add(app, "LONE", 0.2, (9.0, 9.0), disagreement=0.8)
        chosen = {
            strategy: client.post(f"/activelearning/{strategy}").json()["id"]
            for strategy in ("uncertainty", "disagreement", "diversity", "combined")
        }
        assert chosen == {
            "uncertainty": "FULL",
            "disagreement": "LONE",
            "diversity": "LONE",
            "combined": "LONE",
        }

    def test_unscored_cases_come_after_scored_ones_and_first_without_any(self, client, app):
        assert client.post("/activelearning/uncertainty").json()["id"] == "FULL"
        self.add(app, "SPARE", 0.1, (0.0, 0.0))
        assert client.post("/activelearning/uncertainty").json()["id"] == "SPARE"

    def test_the_scorer_scores_what_is_not_labelled_once_per_model(self, client, app, tmp_path):
        submit(client, tmp_path, "SPARE")
        scorer = CaseScorer(app, budget=1.0)
        assert scorer.pending() == ["FULL", "LONE"]
        scores = scorer.score("FULL")
        # the threshold segmenter is half sure inside the tumour, sure outside
        assert scores.uncertainty == 0.5
        assert 0 < scores.type_entropy <= 1  # of the classifier that the tests have
        assert scores.unsure_ml == pytest.approx(216 * 0.005)
        task = app.infer_task("explanation")
        case = stored_input(app.datastore(), "LONE")
        heat = task.run(case, task.check_options({})).params["heatmap"]
        # one outline, one reader: only the heat can be elsewhere
        found = scorer.score("LONE").disagreement
        assert found == pytest.approx(1 - heat["near_tumor_share"])
        assert scorer.pending() == []
        assert app.learning.ledger.scores.newest()["FULL"]["values"]["uncertainty"] == 0.5

    def test_the_pair_that_differs_most_is_the_disagreement(self):
        case = Case("P", Sequence.T1C, {Sequence.T1C: Volume(a_phantom(), AFFINE)})
        result = ThresholdSegmenter().segment(case)
        smaller = replace(result, labelmap=result.labelmap * (np.indices(SHAPE)[0] < 6))
        heat = {"range": [0, 1], "near_tumor_share": 0.75}
        types = {"probabilities": {"glioma": 0.9, "meningioma": 0.1}}
        told = {"classification": types, "heatmap": heat, "second_reader": {"disagreement": 0.1}}
        opinions = type_opinions(told)
        # half of the 64 core voxels are gone: Dice 2 * 32 / (64 + 32)
        assert score_case(case, result, smaller, opinions).disagreement == pytest.approx(1 / 3)
        assert score_case(case, result, result, opinions).disagreement == pytest.approx(0.25)
        told["second_reader"] = {"disagreement": 0.8}  # the reader of symptoms differs most
        doubted = score_case(case, result, smaller, type_opinions(told))
        assert doubted.disagreement == pytest.approx(0.8)
        certain = score_case(case, result, smaller, opinions)
        assert np.argmax(combined_scores([certain, doubted], [])) == 1
        assert score_case(case, result, None, TypeOpinions()).disagreement is None
        empty = {"range": [0, 0], "near_tumor_share": 0.0}
        assert type_opinions({**told, "heatmap": empty}).heat_elsewhere is None

    def test_the_budget_is_a_share_of_one_processor(self):
        assert scoring_budget({}) == 0.2
        assert scoring_budget({"TUMORLENS_SCORING_BUDGET": "0"}) == 0
        for text in ("2", "fast", "-1", "nan"):
            with pytest.raises(ValueError, match="TUMORLENS_SCORING_BUDGET"):
                scoring_budget({"TUMORLENS_SCORING_BUDGET": text})

    def test_the_budget_counts_every_thread(self):
        assert rest_s(10, 10, 0.2) == 40  # one thread: 10 s of 50 s
        assert rest_s(10, 20, 0.2) == 90  # two threads: 20 s of 100 s
        assert rest_s(10, 10, 1.0) == 0
        assert rest_s(10, 4, 1.0) == 0  # it waited; there is no time to give back
        assert rest_s(10, 4, 0.5) == 0

    def test_the_scorer_rests_by_processor_time(self, app, monkeypatch):
        pauses = []

        class Clock:
            """10 s of work on two threads."""

            now = 0.0

            def monotonic(self):
                return self.now

            def process_time(self):
                return 2 * self.now

            def sleep(self, seconds):
                pauses.append(seconds)
                if len(pauses) == 2:
                    raise SystemExit

        clock = Clock()
        scorer = CaseScorer(app, budget=0.2)

        def work(image):
            clock.now += 10

        monkeypatch.setattr("brain_tumor.server.learning.scorer.time", clock)
        monkeypatch.setattr(scorer, "_try", work)
        with pytest.raises(SystemExit):
            scorer._run()
        assert pauses == [60, 90]
