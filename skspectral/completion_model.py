"""What is not known of samples, given what is."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skspectral._device import (
    as_array,
    as_tensor,
    batch_rows,
    memory_advice,
    numpy_dtype,
    resolve_device,
    working_dtype,
)
from skspectral._random import draw_seed, random_stream
from skspectral._sklearn_compat import (
    Interval,
    check_same_namespace,
    from_namespace,
    to_namespace_of,
    validate_params,
)
from skspectral._validation import check_observation
from skspectral.gaussian import LinearObservation, Mixture, Posterior
from skspectral.gaussian.observation import least_change, rows_by_missing_entries
from skspectral.priors.protocol import as_prior, draw
from skspectral.probabilistic_model import OVERFLOW, ProbabilisticCodeModel

# Rows with the same entries missing that are filled at a time.
_BATCH_BYTES = 64 * 2**20
# Share of an operator outside the span of the atoms that is rounding.
_ROUNDING = 1e-12
# So many are drawn at a time, whatever memory there is: the draws are to be the same.
_ROWS_DRAWN = 64


class CompletionModel(ProbabilisticCodeModel):
    """Imputation, and draws of samples of which something is known.

    They are exact for priors made of Gaussians. `DiffusionPrior` draws, too.
    """

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
        mixture = self._mixture_or_ridge("impute with return_std", needed=return_std)
        checked, filled = self._with_gaps(X, "impute")
        std = np.zeros_like(filled) if return_std else None
        with memory_advice(self.batch_size):
            for entries, posterior, mean, basis in self._gaps(filled, mixture):
                filled[entries] = mean + posterior.mean(basis)
                if std is not None:
                    variance = posterior.variance(basis) + self.noise_variance_
                    std[entries] = np.sqrt(variance)
        if not np.isfinite(filled).all():
            raise ValueError(OVERFLOW)
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
            Each draw is X with its gaps filled, noise included. With a prior made of
            Gaussians their means and standard deviations tend to those of `impute`.

        Raises
        ------
        TypeError
            If the prior has neither a closed form nor a ``sample_given``.
        """
        check_is_fitted(self)
        stream = self._stream if random_state is None else random_stream(random_state)
        prior = as_prior(self.prior_)
        prior.require("conditioning", "sample_posterior")
        checked, known = self._with_gaps(X, "sample_posterior")
        draws = np.repeat(known[None], n_samples, axis=0)
        if not prior.capabilities.gaussians:
            self._fill_by_prior(draws, stream)
            return to_namespace_of(checked, draws)
        noise = self.noise_variance_
        with memory_advice(self.batch_size):
            for entries, posterior, mean, basis in self._gaps(
                known, prior.mixture(), _ROWS_DRAWN
            ):
                drawn = posterior.draw(n_samples, stream, basis, noise)
                draws[:, *entries] = mean + drawn
        return to_namespace_of(checked, draws)

    @validate_params(
        {
            "n_samples": [Interval(Integral, 1, None, closed="left")],
            "noise_variance": [Interval(Real, 0, None, closed="left")],
            "random_state": ["random_state"],
        },
        prefer_skip_nested_validation=True,
    )
    def sample_given(
        self,
        operator: ArrayLike,
        seen: ArrayLike,
        n_samples: int = 1,
        *,
        noise_variance: float = 0.0,
        y: Any = None,
        random_state: Any = None,
    ) -> np.ndarray:
        """Draw new signals of which linear functions are known.

        The functions may be products with low-frequency atoms (the details are drawn),
        local means (the resolution is raised), or any other measurements.

        Parameters
        ----------
        operator : array-like of shape (m, n_features)
            What is measured of a signal: ``operator @ signal``.
        seen : array-like of shape (m,) or (n_samples, m)
            What was measured, for all draws or for each.
        n_samples : int, default=1
        noise_variance : float, default=0.0
            Of white noise in what was measured; without, draws agree with it.
        y : object, default=None
            Label to draw for, with a prior that has labels and no closed form.
        random_state : int, RandomState instance or None, default=None
            As for `sample`.

        Returns
        -------
        signals : ndarray of shape (n_samples, n_features)
            In the span of the atoms, as those of `sample`, but for the least change
            that makes them agree where atoms cannot.

        Raises
        ------
        ValueError
            If shapes do not fit.
        TypeError
            If the prior has neither a closed form nor a ``sample_given`` of its own.
        """
        check_is_fitted(self)
        stream = self._stream if random_state is None else random_stream(random_state)
        n_features = self.n_features_in_
        matrix, values = check_observation(operator, seen, n_samples, n_features)
        mean, _, _, axes = (as_array(part, np.float64) for part in self._model())
        values = values - matrix @ mean
        inside = matrix @ axes.T
        outside = matrix - inside @ axes
        within = (outside**2).sum() <= _ROUNDING * (matrix**2).sum()
        noise: float | np.ndarray = noise_variance
        if not within:
            # What the model has outside the span is noise.
            noise = self.noise_variance_ * (outside @ outside.T)
            noise = noise + noise_variance * np.eye(len(matrix))
        coordinates = as_prior(self.prior_).sample_given(
            inside,
            values,
            n_samples,
            noise_variance=noise,
            y=y,
            random_state=draw_seed(stream),
        )
        signals = self._signals(coordinates)
        if within:
            return signals
        missed = values - coordinates @ inside.T
        change = least_change(outside, missed, noise_variance / self.noise_variance_)
        dtype = numpy_dtype(working_dtype(from_namespace(signals)))
        return signals + to_namespace_of(signals, change.astype(dtype))

    def _fill_by_prior(self, draws: np.ndarray, stream: np.random.Generator) -> None:
        """Fill each of several draws (n_samples, n, T) by the prior's own method."""
        mean, _, _, axes = (as_array(part, np.float64) for part in self._model())
        noise_variance = self.noise_variance_
        # Draws of the prior have the share of the noise that is in the span.
        rest = np.sqrt(noise_variance * (1 - len(axes) / len(mean)))
        flat = draws.reshape(-1, draws.shape[-1])
        for rows, missing in rows_by_missing_entries(np.isnan(flat)):
            there = ~missing
            if there.any():
                seen = flat[rows][:, there] - mean[there]
                codes = as_prior(self.prior_).sample_given(
                    axes[:, there].T,
                    seen,
                    len(rows),
                    noise_variance=noise_variance,
                    random_state=draw_seed(stream),
                )
            else:
                codes = draw(self.prior_, len(rows), len(axes), None, stream)
            noise = stream.standard_normal((len(rows), missing.sum()))
            filled = codes @ axes[:, missing] + mean[missing]
            flat[np.ix_(rows, missing)] = filled + rest * noise

    def _with_gaps(self, X: ArrayLike, method: str) -> tuple[Any, np.ndarray]:
        """Checked X, and a numpy copy that may be written to."""
        check_same_namespace(X, self, attribute="components_", method=method)
        checked = self._checked(X, reset=False, all_finite="allow-nan")
        samples = from_namespace(checked)
        copy = np.array(as_array(samples, numpy_dtype(working_dtype(samples))))
        return checked, copy

    def _gaps(
        self, X: np.ndarray, mixture: Mixture, n_rows: int | None = None
    ) -> Iterator[tuple[Any, Posterior, np.ndarray, torch.Tensor]]:
        """Missing entries, posterior of the coordinates, mean and basis there."""
        mean, _, _, axes = self._model()
        device = resolve_device(self.device, axes)
        noise = self.noise_variance_
        clean = mixture.without_noise(noise)
        mean = as_array(mean, np.float64)
        # Entry by entry, so that those of a pattern are taken in whole rows.
        by_entry = as_tensor(axes, device, torch.float64).T.contiguous()
        if n_rows is None:
            # Each component has coordinates of its own.
            n_numbers = max(X.shape[1], len(mixture) * len(self._axes))
            n_bytes = _BATCH_BYTES * X.shape[1] // n_numbers
            n_rows = batch_rows(X, self.batch_size, n_bytes, device)
        for rows, missing in rows_by_missing_entries(np.isnan(X)):
            there, gone = np.flatnonzero(~missing), np.flatnonzero(missing)
            of_there, of_gone = (
                by_entry[torch.from_numpy(entries).to(device)]
                for entries in (there, gone)
            )
            observation = LinearObservation(of_there, noise, device).factorise(clean)
            for start in range(0, len(rows), n_rows):
                batch = rows[start : start + n_rows]
                observed = X[np.ix_(batch, there)].astype(np.float64) - mean[there]
                posterior = observation.condition(observed)
                yield np.ix_(batch, gone), posterior, mean[gone], of_gone.T
