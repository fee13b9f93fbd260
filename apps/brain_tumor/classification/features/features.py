"""The measured features of a slice, as one vector with its missing values marked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from brain_tumor.classification.features.boundary_series import information_weighted_series
from brain_tumor.classification.features.chaos import chaos_descriptors
from brain_tumor.classification.features.feature_table import FEATURE_IDS, FEATURES, FeatureGroup
from brain_tumor.classification.features.fractal import (
    curve_box_dimension,
    higuchi_dimension,
    katz_dimension,
    petrosian_dimension,
)
from brain_tumor.classification.features.grid import PixelSize, resample
from brain_tumor.classification.features.head import find_head
from brain_tumor.classification.features.location import location_features
from brain_tumor.classification.features.measurement import Measurement, measured_or, missing
from brain_tumor.classification.features.midline import mirror_axis
from brain_tumor.classification.features.morphology import plane_shape
from brain_tumor.classification.features.outline import (
    MIN_PIXELS,
    Boundary,
    MaskArray,
    component_boundary,
    largest_component,
)
from brain_tumor.classification.features.radiology import (
    contralateral_ratio,
    cut_lesion,
    enhancement_features,
    margin_features,
    oedema_features,
)
from brain_tumor.errors import GeometryError, InputError, VolumeError
from brain_tumor.segmentation.tumor_core.slices import Plane

WORK_MM = 1.0
WORK_RANGE_MM = (0.4, 1.25)
"""Square pixels of this size are measured as they are; others are resampled to `WORK_MM`."""
BAY_CURVATURE = -0.25
"""Curvature, times the radius of a circle of the same perimeter, below which there is a bay."""
FINE_HARMONICS = 8
PIXEL_RANGE_MM = (0.05, 20.0)
MIN_SIDE_PIXELS = 16


@dataclass(frozen=True, eq=False)
class FeatureVector:
    """All features of one slice.

    Attributes:
        measurements: One measurement for every id of `FEATURES`, in its order.
    """

    measurements: Mapping[str, Measurement]

    def __getitem__(self, feature_id: str) -> Measurement:
        """Measurement of one feature."""
        return self.measurements[feature_id]

    def to_array(self, names: Sequence[str] = FEATURE_IDS) -> npt.NDArray[np.float32]:
        """Values in the order of the names, NaN where missing.

        Raises:
            InputError: If a name is no feature.
        """
        self._check(names)
        return np.array([self.measurements[name].value for name in names], dtype=np.float32)

    def missing_mask(self, names: Sequence[str] = FEATURE_IDS) -> npt.NDArray[np.bool_]:
        """True where a value is missing, in the order of the names."""
        self._check(names)
        return np.array([not self.measurements[name].measured for name in names])

    def _check(self, names: Sequence[str]) -> None:
        unknown = [name for name in names if name not in self.measurements]
        if unknown:
            raise InputError(
                f"features {unknown} do not exist; expected ids of the feature table",
                remedy="Use a model that was trained with this version's features.",
            )


def slice_features(
    image: npt.NDArray[np.generic],
    mask: npt.NDArray[np.generic],
    pixel_mm: float | PixelSize,
    head_mask: npt.NDArray[np.generic] | None = None,
    *,
    plane: Plane | None = None,
    flair: npt.NDArray[np.generic] | None = None,
) -> FeatureVector:
    """Measure every feature of a tumour in a contrast-enhanced T1 slice.

    The largest component of the mask, holes filled, is the tumour. What cannot be measured (no
    tumour, no midline in a sagittal slice, no FLAIR) is missing with its reason, never zero.

    Args:
        image: Intensities, shape (rows, columns), any scale; head or stripped brain, upright.
        mask: Same shape; non-zero is tumour.
        pixel_mm: Pixel size, or height and width.
        head_mask: Head (or brain, if stripped), same shape, if it is known.
        plane: Orientation of the slice; guessed if None.
        flair: FLAIR of the same slice, same shape, if there is one.

    Raises:
        VolumeError: If the image is not 2-D, too small, or not finite.
        GeometryError: If shapes do not agree or the pixel size is unusable.
    """
    size = _checked_pixel_size(pixel_mm)
    picture = _checked_image(image)
    for name, other in (("mask", mask), ("head_mask", head_mask), ("flair", flair)):
        if other is not None and np.shape(other) != picture.shape:
            raise GeometryError(
                f"{name} has shape {np.shape(other)}; expected {picture.shape} of the image"
            )
    tumour = largest_component(mask)
    count = int(np.count_nonzero(tumour))
    if count < MIN_PIXELS:
        reason = (
            f"the tumour has {count} connected pixels in this slice; {MIN_PIXELS} are needed"
            if count
            else "no tumour in this slice"
        )
        return FeatureVector({f.id: missing(f.unit, reason) for f in FEATURES})
    boundary = component_boundary(tumour, size)
    found = shape_features(boundary)
    found |= _image_features(picture, tumour, size, boundary, head_mask, plane, flair)
    return FeatureVector({name: found[name] for name in FEATURE_IDS})


def shape_features(boundary: Boundary) -> dict[str, Measurement]:
    """Morphology, boundary and chaos features: everything that the outline alone tells."""
    shape = plane_shape(boundary.points_mm)
    series = information_weighted_series(boundary)
    chaos = chaos_descriptors(series.values, periodic=True)
    smooth = "the outline is too smooth to be described"
    ripple = np.abs(np.fft.rfft(series.radii)[FINE_HARMONICS + 1 :])
    bend = boundary.curvature_per_mm * boundary.perimeter_mm / (2.0 * np.pi)
    values = series.values
    spread = float(values.std())
    found = {
        "area_mm2": Measurement(shape.area_mm2, "mm2"),
        "perimeter_mm": Measurement(shape.perimeter_mm, "mm"),
        "longest_diameter_mm": Measurement(shape.longest_diameter_mm, "mm"),
        "boundary_information": Measurement(float(np.sqrt(series.information.mean())), "1"),
        "boundary_roughness": Measurement(
            float(np.sqrt(2.0 * (ripple**2).sum())) / len(values), "1"
        ),
        "curvature_variation": Measurement(float(bend.std()), "1"),
        "concave_share": Measurement(float((bend < BAY_CURVATURE).mean()), "1"),
        "weighted_sd": Measurement(spread, "1"),
        "weighted_skewness": measured_or(
            float(((values - 1.0) ** 3).mean()) / spread**3 if spread > 1e-6 else np.nan,
            "1",
            smooth,
        ),
        "weighted_roughness": Measurement(
            float(np.abs(np.diff(values, append=values[:1])).mean()), "1"
        ),
    }
    for name in ("compactness", "solidity", "eccentricity", "elongation", "extent", "irregularity"):
        found[name] = Measurement(float(getattr(shape, name)), "1")
    descriptors = {
        "lyapunov": chaos.lyapunov_per_sample * len(values),
        "approximate_entropy": chaos.approximate_entropy,
        "sample_entropy": chaos.sample_entropy,
        "permutation_entropy": chaos.permutation_entropy,
        "correlation_dimension": chaos.correlation_dimension,
        "higuchi_dimension": higuchi_dimension(values, periodic=True),
        "katz_dimension": katz_dimension(values, periodic=True),
        "petrosian_dimension": petrosian_dimension(values, periodic=True),
        "box_dimension": curve_box_dimension(boundary.points_mm),
    }
    return found | {name: measured_or(value, "1", smooth) for name, value in descriptors.items()}


def _image_features(
    picture: npt.NDArray[np.float32],
    tumour: MaskArray,
    size: PixelSize,
    boundary: Boundary,
    head_mask: npt.NDArray[np.generic] | None,
    plane: Plane | None,
    flair: npt.NDArray[np.generic] | None,
) -> dict[str, Measurement]:
    """Enhancement, margin, location and context features."""
    head = find_head(picture, tumour, size, head_mask)
    if head is None:
        image_groups = set(FeatureGroup) - {
            FeatureGroup.MORPHOLOGY,
            FeatureGroup.BOUNDARY,
            FeatureGroup.CHAOS,
        }
        return {
            f.id: missing(f.unit, "no head was found in this slice")
            for f in FEATURES
            if f.group in image_groups
        }
    work, work_mask, work_size = _working_resolution(picture, tumour, size)
    relative = head.to_relative(work)
    axis = mirror_axis(head, plane)
    found = enhancement_features(cut_lesion(relative, work_mask, work_size))
    found["contralateral_ratio"] = contralateral_ratio(head, axis)
    found |= margin_features(boundary, relative, head, work_size)
    found |= location_features(boundary, relative, head, axis, work_size, plane)
    found |= oedema_features(flair, head, size)
    scale = (work_size[0] / size[0], work_size[1] / size[1])
    return {name: _scaled_place(m, scale) for name, m in found.items()}


def _working_resolution(
    picture: npt.NDArray[np.float32], tumour: MaskArray, size: PixelSize
) -> tuple[npt.NDArray[np.float32], MaskArray, PixelSize]:
    """Image and mask at square pixels of about a millimetre."""
    low, high = WORK_RANGE_MM
    if abs(size[0] - size[1]) <= 0.02 * size[0] and low <= size[0] <= high:
        return picture, tumour, size
    mask = resample(tumour, size, WORK_MM) > 0.5
    if not mask.any():
        mask = resample(tumour, size, WORK_MM) > 0.0
    return resample(picture, size, WORK_MM), mask, (WORK_MM, WORK_MM)


def _scaled_place(measurement: Measurement, scale: PixelSize) -> Measurement:
    """The measurement with its place in pixels of the input image."""
    if measurement.place is None or scale == (1.0, 1.0):
        return measurement
    row, column = measurement.place
    return Measurement(measurement.value, measurement.unit, (row * scale[0], column * scale[1]))


def _checked_pixel_size(pixel_mm: float | PixelSize) -> PixelSize:
    """Height and width of a pixel."""
    height, width = pixel_mm if isinstance(pixel_mm, tuple) else (pixel_mm, pixel_mm)
    low, high = PIXEL_RANGE_MM
    if not all(low <= float(side) <= high for side in (height, width)):
        raise GeometryError(f"pixel size is {pixel_mm} mm; expected {low}-{high} mm")
    return float(height), float(width)


def _checked_image(image: npt.NDArray[np.generic]) -> npt.NDArray[np.float32]:
    """The image as float32."""
    picture = np.asarray(image, dtype=np.float32)
    if picture.ndim != 2 or min(picture.shape) < MIN_SIDE_PIXELS:
        raise VolumeError(
            f"slice has shape {picture.shape}; expected two dimensions of at least "
            f"{MIN_SIDE_PIXELS} pixels"
        )
    if not np.isfinite(picture).all():
        raise VolumeError("slice holds NaN or infinity; expected finite numbers")
    return picture
