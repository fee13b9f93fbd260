from __future__ import annotations

import json
import os
from contextlib import nullcontext
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from brain_tumor.cases import studies as studies_module
from brain_tumor.cases.dicom_source import SOURCE_NAME
from brain_tumor.cases.files import durable
from brain_tumor.cases.loading import load_case
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.studies import (
    ImportReport,
    ImportStatus,
    find_cases,
    import_cases,
    resolve_case,
)
from brain_tumor.cases.study_layout import digest
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import (
    FileFormatError,
    InputError,
    NotFoundError,
    SequenceError,
    StorageError,
)

from tests.helpers.dicom import write_dicom_series
from tests.helpers.volumes import GRIDS, SHAPE, a_counted_volume, grid, ramp_values, write_nifti

ALL = (Sequence.T1, Sequence.T1C, Sequence.T2, Sequence.FLAIR)
BRATS = ("t1", "t1ce", "t2", "flair")
BASE = np.arange(1, 1 + np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)


def write_brats(folder: Path, shift: int = 0, names: tuple[str, ...] = BRATS) -> Path:
    """Four sequences with different voxels, and a segmentation."""
    for name in names:
        values = (BASE + 1000 * BRATS.index(name) + shift).astype(np.int16)
        write_nifti(folder / f"{folder.name}_{name}.nii", values, GRIDS["flipped"])
    write_nifti(folder / f"{folder.name}_seg.nii", (BASE % 5).astype(np.uint8), GRIDS["flipped"])
    return folder


def tree(folder: Path) -> dict[str, bytes]:
    return {
        str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()
    }


def import_one(source: Path, studies: Path) -> ImportReport:
    (report,) = import_cases(source, studies)
    return report


def test_an_imported_case_has_one_reference_at_the_top_and_siblings_below(tmp_path: Path) -> None:
    report = import_one(write_brats(tmp_path / "B_001"), tmp_path / "studies")
    assert report.status is ImportStatus.IMPORTED
    assert (report.case_id, report.reference, report.sequences) == ("B_001", Sequence.T1C, ALL)
    assert report.notes == ("not used: B_001_seg.nii",)
    assert sorted(tree(tmp_path / "studies")) == [
        "B_001.nii.gz",
        "sequences/B_001/case.json",
        "sequences/B_001/flair.nii.gz",
        "sequences/B_001/t1.nii.gz",
        "sequences/B_001/t2.nii.gz",
    ]


def test_a_resolved_case_is_the_imported_one(tmp_path: Path) -> None:
    import_one(write_brats(tmp_path / "B_001"), tmp_path / "studies")
    loaded = resolve_case(tmp_path / "studies", "B_001")
    assert loaded.case.case_id == "B_001"
    assert loaded.case.reference is Sequence.T1C
    for index, sequence in enumerate(ALL):
        np.testing.assert_array_equal(loaded.case.volumes[sequence].array, BASE + 1000 * index)
    np.testing.assert_array_equal(loaded.case.affine, GRIDS["flipped"])
    assert loaded.warnings == ()


def test_voxels_and_affines_are_kept_without_loss(tmp_path: Path) -> None:
    oblique = GRIDS["oblique"].astype(np.float32).astype(np.float64)
    fractions = ramp_values(SHAPE, oblique).astype(np.float32) / np.float32(3)
    write_nifti(tmp_path / "c" / "c_t1c.nii", BASE.astype(np.float64), oblique)
    write_nifti(tmp_path / "c" / "c_t2.nii", fractions, oblique)
    write_nifti(tmp_path / "c" / "c_t1.nii", (BASE + 60000).astype(np.uint16), oblique)
    import_one(tmp_path / "c", tmp_path / "s")
    t1c = nib.load(tmp_path / "s" / "c.nii.gz")
    t2 = nib.load(tmp_path / "s" / "sequences" / "c" / "t2.nii.gz")
    t1 = nib.load(tmp_path / "s" / "sequences" / "c" / "t1.nii.gz")
    assert [i.get_data_dtype() for i in (t1c, t2, t1)] == [np.int16, np.float32, np.uint16]
    np.testing.assert_array_equal(np.asarray(t1c.dataobj), BASE)
    np.testing.assert_array_equal(np.asarray(t2.dataobj), fractions)
    np.testing.assert_array_equal(np.asarray(t1.dataobj), BASE + 60000)
    np.testing.assert_array_equal(t1c.affine, oblique)


