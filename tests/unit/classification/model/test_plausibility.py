"""Heads pass; noise, flat pictures, ramps and smooth bodies do not."""

import json

import numpy as np
import pytest
from brain_tumor.cases.sequences import Sequence
from brain_tumor.classification.case_slices import cut_patch, tumour_slices
from brain_tumor.classification.model.plausibility import (
    LEAST_CORRELATION,
    LEAST_DETAIL,
    LEAST_TURNING,
    Plausibility,
    _coherence,
    plausibility,
)
from brain_tumor.classification.training.plausibility_limits import (
    limits_of,
    look,
    main,
    noise_pictures,
    shaded_pictures,
    smooth_pictures,
)
from brain_tumor.errors import InputError
from brain_tumor.phantoms.phantom import PhantomSpec, make_phantom
from PIL import Image

from tests.helpers.shapes import HeadDrawing

RADIUS = np.hypot(*(np.indices((144, 144)) - 71.5))


def normalised(picture):
    spread = np.ptp(picture)
    return ((picture - np.median(picture)) / (spread or 1.0)).astype(np.float32)


@pytest.mark.parametrize("skull_stripped", [True, False])
def test_a_head_is_a_head_with_and_without_its_skull(skull_stripped):
    spec = PhantomSpec(seed=5, spacing_mm=(1.5, 1.5, 1.5), skull_stripped=skull_stripped)
    phantom = make_phantom(spec)
    for part in tumour_slices(phantom.case.volumes[Sequence.T1C], phantom.labelmap > 0):
        assert plausibility(cut_patch(part).image).is_head


@pytest.mark.parametrize(
    "picture",
    [
        np.random.default_rng(0).normal(size=(144, 144)),
        np.where(RADIUS < 60, np.random.default_rng(1).normal(5, 1, size=(144, 144)), 0.0),
        np.zeros((144, 144)),
        np.indices((144, 144)).sum(axis=0).astype(float),
        np.where(RADIUS < 60, 1.0, 0.0),
    ],
    ids=["noise", "a ball of noise", "black", "a ramp", "a smooth ball"],
)
def test_what_is_no_head_does_not_pass(picture):
    assert not plausibility(normalised(picture)).is_head


def test_correlation_and_detail_of_stripes_are_worked_out():
    stripes = np.tile(np.array([1.0, 1.0, 0.9, 0.9], dtype=np.float32), (144, 36))
    stripes[:20] = 0.0
    found = plausibility(stripes)
    # down the columns all neighbours agree, but for the way over to 0; along the rows half do
    assert found.correlation == pytest.approx(0.0, abs=0.02)


def test_limits_lie_in_the_middle_between_heads_and_what_is_none():
    heads = [Plausibility(0.9, 0.03, 0.7), Plausibility(0.6, 0.05, 0.5)]
    noise, smooth = Plausibility(0.2, 0.5, 0.9), Plausibility(0.99, 0.01, 0.8)
    found = limits_of(heads, [noise], [smooth], [Plausibility(0.99, 0.04, 0.2)])
    assert found.correlation == pytest.approx((0.6 + 0.2) / 2)
    assert found.detail == pytest.approx((0.03 + 0.01) / 2)
    assert found.turning == pytest.approx((0.5 + 0.2) / 2)
    assert found.between(0.6, 0.03, 0.5)
    assert not found.between(0.61, 0.03, 0.5)
    assert not found.between(0.6, 0.01, 0.5)
    assert not found.between(0.6, 0.03, 0.2)
    assert found.to_json()["others"] == 3
    with pytest.raises(InputError, match="no slices of heads"):
        limits_of([], [], [])


def test_the_limits_in_use_keep_out_every_synthetic_picture_that_they_should():
    noise = [look(*picture) for picture in noise_pictures()]
    smooth = [look(*picture) for picture in smooth_pictures()]
    assert max(one.correlation for one in noise) < LEAST_CORRELATION
    assert max(one.detail for one in smooth) < LEAST_DETAIL
    shaded = [look(*picture) for picture in shaded_pictures()]
    # Shading over the size of a head is detail like any other, but its edges all run alike.
    assert max(one.detail for one in shaded) > LEAST_DETAIL
    assert max(one.turning for one in shaded) < LEAST_TURNING


def test_gradients_along_one_line_are_coherent_and_those_of_all_directions_are_not():
    one, none = np.ones((40, 40), dtype=np.float32), np.zeros((40, 40), dtype=np.float32)
    assert _coherence(one, -one) == pytest.approx(1.0)
    assert _coherence(none, none) == pytest.approx(1.0)  # nothing turns where nothing changes
    chequered = np.indices((40, 40)).sum(axis=0) % 2
    # half of the pixels down, half across: both sums are alike, and they never meet
    found = _coherence(chequered.astype(np.float32), (1 - chequered).astype(np.float32))
    assert found == pytest.approx(0.0, abs=0.01)


def test_the_command_measures_the_slices_of_a_folder_and_fails_without_fitting_limits(
    tmp_path, capsys
):
    drawing, _ = HeadDrawing().draw()
    for name in ("images", "masks"):
        (tmp_path / "cheng" / name).mkdir(parents=True)
    picture = np.zeros((256, 256), dtype=np.uint8)
    part = np.clip(drawing[:256, :256], 0, 255).astype(np.uint8)
    picture[: part.shape[0], : part.shape[1]] = part
    Image.fromarray(picture).save(tmp_path / "cheng/images/1.jpg")
    Image.fromarray(picture).save(tmp_path / "cheng/masks/1.png")
    (tmp_path / "cheng/index.csv").write_text(
        "index,group,label_name,cohort,native_size\n1,a,glioma,MR,512\n"
    )
    code = main(["--data", str(tmp_path)])
    found = json.loads(capsys.readouterr().out)
    assert found["heads"] == 1
    assert found["in_use"]["correlation"] == LEAST_CORRELATION
    # Drawn ellipses are flat: less detail than in any real head, so the limits in use do not fit.
    assert found["in_use"]["fit"] == (found["head_detail"] >= LEAST_DETAIL)
    assert code == (0 if found["in_use"]["fit"] else 1)
