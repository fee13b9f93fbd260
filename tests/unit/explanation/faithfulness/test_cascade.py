"""Sanity checks of methods, on methods whose sanity is known."""

import numpy as np
import pytest
import torch
from brain_tumor.errors import InputError
from brain_tumor.explanation.faithfulness.cascade import (
    cascading_randomisation,
    mean_rank_correlation,
    repeatability,
)
from brain_tumor.explanation.heat.methods import ClassTarget, HeatMethod, explain_slices
from torch import nn


def a_network():
    torch.manual_seed(5)
    return (
        nn.Sequential(
            nn.Conv2d(1, 8, 5, 2, 2),
            nn.ReLU(),
            nn.Conv2d(8, 12, 3, 1, 1),
            nn.ReLU(),
            nn.Flatten(),
            nn.Linear(12 * 16 * 16, 3),
        )
        .eval()
        .requires_grad_(False)
    )


def slices():
    torch.manual_seed(6)
    return torch.rand(3, 1, 32, 32)


def edges(_network):
    """A method that shows the picture's edges whatever the network has learnt."""
    images = slices()[:, 0].numpy()
    return np.abs(np.diff(images, axis=1, append=0)).astype(np.float32)


def layer_cam(network):
    return explain_slices(network, network[3], [slices()], ClassTarget(1), HeatMethod.LAYERCAM).maps


def test_a_method_that_ignores_the_weights_is_refused():
    check = cascading_randomisation(a_network(), edges, stages=3)
    assert not check.passed
    assert [round(value, 6) for _, value in check.stages] == [1.0, 1.0, 1.0]


def test_a_method_that_reads_the_weights_passes():
    check = cascading_randomisation(a_network(), layer_cam, stages=3)
    assert check.passed
    # from the output to the input
    assert [name for name, _ in check.stages] == ["5", "2", "0"]
    assert abs(check.stages[-1][1]) < 0.5


def test_the_network_itself_stays_as_it_is_and_the_check_repeats():
    network = a_network()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    first = cascading_randomisation(network, layer_cam, stages=2)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert cascading_randomisation(network, layer_cam, stages=2) == first


def test_shuffling_keeps_the_values_of_each_parameter():
    network = a_network()
    sums = []

    def explain(seen):
        sums.append([float(p.double().sum()) for p in seen.parameters()])
        return layer_cam(seen)

    cascading_randomisation(network, explain, stages=1)
    assert sums[0] == pytest.approx(sums[1], abs=1e-6)


def test_a_network_without_weights_is_refused():
    with pytest.raises(InputError, match="no weights"):
        cascading_randomisation(nn.ReLU(), edges)


def test_rank_correlation_worked_out_by_hand():
    first = np.array([[[1.0, 2.0], [3.0, 4.0]]], dtype=np.float32)
    assert mean_rank_correlation(first, first**3) == pytest.approx(1.0)
    assert mean_rank_correlation(first, -first) == pytest.approx(-1.0)
    # ranks 1 2 3 4 against 2 1 4 3: 1 - 6 * 4 / (4 * 15)
    other = np.array([[[2.0, 1.0], [4.0, 3.0]]], dtype=np.float32)
    assert mean_rank_correlation(first, other) == pytest.approx(0.6)
    # a map without contrast correlates with nothing; the mean is over slices
    both = np.concatenate([first, first])
    assert mean_rank_correlation(both, np.concatenate([first, 0 * first])) == pytest.approx(0.5)
    with pytest.raises(InputError, match="shapes"):
        mean_rank_correlation(first, both)


def test_class_activation_maps_repeat_exactly():
    network = a_network()
    assert repeatability(lambda: layer_cam(network)) == 0.0
    runs = iter([np.array([2.0, 4.0]), np.array([2.0, 3.0])])
    assert repeatability(lambda: next(runs)) == 0.25
