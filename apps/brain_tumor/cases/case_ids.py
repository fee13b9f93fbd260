"""Names of cases: what may be one, and how one is made from a file or folder name."""

from __future__ import annotations

import re
import unicodedata

from brain_tumor.errors import InputError

MAX_CASE_ID_CHARACTERS = 64
_CASE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# MONAI Label takes the text of an image's ending out of an id wherever it stands in it
_ENDINGS = re.compile(r"\.(nii\.gz|nii|nrrd|mha)", re.IGNORECASE)


def check_case_id(case_id: str) -> str:
    """Case id as given, if it can be a file name everywhere.

    Raises:
        InputError: If it is not 1-64 of ``A-Z a-z 0-9 . _ -`` beginning with a letter or digit,
            ends with a dot, or holds the ending of an image file.

    Example:
        >>> check_case_id("BraTS-GLI-00001-000")
        'BraTS-GLI-00001-000'
    """
    if not _CASE_ID.fullmatch(case_id) or case_id.endswith(".") or _ENDINGS.search(case_id):
        raise InputError(
            f"case id is {case_id!r:.80}; expected 1-{MAX_CASE_ID_CHARACTERS} of A-Z a-z 0-9 . _ - "
            "beginning with a letter or digit and without an image ending",
            remedy="Give the case another name.",
        )
    return case_id


def case_id_from(name: str) -> str:
    """Valid case id that resembles a name.

    Example:
        >>> case_id_from("Fall 7 (prä-op).nii.gz")
        'Fall-7-pra-op'
    """
    plain = unicodedata.normalize("NFKD", _ENDINGS.sub("", name))
    ascii_only = plain.encode("ascii", "ignore").decode("ascii")
    words = re.sub(r"[^A-Za-z0-9._-]+", "-", ascii_only)
    return words[:MAX_CASE_ID_CHARACTERS].strip("._-") or "case"
