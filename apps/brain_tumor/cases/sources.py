"""Which files or DICOM series of a folder are the sequences of a case."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from brain_tumor.cases.case_ids import case_id_from
from brain_tumor.cases.files.dicom_headers import is_dicom, read_identity
from brain_tumor.cases.files.dicom_scan import find_series, scan_dicom
from brain_tumor.cases.files.dicom_series import DicomSeries
from brain_tumor.cases.files.folders import files_below
from brain_tumor.cases.files.leftovers import dicom_notes, file_notes
from brain_tumor.cases.files.readers import is_picture, volume_suffix
from brain_tumor.cases.flat_folders import cases_in_one_folder
from brain_tumor.cases.sequences import (
    Agent,
    Sequence,
    names_other_image,
    read_name,
    recognise_sequence,
    without_suffix,
)
from brain_tumor.cases.series_choice import TAKEN_AS_NATIVE, choose_series
from brain_tumor.errors import FileFormatError, SequenceError


@dataclass(frozen=True)
class Channel:
    """One volume of a 4-D file.

    Attributes:
        path: NIfTI file.
        index: Its place on the last axis.
        count: How many volumes the file must hold.
    """

    path: Path
    index: int
    count: int

    @property
    def label(self) -> str:
        """How a message calls it."""
        return f"channel {self.index} of {self.path.name}"


Source = Path | DicomSeries | Channel
"""Where one sequence comes from: a file, a DICOM series, or a volume of a 4-D file."""

TAKEN_AS_T1C = "no name tells the sequence; the volume is taken as t1c (T1 with contrast agent)"
_MAX_LISTED = 12
# UCSF-PDGM ships each sequence twice, once bias-corrected
_VARIANT_WORDS = re.compile(r"[_\-. ](bias|n4|n4corrected|biascorrected)(?=[_\-. ]|$)", re.I)
_SourceT = TypeVar("_SourceT", Path, DicomSeries)


@dataclass(frozen=True, eq=False)
class CaseSource:
    """What makes up a case, not yet read.

    Attributes:
        case_id: Valid case id, without a patient's name as far as DICOM headers can tell.
        sequences: Source of each sequence.
        alternatives: Further sources of a sequence, the best first, for when one cannot be read.
        title: Name of the file or folder, if the id had to differ and it is no patient's.
        warnings: What a reader of the results must know; holds no file names.
        notes: What was left aside; for the person at the keyboard, holds file names.
    """

    case_id: str
    sequences: Mapping[Sequence, Source]
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    alternatives: Mapping[Sequence, tuple[Source, ...]] = field(default_factory=dict)
    title: str = ""

    @property
    def files(self) -> tuple[Path, ...]:
        """Files of the chosen sequences."""
        found: list[Path] = []
        for source in self.sequences.values():
            if isinstance(source, DicomSeries):
                found += source.files()
            else:
                found.append(source if isinstance(source, Path) else source.path)
        return tuple(dict.fromkeys(found))


def find_case(path: Path) -> CaseSource:
    """Sequences of the case in a file or folder.

    Args:
        path: A volume file, a DICOM file, a picture, or a folder that holds (also in sub-folders)
            the sequences as files or as DICOM series.

    Raises:
        FileFormatError: If the path does not exist or has no known format.
        SequenceError: If no sequence is found, one is found twice, or a lone file names another
            image. Of several DICOM series of one sequence the finest is taken.
    """
    if path.is_dir():
        files = list(volume_files(path))
        if any(not is_other_file(file, path) for file in files):
            found = case_of_files(files, path)
            return replace(found, notes=(*found.notes, *file_notes(path, is_dicom_used=False)))
        scan = scan_dicom(path)  # a DICOM study may have a segmentation file beside it
        if not scan.series:
            if not files:
                scan.check_any_is_sound()
            return case_of_files(files, path)
        found = case_of_series(list(scan.series), path)
        beside = [f"not used: {file.name}" for file in files]
        notes = (*found.notes, *beside, *dicom_notes(scan, path), *file_notes(path))
        return replace(found, notes=notes)
    if is_picture(path) or volume_suffix(path):
        return _from_lone_file(path)
    if path.exists() and is_dicom(path):
        return case_of_series(find_series(path), path)
    reason = "has no known format" if path.exists() else "does not exist"
    raise FileFormatError(f"{path.name} {reason}; expected a volume file or a folder of sequences")


def case_of_named(path: Path, sequences: Mapping[Sequence, Path]) -> CaseSource:
    """Case whose sequences somebody named.

    Args:
        path: The case's file or folder; relative paths of the sequences begin there.
        sequences: File or DICOM folder of each sequence.

    Raises:
        SequenceError: If none is named, one source is named twice, or a folder does not hold
            exactly one DICOM series.
    """
    if not sequences:
        raise SequenceError("no sequence is named; expected at least one of t1, t1c, t2, flair")
    base = path if path.is_dir() else path.parent
    named = {sequence: base / given for sequence, given in sequences.items()}
    if len({p.resolve() for p in named.values()}) < len(named):
        raise SequenceError("two sequences name the same file; expected one file per sequence")
    sources = {sequence: _one_source(p) for sequence, p in named.items()}
    return CaseSource(case_id_from(without_suffix(path.name)), sources)


def case_of_series(found: list[DicomSeries], folder: Path) -> CaseSource:
    """Case of the DICOM series of one study.

    Raises:
        SequenceError: If there are several studies, or no series that names a sequence.
    """
    if len({series.study for series in found}) > 1:
        raise SequenceError(
            f"{folder.name} holds the DICOM series of several studies; expected one",
            remedy="Name the folder of one study.",
        )
    others = [series for series in found if series.is_other]
    groups, untold = _group(found, lambda s: s.sequence, lambda s: s.is_other)
    notes = [f"not used: {s.label}" for s in (*others, *(untold if groups else ()))]
    choice = choose_series(groups, folder)
    notes += choice.notes
    warnings = list(choice.warnings)
    chosen: dict[Sequence, Source] = dict(choice.chosen)
    if not chosen:
        chosen, lone = _lone_unnamed(untold, [s.label for s in found], folder)
        warnings += lone
    case_id = private_case_id(without_suffix(folder.name), next(iter(found)))
    title = "" if case_id.startswith("study-") else title_of(without_suffix(folder.name), case_id)
    return CaseSource(case_id, chosen, tuple(warnings), tuple(notes), choice.alternatives, title)


def private_case_id(name: str, series: DicomSeries) -> str:
    """Case id from a folder name, or from the study's hash if the name could be a patient's."""
    identity = read_identity(series.slices[0].path)
    lowered = name.lower()
    if not identity.is_removed and any(text in lowered for text in identity.texts):
        return f"study-{hashlib.sha256(series.study.encode()).hexdigest()[:12]}"
    return case_id_from(name)


def volume_files(folder: Path) -> Iterator[Path]:
    """Volume files in a folder and its sub-folders, links included; hidden ones are passed over."""
    return (path for path in files_below(folder) if volume_suffix(path))


def sequence_of_file(path: Path, root: Path) -> Sequence | None:
    """Sequence that a file's name, else the name of its folder below the root, tells."""
    for name in _names(path, root):
        sequence = recognise_sequence(name)
        if sequence is not None or names_other_image(name):
            return sequence
    return None


