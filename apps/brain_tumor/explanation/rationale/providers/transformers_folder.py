"""Any local transformers model folder, read from disk only."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from brain_tumor.errors import InputError
from brain_tumor.explanation.facts.model import Facts, Language
from brain_tumor.explanation.rationale.providers.base import FOLDER, ProviderError
from brain_tumor.explanation.rationale.providers.prompts import messages, split_sentences

TIMEOUT_S = 60.0
MOST_TOKENS = 600


class FolderProvider:
    """Runs a causal language model from a folder; loads it when it is first asked.

    Args:
        folder: Holds config.json, safetensors weights and a tokenizer.
        timeout_s: Longest time for an answer; what is written by then is used.

    Raises:
        InputError: If there is no model in the folder.
    """

    name = FOLDER

    def __init__(self, folder: str | Path, *, timeout_s: float = TIMEOUT_S) -> None:
        self._folder = Path(folder)
        if not (self._folder / "config.json").is_file():
            raise InputError(f"folder '{self._folder.name}' holds no config.json; expected a model")
        self._timeout_s = timeout_s
        self._lock = threading.Lock()
        self._loaded: tuple[Any, Any] | None = None

    def phrase(self, facts: Facts, language: Language) -> Sequence[str]:
        """Sentences of the model.

        Raises:
            ProviderError: If the model cannot be loaded or says nothing.
        """
        sentences = split_sentences(self.chat(messages(facts, language)))
        if not sentences:
            raise ProviderError("the model said nothing")
        return sentences

    def chat(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Answer of the model, which may be empty.

        Raises:
            ProviderError: If the model cannot be loaded.
        """
        with self._lock:
            try:
                tokenizer, model = self._load()
                return self._generate(tokenizer, model, [dict(one) for one in messages])
            except (OSError, ValueError, RuntimeError, ImportError) as error:
                raise ProviderError(f"the model cannot be run ({type(error).__name__})") from error

    def _load(self) -> tuple[Any, Any]:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        if self._loaded is None:
            tokenizer = AutoTokenizer.from_pretrained(self._folder, local_files_only=True)
            model = AutoModelForCausalLM.from_pretrained(
                self._folder, local_files_only=True, use_safetensors=True, trust_remote_code=False
            )
            model.train(mode=False)
            self._loaded = tokenizer, model
        return self._loaded

    def _generate(self, tokenizer: Any, model: Any, chat: list[dict[str, str]]) -> str:
        import torch
        from transformers import StoppingCriteria, StoppingCriteriaList

        deadline = time.monotonic() + self._timeout_s

        class Deadline(StoppingCriteria):
            def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
                late = time.monotonic() > deadline
                return torch.full((input_ids.shape[0],), late, dtype=torch.bool)

        if tokenizer.chat_template:
            prompt = tokenizer.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
        else:
            prompt = "\n\n".join(message["content"] for message in chat) + "\n\n"
        encoded = tokenizer(prompt, return_tensors="pt")
        with torch.inference_mode():
            output = model.generate(
                **encoded,
                max_new_tokens=MOST_TOKENS,
                do_sample=False,
                stopping_criteria=StoppingCriteriaList([Deadline()]),
            )
        length = encoded["input_ids"].shape[1]
        return str(tokenizer.decode(output[0, length:], skip_special_tokens=True))
