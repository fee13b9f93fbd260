"""A class that was never trained, from its words and a few labelled patients.

The reader that ships stays as it is: image map, symptoms, context tokens and the tokens of its
classes are frozen. Only the merging token of the new class learns, from 0, where the class is the
attention-weighted mean of its words. The image tower has not learnt to look for the new class, so
expect less than for the known ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F

from brain_tumor.concepts.attribution import leave_one_out, list_words
from brain_tumor.concepts.encoders import TextTower
from brain_tumor.concepts.grounding import Grounding, ground_symptom, patient_medians
from brain_tumor.concepts.head import ConceptHead, ConceptModel, ConceptSettings, SymptomScale
from brain_tumor.concepts.prompts import TEMPERATURE, similarities
from brain_tumor.concepts.text_map import TextMap
from brain_tumor.concepts.training.fit import balanced_weights, class_rows
from brain_tumor.concepts.training.study import fit_scales
from brain_tumor.concepts.vocabulary import Direction, Symptom, Vocabulary
from brain_tumor.errors import InputError

LEAST_SYMPTOMS = 2
STEPS, LEARNING_RATE = 200, 5e-3


@dataclass(frozen=True, eq=False)
class LabelledSlices:
    """Slices of a few labelled patients.

    Attributes:
        embedding: Of the hybrid network, (N, D).
        features: Measured features, (N, F), NaN where missing.
        names: Ids of the features.
        kind: Class of every slice, (N,).
        patient: Patient of every slice, (N,).
    """

    embedding: npt.NDArray[np.float32]
    features: npt.NDArray[np.float32]
    names: tuple[str, ...]
    kind: npt.NDArray[np.str_]
    patient: npt.NDArray[np.str_]


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
    double = {s.text for s in added} & set(vocabulary.texts)
    if double or len({s.text for s in added}) < len(added):
        raise InputError(f"class '{kind}' has a symptom twice, or one that another class has")
    return Vocabulary((*vocabulary.symptoms, *added))


def add_class(
    model: ConceptModel,
    text_map: TextMap,
    tower: TextTower,
    kind: str,
    symptoms: Sequence[tuple[str, str, Direction]],
    slices: LabelledSlices,
) -> tuple[ConceptHead, ConceptSettings]:
    """Head and settings with one more class.

    Calibration and the limit of disagreement stay those of the known classes.

    Args:
        model: Reader that the class is added to.
        text_map: Of its bundle.
        tower: Frozen text tower of that bundle.
        kind: Name of the class.
        symptoms: Text, id of the feature that proves it, and direction of each symptom.
        slices: Of the new class and of each known one, at least one patient each.

    Raises:
        InputError: If the class or a symptom is unusable, a class has no patient, or the tower is
            another than the bundle's.
    """
    settings, old = model.settings, model.head
    vocabulary = with_new_class(settings.vocabulary, kind, symptoms)
    absent = [known for known in vocabulary.kinds if known not in set(slices.kind.tolist())]
    if absent:
        raise InputError(
            f"no labelled patient of {', '.join(absent)}; expected at least one of every class",
            remedy="Add a few patients of each known class to the list, too.",
        )
    if tower.feature_width != len(text_map.centre) or tower.token_width != old.context.shape[1]:
        raise InputError("the word features are of another text tower than the bundle's")
    texts = vocabulary.texts[len(settings.vocabulary.symptoms) :]
    with torch.no_grad():
        led = text_map.project_texts(tower.encode(texts, old.context))
        plain = text_map.project_texts(tower.encode(texts))
    words = leave_one_out(texts, tower, text_map, None)
    head = ConceptHead(
        settings.image_width,
        old.texts.shape[1],
        len(vocabulary.symptoms),
        len(list_words(vocabulary.texts)),
        class_rows(vocabulary),
        (old.context.shape[0], old.context.shape[1]),
    )
    state = old.state_dict()
    for name, more in (("texts", led), ("seen_texts", plain), ("shorter_texts", words)):
        state[name] = torch.cat([state[name], more])
    tokens = state["prompt.tokens"]
    state["prompt.tokens"] = torch.cat([tokens, torch.zeros(1, tokens.shape[1])])
    head.load_state_dict(state)
    head.eval().requires_grad_(requires_grad=False)
    _learn_token(head, vocabulary.kinds, slices)
    near = similarities(head.project(torch.from_numpy(slices.embedding)), plain).numpy()
    groundings = _groundings(vocabulary.symptoms[-len(texts) :], slices)
    return head, replace(
        settings,
        vocabulary=vocabulary,
        groundings=(*settings.groundings, *groundings),
        scales=(*settings.scales, *_scales(near, slices, groundings, settings.scales)),
    )


def _learn_token(head: ConceptHead, kinds: Sequence[str], slices: LabelledSlices) -> None:
    """Learn the last merging token; everything else is frozen."""
    images = head.project(torch.from_numpy(slices.embedding))
    truth = torch.tensor([list(kinds).index(kind) for kind in slices.kind.tolist()])
    weights = balanced_weights(truth.numpy(), slices.patient).float()
    last = len(kinds) - 1
    own = head.texts[list(head.rows[last])]
    known = [head.prompt(row, head.texts[list(head.rows[row])]) for row in range(last)]
    token = torch.zeros(own.shape[1], requires_grad=True)
    optimiser = torch.optim.Adam([token], lr=LEARNING_RATE)
    for _ in range(STEPS):
        scores = head.prompt.key(own) @ head.prompt.query(token) / own.shape[1] ** 0.5
        merged = token + scores.softmax(dim=0) @ own
        logits = similarities(images, torch.stack([*known, merged])) / TEMPERATURE
        loss = (weights * F.cross_entropy(logits, truth, reduction="none")).sum()
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
    with torch.no_grad():
        head.prompt.tokens[last] = token


def _groundings(symptoms: Sequence[Symptom], slices: LabelledSlices) -> tuple[Grounding, ...]:
    """Limits from the few patients that there are."""
    medians, kinds = patient_medians(slices.features, slices.patient, slices.kind)
    return tuple(ground_symptom(s, slices.names, medians, kinds, least=1) for s in symptoms)


def _scales(
    near: npt.NDArray[np.float32],
    slices: LabelledSlices,
    groundings: Sequence[Grounding],
    known: Sequence[SymptomScale],
) -> tuple[SymptomScale, ...]:
    """Scale of each symptom; that of a typical known one where all slices show it, or none."""
    usual = SymptomScale(
        float(np.median([scale.slope for scale in known])),
        float(np.median([scale.offset for scale in known])),
    )
    found = []
    for row, grounding in enumerate(groundings):
        column = slices.features[:, slices.names.index(grounding.feature)]
        present = grounding.presence(column)
        both = len(np.unique(present[np.isfinite(present)])) > 1
        one = near[:, row : row + 1]
        found.append(
            fit_scales(one, slices.features, slices.names, [grounding])[0] if both else usual
        )
    return tuple(found)
