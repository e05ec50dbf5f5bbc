"""One fit to rows with gaps: an EM algorithm around the fit from moments.

The first moments are those of the pairs of entries that were observed together. The E
step computes the moments that the complete rows are expected to have, given what was
observed and the current model. The M step is a fit from these moments. Between two
steps that move the atoms, cheaper ones update mean, coordinates and noise alone. A step
is kept only if it raises the likelihood of the observed entries.
"""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from skspectral._device import as_tensor
from skspectral._progress import Monitor
from skspectral.fit import FitResult, fit_from_moments, with_prior
from skspectral.fit_plan import FitPlan
from skspectral.fit_rows import TrainingRows
from skspectral.gaps.expectation import (
    SMALLEST_NOISE,
    Expectation,
    GappyRows,
    GaussianModel,
    expect,
    expected_moments,
    maximise,
)
from skspectral.gaps.pairwise import PairwiseMoments, moments_of_pairs
from skspectral.impute import impute, sample_posterior
from skspectral.learning.starts import Start
from skspectral.model import LinearModel
from skspectral.moments.moments import Moments
from skspectral.priors import GaussianPrior, Prior

# Largest number of steps that move the atoms, and of cheaper steps between them.
_MAX_ROUNDS = 40
_MAX_INNER = 15
# Number of Gauss-Newton steps of the atoms between two E steps.
_STEPS = 4
# The algorithm ends when the mean log-likelihood of an observed entry rises by less
# than this multiple of the tolerance of the atoms, in nats. With few rows, more steps
# would fit the noise.
_TOLERANCE = 0.5


def fit_with_gaps(
    X: np.ndarray,
    weights: np.ndarray | None,
    labels: Any,
    rng: np.random.Generator,
    plan: FitPlan,
    prior: Prior,
    monitor: Monitor,
    *,
    fitted: LinearModel | None = None,
    earlier: Moments | None = None,
) -> tuple[FitResult, np.ndarray]:
    """Learn model and prior from rows with missing entries.

    Parameters
    ----------
    X : ndarray of shape (n, T)
        The rows, with NaN for missing entries.
    weights : ndarray of shape (n,) or None
        Weights of the rows. None means weights of 1.
    labels : array-like of shape (n,) or None
        Labels for the prior.
    rng : Generator
        Random numbers for draws of the missing entries, for priors that need complete
        rows.
    plan : FitPlan
        What to learn, and how.
    prior : Prior
        The prior, which is fitted in place.
    monitor : Monitor
        Receives the progress, and can stop the learning.
    fitted : LinearModel or None, default=None
        Model of the earlier rows. Required if ``earlier`` is given.
    earlier : Moments or None, default=None
        Moments of the rows of earlier calls. They are not modified.

    Returns
    -------
    result : FitResult
        Model, prior and expected moments of the complete rows.
    log_likelihoods : ndarray of shape (n_steps,)
        Mean log-likelihood of the observed entries of a row after each step, in nats.
        It never falls, except with ``earlier``.

    Raises
    ------
    ValueError
        If a part of the fit needs complete rows, or X has no observed entry.
    """
    _refuse_parts_for_complete_rows(plan)
    seen = ~np.isnan(X).all(axis=1)
    if not seen.any():
        raise ValueError(
            f"X of shape {X.shape} has no observed entry: all entries are NaN. Pass "
            "rows with observed entries."
        )
    of_seen = None if weights is None else weights[seen]
    rows = GappyRows.of(X[seen], of_seen, plan.device)
    em = _Algorithm(rows, plan, monitor)
    if earlier is None:
        em.start()
        em.run()
    else:
        assert fitted is not None
        em.add_to(fitted, earlier)
    result = em.result
    n_all = len(X) + (0 if earlier is None else earlier.n_samples)
    result.moments.n_samples = n_all
    complete = None
    if not prior.capabilities.moments:
        filled = sample_posterior(
            result.model, result.prior, X.astype(np.float64), 1, rng, device=plan.device
        )[0]
        complete = TrainingRows(filled.astype(X.dtype), weights, labels, rng)
    total = float(rows.weights.sum())
    return (
        with_prior(result, prior, plan, monitor, complete),
        np.array(em.log_likelihoods) / total,
    )


