"""Finding every case below a folder: case folders, folders of them, DICOM trees."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from brain_tumor.cases.case_ids import case_id_from
from brain_tumor.cases.dicom_series import DicomSeries, find_series
from brain_tumor.cases.sequences import names_other_image, recognise_sequence
from brain_tumor.cases.sources import (
    CaseSource,
    case_of_files,
    case_of_series,
    find_case,
    is_other_file,
    private_case_id,
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
    """

    name: str
    source: CaseSource | None = None
    error: InputError | None = None


def find_cases(source: Path) -> list[FoundCase]:
    """Cases in a file, a case folder, a folder of case folders or a DICOM tree.

    A case is named after its folder, sub-folders joined by `_`. DICOM studies are told apart by
    their StudyInstanceUID, wherever their files lie; see `private_case_id` for their names.

    Raises:
        SequenceError: If there is no volume at all.
        FileFormatError: If the source is a file of no known format or does not exist.
    """
    if not source.is_dir():
        lone = find_case(source)
        return [FoundCase(lone.case_id, lone)]
    folders = [folder for folder in _case_folders(source) if _holds_sequences(folder)]
    found = [
        _find(_joined_name(folder, source), partial(_case_in, folder, source)) for folder in folders
    ]
    studies: dict[str, list[DicomSeries]] = {}
    for series in find_series(source):
        if not any(series.slices[0].path.is_relative_to(folder) for folder in folders):
            studies.setdefault(series.study, []).append(series)
    places = {study: _common_folder(group) for study, group in studies.items()}
    for study, group in studies.items():
        is_shared = list(places.values()).count(places[study]) > 1
        name = f"study-{study[:12]}" if is_shared else _joined_name(places[study], source)
        case_id = private_case_id(name, group[0])
        found.append(_find(case_id, partial(_case_of_study, group, case_id)))
    if not found:
        raise SequenceError(
            f"{source.name} holds no volume; expected NIfTI, NRRD or DICOM MR images",
            remedy="Name a case folder, a folder of case folders or a DICOM folder.",
        )
    return found


def _find(name: str, find: Callable[[], CaseSource]) -> FoundCase:
    try:
        return FoundCase(name, find())
    except InputError as error:
        return FoundCase(name, error=error)


def _case_in(folder: Path, source: Path) -> CaseSource:
    found = case_of_files(list(volume_files(folder)), folder)
    return replace(found, case_id=case_id_from(_joined_name(folder, source)))


def _case_of_study(group: list[DicomSeries], case_id: str) -> CaseSource:
    return replace(case_of_series(group, Path(case_id)), case_id=case_id)


def _case_folders(folder: Path) -> Iterator[Path]:
    """Folders whose volume files, sub-folders included, belong to one case each."""
    children = [
        child
        for child in sorted(folder.iterdir())
        if child.is_dir() and not child.name.startswith((".", "__"))
    ]
    holding = [child for child in children if any(True for _ in volume_files(child))]
    has_files = any(path.parent == folder for path in volume_files(folder))
    if has_files or any(_is_part_of_a_case(child.name) for child in holding):
        yield folder
        return
    for child in holding:
        yield from _case_folders(child)


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
