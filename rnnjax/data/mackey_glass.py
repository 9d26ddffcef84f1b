"""The series of Mackey & Glass (1977, "Oscillation and chaos in physiological control systems"): the density of cells
in the blood, whose production answers to the density a delay ago,

    dx/dt = β x(t - τ) / (1 + x(t - τ)ⁿ) - γ x(t)        β = 0.2, γ = 0.1, n = 10, τ = 17

With this delay it is chaotic, though nearly periodic. Integrated by the classical Runge-Kutta method of fourth order;
half-way between two steps the delayed value is that of the cubic through both values and both slopes.
"""

import numpy as np

BETA, GAMMA, POWER = 0.2, 0.1, 10
DELAY = 17
SUBSTEPS = 10
"""Steps of the integration in one unit of time."""

START = 1.2
"""x(t) for t <= 0."""

FORGOTTEN = 500
"""Units of time before the first value, in which the series comes to its attractor."""


def slope(x: float, delayed: float) -> float:
    """Slope dx/dt."""
    return BETA * delayed / (1 + delayed**POWER) - GAMMA * x


def mackey_glass(count: int, substeps: int = SUBSTEPS, forgotten: int = FORGOTTEN) -> np.ndarray:
    """Values of the series, one unit of time apart: float64 [count]."""
    h, lag = 1 / substeps, DELAY * substeps
    total = (forgotten + count - 1) * substeps
    x, dx = np.full(lag + total + 1, START), np.zeros(lag + total + 1)
    for now in range(lag, lag + total):
        back, next_back = now - lag, now - lag + 1
        dx[now] = k1 = slope(x[now], x[back])
        bend = h / 8 * (dx[back] - dx[next_back]) if back >= lag else 0  # before t = 0 the series is constant
        half = (x[back] + x[next_back]) / 2 + bend
        k2 = slope(x[now] + h / 2 * k1, half)
        k3 = slope(x[now] + h / 2 * k2, half)
        k4 = slope(x[now] + h * k3, x[next_back])
        x[now + 1] = x[now] + h / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
    return x[lag:][forgotten * substeps :: substeps]
