"""Compressed pixel data are decoded in a process that can neither hang nor take this one down."""

import numpy as np
import pydicom
import pytest
from brain_tumor.cases.files import dicom_decoding
from brain_tumor.cases.files.readers import read_volume
from brain_tumor.errors import FileFormatError
from pydicom.uid import RLELossless

from tests.helpers.dicom import write_dicom_series, write_enhanced_dicom

ARRAY = np.arange(16 * 12 * 3, dtype=np.uint16).reshape(16, 12, 3)
AFFINE = np.diag([-1.0, -1.0, 2.0, 1.0])


def compressed(path):
    dataset = pydicom.dcmread(path)
    dataset.compress(RLELossless)
    dataset.save_as(path)
    return path


@pytest.fixture
def series(tmp_path):
    for path in write_dicom_series(tmp_path / "series", ARRAY, AFFINE):
        compressed(path)
    return tmp_path / "series"


def worker(tmp_path, monkeypatch, code):
    """Another program in the place of the decoder."""
    (tmp_path / "worker.py").write_text(code)
    monkeypatch.setattr(dicom_decoding.gdcm_worker, "__file__", str(tmp_path / "worker.py"))


def test_a_compressed_series_has_the_voxels_of_the_plain_one(series, tmp_path):
    plain = read_volume(series.parent / write_dicom_series(tmp_path / "p", ARRAY, AFFINE)[0].parent)
    volume = read_volume(series)
    np.testing.assert_array_equal(volume.array, plain.array)
    np.testing.assert_array_equal(volume.affine, plain.affine)


def test_compressed_frames_of_one_file_are_in_their_places(tmp_path):
    path = compressed(write_enhanced_dicom(tmp_path / "e.dcm", ARRAY, AFFINE, [2, 0, 1]))
    np.testing.assert_array_equal(read_volume(path).array, ARRAY)


def test_plain_pixel_data_need_no_other_process(tmp_path, monkeypatch):
    monkeypatch.setattr(dicom_decoding.subprocess, "run", lambda *_a, **_k: pytest.fail("ran"))
    write_dicom_series(tmp_path, ARRAY, AFFINE)
    np.testing.assert_array_equal(read_volume(tmp_path).array, ARRAY)


def test_a_decoder_that_never_ends_is_ended(series, tmp_path, monkeypatch):
    worker(tmp_path, monkeypatch, "while True: pass")
    decode_apart = dicom_decoding._decode_apart
    monkeypatch.setattr(dicom_decoding, "_decode_apart", lambda *given: decode_apart(*given, 0.2))
    with pytest.raises(FileFormatError, match="pixel data take more than 0 s to decode") as refused:
        read_volume(series)
    assert "uncompressed" in refused.value.remedy


@pytest.mark.parametrize(
    "end", ["import os; os.abort()", "raise MemoryError", "import sys; sys.exit(1)"]
)
def test_a_decoder_that_crashes_is_a_damaged_file(series, tmp_path, monkeypatch, end):
    worker(tmp_path, monkeypatch, end)
    with pytest.raises(FileFormatError, match="pixel data of 3 files cannot be decoded"):
        read_volume(series)


def test_a_damaged_stream_is_refused(series):
    path = next(iter(sorted(series.glob("*.dcm"))))
    content = path.read_bytes()
    at = content.rindex(b"\xfe\xff\x00\xe0") + 8
    path.write_bytes(content[:at] + b"\xff" * 60 + content[at + 60 :])
    with pytest.raises(FileFormatError, match="cannot be decoded"):
        read_volume(series)
