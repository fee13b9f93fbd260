"""A sub-region network whose reasons are written in, in the form of the shipped U-Net."""

from __future__ import annotations

import torch
from torch import nn

LABEL_LOGIT = 2.5
BACKGROUND_LOGIT = 5.0


class _Skip(nn.Module):
    """A level of the U-Net: what lies under it, without the skip."""

    def __init__(self, submodule: nn.Module) -> None:
        super().__init__()
        self.submodule = submodule

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """As the levels below."""
        seen: torch.Tensor = self.submodule(image)
        return seen


class ByContrast(nn.Module):
    """Enhancing where t1c (channel 1) is high, necrosis where it is low, oedema where flair is.

    The explained layer holds how far t1c lies above `threshold`, t1c below -`threshold`, and flair
    (channel 3, times `flair`) above `threshold`; the logit of a label is 2.5 times its feature,
    that of the background `background`.
    """

    def __init__(
        self, threshold: float = 0.0, background: float = BACKGROUND_LOGIT, flair: float = 1.0
    ) -> None:
        super().__init__()
        conv, logits = nn.Conv3d(4, 3, 1), nn.Conv3d(3, 4, 1)
        assert conv.bias is not None
        assert logits.bias is not None
        with torch.no_grad():
            for parameter in (*conv.parameters(), *logits.parameters()):
                parameter.zero_()
            conv.weight[0, 1] = -1.0  # necrosis
            conv.weight[1, 3] = flair  # oedema
            conv.weight[2, 1] = 1.0  # enhancement
            conv.bias.fill_(-threshold)
            for feature in range(3):
                logits.weight[feature + 1, feature] = LABEL_LOGIT
            logits.bias[0] = background
        self.features = nn.Sequential(conv, nn.ReLU())
        below = nn.Sequential(nn.Identity(), nn.Identity(), self.features)
        self.model = nn.Sequential(nn.Identity(), _Skip(below), logits)
        self.eval().requires_grad_(requires_grad=False)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        """From (N, 4, I, J, K) to logits of the labels."""
        logits: torch.Tensor = self.model(image)
        return logits
