"""What x = mean + w S + noise and a prior on w tell of samples, in closed form."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from numbers import Integral
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skspectral._device import (
    Samples,
    as_array,
    as_tensor,
    batch_rows,
    memory_advice,
    numpy_dtype,
    resolve_device,
    working_dtype,
)
from skspectral._random import random_stream
from skspectral._sklearn_compat import (
    Interval,
    as_numbers,
    check_same_namespace,
    from_namespace,
    to_namespace_of,
    validate_params,
)
from skspectral._validation import refuse_what_is_not_finite
from skspectral.coding import add_residuals, combine, coordinates_and_energy
from skspectral.conditional import Conditional, PartlySeen, patterns
from skspectral.inference import log_density, posterior_mean, ridge_law
from skspectral.linear_code_model import LinearCodeModel
from skspectral.priors.closed_form import gaussian_components, has_closed_form
from skspectral.priors.normal import Mixture
from skspectral.priors.spectrum import wiener_gain

# Rows with the same entries missing that are filled at a time.
_BATCH_BYTES = 64 * 2**20
# So many are drawn at a time, whatever memory there is: the draws are to be the same.
_ROWS_DRAWN = 64

_OVERFLOW = "The squares of X overflow. Scale X down."


class ProbabilisticCodeModel(LinearCodeModel):
    """Likelihood, denoising, imputation and conditional draws.

    They are exact for priors made of Gaussians: `GaussianPrior`, `GaussianMixture`,
    `ClassConditionalPrior` of these, and scikit-learn's mixtures.
    """

    ridge: float

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Log-density of each sample under mean + w S + noise and the prior.

        Costs one matrix product and O(K^2) more for each sample and component of the
        prior. Low values tell of anomalies.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float64, in nats

        Raises
        ------
        TypeError
            If the density of the prior has no closed form.
        """
        check_is_fitted(self)
        mixture = gaussian_components(self.prior_)
        checked, _, coordinates, energy = self._seen(X, "score_samples")
        density = log_density(
            coordinates, energy, self.n_features_in_, mixture, self.noise_variance_
        )
        return to_namespace_of(checked, density)

    def score(self, X: ArrayLike, y: Any = None) -> float:
        """Mean of `score_samples`, in nats; higher is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored

        Returns
        -------
        score : float
        """
        return float(as_array(from_namespace(self.score_samples(X))).mean())

    def denoise(
        self, X: ArrayLike, noise_std: float | ArrayLike | None = None
    ) -> np.ndarray:
        """Posterior mean of the samples without their noise.

        Costs two matrix products and O(K^2) more for each sample and component of the
        prior. With a prior that has no closed form: the reconstruction from ridge
        least-squares codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        noise_std : float, array-like of shape (n_samples,) or None, default=None
            Standard deviation of the white noise in X, or in each row. None is that of
            the fitted model, ``noise_variance_ ** 0.5``: all that the atoms leave is
            noise. Where it is less, the rest of what the atoms leave is signal, and is
            kept in part; 0 returns X. Where it is more, X is noisier than the samples
            of fit were.

        Returns
        -------
        signals : ndarray of shape (n_samples, n_features)
            In the dtype of X; float32 for uint8.

        Raises
        ------
        ValueError
            If ``noise_std`` is negative, not finite, or of another length than X.
        TypeError
            If ``noise_std`` is given and the prior has no closed form.

        Notes
        -----
        To clean data by what was learned from clean data, take atoms enough to leave
        less than the noise to be removed: ``n_components`` up to ``n_features``.
        """
        check_is_fitted(self)
        mixture = self._mixture_or_ridge(needed=noise_std is not None)
        checked, samples, coordinates, _ = self._seen(X, "denoise")
        fitted = self.noise_variance_
        noise = self._noise_variances(noise_std, len(samples))
        # Of the variance that the atoms leave in the samples of fit, so much is noise.
        removed = np.minimum(noise, fitted)
        kept = wiener_gain(fitted - removed, noise)
        clean = posterior_mean(coordinates, mixture, noise, removed)
        mean, _, _, axes = self._model()
        where = {"device": resolve_device(self.device, samples)}
        with memory_advice(self.batch_size):
            signals = combine(
                clean - kept * coordinates,
                mean,
                axes,
                dtype=working_dtype(samples),
                like=samples,
                **where,
            )
            if kept.any():
                size = self.batch_size
                add_residuals(
                    signals, samples, mean, kept[:, 0], batch_size=size, **where
                )
        return to_namespace_of(checked, signals)

    def impute(self, X: ArrayLike, *, return_std: bool = False) -> Any:
        """Fill missing entries with their posterior mean, given the others.

        Rows that miss the same entries share their matrices: K^3 + K^2 T for each such
        pattern, then O(K T) for each row, both for each component. With a prior that
        has no closed form: from ridge least-squares codes of the entries that are seen.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN marks a missing entry; a row may miss any of them, or all.
        return_std : bool, default=False
            Whether to return the posterior standard deviations, too.

        Returns
        -------
        filled : ndarray of shape (n_samples, n_features)
            X with the entries that were seen as they were; float32 for uint8.
        std : ndarray of shape (n_samples, n_features)
            Only if ``return_std``: of the missing entries as they would be seen, with
            noise; 0 for the others.

        Raises
        ------
        TypeError
            If ``return_std`` and the prior has no closed form.
        """
        check_is_fitted(self)
        mixture = self._mixture_or_ridge(needed=return_std)
        checked, filled = self._with_gaps(X, "impute")
        std = np.zeros_like(filled) if return_std else None
        with memory_advice(self.batch_size):
            for rows, missing, law, seen in self._gaps(filled, mixture):
                mean, variance = law.mean_and_variance(seen, with_variance=return_std)
                filled[np.ix_(rows, missing)] = as_array(mean)
                if std is not None and variance is not None:
                    std[np.ix_(rows, missing)] = as_array(variance.sqrt())
        if not np.isfinite(filled).all():
            raise ValueError(_OVERFLOW)
        if std is not None:
            return to_namespace_of(checked, filled), to_namespace_of(checked, std)
        return to_namespace_of(checked, filled)

    @validate_params(
        {
            "n_samples": [Interval(Integral, 1, None, closed="left")],
            "random_state": ["random_state"],
        },
        prefer_skip_nested_validation=True,
    )
    def sample_posterior(
        self, X: ArrayLike, n_samples: int = 1, random_state: Any = None
    ) -> np.ndarray:
        """Draw what the missing entries may be, given the others.

        Parameters
        ----------
        X : array-like of shape (n_samples_X, n_features)
            NaN marks a missing entry.
        n_samples : int, default=1
            Number of draws for each row.
        random_state : int, RandomState instance or None, default=None
            As for `sample`.

        Returns
        -------
        draws : ndarray of shape (n_samples, n_samples_X, n_features)
            Each draw is X with its gaps filled, noise included; their means and
            standard deviations tend to those of `impute`.

        Raises
        ------
        TypeError
            If the prior has no closed form.
        """
        check_is_fitted(self)
        stream = self._stream if random_state is None else random_stream(random_state)
        mixture = self._mixture_or_ridge(needed=True)
        checked, known = self._with_gaps(X, "sample_posterior")
        draws = np.repeat(known[None], n_samples, axis=0)
        with memory_advice(self.batch_size):
            for rows, missing, law, seen in self._gaps(known, mixture, _ROWS_DRAWN):
                drawn = law.draw(seen, n_samples, stream)
                draws[:, rows[:, None], missing] = as_array(drawn)
        return to_namespace_of(checked, draws)

    def _seen(
        self, X: ArrayLike, method: str
    ) -> tuple[Any, Samples, np.ndarray, np.ndarray]:
        """Checked X, the same as samples, their coordinates and squared norms."""
        check_same_namespace(X, self, attribute="components_", method=method)
        checked = self._checked(X, reset=False)
        samples = from_namespace(checked)
        mean, _, _, axes = self._model()
        with memory_advice(self.batch_size):
            coordinates, energy = coordinates_and_energy(
                samples,
                mean,
                axes,
                batch_size=self.batch_size,
                device=resolve_device(self.device, samples),
            )
        if not np.isfinite(energy).all():
            refuse_what_is_not_finite(checked, self)
            raise ValueError(_OVERFLOW)
        return checked, samples, coordinates, energy

    def _with_gaps(self, X: ArrayLike, method: str) -> tuple[Any, np.ndarray]:
        """Checked X, and a numpy copy that may be written to."""
        check_same_namespace(X, self, attribute="components_", method=method)
        checked = self._checked(X, reset=False, all_finite="allow-nan")
        samples = from_namespace(checked)
        copy = np.array(as_array(samples, numpy_dtype(working_dtype(samples))))
        return checked, copy

    def _gaps(
        self, X: np.ndarray, mixture: Mixture, n_rows: int | None = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray, Conditional, torch.Tensor]]:
        """Rows, what they miss, its law, and the entries seen: batch by batch."""
        mean, _, _, axes = self._model()
        device = resolve_device(self.device, axes)
        noise = self.noise_variance_
        clean = [(weight, normal.without_noise(noise)) for weight, normal in mixture]
        model = PartlySeen(mean, axes, clean, noise, device)
        if n_rows is None:
            # Each component has coordinates of its own.
            n_numbers = max(X.shape[1], len(mixture) * len(self._axes))
            n_bytes = _BATCH_BYTES * X.shape[1] // n_numbers
            n_rows = batch_rows(X, self.batch_size, n_bytes, device)
        for rows, missing in patterns(np.isnan(X)):
            law = model.given(~missing)
            for start in range(0, len(rows), n_rows):
                batch = rows[start : start + n_rows]
                seen = as_tensor(X[batch][:, ~missing], device, torch.float64)
                yield batch, np.flatnonzero(missing), law, seen

    def _mixture_or_ridge(self, *, needed: bool) -> Mixture:
        """Gaussians of the prior or, if not ``needed``, what stands for ridge codes."""
        if needed or has_closed_form(self.prior_):
            return gaussian_components(self.prior_)
        _, _, atoms, axes = (as_array(part) for part in self._model())
        return [(1.0, ridge_law(atoms @ axes.T, self.noise_variance_, self.ridge))]

    def _noise_variances(
        self, noise_std: float | ArrayLike | None, n_samples: int
    ) -> np.ndarray:
        """Variance of the noise in each row, shape (n_samples, 1)."""
        if noise_std is None:
            return np.full((n_samples, 1), self.noise_variance_)
        given = as_numbers(noise_std)
        if given.shape not in ((), (n_samples,)):
            raise ValueError(
                f"noise_std of shape {given.shape} must be one number, or one for each "
                f"of the {n_samples} rows of X."
            )
        with np.errstate(over="ignore"):
            variances = given**2
        if not (np.isfinite(variances) & (given >= 0)).all():
            raise ValueError(
                f"noise_std={noise_std!r} must be standard deviations: finite and >= 0."
            )
        return np.broadcast_to(variances, (n_samples,))[:, None]
