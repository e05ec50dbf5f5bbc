"""Posterior of a vector z given a linear observation y = B z + noise.

If z has the distribution N(m, C), and the noise has the covariance R, then

    E[z | y] = m + C B' (B C B' + R)^-1 (y - B m).

If z follows a mixture, the weight of each component is multiplied by its density at y
(Bishop 2006, Pattern Recognition and Machine Learning, equations 2.113 to 2.117).

The posterior is computed in one of three forms. If B is the identity, the eigenvectors
of C are used. Otherwise an m x m matrix is inverted (`CovarianceForm`) or, if there are
more observations than dimensions, an r x r matrix, where r is the rank of C.
"""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from skspectral._device import Samples, as_array, as_tensor
from skspectral._linalg import cholesky
from skspectral.gaussian.gaussian import Gaussian
from skspectral.gaussian.mixture import Mixture

_CPU = torch.device("cpu")
# Ridge relative to the mean variance of the observations, because observations may be
# redundant.
_RIDGE = 1e-9
# Relative ridge of `least_change`, whose functions may be rounding errors.
_LEAST_CHANGE_RIDGE = 1e-6


class LinearObservation:
    """Linear observation y = B z + noise of a vector z.

    Parameters
    ----------
    operator : ndarray or Tensor of shape (m, K), or None
        Matrix B. None means the identity: all entries of z are observed.
    noise : float or ndarray, default=0.0
        Variance of white noise, or covariance matrix of shape (m, m) of any noise. If
        the operator is None it is a variance, or an array of shape (n, 1) with one
        variance per observed sample.
    device : torch.device, default=torch.device("cpu")
        Device of the computations. It is ignored if the operator is None: these
        computations run on the CPU.

    See Also
    --------
    Posterior : Distribution of z given the observation.

    Notes
    -----
    Per component of a mixture `factorise` costs m^2 K + m^3 multiplications, or
    m K^2 + K^3 if there is white noise and m >= K.

    Examples
    --------
    Two coordinates have unit variance and the correlation 0.8. The first one is
    observed, without noise:

    >>> import numpy as np
    >>> from skspectral.gaussian import Gaussian, LinearObservation, Mixture
    >>> covariance = np.array([[1.0, 0.8], [0.8, 1.0]])
    >>> gaussian = Gaussian.from_covariance(np.zeros(2), covariance)
    >>> mixture = Mixture(np.ones(1), (gaussian,))
    >>> observation = LinearObservation(np.array([[1.0, 0.0]]))
    >>> posterior = observation.condition(mixture, np.array([[2.0]]))
    >>> posterior.mean().round(3)
    array([[2. , 1.6]])
    >>> posterior.variance().round(3)
    array([[0.  , 0.36]])
    """

    def __init__(
        self,
        operator: Samples | None,
        noise: float | np.ndarray = 0.0,
        device: torch.device = _CPU,
    ):
        self.noise = noise
        self.operator = None
        if operator is not None:
            self.operator = as_tensor(operator, device, torch.float64)

    def condition(
        self,
        mixture: Mixture,
        observed: np.ndarray,
        *,
        removed: float | np.ndarray = 0.0,
    ) -> "Posterior":
        """Compute the posterior of z given each of n observations.

        Parameters
        ----------
        mixture : Mixture
            Distribution of z before the observation.
        observed : ndarray of shape (n, m)
            Observations y.
        removed : float or ndarray of shape (n, 1), default=0.0
            Variance of white noise that is part of the mixture, but not of z. Each
            component of z then has the covariance (C - removed I)+, where (.)+ sets
            negative eigenvalues to 0. It is ignored if there is an operator: pass
            ``mixture.without_noise(removed)`` instead.

        Returns
        -------
        posterior : Posterior
            Distribution of z, one per observation.
        """
        if self.operator is None:
            joint = mixture.log_joint(observed, self.noise, removed)
            parts = [
                _Denoised(part, observed, self.noise, removed)
                for part in mixture.components
            ]
            return Posterior(as_tensor(joint, _CPU), parts)
        return self.factorise(mixture).condition(observed)

    def factorise(self, mixture: Mixture) -> "Factorisation":
        """Do the part of the computation that does not depend on the observed values.

        Parameters
        ----------
        mixture : Mixture
            Distribution of z before the observation.

        Returns
        -------
        factorisation : Factorisation
            Object whose method ``condition`` takes the observed values. The operator
            must not be None.
        """
        assert self.operator is not None
        B = self.operator
        n_observed, n_dimensions = B.shape
        roots = [as_tensor(part.root, B.device) for part in mixture.components]
        forms: list[_InformationForm | CovarianceForm]
        white = np.ndim(self.noise) == 0 and self.noise > 0
        if white and not 0 < n_observed < n_dimensions:
            gram = B.T @ B
            forms = [_InformationForm(R, B, gram, float(self.noise)) for R in roots]
        else:
            ridge = 0.0 if white else _RIDGE
            noise, noise_root = (
                part.to(B.device) for part in noise_and_root(self.noise, n_observed)
            )
            forms = [CovarianceForm(B @ R, noise, noise_root, ridge) for R in roots]
        return Factorisation(B, mixture, roots, forms)


