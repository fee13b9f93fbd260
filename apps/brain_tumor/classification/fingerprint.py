"""Which classifiers share an embedding: a checksum of all that comes before it."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping

import torch

from brain_tumor.bundles import Bundle
from brain_tumor.classification.model.network import NetworkArguments

EMBEDDING_PARTS = ("encoder", "decoder", "lateral", "boundary", "lesion", "embed")
"""Parts of the hybrid network that the embedding of a slice depends on."""


def embedding_sha256(bundle: Bundle, weights: Mapping[str, torch.Tensor] | None = None) -> str:
    """Checksum of the weights up to the embedding; layers after it do not count.

    It is taken of the values as they are used (float32), so the precision on disk does not matter,
    and of whether the boundary layer is used, because the embedding pools by it.

    Args:
        bundle: Of a classifier.
        weights: Its weights, where they have been read already.

    Returns:
        Hexadecimal SHA-256.

    Raises:
        ModelError: If the weights or the network arguments are damaged.
    """
    arguments = NetworkArguments.from_json(bundle.metadata.get("network", {}))
    digest = hashlib.sha256(f"boundary {arguments.boundary}".encode())
    for name, value in sorted((bundle.weights() if weights is None else weights).items()):
        if name.split(".", 1)[0] in EMBEDDING_PARTS:
            digest.update(f"{name} {tuple(value.shape)} {value.dtype}".encode())
            digest.update(value.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