def test_siblings_keep_their_own_grid_on_disk(tmp_path: Path) -> None:
    fine = grid((0.5, 0.5, 0.5), (-2.0, -2.0, -2.0))
    write_nifti(tmp_path / "c" / "t1c.nii", ramp_values(SHAPE, grid()).astype(np.float32))
    values = ramp_values((31, 31, 31), fine).astype(np.float32)
    write_nifti(tmp_path / "c" / "flair.nii", values, fine)
    report = import_one(tmp_path / "c", tmp_path / "s")
    assert report.warnings == ("flair was resampled to the grid of t1c",)
    stored = nib.load(tmp_path / "s" / "sequences" / "c" / "flair.nii.gz")
    assert stored.shape == (31, 31, 31)
    loaded = resolve_case(tmp_path / "s", "c")
    np.testing.assert_allclose(
        loaded.case.volumes[Sequence.FLAIR].array, ramp_values(SHAPE, grid()), rtol=1e-4
    )
    assert loaded.warnings == report.warnings


def test_importing_again_changes_nothing(tmp_path: Path) -> None:
    write_brats(tmp_path / "B_001")
    import_one(tmp_path / "B_001", tmp_path / "studies")
    before = tree(tmp_path / "studies")
    report = import_one(tmp_path / "B_001", tmp_path / "studies")
    assert report.status is ImportStatus.ALREADY_THERE
    assert tree(tmp_path / "studies") == before


