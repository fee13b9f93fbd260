"""Tumour core from a lone T1c image: one slice, a thick stack or a thin volume.

The volume is cut into slices in every plane that resolves anatomy, each slice is read by one
2-D network, and the probabilities of the planes are averaged on the volume's own grid.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import nn

from brain_tumor.bundles import ModelVersion, read_bundle
from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.geometry import axis_map
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.volume import ScalarArray, Volume
from brain_tumor.devices import compute_device, inference, placed
from brain_tumor.errors import ModelError
from brain_tumor.labels import Label, LabelArray, LabelScheme, Region
from brain_tumor.segmentation.hardware import bfloat16_copy, threads_for_slices
from brain_tumor.segmentation.presence import Presence, PresenceModel, presence_warnings
from brain_tumor.segmentation.result import (
    ClassProbabilities,
    SegmentationResult,
    region_volumes_ml,
)
from brain_tumor.segmentation.tumor_core.encoder import prepare_for_inference
from brain_tumor.segmentation.tumor_core.network import (
    PIXEL_MM,
    CoreNetworkArguments,
    load_core_network,
)
from brain_tumor.segmentation.tumor_core.slices import (
    ORIENTATION,
    SLICE_AXIS,
    Plane,
    normalise_slices,
    plane_stack,
    resolved_planes,
    stack_to_lpi,
    tissue_box,
    working_pixel_mm,
)

logger = logging.getLogger(__name__)

BoolArray = npt.NDArray[np.bool_]

SLICE_DISTANCE_MM = 2.5
"""Thin slices are averaged in the slice direction up to this thickness: half the work."""
LARGEST_HEAD_MM = 300.0
TYPICAL_HEAD_MM = 220.0
CERTAIN = 1e-3
LONE_SLICE_MM = 6.0
"""Of the slices that presence was fitted on."""
NOT_ENHANCING = "A tumour that takes up no contrast agent does not show on t1c alone; add flair."
BATCH_PIXELS = 16 * 176 * 176


@dataclass(frozen=True)
class CleanUp:
    """Which pieces of a thresholded map are kept.

    Attributes:
        threshold: Probability from which a voxel is tumour.
        smallest_share: A piece needs this share of the largest piece's volume.
        least_peak: A piece needs this probability somewhere, the largest one too.
    """

    threshold: float = 0.5
    smallest_share: float = 0.1
    least_peak: float = 0.7

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> CleanUp:
        """Rule of a bundle: its `clean_up`, or the defaults.

        Raises:
            ModelError: If a value is not a number.
        """
        try:
            return cls(**{str(k): float(v) for k, v in metadata.get("clean_up", {}).items()})
        except (TypeError, ValueError) as error:
            raise ModelError(f"clean_up of the metadata is unusable: {error}") from error


@dataclass(frozen=True, eq=False)
class CoreProbabilities:
    """What the network says about a volume.

    Attributes:
        probability: Of tumour core, 0-1, on the volume's grid.
        planes: Planes that were read.
        timings_s: Seconds per stage.
        warnings: What a reader must know.
    """

    probability: ScalarArray
    planes: tuple[Plane, ...]
    timings_s: Mapping[str, float]
    warnings: tuple[str, ...] = ()


class TumorCoreSegmenter:
    """Outlines the tumour core on the T1c image of a case; thread-safe, holds no state.

    Args:
        network: From (N, 1, H, W) normalised slices to logits; in evaluation mode. For bfloat16 a
            copy is made of its weights as they are now.
        version: Model behind it.
        divisor: Rows and columns of the network's input are multiples of this.
        pixel_mm: Pixel of the network's input; see also `working_pixel_mm`.
        clean_up: Rule for pieces.
        presence: Tells whether there is a tumour; without it whatever is found is outlined.
        bf16: Run in bfloat16; by default where the device has it in hardware.
        mirrored: Also read every slice left-right mirrored and average: twice the network's time.
            By default where one plane is read (a slice, a thick stack), which is quick anyway;
            a thin volume is averaged over three planes already.
    """

    def __init__(
        self,
        network: nn.Module,
        version: ModelVersion,
        *,
        divisor: int,
        pixel_mm: float = PIXEL_MM,
        clean_up: CleanUp | None = None,
        presence: PresenceModel | None = None,
        bf16: bool | None = None,
        mirrored: bool | None = None,
    ) -> None:
        self._version = version
        self._presence = presence
        self._divisor = divisor
        self._pixel_mm = pixel_mm
        self._clean_up = clean_up or CleanUp()
        self._bf16 = compute_device().bf16 if bf16 is None else bf16
        self._network = placed(bfloat16_copy(network) if self._bf16 else network)
        self._mirrored = mirrored

    @classmethod
    def load(
        cls, bundle_path: Path, *, bf16: bool | None = None, mirrored: bool | None = None
    ) -> TumorCoreSegmenter:
        """Segmenter of a bundle folder.

        Raises:
            ModelError: If the bundle is missing, damaged or of another network.
        """
        bundle = read_bundle(bundle_path)
        arguments = CoreNetworkArguments.from_json(bundle.metadata.get("network", {}))
        network = load_core_network(arguments, bundle.weights())
        return cls(
            prepare_for_inference(network),
            bundle.version,
            divisor=arguments.divisor,
            pixel_mm=arguments.pixel_mm,
            clean_up=CleanUp.from_metadata(bundle.metadata),
            presence=PresenceModel.from_metadata(bundle.metadata),
            bf16=bf16,
            mirrored=mirrored,
        )

    @property
    def version(self) -> ModelVersion:
        """Model behind this segmenter; part of every cache key."""
        return self._version

    def segment(self, case: Case, *, mirrored: bool = False) -> SegmentationResult:
        """Outline the tumour core on the reference grid of a case.

        Reads the T1c volume; a case without one is read by its reference, with a warning.

        Args:
            case: The case.
            mirrored: Read every slice mirrored as well, whatever the segmenter does else.
        """
        started = time.perf_counter()
        sequence = Sequence.T1C if Sequence.T1C in case.volumes else case.reference
        found = self.probabilities(case.volumes[sequence], mirrored=mirrored)
        cleaning = time.perf_counter()
        core = keep_pieces(found.probability, self._clean_up)
        presence = self._judge(found.probability, case.spacing_mm)
        if presence is not None and not presence.is_found:
            core = np.zeros_like(core)
        labelmap: LabelArray = np.where(core, np.uint8(Label.CORE), np.uint8(0))
        uncertainty = binary_entropy(found.probability)
        volumes = region_volumes_ml(labelmap, case.spacing_mm, LabelScheme.CORE)
        finished = time.perf_counter()
        warnings = list(found.warnings)
        if sequence is not Sequence.T1C:
            warnings.append(
                f"The case has no T1c; the outline was made on {sequence.value}, "
                "which this model has not learnt."
            )
        if presence is None or presence.probability is None:
            warnings += ["No tumour core was found."] if volumes[Region.TC] == 0 else []
        else:
            voxels = int(np.count_nonzero(core))
            warnings += presence_warnings(presence.probability, presence.is_found, voxels)
            if voxels == 0:
                warnings.append(NOT_ENHANCING)
        timings = dict(found.timings_s) | {
            "clean_up": finished - cleaning,
            "total": finished - started,
        }
        planes = ", ".join(plane.value for plane in found.planes)
        logger.info(
            "case %s: %s %s on %s in %.2f s",
            case.case_id,
            self._version.name,
            self._version.version,
            planes,
            timings["total"],
        )
        return SegmentationResult(
            labelmap=labelmap,
            scheme=LabelScheme.CORE,
            model=self._version,
            reason=f"Undivided tumour core from {sequence.value} alone, read in {planes} slices.",
            volumes_ml=volumes,
            uncertainty=uncertainty,
            timings_s=timings,
            warnings=tuple(warnings),
            presence=presence,
            probabilities=ClassProbabilities(
                (Label.CORE,),
                torch.from_numpy(found.probability)[None].half().numpy(),
                case.affine,
            ),
        )

    def _judge(
        self, probability: ScalarArray, spacing_mm: tuple[float, float, float]
    ) -> Presence | None:
        if self._presence is None:
            return None
        voxel_ml = core_voxel_ml(probability.shape, spacing_mm)
        return Presence(self._presence.probability(probability, voxel_ml), self._presence.threshold)

    def probabilities(self, volume: Volume, *, mirrored: bool = False) -> CoreProbabilities:
        """Probability of tumour core for every voxel of a volume.

        Args:
            volume: T1c; any orientation, spacing and intensity scale, also a single slice.
            mirrored: Read every slice mirrored as well, whatever the segmenter does else.
        """
        started = time.perf_counter()
        turn = axis_map(volume.shape, volume.affine, ORIENTATION)
        lpi = turn.apply(volume.array)
        x, y, z = (volume.spacing_mm[axis] for axis in turn.axes)
        box = tissue_box(lpi)
        cropped = lpi[box]
        left, posterior, inferior = cropped.shape
        shape = (left, posterior, inferior)
        spacing, warnings = _plausible_spacing(shape, (x, y, z))
        planes = resolved_planes(shape, spacing)
        # Only a volume that resolves in several planes has slices thin enough to be averaged.
        thickness_mm = SLICE_DISTANCE_MM if len(planes) > 1 else 0.0
        total = torch.zeros(shape)
        pixel_mm = working_pixel_mm(self._pixel_mm, planes)
        mirrored |= len(planes) == 1 if self._mirrored is None else self._mirrored
        prepared = time.perf_counter()
        network_s = 0.0
        for plane in planes:
            stack, depth = _working_stack(cropped, spacing, plane, thickness_mm, pixel_mm)
            before = time.perf_counter()
            probability = self._read(stack, mirrored=mirrored)
            network_s += time.perf_counter() - before
            total += _to_grid(probability, plane, depth, shape)
        full = np.zeros(lpi.shape, dtype=np.float32)
        full[box] = (total / len(planes)).numpy()
        finished = time.perf_counter()
        timings = {
            "prepare": prepared - started,
            "network": network_s,
            "resample": finished - prepared - network_s,
        }
        # copied, because a lone slice that was turned over has a negative stride
        back = turn.undo(full).copy()
        return CoreProbabilities(back, planes, timings, warnings)

    def _read(self, stack: torch.Tensor, *, mirrored: bool) -> torch.Tensor:
        """Probabilities of working slices, (N, H, W) intensities in, same shape out."""
        rows, columns = stack.shape[1:]
        normalised = torch.from_numpy(normalise_slices(stack.numpy()))
        found = torch.zeros(stack.shape)
        shown = torch.nonzero(normalised.flatten(1).any(dim=1)).flatten()
        bottom, right = -rows % self._divisor, -columns % self._divisor
        floor = normalised.flatten(1).amin(dim=1)
        size = max(1, BATCH_PIXELS // ((rows + bottom) * (columns + right)))
        with (
            inference(bf16=self._bf16),
            threads_for_slices(len(stack)),
        ):
            for chosen in torch.split(shown, size):
                batch = floor[chosen, None, None, None].repeat(1, 1, rows + bottom, columns + right)
                batch[:, 0, :rows, :columns] = normalised[chosen]
                probability = self._network(batch).float().sigmoid()
                if mirrored:
                    other = self._network(batch.flip(-1)).float().sigmoid().flip(-1)
                    probability = (probability + other) / 2
                found[chosen] = probability[:, 0, :rows, :columns]
        return found


def core_voxel_ml(shape: tuple[int, ...], spacing_mm: tuple[float, float, float]) -> float:
    """Volume of a voxel by which the presence of a tumour is judged.

    A lone slice often does not say how thick it is; it counts as `LONE_SLICE_MM` at least.

    Args:
        shape: Of a volume or a slice.
        spacing_mm: Voxel size.

    Example:
        >>> core_voxel_ml((256, 256, 1), (1.0, 1.0, 1.0)), core_voxel_ml((9, 9, 9), (1.0, 1.0, 1.0))
        (0.006, 0.001)
    """
    sides = [
        max(mm, LONE_SLICE_MM) if length == 1 else mm
        for length, mm in zip(shape, spacing_mm, strict=True)
    ]
    return float(np.prod(sides)) / 1000.0


def binary_entropy(probability: ScalarArray) -> ScalarArray:
    """Doubt on the scale of `SegmentationResult.uncertainty`, 0 where the model is sure.

    With several planes the probability is their mean, so planes that disagree count as unsure.
    """
    entropy = np.zeros(probability.shape, dtype=np.float32)
    unsure = (probability > CERTAIN) & (probability < 1 - CERTAIN)
    p = probability[unsure]
    entropy[unsure] = -(p * np.log2(p) + (1 - p) * np.log2(1 - p))
    return entropy


def keep_pieces(probability: ScalarArray, rule: CleanUp) -> BoolArray:
    """Threshold a probability map and drop small or half-hearted pieces.

    Args:
        probability: 0-1, a volume or a slice.
        rule: Which pieces stay.

    Returns:
        Boolean array of the same shape.
    """
    core: BoolArray = probability >= rule.threshold
    if not core.any():
        return core
    box = ndimage.find_objects(core.view(np.uint8))[0]
    labels, count = ndimage.label(core[box], structure=np.ones((3,) * core.ndim))
    sizes = np.bincount(labels.ravel(), minlength=count + 1)
    peaks = np.zeros(count + 1, dtype=np.float32)
    np.maximum.at(peaks, labels.ravel(), probability[box].ravel())
    keep = peaks >= rule.least_peak
    keep[0] = False
    if keep.any():
        keep &= sizes >= rule.smallest_share * sizes[keep].max()
    kept = np.zeros_like(core)
    kept[box] = keep[labels]
    return kept


def _plausible_spacing(
    shape: tuple[int, ...], spacing_mm: tuple[float, float, float]
) -> tuple[tuple[float, float, float], tuple[str, ...]]:
    """Spacing to use for a head of this many voxels; scaled down if the head is a giant's."""
    longest_mm = max(length * mm for length, mm in zip(shape, spacing_mm, strict=True))
    if longest_mm <= LARGEST_HEAD_MM:
        return spacing_mm, ()
    scale = TYPICAL_HEAD_MM / longest_mm
    x, y, z = (mm * scale for mm in spacing_mm)
    warning = (
        f"By its header the head is {longest_mm:.0f} mm long; the outline assumes "
        f"{TYPICAL_HEAD_MM:.0f} mm. Volumes in mL use the header."
    )
    return (x, y, z), (warning,)


