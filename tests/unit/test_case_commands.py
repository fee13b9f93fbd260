"""Import on the command line: what is told by hand, archives, and short answers."""

from __future__ import annotations

import csv
import json
import tarfile
import zipfile
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from brain_tumor.case_commands import CASE_COLUMNS, append_rows, case_row, case_summary
from brain_tumor.cases.by_hand import ByHand, one_case_by_hand, parse_channels
from brain_tumor.cases.loading import load_source
from brain_tumor.cases.sequences import Sequence
from brain_tumor.cases.studies import resolve_case
from brain_tumor.cli import main
from brain_tumor.errors import FileFormatError, InputError, SequenceError

from tests.helpers.dicom import write_dicom_series
from tests.helpers.volumes import SHAPE, write_nifti

ALL = tuple(Sequence)
BASE = np.arange(1, 1 + np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
ORDER = ("flair", "t1", "t1c", "t2")  # of the Medical Segmentation Decathlon
SHIFT = {name: 1000 * n for n, name in enumerate(ORDER)}


def assert_stored(studies: Path, case: str) -> None:
    volumes = resolve_case(studies, case).case.volumes
    assert set(volumes) == set(ALL)
    for sequence, volume in volumes.items():
        np.testing.assert_array_equal(volume.array, BASE + SHIFT[sequence.value])


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def write_channels(folder: Path, name: str) -> None:
    for number, sequence in enumerate(ORDER):
        write_nifti(folder / f"{name}_{number:04d}.nii.gz", BASE + SHIFT[sequence])


def test_files_are_named_by_option(tmp_path: Path) -> None:
    options: list[object] = []
    for number, name in enumerate(ORDER):
        options += [f"--{name}", write_nifti(tmp_path / f"scan{number}.nii.gz", BASE + SHIFT[name])]
    assert run("import", "--studies", tmp_path / "s", *options) == 0
    (stored,) = (tmp_path / "s").glob("*.nii.gz")
    assert_stored(tmp_path / "s", stored.name.removesuffix(".nii.gz"))


def test_a_named_file_may_lie_beside_the_case(tmp_path: Path) -> None:
    for number, name in enumerate(ORDER):
        write_nifti(tmp_path / "P7" / f"scan{number}.nii.gz", BASE + SHIFT[name])
    options = [part for n, name in enumerate(ORDER) for part in (f"--{name}", f"scan{n}.nii.gz")]
    assert run("import", tmp_path / "P7", "--studies", tmp_path / "s", *options) == 0
    assert_stored(tmp_path / "s", "P7")


def test_dicom_folders_are_named_by_option(tmp_path: Path) -> None:
    for number, shift in ((3, 0), (5, 500)):
        folder = tmp_path / "P7" / f"series {number}"
        write_dicom_series(folder, BASE + shift, np.eye(4), description="brain", number=number)
    case = load_source(
        one_case_by_hand(
            tmp_path / "P7",
            ByHand({Sequence.T1: Path("series 3"), Sequence.T1C: Path("series 5")}),
        )
    ).case
    assert (case.volumes[Sequence.T1C].array - case.volumes[Sequence.T1].array == 500).all()


@pytest.mark.parametrize("source", [".", "BRATS_001_0002.nii.gz"])
def test_channels_tell_nnunet_files(tmp_path: Path, source: str) -> None:
    write_channels(tmp_path / "n", "BRATS_001")
    arguments = ("--studies", tmp_path / "s", "--channels", ",".join(ORDER))
    assert run("import", tmp_path / "n" / source, *arguments) == 0
    assert_stored(tmp_path / "s", "BRATS_001")


def test_a_folder_of_nnunet_files_is_many_cases(tmp_path: Path) -> None:
    for name in ("BRATS_001", "BRATS_002"):
        write_channels(tmp_path / "imagesTr", name)
    arguments = ("--studies", tmp_path / "s", "--channels", ",".join(ORDER))
    assert run("import", tmp_path / "imagesTr", *arguments) == 0
    for name in ("BRATS_001", "BRATS_002"):
        assert_stored(tmp_path / "s", name)
    with pytest.raises(SequenceError, match="2 cases: BRATS_001, BRATS_002; expected one"):
        one_case_by_hand(tmp_path / "imagesTr", ByHand(channels=parse_channels("t1,t2,flair,t1c")))


def test_channels_tell_a_4d_file(tmp_path: Path) -> None:
    stack = np.stack([BASE + SHIFT[name] for name in ORDER], axis=-1)
    path = write_nifti(tmp_path / "BRATS_001.nii.gz", stack)
    assert run("import", path, "--studies", tmp_path / "s", "--channels", ",".join(ORDER)) == 0
    assert_stored(tmp_path / "s", "BRATS_001")


def test_a_channel_may_be_left_out(tmp_path: Path) -> None:
    write_channels(tmp_path, "a")
    told = ByHand(channels=parse_channels("-,t1,t1c,-"))
    source = one_case_by_hand(tmp_path, told)
    assert set(source.sequences) == {Sequence.T1, Sequence.T1C}
    assert source.notes == ("not used: a_0000.nii.gz", "not used: a_0003.nii.gz")


@pytest.mark.parametrize("text", ["t1,t1", "t1,pd", "", "-,-", "t1 t2"])
def test_channels_that_cannot_be_read_are_refused(text: str) -> None:
    with pytest.raises(SequenceError, match="expected different names"):
        parse_channels(text)


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    write_channels(tmp_path, "a")
    with pytest.raises(SequenceError, match=r"a has the channels _0000, .*; 3 are told"):
        one_case_by_hand(tmp_path, ByHand(channels=parse_channels("t1,t1c,t2")))
    with pytest.raises(FileFormatError, match=r"no\.nii, named as t2, does not exist"):
        one_case_by_hand(tmp_path, ByHand({Sequence.T2: Path("no.nii")}))
    with pytest.raises(InputError, match="by file and by channel"):
        ByHand({Sequence.T1: Path("a")}, (Sequence.T1,))


def test_a_remedy_names_options_that_exist(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_nifti(tmp_path / "a.nii.gz", np.stack([BASE] * 4, axis=-1))
    assert run("import", tmp_path / "a.nii.gz", "--studies", tmp_path / "s") == 2
    assert "--channels" in capsys.readouterr().out
    write_channels(tmp_path / "n", "a")
    assert run("import", tmp_path / "n", "--studies", tmp_path / "s") == 2
    assert "--t1c" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["import", "--help"])
    text = capsys.readouterr().out
    assert all(option in text for option in ("--channels", "--t1 ", "--t1c ", "--t2 ", "--flair "))


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_an_archive_of_a_study_is_imported(tmp_path: Path, kind: str) -> None:
    write_dicom_series(tmp_path / "x" / "P7" / "5", BASE, np.eye(4), description="T1 POST")
    archive = tmp_path / f"export7.{kind}"
    files = sorted((tmp_path / "x").rglob("*.dcm"))
    if kind == "zip":
        with zipfile.ZipFile(archive, "w") as packed:
            for path in files:
                packed.write(path, path.relative_to(tmp_path / "x"))
    else:
        with tarfile.open(archive, "w:gz") as packed:
            for path in files:
                packed.add(path, path.relative_to(tmp_path / "x"))
    assert run("import", archive, "--studies", tmp_path / "s") == 0
    (stored,) = (tmp_path / "s").glob("*.nii.gz")
    np.testing.assert_array_equal(np.asarray(nib.load(stored).dataobj), BASE)


def test_an_import_ends_with_five_lines(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_nifti(tmp_path / "in" / "a" / "t1c.nii", BASE)
    write_nifti(tmp_path / "in" / "b" / "t1c.nii", BASE)
    (tmp_path / "in" / "b" / "t2.nii").write_bytes(b"no volume" * 99)
    assert run("import", tmp_path / "in", "--studies", tmp_path / "s") == 2
    said = capsys.readouterr()
    lines = said.out.splitlines()
    assert lines[0] == "a: imported (t1c)"
    assert lines[-5:-3] == [
        "2 cases: 1 imported, 0 already there, 1 refused",
        "sequences: t1c in 1",
    ]
    assert "1 of 2 cases were refused; the other 1 are in the studies folder" in said.err
    assert run("import", tmp_path / "in" / "a", "--studies", tmp_path / "s", "--quiet") == 0
    assert capsys.readouterr() == ("", "")


def test_nothing_imported_is_said_to_be_imported(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "t2.nii").write_bytes(b"no volume" * 99)
    assert run("import", tmp_path / "a", "--studies", tmp_path / "s") == 2
    assert "1 of 1 cases were refused; nothing was imported" in capsys.readouterr().err


def test_an_import_as_json_and_as_a_table(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_nifti(tmp_path / "in" / "a, b" / "t1c.nii", BASE)
    table = tmp_path / "cases.csv"
    arguments = ("import", tmp_path / "in", "--studies", tmp_path / "s", "--csv", table)
    assert run(*arguments, "--json") == 0
    (entry,) = json.loads(capsys.readouterr().out)
    assert (entry["case"], entry["status"], entry["title"]) == ("a-b", "imported", "a, b")
    assert run(*arguments) == 0
    with table.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [(row["case"], row["status"], row["sequences"]) for row in rows] == [
        ("a-b", "imported", "t1c"),
        ("a-b", "already there", "t1c"),
    ]


REPORT = {
    "case": "P7",
    "sequences": {"used": ["t1", "t1c"], "missing": ["t2", "flair"], "reference": "t1c"},
    "segmentation": {
        "model": "segmentation",
        "version": "0.4.0",
        "volumes_ml": {"WT": 34.04, "TC": 12.0, "ET": 7.96},
    },
    "classification": {"prediction": "glioma", "probabilities": {"glioma": 0.974}},
    "warnings": ["t2 was left out", "b", "c", "d"],
}


def test_five_lines_say_what_an_analysis_found(tmp_path: Path) -> None:
    (tmp_path / "report.json").touch()
    assert case_summary(REPORT, tmp_path) == [
        "case P7: t1, t1c (without t2, flair)",
        "tumour: WT 34.0 mL, TC 12.0 mL, ET 8.0 mL (segmentation 0.4.0)",
        "type: glioma (97% among the three types)",
        "warnings: 4: t2 was left out; b; c; and 1 more",
        f"written: {tmp_path} (report.json)",
    ]


def line_of(report: dict[str, object], index: int, folder: Path) -> str:
    return case_summary({**REPORT, **report}, folder)[index]


def test_nothing_is_certain_and_what_is_not_told_has_its_reason(tmp_path: Path) -> None:
    sure = {"prediction": "glioma", "probabilities": {"glioma": 0.9962}}
    said = line_of({"classification": sure}, 2, tmp_path)
    assert said == "type: glioma (more than 99% among the three types)"
    unknown = {
        "prediction": "undetermined",
        "probabilities": {"glioma": 0.9},
        "reasons": ["There is no t1c.", "b"],
    }
    said = line_of({"classification": unknown}, 2, tmp_path)
    assert said == "type: undetermined: There is no t1c."


def test_both_models_that_outlined_a_head_are_named(tmp_path: Path) -> None:
    models = [
        {"name": "segmentation", "version": "0.4.0"},
        {"name": "whole_head", "version": "0.1.0"},
        {"name": "classification", "version": "0.1.0"},
    ]
    assert "(segmentation 0.4.0 with whole_head 0.1.0)" in line_of({"models": models}, 1, tmp_path)


def test_a_row_a_case_is_appended_to_one_table(tmp_path: Path) -> None:
    table = tmp_path / "t.csv"
    for _ in range(2):
        append_rows(table, CASE_COLUMNS, [case_row(REPORT, tmp_path)])
    with table.open(encoding="utf-8") as stream:
        rows = list(csv.DictReader(stream))
    assert [row["ET_ml"] for row in rows] == ["7.96", "7.96"]
    assert rows[0]["type"] == "glioma"
    with pytest.raises(InputError, match="holds another table"):
        append_rows(table, ("a", "b"), [])
