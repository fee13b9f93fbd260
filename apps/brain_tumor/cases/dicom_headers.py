"""Headers of DICOM MR images, classic and enhanced (multi-frame)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.errors import InvalidDicomError

from brain_tumor.cases.dicom_safety import read_checked

Vector = npt.NDArray[np.float64]

DAMAGES = (
    *(InvalidDicomError, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError),
    *(struct.error, ArithmeticError, NotImplementedError, RecursionError, MemoryError),
)
"""What pydicom raises on a damaged header, some of it only when a value is looked up."""

_PREAMBLE_BYTES = 132
_MR_MODALITIES = frozenset({"MR", ""})
_HEADER_TAGS = [
    *("SOPClassUID", "Modality", "ImageType", "StudyInstanceUID", "SeriesInstanceUID"),
    *("SeriesDescription", "ProtocolName", "SeriesNumber", "ContrastBolusAgent"),
    *("EchoTime", "Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "PixelSpacing"),
    "BitsAllocated",
    *("ImagePositionPatient", "ImageOrientationPatient", "SliceThickness"),
    *("SpacingBetweenSlices", "SharedFunctionalGroupsSequence"),
    *("PerFrameFunctionalGroupsSequence", "PatientName", "PatientID", "PatientIdentityRemoved"),
]


@dataclass(frozen=True)
class Identity:
    """What a header says about the patient; only ever compared, never stored.

    Attributes:
        texts: Patient name parts and id, lower case.
        is_removed: True if the header says that identity was removed.
    """

    texts: frozenset[str]
    is_removed: bool


def is_dicom(path: Path) -> bool:
    """True if a file begins as DICOM files do."""
    try:
        with path.open("rb") as stream:
            return stream.read(_PREAMBLE_BYTES)[128:] == b"DICM"
    except OSError:
        return False


def read_header(path: Path) -> Any | None:
    """Header of an MR image with one number per voxel; None for anything else.

    Raises:
        Exception: One of `DAMAGES` if the header is damaged.
    """
    header = read_checked(path, _HEADER_TAGS)
    is_image = "Rows" in header and "Columns" in header
    is_grey = int(header.get("SamplesPerPixel") or 1) == 1
    is_mr = str(header.get("Modality", "")) in _MR_MODALITIES
    return header if is_image and is_grey and is_mr else None


def read_identity(path: Path) -> Identity:
    """Texts of one file that could name the patient. An unreadable header names nobody."""
    try:
        header = read_checked(path, _HEADER_TAGS)
    except DAMAGES:
        return Identity(frozenset(), is_removed=False)
    name = str(header.get("PatientName", "")).replace("^", " ").replace("=", " ")
    texts = {*name.lower().split(), str(header.get("PatientID", "")).strip().lower()}
    is_removed = str(header.get("PatientIdentityRemoved", "")).upper() == "YES"
    return Identity(frozenset(t for t in texts if len(t) > 2), is_removed)


def functional(header: Any, group: str, keyword: str, frame: int = 0) -> Any | None:
    """Attribute of a classic header, or of a frame's functional groups in an enhanced one."""
    if header.get(keyword) is not None:
        return header.get(keyword)
    frames = header.get("PerFrameFunctionalGroupsSequence") or []
    shared = header.get("SharedFunctionalGroupsSequence") or []
    for item in (*frames[frame : frame + 1], *shared[:1]):
        macro = item.get(group)
        if macro and macro[0].get(keyword) is not None:
            return macro[0].get(keyword)
    return None


def orientation_of(header: Any) -> Vector:
    """Row and column direction, (2, 3); zeros if the header gives none."""
    values = functional(header, "PlaneOrientationSequence", "ImageOrientationPatient")
    if values is None or len(values) != 6:
        return np.zeros((2, 3))
    return np.array([float(v) for v in values]).reshape(2, 3)
