"""One folder with the files of several cases, told apart by their names."""

from __future__ import annotations

import re
from pathlib import Path

from brain_tumor.cases import sequence_words as words
from brain_tumor.cases.sequences import (
    Sequence,
    names_other_image,
    recognise_sequence,
    without_suffix,
)

_SEPARATORS = re.compile(r"([_\-. ]+)")
_CHANNEL = re.compile(r"_(\d{4})$")


def cases_in_one_folder(files: list[Path]) -> dict[str, list[Path]]:
    """Files by case, if one folder holds several cases.

    A case is what its names share when the words of the sequence are taken away: `PAT1_t1.nii` and
    `PAT1_t2.nii`. There are several cases only if a sequence occurs twice in the folder, but in no
    case twice.

    Args:
        files: Volume files.

    Returns:
        Files by the name of their case; empty if the folder holds one case.
    """
    if len({path.parent for path in files}) != 1:
        return {}
    groups: dict[str, list[Path]] = {}
    for path in files:
        groups.setdefault(case_part(path.name), []).append(path)
    found: list[list[Sequence]] = [
        [s for path in group if (s := recognise_sequence(path.name)) is not None]
        for group in groups.values()
    ]
    with_sequences = [sequences for sequences in found if sequences]
    everything = [s for sequences in with_sequences for s in sequences]
    is_doubled = len(set(everything)) < len(everything)
    is_sorted = all(len(set(sequences)) == len(sequences) for sequences in with_sequences)
    if "" in groups or len(with_sequences) < 2 or not (is_doubled and is_sorted):
        return {}
    return groups


def case_part(name: str) -> str:
    """What a file's name says beside its sequence.

    Example:
        >>> case_part("PAT_01_t1_post_gd.nii.gz"), case_part("BRATS_001_seg.nii")
        ('PAT_01', 'BRATS_001')
    """
    parts = _SEPARATORS.split(without_suffix(name))
    kept = [
        part
        for part, is_sequence in ((p, _is_of_sequence(p)) for p in parts[::2])
        if not is_sequence
    ]
    first = next((i for i, p in enumerate(parts[::2]) if _names_sequence(p)), len(parts))
    if first:
        return "".join(parts[: 2 * first - 1])
    return "_".join(kept)


def channel_of(path: Path) -> tuple[str, int] | None:
    """Case and channel number of an nnU-Net file; None if it is none.

    Example:
        >>> channel_of(Path("BRATS_001_0002.nii.gz"))
        ('BRATS_001', 2)
    """
    stem = without_suffix(path.name)
    found = _CHANNEL.search(stem)
    return (stem[: found.start()], int(found.group(1))) if found else None


def _names_sequence(part: str) -> bool:
    return recognise_sequence(part) is not None or names_other_image(part)


def _is_of_sequence(part: str) -> bool:
    known = words.KNOWN - {"patient", "case"}
    return _names_sequence(part) or part.lower() in known
