"""Class-activation maps of tiny networks with written-in weights, worked out by hand."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
import torch.nn.functional as F
from brain_tumor.errors import InputError, ModelError
from brain_tumor.explanation.heat.cam import CAM_RULES, grad_cam, grad_cam_plus_plus, layer_cam
from brain_tumor.explanation.heat.capture import layer_gradients, upsample
from torch import nn

PICTURE = torch.tensor([[1.0, 2.0], [0.0, 3.0]])


class TwoChannels(nn.Module):
    """Channels relu(x) and relu(2 - x); class 0 is a weighted sum over channel 0 with another
    weight for each position, class 1 the sum over channel 1."""

    POSITION_WEIGHTS = torch.tensor([[1.0, -1.0], [2.0, 4.0]])

    def __init__(self, dimensions=2):
        super().__init__()
        convolution = nn.Conv2d if dimensions == 2 else nn.Conv3d
        self.features = nn.Sequential(convolution(1, 2, 1), nn.ReLU())
        with torch.no_grad():
            self.features[0].weight.copy_(
                torch.tensor([1.0, -1.0]).reshape(2, 1, *[1] * dimensions)
            )
            self.features[0].bias.copy_(torch.tensor([0.0, 2.0]))
        self.eval().requires_grad_(False)

    def forward(self, image, scale=None):
        seen = self.features(image)
        weights = self.POSITION_WEIGHTS.reshape(2, 2, *[1] * (image.ndim - 4))
        first = (seen[:, 0] * weights).flatten(1).sum(dim=1)
        second = seen[:, 1].flatten(1).sum(dim=1)
        logits = torch.stack([first, second], dim=1)
        return logits if scale is None else logits * scale


def class_score(index):
    return lambda logits: logits[:, index]


def captured(index=0, network=None, picture=PICTURE):
    network = network or TwoChannels()
    (found,) = layer_gradients(
        network, network.features, [picture[None, None]], [class_score(index)]
    )
    return found


def test_activations_and_gradients_are_those_worked_out_by_hand():
    found = captured()
    # channel 0: relu(x); channel 1: relu(2 - x)
    assert torch.equal(found.activations[0, 0], PICTURE)
    assert torch.equal(found.activations[0, 1], torch.tensor([[1.0, 0.0], [2.0, 0.0]]))
    assert torch.equal(found.gradients[0, 0], TwoChannels.POSITION_WEIGHTS)
    assert torch.equal(found.gradients[0, 1], torch.zeros(2, 2))
    # 1*1 - 1*2 + 2*0 + 4*3
    assert found.scores.tolist() == [11.0]
    assert found.output.tolist() == [[11.0, 3.0]]


def test_grad_cam_weights_channels_by_their_mean_gradient():
    found = captured()
    # weight of channel 0: (1 - 1 + 2 + 4) / 4 = 1.5
    assert grad_cam(found.activations, found.gradients).tolist() == [[[1.5, 3.0], [0.0, 4.5]]]


def test_grad_cam_plus_plus_is_the_paper_formula_worked_out_by_hand():
    found = captured()
    # g / 4 = [[.25, -.25], [.5, 1]]; sum(A) = 6; alpha = 1 / (2 + 6 g) for g = .25, .5, 1:
    # 1/3.5, 1/5, 1/8; w = .25/3.5 + .5/5 + 1/8 = 0.2964286; times A and the scale 4
    weight = 0.25 / 3.5 + 0.5 / 5 + 1 / 8
    expected = 4 * weight * PICTURE
    torch.testing.assert_close(grad_cam_plus_plus(found.activations, found.gradients)[0], expected)


def test_grad_cam_plus_plus_equals_the_literal_formula_where_that_does_not_underflow():
    torch.manual_seed(3)
    activations = torch.rand(2, 5, 4, 3, dtype=torch.float64)
    gradients = torch.randn(2, 5, 4, 3, dtype=torch.float64)
    largest = gradients.abs().amax(dim=(1, 2, 3), keepdim=True)
    g = gradients / largest
    alpha = g**2 / (2 * g**2 + activations.sum(dim=(2, 3), keepdim=True) * g**3)
    weights = (alpha * F.relu(g)).sum(dim=(2, 3), keepdim=True)
    literal = F.relu((weights * activations).sum(dim=1)) * largest[:, 0]
    torch.testing.assert_close(grad_cam_plus_plus(activations, gradients), literal)


def test_grad_cam_plus_plus_keeps_its_shape_for_gradients_of_any_size():
    found = captured()
    usual = grad_cam_plus_plus(found.activations, found.gradients)
    tiny = grad_cam_plus_plus(found.activations, found.gradients * 1e-20)
    torch.testing.assert_close(tiny * 1e20, usual)


def test_layer_cam_weights_each_position_by_its_own_positive_gradient():
    found = captured()
    # relu(g) * A: 1*1, 0*2, 2*0, 4*3
    assert layer_cam(found.activations, found.gradients).tolist() == [[[1.0, 0.0], [0.0, 12.0]]]


def test_maps_of_a_volume_are_those_of_its_slice():
    network = TwoChannels(dimensions=3)
    volume = PICTURE[None, None, :, :, None].expand(1, 1, 2, 2, 3)
    (found,) = layer_gradients(network, network.features, [volume], [class_score(0)])
    flat = captured()
    # three equal slices: means over positions are those of one slice
    solid = grad_cam(found.activations, found.gradients)
    for index in range(3):
        torch.testing.assert_close(solid[..., index], grad_cam(flat.activations, flat.gradients))
    # sum(A) = 18: alpha = 1 / (2 + 18 g), and three positions of each kind
    weight = 3 * (0.25 / 6.5 + 0.5 / 11 + 1 / 20)
    torch.testing.assert_close(
        grad_cam_plus_plus(found.activations, found.gradients)[0, ..., 1], 4 * weight * PICTURE
    )


@pytest.mark.parametrize("rule", CAM_RULES.values(), ids=CAM_RULES.keys())
def test_importance_is_high_where_the_evidence_is(rule):
    """An inverted map, as MONAI's default gives, is 0 here."""
    network = TwoChannels()
    picture = torch.full((2, 2), 2.0)
    picture[1, 1] = 9.0  # the position with the largest weight for class 0
    (found,) = layer_gradients(network, network.features, [picture[None, None]], [class_score(0)])
    heat = rule(found.activations, found.gradients)[0]
    assert heat.argmax() == 3
    assert heat[1, 1] > 2 * heat[0, 0]


