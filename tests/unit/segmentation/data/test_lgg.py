"""Heads with skull on disk, and the fold of their persons."""

import numpy as np
import pytest
from brain_tumor.cases.sequences import Sequence
from brain_tumor.errors import FileFormatError
from brain_tumor.segmentation.data.folds import patient_fold
from brain_tumor.segmentation.data.lgg import heads_beside_fold, heads_of_fold
from PIL import Image

HEADER = "patient,slice,slices,tumour_px,t1_missing,t1c_missing,brats20_twin\n"


def write_head(data, patient, *, twin="", t1c_missing=False, slices=3):
    """A head whose red, green and blue are 10, 20 and 30 plus the slice; a mask on slice 1."""
    images, masks = data / "lgg/images" / patient, data / "lgg/masks" / patient
    images.mkdir(parents=True)
    masks.mkdir(parents=True)
    for k in range(slices):
        picture = np.zeros((256, 256, 3), dtype=np.uint8)
        picture[..., :] = (10 + k, 20 + k, 30 + k)
        picture[:128] += 100  # the upper half of the picture is the front of the head
        Image.fromarray(picture).save(images / f"{k:02d}.jpg", quality=100, subsampling=0)
    mask = np.zeros((256, 256), dtype=np.uint8)
    mask[10:20, 200:240] = 255  # front, and at the patient's left: columns run to the left
    Image.fromarray(mask).save(masks / "01.png")
    rows = [f"{patient},{k},{slices},0,False,{t1c_missing},{twin}\n" for k in range(slices)]
    index = data / "lgg/index.csv"
    before = index.read_text() if index.exists() else HEADER
    index.write_text(before + "".join(rows))


def test_a_head_lies_in_space_as_its_slices_say(tmp_path):
    write_head(tmp_path, "TCGA_XX_0001_20000101")
    (head,) = heads_of_fold(tmp_path, None)
    assert head.case.present == (Sequence.T1, Sequence.T1C, Sequence.FLAIR)
    assert head.case.spacing_mm == pytest.approx((0.9375, 0.9375, 45.0))
    middles = {s: float(np.median(v.array[:, 200, 1])) for s, v in head.case.volumes.items()}
    assert middles[Sequence.T1] == pytest.approx(11, abs=2)
    assert middles[Sequence.FLAIR] == pytest.approx(21, abs=2)
    assert middles[Sequence.T1C] == pytest.approx(31, abs=2)
    assert head.whole_tumor.sum() == 10 * 40
    assert set(np.nonzero(head.whole_tumor)[2]) == {1}
    x, y, _ = (head.case.affine @ [*np.argwhere(head.whole_tumor).mean(axis=0), 1])[:3]
    middle_x, middle_y, _ = (head.case.affine @ [127.5, 127.5, 1, 1])[:3]
    assert x < middle_x  # RAS+: the left has the lower x
    assert y > middle_y  # the front has the higher y


def test_a_channel_that_is_a_copy_is_absent(tmp_path):
    write_head(tmp_path, "TCGA_XX_0001_20000101", t1c_missing=True)
    (head,) = heads_of_fold(tmp_path, None)
    assert head.case.present == (Sequence.T1, Sequence.FLAIR)
    assert head.case.reference is Sequence.FLAIR


def test_a_person_is_in_one_fold_over_all_sets(tmp_path):
    twin = "BraTS20_Training_271"
    write_head(tmp_path, "TCGA_CS_4942_19970222", twin=twin)
    write_head(tmp_path, "TCGA_XX_0001_20000101")
    fold = patient_fold(twin)
    assert twin in {head.person for head in heads_of_fold(tmp_path, fold)}
    assert twin not in {head.person for head in heads_beside_fold(tmp_path, fold)}
    assert len(list(heads_beside_fold(tmp_path, None))) == 2
    persons = {head.person for head in heads_of_fold(tmp_path, None)}
    assert persons == {twin, "TCGA_XX_0001"}


def test_a_missing_slice_is_named(tmp_path):
    write_head(tmp_path, "TCGA_XX_0001_20000101")
    (tmp_path / "lgg/images/TCGA_XX_0001_20000101/02.jpg").unlink()
    with pytest.raises(FileFormatError, match="TCGA_XX_0001"):
        list(heads_of_fold(tmp_path, None))


def test_no_heads_are_no_error(tmp_path):
    assert list(heads_of_fold(tmp_path, 0)) == []
