"""What the classifier can name and what it cannot: said with every answer, whatever it is."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from brain_tumor.labels import TYPES

NOT_KNOWN: Mapping[str, str] = MappingProxyType(
    {
        "metastasis": "metastasis",
        "lymphoma": "lymphoma",
        "abscess": "abscess",
        "schwannoma": "schwannoma",
        "craniopharyngioma": "craniopharyngioma",
        "rathke_cleft_cyst": "Rathke cleft cyst",
        "solitary_fibrous_tumour": "solitary fibrous tumour",
        "demyelination": "demyelination",
        "encephalitis": "encephalitis",
        "infarct": "infarct",
    }
)
"""Lesions that look like tumours of the known types and that the classifier cannot name: id and
English name. Not all there are; see `explanation.facts.differential` for which looks like what."""

SCOPE_NOTE = (
    "Only glioma, meningioma and pituitary tumour are known; probabilities are among these three. "
    "Metastasis, lymphoma, abscess, schwannoma, demyelination and other lesions are not among them."
)


def scope_section() -> dict[str, Any]:
    """Plain dictionary under the key `classification.scope`; see docs/reply.schema.json."""
    return {
        "known": [kind.value for kind in TYPES],
        "not_known": list(NOT_KNOWN.values()),
        "note": SCOPE_NOTE,
    }
