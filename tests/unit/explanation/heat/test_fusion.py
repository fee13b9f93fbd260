"""Slices fused into a volume, on small grids worked out by hand."""

import numpy as np
import pytest
from brain_tumor.cases.grid.geometry import axis_map
from brain_tumor.errors import GeometryError, InputError
from brain_tumor.explanation.heat.fusion import SliceHeat, fuse_slices, slice_pixel_to_voxel
from brain_tumor.segmentation.tumor_core.slices import ORIENTATION, Plane, plane_stack

SHAPE = (4, 5, 9)


def across_k(position, heat, evidence=1.0, **other):
    """Slice across axis 2; rows run along axis 1, columns along axis 0, one voxel a pixel."""
    matrix = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, position]])
    picture = np.broadcast_to(np.float32(heat), (5, 4))
    return SliceHeat(Plane.AXIAL, int(position), picture, matrix, evidence, **other)


def across_i(position, heat, evidence=1.0, **other):
    """Slice across axis 0; rows run along axis 2, columns along axis 1."""
    matrix = np.array([[0.0, 0.0, position], [0.0, 1.0, 0.0], [1.0, 0.0, 0.0]])
    picture = np.broadcast_to(np.float32(heat), (9, 5))
    return SliceHeat(Plane.SAGITTAL, int(position), picture, matrix, evidence, **other)


def test_heat_between_two_slices_is_interpolated_and_fades_beyond_them():
    fused = fuse_slices([across_k(2, 1.0), across_k(6, 3.0)], SHAPE)
    # distance 4; beyond the outer slices the heat falls to 0 over 4 voxels
    expected = [0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0, 2.25, 1.5]
    np.testing.assert_allclose(fused[1, 2], expected, atol=1e-6)
    np.testing.assert_allclose(fused, np.broadcast_to(expected, SHAPE), atol=1e-6)


def test_slices_at_unequal_distances_keep_their_places():
    fused = fuse_slices([across_k(0, 0.0), across_k(2, 4.0), across_k(8, 1.0)], SHAPE)
    expected = [0.0, 2.0, 4.0, 3.5, 3.0, 2.5, 2.0, 1.5, 1.0]
    np.testing.assert_allclose(fused[0, 0], expected, atol=1e-6)


def test_a_lone_slice_reaches_as_far_as_it_is_thick():
    thin = fuse_slices([across_k(4, 2.0)], SHAPE)
    assert thin[0, 0].tolist() == [0, 0, 0, 0, 2, 0, 0, 0, 0]
    thick = fuse_slices([across_k(4, 2.0, thickness_voxels=2.0)], SHAPE)
    assert thick[0, 0].tolist() == [0, 0, 0, 1, 2, 1, 0, 0, 0]


def test_a_single_slice_volume_is_its_slice():
    picture = np.arange(20, dtype=np.float32).reshape(5, 4)
    fused = fuse_slices([across_k(0, picture)], (4, 5, 1))
    np.testing.assert_allclose(fused[..., 0], picture.T, atol=1e-5)


def test_planes_that_cross_are_averaged_only_where_both_looked():
    slices = [across_k(3, 1.0), across_k(5, 1.0), across_i(2, 3.0)]
    fused = fuse_slices(slices, SHAPE)
    assert fused[2, 1, 4] == pytest.approx(2.0)  # both planes
    assert fused[0, 1, 4] == pytest.approx(1.0)  # only the first
    assert fused[2, 1, 8] == pytest.approx(3.0)  # only the second
    assert fused[0, 1, 0] == 0.0


def test_evidence_weighs_the_planes_where_they_cross():
    slices = [across_k(4, 1.0, evidence=30.0), across_i(2, 3.0, evidence=10.0)]
    fused = fuse_slices(slices, SHAPE)
    # (30 * 1 + 10 * 3) / 40
    assert fused[2, 0, 4] == pytest.approx(1.5)
    # evidence does not cool a plane that looked alone
    assert fused[2, 0, 0] == pytest.approx(3.0)


def test_a_slice_without_tumour_that_is_cold_cools_the_place_between():
    fused = fuse_slices([across_k(2, 0.0, evidence=0.0), across_k(6, 4.0, evidence=9.0)], SHAPE)
    assert fused[0, 0, 4] == pytest.approx(2.0)


def test_pixels_larger_than_voxels_are_interpolated_between_their_centres():
    # columns of two voxels: pixel 0 covers voxels 0 and 1 (centre 0.5), pixel 1 voxels 2 and 3
    matrix = np.array([[0.0, 2.0, 0.5], [1.0, 0.0, 0.0], [0.0, 0.0, 4.0]])
    picture = np.tile(np.array([[0.0, 4.0]], dtype=np.float32), (5, 1))
    fused = fuse_slices([SliceHeat(Plane.AXIAL, 4, picture, matrix)], SHAPE)
    np.testing.assert_allclose(fused[:, 0, 4], [0.0, 1.0, 3.0, 4.0], atol=1e-6)


