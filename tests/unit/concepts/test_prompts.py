"""Prompts, alignment and consistency against values worked out by hand."""

import math

import numpy as np
import pytest
import torch
from brain_tumor.concepts.alignment import (
    AlignmentPlan,
    align,
    draw_captions,
    multi_positive_loss,
)
from brain_tumor.concepts.consistency import (
    Consistency,
    ConsistencyPlan,
    consistency_loss,
    stopped_divergence,
    train_heads,
)
from brain_tumor.concepts.prompts import (
    Merging,
    MergingPrompt,
    class_logits,
    merge,
    new_context,
)
from brain_tumor.errors import InputError


def a_prompt(tokens):
    prompt = MergingPrompt(len(tokens), len(tokens[0]))
    with torch.no_grad():
        prompt.tokens.copy_(torch.tensor(tokens))
        for layer in (prompt.query, prompt.key):
            layer.weight.copy_(torch.eye(len(tokens[0])))
    return prompt


def test_the_merging_prompt_is_token_plus_attended_symptoms():
    prompt = a_prompt([[math.sqrt(2) * math.log(3), 0.0]])
    texts = torch.tensor([[1.0, 0.0], [0.0, 2.0]])
    # scores (ln 3, 0) after division by sqrt(2): weights 3/4 and 1/4
    np.testing.assert_allclose(prompt.weights(0, texts).detach(), [0.75, 0.25], atol=1e-6)
    expected = [math.sqrt(2) * math.log(3) + 0.75, 0.5]
    np.testing.assert_allclose(prompt(0, texts).detach(), expected, atol=1e-6)


def test_mean_and_max_merging_are_the_baselines():
    texts = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    rows = [(0, 1), (2,)]
    image = torch.tensor([[2.0, 0.0]])
    half = 1 / math.sqrt(2)
    np.testing.assert_allclose(
        class_logits(image, texts, rows, Merging.MEAN), [[100 * half, -100.0]], rtol=1e-5
    )
    np.testing.assert_allclose(
        class_logits(image, texts, rows, Merging.MAX), [[100.0, -100.0]], rtol=1e-5
    )


def test_merging_by_prompt_without_one_and_empty_classes_are_refused():
    texts = torch.eye(2)
    with pytest.raises(InputError, match="needs a merging prompt"):
        class_logits(torch.eye(2), texts, [(0,), (1,)], Merging.PROMPT)
    with pytest.raises(InputError, match="class 1 has the symptom rows"):
        merge(texts, [(0,), ()], None)
    with pytest.raises(InputError, match="class 0"):
        merge(texts, [(5,)], None)


def test_context_tokens_start_small_as_published():
    torch.manual_seed(0)
    context = new_context(5000)
    assert context.shape == (4, 5000)
    assert abs(float(context.detach().std()) - 0.02) < 0.001


def test_identical_captions_are_not_negatives_of_each_other():
    images = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    texts = torch.tensor([[0.3, 0.4], [0.3, 0.4]], requires_grad=True)
    both = multi_positive_loss(images, texts, torch.ones(2, 2))
    assert abs(both.item() - math.log(2)) < 1e-6  # the least that two equal texts can have
    both.backward()
    assert float(texts.grad.abs().max()) < 1e-6


def test_the_contrastive_loss_of_one_pair_each_is_worked_out():
    images, texts = torch.eye(2), torch.eye(2)
    # logits 2 on the diagonal, 0 elsewhere: -log(e^2 / (e^2 + 1)) in both directions
    expected = math.log(1 + math.exp(-2))
    assert abs(float(multi_positive_loss(images, texts, torch.eye(2), 0.5)) - expected) < 1e-6
    half = multi_positive_loss(images, texts, torch.tensor([[1.0, 0.0], [0.0, 0.0]]), 0.5)
    assert abs(float(half) - expected) < 1e-6  # the row without a positive does not count


def test_captions_hold_only_true_phrases_and_at_least_one():
    true = np.array([[1, 0, 1, 1], [0, 1, 0, 0]], dtype=np.float32)
    for seed in range(20):
        said = draw_captions(true, np.random.default_rng(seed), 2)
        assert (said <= true).all()
        assert said[0].sum() in (1, 2)
        assert said[1].tolist() == [0, 1, 0, 0]


def test_alignment_brings_pictures_to_the_phrases_that_are_true_of_them():
    rng = np.random.default_rng(0)
    kind = rng.integers(0, 3, 120)
    images = torch.from_numpy((np.eye(6)[kind] + rng.normal(0, 0.2, (120, 6))).astype(np.float32))
    true = torch.from_numpy(np.eye(3, dtype=np.float32)[kind])
    phrases = torch.from_numpy(rng.normal(0, 1, (3, 8)).astype(np.float32))
    plan = AlignmentPlan(steps=60, batch_size=64)
    space = align(images[:, None], true, phrases, plan)
    near = torch.nn.functional.normalize(space.project_images(images), dim=1) @ (
        torch.nn.functional.normalize(space.project_texts(phrases), dim=1).T
    )
    assert float((near.argmax(dim=1).numpy() == kind).mean()) > 0.98
    assert not any(p.requires_grad for p in space.parameters())


def test_the_published_consistency_loss_is_the_mean_of_three_cross_entropies():
    image, text, truth = torch.zeros(2, 3), torch.zeros(2, 3), torch.tensor([0, 2])
    ln3 = math.log(3)
    assert abs(float(consistency_loss(image, text, truth, Consistency.PUBLISHED)) - ln3) < 1e-6
    for variant in (Consistency.OFF, Consistency.SYMMETRIC):
        found = float(consistency_loss(image, text, truth, variant))
        assert abs(found - 2 * ln3 / 3) < 1e-6


def test_the_symmetric_divergence_moves_only_the_worse_head():
    image = torch.tensor([[math.log(3), 0.0]], requires_grad=True)  # 3/4 on the truth
    text = torch.tensor([[0.0, 0.0]], requires_grad=True)  # 1/2
    found = stopped_divergence(image, text, torch.tensor([0]))
    middle = (0.625, 0.375)
    expected = 0.5 * (
        0.75 * math.log(0.75 / middle[0])
        + 0.25 * math.log(0.25 / middle[1])
        + 0.5 * math.log(0.5 / middle[0])
        + 0.5 * math.log(0.5 / middle[1])
    )
    assert abs(found.item() - expected) < 1e-6
    found.backward()
    assert float(image.grad.abs().max()) == 0.0
    assert float(text.grad[0, 0]) < 0  # a step down the gradient raises the text head's truth


def test_both_heads_learn_what_their_input_tells():
    rng = np.random.default_rng(1)
    truth = torch.from_numpy(rng.integers(0, 3, 90))
    images = torch.nn.functional.one_hot(truth, 4).float()[:, None]
    said = torch.nn.functional.one_hot(truth, 3).float()[:, None]
    phrases = torch.eye(3, 4)
    plan = ConsistencyPlan(steps=80, batch_size=64, learning_rate=1e-2)
    weights = torch.ones(90)
    for variant in Consistency:
        heads = train_heads(images, said, phrases, truth, weights, variant, plan)
        image, text = heads(images[:, 0], said[:, 0] @ phrases)
        assert bool((image.argmax(dim=1) == truth).all())
        assert bool((text.argmax(dim=1) == truth).all())
