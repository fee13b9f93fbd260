"""DICOM MR series written with pydicom, for reading back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from brain_tumor.cases.volume import Affine
from pydicom.dataset import Dataset, FileDataset, FileMetaDataset
from pydicom.sequence import Sequence as Items
from pydicom.uid import EnhancedMRImageStorage, ExplicitVRLittleEndian, MRImageStorage, generate_uid

LPS = np.diag([-1.0, -1.0, 1.0, 1.0])


def write_dicom_series(
    folder: Path,
    array: npt.NDArray[Any],
    affine: Affine,
    *,
    description: str = "AX T1 POST",
    number: int = 1,
    study_uid: str = "1.2.826.0.1.1",
    **attributes: Any,
) -> list[Path]:
    """Array (I, J, K) as one file per K slice, I along rows; the affine is voxel to RAS+ mm.

    Files are named so that their order is not the order of the slices. Further keyword arguments
    become DICOM attributes; a callable is given the slice number.
    """
    folder.mkdir(parents=True, exist_ok=True)
    series_uid = generate_uid()
    paths = []
    for k in range(array.shape[2]):
        header = _header(array, MRImageStorage, series_uid, study_uid, description, number)
        _place(header, affine)
        header.ImagePositionPatient = [_text(v) for v in _position(affine, k)]
        header.InstanceNumber = k + 1
        header.PixelData = np.ascontiguousarray(array[:, :, k].T).astype("<u2").tobytes()
        for keyword, value in attributes.items():
            setattr(header, keyword, value(k) if callable(value) else value)
        path = folder / f"series{number}_{(7 * k + 3) % array.shape[2]:03d}_{k}.dcm"
        header.save_as(path)
        paths.append(path)
    return paths


def write_enhanced_dicom(
    path: Path,
    array: npt.NDArray[Any],
    affine: Affine,
    order: list[int],
    *,
    description: str = "FLAIR 3D",
) -> Path:
    """Array as one enhanced MR file whose frames come in the given order of slices."""
    path.parent.mkdir(parents=True, exist_ok=True)
    header = _header(array, EnhancedMRImageStorage, generate_uid(), "1.2.826.0.1.1", description, 1)
    header.NumberOfFrames = len(order)
    template = Dataset()
    _place(template, affine)
    measures, orientation = Dataset(), Dataset()
    measures.PixelSpacing = template.PixelSpacing
    measures.SliceThickness = template.SliceThickness
    orientation.ImageOrientationPatient = template.ImageOrientationPatient
    shared = Dataset()
    shared.PixelMeasuresSequence = Items([measures])
    shared.PlaneOrientationSequence = Items([orientation])
    header.SharedFunctionalGroupsSequence = Items([shared])
    frames = []
    for k in order:
        position, frame = Dataset(), Dataset()
        position.ImagePositionPatient = [_text(v) for v in _position(affine, k)]
        frame.PlanePositionSequence = Items([position])
        frames.append(frame)
    header.PerFrameFunctionalGroupsSequence = Items(frames)
    header.PixelData = b"".join(
        np.ascontiguousarray(array[:, :, k].T).astype("<u2").tobytes() for k in order
    )
    header.save_as(path)
    return path


def _header(
    array: npt.NDArray[Any],
    sop_class: str,
    series_uid: str,
    study_uid: str,
    description: str,
    number: int,
) -> FileDataset:
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = sop_class
    meta.MediaStorageSOPInstanceUID = generate_uid()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header = FileDataset("", {}, file_meta=meta, preamble=b"\0" * 128)
    header.is_little_endian, header.is_implicit_VR = True, False
    header.SOPClassUID, header.SOPInstanceUID = sop_class, meta.MediaStorageSOPInstanceUID
    header.Modality, header.PatientName, header.PatientID = "MR", "Doe^Jane", "H123456"
    header.StudyInstanceUID, header.SeriesInstanceUID = study_uid, series_uid
    header.SeriesDescription, header.SeriesNumber = description, number
    header.Columns, header.Rows = array.shape[:2]
    header.SamplesPerPixel, header.PhotometricInterpretation = 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit = 16, 16, 15
    header.PixelRepresentation = 0
    return header


def _place(header: Dataset, affine: Affine) -> None:
    matrix = (LPS @ affine)[:3, :3]
    lengths = np.linalg.norm(matrix, axis=0)
    directions = (matrix / lengths).T
    header.ImageOrientationPatient = [_text(v) for v in directions[:2].ravel()]
    header.PixelSpacing = [_text(lengths[1]), _text(lengths[0])]
    header.SliceThickness = _text(lengths[2])


def _position(affine: Affine, k: int) -> npt.NDArray[np.float64]:
    position: npt.NDArray[np.float64] = (LPS @ affine @ [0, 0, k, 1])[:3]
    return position


def _text(value: float) -> str:
    """Decimal string of at most 16 characters, as DICOM allows."""
    return f"{value:.10f}"[:16]
