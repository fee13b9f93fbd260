"""Which words carry a score, exactly; and whether removing them matters."""

import numpy as np
import torch
from brain_tumor.concepts.alignment import SharedSpace
from brain_tumor.concepts.attribution import (
    DELETED_WORDS,
    deletion_test,
    leave_one_out,
    list_words,
    without,
    word_weights_of_class,
    word_weights_of_symptoms,
)
from brain_tumor.concepts.prompts import MergingPrompt, similarities

from tests.helpers.concepts import AToyTower

TEXTS = ("bright ring around it", "small dark lump")


class AWordTower(AToyTower):
    """Each word of interest has its own axis; the others mean nothing."""

    token_width = feature_width = 4
    axes = {"ring": 0, "dark": 1}  # noqa: RUF012

    def word(self, word):
        vector = torch.zeros(4)
        if word in self.axes:
            vector[self.axes[word]] = 1.0
        vector[3] = 0.1
        return vector


def an_identity():
    space = SharedSpace(4, 4, 4)
    with torch.no_grad():
        space.text.weight.copy_(torch.eye(4))
    return space


def test_every_word_of_every_phrase_is_listed_in_order():
    words = list_words(TEXTS)
    assert [w.text for w in words] == ["bright", "ring", "around", "it", "small", "dark", "lump"]
    assert [w.symptom for w in words] == [0, 0, 0, 0, 1, 1, 1]
    assert words[5].position == 1
    assert without(TEXTS[1], frozenset({0, 2})) == "dark"


def test_the_weight_of_a_word_is_the_similarity_that_goes_with_it():
    tower, space = AWordTower(), an_identity()
    texts = space.project_texts(tower.encode(TEXTS)).detach()
    shorter = leave_one_out(TEXTS, tower, space, None)
    image = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    owners = [w.symptom for w in list_words(TEXTS)]
    weights = word_weights_of_symptoms(image, texts, shorter, owners)[0]
    # (0.25, 0, 0, 0.1) keeps nothing of axis 0 without "ring"
    expected = 0.25 / np.hypot(0.25, 0.1)
    assert abs(weights[1].item() - expected) < 1e-6
    assert weights.argmax().item() == 1
    assert abs(weights[5].item()) < 1e-6  # "dark" says nothing about this picture


def test_words_of_a_class_are_weighed_through_the_merging_prompt():
    torch.manual_seed(0)
    tower, space, prompt = AWordTower(), an_identity(), MergingPrompt(2, 4)
    texts = space.project_texts(tower.encode(TEXTS)).detach()
    shorter = leave_one_out(TEXTS, tower, space, None)
    image = torch.tensor([[1.0, 0.2, 0.0, 0.0]])
    owners = [w.symptom for w in list_words(TEXTS)]
    weights = word_weights_of_class(image, texts, shorter, owners, (0,), prompt, 0)
    assert weights.shape == (1, 4)
    with torch.no_grad():
        whole = similarities(image, prompt(0, texts[:1])[None])[0, 0]
        less = similarities(image, prompt(0, shorter[1:2])[None])[0, 0]
    assert abs((weights[0, 1] - (whole - less)).item()) < 1e-6


def test_removing_the_weightiest_words_matters_more_than_removing_random_ones():
    torch.manual_seed(0)
    tower, space, prompt = AWordTower(), an_identity(), MergingPrompt(2, 4)
    images = torch.tensor([[1.0, 0.0, 0.0, 0.0], [0.9, 0.1, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0]])
    texts = ("bright ring around the thing", "small dark round lump")
    found = deletion_test(images, texts, [(0,), (1,)], prompt, tower, space, None)
    assert found.passed == 1.0
    assert (found.top > 0.5).all()
    assert (found.random < found.top).all()
    assert DELETED_WORDS == 3