def test_the_same_voxels_in_another_format_are_the_same_case(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a" / "c" / "t1c.nii", BASE)
    write_nifti(tmp_path / "b" / "c" / "t1ce.nii.gz", BASE.astype(np.float32))
    import_one(tmp_path / "a" / "c", tmp_path / "s")
    assert import_one(tmp_path / "b" / "c", tmp_path / "s").status is ImportStatus.ALREADY_THERE


@pytest.mark.parametrize("names", [BRATS, BRATS[:3]])
def test_another_case_of_the_same_id_is_refused(tmp_path: Path, names: tuple[str, ...]) -> None:
    import_one(write_brats(tmp_path / "a" / "B_001"), tmp_path / "studies")
    before = tree(tmp_path / "studies")
    shift = 1 if names == BRATS else 0  # other voxels, or fewer sequences
    other = write_brats(tmp_path / "b" / "B_001", shift, names)
    report = import_one(other, tmp_path / "studies")
    assert report.status is ImportStatus.REFUSED
    assert "B_001 is taken by a case with other volumes" in report.message
    assert "Rename the folder" in report.remedy
    assert tree(tmp_path / "studies") == before


def test_a_moved_affine_is_another_case(tmp_path: Path) -> None:
    write_nifti(tmp_path / "a" / "c" / "t1c.nii", BASE)
    write_nifti(tmp_path / "b" / "c" / "t1c.nii", BASE, grid(origin_mm=(1.0, 0.0, 0.0)))
    import_one(tmp_path / "a" / "c", tmp_path / "s")
    assert import_one(tmp_path / "b" / "c", tmp_path / "s").status is ImportStatus.REFUSED


def test_a_bad_case_does_not_stop_the_others(tmp_path: Path) -> None:
    for name in ("B_001", "B_002", "B_003"):
        write_brats(tmp_path / "cases" / name)
    bad = tmp_path / "cases" / "B_002" / "B_002_t2.nii"
    bad.write_bytes(bad.read_bytes()[:500])
    seen: list[ImportReport] = []
    reports = import_cases(tmp_path / "cases", tmp_path / "studies", on_report=seen.append)
    assert seen == reports
    assert {r.case_id: r.status.value for r in reports} == {
        "B_001": "imported",
        "B_002": "refused",
        "B_003": "imported",
    }
    assert reports[1].message.startswith("B_002_t2.nii: data end after")
    assert not [name for name in tree(tmp_path / "studies") if "B_002" in name]


def test_doubts_are_kept_without_file_names(tmp_path: Path) -> None:
    image = nib.Nifti1Image(BASE, None)
    image.header["qform_code"] = image.header["sform_code"] = 0
    (tmp_path / "c").mkdir()
    nib.save(image, tmp_path / "c" / "john_smith.nii")
    import_one(tmp_path / "c", tmp_path / "s")
    record = (tmp_path / "s" / "sequences" / "c" / "case.json").read_text(encoding="utf-8")
    assert "smith" not in record
    assert json.loads(record)["reference"] == "t1c"
    warnings = resolve_case(tmp_path / "s", "c").warnings
    assert "taken as t1c" in warnings[0]
    assert "left and right may be exchanged" in warnings[1]
    assert len(warnings) == 2


def test_a_dicom_tree_of_several_patients_becomes_cases_without_their_names(
    tmp_path: Path,
) -> None:
    for number, name in enumerate(["DOE_JANE", "export7"]):
        for index, text in enumerate(["AX T1 POST", "AX FLAIR"]):
            write_dicom_series(
                tmp_path / "tree" / name / f"s{index}",
                BASE + 10 * index,
                GRIDS["anisotropic"],
                description=text,
                number=index,
                study_uid=f"1.2.{number}",
            )
    reports = import_cases(tmp_path / "tree", tmp_path / "s")
    assert [r.status for r in reports] == [ImportStatus.IMPORTED] * 2
    assert {r.sequences for r in reports} == {(Sequence.T1C, Sequence.FLAIR)}
    ids = sorted(r.case_id for r in reports)
    assert ids[0] == "export7"
    assert ids[1].startswith("study-")
    public = {name: held for name, held in tree(tmp_path / "s").items() if SOURCE_NAME not in name}
    assert "doe" not in " ".join([*public, *map(str, public.values())]).lower()
    loaded = resolve_case(tmp_path / "s", "export7")
    np.testing.assert_array_equal(loaded.case.volumes[Sequence.FLAIR].array, BASE + 10)
    np.testing.assert_allclose(loaded.case.affine, GRIDS["anisotropic"], atol=1e-6)


def test_two_studies_in_one_folder_are_told_apart(tmp_path: Path) -> None:
    for number in (1, 2):
        write_dicom_series(
            tmp_path / "mixed", BASE, grid(), number=number, study_uid=f"1.2.{number}"
        )
    reports = import_cases(tmp_path / "mixed", tmp_path / "s")
    assert [r.status for r in reports] == [ImportStatus.IMPORTED] * 2
    assert all(r.case_id.startswith("study-") for r in reports)


def test_cases_are_found_at_any_depth_and_named_by_their_folders(tmp_path: Path) -> None:
    root = tmp_path / "bids"
    for session in ("ses-1", "ses-2"):
        write_nifti(root / "sub-01" / session / "anat" / f"sub-01_{session}_T1w.nii.gz", BASE)
        write_nifti(root / "sub-01" / session / "dwi" / f"sub-01_{session}_dwi.nii.gz", BASE)
    write_nifti(root / "sub-02" / "anat" / "sub-02_FLAIR.nii.gz", BASE)
    write_nifti(root / "derivatives" / "sub-01_seg.nii.gz", BASE)
    found = find_cases(root)
    assert {f.name: f.source.sequences.keys() for f in found if f.source} == {
        "sub-01_ses-1": {Sequence.T1},
        "sub-01_ses-2": {Sequence.T1},
        "sub-02": {Sequence.FLAIR},
    }
    assert [f.source.case_id for f in found if f.source] == [f.name for f in found]


def test_dicom_files_beside_their_converted_volumes_are_not_a_second_case(tmp_path: Path) -> None:
    write_nifti(tmp_path / "all" / "p1" / "p1_t1c.nii", BASE)
    write_dicom_series(tmp_path / "all" / "p1" / "dicom", BASE, grid())
    write_dicom_series(tmp_path / "all" / "p2" / "dicom", BASE, grid(), study_uid="1.2.9")
    write_nifti(tmp_path / "all" / "p2" / "tumour_seg.nii", BASE)
    found = find_cases(tmp_path / "all")
    assert [f.name for f in found] == ["p1", "p2_dicom"]
    assert all(f.source and set(f.source.sequences) == {Sequence.T1C} for f in found)


def test_sequence_folders_make_one_case(tmp_path: Path) -> None:
    for name in ("x_t1.nii", "x_t1ce.nii"):
        write_nifti(tmp_path / "x" / name / "brain.nii", BASE)
    (found,) = find_cases(tmp_path / "x")
    assert found.source is not None
    assert set(found.source.sequences) == {Sequence.T1, Sequence.T1C}


def test_a_single_file_is_a_source(tmp_path: Path) -> None:
    path = write_nifti(tmp_path / "case9_t2.nii.gz", BASE)
    report = import_one(path, tmp_path / "s")
    assert (report.case_id, report.reference) == ("case9_t2", Sequence.T2)
    assert resolve_case(tmp_path / "s", "case9_t2").case.reference is Sequence.T2


def test_a_source_without_volumes_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(SequenceError, match="empty holds no volume"):
        import_cases(tmp_path / "empty", tmp_path / "s")
    with pytest.raises(FileFormatError, match="does not exist"):
        import_cases(tmp_path / "nowhere", tmp_path / "s")


def test_a_folder_filled_by_hand_is_a_studies_folder(tmp_path: Path) -> None:
    write_nifti(tmp_path / "patient a (1).nii.gz", BASE)
    write_nifti(tmp_path / "b_flair.nii", BASE)
    loaded = resolve_case(tmp_path, "patient a (1)")
    assert loaded.case.reference is Sequence.T1C
    assert "taken as t1c" in loaded.warnings[0]
    loaded = resolve_case(tmp_path, "b_flair")
    assert (loaded.case.reference, loaded.warnings) == (Sequence.FLAIR, ())


def test_siblings_put_there_by_hand_are_found_by_their_names(tmp_path: Path) -> None:
    write_nifti(tmp_path / "p.nii.gz", BASE)
    write_nifti(tmp_path / "sequences" / "p" / "p_T2w.nii.gz", BASE + 1)
    write_nifti(tmp_path / "sequences" / "p" / "p_seg.nii.gz", BASE)
    write_nifti(tmp_path / "sequences" / "p" / "t1c.nii.gz", BASE)
    loaded = resolve_case(tmp_path, "p")
    assert loaded.case.present == (Sequence.T1C, Sequence.T2)
    assert "a second t1c beside the reference volume is not used" in loaded.warnings


def test_of_several_reference_files_the_packed_one_counts(tmp_path: Path) -> None:
    write_nifti(tmp_path / "p.nii", BASE)
    write_nifti(tmp_path / "p.nii.gz", BASE + 5)
    assert resolve_case(tmp_path, "p").case.volumes[Sequence.T1C].array[0, 0, 0] == 6


def test_an_unknown_case_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="'B_9' is not in the studies folder"):
        resolve_case(tmp_path, "B_9")


