"""Healthy tissue that teaches the sub-region network what is no tumour."""

import json
import shutil

import numpy as np
import pytest
import torch
from brain_tumor.bundles import METADATA
from brain_tumor.cases.grid.preprocessing import WORKING_SPACING_MM
from brain_tumor.errors import InputError
from brain_tumor.segmentation.data.brats import load_cubes, load_masks, load_wholes
from brain_tumor.segmentation.learning_curve import HISTORY
from brain_tumor.segmentation.subregions.cleanup import CleanUpRule
from brain_tumor.segmentation.training.subregions import train as subregions
from brain_tumor.segmentation.training.subregions.composites import (
    CANVAS_SHAPE,
    Host,
    Sample,
    make_host,
    to_canvas,
)
from brain_tumor.segmentation.training.subregions.continuation import (
    CONTINUED_LEARNING_RATE,
    continue_run,
)
from brain_tumor.segmentation.training.subregions.export import export_bundle
from brain_tumor.segmentation.training.subregions.hard_negatives import HardNegative, mine
from brain_tumor.segmentation.training.subregions.remnants import THICKNESS_MM, add_remnants
from brain_tumor.segmentation.training.subregions.train import (
    NEGATIVES,
    SampleStream,
    TrainingData,
    TrainingPlan,
    learning_rate,
    train,
)
from brain_tumor.training_kit.run_folder import RunFolder
from scipy import ndimage
from torch import nn

from tests.helpers.brats_data import write_brats_data

TINY = TrainingPlan(steps=1, validate_every=1, warmup_steps=1, channels=(4, 4, 8, 8, 8))


def a_brain(shape=(32, 40, 48)):
    """Ball of ones in four sequences, the last of which is missing."""
    centre = np.array(shape)[:, None, None, None] / 2
    ball = np.sqrt(((np.indices(shape) - centre) ** 2).sum(axis=0)) < 10
    image = np.repeat(ball[None], 4, axis=0).astype(np.float32)
    image[3] = 0
    return image, ball


@pytest.mark.parametrize("seed", range(8))
def test_remnants_lie_outside_the_brain_within_six_millimetres(seed):
    image, ball = a_brain()
    changed = add_remnants(image, np.random.default_rng(seed))
    added = (changed != image).any(axis=0)
    assert added.sum() > 0
    assert not (added & ball).any()
    assert ndimage.distance_transform_edt(~ball, sampling=WORKING_SPACING_MM)[added].max() <= max(
        THICKNESS_MM
    )
    assert not changed[3].any()  # a missing sequence stays missing


def test_remnants_of_nothing_are_nothing():
    assert not add_remnants(np.zeros((4, 8, 8, 8), np.float32), np.random.default_rng(0)).any()


class FiresAt(nn.Module):
    """Finds tumour in boxes, whatever it is shown."""

    def __init__(self, *boxes):
        super().__init__()
        self.boxes = boxes

    def forward(self, image):
        logits = torch.zeros(1, 4, *image.shape[2:])
        logits[:, 0] = 1
        for box in self.boxes:
            logits[(0, 2, *box)] = 9
        return logits


def a_host(healthy_labels=None):
    image = np.ones((4, *CANVAS_SHAPE), dtype=np.float32)
    labels = np.zeros(CANVAS_SHAPE, dtype=np.uint8)
    kept = labels if healthy_labels is None else healthy_labels
    return Host(image, labels, image, kept, labels == 0, (True,) * 4)


def box(i, j, k, side):
    return tuple(slice(n, n + side) for n in (i, j, k))


def test_places_where_the_network_fires_are_mined_the_largest_first():
    small, large, crumb = box(5, 5, 5, 3), box(30, 30, 30, 5), box(60, 60, 60, 2)
    found = mine(FiresAt(small, large, crumb), [a_host(), a_host()])
    expected = [((32, 32, 32), 125), ((6, 6, 6), 27)]  # the crumb has 8 voxels, too few
    assert [(f.centre, f.voxels) for f in found] == expected * 2
    assert [f.host for f in found] == [0, 0, 1, 1]


