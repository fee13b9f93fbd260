"""Slices through a tumour: which, and the way back to voxels."""

import numpy as np
import pytest
from brain_tumor.cases.volume import Volume
from brain_tumor.classification.case_slices import (
    PATCH_PIXELS,
    choose_slices,
    cut_patch,
    tumour_slices,
)
from brain_tumor.segmentation.tumor_core.slices import Plane

from tests.helpers.volumes import grid


def a_volume(shape, spacing_mm, flips, euler=(0.0, 0.0, 0.0)):
    """Head of 100 in air, with a tumour of 200 in a box of the volume."""
    affine = grid(spacing_mm, (-30.0, 10.0, 5.0), flips=flips, euler_degrees=euler)
    array = np.zeros(shape, dtype=np.float32)
    array[4:-4, 4:-4, 1:-1] = 100.0
    mask = np.zeros(shape, dtype=bool)
    mask[20:32, 30:44, shape[2] // 3 : shape[2] // 3 + 6] = True
    array[mask] = 200.0
    return Volume(array, affine), mask


@pytest.mark.parametrize(
    ("areas", "count", "expected"),
    [
        ([0, 20, 50, 60, 50, 20, 0], 2, (3, 4)),
        ([0, 0, 0], 4, ()),
        ([40, 40, 40, 40, 41], 3, (0, 2, 4)),
        ([60], 4, (0,)),
    ],
)
def test_the_largest_cross_section_is_always_chosen(areas, count, expected):
    assert choose_slices(np.array(areas), count) == expected


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, 1, -1), (1, -1, 1)])
@pytest.mark.parametrize("euler", [(0.0, 0.0, 0.0), (4.0, -6.0, 9.0)])
def test_pixels_of_slice_and_patch_lead_back_to_their_voxels(flips, euler):
    volume, mask = a_volume((72, 80, 60), (1.0, 1.2, 1.5), flips, euler)
    parts = tumour_slices(volume, mask)
    assert {part.plane for part in parts} == set(Plane)
    for part in parts:
        rows, columns = np.nonzero(part.mask)
        voxels = (part.to_voxel @ np.stack([rows, columns, np.ones_like(rows)])).T
        assert np.array_equal(voxels, np.rint(voxels))
        assert mask[tuple(voxels.astype(int).T)].all()
        across = int(np.flatnonzero(np.abs(part.to_voxel[:, :2]).sum(axis=1) == 0)[0])
        assert part.index == voxels[0, across]
        patch = cut_patch(part)
        rows, columns = np.nonzero(patch.mask > 0.5)
        pixels = patch.to_pixel @ np.stack([rows, columns, np.ones_like(rows)])
        centre = pixels[:2].mean(axis=1)
        true = np.argwhere(part.mask).mean(axis=0)
        assert np.abs((centre - true) * part.pixel_mm).max() < 0.75  # half a pixel of 1.5 mm


def test_rows_run_to_posterior_and_columns_to_the_left_in_an_axial_slice():
    volume, mask = a_volume((72, 80, 60), (1.0, 1.0, 1.0), (1, 1, 1))
    part = next(p for p in tumour_slices(volume, mask) if p.plane is Plane.AXIAL)
    # indices grow to R and A here, so the display's rows and columns run against them
    assert part.to_voxel[:, 0].tolist() == [0.0, -1.0, 0.0]
    assert part.to_voxel[:, 1].tolist() == [-1.0, 0.0, 0.0]
    assert part.position_mm == pytest.approx(5.0 + part.index)


def test_a_thick_stack_is_read_in_its_own_plane_only():
    volume, mask = a_volume((120, 120, 20), (1.0, 1.0, 6.0), (1, 1, 1))
    parts = tumour_slices(volume, mask)
    assert {part.plane for part in parts} == {Plane.AXIAL}
    assert [part.index for part in parts] == sorted(
        (part.index for part in parts), reverse=parts[0].index > parts[-1].index
    )
    assert not any(part.is_lone for part in parts)
    assert parts[0].area_mm2 == 12 * 14


def test_no_tumour_gives_no_slices():
    volume, mask = a_volume((72, 80, 60), (1.0, 1.0, 1.0), (1, 1, 1))
    assert tumour_slices(volume, np.zeros_like(mask)) == ()


def test_a_patch_of_a_small_picture_is_filled_with_air():
    volume, mask = a_volume((72, 80, 60), (1.0, 1.0, 1.0), (1, 1, 1))
    patch = cut_patch(tumour_slices(volume, mask)[0])
    assert patch.image.shape == patch.mask.shape == (PATCH_PIXELS, PATCH_PIXELS)
    assert patch.image[0, 0] == patch.image.min()
    assert np.isfinite(patch.image).all()
