"""Which DICOM series of a study are the sequences of its case."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from brain_tumor.cases.contrast import tell_native_from_enhanced
from brain_tumor.cases.files.dicom_series import DicomSeries
from brain_tumor.cases.sequences import Agent, Sequence, read_name
from brain_tumor.errors import SequenceError

TAKEN_AS_NATIVE = (
    "t1: its name holds words that are not known; it is taken as T1 without contrast agent"
)
DYNAMIC_LEFT_OUT = "only a dynamic series of it is there, which is not used"
TOLD_BY_BRIGHTNESS = (
    "t1 and t1c: no name or header tells them apart; the one with brighter vessels and enhancement "
    "is taken as t1c"
)
NOTHING_ENHANCES = (
    "t1: no name or header says whether contrast agent was given, and several T1 series look "
    "alike; one of them is taken as T1 without contrast agent"
)
NOTHING_TELLS = (
    "t1: neither names, headers nor images tell whether one of several T1 series has contrast "
    "agent; one of them is taken as T1 without contrast agent"
)
_MAX_LISTED = 12


@dataclass(frozen=True, eq=False)
class SeriesChoice:
    """Series that are used, and what is said about the others.

    Attributes:
        chosen: Series of each sequence.
        alternatives: Further usable series of a sequence, the best first.
        warnings: What a reader of the results must know.
        notes: What was left aside.
    """

    chosen: Mapping[Sequence, DicomSeries]
    alternatives: Mapping[Sequence, tuple[DicomSeries, ...]]
    warnings: tuple[str, ...]
    notes: tuple[str, ...]


def choose_series(groups: dict[Sequence, list[DicomSeries]], folder: Path) -> SeriesChoice:
    """Best series of each sequence.

    A series that is no volume is used only where there is no other, and is refused when it is
    read; a dynamic one is left out if the study has any other sequence.

    Args:
        groups: Series by the sequence that their names tell.
        folder: For messages.

    Raises:
        SequenceError: If T1 series cannot be told apart.
    """
    warnings = _tell_t1_apart(groups, folder)
    notes: list[str] = []
    chosen: dict[Sequence, DicomSeries] = {}
    alternatives: dict[Sequence, tuple[DicomSeries, ...]] = {}
    is_any_usable = any(s.fault is None for group in groups.values() for s in group)
    for sequence, candidates in groups.items():
        best, *others = sorted(candidates, key=lambda s: _rank(s, sequence))
        if best.fault is not None and best.is_dynamic and is_any_usable:
            notes += [f"not used: {s.label}: {s.fault.message}" for s in candidates if s.fault]
            warnings.append(f"{sequence.value}: {DYNAMIC_LEFT_OUT}")
            continue
        chosen[sequence] = best
        alternatives[sequence] = tuple(s for s in others if s.fault is None)
        notes += [
            f"not used: {series.label}: {series.fault.message}"
            if series.fault
            else f"{sequence.value} is {best.label}, the finest; not used: {series.label}"
            for series in others
        ]
        warnings += _doubts_about_native(best, sequence)
    return SeriesChoice(chosen, alternatives, tuple(warnings), tuple(notes))


def _rank(series: DicomSeries, sequence: Sequence) -> tuple[object, ...]:
    """Smaller is better: a volume, not reformatted, fine, many slices, the fitting echo."""
    echo_ms = series.echo_ms or 0.0
    fitting = -echo_ms if sequence in (Sequence.T2, Sequence.FLAIR) else echo_ms
    return (
        series.fault is not None,
        series.is_reformatted,
        round(series.coarsest_mm, 3),
        -len(series.slices),
        fitting,
        series.number,
    )


def _doubts_about_native(series: DicomSeries, sequence: Sequence) -> list[str]:
    if sequence is not Sequence.T1 or series.told_agent is not Agent.UNTOLD:
        return []
    is_unknown = any(read_name(name).unknown for name in series.names[:1])
    return [TAKEN_AS_NATIVE] if is_unknown else []


def _tell_t1_apart(groups: dict[Sequence, list[DicomSeries]], folder: Path) -> list[str]:
    """Find the t1c among T1 series of which no name or header says which is which.

    Args:
        groups: Series by sequence; a t1c that is found moves to its group.
        folder: For the message.

    Returns:
        Warnings.

    Raises:
        SequenceError: If the images do not tell them apart either.
    """
    t1 = [s for s in groups.get(Sequence.T1, []) if s.fault is None and not s.is_reformatted]
    untold = [s for s in t1 if s.told_agent is Agent.UNTOLD]
    if Sequence.T1C in groups or not untold or len(t1) < 2:
        return []
    enhanced = tell_native_from_enhanced(t1)
    if enhanced is None and len({s.names[:1] for s in t1}) > 1:  # other planes, other techniques
        return [NOTHING_TELLS]
    if enhanced is None:
        listed = ", ".join(s.label for s in t1[:_MAX_LISTED])
        raise SequenceError(
            f"{folder.name} holds {len(t1)} T1 series that neither names nor images tell apart: "
            f"{listed}; expected to know which is native and which has contrast agent",
            remedy="Name their folders: options --t1 and --t1c, or the keys t1 and t1c over HTTP.",
        )
    enhanced = [s for s in enhanced if s.told_agent is Agent.UNTOLD]
    if not enhanced:
        return [] if len(untold) < len(t1) else [NOTHING_ENHANCES]
    groups[Sequence.T1C] = enhanced
    groups[Sequence.T1] = [s for s in groups[Sequence.T1] if s not in enhanced]
    return [TOLD_BY_BRIGHTNESS]
