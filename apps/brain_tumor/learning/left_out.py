"""Cases that a training cannot use: left out and named, so that one does not end it."""

from __future__ import annotations

from brain_tumor.cases.case import Case
from brain_tumor.errors import InputError, NotFoundError, StorageError, TumorLensError
from brain_tumor.learning.retraining.labelled_cases import LabelledCase
from brain_tumor.learning.retraining.tuner import Truth


class LeftOut:
    """Reasons, by name of the case."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def load(self, one: LabelledCase) -> tuple[Case, Truth] | None:
        """Read a case; None, and noted, if it cannot be read.

        Raises:
            ModelError: If the outline is a model's, and the model is damaged.
        """
        if one.name in self._reasons:
            return None
        try:
            return one.load()
        except (InputError, NotFoundError, StorageError, OSError) as error:
            self.note(one, error)
            return None

    def note(self, one: LabelledCase, error: TumorLensError | OSError) -> None:
        """Leave a case out."""
        told = error.message if isinstance(error, TumorLensError) else error.strerror
        self._reasons[one.name] = told or type(error).__name__

    def of(self, cases: list[LabelledCase]) -> list[str]:
        """Which of some cases are left out, each with its reason."""
        names = [one.name for one in cases if one.name in self._reasons]
        return [f"{name} ({self._reasons[name]})" for name in names]
