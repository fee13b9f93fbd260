from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from brain_tumor.bundles import ModelVersion
from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import ModelError
from brain_tumor.labels import Label, LabelScheme, Region
from brain_tumor.segmentation.presence import PresenceModel
from brain_tumor.segmentation.training.tumor_core.train import (
    TrainingOptions,
    write_metadata,
    write_weights,
)
from brain_tumor.segmentation.tumor_core.network import (
    CoreNetwork,
    CoreNetworkArguments,
    load_core_network,
)
from brain_tumor.segmentation.tumor_core.segmenter import (
    NOT_ENHANCING,
    CleanUp,
    TumorCoreSegmenter,
    binary_entropy,
    core_voxel_ml,
    keep_pieces,
)

from tests.helpers.volumes import GRIDS, grid

VERSION = ModelVersion("tumor_core", "1.2.3", "00")
HEAD, TUMOUR = 100.0, 250.0


class Brighter(torch.nn.Module):
    """Stands in for the network: halfway from the phantom's head to its tumour."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        return (images - 3.9) * 40.0


def a_head(shape=(120, 130, 100), spacing_mm=(1.0, 1.0, 1.0)):
    """Ellipsoid head with a gentle gradient, and the bright box that is its tumour."""
    centre = (np.array(shape) - 1) / 2
    where = np.stack(np.indices(shape), axis=-1)
    head = (((where - centre) / (np.array(shape) * 0.42)) ** 2).sum(axis=-1) < 1
    array = np.where(head, HEAD + 10 * np.sin(where.sum(axis=-1) / 5.0), 0.0).astype(np.float32)
    tumour = np.zeros(shape, dtype=bool)
    box = tuple(
        slice(int(c + 4), int(c + 4 + 20 / mm)) for c, mm in zip(centre, spacing_mm, strict=True)
    )
    tumour[box] = True
    array[tumour] = TUMOUR
    return array, tumour


def a_case(array, affine, sequence=Sequence.T1C):
    return Case("phantom", sequence, {sequence: Volume(array, affine)})


def a_segmenter(**options):
    return TumorCoreSegmenter(Brighter().eval(), VERSION, divisor=16, bf16=False, **options)


def dice(a, b):
    return 2 * np.count_nonzero(a & b) / (np.count_nonzero(a) + np.count_nonzero(b))


@pytest.mark.parametrize("name", ["identity", "flipped", "sagittal"])
def test_a_bright_box_is_found_where_it_is_on_every_orientation(name):
    array, tumour = a_head()
    axes = {"sagittal": (1, 2, 0)}.get(name, (0, 1, 2))
    affine = GRIDS[name] if name != "sagittal" else grid(axes=axes, flips=(-1, -1, 1))
    result = a_segmenter().segment(a_case(array, affine))
    assert dice(result.labelmap == Label.CORE, tumour) > 0.93
    assert result.labelmap.shape == array.shape
    assert "axial" in result.reason
    assert "coronal" in result.reason
    assert "sagittal" in result.reason


def test_thick_slices_are_read_in_their_own_plane_only():
    array, tumour = a_head((160, 170, 20), (1.0, 1.0, 6.0))
    result = a_segmenter().segment(a_case(array, grid((1.0, 1.0, 6.0))))
    assert "axial" in result.reason
    assert "coronal" not in result.reason
    assert dice(result.labelmap > 0, tumour) > 0.93
    # 20 x 20 x 3 voxels of 6 mm3 are 7.2 mL.
    assert result.volumes_ml[Region.TC] == pytest.approx(7.2, rel=0.1)


@pytest.mark.parametrize("flips", [(1, 1, 1), (-1, -1, 1), (1, 1, -1)])
def test_a_single_slice_is_a_volume_too(flips):
    array, tumour = a_head((160, 170, 3))
    lone, inside = array[:, :, 1:2], np.zeros((160, 170, 1), dtype=bool)
    lone[70:95, 60:85] = TUMOUR
    inside[70:95, 60:85] = True
    lone[tumour[:, :, 1:2] & ~inside] = HEAD
    result = a_segmenter().segment(a_case(lone, grid((1.0, 1.0, 6.0), flips=flips)))
    assert result.labelmap.shape == (160, 170, 1)
    assert dice(result.labelmap > 0, inside) > 0.93


def test_a_single_slice_in_the_order_of_a_file_is_read_whatever_its_last_axis():
    """Columns first, as NIfTI keeps them, and all of it head: only the lone axis is turned."""
    array, tumour = a_head()
    used = np.argwhere(array[:, :, 60] > 0)
    box = tuple(slice(low, high + 1) for low, high in zip(used.min(0), used.max(0), strict=True))
    lone = np.asfortranarray(array[box][:, :, 60:61])
    for last in (-6.0, 6.0):
        affine = np.diag([-1.0, -1.0, last, 1.0])
        found = a_segmenter().segment(a_case(lone, affine)).labelmap == Label.CORE
        assert dice(found, tumour[box][:, :, 60:61]) > 0.9


def test_the_result_holds_only_the_core_label_and_says_what_made_it():
    array, _ = a_head()
    result = a_segmenter().segment(a_case(array, grid()))
    assert set(np.unique(result.labelmap)) == {0, Label.CORE}
    assert result.labelmap.dtype == np.uint8
    assert result.scheme is LabelScheme.CORE
    assert result.model == VERSION
    assert set(result.volumes_ml) == {Region.TC}
    assert {"prepare", "network", "resample", "clean_up", "total"} <= set(result.timings_s)
    assert result.warnings == ()


def test_uncertainty_is_zero_in_air_and_highest_at_the_border():
    array, tumour = a_head()
    uncertainty = a_segmenter().segment(a_case(array, grid())).uncertainty
    assert uncertainty.shape == array.shape
    assert uncertainty.dtype == np.float32
    assert uncertainty[0, 0, 0] == 0
    centre = tuple(int(axis.mean()) for axis in np.nonzero(tumour))
    assert uncertainty[centre] < 0.05
    assert uncertainty.max() > 0.9


def test_a_volume_without_signal_yields_nothing_and_says_so():
    result = a_segmenter().segment(a_case(np.zeros((70, 70, 70), np.float32), grid()))
    assert not result.labelmap.any()
    assert result.volumes_ml[Region.TC] == 0.0
    assert any("No tumour core" in sentence for sentence in result.warnings)


def test_a_case_without_t1c_is_read_with_a_warning():
    array, tumour = a_head()
    result = a_segmenter().segment(a_case(array, grid(), Sequence.FLAIR))
    assert dice(result.labelmap > 0, tumour) > 0.93
    assert any("flair" in sentence for sentence in result.warnings)


def test_t1c_is_read_even_if_another_sequence_is_the_reference():
    array, tumour = a_head()
    volumes = {
        Sequence.T1: Volume(np.zeros_like(array), grid()),
        Sequence.T1C: Volume(array, grid()),
    }
    result = a_segmenter().segment(Case("phantom", Sequence.T1, volumes))
    assert dice(result.labelmap > 0, tumour) > 0.93


def test_a_head_that_its_header_makes_half_a_metre_is_brought_to_size_with_a_warning():
    array, tumour = a_head((240, 250, 1))
    tumour[130:180, 110:160] = True
    array[tumour] = TUMOUR
    result = a_segmenter().segment(a_case(array, grid((2.4, 2.4, 6.0))))
    assert dice(result.labelmap > 0, tumour) > 0.93
    assert any("mm long" in sentence for sentence in result.warnings)


def test_mirroring_changes_nothing_for_a_network_that_does_not_know_sides():
    array, _ = a_head()
    plain = a_segmenter().segment(a_case(array, grid()))
    mirrored = a_segmenter(mirrored=True).segment(a_case(array, grid()))
    np.testing.assert_array_equal(plain.labelmap, mirrored.labelmap)


class LeftHalfOnly(torch.nn.Module):
    """Says tumour, for sure, in the left half of every picture."""

    def forward(self, images):
        logits = torch.full_like(images, -20.0)
        logits[..., : images.shape[-1] // 2] = 20.0
        return logits


def test_a_lone_slice_is_also_read_mirrored_and_a_thin_volume_is_not():
    array, _ = a_head()
    lone = Volume(array[:, :, array.shape[2] // 2, None], grid())
    segmenter = TumorCoreSegmenter(LeftHalfOnly(), VERSION, divisor=1, bf16=False)
    head = lone.array[..., 0] > 0
    assert segmenter.probabilities(lone).probability[head].std() < 0.1  # each half seen once
    plain = TumorCoreSegmenter(LeftHalfOnly(), VERSION, divisor=1, bf16=False, mirrored=False)
    assert plain.probabilities(lone).probability[head].std() > 0.4
    whole = segmenter.probabilities(Volume(array, grid()))
    assert len(whole.planes) == 3
    assert whole.probability[array > 0].std() > 0.2


def test_one_segmenter_serves_several_threads_with_one_answer():
    array, _ = a_head((90, 95, 80))
    case, segmenter = a_case(array, grid()), a_segmenter()
    alone = segmenter.segment(case).labelmap
    with ThreadPoolExecutor(3) as pool:
        for result in pool.map(lambda _: segmenter.segment(case), range(3)):
            np.testing.assert_array_equal(result.labelmap, alone)


def test_entropy_is_one_bit_at_a_half_and_zero_when_sure():
    found = binary_entropy(np.array([0.0, 0.5, 0.25, 1.0], dtype=np.float32))
    # -(0.25 log2 0.25 + 0.75 log2 0.75) = 0.5 + 0.3113
    np.testing.assert_allclose(found, [0.0, 1.0, 0.8113, 0.0], atol=1e-4)


def pieces(*volumes_and_peaks):
    """Separate bars of the given lengths and probabilities."""
    probability = np.zeros((40, 2 * len(volumes_and_peaks), 1), dtype=np.float32)
    for row, (length, peak) in enumerate(volumes_and_peaks):
        probability[:length, 2 * row, 0] = peak
    return probability


def test_pieces_under_a_tenth_of_the_largest_are_dropped():
    kept = keep_pieces(pieces((40, 0.9), (4, 0.9), (3, 0.9)), CleanUp(0.5, 0.1, 0.7))
    assert [np.count_nonzero(kept[:, 2 * row]) for row in range(3)] == [40, 4, 0]


def test_a_piece_that_is_nowhere_sure_is_dropped_whatever_its_size():
    kept = keep_pieces(pieces((40, 0.6), (5, 0.8)), CleanUp(0.5, 0.1, 0.7))
    assert [np.count_nonzero(kept[:, 2 * row]) for row in range(2)] == [0, 5]


def test_pieces_of_a_lone_slice_are_kept_by_the_same_rule():
    kept = keep_pieces(pieces((40, 0.9), (3, 0.9))[:, :, 0], CleanUp(0.5, 0.1, 0.7))
    assert kept.shape == (40, 4)
    assert np.count_nonzero(kept) == 40


def test_nothing_above_the_threshold_is_nothing():
    assert not keep_pieces(pieces((10, 0.4)), CleanUp()).any()


def a_bundle(path, seed=0):
    torch.manual_seed(seed)
    arguments = CoreNetworkArguments((8, 8, 8, 8))
    write_weights(path / "models/model.safetensors", CoreNetwork(arguments).state_dict())
    write_metadata(path / "configs/metadata.json", TrainingOptions(), arguments, 10, 1.0)
    return path


def test_a_bundle_loads_and_names_its_version(tmp_path):
    segmenter = TumorCoreSegmenter.load(a_bundle(tmp_path), bf16=False)
    assert segmenter.version.name == "tumor_core"
    assert len(segmenter.version.sha256) == 64
    array, _ = a_head((80, 85, 70))
    first, second = (segmenter.segment(a_case(array, grid())) for _ in range(2))
    np.testing.assert_array_equal(first.uncertainty, second.uncertainty)


def test_weights_of_another_network_are_refused(tmp_path):
    bundle = a_bundle(tmp_path)
    other = CoreNetwork(CoreNetworkArguments((8, 8, 8, 16)))
    write_weights(bundle / "models/model.safetensors", other.state_dict())
    with pytest.raises(ModelError, match="do not fit"):
        TumorCoreSegmenter.load(bundle)


def test_a_missing_bundle_is_refused(tmp_path):
    with pytest.raises(ModelError, match="cannot be read"):
        TumorCoreSegmenter.load(tmp_path / "nowhere")


def test_unusable_network_arguments_are_refused():
    with pytest.raises(ModelError, match="decoder_channels"):
        CoreNetworkArguments.from_json({"decoder_channels": "many"})


def test_arguments_of_another_network_are_refused():
    with pytest.raises(ModelError, match="the network is 'UNet'"):
        CoreNetworkArguments.from_json({"name": "UNet", "decoder_channels": [8, 8, 8, 8]})


def test_arguments_come_back_as_they_were_written():
    arguments = CoreNetworkArguments((16, 8, 8, 8), pixel_mm=0.8)
    assert CoreNetworkArguments.from_json(arguments.to_json()) == arguments


def test_a_network_that_names_no_pixel_sees_1_25_mm_as_all_did_before():
    earlier = {"name": "EfficientNet-Lite0 U-Net", "decoder_channels": [8, 8, 8, 8]}
    assert CoreNetworkArguments.from_json(earlier).pixel_mm == 1.25
    with pytest.raises(ModelError, match="pixel is 0 mm"):
        CoreNetworkArguments.from_json(earlier | {"pixel_mm": 0})


@pytest.mark.parametrize(("pixel_mm", "side"), [(1.25, 80), (1.0, 100)])
def test_slices_come_to_the_network_at_its_own_pixel(pixel_mm, side):
    seen = []

    class Watching(torch.nn.Module):
        def forward(self, images):
            seen.append(tuple(images.shape[2:]))
            return images

    segmenter = TumorCoreSegmenter(
        Watching().eval(), VERSION, divisor=1, pixel_mm=pixel_mm, bf16=False
    )
    full = np.full((100, 100, 1), 50.0, dtype=np.float32)
    full[::2] = 80.0
    segmenter.segment(a_case(full, grid((1.0, 1.0, 6.0))))
    assert set(seen) == {(side, side)}
    seen.clear()
    segmenter.segment(a_case(np.repeat(full, 100, axis=2), grid((1.0, 1.0, 1.0))))
    assert set(seen) == {(80, 80)}  # a thin volume is read at 1.25 mm


def test_an_unknown_clean_up_value_is_refused():
    with pytest.raises(ModelError, match="clean_up"):
        CleanUp.from_metadata({"clean_up": {"smallest": 3}})


def test_the_answer_for_a_slice_does_not_depend_on_its_batch():
    torch.manual_seed(0)
    network = CoreNetwork(CoreNetworkArguments((8, 8, 8, 8))).eval()
    images = torch.randn(3, 1, 32, 48)
    with torch.inference_mode():
        torch.testing.assert_close(network(images)[1:2], network(images[1:2]))


def test_fine_tuning_keeps_the_statistics_of_batch_normalisation():
    arguments = CoreNetworkArguments((8, 8, 8, 8))
    torch.manual_seed(0)
    network = load_core_network(arguments, CoreNetwork(arguments).state_dict()).train()
    before = {name: value.clone() for name, value in network.named_buffers()}
    image = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        found = network(image)
    assert network.decoder.training
    assert all(torch.equal(value, before[name]) for name, value in network.named_buffers())
    with torch.no_grad():
        assert torch.equal(found, network.eval()(image))


BELIEVER = PresenceModel(intercept=0.0, surest=1.0, volume=1.0, threshold=0.2, cases=98)
SCEPTIC = PresenceModel(intercept=-50.0, surest=1.0, volume=1.0, threshold=0.2, cases=98)


def test_where_there_is_most_likely_no_tumour_nothing_is_outlined_and_it_is_said():
    array, tumour = a_head()
    case = a_case(array, grid())
    found = a_segmenter(presence=BELIEVER).segment(case)
    assert found.presence is not None
    assert found.presence.is_found
    assert dice(found.labelmap > 0, tumour) > 0.93
    assert not any("No tumour" in warning for warning in found.warnings)
    empty = a_segmenter(presence=SCEPTIC).segment(case)
    assert not empty.labelmap.any()
    assert empty.volumes_ml[Region.TC] == 0
    assert empty.presence.probability == pytest.approx(1 / 100)  # what 98 cases can support
    assert "No tumour was found; the probability that there is one is 1%." in empty.warnings
    assert NOT_ENHANCING in empty.warnings
    # what was seen stays, so that a click brings it back
    assert empty.probabilities.maps.max() > 0.9


def test_a_lone_slice_of_unknown_thickness_counts_as_those_that_presence_was_fitted_on():
    assert core_voxel_ml((256, 256, 1), (0.5, 0.5, 1.0)) == pytest.approx(0.0015)
    assert core_voxel_ml((1, 256, 256), (8.0, 1.0, 1.0)) == pytest.approx(0.008)
    assert core_voxel_ml((64, 64, 20), (1.0, 1.0, 6.0)) == pytest.approx(0.006)
