"""A training of the whole-head network: resumed, continued, exported."""

import dataclasses
import json

import numpy as np
import pytest
import torch
from brain_tumor.bundles import METADATA, ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import InputError, ModelError
from brain_tumor.segmentation.training.whole_head import train as module
from brain_tumor.segmentation.training.whole_head.command import train_whole_head
from brain_tumor.segmentation.training.whole_head.export import export_bundle
from brain_tumor.segmentation.training.whole_head.samples import batches
from brain_tumor.segmentation.training.whole_head.sources import (
    UNKNOWN_PART,
    LabelledStack,
    Sources,
)
from brain_tumor.segmentation.training.whole_head.train import TrainingPlan, learning_rate, train
from brain_tumor.segmentation.whole_head.network import SliceUNet
from brain_tumor.segmentation.whole_head.reader import WholeHeadReader

SMALL = (4, 4, 4, 4, 4)
PLAN = TrainingPlan(steps=4, batch=2, validate_every=2, channels=SMALL, warmup_steps=1)


def stack(name, seed, *, tumour=True):
    rng = np.random.default_rng(seed)
    slices = rng.normal(0, 1, (6, 4, 48, 48)).astype(np.float16)
    slices[:, 2] = 0
    labels = np.zeros((6, 48, 48), dtype=np.uint8)
    if tumour:
        labels[2:4, 20:30, 20:30] = UNKNOWN_PART
    return LabelledStack(name, slices, labels, (True, True, False, True), 5.0, True)


@pytest.fixture(scope="module")
def sources():
    heads = [stack("a", 0), stack("b", 1)]
    healthy = [stack("c", 2, tumour=False)]
    return Sources(heads, heads, healthy, [], heads[:1], heads[:1], healthy)


class PowerCutError(Exception):
    """Ends a run in the middle."""


def test_an_interrupted_run_ends_as_one_that_was_not(sources, tmp_path, monkeypatch):
    whole = train(PLAN, sources, tmp_path / "whole")
    validate, calls = module.validate, []

    def cut_at_second(*arguments):
        calls.append(1)
        if len(calls) == 2:
            raise PowerCutError
        return validate(*arguments)

    # the second validation never ends: the run is resumed from the checkpoint of step 2
    monkeypatch.setattr(module, "validate", cut_at_second)
    with pytest.raises(PowerCutError):
        train(PLAN, sources, tmp_path / "half")
    monkeypatch.setattr(module, "validate", validate)
    resumed = train(PLAN, sources, tmp_path / "half")
    for a, b in zip(whole.state_dict().values(), resumed.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_a_folder_of_another_plan_is_refused(sources, tmp_path):
    train(PLAN, sources, tmp_path)
    with pytest.raises(InputError, match="held out fold 0"):
        train(dataclasses.replace(PLAN, fold=1), sources, tmp_path)


def test_learning_rate_by_hand():
    plan = TrainingPlan(steps=110, warmup_steps=10, learning_rate=1.0)
    assert learning_rate(plan, 0) == pytest.approx(0.1)
    assert learning_rate(plan, 9) == pytest.approx(1.0)
    assert learning_rate(plan, 60) == pytest.approx(0.5)  # half of the cosine
    assert learning_rate(plan, 110) == pytest.approx(0.0)


def test_samples_are_the_same_for_the_same_seed_and_labels_are_known_values(sources):
    first, second = (next(batches(sources, np.random.default_rng(7), 3)) for _ in range(2))
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])
    assert first[0].shape == (3, 16, 112, 112)
    assert set(first[1].unique().tolist()) <= {0, UNKNOWN_PART}
    # what is said to be missing is zero, what is said to be there is not
    for inputs in first[0]:
        for channel, there in enumerate(inputs[12:, 0, 0].tolist()):
            assert bool(inputs[channel:12:4].any()) == bool(there)


def test_a_bundle_is_read_back_as_it_was_written(tmp_path):
    torch.manual_seed(0)
    network = SliceUNet(SMALL).eval()
    export_bundle(network, PLAN, "9.9.9", tmp_path / "whole_head", {"joint": {"stripped": 0.25}})
    reader = WholeHeadReader.load(tmp_path / "whole_head", bf16=False)
    assert reader.version.version == "9.9.9"
    assert reader.metadata["joint"] == {"stripped": 0.25}
    inputs = torch.randn(2, 16, 32, 48)
    direct = WholeHeadReader(network, ModelVersion("x", "0", "0"), {}, bf16=False)
    difference = (reader.probabilities(inputs) - direct.probabilities(inputs)).abs().max()
    assert float(difference) < 5e-3  # weights are stored as float16


def test_probabilities_nest_and_slices_of_any_side_are_read():
    torch.manual_seed(1)
    reader = WholeHeadReader(SliceUNet(SMALL), ModelVersion("x", "0", "0"), {}, bf16=False)
    found = reader.probabilities(torch.randn(5, 16, 37, 50))
    assert found.shape == (5, 3, 37, 50)
    assert (found[:, 1] <= found[:, 0]).all()
    assert (found[:, 2] <= found[:, 1]).all()


def test_weights_of_another_network_are_refused(tmp_path):
    export_bundle(SliceUNet(SMALL), PLAN, "1.0.0", tmp_path / "b")
    path = tmp_path / "b" / METADATA
    metadata = json.loads(path.read_text())
    metadata["network"]["channels"] = [8, 8]
    path.write_text(json.dumps(metadata))
    with pytest.raises(ModelError, match="does not fit"):
        WholeHeadReader.load(tmp_path / "b")


def test_missing_data_and_a_bundle_that_knows_the_fold_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"lacks lgg/index\.csv"):
        train_whole_head(tmp_path, tmp_path / "run", fold=0)
    for name in (
        "lgg/index.csv",
        "brats20/cubes.npz",
        "brats20/masks128.npz",
        "brats20/twins.json",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    (tmp_path / "healthy").mkdir()
    (tmp_path / "glioma3d").mkdir()
    export_bundle(SliceUNet(SMALL), PLAN, "1.0.0", tmp_path / "b")
    with pytest.raises(InputError, match="has seen persons of fold 3"):
        train_whole_head(tmp_path, tmp_path / "run", fold=3, continue_from=tmp_path / "b")


def ball_case(*, scalp):
    """A ball of brain of 70 mm, on request with dark bone and bright scalp around it."""
    axis = (np.arange(72) - 35.5) * 3.0
    away = np.sqrt(sum(a**2 for a in np.meshgrid(axis, axis, axis, indexing="ij")))
    array = np.where(away < 60, 100.0, 0.0)
    if scalp:
        array = np.where((away >= 60) & (away < 66), 15.0, array)
        array = np.where((away >= 66) & (away < 75), 220.0, array)
    return Case(
        "ball",
        Sequence.T1,
        {Sequence.T1: Volume(array.astype(np.float32), np.diag([3, 3, 3, 1.0]))},
    )


@pytest.mark.parametrize("scalp", [True, False])
def test_skull_is_seen_in_a_head_no_larger_than_a_brain(scalp):
    reader = WholeHeadReader(SliceUNet(SMALL), ModelVersion("x", "0", "0"), {}, bf16=False)
    assert reader.read(ball_case(scalp=scalp)).with_skull is scalp
