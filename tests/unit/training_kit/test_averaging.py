import pytest
import torch
from brain_tumor.training_kit.averaging import AveragedWeights


def layer(weight):
    made = torch.nn.Linear(1, 1, bias=False)
    made.weight.data.fill_(weight)
    return made


def test_averaged_weights_move_a_known_part_of_the_way():
    network = layer(0.0)
    average = AveragedWeights(network, decay=0.05)
    network.weight.data.fill_(1.0)
    average.update(network)  # decay min(0.05, 1 / 11)
    assert average.state["weight"].item() == pytest.approx(0.95)
    assert average.network(torch.ones(1)).item() == pytest.approx(0.95)


def test_the_first_updates_keep_little_of_the_beginning():
    network = layer(0.0)
    average = AveragedWeights(network, decay=0.998)
    network.weight.data.fill_(11.0)
    average.update(network)  # keeps 1 / 11 of 0
    assert average.state["weight"].item() == pytest.approx(10.0)
    average.update(network)  # keeps 2 / 12 of 10
    assert average.state["weight"].item() == pytest.approx(10 / 6 + 11 * 5 / 6)


def test_an_average_goes_on_where_a_run_was_cut():
    network = layer(0.0)
    average = AveragedWeights(network, decay=0.998)
    network.weight.data.fill_(12.0)
    average.restore({"weight": torch.tensor([[6.0]])}, updates=1)
    average.update(network)  # the second: keeps 2 / 12
    assert average.state["weight"].item() == pytest.approx(6 / 6 + 12 * 5 / 6)


def test_counters_of_a_normalisation_are_copied():
    network = torch.nn.BatchNorm1d(2)
    average = AveragedWeights(network, decay=0.9)
    network.train()(torch.randn(4, 2))
    average.update(network)
    assert average.state["num_batches_tracked"].item() == 1