@pytest.mark.parametrize("case_id", ["", "../secret", "/etc/passwd", "a\\b", ".hidden", "a\0b"])
def test_an_id_that_is_a_path_is_refused(tmp_path: Path, case_id: str) -> None:
    write_nifti(tmp_path / "secret.nii.gz", BASE)
    (tmp_path / "studies").mkdir()
    with pytest.raises(InputError, match="not a path"):
        resolve_case(tmp_path / "studies", case_id)


@pytest.mark.parametrize("content", ["", "{", "[]", '{"reference": "t9"}', "null"])
def test_a_damaged_record_is_named(tmp_path: Path, content: str) -> None:
    import_one(write_brats(tmp_path / "B_001"), tmp_path / "s")
    (tmp_path / "s" / "sequences" / "B_001" / "case.json").write_text(content, encoding="utf-8")
    with pytest.raises(StorageError, match=r"case\.json of case B_001 is damaged"):
        resolve_case(tmp_path / "s", "B_001")


def test_a_record_that_only_names_the_reference_will_do(tmp_path: Path) -> None:
    import_one(write_brats(tmp_path / "B_001", names=("t1", "flair")), tmp_path / "s")
    record = tmp_path / "s" / "sequences" / "B_001" / "case.json"
    record.write_text('{"reference": "flair", "sequences": {"t1": "t1.nii.gz"}}', encoding="utf-8")
    loaded = resolve_case(tmp_path / "s", "B_001")
    assert (loaded.case.reference, loaded.case.present) == (Sequence.FLAIR, (ALL[0], ALL[3]))
    again = import_one(tmp_path / "B_001", tmp_path / "s")
    assert again.status is ImportStatus.ALREADY_THERE
    other = write_brats(tmp_path / "b" / "B_001", 1, ("t1", "flair"))
    assert import_one(other, tmp_path / "s").status is ImportStatus.REFUSED


