"""What `tumorlens models` and `tumorlens corrections` do; safe while a server runs."""

from __future__ import annotations

import getpass
import json
import os
from pathlib import Path
from typing import Any

from brain_tumor.bundles import models_folder
from brain_tumor.cases.files.durable import write_durably
from brain_tumor.errors import NotFoundError
from brain_tumor.learning.gate.promotion import promote_if_accepted
from brain_tumor.learning.gate.report import gate_page
from brain_tumor.learning.ledger.database import LEDGER_ENV, LEDGER_FILE, LedgerDatabase, ledger_url
from brain_tumor.learning.ledger.ledger import Kind, Ledger, ReviewState, Submission
from brain_tumor.learning.registry.registry import ModelRegistry
from brain_tumor.server.datastore.history import LabelHistory
from brain_tumor.server.datastore.store import PRIVATE_FOLDER
from brain_tumor.server.http.replies import to_plain

MODELS_FOLDER = "models"


def open_registry(studies: Path, models: Path | None = None) -> ModelRegistry:
    """Registry of a studies folder.

    Args:
        studies: Studies folder; one without any promoted version has the shipped ones.
        models: Folder of the shipped bundles; default `models_folder()`.
    """
    return ModelRegistry(models or models_folder(), studies / PRIVATE_FOLDER / MODELS_FOLDER)


def list_versions(registry: ModelRegistry) -> list[str]:
    """One line per version: name, version, state, checksum."""
    return [
        f"{name:<16} {v.version:<10} {v.state.value:<10} {v.sha256}"
        for name in registry.names()
        for v in registry.versions(name)
    ]


def gate_lines(registry: ModelRegistry, name: str, version: str) -> list[str]:
    """What the gate said, in lines.

    Raises:
        NotFoundError: If it has not judged the version.
    """
    decision = _decision(registry, name, version)
    verdict = "may be promoted" if decision["promote"] else "is kept back"
    return [f"{name} {version} {verdict}", *(f"  {reason}" for reason in decision["reasons"])]


def write_report(registry: ModelRegistry, name: str, version: str, path: Path) -> None:
    """Write the gate's report as a page, or as JSON if the file is named so.

    Raises:
        NotFoundError: If the gate has not judged the version.
        StorageError: If the file cannot be written.
    """
    decision = _decision(registry, name, version)
    text = json.dumps(decision, indent=1) if path.suffix == ".json" else gate_page(decision)
    write_durably(path, text.encode())


def promote(registry: ModelRegistry, studies: Path, name: str, version: str, override: str) -> str:
    """Make a version active; a running server follows with its next request.

    Raises:
        InputError: If the gate did not let it pass and there is no override.
    """
    by = getpass.getuser()
    record = promote_if_accepted(registry, name, version, by=by, override=override)
    _note(studies, name, record.version, "promoted", by)
    return f"{name} {record.version} is active"


def rollback(registry: ModelRegistry, studies: Path, name: str, version: str | None) -> str:
    """Go back to the version before, or to a named one."""
    by = getpass.getuser()
    record = registry.rollback(name, version, by=by)
    _note(studies, name, record.version, "rolled back", by)
    return f"{name} {record.version} is active"


def find_corrections(studies: Path, state: str | None, case: str | None) -> list[Submission]:
    """Corrections of a studies folder, oldest first.

    Raises:
        NotFoundError: If it has no ledger.
    """
    ledger = _open_ledger(studies)
    try:
        found = ledger.submissions(case_id=case, state=ReviewState(state) if state else None)
    finally:
        ledger.close()
    return found[::-1]


def correction_line(one: Submission) -> str:
    """A correction in one line."""
    dice = f"Dice {one.change['dice']:.3f}" if one.change else ""
    who = one.annotator or "-"
    return (
        f"{one.id:>5} {one.at[:16]} {one.case_id:<24} {one.kind.value:<9} {one.state.value:<9} "
        f"{who:<12} {dice}"
    ).rstrip()


def export_corrections(studies: Path, found: list[Submission], output: Path) -> int:
    """Write `corrections.jsonl` and every submitted label file.

    Returns:
        Number of label files.

    Raises:
        StorageError: If something cannot be read or written.
    """
    history = LabelHistory(studies)
    lines, count = [], 0
    for one in found:
        plain = to_plain(one.to_json())
        if one.kind is Kind.MASK:
            version = history.get(one.case_id, one.tag or "", one.label_version or 0)
            name = f"{one.case_id}-{one.tag}-{one.label_version}{version.suffix}"
            write_durably(output / "labels" / name, history.content(version))
            plain["file"] = f"labels/{name}"
            count += 1
        lines.append(json.dumps(plain, ensure_ascii=False))
    write_durably(output / "corrections.jsonl", ("\n".join(lines) + "\n").encode())
    return count


def _open_ledger(studies: Path) -> Ledger:
    folder = studies / PRIVATE_FOLDER
    if not os.environ.get(LEDGER_ENV) and not (folder / LEDGER_FILE).is_file():
        raise NotFoundError(
            "this studies folder has no ledger yet",
            remedy="Serve it once (tumorlens serve), or name another with --studies.",
        )
    return Ledger(LedgerDatabase(ledger_url(os.environ, folder)))


def _note(studies: Path, name: str, version: str, event: str, by: str) -> None:
    """Write a switch down where there is a ledger."""
    try:
        ledger = _open_ledger(studies)
    except NotFoundError:
        return
    try:
        ledger.note_model(name, version, event, by, {})
    finally:
        ledger.close()


def _decision(registry: ModelRegistry, name: str, version: str) -> dict[str, Any]:
    registry.get(name, version)
    decision = registry.decision(name, version)
    if decision is None:
        raise NotFoundError(f"{name} {version} was never judged by the gate")
    return decision