@dataclass(frozen=True, eq=False)
class Factorisation:
    """A `LinearObservation` of a mixture, prepared for any observed values."""

    operator: torch.Tensor
    mixture: Mixture
    roots: Sequence[torch.Tensor]
    forms: Sequence["_InformationForm | CovarianceForm"]

    def condition(self, observed: np.ndarray) -> "Posterior":
        """Compute the posterior given each of n observations, of shape (n, m)."""
        device = self.operator.device
        y = as_tensor(observed, device, torch.float64)
        means = as_tensor(self.mixture.means, device)
        densities, parts = [], []
        for mean, expected, root, form in zip(
            means, means @ self.operator.T, self.roots, self.forms, strict=True
        ):
            a, density = form.solve(y - expected)
            densities.append(density)
            parts.append(_Conditioned(mean + a @ root.T, root, form))
        log_weights = as_tensor(self.mixture.weights, device).log()
        return Posterior(torch.stack(densities, dim=1) + log_weights, parts)


class Posterior:
    """Distribution of z given each of n observations: a mixture of M Gaussians.

    It is made by `LinearObservation.condition`.

    Parameters
    ----------
    log_joint : Tensor of shape (n, M)
        Logarithm of the weight of each component times its density at the observation.
    parts : sequence of objects
        Posteriors of the M components, which have the attribute ``mean`` and the
        methods ``variance`` and ``draw``.

    See Also
    --------
    LinearObservation : Observation that gives the posterior.
    """

    def __init__(
        self, log_joint: torch.Tensor, parts: Sequence["_Denoised | _Conditioned"]
    ):
        self._log_joint, self._parts = log_joint, parts

    @property
    def log_evidence(self) -> np.ndarray:
        """Log-density of each observation, shape (n,), in nats."""
        return as_array(self._log_joint.logsumexp(dim=1))

    @cached_property
    def weights(self) -> torch.Tensor:
        """Posterior probabilities of the components, shape (n, M)."""
        return self._log_joint.softmax(dim=1)

    @cached_property
    def _mean(self) -> torch.Tensor:
        mean = self.weights[:, :1] * self._parts[0].mean
        for weight, part in zip(self.weights.T[1:], self._parts[1:], strict=True):
            mean.addcmul_(weight[:, None], part.mean)
        return mean

    def mean(self, functions: Samples | None = None) -> np.ndarray:
        """Compute the posterior mean of z, or of linear functions of z.

        Parameters
        ----------
        functions : ndarray or Tensor of shape (K, p), default=None
            Matrix whose columns are p linear functions ``z @ functions``. None means
            the K entries of z themselves.

        Returns
        -------
        mean : ndarray of shape (n, p) or (n, K)
            Posterior mean per observation.
        """
        return as_array(_linear_functions(self._mean, functions))

    def variance(self, functions: Samples | None = None) -> np.ndarray:
        """Compute the posterior variances of z, or of linear functions of z.

        Parameters
        ----------
        functions : ndarray or Tensor of shape (K, p), default=None
            Matrix whose columns are p linear functions ``z @ functions``. None means
            the K entries of z themselves.

        Returns
        -------
        variance : ndarray of shape (n, p) or (n, K)
            Posterior variance of each function per observation.

        Raises
        ------
        ValueError
            If the noise differs between samples.
        """
        identity = torch.eye(self._mean.shape[1]).to(self._mean)
        matrix = _linear_functions(identity, functions)
        variance = torch.zeros(())
        for weight, part in zip(self.weights.T, self._parts, strict=True):
            # The variance within the component, and between the components.
            between = (part.mean - self._mean) @ matrix
            within = part.variance(matrix)
            variance = variance + weight[:, None] * (within + between**2)
        return as_array(variance)

    def draw(
        self,
        n_samples: int,
        stream: np.random.Generator,
        functions: Samples | None = None,
        noise_variance: float = 0.0,
    ) -> np.ndarray:
        """Draw samples of z, or of linear functions of z, from the posterior.

        Parameters
        ----------
        n_samples : int
            Number of samples per observation.
        stream : numpy.random.Generator
            Source of the random numbers.
        functions : ndarray or Tensor of shape (K, p), default=None
            Matrix whose columns are p linear functions ``z @ functions``. None means
            the K entries of z themselves.
        noise_variance : float, default=0.0
            Variance of white noise that is added to the samples.

        Returns
        -------
        samples : ndarray of shape (n_samples, n, p) or (n_samples, n, K)
            Independent samples.

        Raises
        ------
        ValueError
            If the noise of the observation differs between samples.
        """
        n_rows, n_columns = self._mean.shape
        if functions is not None:
            n_columns = functions.shape[1]
        bounds = np.cumsum(as_array(self.weights), axis=1)[:, :-1]
        chosen = (stream.random((n_samples, n_rows, 1)) > bounds).sum(2)
        drawn = self._mean.new_zeros(n_samples, n_rows, n_columns)
        if noise_variance > 0:
            noise = as_tensor(stream.standard_normal(drawn.shape), drawn.device)
            drawn += noise_variance**0.5 * noise
        for k, part in enumerate(self._parts):
            draws, rows = np.nonzero(chosen == k)
            if len(rows):
                drawn[draws, rows] += _linear_functions(
                    part.draw(rows, stream), functions
                )
        return as_array(drawn)


