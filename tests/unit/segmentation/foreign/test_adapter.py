"""A foreign network in our contract: order of channels, axes and labels, worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from brain_tumor.errors import ModelError
from brain_tumor.labels import Label
from brain_tumor.segmentation.foreign.adapter import (
    AdaptedNetwork,
    AdaptedSpec,
    adapted_network,
    build_inner,
)
from torch import nn

from tests.helpers.foreign_models import SEGRESNET, a_segresnet

ZOO = AdaptedSpec("SegResNet", SEGRESNET, ("t1c", "t1", "t2", "flair"), ("TC", "WT", "ET"))
LABELS = ("background", "ED", "NCR", "ET")


class Remembers(nn.Module):
    """Gives what it is told and keeps what it got."""

    def __init__(self, answer: torch.Tensor | None = None) -> None:
        super().__init__()
        self.answer = answer
        self.got = torch.zeros(0)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.got = x
        return x if self.answer is None else self.answer


def spec(**changes: Any) -> AdaptedSpec:
    return AdaptedSpec(**{**ZOO.__dict__, **changes})


def test_channels_come_in_the_order_of_the_network() -> None:
    inner = Remembers(torch.zeros(1, 3, 1, 1, 1))
    images = torch.arange(4.0).reshape(1, 4, 1, 1, 1)  # t1 0, t1c 1, t2 2, flair 3
    AdaptedNetwork(inner, ZOO)(images)
    assert inner.got.flatten().tolist() == [1, 0, 2, 3]


def test_axes_are_turned_for_the_network_and_turned_back() -> None:
    inner = Remembers()
    turned = AdaptedNetwork(inner, spec(orientation="LPS", axes=(2, 1, 0), outputs=LABELS))
    images = torch.randn(1, 4, 2, 3, 4)
    logits = turned(images)
    assert inner.got.shape == (1, 4, 4, 3, 2)
    # what lies at (0, 0, 1) of RAS lies at (z 1, y 2 of 3 back to front, x 1 of 2)
    assert torch.equal(inner.got[0, 0, 1, 2, 1], images[0, 1, 0, 0, 1])
    # outputs background, ED, NCR, ET are its inputs t1c, t1, t2, flair
    assert torch.allclose(logits[0, Label.ET], images[0, 3])
    assert torch.allclose(logits[0, Label.ED], images[0, 0])
    assert torch.equal(turned.in_working_axes(inner.got[:, 0]), images[:, 1])


@pytest.mark.parametrize(
    ("wt", "tc", "et", "label"),
    [
        (-1.0, -2.0, -3.0, Label.BACKGROUND),
        (1.0, -2.0, -3.0, Label.ED),
        (1.0, 2.0, -3.0, Label.NCR),
        (1.0, 2.0, 3.0, Label.ET),
        (-1.0, -2.0, 1.0, Label.BACKGROUND),  # enhancement outside any tumour
    ],
)
def test_nested_regions_become_one_label(wt: float, tc: float, et: float, label: Label) -> None:
    answer = torch.tensor([tc, wt, et]).reshape(1, 3, 1, 1, 1)
    logits = AdaptedNetwork(Remembers(answer), ZOO)(torch.zeros(1, 4, 1, 1, 1))
    assert logits.shape == (1, 4, 1, 1, 1)
    assert int(logits.argmax(dim=1)) == label


def test_the_odds_of_the_whole_tumour_stay_where_it_has_no_core() -> None:
    answer = torch.tensor([-30.0, 1.5, -30.0]).reshape(1, 3, 1, 1, 1)
    logits = AdaptedNetwork(Remembers(answer), ZOO)(torch.zeros(1, 4, 1, 1, 1))
    tumour = 1 - logits.softmax(dim=1)[0, Label.BACKGROUND]
    assert float(tumour) == pytest.approx(1 / (1 + 2.718281828**-1.5), abs=1e-4)


def test_labels_that_share_ours_are_added_and_missing_ones_are_never_given() -> None:
    shared = spec(outputs=("background", "ET", "ET"))
    answer = torch.tensor([0.0, 1.0, 1.0]).reshape(1, 3, 1, 1, 1)
    chances = AdaptedNetwork(Remembers(answer), shared)(torch.zeros(1, 4, 1, 1, 1)).softmax(dim=1)
    assert float(chances[0, Label.ET]) == pytest.approx(2 * 2.718281828 / (1 + 2 * 2.718281828))
    assert float(chances[0, Label.ED]) < 1e-9


def test_windows_give_what_the_whole_gives_where_the_network_looks_at_one_voxel() -> None:
    one_voxel = AdaptedNetwork(nn.Conv3d(4, 4, 1), spec(outputs=LABELS, window=(16, 16, 16)))
    images = torch.randn(1, 4, 32, 16, 24)
    with torch.no_grad():
        assert torch.allclose(one_voxel.in_windows(images), one_voxel(images), atol=1e-5)


def test_the_grid_fits_the_steps_of_the_network() -> None:
    assert AdaptedNetwork(a_segresnet(), ZOO).multiple == 16
    deep = {**SEGRESNET, "blocks_down": [1] * 6}
    assert AdaptedNetwork(a_segresnet(), spec(arguments=deep)).multiple == 32


def test_the_network_is_that_of_its_metadata() -> None:
    network = a_segresnet()
    entry = ZOO.to_json()
    built = adapted_network(entry, network.state_dict())
    assert AdaptedSpec.from_json(entry) == ZOO
    images = torch.randn(1, 4, 16, 16, 16)
    with torch.no_grad():
        raw = network(images[:, [1, 0, 2, 3]])
        assert torch.equal(built(images)[:, Label.ED], raw[:, 1])
    assert built.explained_layer is built.inner.up_layers[0]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"architecture": "os.system"}, "expected one of PlainConvUNet, SegResNet, UNet"),
        ({"arguments": {**SEGRESNET, "act": "$__import__('os')"}}, "argument act"),
        ({"arguments": {**SEGRESNET, "callback": 1}}, "argument callback"),
        ({"arguments": {**SEGRESNET, "init_filters": "many"}}, "cannot be built"),
        ({"arguments": {**SEGRESNET, "init_filters": 2048}}, "weights; expected at most"),
        (
            {"arguments": {**SEGRESNET, "in_channels": 3}},
            "takes 3 channels and gives 3; told are 4",
        ),
        ({"arguments": {**SEGRESNET, "blocks_down": [1] * 8}}, "halves the grid more often"),
    ],
)
def test_a_network_that_is_not_known_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ModelError, match=why):
        build_inner(spec(**changes))


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"channels": ("t1c", "t1c")}, "channels are t1c, t1c; expected different"),
        ({"channels": ("t1c", "adc")}, "channels are t1c, adc"),
        ({"outputs": ("WT", "TC")}, "labels are WT, TC; expected the regions"),
        ({"outputs": ("background", "ED")}, "labels are background, ED"),
        ({"orientation": "RRS"}, "orientation is 'RRS'"),
        ({"axes": (0, 0, 1)}, "axes are"),
        ({"spacing_mm": (0.0, 1.0, 1.0)}, "spacing is"),
        ({"window": (4, 64, 64)}, "window is"),
    ],
)
def test_an_impossible_description_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(ModelError, match=why):
        spec(**changes)


def test_weights_that_do_not_fit_are_refused() -> None:
    state = a_segresnet().state_dict()
    del state["convInit.conv.weight"]
    with pytest.raises(ModelError, match="the weights do not fit the network SegResNet"):
        adapted_network(ZOO.to_json(), state)
