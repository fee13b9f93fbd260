"""Real lesions put into heads with skull."""

import numpy as np
from brain_tumor.labels import Label
from brain_tumor.segmentation.data.brats import CUBE, Cube
from brain_tumor.segmentation.training.whole_head.paste import paste_lesion
from brain_tumor.segmentation.whole_head.stack import BACKGROUND


def cube_with_ball(radius=6):
    """Tissue at 0 +- 1, a ball of enhancing tumour at 3 in all sequences."""
    axes = np.arange(CUBE) - (CUBE - 1) / 2
    away = np.sqrt(sum(a**2 for a in np.meshgrid(axes, axes, axes, indexing="ij")))
    labels = np.where(away < radius, int(Label.ET), 0).astype(np.uint8)
    rng = np.random.default_rng(1)
    # the same in every slice, so that averaging slices does not smooth it
    tissue = rng.normal(0, 1, (4, CUBE, CUBE, 1)).astype(np.float32)
    image = np.repeat(tissue, CUBE, axis=3)
    image[:, labels > 0] = 3.0
    return Cube("someone", image, labels, (0, 0, 0))


def head_slices(side=112, radius=46):
    """A round head of tissue at 0.5 +- 0.4; t2 is missing."""
    axes = np.arange(side) - (side - 1) / 2
    away = np.hypot(*np.meshgrid(axes, axes, indexing="ij"))
    rng = np.random.default_rng(2)
    slices = rng.normal(0.5, 0.4, (3, 4, side, side)).astype(np.float32)
    slices[:, :, away >= radius] = BACKGROUND
    slices[:, 2] = 0.0
    return slices, away


def test_a_lesion_lies_inside_the_head_and_fits_its_tissue():
    slices, away = head_slices()
    before, labels = slices.copy(), np.zeros(away.shape, dtype=np.uint8)
    assert paste_lesion(slices, labels, cube_with_ball(), 1.2, np.random.default_rng(0))
    tumour = labels > 0
    assert 20 < tumour.sum() < 140  # a slice of a ball of radius 6: at most 113 pixels
    assert set(np.unique(labels)) == {0, int(Label.ET)}
    assert away[tumour].max() < 46 - 8  # nothing in the skin
    # tissue of 0 +- 1 becomes 0.5 +- 0.4, so the tumour at 3 becomes about 0.5 + 3 * 0.4 = 1.7
    assert abs(slices[1, 3][tumour].mean() - 1.7) < 0.25
    assert not slices[:, 2].any()  # a missing sequence stays missing
    assert (slices == before)[:, :, away >= 46].all()


def test_no_lesion_where_there_is_no_room():
    slices, away = head_slices(radius=12)
    labels = np.zeros(away.shape, dtype=np.uint8)
    before = slices.copy()
    assert not paste_lesion(slices, labels, cube_with_ball(), 4.8, np.random.default_rng(0))
    assert (slices == before).all()
    assert not labels.any()


def test_a_cube_that_cuts_its_lesion_is_not_used():
    slices, away = head_slices()
    labels = np.zeros(away.shape, dtype=np.uint8)
    whole = cube_with_ball(radius=40)
    assert not paste_lesion(slices, labels, whole, 4.8, np.random.default_rng(0))
