"""How far a case lies from everything that the classifier was trained on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from brain_tumor.errors import InputError

Array = npt.NDArray[np.float64]
SHRINKAGE = 0.1


@dataclass(frozen=True, eq=False)
class OutlierModel:
    """Gaussians of the classes with one covariance.

    Attributes:
        means: Mean embedding of every class, (classes, D).
        precision: Inverse of the shared covariance, (D, D).
        threshold: Distance beyond which a case is out of distribution.
    """

    means: Array
    precision: Array
    threshold: float

    def distance(self, embedding: npt.NDArray[np.floating[Any]]) -> Array:
        """Root mean square Mahalanobis distance to the nearest class, (N,).

        Divided by the square root of D, so that 1 is a typical training case.

        Args:
            embedding: (N, D).

        References:
            Lee et al. 2018, arXiv:1807.03888.
        """
        apart = np.asarray(embedding, dtype=np.float64)[:, None] - self.means[None]
        squared = np.einsum("ncd,de,nce->nc", apart, self.precision, apart)
        nearest: Array = np.sqrt(squared.min(axis=1).clip(min=0) / self.means.shape[1])
        return nearest

    def is_outlier(self, embedding: npt.NDArray[np.floating[Any]]) -> npt.NDArray[np.bool_]:
        """Whether each embedding lies beyond the threshold, (N,)."""
        beyond: npt.NDArray[np.bool_] = self.distance(embedding) > self.threshold
        return beyond


def fit_outliers(
    embedding: npt.NDArray[np.floating[Any]],
    truth: npt.NDArray[np.int64],
    threshold: float = np.inf,
) -> OutlierModel:
    """Fit class means and a shared covariance, shrunk towards its diagonal.

    Args:
        embedding: Of training slices, (N, D).
        truth: Their classes, (N,); every class from 0 to the largest must occur.
        threshold: Distance from which on a case is an outlier.

    Raises:
        InputError: If a class has no example.
    """
    values = np.asarray(embedding, dtype=np.float64)
    classes = int(truth.max(initial=0)) + 1
    if set(np.unique(truth)) != set(range(classes)):
        raise InputError(f"classes {np.unique(truth)} occur; expected all of 0 to {classes - 1}")
    means = np.stack([values[truth == c].mean(axis=0) for c in range(classes)])
    centred = values - means[truth]
    covariance = centred.T @ centred / len(values)
    diagonal = np.diag(np.diag(covariance))
    shrunk = (1 - SHRINKAGE) * covariance + SHRINKAGE * diagonal
    shrunk += 1e-6 * float(np.trace(covariance) / len(covariance)) * np.eye(len(covariance))
    return OutlierModel(means, np.linalg.inv(shrunk), threshold)
