"""Grown, new and gone parts of boxes, in whole voxels."""

import numpy as np
import pytest
from brain_tumor.labels import Label, Region
from brain_tumor.segmentation.follow_up.changes import Change, region_change

MM = np.diag([1.0, 1.0, 1.0, 1.0])


def boxes(*sides):
    labels = np.zeros((40, 30, 20), dtype=np.uint8)
    for box in sides:
        labels[tuple(slice(*side) for side in box)] = Label.ET
    return labels


CUBE = [(5, 15), (5, 15), (5, 15)]


def test_a_border_that_moves_by_two_millimetres_did_not_move():
    change = region_change(boxes(CUBE), boxes([(5, 17), (5, 15), (5, 15)]), MM, Region.ET)
    assert set(change.volumes_ml.values()) == {0.0}
    assert change.parts == ()


def test_growth_counts_beyond_the_margin():
    change = region_change(boxes(CUBE), boxes([(5, 20), (5, 15), (5, 15)]), MM, Region.ET)
    # voxels 17 to 19 of 15 to 19 are more than 2 mm away from voxel 14
    assert change.volumes_ml == {Change.GROWN: 0.3, Change.NEW: 0.0, Change.GONE: 0.0}
    (part,) = change.parts
    assert (part.change, part.volume_ml) == (Change.GROWN, pytest.approx(0.3))
    assert part.ras[0] == 18.0


def test_a_piece_that_touches_nothing_old_is_new():
    far = [(25, 30), (5, 15), (5, 15)]
    change = region_change(boxes(CUBE), boxes(CUBE, far), MM, Region.ET)
    assert change.volumes_ml[Change.NEW] == pytest.approx(0.5)
    assert change.volumes_ml[Change.GROWN] == 0
    back = region_change(boxes(CUBE, far), boxes(CUBE), MM, Region.ET)
    assert back.volumes_ml == {Change.GROWN: 0.0, Change.NEW: 0.0, Change.GONE: 0.5}


def test_all_is_new_where_nothing_was_and_nothing_changes_in_emptiness():
    change = region_change(boxes(), boxes(CUBE), MM, Region.ET)
    assert change.volumes_ml[Change.NEW] == 1.0
    assert change.to_json()["parts"][0]["change"] == "new"
    empty = region_change(boxes(), boxes(), MM, Region.ET)
    assert set(empty.volumes_ml.values()) == {0.0}


def test_the_margin_is_measured_in_millimetres():
    coarse = np.diag([3.0, 1.0, 1.0, 1.0])  # a voxel further is more than 2 mm
    change = region_change(boxes(CUBE), boxes([(5, 16), (5, 15), (5, 15)]), coarse, Region.WT)
    assert change.volumes_ml[Change.GROWN] == pytest.approx(0.3)  # 100 voxels of 3 microlitres
