from dataclasses import replace

import numpy as np
import pytest
import torch
from brain_tumor.labels import Label
from brain_tumor.segmentation.data.brats import load_cubes, load_masks, load_wholes
from brain_tumor.segmentation.data.folds import FOLDS, WHOLE_CASE_FOLDS, patient_fold
from brain_tumor.segmentation.training.subregions.augmentation import (
    drop_sequences,
    random_contrast,
    random_crop,
    random_symmetry,
)
from brain_tumor.segmentation.training.subregions.composites import (
    CANVAS_LOW,
    CANVAS_SHAPE,
    Host,
    compose,
    make_host,
    to_canvas,
)

from tests.helpers.brats_data import BOX, PATIENTS, write_brats_data


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return write_brats_data(tmp_path_factory.mktemp("brats"))


@pytest.fixture(scope="module")
def cubes(data):
    return load_cubes(data)


@pytest.fixture(scope="module")
def masks(data):
    return {p: to_canvas(m) for p, m in load_masks(data).items()}


@pytest.fixture(scope="module")
def hosts(data):
    return [make_host(whole) for whole in load_wholes(data)]


def test_quantised_intensities_come_back_as_z_scores(cubes):
    image, labels = cubes[0].image, cubes[0].labels
    assert np.unique(image[1][labels == Label.ET]).tolist() == pytest.approx([4])
    assert image[3][labels == Label.ED].max() == pytest.approx(2)
    assert not image[:, :, :, :2].any()  # background stays exactly 0


