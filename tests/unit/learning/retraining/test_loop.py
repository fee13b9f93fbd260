import hashlib
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from brain_tumor.bundles import METADATA, WEIGHTS, read_bundle
from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.preprocessing import to_working_grid
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import InputError
from brain_tumor.learning.gate.promotion import Source
from brain_tumor.learning.registry.registry import CARD, ModelRegistry
from brain_tumor.learning.retraining.core_tuner import core_slices, draw_slices
from brain_tumor.learning.retraining.job import run_job
from brain_tumor.learning.retraining.job_folder import JobFolder, JobStatus, TrainingRequest
from brain_tumor.learning.retraining.labelled_cases import base_cases, corrected_cases, groups_of
from brain_tumor.learning.retraining.loop import Schedule, fine_tune
from brain_tumor.learning.retraining.segmentation_tuner import labels_on_working_grid
from brain_tumor.learning.retraining.tuner import (
    CHANGED,
    Examples,
    distillation,
    split_codes,
    weighted_dice_cross_entropy,
    write_example,
)
from brain_tumor.segmentation.subregions.losses import dice_cross_entropy
from brain_tumor.segmentation.tumor_core.network import CoreNetworkArguments
from torch import nn

from tests.helpers.learning import write_job
from tests.helpers.phantoms import a_glioma_phantom, a_phantom, coarse_spec
from tests.helpers.server import REPOSITORY
from tests.helpers.volumes import write_nifti


