"""The source series of a case as highdicom wants it, and references to what it really was.

highdicom copies patient, study and geometry from datasets of the source. They are built from what
was kept of it, one classic image a plane. Planes of one multi-frame image, or of several series,
are told apart by stand-in instances; in what highdicom made, these are then replaced by the real
references.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from pydicom.config import IGNORE
from pydicom.datadict import dictionary_VR, tag_for_keyword
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import MRImageStorage

from brain_tumor.cases.dicom_source import (
    PATIENT_AND_STUDY,
    DicomSource,
    SourcePlane,
    SourceSeries,
    derived_uid,
    with_frame_of_reference,
)
from brain_tumor.errors import InputError

BASIC_PROFILE = ("113100", "DCM", "Basic Application Confidentiality Profile")
_TYPE_2 = (
    *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyID", "AccessionNumber"),
    *("ReferringPhysicianName", "StudyDate", "StudyTime"),
)


@dataclass(frozen=True, eq=False)
class SourceImages:
    """Source series for highdicom.

    Attributes:
        source: Identity of the case.
        series: What was kept of the series.
        datasets: One classic image a plane, in the order of the planes.
        planes: Plane behind each stand-in instance.
    """

    source: DicomSource
    series: SourceSeries
    datasets: tuple[Dataset, ...]
    planes: dict[str, SourcePlane]

    def refer(self, made: Dataset) -> None:
        """Name the patient and the real source images in an object of highdicom, in place."""
        name_patient(made, self.source)
        used = [self.planes[str(item.ReferencedSOPInstanceUID)] for item in _sources_of(made)]
        for item in _nested_references(made):
            plane = self.planes.get(str(item.get("ReferencedSOPInstanceUID")))
            if plane is not None:
                _point_to(item, plane, with_frame=True)
        made.SourceImageSequence = Items(list(_instances(used)))
        made.ReferencedSeriesSequence = Items(list(_by_series(used)))


def source_images(source: DicomSource, series: SourceSeries) -> SourceImages:
    """Datasets of a source series.

    Args:
        source: Identity of the case.
        series: One of its series.

    Raises:
        InputError: If the source lacks what every result must name.
    """
    if not source.study or any(not plane.instance for plane in series.planes):
        raise InputError(
            "the DICOM source of the case has no UIDs for its study or its images, so no result "
            "can refer to them",
            remedy="Export the study from the archive again and import that.",
        )
    placed = with_frame_of_reference(series, source.study)
    instances = [plane.instance for plane in placed.planes]
    is_classic = len(set(instances)) == len(instances) and not any(p.frame for p in placed.planes)
    datasets, planes = [], {}
    for plane in placed.planes:
        dataset = nobody(source)
        uid = plane.instance
        if not is_classic:
            uid = derived_uid(f"{plane.instance} {plane.frame}")
        dataset.SOPInstanceUID, dataset.SOPClassUID = uid, MRImageStorage
        dataset.SeriesInstanceUID, dataset.Modality = placed.planes[0].series, "MR"
        dataset.FrameOfReferenceUID = placed.frame_of_reference
        dataset.PositionReferenceIndicator = None
        dataset.Columns, dataset.Rows = placed.columns, placed.rows
        dataset.ImageOrientationPatient = list(placed.orientation)
        dataset.ImagePositionPatient = list(plane.position)
        dataset.PixelSpacing = list(placed.spacing)
        dataset.SliceThickness = placed.thickness
        dataset.SpacingBetweenSlices = f"{placed.slice_step_mm:.10g}"
        datasets.append(dataset)
        planes[uid] = plane
    return SourceImages(source, placed, tuple(datasets), planes)


def nobody(source: DicomSource) -> Dataset:
    """Study of a case with a patient of empty attributes; see `name_patient`."""
    dataset = Dataset()
    for keyword in _TYPE_2:
        setattr(dataset, keyword, None)
    dataset.PatientName = ""
    dataset.StudyInstanceUID = source.study
    return dataset


def name_patient(made: Dataset, source: DicomSource) -> None:
    """Write patient and study of a case into an object, in place and as its source has them.

    highdicom and pydicom never see these values: what they find odd, they say on the terminal.
    """
    for keyword in PATIENT_AND_STUDY:
        value = source.attributes.get(keyword)
        if value is None and keyword not in _TYPE_2:
            continue
        tag, kind = tag_for_keyword(keyword), dictionary_VR(keyword)
        if tag is not None:
            made[tag] = DataElement(tag, kind, value, validation_mode=IGNORE)
    if source.attributes.get("PatientIdentityRemoved") == "YES":
        item = Dataset()
        item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = BASIC_PROFILE
        made.DeidentificationMethodCodeSequence = Items([item])


def _sources_of(made: Dataset) -> list[Dataset]:
    return list(made.SourceImageSequence)


def _nested_references(made: Dataset) -> Iterator[Dataset]:
    """References of the frames of a multi-frame object to their source images."""
    for frame in made.get("PerFrameFunctionalGroupsSequence", ()):
        for derivation in frame.get("DerivationImageSequence", ()):
            yield from derivation.get("SourceImageSequence", ())


def _point_to(item: Dataset, plane: SourcePlane, *, with_frame: bool) -> Dataset:
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = plane.sop_class, plane.instance
    if with_frame and plane.frame:
        item.ReferencedFrameNumber = plane.frame
    return item


def _instances(planes: list[SourcePlane]) -> Iterator[Dataset]:
    """A reference to each instance of some planes, with the frames if not all of it is meant."""
    for instance in dict.fromkeys(plane.instance for plane in planes):
        same = [plane for plane in planes if plane.instance == instance]
        item = _point_to(Dataset(), same[0], with_frame=False)
        frames: Any = sorted(plane.frame for plane in same if plane.frame)
        if frames:
            item.ReferencedFrameNumber = frames
        yield item


def _by_series(planes: list[SourcePlane]) -> Iterator[Dataset]:
    for series in dict.fromkeys(plane.series for plane in planes):
        item = Dataset()
        item.SeriesInstanceUID = series
        same = {p.instance: p for p in planes if p.series == series}.values()
        item.ReferencedInstanceSequence = Items(
            [_point_to(Dataset(), plane, with_frame=False) for plane in same]
        )
        yield item
