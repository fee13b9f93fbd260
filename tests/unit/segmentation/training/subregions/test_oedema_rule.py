"""Which small pieces of oedema are believed: what a rule would take from experts' masks."""

import numpy as np
import pytest
from brain_tumor.labels import Label
from brain_tumor.segmentation.training.subregions.oedema_rule import (
    VOXEL_ML,
    Loss,
    choose,
    lost_shares,
)


def a_mask():
    """A tumour of 1000 voxels with a core, and a piece of oedema of 125 voxels, 0.53 mL."""
    mask = np.zeros((24, 24, 24), dtype=np.uint8)
    mask[1:11, 1:11, 1:11] = Label.ED
    mask[4, 4, 4] = Label.ET
    mask[15:20, 15:20, 15:20] = Label.ED
    return mask


def test_a_voxel_of_the_cubes_is_about_four_microlitres():
    assert pytest.approx(1.8819 * 1.8819 * 1.2126 / 1000, rel=1e-3) == VOXEL_ML


@pytest.mark.parametrize(("volume_ml", "share"), [(0.0, 0.0), (0.5, 0.0), (0.6, 125 / 1125)])
def test_the_lost_share_is_that_of_the_whole_tumour(volume_ml, share):
    assert lost_shares(a_mask(), [volume_ml]) == pytest.approx([share])


def test_what_is_too_small_for_any_piece_is_not_blamed_on_this_rule():
    mask = a_mask()
    mask[15:20, 15:20, 15:20] = 0
    mask[15:17, 15:17, 15:17] = Label.ED  # 8 voxels, 0.03 mL
    assert lost_shares(mask, [5.0]) == [0]


def test_the_largest_allowed_candidate_is_chosen():
    losses = {0.0: Loss(0, 0, 0), 1.0: Loss(0.002, 0.1, 3), 2.0: Loss(0.0021, 0.1, 3)}
    assert choose(losses) == 1.0