@pytest.fixture(autouse=True)
def one_thread():
    """Tiny networks; more threads only wait for each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


class LineTuner:
    """Learns y = 2 x from noisy samples."""

    name = "line"

    def __init__(self, learnt_share=1.0):
        self.learnt_share = learnt_share
        torch.manual_seed(0)
        self.network = nn.Linear(1, 1)

    def loss(self, corrections, replay, rng):
        x = torch.from_numpy(rng.normal(size=(8, 1)).astype(np.float32))
        return (self.network(x) - 2 * x).square().mean()


def run(tuner, path, *, stop_after=None, epochs=4):
    steps = []

    def shall_stop():
        return stop_after is not None and len(steps) >= stop_after

    finished = fine_tune(
        tuner,
        Examples([], []),
        Schedule(epochs, 10, 0.1, seed=3),
        path,
        on_step=steps.append,
        on_epoch=lambda epoch, network: None,
        shall_stop=shall_stop,
    )
    return finished, steps


class TestLoop:
    def test_it_learns_and_tells_how_far_it_is(self, tmp_path):
        tuner = LineTuner()
        finished, steps = run(tuner, tmp_path / "checkpoint.pt", epochs=12)
        assert finished
        assert float(tuner.network.weight.detach()) == pytest.approx(2, abs=0.2)
        assert [s.step for s in steps] == list(range(1, 121))
        assert steps[-1].seconds_left == 0
        assert steps[-1].loss < 0.1 * steps[0].loss

    def test_stopped_and_resumed_it_gives_the_same_weights(self, tmp_path):
        whole, parts = LineTuner(), LineTuner()
        run(whole, tmp_path / "a.pt")
        finished, steps = run(parts, tmp_path / "b.pt", stop_after=17)
        assert (finished, len(steps)) == (False, 17)
        parts = LineTuner()
        finished, steps = run(parts, tmp_path / "b.pt")
        assert (finished, steps[0].step) == (True, 18)
        assert torch.equal(parts.network.weight, whole.network.weight)

    def test_a_candidate_may_lie_between_its_parent_and_what_was_learnt(self, tmp_path):
        parent, whole, part = LineTuner(), LineTuner(), LineTuner(learnt_share=0.25)
        run(whole, tmp_path / "whole.pt")
        run(part, tmp_path / "part.pt", stop_after=17)
        run(part, tmp_path / "part.pt")  # the parent is known after a stop in the same process
        expected = 0.75 * parent.network.weight + 0.25 * whole.network.weight
        assert torch.allclose(part.network.weight, expected)
        resumed = LineTuner(learnt_share=0.25)
        run(resumed, tmp_path / "resumed.pt", stop_after=17)
        resumed = LineTuner(learnt_share=0.25)
        run(resumed, tmp_path / "resumed.pt")
        assert torch.allclose(resumed.network.weight, expected)

    def test_the_rate_warms_up_and_falls_to_zero(self):
        schedule = Schedule(epochs=10, steps_per_epoch=2, learning_rate=1.0, seed=0)
        assert [schedule.rate(s) for s in (0, 1, 2, 11)] == pytest.approx([0.5, 1.0, 1.0, 0.5])
        assert schedule.rate(19) < 0.01


class TestLosses:
    def test_codes_carry_label_and_weight(self):
        labels, weight = split_codes(torch.tensor([0, 3, CHANGED, CHANGED + 3]))
        assert labels.tolist() == [0, 3, 0, 3]
        assert weight.tolist() == [1, 1, 4, 4]

    def test_equal_weights_give_the_loss_of_the_first_training(self):
        generator = torch.Generator().manual_seed(1)
        logits = torch.randn(1, 4, 8, 8, 8, generator=generator)
        labels = torch.randint(0, 4, (1, 8, 8, 8), generator=generator)
        weighted = weighted_dice_cross_entropy(logits, labels, torch.ones(labels.shape))
        assert float(weighted) == pytest.approx(float(dice_cross_entropy(logits, labels)))

    def test_a_changed_voxel_counts_four_times(self):
        logits = torch.zeros(1, 4, 1, 1, 2)
        logits[0, 0, 0, 0, 0] = 100.0  # first voxel surely background, second uniform
        labels = torch.zeros(1, 1, 1, 2, dtype=torch.long)
        labels[..., 0] = 3  # cross-entropies 100 and ln 4
        plain = weighted_dice_cross_entropy(logits, labels, torch.ones(1, 1, 1, 2))
        heavy = weighted_dice_cross_entropy(logits, labels, torch.tensor([[[[4.0, 1.0]]]]))
        difference = (4 * 100 + np.log(4)) / 5 - (100 + np.log(4)) / 2
        assert float(heavy - plain) == pytest.approx(difference, rel=1e-4)

    def test_distillation_is_zero_for_the_teacher_and_blind_outside(self):
        teacher = torch.tensor([[[0.0, 5.0]], [[1.0, -5.0]]]).movedim(0, 1)
        inside = torch.tensor([[1.0, 0.0]])
        assert float(distillation(teacher, teacher, inside)) == pytest.approx(0, abs=1e-6)
        student = teacher.clone()
        student[..., 1] += torch.tensor([3.0, -3.0])
        assert float(distillation(student, teacher, inside)) == pytest.approx(0, abs=1e-6)
        student = torch.zeros_like(teacher)
        p = 1 / (1 + np.exp(-1))  # teacher (0, 1) against an undecided student
        expected = p * np.log(2 * p) + (1 - p) * np.log(2 * (1 - p))
        assert float(distillation(student, teacher, inside)) == pytest.approx(expected, rel=1e-4)


class TestExamples:
    def test_labels_on_the_working_grid_keep_their_volume(self):
        phantom = a_glioma_phantom()
        working = to_working_grid(phantom.case)
        labels = labels_on_working_grid(phantom.labelmap, phantom.case, working)
        assert labels.shape == working.foreground.shape
        native_ml = np.count_nonzero(phantom.labelmap) * 0.064
        working_ml = np.count_nonzero(labels) * abs(np.linalg.det(working.affine[:3, :3])) / 1000
        assert working_ml == pytest.approx(native_ml, rel=0.1)

    def test_slices_of_the_core_show_the_core(self):
        phantom = a_glioma_phantom()
        core = np.isin(phantom.labelmap, (1, 3)).astype(np.uint8)
        images, codes = core_slices(phantom.case, core, CoreNetworkArguments(pixel_mm=1.25))
        assert images.shape == codes.shape
        assert images.shape[1:] == (192, 192)  # 240 mm
        assert 6 <= codes.any(axis=(1, 2)).sum() < len(codes)
        inside, outside = images[codes == 1].mean(), images[(codes == 0) & (images != 0)].mean()
        assert inside > outside  # the rim takes contrast agent
        fine, _ = core_slices(phantom.case, core, CoreNetworkArguments(pixel_mm=1.0))
        assert fine.shape[1:] == (224, 224)  # as many multiples of 32 as 240 mm hold

    def test_a_thin_volume_is_learnt_from_at_the_pixel_it_is_read_at(self):
        # 100 x 100 x 100 mm of 2 mm voxels: every plane resolves; the core is a cube of 20 mm
        image = np.random.default_rng(0).uniform(50, 100, (50, 50, 50)).astype(np.float32)
        codes = np.zeros(image.shape, dtype=np.uint8)
        codes[20:30, 20:30, 20:30] = 1
        volume = Volume(image, np.diag([2.0, 2.0, 2.0, 1.0]))
        case = Case("thin", Sequence.T1C, {Sequence.T1C: volume})
        images, cut = core_slices(case, codes, CoreNetworkArguments(pixel_mm=1.0))
        assert images.shape[1:] == (224, 224)  # one shape with lone slices at 1.0 mm
        marked = cut[cut.any(axis=(1, 2))]
        assert len(marked) == 30
        assert set(marked.sum(axis=(1, 2))) == {16 * 16}  # 20 mm at 1.25 mm
        rows = np.flatnonzero((images[0] > images[0].min()).any(axis=1))
        assert (rows[0], rows[-1]) == (72, 151)  # 80 pixels in the middle

    def test_a_batch_holds_at_most_two_slices_of_a_case_and_first_one_with_something_to_learn(
        self, tmp_path
    ):
        paths = []
        for case, sign in enumerate((1, -1)):  # slices of 10, 100 and 1000, or of less than 0
            images = sign * np.array([10.0, 100.0, 1000.0], dtype=np.float32)[:, None, None]
            codes = np.zeros((3, 4, 4), dtype=np.uint8)
            codes[1] = 1
            paths.append(tmp_path / f"{case}.npz")
            write_example(paths[-1], np.broadcast_to(images, (3, 4, 4)), codes)
        for seed in range(5):
            images, codes = draw_slices(paths, 4, np.random.default_rng(seed))
            values = images[:, 0, 0, 0].numpy()
            powers = np.rint(np.log10(np.abs(values))).astype(int)
            assert codes[::2].all()
            assert set(powers[::2]) == {2}
            assert set(powers[1::2]) <= {1, 3}
            np.testing.assert_array_equal(np.sign(values[::2]), np.sign(values[1::2]))

    def test_a_lone_slice_is_drawn_once_at_a_time(self, tmp_path):
        paths = []
        for value in (10.0, 100.0, 1000.0, 10000.0):
            paths.append(tmp_path / f"{value:g}.npz")
            image = np.full((1, 4, 4), value, dtype=np.float32)
            write_example(paths[-1], image, np.ones((1, 4, 4), dtype=np.uint8))
        images, _ = draw_slices(paths, 6, np.random.default_rng(0))
        assert len(images) == 6
        assert len(set(np.rint(np.log10(images[:, 0, 0, 0].numpy())))) > 2

    def test_every_fourth_patient_and_all_base_phantoms_of_the_gate_teach_nothing(self, tmp_path):
        request = write_job(tmp_path, base_phantoms=3, replay_phantoms=2).request()
        assert [c.held_out for c in corrected_cases(request)] == [False, False, True]
        base = base_cases(request)
        assert [c.held_out for c in base] == [False, False, True, True, True]
        assert len({c.name for c in base}) == 5
        assert {c.source for c in base} == {Source.BASE}

    def base_folder(self, tmp_path, count=12):
        """Replay folder of other volumes than those corrected: coarse phantoms of other seeds."""
        folder = tmp_path / "base"
        for n in range(count):
            phantom = a_phantom(coarse_spec(seed=50 + n % 2))
            for sequence, volume in phantom.case.volumes.items():
                if sequence in (Sequence.T1C, Sequence.FLAIR):
                    place = "" if sequence is Sequence.T1C else f"sequences/R{n}/"
                    name = f"R{n}" if sequence is Sequence.T1C else sequence.value
                    write_nifti(folder / f"{place}{name}.nii.gz", volume.array, volume.affine)
            label = folder / f"labels/final/R{n}.nii.gz"
            write_nifti(label, phantom.labelmap, phantom.case.affine)
        return folder

    def test_the_researchers_folder_takes_the_place_of_phantoms(self, tmp_path):
        folder = self.base_folder(tmp_path)
        base = base_cases(write_job(tmp_path, replay=str(folder)).request())
        assert len(base) == 12
        assert 0 < sum(c.held_out for c in base) < 12
        case, truth = base[0].load()
        assert truth.labels.shape == case.shape
        assert groups_of(case) == {"sequences": "t1c+flair", "slices": "thick"}

    def test_base_cases_that_are_corrected_ones_are_left_out(self, tmp_path):
        folder = self.base_folder(tmp_path, count=4)
        request = write_job(tmp_path, replay=str(folder)).request()  # corrects P0, P1 and P2
        for copy, corrected in (("R0", "P0"), ("R1", "P2")):  # P2 is held out
            content = (tmp_path / f"studies/{corrected}.nii.gz").read_bytes()
            (folder / f"{copy}.nii.gz").write_bytes(content)
        assert [c.name for c in base_cases(request)] == ["base-R2", "base-R3"]
        tell_patients(folder, R2="P1")  # another volume of a corrected patient
        assert [c.name for c in base_cases(request)] == ["base-R3"]
        tell_patients(folder, R2="P1", R3="P1")
        with pytest.raises(InputError, match="no labelled case beside corrected ones"):
            base_cases(request)

    def test_base_cases_of_one_patient_are_on_one_side(self, tmp_path):
        folder = self.base_folder(tmp_path, count=6)
        request = write_job(tmp_path, replay=str(folder)).request()
        assert len({c.held_out for c in base_cases(request)}) == 2  # else this shows nothing
        tell_patients(folder, **{f"R{n}": "anna" for n in range(6)})
        base = base_cases(request)
        assert {c.patient for c in base} == {"base-anna"}
        assert len({c.held_out for c in base}) == 1
        (folder / "datastore_v2.json").write_text("{")
        with pytest.raises(InputError, match=r"datastore_v2\.json of 'base' is unusable"):
            base_cases(request)


def tell_patients(folder, **patients):
    """Index of a studies folder, as a server writes it."""
    objects = {
        case: {"image": {"ext": ".nii.gz", "info": {"patient": patient}}, "labels": {}}
        for case, patient in patients.items()
    }
    (folder / "datastore_v2.json").write_text(json.dumps({"name": "s", "objects": objects}))


@pytest.mark.parametrize("model", ["segmentation", "tumor_core"])
def test_a_whole_training_ends_with_a_judged_candidate(tmp_path, model):
    job = write_job(tmp_path, model)
    before = (tmp_path / "models" / model / WEIGHTS).read_bytes()
    assert run_job(job.path) is JobStatus.DONE
    progress = job.progress()
    assert (progress.epoch, progress.step, progress.steps) == (2, 4, 4)
    assert (progress.version, progress.promoted) == ("0.1.1", False)
    assert progress.loss > 0
    assert 0 <= progress.validation <= 1
    assert progress.details[-1].startswith(f"{model} 0.1.1 kept back: 1 corrected patients")
    registry = ModelRegistry(tmp_path / "models", tmp_path / "store")
    record = registry.verify(model, "0.1.1")
    assert (record.state.value, record.parent) == ("refused", "0.1.0")
    assert (record.data["corrections"], record.data["held_out"]) == (2, 1)
    assert f"Retrained from {model} 0.1.0" in (record.path / CARD).read_text()
    assert "2 masks of 2 patients" in (record.path / CARD).read_text()
    assert read_bundle(record.path).metadata["retraining"]["parent"]["version"] == "0.1.0"
    decision = registry.decision(model, "0.1.1")
    assert {s["source"] for s in decision["scores"]} == {"corrections", "base"}
    assert (tmp_path / "models" / model / WEIGHTS).read_bytes() == before
    assert record.sha256 != hashlib.sha256(before).hexdigest()
    assert run_job(job.path) is JobStatus.DONE  # a second process finds nothing to do
    assert job.progress().starts == 1
    assert not job.prepared.exists()
    assert not job.checkpoint.exists()


def test_a_training_that_nobody_corrected_for_says_so(tmp_path):
    job = write_job(tmp_path, count=1)  # its only patient is held out
    assert run_job(job.path) is JobStatus.ERROR
    assert "no correction that 'segmentation' can learn from" in job.progress().details[-1]


def test_a_label_that_was_tampered_with_teaches_nothing(tmp_path):
    job = write_job(tmp_path, count=2)  # one of them is held out
    path = tmp_path / "studies/history/P0/final/000001.nii.gz"
    path.write_bytes(path.read_bytes() + b"x")
    assert run_job(job.path) is JobStatus.ERROR
    assert "submission 1 fails its checksum" in job.progress().details[-1]


def test_a_training_that_shall_stop_ends_cleanly(tmp_path):
    job = write_job(tmp_path)
    job.ask_to_stop()
    assert run_job(job.path) is JobStatus.STOPPED
    assert not (tmp_path / "store").exists()


def test_a_request_survives_the_disk(tmp_path):
    request = write_job(tmp_path).request()
    assert TrainingRequest.from_json(json.loads(json.dumps(request.to_json()))) == request
    assert JobFolder(tmp_path / "nowhere").progress().status is JobStatus.SUBMITTED


def start(job):
    return subprocess.Popen(
        [sys.executable, "-m", "brain_tumor.learning.retraining.job", str(job.path)],
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stderr=subprocess.DEVNULL,
    )


def test_killed_and_started_again_it_ends_with_the_same_weights(tmp_path):
    whole = write_job(tmp_path / "whole", max_epochs=3)
    assert run_job(whole.path) is JobStatus.DONE
    job = write_job(tmp_path / "killed", max_epochs=3)
    moments = random.Random(11)
    for _ in range(int(os.environ.get("TUMORLENS_KILLS", "1"))):
        process = start(job)
        deadline = time.monotonic() + 300
        while job.progress().stage == "" and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(moments.uniform(0.0, 4.0))
        process.send_signal(signal.SIGKILL)
        process.wait(30)
        registry = ModelRegistry(tmp_path / "killed/models", tmp_path / "killed/store")
        for record in registry.versions("segmentation"):
            registry.verify("segmentation", record.version)
        assert registry.active_record("segmentation").version == "0.1.0"
    assert run_job(job.path) is JobStatus.DONE
    assert (job.candidate / WEIGHTS).read_bytes() == (whole.candidate / WEIGHTS).read_bytes()
    assert json.loads((job.candidate / METADATA).read_text())["version"] == "0.1.1"


def test_two_processes_average_their_gradients(tmp_path):
    script = tmp_path / "parallel.py"
    script.write_text(
        "import sys, numpy as np, torch, torch.distributed as dist\n"
        "from pathlib import Path\n"
        "from torch import nn\n"
        "from brain_tumor.learning.retraining.loop import average_gradients, _agreed\n"
        "dist.init_process_group('gloo')\n"
        "rank = dist.get_rank()\n"
        "network = nn.Linear(1, 1, bias=False)\n"
        "network.weight.grad = torch.full((1, 1), 1.0 + 2.0 * rank)\n"
        "average_gradients(network)\n"
        "agreed = _agreed(rank == 1)\n"
        "Path(sys.argv[1], str(rank)).write_text(f'{float(network.weight.grad)} {agreed}')\n"
        "dist.destroy_process_group()\n"
    )
    in_two_processes(str(script), str(tmp_path))
    assert [(tmp_path / rank).read_text() for rank in "01"] == ["2.0 True", "2.0 True"]


def test_two_processes_train_one_candidate_that_the_gate_judges(tmp_path):
    job = write_job(tmp_path, max_epochs=2)
    in_two_processes("-m", "brain_tumor.learning.retraining.job", str(job.path))
    progress = job.progress()
    assert (progress.status, progress.epoch, progress.starts) == (JobStatus.DONE, 2, 1)
    registry = ModelRegistry(tmp_path / "models", tmp_path / "store")
    registry.verify("segmentation", "0.1.1")
    assert registry.decision("segmentation", "0.1.1")["candidate"] == "0.1.1"
    # not what one process alone would have learnt: both brought their own samples
    alone = write_job(tmp_path / "alone", max_epochs=2)
    assert run_job(alone.path) is JobStatus.DONE
    assert (job.candidate / WEIGHTS).read_bytes() != (alone.candidate / WEIGHTS).read_bytes()


def in_two_processes(*arguments):
    """Run a script or module under torchrun."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    command += ["--master-addr", "127.0.0.1", "--master-port", str(port)]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run([*command, *arguments], check=True, env=environment, timeout=600)