def test_the_file_of_an_imported_reference_is_loaded_with_its_siblings(tmp_path: Path) -> None:
    import_one(write_brats(tmp_path / "B_001", names=("t1", "flair")), tmp_path / "s")
    loaded = load_case(tmp_path / "s" / "B_001.nii.gz")
    assert (loaded.case.reference, loaded.case.present) == (Sequence.FLAIR, (ALL[0], ALL[3]))
    assert loaded.warnings == ()
    named = {Sequence.FLAIR: Path("B_001.nii.gz")}
    alone = load_case(tmp_path / "s", sequences=named, case_id="alone")
    assert alone.case.present == (Sequence.FLAIR,)
    other = resolve_case(tmp_path / "s", "B_001", reference=Sequence.T1)
    assert other.case.reference is Sequence.T1


def test_a_reference_put_there_by_hand_gets_its_siblings(tmp_path: Path) -> None:
    write_brats(tmp_path / "B_001")
    write_nifti(tmp_path / "s" / "B_001.nii.gz", (BASE + 1000).astype(np.int16), GRIDS["flipped"])
    before = (tmp_path / "s" / "B_001.nii.gz").read_bytes()
    assert import_one(tmp_path / "B_001", tmp_path / "s").status is ImportStatus.IMPORTED
    assert (tmp_path / "s" / "B_001.nii.gz").read_bytes() == before
    assert resolve_case(tmp_path / "s", "B_001").case.present == ALL


def test_another_volume_put_there_by_hand_is_not_touched(tmp_path: Path) -> None:
    write_brats(tmp_path / "B_001")
    write_nifti(tmp_path / "s" / "B_001.nii.gz", BASE)
    before = tree(tmp_path / "s")
    report = import_one(tmp_path / "B_001", tmp_path / "s")
    assert report.status is ImportStatus.REFUSED
    assert tree(tmp_path / "s") == before


@pytest.mark.parametrize("write", range(5))
def test_a_full_disk_at_any_write_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: int
) -> None:
    import_one(write_brats(tmp_path / "B_000"), tmp_path / "s")
    before = tree(tmp_path / "s")
    original, count = studies_module.write_synced, 0

    def full(path: Path, content: bytes) -> None:
        nonlocal count
        if count == write:
            path.write_bytes(content[:20])
            raise OSError(28, "No space left on device")
        count += 1
        original(path, content)

    monkeypatch.setattr(studies_module, "write_synced", full)
    source = write_brats(tmp_path / "B_001")
    report = import_one(source, tmp_path / "s")
    assert report.status is ImportStatus.REFUSED
    assert "the disk is full" in report.message
    assert tree(tmp_path / "s") == before
    assert not (tmp_path / "s" / "sequences" / "B_001").exists()
    monkeypatch.undo()
    assert import_one(source, tmp_path / "s").status is ImportStatus.IMPORTED


def test_what_a_killed_import_left_goes_with_the_next(tmp_path: Path) -> None:
    left = tmp_path / "s" / "sequences" / f"{durable.TEMPORARY_PREFIX}0123"
    left.mkdir(parents=True)
    (left / "reference").write_bytes(b"half")
    with studies_module._importing(tmp_path / "s"):  # another import runs: it may be its own
        studies_module.remove_import_leftovers(tmp_path / "s")
        assert left.exists()
    import_one(write_brats(tmp_path / "B_001"), tmp_path / "s")
    assert not left.exists()


def test_an_import_cut_off_before_the_reference_is_completed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    source = write_brats(tmp_path / "B_001")
    monkeypatch.setattr(os, "link", killed)
    with pytest.raises(KeyboardInterrupt):
        import_one(source, tmp_path / "s")
    monkeypatch.undo()
    assert not (tmp_path / "s" / "B_001.nii.gz").exists()
    assert import_one(source, tmp_path / "s").status is ImportStatus.IMPORTED
    assert resolve_case(tmp_path / "s", "B_001").case.present == ALL
    assert len(tree(tmp_path / "s")) == 5


def test_a_file_system_without_hard_links_will_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(95, "Operation not supported")

    monkeypatch.setattr(os, "link", unsupported)
    report = import_one(write_brats(tmp_path / "B_001"), tmp_path / "s")
    assert report.status is ImportStatus.IMPORTED
    assert resolve_case(tmp_path / "s", "B_001").case.present == ALL


