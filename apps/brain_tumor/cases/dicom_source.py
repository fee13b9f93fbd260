"""Where a case comes from in DICOM: the identity that results need to refer to their source.

It is kept in a file of its own beside the case's record, for the user who made it alone, and never
logged, served or shown. Only what is named here is kept; every other attribute is left behind.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from brain_tumor.cases.files.dicom_headers import DAMAGES, text_of
from brain_tumor.cases.files.dicom_safety import read_quietly
from brain_tumor.cases.files.dicom_series import DicomSeries
from brain_tumor.cases.files.nrrd_files import LPS_TO_RAS
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.study_layout import sequences_folder
from brain_tumor.cases.volume import Affine
from brain_tumor.errors import StorageError

SOURCE_NAME = "source.json"
SOURCE_FORMAT = 1
PATIENT_AND_STUDY = (
    *("PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex"),
    *("StudyInstanceUID", "StudyDate", "StudyTime", "StudyID", "AccessionNumber"),
    *("ReferringPhysicianName", "StudyDescription", "SpecificCharacterSet"),
    *("PatientIdentityRemoved", "DeidentificationMethod"),
)
"""Attributes of the patient and study modules that are kept, by DICOM keyword."""
UNICODE = "ISO_IR 192"
"""Texts are kept as Unicode, so what is written from them says so."""


@dataclass(frozen=True)
class SourcePlane:
    """Image plane of a series.

    Attributes:
        instance: SOPInstanceUID.
        sop_class: SOPClassUID.
        series: SeriesInstanceUID.
        frame: Number of the frame in a multi-frame image, from 1; 0 in classic DICOM.
        position: ImagePositionPatient as the header writes it.
    """

    instance: str
    sop_class: str
    series: str
    frame: int
    position: tuple[str, str, str]


@dataclass(frozen=True)
class SourceSeries:
    """Series behind one sequence, with the geometry of its grid.

    Attributes:
        frame_of_reference: FrameOfReferenceUID; empty if the header has none.
        orientation: ImageOrientationPatient, six numbers.
        spacing: PixelSpacing: between rows, between columns, in mm.
        thickness: SliceThickness in mm.
        columns: Columns of an image, the first axis of the case's volume.
        rows: Rows of an image, the second axis.
        planes: In the order of the third axis.
        description: SeriesDescription.
    """

    frame_of_reference: str
    orientation: tuple[str, ...]
    spacing: tuple[str, str]
    thickness: str
    columns: int
    rows: int
    planes: tuple[SourcePlane, ...]
    description: str = ""

    @property
    def shape(self) -> tuple[int, int, int]:
        """Voxels along a row, down a column, and planes."""
        return self.columns, self.rows, len(self.planes)

    @property
    def slice_step_mm(self) -> float:
        """Distance between neighbouring planes; the thickness of a lone one."""
        if len(self.planes) < 2:
            return float(self.thickness)
        ends = np.array([self.planes[n].position for n in (0, -1)], dtype=np.float64)
        return float(np.linalg.norm(ends[1] - ends[0]) / (len(self.planes) - 1))

    @property
    def affine(self) -> Affine:
        """Voxel to RAS+ mm."""
        directions = np.array(self.orientation, dtype=np.float64).reshape(2, 3)
        first, last = (np.array(self.planes[n].position, dtype=np.float64) for n in (0, -1))
        between_rows, between_columns = map(float, self.spacing)
        matrix = np.eye(4)
        matrix[:3, 0] = directions[0] * between_columns
        matrix[:3, 1] = directions[1] * between_rows
        if len(self.planes) > 1:
            matrix[:3, 2] = (last - first) / (len(self.planes) - 1)
        else:
            matrix[:3, 2] = np.cross(*directions) * float(self.thickness)
        matrix[:3, 3] = first
        affine: Affine = LPS_TO_RAS @ matrix
        return affine


@dataclass(frozen=True)
class DicomSource:
    """Identity of a case.

    Attributes:
        attributes: Values of `PATIENT_AND_STUDY` that are there, as texts.
        series: Series of each sequence that came from DICOM.
    """

    attributes: Mapping[str, str]
    series: Mapping[Sequence, SourceSeries] = field(default_factory=dict)

    @property
    def study(self) -> str:
        """StudyInstanceUID."""
        return self.attributes.get("StudyInstanceUID", "")

    def to_json(self) -> dict[str, Any]:
        """Plain dictionary."""
        return {
            "format": SOURCE_FORMAT,
            "attributes": dict(self.attributes),
            "series": {s.value: asdict(one) for s, one in self.series.items()},
        }

    def to_bytes(self) -> bytes:
        """JSON text for `source.json`."""
        return (json.dumps(self.to_json(), ensure_ascii=False) + "\n").encode("utf-8")

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> DicomSource:
        """Inverse of `to_json`.

        Raises:
            KeyError, TypeError, ValueError: If it is no such content.
        """
        series = {}
        for name, entry in content["series"].items():
            planes = tuple(
                SourcePlane(**{**plane, "position": tuple(plane["position"])})
                for plane in entry["planes"]
            )
            texts = {key: tuple(entry[key]) for key in ("orientation", "spacing")}
            series[Sequence(name)] = SourceSeries(**{**entry, **texts, "planes": planes})
        return cls({str(k): str(v) for k, v in content["attributes"].items()}, series)


def source_of(chosen: Mapping[Sequence, object]) -> DicomSource | None:
    """Identity of a case whose sequences were read from DICOM series.

    Args:
        chosen: Source of each sequence; those that are no `DicomSeries` have no identity.

    Returns:
        None if no sequence came from DICOM.
    """
    found = {s: one for s, one in chosen.items() if isinstance(one, DicomSeries)}
    if not found:
        return None
    first = next(iter(found.values()))
    return DicomSource(
        _attributes(first.slices[0].path), {s: _series(one) for s, one in found.items()}
    )


def source_path(studies: Path, case_id: str) -> Path:
    """Where the identity of a case is kept."""
    return sequences_folder(studies, case_id) / SOURCE_NAME


def read_source(studies: Path, case_id: str) -> DicomSource | None:
    """Identity of a case of a studies folder; None if it has none.

    Raises:
        StorageError: If the file is damaged.
    """
    try:
        text = source_path(studies, case_id).read_text(encoding="utf-8")
        return DicomSource.from_json(json.loads(text))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise StorageError(
            f"{SOURCE_NAME} of case {case_id} is damaged ({type(error).__name__})",
            remedy="Delete that file and import the case again; its labels stay.",
        ) from error


def with_frame_of_reference(series: SourceSeries, study: str) -> SourceSeries:
    """Series with a FrameOfReferenceUID: its own, else one that its study's UID decides."""
    if series.frame_of_reference:
        return series
    return replace(series, frame_of_reference=derived_uid(f"frame of reference of {study}"))


