"""What a training's process does around the training: stops, crashes, cases that cannot be read."""

import pytest
import torch
from brain_tumor.bundles import read_bundle
from brain_tumor.learning import training_job
from brain_tumor.learning.job_folder import JobStatus
from brain_tumor.learning.promotion import GateRules
from brain_tumor.learning.registry import ModelRegistry
from brain_tumor.learning.training_job import run_job
from torch import nn

from tests.helpers.learning import write_job

LENIENT = GateRules(min_patients=1, alpha=0.6)
"""One held-out patient is enough: the sign-flip test of one difference has p 0.5."""


class Killed(BaseException):
    """The process ends here."""


class StubTuner:
    """Learns nothing and scores 0.5 as 0.1.0, 0.9 as any later version."""

    name, learns_from, rules = "segmentation", "masks", LENIENT

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
        job, promote = a_job(tmp_path), training_job.promote_if_accepted

        def promote_and_die(*arguments, **options):
            promote(*arguments, **options)
            raise Killed

        with monkeypatch.context() as patch:
            patch.setattr(training_job, "promote_if_accepted", promote_and_die)
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
