"""From facts to a rationale: a provider phrases, the verifier decides, the composer stands in."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from brain_tumor.errors import InputError
from brain_tumor.explanation.facts.model import Facts, Language
from brain_tumor.explanation.rationale.composer.composer import compose
from brain_tumor.explanation.rationale.providers.base import COMPOSER, ProviderError, TextProvider
from brain_tumor.explanation.rationale.providers.registry import provider_of_environment
from brain_tumor.explanation.rationale.verifier.verifier import (
    CheckedSentence,
    VerifiedText,
    verify,
)

logger = logging.getLogger(__name__)

MOST_PROBLEMS, LONGEST_PROBLEM = 20, 300
"""What a provider said is quoted in `checks.problems`, but not however much it said."""


@dataclass(frozen=True)
class Rationale:
    """What is shown.

    Attributes:
        language: Of the sentences.
        provider: Whose sentences they are; "composer" after a fallback.
        text: Sentences and the account of the check.
        notes: What went wrong with the provider that was asked for; empty if nothing did.
        duration_s: Time of the provider and the verifier.
    """

    language: Language
    provider: str
    text: VerifiedText
    notes: tuple[str, ...]
    duration_s: float

    @property
    def sentences(self) -> tuple[CheckedSentence, ...]:
        """Sentences that the facts bear out, in order."""
        return self.text.sentences

    def to_json(self) -> dict[str, Any]:
        """The rationale as in the reply."""
        text = self.text
        problems = [f"{p.action}: '{_cut(p.text)}' ({_cut(p.reason)})" for p in text.problems]
        said = [*(_cut(note) for note in self.notes), *problems]
        if len(said) > MOST_PROBLEMS:
            said[MOST_PROBLEMS - 1 :] = [f"and {len(said) - MOST_PROBLEMS + 1} more"]
        return {
            "language": self.language.value,
            "provider": self.provider,
            "sentences": [
                {
                    "id": f"s{number}",
                    "text": sentence.text,
                    "evidence": list(sentence.evidence),
                    "kind": sentence.kind.value,
                    "part": "summary" if sentence.is_summary else "detail",
                }
                for number, sentence in enumerate(text.sentences, start=1)
            ],
            "checks": {
                "claims": text.claims,
                "supported": text.supported,
                "removed": text.removed,
                "rewritten": text.rewritten,
                "added": text.added,
                "problems": said,
            },
        }


def explain_in_words(
    facts: Facts,
    language: Language | str = Language.ENGLISH,
    provider: TextProvider | str | None = None,
) -> Rationale:
    """Rationale of a case in which every sentence is borne out by the facts.

    The provider phrases; each of its sentences is verified; what is false is replaced by the
    composer's words or dropped; what must not be left out is added. If the provider fails, takes
    too long or says nothing that holds, the composer's text is returned instead, and the notes
    say so.

    Args:
        facts: What is known.
        language: "en" or "ko".
        provider: Who phrases; a name stands for the provider that the environment sets up; the
            composer if None.

    Raises:
        InputError: If the language is not known, or no provider of that name is set up.
    """
    spoken = as_language(language)
    if isinstance(provider, str):
        provider = provider_of_environment(provider)
    begun = time.perf_counter()
    notes: tuple[str, ...] = ()
    used = COMPOSER
    texts: Sequence[str] = ()
    if provider is not None and provider.name != COMPOSER:
        try:
            texts = tuple(provider.phrase(facts, spoken))
            used = provider.name
        except ProviderError as error:
            logger.warning("provider %s failed: %s", provider.name, error.message)
            notes = (f"{provider.name}: {error.message}; the composer's text is shown",)
        except Exception as error:
            # Whatever a library throws, the rest of the request is worth keeping.
            logger.exception("provider %s failed unexpectedly", provider.name)
            reason = f"it failed ({type(error).__name__})"
            notes = (f"{provider.name}: {reason}; the composer's text is shown",)
    text = verify(texts, facts, spoken) if used != COMPOSER else None
    if text is not None and not _own_words(texts, text):
        logger.warning("provider %s said nothing that holds", used)
        notes = (f"{used}: nothing it said could be kept; the composer's text is shown",)
        composed = verify(_composed(facts, spoken), facts, spoken)
        text = VerifiedText(
            composed.sentences,
            text.claims,
            text.supported,
            text.removed,
            text.rewritten,
            text.added,
            text.problems,
        )
        used = COMPOSER
    if text is None:
        text = verify(_composed(facts, spoken), facts, spoken)
    return Rationale(spoken, used, text, notes, time.perf_counter() - begun)


def as_language(language: Language | str) -> Language:
    """Language of a code.

    Raises:
        InputError: If it is not known.
    """
    try:
        return Language(language)
    except ValueError as error:
        raise InputError(f"language '{language}' is not known; expected en or ko") from error


def _cut(text: str) -> str:
    """A text that is not longer than is worth reading."""
    return (
        text
        if len(text) <= LONGEST_PROBLEM
        else text[: LONGEST_PROBLEM - 1] + "\N{HORIZONTAL ELLIPSIS}"
    )


def _composed(facts: Facts, language: Language) -> list[str]:
    return [sentence.text for sentence in compose(facts, language)]


def _own_words(texts: Sequence[str], text: VerifiedText) -> bool:
    """Whether any sentence of the provider was kept."""
    refused = {problem.text for problem in text.problems}
    return any(given.strip() and given.strip() not in refused for given in texts)
