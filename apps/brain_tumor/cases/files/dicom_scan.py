"""Finding the DICOM MR series below a folder, and saying what was passed over.

Geometry decides what one volume is. Files are grouped by their SeriesInstanceUID; the same image
sent twice counts once; images at one place are told apart by echo, kind or time; series that are
pieces of one stack are joined. What does not become a regular stack keeps the reason.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from brain_tumor.cases.files.dicom_headers import (
    DAMAGES,
    Vector,
    agent_of_header,
    functional,
    image_type,
    is_dicom,
    number_of,
    orientation_of,
    read_header,
    series_uid_of_damaged,
    text_of,
)
from brain_tumor.cases.files.dicom_joining import (
    ORIENTATION_TOLERANCE,
    SPACING_TOLERANCE_MM,
    has_doubles,
    join_pieces,
)
from brain_tumor.cases.files.dicom_safety import read_quietly
from brain_tumor.cases.files.dicom_series import DicomSeries, Slice
from brain_tumor.cases.files.folders import files_below
from brain_tumor.cases.sequences import Agent
from brain_tumor.errors import FileFormatError, InputError

logger = logging.getLogger(__name__)

_DAMAGED = "the header is damaged"
_MAX_DIRECTIONS = 400  # a radial stack has some hundred
_KINDS = ("kind", "component", "echo", "inversion", "b value", "stack")
"""What tells volumes at one place apart; images that only time tells apart are dynamic."""


@dataclass(frozen=True)
class PassedOver:
    """A file that is no part of any series.

    Attributes:
        path: The file.
        reason: Why, for a person to read.
        is_damaged: True if it cannot be read as DICOM.
        series: SeriesInstanceUID of a damaged file, if it can still be read.
    """

    path: Path
    reason: str
    is_damaged: bool = False
    series: str = ""


@dataclass(frozen=True, eq=False)
class DicomScan:
    """What a folder tree holds.

    Attributes:
        series: MR series by study and number.
        passed_over: DICOM files that are no part of any.
        repeated: Files that hold an image which another file holds, too.
    """

    series: tuple[DicomSeries, ...]
    passed_over: tuple[PassedOver, ...] = ()
    repeated: tuple[Path, ...] = ()

    def check_any_is_sound(self) -> None:
        """Refuse a folder whose DICOM files are all damaged.

        Raises:
            FileFormatError: If there is no series, but damaged files.
        """
        damaged = [one for one in self.passed_over if one.is_damaged]
        if damaged and not self.series:
            raise FileFormatError(
                f"{len(damaged)} DICOM files cannot be read; the first: {damaged[0].reason}"
            )


@dataclass(frozen=True, eq=False)
class _Plane:
    """A slice with what its series is known by."""

    slice: Slice
    header: Any
    study: str
    orientation: Vector
    spacing_mm: Vector


def find_series(folder: Path) -> list[DicomSeries]:
    """MR series below a folder, or in one file; see `scan_dicom`.

    Raises:
        FileFormatError: If there is nothing but damaged files.
    """
    scan = scan_dicom(folder)
    scan.check_any_is_sound()
    return list(scan.series)


def scan_dicom(folder: Path) -> DicomScan:
    """Read the headers of all DICOM files below a folder, links included, or of one file.

    Args:
        folder: Folder that is searched with all its sub-folders, or one DICOM file.

    Returns:
        Series and what was passed over. A series that lacks slices has a `fault`.
    """
    passed: list[PassedOver] = []
    headers: list[tuple[Path, Any]] = []
    for path in files_below(folder) if folder.is_dir() else [folder]:
        if path.name.upper() == "DICOMDIR" or not is_dicom(path):
            continue
        try:
            header, reason = read_header(path)
        except DAMAGES as error:
            passed.append(PassedOver(path, _reason(error), True, series_uid_of_damaged(path)))
            continue
        if header is None:
            passed.append(PassedOver(path, reason))
        else:
            headers.append((path, header))
    studies = _study_keys(headers)
    groups: dict[tuple[Any, ...], list[_Plane]] = {}
    for (path, header), study in zip(headers, studies, strict=True):
        try:
            planes = list(_planes(path, header, study))
            for plane in planes:
                groups.setdefault(_group_key(plane), []).append(plane)
            if not planes:
                passed.append(PassedOver(path, "it has no place in space"))
        except DAMAGES as error:
            passed.append(PassedOver(path, _reason(error), is_damaged=True))
    repeated: list[Path] = []
    found: list[DicomSeries] = []
    for members in groups.values():
        kept, twice = _without_repeats(members)
        repeated += twice
        try:
            built = [one for part in _split_by_direction(kept) for one in _series_of(part)]
            lacking = _lacking(members, passed)
            found += [replace(one, scattered=lacking or one.scattered) for one in built]
        except DAMAGES as error:
            files = dict.fromkeys(plane.slice.path for plane in kept)
            passed += [PassedOver(path, _reason(error), is_damaged=True) for path in files]
    found = join_pieces(found)
    if passed:
        logger.info("%d DICOM files are no MR images of a series", len(passed))
    return DicomScan(
        tuple(sorted(found, key=lambda s: (s.study, s.number, s.label))),
        tuple(passed),
        tuple(repeated),
    )


def _lacking(members: list[_Plane], passed: list[PassedOver]) -> str:
    """What a series lacks because files of it are damaged; empty if it lacks nothing.

    A damaged file belongs to the series that it names, else to the one that fills its folder.
    """
    uid = text_of(members[0].header, "SeriesInstanceUID")
    folders = {plane.slice.path.parent for plane in members}
    lost = [
        one
        for one in passed
        if one.is_damaged and (one.series == uid if one.series else one.path.parent in folders)
    ]
    return f"lacks {len(lost)} images that cannot be read ({lost[0].reason})" if lost else ""


def _reason(error: BaseException) -> str:
    return error.message if isinstance(error, InputError) else _DAMAGED


def _study_keys(headers: list[tuple[Path, Any]]) -> list[str]:
    """Hash of each header's study.

    Studies of one patient, date and frame of reference are one: some archives give every series a
    StudyInstanceUID of its own. Two patients under one UID are two.
    """
    patients: dict[str, set[str]] = {}
    for _, header in headers:
        if patient := text_of(header, "PatientID"):
            patients.setdefault(text_of(header, "StudyInstanceUID"), set()).add(patient)
    keys = []
    for _, header in headers:
        uid, patient = text_of(header, "StudyInstanceUID"), text_of(header, "PatientID")
        is_shared = not uid or len(patients.get(uid, ())) > 1
        keys.append(f"{uid} {patient}" if is_shared else uid)
    merged = {key: key for key in keys}
    first_of: dict[tuple[str, ...], str] = {}
    for key, (_, header) in zip(keys, headers, strict=True):
        place = tuple(text_of(header, k) for k in ("PatientID", "StudyDate", "FrameOfReferenceUID"))
        if not all(place):
            continue
        here, there = _root(merged, key), _root(merged, first_of.setdefault(place, key))
        merged[max(here, there)] = min(here, there)
    return [hashlib.sha256(_root(merged, key).encode()).hexdigest() for key in keys]


def _root(merged: dict[str, str], key: str) -> str:
    while merged[key] != key:
        key = merged[key]
    return key


def _planes(path: Path, header: Any, study: str) -> Iterator[_Plane]:
    """Planes of a file that have a place in space."""
    count = int(header.get("NumberOfFrames") or 1)
    for frame in range(count):
        position = functional(header, "PlanePositionSequence", "ImagePositionPatient", frame)
        spacing = functional(header, "PixelMeasuresSequence", "PixelSpacing", frame)
        orientation = orientation_of(header, frame)
        if position is None or len(position) != 3 or spacing is None or not orientation.any():
            continue
        number = number_of(header, "InstanceNumber")
        one = Slice(
            path,
            frame,
            np.array([float(v) for v in position]),
            text_of(header, "SOPInstanceUID"),
            None if number is None else int(number),
            _marks(header, frame),
            is_enhanced=bool(header.get("PerFrameFunctionalGroupsSequence")),
            is_multi_frame="NumberOfFrames" in header,
            sop_class=text_of(header, "SOPClassUID"),
            series=text_of(header, "SeriesInstanceUID"),
            frame_of_reference=text_of(header, "FrameOfReferenceUID"),
        )
        spacing_mm = np.array([float(spacing[1]), float(spacing[0])])
        yield _Plane(one, header, study, orientation, spacing_mm)


def _marks(header: Any, frame: int) -> dict[str, Any]:
    def of(group: str, keyword: str) -> Any:
        value = functional(header, group, keyword, frame)
        return str(value) if value is not None else None

    echo = functional(header, "MREchoSequence", "EffectiveEchoTime", frame)
    echo = number_of(header, "EchoTime") if echo is None else float(echo)
    return {
        "kind": image_type(header, frame),
        "component": of("MRImageFrameTypeSequence", "ComplexImageComponent"),
        "echo": None if echo is None else round(echo, 1),
        "inversion": of("MRModifierSequence", "InversionTimes") or text_of(header, "InversionTime"),
        "b value": of("MRDiffusionSequence", "DiffusionBValue"),
        "stack": of("FrameContentSequence", "StackID"),
    }


def _group_key(plane: _Plane) -> tuple[Any, ...]:
    """What the planes of one series share; a multi-frame file is a series of its own."""
    header = plane.header
    return (
        plane.study,
        text_of(header, "SeriesInstanceUID"),
        int(header.Columns),
        int(header.Rows),
        plane.slice.path if int(header.get("NumberOfFrames") or 1) > 1 else None,
    )


def _without_repeats(members: list[_Plane]) -> tuple[list[_Plane], list[Path]]:
    """Planes of which each image is there once, and the files of those left out.

    Images are the same if they lie at one place and hold the same stored values.
    """
    places: dict[tuple[float, ...], list[_Plane]] = {}
    for plane in members:
        where = (*np.round(plane.slice.position_mm, 3), *np.round(plane.orientation.ravel(), 3))
        places.setdefault(where, []).append(plane)
    dropped: set[int] = set()
    for planes in places.values():
        paths = {p.slice.path for p in planes}
        if len(paths) < 2:
            continue
        seen: set[tuple[Any, ...]] = set()
        for plane in planes:
            content = (plane.slice.frame, _content(plane.slice.path))
            if content in seen:
                dropped.add(id(plane))
            seen.add(content)
    kept = [plane for plane in members if id(plane) not in dropped]
    return kept, list(dict.fromkeys(p.slice.path for p in members if id(p) in dropped))


def _content(path: Path) -> str:
    """What tells the image of a file from others at its place: echo, kind, stored values."""
    try:
        whole = read_quietly(path, force=True)
        state = hashlib.sha256(bytes(whole.get("PixelData") or b""))
        for keyword in ("RescaleSlope", "RescaleIntercept", "EchoTime", "ImageType"):
            state.update(str(whole.get(keyword)).encode())
        return state.hexdigest()
    except DAMAGES:
        return str(path)


def _split_by_direction(members: list[_Plane]) -> list[list[_Plane]]:
    """Planes that look the same way at one voxel size; localizers look three ways."""
    parts: list[list[_Plane]] = []
    for plane in members:
        for part in parts:
            turned = np.abs(part[0].orientation - plane.orientation).max()
            resized_mm = np.abs(part[0].spacing_mm - plane.spacing_mm).max()
            if turned < ORIENTATION_TOLERANCE and resized_mm < SPACING_TOLERANCE_MM:
                part.append(plane)
                break
        else:
            if len(parts) >= _MAX_DIRECTIONS:
                raise FileFormatError("a series looks more ways than any scanner does")
            parts.append([plane])
    return parts


def _series_of(members: list[_Plane]) -> list[DicomSeries]:
    """Series of planes that share direction and size: one if they are a stack, else its parts."""
    whole = _build(members)
    if not has_doubles(whole):
        return [whole]
    for marks in (*((mark,) for mark in _KINDS), _KINDS):
        parts: dict[Any, list[_Plane]] = {}
        for plane in members:
            parts.setdefault(tuple(plane.slice.marks.get(m) for m in marks), []).append(plane)
        built = [_build(part) for part in parts.values()]
        if len(built) > 1 and not any(has_doubles(one) for one in built):
            return built
    return [replace(whole, is_dynamic=True)]


def _build(members: list[_Plane]) -> DicomSeries:
    """Series of planes that share everything but position."""
    first = members[0]
    header, path = first.header, first.slice.path
    normal = np.cross(first.orientation[0], first.orientation[1])
    slices = sorted((m.slice for m in members), key=lambda s: float(s.position_mm @ normal))
    texts = [text_of(header, keyword) for keyword in ("SeriesDescription", "ProtocolName")]
    names = [*texts, path.parent.name]
    thickness = header.get("SpacingBetweenSlices") or functional(
        header, "PixelMeasuresSequence", "SliceThickness"
    )
    number = number_of(header, "SeriesNumber")
    return DicomSeries(
        study=first.study,
        number=int(number or 0),
        names=tuple(name for name in names if name),
        agent=_agent([m.header for m in members]),
        image_types=frozenset(kind for m in members for kind in m.slice.marks["kind"]),
        orientation=first.orientation,
        spacing_mm=first.spacing_mm,
        thickness_mm=float(thickness or 1.0),
        size=(int(header.Columns), int(header.Rows)),
        slices=tuple(slices),
        echo_ms=first.slice.marks["echo"],
        warnings=_missing_by_count(header, slices),
    )


def _agent(headers: Iterable[Any]) -> Agent:
    """Agent of a series: given if any of its files says so."""
    unique = {id(header): header for header in headers}.values()
    told = Counter(agent_of_header(header) for header in unique)
    return next((a for a in (Agent.GIVEN, Agent.NOT_GIVEN) if told[a]), Agent.UNTOLD)


def _missing_by_count(header: Any, slices: list[Slice]) -> tuple[str, ...]:
    """Warning if the header counts more images than there are, at the ends of a stack."""
    stated = number_of(header, "ImagesInAcquisition")
    files = len({s.path for s in slices})
    if stated is None or not files < stated or files < 2:
        return ()
    return (f"{files} of {int(stated)} images of the series are there; slices may be missing",)
