"""Which pieces of an outline count as tumours of their own."""

import numpy as np
import pytest
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.classification.pieces import believed_pieces, tumour_mask
from brain_tumor.labels import Label
from brain_tumor.segmentation.result import ClassProbabilities


def a_case(shape, spacing_mm=(1.0, 1.0, 1.0)):
    affine = np.diag([*spacing_mm, 1.0])
    volume = Volume(np.zeros(shape, dtype=np.float32), affine)
    return Case("c", Sequence.T1C, {Sequence.T1C: volume})


def cubes(*boxes, shape=(40, 40, 40)):
    """Labelmap of enhancing cubes, each (corner along the first axis, side)."""
    labelmap = np.zeros(shape, dtype=np.uint8)
    for corner, side in boxes:
        labelmap[corner : corner + side, 2 : 2 + side, 2 : 2 + side] = Label.ET
    return labelmap


def maps(labelmap, *beliefs):
    """Probabilities of two labels, half each; from each place along the first axis another sum."""
    values = np.zeros(labelmap.shape, dtype=np.float16)
    for start, belief in beliefs:
        values[start:] = belief
    return ClassProbabilities((Label.NCR, Label.ET), np.stack([values / 2] * 2), np.eye(4))


def test_pieces_of_a_volume_count_from_three_tenths_of_a_millilitre():
    labelmap = cubes((2, 7), (15, 7), (28, 7))  # 343 mm3 each
    assert believed_pieces(a_case(labelmap.shape), labelmap) == 3
    labelmap[2:9, 2:9, 2] = 0  # 294 mm3
    assert believed_pieces(a_case(labelmap.shape), labelmap) == 2


@pytest.mark.parametrize("thickness_mm", [1.0, 6.0])
def test_pieces_of_a_lone_slice_count_whatever_its_header_says_of_its_thickness(thickness_mm):
    labelmap = np.zeros((64, 64, 1), dtype=np.uint8)
    for corner in (4, 24, 44):
        labelmap[corner : corner + 8, corner : corner + 8] = Label.CORE  # 64 mm2 each
    case = a_case(labelmap.shape, (1.0, 1.0, thickness_mm))
    assert believed_pieces(case, labelmap) == 3
    labelmap[4:8, 4:12] = 0  # 32 mm2 are left
    assert believed_pieces(case, labelmap) == 2


def test_what_touches_at_a_corner_or_lies_in_one_oedema_is_one_tumour():
    labelmap = np.zeros((40, 40, 40), dtype=np.uint8)
    for corner in (2, 9, 16):
        labelmap[(slice(corner, corner + 7),) * 3] = Label.ET
    assert believed_pieces(a_case(labelmap.shape), labelmap) == 1
    labelmap = cubes((2, 7), (15, 7), (28, 7))
    labelmap[(labelmap == 0) & (np.indices(labelmap.shape)[1] < 12)] = Label.ED
    assert believed_pieces(a_case(labelmap.shape), labelmap) == 1


def test_specks_beside_a_large_tumour_are_no_tumours():
    # 20 mm: 8000 mm3; 5 % of it are 400; cubes of 7 and 8 mm have 343 and 512
    labelmap = cubes((1, 20), (22, 7), (31, 7))
    assert believed_pieces(a_case(labelmap.shape), labelmap) == 1
    labelmap = cubes((1, 20), (22, 8), (31, 8))
    assert believed_pieces(a_case(labelmap.shape), labelmap) == 3


def test_a_piece_that_the_segmenter_hardly_believes_does_not_count():
    labelmap = cubes((2, 7), (15, 7), (28, 7))
    case = a_case(labelmap.shape)
    sure, unsure = maps(labelmap, (0, 0.9)), maps(labelmap, (0, 0.9), (14, 0.6), (27, 0.8))
    assert believed_pieces(case, labelmap, sure) == 3
    assert believed_pieces(case, labelmap, unsure) == 2
    # the same belief on a grid of 2 mm
    coarse = ClassProbabilities(
        unsure.labels, unsure.maps[:, ::2, ::2, ::2], np.diag([2.0, 2.0, 2.0, 1.0])
    )
    assert believed_pieces(case, labelmap, coarse) == 2


def test_an_empty_outline_has_no_piece():
    assert believed_pieces(a_case((9, 9, 9)), np.zeros((9, 9, 9), dtype=np.uint8)) == 0


@pytest.mark.parametrize(("side", "read"), [(2, "whole"), (3, "core")])
def test_a_core_that_no_slice_shows_nine_pixels_of_is_a_speck_in_the_tumour(side, read):
    labelmap = np.zeros((40, 40, 40), dtype=np.uint8)
    labelmap[5:25, 5:25, 5:25] = Label.ED
    labelmap[10 : 10 + side, 10 : 10 + side, 10] = Label.ET
    expected = labelmap > 0 if read == "whole" else labelmap == Label.ET
    assert np.array_equal(tumour_mask(labelmap), expected)


def test_a_small_tumour_of_core_alone_is_that_core():
    labelmap = cubes((2, 2))
    assert np.array_equal(tumour_mask(labelmap), labelmap > 0)
    assert not tumour_mask(np.zeros((4, 4, 4), dtype=np.uint8)).any()
