"""Heads of two dates laid on each other."""

import numpy as np
import pytest
from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.preprocessing import foreground_mask
from brain_tumor.cases.registration.fit import FitStatus
from brain_tumor.cases.registration.transform import RigidTransform, rotation_from_angles
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.segmentation.follow_up.alignment import align

from tests.helpers.phantoms import a_phantom, coarse_spec


@pytest.fixture(scope="module")
def volume():
    spec = coarse_spec(spacing_mm=3.0, sequences=(Sequence.T1C,))
    return a_phantom(spec).case.volumes[Sequence.T1C]


def a_date(volume, name="date"):
    return Case(name, Sequence.T1C, {Sequence.T1C: volume})


@pytest.mark.parametrize("shift_mm", [6.0, 90.0])
def test_a_head_that_lay_elsewhere_in_the_scanner_is_laid_on_the_other(volume, shift_mm):
    brain = np.argwhere(foreground_mask(volume.array))
    points = brain @ volume.affine[:3, :3].T + volume.affine[:3, 3]
    motion = RigidTransform(
        rotation_from_angles(np.radians([4.0, -2.0, 3.0])),
        np.array([0.0, 0.0, shift_mm]),
        points.mean(axis=0),
    )
    # the same voxels with another affine: a head that lay elsewhere, never interpolated
    earlier = Volume(volume.array, motion.matrix @ volume.affine)
    found = align(a_date(earlier), a_date(volume))
    assert found.fit.status is FitStatus.REGISTERED
    back = motion.apply(points) @ found.matrix[:3, :3].T + found.matrix[:3, 3]
    assert np.linalg.norm(back - points, axis=1).mean() < 0.7


def test_labels_come_onto_the_later_grid(volume):
    earlier = Volume(volume.array, volume.affine)
    found = align(a_date(earlier), a_date(volume))
    assert found.fit.status is FitStatus.FITS
    np.testing.assert_array_equal(found.matrix, np.eye(4))
    labels = (volume.array > np.median(volume.array)).astype(np.uint8)
    moved = found.on_later_grid(labels, a_date(earlier), a_date(volume), order=0)
    np.testing.assert_array_equal(moved, labels)


def test_what_is_no_head_stays_where_it_is_and_is_said_to_be_unmeasured():
    tiny = Volume(np.ones((4, 4, 4), np.float32), np.eye(4))
    found = align(a_date(tiny), a_date(tiny))
    assert found.is_usable
    assert found.to_json()["status"] == "not measured"
    np.testing.assert_array_equal(found.matrix, np.eye(4))
