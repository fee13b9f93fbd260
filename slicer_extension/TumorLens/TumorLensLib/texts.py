"""Panel texts in English and Korean; the English sentence is the key."""

from __future__ import annotations

from collections.abc import Mapping

from TumorLensLib.korean import KOREAN
from TumorLensLib.told import in_korean

LANGUAGES: Mapping[str, str] = {"en": "English", "ko": "한국어"}


class Translator:
    """Turns English sentences into the chosen language.

    Args:
        language: Key of `LANGUAGES`.
    """

    def __init__(self, language: str = "en") -> None:
        self.language = language if language in LANGUAGES else "en"

    def __call__(self, english: str, **values: object) -> str:
        """Sentence in the language, with its values filled in.

        Args:
            english: Key; may hold `{name}` fields.
            values: Texts of the fields.
        """
        sentence = KOREAN.get(english, english) if self.language == "ko" else english
        return sentence.format(**values) if values else sentence

    def told(self, english: str) -> str:
        """What a server or an error says in English, in the language.

        Args:
            english: Sentence with its values inside.
        """
        return in_korean(english) if self.language == "ko" else english
