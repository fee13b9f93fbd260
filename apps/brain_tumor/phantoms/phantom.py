"""Brain phantoms: several MRI sequences of a head with a tumour, and the exact mask.

They are the sample studies, the fixtures of the tests and extra training data. The same
specification always gives the same arrays; the same seed is the same head and tumour on every
grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from brain_tumor.cases.case import Case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import Affine, Volume
from brain_tumor.errors import GeometryError, InputError
from brain_tumor.labels import LabelArray, TumorType
from brain_tumor.phantoms.anatomy import tissue_maps
from brain_tumor.phantoms.artefacts import (
    add_rician_noise,
    bias_field,
    block_majority,
    block_mean,
    blur,
)
from brain_tumor.phantoms.contrast import render_contrast
from brain_tumor.phantoms.fields import FloatArray, Vector3
from brain_tumor.phantoms.plans import TumorPlan, plan_tumor
from brain_tumor.phantoms.template import (
    BRAIN_BOX_MM,
    HEAD_BOX_MM,
    displaced,
    random_deformation,
)
from brain_tumor.phantoms.tissue import Grid
from brain_tumor.phantoms.tumours import push_field, render_tumor

WHITE_MATTER_SIGNAL = 400.0

_DIRECTIONS = {"R": (0, 1), "L": (0, -1), "A": (1, 1), "P": (1, -1), "S": (2, 1), "I": (2, -1)}


@dataclass(frozen=True)
class PhantomSpec:
    """What to make; equal specifications give byte-identical phantoms.

    Attributes:
        seed: Chooses head, tumour, texture and noise.
        tumor: Type of tumour; None for a healthy head.
        sequences: Sequences to render, in any order.
        reference: Reference sequence of the case; must be among the sequences.
        skull_stripped: Whether everything outside the brain is 0.
        spacing_mm: Voxel size along I, J, K.
        oblique_deg: Rotation of the grid about x, and half as much about z.
        axcodes: Where I, J, K point: a letter of each of the pairs RL, AP, SI, such as "LPS".
        mirrored: Whether the head is reflected left to right.
        noise: Standard deviation of the noise relative to white matter, 0 for none.
        bias: Standard deviation of the logarithm of the bias field, 0 for none.
        variability: How far the head may be from the template, 0 for not at all.
        render_step_mm: Finer voxels are rendered first and averaged, so that thick slices show
            partial volume: no rendered voxel is much larger than this.
        plan: Tumour to grow instead of a random one; its type must be `tumor`, its place is that
            before mirroring.
    """

    seed: int = 0
    tumor: TumorType | None = TumorType.GLIOMA
    sequences: tuple[Sequence, ...] = tuple(Sequence)
    reference: Sequence = Sequence.T1C
    skull_stripped: bool = True
    spacing_mm: Vector3 = (1.0, 1.0, 1.0)
    oblique_deg: float = 0.0
    axcodes: str = "RAS"
    mirrored: bool = False
    noise: float = 0.025
    bias: float = 0.10
    variability: float = 1.0
    render_step_mm: float = 1.25
    plan: TumorPlan | None = None

    def __post_init__(self) -> None:
        if self.reference not in self.sequences:
            raise InputError(
                f"reference {self.reference.value} is not among the sequences "
                f"{[s.value for s in self.sequences]}",
                remedy="Add it to the sequences or choose another reference.",
            )
        if sorted(_DIRECTIONS.get(letter, (3, 0))[0] for letter in self.axcodes) != [0, 1, 2]:
            raise GeometryError(
                f"axcodes are {self.axcodes!r}; expected three letters, one of each of RL, AP, SI",
                remedy="Use RAS unless you need another orientation.",
            )
        if not all(0 < s <= 20 for s in self.spacing_mm) or self.render_step_mm <= 0:
            raise GeometryError(
                f"spacing is {self.spacing_mm} mm, render step {self.render_step_mm} mm; "
                "expected 0 to 20 mm",
                remedy="Choose a voxel size that a scanner has.",
            )
        if self.plan is not None and self.plan.tumor_type is not self.tumor:
            raise InputError(
                f"plan is of type {self.plan.tumor_type.value}; tumor is {self.tumor}",
                remedy="Make the two agree.",
            )


@dataclass(frozen=True, eq=False)
class Phantom:
    """A rendered case and the truth about it.

    Attributes:
        case: The sequences on one grid.
        labelmap: Exact `Label` values, shape of the case.
        tumor_type: Type of the tumour, None when healthy.
        plan: Centre, size and nature of the tumour as rendered, None when healthy.
        spec: What it was made from.
    """

    case: Case
    labelmap: LabelArray
    tumor_type: TumorType | None
    plan: TumorPlan | None
    spec: PhantomSpec


def make_phantom(spec: PhantomSpec, case_id: str | None = None) -> Phantom:
    """Render a phantom.

    Args:
        spec: What to make.
        case_id: Name of the case; by default type and seed.
    """
    streams = np.random.default_rng(spec.seed).spawn(5)
    anatomy, planning, growth, scanner, sampling = streams
    head = random_deformation(anatomy, spec.variability)
    plan = spec.plan
    if plan is None and spec.tumor is not None:
        plan = plan_tumor(spec.tumor, head, planning)
    if plan is not None and plan.pushed_share > 0:
        head = displaced(head, push_field(plan, head))

    fine, factors = _grids(spec)
    maps = tissue_maps(
        fine, head, anatomy, skull_stripped=spec.skull_stripped, mirrored=spec.mirrored, plan=plan
    )
    labels = np.zeros(len(maps.voxels), dtype=np.uint8)
    if plan is not None:
        labels = render_tumor(maps, plan, head, growth)
    labelmap = block_majority(np.asarray(maps.volume(labels), dtype=np.uint8), factors)
    kept: FloatArray | None = None
    if spec.skull_stripped:
        kept = block_mean(np.asarray(maps.volume(maps.brain), dtype=np.float32), factors)

    affine = _coarse_affine(fine, factors)
    volumes = {}
    scanners = dict(
        zip(Sequence, zip(scanner.spawn(4), sampling.spawn(4), strict=True), strict=True)
    )
    for sequence in Sequence:
        if sequence not in spec.sequences:
            continue
        coil, receiver = scanners[sequence]
        image = blur(render_contrast(maps, sequence, coil), 0.06)
        image = block_mean(image, factors)
        grid = Grid((image.shape[0], image.shape[1], image.shape[2]), affine)
        if spec.bias > 0:
            image *= bias_field(grid, spec.bias, coil)
        image = blur(add_rician_noise(image, 1.4 * spec.noise, receiver), 0.1)
        if kept is not None:
            image[kept < 0.5] = 0
        gain = WHITE_MATTER_SIGNAL * coil.uniform(0.7, 1.3)
        volumes[sequence] = Volume(np.float32(gain) * image, affine)
    if kept is not None:
        labelmap[kept < 0.5] = 0
    name = case_id or f"{spec.tumor.value if spec.tumor else 'healthy'}-{spec.seed:04d}"
    case = Case(case_id=name, reference=spec.reference, volumes=volumes)
    if plan is not None and spec.mirrored:
        plan = plan.mirrored()
    return Phantom(case, labelmap, spec.tumor, plan, spec)


def _grids(spec: PhantomSpec) -> tuple[Grid, tuple[int, int, int]]:
    """Grid to render on, and how many of its voxels make one voxel of the case."""
    low, high = (np.array(c) for c in (BRAIN_BOX_MM if spec.skull_stripped else HEAD_BOX_MM))
    axes = [_DIRECTIONS[letter][0] for letter in spec.axcodes]
    signs = [_DIRECTIONS[letter][1] for letter in spec.axcodes]
    spacing = np.array(spec.spacing_mm)
    directions = np.zeros((3, 3))
    directions[axes, range(3)] = signs
    a, b = np.deg2rad([spec.oblique_deg, 0.5 * spec.oblique_deg])
    about_x = np.array([[1, 0, 0], [0, np.cos(a), -np.sin(a)], [0, np.sin(a), np.cos(a)]])
    about_z = np.array([[np.cos(b), -np.sin(b), 0], [np.sin(b), np.cos(b), 0], [0, 0, 1]])
    directions = about_z @ about_x @ directions
    extent = (high - low)[axes]
    counts = np.ceil(extent / spacing).astype(int)
    factors = np.maximum(1, np.round(spacing / spec.render_step_mm)).astype(int)
    fine_counts = counts * factors
    affine = np.eye(4)
    affine[:3, :3] = directions * (spacing / factors)
    affine[:3, 3] = 0.5 * (low + high) - affine[:3, :3] @ ((fine_counts - 1) / 2)
    i, j, k = fine_counts.tolist()
    fi, fj, fk = factors.tolist()
    return Grid((i, j, k), affine), (fi, fj, fk)


def _coarse_affine(fine: Grid, factors: tuple[int, int, int]) -> Affine:
    """Affine of blocks of voxels: the centre of a block is the mean of its voxel centres."""
    scale = np.diag([*factors, 1.0])
    scale[:3, 3] = (np.array(factors) - 1) / 2
    affine: Affine = fine.affine @ scale
    return affine
