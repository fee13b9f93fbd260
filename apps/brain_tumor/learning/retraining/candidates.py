"""From finished weights to a bundle with a card."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from brain_tumor.bundles import METADATA, WEIGHTS, read_bundle
from brain_tumor.learning.registry.registry import CARD
from brain_tumor.learning.retraining.job_folder import TrainingRequest


def write_candidate(
    folder: Path,
    parent: Path,
    version: str,
    state: Mapping[str, torch.Tensor],
    request: TrainingRequest,
    data: Mapping[str, Any],
) -> None:
    """Write a bundle: the parent's contract, new weights, and a card of its own.

    Weights are stored as precisely as the parent's. Those that did not learn stay as they are, and
    so does what the parent's bundle holds beside them.

    Args:
        folder: Folder of the bundle; replaced.
        parent: Bundle that the training started from.
        version: Version of the new one.
        state: Weights that learnt.
        request: What was asked for.
        data: What it was trained on.
    """
    bundle = read_bundle(parent)
    for file in (METADATA, WEIGHTS, CARD):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
    _carry_over(parent, folder)
    stored = load_file(parent / WEIGHTS)
    weights = {
        name: state.get(name, value).detach().to(value.dtype).contiguous()
        for name, value in stored.items()
    }
    save_file(weights, folder / WEIGHTS)
    metadata = {
        **bundle.metadata,
        "version": version,
        "retraining": {
            "parent": bundle.version.to_json(),
            "data": dict(data),
            "epochs": request.max_epochs,
            "learning_rate": request.learning_rate,
            "seed": request.seed,
        },
    }
    (folder / METADATA).write_text(json.dumps(metadata, indent=2) + "\n", encoding="utf-8")
    old_card = parent / CARD
    old_text = old_card.read_text(encoding="utf-8") if old_card.is_file() else ""
    text = _card(bundle.version.name, bundle.version.version, version, data, old_text)
    (folder / CARD).write_text(text, encoding="utf-8")


def _carry_over(parent: Path, folder: Path) -> None:
    """Copy what a bundle holds beside metadata and weights: tables, statistics."""
    for part in (METADATA.parent, WEIGHTS.parent):
        for path in sorted((parent / part).iterdir()):
            if path.is_file() and part / path.name not in (METADATA, WEIGHTS):
                shutil.copyfile(path, folder / part / path.name)


def data_fingerprint(request: TrainingRequest) -> str:
    """Checksum of everything that a training learnt from."""
    learnt = sorted(
        (c.case_id, c.label_sha256, c.tumor_type) for c in request.corrections if not c.held_out
    )
    base = request.replay or f"phantoms {request.replay_phantoms}"
    return hashlib.sha256(json.dumps([learnt, base]).encode()).hexdigest()


def _card(name: str, parent: str, version: str, data: Mapping[str, Any], old: str) -> str:
    """Model card of a retrained version."""
    return f"""# {name} {version}

Retrained from {name} {parent} on corrections of this site. Research use only; not a medical device.

| | |
|---|---|
| corrections learnt from | {data["corrections"]} {data["what"]} of {data["patients"]} patients |
| corrections held out for the gate | {data["held_out"]} |
| base data replayed | {data["replay"]} |
| fingerprint of the data | `{data["fingerprint"]}` |

Scores and the comparison with {parent}, patient by patient, are in the report of the promotion gate
(`tumorlens models promote {name} {version} --dry-run --report FILE.html`).

## Limitations

All those of {parent}, below. Corrections come from few annotators and scanners of one site: on
other data this version may be worse than its parent.

---

{old or f"The parent {parent} has no card."}
"""
