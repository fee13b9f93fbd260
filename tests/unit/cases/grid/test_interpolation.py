import numpy as np
import pytest
import torch
import torch.nn.functional as F
from brain_tumor.cases.grid import interpolation
from brain_tumor.cases.grid.interpolation import interpolate


def affine(axes=(0, 1, 2), signs=(1, 1, 1), spacing=(1.0, 1.0, 1.0), origin=(0.0, 0.0, 0.0)):
    matrix = np.zeros((4, 4))
    for column, (axis, sign, step) in enumerate(zip(axes, signs, spacing, strict=True)):
        matrix[axis, column] = sign * step
    matrix[:3, 3] = origin
    matrix[3, 3] = 1
    return matrix


def test_halfway_between_two_voxels_by_hand():
    maps = torch.tensor([10.0, 20.0, 40.0]).reshape(1, 3, 1, 1)
    target = affine(spacing=(0.5, 1, 1))
    values = interpolate(maps, np.eye(4), target, (5, 1, 1))
    assert values.flatten().tolist() == [10, 15, 20, 30, 40]


def test_flipped_and_permuted_axes_are_exact():
    maps = torch.arange(2 * 3 * 4, dtype=torch.float32).reshape(1, 2, 3, 4)
    # target axis 0 runs along source axis 2 backwards, 1 along 0, 2 along 1
    target = affine(axes=(2, 0, 1), signs=(-1, 1, 1), origin=(0, 0, 3))
    values = interpolate(maps, np.eye(4), target, (4, 2, 3))
    assert torch.equal(values, maps.flip(3).permute(0, 3, 1, 2))


def test_outside_is_zero_and_the_border_fades_to_it():
    maps = torch.full((1, 2, 1, 1), 8.0)
    target = affine(spacing=(0.5, 1, 1), origin=(-1, 0, 0))
    values = interpolate(maps, np.eye(4), target, (7, 1, 1))
    assert values.flatten().tolist() == [0, 4, 8, 8, 8, 4, 0]


@pytest.mark.parametrize("signs", [(1, 1, 1), (-1, -1, 1)])
def test_matrix_products_give_what_grid_sample_gives(monkeypatch, signs):
    maps = torch.randn(2, 9, 8, 7, generator=torch.Generator().manual_seed(0))
    source = affine(signs=signs, spacing=(1.0, 2.0, 1.5), origin=(3.0, -4.0, 5.0))
    target = affine(
        spacing=(0.7, 0.9, 1.1), origin=tuple(source[:3, :3] @ [4, 3, 2] + source[:3, 3])
    )
    fast = interpolate(maps, source, target, (6, 5, 4))
    monkeypatch.setattr(interpolation, "_aligned_axes", lambda *_: None)
    slow = interpolate(maps, source, target, (6, 5, 4))
    torch.testing.assert_close(fast, slow, atol=1e-5, rtol=0)


def test_oblique_grids_take_the_general_way(monkeypatch):
    turn = np.deg2rad(10)
    target = np.eye(4)
    target[:2, :2] = [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
    target[:3, 3] = 2
    called = []
    sample = F.grid_sample
    monkeypatch.setattr(F, "grid_sample", lambda *a, **k: called.append(1) or sample(*a, **k))
    ramp = torch.arange(12.0).reshape(1, 12, 1, 1).expand(1, 12, 12, 12).contiguous()
    values = interpolate(ramp, np.eye(4), target, (3, 3, 3))
    assert called
    i, j = np.indices((3, 3))
    expected = np.cos(turn) * i - np.sin(turn) * j + 2
    np.testing.assert_allclose(values[0, :, :, 0].numpy(), expected, atol=1e-5)
