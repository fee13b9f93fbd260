"""Which sequence is which, told by a person: by file, or by the order of channels."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from brain_tumor.cases.case_ids import case_id_from
from brain_tumor.cases.files.folders import files_below
from brain_tumor.cases.files.readers import volume_suffix
from brain_tumor.cases.flat_folders import case_part, channel_of
from brain_tumor.cases.sequences import Sequence, without_suffix
from brain_tumor.cases.sources import CaseSource, Channel, Source, case_of_named, title_of
from brain_tumor.errors import FileFormatError, InputError, SequenceError

NOT_USED = "-"
"""Stands in a list of channels for one that is none of the four sequences."""


@dataclass(frozen=True)
class ByHand:
    """What a person told about the sequences of a source.

    Attributes:
        files: File or DICOM folder of each sequence.
        channels: Sequence of each channel, None for one that is not used; empty if not told.
    """

    files: Mapping[Sequence, Path] = field(default_factory=dict)
    channels: tuple[Sequence | None, ...] = ()

    def __bool__(self) -> bool:
        """True if anything was told."""
        return bool(self.files or self.channels)

    def __post_init__(self) -> None:
        if self.files and self.channels:
            raise InputError(
                "sequences are told by file and by channel; expected one of both",
                remedy="Leave out channels, or t1, t1c, t2 and flair.",
            )


def parse_channels(text: str) -> tuple[Sequence | None, ...]:
    """Sequences in the order of channels.

    Raises:
        SequenceError: If a name is unknown or occurs twice, or none is given.

    Example:
        >>> [s and s.value for s in parse_channels("flair,t1,t1c,-")]
        ['flair', 't1', 't1c', None]
    """
    names = [name.strip().lower() for name in text.split(",")]
    known = {s.value: s for s in Sequence}
    unknown = sorted({name for name in names if name not in known and name != NOT_USED})
    used = [name for name in names if name in known]
    if unknown or not used or len(set(used)) < len(used):
        raise SequenceError(
            f"channels are {text!r:.80}; expected different names of t1, t1c, t2, flair, or - for "
            "one that is not used",
            remedy="Write them in the order of the channels, for example t1,t1c,t2,flair.",
        )
    return tuple(known.get(name) for name in names)


def cases_by_hand(source: Path | None, told: ByHand) -> list[CaseSource]:
    """Cases of a source whose sequences somebody told.

    Args:
        source: A case's file or folder, or a folder of 4-D files or of nnU-Net's `NAME_0000` files
            (`told.channels`). May be None if files are named.
        told: What was told.

    Raises:
        SequenceError: If a source has no such channels, or one file is named twice.
        FileFormatError: If a file does not exist.
    """
    if told.files:
        return [_case_of_files(source, told.files)]
    if source is None:
        raise InputError("channels are told, but no file or folder is named")
    if not source.exists():
        raise FileFormatError(f"{source.name} does not exist", remedy="Check the path.")
    files = list(files_below(source)) if source.is_dir() else [source]
    volumes = [path for path in files if volume_suffix(path)]
    numbered: dict[str, dict[int, Path]] = {}
    for path in volumes:
        part = channel_of(path)
        if part is not None:
            numbered.setdefault(part[0], {})[part[1]] = path
    if numbered and not source.is_dir():  # one file of a case: its siblings lie beside it
        name = next(iter(numbered))
        siblings = ((p, channel_of(p)) for p in sorted(source.parent.iterdir()) if p.is_file())
        numbered[name] = {part[1]: p for p, part in siblings if part and part[0] == name}
    if numbered:
        return [_case_of_channels(name, held, told.channels) for name, held in numbered.items()]
    if not volumes:
        raise SequenceError(f"{source.name} holds no volume; expected NIfTI files with channels")
    return [_case_of_stack(path, told.channels) for path in volumes]


def one_case_by_hand(source: Path | None, told: ByHand) -> CaseSource:
    """The case of a source; see `cases_by_hand`.

    Raises:
        SequenceError: If there are several.
    """
    found = cases_by_hand(source, told)
    if len(found) > 1:
        listed = ", ".join(case.case_id for case in found[:12])
        raise SequenceError(
            f"{source.name if source else 'the source'} holds {len(found)} cases: {listed}; "
            "expected one",
            remedy="Name one file of the case, or import the folder (tumorlens import --channels).",
        )
    return found[0]


def _case_of_files(source: Path | None, files: Mapping[Sequence, Path]) -> CaseSource:
    """Case of named files; relative paths begin here, else at the source."""
    base = source if source is None or source.is_dir() else source.parent
    found: dict[Sequence, Path] = {}
    for sequence, path in files.items():
        beside = base / path if base is not None else path
        found[sequence] = (path if path.exists() else beside).absolute()
        if not found[sequence].exists():
            raise FileFormatError(
                f"{path.name}, named as {sequence.value}, does not exist", remedy="Check the path."
            )
    first = next(iter(found.values()))
    shared = {path.parent for path in found.values()}
    name = source.name if source is not None else case_part(first.name)
    if source is None and len(found) > 1 and len(shared) == 1 and not name:
        name = first.parent.name
    name = without_suffix(name) or without_suffix(first.name)
    case_id = case_id_from(name)
    named = case_of_named(first, found)
    return CaseSource(case_id, named.sequences, title=title_of(name, case_id))


def _case_of_channels(
    name: str, held: Mapping[int, Path], channels: tuple[Sequence | None, ...]
) -> CaseSource:
    beyond = sorted(set(held) - set(range(len(channels))))
    missing = [n for n, sequence in enumerate(channels) if sequence and n not in held]
    if beyond or missing:
        numbers = ", ".join(f"_{n:04d}" for n in sorted(held))
        raise SequenceError(
            f"{name} has the channels {numbers}; {len(channels)} are told",
            remedy="Tell the sequence of every channel in order, and - for one that is not used.",
        )
    chosen: dict[Sequence, Source] = {s: held[n] for n, s in enumerate(channels) if s}
    notes = tuple(f"not used: {held[n].name}" for n in held if channels[n] is None)
    case_id = case_id_from(name)
    return CaseSource(case_id, chosen, (), notes, title=title_of(name, case_id))


def _case_of_stack(path: Path, channels: tuple[Sequence | None, ...]) -> CaseSource:
    chosen: dict[Sequence, Source] = {
        s: Channel(path, n, len(channels)) for n, s in enumerate(channels) if s
    }
    name = without_suffix(path.name)
    case_id = case_id_from(name)
    return CaseSource(case_id, chosen, title=title_of(name, case_id))