def is_other_file(path: Path, root: Path) -> bool:
    """True if the names of a file and its folder say that it is none of the four sequences."""
    return sequence_of_file(path, root) is None and any(
        names_other_image(name) for name in _names(path, root)
    )


def case_of_files(files: list[Path], root: Path) -> CaseSource:
    """Case of volume files below a folder.

    Raises:
        SequenceError: If no sequence is recognised, or one has two files.
    """
    flat = cases_in_one_folder(files)
    if flat:
        raise SequenceError(
            f"{root.name} holds the files of {len(flat)} cases: "
            f"{', '.join(list(flat)[:_MAX_LISTED])}; expected one case",
            remedy="Import the folder (tumorlens import), which tells them apart, or name the "
            "files of one case (options --t1, --t1c, --t2, --flair).",
        )
    groups, untold = _group(
        files, lambda p: sequence_of_file(p, root), lambda p: is_other_file(p, root)
    )
    notes = [f"not used: {p.name}" for p in files if is_other_file(p, root)]
    case_id = case_id_from(root.name)
    chosen: dict[Sequence, Source] = {}
    for sequence, candidates in groups.items():
        plain, variants = _without_variants(candidates)
        if len(plain) > 1:
            raise SequenceError(
                f"{root.name} holds {len(plain)} files of {sequence.value}: {_listed(plain)}; "
                "expected one",
                remedy="Keep one of them in the folder, or name the files: options --t1, --t1c, "
                "--t2, --flair, over HTTP the keys t1, t1c, t2, flair.",
            )
        chosen[sequence] = plain[0]
        notes += [f"not used: {p.name}, a variant of {plain[0].name}" for p in variants]
    title = title_of(root.name, case_id)
    if chosen:
        notes += [f"not used, no sequence in the name: {p.name}" for p in untold]
        doubts = _unknown_words(
            chosen.get(Sequence.T1), [p for p in files if p not in untold], root
        )
        notes += [f"not known in the name of t1: {', '.join(doubts)}"] if doubts else []
        known: tuple[str, ...] = (TAKEN_AS_NATIVE,) if doubts else ()
        return CaseSource(case_id, chosen, known, tuple(notes), {}, title)
    lone, warnings = _lone_unnamed(untold, [p.name for p in files], root)
    return CaseSource(case_id, lone, warnings, tuple(notes), {}, title)


