"""Word features written to a file, so that a class can be added where no text tower is installed.

tumorlens concepts encode-words NAME --symptoms FILE.json --output WORDS.npz
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from brain_tumor.concepts.attribution import list_words, without
from brain_tumor.concepts.encoders import TextTower
from brain_tumor.errors import FileFormatError, InputError


def phrases_of(texts: Sequence[str]) -> tuple[str, ...]:
    """Every phrase, and every phrase without each of its words."""
    cut = (without(texts[w.symptom], frozenset({w.position})) for w in list_words(texts))
    return tuple(dict.fromkeys([*texts, *cut]))


def write_words(path: Path, texts: Sequence[str], tower: TextTower, context: torch.Tensor) -> None:
    """Write what adding a class needs to know of its words.

    Args:
        path: File to write, `.npz`.
        texts: Symptoms of the class.
        tower: Frozen text tower.
        context: Learned tokens of the bundle that the class is for.
    """
    phrases = phrases_of(texts)
    with torch.no_grad():
        plain, led = tower.encode(phrases), tower.encode(phrases, context)
    np.savez_compressed(
        path,
        phrases=np.array(phrases),
        plain=plain.numpy(),
        with_context=led.numpy(),
        context=context.numpy(),
    )


class StoredWords:
    """A text tower that knows the phrases of a file only.

    Args:
        path: Written by `write_words`.

    Raises:
        FileFormatError: If it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        try:
            with np.load(path, allow_pickle=False) as parts:
                phrases = [str(phrase) for phrase in parts["phrases"]]
                self._context, self._plain, self._led = (
                    torch.from_numpy(parts[name].astype(np.float32))
                    for name in ("context", "plain", "with_context")
                )
        except (OSError, ValueError, KeyError) as error:
            raise FileFormatError(f"word features {path.name} cannot be read: {error!r}") from error
        self._rows = {phrase: row for row, phrase in enumerate(phrases)}
        self.token_width = int(self._context.shape[-1])
        self.feature_width = int(self._plain.shape[-1])

    def encode(self, texts: Sequence[str], context: torch.Tensor | None = None) -> torch.Tensor:
        """Stored features, (N, feature_width).

        Raises:
            InputError: If a phrase is not in the file, or it was written for other tokens.
        """
        unknown = [text for text in texts if text not in self._rows]
        if unknown:
            raise InputError(
                f"the word features do not hold '{unknown[0]}'",
                remedy="Write them again from the same symptoms (tumorlens concepts encode-words).",
            )
        if context is not None and not torch.equal(context, self._context):
            raise InputError(
                "the word features were written for another bundle",
                remedy="Write them again with the bundle that the class is added to.",
            )
        chosen = self._plain if context is None else self._led
        return chosen[[self._rows[text] for text in texts]]
