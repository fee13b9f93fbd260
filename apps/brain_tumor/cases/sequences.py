"""MRI sequences and their recognition by name.

Recognition reads file names (BraTS 2012-2024, UCSF, UPENN, BIDS) and DICOM SeriesDescriptions.
It is driven by the word tables below; a name that they do not settle is never guessed.
"""

from __future__ import annotations

import re
from enum import StrEnum
from itertools import pairwise
from typing import NamedTuple


class Sequence(StrEnum):
    """MRI sequence. The order of the members is the channel order of every network."""

    T1 = "t1"
    T1C = "t1c"
    T2 = "t2"
    FLAIR = "flair"


FILE_SUFFIXES = (
    *(".nii.gz", ".nii", ".seg.nrrd", ".nrrd", ".nhdr", ".mha", ".mhd"),
    *(".dcm", ".png", ".jpg", ".jpeg"),
)
"""File endings that are not part of a name, longest first."""


def _words(*lines: str) -> frozenset[str]:
    return frozenset(word for line in lines for word in line.split())


# Words that make any image something else than the four sequences.
_OTHER_WORDS = _words(
    "adc dwi dti trace tracew diff diffusion",
    "ep2d epi perf perfusion dsc dce pwi asl rcbv rcbf cbv cbf mtt ttp",
    "swi swan mip minip phase tof mra mrv angio venogram bold fmri task mrs csi",
    "pd stir dir ciss fiesta fisp trufi inv1 inv2 ct cta pet spect dose",
    "localizer localiser scout survey loc calibration",
    "map maps mapping relaxometry t1rho t2star subtraction subtracted ratio",
    "jacobian warp warpfield deformation xfm gm wm csf pve probability prob",
    "seg segm segmentation segmentations label labels labelmap mask brainmask roi",
    "gt groundtruth truth annotation annotations heatmap uncertainty pred prediction",
)
# T2-weighted gradient echoes show blood, not what a T2 spin echo shows.
_T2_GRADIENT_ECHO_WORDS = _words("gre ffe fl2d fl3d flash hemo heme haem haemo merge")
_CONTRAST_WORDS = _words(
    "ce gd gad gado gadolinium gadavist gadovist dotarem magnevist prohance km",
    "contrast kontrast kontrastmittel mdc enhanced post postcontrast postgad postgado postgd",
)
_NEGATIONS = _words("pre no non not without wo ohne senza sans")
_DENIALS = _NEGATIONS | _words("precontrast noncontrast unenhanced native nativ plain t1n t1pre")
# "post op" is a date, not an injection; "ses-post" and "sub-gd" are BIDS entities.
_AFTER_POST_NOT_CONTRAST = _words(
    "op operative operation surgery surgical resection",
    "rt xrt radiation radiotherapy treatment therapy tx chemo",
)
_BIDS_ENTITIES = frozenset({"ses", "sub"})
# "flair_to_t1", "t2_in_t1_space": what follows names a space, not the image.
_SPACE_PREPOSITIONS = frozenset({"to", "in", "on"})

_PLAIN_SUFFIX = (
    r"w|wi|weighted|n|pre|native|nativ|mprage|memprage|mpr|mp|se|tse|fse|frfse|tfe|ffe|gre|spgr|"
    r"fspgr|bravo|vibe|space|spc|cube|ir|tir|blade|propeller|prop|flash|fl2d|fl3d|2d|3d|iso|fs|"
    r"fatsat|hr|sag|cor|ax|axi|axial|tra|brain|bet|n4|images"
)
_CONTRAST_SUFFIX = r"c|ce|gd|gad|gado|gadolinium|post|contrast|km|kontrast|mdc"
_PREFIX = r"[23]d|ax|sag|cor|tra|pre|[abd-z]"
_CONTRAST_PREFIX = r"c|ce|gd|gad|post"
_T1_CORE = r"t1|mprage|memprage|mp2rage|bravo|spgr|fspgr|irfspgr|vibe"

_T1_PLAIN = re.compile(rf"(?:{_PREFIX})?(?:{_T1_CORE})(?:{_PLAIN_SUFFIX})*")
_T1_CONTRAST = re.compile(
    rf"(?:{_CONTRAST_PREFIX})(?:{_T1_CORE})(?:{_PLAIN_SUFFIX}|{_CONTRAST_SUFFIX})*"
    rf"|(?:{_PREFIX})?(?:{_T1_CORE})(?:{_PLAIN_SUFFIX})*(?:{_CONTRAST_SUFFIX})"
    rf"(?:{_PLAIN_SUFFIX}|{_CONTRAST_SUFFIX})*"
)
_T2 = re.compile(rf"(?:{_PREFIX})?t2(?:{_PLAIN_SUFFIX}|{_CONTRAST_SUFFIX})*")
_T2_GRADIENT_ECHO = re.compile(r"(?:[a-z])?t2w?(?:s|star|gre|ffe|fl2d|fl3d|flash|map)")
_FLAIR = re.compile(r"(?:[a-z]*|[23]d|t2w?)flair[a-z0-9]*|[a-z]?t2f|t2darkfluid|darkfluid")
_T1_FLAIR = re.compile(rf"(?:{_PREFIX})?t1w?flair")
_SIGNS = (
    (re.compile(r"\+\s*c(?![a-z0-9])"), " contrast "),  # T1 +C
    (re.compile(r"(?<![a-z0-9])c\s*\+"), " contrast "),  # T1 C+
    (re.compile(r"(?<=t1)c?\+(?![a-z0-9])"), " contrast "),  # T1C+, T1+
    (re.compile(r"t2w?[\s_-]*(?:\*|star(?![a-z0-9]))"), " t2star "),
    (re.compile(r"(?<![a-z0-9])w\s*/\s*o(?![a-z0-9])"), " without "),
    (re.compile(r"[_\W]+"), " "),
    (re.compile(r"\bdark fluid\b|\bda fl\b|\bfluid attenuated\b"), " flair "),
)


