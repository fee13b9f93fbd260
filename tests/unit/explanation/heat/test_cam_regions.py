"""Heat of segmented regions, on a network whose reasons are written in."""

import numpy as np
import pytest
import torch
from brain_tumor.cases.grid.preprocessing import WorkingCase
from brain_tumor.errors import ModelError
from brain_tumor.explanation.heat.cam_regions import (
    explain_regions,
    explained_layer,
    heat_on_reference_grid,
)
from brain_tumor.labels import Region
from brain_tumor.segmentation.subregions.networks import build_unet

from tests.helpers.region_network import ByContrast

SHAPE = (16, 16, 8)
RIM = (slice(4, 10), slice(4, 10), slice(2, 6))
CORE = (slice(6, 8), slice(6, 8), slice(3, 5))


def working():
    channels = np.zeros((4, *SHAPE), dtype=np.float32)
    channels[1][RIM] = 4.0
    channels[1][CORE] = -4.0
    channels[3, 11:14, 4:10, 2:6] = 4.0
    foreground = np.ones(SHAPE, dtype=bool)
    foreground[0] = False
    return WorkingCase(channels, foreground, np.eye(4), (True,) * 4)


def regions(bf16=False):
    network = ByContrast()
    found = explain_regions(network, explained_layer(network), working(), bf16=bf16)
    assert not any(m._forward_hooks for m in network.modules())
    return {item.region: item for item in found}


def test_each_region_is_hot_where_its_own_features_are():
    found = regions()
    rim = np.zeros(SHAPE, dtype=bool)
    rim[RIM] = True
    core = np.zeros(SHAPE, dtype=bool)
    core[CORE] = True
    oedema = np.zeros(SHAPE, dtype=bool)
    oedema[11:14, 4:10, 2:6] = True
    enhancing = found[Region.ET].heat
    assert found[Region.ET].explained.sum() == 6 * 6 * 4 - 8
    assert (enhancing[rim & ~core] > 0).all()
    assert enhancing[~rim].max() == 0
    assert enhancing[core].max() == 0
    tumour_core = found[Region.TC].heat
    assert (tumour_core[rim] > 0).all()
    assert tumour_core[oedema].max() == 0
    whole = found[Region.WT].heat
    assert (whole[rim | oedema] > 0).all()
    assert whole[~(rim | oedema)].max() == 0


def test_the_score_is_the_sum_of_the_log_odds_inside_the_region():
    # enhancing voxel: logits 5, 0, 0, 10: 10 - log(e^5 + 1 + 1)
    odds = 10 - np.log(np.exp(5) + 2)
    assert regions()[Region.ET].score == pytest.approx(136 * odds, rel=1e-5)


def test_bf16_gives_nearly_the_same_maps():
    exact, fast = regions(), regions(bf16=True)
    for region in Region:
        np.testing.assert_allclose(
            fast[region].heat, exact[region].heat, atol=0.02 * exact[region].heat.max()
        )


def test_a_region_that_was_not_drawn_has_no_heat():
    network = ByContrast()
    empty = WorkingCase(
        np.zeros((4, *SHAPE), dtype=np.float32), np.ones(SHAPE, dtype=bool), np.eye(4), (True,) * 4
    )
    for item in explain_regions(network, explained_layer(network), empty):
        assert not item.explained.any()
        assert item.heat.max() == 0


def test_heat_comes_back_to_its_place_on_the_reference_grid():
    heat = np.zeros((4, 4, 4), dtype=np.float32)
    heat[1, 2, 3] = 2.0
    target = np.diag([-1.0, 1.0, 1.0, 1.0])
    target[:3, 3] = (6.0, -1.0, 0.0)
    # voxel (1, 2, 3) of the working grid lies at (1, 2, 3) mm: reference voxel (5, 3, 3)
    native = heat_on_reference_grid(heat, np.eye(4), target, (8, 6, 5))
    assert native[5, 3, 3] == pytest.approx(2.0)
    assert np.count_nonzero(native) == 1


def test_decoder_blocks_of_the_shipped_network_are_found():
    network = build_unet((4, 8, 16)).eval()
    sizes = []
    for level in (0, 1):
        explained_layer(network, level).register_forward_hook(
            lambda _module, _inputs, output: sizes.append(tuple(output.shape[2:]))
        )
    with torch.inference_mode():
        network(torch.zeros(1, 4, 16, 16, 16))
    # inner blocks run first: level 1 gives features at the half grid ... level 0 at the full one
    assert sizes == [(8, 8, 8), (16, 16, 16)]
    with pytest.raises(ModelError, match="level 2"):
        explained_layer(network, 2)
