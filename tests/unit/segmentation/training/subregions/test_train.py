import json

import pytest
import torch
from brain_tumor.errors import InputError
from brain_tumor.segmentation.data.brats import load_cubes, load_masks, load_wholes
from brain_tumor.segmentation.data.folds import patient_fold
from brain_tumor.segmentation.subregions.cleanup import CleanUpRule
from brain_tumor.segmentation.subregions.inference import SubregionSegmenter
from brain_tumor.segmentation.subregions.networks import build_unet
from brain_tumor.segmentation.training.precision import (
    run_depthwise_layers_in_float32,
    run_wide_layers_in_float32,
)
from brain_tumor.segmentation.training.subregions import train as subregions
from brain_tumor.segmentation.training.subregions.composites import make_host, to_canvas
from brain_tumor.segmentation.training.subregions.export import export_bundle
from brain_tumor.segmentation.training.subregions.train import (
    TrainingData,
    TrainingPlan,
    learning_rate,
    load_training_data,
    train,
)
from brain_tumor.segmentation.tumor_core.encoder import Convolution
from torch import nn

from tests.helpers.brats_data import PATIENTS, write_brats_data

TINY = TrainingPlan(steps=2, validate_every=1, warmup_steps=1, channels=(4, 4, 8, 8, 8))


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = write_brats_data(tmp_path_factory.mktemp("brats"))
    hosts = [make_host(whole) for whole in load_wholes(folder)]
    cubes = load_cubes(folder)
    return TrainingData(
        cubes=cubes[1:],
        masks={p: to_canvas(m) for p, m in load_masks(folder).items()},
        hosts=hosts,
        stripped_phantoms=hosts,
        whole_heads=hosts,
        validation_cubes=cubes[:1],
        validation_hosts=[],
    )


def records(run):
    return [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]


def test_learning_rate_warms_up_and_ends_at_zero():
    plan = TrainingPlan(steps=1200, warmup_steps=200, learning_rate=1.0)
    assert learning_rate(plan, 0) == pytest.approx(1 / 200)
    assert learning_rate(plan, 199) == pytest.approx(1)
    assert learning_rate(plan, 700) == pytest.approx(0.5)
    assert learning_rate(plan, 1200) == pytest.approx(0, abs=1e-12)


def test_a_run_is_reproducible_resumes_and_changes_the_weights(data, tmp_path):
    first = train(TINY, data, tmp_path / "a")
    again = train(TINY, data, tmp_path / "b")
    for a, b in zip(first.parameters(), again.parameters(), strict=True):
        assert torch.equal(a, b)
    torch.manual_seed(TINY.seed)
    fresh = build_unet(TINY.channels)
    assert any(
        not torch.equal(a, b) for a, b in zip(first.parameters(), fresh.parameters(), strict=True)
    )
    assert [r["step"] for r in records(tmp_path / "a")] == [1, 2]

    longer = TrainingPlan(**{**TINY.__dict__, "steps": 3})
    train(longer, data, tmp_path / "a")
    assert [r["step"] for r in records(tmp_path / "a")] == [1, 2, 3]
    assert all(0 <= r["cubes_WT"] <= 1 for r in records(tmp_path / "a"))


@pytest.mark.parametrize("plan", [None, '{"fold": 1}', '{"fold": null}', "torn"])
def test_a_run_is_not_resumed_with_other_patients_held_out(data, tmp_path, plan):
    (tmp_path / "checkpoint.pt").touch()
    if plan is not None:
        (tmp_path / "plan.json").write_text(plan)
    with pytest.raises(InputError, match="held out"):
        train(TINY, data, tmp_path)  # fold 0
    kept = (tmp_path / "plan.json").read_text() if plan is not None else None
    assert kept == plan


def test_patients_of_the_fold_are_in_no_part_of_the_training(tmp_path, monkeypatch):
    monkeypatch.setattr(subregions, "make_phantom_hosts", lambda *_, **__: [])  # they are nobody
    # by hand: the first of the three is in fold 0, and so is its whole case
    folder = write_brats_data(tmp_path)
    held_out = {p for p in PATIENTS if patient_fold(p) == 0}
    assert held_out == {PATIENTS[0]}
    loaded = load_training_data(folder, 0)
    assert {c.patient for c in loaded.cubes} == set(PATIENTS[1:])
    assert {c.patient for c in loaded.validation_cubes} == held_out
    assert (len(loaded.hosts), len(loaded.validation_hosts)) == (1, 1)
    everyone = load_training_data(folder, None)
    assert {c.patient for c in everyone.cubes} == set(PATIENTS)
    assert (len(everyone.hosts), len(everyone.validation_hosts)) == (2, 0)


def test_an_exported_bundle_gives_the_labels_of_the_trained_network(data, tmp_path):
    torch.manual_seed(0)
    network = build_unet(TINY.channels).eval()
    export_bundle(network, TINY, CleanUpRule(least_peak=0.6), "9.8.7", tmp_path)
    loaded = SubregionSegmenter.load(tmp_path, bf16=False)
    direct = SubregionSegmenter(network, loaded.version, bf16=False)
    image = data.validation_cubes[0].image
    same = loaded.predict_probabilities(image).argmax(axis=0) == direct.predict_probabilities(
        image
    ).argmax(axis=0)
    assert same.mean() > 0.99  # float16 on disk
    assert loaded.version.version == "9.8.7"
    metadata = json.loads((tmp_path / "configs/metadata.json").read_text())
    channels = metadata["network_data_format"]["inputs"]["image"]["channel_def"]
    assert channels == {"0": "t1", "1": "t1c", "2": "t2", "3": "flair"}
    assert metadata["clean_up"]["least_peak"] == 0.6


def test_depthwise_layers_leave_autocast_and_the_answer_stays():
    torch.manual_seed(0)
    network = nn.ModuleList([Convolution(8, 8, 3, 2, groups=8), Convolution(8, 8)]).train()
    image = torch.randn(2, 8, 9, 9)
    wanted = [layer(image) for layer in network]
    run_depthwise_layers_in_float32(network)
    with torch.autocast("cpu", torch.bfloat16):
        found = [layer(image.bfloat16()) for layer in network]
        exact = network[0](image)
    assert [f.dtype for f in found] == [torch.float32, torch.bfloat16]
    torch.testing.assert_close(exact, wanted[0])


def test_wide_layers_leave_autocast_and_narrow_ones_stay():
    network = nn.ModuleList([nn.Conv3d(4, 192, 1), nn.Conv3d(4, 96, 1), nn.Conv3d(256, 4, 1)])
    names = set(network.state_dict())
    run_wide_layers_in_float32(network)
    assert set(network.state_dict()) == names
    with torch.autocast("cpu", torch.bfloat16):
        kinds = [
            layer(torch.zeros(1, layer.in_channels, 2, 2, 2, dtype=torch.bfloat16)).dtype
            for layer in network
        ]
    assert kinds == [torch.float32, torch.bfloat16, torch.float32]
