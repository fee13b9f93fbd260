"""The fixed split of BraTS patients."""

from __future__ import annotations

import hashlib

FOLDS = 5
WHOLE_CASE_FOLDS = {
    "BraTS20_Training_136": 0,  # Brats18_2013_2_1, four sequences
    "BraTS20_Training_131": 0,  # brats_2013_pat0002_1
    "BraTS20_Training_130": 1,  # brats_2013_pat0001_1
    "BraTS20_Training_133": 2,  # brats_2013_pat0004_1
}
"""Patients whose whole case is drawn by experts; spread by hand, so that folds can report them."""


def fold_name(fold: int | None) -> str:
    """Held-out fold in words; a run without one held out nobody.

    Example:
        >>> fold_name(2), fold_name(None)
        ('fold 2', 'nobody')
    """
    return "nobody" if fold is None else f"fold {fold}"


def patient_fold(patient: str) -> int:
    """Fold of a patient: a hash of the id, so that new data never moves anybody.

    Example:
        >>> patient_fold("BraTS20_Training_136")
        0
    """
    if patient in WHOLE_CASE_FOLDS:
        return WHOLE_CASE_FOLDS[patient]
    digest = hashlib.sha256(f"tumorlens:{patient}".encode()).digest()
    return int.from_bytes(digest[:4], "big") % FOLDS