def _unknown_words(t1: Source | None, files: list[Path], root: Path) -> list[str]:
    """Words of a t1 file's name that may speak of contrast agent: not those of the case's name."""
    if not isinstance(t1, Path):
        return []
    reading = read_name(t1.name)
    if reading.sequence is not Sequence.T1 or reading.agent is not Agent.UNTOLD:
        return []
    others = " ".join([root.name, root.parent.name, *(p.name for p in files if p != t1)]).lower()
    return [word for word in reading.unknown if word not in others]


def title_of(name: str, case_id: str) -> str:
    """Name that a case goes by, if its id differs."""
    return "" if name == case_id else name


def _from_lone_file(path: Path) -> CaseSource:
    case_id = case_id_from(without_suffix(path.name))
    if names_other_image(path.name):
        raise SequenceError(
            f"{path.name} names a segmentation, a map or another image; expected t1, t1c, t2 or "
            "flair",
            remedy="Rename the file if it is one of these, or name its sequence: option --t1, "
            "--t1c, --t2 or --flair, over HTTP the key of that name.",
        )
    sequence = recognise_sequence(path.name)
    warnings: tuple[str, ...] = () if sequence else (TAKEN_AS_T1C,)
    if _unknown_words(path, [], path.parent):
        warnings = (TAKEN_AS_NATIVE,)
    title = title_of(without_suffix(path.name), case_id)
    return CaseSource(case_id, {sequence or Sequence.T1C: path}, warnings, (), {}, title)


def _lone_unnamed(
    untold: list[_SourceT], found: list[str], folder: Path
) -> tuple[dict[Sequence, Source], tuple[str, ...]]:
    """The only volume that names no sequence, as t1c.

    Raises:
        SequenceError: If there is none, or more than one.
    """
    if len(untold) == 1:
        return {Sequence.T1C: untold[0]}, (TAKEN_AS_T1C,)
    listed = ", ".join(found[:_MAX_LISTED]) + (", ..." if len(found) > _MAX_LISTED else "")
    what = f"found {listed}" if found else "found no volume"
    raise SequenceError(
        f"no sequence is recognised in {folder.name}; expected names with t1, t1c, t2 or flair, "
        f"{what}"
    )


def _one_source(path: Path) -> Source:
    if not path.is_dir():
        return path
    found = [series for series in find_series(path) if not series.is_localizer]
    if len(found) != 1:
        raise SequenceError(f"{path.name} holds {len(found)} DICOM MR series; expected 1")
    return found[0]


def _group(
    sources: Iterable[_SourceT],
    sequence_of: Callable[[_SourceT], Sequence | None],
    is_other: Callable[[_SourceT], bool],
) -> tuple[dict[Sequence, list[_SourceT]], list[_SourceT]]:
    """Sources by sequence, and those that may be any."""
    groups: dict[Sequence, list[_SourceT]] = {}
    untold: list[_SourceT] = []
    for source in sources:
        sequence = sequence_of(source)
        if sequence is not None:
            groups.setdefault(sequence, []).append(source)
        elif not is_other(source):
            untold.append(source)
    return groups, untold


def _without_variants(candidates: list[Path]) -> tuple[list[Path], list[Path]]:
    """Files, and those that are a corrected copy of one of them."""
    names = {without_suffix(p.name) for p in candidates}
    variants = [
        p
        for p in candidates
        if (plain := _VARIANT_WORDS.sub("", without_suffix(p.name))) != without_suffix(p.name)
        and plain in names
    ]
    return [p for p in candidates if p not in variants], variants


def _names(path: Path, root: Path) -> tuple[str, ...]:
    return (path.name,) if path.parent == root else (path.name, path.parent.name)


def _listed(paths: list[Path]) -> str:
    return ", ".join(p.name for p in paths[:_MAX_LISTED])
