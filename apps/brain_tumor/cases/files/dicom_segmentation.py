"""DICOM segmentations read as labelmaps, by the codes and labels of their segments.

Frames without a voxel are mostly left out of them, so the labelmap reaches from the first frame
that is there to the last; who knows the case's grid pads it.

References:
    DICOM PS3.3 A.51 (segmentation), C.8.20.2 (segment sequence).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.cases.files.dicom_headers import DAMAGES, Vector, functional, text_of
from brain_tumor.cases.files.dicom_safety import read_checked, read_quietly
from brain_tumor.cases.files.nrrd_files import LPS_TO_RAS
from brain_tumor.cases.files.segmentations import Segment, merged
from brain_tumor.cases.files.stored import check_size
from brain_tumor.cases.volume import Affine
from brain_tumor.errors import FileFormatError, GeometryError
from brain_tumor.labels import LabelArray

SEGMENTATION_CLASSES = frozenset({"1.2.840.10008.5.1.4.1.1.66.4", "1.2.840.10008.5.1.4.1.1.66.7"})
_LABELMAP = "LABELMAP"
_FRACTIONAL = "FRACTIONAL"
_TURNED = 1e-4
_OFF_PLANE = 0.05


@dataclass(frozen=True, eq=False)
class DicomSegmentation:
    """A DICOM segmentation.

    Attributes:
        labelmap: Values of `Label`, shape (columns, rows, planes).
        affine: Voxel to RAS+ mm.
        frame_of_reference: FrameOfReferenceUID; empty if there is none.
    """

    labelmap: LabelArray
    affine: Affine
    frame_of_reference: str


def read_dicom_segmentation(path: Path) -> DicomSegmentation:
    """Read a DICOM segmentation.

    Raises:
        FileFormatError: If it is damaged or none.
        GeometryError: If its frames are no regular stack.
        LabelError: If a segment with voxels is no label of ours, or segments overlap.
        VolumeError: If it announces too many voxels.
    """
    try:
        read_checked(path, ["SOPClassUID", "Rows", "Columns", "NumberOfFrames", "BitsAllocated"])
        header = read_quietly(path)
        if text_of(header, "SOPClassUID") not in SEGMENTATION_CLASSES:
            raise FileFormatError("the file is DICOM, but no segmentation")
        return _read(header)
    except DAMAGES as error:
        if isinstance(error, FileFormatError | GeometryError):
            raise
        if isinstance(error, ValueError) and hasattr(error, "remedy"):
            raise
        raise FileFormatError(
            f"the DICOM segmentation is damaged ({type(error).__name__})",
            remedy="Export the segmentation again.",
        ) from error


def _read(header: Any) -> DicomSegmentation:
    frames = header.pixel_array
    frames = frames[None] if frames.ndim == 2 else frames
    orientation, spacing_mm, step_mm = _grid_of_frames(header)
    normal = np.cross(orientation[0], orientation[1])
    positions = np.array([_position(header, n) for n in range(len(frames))])
    heights = positions @ normal
    order = heights - heights.min()
    step_mm = _step(order, step_mm)
    places = np.rint(order / step_mm).astype(int)
    if np.abs(order - places * step_mm).max() > _OFF_PLANE * step_mm:
        raise GeometryError(
            "the frames of the segmentation are not evenly spaced",
            remedy="Export the segmentation on the planes of the series that it belongs to.",
        )
    origin = positions[int(np.argmin(heights))]
    expected = origin + np.outer(order, normal)
    if np.abs(positions - expected).max() > _OFF_PLANE * max(step_mm, *spacing_mm):
        raise GeometryError(
            "the frames of the segmentation do not lie above one another",
            remedy="Export the segmentation on the planes of the series that it belongs to.",
        )
    shape = (int(header.Columns), int(header.Rows), int(places.max()) + 1)
    check_size(shape)
    segments = _segments(header)
    layers = _layers(header, frames, places, shape, [s.layer for s in segments])
    matrix = np.eye(4)
    matrix[:3, 0], matrix[:3, 1] = orientation[0] * spacing_mm[1], orientation[1] * spacing_mm[0]
    matrix[:3, 2], matrix[:3, 3] = normal * step_mm, origin
    return DicomSegmentation(
        merged(layers, segments), LPS_TO_RAS @ matrix, text_of(header, "FrameOfReferenceUID")
    )


def _grid_of_frames(header: Any) -> tuple[Vector, tuple[float, float], float | None]:
    """Directions of rows and columns, spacing between rows and columns, and stated step in mm."""
    count = len(header.PerFrameFunctionalGroupsSequence)
    turned: list[Any] = [
        functional(header, "PlaneOrientationSequence", "ImageOrientationPatient", n)
        for n in range(count)
    ]
    directions = np.array([[float(v) for v in one] for one in turned])
    if np.abs(directions - directions[0]).max() > _TURNED:
        raise GeometryError("the frames of the segmentation look different ways")
    measures = "PixelMeasuresSequence"
    spacing: Any = functional(header, measures, "PixelSpacing")
    step = functional(header, measures, "SpacingBetweenSlices")
    step = functional(header, measures, "SliceThickness") if step is None else step
    return (
        directions[0].reshape(2, 3),
        (float(spacing[0]), float(spacing[1])),
        None if step is None else float(step),
    )


def _position(header: Any, frame: int) -> list[float]:
    value: Any = functional(header, "PlanePositionSequence", "ImagePositionPatient", frame)
    return [float(v) for v in value]


def _step(order: npt.NDArray[np.float64], stated_mm: float | None) -> float:
    """Distance between planes: stated, if whole multiples of it are between the frames."""
    gaps = np.diff(np.unique(np.round(order, 4)))
    gaps = gaps[gaps > 1e-3]
    if stated_mm and stated_mm > 0:
        counts = gaps / stated_mm
        if not len(gaps) or np.abs(counts - np.rint(counts)).max() < _OFF_PLANE:
            return _refined(order, stated_mm)
    return _refined(order, float(gaps.min())) if len(gaps) else float(stated_mm or 1.0)


def _refined(order: npt.NDArray[np.float64], step_mm: float) -> float:
    """Step that fits the whole stack: a rounded one drifts over many planes."""
    count = round(float(order.max()) / step_mm)
    return float(order.max()) / count if count else step_mm


def _segments(header: Any) -> list[Segment]:
    """Segments, each with the layer that its voxels are unpacked into."""
    is_labelmap = text_of(header, "SegmentationType") == _LABELMAP
    found = []
    for layer, item in enumerate(header.SegmentSequence):
        codes = tuple(
            (str(code.get("CodeValue") or code.get("LongCodeValue") or ""), str(code.CodeMeaning))
            for code in item.get("SegmentedPropertyTypeCodeSequence", ())
        )
        name = text_of(item, "SegmentLabel") or (codes[0][1] if codes else "")
        number = int(item.SegmentNumber)
        found.append(
            Segment(name, number if is_labelmap else 1, 0 if is_labelmap else layer, codes)
        )
    return found


def _layers(
    header: Any,
    frames: npt.NDArray[Any],
    places: npt.NDArray[np.int_],
    shape: tuple[int, int, int],
    layers: list[int],
) -> npt.NDArray[np.uint8]:
    """Voxels of each layer, shape (layers, columns, rows, planes)."""
    result = np.zeros((max(layers, default=0) + 1, *shape), dtype=np.uint8)
    kind = text_of(header, "SegmentationType")
    if kind == _LABELMAP:
        for frame, k in zip(frames, places, strict=True):
            result[0, :, :, k] = frame.T
        return result
    if kind == _FRACTIONAL:
        frames = frames >= float(header.MaximumFractionalValue) / 2
    numbers = [int(item.SegmentNumber) for item in header.SegmentSequence]
    group = "SegmentIdentificationSequence"
    for n, (frame, k) in enumerate(zip(frames, places, strict=True)):
        number: Any = functional(header, group, "ReferencedSegmentNumber", n)
        result[numbers.index(int(number)), :, :, k] = frame.T
    return result
