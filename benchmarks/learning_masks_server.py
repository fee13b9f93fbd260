"""Whole rounds of the loop of the outlines over HTTP, on real pictures, against a server process.

Pictures of unseen patients at another site lie in the studies folder; the annotator submits the
experts' outlines, or, in a poisoned round, the same outlines mirrored left to right. Then training,
gate, inference and, if it came to that, rollback.
"""

from __future__ import annotations

import hashlib
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from brain_tumor.bundles import models_folder

from benchmarks.learning_masks import MaskPlan, Picture, known_rows, read_pictures, unseen_rows
from benchmarks.learning_server import CLIENT, LearningServer, served
from benchmarks.learning_types_fold import Site, spread

TRAIN_PATIENCE_S = 3 * 3600.0
MODEL = "tumor_core"


def run_mask_round(
    plan: MaskPlan, data: Path, bundle: Path, folder: Path, *, poisoned: bool
) -> dict[str, Any]:
    """Labels, training, gate, promotion, inference and rollback through the routes."""
    fold, rows = unseen_rows(data, bundle)
    patients = list(dict.fromkeys(row.group for row in rows))[: plan.corrected_patients]
    held = spread([row for row in rows if row.group in patients], 1)
    pictures = read_pictures(data, held, Site())
    studies = folder / "studies"
    for one in pictures:
        write_case(studies, one)
    one_each = replace(plan, known_per_patient=1)  # each case counts as a patient there
    for one in read_pictures(data, known_rows(data, fold, one_each)):
        write_case(folder / "base", one)
        write_labels(folder / "base" / "labels" / "final", one)
    environment = {
        "TUMORLENS_MODELS": str(_models(bundle, folder / "models")),
        "TUMORLENS_REPLAY": str(folder / "base"),
        "TUMORLENS_SCORING_BUDGET": "0",
    }
    with served(studies, folder / "server.log", environment) as server:
        return {"poisoned": poisoned, **_round(server, pictures, plan, folder, poisoned=poisoned)}


def _round(
    server: LearningServer, pictures: list[Picture], plan: MaskPlan, folder: Path, *, poisoned: bool
) -> dict[str, Any]:
    started = time.monotonic()
    probe = pictures[0].case.case_id
    for one in pictures:  # before anything is inferred: a case never changes its patient
        server.name_patient(one.case.case_id, one.patient)
    before = _outline(server, probe)
    for one in pictures:
        labels = one.labels[::-1] if poisoned else one.labels
        right = Picture(one.case, np.ascontiguousarray(labels), one.patient, one.kind)
        server.correct(one.case.case_id, write_labels(folder / "sent", right).read_bytes())
    kept = server.ask("GET", "/corrections?kind=mask&limit=1000")
    training = time.monotonic()
    options = {"max_epochs": plan.epochs, "client_id": CLIENT}
    server.ask("POST", f"/train/{MODEL}", json=options)
    state = server.trained(TRAIN_PATIENCE_S)
    after = _outline(server, probe)
    report = server.ask("GET", f"/models/{MODEL}/report?version={state['version']}")
    found = {
        "corrections": len(kept),
        "held_out": sum(one["part"] == "hold_out" for one in kept),
        "training_s": round(time.monotonic() - training, 1),
        "last_message": state["details"][-1],
        "promoted": state["promoted"],
        "gate": [
            {"name": check["name"], "passed": check["passed"], "difference": check["difference"]}
            for check in report["checks"]
        ],
        "version_before": before[0],
        "version_after": after[0],
    }
    if state["promoted"]:
        server.ask("POST", f"/models/{MODEL}/rollback", json={"client_id": CLIENT})
        found["rollback_gives_the_same_bytes"] = _outline(server, probe) == before
    found["seconds"] = round(time.monotonic() - started, 1)
    return found


def _outline(server: LearningServer, case: str) -> tuple[str, str]:
    """Version that outlined a case, and the checksum of the labelmap's bytes."""
    told, labelmap = server.parts("POST", f"/infer/segmentation?image={case}")
    (model,) = [m for m in told["models"] if m["name"] == MODEL]
    return model["version"], hashlib.sha256(labelmap).hexdigest()


def write_case(folder: Path, one: Picture) -> Path:
    """Volume of a case in a studies folder."""
    case = one.case
    return _write(folder, case.case_id, case.volumes[case.reference].array, case.affine)


def write_labels(folder: Path, one: Picture) -> Path:
    """Labelmap of a case."""
    return _write(folder, one.case.case_id, one.labels, one.case.affine)


def _write(folder: Path, name: str, array: np.ndarray, affine: np.ndarray) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.nii.gz"
    nib.save(nib.Nifti1Image(array, affine), path)
    return path


def _models(bundle: Path, folder: Path) -> Path:
    """The shipped models, with the bundle in question as `tumor_core`."""
    folder.mkdir(parents=True)
    for path in sorted(models_folder().iterdir()):
        if path.is_dir():
            source = bundle if path.name == MODEL else path
            (folder / path.name).symlink_to(source.resolve(), target_is_directory=True)
    return folder
