"""How the estimator uses a prior, whoever wrote it."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
from inspect import signature
from typing import Any

import numpy as np
from sklearn import config_context, mixture
from sklearn.base import BaseEstimator, clone
from sklearn.utils import get_tags
from sklearn.utils.validation import has_fit_parameter

from skspectral._random import draw_seed, seed_unseeded
from skspectral.gaussian import Gaussian, Mixture
from skspectral.priors.gaussian import GaussianPrior
from skspectral.priors.prior import Capabilities, Prior
from skspectral.priors.synthesis import Synthesis

_SCIKIT_LEARNS = (mixture.GaussianMixture, mixture.BayesianGaussianMixture)


def as_prior(prior: Any) -> Prior:
    """Return a `Prior` as it is, another object in an adapter; None is a Gaussian.

    An object without ``fit`` or ``sample`` raises a TypeError that names what is
    missing.
    """
    if prior is None:
        return GaussianPrior()
    if isinstance(prior, Prior):
        return prior
    missing = [name for name in ("fit", "sample") if not hasattr(prior, name)]
    if missing or isinstance(prior, type):
        problem = f"has no {' and no '.join(missing)}" if missing else "is a class"
        raise TypeError(
            f"prior={prior!r} {problem}. A prior is an object with fit(codes) and "
            "sample(n_samples): GaussianPrior(), or scikit-learn's GaussianMixture()."
        )
    return _Adapter(prior)


class _Adapter(Prior):
    """Prior that calls another object's methods with what they take."""

    def __init__(self, wrapped: Any):
        self.wrapped = wrapped

    @property
    def name(self) -> str:
        return type(self.wrapped).__name__

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(
            gaussians=isinstance(self.wrapped, _SCIKIT_LEARNS),
            density=hasattr(self.wrapped, "score_samples"),
            labels="y" in signature(self.wrapped.sample).parameters,
            weights=has_fit_parameter(self.wrapped, "sample_weight"),
            synthesis=has_fit_parameter(self.wrapped, "synthesis"),
            conditioning=hasattr(self.wrapped, "sample_given"),
        )

    @property
    def n_features_in_(self) -> int:
        return self.wrapped.n_features_in_

    def fit(self, X: np.ndarray, y: Any = None, **options: Any) -> "_Adapter":
        if has_fit_parameter(self.wrapped, "y"):
            options["y"] = y
        self.wrapped.fit(X, **options)
        return self

    def sample(
        self, n_samples: int = 1, random_state: Any = None, *, y: Any = None
    ) -> Any:
        wrapped, options = self.wrapped, dict[str, Any]()
        if y is not None:
            self.require("labels", f"sample with y={y!r}")
            options["y"] = y
        if "random_state" in signature(wrapped.sample).parameters:
            options["random_state"] = random_state
        elif hasattr(wrapped, "get_params") and "random_state" in wrapped.get_params():
            # A seeded copy draws, so that the state of the prior does not change.
            wrapped = copy.copy(wrapped).set_params(random_state=random_state)
        return wrapped.sample(n_samples, **options)

    def score_samples(self, X: Any) -> np.ndarray:
        self.require("density", "score_samples")
        return self.wrapped.score_samples(X)

    def sample_given(self, *args: Any, **options: Any) -> np.ndarray:
        if hasattr(self.wrapped, "sample_given"):
            return self.wrapped.sample_given(*args, **options)
        return super().sample_given(*args, **options)

    def mixture(self) -> Mixture:
        """Gaussians of scikit-learn's mixtures."""
        self.require("gaussians", "mixture")
        wrapped = self.wrapped
        means, stored = wrapped.means_, wrapped.covariances_
        kind = wrapped.covariance_type
        if kind == "tied":
            stored = np.broadcast_to(stored, (len(means), *stored.shape))
        elif kind == "spherical":
            stored = np.broadcast_to(stored[:, None], means.shape)
        if kind in ("diag", "spherical"):
            vectors = np.eye(means.shape[1])
            parts = [
                Gaussian.from_eigenvectors(mean, vectors, variances)
                for mean, variances in zip(means, stored, strict=True)
            ]
        else:
            parts = list(map(Gaussian.from_covariance, means, stored))
        return Mixture(wrapped.weights_, tuple(parts))

    def __sklearn_is_fitted__(self) -> bool:
        return True


def needs_labels(prior: Any) -> bool:
    """Whether ``fit`` of a prior needs ``y``, as its tags say."""
    return isinstance(prior, BaseEstimator) and get_tags(prior).target_tags.required


def depends_on_time(prior: Any) -> bool:
    """Whether two fits of a prior with the same seed may differ, as its tags say."""
    return isinstance(prior, BaseEstimator) and get_tags(prior).non_deterministic


def new_prior(
    prior: Any, stream: np.random.Generator, y: Any = None, sample_weight: Any = None
) -> Any:
    """Unfitted copy of ``prior`` (None: a Gaussian), seeded if it has no seed.

    It will be fitted with the labels ``y`` and ``sample_weight``. Weights that the
    prior does not take, and labels that it needs and are None, raise a ValueError; what
    is no prior raises the TypeError of `as_prior`.
    """
    checked = as_prior(prior)
    if prior is None:
        return checked
    if sample_weight is not None:
        checked.require("weights", "sample_weight")
    if needs_labels(prior) and y is None:
        raise ValueError(
            "requires y to be passed, but the target y is None: "
            f"{type(prior).__name__} needs a label for each sample, as in fit(X, y)."
        )
    new = clone(prior, safe=False)
    seed_unseeded(new, stream)
    return new


def fit_prior(
    prior: Any,
    codes: np.ndarray,
    y: Any,
    sample_weight: np.ndarray | None,
    synthesis: Synthesis | None = None,
) -> None:
    """Fit on the codes, the labels, and what else the prior takes."""
    fitted, options = as_prior(prior), dict[str, Any]()
    if synthesis is not None and fitted.capabilities.synthesis:
        options["synthesis"] = synthesis
    if sample_weight is not None:
        options["sample_weight"] = sample_weight
    # Codes are arrays of numpy, also where samples are tensors.
    with config_context(array_api_dispatch=False):
        fitted.fit(codes, y, **options)


def draw(
    prior: Any, n_samples: int, n_codes: int, y: Any, stream: np.random.Generator
) -> np.ndarray:
    """``n_samples`` codes, shape (n_samples, n_codes), in random order.

    A label that is asked of a prior without labels, and draws that are not finite or of
    a wrong shape, raise a ValueError.
    """
    fitted = as_prior(prior)
    with config_context(array_api_dispatch=False):
        drawn = fitted.sample(n_samples, draw_seed(stream), y=y)
    if isinstance(drawn, tuple):
        # scikit-learn's mixtures return (codes, labels), ordered by component.
        drawn = stream.permutation(drawn[0])
    codes = np.asarray(drawn)
    if codes.shape != (n_samples, n_codes) or not np.isfinite(codes).all():
        raise ValueError(
            f"{fitted.name}.sample({n_samples}) returned an array of shape "
            f"{codes.shape}; needed are finite codes of shape {(n_samples, n_codes)}."
        )
    return codes
