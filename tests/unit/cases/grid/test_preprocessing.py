import numpy as np
import pytest
import torch
from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.preprocessing import (
    WORKING_SPACING_MM,
    bounding_box,
    foreground_mask,
    sample_on_grid,
    to_native_grid,
    to_working_grid,
    zscore,
)
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import VolumeError


def oblique_affine(degrees=12.0, spacing=(0.9, 1.1, 2.5), origin=(-80.0, 60.0, -40.0)):
    a = np.deg2rad(degrees)
    turn = np.array([[np.cos(a), -np.sin(a), 0], [np.sin(a), np.cos(a), 0], [0, 0, 1.0]])
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.diag(spacing) @ np.diag([-1.0, 1.0, 1.0])
    affine[:3, 3] = origin
    return affine


def world_coordinates(shape, affine):
    points = np.indices(shape).reshape(3, -1).T
    return (points @ affine[:3, :3].T + affine[:3, 3]).T.reshape(3, *shape)


def ball_case(affine, shape=(60, 64, 40), radius_mm=22.0, sequences=(Sequence.T1C,)):
    centre = world_coordinates(shape, affine).reshape(3, -1).mean(axis=1)
    distance = np.linalg.norm(
        world_coordinates(shape, affine) - centre[:, None, None, None], axis=0
    )
    rng = np.random.default_rng(3)
    brain = np.where(distance < radius_mm, 100 + 10 * rng.random(shape), 0.0)
    volumes = {s: Volume(brain.astype(np.float32), affine) for s in sequences}
    return Case("ball", sequences[0], volumes), centre


def test_a_ramp_in_world_mm_keeps_its_values_under_sampling():
    source = oblique_affine()
    ramp = world_coordinates((40, 40, 30), source)
    target = np.diag([1.5, 1.5, 1.5, 1.0])
    target[:3, 3] = ramp.reshape(3, -1).mean(axis=1) - 6.0
    wanted = world_coordinates((8, 8, 8), target)
    for axis in range(3):
        volume = Volume(ramp[axis].astype(np.float32), source)
        sampled = sample_on_grid(volume, target, (8, 8, 8))
        np.testing.assert_allclose(sampled, wanted[axis], atol=1e-3)


def test_much_finer_voxels_are_averaged_so_that_nothing_aliases():
    fine = np.indices((32, 32, 32)).sum(axis=0) % 2  # checkerboard of 0.5 mm: mean 0.5
    volume = Volume(fine.astype(np.float32), np.diag([0.5, 0.5, 0.5, 1.0]))
    target = np.diag([2.0, 2.0, 2.0, 1.0])
    target[:3, 3] = 2.0
    sampled = sample_on_grid(volume, target, (5, 5, 5))
    np.testing.assert_allclose(sampled, 0.5, atol=1e-6)


def test_working_and_native_voxels_agree_in_mm_on_an_oblique_grid():
    case, centre = ball_case(oblique_affine())
    working = to_working_grid(case)
    world = world_coordinates(working.foreground.shape, working.affine)
    part, box = to_native_grid(
        torch.from_numpy(world.astype(np.float32)), working.affine, case.affine, case.shape
    )
    native = world_coordinates(case.shape, case.affine)[(slice(None), *box)]
    inside = np.linalg.norm(native - centre[:, None, None, None], axis=0) < 20
    assert inside.sum() > 1000
    np.testing.assert_allclose(part.numpy()[:, inside], native[:, inside], atol=1e-2)


def test_working_grid_is_ras_with_the_training_voxel_size_and_padded_to_16():
    case, centre = ball_case(oblique_affine())
    working = to_working_grid(case)
    np.testing.assert_allclose(working.affine[:3, :3], np.diag(WORKING_SPACING_MM))
    assert all(n % 16 == 0 for n in working.foreground.shape)
    middle = world_coordinates(working.foreground.shape, working.affine)[:, working.foreground]
    np.testing.assert_allclose(middle.mean(axis=1), centre, atol=1.0)


def test_missing_sequences_are_zero_channels_and_present_ones_are_z_scored():
    case, _ = ball_case(np.eye(4), sequences=(Sequence.T1C, Sequence.FLAIR))
    working = to_working_grid(case)
    assert working.present == (False, True, False, True)
    assert not working.channels[0].any()
    assert not working.channels[2].any()
    inside = working.channels[1][working.foreground]
    assert abs(inside.mean()) < 1e-3
    assert abs(inside.std() - 1) < 1e-2


def test_normalisation_ignores_scale_and_offset_of_the_scanner():
    case, _ = ball_case(np.eye(4))
    volume = case.volumes[Sequence.T1C]
    scaled = Volume(np.where(volume.array > 0, 7 * volume.array + 50, 0), volume.affine)
    other = Case("scaled", Sequence.T1C, {Sequence.T1C: scaled})
    np.testing.assert_allclose(
        to_working_grid(case).channels, to_working_grid(other).channels, atol=0.05
    )


def test_zscore_by_hand():
    values = np.array([0, 1, 3], dtype=np.float32)
    np.testing.assert_allclose(zscore(values, values > 0), [0, -1, 1])


def test_zscore_of_a_flat_foreground_is_zero():
    flat = np.array([0, 5, 5], dtype=np.float32)
    np.testing.assert_allclose(zscore(flat, flat > 0), [0, 0, 0])


def test_masked_background_keeps_every_voxel_above_it():
    array = np.zeros((10, 10, 10), dtype=np.float32)
    array[3:6, 3:6, 3:6] = 1e-3
    assert foreground_mask(array).sum() == 27


def test_noisy_background_of_a_scan_with_skull_is_cut_off():
    rng = np.random.default_rng(0)
    array = rng.uniform(1, 6, (40, 40, 20)).astype(np.float32)
    array[10:30, 10:30, 5:15] += 100
    mask = foreground_mask(array)
    expected = np.zeros_like(mask)
    expected[10:30, 10:30, 5:15] = True
    np.testing.assert_array_equal(mask, expected)


def test_an_empty_volume_is_refused():
    with pytest.raises(VolumeError, match="every voxel has the same value"):
        foreground_mask(np.full((5, 5, 5), 7, dtype=np.float32))


def test_a_volume_of_impossible_extent_is_refused():
    affine = np.diag([20.0, 20.0, 20.0, 1.0])
    case, _ = ball_case(affine, shape=(60, 60, 60), radius_mm=500)
    with pytest.raises(VolumeError, match="expected a head"):
        to_working_grid(case)


def test_bounding_box_ignores_stray_voxels():
    mask = np.zeros((50, 50, 50), dtype=bool)
    mask[10:30, 12:40, 5:45] = True
    mask[0, 0, 0] = True
    assert bounding_box(mask) == (slice(10, 30), slice(12, 40), slice(5, 45))
