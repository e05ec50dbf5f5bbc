"""New signals from the prior, given linear functions of them."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np

from skspectral._random import draw_seed
from skspectral.gaussian.observation import least_change
from skspectral.model import LinearModel
from skspectral.priors import Prior

# Share of an operator outside the span of the atoms that is rounding.
_ROUNDING = 1e-12


def sample_given(
    model: LinearModel,
    prior: Prior,
    operator: np.ndarray,
    observed: np.ndarray,
    n_samples: int,
    noise_variance: float,
    y: Any,
    rng: np.random.Generator,
) -> tuple[np.ndarray, np.ndarray | None]:
    """Draw signals of which linear functions were observed, with noise.

    ``operator @ signal`` was observed, with an operator (m, T) and values (m,) or
    (n_samples, m). Returns the coordinates of the draws, (n_samples, r), and what to
    add to their signals, (n_samples, T), so that they agree with what is observed where
    atoms cannot; None is nothing.

    Raises
    ------
    TypeError
        If the prior does not condition on linear functions.
    """
    mean, _, basis = model.float64()
    values = observed - operator @ mean
    inside = operator @ basis.T
    outside = operator - inside @ basis
    within = (outside**2).sum() <= _ROUNDING * (operator**2).sum()
    noise: float | np.ndarray = noise_variance
    if not within:
        # What the model has outside the span is noise.
        noise = model.noise_variance * (outside @ outside.T)
        noise = noise + noise_variance * np.eye(len(operator))
    coordinates = prior.sample_given(
        inside,
        values,
        n_samples,
        noise_variance=noise,
        y=y,
        random_state=draw_seed(rng),
    )
    if within:
        return coordinates, None
    missed = values - coordinates @ inside.T
    ratio = noise_variance / model.noise_variance
    return coordinates, least_change(outside, missed, ratio)
