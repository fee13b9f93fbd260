"""What a provider of text is. A language model may choose, order and phrase facts.

Whatever a provider returns goes through the verifier. Prompts hold sentences made of facts, never
the scan, a file name, a case id or anything else about the patient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol, runtime_checkable

from brain_tumor.errors import TumorLensError
from brain_tumor.explanation.facts.model import Facts, Language

COMPOSER = "composer"


EMBEDDED = "smollm2"


ENDPOINT = "endpoint"


FOLDER = "transformers"


class ProviderError(TumorLensError, RuntimeError):
    """A provider that is not installed, cannot be reached, or takes too long."""

    code = "provider"
    default_remedy = "Use the provider 'composer', which is always there."


class TextProvider(Protocol):
    """Who phrases a rationale."""

    @property
    def name(self) -> str:
        """Name in requests and replies."""

    def phrase(self, facts: Facts, language: Language) -> Sequence[str]:
        """Sentences on the facts.

        Raises:
            ProviderError: If there are none.
        """


@runtime_checkable
class ChatProvider(Protocol):
    """A provider that answers any question, not only with sentences on facts."""

    @property
    def name(self) -> str:
        """Name in requests and replies."""

    def chat(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Answer to the messages of a chat.

        Raises:
            ProviderError: If there is none.
        """


@runtime_checkable
class SlowStarter(Protocol):
    """A provider whose first answer would be late."""

    @property
    def name(self) -> str:
        """Name in requests and replies."""

    def warm_up(self) -> None:
        """Get ready.

        Raises:
            ProviderError: If it cannot be started.
        """
