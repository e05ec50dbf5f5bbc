"""What the estimator asks of a prior, whoever wrote it."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
from inspect import signature
from typing import Any

import numpy as np
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from skspectral._random import draw_seed, seed_unseeded
from skspectral.priors.closed_form import gaussian_components
from skspectral.priors.gaussian import GaussianPrior
from skspectral.priors.given import draw_given
from skspectral.priors.synthesis import Synthesis


def new_prior(
    prior: Any, stream: np.random.Generator, y: Any = None, sample_weight: Any = None
) -> Any:
    """An unfitted copy of ``prior`` (None: a Gaussian), seeded if it has no seed.

    To be fitted with the labels ``y`` and the weights, which may be None.

    Raises
    ------
    TypeError
        If it lacks ``fit`` or ``sample``, naming what is missing.
    ValueError
        If there will be weights and the prior cannot use them, or no labels and it
        cannot do without.
    """
    if prior is None:
        return GaussianPrior()
    missing = [name for name in ("fit", "sample") if not hasattr(prior, name)]
    if missing or isinstance(prior, type):
        problem = f"has no {' and no '.join(missing)}" if missing else "is a class"
        raise TypeError(
            f"prior={prior!r} {problem}. A prior is an object with fit(codes) and "
            "sample(n_samples): GaussianPrior(), or scikit-learn's GaussianMixture()."
        )
    if sample_weight is not None and not has_fit_parameter(prior, "sample_weight"):
        raise ValueError(
            f"sample_weight was passed, but {type(prior).__name__}.fit takes none. Fit "
            "without weights, or use a prior that takes them: GaussianPrior()."
        )
    needs_labels = isinstance(prior, BaseEstimator) and (
        get_tags(prior).target_tags.required
    )
    if needs_labels and y is None:
        raise ValueError(
            "requires y to be passed, but the target y is None: "
            f"{type(prior).__name__} needs a label for each sample, as in fit(X, y)."
        )
    new = clone(prior, safe=False)
    seed_unseeded(new, stream)
    return new


def fits_from_moments(prior: Any) -> bool:
    """Whether the mean and covariance of the codes are all it needs."""
    is_gaussian = getattr(type(prior), "fit", None) is GaussianPrior.fit
    return is_gaussian and not prior.needs_codes


def fit_prior(
    prior: Any,
    codes: np.ndarray,
    y: Any,
    sample_weight: np.ndarray | None,
    synthesis: Synthesis | None = None,
) -> None:
    """Fit on the codes, with what the prior's ``fit`` takes of the rest."""
    options: dict[str, Any] = {}
    if synthesis is not None and has_fit_parameter(prior, "synthesis"):
        options["synthesis"] = synthesis
    if sample_weight is not None:
        options["sample_weight"] = sample_weight
    if has_fit_parameter(prior, "y"):
        options["y"] = y
    # Codes are numpy's, also where samples are tensors.
    with config_context(array_api_dispatch=False):
        prior.fit(codes, **options)


def draw(
    prior: Any, n_samples: int, n_codes: int, y: Any, stream: np.random.Generator
) -> np.ndarray:
    """``n_samples`` codes, shape (n_samples, n_codes), in random order.

    A prior that takes no ``random_state`` in ``sample`` but has the parameter, as
    scikit-learn's mixtures, is seeded through a copy: its own state does not change.

    Raises
    ------
    ValueError
        If labels are asked of a prior that has none, or the draws have a wrong shape.
    """
    accepted = signature(prior.sample).parameters
    options: dict[str, Any] = {}
    if y is not None:
        if "y" not in accepted:
            raise ValueError(
                f"y={y!r}: {type(prior).__name__} cannot sample for a label."
            )
        options["y"] = y
    seed = draw_seed(stream)
    if "random_state" in accepted:
        options["random_state"] = seed
    elif hasattr(prior, "get_params") and "random_state" in prior.get_params():
        prior = copy.copy(prior).set_params(random_state=seed)
    with config_context(array_api_dispatch=False):
        drawn = prior.sample(n_samples, **options)
    if isinstance(drawn, tuple):
        # scikit-learn's mixtures return (codes, labels), ordered by component.
        drawn = stream.permutation(drawn[0])
    codes = np.asarray(drawn)
    if codes.shape != (n_samples, n_codes) or not np.isfinite(codes).all():
        raise ValueError(
            f"{type(prior).__name__}.sample({n_samples}) returned an array of shape "
            f"{codes.shape}; needed are finite codes of shape {(n_samples, n_codes)}."
        )
    return codes


def draw_known(
    prior: Any,
    operator: np.ndarray,
    seen: np.ndarray,
    n_samples: int,
    noise_variance: float | np.ndarray,
    y: Any,
    stream: np.random.Generator,
) -> np.ndarray:
    """``n_samples`` codes with ``operator @ code`` = seen, up to white noise.

    By the prior's own ``sample_given``, or in closed form, where labels are not asked.

    Raises
    ------
    ValueError
        If labels are asked of a prior in closed form.
    TypeError
        If it has neither.
    """
    if hasattr(prior, "sample_given"):
        return prior.sample_given(
            operator,
            seen,
            n_samples,
            noise_variance=noise_variance,
            y=y,
            random_state=draw_seed(stream),
        )
    mixture = gaussian_components(prior)
    if y is not None:
        raise ValueError(
            f"y={y!r}: {type(prior).__name__} draws what fits what is seen, whatever "
            "the label. Fit on the samples of the label, or use DiffusionPrior."
        )
    return draw_given(mixture, operator, seen, noise_variance, n_samples, stream)
