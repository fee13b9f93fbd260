"""Whether t1 and t1c were exchanged is told by what is bright deep in the brain."""

import numpy as np
import pytest
from brain_tumor.cases.case import Case
from brain_tumor.cases.exchange import enhancement_score, may_be_exchanged
from brain_tumor.cases.files.readers import ReadVolume
from brain_tumor.cases.loading import build_case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume

from tests.helpers.volumes import grid

SHAPE = (80, 80, 36)
SPACING_MM = (2.0, 2.0, 4.0)
RADIUS_MM = 66.0
OFFSETS = [(np.arange(n) - n / 2) * mm for n, mm in zip(SHAPE, SPACING_MM, strict=True)]
FROM_MIDDLE_MM = np.sqrt(sum(o**2 for o in np.meshgrid(*OFFSETS, indexing="ij")))
HEAD = FROM_MIDDLE_MM < RADIUS_MM
RNG = np.random.default_rng(0)
TISSUE = np.where(HEAD, RNG.normal(100.0, 8.0, SHAPE), 0.0).astype(np.float32)
VESSELS = np.zeros(SHAPE, bool)
VESSELS[::7, ::7] = True  # columns of one voxel, 2 % of the head


def a_case(t1, t1c, spacing_mm=SPACING_MM):
    affine = grid(spacing_mm)
    volumes = {Sequence.T1: Volume(t1, affine), Sequence.T1C: Volume(t1c, affine)}
    return Case("a", Sequence.T1C, volumes)


def noisy(array, seed):
    noise = np.random.default_rng(seed).normal(0.0, 3.0, SHAPE)
    return np.where(HEAD, array + noise, 0.0).astype(np.float32)


NATIVE = noisy(TISSUE, 1)
ENHANCED = 3 * noisy(np.where(VESSELS & HEAD, 170.0, TISSUE), 2)


def test_bright_vessels_tell_which_image_has_the_agent():
    score = enhancement_score(a_case(NATIVE, ENHANCED))
    assert score > 0.4
    assert not may_be_exchanged(a_case(NATIVE, ENHANCED))
    assert may_be_exchanged(a_case(ENHANCED, NATIVE))
    assert enhancement_score(a_case(ENHANCED, NATIVE)) == pytest.approx(-score)


def test_the_orientation_of_the_grid_does_not_matter():
    turned = [array[::-1, :, ::-1].transpose(2, 0, 1).copy() for array in (ENHANCED, NATIVE)]
    affine = np.eye(4)
    affine[:3, :3] = np.array([[0, -2.0, 0], [0, 0, 2.0], [-4.0, 0, 0]])
    volumes = dict(
        zip((Sequence.T1, Sequence.T1C), (Volume(a, affine) for a in turned), strict=True)
    )
    assert may_be_exchanged(Case("a", Sequence.T1C, volumes))


def test_images_without_agent_and_gains_tell_nothing():
    assert enhancement_score(a_case(NATIVE, 5 * NATIVE)) == pytest.approx(0.0, abs=1e-6)


def test_a_surface_that_is_brighter_does_not_count():
    fat = HEAD & (FROM_MIDDLE_MM > RADIUS_MM - 4)
    assert not may_be_exchanged(a_case(np.where(fat, 4 * NATIVE, NATIVE), ENHANCED))
    bright = np.where(fat, 4 * NATIVE, NATIVE)
    assert abs(enhancement_score(a_case(bright, 5 * noisy(TISSUE, 5)))) < 0.4


@pytest.mark.parametrize("part", [np.s_[:, :, :1], np.s_[:20, :20, :5]])
def test_slices_and_small_parts_tell_nothing(part):
    assert enhancement_score(a_case(ENHANCED[part], NATIVE[part])) is None


def test_nothing_is_told_without_both():
    case = a_case(NATIVE, ENHANCED)
    only = Case("a", Sequence.T1C, {Sequence.T1C: case.volumes[Sequence.T1C]})
    assert enhancement_score(only) is None


def test_the_reply_warns():
    read = {s: ReadVolume(v) for s, v in a_case(ENHANCED, NATIVE).volumes.items()}
    said = build_case("a", read, registration=False).warnings
    assert [w for w in said if w.startswith("t1 and t1c may be exchanged")] == list(said)
