"""Encoder, boundary layer and fusion against values worked out by hand."""

import math

import numpy as np
import pytest
import torch
from brain_tumor.classification.classifier import feature_contributions
from brain_tumor.classification.model.boundary_layer import (
    BoundaryNormalisation,
    boundary_weights,
    edge_of,
)
from brain_tumor.classification.model.network import (
    HybridNetwork,
    NetworkArguments,
    SliceMaps,
    load_network,
)
from brain_tumor.errors import ModelError
from brain_tumor.segmentation.hardware import bfloat16_copy
from brain_tumor.segmentation.training.tumor_core.pretrained import _renamed, load_pretrained
from brain_tumor.segmentation.tumor_core.encoder import (
    OUTPUT_CHANNELS,
    Convolution,
    Encoder,
    padding_like_tensorflow,
    prepare_for_inference,
)
from torch import nn

FEATURES = ("a", "b", "c")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return HybridNetwork(NetworkArguments(FEATURES)).eval().requires_grad_(requires_grad=False)


class TestEncoder:
    @pytest.mark.parametrize(
        ("side", "kernel", "stride", "padding"),
        [(8, 3, 2, (0, 1)), (7, 3, 2, (1, 1)), (8, 5, 2, (1, 2)), (8, 5, 1, (2, 2))],
    )
    def test_the_odd_row_of_padding_comes_last(self, side, kernel, stride, padding):
        assert padding_like_tensorflow(side, kernel, stride) == padding

    @pytest.mark.parametrize(("side", "stride"), [(8, 2), (7, 2), (8, 1)])
    def test_a_convolution_sees_its_padding(self, side, stride):
        convolution = Convolution(1, 1, 3, stride, activate=False).eval()
        nn.init.ones_(convolution.conv.weight)
        with torch.inference_mode():
            found = convolution(torch.ones(1, 1, side, side))[0, 0]
        # ones summed over the kernel: a corner that lacks a row and a column keeps 2 x 2 of 3 x 3
        first = 9.0 if padding_like_tensorflow(side, 3, stride)[0] == 0 else 4.0
        assert found[0, 0].item() == pytest.approx(first, rel=1e-3)
        assert found[-1, -1].item() == pytest.approx(4.0, rel=1e-3)
        assert found.shape == (-(-side // stride),) * 2

    def test_folded_normalisation_gives_the_same_answers(self):
        torch.manual_seed(1)
        encoder = Encoder()
        for module in encoder.modules():
            if isinstance(module, nn.BatchNorm2d):
                nn.init.uniform_(module.running_mean, -0.5, 0.5)
                nn.init.uniform_(module.running_var, 0.5, 2.0)
                nn.init.uniform_(module.weight, 0.8, 1.2)
        encoder.eval().requires_grad_(requires_grad=False)
        image = torch.randn(2, 1, 48, 64)
        with torch.inference_mode():
            expected = encoder(image)
            folded = prepare_for_inference(encoder)
            assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
            for level, before in zip(folded(image), expected, strict=True):
                assert torch.allclose(level, before, atol=1e-4)

    def test_levels_halve_the_side_and_have_the_channels_of_lite0(self):
        with torch.inference_mode():
            levels = Encoder().eval()(torch.zeros(1, 1, 144, 144))
        assert [tuple(level.shape[1:]) for level in levels] == [
            (16, 72, 72),
            (24, 36, 36),
            (40, 18, 18),
            (112, 9, 9),
            (320, 5, 5),
        ]
        assert OUTPUT_CHANNELS == (16, 24, 40, 112, 320)

    @pytest.mark.parametrize(
        ("stored", "ours"),
        [
            ("_conv_stem.weight", "stem.conv.weight"),
            ("_bn0.running_mean", "stem.norm.running_mean"),
            ("_blocks.0._depthwise_conv.weight", "stages.0.0.depthwise.conv.weight"),
            ("_blocks.2._bn0.bias", "stages.1.1.expand.norm.bias"),
            ("_blocks.15._project_conv.weight", "stages.6.0.project.conv.weight"),
            ("_conv_head.weight", None),
            ("_fc.bias", None),
        ],
    )
    def test_stored_names_are_translated(self, stored, ours):
        assert _renamed(stored) == ours

    def test_filters_of_the_first_layer_are_summed_over_colours(self, tmp_path):
        encoder = Encoder()
        state = _stored_form(encoder)
        state["_conv_stem.weight"] = (
            torch.tensor([1.0, 2.0, 4.0]).reshape(1, 3, 1, 1).expand(32, 3, 3, 3)
        )
        torch.save(state, tmp_path / "weights.pth")
        load_pretrained(encoder, tmp_path / "weights.pth")
        assert torch.equal(encoder.stem.conv.weight, torch.full((32, 1, 3, 3), 7.0))

    def test_other_weights_are_refused(self, tmp_path):
        torch.save({"_conv_stem.weight": torch.zeros(32, 3, 3, 3)}, tmp_path / "weights.pth")
        with pytest.raises(ModelError, match="does not fit EfficientNet-Lite0"):
            load_pretrained(Encoder(), tmp_path / "weights.pth")


def _stored_form(encoder):
    """State of an encoder under the names of the package."""
    names = {}
    flat = [(s, b) for s, stage in enumerate(encoder.stages) for b in range(len(stage))]
    for index, (stage, block) in enumerate(flat):
        prefix = f"stages.{stage}.{block}."
        for ours, stored in (
            ("expand.conv", "_expand_conv"),
            ("expand.norm", "_bn0"),
            ("depthwise.conv", "_depthwise_conv"),
            ("depthwise.norm", "_bn1"),
            ("project.conv", "_project_conv"),
            ("project.norm", "_bn2"),
        ):
            names[prefix + ours] = f"_blocks.{index}.{stored}"
    names |= {"stem.conv": "_conv_stem", "stem.norm": "_bn0"}
    state = {}
    for name, value in encoder.state_dict().items():
        prefix, last = name.rsplit(".", 1)
        state[f"{names[prefix]}.{last}"] = value
    return state


class TestBoundaryLayer:
    def test_uniform_importance_changes_nothing(self):
        features = torch.arange(8.0).reshape(1, 2, 2, 2)
        importance = torch.full((1, 1, 4, 4), 0.3)
        assert torch.allclose(BoundaryNormalisation()(features, importance), features)

    def test_weights_follow_the_formula(self):
        importance = torch.tensor([[[[0.0, 0.0], [0.0, 0.999]]]]) - 0.0
        # e + 0.001 = 0.001, 0.001, 0.001, 1; mean 0.25075; strength 3
        found = boundary_weights(importance, torch.tensor(3.0), (2, 2)).flatten()
        low = (1 + 3 * 0.001 / 0.25075) / 4
        high = (1 + 3 * 1.0 / 0.25075) / 4
        assert torch.allclose(found, torch.tensor([low, low, low, high]), atol=1e-5)

    def test_weights_have_mean_one_in_every_slice(self):
        torch.manual_seed(1)
        weights = boundary_weights(torch.rand(3, 1, 8, 8), torch.tensor(2.0), (4, 4))
        assert torch.allclose(weights.mean(dim=(2, 3)), torch.ones(3, 1))

    def test_the_strength_starts_at_one_and_can_be_learnt(self):
        layer = BoundaryNormalisation()
        assert math.isclose(float(layer.strength.detach()), 1.0, rel_tol=1e-6)
        importance = torch.tensor([[[[0.0, 1.0]]]])
        layer(torch.tensor([[[[1.0, 2.0]]]]), importance).sum().backward()
        assert float(layer.raw_strength.grad) > 0  # the second pixel is larger and informative

    def test_the_edge_of_a_square_is_a_band_of_three_pixels(self):
        mask = torch.zeros(1, 1, 11, 11)
        mask[..., 3:8, 3:8] = 1
        edge = edge_of(mask)
        assert int(edge.sum()) == 7 * 7 - 3 * 3
        assert float(edge[0, 0, 5, 5]) == 0.0
        assert float(edge[0, 0, 2, 5]) == float(edge[0, 0, 3, 5]) == 1.0


class TestFusion:
    def test_features_become_clipped_scores_and_flags(self, network):
        own = HybridNetwork(NetworkArguments(FEATURES))
        own.feature_centre.copy_(torch.tensor([1.0, 2.0, 3.0]))
        own.feature_scale.copy_(torch.tensor([2.0, 1.0, 0.5]))
        found = own.standardise(torch.tensor([[5.0, math.nan, -100.0]]))
        assert found.tolist() == [[2.0, 0.0, -4.0, 0.0, 1.0, 0.0]]

    def test_the_lesion_pool_looks_at_the_tumour_and_its_edge(self, network):
        near = torch.zeros(1, 1, 2, 2)
        near[0, 0, 0] = torch.tensor([1.0, 0.5])
        boundary = torch.full((1, 1, 4, 4), -20.0)
        boundary[..., :2, 2:] = 20.0  # the second cell is all edge
        everywhere, tumour, edge = network._weights(near, SliceMaps(boundary, boundary, ()))
        assert everywhere.flatten().tolist() == [0.25] * 4
        assert torch.allclose(tumour.flatten(), torch.tensor([2 / 3, 1 / 3, 0, 0]))
        assert torch.allclose(edge.flatten(), torch.tensor([0.0, 1.0, 0, 0]), atol=1e-5)

    def test_written_out_over_positions_the_pooling_gives_the_same_logits(self, network):
        torch.manual_seed(3)
        images = torch.randn(2, 1, 144, 144)
        masks = torch.zeros(2, 1, 144, 144)
        masks[0, :, 51:78, 60:91] = 1.0
        features = torch.randn(2, 3)
        with torch.inference_mode():
            short = network.name(network.see(images), masks, features).fused
            written_out = network(images, masks, features)
        assert torch.allclose(short, written_out, atol=1e-4)

    def test_looks_add_up_to_what_the_fusion_sees_and_lie_in_the_tumour(self, network):
        masks = torch.zeros(1, 1, 144, 144)
        masks[..., 60:84, 60:84] = 1.0
        caught = []
        handle = network.looks.register_forward_hook(lambda _m, _i, out: caught.append(out))
        with torch.inference_mode():
            network(torch.randn(1, 1, 144, 144), masks, torch.zeros(1, 3))
        handle.remove()
        tumour_branch = caught[0][:, 128:256].abs().sum(dim=1)[0]
        outside = torch.ones(72, 72)
        outside[29:43, 29:43] = 0.0  # the mask and its margin of two pixels, at stride 2
        assert caught[0].shape == (1, 384, 72, 72)
        assert float(tumour_branch.sum()) > 0
        assert float((tumour_branch * outside).sum()) == 0.0

    def test_an_empty_outline_gives_finite_logits(self, network):
        empty = torch.zeros(1, 1, 144, 144)
        found = network(empty, empty, torch.full((1, 3), math.nan))
        assert torch.isfinite(found).all()

    def test_contributions_add_up_to_the_change_of_the_logits(self, network):
        torch.manual_seed(2)
        embedding = torch.rand(2, 96)
        features = torch.tensor([[0.4, -1.2, math.nan], [2.0, 0.1, 0.3]])
        shares = feature_contributions(network, embedding, features)
        typical = torch.where(torch.isnan(features), features, torch.zeros_like(features))

        def logits(values):
            measured = network.measure(network.standardise(values))
            return network.fuse(torch.cat([embedding, measured], dim=1))

        change = (logits(features) - logits(typical)).numpy()
        assert shares.shape == (2, 3, 3)
        np.testing.assert_allclose(shares.sum(axis=1), change, atol=2e-3)
        assert not shares[0, 2].any()  # what was not measured has no share

    def test_a_network_of_other_features_is_refused(self, network):
        with pytest.raises(ModelError, match="do not fit"):
            load_network(NetworkArguments(("a",)), network.state_dict())

    def test_arguments_survive_json(self):
        arguments = NetworkArguments(FEATURES)
        assert NetworkArguments.from_json(arguments.to_json()) == arguments
        with pytest.raises(ModelError, match="no features"):
            NetworkArguments.from_json({"features": []})


class TestWithoutBoundary:
    """The ablation: every pixel counts the same, and nothing is learnt about edges."""

    @pytest.fixture(scope="class")
    def plain(self, network):
        arguments = NetworkArguments(FEATURES, boundary=False)
        return load_network(arguments, network.state_dict())

    def test_the_layer_passes_features_on_and_the_pool_of_the_edge_is_that_of_the_tumour(
        self, plain
    ):
        torch.manual_seed(4)
        images = torch.randn(1, 1, 144, 144)
        masks = torch.zeros(1, 1, 144, 144)
        masks[..., 40:80, 50:90] = 1.0
        with torch.inference_mode():
            maps = plain.see(images)
            features = torch.rand(1, 8, 18, 18)
            passed_on = plain.boundary(features, maps.boundary_logits.sigmoid())
            _, tumour, edge = plain.pool(maps, masks).chunk(3, dim=1)
        assert torch.allclose(passed_on, features)
        assert torch.allclose(tumour, edge, atol=1e-5)
        assert tumour.abs().sum() > 0

    def test_outlines_stay_as_they_are(self, plain, network):
        torch.manual_seed(5)
        images = torch.randn(1, 1, 144, 144)
        with torch.inference_mode():
            assert torch.equal(plain.see(images).mask_logits, network.see(images).mask_logits)
            assert network.see(images).boundary_logits.abs().sum() > 0

    def test_arguments_survive_json_and_old_bundles_have_the_layer(self):
        arguments = NetworkArguments(FEATURES, boundary=False)
        assert NetworkArguments.from_json(arguments.to_json()) == arguments
        assert NetworkArguments.from_json({"features": ["a"]}).boundary


class TestBfloat16Copy:
    def test_under_autocast_it_gives_the_same_answers_to_the_last_bit(self, network):
        torch.manual_seed(6)
        images, masks = torch.randn(1, 1, 144, 144), torch.ones(1, 1, 144, 144)
        quick = bfloat16_copy(network)
        found = []
        for one in (network, quick):
            with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16):
                maps = one.see(images)
                found += [maps.mask_logits, one.name(maps, masks, torch.ones(1, 3)).fused]
        assert torch.equal(found[0], found[2])
        assert torch.equal(found[1], found[3])

    def test_the_network_itself_keeps_its_weights(self, network):
        quick = bfloat16_copy(network)
        assert quick.encoder.stem.conv.weight.dtype == torch.bfloat16
        assert network.encoder.stem.conv.weight.dtype == torch.float32
