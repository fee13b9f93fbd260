"""One whole round of the tumour-type loop over HTTP, against a server process."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
from brain_tumor.bundles import models_folder
from brain_tumor.learning.retraining.labelled_cases import picture_case
from brain_tumor.segmentation.data.cheng_slices import (
    ChengSlice,
    cheng_folds,
    read_cheng_index,
    read_cheng_slice,
)

from benchmarks.learning_server import CLIENT, LearningServer, served
from benchmarks.learning_types_fold import Site, spread, write_parent

PER_PATIENT = 2
KNOWN_PATIENTS = 60


def run_server_round(
    data: Path, runs: Path, folder: Path, *, fold: int, quick: bool
) -> dict[str, Any]:
    """Labels, types, training, gate, promotion, inference and rollback through the routes."""
    rows = read_cheng_index(data)
    folds = cheng_folds(rows)
    held = spread([r for r, f in zip(rows, folds, strict=True) if f == fold], PER_PATIENT)
    known = [r for r, f in zip(rows, folds, strict=True) if f != fold]
    cases = _write_studies(data, held, folder / "studies")
    _write_base(data, known, folder / "base", 9 if quick else KNOWN_PATIENTS)
    environment = {
        "TUMORLENS_MODELS": str(_write_models(runs, fold, folder / "models")),
        "TUMORLENS_REPLAY": str(folder / "base"),
        "TUMORLENS_SCORING_BUDGET": "0",
    }
    with served(folder / "studies", folder / "server.log", environment) as server:
        return {"fold": fold, **_round(server, cases, quick=quick)}


def _classifier(server: LearningServer, case: str) -> tuple[dict[str, str], dict[str, Any]]:
    """Version that answered, and its answer."""
    reply = server.ask("POST", f"/infer/classification?image={case}")
    (model,) = [m for m in reply["models"] if m["name"] == "classification"]
    return model, reply["classification"]["probabilities"]


def _round(
    server: LearningServer, cases: dict[str, tuple[ChengSlice, Path]], *, quick: bool
) -> dict[str, Any]:
    started = time.monotonic()
    for case in cases:
        server.name_patient(case, case.split("-")[0])
    probe = next(iter(cases))
    before = _classifier(server, probe)
    submitted = []
    for case, (row, label) in cases.items():
        sent = time.monotonic()
        server.correct(case, label.read_bytes())
        body = {"image": case, "type": row.tumor_type, "client_id": CLIENT}
        server.ask("POST", "/corrections/type", json=body)
        submitted.append(time.monotonic() - sent)
    kept = server.ask("GET", "/corrections?kind=type&limit=1000")
    options = {"max_epochs": 1 if quick else 20, "client_id": CLIENT}
    training = time.monotonic()
    server.ask("POST", "/train/classification", json=options)
    state = server.trained()
    trained = time.monotonic() - training
    after = _classifier(server, probe)
    report = server.ask("GET", f"/models/classification/report?version={state['version']}")
    found = {
        "cases": len(cases),
        "patients": len({row.group for row, _ in cases.values()}),
        "held_out": sum(one["part"] == "hold_out" for one in kept),
        "types_in_the_ledger": len(kept),
        "submit_s": round(float(np.median(submitted)), 3),
        "training_s": round(trained, 1),
        "status": state["status"],
        "last_message": state["details"][-1],
        "promoted": state["promoted"],
        "gate": [
            {"name": check["name"], "passed": check["passed"], "difference": check["difference"]}
            for check in report["checks"]
        ],
        "version_before": before[0]["version"],
        "version_after": after[0]["version"],
    }
    if state["promoted"]:
        server.ask("POST", "/models/classification/rollback", json={"client_id": CLIENT})
        back = _classifier(server, probe)
        found["version_after_rollback"] = back[0]["version"]
        found["rollback_gives_the_first_answer"] = back == before
    found["seconds"] = round(time.monotonic() - started, 1)
    return found


def _write_studies(
    data: Path, rows: list[ChengSlice], folder: Path
) -> dict[str, tuple[ChengSlice, Path]]:
    """Pictures of the shifted site as studies, and the experts' outlines beside them."""
    site, rng, cases = Site(), np.random.default_rng(4), {}
    patients: dict[str, int] = {}
    for row in rows:
        patient = patients.setdefault(row.group, len(patients))
        name = f"P{patient:03d}-{row.index}"
        image, mask = read_cheng_slice(data, row)
        case, labels = picture_case(name, site.picture(image, rng), mask)
        _write(folder / f"{name}.nii.gz", case.volumes[case.reference].array, case.affine)
        label = folder.parent / "labels" / f"{name}.nii.gz"
        _write(label, labels, case.affine)
        cases[name] = (row, label)
    return cases


def _write_base(data: Path, known: list[ChengSlice], folder: Path, patients: int) -> None:
    """The base data that the server's researcher names: patients that the network knows."""
    names = list(dict.fromkeys(row.group for row in known))
    chosen = set(np.random.default_rng(1).permutation(names)[:patients].tolist())
    target = folder / "cheng"
    for part in ("images", "masks"):
        (target / part).mkdir(parents=True)
    text = (data / "cheng" / "index.csv").read_text(encoding="utf-8").splitlines()
    wanted = {str(row.index) for row in known if row.group in chosen}
    lines = [text[0], *(line for line in text[1:] if line.split(",", 1)[0] in wanted)]
    (target / "index.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for index in wanted:
        for part, suffix in (("images", "jpg"), ("masks", "png")):
            source = (data / "cheng" / part / f"{index}.{suffix}").resolve()
            (target / part / source.name).symlink_to(source)


def _write_models(runs: Path, fold: int, folder: Path) -> Path:
    """The shipped segmentation models, and the classifier that has not seen the fold."""
    folder.mkdir(parents=True)
    shipped = models_folder()
    for name in ("segmentation", "tumor_core"):
        (folder / name).symlink_to((shipped / name).resolve(), target_is_directory=True)
    write_parent(runs, fold, folder / "classification", shipped / "classification")
    return folder


def _write(path: Path, array: np.ndarray, affine: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    nib.save(nib.Nifti1Image(array, affine), path)
