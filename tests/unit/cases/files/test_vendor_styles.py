"""Studies in the styles of twelve archives and scanners import to the right voxels."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pydicom
import pytest
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.studies import ImportStatus, import_cases, resolve_case
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.pixel_data_handlers.rle_handler import rle_encode_frame
from pydicom.sequence import Sequence as Items
from pydicom.uid import RLELossless, generate_uid

from tests.helpers.dicom import LPS, write_dicom_series, write_enhanced_dicom
from tests.helpers.volumes import SHAPE, grid

T1, T1C, T2, FLAIR = Sequence
BASE = np.arange(1, 1 + np.prod(SHAPE), dtype=np.uint16).reshape(SHAPE)
AFFINE = grid((1.0, 1.0, 3.0), (-20.0, 30.0, 10.0), flips=(-1, -1, 1))
VALUES = {sequence: BASE + 1000 * n for n, sequence in enumerate(Sequence)}
NAMES = {T1: "AX T1 SE", T1C: "AX T1 SE +C", T2: "AX T2 FSE", FLAIR: "AX T2 FLAIR"}


def write(folder: Path, names: dict[Sequence, str] = NAMES, **attributes: Any) -> None:
    for number, (sequence, name) in enumerate(names.items(), 3):
        write_dicom_series(
            folder / str(number),
            VALUES[sequence],
            AFFINE,
            description=name,
            number=number,
            **attributes,
        )


def change(folder: Path, edit: Callable[[Any, int], None]) -> None:
    for index, path in enumerate(sorted(folder.rglob("*.dcm"))):
        header = pydicom.dcmread(path)
        edit(header, index)
        header.save_as(path)


def classic(folder: Path) -> None:
    """General Electric: +C in the names, localizer and calibration beside."""
    write(folder)
    localizer = {"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}
    write_dicom_series(folder / "1", BASE, AFFINE, description="3-PLANE LOC", number=1, **localizer)
    write_dicom_series(folder / "2", BASE, AFFINE, description="ASSET calibration", number=2)


def siemens(folder: Path) -> None:
    """Siemens: names of the protocol, contrast only in the header, subtraction and MPR beside."""
    names = {T2: "t2_tse_tra", FLAIR: "t2_tirm_tra_dark-fluid"}
    write(folder, names)
    for number, sequence, agent in ((11, T1, "NONE"), (15, T1C, "Gadovist")):
        write_dicom_series(
            folder / str(number),
            VALUES[sequence],
            AFFINE,
            description="t1_mprage_sag_p2_iso",
            number=number,
            ContrastBolusAgent=agent,
        )
    kinds = {"ImageType": ["DERIVED", "SECONDARY", "SUBTRACTION"]}
    write_dicom_series(folder / "20", BASE, AFFINE, description="t1_mprage", number=20, **kinds)
    kinds = {"ImageType": ["DERIVED", "SECONDARY", "MPR"], "ContrastBolusAgent": "Gadovist"}
    fine = grid((0.5, 0.5, 0.5))
    write_dicom_series(folder / "21", BASE, fine, description="t1_mpr_tra", number=21, **kinds)


def enhanced(folder: Path) -> None:
    """Philips: one enhanced file a series, frames in any order, a slope a frame."""
    for number, (sequence, name) in enumerate(
        {T1: "T1W_TSE", T1C: "T1W_TSE Gd", T2: "T2W_TSE", FLAIR: "FLAIR_longTR"}.items()
    ):
        order = [3, 1, 6, 0, 5, 2, 4]
        stored = VALUES[sequence].copy()
        path = write_enhanced_dicom(
            folder / f"{number}.dcm", stored * 2, AFFINE, order, description=name
        )
        header = pydicom.dcmread(path)
        header.SeriesNumber = number
        for frame in header.PerFrameFunctionalGroupsSequence:
            item = Dataset()
            item.RescaleSlope, item.RescaleIntercept, item.RescaleType = 0.5, 0, "US"
            frame.PixelValueTransformationSequence = Items([item])
        header.save_as(path)


def compressed(folder: Path) -> None:
    """An archive that compresses every image."""
    write(folder)

    def compress(header: Any, _index: int) -> None:
        frame = rle_encode_frame(header.pixel_array)
        header.file_meta.TransferSyntaxUID = RLELossless
        header.PixelData = encapsulate([frame])
        header["PixelData"].is_undefined_length = True

    change(folder, compress)


def interleaved(folder: Path) -> None:
    """Odd slices first: instance numbers do not follow positions, files in one flat folder."""
    write(folder)
    change(folder, lambda header, index: setattr(header, "InstanceNumber", 1 + index * 5 % 7))
    flat = folder / "DICOM"
    flat.mkdir()
    for index, path in enumerate(sorted(folder.rglob("*.dcm"))):
        shutil.move(path, flat / f"IM{index * 37 % 101:05d}")


def dynamic(folder: Path) -> None:
    """A dynamic T1 and a perfusion beside the four."""
    write(folder)
    uid = generate_uid()
    for time in range(3):
        write_dicom_series(
            folder / f"9{time}", BASE + time, AFFINE, description="T1 VIBE", number=9
        )
        for path in (folder / f"9{time}").iterdir():
            header = pydicom.dcmread(path)
            header.SeriesInstanceUID, header.TemporalPositionIdentifier = uid, time + 1
            header.save_as(path)
    write_dicom_series(folder / "10", BASE, AFFINE, description="ep2d_perf", number=10)


def split(folder: Path) -> None:
    """An archive that gives every slice a series of its own."""
    write(folder)
    change(folder, lambda header, _: setattr(header, "SeriesInstanceUID", generate_uid()))


def studies_apart(folder: Path) -> None:
    """An anonymiser that gives every series a study of its own."""
    write(folder, StudyDate="20250102", FrameOfReferenceUID="1.2.3")
    uids: dict[str, str] = {}

    def scatter(header: Any, _index: int) -> None:
        header.StudyInstanceUID = uids.setdefault(header.SeriesInstanceUID, generate_uid())

    change(folder, scatter)


def doubled(folder: Path) -> None:
    """The same export copied twice."""
    write(folder / "a")
    shutil.copytree(folder / "a", folder / "b")


def reports_mixed_in(folder: Path) -> None:
    """Structured reports, a CT, a screen capture in colour and a DICOMDIR among the images."""
    write(folder)
    write_dicom_series(folder / "ct", BASE, AFFINE, description="T1", number=30, Modality="CT")
    header = pydicom.dcmread(next((folder / "ct").iterdir()))
    for keyword in ("Rows", "Columns", "PixelData"):
        delattr(header, keyword)
    header.Modality = "SR"
    header.save_as(folder / "report.dcm")
    (folder / "DICOMDIR").write_bytes(b"\0" * 128 + b"DICM")
    (folder / "viewer.exe").write_bytes(b"MZ")


def without_preamble(folder: Path) -> None:
    """An old archive: bare data sets without ending, description in German."""
    write(folder, {T1: "T1 vor KM", T1C: "T1 nach KM", T2: "T2 tra", FLAIR: "FLAIR"})
    for path in sorted(folder.rglob("*.dcm")):
        header = pydicom.dcmread(path)
        del header.file_meta
        header.is_little_endian, header.is_implicit_VR = True, True
        header.save_as(path.with_suffix(""), write_like_original=True)
        bare = path.with_suffix("").read_bytes()
        begin = bare.find(b"DICM")
        path.with_suffix("").write_bytes(bare[begin + 4 :] if 0 <= begin <= 128 else bare)
        path.unlink()


def linked(folder: Path) -> None:
    """A research archive: links to a store, Korean names, a broken copy of one series."""
    store = folder.parent / "store"
    unicode = {"SpecificCharacterSet": "ISO_IR 192"}
    names = {T1: "T1 조영 전", T1C: "T1 조영 후", T2: "T2 축상", FLAIR: "FLAIR"}
    write(store, names, **unicode)
    folder.mkdir()
    for path in store.iterdir():
        (folder / path.name).symlink_to(path)
    fine = grid((0.5, 0.5, 1.0))
    broken = write_dicom_series(
        folder / "99", BASE, fine, description="T1 조영증강", number=99, **unicode
    )
    broken[3].unlink()


STYLES = [classic, siemens, enhanced, compressed, interleaved, dynamic, split, studies_apart]
STYLES += [doubled, reports_mixed_in, without_preamble, linked]


@pytest.mark.parametrize("style", STYLES, ids=[style.__name__ for style in STYLES])
def test_a_study_of_any_style_imports_voxel_by_voxel(
    tmp_path: Path, style: Callable[[Path], None]
) -> None:
    style(tmp_path / "P1")
    (report,) = import_cases(tmp_path / "P1", tmp_path / "studies")
    assert report.status is ImportStatus.IMPORTED, (report.message, report.notes)
    loaded = resolve_case(tmp_path / "studies", report.case_id)
    assert loaded.case.present == tuple(Sequence)
    for sequence, volume in loaded.case.volumes.items():
        stored = volume.array if volume.affine[2, 2] > 0 else volume.array[:, :, ::-1]
        np.testing.assert_array_equal(stored, VALUES[sequence], err_msg=sequence.value)
    np.testing.assert_allclose(np.abs(loaded.case.affine[:3, :3]), np.abs(AFFINE[:3, :3]))
    reference = nib.load(tmp_path / "studies" / f"{report.case_id}.nii.gz")
    corner = (np.linalg.inv(reference.affine) @ AFFINE @ [8, 10, 6, 1])[:3].round().astype(int)
    assert reference.dataobj[tuple(corner)] == VALUES[T1C][8, 10, 6]
    assert np.linalg.det(LPS[:3, :3]) > 0
