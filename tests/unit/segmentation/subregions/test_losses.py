import math

import pytest
import torch
from brain_tumor.segmentation.subregions.losses import (
    CrossEntropy,
    dice_cross_entropy,
    region_logits,
    region_probabilities,
)


def logits_of(labels, sharpness=50.0):
    one_hot = torch.nn.functional.one_hot(labels, 4).movedim(-1, 1).float()
    return one_hot * sharpness


def test_region_probabilities_add_the_classes_that_nest():
    classes = torch.tensor([0.4, 0.1, 0.2, 0.3]).reshape(1, 4, 1, 1, 1)
    regions = region_probabilities(classes).flatten().tolist()
    assert regions == pytest.approx([0.6, 0.4, 0.3])


def test_a_perfect_answer_costs_nothing():
    labels = torch.randint(0, 4, (2, 4, 4, 4), generator=torch.Generator().manual_seed(0))
    assert dice_cross_entropy(logits_of(labels), labels).item() == pytest.approx(0, abs=1e-5)


def test_a_uniform_answer_by_hand():
    # 8 voxels, all background: cross-entropy ln 4; probabilities WT 3/4, TC 2/4, ET 1/4;
    # Dice per region (0 + 1) / (8 p^2 + 0 + 1)
    labels = torch.zeros((1, 2, 2, 2), dtype=torch.int64)
    dice = [1 / (8 * p * p + 1) for p in (0.75, 0.5, 0.25)]
    expected = math.log(4) + 1 - sum(dice) / 3
    loss = dice_cross_entropy(torch.zeros(1, 4, 2, 2, 2), labels)
    assert loss.item() == pytest.approx(expected, rel=1e-5)


def test_region_logits_are_those_of_the_region_probabilities():
    logits = torch.randn(2, 4, 3, 3, 3, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        region_logits(logits).sigmoid(), region_probabilities(logits.softmax(dim=1))
    )


def test_a_uniform_answer_by_hand_with_the_cross_entropy_of_regions():
    # as above, but the mean of -ln(1 - p) over the regions: 1/4, 2/4 and 3/4 are left outside
    labels = torch.zeros((1, 2, 2, 2), dtype=torch.int64)
    dice = [1 / (8 * p * p + 1) for p in (0.75, 0.5, 0.25)]
    entropy = (math.log(4) + math.log(2) + math.log(4 / 3)) / 3
    loss = dice_cross_entropy(torch.zeros(1, 4, 2, 2, 2), labels, CrossEntropy.REGIONS)
    assert loss.item() == pytest.approx(entropy + 1 - sum(dice) / 3, rel=1e-5)


def test_bfloat16_logits_are_lifted_to_float32():
    labels = torch.zeros((1, 2, 2, 2), dtype=torch.int64)
    logits = torch.zeros(1, 4, 2, 2, 2, dtype=torch.bfloat16, requires_grad=True)
    loss = dice_cross_entropy(logits, labels)
    assert loss.dtype == torch.float32
    loss.backward()
    assert torch.isfinite(logits.grad).all()
