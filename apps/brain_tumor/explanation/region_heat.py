"""Heat of a region: why the segmenter outlined it, put to the tests that exist for it.

Deletion and insertion blur slices of the type classifier; for an outline, whose score is a sum
over the very voxels that would be taken out, there is no such test, and the report says so.
"""

from __future__ import annotations

import time

import numpy as np
import numpy.typing as npt
from torch import nn

from brain_tumor.cases.case import Case
from brain_tumor.cases.grid.preprocessing import SHAPE_MULTIPLE, WorkingCase
from brain_tumor.devices import compute_device
from brain_tumor.errors import InputError
from brain_tumor.explanation.facts.model import LEAST_INSIDE_SHARE
from brain_tumor.explanation.faithfulness.cascade import (
    MAX_RANK_CORRELATION,
    cascading_randomisation,
)
from brain_tumor.explanation.faithfulness.report import (
    CheckedHeat,
    FaithfulnessReport,
    RegionChecks,
    shuffling_reason,
)
from brain_tumor.explanation.heat.cam_regions import (
    RegionHeat,
    explain_regions,
    explained_layer,
    heat_on_reference_grid,
)
from brain_tumor.explanation.heat.methods import HeatMethod
from brain_tumor.explanation.heat.volume import (
    DILATION_MM,
    BoolArray,
    HeatVolume,
    heat_volume,
    peak_inside,
    share_inside,
)
from brain_tumor.labels import Region, region_mask
from brain_tumor.segmentation.foreign.adapter import AdaptedNetwork
from brain_tumor.segmentation.result import SegmentationResult
from brain_tumor.segmentation.subregions.inference import working_case_of

SANITY_MARGIN_VOXELS = 16
"""The network with shuffled weights sees the region's box with this margin."""
UNTESTED = (
    "Deletion and insertion are tests of the slices behind a tumour type; for the outline of a "
    "region they are not defined.",
)


def explain_region(case: Case, segmentation: SegmentationResult, region: Region) -> CheckedHeat:
    """Layer-CAM of a region on the reference grid of a case.

    What is explained are the labels of the network before they are cleaned up.

    Args:
        case: Case.
        segmentation: Its outline.
        region: Region to explain.

    Raises:
        InputError: If the outline does not tell sub-regions, or its maker cannot be looked into.
    """
    network = segmentation.network
    if network is None:
        raise InputError(
            f"target is the region {region.value}; the outline by {segmentation.model.name} has "
            f"the scheme '{segmentation.scheme.value}' and no network that tells regions",
            remedy="Add t1, t2 or flair to the case, or explain the tumour type (target "
            "prediction).",
        )
    started = time.perf_counter()
    working = working_case_of(network, case)
    layer = explained_layer(network)
    (found,) = explain_regions(network, layer, working, (region,), bf16=compute_device().bf16)
    raw = heat_on_reference_grid(found.heat, working.affine, case.affine, case.shape)
    heat = heat_volume(raw, case.affine, HeatMethod.LAYERCAM.value, region.value)
    heated = time.perf_counter()
    correlation = None
    if not heat.is_empty:
        correlation = shuffled_correlation(network, working, found)
    report = region_faithfulness(heat, segmentation, region, correlation)
    timings = {"heatmap": heated - started, "faithfulness": time.perf_counter() - heated}
    return CheckedHeat(heat, report, None, timings)


def shuffled_correlation(network: nn.Module, working: WorkingCase, found: RegionHeat) -> float:
    """Rank correlation of a region's heat with that of the network with shuffled weights.

    Both explain the log-odds of the region at the same voxels, those that the network outlined,
    and are compared there: far from them both are empty, and that would count as agreement. Both
    are made in a box around the region.

    Args:
        network: Segmenter; stays as it is.
        working: The case on the working grid.
        found: Heat of the region, of at least one voxel.
    """
    multiple = network.multiple if isinstance(network, AdaptedNetwork) else SHAPE_MULTIPLE
    box = _box_around(found.explained, multiple)
    part = WorkingCase(
        np.ascontiguousarray(working.channels[(slice(None), *box)]),
        np.ascontiguousarray(working.foreground[box]),
        working.affine,
        working.present,
    )
    compared = found.explained[box]

    def explain(any_network: nn.Module) -> npt.NDArray[np.float32]:
        layer = explained_layer(any_network)
        (heat,) = explain_regions(
            any_network, layer, part, (found.region,), bf16=compute_device().bf16, at=compared
        )
        return np.asarray(heat.heat[compared][None], dtype=np.float32)

    check = cascading_randomisation(network, explain, stages=1)
    return check.stages[-1][1]


def region_faithfulness(
    heat: HeatVolume,
    segmentation: SegmentationResult,
    region: Region,
    correlation: float | None,
) -> FaithfulnessReport:
    """Put heat of a region to the test: its place, and that it depends on what was learnt.

    Args:
        heat: Heat of the region.
        segmentation: Outline on the same grid.
        region: Region.
        correlation: See `shuffled_correlation`; None for heat that is empty.

    Raises:
        GeometryError: If heat and outline are on different grids.
    """
    outline = region_mask(segmentation.labelmap, region)
    tumour = segmentation.labelmap > 0
    checks = RegionChecks(
        region=region,
        inside_share=share_inside(heat, outline),
        near_share=share_inside(heat, outline, reach_mm=DILATION_MM),
        peak_inside=peak_inside(heat, outline),
        shuffled_correlation=correlation,
    )
    reasons = _reasons(heat, outline, checks)
    return FaithfulnessReport(
        passed=not reasons,
        reasons=reasons,
        inside_share=share_inside(heat, tumour),
        near_share=share_inside(heat, tumour, reach_mm=DILATION_MM),
        peak_inside=peak_inside(heat, tumour),
        untested=UNTESTED,
        region=checks,
    )


def _reasons(heat: HeatVolume, outline: BoolArray, checks: RegionChecks) -> tuple[str, ...]:
    """Why the heat must not be relied on."""
    name = checks.region.value
    if heat.is_empty:
        return (f"The network outlined no {name}, so there is nothing to explain.",)
    if not outline.any():
        return (f"No {name} is left in the outline, so the heat cannot be compared with one.",)
    reasons = []
    if checks.near_share < LEAST_INSIDE_SHARE:
        reasons.append(
            f"Only {checks.near_share:.0%} of the heat lies within {DILATION_MM:g} mm of {name} "
            f"(at least {LEAST_INSIDE_SHARE:.0%} expected)."
        )
    if not checks.peak_inside:
        reasons.append(f"The hottest place is more than {DILATION_MM:g} mm away from {name}.")
    correlation = checks.shuffled_correlation
    if correlation is not None and abs(correlation) > MAX_RANK_CORRELATION:
        reasons.append(shuffling_reason(correlation))
    return tuple(reasons)


def _box_around(mask: BoolArray, multiple: int) -> tuple[slice, slice, slice]:
    """Box around a mask with a margin, on the multiples that the network takes."""
    box = []
    for axis in range(3):
        used = np.flatnonzero(mask.any(axis=tuple(a for a in range(3) if a != axis)))
        low = max(0, int(used[0]) - SANITY_MARGIN_VOXELS)
        high = int(used[-1]) + 1 + SANITY_MARGIN_VOXELS
        start = low // multiple * multiple
        stop = -(-high // multiple) * multiple
        box.append(slice(start, min(stop, mask.shape[axis])))
    return box[0], box[1], box[2]
