"""The estimator `UnevenSpectralDictionary`."""
# SPDX-License-Identifier: BSD-3-Clause

import math
import warnings
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from skspectral._missing import missing_as_nan
from skspectral._progress import CallbackMonitor
from skspectral._sklearn_compat import (
    Estimator,
    Interval,
    StrOptions,
    check_array,
    fit_context,
    validate_data,
)
from skspectral.uneven.codes import CodePrior, NormalEquations, Waves
from skspectral.uneven.learning import Plan, learn_waves
from skspectral.uneven.rows import TimedRows, timed_rows

# A Gaussian prior of the codes is fitted to at least this number of rows per code.
_ROWS_PER_CODE = 2


class UnevenSpectralDictionary(
    CallbackSupportMixin, ClassNamePrefixFeaturesOutMixin, TransformerMixin, Estimator
):
    """Dictionary of sinusoids for rows that were observed at their own times.

    Each row of values x_n at the times t_nl is written as::

        x_n(t) = c_n + sum_k w_nk sin(2 pi f_k (t - start) + phase_k) + noise

    All rows share the K frequencies and phases. The codes w_n and, with ``fit_mean``,
    the constant c_n belong to one row. Rows may have different numbers of values, at
    any times, so that light curves, sensor readings and other irregular series need no
    interpolation. The result can be evaluated at any time.

    Parameters
    ----------
    n_components : int, default=8
        Number K of sinusoids. A tone whose phase differs from row to row needs two.
    max_frequency : float or None, default=None
        Highest frequency, in cycles per unit of time. Uneven times carry information
        about frequencies far above their mean rate, so that it may be many times the
        default. None means half of the median number of values per unit of time. The
        time and the memory of the search are proportional to it.
    fit_mean : bool, default=True
        Whether each row has a constant of its own, which is its last code.
    prior : {"auto", "gaussian", "flat"}, default="auto"
        Distribution of the codes.

        - "gaussian": one Gaussian for all rows, fitted with the noise by an EM
          algorithm. It makes the codes of short rows and the likelihood of new rows
          meaningful.
        - "flat": least-squares codes.
        - "auto": "gaussian" for at least two rows per code, else "flat".
    ridge : float, default=1e-6
        Relative ridge of the least-squares codes, which keeps codes finite if a row has
        fewer values than codes.
    max_iter : int, default=50
        Largest number of Gauss-Newton iterations after the last wave was selected.
    tol : float, default=1e-4
        Relative tolerance of the residual sum of squares.

    Attributes
    ----------
    frequencies_ : ndarray of shape (n_components,)
        Frequencies in cycles per unit of time, or in Hz for dates. The waves are in
        the order of the sums of squares that they contribute.
    phases_ : ndarray of shape (n_components,)
        Phases at the first time ``time_range_[0]``, in radians in [0, pi).
    explained_variance_ratio_ : ndarray of shape (n_components,)
        Fraction of the sum of squares about the mean of each row that each wave adds to
        the waves before it, with least-squares codes. Without ``fit_mean`` the sum of
        squares is that about 0.
    time_range_ : tuple of two floats
        First and last time in `fit`, in the units of the times. Dates are seconds since
        ``time_origin_``.
    time_origin_ : datetime64 or None
        Origin of times of the type datetime64; None if times are numbers.
    noise_variance_ : float
        Variance of the noise.
    code_mean_ : ndarray of shape (n_codes,)
        Mean of the codes. With a flat prior, zeros.
    code_covariance_ : ndarray of shape (n_codes, n_codes) or None
        Covariance of the codes. None with a flat prior.
    n_iter_ : int
        Number of Gauss-Newton iterations after the last wave was selected.
    converged_ : bool
        Whether these reached ``tol``.
    n_features_in_ : int
        Number of columns of X. Set only if `fit` was called without ``times``.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the columns. Set only if X has names that are all strings, and `fit`
        was called without ``times``.

    See Also
    --------
    skspectral.uneven.periodogram : What a wave of each frequency explains.
    skspectral.SpectralDictionaryLearning : For rows at the same regular times, with
        modulated atoms. It also takes rows with missing entries.

    Notes
    -----
    For n rows of L values, a Gauss-Newton iteration costs O(n L K^2). A search for new
    waves costs O(n M log M), with M = 80 times ``max_frequency`` times the span.

    With scikit-learn's metadata routing, ``times`` reaches the steps of pipelines and
    searches: call ``set_fit_request(times=True)``, and likewise for the other methods.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.uneven import UnevenSpectralDictionary
    >>> rng = np.random.default_rng(0)
    >>> times = np.sort(rng.uniform(0, 10, (50, 40)), axis=1)
    >>> X = rng.normal(size=(50, 1)) * np.sin(2 * np.pi * 1.7 * times)
    >>> X += 0.1 * rng.normal(size=X.shape)
    >>> est = UnevenSpectralDictionary(1).fit(X, times=times)
    >>> est.frequencies_.round(2)
    array([1.7])
    >>> at = np.arange(0, 10, 0.1)
    >>> mean, std = est.predict(X, times=times, at=at, return_std=True)
    >>> mean.shape
    (50, 100)
    """

    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left")],
        "max_frequency": [Interval(Real, 0, None, closed="neither"), None],
        "fit_mean": ["boolean"],
        "prior": [StrOptions({"auto", "gaussian", "flat"})],
        "ridge": [Interval(Real, 0, 1, closed="left")],
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        n_components: int = 8,
        *,
        max_frequency: float | None = None,
        fit_mean: bool = True,
        prior: str = "auto",
        ridge: float = 1e-6,
        max_iter: int = 50,
        tol: float = 1e-4,
    ):
        self.n_components = n_components
        self.max_frequency = max_frequency
        self.fit_mean = fit_mean
        self.prior = prior
        self.ridge = ridge
        self.max_iter = max_iter
        self.tol = tol

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: Any, y: Any = None, times: Any = None
    ) -> "UnevenSpectralDictionary":
        """Learn the waves and the distribution of the codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_times), or sequence of sequences
            Values, one row per signal. NaN marks padding and missing entries. Rows of
            different lengths may be a list of one-dimensional arrays, or, without
            ``times``, a list of tuples (times, values).
        y : object, default=None
            Not used, present for API consistency by convention.
        times : array-like of shape (n_samples, n_times) or (n_times,), or sequence of \
                sequences, default=None
            Times of the values, in any order; equal times are allowed. Dates
            (datetime64) count as seconds. None means 0, 1, 2, ... in each row.

        Returns
        -------
        self : UnevenSpectralDictionary
            The fitted estimator.

        Raises
        ------
        ValueError
            If values and times do not agree, a value has no finite time, or X has no
            variance.
        ValueError
            If a parameter has an invalid value.
        TypeError
            If some times are dates and others are numbers.
        """
        rows, origin = self._rows(X, times, reset=True)
        start, stop = rows.limits()
        span = stop - start
        if not span > 0:
            raise ValueError(
                f"All values have the time {start}. Pass rows with at least two "
                "different times."
            )
        total = float((self._about_means(rows).values ** 2).sum())
        scale = float((rows.values**2).sum())
        if not total > 1e-20 * scale:
            raise ValueError(
                "X has no variance within its rows, so that there is no wave to learn. "
                "Pass rows that vary over time."
            )
        if not math.isfinite(scale):
            raise ValueError("The squares of X overflow. Divide X by a large number.")
        highest = self.max_frequency
        if highest is None:
            highest = _median_rate(rows) / 2
        plan = Plan(
            self.n_components,
            highest * span,
            self.fit_mean,
            self._ridge,
            self.max_iter,
            self.tol,
        )
        inside = rows.scaled(start, span)
        monitor = CallbackMonitor(self)
        learned = learn_waves(inside, plan, monitor.stage("waves", None))
        monitor.close()
        self.time_range_, self.time_origin_ = (start, stop), origin
        self._publish(learned.waves, inside, total)
        self.n_iter_ = max(1, len(learned.residuals) - 1)
        self.converged_ = learned.converged
        if not learned.converged:
            warnings.warn(
                f"The waves had not converged after max_iter={self.max_iter} "
                "iterations. Increase max_iter, or tol.",
                ConvergenceWarning,
                stacklevel=2,
            )
        return self

    def _publish(self, waves: Waves, rows: TimedRows, total: float) -> None:
        """Set the fitted attributes, with the waves in the order of their energies."""
        ridge = self._ridge
        equations = NormalEquations.of(rows, waves)
        codes, _ = equations.least_squares(ridge)
        n_waves = len(waves.frequency)
        energy = (codes**2 * equations.gram.diagonal(dim1=1, dim2=2)).sum(0)
        order = energy[:n_waves].argsort(descending=True, stable=True)
        # The phase at the first time, where the scaled time is -1/2.
        phase = waves.phase[order] - math.pi * waves.frequency[order]
        folded = torch.remainder(phase, math.pi)
        start, stop = self.time_range_
        self.frequencies_ = (waves.frequency[order] / (stop - start)).numpy()
        self.phases_ = torch.where(folded < math.pi, folded, 0.0).numpy()
        waves = self._waves
        equations = NormalEquations.of(rows, waves)
        left = [total]
        for k in range(1, n_waves + 1):
            kept = [*range(k), *range(n_waves, waves.n_codes)]
            left.append(_residual_of(equations, kept, ridge))
        self.explained_variance_ratio_ = -np.diff(left) / total
        use_gaussian = self.prior == "gaussian" or (
            self.prior == "auto" and len(rows) >= _ROWS_PER_CODE * waves.n_codes
        )
        fit = CodePrior.fit if use_gaussian else CodePrior.flat
        prior = fit(equations, ridge)
        self.noise_variance_ = prior.noise
        self.code_mean_ = prior.mean.numpy()
        covariance = prior.covariance
        self.code_covariance_ = None if covariance is None else covariance.numpy()

    @property
    def _waves(self) -> Waves:
        """The waves at times that are scaled to run from -1/2 to 1/2."""
        start, stop = self.time_range_
        frequency = torch.from_numpy(self.frequencies_) * (stop - start)
        phase = torch.from_numpy(self.phases_) + math.pi * frequency
        return Waves(frequency, phase, bool(self.fit_mean))

    @property
    def _prior(self) -> CodePrior:
        """The distribution of the codes."""
        covariance = self.code_covariance_
        return CodePrior(
            torch.from_numpy(self.code_mean_),
            None if covariance is None else torch.from_numpy(covariance),
            self.noise_variance_,
            self._ridge,
        )

    @property
    def _ridge(self) -> float:
        """The relative ridge, which keeps dependent waves solvable also if it is 0."""
        return max(self.ridge, 1e-12)

    def fit_transform(self, X: Any, y: Any = None, times: Any = None) -> np.ndarray:
        """Learn from rows, and return their codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_times), or sequence of sequences
            Values, as in `fit`.
        y : object, default=None
            Not used, present for API consistency by convention.
        times : array-like or sequence of sequences, default=None
            Times, as in `fit`.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_codes)
            Codes, as `transform` returns them.
        """
        return self.fit(X, y, times=times).transform(X, times=times)

    def transform(self, X: Any, times: Any = None) -> np.ndarray:
        """Compute the posterior means of the codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_times), or sequence of sequences
            Values, as in `fit`. The rows may have other lengths and times.
        times : array-like or sequence of sequences, default=None
            Times, as in `fit`. They are needed if `fit` had times.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_codes)
            Codes of the waves and, with ``fit_mean``, the constant of the row. With a
            flat prior they are least-squares codes.

        Raises
        ------
        ValueError
            If values and times do not agree.
        """
        equations, _ = self._equations(X, times)
        return self._prior.posterior(equations)[0].numpy()

    def inverse_transform(self, X: ArrayLike, times: Any = None) -> np.ndarray:
        """Compute the signals of given codes at any times.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes, as `transform` returns them.
        times : array-like of shape (n_times,) or (n_samples, n_times), default=None
            Times at which to evaluate the signals. None means 0, 1, 2, ... as in a
            `fit` without times.

        Returns
        -------
        signals : ndarray of shape (n_samples, n_times)
            Values of the signals.

        Raises
        ------
        ValueError
            If X has another number of columns than the codes of `transform`.
        """
        check_is_fitted(self)
        codes = check_array(X, "X", dtype=np.float64)
        if codes.shape[1] != self._waves.n_codes:
            raise ValueError(
                f"X has {codes.shape[1]} columns, but inverse_transform expects the "
                f"{self._waves.n_codes} codes per row that transform returns."
            )
        atoms = self._atoms_at(times, len(codes))
        return (torch.from_numpy(codes)[:, None] @ atoms)[:, 0].numpy()

    def predict(
        self, X: Any, times: Any = None, *, at: Any = None, return_std: bool = False
    ) -> Any:
        """Compute the posterior mean of the signals at any times.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_times), or sequence of sequences
            Observed values, as in `fit`.
        times : array-like or sequence of sequences, default=None
            Times of the observed values, as in `fit`.
        at : array-like of shape (n_new,) or (n_samples, n_new), default=None
            Times at which to evaluate the signals. None means ``times``.
        return_std : bool, default=False
            Whether to return the posterior standard deviation of the signals, too. It
            does not contain the noise of an observation.

        Returns
        -------
        signals : ndarray of shape (n_samples, n_new)
            Posterior means. With ``at=None`` they are NaN where X is padded.
        std : ndarray of shape (n_samples, n_new)
            Posterior standard deviations. Returned only if ``return_std`` is True.

        Raises
        ------
        ValueError
            If values and times do not agree.
        """
        equations, rows = self._equations(X, times)
        codes, covariance = self._prior.posterior(equations)
        if at is None:
            atoms = self._waves.at(rows.times, torch.ones_like(rows.times))
            hidden = (rows.observed == 0).numpy()
        else:
            atoms = self._atoms_at(at, len(rows))
            hidden = None
        mean = (codes[:, None] @ atoms)[:, 0].numpy()
        std = ((covariance @ atoms) * atoms).sum(1).clamp_min(0).sqrt().numpy()
        if hidden is not None:
            mean[hidden] = std[hidden] = np.nan
        return (mean, std) if return_std else mean

    def score_samples(self, X: Any, times: Any = None) -> np.ndarray:
        """Compute the log-likelihood of the observed values of each row.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_times), or sequence of sequences
            Values, as in `fit`.
        times : array-like or sequence of sequences, default=None
            Times, as in `fit`.

        Returns
        -------
        log_density : ndarray of shape (n_samples,)
            Log-density of each row, in nats. With a flat prior, that at the
            least-squares codes, which favours many waves.
        """
        equations, _ = self._equations(X, times)
        return self._prior.log_density(equations).numpy()

    def score(self, X: Any, y: Any = None, times: Any = None) -> float:
        """Compute the mean log-likelihood of the rows; higher is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_times), or sequence of sequences
            Values, as in `fit`.
        y : object, default=None
            Not used, present for API consistency by convention.
        times : array-like or sequence of sequences, default=None
            Times, as in `fit`.

        Returns
        -------
        score : float
            Mean of `score_samples`.
        """
        return float(self.score_samples(X, times).mean())

    def _rows(
        self, X: Any, times: Any, *, reset: bool = False
    ) -> tuple[TimedRows, Any]:
        """Return the checked rows, and the origin of their times."""
        if reset:
            for name in ("n_features_in_", "feature_names_in_"):
                self.__dict__.pop(name, None)
        pairs = isinstance(X, (list, tuple)) and any(
            isinstance(row, tuple) for row in X
        )
        regular = times is None and not pairs
        if not reset and regular != hasattr(self, "n_features_in_"):
            raise ValueError(
                "times is needed in all calls or in none: "
                + (
                    "fit was called with times. Pass the times of X."
                    if regular
                    else "fit was called without times. Leave times out, or call fit "
                    "with times."
                )
            )
        if regular:
            X = validate_data(
                self,
                missing_as_nan(X),
                dtype=np.float64,
                ensure_all_finite="allow-nan",
                ensure_min_features=2 if reset else 1,
                reset=reset,
            )
        origin = None if reset else self.time_origin_
        return timed_rows(X, times, origin)

    def _about_means(self, rows: TimedRows) -> TimedRows:
        return rows.centred() if self.fit_mean else rows

    def _equations(self, X: Any, times: Any) -> tuple[NormalEquations, TimedRows]:
        """Return the normal equations of rows, and the rows at scaled times."""
        check_is_fitted(self)
        rows, _ = self._rows(X, times)
        start, stop = self.time_range_
        rows = rows.scaled(start, stop - start)
        return NormalEquations.of(rows, self._waves), rows

    def _atoms_at(self, times: Any, n_rows: int) -> torch.Tensor:
        """Return the atoms at times for n rows, (n or 1, n_codes, m)."""
        start, stop = self.time_range_
        if times is None:
            if not hasattr(self, "n_features_in_"):
                raise ValueError(
                    "times=None, but fit was called with times. Pass the times at "
                    "which to evaluate the signals."
                )
            times = np.arange(float(self.n_features_in_))
        table = np.atleast_2d(np.asarray(times))
        if table.shape[0] not in (1, n_rows):
            raise ValueError(
                f"times of shape {np.shape(times)} must have one dimension, or one row "
                f"for each of the {n_rows} rows."
            )
        at, _ = timed_rows(np.zeros(table.shape), table, self.time_origin_)
        at = at.scaled(start, stop - start)
        return self._waves.at(at.times, at.observed)

    @property
    def _n_features_out(self) -> int:
        return self._waves.n_codes

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the codes.

        Parameters
        ----------
        input_features : object, default=None
            Not used, present for API consistency by convention.

        Returns
        -------
        names : ndarray of str
            Names such as "unevenspectraldictionary0", and one that ends with "_mean"
            for the constant.
        """
        names = super().get_feature_names_out(input_features)
        if self.fit_mean:
            names[-1] = names[-1].rstrip("0123456789") + "_mean"
        return names

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.transformer_tags.preserves_dtype = ["float64"]
        return tags


def _median_rate(rows: TimedRows) -> float:
    """Return the median number of values per unit of time."""
    rates = []
    for times, observed in zip(rows.times, rows.observed, strict=True):
        seen = times[observed > 0]
        span = float(seen.max() - seen.min())
        if span > 0:
            rates.append((len(seen) - 1) / span)
    return float(np.median(rates))


def _residual_of(equations: NormalEquations, kept: list[int], ridge: float) -> float:
    """Return the sum of squares that the codes of given indices leave."""
    part = NormalEquations(
        equations.gram[:, kept][:, :, kept],
        equations.right[:, kept],
        equations.energy,
        equations.counts,
    )
    return float(part.least_squares(ridge)[1].sum())