class _Reading(NamedTuple):
    """What a name says: a sequence, or that the image is another thing, or nothing."""

    sequence: Sequence | None
    is_other: bool


def recognise_sequence(name: str, *, agent_given: bool = False) -> Sequence | None:
    """Sequence that a file name or a DICOM SeriesDescription names.

    Args:
        name: File name (with or without ending), folder name or SeriesDescription.
        agent_given: True if another source says that contrast agent was given; then a T1 whose
            name does not deny it is t1c.

    Returns:
        The sequence; None when the name says nothing, says two things, or names another image
        (diffusion, perfusion, a map, a segmentation, nnU-Net's `_0000` channel numbers).

    Example:
        >>> recognise_sequence("BraTS-GLI-00001-000-t1c.nii.gz")
        <Sequence.T1C: 't1c'>
        >>> recognise_sequence("Ax T2 FLAIR FS")
        <Sequence.FLAIR: 'flair'>
        >>> recognise_sequence("case_0001.nii.gz") is None
        True
    """
    sequence = _read_name(name).sequence
    if sequence is Sequence.T1 and agent_given and _DENIALS.isdisjoint(_tokenise(name)):
        return Sequence.T1C
    return sequence


def names_other_image(name: str) -> bool:
    """True when a name says that the image is none of the four sequences.

    A name that says nothing at all gives False: such an image may still be one of the four.

    Example:
        >>> names_other_image("case7_seg.nii.gz"), names_other_image("case7.nii.gz")
        (True, False)
    """
    return _read_name(name).is_other


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


def _read_name(name: str) -> _Reading:
    words = _image_words(_tokenise(name))
    if "sub" in words[1:] or any(_names_other(w) for w in words):  # "T1 sub" is a subtraction
        return _Reading(None, is_other=True)
    words = _before_preposition(words)
    t1 = [i for i, w in enumerate(words) if _is_t1(w)]
    t2 = [i for i, w in enumerate(words) if _T2.fullmatch(w)]
    flair = [i for i, w in enumerate(words) if _FLAIR.fullmatch(w)]
    # General Electric's "T1 FLAIR" is T1-weighted; only then do both words stand together.
    if flair and not any(i - 1 in t1 for i in flair):
        return _Reading(Sequence.FLAIR, is_other=False)
    if (t1 and t2) or {"pre", "post"} <= set(words):
        return _Reading(None, is_other=False)
    if t2:
        is_gradient_echo = not _T2_GRADIENT_ECHO_WORDS.isdisjoint(words)
        return _Reading(None if is_gradient_echo else Sequence.T2, is_other=is_gradient_echo)
    if t1:
        return _Reading(Sequence.T1C if _has_contrast(words) else Sequence.T1, is_other=False)
    return _Reading(None, is_other=False)


def _tokenise(name: str) -> list[str]:
    """Lower-case words of a name; signs that carry meaning become words first."""
    text = without_suffix(name.strip()).lower()
    for pattern, word in _SIGNS:
        text = pattern.sub(word, text)
    return text.split()


def _image_words(tokens: list[str]) -> list[str]:
    """Words that speak of the image: without BIDS entities, dates and negated contrast."""
    words: list[str] = []
    rest = iter(pairwise([*tokens, ""]))
    for token, following in rest:
        is_entity = token in _BIDS_ENTITIES and following and not words
        is_date = token == "post" and following in _AFTER_POST_NOT_CONTRAST
        is_negated = token in _NEGATIONS and following in _CONTRAST_WORDS - {"post"}
        if is_entity or is_date or is_negated:
            next(rest)
        else:
            words.append(token)
    return words


def _before_preposition(words: list[str]) -> list[str]:
    """Words up to "to", "in" or "on", once a sequence has been named."""
    for i, word in enumerate(words):
        if word in _SPACE_PREPOSITIONS and any(
            _is_t1(w) or _T2.fullmatch(w) or _FLAIR.fullmatch(w) for w in words[:i]
        ):
            return words[:i]
    return words


def _names_other(word: str) -> bool:
    plain = word.removesuffix("3d").removesuffix("2d")
    return plain in _OTHER_WORDS or _T2_GRADIENT_ECHO.fullmatch(word) is not None


def _is_t1(word: str) -> bool:
    return bool(
        _T1_PLAIN.fullmatch(word) or _T1_CONTRAST.fullmatch(word) or _T1_FLAIR.fullmatch(word)
    )


def _has_contrast(words: list[str]) -> bool:
    if not _CONTRAST_WORDS.isdisjoint(words):
        return True
    for word, following in pairwise([*words, ""]):
        if _T1_PLAIN.fullmatch(word):
            if following == "c":
                return True
        elif _T1_CONTRAST.fullmatch(word):
            return True
    return False
