"""Use of objects that are not a `Prior` as priors, by inspection of their methods."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
from collections.abc import Callable
from inspect import signature
from typing import Any

import numpy as np
from sklearn import mixture
from sklearn.neighbors import KernelDensity

from skspectral._advice import brief, closest
from skspectral._sklearn_compat import as_numpy, validate_parameters
from skspectral.gaussian import Gaussian, Mixture
from skspectral.priors.prior import Capabilities

# Priors that an error proposes in place of their name as a string.
_NAMES = (
    "GaussianPrior",
    "GaussianMixture",
    "ClassConditionalPrior",
    "LocalContrastPrior",
    "DiffusionPrior",
)
_SKLEARN_MIXTURES = (mixture.GaussianMixture, mixture.BayesianGaussianMixture)
# Kernels from which scikit-learn's KernelDensity can draw, and names of its metrics
# that are Euclidean for the power p = 2.
_KERNELS = ("gaussian", "tophat")
_EUCLIDEAN = ("euclidean", "l2", "minkowski", "p")


def takes(method: Callable[..., Any], name: str) -> bool:
    """Return whether a method has a parameter of this name."""
    try:
        return name in signature(method).parameters
    except (TypeError, ValueError):
        # Some compiled functions have no signature.
        return False


def check_usable(prior: Any) -> None:
    """Raise an error if an object cannot be a prior.

    Raises
    ------
    TypeError
        If the object has no ``fit`` or no ``sample``, or is a class.
    ValueError
        If a parameter is out of range by scikit-learn's own rules.
        If the object is a `KernelDensity` with a kernel or metric that its ``sample``
        does not support.
    """
    methods = ("fit", "sample")
    missing = [name for name in methods if not callable(getattr(prior, name, None))]
    if missing or isinstance(prior, type):
        problem = f"has no {' and no '.join(missing)}" if missing else "is a class"
        raise TypeError(
            f"prior={brief(prior)} {problem}. A prior is an object with fit(codes) and "
            f"sample(n_samples). Pass {_usable_instead_of(prior, missing)}."
        )
    validate_parameters(prior)
    if getattr(type(prior), "sample", None) is KernelDensity.sample:
        _check_kernel_density(prior)


def _usable_instead_of(prior: Any, missing: list[str]) -> str:
    """Return what to type instead of a prior that lacks methods, or is a class."""
    if isinstance(prior, type) and not missing:
        return f"an instance, {prior.__name__}()"
    name = closest(prior, _NAMES) if isinstance(prior, str) else None
    if name is not None:
        return f"prior={name}(), an object of skspectral.priors"
    return (
        "an object of skspectral.priors, such as prior=GaussianPrior(), or "
        "scikit-learn's GaussianMixture()"
    )


def _check_kernel_density(prior: KernelDensity) -> None:
    """Raise a ValueError if ``sample`` does not draw from the fitted density."""
    if prior.kernel not in _KERNELS:
        raise ValueError(
            f"prior=KernelDensity(kernel={prior.kernel!r}) can be fitted, but its "
            "sample does not support this kernel. Use kernel='gaussian' or 'tophat'."
        )
    order = (prior.metric_params or {}).get("p", 2)
    if prior.metric not in _EUCLIDEAN or order != 2:
        raise ValueError(
            f"prior=KernelDensity(metric={prior.metric!r}) can be fitted, but its "
            "sample draws as if the metric were Euclidean. Use metric='euclidean'."
        )


def capabilities_of(prior: Any) -> Capabilities:
    """Return the capabilities of an object that is not a `Prior`, fitted or not."""
    return Capabilities(
        gaussians=isinstance(prior, _SKLEARN_MIXTURES),
        density=callable(getattr(prior, "score_samples", None)),
        labels=takes(prior.sample, "y"),
        weights=takes(prior.fit, "sample_weight"),
        synthesis=takes(prior.fit, "synthesis"),
        conditioning=callable(getattr(prior, "sample_given", None)),
    )


def sample(prior: Any, n_samples: int, seed: int, y: Any = None) -> Any:
    """Call ``sample`` of a fitted object, with a seed if the object can be seeded."""
    options = dict[str, Any]()
    if y is not None:
        options["y"] = y
    if takes(prior.sample, "random_state"):
        options["random_state"] = seed
    elif hasattr(prior, "get_params") and "random_state" in prior.get_params():
        # A seeded copy makes the draws, so that the prior itself does not change.
        prior = copy.copy(prior).set_params(random_state=seed)
    return prior.sample(n_samples, **options)


def checked_draws(
    drawn: Any, n_samples: int, n_codes: int, name: str, stream: np.random.Generator
) -> np.ndarray:
    """Return draws as codes of shape (n_samples, n_codes), float64, in random order.

    A ValueError, which names the prior, is raised if the draws are not finite real
    numbers or have another shape.
    """
    # scikit-learn's mixtures return a tuple (codes, labels), ordered by component.
    ordered = isinstance(drawn, tuple)
    call, needed = f"{name}.sample({n_samples})", (n_samples, n_codes)
    try:
        found = as_numpy(drawn[0] if ordered else drawn, f"The output of {call}")
        codes = found.real.astype(np.float64, copy=False)
    except (TypeError, ValueError, IndexError) as error:
        raise ValueError(
            f"{call} did not return numbers ({error}). It must return finite codes of "
            f"shape {needed}."
        ) from error
    if np.iscomplexobj(found) or codes.shape != needed or not np.isfinite(codes).all():
        raise ValueError(
            f"{call} returned an array of shape {codes.shape} and type {found.dtype}. "
            f"It must return finite codes of shape {needed}."
        )
    return stream.permutation(codes) if ordered else codes


def mixture_of(prior: Any) -> Mixture:
    """Convert a fitted mixture of scikit-learn to a `Mixture`."""
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
    """Return the number of free parameters of a fitted object.

    It is that of a mixture of scikit-learn, or the attribute ``n_parameters_`` of any
    other object. None means that the number is unknown.
    """
    if not isinstance(prior, _SKLEARN_MIXTURES):
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
