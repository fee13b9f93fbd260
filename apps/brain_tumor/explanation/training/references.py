"""References that explanations compare with, written after a training of the classifier.

python -m brain_tumor.explanation.training.references --run RUN --bundle models/classification
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from brain_tumor.bundles import write_checksums
from brain_tumor.classification.predictions import load_predictions
from brain_tumor.classification.training.run import PREDICTIONS, run_features
from brain_tumor.explanation.facts.reference import build_reference
from brain_tumor.explanation.facts.similar_cases import build_table
from brain_tumor.explanation.type_reader import PATIENTS, REFERENCE
from brain_tumor.labels import TYPES

DIGITS = 6


def write_references(run: Path, bundle: Path) -> None:
    """Write both files from the final network's predictions of a run.

    Patients are numbered in a mixed order, so that a number leads back to nobody.

    Args:
        run: Run folder of `tumorlens train classification`.
        bundle: Bundle folder.
    """
    found = load_predictions(run / "final" / PREDICTIONS)
    features = run_features(run / "final")
    types = [TYPES[index] for index in found.truth]
    names = np.unique(found.patient)
    numbers = np.random.default_rng(len(names)).permutation(len(names)) + 1
    number_of = dict(zip(names.tolist(), numbers.tolist(), strict=True))
    groups = [int(number_of[str(patient)]) for patient in found.patient]
    values = found.expert.features
    measured = np.isfinite(values).any(axis=0)
    values = values[:, measured]
    features = tuple(np.array(features)[measured].tolist())
    documents = {
        REFERENCE: build_reference(values, features, types, groups).to_json(),
        PATIENTS: build_table(values, features, types, groups).to_json(),
    }
    for path, document in documents.items():
        (bundle / path).parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(_short(document), separators=(",", ":")) + "\n"
        (bundle / path).write_text(text, encoding="utf-8")
    write_checksums(bundle)


def _short(value: object) -> object:
    """Floats with six significant digits."""
    if isinstance(value, dict):
        return {key: _short(inside) for key, inside in value.items()}
    if isinstance(value, list):
        return [_short(inside) for inside in value]
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def main(argv: Sequence[str] | None = None) -> int:
    """Command line."""
    parser = argparse.ArgumentParser(description="Write the references of a classifier.")
    parser.add_argument("--run", type=Path, required=True)
    parser.add_argument("--bundle", type=Path, required=True)
    chosen = parser.parse_args(argv)
    write_references(chosen.run, chosen.bundle)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