def test_a_network_that_finds_nothing_gives_nothing_to_mine():
    assert mine(FiresAt(), [a_host()]) == []


def test_a_tumour_that_the_host_has_kept_is_no_false_positive():
    kept = np.zeros(CANVAS_SHAPE, dtype=np.uint8)
    kept[box(30, 30, 30, 5)] = 2
    assert mine(FiresAt(box(28, 28, 28, 8)), [a_host(kept)]) == []


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = write_brats_data(tmp_path_factory.mktemp("brats"))
    hosts = [make_host(whole) for whole in load_wholes(folder)]
    return TrainingData(
        cubes=load_cubes(folder),
        masks={p: to_canvas(m) for p, m in load_masks(folder).items()},
        hosts=hosts[:1],
        stripped_phantoms=hosts[:1],
        whole_heads=hosts[:1],
        validation_cubes=[],
        validation_hosts=[],
    )


def test_mined_places_are_drawn_and_every_draw_comes_again_with_its_seed(data, monkeypatch):
    asked = []

    def crop(image, labels, shape, rng, *, place=None):
        asked.append(place)
        return torch.zeros(4, *shape), torch.zeros(shape, dtype=torch.int64)

    monkeypatch.setattr(subregions, "random_crop", crop)
    monkeypatch.setattr(subregions, "compose", lambda *_: a_sample())
    stream = SampleStream(data, 0, NEGATIVES, [HardNegative(0, (1, 2, 3), 30)])
    for _attempt in range(2):
        rng = np.random.default_rng(5)
        for _ in range(200):
            stream._whole(rng)
    assert asked[:200] == asked[200:]
    share = np.mean([place == (1, 2, 3) for place in asked])
    assert share == pytest.approx(subregions.MINED_SHARE, abs=0.06)
    assert set(asked) == {None, (1, 2, 3)}


@pytest.mark.parametrize(("share", "changed"), [(0.0, 1.0), (0.5, 0.5), (1.0, 0.0)])
def test_a_share_of_the_samples_keeps_its_contrast(data, monkeypatch, share, changed):
    monkeypatch.setattr(subregions, "random_contrast", lambda image, _: image + 1)
    stream = SampleStream(data, 0, plain_share=share)
    rng, image = np.random.default_rng(3), torch.zeros(1)
    drawn = [float(stream._with_contrast(image, rng)) for _ in range(400)]
    assert np.mean(drawn) == pytest.approx(changed, abs=0.06)


def a_sample():
    image, _ = a_brain()
    return Sample(image, np.zeros(image.shape[1:], np.uint8), (True,) * 4)


def test_a_run_without_negatives_is_continued_not_resumed(data, tmp_path):
    old, new = tmp_path / "old", tmp_path / "new"
    train(TINY, data, old)
    plan = json.loads((old / "plan.json").read_text())
    del plan["negatives"], plan["continued_from"]  # as runs were before there were any
    (old / "plan.json").write_text(json.dumps(plan))
    shutil.copytree(old, tmp_path / "same")
    longer = TrainingPlan(**{**TINY.__dict__, "steps": 2})
    with pytest.raises(InputError, match="other negatives: none"):
        train(longer, data, tmp_path / "same")
    continued = continue_run(longer, old, new)
    assert (continued.continued_from, continued.steps) == (1, 2)
    train(continued, data, new)
    earlier, record = [json.loads(line) for line in (new / "log.jsonl").read_text().splitlines()]
    assert (earlier["step"], record["step"]) == (1, 2)
    assert record["false_pieces"] >= 0
    assert json.loads((new / "plan.json").read_text())["negatives"] == list(NEGATIVES)
    with pytest.raises(InputError, match="not more than the 1 steps"):
        continue_run(TINY, old, tmp_path / "third")
    with pytest.raises(InputError, match="no finished run"):
        continue_run(longer, tmp_path, tmp_path / "third")