def filled_rows(
    X: np.ndarray,
    weights: np.ndarray | None,
    rng: np.random.Generator,
    plan: FitPlan,
    monitor: Monitor,
) -> np.ndarray:
    """Return the rows with posterior means in place of NaN, for learning that needs it.

    The means are those of a fit for least-squares codes, with a Gaussian prior.

    Parameters
    ----------
    X : ndarray of shape (n, T)
        Rows with NaN for missing entries. They are not modified.
    weights : ndarray of shape (n,) or None
        Weights of the rows.
    rng : Generator
        Random numbers of the fit.
    plan : FitPlan
        Plan of the fit for sparse codes.
    monitor : Monitor
        Receives the progress.

    Returns
    -------
    filled : ndarray of shape (n, T)
        Complete rows.
    """
    learning = replace(
        plan.learning,
        coding=None,
        n_atoms=min(plan.learning.n_atoms, X.shape[1]),
        start=Start(rng=rng),
    )
    least_squares = replace(plan, learning=learning, prior_coding=None)
    result, _ = fit_with_gaps(
        X, weights, None, rng, least_squares, GaussianPrior(), monitor
    )
    filled = X.copy()
    impute(result.model, result.prior, filled, return_std=False, device=plan.device)
    return filled


def _refuse_parts_for_complete_rows(plan: FitPlan) -> None:
    """Raise a ValueError if a part of the fit cannot use rows with gaps."""
    if plan.number is not None:
        given = plan.number.criterion or plan.number.share
        raise ValueError(
            f"X has missing entries, but n_components={given!r} needs complete rows. "
            "Pass an integer as n_components, or fill X with SpectralImputer."
        )
    if plan.learning.needs_samples:
        raise ValueError(
            "X has missing entries, but solver='adam' and stft_weight > 0 need "
            "complete rows. Pass another solver and stft_weight=0, or fill X with "
            "SpectralImputer."
        )


