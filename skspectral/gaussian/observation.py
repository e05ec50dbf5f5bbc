"""The rule of conditioning: the posterior of z given B z + noise, for z from a mixture.

For one Gaussian N(m, C), noise of the covariance R and the observation y,

    E[z | y] = m + C B' (B C B' + R)^-1 (y - B m),

and the weight of a component of a mixture is multiplied by its density at y (Bishop
2006, equations 2.113 to 2.117). The same is computed in three ways: in the eigenbasis
of C where B is the identity; else with the inverse of an m x m matrix
(`CovarianceForm`) or, where more is observed than varies, of an r x r matrix.
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
# Relative to the mean variance of the observations, which may be redundant.
_RIDGE = 1e-9
# The same for `least_change`, where rounding errors are larger.
_LEAST_RIDGE = 1e-6


class LinearObservation:
    """Observation y = B z + noise of a vector z.

    Parameters
    ----------
    operator : array of shape (m, K) or None
        B; None is the identity.
    noise : float or ndarray, default=0.0
        Variance of white noise, or covariance of shape (m, m) of any noise. Where the
        operator is None, also variances of shape (n, 1), one for each observed row.
    device : torch.device, default=cpu
        Where to compute; without an operator it is the CPU.

    Notes
    -----
    For each component of a mixture, `factorise` costs m^2 K + m^3, or m K^2 + K^3 where
    the noise is white, not zero, and m >= K; without an operator nothing.
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
        """Posterior of z, which follows a mixture, given each row of ``observed``.

        The rows have the shape (n, m). ``removed``, a number or of shape (n, 1), is the
        variance of white noise that is part of the mixture but not of z, so that the
        components of z have the covariances (C - removed I)+. It is used without an
        operator only; otherwise see `Mixture.without_noise`.
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
        """Do the work that observed values share; the operator must not be None."""
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
    """A `LinearObservation` of a mixture, ready for any observed values."""

    operator: torch.Tensor
    mixture: Mixture
    roots: Sequence[torch.Tensor]
    forms: Sequence["_InformationForm | CovarianceForm"]

    def condition(self, observed: np.ndarray) -> "Posterior":
        """Posterior given each row of ``observed``, of shape (n, m)."""
        device = self.operator.device
        y = as_tensor(observed, device, torch.float64)
        centres = as_tensor(self.mixture.means, device)
        densities, parts = [], []
        for centre, of_centre, root, form in zip(
            centres, centres @ self.operator.T, self.roots, self.forms, strict=True
        ):
            a, density = form.solve(y - of_centre)
            densities.append(density)
            parts.append(_Conditioned(centre + a @ root.T, root, form))
        log_weights = as_tensor(self.mixture.weights, device).log()
        return Posterior(torch.stack(densities, dim=1) + log_weights, parts)


class Posterior:
    """Mixture of Gaussians that z follows given what was observed, for each of n rows.

    It is made of the posteriors of the M components, and of ``log_joint`` (n, M): the
    log of the weight of each times its density at what was observed.
    """

    def __init__(
        self, log_joint: torch.Tensor, parts: Sequence["_Denoised | _Conditioned"]
    ):
        self._log_joint, self._parts = log_joint, parts

    @property
    def log_evidence(self) -> np.ndarray:
        """Log-density of what was observed, of shape (n,), in nats."""
        return as_array(self._log_joint.logsumexp(dim=1))

    @cached_property
    def weights(self) -> torch.Tensor:
        """Posterior probabilities of the components, of shape (n, M)."""
        return self._log_joint.softmax(dim=1)

    @cached_property
    def _mean(self) -> torch.Tensor:
        mean = self.weights[:, :1] * self._parts[0].mean
        for weight, part in zip(self.weights.T[1:], self._parts[1:], strict=True):
            mean.addcmul_(weight[:, None], part.mean)
        return mean

    def mean(self, functions: Samples | None = None) -> np.ndarray:
        """Posterior mean of z @ functions, (K, p), or of z: shape (n, p) or (n, K)."""
        return as_array(_times(self._mean, functions))

    def variance(self, functions: Samples | None = None) -> np.ndarray:
        """Posterior variance of z @ functions, or of z; see `mean`."""
        identity = torch.eye(self._mean.shape[1]).to(self._mean)
        wanted = _times(identity, functions)
        variance = torch.zeros(())
        for weight, part in zip(self.weights.T, self._parts, strict=True):
            # The variance within the component, and between the components.
            between = (part.mean - self._mean) @ wanted
            within = part.variance(wanted)
            variance = variance + weight[:, None] * (within + between**2)
        return as_array(variance)

    def draw(
        self,
        n_samples: int,
        stream: np.random.Generator,
        functions: Samples | None = None,
        noise_variance: float = 0.0,
    ) -> np.ndarray:
        """Draws of z @ functions, or of z, plus white noise if it has a variance.

        There are ``n_samples`` for each row: the shape is (n_samples, n, p).
        """
        n_rows, n_wanted = self._mean.shape
        if functions is not None:
            n_wanted = functions.shape[1]
        bounds = np.cumsum(as_array(self.weights), axis=1)[:, :-1]
        chosen = (stream.random((n_samples, n_rows, 1)) > bounds).sum(2)
        drawn = self._mean.new_zeros(n_samples, n_rows, n_wanted)
        if noise_variance > 0:
            noise = as_tensor(stream.standard_normal(drawn.shape), drawn.device)
            drawn += noise_variance**0.5 * noise
        for k, part in enumerate(self._parts):
            draws, rows = np.nonzero(chosen == k)
            if len(rows):
                drawn[draws, rows] += _times(part.draw(rows, stream), functions)
        return as_array(drawn)


def _times(z: torch.Tensor, functions: Samples | None) -> torch.Tensor:
    """Linear functions of the rows of z: z @ functions, or z itself."""
    return z if functions is None else z @ as_tensor(functions, z.device, z.dtype)


@dataclass(frozen=True, eq=False)
class _Denoised:
    """Posterior of a component that was observed with white noise, in its eigenbasis.

    The mean is computed when it is asked for, since there may be many rows.
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
            raise ValueError("Variances and draws need the same noise in all rows.")
        return self.part.posterior_deviation(float(self.noise), float(self.removed))

    def variance(self, functions: torch.Tensor) -> torch.Tensor:
        """Variances of z @ functions, of shape (p,)."""
        root = as_tensor(self._deviation.root, _CPU)
        return ((root.T @ functions) ** 2).sum(0)

    def draw(self, rows: np.ndarray, stream: np.random.Generator) -> torch.Tensor:
        """One draw for each of these rows, which may repeat."""
        deviations = self._deviation.draw(len(rows), stream)
        return self.mean[rows] + as_tensor(deviations, _CPU)