@pytest.mark.parametrize(("recorded", "asked"), [(1000, 0), (0, 1000), (500, 1000)])
def test_a_run_is_resumed_only_as_it_began(tmp_path, recorded, asked):
    # or its card would claim these negatives for steps that had none
    (tmp_path / "checkpoint.pt").touch()
    written = {"fold": 0, "steps": 3000, "negatives": NEGATIVES, "continued_from": recorded}
    (tmp_path / "plan.json").write_text(json.dumps(written))
    with pytest.raises(InputError, match=f"began at step {recorded}; expected {asked}"):
        subregions._check_resumable(
            RunFolder(tmp_path), TrainingPlan(steps=3000, continued_from=asked)
        )
    subregions._check_resumable(
        RunFolder(tmp_path), TrainingPlan(steps=3000, continued_from=recorded)
    )


def test_an_interrupted_run_mines_the_same_places_and_ends_with_the_same_weights(data, tmp_path):
    plan = TrainingPlan(**{**TINY.__dict__, "steps": 2, "channels": (4, 4, 8)})
    whole = train(plan, data, tmp_path / "whole")
    saved = RunFolder.write_checkpoint

    def stop_after_saving(run, state):
        saved(run, state)
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RunFolder, "write_checkpoint", stop_after_saving)
        with pytest.raises(KeyboardInterrupt):
            train(plan, data, tmp_path / "interrupted")
    resumed = train(plan, data, tmp_path / "interrupted")
    for a, b in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_run_is_continued_from_the_bundle_that_another_has_written(data, tmp_path):
    earlier = train(TINY, data, tmp_path / "old")
    bundle = tmp_path / "shipped"
    export_bundle(earlier, TINY, CleanUpRule(), "0.0.1", bundle)
    (bundle / HISTORY).parent.mkdir()
    shutil.copyfile(tmp_path / "old" / "log.jsonl", bundle / HISTORY)
    longer = TrainingPlan(**{**TINY.__dict__, "steps": 2})
    plan = continue_run(longer, bundle, tmp_path / "new")
    assert (plan.continued_from, plan.learning_rate) == (1, CONTINUED_LEARNING_RATE)
    state = torch.load(tmp_path / "new" / "checkpoint.pt", weights_only=True)
    assert state["step"] == 1
    for name, weights in earlier.state_dict().items():
        for begun in (state["network"][name], state["average"][name]):
            assert torch.equal(begun, weights.half().float())
    trained = train(plan, data, tmp_path / "new")
    log = (tmp_path / "new" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in log] == [1, 2]
    assert any(
        not torch.equal(a, b.half().float())
        for a, b in zip(trained.parameters(), earlier.parameters(), strict=True)
    )
    other = continue_run(TrainingPlan(**{**longer.__dict__, "fold": 1}), bundle, tmp_path / "other")
    with pytest.raises(InputError, match="held out fold 0"):
        train(other, data, tmp_path / "other")


def test_a_bundle_of_something_else_is_not_continued(tmp_path):
    (tmp_path / METADATA).parent.mkdir()
    (tmp_path / METADATA).write_text("{}")
    with pytest.raises(InputError, match="no bundle of a sub-region training"):
        continue_run(TrainingPlan(), tmp_path, tmp_path / "new")


def test_a_run_that_was_interrupted_is_not_continued(tmp_path):
    # Its next steps would lie before the new schedule, where the learning rate is negative.
    earlier = tmp_path / "earlier"
    earlier.mkdir()
    (earlier / "plan.json").write_text(json.dumps({"fold": 0, "steps": 1000}))
    torch.save({"step": 400}, earlier / "checkpoint.pt")
    with pytest.raises(InputError, match="stopped at step 400 of 1000"):
        continue_run(TrainingPlan(steps=2000), earlier, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_the_schedule_of_a_continued_run_begins_anew():
    plan = TrainingPlan(steps=2200, warmup_steps=200, learning_rate=1.0, continued_from=1000)
    assert learning_rate(plan, 1000) == pytest.approx(1 / 200)
    assert learning_rate(plan, 1200) == pytest.approx(1)
    assert learning_rate(plan, 1700) == pytest.approx(0.5)
    assert learning_rate(plan, 2200) == pytest.approx(0, abs=1e-12)
