"""What lies in a folder and is no part of a case, in notes for the person at the keyboard."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from brain_tumor.cases.files.dicom_headers import is_dicom
from brain_tumor.cases.files.dicom_scan import DicomScan
from brain_tumor.cases.files.folders import broken_links, files_below

UNREAD_SUFFIXES = (
    *(".mgz", ".mgh", ".mhd", ".nhdr", ".hdr", ".img", ".img.gz", ".mnc", ".par", ".rec", ".xml"),
    *(".zip", ".tar", ".tar.gz", ".tgz", ".rar", ".7z", ".nii.bz2", ".nii.zip", ".npy", ".npz"),
)
"""Endings of images and archives that are not read."""
_MAX_NAMED = 12


def dicom_notes(scan: DicomScan, folder: Path) -> list[str]:
    """One note for each reason why DICOM files are no part of a series."""
    by_reason: dict[str, list[Path]] = {}
    for one in scan.passed_over:
        by_reason.setdefault(one.reason, []).append(one.path)
    notes = [f"not used, {why}: {_named(paths, folder)}" for why, paths in by_reason.items()]
    if scan.repeated:
        notes.append(f"the same images twice, each counts once: {_named(scan.repeated, folder)}")
    return notes


def file_notes(folder: Path, *, is_dicom_used: bool = True) -> list[str]:
    """Notes about images and archives of formats that are not read.

    Args:
        folder: Folder of the case.
        is_dicom_used: False if DICOM files lie unused beside volume files.
    """
    unread, dicom = [], []
    for path in files_below(folder):
        if path.name.lower().endswith(UNREAD_SUFFIXES):
            unread.append(path)
        elif not is_dicom_used and is_dicom(path):
            dicom.append(path)
    notes = [f"not used, a format that is not read: {_named(unread, folder)}"] if unread else []
    if broken := broken_links(folder):
        notes.append(f"not used, links that lead nowhere: {_named(broken, folder)}")
    if dicom:
        notes.append(f"not used, DICOM beside volume files: {_named(dicom, folder)}")
    return notes


def _named(paths: Iterable[Path], folder: Path) -> str:
    """Names of files, or of their folders with counts if there are many."""
    listed = list(paths)
    names = [_below(path, folder) for path in listed]
    if len(names) <= _MAX_NAMED:
        return ", ".join(names)
    counts: dict[str, int] = {}
    for path in listed:
        counts[_below(path.parent, folder)] = counts.get(_below(path.parent, folder), 0) + 1
    return ", ".join(f"{n} files in {where}/" for where, n in counts.items())


def _below(path: Path, folder: Path) -> str:
    if path.is_relative_to(folder) and path != folder:
        return path.relative_to(folder).as_posix()
    return path.name