def _linear_functions(z: torch.Tensor, functions: Samples | None) -> torch.Tensor:
    """Return z @ functions, or z if ``functions`` is None."""
    return z if functions is None else z @ as_tensor(functions, z.device, z.dtype)


@dataclass(frozen=True, eq=False)
class _Denoised:
    """Posterior of a component whose observation is z plus white noise.

    The mean is computed on access and not stored, because it may be large.
    """

    part: Gaussian
    observed: np.ndarray
    noise: float | np.ndarray
    removed: float | np.ndarray

    @property
    def mean(self) -> torch.Tensor:
        mean = self.part.posterior_mean(self.observed, self.noise, self.removed)
        return as_tensor(mean, _CPU)

    @property
    def _deviation(self) -> Gaussian:
        if np.ndim(self.noise) or np.ndim(self.removed):
            raise ValueError(
                "Variances and draws of the posterior require the same noise in all "
                "rows, but the noise is an array. Pass the noise as one number, or "
                "condition on one row at a time."
            )
        return self.part.posterior_deviation(float(self.noise), float(self.removed))

    def variance(self, functions: torch.Tensor) -> torch.Tensor:
        """Posterior variances of z @ functions, shape (p,)."""
        root = as_tensor(self._deviation.root, _CPU)
        return ((root.T @ functions) ** 2).sum(0)

    def draw(self, rows: np.ndarray, stream: np.random.Generator) -> torch.Tensor:
        """Draw one sample for each entry of ``rows``, indices which may repeat."""
        deviations = self._deviation.draw(len(rows), stream)
        return self.mean[rows] + as_tensor(deviations, _CPU)


