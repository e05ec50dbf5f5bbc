"""How the estimator uses a prior, whoever wrote it."""
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

# Rows of the trial draw after a fit: with one, a row without its axis would pass.
_TRIAL = 2


def as_prior(prior: Any) -> Prior:
    """Return a `Prior` as it is, another object in a `ScaledPrior`; None is a Gaussian.

    What is known to be no prior raises the errors of `third_party.check_usable`.
    """
    if prior is None:
        return GaussianPrior()
    if isinstance(prior, Prior):
        return prior
    check_usable(prior)
    return ScaledPrior(prior)


def needs_labels(prior: Any) -> bool:
    """Whether ``fit`` of a prior needs ``y``, as its tags say."""
    return isinstance(prior, BaseEstimator) and get_tags(prior).target_tags.required


def depends_on_time(prior: Any) -> bool:
    """Whether two fits of a prior with the same seed may differ, as its tags say."""
    return isinstance(prior, BaseEstimator) and get_tags(prior).non_deterministic


def new_prior(
    prior: Any, stream: np.random.Generator, y: Any = None, sample_weight: Any = None
) -> Prior:
    """Unfitted copy of `as_prior`, seeded if it has no seed.

    It will be fitted with the labels ``y`` and ``sample_weight``. Weights that the
    prior does not take, and labels that it needs and are None, raise a ValueError; what
    is no prior raises the errors of `as_prior`.
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
    """Fit on the codes, the labels, and what else the prior takes, and try a draw.

    A prior that cannot be drawn from once it is fitted raises a ValueError, so that
    this shows before anything is drawn.
    """
    options = dict[str, Any]()
    if synthesis is not None and prior.capabilities.synthesis:
        options["synthesis"] = synthesis
    if sample_weight is not None:
        options["sample_weight"] = sample_weight
    # Codes are arrays of numpy, also where samples are tensors.
    with config_context(array_api_dispatch=False):
        prior.fit(codes, y, **options)
    label = None
    if y is not None and prior.capabilities.labels:
        # Of a row that counts; y may be a column.
        labels = np.asarray(y).reshape(len(codes), -1)[:, 0]
        label = labels[0 if sample_weight is None else sample_weight.argmax()]
    try_draw(prior, codes.shape[1], label)


def try_draw(prior: Prior, n_codes: int, label: Any = None) -> None:
    """Raise a ValueError with the cause if a fitted prior cannot be drawn from."""
    try:
        draw(prior, _TRIAL, n_codes, label, np.random.default_rng(0))
    except Exception as error:
        cause = f"{type(error).__name__}: {error}".removesuffix(": ")
        raise ValueError(
            f"The prior {prior.name} was fitted, but its sample({_TRIAL}) fails "
            f"({cause}). Pass another prior, such as GaussianPrior()."
        ) from error


def draw(
    prior: Prior, n_samples: int, n_codes: int, y: Any, stream: np.random.Generator
) -> np.ndarray:
    """``n_samples`` codes, shape (n_samples, n_codes), in random order.

    A label that is asked of a prior without labels, and draws that are not finite or of
    a wrong shape, raise a ValueError.
    """
    with config_context(array_api_dispatch=False):
        drawn = prior.sample(n_samples, draw_seed(stream), y=y)
    return checked_draws(drawn, n_samples, n_codes, prior.name, stream)
