"""One opinion of two networks."""

import numpy as np
import pytest
import torch
from brain_tumor.cases.grid.preprocessing import WorkingCase
from brain_tumor.errors import ModelError
from brain_tumor.segmentation.joint import JointRule, joint_probabilities
from brain_tumor.segmentation.whole_head.reader import HeadReading

SHAPE = (4, 4, 4)


def both(ours, theirs, rule, *, with_skull=False, thickness_mm=10.0):
    """Joint class probabilities in the middle of a grid, both networks being constant."""
    working = WorkingCase(
        np.zeros((4, *SHAPE), np.float32), np.ones(SHAPE, bool), np.eye(4), (True,) * 4
    )
    regions = torch.tensor(theirs).view(3, 1, 1, 1).expand(3, *SHAPE).contiguous()
    reading = HeadReading(regions, np.eye(4), with_skull, thickness_mm)
    probabilities = torch.tensor(ours).view(4, 1, 1, 1).expand(4, *SHAPE).contiguous()
    return joint_probabilities(probabilities, working, reading, rule)[:, 2, 2, 2]


def test_even_weights_by_hand():
    """Ours: WT 0.8, TC 0.4 (half of it), ET 0.1 (a quarter). Theirs: WT 0.6, TC 0.6, ET 0.3.

    Together WT 0.7; core given tumour (0.5 + 1) / 2 = 0.75; enhancement given core
    (0.25 + 0.5) / 2 = 0.375. So ED 0.7 * 0.25, NCR 0.7 * 0.75 * 0.625, ET 0.7 * 0.75 * 0.375.
    """
    joint = both([0.2, 0.3, 0.4, 0.1], [0.6, 0.6, 0.3], JointRule(stripped=0.5, parts_stripped=0.5))
    assert joint.tolist() == pytest.approx([0.3, 0.328125, 0.175, 0.196875], abs=1e-5)


def test_with_skull_the_other_weights_hold():
    rule = JointRule(stripped=0.0, with_skull=1.0, parts_stripped=0.0, parts_with_skull=0.0)
    joint = both([0.2, 0.3, 0.4, 0.1], [0.6, 0.6, 0.3], rule, with_skull=True)
    # the whole tumour is theirs, its parts are ours: NCR 3/8, ED 4/8, ET 1/8 of 0.6
    assert joint.tolist() == pytest.approx([0.4, 0.225, 0.3, 0.075], abs=1e-5)


def test_a_thin_slab_is_read_by_the_whole_head_network_alone():
    """Four slices of 5 mm span 20 mm: WT, TC and ET are theirs."""
    rule = JointRule(0.0, 0.0, 0.0, 0.0, thin_slab_mm=30.0)
    joint = both([0.2, 0.3, 0.4, 0.1], [0.6, 0.5, 0.3], rule, thickness_mm=5.0)
    assert joint.tolist() == pytest.approx([0.4, 0.2, 0.1, 0.3], abs=1e-5)


def test_weights_of_nothing_leave_the_first_network_as_it_is():
    rule = JointRule(0.0, 0.0, 0.0, 0.0)
    ours = [0.2, 0.3, 0.4, 0.1]
    assert both(ours, [0.9, 0.9, 0.9], rule).tolist() == pytest.approx(ours, abs=1e-5)


def test_a_damaged_rule_is_refused():
    with pytest.raises(ModelError, match="joint"):
        JointRule.from_metadata({"joint": {"stripped": "much"}})
