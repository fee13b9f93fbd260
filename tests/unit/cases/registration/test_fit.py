"""How the sequences of a case are brought together."""

import dataclasses

import numpy as np
import pytest
from brain_tumor.cases.grid.preprocessing import foreground_mask
from brain_tumor.cases.grid.resampling import resample_array
from brain_tumor.cases.registration.fit import FitStatus, fit_sequences
from brain_tumor.cases.registration.transform import RigidTransform, rotation_from_angles
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume

from tests.helpers.phantoms import a_phantom, coarse_spec

SPACING_MM = 3.0


def volumes_of(*, skull_stripped, seed=1):
    spec = coarse_spec(seed=seed, spacing_mm=SPACING_MM, skull_stripped=skull_stripped)
    return dict(a_phantom(spec).case.volumes)


def brain_mm(volume):
    voxels = np.argwhere(foreground_mask(volume.array))
    voxels = voxels[voxels[:, 2] * SPACING_MM > voxels[:, 2].max() * SPACING_MM - 120]
    return voxels @ volume.affine[:3, :3].T + volume.affine[:3, 3]


def moved(volume, motion):
    """The anatomy moved, on the same grid."""
    source = motion.matrix @ volume.affine
    return Volume(resample_array(volume.array, source, volume.shape, volume.affine), volume.affine)


@pytest.mark.parametrize("skull_stripped", [True, False])
def test_a_moved_sequence_comes_back_and_the_others_stay(skull_stripped):
    volumes = volumes_of(skull_stripped=skull_stripped)
    points = brain_mm(volumes[Sequence.T1C])
    motion = RigidTransform(
        rotation_from_angles(np.radians([5.0, -3.0, 4.0])),
        np.array([4.0, -6.0, 5.0]),
        points.mean(axis=0),
    )
    given = {**volumes, Sequence.T2: moved(volumes[Sequence.T2], motion)}
    fitted = fit_sequences(given, Sequence.T1C)
    by_sequence = {fit.sequence: fit for fit in fitted.fits}
    assert list(by_sequence) == [Sequence.T1, Sequence.T2, Sequence.FLAIR]
    found = by_sequence[Sequence.T2]
    assert found.status is FitStatus.REGISTERED
    # shift sqrt(16 + 36 + 25) = 8.8 mm
    assert found.shift_mm == pytest.approx(8.8, abs=0.7)
    assert found.angle_degrees == pytest.approx(motion.angle_degrees, abs=0.7)
    onto = motion.apply(points) @ found.matrix[:3, :3].T + found.matrix[:3, 3]
    assert np.linalg.norm(onto - points, axis=1).mean() < 0.7
    assert fitted.volumes[Sequence.T2].array is given[Sequence.T2].array
    assert fitted.volumes[Sequence.T2].affine == pytest.approx(
        found.matrix @ given[Sequence.T2].affine
    )
    for sequence in (Sequence.T1, Sequence.FLAIR, Sequence.T1C):
        assert fitted.volumes[sequence] is volumes[sequence]
    assert by_sequence[Sequence.T1].status is FitStatus.FITS
    assert by_sequence[Sequence.T1].matrix == pytest.approx(np.eye(4))
    assert by_sequence[Sequence.T1].sentence is None
    assert found.sentence == (
        f"t2 lay {found.shift_mm:.1f} mm and {found.angle_degrees:.1f} degrees off t1c; "
        "it was registered to it"
    )


def test_a_sequence_of_something_else_is_left_out_with_the_reason():
    volumes = volumes_of(skull_stripped=True)
    rng = np.random.default_rng(0)
    base = volumes[Sequence.T1C]
    noise = dataclasses.replace(base, array=rng.normal(size=base.shape).astype(np.float32))
    fitted = fit_sequences({**volumes, Sequence.T2: noise}, Sequence.T1C)
    (found,) = (fit for fit in fitted.fits if fit.sequence is Sequence.T2)
    assert found.status is FitStatus.LEFT_OUT
    assert found.matrix is None
    assert found.reason
    assert found.sentence == (
        f"t2 does not lie on t1c and could not be registered to it ({found.reason}); "
        "it was left out"
    )
    assert set(fitted.volumes) == {Sequence.T1, Sequence.T1C, Sequence.FLAIR}


@pytest.mark.parametrize("skull_stripped", [True, False])
def test_a_mirrored_sequence_is_left_out_and_the_others_stay(skull_stripped):
    volumes = volumes_of(skull_stripped=skull_stripped)
    flair = volumes[Sequence.FLAIR]
    mirrored = dataclasses.replace(flair, array=flair.array[::-1].copy())
    fitted = fit_sequences({**volumes, Sequence.FLAIR: mirrored}, Sequence.T1C)
    by_sequence = {fit.sequence: fit for fit in fitted.fits}
    assert by_sequence[Sequence.FLAIR].status is FitStatus.LEFT_OUT
    assert by_sequence[Sequence.FLAIR].sentence == (
        "flair does not lie on t1c and could not be registered to it "
        "(it is mirrored left to right); it was left out"
    )
    assert set(fitted.volumes) == {Sequence.T1, Sequence.T1C, Sequence.T2}


def test_slices_and_slabs_are_not_measured():
    thin = {
        sequence: Volume(volume.array[:, :, 20:21], volume.affine)
        for sequence, volume in volumes_of(skull_stripped=True).items()
    }
    fitted = fit_sequences(thin, Sequence.T1C)
    assert {fit.status for fit in fitted.fits} == {FitStatus.NOT_MEASURED}
    assert all(fitted.volumes[sequence] is thin[sequence] for sequence in thin)
