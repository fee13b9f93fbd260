"""The whole path from picture to words as one network, so that heatmaps can explain it.

Grad-CAM reads the layer `lesion` of the hybrid network, the same that explains the classifier.
"""

from __future__ import annotations

import torch
from torch import nn

from brain_tumor.classification.model.network import HybridNetwork
from brain_tumor.concepts.head import ConceptHead


class SymptomScorer(nn.Module):
    """Class logits and symptom similarities of slices.

    Args:
        network: Frozen hybrid network whose embedding the head was trained on.
        head: Head of the bundle.
    """

    def __init__(self, network: HybridNetwork, head: ConceptHead) -> None:
        super().__init__()
        self.network = network
        self.head = head

    @property
    def layer(self) -> nn.Module:
        """Layer that heatmaps explain: stride 8, boundary-normalised."""
        return self.network.lesion

    def forward(self, images: torch.Tensor, masks: torch.Tensor) -> torch.Tensor:
        """Scores to explain: classes first, then symptoms, (N, classes + symptoms).

        Args:
            images: Normalised slices, (N, 1, H, W).
            masks: Tumour, 0-1, same shape.
        """
        unmeasured = images.new_full((len(images), len(self.network.feature_centre)), torch.nan)
        embedding = self.network.name(self.network.see(images), masks, unmeasured).embedding
        return torch.cat([self.head(embedding), self.head.symptom_similarities(embedding)], dim=1)
