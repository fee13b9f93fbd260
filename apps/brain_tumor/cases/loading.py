"""From files to a case on one grid."""

from __future__ import annotations

import os
from collections.abc import Mapping
from collections.abc import Sequence as Items
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from brain_tumor.cases.case import Case
from brain_tumor.cases.case_ids import case_id_from, check_case_id
from brain_tumor.cases.dicom_source import DicomSource, read_source, source_of
from brain_tumor.cases.exchange import EXCHANGED, may_be_exchanged
from brain_tumor.cases.files.readers import (
    ASSUMED_FIELD_OF_VIEW_MM,
    ReadVolume,
    is_picture,
    read_channels,
    read_dicom_series,
    read_slice,
    read_volume_with_warnings,
)
from brain_tumor.cases.grid.geometry import (
    case_on_reference_grid,
    chosen_reference,
    corners_mm,
    covered_share,
    same_grid,
)
from brain_tumor.cases.grid.intensities import copies, with_lowest_background
from brain_tumor.cases.grid.mending import without_outliers
from brain_tumor.cases.registration.fit import SequenceFit, fit_sequences
from brain_tumor.cases.sequences import Sequence, recognise_sequence, without_suffix
from brain_tumor.cases.sources import (
    TAKEN_AS_T1C,
    CaseSource,
    Channel,
    Source,
    case_of_named,
    find_case,
)
from brain_tumor.cases.study_layout import (
    RECORD_NAME,
    find_reference,
    find_siblings,
    read_record,
    reference_of,
    sequences_folder,
)
from brain_tumor.cases.volume import Volume
from brain_tumor.errors import InputError, SequenceError

MAX_READING_THREADS = 4
WELL_COVERED_SHARE = 0.95
_SAME_SIZE = 0.8
MIN_REFERENCE_SHARE = 0.5
"""Share of a sibling's height below which the reference is said to be a part of the head."""
ANOTHER_SERIES = "a series of it cannot be read; another one is used"


@dataclass(frozen=True, eq=False)
class LoadedCase:
    """A case and what must be known about how it came about.

    Attributes:
        case: Sequences on the grid of the reference.
        warnings: Sentences for replies and reports; they hold no file names.
        notes: What was found and left aside; for the person at the keyboard, with file names.
        fits: How each sequence lay on the reference; empty if it was not looked at.
        source: Where it comes from in DICOM; None if it does not.
    """

    case: Case
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    fits: tuple[SequenceFit, ...] = ()
    source: DicomSource | None = None


def load_case(
    path: Path,
    *,
    sequences: Mapping[Sequence, Path] | None = None,
    channels: tuple[Sequence, ...] | None = None,
    reference: Sequence | None = None,
    case_id: str | None = None,
    pixel_mm: float | None = None,
    registration: bool = True,
) -> LoadedCase:
    """Load a case.

    A volume file that is the reference of an imported case is loaded with its siblings.

    Args:
        path: A volume file; a picture of one slice; or a folder with the sequences as files or as
            DICOM series, also in sub-folders.
        sequences: File or DICOM folder of each sequence, when names do not tell; relative paths
            begin at `path`.
        channels: Sequences of a 4-D NIfTI file, in the order of its last axis.
        reference: Sequence whose grid is kept; default: the first of t1c, flair, t2, t1.
        case_id: Name of the case; default: the name of the file or folder. DICOM folders that
            bear the patient's name or id get the study's hash instead.
        pixel_mm: Pixel size of a picture; default: its longer side is taken as 240 mm.
        registration: Whether sequences that lie off the reference are registered to it.

    Returns:
        The case on the reference grid, with warnings.

    Raises:
        FileFormatError: If a file cannot be read.
        VolumeError: If a volume is not 3-D, empty, or holds NaN.
        GeometryError: If an affine is unusable or the sequences lie apart.
        SequenceError: If sequences are missing, doubled or not recognised.
    """
    if sequences is None and channels is None and _is_imported(path):
        name = without_suffix(path.name)
        return resolve_case(path.parent, name, reference=reference, registration=registration)
    if channels is not None:
        named = _stacked(path, channels)
    else:
        named = find_case(path) if sequences is None else case_of_named(path, sequences)
    return load_source(
        named,
        reference=reference,
        case_id=case_id,
        pixel_mm=pixel_mm,
        registration=registration,
    )


