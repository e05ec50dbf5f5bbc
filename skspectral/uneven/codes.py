"""Codes of rows at uneven times: normal equations, and a Gaussian prior of the codes.

A row of values x at its times is x = w A + noise, where the rows of A are the atoms at
these times and, with a floating mean, the constant 1. With the normal equations
G = A A' and b = A x, the codes have, under the prior N(m, C) and noise of variance v,
the posterior covariance (C^-1 + G / v)^-1 and the mean m + cov (b - G m) / v.
"""
# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import dataclass, replace

import torch

from skspectral.uneven.rows import TimedRows

# Steps of the EM algorithm for the prior, and its relative tolerance.
_MAX_STEPS = 200
_TOLERANCE = 1e-5
# Ridge of the covariance of the codes, relative to its trace.
_RIDGE = 1e-9


@dataclass(frozen=True, eq=False)
class Waves:
    """K waves sin(2 pi f t + phase), and a constant if the mean floats.

    Attributes
    ----------
    frequency, phase : tensor of shape (K,)
        Frequencies in cycles per unit of the times, and phases at the time 0.
    floating_mean : bool
        Whether each row has a constant of its own.
    """

    frequency: torch.Tensor
    phase: torch.Tensor
    floating_mean: bool

    @property
    def n_codes(self) -> int:
        """Number of codes of a row, with that of the constant."""
        return len(self.frequency) + self.floating_mean

    def at(self, times: torch.Tensor, observed: torch.Tensor) -> torch.Tensor:
        """Return the atoms at times (n, L), shape (n, n_codes, L).

        They are 0 where nothing was observed.
        """
        angle = self.angle(times)
        atoms = angle.sin() * observed[:, None]
        if not self.floating_mean:
            return atoms
        return torch.cat([atoms, observed[:, None]], 1)

    def angle(self, times: torch.Tensor) -> torch.Tensor:
        """Return the angles of the waves at times (n, L), shape (n, K, L)."""
        turns = 2 * math.pi * self.frequency[:, None] * times[:, None]
        return turns + self.phase[:, None]


