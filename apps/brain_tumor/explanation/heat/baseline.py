"""What a picture looks like without its details: the baseline that attributions start from.

Taking something away from a picture needs something to put in its place. A constant leaves sharp
holes, which to a network are findings of their own. Here the head is blurred until a tumour has
melted into its surroundings; air stays air, so that the outline of the head does not change.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F

BLUR_SHARE = 0.12
"""Standard deviation of the blur, as a share of the picture's longer side: 19 of 160 pixels."""
FOREGROUND_SHARE = 0.08
"""As in `normalise_slices`: brighter than this share of the range counts as head."""
BRIGHT_QUANTILE = 0.995
CLOSING_SHARE = 0.06
"""Dark gaps up to this share of the longer side (ventricles, sinuses) belong to the head."""
KERNEL_SIGMAS = 3.0


def head_mask(images: torch.Tensor) -> torch.Tensor:
    """Pixels of the head, dark gaps inside included.

    Args:
        images: Slices of any intensity scale, shape (N, 1, H, W).

    Returns:
        Boolean, same shape. A slice of one value has no head.
    """
    flat = images.flatten(1)
    low = flat.amin(dim=1)
    high = torch.quantile(flat, BRIGHT_QUANTILE, dim=1)
    threshold = low + FOREGROUND_SHARE * (high - low)
    bright = (images > threshold[:, None, None, None]).float()
    side = 2 * (round(CLOSING_SHARE * max(images.shape[2:])) // 2) + 1
    grown = F.max_pool2d(bright, side, stride=1, padding=side // 2)
    closed = -F.max_pool2d(-grown, side, stride=1, padding=side // 2)
    return (closed > 0.5) | (bright > 0.5)


def blurred_head(images: torch.Tensor, share: float = BLUR_SHARE) -> torch.Tensor:
    """Pictures with the head blurred and the air left alone.

    Args:
        images: Shape (N, 1, H, W).
        share: Standard deviation over the longer side.

    Returns:
        Same shape. Each pixel of the head is the Gaussian mean of the head around it.
    """
    head = head_mask(images)
    inside = head.to(images.dtype)
    sigma = share * max(images.shape[2:])
    weight = gaussian_blur(inside, sigma)
    mean = gaussian_blur(images * inside, sigma) / weight.clamp(min=torch.finfo(images.dtype).tiny)
    return torch.where(head, mean, images)


def gaussian_blur(images: torch.Tensor, sigma: float) -> torch.Tensor:
    """Separable Gaussian blur; beyond the border the pictures are 0.

    Args:
        images: Shape (N, C, H, W).
        sigma: Standard deviation in pixels, above 0.
    """
    radius = max(1, math.ceil(KERNEL_SIGMAS * sigma))
    offsets = torch.arange(-radius, radius + 1, dtype=images.dtype)
    kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
    kernel = kernel / kernel.sum()
    batch, channels, height, width = images.shape
    single = images.reshape(batch * channels, 1, height, width)
    with torch.autocast("cpu", enabled=False):
        single = F.conv2d(single, kernel.reshape(1, 1, 1, -1), padding=(0, radius))
        single = F.conv2d(single, kernel.reshape(1, 1, -1, 1), padding=(radius, 0))
    return single.reshape(images.shape)