def test_a_cube_is_found_at_its_place_in_the_whole_mask(cubes, data):
    masks = load_masks(data)
    for cube in cubes:
        place = tuple(slice(a, a + 32) for a in cube.corner)
        np.testing.assert_array_equal(masks[cube.patient][place], cube.labels)
    # stored LPS, read RAS: first two axes are flipped
    low, high = BOX[0]
    assert cubes[0].corner[0] == 128 - 32 - ((low + high) // 2 - 16)


def test_whole_cases_lie_in_the_same_space_as_the_masks(data):
    whole = load_wholes(data)[0]
    assert whole.patient == PATIENTS[0]
    assert whole.expert
    tumour = np.argwhere(whole.labels == Label.ET)
    # native LPS voxel 50 + 110 of 240 -> flipped 239 - 160 = 79 -> 79 * 127 / 239
    assert tumour[:, 0].mean() == pytest.approx(79.5 * 127 / 239, abs=1)
    assert tumour[:, 1].mean() == pytest.approx((239 - 119.5) * 127 / 239, abs=1)
    assert tumour[:, 2].mean() == pytest.approx(69.5 * 127 / 154, abs=1)
    inside = whole.image[0][whole.brain]
    assert abs(inside.mean()) < 1e-3
    assert abs(inside.std() - 1) < 1e-3


def test_a_healthy_host_has_its_tumour_mirrored_away(hosts):
    host = hosts[0]
    tumour = host.labels == Label.ET
    assert host.image[1][tumour].mean() > 3
    assert host.healthy_image[1][tumour].mean() < 1
    assert not host.healthy_labels.any()


def test_an_inserted_cube_brings_its_own_voxels_and_labels(cubes, masks, hosts):
    cube = cubes[0]
    sample = compose(cube, masks[cube.patient], hosts[1], hosts, np.random.default_rng(0))
    place = tuple(slice(a - b, a - b + 32) for a, b in zip(cube.corner, CANVAS_LOW, strict=True))
    real = cube.image.any(axis=0)
    np.testing.assert_array_equal(sample.labels[place][real], cube.labels[real])
    middle = tuple(slice(a.start + 8, a.stop - 8) for a in place)
    np.testing.assert_allclose(
        sample.image[(slice(None), *middle)], cube.image[:, 8:-8, 8:-8, 8:-8], atol=1e-5
    )


@pytest.mark.parametrize("is_complete", [True, False])
def test_a_donor_without_some_sequences_takes_no_label_away(hosts, is_complete):
    host = hosts[0]
    everywhere = np.where(host.brain, np.uint8(Label.ET), np.uint8(0))
    host = replace(host, labels=everywhere)
    donor = replace(
        host,
        healthy_labels=np.zeros_like(everywhere),
        healthy_image=host.image + 5,
        present=(True, True, is_complete, True),
    )
    samples = [compose(None, None, host, [donor], np.random.default_rng(seed)) for seed in range(4)]
    is_kept = [np.array_equal(s.labels, everywhere) for s in samples]
    is_untouched = [np.array_equal(s.image, host.image) for s in samples]
    assert is_kept == is_untouched
    assert all(is_kept) != is_complete


def test_the_host_stays_where_the_cube_is_only_padding(cubes, masks, hosts):
    cube, host = cubes[0], hosts[1]
    sample = compose(cube, masks[cube.patient], host, [host], np.random.default_rng(3))
    place = tuple(slice(a - b, a - b + 32) for a, b in zip(cube.corner, CANVAS_LOW, strict=True))
    padding = np.zeros(CANVAS_SHAPE, dtype=bool)
    padding[place] = ~cube.image.any(axis=0)
    padding &= host.brain
    assert padding.any()
    assert (sample.image[:, padding] != 0).all()


def test_the_tumour_beyond_the_cube_is_rendered_with_its_statistics(cubes, masks, hosts):
    cube = cubes[0]
    mask = masks[cube.patient].copy()
    low = [a - b for a, b in zip(cube.corner, CANVAS_LOW, strict=True)]
    mask[low[0] : low[0] + 8, low[1] : low[1] + 8, low[2] + 32 : low[2] + 38] = Label.ED
    sample = compose(cube, mask, hosts[1], hosts, np.random.default_rng(1))
    rendered = np.zeros(CANVAS_SHAPE, dtype=bool)
    rendered[low[0] : low[0] + 8, low[1] : low[1] + 8, low[2] + 32 : low[2] + 38] = True
    rendered &= hosts[1].brain
    assert rendered.any()
    assert (sample.labels[rendered] == Label.ED).all()
    assert sample.image[3][rendered].mean() == pytest.approx(2, abs=0.7)  # flair of oedema


def test_a_sequence_that_the_host_lacks_is_missing_from_the_sample(cubes, masks, hosts):
    host = hosts[1]
    partial = Host(
        host.image,
        host.labels,
        host.healthy_image,
        host.healthy_labels,
        host.brain,
        (False, True, False, True),
    )
    sample = compose(cubes[0], masks[cubes[0].patient], partial, hosts, np.random.default_rng(2))
    assert [bool(c.any()) for c in sample.image] == [False, True, False, True]


def test_equal_seeds_give_equal_samples(cubes, masks, hosts):
    def draw():
        rng = np.random.default_rng(42)
        sample = compose(cubes[1], masks[cubes[1].patient], hosts[0], hosts, rng)
        image, labels = random_crop(sample.image, sample.labels, (32, 32, 32), rng)
        return drop_sequences(random_contrast(image, rng), rng), labels

    first, second = draw(), draw()
    assert torch.equal(first[0], second[0])
    assert torch.equal(first[1], second[1])


def test_a_crop_keeps_image_and_labels_together():
    labels = np.zeros((40, 48, 56), dtype=np.uint8)
    labels[15:25, 20:30, 25:35] = Label.ET
    image = np.repeat((labels > 0).astype(np.float32)[None] * 5, 4, axis=0)
    for seed in range(8):
        crop, cut = random_crop(image, labels, (32, 32, 32), np.random.default_rng(seed))
        agree = ((crop[0] > 2.5) == (cut == Label.ET)).float().mean()
        assert agree > 0.98


def test_contrast_changes_leave_the_background_at_zero():
    image = torch.zeros(4, 16, 16, 16)
    image[:, 4:12, 4:12, 4:12] = torch.randn(4, 8, 8, 8) + 1
    for seed in range(10):
        changed = random_contrast(image, np.random.default_rng(seed))
        assert torch.isfinite(changed).all()
        assert not changed[image == 0].any()


def test_at_least_one_sequence_always_stays():
    image = torch.ones(4, 2, 2, 2)
    image[0] = 0
    kept = [
        tuple(bool(c.any()) for c in drop_sequences(image, np.random.default_rng(s)))
        for s in range(200)
    ]
    assert all(any(k) for k in kept)
    assert not any(k[0] for k in kept)
    assert len(set(kept)) == 7  # every non-empty subset of the three that are there


def test_cube_symmetries_move_labels_with_the_image():
    labels = torch.arange(4**3).reshape(4, 4, 4)
    image = labels.float().expand(4, 4, 4, 4)
    for seed in range(10):
        turned, moved = random_symmetry(image, labels, np.random.default_rng(seed))
        assert torch.equal(turned[2].long(), moved)


def test_folds_are_fixed_by_the_patient_id():
    assert patient_fold("BraTS20_Training_136") == 0
    # first four bytes of sha256("tumorlens:Patient_B") modulo 5
    assert patient_fold("Patient_B") == 2
    counts = np.bincount([patient_fold(f"BraTS20_Training_{i:03d}") for i in range(1, 370)])
    assert len(counts) == FOLDS
    assert counts.min() > 50
    assert set(WHOLE_CASE_FOLDS.values()) <= set(range(FOLDS))