def load_source(
    named: CaseSource,
    *,
    reference: Sequence | None = None,
    case_id: str | None = None,
    pixel_mm: float | None = None,
    registration: bool = True,
) -> LoadedCase:
    """Load a case whose sequences are known; arguments and errors as for `load_case`."""
    named, volumes = read_case(named, pixel_mm=pixel_mm)
    name = named.case_id if case_id is None else check_case_id(case_id)
    loaded = build_case(name, volumes, reference, registration=registration)
    return replace(
        loaded,
        warnings=named.warnings + loaded.warnings,
        notes=named.notes,
        source=source_of(named.sequences),
    )


def resolve_case(
    studies: Path,
    case_id: str,
    *,
    reference: Sequence | None = None,
    registration: bool = True,
) -> LoadedCase:
    """Load a case of a studies folder by its id.

    Args:
        studies: Studies folder, filled by `import_cases` or by hand.
        case_id: Name of the reference volume without its ending.
        reference: Sequence whose grid is kept; default: the reference volume's.
        registration: Whether sequences that lie off the reference are registered to it.

    Returns:
        The case on the grid of its reference, with the warnings of its import.

    Raises:
        NotFoundError: If there is no such case.
        InputError: If the id is a path, or a volume cannot be used.
        StorageError: If the case's record is damaged.
    """
    path = reference_of(studies, case_id)
    record = read_record(studies, case_id)
    siblings = find_siblings(studies, case_id)
    warnings: list[str] = []
    if record is not None:
        held = record.reference
        warnings += record.warnings
    else:
        named = recognise_sequence(path.name)
        held = named or Sequence.T1C
        if named is None:
            warnings.append(TAKEN_AS_T1C)
    if siblings.pop(held, None) is not None:
        warnings.append(f"a second {held.value} beside the reference volume is not used")
    volumes = read_sources({**siblings, held: path})
    loaded = build_case(case_id, volumes, reference or held, registration=registration)
    new = [w for w in loaded.warnings if w not in warnings]
    source = read_source(studies, case_id)
    return replace(loaded, warnings=(*warnings, *new), source=source)


def read_sources(
    sources: Mapping[Sequence, Source], *, pixel_mm: float | None = None
) -> dict[Sequence, ReadVolume]:
    """Read the sequences of a case at the same time.

    Args:
        sources: File or DICOM series of each sequence.
        pixel_mm: Pixel size of pictures.

    Returns:
        Each sequence on its own grid, in channel order.

    Raises:
        InputError: The first error of a file, in channel order.
    """
    ordered = [sequence for sequence in Sequence if sequence in sources]
    with ThreadPoolExecutor(_threads_for(ordered)) as pool:
        volumes = pool.map(lambda s: _read_source(sources[s], pixel_mm), ordered)
        return dict(zip(ordered, volumes, strict=True))


def read_case(
    named: CaseSource, *, pixel_mm: float | None = None
) -> tuple[CaseSource, dict[Sequence, ReadVolume]]:
    """Read the sequences of a case; a DICOM series that cannot be read gives way to another.

    Args:
        named: Sequences with their alternatives.
        pixel_mm: Pixel size of pictures.

    Returns:
        The case with the sources that were read, and the volumes.

    Raises:
        InputError: If a sequence cannot be read and has no alternative that can.
    """
    ordered = [sequence for sequence in Sequence if sequence in named.sequences]
    candidates = [[named.sequences[s], *named.alternatives.get(s, ())] for s in ordered]
    with ThreadPoolExecutor(_threads_for(ordered)) as pool:
        read = list(pool.map(lambda sources: _first_readable(sources, pixel_mm), candidates))
    failed = {s: notes for s, (_, _, notes) in zip(ordered, read, strict=True) if notes}
    better = replace(
        named,
        sequences={s: source for s, (source, _, _) in zip(ordered, read, strict=True)},
        warnings=(*named.warnings, *(f"{s.value}: {ANOTHER_SERIES}" for s in failed)),
        notes=(*named.notes, *(note for notes in failed.values() for note in notes)),
    )
    return better, {s: volume for s, (_, volume, _) in zip(ordered, read, strict=True)}


def _first_readable(
    sources: Items[Source], pixel_mm: float | None
) -> tuple[Source, ReadVolume, list[str]]:
    """First source that can be read, its volume, and what was wrong with those before.

    Raises:
        InputError: Of the first source, if none can be read.
    """
    errors: list[InputError] = []
    notes: list[str] = []
    for source in sources:
        try:
            return source, _read_source(source, pixel_mm), notes
        except InputError as error:
            errors.append(error)
            name = source.name if isinstance(source, Path) else source.label
            notes.append(f"not used: {name}: {error.message}")
    raise errors[0]


def _threads_for(ordered: Items[Sequence]) -> int:
    return max(1, min(len(ordered), os.cpu_count() or 1, MAX_READING_THREADS))


