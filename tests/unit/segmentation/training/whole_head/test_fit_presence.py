"""The fitted model of presence."""

import math

import numpy as np
from brain_tumor.segmentation.evaluation.heads import free_slab
from brain_tumor.segmentation.training.presence import fit_presence


def test_sure_cases_are_told_from_unsure_ones():
    rng = np.random.default_rng(0)
    with_tumour = rng.normal((4.0, 2.0), 1.0, (60, 2))
    without = rng.normal((-1.0, -2.0), 1.0, (40, 2))
    model = fit_presence(with_tumour, without)
    assert model.cases == 100
    assert model.threshold == 0.2
    assert model.surest > 0
    assert model.volume > 0
    # even odds lie half way between the two groups, however many there are of each
    logit = model.intercept + model.surest * 1.5 + model.volume * 0.0
    assert abs(1 / (1 + math.exp(-logit)) - 0.5) < 0.2


def test_a_thin_slab_is_not_used():
    drawn = np.zeros((2, 2, 12), dtype=bool)
    drawn[0, 0, 5] = True
    # free and not beside the tumour: slices 0-3 and 7-11
    assert free_slab(drawn, 5.0) == slice(7, 12)
    assert free_slab(drawn, 4.9) is None  # 24.5 mm


def test_a_tumour_in_every_slice_leaves_none():
    assert free_slab(np.ones((2, 2, 8), dtype=bool), 10.0) is None
