"""Random variants of slices keep what they must."""

import numpy as np
import torch
from brain_tumor.segmentation.training.whole_head.augmentation import (
    choose_sequences,
    lie_randomly,
    strip_roughly,
    vary_contrast,
)
from brain_tumor.segmentation.whole_head.stack import BACKGROUND


def head_slices(side=96, radius=40):
    """A round head at 1, a bright skin of 3 pixels at 4; t2 is missing."""
    axes = np.arange(side) - (side - 1) / 2
    away = np.hypot(*np.meshgrid(axes, axes, indexing="ij"))
    plain = np.where(away < radius - 3, 1.0, np.where(away < radius, 4.0, BACKGROUND))
    slices = np.broadcast_to(plain, (3, 4, side, side)).astype(np.float32).copy()
    slices[:, 2] = 0.0
    return slices, away


def test_rough_stripping_takes_the_skin_and_leaves_the_middle():
    slices, away = head_slices()
    stripped = strip_roughly(slices, np.random.default_rng(0))
    assert (stripped[:, 3][:, away > 37] == BACKGROUND).all()
    assert (stripped[:, 3][:, away < 20] > BACKGROUND).all()
    assert not stripped[:, 2].any()


def test_labels_move_with_the_image():
    slices, _ = head_slices()
    labels = np.zeros(slices.shape[2:], dtype=np.float32)
    labels[50:60, 40:70] = 3
    slices[:, 3][:, labels > 0] = 5.0
    for seed in range(5):
        moved, drawn = lie_randomly(slices, labels, np.random.default_rng(seed))
        assert moved.shape == (3, 4, 112, 112)
        inside = drawn == 3
        assert float((moved[1, 3][inside] > 4.4).float().mean()) > 0.8
        assert float((moved[1, 3][~inside] > 4.4).float().mean()) < 0.01


def test_a_missing_sequence_stays_missing_and_air_stays_air():
    slices, _ = head_slices()
    given = torch.from_numpy(slices)
    varied = vary_contrast(given, (True, False, False, True), np.random.default_rng(3))
    assert not varied[:, 1:3].any()
    assert bool((varied[:, 3][given[:, 3] == BACKGROUND] == BACKGROUND).float().mean() > 0.95)


def test_one_telling_sequence_always_stays():
    rng = np.random.default_rng(4)
    chosen = [choose_sequences((True, True, False, True), rng) for _ in range(300)]
    assert all(t1c or flair for _, t1c, _, flair in chosen)
    assert not any(t2 for _, _, t2, _ in chosen)
    assert sum(c == (True, True, False, True) for c in chosen) > 150  # half and a part of the rest
    assert choose_sequences((True, False, False, False), rng) == (True, False, False, False)
