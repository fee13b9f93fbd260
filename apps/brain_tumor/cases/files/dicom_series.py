"""DICOM MR series: what one is, its geometry, and reading it as a volume.

Geometry comes from the headers in float64; voxels are decoded by GDCM (through SimpleITK), which
also applies the rescale slope of each slice. Classic and enhanced (multi-frame) MR are read.

References:
    DICOM PS3.3 C.7.6.2.1.1 (image position and orientation; patient coordinates are LPS+).
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from brain_tumor.cases.files.dicom_decoding import decode
from brain_tumor.cases.files.dicom_headers import DAMAGES, Vector, functional, has_preamble
from brain_tumor.cases.files.dicom_safety import read_quietly
from brain_tumor.cases.files.nrrd_files import LPS_TO_RAS
from brain_tumor.cases.files.stored import StoredVolume, check_size
from brain_tumor.cases.sequences import Agent, Sequence, names_other_image, read_name
from brain_tumor.cases.volume import Affine
from brain_tumor.errors import FileFormatError, GeometryError, InputError

SLICE_TOLERANCE = 0.1
"""How far a slice may lie from its place in a regular stack, as a share of the slice distance."""
MIN_SLICE_DISTANCE_MM = 1e-3
"""Images closer than this lie at one place."""
OTHER_IMAGE_TYPES = frozenset(
    {"LOCALIZER", "PROJECTION IMAGE", "MIP", "MINIP", "MIP_SUM", "SUBTRACTION", "SUBTRACT", "ADC"}
    | {"TRACEW", "FA", "PERFUSION", "DIFFUSION", "PHASE", "PHASE MAP", "P", "VELOCITY", "T1 MAP"}
    | {
        "T2 MAP",
        "REAL",
        "IMAGINARY",
        "R",
        "I",
        "F",
        "FAT",
        "OPP_PHASE",
        "OUT_PHASE",
        "B0 MAP",
        "FIELD_MAP",
        "SCREEN SAVE",
    }
)
"""Values of ImageType that make an image something else than the four sequences."""
REFORMATTED = frozenset({"REFORMATTED", "MPR", "RESAMPLED", "AVERAGE"})
"""Values of ImageType of images that were made of others; these are second choice."""


@dataclass(frozen=True, eq=False)
class Slice:
    """One image plane.

    Attributes:
        path: File that holds it.
        frame: Its place in the file; 0 in classic DICOM.
        position_mm: LPS+ mm of the centre of its first voxel.
        uid: SOPInstanceUID of the file.
        number: InstanceNumber, None if there is none.
        marks: What else tells images at one place apart, by attribute: echo, kind and so on.
        is_enhanced: True if the file holds functional groups for each frame.
        is_multi_frame: True if the file says how many frames it has.
        sop_class: SOPClassUID of the file.
        series: SeriesInstanceUID of the file.
        frame_of_reference: FrameOfReferenceUID of the file.
    """

    path: Path
    frame: int
    position_mm: Vector
    uid: str = ""
    number: int | None = None
    marks: Mapping[str, Any] = field(default_factory=dict)
    is_enhanced: bool = False
    is_multi_frame: bool = False
    sop_class: str = ""
    series: str = ""
    frame_of_reference: str = ""


@dataclass(frozen=True, eq=False)
class DicomSeries:
    """Image planes of one orientation and size that are, or should be, one volume.

    Attributes:
        study: Hash of the study's UID; tells studies apart without naming a patient.
        number: SeriesNumber, 0 if there is none.
        names: Texts that may name the sequence, the most telling first.
        agent: What the header says about contrast agent.
        image_types: Values of ImageType of any of its images.
        orientation: Unit vectors along a row and along a column, LPS+, shape (2, 3).
        spacing_mm: Distance between voxels along a row and along a column.
        thickness_mm: Slice distance or thickness that the header states; for single slices.
        size: Columns and rows.
        slices: Planes in the order of the slice normal.
        echo_ms: EchoTime, None if there is none.
        is_dynamic: True if the planes are time points of one place.
        scattered: Why planes that belong together make no volume; empty if they do.
        warnings: What a reader of the results must know.
    """

    study: str
    number: int
    names: tuple[str, ...]
    agent: Agent
    image_types: frozenset[str]
    orientation: Vector
    spacing_mm: Vector
    thickness_mm: float
    size: tuple[int, int]
    slices: tuple[Slice, ...]
    echo_ms: float | None = None
    is_dynamic: bool = False
    scattered: str = ""
    warnings: tuple[str, ...] = ()

    @property
    def label(self) -> str:
        """How a message calls the series."""
        return f"series {self.number} ({self.names[0] if self.names else 'no description'})"

    @property
    def is_localizer(self) -> bool:
        """True for planning scans."""
        return "LOCALIZER" in self.image_types

    @property
    def is_reformatted(self) -> bool:
        """True for images that were computed from others of the study."""
        return not REFORMATTED.isdisjoint(self.image_types)

    @cached_property
    def sequence(self) -> Sequence | None:
        """Sequence that the series is, by the first of its names that settles it.

        Whether contrast agent was given is told by that name, else by the header, else by another
        of its names.
        """
        if not OTHER_IMAGE_TYPES.isdisjoint(self.image_types):
            return None
        for name in self.names:
            reading = read_name(name)
            if reading.is_other or reading.agent is Agent.BOTH:
                return None
            if reading.sequence is Sequence.T1 and reading.agent is Agent.UNTOLD:
                return Sequence.T1C if self.told_agent is Agent.GIVEN else Sequence.T1
            if reading.sequence is not None:
                return reading.sequence
        return None

    @cached_property
    def told_agent(self) -> Agent:
        """Whether contrast agent was given, by names and header; `UNTOLD` if nothing says so."""
        t1 = (Sequence.T1, Sequence.T1C)
        readings = [read for name in self.names if (read := read_name(name)).sequence in t1]
        if readings and readings[0].agent is not Agent.UNTOLD:
            return readings[0].agent
        if self.agent is not Agent.UNTOLD:
            return self.agent
        told = [read.agent for read in readings[1:] if read.agent is not Agent.UNTOLD]
        return told[0] if told else Agent.UNTOLD

    @property
    def is_other(self) -> bool:
        """True if the series is known to be none of the four sequences."""
        if not OTHER_IMAGE_TYPES.isdisjoint(self.image_types):
            return True
        return self.sequence is None and any(names_other_image(name) for name in self.names)

    @property
    def coarsest_mm(self) -> float:
        """Largest distance between neighbouring voxels, in mm."""
        distance_mm = self.thickness_mm
        if len(self.slices) > 1:
            distance_mm = float(np.linalg.norm(_slice_step(self)))
        return max(distance_mm, *(float(s) for s in self.spacing_mm))

    @cached_property
    def fault(self) -> InputError | None:
        """Why its planes make no volume; None if they do, as far as headers tell."""
        try:
            series_affine(self)
        except InputError as error:
            return error
        return None

    def files(self) -> list[Path]:
        """Files of the series, each once, in slice order."""
        return list(dict.fromkeys(s.path for s in self.slices))


def read_series(series: DicomSeries) -> StoredVolume:
    """Read the voxels of a series.

    Axis I runs along a row of the image, J down a column, K along the slice normal.

    Raises:
        FileFormatError: If pixel data are damaged or cut short.
        GeometryError: If slices are missing, doubled or not evenly spaced.
        VolumeError: If there are too many voxels.
    """
    check_size((*series.size, len(series.slices)))
    affine = series_affine(series)
    files = series.files()
    is_classic = not any(s.is_enhanced for s in series.slices) and all(map(has_preamble, files))
    try:
        if len(files) == len(series.slices) > 1 and is_classic:
            array = decode(files, math.prod(series.size) * len(files))
        else:
            frames = {path: _decode_frames(path) for path in files}
            array = np.stack([frames[s.path][:, :, s.frame] for s in series.slices], axis=-1)
    except FileFormatError as error:
        raise FileFormatError(f"{series.label}: {error.message}", remedy=error.remedy) from error
    except (RuntimeError, IndexError, *DAMAGES) as error:
        raise FileFormatError(
            f"{series.label}: pixel data of {len(files)} files cannot be decoded; "
            "a file is cut short, damaged or of an unknown compression"
        ) from error
    if array.shape != (*series.size, len(series.slices)):
        raise FileFormatError(
            f"{series.label}: pixel data have the shape {array.shape}; "
            f"expected {(*series.size, len(series.slices))}"
        )
    return StoredVolume(array, affine, series.warnings)


def series_affine(series: DicomSeries) -> Affine:
    """Voxel to RAS+ mm.

    Raises:
        GeometryError: If the slices are no regular stack.
    """
    if series.scattered:
        raise GeometryError(
            f"{series.label} {series.scattered}",
            remedy="Export the complete series again, as one series.",
        )
    lengths = np.linalg.norm(series.orientation, axis=1)
    cosine = float(series.orientation[0] @ series.orientation[1])
    if np.abs(lengths - 1.0).max() > 0.01 or abs(cosine) > 0.01:
        raise GeometryError(f"{series.label}: row and column directions are not perpendicular")
    positions = np.array([s.position_mm for s in series.slices])
    step = _slice_step(series)
    distance_mm = float(np.linalg.norm(step))
    gaps_mm = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    if series.is_dynamic or (len(gaps_mm) and gaps_mm.min() < MIN_SLICE_DISTANCE_MM):
        raise GeometryError(
            f"{series.label} holds several images at one place; expected one volume",
            remedy="Export the echoes or time points as separate series.",
        )
    regular = positions[0] + np.arange(len(positions))[:, None] * step
    deviation_mm = float(np.linalg.norm(positions - regular, axis=1).max())
    if deviation_mm > SLICE_TOLERANCE * distance_mm:
        raise GeometryError(
            f"{series.label}: slices are not evenly spaced (distances {gaps_mm.min():.2f} to "
            f"{gaps_mm.max():.2f} mm); slices are missing",
            remedy="Export the complete series again.",
        )
    affine = np.eye(4)
    affine[:3, 0] = series.orientation[0] * series.spacing_mm[0]
    affine[:3, 1] = series.orientation[1] * series.spacing_mm[1]
    affine[:3, 2] = step
    affine[:3, 3] = positions[0]
    ras: Affine = LPS_TO_RAS @ affine
    return ras


def _slice_step(series: DicomSeries) -> Vector:
    """Mean vector from slice to slice, LPS+ mm."""
    normal = np.cross(series.orientation[0], series.orientation[1])
    if len(series.slices) == 1:
        thin: Vector = normal * series.thickness_mm
        return thin
    span = series.slices[-1].position_mm - series.slices[0].position_mm
    step: Vector = span / (len(series.slices) - 1)
    return step


def _decode_frames(path: Path) -> npt.NDArray[Any]:
    """Frames of one file, shape (columns, rows, frames), the rescale of each frame applied.

    GDCM knows one slope a file, so the slopes of enhanced files are taken out of a copy before it
    decodes the stored values.
    """
    header = read_quietly(path, stop_before_pixels=True, force=True)
    slopes = _frame_slopes(header)
    if slopes is None:
        return _decode_file(path)
    whole = read_quietly(path, force=True)
    for item in [whole, *whole.get("PerFrameFunctionalGroupsSequence", [])]:
        _drop_rescale(item)
    for item in whole.get("SharedFunctionalGroupsSequence", []):
        _drop_rescale(item)
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "stored.dcm"
        whole.save_as(copy, write_like_original=False)
        stored = _decode_file(copy)
    scaled: npt.NDArray[Any] = stored * slopes[:, 0] + slopes[:, 1]
    return scaled.astype(np.float32)


def _decode_file(path: Path) -> npt.NDArray[Any]:
    try:
        return decode([path], _voxels(path))
    except RuntimeError:
        if has_preamble(path):
            raise
        return _decode_bare(path)


def _decode_bare(path: Path) -> npt.NDArray[Any]:
    """Voxels of a file without preamble, which GDCM may not know, from a copy that has one."""
    whole = read_quietly(path, force=True)
    if "TransferSyntaxUID" not in whole.file_meta:
        little = ExplicitVRLittleEndian if not whole.is_implicit_VR else ImplicitVRLittleEndian
        whole.file_meta.TransferSyntaxUID = (
            little if whole.is_little_endian else ExplicitVRBigEndian
        )
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "whole.dcm"
        whole.save_as(copy, write_like_original=False)
        return decode([copy], _voxels(path))


def _voxels(path: Path) -> int:
    """How many voxels a file announces; checked against its length when it was found."""
    tags = ["Rows", "Columns", "NumberOfFrames"]
    header = read_quietly(path, stop_before_pixels=True, force=True, specific_tags=tags)
    return int(header.Rows) * int(header.Columns) * int(header.get("NumberOfFrames") or 1)


def _frame_slopes(header: Any) -> npt.NDArray[np.float64] | None:
    """Slope and intercept of each frame of an enhanced file; None if no frame has any."""
    frames = header.get("PerFrameFunctionalGroupsSequence")
    if not frames:
        return None
    group = "PixelValueTransformationSequence"
    pairs = [
        [
            functional(header, group, keyword, frame)
            for keyword in ("RescaleSlope", "RescaleIntercept")
        ]
        for frame in range(len(frames))
    ]
    if all(value is None for pair in pairs for value in pair):
        return None
    return np.array(
        [[1.0 if a is None else float(a), 0.0 if b is None else float(b)] for a, b in pairs]
    )


def _drop_rescale(item: Any) -> None:
    for keyword in ("RescaleSlope", "RescaleIntercept", "PixelValueTransformationSequence"):
        if keyword in item:
            delattr(item, keyword)
