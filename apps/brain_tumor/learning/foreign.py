"""Models from elsewhere as versions of ours: written as a bundle, measured, put before the gate."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file

from brain_tumor.bundles import CARD, METADATA, WEIGHTS
from brain_tumor.cases.case import Case
from brain_tumor.cases.files.durable import file_sha256, storage_errors
from brain_tumor.errors import InputError
from brain_tumor.labels import LabelScheme, check_scheme
from brain_tumor.learning.gate.promotion import GateReport, GateRules, judge
from brain_tumor.learning.registry.model_versions import version_key
from brain_tumor.learning.registry.registry import ModelRegistry, VersionRecord, check_version
from brain_tumor.learning.retraining.labelled_cases import (
    LabelledCase,
    LeftOut,
    base_phantoms,
    measured_cases,
)
from brain_tumor.learning.retraining.tuner import MASK_RULES, Scorer, Truth
from brain_tumor.learning.retraining.version_scores import score_versions
from brain_tumor.model_names import ModelName
from brain_tumor.segmentation.foreign.adapter import build_inner
from brain_tumor.segmentation.foreign.sources import ForeignModel, Told, read_foreign
from brain_tumor.segmentation.metrics.overlap import region_dice
from brain_tumor.segmentation.subregions.inference import SubregionSegmenter

NAME = ModelName.SEGMENTATION.value
BASE_PHANTOMS, PHANTOM_SPACING_MM = 6, 2.0


@dataclass(frozen=True)
class ImportedModel:
    """What became of a folder.

    Attributes:
        record: Its version in the registry.
        report: What the gate says; None if it was not measured.
    """

    record: VersionRecord
    report: GateReport | None


def import_model(
    registry: ModelRegistry,
    folder: Path,
    told: Told,
    *,
    version: str = "",
    cases: Path | None = None,
    phantoms: tuple[int, float] = (BASE_PHANTOMS, PHANTOM_SPACING_MM),
    on_case: Callable[[str], None] = lambda name: None,
) -> ImportedModel:
    """Keep a model from elsewhere as a version of `segmentation`; it does not become active.

    Args:
        registry: Versions.
        folder: See `read_foreign`.
        told: What the folder does not tell.
        version: Number of it; by default the next one with a larger middle part.
        cases: Labelled cases that both versions are measured on; None leaves it to be judged.
        phantoms: Number and voxel size in mm of those that show forgetting.
        on_case: Hears of each case before it is measured.

    Raises:
        FileFormatError: See `read_foreign`.
        InputError: If something is not told, or the version exists with other weights.
        ModelError: If network and weights do not fit together.
        StorageError: If it cannot be stored; then nothing changed.
    """
    labelled = None if cases is None else measured_cases(cases)
    foreign = read_foreign(folder, told)
    number = check_version(version) if version else _next_version(registry)
    with tempfile.TemporaryDirectory(prefix="tumorlens-import-") as scratch:
        bundle = Path(scratch) / NAME
        with storage_errors(NAME):
            write_imported_bundle(bundle, foreign, number)
        SubregionSegmenter.load(bundle)  # refused now rather than when it is served
        data = {"imported": foreign.kind, "title": foreign.title}
        record = registry.add(bundle, data=data, metrics={})
    if labelled is None:
        return ImportedModel(record, None)
    report = judge_version(registry, record, labelled, phantoms, on_case)
    registry.record_decision(NAME, record.version, report.to_json())
    return ImportedModel(registry.get(NAME, record.version), report)


def judge_version(
    registry: ModelRegistry,
    record: VersionRecord,
    labelled: Sequence[LabelledCase],
    phantoms: tuple[int, float],
    on_case: Callable[[str], None],
) -> GateReport:
    """Measure a version and the active one on the same cases, and ask the gate.

    Raises:
        InputError: If the version cannot read a case that the active one reads.
    """
    active = registry.active_record(NAME)
    cases = [*labelled, *base_phantoms(*phantoms)]
    left_out = LeftOut()
    current = _scorer(SubregionSegmenter.load(active.path))
    candidate = _scorer(SubregionSegmenter.load(record.path))
    scores = []
    for one in cases:
        on_case(one.name)
        scores += score_versions(current, candidate, [one], left_out, lambda: False)
    return judge(
        scores,
        model=NAME,
        current=active.version,
        candidate=record.version,
        rules=GateRules(least_current=MASK_RULES.least_current),
        left_out=left_out.of(cases),
    )


def _scorer(segmenter: SubregionSegmenter) -> Scorer:
    def score(case: Case, truth: Truth) -> dict[str, float]:
        if check_scheme(truth.labels) is not LabelScheme.SUBREGIONS:
            return {}
        found = segmenter.segment(case).labelmap
        return {region.value: dice for region, dice in region_dice(found, truth.labels).items()}

    return score


def write_imported_bundle(folder: Path, foreign: ForeignModel, version: str) -> None:
    """Write what was read as a bundle of ours, in the layout of MONAI.

    Args:
        folder: New folder.
        foreign: What was read.
        version: Its number here.

    Raises:
        ModelError: If network and weights do not fit together.
        OSError: If the disk does not take it.
    """
    for file in (METADATA, WEIGHTS, CARD):
        (folder / file).parent.mkdir(parents=True, exist_ok=True)
    wanted = build_inner(foreign.spec).state_dict()
    state = {k: v.contiguous() for k, v in foreign.state.items() if k in wanted or not _counts(k)}
    save_file(_apart(state), folder / WEIGHTS)
    spec = foreign.spec
    metadata = {
        "name": NAME,
        "version": version,
        "task": "Brain tumour sub-regions, imported",
        "description": f"{foreign.kind} '{foreign.title}', trained elsewhere",
        "intended_use": "Research; a proposal for an annotator to correct. Not for diagnosis.",
        "network": spec.to_json(),
        "network_data_format": {
            "inputs": {
                "image": {
                    "type": "image",
                    "num_channels": len(spec.channels),
                    "spacing_mm": list(spec.spacing_mm),
                    "orientation": spec.orientation,
                    "channel_def": {str(n): name for n, name in enumerate(spec.channels)},
                }
            },
            "outputs": {
                "pred": {
                    "type": "image",
                    "format": "logits",
                    "num_channels": len(spec.outputs),
                    "channel_def": {str(n): name for n, name in enumerate(spec.outputs)},
                }
            },
        },
    }
    text = json.dumps(metadata, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / METADATA).write_text(text + "\n", encoding="utf-8", errors="replace")
    for name, licence in foreign.licences.items():
        (folder / name).write_text(licence, encoding="utf-8", errors="replace")
    card = _card(foreign, version, file_sha256(folder / WEIGHTS))
    (folder / CARD).write_text(card, encoding="utf-8", errors="replace")


def export_model(registry: ModelRegistry, name: str, version: str | None, output: Path) -> Path:
    """Copy a version, checked file by file, to a folder of its own.

    Args:
        registry: Versions.
        name: Model.
        version: Version; None is the active one.
        output: Where its folder is made.

    Returns:
        The folder, a MONAI bundle.

    Raises:
        NotFoundError: If there is no such version.
        ModelError: If its files are damaged.
        InputError: If the folder exists.
        StorageError: If it cannot be written.
    """
    chosen = version or registry.active_record(name).version
    record = registry.verify(name, chosen)
    folder = output / f"{name}-{chosen}"
    if folder.exists():
        raise InputError(f"'{folder.name}' exists already", remedy="Name another --output.")
    with storage_errors(folder.name):
        output.mkdir(parents=True, exist_ok=True)
        shutil.copytree(record.path, folder, ignore=shutil.ignore_patterns("version.json"))
    return folder


def _next_version(registry: ModelRegistry) -> str:
    major, minor, _ = max(version_key(r.version) for r in registry.versions(NAME))
    return f"{major}.{minor + 1}.0"


def _counts(name: str) -> bool:
    """Buffers that only count training steps; not every network has them."""
    return name.endswith("num_batches_tracked")


def _apart(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Tensors that share no memory: a file of safetensors takes no others."""
    return {name: value.clone() for name, value in state.items()}


def _card(foreign: ForeignModel, version: str, sha256: str) -> str:
    """Model card of an imported version; texts of the folder cannot make markup of it."""
    spec = foreign.spec
    title = "".join(c for c in foreign.title if c.isalnum() or c in " ._-")[:80]
    told: dict[str, Any] = {
        "from": f"{foreign.kind} {title}",
        "network": spec.architecture,
        "channels": ", ".join(spec.channels),
        "outputs": ", ".join(spec.outputs),
        "voxel size": " x ".join(f"{mm:g}" for mm in spec.spacing_mm) + " mm",
        "orientation": spec.orientation,
        "licences": ", ".join(sorted(foreign.licences)) or "none came with it: ask its authors",
    }
    rows = "\n".join(f"| {key} | {value} |" for key, value in told.items())
    return f"""# {NAME} {version}

Imported; trained elsewhere. Research use only; not a medical device. Weights sha256 `{sha256}`.

| | |
|---|---|
{rows}

## Limitations

What it was trained on, and on whom it fails, is for its authors to say. It takes the place of the
3-D network here: clean-up, the question whether there is a tumour, and heads with skull are as
before, and were fitted to another network. Sequences are z-scored over the foreground, whatever
its own training did.
"""
