"""Headers of DICOM MR images, classic and enhanced (multi-frame)."""

from __future__ import annotations

import struct
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from pydicom.errors import InvalidDicomError

from brain_tumor.cases.files.dicom_safety import read_checked, read_up_to
from brain_tumor.cases.sequences import Agent, agent_of_text

Vector = npt.NDArray[np.float64]

DAMAGES = (
    *(InvalidDicomError, OSError, EOFError, ValueError, LookupError, TypeError, AttributeError),
    *(struct.error, ArithmeticError, NotImplementedError, RecursionError, MemoryError),
)
"""What pydicom raises on a damaged header, some of it only when a value is looked up."""

_PREAMBLE_BYTES = 132
_MAX_FIRST_ELEMENT_BYTES = 256
_MR_MODALITIES = frozenset({"MR", ""})
_HEADER_TAGS = [
    *("SOPClassUID", "SOPInstanceUID", "Modality", "ImageType", "StudyInstanceUID"),
    *("SeriesInstanceUID", "StudyDate", "FrameOfReferenceUID", "SeriesDescription"),
    *("ProtocolName", "SeriesNumber", "InstanceNumber", "AcquisitionNumber", "AcquisitionTime"),
    *("ContrastBolusAgent", "ContrastBolusAgentSequence", "ContrastBolusVolume"),
    *("ContrastBolusRoute", "ContrastBolusStartTime", "ContrastBolusIngredient"),
    *("EchoTime", "EchoNumbers", "InversionTime", "TemporalPositionIdentifier", "TriggerTime"),
    *("DiffusionBValue", "ComplexImageComponent", "ImagesInAcquisition", "RescaleSlope"),
    *("Rows", "Columns", "SamplesPerPixel", "NumberOfFrames", "PixelSpacing", "BitsAllocated"),
    *("ImagePositionPatient", "ImageOrientationPatient", "SliceThickness"),
    *("SpacingBetweenSlices", "SharedFunctionalGroupsSequence"),
    *("PerFrameFunctionalGroupsSequence", "PatientName", "PatientID", "PatientIdentityRemoved"),
    "PatientBirthDate",
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
    """True if a file begins as DICOM files do, with or without the preamble.

    Without one, the first element is in group 0002 or 0008 of little or big endian, its length is
    small and, where it is explicit, its kind of value is two capitals.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(_PREAMBLE_BYTES)
    except OSError:
        return False
    return start[128:] == b"DICM" or _is_bare_dataset(start)


def has_preamble(path: Path) -> bool:
    """True if a file begins with the 128 bytes and the sign of DICOM files."""
    with path.open("rb") as stream:
        return stream.read(_PREAMBLE_BYTES)[128:] == b"DICM"


def _is_bare_dataset(start: bytes) -> bool:
    if len(start) < 16 or start[:2] not in (b"\x02\x00", b"\x08\x00", b"\x00\x08"):
        return False
    order = "big" if start[:2] == b"\x00\x08" else "little"
    if int.from_bytes(start[2:4], order) > 0x0070:  # type: ignore[arg-type]
        return False
    kind = start[4:6]
    if kind.isalpha() and kind.isupper():
        length = int.from_bytes(start[6:8], order)  # type: ignore[arg-type]
    else:
        length = int.from_bytes(start[4:8], order)  # type: ignore[arg-type]
    return length <= _MAX_FIRST_ELEMENT_BYTES


def _read(path: Path) -> Any:
    with warnings.catch_warnings():  # what is odd in a header shows in what is missing from it
        warnings.simplefilter("ignore")
        return read_checked(path, _HEADER_TAGS, force=True)


def read_header(path: Path) -> tuple[Any | None, str]:
    """Header of an MR image with one number per voxel.

    Returns:
        The header and an empty text; for anything else None and why.

    Raises:
        Exception: One of `DAMAGES` if the header is damaged.
    """
    header = _read(path)
    modality = str(header.get("Modality", "") or "")
    if "Rows" not in header or "Columns" not in header:
        is_known = modality or header.get("SOPClassUID") is not None
        return None, f"{modality or 'DICOM'} without an image" if is_known else "no DICOM image"
    if int(header.get("SamplesPerPixel") or 1) != 1:
        return None, "a colour image"
    if modality not in _MR_MODALITIES:
        return None, f"modality {modality}, not MR"
    if "MOSAIC" in image_type(header):
        return None, "a mosaic of many slices in one image"
    return header, ""


def series_uid_of_damaged(path: Path) -> str:
    """SeriesInstanceUID of a file whose header or pixel data are damaged; empty if it is lost."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            header = read_up_to(path, "SeriesInstanceUID")
        return text_of(header, "SeriesInstanceUID")
    except DAMAGES:
        return ""


def read_identity(path: Path) -> Identity:
    """Texts of one file that could name the patient. An unreadable header names nobody."""
    try:
        header = _read(path)
    except DAMAGES:
        return Identity(frozenset(), is_removed=False)
    name = str(header.get("PatientName", "")).replace("^", " ").replace("=", " ")
    texts = {*name.lower().split(), str(header.get("PatientID", "")).strip().lower()}
    is_removed = str(header.get("PatientIdentityRemoved", "")).upper() == "YES"
    return Identity(frozenset(t for t in texts if len(t) > 2), is_removed)


def text_of(header: Any, keyword: str) -> str:
    """Attribute as text without spaces around it; empty if there is none."""
    return str(header.get(keyword, "") or "").strip()


def number_of(header: Any, keyword: str) -> float | None:
    """Attribute as a number; None if there is none or it is no number."""
    try:
        return float(header.get(keyword))
    except (TypeError, ValueError):
        return None


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


def orientation_of(header: Any, frame: int = 0) -> Vector:
    """Row and column direction, (2, 3); zeros if the header gives none."""
    values = functional(header, "PlaneOrientationSequence", "ImageOrientationPatient", frame)
    if values is None or len(values) != 6:
        return np.zeros((2, 3))
    return np.array([float(v) for v in values]).reshape(2, 3)


def image_type(header: Any, frame: int = 0) -> tuple[str, ...]:
    """Values of ImageType, or of a frame's FrameType, in capitals."""
    values = None
    frames = header.get("PerFrameFunctionalGroupsSequence") or []
    for item in frames[frame : frame + 1]:
        macro = item.get("MRImageFrameTypeSequence")
        values = macro[0].get("FrameType") if macro else None
    values = values or header.get("ImageType") or ()
    return tuple(str(v).strip().upper() for v in ([values] if isinstance(values, str) else values))


def agent_of_header(header: Any) -> Agent:
    """What a header says about contrast agent, by all attributes that speak of it.

    The agent's name counts first: "NONE", "No" and "0" mean none. Without a name its code, volume,
    route, ingredient and start time do. Images taken before the start time are native.
    """
    texts = [text_of(header, "ContrastBolusAgent")]
    for item in header.get("ContrastBolusAgentSequence") or ():
        texts += [text_of(item, "CodeMeaning")]
        texts += [
            text_of(code, "CodeMeaning")
            for code in item.get("ContrastBolusIngredientCodeSequence") or ()
        ]
    texts.append(text_of(header, "ContrastBolusIngredient"))
    told = [agent for text in texts if (agent := agent_of_text(text)) is not Agent.UNTOLD]
    agent = told[0] if told else _agent_of_its_giving(header)
    start, taken = number_of(header, "ContrastBolusStartTime"), number_of(header, "AcquisitionTime")
    if agent is Agent.GIVEN and start and taken and taken < start:
        return Agent.NOT_GIVEN
    return agent


def _agent_of_its_giving(header: Any) -> Agent:
    volume = number_of(header, "ContrastBolusVolume")
    route = agent_of_text(text_of(header, "ContrastBolusRoute"))
    start = number_of(header, "ContrastBolusStartTime")
    if (volume or 0) > 0 or (start or 0) > 0 or route is Agent.GIVEN:
        return Agent.GIVEN
    is_coded = any(item.get("CodeValue") for item in header.get("ContrastBolusAgentSequence") or ())
    return Agent.GIVEN if is_coded else route
