"""What an object of somebody else can do as a prior, by its methods."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
from collections.abc import Callable
from inspect import signature
from typing import Any

import numpy as np
from sklearn import mixture
from sklearn.neighbors import KernelDensity

from skspectral._sklearn_compat import as_numpy, validate_parameters
from skspectral.gaussian import Gaussian, Mixture
from skspectral.priors.prior import Capabilities

_SCIKIT_LEARNS = (mixture.GaussianMixture, mixture.BayesianGaussianMixture)
_KERNELS = ("gaussian", "tophat")
_EUCLIDEAN = ("euclidean", "l2", "minkowski", "p")


def takes(method: Callable[..., Any], name: str) -> bool:
    """Whether a method has a parameter of this name."""
    try:
        return name in signature(method).parameters
    except (TypeError, ValueError):
        # Compiled functions need not tell.
        return False


def check_usable(prior: Any) -> None:
    """Raise an error if it is known that the object cannot be a prior.

    Raises
    ------
    TypeError
        If it has no ``fit`` or ``sample``, or is a class.
    ValueError
        If a parameter is out of range, by scikit-learn's own rules, or if it is a
        `KernelDensity` that cannot be drawn from as it is fitted.
    """
    methods = ("fit", "sample")
    missing = [name for name in methods if not callable(getattr(prior, name, None))]
    if missing or isinstance(prior, type):
        problem = f"has no {' and no '.join(missing)}" if missing else "is a class"
        raise TypeError(
            f"prior={prior!r} {problem}. A prior is an object with fit(codes) and "
            "sample(n_samples): GaussianPrior(), or scikit-learn's GaussianMixture()."
        )
    validate_parameters(prior)
    if getattr(type(prior), "sample", None) is KernelDensity.sample:
        _check_kernel_density(prior)


def _check_kernel_density(prior: KernelDensity) -> None:
    if prior.kernel not in _KERNELS:
        raise ValueError(
            f"prior=KernelDensity(kernel={prior.kernel!r}) can be fitted, but not "
            "drawn from. Use kernel='gaussian' or 'tophat'."
        )
    order = (prior.metric_params or {}).get("p", 2)
    if prior.metric not in _EUCLIDEAN or order != 2:
        raise ValueError(
            f"prior=KernelDensity(metric={prior.metric!r}) is drawn from as if the "
            "metric were Euclidean. Use metric='euclidean'."
        )


def capabilities_of(prior: Any) -> Capabilities:
    """What an object can do that is not a `Prior`, fitted or not."""
    return Capabilities(
        gaussians=isinstance(prior, _SCIKIT_LEARNS),
        density=callable(getattr(prior, "score_samples", None)),
        labels=takes(prior.sample, "y"),
        weights=takes(prior.fit, "sample_weight"),
        synthesis=takes(prior.fit, "synthesis"),
        conditioning=callable(getattr(prior, "sample_given", None)),
    )


def sample(prior: Any, n_samples: int, seed: int, y: Any = None) -> Any:
    """What ``sample`` of a fitted object returns, seeded if it can be."""
    options = dict[str, Any]()
    if y is not None:
        options["y"] = y
    if takes(prior.sample, "random_state"):
        options["random_state"] = seed
    elif hasattr(prior, "get_params") and "random_state" in prior.get_params():
        # A seeded copy draws, so that the state of the prior does not change.
        prior = copy.copy(prior).set_params(random_state=seed)
    return prior.sample(n_samples, **options)


def checked_draws(
    drawn: Any, n_samples: int, n_codes: int, name: str, stream: np.random.Generator
) -> np.ndarray:
    """Draws as codes of shape (n_samples, n_codes), float64, in random order.

    Draws that are not finite numbers or of a wrong shape raise a ValueError that calls
    the prior by its ``name``.
    """
    # scikit-learn's mixtures return (codes, labels), ordered by component.
    ordered = isinstance(drawn, tuple)
    call, needed = f"{name}.sample({n_samples})", (n_samples, n_codes)
    try:
        found = as_numpy(drawn[0] if ordered else drawn, f"What {call} returns")
        codes = found.real.astype(np.float64, copy=False)
    except (TypeError, ValueError, IndexError) as error:
        raise ValueError(
            f"{call} returned no numbers ({error}); needed are finite codes of shape "
            f"{needed}."
        ) from error
    if np.iscomplexobj(found) or codes.shape != needed or not np.isfinite(codes).all():
        raise ValueError(
            f"{call} returned an array of shape {codes.shape} and type {found.dtype}; "
            f"needed are finite codes of shape {needed}."
        )
    return stream.permutation(codes) if ordered else codes


def mixture_of(prior: Any) -> Mixture:
    """Gaussians of a fitted mixture of scikit-learn."""
    means, stored = prior.means_, prior.covariances_
    kind = prior.covariance_type
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
    return Mixture(prior.weights_, tuple(parts))


def n_parameters_of(prior: Any) -> int | None:
    """Free parameters of a fitted object, if it tells them, or is scikit-learn's."""
    if not isinstance(prior, _SCIKIT_LEARNS):
        return getattr(prior, "n_parameters_", None)
    n_components, n_codes = prior.means_.shape
    of_full = n_codes * (n_codes + 1) // 2
    of_covariances = {
        "full": n_components * of_full,
        "tied": of_full,
        "diag": n_components * n_codes,
        "spherical": n_components,
    }
    return of_covariances[prior.covariance_type] + n_components * (n_codes + 1) - 1