@pytest.mark.parametrize("rule", CAM_RULES.values(), ids=CAM_RULES.keys())
def test_a_score_that_nothing_supports_has_an_empty_map(rule):
    network = TwoChannels()
    black = torch.zeros(1, 1, 2, 2)
    (found,) = layer_gradients(network, network.features, [black], [class_score(0)])
    assert rule(found.activations, found.gradients).max() == 0
    (against,) = layer_gradients(
        network, network.features, [PICTURE[None, None]], [lambda logits: -logits[:, 1]]
    )
    assert rule(against.activations, against.gradients).max() == 0


@pytest.mark.parametrize("rule", CAM_RULES.values(), ids=CAM_RULES.keys())
def test_samples_of_a_batch_do_not_touch_each_other(rule):
    network = TwoChannels()
    other = torch.tensor([[5.0, 0.0], [1.0, 1.0]])
    batch = torch.stack([PICTURE, other])[:, None]
    (together,) = layer_gradients(network, network.features, [batch], [class_score(0)])
    maps = rule(together.activations, together.gradients)
    for index, picture in enumerate((PICTURE, other)):
        alone = captured(picture=picture)
        torch.testing.assert_close(maps[index], rule(alone.activations, alone.gradients)[0])


def test_contrast_is_the_gradient_of_the_difference():
    network = TwoChannels()
    contrast = lambda logits: logits[:, 0] - logits[:, 1]  # noqa: E731
    (found,) = layer_gradients(network, network.features, [PICTURE[None, None]], [contrast])
    assert found.scores.tolist() == [8.0]
    assert torch.equal(found.gradients[0, 1], -torch.ones(2, 2))
    # 1.5 * A0 - 1 * A1, negative parts cut
    expected = F.relu(1.5 * PICTURE - torch.tensor([[1.0, 0.0], [2.0, 0.0]]))
    assert torch.equal(grad_cam(found.activations, found.gradients)[0], expected)


def test_several_scores_share_one_forward_pass():
    network = TwoChannels()
    passes = []
    handle = network.register_forward_hook(lambda *_: passes.append(1))
    first, second = layer_gradients(
        network, network.features, [PICTURE[None, None]], [class_score(0), class_score(1)]
    )
    handle.remove()
    assert len(passes) == 1
    assert torch.equal(second.gradients[0, 1], torch.ones(2, 2))
    assert torch.equal(first.gradients[0, 1], torch.zeros(2, 2))


def hooks_of(network):
    return [hook for module in network.modules() for hook in module._forward_hooks]


def test_no_hook_and_no_gradient_stays_behind():
    network = TwoChannels().requires_grad_(True)
    captured(network=network)
    assert hooks_of(network) == []
    assert all(p.grad is None for p in network.parameters())


def test_no_hook_stays_behind_after_an_error():
    network = TwoChannels()

    def failing(_logits):
        raise RuntimeError("broken objective")

    with pytest.raises(RuntimeError, match="broken objective"):
        layer_gradients(network, network.features, [PICTURE[None, None]], [failing])
    with pytest.raises(RuntimeError):  # two channels where one is expected
        layer_gradients(network, network.features, [torch.zeros(1, 2, 2, 2)], [class_score(0)])
    assert hooks_of(network) == []
    assert captured(network=network).scores.tolist() == [11.0]


@pytest.mark.parametrize("mode", [torch.inference_mode, torch.no_grad])
def test_works_under_a_server_that_records_no_gradients(mode):
    network = TwoChannels()
    with mode():
        picture = PICTURE[None, None].clone()
        (found,) = layer_gradients(network, network.features, [picture], [class_score(0)])
        assert not torch.is_grad_enabled()
        heat = grad_cam(found.activations, found.gradients)
    assert heat.tolist() == [[[1.5, 3.0], [0.0, 4.5]]]