def build_case(
    case_id: str,
    volumes: Mapping[Sequence, ReadVolume],
    reference: Sequence | None = None,
    *,
    registration: bool = True,
) -> LoadedCase:
    """Bring the sequences together on the reference grid and say what that changed.

    Args:
        case_id: Name of the case.
        volumes: Each sequence on its own grid.
        reference: Sequence whose grid is kept; default: the first of t1c, flair, t2, t1.
        registration: Whether sequences that lie off the reference are registered to it.

    Raises:
        SequenceError: If there is no volume or the reference is missing.
        GeometryError: If a sibling covers less than half of the reference's tissue.
    """
    warnings = [f"{s.value}: {w}" for s, read in volumes.items() for w in read.warnings]
    grids: dict[Sequence, Volume] = {}
    for sequence, read in volumes.items():
        array, count = without_outliers(read.volume.array)
        grids[sequence] = Volume(array, read.volume.affine) if count else read.volume
        if count:
            warnings.append(
                f"{sequence.value}: {count} voxels of impossible brightness were replaced by their "
                "surroundings"
            )
        lowest, said = with_lowest_background(grids[sequence].array)
        if said is not None:
            grids[sequence] = Volume(lowest, read.volume.affine)
            warnings.append(f"{sequence.value}: {said}")
    chosen = chosen_reference(case_id, grids, reference)
    for sequence, original in copies(grids, chosen).items():
        del grids[sequence]
        warnings.append(
            f"{sequence.value} holds the same image as {original.value}; it was left out"
        )
    fits: tuple[SequenceFit, ...] = ()
    if registration and len(grids) > 1:
        fitted = fit_sequences(grids, chosen)
        grids, fits = dict(fitted.volumes), fitted.fits
        warnings += [sentence for fit in fits if (sentence := fit.sentence) is not None]
    case = case_on_reference_grid(case_id, grids, reference)
    base = grids[case.reference]
    for sequence in case.present:
        if not same_grid(base, grids[sequence]):
            share = covered_share(base, grids[sequence])
            warnings.append(f"{sequence.value} was resampled to the grid of {case.reference.value}")
            if share < WELL_COVERED_SHARE:
                warnings.append(
                    f"{sequence.value} covers {share:.0%} of the tissue in {case.reference.value}; "
                    "it is zero elsewhere"
                )
            if (shown := _slab_share(base, grids[sequence])) < MIN_REFERENCE_SHARE:
                warnings.append(
                    f"{case.reference.value} shows only {shown:.0%} of the height of "
                    f"{sequence.value}; slices may be missing"
                )
    if may_be_exchanged(case):
        warnings.append(EXCHANGED)
    return LoadedCase(case, tuple(warnings), fits=fits)


def _slab_share(base: Volume, sibling: Volume) -> float:
    """Share of a sibling's extent that a thin slab shows; 1 if the volumes differ otherwise."""
    sizes = [np.ptp(corners_mm(v.shape, v.affine), axis=0) + 1e-6 for v in (base, sibling)]
    thin, middle, _ = sorted(sizes[0] / sizes[1])
    return float(thin) if middle > _SAME_SIZE else 1.0


def _is_imported(path: Path) -> bool:
    """True for the reference volume of a case with a record, as `import_cases` leaves it."""
    case_id = without_suffix(path.name)
    record = sequences_folder(path.parent, case_id) / RECORD_NAME
    return path.is_file() and record.is_file() and find_reference(path.parent, case_id) == path


def _stacked(path: Path, channels: tuple[Sequence, ...]) -> CaseSource:
    if len(set(channels)) < len(channels) or not channels:
        given = ", ".join(s.value for s in channels) or "none"
        raise SequenceError(f"channels are {given}; expected different sequences, at least one")
    sources: dict[Sequence, Source] = {
        s: Channel(path, n, len(channels)) for n, s in enumerate(channels)
    }
    return CaseSource(case_id_from(without_suffix(path.name)), sources)


def _read_source(source: Source, pixel_mm: float | None) -> ReadVolume:
    if isinstance(source, Channel):
        return read_channels(source.path, source.count)[source.index]
    if not isinstance(source, Path):
        return read_dicom_series(source)
    if not is_picture(source):
        return read_volume_with_warnings(source)
    volume = read_slice(source, pixel_mm=pixel_mm)
    if pixel_mm is not None:
        return ReadVolume(volume)
    return ReadVolume(
        volume,
        (
            f"a picture has no pixel size; {ASSUMED_FIELD_OF_VIEW_MM:g} mm field of view assumed, "
            "so sizes in mm and volumes are estimates",
        ),
    )
