"""Brain tissue of one individual, drawn from the probabilities of the average brain.

The average is blurred. Smooth noise is added to its log-odds, which are then sharpened, so that
gyri get crisp borders where the average was grey; upright sulci are added at the surface.
"""

from __future__ import annotations

import numpy as np

from brain_tumor.phantoms.fields import FloatArray, Points, smooth_noise, smoothstep

PROBABILITY_FLOOR = 0.02


def fissure_mm(points: Points) -> FloatArray:
    """Distance from the sheet between the hemispheres, in template space, where there is one.

    Outside the region of the fissure (corpus callosum, brain stem, cerebellum) it is large.
    """
    x, y, z = points.T
    outside_core = ((y + 7) / 43) ** 2 + ((z + 2) / 31) ** 2 > 1
    above_tentorium = z > np.where(y < -40, 2 + 0.4 * (y + 45), np.where(y > 8, -60, 12))
    sheet: FloatArray = np.where(outside_core & above_tentorium, np.abs(x), 50).astype(np.float32)
    return sheet


def sulcus_mm(points: Points, surface_mm: FloatArray, rng: np.random.Generator) -> FloatArray:
    """Approximate distance from the nearest of an individual's extra sulci; large in the depth.

    The sulci are the zero set of noise that is constant along rays from the middle of the
    cerebrum, so that they stand upright on the surface of the brain. The cerebellum and the
    middle of the base get none.
    """
    offset = points - np.array([0, -15, 8], dtype=np.float32)
    distance = np.sqrt(np.einsum("ij,ij->i", offset, offset))
    onto = offset * (np.float32(62) / np.maximum(distance, 20))[:, None] + np.float32(0.2) * offset
    onto += np.float32(2.2) * smooth_noise(rng, 7.0, channels=3)(points).T
    folds = smooth_noise(rng, 9.0)(onto)[0]
    depth_mm = np.float32(8) + 5 * smooth_noise(rng, 14.0)(points)[0]
    steep = np.float32(12) * np.abs(folds)
    below = np.maximum(-surface_mm - depth_mm, 0)
    taper = np.float32(0.75) + np.float32(0.5) * smoothstep(surface_mm, -8, 0)
    x, y, z = points.T
    smooth_surface = (z < -12) & ((y < -34) | ((np.abs(x) < 34) & (np.abs(y) < 34)))
    result: FloatArray = np.where(smooth_surface, 50, steep / taper + np.float32(0.6) * below)
    return result.astype(np.float32)


def brain_fractions(
    gm: FloatArray,
    wm: FloatArray,
    surface_mm: FloatArray,
    points: Points,
    rng: np.random.Generator,
) -> FloatArray:
    """Draw an individual's CSF, GM and WM from the average probabilities.

    Args:
        gm: Probability of grey matter, shape (N,).
        wm: Probability of white matter, shape (N,).
        surface_mm: Distance to the brain surface, negative inside, shape (N,).
        points: Template positions in mm, shape (N, 3).
        rng: Source of the individual.

    Returns:
        Shares of CSF, GM, WM, shape (3, N), summing to 1.
    """
    csf = np.clip(1 - gm - wm, 0, 1)
    cortex = smoothstep(surface_mm, -30, -18)
    noise = smooth_noise(rng, 4.5, channels=2)(points)
    sulcus = sulcus_mm(points, surface_mm, rng)

    log_csf = np.log(csf + PROBABILITY_FLOOR)
    log_gm = np.log(gm + PROBABILITY_FLOOR)
    log_wm = np.log(wm + PROBABILITY_FLOOR)
    log_csf += cortex * (0.9 * noise[0] + 0.2) + 3.0 * np.exp(-((sulcus / 1.15) ** 2))
    log_wm += cortex * 0.5 * noise[1] - 2.0 * np.exp(-((sulcus / 3.2) ** 2))
    log_csf += 3.5 * np.exp(-((fissure_mm(points) / 1.1) ** 2))
    sharpness = 1 + 1.3 * cortex
    logits = np.stack([log_csf, log_gm, log_wm]) * sharpness
    logits -= logits.max(axis=0)
    shares = np.exp(logits)
    shares /= shares.sum(axis=0)
    result: FloatArray = shares.astype(np.float32)
    return result
