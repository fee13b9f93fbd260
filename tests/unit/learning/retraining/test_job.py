"""What a training's process does around the training: stops, crashes, cases that cannot be read."""

from dataclasses import replace

import pytest
import torch
from brain_tumor.bundles import read_bundle
from brain_tumor.learning.gate.promotion import GateRules
from brain_tumor.learning.ledger.database import LEDGER_ENV, LedgerDatabase, ledger_url
from brain_tumor.learning.ledger.ledger import CaseRef, Kind, Ledger, NewSubmission, ReviewState
from brain_tumor.learning.registry.registry import ModelRegistry
from brain_tumor.learning.retraining import job as training_job
from brain_tumor.learning.retraining import job_ending
from brain_tumor.learning.retraining.job import run_job
from brain_tumor.learning.retraining.job_folder import JobStatus
from brain_tumor.model_names import CORRECTABLE
from torch import nn

from tests.helpers.learning import write_job

LENIENT = GateRules(min_patients=1, alpha=0.6)
"""One held-out patient is enough: the sign-flip test of one difference has p 0.5."""


class Killed(BaseException):
    """The process ends here."""


class StubTuner:
    """Learns nothing and scores 0.5 as 0.1.0, 0.9 as any later version."""

    name, learns_from, rules, learnt_share = "segmentation", "masks", LENIENT, 1.0

    def __init__(self, parent):
        torch.manual_seed(0)
        self.network = nn.Linear(1, 1)

    def prepare(self, case, truth, path):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
        return True

    def loss(self, corrections, replay, rng):
        return self.network(torch.ones(1, 1)).square().mean()

    def complete(self, bundle, examples):
        """Nothing."""

    def scorer(self, bundle):
        value = 0.5 if read_bundle(bundle).version.version == "0.1.0" else 0.9
        return lambda case, truth: {"WT": value}

    def scorer_of(self, network):
        return lambda case, truth: {"WT": 0.5}


@pytest.fixture
def use_tuner(monkeypatch):
    def use(tuner):
        monkeypatch.setitem(training_job.TUNERS, "segmentation", tuner)

    use(StubTuner)
    return use


def a_job(folder, **more):
    return write_job(folder, **{"max_epochs": 1, "steps_per_epoch": 1, **more})


def registry_of(folder):
    return ModelRegistry(folder / "models", folder / "store")


def test_what_learns_from_corrections_has_a_tuner_of_its_name():
    assert sorted(training_job.TUNERS) == sorted(CORRECTABLE)
    assert [tuner.name for tuner in training_job.TUNERS.values()] == list(training_job.TUNERS)


def test_the_stub_is_promoted_if_nothing_happens(tmp_path, use_tuner):
    job = a_job(tmp_path)
    assert run_job(job.path) is JobStatus.DONE
    assert job.progress().promoted
    assert registry_of(tmp_path).active_record("segmentation").version == "0.1.1"


class TestStop:
    @pytest.mark.parametrize(
        ("moment", "scored"),
        [("export", 0), ("first case", 2), ("last case", 4), ("promotion", 4)],
    )
    def test_a_stopped_training_never_promotes(
        self, tmp_path, use_tuner, monkeypatch, moment, scored
    ):
        job, calls = a_job(tmp_path), []  # the gate scores one correction and one phantom, twice

        class Stopped(StubTuner):
            def complete(self, bundle, examples):
                if moment == "export":
                    job.ask_to_stop()

            def scorer(self, bundle):
                score = super().scorer(bundle)

                def counted(case, truth):
                    calls.append(case.case_id)
                    if (moment, len(calls)) in (("first case", 1), ("last case", 4)):
                        job.ask_to_stop()
                    return score(case, truth)

                return counted

        use_tuner(Stopped)
        if moment == "promotion":
            keep = ModelRegistry.record_decision

            def stop_then_keep(*arguments):
                job.ask_to_stop()
                keep(*arguments)

            monkeypatch.setattr(ModelRegistry, "record_decision", stop_then_keep)
        assert run_job(job.path) is JobStatus.STOPPED
        assert registry_of(tmp_path).active_record("segmentation").version == "0.1.0"
        assert not job.progress().promoted
        assert job.progress().ended > 0
        assert len(calls) == scored


