"""Series whose chaos and fractal descriptors are known."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Series = npt.NDArray[np.float64]

LOGISTIC_LYAPUNOV = float(np.log(2.0))
HENON_LYAPUNOV = 0.419
HENON_CORRELATION_DIMENSION = 1.22
LORENZ_LYAPUNOV_PER_TIME = 0.906


def logistic_map(count: int, *, start: float = 0.4123) -> Series:
    """x -> 4 x (1 - x); largest Lyapunov exponent ln 2 per step."""
    x = np.empty(count)
    x[0] = start
    for at in range(1, count):
        x[at] = 4.0 * x[at - 1] * (1.0 - x[at - 1])
    return x


def henon_map(count: int) -> Series:
    """First coordinate of the Henon map, a = 1.4, b = 0.3, after a transient."""
    x, y = 0.1, 0.0
    values = []
    for _ in range(count + 100):
        x, y = 1.0 - 1.4 * x * x + y, 0.3 * x
        values.append(x)
    return np.array(values[100:])


def lorenz(count: int, *, step: float = 0.01, keep_every: int = 3) -> Series:
    """First coordinate of the Lorenz system (10, 28, 8/3) by Runge-Kutta.

    The time between values is step x keep_every.
    """

    def flow(s: Series) -> Series:
        return np.array(
            [
                10.0 * (s[1] - s[0]),
                s[0] * (28.0 - s[2]) - s[1],
                s[0] * s[1] - 8.0 / 3.0 * s[2],
            ]
        )

    state = np.array([1.0, 1.0, 20.0])
    values = []
    transient = 2000
    for at in range(transient + count * keep_every):
        k1 = flow(state)
        k2 = flow(state + 0.5 * step * k1)
        k3 = flow(state + 0.5 * step * k2)
        k4 = flow(state + step * k3)
        state = state + step / 6.0 * (k1 + 2.0 * k2 + 2.0 * k3 + k4)
        if at >= transient and (at - transient) % keep_every == 0:
            values.append(state[0])
    return np.array(values)


def sine(count: int, *, period: float = 50.3) -> Series:
    """A sine of a period that does not divide the sampling."""
    return np.sin(2.0 * np.pi * np.arange(count) / period)


def white_noise(count: int, *, seed: int = 0) -> Series:
    """Independent normal values."""
    return np.random.default_rng(seed).standard_normal(count)


def brownian(count: int, *, seed: int = 0) -> Series:
    """Sum of white noise; fractal dimension 1.5."""
    return np.cumsum(white_noise(count, seed=seed))