@pytest.mark.parametrize("another_imports", [True, False])
def test_young_leftovers_are_kept_where_another_import_may_be_making_them(
    another_imports: bool, tmp_path: Path
) -> None:
    sequences = tmp_path / "s" / "sequences"
    old, young = sequences / ".tumorlens-tmp-old", sequences / ".tumorlens-tmp-young"
    for folder in (old, young):
        (folder / "siblings").mkdir(parents=True)
    os.utime(old, (1.0, 1.0))
    other = studies_module._importing(tmp_path / "s") if another_imports else nullcontext()
    with other:
        import_one(write_brats(tmp_path / "B_001"), tmp_path / "s")
    assert (old.exists(), young.exists()) == (False, another_imports)


def test_the_digest_tells_voxels_and_geometry_but_not_their_type() -> None:
    volume = a_counted_volume(affine=GRIDS["oblique"])
    same = Volume(
        np.asfortranarray(volume.array.astype(np.int16)), volume.affine.astype(np.float32)
    )
    assert digest(same) == digest(volume)
    other = volume.array.copy()
    other[0, 0, 0] += 1
    assert digest(Volume(other, volume.affine)) != digest(volume)
    assert digest(Volume(volume.array, GRIDS["shifted"])) != digest(volume)
    assert digest(Volume(volume.array.reshape(11, 9, 7), volume.affine)) != digest(volume)


@pytest.mark.parametrize("names", [("P 1", "P-1"), ("P-1", "P 1"), ("P 1", "P(1)")])
def test_folders_whose_ids_are_equal_stay_apart(tmp_path: Path, names: tuple[str, str]) -> None:
    for shift, name in enumerate(names):
        write_nifti(tmp_path / "in" / name / "t1c.nii.gz", (BASE + shift).astype(np.int16))
    reports = import_cases(tmp_path / "in", tmp_path / "s")
    assert [r.status for r in reports] == [ImportStatus.IMPORTED] * 2
    again = import_cases(tmp_path / "in", tmp_path / "s")
    assert [r.status for r in again] == [ImportStatus.ALREADY_THERE] * 2
    assert [r.case_id for r in again] == [r.case_id for r in reports]
    assert len(list((tmp_path / "s").glob("*.nii.gz"))) == 2


def test_the_name_of_a_folder_is_kept_as_title(tmp_path: Path) -> None:
    write_nifti(tmp_path / "김철수" / "t1c.nii.gz", BASE)
    report = import_one(tmp_path / "김철수", tmp_path / "s")
    assert report.case_id == "gimceolsu-f09c2129"
    record = tmp_path / "s" / "sequences" / report.case_id / "case.json"
    assert json.loads(record.read_text(encoding="utf-8"))["title"] == "김철수"


@pytest.mark.parametrize("names", [("T1_Smith", "FLAIR_Jones"), ("Mask", "Perfusion Bob")])
def test_folders_of_patients_may_hold_any_words(tmp_path: Path, names: tuple[str, str]) -> None:
    for shift, name in enumerate(names):
        for sequence in ("t1c", "flair"):
            write_nifti(tmp_path / name / f"{sequence}.nii.gz", (BASE + shift).astype(np.int16))
    found = find_cases(tmp_path)
    assert sorted(f.name for f in found) == sorted(names)
    assert all(f.source and len(f.source.sequences) == 2 for f in found)


def test_files_of_several_patients_in_one_folder_are_several_cases(tmp_path: Path) -> None:
    for patient in ("PAT1", "PAT2"):
        for index, sequence in enumerate(BRATS):
            write_nifti(tmp_path / "f" / f"{patient}_{sequence}.nii.gz", BASE + index)
        write_nifti(tmp_path / "f" / f"{patient}_seg.nii.gz", BASE)
    reports = import_cases(tmp_path / "f", tmp_path / "s")
    assert [(r.case_id, r.sequences) for r in reports] == [("PAT1", ALL), ("PAT2", ALL)]
    with pytest.raises(SequenceError, match="holds the files of 2 cases: PAT1, PAT2") as refused:
        load_case(tmp_path / "f")
    assert "tumorlens import" in refused.value.remedy
