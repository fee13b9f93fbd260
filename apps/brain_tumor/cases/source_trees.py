"""Finding every case below a folder: case folders, folders of them, DICOM trees."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from brain_tumor.cases.case_ids import case_id_from
from brain_tumor.cases.files.dicom_scan import DicomScan, scan_dicom
from brain_tumor.cases.files.dicom_series import DicomSeries
from brain_tumor.cases.files.leftovers import dicom_notes, file_notes
from brain_tumor.cases.flat_folders import cases_in_one_folder
from brain_tumor.cases.sequences import names_other_image, recognise_sequence
from brain_tumor.cases.sources import (
    CaseSource,
    case_of_files,
    case_of_series,
    find_case,
    is_other_file,
    private_case_id,
    title_of,
    volume_files,
)
from brain_tumor.errors import InputError, SequenceError

# Folders inside a case by which BIDS and others sort its images.
_PARTS_OF_A_CASE = frozenset({"anat", "func", "fmap", "perf", "nifti", "images"})


@dataclass(frozen=True, eq=False)
class FoundCase:
    """A case in a tree, or why it is none.

    Attributes:
        name: How reports call it.
        source: Its sequences; None if it is no case.
        error: What is wrong with it.
        notes: What lies beside it and is not used, when it is no case.
    """

    name: str
    source: CaseSource | None = None
    error: InputError | None = None
    notes: tuple[str, ...] = ()


def find_cases(source: Path) -> list[FoundCase]:
    """Cases in a file, a case folder, a folder of case folders or a DICOM tree.

    A case is named after its folder, sub-folders joined by `_`. DICOM studies are told apart by
    their StudyInstanceUID, wherever their files lie; see `private_case_id` for their names. Files
    of several cases in one folder are told apart by their names.

    Raises:
        SequenceError: If there is no volume at all.
        FileFormatError: If the source is a file of no known format or does not exist.
    """
    if not source.is_dir():
        lone = find_case(source)
        return [FoundCase(lone.case_id, lone)]
    folders = [folder for folder in _case_folders(source) if _holds_sequences(folder)]
    found = [case for folder in folders for case in _cases_of(folder, source)]
    scan = scan_dicom(source)
    studies: dict[str, list[DicomSeries]] = {}
    for series in scan.series:
        if not any(series.slices[0].path.is_relative_to(folder) for folder in folders):
            studies.setdefault(series.study, []).append(series)
    places = {study: _common_folder(group) for study, group in studies.items()}
    for study, group in studies.items():
        is_shared = list(places.values()).count(places[study]) > 1
        name = f"study-{study[:12]}" if is_shared else _joined_name(places[study], source)
        case_id = private_case_id(name, group[0])
        title = "" if case_id.startswith("study-") else title_of(name, case_id)
        found.append(_find(case_id, partial(_case_of_study, group, case_id, title)))
    if not found:
        scan.check_any_is_sound()
        raise SequenceError(
            f"{source.name} holds no volume; expected NIfTI, NRRD or DICOM MR images"
            + "".join(f"; {note}" for note in _leftover_notes(scan, source)),
            remedy="Name a case folder, a folder of case folders or a DICOM folder.",
        )
    return _with_leftovers(found, scan, source, folders)


def _find(name: str, find: Callable[[], CaseSource]) -> FoundCase:
    try:
        return FoundCase(name, find())
    except InputError as error:
        return FoundCase(name, error=error)


def _cases_of(folder: Path, source: Path) -> Iterator[FoundCase]:
    """The case of a folder, or its cases if its files' names tell several apart."""
    name, files = _joined_name(folder, source), list(volume_files(folder))
    flat = cases_in_one_folder(files)
    if not flat:
        yield _find(name, partial(_case_in, files, folder, name))
        return
    inside = "" if folder == source else f"{name}_"
    for part, group in flat.items():
        yield _find(f"{inside}{part}", partial(_case_in, group, folder, f"{inside}{part}"))


def _case_in(files: list[Path], folder: Path, name: str) -> CaseSource:
    found = case_of_files(files, folder)
    case_id = case_id_from(name)
    return replace(found, case_id=case_id, title=title_of(name, case_id))


def _case_of_study(group: list[DicomSeries], case_id: str, title: str) -> CaseSource:
    return replace(case_of_series(group, Path(case_id)), case_id=case_id, title=title)


def _leftover_notes(scan: DicomScan, source: Path) -> list[str]:
    return [*dicom_notes(scan, source), *file_notes(source)]


def _with_leftovers(
    found: list[FoundCase], scan: DicomScan, source: Path, folders: list[Path]
) -> list[FoundCase]:
    """Cases with notes about the files that belong to none; the last case carries them."""
    notes = _leftover_notes(scan, source)
    inside = [
        series.label
        for series in scan.series
        if any(series.slices[0].path.is_relative_to(folder) for folder in folders)
    ]
    if inside:
        notes.append(f"not used, DICOM beside volume files: {', '.join(inside)}")
    used = {path for case in found if case.source for path in case.source.files}
    others = [path for path in volume_files(source) if path not in used]
    named = " ".join(note for case in found if case.source for note in case.source.notes)
    unnamed = [path.relative_to(source).as_posix() for path in others if path.name not in named]
    if unnamed and any(case.source for case in found):
        notes.append(f"not used: {', '.join(unnamed)}")
    if not notes:
        return found
    *first, last = found
    if last.source is None:
        return [*first, replace(last, notes=tuple(notes))]
    return [*first, replace(last, source=replace(last.source, notes=(*last.source.notes, *notes)))]


def _case_folders(folder: Path) -> Iterator[Path]:
    """Folders whose volume files, sub-folders included, belong to one case each."""
    children = [
        child
        for child in sorted(folder.iterdir())
        if child.is_dir() and not child.name.startswith((".", "__"))
    ]
    holding = {child: files for child in children if (files := list(volume_files(child)))}
    has_files = any(path.parent == folder for path in volume_files(folder))
    are_parts = any(_is_part_of_a_case(child.name) for child in holding)
    if has_files or (are_parts and not _are_cases(holding)):
        yield folder
        return
    for child in holding:
        yield from _case_folders(child)


def _are_cases(holding: dict[Path, list[Path]]) -> bool:
    """True if sub-folders hold cases of their own, whatever words their names hold.

    They do if the names of the files themselves tell two sequences in one folder, or one sequence
    in two folders.
    """
    if any(child.name.lower() in _PARTS_OF_A_CASE for child in holding):
        return False
    told = [
        {s for path in files if (s := recognise_sequence(path.name)) is not None}
        for files in holding.values()
    ]
    everything = [sequence for sequences in told for sequence in sequences]
    return any(len(sequences) > 1 for sequences in told) or len(set(everything)) < len(everything)


def _is_part_of_a_case(name: str) -> bool:
    return (
        name.lower() in _PARTS_OF_A_CASE
        or recognise_sequence(name) is not None
        or names_other_image(name)
    )


def _holds_sequences(folder: Path) -> bool:
    return any(not is_other_file(path, folder) for path in volume_files(folder))


def _joined_name(folder: Path, source: Path) -> str:
    return "_".join(folder.relative_to(source).parts) or source.resolve().name


def _common_folder(group: list[DicomSeries]) -> Path:
    return Path(os.path.commonpath([path.parent for series in group for path in series.files()]))