def test_outside_the_picture_a_plane_did_not_look():
    matrix = np.array([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0], [0.0, 0.0, 4.0]])
    picture = np.full((5, 2), 2.0, dtype=np.float32)  # covers voxels 1 and 2 of axis 0
    crop = SliceHeat(Plane.AXIAL, 4, picture, matrix)
    assert fuse_slices([crop], SHAPE)[:, 0, 4].tolist() == [0, 2, 2, 0]
    both = fuse_slices([crop, across_i(0, 5.0, thickness_voxels=2.0)], SHAPE)
    assert both[0, 0, 4] == pytest.approx(5.0)  # not halved by a plane that did not look


def test_a_slice_may_be_flipped_and_turned_within_its_plane():
    # row r runs down axis 0 from 3, column c runs down axis 1 from 4
    matrix = np.array([[-1.0, 0.0, 3.0], [0.0, -1.0, 4.0], [0.0, 0.0, 4.0]])
    picture = np.zeros((4, 5), dtype=np.float32)
    picture[1, 0] = 7.0
    fused = fuse_slices([SliceHeat(Plane.AXIAL, 4, picture, matrix)], SHAPE)
    assert fused[2, 4, 4] == pytest.approx(7.0, abs=1e-5)
    assert np.count_nonzero(fused > 1e-4) == 1


@pytest.mark.parametrize(
    "codes", [(1, 1, 1), (-1, 1, 1), (-1, -1, 1), (1, -1, -1)], ids=["RAS", "LAS", "LPS", "RPI"]
)
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1)], ids=["ijk", "kij"])
@pytest.mark.parametrize("plane", list(Plane))
def test_a_slice_cut_from_the_turned_volume_returns_to_where_it_was_cut(codes, order, plane):
    rng = np.random.default_rng(4)
    volume = rng.random((6, 7, 8)).astype(np.float32)
    linear = (np.diag(codes) * [1.5, 0.8, 4.0])[:, order]
    tilt = np.array([[1.0, 0.0, 0.0], [0.0, 0.96, -0.28], [0.0, 0.28, 0.96]])
    affine = np.eye(4)
    affine[:3, :3] = tilt @ linear
    turn = axis_map(volume.shape, affine, ORIENTATION)
    stack = plane_stack(turn.apply(volume), plane)
    slices = [
        SliceHeat(plane, index, picture, slice_pixel_to_voxel(turn, plane, index, (0, 1), (0, 1)))
        for index, picture in enumerate(stack)
    ]
    np.testing.assert_allclose(fuse_slices(slices, volume.shape), volume, atol=1e-5)


def test_a_crop_at_another_pixel_size_returns_to_where_it_was_cut():
    turn = axis_map((20, 24, 3), np.diag([-1.0, 1.0, 1.0, 1.0]), ORIENTATION)  # LAS: rows flip
    # pixels of two voxels; the first covers turned rows 4 and 5, turned columns 2 and 3
    matrix = slice_pixel_to_voxel(turn, Plane.AXIAL, 0, rows=(4.5, 2.0), columns=(2.5, 2.0))
    # LPI from LAS: axis 0 stays, axes 1 and 2 are reversed: row 4.5 is voxel 23 - 4.5, k is 2
    assert (matrix @ [0, 0, 1]).tolist() == [2.5, 18.5, 2.0]
    assert (matrix @ [1, 3, 1]).tolist() == [8.5, 16.5, 2.0]


def test_a_tilted_slice_is_refused():
    matrix = np.array([[0.0, 1.0, 0.0], [1.0, 0.0, 0.0], [0.1, 0.0, 4.0]])
    tilted = SliceHeat(Plane.AXIAL, 4, np.zeros((5, 4), dtype=np.float32), matrix)
    with pytest.raises(GeometryError, match="not cut along the axes"):
        fuse_slices([tilted], SHAPE)


def test_slices_of_one_plane_across_different_axes_are_refused():
    other = across_i(1, 1.0)
    wrong = SliceHeat(Plane.AXIAL, 1, other.heat, other.pixel_to_voxel)
    with pytest.raises(GeometryError, match="different axes"):
        fuse_slices([across_k(2, 1.0), wrong], SHAPE)


def test_unusable_slices_are_refused():
    with pytest.raises(InputError, match="no slice"):
        fuse_slices([], SHAPE)
    with pytest.raises(InputError, match="expected 0 or more"):
        fuse_slices([across_k(2, -1.0)], SHAPE)
    with pytest.raises(InputError, match="evidence"):
        fuse_slices([across_k(2, 1.0, evidence=-1.0)], SHAPE)
