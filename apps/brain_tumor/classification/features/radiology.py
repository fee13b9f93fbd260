"""Enhancement, necrosis, margin and surroundings of a tumour on contrast-enhanced T1, oedema.

Intensities are relative to brain (0 black, 1 the median of brain outside the tumour), so that no
feature depends on the scaling of the image; distances are in mm.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy import ndimage

from brain_tumor.classification.features.grid import (
    ImageArray,
    PixelSize,
    median,
    quantile,
    resample,
    sample,
)
from brain_tumor.classification.features.head import GRID_MM, Head
from brain_tumor.classification.features.measurement import Measurement, PixelPlace, missing
from brain_tumor.classification.features.midline import MirrorAxis
from brain_tumor.classification.features.outline import Boundary, FloatArray, MaskArray, padded

RIM_MM = (0.5, 3.0)
"""Depths of the rim; the first half millimetre is partial volume."""
CORE_MM = 5.0
"""The core lies deeper than this."""
PUBLISHED_RIM_MM = 2.0
INSIDE_MM = 1.0
LEAST_CORE_MM2 = 12.0
NECROSIS_SHARE = 0.6
BRIGHT, DARK = 1.3, 0.85

OFFSETS_MM = np.arange(-8.0, 13.0, 1.0)
"""Places of the profiles across the outline, negative inside."""
AROUND_MM = (2.0, 8.0)
TISSUE, AIR_OR_BONE, VESSEL_OR_FAT = (0.7, 1.3), 0.5, 1.5
LEAST_MARGIN_CONTRAST = 0.1

OEDEMA_REACH_MM = 40.0
OEDEMA_EXCESS = 3.0
PARTIAL_VOLUME_MM = 4.0
"""A bright seam that reaches no farther than this is the blurred edge of the tumour itself."""

_ENHANCEMENT_UNITS = {
    "ring_enhancement_index": "1",
    "ring_enhancement_published": "1",
    "rim_core_contrast": "1",
    "enhancement_ratio": "1",
    "enhancement_heterogeneity": "1",
    "heterogeneity_published": "1",
    "necrosis_fraction": "1",
    "hypointense_fraction": "1",
    "bright_fraction": "1",
    "brightest_tenth": "1",
    "darkest_tenth": "1",
}


@dataclass(frozen=True, eq=False)
class Lesion:
    """A tumour cut out of a slice, at full resolution.

    Attributes:
        relative: Intensity relative to brain, shape (rows, columns) of the cut.
        inside: Tumour, same shape.
        depth_mm: Distance of each tumour pixel to the outline, same shape; 0 outside.
        corner: Row and column of the cut in the slice.
        pixel_mm: Height and width of a pixel.
    """

    relative: ImageArray
    inside: MaskArray
    depth_mm: FloatArray
    corner: tuple[int, int]
    pixel_mm: PixelSize


def cut_lesion(relative: ImageArray, mask: MaskArray, pixel_mm: PixelSize) -> Lesion:
    """Cut the tumour out of a slice.

    Args:
        relative: Intensity relative to brain, shape (rows, columns).
        mask: Tumour, same shape, not empty.
        pixel_mm: Height and width of a pixel.
    """
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    box = slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)
    inside = mask[box]
    depth = ndimage.distance_transform_edt(padded(inside, 1), sampling=pixel_mm)[1:-1, 1:-1]
    # The outline runs half a pixel outside the centre of the outermost pixels.
    depth = np.maximum(depth - 0.25 * sum(pixel_mm), 0.0)
    return Lesion(relative[box], inside, depth, (int(rows[0]), int(columns[0])), pixel_mm)


def enhancement_features(lesion: Lesion) -> dict[str, Measurement]:
    """Brightness of a tumour and how it is distributed.

    Returns:
        Measurements by feature id; places are in pixels of the slice.
    """
    values = lesion.relative[lesion.inside].astype(float)
    depth = lesion.depth_mm[lesion.inside]
    inner = values[depth >= INSIDE_MM]
    if inner.size < 5:
        inner = values
    mean = float(values.mean())
    dark_tenth, bright_tenth = quantile(inner, 0.1), quantile(inner, 0.9)
    features = {
        name: missing(_ENHANCEMENT_UNITS[name], "the tumour is not brighter than black")
        for name in ("ring_enhancement_published", "heterogeneity_published", "necrosis_fraction")
    }
    if mean > 0.0:
        rim = values[depth <= PUBLISHED_RIM_MM]
        features["ring_enhancement_published"] = Measurement(float(rim.mean()) / mean, "1")
        features["heterogeneity_published"] = Measurement(float(values.std()) / mean, "1")
    darkest, brightest = _extreme_pixels(lesion)
    if bright_tenth > 0.0:
        dead = inner < NECROSIS_SHARE * bright_tenth
        features["necrosis_fraction"] = Measurement(float(dead.mean()), "1", darkest)
    features |= {
        "enhancement_ratio": Measurement(median(inner), "1"),
        "enhancement_heterogeneity": Measurement(float(inner.std()), "1"),
        "hypointense_fraction": Measurement(float((inner < DARK).mean()), "1", darkest),
        "bright_fraction": Measurement(float((inner > BRIGHT).mean()), "1", brightest),
        "brightest_tenth": Measurement(bright_tenth, "1", brightest),
        "darkest_tenth": Measurement(dark_tenth, "1", darkest),
    }
    return features | _ring(values, depth, lesion.pixel_mm)


def _ring(values: FloatArray, depth: FloatArray, pixel_mm: PixelSize) -> dict[str, Measurement]:
    """Rim against core."""
    core = values[depth >= CORE_MM]
    rim = values[(depth >= RIM_MM[0]) & (depth <= RIM_MM[1])]
    names = ("ring_enhancement_index", "rim_core_contrast")
    if core.size * pixel_mm[0] * pixel_mm[1] < LEAST_CORE_MM2 or rim.size == 0:
        reason = f"no core: the tumour is only {float(depth.max()):.1f} mm deep"
        return {name: missing("1", reason) for name in names}
    bright, dark = float(rim.mean()), float(core.mean())
    index = (
        Measurement(bright / dark, "1")
        if dark > 0.0
        else missing("1", "the core is not brighter than black")
    )
    return dict(zip(names, (index, Measurement(bright - dark, "1")), strict=True))


def _extreme_pixels(lesion: Lesion) -> tuple[PixelPlace, PixelPlace]:
    """Darkest and brightest pixel of the slightly blurred tumour, in pixels of the slice."""
    blurred = ndimage.uniform_filter(lesion.relative, 3, mode="nearest")
    tumour = np.flatnonzero(lesion.inside)
    values = blurred.ravel()[tumour]

    def place(at: np.intp) -> PixelPlace:
        row, column = divmod(int(tumour[at]), blurred.shape[1])
        return float(row + lesion.corner[0]), float(column + lesion.corner[1])

    return place(values.argmin()), place(values.argmax())


def margin_features(
    boundary: Boundary, relative: ImageArray, head: Head, pixel_mm: PixelSize
) -> dict[str, Measurement]:
    """Sharpness of the outline and what lies around it, from profiles across the outline.

    Args:
        boundary: Outline of the tumour.
        relative: Intensity relative to brain, shape (rows, columns).
        head: Head of the slice.
        pixel_mm: Height and width of a pixel of `relative`.

    Returns:
        Measurements by feature id. The margin width is |inside - outside| over the steepest
        slope within 4 mm of the outline, median over the outline where the contrast is at least
        0.1; a sharp edge gives about the resolution of the scan.
    """
    points = boundary.points_mm[::2, None, :]
    profile_mm = points + OFFSETS_MM[:, None] * boundary.normals[::2, None, :]
    profiles = sample(relative, profile_mm, pixel_mm)
    in_head = sample(head.head, profile_mm, GRID_MM, outside=0.0) > 0.5
    around = _between(AROUND_MM)
    outside = profiles[:, around]
    tissue = np.where(in_head[:, around], outside, 0.0)
    ring = outside[in_head[:, around]]
    features = {
        "surrounding_brain_share": Measurement(
            float(((tissue > TISSUE[0]) & (tissue < TISSUE[1])).mean()), "1"
        ),
        "surrounding_dark_share": Measurement(float((tissue < AIR_OR_BONE).mean()), "1"),
        "surrounding_bright_share": Measurement(float((tissue > VESSEL_OR_FAT).mean()), "1"),
        "surrounding_variation": Measurement(float(tissue.mean(axis=1).std()), "1"),
        "surrounding_intensity": (
            Measurement(median(ring), "1")
            if ring.size
            else missing("1", "no head around the tumour")
        ),
    }
    return features | _margin(profiles)


def _margin(profiles: FloatArray) -> dict[str, Measurement]:
    """Contrast and width of the margin."""
    inner = profiles[:, _between((-4.0, -2.0))].mean(axis=1)
    outer = profiles[:, _between((2.0, 4.0))].mean(axis=1)
    contrast = inner - outer
    near = profiles[:, _between((-4.0, 4.0))]
    slope = np.abs(np.diff(near, axis=1)).max(axis=1)
    clear = (np.abs(contrast) >= LEAST_MARGIN_CONTRAST) & (slope > 0.0)
    width = (
        Measurement(median(np.abs(contrast[clear]) / slope[clear]), "mm")
        if np.count_nonzero(clear) >= len(clear) / 4
        else missing("mm", "the margin has too little contrast")
    )
    return {
        "margin_contrast": Measurement(median(contrast), "1"),
        "margin_width_mm": width,
    }


def _between(limits_mm: tuple[float, float]) -> MaskArray:
    """Places of the profiles within limits, both included."""
    low, high = limits_mm
    within: MaskArray = (low <= OFFSETS_MM) & (high >= OFFSETS_MM)
    return within


def contralateral_ratio(head: Head, axis: MirrorAxis) -> Measurement:
    """Mean intensity of the tumour over that of its mirror image in the brain.

    The bias field of the coil is the same on both sides and cancels.
    """
    if not axis.symmetric:
        return missing("1", "no mirror plane in this slice")
    here = np.argwhere(head.tumour) * GRID_MM
    if len(here) == 0:
        return missing("1", "the tumour is smaller than a pixel of 2 mm")
    there = here - 2.0 * ((here - axis.point_mm) @ axis.across)[:, None] * axis.across
    healthy = sample(head.brain & ~head.tumour, there, GRID_MM, outside=0.0) > 0.9
    if healthy.mean() < 0.5:
        return missing("1", "the mirror image of the tumour is tumour or not brain")
    other = float(sample(head.relative, there[healthy], GRID_MM).mean())
    mine = float(head.relative[head.tumour][healthy].mean())
    if other <= 0.0:
        return missing("1", "the mirror image of the tumour is black")
    return Measurement(mine / other, "1")


def oedema_features(
    flair: npt.NDArray[np.generic] | None, head: Head, pixel_mm: PixelSize
) -> dict[str, Measurement]:
    """Oedema around the tumour on a FLAIR slice of the same place.

    Oedema is what is brighter than the median of brain by three robust standard deviations,
    outside the tumour, within 40 mm of it and connected to it.

    Args:
        flair: FLAIR over the same field as the contrast-enhanced slice, or None.
        head: Head of the contrast-enhanced slice.
        pixel_mm: Height and width of a pixel of the FLAIR slice.

    Returns:
        Extent in mm (95th percentile of the distance of oedema to the tumour) and area over that
        of the tumour.
    """
    names = {"oedema_extent_mm": "mm", "oedema_ratio": "1"}
    if flair is None:
        return {name: missing(unit, "no FLAIR") for name, unit in names.items()}
    grid = resample(flair, pixel_mm, GRID_MM)
    away = ndimage.distance_transform_edt(~head.tumour) * GRID_MM
    healthy = grid[head.brain & (away > OEDEMA_REACH_MM / 2)]
    if healthy.size < 50 or not head.tumour.any():
        return {name: missing(unit, "too little brain on FLAIR") for name, unit in names.items()}
    middle = float(np.median(healthy))
    spread = 1.4826 * float(np.median(np.abs(healthy - middle)))
    bright = (grid > middle + OEDEMA_EXCESS * spread) & head.brain & (away <= OEDEMA_REACH_MM)
    labels, _ = ndimage.label(bright | head.tumour)
    touching = np.unique(labels[head.tumour])
    oedema = np.isin(labels, touching[touching > 0]) & ~head.tumour
    if not (oedema & (away > PARTIAL_VOLUME_MM)).any():
        oedema[:] = False
    area = float(np.count_nonzero(oedema))
    extent = float(np.quantile(away[oedema], 0.95)) if area else 0.0
    return {
        "oedema_extent_mm": Measurement(extent, "mm"),
        "oedema_ratio": Measurement(area / float(np.count_nonzero(head.tumour)), "1"),
    }