def _working_stack(
    lpi: ScalarArray,
    spacing_mm: tuple[float, float, float],
    plane: Plane,
    thickness_mm: float,
    pixel_mm: float,
) -> tuple[torch.Tensor, int]:
    """Slices of a plane at the working pixel, neighbours averaged up to a thickness.

    Returns:
        Slices (N, H, W) and the number of volume slices, padding included, that they cover.
    """
    # a copy even where the array is contiguous: of a lone slice the stride may still be negative
    stack = torch.from_numpy(plane_stack(lpi, plane).copy())
    row_mm, column_mm = _in_plane_mm(spacing_mm, plane)
    step = max(1, int(thickness_mm / spacing_mm[SLICE_AXIS[plane]] + 1e-6))
    step = min(step, len(stack))
    missing = -len(stack) % step
    if missing:
        stack = torch.cat([stack, stack[-1:].expand(missing, -1, -1)])
    depth = len(stack)
    if step > 1:
        stack = stack.reshape(depth // step, step, *stack.shape[1:]).mean(dim=1)
    size = [
        max(1, round(length * mm / pixel_mm))
        for length, mm in zip(stack.shape[1:], (row_mm, column_mm), strict=True)
    ]
    resized = F.interpolate(stack[:, None], size=size, mode="bilinear", antialias=True)
    return resized[:, 0], depth


def _in_plane_mm(spacing_mm: tuple[float, float, float], plane: Plane) -> tuple[float, float]:
    left, posterior, inferior = spacing_mm
    return {
        Plane.AXIAL: (posterior, left),
        Plane.CORONAL: (inferior, left),
        Plane.SAGITTAL: (inferior, posterior),
    }[plane]


def _to_grid(
    probability: torch.Tensor, plane: Plane, depth: int, shape: tuple[int, ...]
) -> torch.Tensor:
    """Probabilities of working slices on the (cropped, LPI) volume's grid."""
    slices = shape[SLICE_AXIS[plane]]
    rows, columns = (shape[a] for a in _in_plane_axes(plane))
    resized = F.interpolate(
        probability[None, None],
        size=(depth, rows, columns),
        mode="trilinear",
        align_corners=False,
    )[0, 0, :slices]
    return torch.from_numpy(np.ascontiguousarray(stack_to_lpi(resized.numpy(), plane)))


def _in_plane_axes(plane: Plane) -> tuple[int, int]:
    return {Plane.AXIAL: (1, 0), Plane.CORONAL: (2, 0), Plane.SAGITTAL: (2, 1)}[plane]