@dataclass(eq=False)
class _Algorithm:
    """The EM algorithm. ``result`` is the last fit, and ``model`` the current model."""

    rows: GappyRows
    plan: FitPlan
    monitor: Monitor
    # Whether the current model has been updated since the last fit.
    _ahead: bool = False

    def start(self) -> None:
        """Fit the moments of the pairs of entries."""
        pairs = PairwiseMoments.of(self.rows)
        n_samples = len(self.rows.values)
        moments = moments_of_pairs(pairs, self.plan.grid, n_samples, self.rows.dtype)
        self.result = self._fit(moments, self.plan)
        self._set(self._model_of(self.result))
        self.log_likelihoods = [self.found.log_likelihood]

    def run(self) -> None:
        """Alternate until the likelihood hardly rises."""
        entries = float(self.rows.weights @ self.rows.observed.sum(1))
        smallest = _TOLERANCE * self.plan.learning.settings.tol * entries
        for _ in range(_MAX_ROUNDS):
            before = self.log_likelihoods[-1]
            step = self.monitor.stage("missing entries", 1)
            if self.plan.shrinkage == 0:
                self._update_gaussian(smallest / 4)
            stopped = step(log_likelihood=self.log_likelihoods[-1])
            kept = self._update_atoms(few_steps=True)
            gain = self.log_likelihoods[-1] - before
            if stopped or self.result.stopped:
                return
            if not kept or gain < smallest:
                break
        # With other moments than at the start, other atoms may have become better.
        if self._update_atoms(few_steps=False) and self.plan.shrinkage == 0:
            self._update_gaussian(smallest / 4)
            self._update_atoms(few_steps=True)
        if self._ahead:
            moments = expected_moments(self.rows, self.model, self.found)
            self.result = self._fit(moments, self._continued(n_steps=0))

    def _update_gaussian(self, smallest: float) -> None:
        """Update mean, coordinates and noise until the likelihood hardly rises."""
        for _ in range(_MAX_INNER):
            new = maximise(self.rows, self.model, self.found, center=self.plan.center)
            if not self._try(new):
                break
            self._ahead = True
            if self._last_gain < smallest:
                break

    def _update_atoms(self, *, few_steps: bool) -> bool:
        """Move the atoms; return False if this does not raise the likelihood.

        With few steps, weak atoms are not replaced.
        """
        moments = expected_moments(self.rows, self.model, self.found)
        n_steps = _STEPS if few_steps else None
        result = self._fit(moments, self._continued(n_steps))
        if not self._try(self._model_of(result)):
            return False
        self.result, self._ahead = result, False
        return True

    def add_to(self, fitted: LinearModel, earlier: Moments) -> None:
        """Add the expected moments of the rows to those of earlier rows, and fit."""
        gaussian = GaussianPrior().fit_moments(
            fitted.coordinate_mean, fitted.coordinate_covariance, earlier.weight
        )
        self.log_likelihoods = []
        model, plan = _gaussian_model(fitted, gaussian, self.plan.device), self.plan
        for _ in range(2):
            self._set(model)
            self.log_likelihoods.append(self.found.log_likelihood)
            moments = expected_moments(self.rows, self.model, self.found)
            moments.merge(earlier.moved_to(self.plan.device))
            self.result = self._fit(moments, plan)
            model, plan = self._model_of(self.result), self._continued()

    def _fit(self, moments: Moments, plan: FitPlan) -> FitResult:
        result = fit_from_moments(moments, plan, GaussianPrior(), self.monitor)
        if plan.learning.renews:
            return result
        # The tolerance of the atoms is that of the whole algorithm.
        return replace(result, converged=True)

    def _continued(self, n_steps: int | None = None) -> FitPlan:
        """Return the plan that starts at the atoms of the last result.

        With a number of steps, weak atoms are not replaced.
        """
        params = as_tensor(self.result.model.dictionary.params, self.plan.device)
        learning = replace(
            self.plan.learning, start=Start("params", params=params), second=None
        )
        if n_steps is not None:
            n_steps = min(n_steps, learning.settings.max_iter)
            settings = replace(learning.settings, max_iter=n_steps)
            learning = replace(learning, settings=settings, renews=False)
        return replace(self.plan, learning=learning)

    def _model_of(self, result: FitResult) -> GaussianModel:
        return _gaussian_model(result.model, result.prior, self.plan.device)

    def _set(self, model: GaussianModel) -> None:
        self.model, self.found = model, expect(self.rows, model)

    def _try(self, model: GaussianModel) -> bool:
        """Take a model if it raises the likelihood, and return whether it does."""
        found: Expectation = expect(self.rows, model)
        self._last_gain = found.log_likelihood - self.log_likelihoods[-1]
        if not self._last_gain > 0:
            return False
        self.model, self.found = model, found
        self.log_likelihoods.append(found.log_likelihood)
        return True


def _gaussian_model(
    model: LinearModel, prior: Prior, device: torch.device
) -> GaussianModel:
    """Return the model of rows, from a fitted model with a Gaussian prior."""
    mean, _, basis = model.float64()
    (gaussian,) = prior.mixture().components
    variance = np.trace(model.coordinate_covariance) / model.grid.n_features
    noise = max(model.noise_variance, SMALLEST_NOISE * variance)
    return GaussianModel(
        as_tensor(mean, device),
        as_tensor(basis, device),
        as_tensor(gaussian.mean, device),
        as_tensor(gaussian.without_noise(noise).root, device),
        noise,
    )
