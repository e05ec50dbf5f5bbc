"""Missing entries of a sample, given the others."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator

import numpy as np
import torch

from skspectral._device import Samples, as_tensor
from skspectral._linalg import cholesky
from skspectral.priors.normal import Mixture


class PartlySeen:
    """The model x = mean + z Q + noise, for samples of which some entries are seen.

    Parameters
    ----------
    mean : array of shape (T,)
    axes : array of shape (K, T)
        Q, orthonormal.
    mixture : list of (weight, Normal)
        Law of z, the clean coordinates.
    noise_variance : float
        v > 0.
    device : torch.device
    """

    def __init__(
        self,
        mean: Samples,
        axes: Samples,
        mixture: Mixture,
        noise_variance: float,
        device: torch.device,
    ):
        self.mean = as_tensor(mean, device, torch.float64)
        # Entry by entry, so that those of a pattern are taken in whole rows.
        self.entries = as_tensor(axes, device, torch.float64).T.contiguous()
        self.noise_variance = noise_variance
        self.weights = np.array([weight for weight, _ in mixture])
        self.centres = [self._tensor(normal.mean) for _, normal in mixture]
        self.roots = [self._tensor(_of_variance(normal.root)) for _, normal in mixture]

    def _tensor(self, array: np.ndarray) -> torch.Tensor:
        return as_tensor(array, self.mean.device, torch.float64)

    def given(self, seen: np.ndarray) -> "Conditional":
        """Law of the entries where ``seen``, of shape (T,), is False, given the others.

        Costs, for each component, K^3 + K^2 |seen|, or K |seen|^2 where fewer entries
        than codes are seen.
        """
        return Conditional(self, seen)


class Conditional:
    """Law of the missing entries given the seen ones: one pattern, any samples.

    Each component of z has the law centre + root a with a ~ N(0, I). Given the seen
    entries a is Gaussian, and the weight of the component in proportion to its density
    there; what is left are the textbook formulae of Gaussian conditioning (Bishop 2006,
    equations 2.113 to 2.117), with the matrix inverted that is smaller.

    Parameters
    ----------
    model : PartlySeen
    seen : ndarray of shape (T,), bool
    """

    def __init__(self, model: PartlySeen, seen: np.ndarray):
        self.model = model
        there, gone = (
            torch.from_numpy(np.flatnonzero(part)).to(model.mean.device)
            for part in (seen, ~seen)
        )
        self.seen_mean, self.missing_mean = model.mean[there], model.mean[gone]
        self.seen_axes = model.entries[there].T
        self.missing_axes = model.entries[gone].T
        n_codes, n_seen = self.seen_axes.shape
        few = 0 < n_seen < n_codes
        gram = None if few else self.seen_axes @ self.seen_axes.T
        v = model.noise_variance
        self.solvers: list[_FewSeen | _ManySeen] = [
            _FewSeen(root, self.seen_axes, v)
            if gram is None
            else _ManySeen(root, self.seen_axes, gram, v)
            for root in model.roots
        ]

    def mean_and_variance(
        self, seen: torch.Tensor, *, with_variance: bool
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Posterior mean, and variance, of shape (n, n_missing).

        Parameters
        ----------
        seen : tensor of shape (n, n_seen), float64
        with_variance : bool

        Returns
        -------
        mean : tensor
        variance : tensor or None
            With the noise.
        """
        shares, coordinates = self._posterior(seen)
        clean = torch.einsum("nk,knc->nc", shares, coordinates)
        mean = self.missing_mean + clean @ self.missing_axes
        if not with_variance:
            return mean, None
        variance = torch.full_like(mean, self.model.noise_variance)
        for k, solver in enumerate(self.solvers):
            # Spread in the component, and of the components.
            within = solver.variance(self.missing_axes)
            between = (coordinates[k] - clean) @ self.missing_axes
            variance += shares[:, k, None] * (within + between**2)
        return mean, variance

    def draw(
        self, seen: torch.Tensor, n_samples: int, stream: np.random.Generator
    ) -> torch.Tensor:
        """Draws of the missing entries, with noise; (n_samples, n, n_missing)."""
        shares, coordinates = self._posterior(seen)
        n_rows, n_missing = len(seen), self.missing_axes.shape[1]
        bounds = np.cumsum(shares.cpu().numpy(), axis=1)[:, :-1]
        chosen = (stream.random((n_samples, n_rows, 1)) > bounds).sum(2)
        noise = stream.standard_normal((n_samples, n_rows, n_missing))
        drawn = self.model.noise_variance**0.5 * self.model._tensor(noise)
        for k, solver in enumerate(self.solvers):
            draws, rows = np.nonzero(chosen == k)
            clean = solver.deviations(len(rows), stream)
            clean += coordinates[k][torch.from_numpy(rows).to(clean.device)]
            drawn[draws, rows] += clean @ self.missing_axes
        return drawn + self.missing_mean

    def _posterior(self, seen: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Shares (n, M) of the components, and clean coordinates in each (M, n, K)."""
        centred = seen - self.seen_mean
        coordinates, densities = [], []
        for centre, solver in zip(self.model.centres, self.solvers, strict=True):
            shift, density = solver.solve(centred - centre @ self.seen_axes)
            coordinates.append(centre + shift)
            densities.append(density)
        log_weights = self.model._tensor(self.model.weights).log()
        joint = torch.stack(densities, dim=1) + log_weights
        return joint.softmax(dim=1), torch.stack(coordinates)


class _ManySeen:
    """One component where at least K entries are seen, or none: inverts r x r.

    Parameters
    ----------
    root : tensor of shape (K, r)
    axes : tensor of shape (K, n_seen)
    gram : tensor of shape (K, K)
        axes axes'.
    noise_variance : float
    """

    def __init__(
        self,
        root: torch.Tensor,
        axes: torch.Tensor,
        gram: torch.Tensor,
        noise_variance: float,
    ):
        self.root, self.axes, self.noise_variance = root, axes, noise_variance
        precision = root.T @ gram @ root / noise_variance
        precision.diagonal().add_(1.0)
        self.factor = cholesky(precision)

    def solve(self, centred: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Posterior mean of root a, (n, K), and log-density of the seen, (n,)."""
        onto = (centred @ self.axes.T) @ self.root / self.noise_variance
        a = torch.cholesky_solve(onto.T, self.factor).T
        shift = a @ self.root.T
        left = centred - shift @ self.axes
        misfit = (left**2).sum(1) / self.noise_variance + (a**2).sum(1)
        log_determinant = 2 * self.factor.diagonal().log().sum()
        log_determinant += centred.shape[1] * np.log(2 * np.pi * self.noise_variance)
        return shift, -0.5 * (misfit + log_determinant)

    def variance(self, axes: torch.Tensor) -> torch.Tensor:
        """Posterior variance of root a along ``axes``, shape (n_missing,)."""
        return (_whitened(self.root.T @ axes, self.factor) ** 2).sum(0)

    def deviations(self, n: int, stream: np.random.Generator) -> torch.Tensor:
        """Draws of root a less its posterior mean, shape (n, K)."""
        noise = _noise(n, self.root.shape[1], stream, self.root)
        return noise @ _whitened(self.root.T, self.factor)


class _FewSeen:
    """One component where fewer than K entries are seen: inverts n_seen x n_seen.

    Parameters and methods are those of `_ManySeen`.
    """

    def __init__(self, root: torch.Tensor, axes: torch.Tensor, noise_variance: float):
        self.root, self.noise_variance = root, noise_variance
        self.seen = root.T @ axes
        covariance = self.seen.T @ self.seen
        covariance.diagonal().add_(noise_variance)
        self.factor = cholesky(covariance)

    def solve(self, centred: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Posterior mean of root a, (n, K), and log-density of the seen, (n,)."""
        white = _whitened(centred.T, self.factor)
        log_determinant = 2 * self.factor.diagonal().log().sum()
        log_determinant += centred.shape[1] * np.log(2 * np.pi)
        shift = self._a(white) @ self.root.T
        return shift, -0.5 * ((white**2).sum(0) + log_determinant)

    def _a(self, white: torch.Tensor) -> torch.Tensor:
        """Posterior mean of a, (n, r), from whitened columns of what is seen."""
        solved = torch.linalg.solve_triangular(self.factor.T, white, upper=True)
        return (self.seen @ solved).T

    def variance(self, axes: torch.Tensor) -> torch.Tensor:
        """Posterior variance of root a along ``axes``, shape (n_missing,)."""
        wanted = self.root.T @ axes
        known = _whitened(self.seen.T @ wanted, self.factor)
        return ((wanted**2).sum(0) - (known**2).sum(0)).clamp_(min=0.0)

    def deviations(self, n: int, stream: np.random.Generator) -> torch.Tensor:
        """Draws of root a less its posterior mean, shape (n, K).

        A draw from the prior less what its own noisy entries tell of it (Matheron's
        rule): it needs no other factor.
        """
        n_codes, n_seen = self.seen.shape
        a = _noise(n, n_codes, stream, self.root)
        noise = _noise(n, n_seen, stream, self.root) * self.noise_variance**0.5
        drawn = _whitened((a @ self.seen + noise).T, self.factor)
        return (a - self._a(drawn)) @ self.root.T


def _whitened(columns: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """L^-1 columns, for the lower Cholesky factor L."""
    return torch.linalg.solve_triangular(factor, columns, upper=False)


def _of_variance(root: np.ndarray) -> np.ndarray:
    """The directions that vary, or one: the others would only cost time."""
    varies = np.flatnonzero(root.any(axis=0))
    return root[:, varies] if len(varies) else root[:, :1]


def _noise(
    n: int, width: int, stream: np.random.Generator, like: torch.Tensor
) -> torch.Tensor:
    return as_tensor(stream.standard_normal((n, width)), like.device)


def patterns(missing: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Rows that have the same entries missing, and these: (rows, (T,) bool).

    Rows without a missing entry are left out.
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