@dataclass(frozen=True, eq=False)
class _Conditioned:
    """Posterior of a component N(m, R R') that was observed through an operator."""

    mean: torch.Tensor
    root: torch.Tensor
    form: "_InformationForm | CovarianceForm"

    def variance(self, functions: torch.Tensor) -> torch.Tensor:
        return self.form.variance(self.root.T @ functions)

    def draw(self, rows: np.ndarray, stream: np.random.Generator) -> torch.Tensor:
        deviations = self.form.deviations(len(rows), stream) @ self.root.T
        return deviations + self.mean[torch.from_numpy(rows).to(self.mean.device)]


class _InformationForm:
    """The form that inverts r x r: for white noise, and m >= K or m = 0.

    It has the root R (K, r), the operator B (m, K) and ``gram`` = B' B, which all
    components share. Its methods are those of `CovarianceForm`.
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
        onto = (innovations @ self.operator) @ self.root / self.noise_variance
        a = torch.cholesky_solve(onto.T, self.factor).T
        left = innovations - (a @ self.root.T) @ self.operator.T
        misfit = (left**2).sum(1) / self.noise_variance + (a**2).sum(1)
        log_determinant = 2 * self.factor.diagonal().log().sum()
        n_observed = innovations.shape[1]
        log_determinant += n_observed * np.log(2 * np.pi * self.noise_variance)
        return a, -0.5 * (misfit + log_determinant)

    def variance(self, functions: torch.Tensor) -> torch.Tensor:
        return (_whitened(functions, self.factor) ** 2).sum(0)

    def deviations(self, n: int, stream: np.random.Generator) -> torch.Tensor:
        normal = _normal(n, len(self.factor), stream, self.factor)
        upper = self.factor.T
        return torch.linalg.solve_triangular(upper, normal.T, upper=True).T


class CovarianceForm:
    """Posterior of a ~ N(0, I_r), for z = m + R a, by the inverse of an m x m matrix.

    The matrix is the covariance S = B R R' B' + noise of what is observed. It needs
    ``through`` = B R, of shape (m, r), the covariance of the noise and a root of it,
    (m, m), and a ``ridge``, relative to the mean variance of what is observed.
    """

    def __init__(
        self,
        through: torch.Tensor,
        noise: torch.Tensor,
        noise_root: torch.Tensor,
        ridge: float = _RIDGE,
    ):
        self.through, self.noise_root = through, noise_root
        self.factor = cholesky(through @ through.T + noise, ridge)

    def solve(self, innovations: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Posterior mean (n, r), and log-density (n,), of rows y - B m."""
        white = _whitened(innovations.T, self.factor)
        log_determinant = 2 * self.factor.diagonal().log().sum()
        log_determinant += innovations.shape[1] * np.log(2 * np.pi)
        solved = torch.linalg.solve_triangular(self.factor.T, white, upper=True)
        density = -0.5 * ((white**2).sum(0) + log_determinant)
        return solved.T @ self.through, density

    @property
    def gain(self) -> torch.Tensor:
        """S^-1 B R, of shape (m, r): the posterior mean is innovations @ gain."""
        return torch.cholesky_solve(self.through, self.factor)

    def variance(self, functions: torch.Tensor) -> torch.Tensor:
        """Posterior variances of a @ functions, of shape (p,)."""
        known = _whitened(self.through @ functions, self.factor)
        return ((functions**2).sum(0) - (known**2).sum(0)).clamp_(min=0.0)

    def deviations(self, n: int, stream: np.random.Generator) -> torch.Tensor:
        """Draws of a less its posterior mean, of shape (n, r)."""
        n_observed, rank = self.through.shape
        a = _normal(n, rank, stream, self.through)
        noise = _normal(n, n_observed, stream, self.through) @ self.noise_root.T
        noisy = a @ self.through.T + noise
        zeros = torch.zeros_like(noisy)
        return updated(a, noisy, zeros, lambda left: self.solve(left)[0])


