"""Any OpenAI-compatible endpoint: vLLM, Ollama, llama.cpp and others."""

from __future__ import annotations

import http.client
import json
import time
import urllib.request
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

from brain_tumor.errors import InputError
from brain_tumor.explanation.facts.model import Facts, Language
from brain_tumor.explanation.rationale.providers.base import ENDPOINT, ProviderError
from brain_tumor.explanation.rationale.providers.prompts import messages, split_sentences

TIMEOUT_S = 20.0
MOST_TOKENS = 900
MOST_BYTES = 1_000_000
CHUNK_BYTES = 65_536


class EndpointProvider:
    """Asks an endpoint for a chat completion.

    Args:
        url: Base address, up to and with "/v1".
        model: Model to ask for.
        key: Key, sent as a bearer token, or None.
        timeout_s: Longest time for the whole answer.

    Raises:
        InputError: If the address is not http or https.
    """

    name = ENDPOINT

    def __init__(
        self,
        url: str,
        model: str = "default",
        *,
        key: str | None = None,
        timeout_s: float = TIMEOUT_S,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise InputError(f"endpoint address '{url}' is not usable; expected http(s)://host/v1")
        self._url = url.rstrip("/") + "/chat/completions"
        self._model, self._key, self._timeout_s = model, key, timeout_s

    def phrase(self, facts: Facts, language: Language) -> Sequence[str]:
        """Sentences of the model.

        Raises:
            ProviderError: If it cannot be reached, takes too long or answers nonsense.
        """
        return split_sentences(self.chat(messages(facts, language)))

    def chat(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Answer of the model.

        Raises:
            ProviderError: If it cannot be reached, takes too long or answers nonsense.
        """
        body = {
            "model": self._model,
            "messages": list(messages),
            "temperature": 0.0,
            "max_tokens": MOST_TOKENS,
        }
        headers = {"Content-Type": "application/json"}
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        request = urllib.request.Request(
            self._url, json.dumps(body).encode(), headers, method="POST"
        )
        try:
            answer = json.loads(self._fetch(request))
            text = answer["choices"][0]["message"]["content"]
        except TimeoutError as error:
            raise ProviderError(f"no answer within {self._timeout_s:g} s") from error
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "reason", error) or type(error).__name__
            raise ProviderError(f"the endpoint cannot be used ({reason})") from error
        except (ValueError, KeyError, IndexError, TypeError) as error:
            raise ProviderError("the endpoint's answer is no chat completion") from error
        if not isinstance(text, str) or not text.strip():
            raise ProviderError("the endpoint's answer is empty")
        return text

    def _fetch(self, request: urllib.request.Request) -> bytes:
        """The answer, within the time for all of it: a server that drips is cut off, too."""
        deadline = time.monotonic() + self._timeout_s
        read = b""
        with urllib.request.urlopen(request, timeout=self._timeout_s) as reply:
            while len(read) <= MOST_BYTES:
                chunk = reply.read1(CHUNK_BYTES)
                if not chunk:
                    return read
                read += chunk
                if time.monotonic() > deadline:
                    raise TimeoutError
        raise ValueError("the answer is too long")