@dataclass(frozen=True, eq=False)
class _Conditioned:
    """Posterior of a component N(m, R R') whose observation has an operator."""

    mean: torch.Tensor
    root: torch.Tensor
    form: "_InformationForm | CovarianceForm"

    def variance(self, functions: torch.Tensor) -> torch.Tensor:
        return self.form.variance(self.root.T @ functions)

    def draw(self, rows: np.ndarray, stream: np.random.Generator) -> torch.Tensor:
        deviations = self.form.deviations(len(rows), stream) @ self.root.T
        return deviations + self.mean[torch.from_numpy(rows).to(self.mean.device)]


class _InformationForm:
    """Posterior of a ~ N(0, I_r), for z = m + R a, by the inverse of an r x r matrix.

    This form requires white noise, and is used if m >= K or m = 0. The root R has the
    shape (K, r), the operator B has the shape (m, K), and ``gram`` = B' B is shared by
    all components. The methods are those of `CovarianceForm`.
    """

    def __init__(
        self,
        root: torch.Tensor,
        operator: torch.Tensor,
        gram: torch.Tensor,
        noise_variance: float,
    ):
        self.root, self.operator = root, operator
        self.noise_variance = noise_variance
        precision = root.T @ gram @ root / noise_variance
        precision.diagonal().add_(1.0)
        self.factor = cholesky(precision)

    def solve(self, innovations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        projected = (innovations @ self.operator) @ self.root / self.noise_variance
        a = torch.cholesky_solve(projected.T, self.factor).T
        residual = innovations - (a @ self.root.T) @ self.operator.T
        misfit = (residual**2).sum(1) / self.noise_variance + (a**2).sum(1)
        log_determinant = 2 * self.factor.diagonal().log().sum()
        n_observed = innovations.shape[1]
        log_determinant += n_observed * np.log(2 * np.pi * self.noise_variance)
        return a, -0.5 * (misfit + log_determinant)

    def variance(self, functions: torch.Tensor) -> torch.Tensor:
        return (_whitened(functions, self.factor) ** 2).sum(0)

    def deviations(self, n: int, stream: np.random.Generator) -> torch.Tensor:
        normal = _standard_normal(n, len(self.factor), stream, self.factor)
        upper = self.factor.T
        return torch.linalg.solve_triangular(upper, normal.T, upper=True).T


class CovarianceForm:
    """Posterior of a ~ N(0, I_r), for z = m + R a, by the inverse of an m x m matrix.

    The matrix is the covariance S = B R R' B' + noise of the observations. The
    parameter ``observed_root`` is B R, of shape (m, r). The covariance of the noise and
    its square root have the shape (m, m). The ``ridge`` is relative to the mean
    variance of the observations.
    """

    def __init__(
        self,
        observed_root: torch.Tensor,
        noise: torch.Tensor,
        noise_root: torch.Tensor,
        ridge: float = _RIDGE,
    ):
        self.observed_root, self.noise_root = observed_root, noise_root
        self.factor = cholesky(observed_root @ observed_root.T + noise, ridge)

    def solve(self, innovations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return posterior means (n, r) and log-densities (n,), given y - B m."""
        white = _whitened(innovations.T, self.factor)
        log_determinant = 2 * self.factor.diagonal().log().sum()
        log_determinant += innovations.shape[1] * np.log(2 * np.pi)
        solved = torch.linalg.solve_triangular(self.factor.T, white, upper=True)
        density = -0.5 * ((white**2).sum(0) + log_determinant)
        return solved.T @ self.observed_root, density

    @property
    def gain(self) -> torch.Tensor:
        """Matrix S^-1 B R (m, r): the posterior mean of a is innovations @ gain."""
        return torch.cholesky_solve(self.observed_root, self.factor)

    def variance(self, functions: torch.Tensor) -> torch.Tensor:
        """Posterior variances of a @ functions, shape (p,)."""
        explained = _whitened(self.observed_root @ functions, self.factor)
        return ((functions**2).sum(0) - (explained**2).sum(0)).clamp_(min=0.0)

    def deviations(self, n: int, stream: np.random.Generator) -> torch.Tensor:
        """Draw deviations of a from its posterior mean, of shape (n, r)."""
        n_observed, rank = self.observed_root.shape
        a = _standard_normal(n, rank, stream, self.observed_root)
        normal = _standard_normal(n, n_observed, stream, self.observed_root)
        noisy = a @ self.observed_root.T + normal @ self.noise_root.T
        zeros = torch.zeros_like(noisy)
        return updated(a, noisy, zeros, lambda innovations: self.solve(innovations)[0])


def updated(
    z: torch.Tensor,
    observed_of_z: torch.Tensor,
    observed: torch.Tensor,
    change: Callable[[torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """Update means or draws z to the posterior: z + C B' S^-1 (y - y(z)).

    The function ``change`` multiplies by C B' S^-1, y is ``observed``, and y(z) is
    ``observed_of_z``. If y(z) = B z, the mean becomes the posterior mean. If y(z) is
    B z plus a draw of the noise, a draw becomes a draw from the posterior (Matheron's
    rule).
    """
    return z + change(observed - observed_of_z)


def least_change(
    functions: np.ndarray, missed: np.ndarray, noise: float = 0.0
) -> np.ndarray:
    """Return the signals (n, T) of least norm with ``signals @ functions.T = missed``.

    They are the posterior means of white noise of variance 1, given the values
    ``missed`` (n, m) of its linear ``functions`` (m, T), observed with white noise of
    the variance ``noise``. The functions may be dependent, or be rounding errors. The
    costs are m^2 T + m^3.
    """
    rows = as_tensor(functions, _CPU)
    form = CovarianceForm(rows, *noise_and_root(noise, len(rows)), _LEAST_CHANGE_RIDGE)
    return as_array(form.solve(as_tensor(missed, _CPU))[0])


def noise_and_root(
    noise: float | np.ndarray, n_observed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the covariance of the noise, also from a variance, and its square root."""
    if np.ndim(noise) == 0:
        identity = torch.eye(n_observed, dtype=torch.float64, device=_CPU)
        return float(noise) * identity, float(noise) ** 0.5 * identity
    covariance = as_tensor(np.asarray(noise, dtype=np.float64), _CPU)
    return covariance, cholesky(covariance, _RIDGE)


def _whitened(columns: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Return L^-1 @ columns for the lower Cholesky factor L."""
    return torch.linalg.solve_triangular(factor, columns, upper=False)


def _standard_normal(
    n: int, width: int, stream: np.random.Generator, like: torch.Tensor
) -> torch.Tensor:
    """Draw N(0, 1) numbers of shape (n, width) on the device of ``like``."""
    return as_tensor(stream.standard_normal((n, width)), like.device)


def rows_by_missing_entries(
    missing: np.ndarray,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Group the rows in which the same entries are missing.

    The mask ``missing`` has the shape (n, T). Each group is yielded as the indices of
    its rows and their mask of shape (T,). Rows without missing entries are left out.
    """
    rows = np.flatnonzero(missing.any(axis=1))
    if len(rows) == 0:
        return
    bits = np.packbits(missing[rows], axis=1)
    _, first, of_pattern = np.unique(
        bits, axis=0, return_index=True, return_inverse=True
    )
    order = np.argsort(of_pattern, kind="stable")
    ends = np.cumsum(np.bincount(of_pattern))[:-1]
    for start, group in zip(first, np.split(order, ends), strict=True):
        yield rows[group], missing[rows[start]]
