import dataclasses

import pytest
import torch
from brain_tumor.training_kit.averaging import AveragedWeights
from brain_tumor.training_kit.run_folder import RunFolder, checkpoint_of, restore


@dataclasses.dataclass(frozen=True)
class Plan:
    steps: int = 3


def test_a_plan_is_read_back_and_a_damaged_one_is_none(tmp_path):
    run = RunFolder(tmp_path / "run")
    assert run.read_plan() is None
    run.write_plan(Plan())
    assert run.read_plan() == {"steps": 3}
    for text in ("{", "[1]", ""):
        (run.path / "plan.json").write_text(text)
        assert run.read_plan() is None


def test_a_checkpoint_gives_back_weights_average_optimiser_and_step(tmp_path):
    torch.manual_seed(0)
    network = torch.nn.Linear(2, 1)
    average = AveragedWeights(network, 0.9)
    optimizer = torch.optim.AdamW(network.parameters(), lr=0.1)
    network(torch.ones(2)).backward()
    optimizer.step()
    average.update(network)
    run = RunFolder(tmp_path)
    run.write_checkpoint(checkpoint_of(7, network, average, optimizer, rng="text"))

    other = torch.nn.Linear(2, 1)
    their_average = AveragedWeights(other, 0.9)
    their_optimizer = torch.optim.AdamW(other.parameters(), lr=0.1)
    state = run.read_checkpoint()
    assert restore(state, other, their_average, their_optimizer) == 7
    assert state["rng"] == "text"
    assert torch.equal(other.weight, network.weight)
    assert torch.equal(their_average.state["bias"], average.state["bias"])
    assert their_optimizer.state_dict()["state"][0]["step"].item() == 1


def test_a_checkpoint_that_cannot_be_written_leaves_the_earlier_one(tmp_path, monkeypatch):
    run = RunFolder(tmp_path)
    run.write_checkpoint({"step": 1})

    def full_disk(state, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(torch, "save", full_disk)
    with pytest.raises(OSError, match="No space"):
        run.write_checkpoint({"step": 2})
    assert run.read_checkpoint() == {"step": 1}
