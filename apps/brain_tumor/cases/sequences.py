"""MRI sequences and their recognition by name.

Recognition reads file names (BraTS 2012-2024, UCSF, UPENN, BIDS) and DICOM SeriesDescriptions.
It is driven by the tables of `sequence_words`; a name that they do not settle is never guessed.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import pairwise

from brain_tumor.cases import sequence_words as words
from brain_tumor.cases.name_tokens import T2_GRADIENT_ECHO, tokenise


class Sequence(StrEnum):
    """MRI sequence. The order of the members is the channel order of every network."""

    T1 = "t1"
    T1C = "t1c"
    T2 = "t2"
    FLAIR = "flair"


class Agent(StrEnum):
    """What a name or a header says about contrast agent."""

    GIVEN = "given"
    NOT_GIVEN = "not given"
    BOTH = "both"
    UNTOLD = "untold"


FILE_SUFFIXES = (
    *(".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".nhdr", ".mha", ".mhd"),
    *(".dcm", ".png", ".jpg", ".jpeg"),
)
"""File endings that are not part of a name, longest first."""


@dataclass(frozen=True)
class NameReading:
    """What a name says.

    Attributes:
        sequence: The sequence; None when the name says nothing, two things or another image.
        is_other: True if the name says that the image is none of the four.
        agent: What it says about contrast agent, if the image is T1-weighted.
        unknown: Words of a T1-weighted image's name that stand in no table, lower case.
    """

    sequence: Sequence | None = None
    is_other: bool = False
    agent: Agent = Agent.UNTOLD
    unknown: tuple[str, ...] = ()


_NOTHING = NameReading()
_OTHER = NameReading(is_other=True)


def recognise_sequence(name: str, *, agent_given: bool | None = None) -> Sequence | None:
    """Sequence that a file name or a DICOM SeriesDescription names.

    Args:
        name: File name (with or without ending), folder name or SeriesDescription.
        agent_given: True if another source says that contrast agent was given; then a T1 whose
            name does not deny it is t1c. False and None change nothing: a name that speaks of
            contrast agent is believed.

    Returns:
        The sequence; None when the name says nothing, says two things, or names another image
        (diffusion, perfusion, a map, a segmentation, nnU-Net's `_0000` channel numbers).

    Example:
        >>> recognise_sequence("BraTS-GLI-00001-000-t1c.nii.gz")
        <Sequence.T1C: 't1c'>
        >>> recognise_sequence("Ax T2 FLAIR FS")
        <Sequence.FLAIR: 'flair'>
        >>> recognise_sequence("T1 vor KM")
        <Sequence.T1: 't1'>
        >>> recognise_sequence("case_0001.nii.gz") is None
        True
    """
    reading = read_name(name)
    if reading.sequence is Sequence.T1 and agent_given and reading.agent is Agent.UNTOLD:
        return Sequence.T1C
    return reading.sequence


def names_other_image(name: str) -> bool:
    """True when a name says that the image is none of the four sequences.

    A name that says nothing at all gives False: such an image may still be one of the four.

    Example:
        >>> names_other_image("case7_seg.nii.gz"), names_other_image("case7.nii.gz")
        (True, False)
    """
    return read_name(name).is_other


def without_suffix(name: str) -> str:
    """File name without its image ending.

    Example:
        >>> without_suffix("case7_t1c.nii.gz")
        'case7_t1c'
    """
    for suffix in FILE_SUFFIXES:
        if name.lower().endswith(suffix):
            return name[: -len(suffix)]
    return name


def agent_of_text(text: str) -> Agent:
    """What a header's ContrastBolusAgent, or another text about the agent alone, says.

    Example:
        >>> [agent_of_text(t).value for t in ("Dotarem 15 ml", "NONE", "No contrast", "N/A", "")]
        ['given', 'not given', 'not given', 'not given', 'untold']
    """
    plain = " ".join(tokenise(text))
    if not plain or plain in words.UNKNOWN_TEXTS:
        return Agent.NOT_GIVEN if text.strip() in {"-", "--"} else Agent.UNTOLD
    if plain in words.NO_AGENT_TEXTS:
        return Agent.NOT_GIVEN
    agent = _agent_of(["t1", *plain.split()])
    return Agent.NOT_GIVEN if agent is Agent.NOT_GIVEN else Agent.GIVEN


@lru_cache(maxsize=4096)
def read_name(name: str) -> NameReading:
    """Everything that a name says; see `NameReading`."""
    said = _image_words(tokenise(without_suffix(name.strip())))
    if "sub" in said[1:] or any(_names_other(word) for word in said):  # "T1 sub": a subtraction
        return _OTHER
    said = _before_preposition(said)
    t1 = [i for i, word in enumerate(said) if word in words.T1_CORES]
    t2 = [i for i, word in enumerate(said) if word == "t2"]
    flair = [i for i, word in enumerate(said) if word == "flair"]
    first = min([*t1, *t2, *flair], default=len(said))
    behind = said[first + 1 :]  # "t1c_tumor" and "t1c_et" are labelmaps
    if not words.LABELS.isdisjoint(behind) or not words.LABEL_ENDINGS.isdisjoint(behind[-1:]):
        return _OTHER
    if flair and not t1:
        return NameReading(Sequence.FLAIR)
    if (t1 and t2) or (flair and min(flair) < min(t1)):
        return _NOTHING if t2 or min(flair) + 1 in t1 else NameReading(Sequence.FLAIR)
    if t2:
        return _read_t2(said)
    if not t1:
        return _NOTHING
    agent = _agent_of(said)
    if agent is Agent.BOTH:
        return NameReading(agent=agent)
    sequence = Sequence.T1C if agent is Agent.GIVEN else Sequence.T1
    return NameReading(sequence, agent=agent, unknown=tuple(_unknown_words(said)))


def _read_t2(said: list[str]) -> NameReading:
    if not words.T2_GRADIENT_ECHO.isdisjoint(said):
        return _OTHER
    # Siemens calls both STIR and FLAIR "tirm"; only "dark fluid" tells them apart
    return _NOTHING if "tirm" in said else NameReading(Sequence.T2)


def _image_words(tokens: list[str]) -> list[str]:
    """Words that speak of the image: without BIDS entities and dates."""
    said: list[str] = []
    skip = False
    for token, following in pairwise([*tokens, ""]):
        if skip:
            skip = False
        elif (
            (token in words.BIDS_ENTITIES and following and not said)
            or (token in words.AFTER | words.BEFORE and following in words.AFTER_WHICH_IT_IS_A_DATE)
            or (following in {"later", "earlier"} and token in words.AFTER_WHICH_IT_IS_A_DATE)
        ):
            skip = True
        elif token not in words.DATES:
            said.append(token)
    return said


def _before_preposition(said: list[str]) -> list[str]:
    """Words up to "to", "in" or "on", once a sequence has been named."""
    sequences = words.T1_CORES | {"t2", "flair"}
    for i, word in enumerate(said):
        is_space = word in words.SPACE_PREPOSITIONS and not sequences.isdisjoint(said[:i])
        if is_space and said[i - 1] not in words.BEFORE:  # "prior to contrast"
            return said[:i]
    return said


def _names_other(word: str) -> bool:
    plain = word.removesuffix("3d").removesuffix("2d")
    counted = word.rstrip("0123456789")  # "mask2", "roi01"
    return (
        plain in words.OTHER
        or (len(counted) > 2 and counted in words.OTHER)
        or T2_GRADIENT_ECHO.fullmatch(word) is not None
    )


def _is_contrast(word: str) -> bool:
    return word in words.CONTRAST or word.startswith(words.CONTRAST_STEMS)


def _agent_of(said: list[str]) -> Agent:
    """What the words of a T1-weighted image say about contrast agent."""
    if "both" in said or _is_with_and_without(said):
        return Agent.BOTH
    given = denied = False
    used: set[int] = set()
    used_contrast = {i for i, word in enumerate(said) if _is_contrast(word)}
    for i, word in enumerate(said):
        is_weak = word in words.WEAK_CONTRAST
        if not (_is_contrast(word) or is_weak):
            continue
        denials = _denials_around(said, i)
        if denials:
            denied = True
            used |= denials
        elif not is_weak or _is_backed(said, i):
            given = True
    for i, word in enumerate(said):
        if i in used:
            continue
        given |= word in words.AFTER or word == "later"
        is_after = word == "n" and i + 1 in used_contrast  # "n. KM" is "nach KM"
        denied |= (word in words.NATIVE and not is_after) or word in words.BEFORE
        denied |= word in words.WITHOUT or word == "earlier"
    if given and denied:
        return Agent.BOTH
    return Agent.GIVEN if given else Agent.NOT_GIVEN if denied else Agent.UNTOLD


def _is_with_and_without(said: list[str]) -> bool:
    without = [i for i, word in enumerate(said) if word in words.WITHOUT]
    with_words = {i for i, word in enumerate(said) if word in words.WITH_AGENT}
    return bool(without) and (bool(with_words) or any(said[i - 1] == "w" for i in without if i))


def _denials_around(said: list[str], at: int) -> set[int]:
    """Places of the words that deny the contrast word at a place; empty if none does."""
    back = at - 1
    while back >= 0 and (said[back] in words.FILLERS or _is_contrast(said[back])):
        if said[back] in words.NOT_LETTERS and back == at - 1:
            break
        back -= 1
    if back >= 0 and said[back] in words.NOT | words.BEFORE | {"nothing"}:
        is_letter = said[back] in words.NOT_LETTERS
        if not is_letter or back == at - 1:
            return {back}
    following = said[at + 1] if at + 1 < len(said) else ""
    if following in {"earlier", "nothing"} or (
        following in words.NONE and not (at + 2 < len(said) and _is_contrast(said[at + 2]))
    ):
        return {at + 1}
    return set()


def _is_backed(said: list[str], at: int) -> bool:
    """True for "with iv", "after c", "t1 c": a weak word that does speak of contrast agent."""
    before = said[at - 1] if at else ""
    if before in words.AFTER | words.WITH_AGENT | {"w"}:
        return True
    return said[at] == "c" and before in words.T1_CORES


def _unknown_words(said: list[str]) -> Iterator[str]:
    for word in said:
        letters = sum(c.isalpha() for c in word)
        has_digits = any(c.isdigit() for c in word)
        is_long = letters > 1 or not word.isascii()
        if is_long and not has_digits and word not in words.KNOWN and not _is_contrast(word):
            yield word
