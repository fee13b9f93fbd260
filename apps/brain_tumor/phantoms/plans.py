"""Which tumour grows where: type, place, size and habits, drawn at random for a head."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from brain_tumor.labels import TumorType
from brain_tumor.phantoms.fields import Vector3, vector3
from brain_tumor.phantoms.template import SELLA_MM, Deformation, template


@dataclass(frozen=True)
class TumorPlan:
    """Size, place and nature of one tumour.

    Attributes:
        tumor_type: What it is.
        centre_mm: Centre in patient space (RAS+ mm).
        radius_mm: Radius of the ball of the same size as the core, > 0.
        elongation: Relative semi-axes along x, y, z; their product should be 1.
        irregularity: 0 for a smooth ellipsoid, 1 for an ordinary glioma.
        rim_mm: Mean thickness of the enhancing rim around the necrosis; None: no necrosis.
        oedema_mm: How far oedema reaches from the core along white matter; 0 for none.
        pushed_share: Share of the core's volume that pushes tissue away instead of replacing it,
            0 to 1.
        suprasellar_mm: Radius of the second lobe above the diaphragm (pituitary); 0 for none.
        falx_side: 1 or -1 keeps a meningioma on the right (x > 0) or left side of the falx.
    """

    tumor_type: TumorType
    centre_mm: Vector3
    radius_mm: float
    elongation: Vector3 = (1.0, 1.0, 1.0)
    irregularity: float = 1.0
    rim_mm: float | None = None
    oedema_mm: float = 0.0
    pushed_share: float = 0.5
    suprasellar_mm: float = 0.0
    falx_side: int = 0

    def mirrored(self) -> TumorPlan:
        """The same tumour in the head reflected left to right."""
        x, y, z = self.centre_mm
        return replace(self, centre_mm=(-x, y, z), falx_side=-self.falx_side)


def plan_tumor(
    tumor_type: TumorType, deformation: Deformation, rng: np.random.Generator
) -> TumorPlan:
    """Draw a typical tumour of a type for a head.

    Args:
        tumor_type: What to draw.
        deformation: The head (patient to template space).
        rng: Source of chance.
    """
    planners = {
        TumorType.GLIOMA: _plan_glioma,
        TumorType.MENINGIOMA: _plan_meningioma,
        TumorType.PITUITARY: _plan_adenoma,
    }
    return planners[tumor_type](deformation, rng)


def _elongation(rng: np.random.Generator, spread: float) -> Vector3:
    axes = np.exp(rng.normal(0, spread, 3))
    return vector3(axes / np.prod(axes) ** (1 / 3))


def _plan_glioma(deformation: Deformation, rng: np.random.Generator) -> TumorPlan:
    known = template()
    radius = float(rng.uniform(15, 25))
    low, high = np.array([16.0, -62.0, -8.0]), np.array([46.0, 42.0, 48.0])
    sites = rng.uniform(low, high, (400, 3)).astype(np.float32)
    sites[:, 0] *= rng.choice([-1, 1], 400)
    white = known.tissues(sites)[1]
    depth = -known.distances(sites)[1]
    suited = np.flatnonzero((white > 0.6) & (depth > 0.8 * radius) & (depth < 1.5 * radius + 8))
    site = sites[suited[:1]] if suited.size else np.array([[32.0, -18.0, 28.0]], np.float32)
    return TumorPlan(
        TumorType.GLIOMA,
        centre_mm=vector3(deformation.inverse(site)[0]),
        radius_mm=radius,
        elongation=_elongation(rng, 0.16),
        irregularity=float(rng.uniform(0.8, 1.2)),
        rim_mm=float(rng.uniform(3.2, 5.2)),
        oedema_mm=float(rng.uniform(9, 19)),
        pushed_share=float(rng.uniform(0.45, 0.75)),
    )


def _plan_meningioma(deformation: Deformation, rng: np.random.Generator) -> TumorPlan:
    known = template()
    radius = float(rng.uniform(14, 23))
    kind = rng.choice(["convexity", "parasagittal", "base"], p=[0.6, 0.25, 0.15])
    side = float(rng.choice([-1, 1]))
    if kind == "convexity":
        angle, height = rng.uniform(-0.45 * np.pi, 0.45 * np.pi), rng.uniform(0.15, 0.75)
        flat = np.sqrt(1 - height**2)
        heading = np.array([side * np.cos(angle) * flat, np.sin(angle) * flat, height])
    elif kind == "parasagittal":
        tilt = rng.uniform(-0.7, 0.9)
        heading = np.array([side * 0.16, np.sin(tilt), np.cos(tilt)])
    else:
        heading = np.array([side * rng.uniform(0.05, 0.25), 0.72, -0.58])
    heading /= np.linalg.norm(heading)
    steps = np.arange(20, 110, 0.5, dtype=np.float32)
    ray = np.array([0, -15, 5], np.float32) + steps[:, None] * heading.astype(np.float32)
    skull = known.distances(ray)[1]
    base = ray[int(np.argmin(np.abs(skull)))]
    inward = -_gradient(base)
    sunk = float(rng.uniform(0.35, 0.6))
    at_base = deformation.inverse(base[None])[0]
    inside = deformation.inverse((base + 5 * inward)[None].astype(np.float32))[0]
    normal = (inside - at_base) / np.linalg.norm(inside - at_base)
    return TumorPlan(
        TumorType.MENINGIOMA,
        centre_mm=vector3(at_base + sunk * radius * normal),
        radius_mm=radius,
        elongation=_elongation(rng, 0.07),
        irregularity=float(rng.uniform(0.35, 0.7)),
        oedema_mm=float(rng.choice([0.0, rng.uniform(5, 11)])),
        pushed_share=float(rng.uniform(0.75, 0.9)),
        falx_side=0 if kind == "base" else int(side),
    )


def _plan_adenoma(deformation: Deformation, rng: np.random.Generator) -> TumorPlan:
    radius = float(rng.uniform(6.5, 10))
    lobe = float(rng.uniform(0.65, 1.0)) * radius if rng.random() < 0.7 else 0.0
    sella = np.array([SELLA_MM], np.float32) + np.array([[0, 0, 0.25 * radius]], np.float32)
    sella[0, 0] += rng.uniform(-1.5, 1.5)
    return TumorPlan(
        TumorType.PITUITARY,
        centre_mm=vector3(deformation.inverse(sella)[0]),
        radius_mm=radius,
        elongation=vector3(np.array([1.15, 0.97, 0.9])),
        irregularity=float(rng.uniform(0.3, 0.55)),
        pushed_share=0.7,
        suprasellar_mm=lobe,
    )


def _gradient(point: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Unit vector along which the distance to the inner skull grows, at a template point."""
    offsets = 3 * np.concatenate([np.eye(3), -np.eye(3)]).astype(np.float32)
    skull = template().distances(point + offsets)[1]
    slope = skull[:3] - skull[3:]
    unit: npt.NDArray[np.float32] = slope / np.linalg.norm(slope)
    return unit