class TestCrashAfterThePromotion:
    @pytest.fixture
    def job(self, tmp_path, use_tuner, monkeypatch):
        """Job whose process was killed right after the switch."""
        job, promote = a_job(tmp_path), job_ending.promote_if_accepted

        def promote_and_die(*arguments, **options):
            promote(*arguments, **options)
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(job_ending, "promote_if_accepted", promote_and_die)
            with pytest.raises(Killed):
                run_job(job.path)
        assert job.progress().status is JobStatus.RUNNING
        return job

    def test_it_is_only_finished(self, job, tmp_path):
        registry = registry_of(tmp_path)
        before = registry.decision("segmentation", "0.1.1")
        assert run_job(job.path) is JobStatus.DONE
        assert job.progress().promoted
        assert job.progress().details[-1].startswith("segmentation 0.1.1 promoted: better on")
        assert registry.decision("segmentation", "0.1.1") == before
        assert (before["current"], before["promote"]) == ("0.1.0", True)
        assert registry.active_record("segmentation").version == "0.1.1"

    def test_a_rollback_meanwhile_is_not_undone(self, job, tmp_path):
        registry_of(tmp_path).rollback("segmentation", by="anna")
        assert run_job(job.path) is JobStatus.DONE
        assert registry_of(tmp_path).active_record("segmentation").version == "0.1.0"


@pytest.fixture
def ledger(tmp_path, monkeypatch):
    """Ledger of the job's studies folder, with a mask of each of P0, P1 and P2 by anna."""
    monkeypatch.delenv(LEDGER_ENV, raising=False)
    ledger = Ledger(LedgerDatabase(ledger_url({}, tmp_path)))
    for n in range(3):
        case = CaseRef(f"P{n}", "a" * 64, f"P{n}")
        mask = NewSubmission(
            case, Kind.MASK, "anna", tag="final", label_version=1, label_sha256="b"
        )
        assert ledger.submit(mask).id == n + 1
    yield ledger
    ledger.close()


class TestSecondReader:
    @pytest.fixture(autouse=True)
    def doubting(self, use_tuner):
        class Doubting(StubTuner):
            rules = replace(LENIENT, least_current=0.6)  # the active version scores 0.5

        use_tuner(Doubting)

    @pytest.mark.parametrize(
        ("reviewer", "promoted"), [("ben", True), ("anna", False), (" Anna", False), (None, False)]
    )
    def test_only_somebody_else_lifts_the_doubt(self, tmp_path, ledger, reviewer, promoted):
        ledger.review(3, ReviewState.REVIEWED, reviewer)  # P2 is held out
        job = a_job(tmp_path)
        assert run_job(job.path) is JobStatus.DONE
        assert job.progress().promoted is promoted
        decision = registry_of(tmp_path).decision("segmentation", "0.1.1")
        confirmed = {s["case"]: s["confirmed"] for s in decision["scores"]}
        assert confirmed == {"P2-3": promoted, "phantom-72000": False}

    def test_a_review_that_was_taken_back_does_not(self, ledger):
        ledger.review(3, ReviewState.REVIEWED, "ben")
        assert ledger.submission(3).is_confirmed
        ledger.review(3, ReviewState.REVIEWED, "anna")
        assert ledger.submission(3).is_confirmed  # ben still stands by it
        ledger.review(3, ReviewState.REJECTED, "carl")
        ledger.review(3, ReviewState.REVIEWED, "anna")
        assert not ledger.submission(3).is_confirmed


