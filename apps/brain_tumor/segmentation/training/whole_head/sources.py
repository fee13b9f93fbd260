"""Where the whole-head network learns from: stacks of real heads, real brains and composites.

Sub-regions are known in BraTS alone; heads of `lgg` tell the whole tumour and nothing finer
(`UNKNOWN_PART`); healthy heads tell that there is none.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.interpolation import interpolate
from brain_tumor.cases.grid.preprocessing import WORKING_SPACING_MM
from brain_tumor.cases.volume import Affine, ScalarArray
from brain_tumor.labels import LabelArray
from brain_tumor.segmentation.data.brats import Cube, Whole, load_cubes, load_masks, load_wholes
from brain_tumor.segmentation.data.folds import patient_fold
from brain_tumor.segmentation.data.healthy import healthy_beside_fold, healthy_of_fold
from brain_tumor.segmentation.data.lgg import heads_beside_fold, heads_of_fold
from brain_tumor.segmentation.training.subregions.composites import (
    Host,
    compose,
    make_host,
    to_canvas,
)
from brain_tumor.segmentation.training.subregions.phantom_hosts import (
    brain_box_centre,
    make_phantom_hosts,
)
from brain_tumor.segmentation.whole_head.stack import (
    SliceStack,
    normalise,
    to_slice_stack,
)

logger = logging.getLogger(__name__)

UNKNOWN_PART = 4
"""Label of a tumour voxel whose part nobody told."""
COMPOSITES = 360
PHANTOM_SHARE = 0.2
ALONE_SHARE = 0.2
SLICES_AVERAGED = 2
PHANTOM_SEEDS = range(9200, 9206)


@dataclass(frozen=True, eq=False)
class LabelledStack:
    """Slices of one head or brain with what is known about them.

    Attributes:
        name: For logs and tables.
        slices: Normalised intensities, shape (K, 4, I, J), float16.
        labels: Shape (K, I, J): `Label` values, or `UNKNOWN_PART`.
        present: Which channels hold a sequence.
        thickness_mm: Distance of the slices.
        with_skull: Whether skull and scalp are in the image.
    """

    name: str
    slices: npt.NDArray[np.float16]
    labels: LabelArray
    present: tuple[bool, ...]
    thickness_mm: float
    with_skull: bool


@dataclass(frozen=True, eq=False)
class Sources:
    """Training data of one fold, and what is held out of it."""

    heads: list[LabelledStack]
    brains: list[LabelledStack]
    healthy: list[LabelledStack]
    cubes: list[Cube]
    validation_heads: list[LabelledStack]
    validation_brains: list[LabelledStack]
    validation_healthy: list[LabelledStack]


def load_sources(data: Path, fold: int | None, seed: int) -> Sources:
    """Read all sets, split by person, and compose lesions into brains.

    Args:
        data: Folder with `lgg`, `brats20`, `glioma3d` and `healthy`.
        fold: Fold of persons held out, or None.
        seed: Of the composites.
    """
    heads = [_head_stack(h.patient, h.case, h.whole_tumor) for h in heads_beside_fold(data, fold)]
    held_out = [] if fold is None else list(heads_of_fold(data, fold))
    logger.info("%d heads to learn from, %d held out", len(heads), len(held_out))
    cubes, wholes = load_cubes(data), load_wholes(data)
    kept_out = {w.patient for w in wholes if patient_fold(w.patient) == fold}
    kept_out |= {c.patient for c in cubes if patient_fold(c.patient) == fold}
    learnt = [w for w in wholes if w.patient not in kept_out]
    masks = {
        patient: np.asarray(to_canvas(mask), dtype=np.uint8)
        for patient, mask in load_masks(data).items()
        if patient not in kept_out
    }
    own_cubes = [c for c in cubes if c.patient not in kept_out]
    composites = _composites(learnt, own_cubes, masks, np.random.default_rng(seed))
    return Sources(
        heads=heads,
        brains=[_brain_stack(w) for w in learnt] + composites,
        healthy=[_healthy_stack(c) for c in healthy_beside_fold(data, fold)],
        cubes=own_cubes,
        validation_heads=[_head_stack(h.patient, h.case, h.whole_tumor) for h in held_out],
        validation_brains=[_brain_stack(w) for w in wholes if w.patient in kept_out and w.expert],
        validation_healthy=(
            [] if fold is None else [_healthy_stack(c) for c in healthy_of_fold(data, fold)]
        ),
    )


def _head_stack(name: str, case: Case, whole_tumor: npt.NDArray[np.bool_]) -> LabelledStack:
    stack = to_slice_stack(case)
    drawn = _on_stack(whole_tumor.astype(np.float32), case.affine, stack)
    labels = np.where(drawn > 0.5, UNKNOWN_PART, 0).astype(np.uint8)
    return _labelled(name, stack, labels, with_skull=True)


def _healthy_stack(case: Case) -> LabelledStack:
    stack = to_slice_stack(case)
    labels = np.zeros(stack.foreground.shape, dtype=np.uint8)
    return _labelled(case.case_id, stack, labels, with_skull=True)


def _labelled(
    name: str, stack: SliceStack, labels: LabelArray, *, with_skull: bool
) -> LabelledStack:
    return LabelledStack(
        name=name,
        slices=stack.slices.astype(np.float16),
        labels=labels,
        present=stack.present,
        thickness_mm=stack.thickness_mm,
        with_skull=with_skull,
    )


def _on_stack(mask: ScalarArray, affine: Affine, stack: SliceStack) -> ScalarArray:
    """Trilinear values of a native mask on a stack, pixels averaged, shape (K, I, J)."""
    count, rows, columns = stack.foreground.shape
    averaged = F.avg_pool3d(torch.from_numpy(mask)[None, None], (2, 2, 1))[0]
    coarse = affine @ np.array(
        [[2, 0, 0, 0.5], [0, 2, 0, 0.5], [0, 0, 1, 0], [0, 0, 0, 1]], dtype=np.float64
    )
    sampled = interpolate(averaged, coarse, stack.affine, (rows, columns, count))[0]
    return np.asarray(sampled.numpy().transpose(2, 0, 1), dtype=np.float32)


def _brain_stack(whole: Whole) -> LabelledStack:
    """A whole BraTS case on the 128 grid as slices of 2.4 mm."""
    return _from_volume(whole.name, whole.image, whole.labels, whole.present, with_skull=False)


def _from_volume(
    name: str,
    image: ScalarArray,
    labels: LabelArray,
    present: tuple[bool, ...],
    *,
    with_skull: bool,
) -> LabelledStack:
    """Slices of a volume that is z-scored with 0 outside the brain or head."""
    inside = (image != 0).any(axis=0)
    normal = np.stack(
        [
            normalise(channel, inside) if there else np.zeros_like(channel)
            for channel, there in zip(image, present, strict=True)
        ]
    )
    count = image.shape[3] // SLICES_AVERAGED
    used = count * SLICES_AVERAGED
    shape = (*normal.shape[:3], count, SLICES_AVERAGED)
    slices = normal[..., :used].reshape(shape).mean(axis=-1).transpose(3, 0, 1, 2)
    drawn = labels[..., 0:used:SLICES_AVERAGED].transpose(2, 0, 1)
    filled = np.flatnonzero(inside[..., :used].reshape(*shape[1:]).any(axis=(0, 1, 3)))
    kept = slice(int(filled[0]), int(filled[-1]) + 1)
    return LabelledStack(
        name=name,
        slices=np.ascontiguousarray(slices[kept], dtype=np.float16),
        labels=np.ascontiguousarray(drawn[kept]),
        present=present,
        thickness_mm=WORKING_SPACING_MM[2] * SLICES_AVERAGED,
        with_skull=with_skull,
    )


def _composites(
    wholes: list[Whole],
    cubes: list[Cube],
    masks: dict[str, LabelArray],
    rng: np.random.Generator,
) -> list[LabelledStack]:
    """Lesions of some patients in brains of others, some of these phantom heads with skull."""
    hosts = [make_host(whole) for whole in wholes]
    middle = np.array([brain_box_centre(host.brain) for host in hosts]).mean(axis=0)
    centre = (float(middle[0]), float(middle[1]), float(middle[2]))
    phantoms = make_phantom_hosts(PHANTOM_SEEDS, skull_stripped=False, brain_centre=centre)
    made = []
    for number in range(COMPOSITES):
        pool: list[Host] = phantoms if rng.random() < PHANTOM_SHARE else hosts
        host = pool[int(rng.integers(len(pool)))]
        cube = cubes[int(rng.integers(len(cubes)))]
        alone = rng.random() < ALONE_SHARE
        sample = compose(None if alone else cube, masks[cube.patient], host, hosts, rng)
        made.append(
            _from_volume(
                f"composite {number}",
                sample.image,
                sample.labels,
                sample.present,
                with_skull=host.whole_head,
            )
        )
    return made
