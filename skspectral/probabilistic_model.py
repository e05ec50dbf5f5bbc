"""What x = mean + w S + noise and a prior on w tell of samples, in closed form."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skspectral._device import (
    Samples,
    as_array,
    memory_advice,
    resolve_device,
    working_dtype,
)
from skspectral._sklearn_compat import (
    as_numbers,
    check_same_namespace,
    from_namespace,
    to_namespace_of,
)
from skspectral._validation import refuse_what_is_not_finite
from skspectral.coding import add_residuals, combine, coordinates_and_energy
from skspectral.gaussian import LinearObservation, Mixture
from skspectral.gaussian.gaussian import ridge_gaussian, wiener_gain
from skspectral.likelihood import log_density
from skspectral.linear_code_model import LinearCodeModel
from skspectral.priors.protocol import as_prior

OVERFLOW = "The squares of X overflow. Scale X down."


class ProbabilisticCodeModel(LinearCodeModel):
    """Likelihood and denoising.

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
        mixture = self._mixture("score_samples")
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
        mixture = self._mixture_or_ridge(
            "denoise with noise_std", needed=noise_std is not None
        )
        checked, samples, coordinates, _ = self._seen(X, "denoise")
        fitted = self.noise_variance_
        noise = self._noise_variances(noise_std, len(samples))
        # Of the variance that the atoms leave in the samples of fit, so much is noise.
        removed = np.minimum(noise, fitted)
        kept = wiener_gain(fitted - removed, noise)
        posterior = LinearObservation(None, noise).condition(
            mixture, coordinates, removed=removed
        )
        clean = posterior.mean()
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
            raise ValueError(OVERFLOW)
        return checked, samples, coordinates, energy

    def _mixture(self, asked: str) -> Mixture:
        """Gaussians of the prior, which must be made of them."""
        prior = as_prior(self.prior_)
        prior.require("gaussians", asked)
        return prior.mixture()

    def _mixture_or_ridge(self, asked: str, *, needed: bool) -> Mixture:
        """Gaussians of the prior or, if not ``needed``, what stands for ridge codes."""
        if needed or as_prior(self.prior_).capabilities.gaussians:
            return self._mixture(asked)
        _, _, atoms, axes = (as_array(part) for part in self._model())
        ridge = ridge_gaussian(atoms @ axes.T, self.noise_variance_, self.ridge)
        return Mixture(np.ones(1), (ridge,))

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
