"""What the loss takes from labels that tell only a part."""

import math

import pytest
import torch
from brain_tumor.segmentation.training.whole_head.loss import known_loss, region_targets
from brain_tumor.segmentation.training.whole_head.sources import UNKNOWN_PART


def test_targets_of_every_label_and_where_they_are_known():
    labels = torch.tensor([[[0, 1, 2, 3, UNKNOWN_PART]]])
    targets, known = region_targets(labels)
    assert targets[0, :, 0].tolist() == [
        [0, 1, 1, 1, 1],  # whole tumour
        [0, 1, 0, 1, 0],  # core
        [0, 0, 0, 1, 0],  # enhancing
    ]
    assert known[0, :, 0].tolist() == [[1, 1, 1, 1, 1], [1, 1, 1, 1, 0], [1, 1, 1, 1, 0]]


def test_what_is_unknown_has_no_gradient():
    labels = torch.tensor([[[0.0, UNKNOWN_PART]]])
    targets, known = region_targets(labels)
    logits = torch.zeros(1, 3, 1, 2, requires_grad=True)
    known_loss(logits, targets, known).backward()
    assert logits.grad[0, 1, 0, 1] == 0
    assert logits.grad[0, 2, 0, 1] == 0
    assert logits.grad[0, 0, 0, 1] < 0  # more tumour lowers the loss
    assert logits.grad[0, 1, 0, 0] > 0  # outside the tumour there is no core


def test_loss_of_even_odds_by_hand():
    """One pixel of tumour of unknown part at even odds.

    WT: cross-entropy ln 2, Dice (2 * 0.5 + 1) / (0.5 + 1 + 1) = 0.8: 3 ln 2 + 0.2. TC and ET are
    unknown: no entropy, Dice (0 + 1) / (0 + 1) = 1: 0. Weights 1, 0.5, 0.5: half of WT's.
    """
    targets, known = region_targets(torch.tensor([[[float(UNKNOWN_PART)]]]))
    loss = known_loss(torch.zeros(1, 3, 1, 1), targets, known)
    assert float(loss) == pytest.approx((3 * math.log(2) + 0.2) / 2)
