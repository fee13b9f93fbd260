"""DICOM MR series: finding them in a folder tree and reading one as a volume.

Geometry comes from the headers in float64; voxels are decoded by GDCM (through SimpleITK), which
also applies the rescale slope of each slice. Classic and enhanced (multi-frame) MR are read.

References:
    DICOM PS3.3 C.7.6.2.1.1 (image position and orientation; patient coordinates are LPS+).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from brain_tumor.cases.dicom_headers import (
    DAMAGES,
    Vector,
    functional,
    is_dicom,
    orientation_of,
    read_header,
)
from brain_tumor.cases.itk import itk
from brain_tumor.cases.nrrd_files import LPS_TO_RAS
from brain_tumor.cases.sequences import Sequence, names_other_image, recognise_sequence
from brain_tumor.cases.stored import StoredVolume, check_size
from brain_tumor.cases.volume import Affine
from brain_tumor.errors import FileFormatError, GeometryError, InputError

logger = logging.getLogger(__name__)

SLICE_TOLERANCE = 0.1
"""How far a slice may lie from its place in a regular stack, as a share of the slice distance."""
_ORIENTATION_TOLERANCE = 1e-3
_MIN_SLICE_DISTANCE_MM = 1e-3
_MAX_ORIENTATIONS = 400  # a radial stack has some hundred


@dataclass(frozen=True, eq=False)
class Slice:
    """One image plane.

    Attributes:
        path: File that holds it.
        frame: Its place in the file; 0 in classic DICOM.
        position_mm: LPS+ mm of the centre of its first voxel.
    """

    path: Path
    frame: int
    position_mm: Vector


@dataclass(frozen=True, eq=False)
class DicomSeries:
    """Image planes of one orientation, size and echo of one series.

    Attributes:
        study: Hash of the study's UID; tells studies apart without naming a patient.
        number: SeriesNumber, 0 if there is none.
        names: Texts that may name the sequence, the most telling first.
        agent_given: True if the header names a contrast agent.
        is_localizer: True for planning scans.
        orientation: Unit vectors along a row and along a column, LPS+, shape (2, 3).
        spacing_mm: Distance between voxels along a row and along a column.
        thickness_mm: Slice distance or thickness that the header states; for single slices.
        size: Columns and rows.
        slices: Planes in the order of the slice normal.
    """

    study: str
    number: int
    names: tuple[str, ...]
    agent_given: bool
    is_localizer: bool
    orientation: Vector
    spacing_mm: Vector
    thickness_mm: float
    size: tuple[int, int]
    slices: tuple[Slice, ...]

    @property
    def label(self) -> str:
        """How a message calls the series."""
        return f"series {self.number} ({self.names[0] if self.names else 'no description'})"

    @property
    def sequence(self) -> Sequence | None:
        """Sequence that the series is, by the first of its names that settles it."""
        for name in () if self.is_localizer else self.names:
            sequence = recognise_sequence(name, agent_given=self.agent_given)
            if sequence is not None or names_other_image(name):
                return sequence
        return None

    @property
    def is_other(self) -> bool:
        """True if the series is known to be none of the four sequences."""
        if self.is_localizer:
            return True
        return self.sequence is None and any(names_other_image(name) for name in self.names)

    @property
    def coarsest_mm(self) -> float:
        """Largest distance between neighbouring voxels, in mm."""
        distance_mm = self.thickness_mm
        if len(self.slices) > 1:
            distance_mm = float(np.linalg.norm(_slice_step(self)))
        return max(distance_mm, *(float(s) for s in self.spacing_mm))

    def files(self) -> list[Path]:
        """Files of the series, each once, in slice order."""
        return list(dict.fromkeys(s.path for s in self.slices))


def find_series(folder: Path) -> list[DicomSeries]:
    """MR series below a folder, or in one file.

    Args:
        folder: Folder that is searched with all its sub-folders, or one DICOM file.

    Returns:
        Series by study and number. Other modalities, colour images and damaged files are
        passed over; a series that lacks slices for that reason is refused when it is read.

    Raises:
        FileFormatError: If there is nothing but damaged files.
    """
    groups: dict[tuple[Any, ...], list[tuple[Path, Any]]] = {}
    damaged = 0
    problem = "the header is damaged"
    for path in _dicom_files(folder):
        try:
            header = read_header(path)
            if header is not None:
                groups.setdefault(_group_key(path, header), []).append((path, header))
        except DAMAGES as error:
            problem = error.message if isinstance(error, InputError) and not damaged else problem
            damaged += 1
    found: list[DicomSeries] = []
    for members in groups.values():
        try:
            parts = _split_by_orientation(members)
            found += [series for part in parts if (series := _build_series(part)) is not None]
        except DAMAGES:
            damaged += len(members)
    if damaged and not found:
        raise FileFormatError(f"{damaged} DICOM files cannot be read; the first: {problem}")
    if damaged:
        logger.warning("%d damaged DICOM files were passed over", damaged)
    return sorted(found, key=lambda s: (s.study, s.number, s.label))


def read_series(series: DicomSeries) -> StoredVolume:
    """Read the voxels of a series.

    Axis I runs along a row of the image, J down a column, K along the slice normal.

    Raises:
        FileFormatError: If pixel data are damaged or cut short.
        GeometryError: If slices are missing, doubled or not evenly spaced.
        VolumeError: If there are too many voxels.
    """
    check_size((*series.size, len(series.slices)))
    affine = _affine(series)
    files = series.files()
    try:
        if len(files) == 1:
            image = itk.ReadImage(str(files[0]), itk.sitkFloat32, imageIO="GDCMImageIO")
        else:
            reader = itk.ImageSeriesReader()
            reader.SetImageIO("GDCMImageIO")
            reader.SetFileNames([str(path) for path in files])
            reader.SetOutputPixelType(itk.sitkFloat32)
            image = reader.Execute()
    except RuntimeError as error:
        raise FileFormatError(
            f"{series.label}: pixel data of {len(files)} files cannot be decoded; "
            "a file is cut short, damaged or of an unknown compression"
        ) from error
    array = itk.GetArrayFromImage(image).T
    if len(files) == 1:
        array = array[:, :, [s.frame for s in series.slices]]
    if array.shape != (*series.size, len(series.slices)):
        raise FileFormatError(
            f"{series.label}: pixel data have the shape {array.shape}; "
            f"expected {(*series.size, len(series.slices))}"
        )
    return StoredVolume(array, affine)


def _dicom_files(folder: Path) -> Iterator[Path]:
    candidates: Iterable[Path] = sorted(folder.rglob("*")) if folder.is_dir() else [folder]
    for path in candidates:
        if path.is_file() and path.name != "DICOMDIR" and is_dicom(path):
            yield path


def _group_key(path: Path, header: Any) -> tuple[Any, ...]:
    """What the planes of one volume share; an enhanced file is a volume of its own."""
    echo = header.get("EchoTime")
    return (
        str(header.get("StudyInstanceUID", "")),
        str(header.get("SeriesInstanceUID", "")),
        int(header.Columns),
        int(header.Rows),
        None if echo is None else round(float(echo), 1),
        path if int(header.get("NumberOfFrames") or 1) > 1 else None,
    )


def _split_by_orientation(members: list[tuple[Path, Any]]) -> list[list[tuple[Path, Any]]]:
    """Members that look the same way; localizers hold three ways in one series."""
    parts: list[tuple[Vector, list[tuple[Path, Any]]]] = []
    for path, header in members:
        orientation = orientation_of(header)
        for known, part in parts:
            if np.abs(known - orientation).max() < _ORIENTATION_TOLERANCE:
                part.append((path, header))
                break
        else:
            if len(parts) >= _MAX_ORIENTATIONS:
                raise FileFormatError("a series looks more ways than any scanner does")
            parts.append((orientation, [(path, header)]))
    return [part for _, part in parts]


def _build_series(members: list[tuple[Path, Any]]) -> DicomSeries | None:
    """Series of members that share everything but position; None without a place in space."""
    path, header = members[0]
    orientation = orientation_of(header)
    spacing = functional(header, "PixelMeasuresSequence", "PixelSpacing")
    slices = [s for member in members for s in _slices(*member)]
    if spacing is None or not slices or not orientation.any():
        logger.debug("passing over a DICOM series without a place in space")
        return None
    normal = np.cross(orientation[0], orientation[1])
    slices.sort(key=lambda s: float(s.position_mm @ normal))
    texts = [header.get(keyword, "") for keyword in ("SeriesDescription", "ProtocolName")]
    names = [str(text).strip() for text in (*texts, path.parent.name)]
    thickness = header.get("SpacingBetweenSlices") or functional(
        header, "PixelMeasuresSequence", "SliceThickness"
    )
    study = str(header.get("StudyInstanceUID", ""))
    return DicomSeries(
        study=hashlib.sha256(study.encode()).hexdigest(),
        number=int(header.get("SeriesNumber") or 0),
        names=tuple(name for name in names if name),
        agent_given=bool(str(header.get("ContrastBolusAgent", "") or "").strip()),
        is_localizer="LOCALIZER" in [str(t).upper() for t in header.get("ImageType") or ()],
        orientation=orientation,
        spacing_mm=np.array([float(spacing[1]), float(spacing[0])]),
        thickness_mm=float(thickness or 1.0),
        size=(int(header.Columns), int(header.Rows)),
        slices=tuple(slices),
    )


def _slices(path: Path, header: Any) -> Iterator[Slice]:
    for frame in range(int(header.get("NumberOfFrames") or 1)):
        position = functional(header, "PlanePositionSequence", "ImagePositionPatient", frame)
        if position is not None and len(position) == 3:
            yield Slice(path, frame, np.array([float(v) for v in position]))


def _slice_step(series: DicomSeries) -> Vector:
    """Mean vector from slice to slice, LPS+ mm."""
    normal = np.cross(series.orientation[0], series.orientation[1])
    if len(series.slices) == 1:
        thin: Vector = normal * series.thickness_mm
        return thin
    span = series.slices[-1].position_mm - series.slices[0].position_mm
    step: Vector = span / (len(series.slices) - 1)
    return step


def _affine(series: DicomSeries) -> Affine:
    """Voxel to RAS+ mm.

    Raises:
        GeometryError: If the slices are no regular stack.
    """
    lengths = np.linalg.norm(series.orientation, axis=1)
    cosine = float(series.orientation[0] @ series.orientation[1])
    if np.abs(lengths - 1.0).max() > 0.01 or abs(cosine) > 0.01:
        raise GeometryError(f"{series.label}: row and column directions are not perpendicular")
    positions = np.array([s.position_mm for s in series.slices])
    step = _slice_step(series)
    distance_mm = float(np.linalg.norm(step))
    gaps_mm = np.linalg.norm(np.diff(positions, axis=0), axis=1)
    if len(gaps_mm) and gaps_mm.min() < _MIN_SLICE_DISTANCE_MM:
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
