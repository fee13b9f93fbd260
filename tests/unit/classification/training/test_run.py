"""A run goes on with its finished parts only if they were made by the same plan."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
from brain_tumor.classification.training import run
from brain_tumor.classification.training.ablation import _same_plan
from brain_tumor.classification.training.train import TrainingPlan
from brain_tumor.errors import InputError

PLAN = TrainingPlan(fold=2, steps=750, seed=7)


@pytest.fixture
def part(tmp_path):
    """A finished part of a run by `PLAN`, before plans told of the boundary."""
    record = {**asdict(PLAN), "features": list(run.model_features())}
    del record["boundary"]
    (tmp_path / "plan.json").write_text(json.dumps(record), encoding="utf-8")
    (tmp_path / run.RUN_WEIGHTS).write_bytes(b"weights")
    return tmp_path


@pytest.mark.parametrize(
    ("other", "said"),
    [
        ({"steps": 900}, "steps 750 instead of 900"),
        ({"seed": 8}, "seed 7 instead of 8"),
        ({"boundary": False}, "boundary True instead of False"),
    ],
)
def test_a_part_of_another_plan_is_refused_and_kept(part, other, said):
    with pytest.raises(InputError, match=said):
        run._train_part(replace(PLAN, **other), None, part, part)
    assert (part / run.RUN_WEIGHTS).read_bytes() == b"weights"


def test_a_part_of_the_same_plan_is_not_trained_again(part, monkeypatch):
    monkeypatch.setattr(run, "load_run", lambda folder: folder)
    monkeypatch.setattr(run, "_predict_part", lambda *_: None)
    assert run._train_part(replace(PLAN, threads=2, report_every=1), None, part, part) == part


def test_an_interrupted_write_leaves_no_file_under_the_name(tmp_path):
    def half(path):
        path.write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run._write_whole(tmp_path / "a.npz", half)
    assert not (tmp_path / "a.npz").exists()
    run._write_whole(tmp_path / "a.npz", lambda path: np.savez(path, x=np.ones(1)))
    assert [path.name for path in tmp_path.glob("*.npz")] == ["a.npz"]


def test_a_pair_of_an_ablation_differs_in_the_boundary_alone(tmp_path):
    for name, plan in (
        ("with", PLAN),
        ("without", replace(PLAN, boundary=False)),
        ("other", replace(PLAN, boundary=False, seed=8)),
    ):
        (tmp_path / name).mkdir()
        (tmp_path / name / "plan.json").write_text(json.dumps(asdict(plan)), encoding="utf-8")
    found = _same_plan(tmp_path / "with", tmp_path / "without")
    assert found == {"fold": 2, "seed": 7, "steps": 750}
    with pytest.raises(InputError, match="differs in fold, seed or steps"):
        _same_plan(tmp_path / "with", tmp_path / "other")
    with pytest.raises(InputError, match="with the boundary layer and one without"):
        _same_plan(tmp_path / "without", tmp_path / "with")
