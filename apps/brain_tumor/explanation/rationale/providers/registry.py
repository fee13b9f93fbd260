"""Which providers of text are set up, and the one that a request names."""

from __future__ import annotations

import logging
import os
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

from brain_tumor.errors import InputError
from brain_tumor.explanation.facts.model import Facts, Language
from brain_tumor.explanation.rationale.composer.composer import compose
from brain_tumor.explanation.rationale.providers.base import (
    COMPOSER,
    EMBEDDED,
    ENDPOINT,
    FOLDER,
    ChatProvider,
    ProviderError,
    SlowStarter,
    TextProvider,
)

logger = logging.getLogger(__name__)


class ComposerProvider:
    """The deterministic composer."""

    name = COMPOSER

    def phrase(self, facts: Facts, language: Language) -> Sequence[str]:
        """The composer's sentences."""
        return [sentence.text for sentence in compose(facts, language)]


@dataclass(frozen=True)
class ProviderSettings:
    """What the providers other than the composer need.

    Attributes:
        endpoint_url: Base address of an OpenAI-compatible endpoint, up to and with "/v1".
        endpoint_model: Model to ask for there.
        endpoint_key: Its key, if it wants one.
        model_folder: Folder of a local transformers model.
    """

    endpoint_url: str | None = None
    endpoint_model: str = "default"
    endpoint_key: str | None = field(default=None, repr=False)
    model_folder: str | None = None

    @classmethod
    def from_environment(cls, environ: Mapping[str, str]) -> ProviderSettings:
        """Settings from TUMORLENS_LLM_URL, _MODEL, _KEY and TUMORLENS_LLM_FOLDER."""
        return cls(
            environ.get("TUMORLENS_LLM_URL") or None,
            environ.get("TUMORLENS_LLM_MODEL") or "default",
            environ.get("TUMORLENS_LLM_KEY") or None,
            environ.get("TUMORLENS_LLM_FOLDER") or None,
        )


@lru_cache(maxsize=8)
def make_provider(name: str, settings: ProviderSettings | None = None) -> TextProvider:
    """Provider by its name; the same one again for the same settings, so that models stay loaded.

    Args:
        name: One of "composer", "smollm2", "endpoint", "transformers".
        settings: What it needs; nothing is set up if None.

    Raises:
        InputError: If the name is not known or what it needs is not set up.
    """
    # Imported here: the optional packages and torch are needed by these providers only.
    given = settings or ProviderSettings()
    if name == COMPOSER:
        return ComposerProvider()
    if name not in available_providers(given):
        raise InputError(
            f"provider '{name}' is not set up; expected one of "
            f"{', '.join(available_providers(given))}",
            remedy="Use 'composer', or set the server up with an endpoint or a model folder.",
        )
    if name == EMBEDDED:
        from brain_tumor.explanation.rationale.providers.embedded import EmbeddedProvider

        return EmbeddedProvider()
    if name == ENDPOINT:
        from brain_tumor.explanation.rationale.providers.endpoint import EndpointProvider

        return EndpointProvider(
            given.endpoint_url or "", given.endpoint_model, key=given.endpoint_key
        )
    from brain_tumor.explanation.rationale.providers.transformers_folder import FolderProvider

    return FolderProvider(given.model_folder or "")


def provider_of_environment(name: str) -> TextProvider:
    """Provider as the environment sets it up; ask for it before anything long is computed.

    Raises:
        InputError: If the name is not known, or what it needs is missing or unusable.
    """
    return make_provider(name, ProviderSettings.from_environment(os.environ))


def warmed_beside(provider: TextProvider) -> Callable[[], None]:
    """Start a provider that is slow to start while the caller does other work.

    Args:
        provider: Any; one that is quick to start is left alone.

    Returns:
        Waits until it is ready; to be called before it is asked. One that cannot be started is a
        line in the log, because asking it tells why.
    """
    if not isinstance(provider, SlowStarter):
        return lambda: None
    starting = threading.Thread(target=_warm_up, args=(provider,), name="warm-up", daemon=True)
    starting.start()
    return starting.join


def _warm_up(provider: SlowStarter) -> None:
    try:
        provider.warm_up()
    except ProviderError as error:
        logger.warning("provider %s is not warm: %s", provider.name, error.message)


def chat_provider_of_environment(name: str) -> ChatProvider:
    """Provider that answers questions, as the environment sets it up.

    Raises:
        InputError: If it is not set up, or only phrases facts.
    """
    provider = provider_of_environment(name)
    if not isinstance(provider, ChatProvider):
        raise InputError(
            f"provider '{name}' phrases facts and answers no questions; expected '{ENDPOINT}' or "
            f"'{FOLDER}'",
            remedy="Set TUMORLENS_LLM_URL or TUMORLENS_LLM_FOLDER, see docs/rationale.md.",
        )
    return provider


def available_providers(settings: ProviderSettings | None = None) -> tuple[str, ...]:
    """Names of the providers that can be used as things are installed and set up."""
    from brain_tumor.explanation.rationale.providers.embedded import embedded_model_file

    given = settings or ProviderSettings()
    return (
        COMPOSER,
        *((EMBEDDED,) if embedded_model_file() is not None else ()),
        *((ENDPOINT,) if given.endpoint_url else ()),
        *((FOLDER,) if given.model_folder else ()),
    )