def updated(
    z: torch.Tensor,
    observed_of_z: torch.Tensor,
    observed: torch.Tensor,
    change: Callable[[torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """Rows z + C B' S^-1 (y - y(z)), where ``change`` multiplies by C B' S^-1.

    With y(z) = B z a mean becomes the posterior mean. With y(z) = B z + a draw of the
    noise a draw becomes a draw of the posterior: Matheron's rule.
    """
    return z + change(observed - observed_of_z)


def least_change(
    functions: np.ndarray, missed: np.ndarray, noise: float = 0.0
) -> np.ndarray:
    """Smallest signals, (n, T) in squared norm, whose ``functions`` are ``missed``.

    They are the posterior means of white noise of variance 1 whose linear functions, of
    shape (m, T), were observed as ``missed``, (n, m), with noise of a variance. The
    functions may be dependent, or be rounding errors. Costs m^2 T + m^3.
    """
    rows = as_tensor(functions, _CPU)
    form = CovarianceForm(rows, *noise_and_root(noise, len(rows)), _LEAST_RIDGE)
    return as_array(form.solve(as_tensor(missed, _CPU))[0])


def noise_and_root(
    noise: float | np.ndarray, n_observed: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Covariance of the noise, from it or a variance, and R with R R' = covariance."""
    if np.ndim(noise) == 0:
        identity = torch.eye(n_observed, dtype=torch.float64, device=_CPU)
        return float(noise) * identity, float(noise) ** 0.5 * identity
    covariance = as_tensor(np.asarray(noise, dtype=np.float64), _CPU)
    return covariance, cholesky(covariance, _RIDGE)


def _whitened(columns: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """L^-1 columns, for the lower Cholesky factor L."""
    return torch.linalg.solve_triangular(factor, columns, upper=False)


def _normal(
    n: int, width: int, stream: np.random.Generator, like: torch.Tensor
) -> torch.Tensor:
    return as_tensor(stream.standard_normal((n, width)), like.device)


def rows_by_missing_entries(
    missing: np.ndarray,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Group the rows that miss the same entries: (numbers of the rows, (T,) bool).

    ``missing`` has the shape (n, T). Rows without a missing entry are left out.
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