class TestPromotionInTheLedger:
    def test_it_is_noted_once(self, tmp_path, ledger, use_tuner):
        job = a_job(tmp_path, requested_by="policy")
        assert run_job(job.path) is JobStatus.DONE
        (event,) = ledger.model_events("segmentation")
        assert (event["version"], event["event"], event["by"]) == ("0.1.1", "promoted", "policy")
        sha256 = registry_of(tmp_path).active_record("segmentation").sha256
        assert event["detail"] == {"sha256": sha256, "training": "job"}

    @pytest.mark.parametrize("moment", ["before", "after"])
    def test_also_if_the_process_is_killed_beside_it(
        self, tmp_path, ledger, use_tuner, monkeypatch, moment
    ):
        job, note = a_job(tmp_path), job_ending.note_promotion

        def note_and_die(*arguments):
            if moment == "after":
                note(*arguments)
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(job_ending, "note_promotion", note_and_die)
            with pytest.raises(Killed):
                run_job(job.path)
        assert run_job(job.path) is JobStatus.DONE
        assert [e["event"] for e in ledger.model_events("segmentation")] == ["promoted"]

    def test_a_candidate_that_is_kept_back_is_no_event(self, tmp_path, ledger, use_tuner):
        assert run_job(a_job(tmp_path, promote=False).path) is JobStatus.DONE
        assert ledger.model_events("segmentation") == []

    def test_a_ledger_that_is_away_does_not_undo_the_promotion(
        self, tmp_path, use_tuner, monkeypatch
    ):
        monkeypatch.setenv(LEDGER_ENV, f"sqlite:///{tmp_path}/nowhere/ledger.sqlite3")
        job = a_job(tmp_path)
        assert run_job(job.path) is JobStatus.DONE
        assert job.progress().promoted
        assert "the promotion is not in the ledger" in " ".join(job.progress().details)


class TestBadCases:
    def test_they_are_left_out_and_named(self, tmp_path, use_tuner):
        job = a_job(tmp_path, count=4)
        labels = tmp_path / "studies/history"
        tampered = labels / "P0/final/000001.nii.gz"
        tampered.write_bytes(tampered.read_bytes() + b"x")
        (labels / "P1/final/000001.nii.gz").unlink()
        assert run_job(job.path) is JobStatus.DONE
        told = job.progress().details[-2]
        assert "P0-1 (label of submission 1 fails its checksum)" in told
        assert "P1-2 (" in told
        record = registry_of(tmp_path).get("segmentation", "0.1.1")
        assert (record.data["corrections"], record.data["patients"]) == (1, 1)
        assert registry_of(tmp_path).decision("segmentation", "0.1.1")["left_out"] == []

    def test_the_report_of_the_gate_names_those_held_out(self, tmp_path, use_tuner):
        job = a_job(tmp_path)
        (tmp_path / "studies/P2.nii.gz").write_bytes(b"no volume")
        assert run_job(job.path) is JobStatus.DONE
        decision = registry_of(tmp_path).decision("segmentation", "0.1.1")
        (left_out,) = decision["left_out"]
        assert left_out.startswith("P2-3 (")
        assert decision["reasons"][0].startswith("0 corrected patients are held out")
        assert "P2-3" in job.progress().details[-2]

    def test_a_case_on_which_only_the_candidate_fails_is_no_excuse(self, tmp_path, use_tuner):
        class Broken(StubTuner):
            def scorer(self, bundle):
                def fails(case, truth):
                    raise training_job.InputError("nothing comes out")

                is_candidate = read_bundle(bundle).version.version != "0.1.0"
                return fails if is_candidate else super().scorer(bundle)

        use_tuner(Broken)
        assert run_job(a_job(tmp_path).path) is JobStatus.ERROR

    def test_so_are_damaged_base_cases(self, tmp_path, use_tuner):
        folder = tmp_path / "base/glioma3d"
        folder.mkdir(parents=True)
        for n in range(8):  # a fifth of them is held out by a hash of the name
            (folder / f"B{n}.npz").write_bytes(b"PK no archive")
        job = a_job(tmp_path, replay=str(folder.parent))
        assert run_job(job.path) is JobStatus.DONE
        assert "base-B0 (B0.npz is no BraTS case" in job.progress().details[-2]

    def test_with_nothing_left_it_ends_with_the_reason(self, tmp_path, use_tuner):
        job = a_job(tmp_path, count=2)
        (tmp_path / "studies/history/P0/final/000001.nii.gz").unlink()
        assert run_job(job.path) is JobStatus.ERROR
        assert "no correction that 'segmentation' can learn from" in job.progress().details[-1]
        assert "P0-1 (" in job.progress().details[-1]
