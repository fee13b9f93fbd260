"""Signal of each tissue in each sequence, and the rendering of a sequence.

Values are relative to normal white matter (1.0). They follow medians measured in registered
clinical cases with expert labels (T1 and T1c spin echo and gradient echo, T2 spin echo, FLAIR).
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from brain_tumor.cases.sequences import Sequence
from brain_tumor.phantoms.fields import FloatArray, voxel_noise
from brain_tumor.phantoms.tissue import Tissue, TissueMaps

# Columns: T1, T1c, T2, FLAIR.
_SIGNAL: dict[Tissue, tuple[float, float, float, float]] = {
    Tissue.CSF: (0.25, 0.26, 3.30, 0.22),
    Tissue.GM: (0.78, 0.82, 1.36, 1.12),
    Tissue.WM: (1.00, 1.00, 1.00, 1.00),
    Tissue.VESSEL: (0.45, 2.10, 0.45, 0.45),
    Tissue.DURA: (0.60, 1.35, 0.60, 0.70),
    Tissue.CHOROID: (0.60, 1.70, 2.20, 1.10),
    Tissue.GLAND: (0.90, 1.60, 1.20, 1.10),
    Tissue.BONE: (0.10, 0.10, 0.15, 0.12),
    Tissue.MARROW: (0.90, 0.90, 0.90, 0.75),
    Tissue.FAT: (1.75, 1.65, 1.70, 1.30),
    Tissue.MUSCLE: (0.62, 0.75, 0.55, 0.65),
    Tissue.SKIN: (0.85, 0.95, 0.80, 0.85),
    Tissue.MUCOSA: (0.65, 1.35, 2.20, 1.60),
    Tissue.VITREOUS: (0.24, 0.25, 3.50, 0.30),
    Tissue.NECROSIS: (0.52, 0.52, 2.30, 1.25),
    Tissue.OEDEMA: (0.74, 0.76, 1.95, 1.85),
    Tissue.RIM: (0.76, 1.65, 1.50, 1.40),
    Tissue.MENINGIOMA: (0.76, 1.70, 1.42, 1.30),
    Tissue.ADENOMA: (0.78, 1.50, 1.45, 1.25),
}

# How unevenly each tissue shines: standard deviation of its texture relative to its signal.
_TEXTURE: dict[Tissue, float] = {
    Tissue.CSF: 0.05,
    Tissue.GM: 0.045,
    Tissue.WM: 0.03,
    Tissue.VESSEL: 0.15,
    Tissue.DURA: 0.15,
    Tissue.CHOROID: 0.20,
    Tissue.GLAND: 0.05,
    Tissue.BONE: 0.20,
    Tissue.MARROW: 0.18,
    Tissue.FAT: 0.08,
    Tissue.MUSCLE: 0.10,
    Tissue.SKIN: 0.06,
    Tissue.MUCOSA: 0.20,
    Tissue.VITREOUS: 0.03,
    Tissue.NECROSIS: 0.14,
    Tissue.OEDEMA: 0.06,
    Tissue.RIM: 0.11,
    Tissue.MENINGIOMA: 0.05,
    Tissue.ADENOMA: 0.05,
}

# How the fine T1 detail of the template shows in each sequence.
_DETAIL: Mapping[Sequence, float] = MappingProxyType(
    {Sequence.T1: 1.0, Sequence.T1C: 0.8, Sequence.T2: -1.2, Sequence.FLAIR: -0.5}
)

SIGNAL: Mapping[Sequence, FloatArray] = MappingProxyType(
    {
        sequence: np.array([_SIGNAL[t][column] for t in Tissue], dtype=np.float32)
        for column, sequence in enumerate(Sequence)
    }
)
"""Signal of every `Tissue` (white matter = 1) per sequence."""

TEXTURE: FloatArray = np.array([_TEXTURE[t] for t in Tissue], dtype=np.float32)

SIGNAL_SPREAD = 0.04
SPECK_MM = 2.2
CLOUD_MM = 7.0


def render_contrast(maps: TissueMaps, sequence: Sequence, rng: np.random.Generator) -> FloatArray:
    """Ideal image of one sequence: no bias field, no noise.

    Args:
        maps: Tissue fractions.
        sequence: Which contrast.
        rng: Texture, and a few per cent of scanner-to-scanner spread of the tissue signals.

    Returns:
        Signal relative to white matter, shape of the grid, 0 in air.
    """
    spread = rng.normal(1.0, SIGNAL_SPREAD, len(Tissue)).clip(0.9, 1.1).astype(np.float32)
    spread[Tissue.WM] = 1
    signal = SIGNAL[sequence] * spread
    image = signal @ maps.fractions
    parenchyma = maps.fractions[Tissue.GM] + maps.fractions[Tissue.WM]
    image += np.float32(_DETAIL[sequence]) * maps.detail * parenchyma
    amplitude = (signal * TEXTURE) @ maps.fractions
    shape, spacing = maps.grid.shape, np.linalg.norm(maps.grid.affine[:3, :3], axis=0)
    for size_mm, weight in ((SPECK_MM, 0.8), (CLOUD_MM, 0.6)):
        x, y, z = (size_mm / spacing).tolist()
        texture = voxel_noise(rng, shape, (x, y, z)).ravel()[maps.voxels]
        texture *= np.float32(weight)
        texture *= amplitude
        image += texture
    volume: npt.NDArray[np.generic] = maps.volume(np.maximum(image, 0).astype(np.float32))
    return np.asarray(volume, dtype=np.float32)
