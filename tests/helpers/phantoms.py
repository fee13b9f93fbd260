"""Small phantoms, made once per test run: a few tenths of a second each."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt
from brain_tumor.cases.sequences import Sequence
from brain_tumor.labels import TumorType
from brain_tumor.phantoms.phantom import Phantom, PhantomSpec, make_phantom
from brain_tumor.phantoms.plans import TumorPlan

COARSE_MM = 4.0
BALL = TumorPlan(
    TumorType.GLIOMA,
    centre_mm=(30.0, -10.0, 24.0),
    radius_mm=16.0,
    irregularity=0.0,
    rim_mm=4.0,
    oedema_mm=0.0,
    pushed_share=0.0,
)
"""A glioma that is a ball of 16 mm with a necrotic ball of 12 mm inside: 17.157 and 7.238 mL."""


def coarse_spec(
    tumor: TumorType | None = TumorType.GLIOMA,
    *,
    seed: int = 1,
    spacing_mm: float = COARSE_MM,
    skull_stripped: bool = True,
    sequences: tuple[Sequence, ...] = tuple(Sequence),
    noise: float = 0.025,
    bias: float = 0.1,
    plan: TumorPlan | None = None,
) -> PhantomSpec:
    """Specification without finer rendering: one sample in the middle of each voxel."""
    return PhantomSpec(
        seed=seed,
        tumor=tumor,
        sequences=sequences,
        reference=Sequence.T1C if Sequence.T1C in sequences else sequences[0],
        skull_stripped=skull_stripped,
        spacing_mm=(spacing_mm, spacing_mm, spacing_mm),
        render_step_mm=spacing_mm,
        noise=noise,
        bias=bias,
        plan=plan,
    )


@lru_cache(maxsize=16)
def a_phantom(spec: PhantomSpec) -> Phantom:
    """Phantom of a specification; treat it as read-only."""
    return make_phantom(spec)


def a_glioma_phantom() -> Phantom:
    """Four sequences, skull-stripped, 4 mm."""
    return a_phantom(coarse_spec())


def a_meningioma_phantom() -> Phantom:
    """Four sequences with skull, 4 mm."""
    return a_phantom(coarse_spec(TumorType.MENINGIOMA, skull_stripped=False))


def a_pituitary_phantom() -> Phantom:
    """Four sequences with skull, 4 mm."""
    return a_phantom(coarse_spec(TumorType.PITUITARY, skull_stripped=False))


def a_healthy_phantom() -> Phantom:
    """Four sequences, skull-stripped, 4 mm, no tumour."""
    return a_phantom(coarse_spec(None))


def centroid_mm(phantom: Phantom, mask: npt.NDArray[np.bool_]) -> npt.NDArray[np.float64]:
    """Mean position in RAS+ mm of the voxel centres of a mask."""
    affine = phantom.case.affine
    centroid: npt.NDArray[np.float64] = (
        affine[:3, :3] @ np.argwhere(mask).mean(axis=0) + affine[:3, 3]
    )
    return centroid


def volume_ml(phantom: Phantom, mask: npt.NDArray[np.bool_]) -> float:
    """Millilitres of a mask."""
    return float(mask.sum() * abs(np.linalg.det(phantom.case.affine[:3, :3])) / 1000)
