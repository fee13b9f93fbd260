"""Names of cases: what may be one, and how one is made from a file or folder name."""

from __future__ import annotations

import hashlib
import re
import unicodedata

from brain_tumor.errors import InputError

MAX_CASE_ID_CHARACTERS = 64
HASH_CHARACTERS = 8
_CASE_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# MONAI Label takes the text of an image's ending out of an id wherever it stands in it
_SYLLABLES = ("HANGUL SYLLABLE", "HIRAGANA LETTER", "KATAKANA LETTER")
_LETTERS = {
    **dict(zip("абвгдезийклмнопрстуфыэі", "abvgdeziiklmnoprstufyei", strict=True)),
    **{"ё": "yo", "ж": "zh", "х": "kh", "ц": "ts", "ч": "ch", "ш": "sh", "щ": "shch", "ъ": ""},  # noqa: RUF001
    **{"ь": "", "ю": "yu", "я": "ya", "є": "ye", "ї": "yi", "ґ": "g", "ў": "u", "ј": "j"},  # noqa: RUF001
    **{"љ": "lj", "њ": "nj", "ћ": "c", "ђ": "dj", "џ": "dz"},
    **dict(zip("αβγδεζηικλμνξοπρσςτυφω", "avgdeziiklmnxoprsstyfo", strict=True)),
    **{"θ": "th", "χ": "ch", "ψ": "ps", "ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l"},
    **{"đ": "d", "ð": "d", "þ": "th", "ı": "i"},  # noqa: RUF001
}
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

    Letters beyond A-Z are written in Latin ones where a table knows how. A name that loses
    something by that, or by being cut, gets a hash, so that no two names share an id.

    Example:
        >>> case_id_from("Fall 7.nii.gz"), case_id_from("\uae40\ucca0\uc218")
        ('Fall-7', 'gimceolsu-f09c2129')
    """
    plain = unicodedata.normalize("NFC", _ENDINGS.sub("", name))
    words = re.sub(r"[^A-Za-z0-9._-]+", "-", "".join(map(_latin, plain))).strip("._-")
    is_told = all(c.isascii() for c in plain if c.isalnum() or not c.isprintable())
    if is_told and words and len(words) <= MAX_CASE_ID_CHARACTERS:
        return words
    return hashed_case_id(words, plain) if plain.strip("._- ") else "case"


def hashed_case_id(case_id: str, name: str) -> str:
    """Case id with a hash of the name that it stands for, which tells equal ids apart."""
    digest = hashlib.sha256(unicodedata.normalize("NFC", name).encode("utf-8", "replace"))
    kept = case_id[: MAX_CASE_ID_CHARACTERS - HASH_CHARACTERS - 1].strip("._-")
    return f"{kept or 'case'}-{digest.hexdigest()[:HASH_CHARACTERS]}"


def _latin(character: str) -> str:
    """Character in Latin letters; a hyphen if no table knows how."""
    if character.isascii():
        return character
    if character.lower() in _LETTERS:
        latin = _LETTERS[character.lower()]
        return latin if character.islower() else latin.capitalize()
    bare = unicodedata.normalize("NFD", character)[0]
    if bare != character and bare.lower() in _LETTERS:
        return _latin(bare)
    name = unicodedata.name(character, "")
    if name.startswith(_SYLLABLES):
        return name.rsplit(" ", 1)[-1].lower()
    base = unicodedata.normalize("NFKD", character).encode("ascii", "ignore").decode("ascii")
    return base or "-"
