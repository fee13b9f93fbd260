"""Fine-tuning of the tumour-core network from corrected masks."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import nn

from brain_tumor.bundles import read_bundle
from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.geometry import axis_map
from brain_tumor.cases.sequences import Sequence
from brain_tumor.devices import autocast, memory_watched, placed
from brain_tumor.labels import Label, LabelArray, LabelScheme, Region, check_scheme, region_mask
from brain_tumor.learning.retraining.tuner import (
    CHANGED,
    MASK_RULES,
    Examples,
    Scorer,
    Truth,
    read_example,
    split_codes,
    write_example,
)
from brain_tumor.model_names import ModelName
from brain_tumor.segmentation.data.cheng_slices import to_canvas
from brain_tumor.segmentation.metrics.overlap import dice
from brain_tumor.segmentation.training.tumor_core.train import core_loss
from brain_tumor.segmentation.tumor_core.network import CoreNetworkArguments, load_core_network
from brain_tumor.segmentation.tumor_core.segmenter import CleanUp, TumorCoreSegmenter
from brain_tumor.segmentation.tumor_core.slices import (
    ORIENTATION,
    Plane,
    normalise_slices,
    plane_stack,
    resolved_planes,
    working_pixel_mm,
)

SIDE_MM = 240.0
"""Width of a training slice, less what its network's divisor takes off."""
SLICES_PER_PLANE = 24
SLICES_PER_CASE = 2
BATCH = 6
REPLAY_BATCH = 4
DISTILLATION_WEIGHT = 0.5
LEARNT_SHARE = 0.5
"""Chosen beside 0.3, 0.7 and 1 on patients of training, at their own and at a shifted site."""


class CoreTuner:
    """Tumour-core network that learns from corrections of cases with a t1c.

    Args:
        parent: Bundle to start from; it is the teacher, too.
    """

    name = ModelName.TUMOR_CORE.value
    learns_from = "masks"
    rules = MASK_RULES
    learnt_share = LEARNT_SHARE

    def __init__(self, parent: Path) -> None:
        bundle = read_bundle(parent)
        arguments = CoreNetworkArguments.from_json(bundle.metadata.get("network", {}))
        teacher = load_core_network(arguments, bundle.weights())
        self._teacher = placed(teacher)
        self._network = placed(copy.deepcopy(teacher).requires_grad_(requires_grad=True))
        self._parent = TumorCoreSegmenter.load(parent)
        self._arguments = arguments
        self._clean_up = CleanUp.from_metadata(bundle.metadata)
        self._version = bundle.version

    @property
    def network(self) -> nn.Module:
        """Network that learns."""
        return self._network

    def prepare(self, case: Case, truth: Truth, path: Path) -> bool:
        """Write slices of every plane that resolves; a case without t1c has none."""
        core = core_mask(case, truth.labels)
        if core is None:
            return False
        found = self._parent.segment(case).labelmap == Label.CORE
        codes = core.astype(np.uint8) + CHANGED * (found != core).astype(np.uint8)
        images, cut = core_slices(case, codes, self._arguments)
        write_example(path, images, cut)
        return len(images) > 0

    def loss(
        self, corrections: list[Path], replay: list[Path], rng: np.random.Generator
    ) -> torch.Tensor:
        """Loss of one step."""
        images, codes = draw_slices(corrections, BATCH, rng)
        target, weight = split_codes(codes)
        total = core_loss(self._logits(self._network, images), target.float(), weight)
        if replay:
            images, codes = draw_slices(replay, REPLAY_BATCH, rng)
            target, _ = split_codes(codes)
            logits = self._logits(self._network, images)
            with torch.no_grad():
                teacher = self._logits(self._teacher, images).float().sigmoid()
            kept = F.binary_cross_entropy_with_logits(logits.float(), teacher)
            known = core_loss(logits, target.float(), torch.ones(target.shape))
            total = total + DISTILLATION_WEIGHT * (kept + known)
        return total

    def complete(self, bundle: Path, examples: Examples) -> None:
        """Nothing: weights, metadata and card are all."""

    def scorer(self, bundle: Path) -> Scorer:
        """Measures a bundle."""
        return _scorer(TumorCoreSegmenter.load(bundle))

    def segmenter_of(self, network: nn.Module) -> TumorCoreSegmenter:
        """What would answer requests with weights in memory."""
        return TumorCoreSegmenter(
            network,
            self._version,
            divisor=self._arguments.divisor,
            pixel_mm=self._arguments.pixel_mm,
            clean_up=self._clean_up,
        )

    def scorer_of(self, network: nn.Module) -> Scorer:
        """Measures weights in memory."""
        return _scorer(self.segmenter_of(network))

    def _logits(self, network: nn.Module, images: torch.Tensor) -> torch.Tensor:
        with memory_watched(), autocast():
            logits: torch.Tensor = network(images)
        return logits


def core_mask(case: Case, labels: LabelArray) -> npt.NDArray[np.bool_] | None:
    """Tumour core of a case with a t1c; None without one."""
    if Sequence.T1C not in case.volumes:
        return None
    if check_scheme(labels) is LabelScheme.CORE:
        return np.asarray(labels == Label.CORE, dtype=bool)
    return region_mask(labels, Region.TC)


