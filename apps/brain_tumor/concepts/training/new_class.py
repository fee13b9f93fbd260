"""A class that was never trained, from words alone or with a few labelled patients.

Recipe:
1. Write four to six symptoms of the new class, each with the feature that proves it.
2. `with_new_class(vocabulary, name, symptoms)`.
3. Words alone: `fit_prompts` with mean merging and without context learns nothing and gives the
   zero-shot prompts of the longer vocabulary.
4. With a few labelled patients of every class: `fit_prompts` with the merging prompt.
The image tower has not learnt to look for the new class, so expect less than for the known ones.
"""

from __future__ import annotations

from collections.abc import Sequence

from brain_tumor.concepts.vocabulary import Direction, Symptom, Vocabulary
from brain_tumor.errors import InputError

LEAST_SYMPTOMS = 2


def with_new_class(
    vocabulary: Vocabulary, kind: str, symptoms: Sequence[tuple[str, str, Direction]]
) -> Vocabulary:
    """A vocabulary with one more class at its end.

    Args:
        vocabulary: Known classes.
        kind: Name of the new one.
        symptoms: Text, id of the feature that proves it, and direction of each symptom.

    Raises:
        InputError: If the class exists, has too few symptoms, or a symptom is unusable.
    """
    if kind in vocabulary.kinds:
        raise InputError(f"class '{kind}' exists already; expected a new name")
    if len(symptoms) < LEAST_SYMPTOMS:
        raise InputError(
            f"class '{kind}' has {len(symptoms)} symptoms; expected at least {LEAST_SYMPTOMS}"
        )
    added = tuple(Symptom(text, kind, name, direction) for text, name, direction in symptoms)
    return Vocabulary((*vocabulary.symptoms, *added))