@dataclass(frozen=True, eq=False)
class NormalEquations:
    """Sums over the values of each row.

    Attributes
    ----------
    gram : tensor of shape (n, n_codes, n_codes)
        Products G of the atoms.
    right : tensor of shape (n, n_codes)
        Products b of the atoms and the values.
    energy : tensor of shape (n,)
        Sums of squares.
    counts : tensor of shape (n,)
        Numbers of values.
    """

    gram: torch.Tensor
    right: torch.Tensor
    energy: torch.Tensor
    counts: torch.Tensor

    @classmethod
    def of(cls, rows: TimedRows, waves: Waves) -> "NormalEquations":
        """Return the normal equations; costs n L n_codes^2."""
        parts = [
            cls.of_atoms(part, waves.at(part.times, part.observed))
            for _, part in rows.chunks(waves.n_codes)
        ]
        fields = zip(*(vars(part).values() for part in parts), strict=True)
        return cls(*map(torch.cat, fields))

    @classmethod
    def of_atoms(cls, rows: TimedRows, atoms: torch.Tensor) -> "NormalEquations":
        """Return the normal equations of atoms at the times of the rows."""
        right = (atoms @ rows.values[:, :, None])[:, :, 0]
        energy = (rows.values**2).sum(1)
        return cls(atoms @ atoms.mT, right, energy, rows.counts)

    def least_squares(self, ridge: float) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the codes (n, n_codes) and the residual sums of squares (n,)."""
        damped = with_ridge(self.gram, ridge)
        codes = torch.linalg.solve(damped, self.right[:, :, None])[:, :, 0]
        return codes, self.residual(codes)

    def residual(self, codes: torch.Tensor) -> torch.Tensor:
        """Return the sums of squares that codes leave, (n,)."""
        image = torch.bmm(self.gram, codes[:, :, None])[:, :, 0]
        found = self.energy - ((2 * self.right - image) * codes).sum(1)
        return found.clamp_min(0.0)


def with_ridge(gram: torch.Tensor, ridge: float) -> torch.Tensor:
    """Return Gram matrices plus a multiple of their mean diagonals."""
    diagonal = gram.diagonal(dim1=1, dim2=2)
    added = ridge * diagonal.mean(1, keepdim=True).clamp_min(1e-300)
    return gram + torch.diag_embed(added.expand_as(diagonal))


@dataclass(frozen=True, eq=False)
class CodePrior:
    """Gaussian distribution of the codes, and variance of the noise.

    Attributes
    ----------
    mean : tensor of shape (n_codes,)
        Mean m.
    covariance : tensor of shape (n_codes, n_codes) or None
        Covariance C. None means a flat prior.
    noise : float
        Variance v of the noise.
    ridge : float
        Relative ridge of the normal equations under a flat prior.
    """

    mean: torch.Tensor
    covariance: torch.Tensor | None
    noise: float
    ridge: float

    @classmethod
    def flat(cls, equations: NormalEquations, ridge: float) -> "CodePrior":
        """Return a flat prior, for few rows."""
        codes, residual = equations.least_squares(ridge)
        n_free = float((equations.counts - codes.shape[1]).clamp_min(0).sum())
        noise = float(residual.sum()) / max(n_free, 1.0)
        return cls(torch.zeros_like(codes[0]), None, noise, ridge)

    @classmethod
    def fit(cls, equations: NormalEquations, ridge: float) -> "CodePrior":
        """Return the likeliest prior and noise, by the EM algorithm.

        Costs O(n n_codes^3) per step.
        """
        codes, residual = equations.least_squares(max(ridge, 1e-3))
        total = float(equations.counts.sum())
        floor = 1e-10 * float(equations.energy.sum()) / total
        prior = cls(
            codes.mean(0),
            _covariance(codes, torch.zeros_like(equations.gram[0])),
            max(float(residual.sum()) / total, floor, 1e-300),
            ridge,
        )
        before = -math.inf
        for _ in range(_MAX_STEPS):
            mean, covariance = prior.posterior(equations)
            energy = equations.residual(mean)
            energy = energy + (equations.gram * covariance).sum((1, 2))
            noise = max(float(energy.sum()) / total, floor, 1e-300)
            prior = replace(
                prior,
                mean=mean.mean(0),
                covariance=_covariance(mean, covariance.mean(0)),
                noise=noise,
            )
            likelihood = float(prior.log_density(equations).sum())
            if likelihood - before < _TOLERANCE * total:
                break
            before = likelihood
        return prior

    def posterior(
        self, equations: NormalEquations
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return mean (n, n_codes) and covariance of the codes given each row."""
        if self.covariance is None:
            damped = with_ridge(equations.gram, self.ridge)
            covariance = self.noise * torch.linalg.inv(damped)
            return (covariance @ equations.right[:, :, None])[:, :, 0] / self.noise, (
                covariance
            )
        # (C^-1 + G / v)^-1 = C - C G (v I + C G)^-1 C, which needs no inverse of C.
        C = self.covariance
        eye = torch.eye(len(C), dtype=torch.float64)
        product = torch.linalg.solve(self.noise * eye + C @ equations.gram, C)
        covariance = self.noise * product
        covariance = (covariance + covariance.mT) / 2
        right = equations.right - (equations.gram @ self.mean)
        mean = self.mean + (covariance @ right[:, :, None])[:, :, 0] / self.noise
        return mean, covariance

    def log_density(self, equations: NormalEquations) -> torch.Tensor:
        """Return the log-density of the values of each row, (n,), in nats.

        Under a flat prior, it is that at the least-squares codes.
        """
        counts, v = equations.counts, self.noise
        constant = counts * math.log(2 * math.pi * v)
        mean, _ = self.posterior(equations)
        if self.covariance is None:
            return -(constant + equations.residual(mean) / v) / 2
        eye = torch.eye(len(self.mean), dtype=torch.float64)
        determinant = torch.linalg.slogdet(
            eye + self.covariance @ equations.gram / v
        ).logabsdet
        image = torch.bmm(equations.gram, self.mean.expand_as(mean)[:, :, None])
        gap = equations.right - image[:, :, 0]
        # The quadratic form is d'd / v minus the part that the codes explain.
        shifted = equations.residual(self.mean.expand_as(mean))
        explained = (gap * (mean - self.mean)).sum(1)
        return -(constant + determinant + (shifted - explained) / v) / 2


def _covariance(codes: torch.Tensor, within: torch.Tensor) -> torch.Tensor:
    """Return the covariance of codes plus that within rows, with a small ridge."""
    centred = codes - codes.mean(0)
    found = centred.T @ centred / len(codes) + within
    scale = float(found.diagonal().mean()) or 1e-300
    return (found + found.T) / 2 + _RIDGE * scale * torch.eye(
        len(found), dtype=torch.float64
    )