def core_slices(
    case: Case, codes: LabelArray, arguments: CoreNetworkArguments
) -> tuple[npt.NDArray[np.float32], LabelArray]:
    """Slices of a case as the network sees them, with codes.

    Of each plane that resolves up to 24 slices are taken: half of them with something to learn,
    half spread over the volume. Coarser pixels than the network's (thin volumes) get a wider
    margin of zeros, so that slices of all cases have one shape.

    Args:
        case: A case with a t1c.
        codes: Per voxel of the reference grid.
        arguments: Pixel and divisor of the network.

    Returns:
        Normalised slices (N, side, side), `SIDE_MM` of the network's pixels wide, and codes of the
        same shape.
    """
    side = int(SIDE_MM / arguments.pixel_mm) // arguments.divisor * arguments.divisor
    volume = case.volumes[Sequence.T1C]
    turn = axis_map(volume.shape, volume.affine, ORIENTATION)
    lpi, lpi_codes = turn.apply(volume.array), turn.apply(codes)
    left, posterior, inferior = (volume.spacing_mm[axis] for axis in turn.axes)
    spacings = {
        Plane.AXIAL: (posterior, left),
        Plane.CORONAL: (inferior, left),
        Plane.SAGITTAL: (inferior, posterior),
    }
    i, j, k = lpi.shape
    planes = resolved_planes((i, j, k), (left, posterior, inferior))
    pixel_mm = working_pixel_mm(arguments.pixel_mm, planes)
    images, cut = [], []
    for plane in planes:
        stack, stack_codes = plane_stack(lpi, plane), plane_stack(lpi_codes, plane)
        for index in chosen_slices(stack_codes):
            images.append(_centre(to_canvas(stack[index], spacings[plane], pixel_mm), side))
            code = to_canvas(stack_codes[index], spacings[plane], pixel_mm, nearest=True)
            cut.append(_centre(code, side).astype(np.uint8))
    return normalise_slices(np.stack(images)), np.stack(cut)


def chosen_slices(codes: LabelArray, count: int = SLICES_PER_PLANE) -> list[int]:
    """Slices to learn from: half spread over those with a code, half over all.

    Args:
        codes: Shape (slices, rows, columns).
        count: At most so many.

    Example:
        >>> codes = np.zeros((9, 2, 2), dtype=np.uint8)
        >>> codes[4] = 1
        >>> chosen_slices(codes, 4)
        [0, 4, 8]
    """
    marked = np.flatnonzero(codes.any(axis=(1, 2)))
    spread = np.linspace(0, len(codes) - 1, min(len(codes), count // 2)).round().astype(int)
    chosen = set(spread.tolist())
    if len(marked):
        places = np.linspace(0, len(marked) - 1, min(len(marked), count // 2)).round().astype(int)
        chosen |= set(marked[places].tolist())
    return sorted(chosen)


def _centre(canvas: npt.NDArray[np.float32], side: int) -> npt.NDArray[np.float32]:
    """Middle of a square canvas, or the canvas in the middle of a larger square of zeros."""
    missing = max(0, side - len(canvas))
    padded = np.pad(canvas, (missing // 2, missing - missing // 2))
    low = (len(padded) - side) // 2
    return padded[low : low + side, low : low + side]


def draw_slices(
    paths: list[Path], size: int, rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Slices of several cases, up to two of each, at varied contrast.

    The first of a case shows something to learn, if any does; a lone slice is drawn once, so that
    a batch is never one picture several times.
    """
    images: list[npt.NDArray[np.float32]] = []
    codes: list[LabelArray] = []
    while len(images) < size:
        case_images, case_codes = read_example(paths[int(rng.integers(len(paths)))])
        marked = np.flatnonzero(case_codes.any(axis=(1, 2)))
        first = int(rng.choice(marked if len(marked) else len(case_images)))
        others = np.delete(np.arange(len(case_images)), first)
        picks = [first, *rng.permutation(others)[: SLICES_PER_CASE - 1]]
        images += [case_images[pick] for pick in picks]
        codes += [case_codes[pick] for pick in picks]
    image = torch.from_numpy(np.stack(images[:size]))[:, None]
    code = torch.from_numpy(np.stack(codes[:size]))[:, None]
    gain = torch.from_numpy(rng.uniform(0.85, 1.15, (size, 1, 1, 1)).astype(np.float32))
    shift = torch.from_numpy(rng.uniform(-0.2, 0.2, (size, 1, 1, 1)).astype(np.float32))
    image = torch.where(image != 0, image * gain + shift, image)
    return image, code


def _scorer(segmenter: TumorCoreSegmenter) -> Scorer:
    def score(case: Case, truth: Truth) -> Mapping[str, float]:
        core = core_mask(case, truth.labels)
        if core is None:
            return {}
        return {"TC": dice(segmenter.segment(case).labelmap == Label.CORE, core)}

    return score