def test_threads_that_share_a_network_see_only_their_own_pass():
    class Meeting(TwoChannels):
        """Every pass waits inside the layer until two threads are there."""

        def __init__(self):
            super().__init__()
            self.barrier = threading.Barrier(2, timeout=10)

            def wait(*_):
                self.barrier.wait()

            self.features[0].register_forward_hook(wait)

    network = Meeting()
    pictures = [PICTURE, torch.tensor([[4.0, 1.0], [1.0, 0.0]])]

    def explain(picture):
        return [captured(network=network, picture=picture) for _ in range(20)]

    with ThreadPoolExecutor(2) as pool:
        results = list(pool.map(explain, pictures))
    for picture, found in zip(pictures, results, strict=True):
        assert [torch.equal(f.activations[0, 0], picture) for f in found] == [True] * 20
    assert len(network.features._forward_hooks) == 0


def test_a_plain_prediction_of_another_thread_is_neither_caught_nor_changed():
    network = TwoChannels()
    plain = []

    def predict():
        with torch.inference_mode():
            return network(torch.full((1, 1, 2, 2), 5.0))

    class Intruder(nn.Module):
        """While the hook is in place, another thread uses the same network."""

        def __init__(self):
            super().__init__()
            self.network = network
            self.eval()

        def forward(self, image):
            with ThreadPoolExecutor(1) as pool:
                plain.append(pool.submit(predict).result())
            return self.network(image)

    (found,) = layer_gradients(
        Intruder(), network.features, [PICTURE[None, None]], [class_score(0)]
    )
    assert torch.equal(found.activations[0, 0], PICTURE)
    assert plain[0].tolist() == [[30.0, 0.0]]
    assert plain[0].is_inference()


def test_weights_that_multiply_in_place_after_the_layer_do_not_change_the_activations():
    class InPlace(TwoChannels):
        def forward(self, image):
            seen = self.features(image)
            seen *= 2
            return seen.flatten(1).sum(dim=1, keepdim=True)

    found = captured(network=InPlace())
    assert torch.equal(found.activations[0, 0], PICTURE)
    assert torch.equal(found.gradients, torch.full((1, 2, 2, 2), 2.0))


def test_bf16_gives_float32_maps_close_to_the_exact_ones():
    network = TwoChannels()
    (found,) = layer_gradients(
        network, network.features, [PICTURE[None, None]], [class_score(0)], bf16=True
    )
    assert found.gradients.dtype == found.activations.dtype == torch.float32
    torch.testing.assert_close(
        grad_cam(found.activations, found.gradients)[0], 1.5 * PICTURE, rtol=0.02, atol=0
    )


def test_a_network_in_training_mode_is_refused():
    network = TwoChannels().train()
    with pytest.raises(ModelError, match="training mode"):
        captured(network=network)


def test_a_layer_outside_the_pass_is_refused():
    network = TwoChannels()
    with pytest.raises(ModelError, match="ran 0 times"):
        layer_gradients(network, nn.ReLU(), [PICTURE[None, None]], [class_score(0)])


def test_a_layer_without_positions_is_refused():
    class Flat(TwoChannels):
        def __init__(self):
            super().__init__()
            self.flatten = nn.Flatten()

        def forward(self, image):
            return self.flatten(super().features(image))

    network = Flat()
    network.forward = lambda image: network.flatten(network.features(image))
    with pytest.raises(ModelError, match="tensor of shape"):
        layer_gradients(network, network.flatten, [PICTURE[None, None]], [class_score(0)])


def test_an_objective_without_one_score_a_sample_is_refused():
    network = TwoChannels()
    with pytest.raises(InputError, match=r"expected \(1,\)"):
        layer_gradients(network, network.features, [PICTURE[None, None]], [lambda x: x])


def test_upsampling_puts_cells_in_the_middle_of_their_tiles():
    heat = torch.tensor([[[0.0, 4.0]]])
    # cells of 4 pixels, centred at 1.5 and 5.5: pixel 2 is an eighth of the way, 3 three eighths
    expected = [0.0, 0.0, 0.5, 1.5, 2.5, 3.5, 4.0, 4.0]
    assert upsample(heat, (1, 8))[0, 0].tolist() == expected


def test_upsampling_equals_the_library_for_tiles_in_three_dimensions():
    torch.manual_seed(1)
    heat = torch.rand(2, 3, 4, 5)
    expected = F.interpolate(
        heat[:, None], size=(12, 16, 10), mode="trilinear", align_corners=False
    )[:, 0]
    torch.testing.assert_close(upsample(heat, (12, 16, 10)), expected)


def test_upsampling_a_map_of_another_dimension_is_refused():
    with pytest.raises(InputError, match="2 dimensions"):
        upsample(torch.zeros(1, 2, 2), (4, 4, 4))


def test_upsampling_is_exact_also_under_autocast():
    torch.manual_seed(2)
    heat = torch.rand(1, 3, 3)
    with torch.autocast("cpu", torch.bfloat16):
        found = upsample(heat, (12, 12))
    assert torch.equal(found, upsample(heat, (12, 12)))
