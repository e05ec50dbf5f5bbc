"""Functions with which the estimator fits, checks and draws from any prior."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags

from skspectral._random import draw_seed, seed_unseeded
from skspectral.priors.gaussian import GaussianPrior
from skspectral.priors.prior import Prior
from skspectral.priors.scaled import ScaledPrior
from skspectral.priors.synthesis import Synthesis
from skspectral.priors.third_party import check_usable, checked_draws

# Number of draws that test a prior after its fit. With one draw, a prior that ignores
# `n_samples` and returns a single row would pass the test.
_N_TRIAL = 2


def as_prior(prior: Any) -> Prior:
    """Return a `Prior` for any value of the estimator's parameter ``prior``.

    A `Prior` is returned unchanged, None gives a `GaussianPrior`, and any other object
    is wrapped in a `ScaledPrior`. An object that cannot be a prior raises the errors of
    `third_party.check_usable`.
    """
    if prior is None:
        return GaussianPrior()
    if isinstance(prior, Prior):
        return prior
    check_usable(prior)
    return ScaledPrior(prior)


def needs_labels(prior: Any) -> bool:
    """Return whether ``fit`` of a prior needs ``y``, according to its tags."""
    return isinstance(prior, BaseEstimator) and get_tags(prior).target_tags.required


def depends_on_time(prior: Any) -> bool:
    """Return whether fits with equal seeds may differ, according to a prior's tags."""
    return isinstance(prior, BaseEstimator) and get_tags(prior).non_deterministic


def new_prior(
    prior: Any, stream: np.random.Generator, y: Any = None, sample_weight: Any = None
) -> Prior:
    """Return an unfitted copy of `as_prior`, with a seed drawn if it has none.

    ``y`` and ``sample_weight`` are the labels and weights of the coming fit. A
    ValueError is raised if the prior needs labels and ``y`` is None, or if it takes no
    weights and ``sample_weight`` is not None. An object that cannot be a prior raises
    the errors of `as_prior`.
    """
    checked = as_prior(prior)
    checked.check(y)
    if sample_weight is not None:
        checked.require("weights", "sample_weight")
    if needs_labels(checked) and y is None:
        raise ValueError(
            "requires y to be passed, but the target y is None: "
            f"{checked.name} needs a label for each sample, as in fit(X, y)."
        )
    new: Prior = clone(checked)
    seed_unseeded(new, stream)
    return new


def fit_prior(
    prior: Prior,
    codes: np.ndarray,
    y: Any,
    sample_weight: np.ndarray | None,
    synthesis: Synthesis | None = None,
) -> None:
    """Fit a prior in place, and test a draw.

    Weights are passed on unless they are None, and the synthesis is passed on only to a
    prior that takes it. A ValueError is raised if the fitted prior cannot be drawn
    from, so that the error appears in ``fit`` and not in a later ``sample``.
    """
    options = dict[str, Any]()
    if synthesis is not None and prior.capabilities.synthesis:
        options["synthesis"] = synthesis
    if sample_weight is not None:
        options["sample_weight"] = sample_weight
    # Codes are arrays of numpy even if the samples are tensors.
    with config_context(array_api_dispatch=False):
        prior.fit(codes, y, **options)
    label = None
    if y is not None and prior.capabilities.labels:
        # The label of a row with a positive weight. `y` may be a column vector.
        labels = np.asarray(y).reshape(len(codes), -1)[:, 0]
        label = labels[0 if sample_weight is None else sample_weight.argmax()]
    try_draw(prior, codes.shape[1], label)


def fit_code_prior(
    prior: Prior,
    codes: np.ndarray,
    y: Any,
    sample_weight: np.ndarray | None,
    to_coordinates: np.ndarray,
) -> None:
    """Fit a prior of sparse codes in place, and test a draw.

    ``to_coordinates``, (n_codes, n_coordinates), maps codes to the coordinates that the
    prior draws.
    """
    options: dict[str, Any] = {"atoms": to_coordinates}
    if sample_weight is not None:
        options["sample_weight"] = sample_weight
    with config_context(array_api_dispatch=False):
        prior.fit(codes, y, **options)
    try_draw(prior, to_coordinates.shape[1])


def try_draw(prior: Prior, n_codes: int, label: Any = None) -> None:
    """Raise a ValueError with the cause if a fitted prior cannot be drawn from."""
    try:
        draw(prior, _N_TRIAL, n_codes, label, np.random.default_rng(0))
    except Exception as error:
        cause = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise ValueError(
            f"The prior {prior.name} was fitted, but its method sample({_N_TRIAL}) "
            f"fails ({cause}). Pass another prior, such as GaussianPrior()."
        ) from error


def draw(
    prior: Prior, n_samples: int, n_codes: int, y: Any, stream: np.random.Generator
) -> np.ndarray:
    """Draw codes of shape (n_samples, n_codes), in random order.

    A ValueError is raised if ``y`` is given and the prior takes no labels, or if the
    draws are not finite or have another shape.
    """
    with config_context(array_api_dispatch=False):
        drawn = prior.sample(n_samples, draw_seed(stream), y=y)
    return checked_draws(drawn, n_samples, n_codes, prior.name, stream)
