"""Training without the boundary layer, and what the comparison of two trainings says."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from brain_tumor.classification.model.network import HybridNetwork, NetworkArguments
from brain_tumor.classification.predictions import Predictions, Reading
from brain_tumor.classification.training.ablation import compare
from brain_tumor.classification.training.data import MASK_VARIANTS
from brain_tumor.classification.training.run import train_classification
from brain_tumor.classification.training.train import _step
from brain_tumor.cli import build_parser, main
from brain_tumor.errors import InputError
from brain_tumor.segmentation.training.tumor_core.augmentation import Batch


def one_step(*, boundary):
    """Terms of the loss of one step, and how far the map of edges has moved."""
    torch.manual_seed(0)
    network = HybridNetwork(NetworkArguments(("a", "b"), boundary))
    target = torch.zeros(2, 1, 64, 64)
    target[..., 20:40, 20:40] = 1.0
    batch = Batch(torch.randn(2, 1, 64, 64), target, torch.ones_like(target), np.array([0, 1]))
    known = SimpleNamespace(
        features=np.zeros((2, MASK_VARIANTS, 2), dtype=np.float32), types=np.array([0, 2])
    )
    before = network.decoder.out.weight.detach().clone()
    optimiser = torch.optim.SGD(network.parameters(), lr=0.1)
    terms = _step(network, optimiser, batch, known, np.random.default_rng(0), boundary=boundary)
    moved = (network.decoder.out.weight.detach() - before).abs().sum(dim=(1, 2, 3))
    return terms, moved


def test_with_the_layer_the_edge_has_its_term_and_is_learnt():
    terms, moved = one_step(boundary=True)
    assert terms["boundary"] > 0.0
    assert moved[1] > 0.0


def test_without_the_layer_there_is_no_term_and_nothing_teaches_the_map_of_edges():
    terms, moved = one_step(boundary=False)
    assert set(terms) == {"mask", "fused", "deep", "measured"}
    assert float(moved[1]) == 0.0
    assert moved[0] > 0.0


def test_only_a_single_fold_is_trained_without_the_layer(tmp_path):
    for name in ("cheng", "t1ce_gbm", "glioma3d"):
        (tmp_path / name).mkdir()
    with pytest.raises(InputError, match="a model to ship"):
        train_classification(tmp_path, tmp_path / "run", fold=None, boundary=False)


def test_one_command_names_fold_seed_and_the_part_left_out():
    line = "train classification --data d --output o --fold 2 --seed 7 --without boundary"
    chosen = build_parser().parse_args(line.split())
    assert (chosen.fold, chosen.seed, chosen.without) == (2, 7, "boundary")


def predictions(guess, index=(1, 2, 3, 4)):
    fused = np.eye(3, dtype=np.float32)[list(guess)]
    reading = Reading(fused, fused, fused, fused, fused)
    return Predictions(
        reading,
        reading,
        np.ones(4, dtype=np.float32),
        truth=np.array([0, 0, 1, 2]),
        patient=np.array(["a", "a", "b", "c"]),
        cohort=np.array(["numeric"] * 4),
        index=np.array(index),
    )


def test_the_gain_is_the_difference_of_the_scores():
    found = compare([(predictions([0, 0, 1, 2]), predictions([0, 1, 1, 2]))])
    assert (found["slices"], found["patients"]) == (4, 3)
    assert found["expert"]["accuracy"]["gain"] == 0.25
    # F1 without the part: 2/3, 2/3, 1
    assert found["own"]["macro_f1"]["without"] == pytest.approx(0.7778)
    low, high = found["expert"]["accuracy"]["gain_interval"]
    assert low == 0.0
    assert 0.25 < high <= 0.5


def test_other_slices_are_refused():
    with pytest.raises(InputError, match="not the same"):
        compare([(predictions([0, 0, 1, 2]), predictions([0, 0, 1, 2], index=(1, 2, 3, 5)))])


def test_other_models_refuse_the_options(capsys):
    line = "train segmentation --data d --output o --without boundary"
    with pytest.raises(SystemExit):
        main(line.split())
    assert "unrecognized arguments: --without boundary" in capsys.readouterr().err
