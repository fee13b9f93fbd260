"""Rigid registration of the sequences of a case: error in mm against known motions, and time.

    python -m benchmarks.registration --data DATA [--brains 4] [--heads 4] [--moves 2]

Cases are those of fold 0: no threshold of `cases/registration` was chosen on them. A sequence is
moved by 10 mm and 8 degrees about random axes by changing its affine, which touches no voxel; with
`thick`, 5 voxels of it are averaged to one slice first, along its third axis. The error is the mean
distance over the brain between where a point belongs and where registration puts it; what the
data's own publishers left over counts as error, too. The peer is SimpleITK as its tutorial sets it
up (Mattes, 50 bins, 1 % of the voxels at random, gradient descent on 4, 2 and 1 voxels), begun with
the centres on each other, in the same run on the same volumes.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import SimpleITK
from brain_tumor.cases.registration.fit import FitStatus, fit_sequences
from brain_tumor.cases.registration.images import coarse_image
from brain_tumor.cases.registration.transform import RigidTransform, rotation_from_angles
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Volume
from brain_tumor.segmentation.data.lgg import heads_of_fold
from brain_tumor.segmentation.evaluation.data import read_wholes
from tqdm import tqdm

from benchmarks.environment import spread, write_result

FOLD = 0
SHIFT_MM, ANGLE_DEGREES = 10.0, 8.0
AVERAGED_SLICES = 5
LPS = np.diag([-1.0, -1.0, 1.0, 1.0])
SEED = 18


def pairs(
    data: Path, brains: int, heads: int
) -> Iterator[tuple[str, str, Sequence, Volume, Volume]]:
    """Kind, case, sequence, reference volume and volume of the sequence."""
    cases = [("brain", whole.case) for whole in islice(read_wholes(data, FOLD), brains)]
    full = (h.case for h in heads_of_fold(data, FOLD) if len(h.case.present) == 3)
    cases += [("head", case) for case in islice(full, heads)]
    for kind, case in cases:
        for sequence, volume in case.volumes.items():
            if sequence is not case.reference:
                yield kind, case.case_id, sequence, case.volumes[case.reference], volume


def a_motion(center: np.ndarray, rng: np.random.Generator) -> RigidTransform:
    axis, shift = rng.normal(size=3), rng.normal(size=3)
    angles = np.radians(ANGLE_DEGREES) * axis / np.linalg.norm(axis)
    return RigidTransform(
        rotation_from_angles(angles), SHIFT_MM * shift / np.linalg.norm(shift), center
    )


def thick(volume: Volume) -> Volume:
    count = volume.shape[2] // AVERAGED_SLICES
    kept = volume.array[:, :, : count * AVERAGED_SLICES]
    averaged = kept.reshape(*kept.shape[:2], count, AVERAGED_SLICES).mean(axis=3)
    step = np.diag([1.0, 1.0, AVERAGED_SLICES, 1.0])
    step[2, 3] = (AVERAGED_SLICES - 1) / 2
    return Volume(averaged.astype(np.float32), volume.affine @ step)


def of_tumorlens(fixed: Volume, moving: Volume, sequence: Sequence) -> np.ndarray | None:
    """Matrix that moves the sequence onto the reference; None if it was left out."""
    reference = Sequence.T1C if sequence is not Sequence.T1C else Sequence.FLAIR
    (fit,) = fit_sequences({reference: fixed, sequence: moving}, reference).fits
    return fit.matrix if fit.status in (FitStatus.REGISTERED, FitStatus.FITS) else None


def of_simpleitk(fixed: Volume, moving: Volume) -> np.ndarray:
    """The same by SimpleITK."""
    images = [_itk_image(volume) for volume in (fixed, moving)]
    begin = SimpleITK.CenteredTransformInitializer(
        *images,
        SimpleITK.Euler3DTransform(),
        SimpleITK.CenteredTransformInitializerFilter.GEOMETRY,
    )
    method = SimpleITK.ImageRegistrationMethod()
    method.SetMetricAsMattesMutualInformation(numberOfHistogramBins=50)
    method.SetMetricSamplingStrategy(method.RANDOM)
    method.SetMetricSamplingPercentage(0.01, SEED)
    method.SetInterpolator(SimpleITK.sitkLinear)
    method.SetOptimizerAsGradientDescent(
        learningRate=1.0,
        numberOfIterations=100,
        convergenceMinimumValue=1e-6,
        convergenceWindowSize=10,
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([4, 2, 1])
    method.SetSmoothingSigmasPerLevel([2, 1, 0])
    method.SetInitialTransform(begin, inPlace=False)
    found = method.Execute(*images).GetInverse()
    origin = np.array(found.TransformPoint((0.0, 0.0, 0.0)))
    matrix = np.eye(4)
    for axis in range(3):
        unit = np.zeros(3)
        unit[axis] = 1.0
        matrix[:3, axis] = np.array(found.TransformPoint(unit.tolist())) - origin
    matrix[:3, 3] = origin
    return LPS @ matrix @ LPS


def _itk_image(volume: Volume) -> Any:
    image = SimpleITK.GetImageFromArray(volume.array.T)
    affine = LPS @ volume.affine
    spacing = np.linalg.norm(affine[:3, :3], axis=0)
    image.SetSpacing(spacing.tolist())
    image.SetOrigin(affine[:3, 3].tolist())
    image.SetDirection((affine[:3, :3] / spacing).ravel().tolist())
    return image


def error_mm(matrix: np.ndarray, motion: np.ndarray, points: np.ndarray) -> float:
    together = matrix @ motion
    ends = points @ together[:3, :3].T + together[:3, 3]
    return float(np.linalg.norm(ends - points, axis=1).mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--brains", type=int, default=4)
    parser.add_argument("--heads", type=int, default=4)
    parser.add_argument("--moves", type=int, default=2)
    parser.add_argument("--without-peer", action="store_true")
    arguments = parser.parse_args()
    rng = np.random.default_rng(SEED)
    errors: dict[str, list[float]] = defaultdict(list)
    seconds: dict[str, list[float]] = defaultdict(list)
    left_out: dict[str, int] = defaultdict(int)
    rows = []
    for kind, case, sequence, fixed, volume in tqdm(
        list(pairs(arguments.data, arguments.brains, arguments.heads))
    ):
        coarse = coarse_image(fixed)
        if coarse is None:
            continue
        inside = np.argwhere(coarse.brain)[::7]
        points = inside @ coarse.image.affine[:3, :3].T + coarse.image.affine[:3, 3]
        variants = [("unmoved", volume, np.eye(4))]
        for _ in range(arguments.moves):
            motion = a_motion(coarse.center_mm, rng).matrix
            variants.append(("moved", Volume(volume.array, motion @ volume.affine), motion))
        if kind == "brain":
            slices = thick(volume)
            motion = a_motion(coarse.center_mm, rng).matrix
            variants.append(("thick", Volume(slices.array, motion @ slices.affine), motion))
        for name, moving, motion in variants:
            own: dict[str, np.ndarray | None] = {}
            for who in ("tumorlens",) if arguments.without_peer else ("tumorlens", "simpleitk"):
                began = time.perf_counter()
                own[who] = (
                    of_tumorlens(fixed, moving, sequence)
                    if who == "tumorlens"
                    else of_simpleitk(fixed, moving)
                )
                key = f"{who} {kind} {name}"
                seconds[key].append(time.perf_counter() - began)
                matrix = own[who]
                if matrix is None:
                    left_out[key] += 1
                    continue
                errors[key].append(error_mm(matrix, motion, points))
                rows.append([case, sequence.value, name, who, round(errors[key][-1], 3)])
    table = {
        key: {
            "median_mm": round(float(np.median(errors[key])), 3) if errors[key] else None,
            "p95_mm": round(float(np.percentile(errors[key], 95)), 3) if errors[key] else None,
            "n": len(errors[key]),
            "left_out": left_out[key],
            "seconds": spread(seconds[key]),
        }
        for key in sorted(seconds)
    }
    for key, entry in table.items():
        print(key, {k: v for k, v in entry.items() if k != "seconds"}, entry["seconds"]["median"])
    print(write_result("registration", {"fold": FOLD, "table": table, "rows": rows}))


if __name__ == "__main__":
    main()
