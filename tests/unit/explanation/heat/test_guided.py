"""Guided gradients by captum, against a literal version, on a network that threads share."""

import threading

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from brain_tumor.explanation.heat.guided import guided_gradients
from brain_tumor.explanation.heat.methods import ClassTarget, HeatMethod, explain_slices
from torch import nn


class TwoRectifiers(nn.Module):
    """ReLU6 as a function, then ReLU as a module, both of one number."""

    def __init__(self, first, second):
        super().__init__()
        self.first, self.second = first, second
        self.rectify = nn.ReLU()
        self.eval()

    def forward(self, image):
        inside = F.relu6(self.first * image, inplace=True)
        return self.rectify(self.second * inside + 20).flatten(1)


def gradient_of(network, value):
    image = torch.full((1, 1, 1, 1), value)
    gradients, scores = guided_gradients(network, [image], lambda output: output[:, 0])
    return gradients.item(), scores.item()


def test_a_gradient_is_guided_at_every_rectification_worked_out_by_hand():
    # 3 * 1 = 3 passes ReLU6; the gradient is 2, then 2 * 3
    assert gradient_of(TwoRectifiers(3.0, 2.0), 1.0) == (6.0, 26.0)
    # ReLU6 stops at 6 and below 0
    assert gradient_of(TwoRectifiers(3.0, 2.0), 4.0) == (0.0, 32.0)
    assert gradient_of(TwoRectifiers(3.0, 2.0), -1.0) == (0.0, 20.0)
    # a negative gradient (-2) arrives at ReLU6 and is not passed on, as it would be unguided
    assert gradient_of(TwoRectifiers(3.0, -2.0), 1.0) == (0.0, 14.0)
    # the sign after the last rectification stays: 2 * -3
    assert gradient_of(TwoRectifiers(-3.0, 2.0), -1.0) == (-6.0, 26.0)


class Guide(torch.autograd.Function):
    """Literal version: the gradient of a rectification, its negative part dropped."""

    @staticmethod
    def forward(context, values, largest):
        context.save_for_backward((values > 0) & (values < largest))
        return values.clamp(0, largest)

    @staticmethod
    def backward(context, gradient):
        (passes,) = context.saved_tensors
        return F.relu(gradient * passes), None


class Small(nn.Module):
    """Convolutions and both rectifications; the literal version on request."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.one, self.two = nn.Conv2d(1, 6, 3, padding=1), nn.Conv2d(6, 8, 3, padding=1)
        self.norm, self.head = nn.BatchNorm2d(8), nn.Linear(8, 3)
        self.rectify, self.literal = nn.ReLU(), False
        self.eval().requires_grad_(requires_grad=False)

    def forward(self, image):
        if self.literal:
            first = Guide.apply(3 * self.one(image), 6.0)
            return self.head(Guide.apply(self.norm(self.two(first)), 1e9).mean(dim=(2, 3)))
        first = F.relu6(3 * self.one(image), inplace=True)
        return self.head(self.rectify(self.norm(self.two(first))).mean(dim=(2, 3)))


def slices():
    torch.manual_seed(4)
    return torch.randn(2, 1, 12, 16)


def test_the_gradients_are_those_of_a_literal_version():
    network, literal, images = Small(), Small(), slices()
    literal.literal = True
    target = ClassTarget(2, 0)
    found, scores = guided_gradients(network, [images], target.score)
    leaf = images.clone().requires_grad_()
    output = target.score(literal(leaf))
    (expected,) = torch.autograd.grad(output.sum(), leaf)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(scores, output.detach())
    unguided = images.clone().requires_grad_()
    (plain,) = torch.autograd.grad(target.score(network(unguided)).sum(), unguided)
    assert (found - plain).abs().max() > plain.abs().max() / 2


@pytest.mark.parametrize("method", [HeatMethod.GUIDED_GRADCAM, HeatMethod.GUIDED_BACKPROPAGATION])
def test_the_network_is_never_hooked_not_even_after_an_error(method):
    network = Small()
    seen = []

    class Target(ClassTarget):
        def score(self, logits):
            seen.append([m for m in network.modules() if m._backward_hooks or m._forward_pre_hooks])
            if len(seen) > 3:
                raise ZeroDivisionError
            return logits[:, 0]

    explain_slices(network, network.rectify, [slices()], Target(0), method)
    seen += [[], [], []]
    with pytest.raises(ZeroDivisionError):
        explain_slices(network, network.rectify, [slices()], Target(0), method)
    assert not any(seen)
    for module in network.modules():
        hooks = (module._forward_hooks, module._forward_pre_hooks, module._backward_hooks)
        assert not any(hooks)
    # and rectifications are plain again
    image = slices().requires_grad_()
    network(image)[:, 0].sum().backward()
    literal = slices().requires_grad_()
    F.relu(literal - 100).sum().backward()
    assert image.grad.min() < 0
    assert all(p.grad is None for p in network.parameters())


def test_threads_do_not_guide_each_others_gradients():
    network, images = Small(), slices()
    expected, _ = guided_gradients(network, [images], lambda output: output[:, 1])
    image = images.clone().requires_grad_()
    (plain,) = torch.autograd.grad(network(image)[:, 1].sum(), image)
    entered, leave, found = threading.Event(), threading.Event(), []

    def score(output):
        entered.set()
        assert leave.wait(60)
        return output[:, 1]

    thread = threading.Thread(
        target=lambda: found.append(guided_gradients(network, [images], score)[0])
    )
    thread.start()
    assert entered.wait(60)
    inside = images.clone().requires_grad_()
    (beside,) = torch.autograd.grad(network(inside)[:, 1].sum(), inside)
    leave.set()
    thread.join(60)
    torch.testing.assert_close(beside, plain)
    torch.testing.assert_close(found[0], expected)


def test_guided_grad_cam_is_cold_where_grad_cam_is():
    network = Small()
    target = ClassTarget(1)
    coarse = explain_slices(network, network.rectify, [slices()], target, HeatMethod.GRADCAM)
    fine = explain_slices(
        network, network.rectify, [slices()], target, HeatMethod.GUIDED_BACKPROPAGATION
    )
    both = explain_slices(network, network.rectify, [slices()], target, HeatMethod.GUIDED_GRADCAM)
    np.testing.assert_allclose(both.maps, coarse.maps * fine.maps, rtol=1e-5)
    assert both.maps.max() > 0
