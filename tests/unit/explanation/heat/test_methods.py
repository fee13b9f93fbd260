"""The door to all methods, and attributions to pixels, on networks worked out by hand."""

import numpy as np
import pytest
import torch
from brain_tumor.errors import InputError
from brain_tumor.explanation.heat.baseline import blurred_head, gaussian_blur, head_mask
from brain_tumor.explanation.heat.methods import (
    ClassTarget,
    HeatMethod,
    explain_slices,
)
from brain_tumor.explanation.heat.perturbation import occlusion, signed_integrated_gradients
from torch import nn

SIDE = 40
SPOT = (slice(24, 28), slice(8, 12))


class SpotCounter(nn.Module):
    """Class 0: mean brightness over 2 in a tile of 4 x 4 at the spot, times the second input;
    class 1: half of that everywhere."""

    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(nn.AvgPool2d(4), nn.ReLU())
        self.eval()

    def forward(self, image, gain):
        seen = self.features(image - 2)[:, 0]
        spot = seen[:, 6, 2]
        return gain[:, None] * torch.stack([spot, seen.flatten(1).mean(dim=1) / 2], dim=1)


def pictures():
    """A head of 2 in air of 0; the second slice has a bright spot of 6."""
    image = torch.zeros(2, 1, SIDE, SIDE)
    image[:, :, 4:36, 4:36] = 2.0
    image[1, :, SPOT[0], SPOT[1]] = 6.0
    return image


def inputs():
    return [pictures(), torch.tensor([1.0, 3.0])]


@pytest.mark.parametrize("method", list(HeatMethod))
def test_every_method_is_hottest_at_the_spot_and_cold_without_it(method):
    network = SpotCounter()
    heat = explain_slices(network, network.features, inputs(), ClassTarget(0), method)
    assert heat.maps.shape == (2, SIDE, SIDE)
    assert heat.maps.dtype == np.float32
    assert heat.maps.min() >= 0
    assert heat.maps[0].max() == pytest.approx(0, abs=1e-5)
    row, column = np.unravel_index(heat.maps[1].argmax(), (SIDE, SIDE))
    assert 22 <= row < 30
    assert 6 <= column < 14
    # the spot is 4 above the head, the second input triples it
    assert heat.scores.tolist() == [0.0, 12.0]


@pytest.mark.parametrize("method", list(HeatMethod))
@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_every_method_works_under_a_server_that_records_no_gradients(method, mode):
    network = SpotCounter()
    expected = explain_slices(network, network.features, inputs(), ClassTarget(0), method)
    with mode():
        found = explain_slices(network, network.features, inputs(), ClassTarget(0), method)
    np.testing.assert_array_equal(found.maps, expected.maps)
    assert not any(m._forward_hooks or m._backward_hooks for m in network.modules())


def test_a_map_lies_on_the_pixels_of_its_cell():
    network = SpotCounter()
    heat = explain_slices(network, network.features, inputs(), ClassTarget(0), HeatMethod.LAYERCAM)
    # cell (6, 2) of 4 pixels: rows 24-27, columns 8-11; activation 4, gradient 3
    rows = heat.maps[1].sum(axis=1)
    assert (np.arange(SIDE) * rows).sum() / rows.sum() == pytest.approx(25.5)
    # between the four pixels of the middle and the next cell: (1 - 1/8)^2 of 12
    assert heat.maps[1, 25, 9] == pytest.approx(12 * (7 / 8) ** 2)


def test_a_contrast_takes_the_other_type_off():
    logits = torch.tensor([[3.0, 1.0, 2.5]])
    assert ClassTarget(0, 2).score(logits).tolist() == [0.5]
    with pytest.raises(InputError, match="has 3 classes"):
        ClassTarget(3).score(logits)


def test_integrated_gradients_add_up_to_the_change_of_the_score():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(1, 4, 5, padding=2), nn.Softplus(), nn.Flatten(), nn.Linear(4 * 24 * 24, 2)
    ).eval()
    image = torch.rand(2, 1, 24, 24)
    objective = ClassTarget(1).score
    signed, scores = signed_integrated_gradients(network, [image], objective, steps=32)
    with torch.no_grad():
        change = objective(network(image)) - objective(network(blurred_head(image)))
    torch.testing.assert_close(signed.flatten(1).sum(dim=1), change, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(scores, objective(network(image)).detach())
    assert all(p.grad is None for p in network.parameters())


def test_occlusion_is_the_fall_of_the_score_worked_out_by_hand():
    class Sum(nn.Module):
        def forward(self, image):
            return image.flatten(1).sum(dim=1, keepdim=True)

    # one bright pixel in air: a head of one pixel, so nothing can be blurred
    image = torch.zeros(1, 1, 8, 8)
    image[0, 0, 2:6, 2:6] = 1.0
    image[0, 0, 3, 3] = 9.0
    baseline = blurred_head(image)[0, 0]
    heat, scores = occlusion(Sum().eval(), [image], lambda output: output[:, 0], window=2)
    assert scores.tolist() == [24.0]
    # the square that starts at (r, c) lowers the sum by what it covers above the baseline
    falls = (image[0, 0] - baseline).unfold(0, 2, 1).unfold(1, 2, 1).sum(dim=(2, 3))
    # pixel (3, 3) is covered by four squares of two by two, one step apart
    expected = falls[2:4, 2:4].mean()
    torch.testing.assert_close(heat[0, 3, 3], expected)
    assert heat.min() >= 0


def test_a_blur_keeps_the_sum_and_is_gaussian():
    image = torch.zeros(1, 1, 61, 61)
    image[0, 0, 30, 30] = 1.0
    blurred = gaussian_blur(image, 4.0)
    assert blurred.sum() == pytest.approx(1.0, abs=1e-5)
    ratio = blurred[0, 0, 30, 34] / blurred[0, 0, 30, 30]
    assert ratio == pytest.approx(np.exp(-0.5), rel=1e-5)


def test_the_head_holds_its_dark_ventricles_and_no_air():
    image = torch.zeros(1, 1, 100, 100)
    image[:, :, 20:80, 20:80] = 2.0
    image[:, :, 48:52, 40:60] = 0.0  # a gap of four pixels
    head = head_mask(image)[0, 0]
    assert head[50, 50]
    assert not head[10, 10]
    assert head.sum() == 60 * 60


def test_the_baseline_of_a_uniform_head_is_the_head():
    image = pictures()[:1]
    torch.testing.assert_close(blurred_head(image), image)


def test_a_spot_melts_into_the_baseline_and_air_stays_air():
    image = pictures()[1:]
    baseline = blurred_head(image)
    assert baseline[0, 0, 25, 9] < 3.2
    assert baseline[0, 0, :4].abs().max() == 0