def derived_uid(text: str) -> str:
    """UID that a text decides, in the UUID form of DICOM PS3.5 B.2.

    Example:
        >>> derived_uid("a") == derived_uid("a") != derived_uid("b")
        True
    """
    return f"2.25.{int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], 'big')}"


def _attributes(path: Path) -> dict[str, str]:
    """Patient and study of a file, decoded to Unicode."""
    try:
        header = read_quietly(
            path, stop_before_pixels=True, force=True, specific_tags=list(PATIENT_AND_STUDY)
        )
        header.decode()
        found = {keyword: text_of(header, keyword) for keyword in PATIENT_AND_STUDY}
    except DAMAGES:  # the images were read, so this can only be an odd text
        return {}
    found["SpecificCharacterSet"] = UNICODE
    return {keyword: value for keyword, value in found.items() if value}


def _series(series: DicomSeries) -> SourceSeries:
    first = series.slices[0]
    planes = tuple(
        SourcePlane(
            one.uid,
            one.sop_class,
            one.series,
            one.frame + 1 if one.is_multi_frame else 0,
            _texts(one.position_mm),
        )
        for one in series.slices
    )
    return SourceSeries(
        first.frame_of_reference,
        tuple(_text(v) for v in series.orientation.ravel()),
        (_text(series.spacing_mm[1]), _text(series.spacing_mm[0])),
        _text(series.thickness_mm),
        *series.size,
        planes,
        series.names[0] if series.names else "",
    )


def _texts(values: Any) -> tuple[str, str, str]:
    x, y, z = (_text(v) for v in values)
    return x, y, z


def _text(value: float) -> str:
    """Shortest decimal string of at most 16 characters, which DICOM allows, nearest to a number.

    Example:
        >>> _text(-94.65384615384616), _text(1.0), _text(-1e-20)
        ('-94.653846153846', '1', '0')
    """
    for digits in range(17, 0, -1):
        text = np.format_float_positional(value, precision=digits, trim="-")
        text = "0" if text in ("-0", "") else text
        if len(text) <= 16:
            return text
    return f"{value:.9e}"
