"""The estimator: it checks the input, calls one function a method, and stores."""
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import (
    BaseEstimator,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    clone,
)
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils.validation import check_is_fitted

from skspectral._device import (
    Samples,
    as_array,
    numpy_dtype,
    resolve_device,
    training_mode,
    working_dtype,
)
from skspectral._missing import missing_as_nan, refuse_missing
from skspectral._progress import CallbackMonitor
from skspectral._random import random_stream
from skspectral._sklearn_compat import (
    HasMethods,
    Interval,
    StrOptions,
    as_numbers,
    check_array,
    check_same_namespace,
    fit_context,
    from_namespace,
    in_native_form,
    input_dtypes,
    to_namespace_of,
    validate_data,
    validated,
)
from skspectral._validation import (
    check_finite,
    check_observation,
    check_weights,
    input_errors,
    input_names_restored_on_failure,
    refuse_unusable_tensors,
    row_weights,
)
from skspectral.atoms import FAMILIES, MODULATIONS
from skspectral.atoms.family import AtomFamily, Modulation
from skspectral.covariance import ModelCovariance, mahalanobis
from skspectral.denoise import denoise
from skspectral.fit import FitResult, fit_model
from skspectral.fit_plan import FitPlan, stft_from_params
from skspectral.generate import sample_given
from skspectral.impute import impute, sample_posterior
from skspectral.likelihood import component_probabilities, score_samples
from skspectral.likelihood import n_parameters as count_parameters
from skspectral.model import LinearModel, is_finite
from skspectral.moments import Moments
from skspectral.priors.protocol import depends_on_time, draw, needs_labels, new_prior

_CPU = torch.device("cpu")
_COUNT = [Interval(Integral, 1, None, closed="left")]


class SpectralDictionaryLearning(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    BaseEstimator,
):
    """Learn K sinusoidal atoms, codes in closed form, and a prior to draw from.

    A signal or flattened image x of T samples is modelled as mean + w S + noise, where
    the rows of S are sinusoids whose amplitude and phase may drift over the signal
    (Kiruluta 2025, equations 1 to 6)::

        s_i(t) = A_i(t) sin(2 pi f_i t + phi_i(t)),     t = 0, 1/T, .., (T-1)/T

    The atoms minimise the squared error of the best codes, a function of the mean and
    the second moment alone: one pass over the data, whatever its size.

    Parameters
    ----------
    n_components : int or None, default=None
        Number K of atoms. None means min(64, n_features).
    signal_shape : tuple of int or None, default=None
        How a row unfolds in C order: (length,), (height, width) or (height, width,
        channels). None means (n_features,).
    atoms : {"auto", "sinusoid", "plane_wave", "gabor", "chirp"} or AtomFamily, \
            default="auto"
        Kind of the atoms: sinusoids of the flattened signal, the published way, also of
        images; two-dimensional waves of images with a colour, s_i(y, x, c) = g_ic A_i
        sin(2 pi (u_i y + v_i x) + phi_i), where A_i and phi_i may drift over y and x;
        waves in a Gaussian window; linear sweeps; or an instance of a class of
        `skspectral.atoms` or of your own, which is checked before it is used. "auto" is
        "plane_wave" for images, and "sinusoid" for signals.
    init : {"greedy", "spectrum", "random"}, array-like or estimator, default="greedy"
        First waves: greedy selection on the second moment's spectrum; the peaks of the
        mean spectrum; at random; frequencies in units of ``frequencies_``, of shape
        (n_components,) or, for images, (n_components, 2); or the atoms of a fitted
        estimator (in a grid search, as ``FrozenEstimator``), missing ones being added.
    modulation : {"auto", "basis", "mlp"}, Modulation or None, default="auto"
        Drift of amplitude and phase of sinusoids and plane waves. "basis" is
        ``BasisModulation()``: smooth functions of the coordinates of ``signal_shape``;
        "mlp" is ``MLPModulation()``, the published network; None keeps plain waves,
        with fewer parameters and a faster fit. "auto" is "basis" for atoms that can
        drift, and None for Gabor atoms and chirps.
    solver : {"auto", "gauss-newton", "lbfgs", "adam"}, default="auto"
        The first three use the second moment: Gauss-Newton, L-BFGS, or the first where
        it has at most 4,096 parameters. "adam" is the published alternation of
        least-squares codes with steps on minibatches of X.
    stft_weight : float, default=0.0
        Weight of the spectral loss. If positive, Adam lowers the sum of both losses
        after the squared error was minimised. The two terms are equal at the weight
        squared_error / stft_error of ``history_``.
    stft_window : int, default=64
        Length of the Hann window of short-time spectra, in samples.
    stft_hop : int or None, default=None
        Samples from one window to the next. None is a quarter of the window.
    transform_stft_weight : float, default=0.0
        Weight of the spectral loss in `transform`; useful values are 0.1 to 3 times
        the weight at which both terms are equal.
    ridge : float, default=1e-6
        Penalty on squared codes, in [0, 1).
    center : bool, default=True
        Whether to subtract the mean.
    whiten : bool, default=False
        Whether codes are made uncorrelated and of unit variance over the rows of fit:
        by that map which leaves each code the most correlated with what it was. Of
        fewer rows, or dependent atoms, directions that do not vary stay 0.
        `inverse_transform` undoes it. Atoms and prior do not change.
    prior : object or None, default=None
        Distribution of the `coordinates` of the samples, from which `sample` draws: one
        of `skspectral.priors` (None: `GaussianPrior`), scikit-learn's mixtures or
        `KernelDensity`, or any object with ``fit`` and ``sample``. It is cloned, and
        fitted in float64.
    max_iter : int, default=50
        Largest number of Gauss-Newton iterations, of tens of L-BFGS or spectral steps,
        or of epochs of Adam, in a stage. A stage in which weak atoms are replaced may
        take up to three times as many again.
    tol : float, default=2e-3
        Stop when an iteration lowers the loss by less than this share.
    learning_rate : float, default=3e-3
        Step size of Adam, in each parameter's own unit.
    batch_size : int or None, default=None
        Number of rows that are processed at a time. None chooses it by their size; for
        Adam it is 256.
    shrinkage : "auto", float or None, default=None
        Weight in [0, 1] of the stationary part of the covariance, its mean over the
        places of ``signal_shape``, when atoms, noise and Gaussian prior are learned.
        None is 0; "auto" estimates the best weight. It helps where samples are few.
        Adam, spectral losses and other priors do not use it.
    sampling_rate : float or None, default=None
        Samples per second. If given, frequencies are in Hz.
    windows : int, tuple of int or None, default=None
        Number of smooth windows along each axis. If given, codes vary over the signal:
        each learned wave becomes one atom for each window. All fitted attributes except
        ``history_`` then have an entry for each windowed atom; ``amplitudes_`` remain
        those of the whole waves.
    device : str, torch.device or None, default=None
        Where to compute. None is where X is: the CPU for numpy.
    random_state : int, RandomState instance or None, default=None
        Seed of `sample`, of what is random in learning (by default nothing), and of the
        prior if it has none.
    warm_start : bool, default=False
        Whether `fit` starts from the atoms of the last fit.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Atoms of unit norm, ordered by the variance they add; windows are neighbours.
    n_components_ : int
        Number of atoms, those in windows counted one by one.
    basis_ : ndarray of shape (rank, n_features), float64
        Orthonormal basis of the span of the atoms, to which `coordinates` refer. The
        rank is n_components, or less where atoms in windows depend on each other.
    frequencies_ : ndarray of shape (n_components,)
        Frequency of the plain wave nearest to each atom, from 0 to the Nyquist
        frequency: cycles per (flattened) signal, or Hz with ``sampling_rate``. Of waves
        of images, the length of the wave vector.
    phases_ : ndarray of shape (n_components,)
        Its phase at the first sample in radians, in [0, pi).
    amplitudes_ : ndarray of shape (n_components,)
        Root mean square of A_i(t), in units of ``components_``: plain sinusoids are
        ``amplitudes_ * sin(2 pi frequencies_ t + phases_)``.
    wave_vectors_ : ndarray of shape (n_components, 2)
        Set only for waves of images: cycles per height and width, or in units of
        ``sampling_rate``.
    orientations_ : ndarray of shape (n_components,)
        Set only for waves of images: angle of the wave vector, in [0, pi) radians, from
        growing columns towards growing rows.
    colors_ : ndarray of shape (n_components, n_channels)
        Set only for waves of images: share of each channel, of unit norm, with a sum
        >= 0.
    window_centers_ : ndarray of shape (n_components, n_axes)
        Set only with ``windows``: where each atom is, from 0 to 1 along each axis.
    explained_variance_ratio_ : ndarray of shape (n_components,)
        Share of the variance that each atom adds to those before; in sum, the model's.
    explained_variance_ : ndarray of shape (n_components,)
        The same in units of the data: sums over the features of mean squares. Means
        over n rows divide by n, as for the other attributes, not by n - 1 as in PCA.
    mean_ : ndarray of shape (n_features,)
        Mean of the data; zero without ``center``.
    noise_variance_ : float
        Mean residual variance of each dimension outside the span of the atoms.
    shrinkage_ : float
        Weight of the stationary part. If it is not 0, the variances and errors named
        here are those of the shrunk covariance, with the trace of the data's.
    prior_ : Prior
        The fitted prior, a `ScaledPrior` of one that is no `Prior`: a distribution of
        `coordinates`, not of the codes of `transform`; `inverse_coordinates` turns its
        draws into signals.
    model_ : LinearModel
        Mean, atoms with their family and parameters, basis, code map and noise
        variance in one frozen object, which `skspectral.control` and the displays use.
    moments_ : Moments
        Mean and second moment of all rows seen so far.
    history_ : dict
        "stage", "loss", "squared_error" and "stft_error" (NaN where not evaluated),
        means over samples, before the first step and after each.
    n_iter_ : int
        Number of steps, at least 1.
    converged_ : bool
        Whether ``tol`` was reached.
    n_samples_seen_ : int
        Number of rows that `fit` and then `partial_fit` have seen.
    n_features_in_ : int
        Number T of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X has any.

    See Also
    --------
    skspectral.recipes.published_recipe : The published way of learning.
    sklearn.decomposition.PCA : Least squared error on the training data; no sinusoids.

    Notes
    -----
    fit costs n T^2 multiplications in one pass, O(K T^2) for the selection and, for
    each iteration, O(K T^2 + (K p)^2 T) with p numbers an atom (3 without modulation).
    It holds about two T x T matrices in float64, and keeps one for `partial_fit`. Sums
    and solves are float64; the products of float32 data are float32. Only "adam",
    spectral losses, "mlp" and ``init="random"`` depend on the seed.

    With ``sklearn.set_config(array_api_dispatch=True)`` tensors, and arrays of other
    libraries, go in and come out, and fitted attributes are of their kind.

    References
    ----------
    A. Kiruluta (2025). Spectral Dictionary Learning for Generative Image Modeling.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> X, _ = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(20, signal_shape=(8, 8), random_state=0)
    >>> est.fit_transform(X).shape, est.sample(3).shape
    ((1797, 20), (3, 64))
    >>> bool(est.explained_variance_ratio_.sum() > 0.8)
    True
    """

    _parameter_constraints = {
        "n_components": [*_COUNT, None],
        "signal_shape": ["array-like", None],
        "atoms": [StrOptions({"auto", *FAMILIES}), AtomFamily],
        "init": [
            StrOptions({"greedy", "spectrum", "random"}),
            HasMethods("fit"),
            "array-like",
        ],
        "modulation": [
            StrOptions({"auto", *MODULATIONS}),
            Modulation,
            None,
        ],
        "solver": [StrOptions({"auto", "gauss-newton", "lbfgs", "adam"})],
        "stft_weight": [Interval(Real, 0, None, closed="left")],
        "stft_window": [Interval(Integral, 2, None, closed="left")],
        "stft_hop": [*_COUNT, None],
        "transform_stft_weight": [Interval(Real, 0, None, closed="left")],
        "ridge": [Interval(Real, 0, 1, closed="left")],
        "center": ["boolean"],
        "whiten": ["boolean"],
        "prior": "no_validation",
        "max_iter": _COUNT,
        "tol": [Interval(Real, 0, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [*_COUNT, None],
        "shrinkage": [Interval(Real, 0, 1, closed="both"), StrOptions({"auto"}), None],
        "sampling_rate": [Interval(Real, 0, None, closed="neither"), None],
        "windows": [*_COUNT, "array-like", None],
        "device": [str, torch.device, None],
        "random_state": ["random_state"],
        "warm_start": ["boolean"],
    }

    components_: np.ndarray
    basis_: np.ndarray
    mean_: np.ndarray
    noise_variance_: float
    prior_: Any
    model_: LinearModel
    moments_: Moments
    # Names of the attributes that describe the atoms, which depend on their family.
    _published: tuple[str, ...]
    _stream: np.random.Generator | None
    # What a later `partial_fit` has to know of those before.
    _energy_at_start: float

    def __init__(
        self,
        n_components: int | None = None,
        *,
        signal_shape: Sequence[int] | None = None,
        atoms: str | AtomFamily = "auto",
        init: Any = "greedy",
        modulation: str | Modulation | None = "auto",
        solver: str = "auto",
        stft_weight: float = 0.0,
        stft_window: int = 64,
        stft_hop: int | None = None,
        transform_stft_weight: float = 0.0,
        ridge: float = 1e-6,
        center: bool = True,
        whiten: bool = False,
        prior: Any = None,
        max_iter: int = 50,
        tol: float = 2e-3,
        learning_rate: float = 3e-3,
        batch_size: int | None = None,
        shrinkage: float | str | None = None,
        sampling_rate: float | None = None,
        windows: int | Sequence[int] | None = None,
        device: str | torch.device | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
    ):
        self.n_components = n_components
        self.signal_shape = signal_shape
        self.atoms = atoms
        self.init = init
        self.modulation = modulation
        self.solver = solver
        self.stft_weight = stft_weight
        self.stft_window = stft_window
        self.stft_hop = stft_hop
        self.transform_stft_weight = transform_stft_weight
        self.ridge = ridge
        self.center = center
        self.whiten = whiten
        self.prior = prior
        self.max_iter = max_iter
        self.tol = tol
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.shrinkage = shrinkage
        self.sampling_rate = sampling_rate
        self.windows = windows
        self.device = device
        self.random_state = random_state
        self.warm_start = warm_start

    # Learning

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> "SpectralDictionaryLearning":
        """Learn the atoms, then fit the prior on the coordinates of the samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            A signal or image a row; float64, float32 or uint8, others are converted.
        y : array-like of shape (n_samples,), default=None
            Passed on to the prior, if its ``fit`` takes it.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; a weight of 2 counts a row twice.

        Returns
        -------
        self : SpectralDictionaryLearning

        Raises
        ------
        ValueError
            If X is not finite, has one row or no variance, or a parameter does not fit.
        TypeError
            If the prior lacks ``fit`` or ``sample``.
        """
        fitted = self.model_ if self.warm_start and hasattr(self, "model_") else None
        return self._learn(X, y, sample_weight, fitted=fitted)

    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> "SpectralDictionaryLearning":
        """Add rows to those seen before, and refine the atoms on all of them.

        The first call is `fit`. The moments are those of all rows, however they are
        divided. The atoms move to a nearby minimum, or to the one that `fit` would find
        where that is better: a call then takes as long as `fit` without its pass over
        the rows. The second is left out while all rows since it was last tried have
        less than a thousandth of the variance. Adam, spectral losses, and priors that
        cannot be fitted from moments, see the rows of the last call alone.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Not modified. After the first call one row is enough, for a prior that is
            fitted from moments.
        y : array-like of shape (n_samples,), default=None
            As for `fit`.
        sample_weight : array-like of shape (n_samples,), default=None
            In the same units at each call; without, 1.

        Returns
        -------
        self : SpectralDictionaryLearning

        Raises
        ------
        ValueError
            As `fit`.
        """
        if not hasattr(self, "model_"):
            return self._learn(X, y, sample_weight)
        return self._learn(
            X, y, sample_weight, fitted=self.model_, earlier=self.moments_
        )

    def _learn(
        self,
        X: ArrayLike,
        y: Any,
        sample_weight: ArrayLike | None,
        *,
        fitted: LinearModel | None = None,
        earlier: Moments | None = None,
    ) -> "SpectralDictionaryLearning":
        """Learn, from the atoms of a fitted model, adding to earlier moments."""
        # A stream of its own: `sample(random_state=...)` with the same int differs.
        stream, rng = random_stream(self.random_state).spawn(2)
        y = refuse_missing(y, "y")
        prior = new_prior(self.prior, stream, y, sample_weight)
        with training_mode(), input_names_restored_on_failure(self):
            checked = self._checked(X, reset=earlier is None)
            samples = from_namespace(checked)
            with input_errors(samples, self, batch_size=self.batch_size):
                plan = FitPlan.from_params(
                    self.get_params(deep=False),
                    samples.shape[1],
                    working_dtype(samples),
                    resolve_device(self.device, samples),
                    rng,
                    fitted=fitted,
                    in_pieces=earlier is not None,
                )
                monitor = CallbackMonitor(self)
                weights = check_weights(sample_weight, checked, self)
                result = fit_model(
                    samples,
                    weights,
                    y,
                    plan,
                    prior,
                    monitor,
                    rng,
                    earlier=earlier,
                    energy_at_start=self._energy_at_start if earlier else 0.0,
                )
                monitor.close()
            self._publish(result, checked)
        # Without a seed there is no state that copies, or workers, would share.
        self._stream = None if self.random_state is None else stream
        if not (result.converged or result.stopped):
            warnings.warn(
                f"The atoms had not converged after max_iter={self.max_iter} "
                "iterations. Increase max_iter, or tol.",
                ConvergenceWarning,
                stacklevel=4,
            )
        return self

    def _publish(self, result: FitResult, X: Any) -> None:
        """Set the fitted attributes, as arrays of the library and device of X."""
        for name in getattr(self, "_published", ()):
            self.__dict__.pop(name, None)

        def like_X(array: Samples) -> Any:
            return to_namespace_of(X, array)

        self.model_ = result.model.converted(lambda a: from_namespace(like_X(a)))
        self.components_ = like_X(self.model_.components)
        self.basis_ = like_X(self.model_.basis)
        self.mean_ = like_X(self.model_.mean)
        self.n_components_ = int(self.components_.shape[0])
        shares = result.explained_variance_ratio
        self.explained_variance_ratio_ = like_X(shares)
        self.explained_variance_ = like_X(shares * result.total_variance)
        described = self.model_.dictionary.describe()
        for name, values in described.items():
            setattr(self, f"{name}_", like_X(values))
        self._published = tuple(f"{name}_" for name in described)
        self.noise_variance_ = self.model_.noise_variance
        self.shrinkage_ = result.shrinkage
        self.prior_ = result.prior
        self.moments_ = result.moments.moved_to(_CPU)
        self.history_ = result.history
        self.n_iter_ = result.n_iter
        self.converged_ = result.converged
        self.n_samples_seen_ = result.moments.n_samples
        self._energy_at_start = result.energy_at_start

    def _checked(
        self, X: ArrayLike, *, reset: bool = False, all_finite: bool | str = False
    ) -> Any:
        """X of a dtype that is kept; whether it is finite is looked at later."""
        refuse_unusable_tensors(X)
        if all_finite == "allow-nan":
            X = missing_as_nan(X)
        X = in_native_form(X)
        return validate_data(
            self,
            X,
            dtype=input_dtypes(X),
            ensure_all_finite=all_finite,
            ensure_min_samples=2 if reset else 1,
            reset=reset,
        )

    def _input(
        self, X: ArrayLike, method: str, *, all_finite: bool | str = False
    ) -> tuple[Any, Samples, torch.device]:
        """X checked for a method of a fitted estimator, as samples, and its device."""
        check_is_fitted(self)
        check_same_namespace(X, self, attribute="components_", method=method)
        checked = self._checked(X, all_finite=all_finite)
        samples = from_namespace(checked)
        return checked, samples, resolve_device(self.device, samples)

    # Codes and coordinates

    def transform(self, X: ArrayLike) -> np.ndarray:
        """Ridge least-squares codes; one matrix product.

        With ``transform_stft_weight`` the codes of each sample then lower, by a few
        iterations on its short-time spectra (Kiruluta 2025, equation 8)::

            ||x - x^||^2 + transform_stft_weight * || |STFT x| - |STFT x^| ||_1

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            In the dtype of X; float32 for uint8.

        Raises
        ------
        ValueError
            If X has NaN or infinite values, or not the features of fit.
        MemoryError
            If a batch does not fit into memory.
        """
        checked, samples, device = self._input(X, "transform")
        stft = None
        if self.transform_stft_weight != 0:
            self._validate_params()
            stft = stft_from_params(self.get_params(deep=False), self.n_features_in_)
        with input_errors(samples, self, batch_size=self.batch_size):
            codes = self.model_.encode(
                samples,
                device=device,
                batch_size=self.batch_size,
                stft=stft,
                stft_weight=self.transform_stft_weight,
            )
        if not is_finite(codes):
            check_finite(checked, self)
        return to_namespace_of(checked, codes)

    def inverse_transform(self, X: ArrayLike) -> np.ndarray:
        """Signals with the given codes: mean + codes @ components.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as `transform` gives them.

        Returns
        -------
        signals : ndarray of shape (n_samples, n_features)
        """
        check_is_fitted(self)
        refuse_unusable_tensors(X)
        check_same_namespace(
            X, self, attribute="components_", method="inverse_transform"
        )
        checked = check_array(X, "X", dtype=input_dtypes(X)[:2])
        if checked.shape[1] != self.components_.shape[0]:
            raise ValueError(
                f"X has {checked.shape[1]} features, but inverse_transform of "
                f"{type(self).__name__} expects the {self.components_.shape[0]} codes "
                "that transform returns."
            )
        codes = from_namespace(checked)
        device = resolve_device(self.device, codes)
        with input_errors(codes, self, batch_size=self.batch_size):
            signals = self.model_.decode(codes, device=device)
        return to_namespace_of(checked, signals)

    def coordinates(self, X: ArrayLike) -> np.ndarray:
        """Coordinates (x - mean) basis' of samples in the basis of the atoms' span.

        The prior is fitted on these, because the codes of nearly parallel atoms are
        huge and opposite, while coordinates are as large as the samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        coordinates : ndarray of shape (n_samples, rank), float64
            In the precision in which priors are fitted.

        Raises
        ------
        ValueError
            If X has NaN or infinite values, or not the features of fit.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skspectral import SpectralDictionaryLearning
        >>> X, _ = load_digits(return_X_y=True)
        >>> est = SpectralDictionaryLearning(20, signal_shape=(8, 8)).fit(X)
        >>> coordinates = est.coordinates(X)
        >>> rebuilt = est.inverse_coordinates(coordinates)
        >>> again = est.inverse_transform(est.transform(X))
        >>> bool(abs(rebuilt - again).max() < 0.1)  # but for the ridge of the codes
        True
        >>> draws = est.inverse_coordinates(est.prior_.sample(5))  # as est.sample(5)
        """
        checked, samples, device = self._input(X, "coordinates")
        with input_errors(samples, self, batch_size=self.batch_size):
            found, _ = self.model_.coordinates(
                samples, device=device, batch_size=self.batch_size
            )
        if not is_finite(found):
            check_finite(checked, self)
        return to_namespace_of(checked, found)

    def inverse_coordinates(self, coordinates: ArrayLike) -> np.ndarray:
        """Signals with the given coordinates: mean + coordinates @ basis.

        Parameters
        ----------
        coordinates : array-like of shape (n_samples, rank)
            Such as draws of ``prior_``.

        Returns
        -------
        signals : ndarray of shape (n_samples, n_features)
            In the dtype of ``components_``.

        Raises
        ------
        ValueError
            If the coordinates are not finite, or of another number.
        """
        check_is_fitted(self)
        numbers = as_numbers(coordinates, "coordinates")
        rank = self.model_.rank
        if numbers.ndim != 2 or numbers.shape[1] != rank:
            raise ValueError(
                f"coordinates of shape {numbers.shape} must be of shape (n_samples, "
                f"{rank}), as coordinates(X) and prior_.sample(n) return them."
            )
        if not is_finite(numbers):
            raise ValueError("coordinates must be finite.")
        return self._signals(numbers)

    def _signals(self, coordinates: np.ndarray) -> Any:
        """Signals of coordinates, as ``components_`` are."""
        atoms = self.model_.components
        with input_errors(atoms, self, batch_size=self.batch_size):
            signals = self.model_.signals(
                coordinates,
                device=resolve_device(self.device, atoms),
                dtype=working_dtype(atoms),
                like=atoms,
            )
        return to_namespace_of(self.components_, signals)

    # Draws

    def _draws_from(self, random_state: Any) -> np.random.Generator:
        """The stream of draws that ``random_state`` asks for."""
        if random_state is None and self._stream is not None:
            return self._stream
        return random_stream(random_state)

    @validated(n_samples=_COUNT, random_state=["random_state"])
    def sample(
        self, n_samples: int = 1, *, y: Any = None, random_state: Any = None
    ) -> np.ndarray:
        """Draw new signals: coordinates from the prior, then `inverse_coordinates`.

        Parameters
        ----------
        n_samples : int, default=1
        y : object, default=None
            Label to draw for, with a prior whose ``sample`` takes one.
        random_state : int, RandomState instance or None, default=None
            None continues the stream that the ``random_state`` of the estimator seeded
            at fit: two calls differ, two runs agree, and so do copies of the estimator,
            in other processes, too. If that was None, all draws differ, in copies and
            workers as well. An int repeats its draws.

        Returns
        -------
        signals : ndarray of shape (n_samples, n_features)
            In the span of the atoms. They include the noise inside the span, and none
            outside.
        """
        check_is_fitted(self)
        stream = self._draws_from(random_state)
        return self._signals(draw(self.prior_, n_samples, self.model_.rank, y, stream))

    @validated(
        n_samples=_COUNT,
        noise_variance=[Interval(Real, 0, None, closed="left")],
        random_state=["random_state"],
    )
    def sample_given(
        self,
        operator: ArrayLike,
        observed: ArrayLike,
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
        observed : array-like of shape (m,) or (n_samples, m)
            What was measured, for all draws or for each.
        n_samples : int, default=1
        noise_variance : float, default=0.0
            Variance of white noise in what was measured; without, draws agree with it.
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
            If shapes do not fit, or ``y`` is given and the prior is made of Gaussians.
        TypeError
            If the prior has neither a closed form nor a ``sample_given`` of its own.
        """
        check_is_fitted(self)
        stream = self._draws_from(random_state)
        matrix, values = check_observation(
            operator, observed, n_samples, self.n_features_in_
        )
        coordinates, change = sample_given(
            self.model_,
            self.prior_,
            matrix,
            values,
            n_samples,
            noise_variance,
            y,
            stream,
        )
        signals = self._signals(coordinates)
        if change is None:
            return signals
        dtype = numpy_dtype(working_dtype(from_namespace(signals)))
        return signals + to_namespace_of(signals, change.astype(dtype))

    # Likelihood, denoising, imputation

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Log-density of each sample under mean + w S + noise and the prior.

        Costs one matrix product and O(K^2) more for each sample and component of the
        prior. Anomalies have low values. The density is exact for priors made of
        Gaussians: `GaussianPrior`, `GaussianMixture`, `ClassConditionalPrior` of these,
        and scikit-learn's mixtures.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float64, in nats

        Raises
        ------
        TypeError
            If the prior is not made of Gaussians.
        """
        checked, samples, device = self._input(X, "score_samples")
        with input_errors(samples, self, batch_size=self.batch_size):
            density = score_samples(
                self.model_,
                self.prior_,
                samples,
                device=device,
                batch_size=self.batch_size,
            )
        return to_namespace_of(checked, density)

    def score(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> float:
        """Mean of `score_samples`, in nats; higher is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
        y : Ignored
        sample_weight : array-like of shape (n_samples,), default=None
            Weights; a weight of 2 counts a row twice.

        Returns
        -------
        score : float

        Raises
        ------
        TypeError
            If the prior is not made of Gaussians.
        """
        density = as_numbers(self.score_samples(X))
        if sample_weight is None:
            return float(density.mean())
        weights = row_weights(sample_weight, len(density))
        # As shares of the largest, so that no sum is out of range.
        return float(np.average(density, weights=weights / weights.max()))

    def aic(self, X: ArrayLike) -> float:
        """Akaike's information criterion of the model on X; lower is better.

        -2 times the sum of `score_samples`, and 2 for each parameter: those of the
        prior, the mean, the noise variance, and of the atoms as many as can be told
        apart, which is 2 for a plain sinusoid. Where the atoms span all signals they do
        not count, nor does the noise.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        aic : float

        Raises
        ------
        TypeError
            If the prior is not made of Gaussians, or has no ``n_parameters_``.
        """
        return self._criterion(X, lambda n_samples: 2.0)

    def bic(self, X: ArrayLike) -> float:
        """Bayesian information criterion of the model on X; lower is better.

        As `aic`, with log(n_samples) for each parameter.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        bic : float

        Raises
        ------
        TypeError
            If the prior is not made of Gaussians, or has no ``n_parameters_``.
        """
        return self._criterion(X, np.log)

    def _criterion(self, X: ArrayLike, penalty: Callable[[int], float]) -> float:
        density = as_numbers(self.score_samples(X))
        n_parameters = count_parameters(self.model_, self.prior_)
        return float(-2 * density.sum() + penalty(len(density)) * n_parameters)

    def get_covariance(self) -> np.ndarray:
        """Covariance of samples under the model, noise included.

        With as many atoms as features, a Gaussian prior and no shrinkage it is that of
        the rows of fit, divided by n. Costs T^2 K.

        Returns
        -------
        covariance : ndarray of shape (n_features, n_features), float64

        Raises
        ------
        TypeError
            If the prior is not made of Gaussians.
        """
        covariance = self._covariance("get_covariance").covariance()
        return to_namespace_of(self.components_, covariance)

    def get_precision(self) -> np.ndarray:
        """Inverse of `get_covariance`, by way of the K coordinates; costs T^2 K.

        Returns
        -------
        precision : ndarray of shape (n_features, n_features), float64

        Raises
        ------
        TypeError
            If the prior is not made of Gaussians.
        """
        precision = self._covariance("get_precision").precision()
        return to_namespace_of(self.components_, precision)

    def _covariance(self, asked: str) -> ModelCovariance:
        check_is_fitted(self)
        return ModelCovariance.of(self.model_, self.prior_, asked)

    def mahalanobis(self, X: ArrayLike) -> np.ndarray:
        """Squared Mahalanobis distance of samples to the mean, under `get_covariance`.

        As `sklearn.covariance.EmpiricalCovariance.mahalanobis`. With a Gaussian prior
        -1/2 of it is `score_samples` but for a constant. Costs one matrix product and
        O(K^2) more for each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        squared_distances : ndarray of shape (n_samples,), float64

        Raises
        ------
        TypeError
            If the prior is not made of Gaussians.
        """
        checked, samples, device = self._input(X, "mahalanobis")
        with input_errors(samples, self, batch_size=self.batch_size):
            distances = mahalanobis(
                self.model_,
                self.prior_,
                samples,
                device=device,
                batch_size=self.batch_size,
            )
        return to_namespace_of(checked, distances)

    def predict_component_proba(self, X: ArrayLike) -> np.ndarray:
        """Posterior probability of each Gaussian of the prior, given each sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_gaussians), float64
            Rows sum to 1. The order is that of ``prior_.mixture().components``.

        Raises
        ------
        TypeError
            If the prior is not made of Gaussians.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skspectral import SpectralDictionaryLearning
        >>> from skspectral.priors import GaussianMixture
        >>> X, _ = load_digits(return_X_y=True)
        >>> prior = GaussianMixture(10, random_state=0)
        >>> est = SpectralDictionaryLearning(20, signal_shape=(8, 8), prior=prior)
        >>> est.fit(X).predict_component_proba(X).shape
        (1797, 10)
        """
        checked, samples, device = self._input(X, "predict_component_proba")
        with input_errors(samples, self, batch_size=self.batch_size):
            probabilities = component_probabilities(
                self.model_,
                self.prior_,
                samples,
                device=device,
                batch_size=self.batch_size,
            )
        return to_namespace_of(checked, probabilities)

    def predict_component(self, X: ArrayLike) -> np.ndarray:
        """Number of the Gaussian of the prior that a sample most probably came from.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)

        Returns
        -------
        components : ndarray of shape (n_samples,), int
            Position in ``prior_.mixture().components``.

        Raises
        ------
        TypeError
            If the prior is not made of Gaussians.
        """
        found = self.predict_component_proba(X)
        return to_namespace_of(found, as_numbers(found).argmax(axis=1))

    def denoise(
        self, X: ArrayLike, noise_std: float | ArrayLike | None = None
    ) -> np.ndarray:
        """Posterior mean of the samples without their noise.

        Costs two matrix products and O(K^2) more for each sample and component of the
        prior. With a prior that is not made of Gaussians: the reconstruction from ridge
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
            If ``noise_std`` is given and the prior is not made of Gaussians.

        Notes
        -----
        To clean data by what was learned from clean data, take atoms enough to leave
        less than the noise to be removed: ``n_components`` up to ``n_features``.
        """
        checked, samples, device = self._input(X, "denoise")
        with input_errors(samples, self, batch_size=self.batch_size):
            signals = denoise(
                self.model_,
                self.prior_,
                samples,
                _noise_variances(noise_std, len(samples)),
                device=device,
                batch_size=self.batch_size,
            )
        return to_namespace_of(checked, signals)

    def impute(self, X: ArrayLike, *, return_std: bool = False) -> Any:
        """Fill missing entries with their posterior mean, given the others.

        Rows that miss the same entries share their matrices: K^3 + K^2 T for each such
        pattern, then O(K T) for each row, both for each component. With a prior that is
        not made of Gaussians: from ridge least-squares codes of the entries that are
        there.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            NaN marks a missing entry; a row may miss any of them, or all.
        return_std : bool, default=False
            Whether to return the posterior standard deviations, too.

        Returns
        -------
        filled : ndarray of shape (n_samples, n_features)
            X with the entries that were there unchanged; float32 for uint8.
        std : ndarray of shape (n_samples, n_features)
            Only if ``return_std``: standard deviation of the missing entries with their
            noise; 0 for the others.

        Raises
        ------
        TypeError
            If ``return_std`` and the prior is not made of Gaussians.
        """
        checked, filled, device = self._with_gaps(X, "impute")
        with input_errors(filled, self, batch_size=self.batch_size):
            std = impute(
                self.model_,
                self.prior_,
                filled,
                return_std=return_std,
                device=device,
                batch_size=self.batch_size,
            )
        if std is not None:
            return to_namespace_of(checked, filled), to_namespace_of(checked, std)
        return to_namespace_of(checked, filled)

    @validated(n_samples=_COUNT, random_state=["random_state"])
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
        checked, known, device = self._with_gaps(X, "sample_posterior")
        stream = self._draws_from(random_state)
        with input_errors(known, self, batch_size=self.batch_size):
            draws = sample_posterior(
                self.model_, self.prior_, known, n_samples, stream, device=device
            )
        return to_namespace_of(checked, draws)

    def _with_gaps(
        self, X: ArrayLike, method: str
    ) -> tuple[Any, np.ndarray, torch.device]:
        """Checked X, a numpy copy that may be written to, and where to compute."""
        checked, samples, _ = self._input(X, method, all_finite="allow-nan")
        copy = np.array(as_array(samples, numpy_dtype(working_dtype(samples))))
        return checked, copy, resolve_device(self.device, self.model_.basis)

    # scikit-learn's conventions

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Names of the codes, with the number of the atom.

        With ``windows`` also with the place of the window, from 0 to 1.

        Parameters
        ----------
        input_features : object, default=None
            Not used.

        Returns
        -------
        names : ndarray of str
        """
        names = super().get_feature_names_out(input_features)
        if not hasattr(self, "window_centers_"):
            return names
        centers = as_numbers(self.window_centers_)
        n_windows = len(np.unique(centers, axis=0))
        digits = max(3, len(str(n_windows)) + 1)
        places = ["_".join(f"{x:.{digits}g}" for x in center) for center in centers]
        atoms = names[np.arange(len(names)) // n_windows]
        return np.array(
            [f"{atom}_at_{place}" for atom, place in zip(atoms, places, strict=True)],
            dtype=object,
        )

    @property
    def _n_features_out(self) -> int:
        return self.components_.shape[0]

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.array_api_support = True
        tags.target_tags.required = needs_labels(self.prior)
        tags.non_deterministic = depends_on_time(self.prior)
        return tags

    def __sklearn_array_api_convert__(self, converter: Any) -> Any:
        """Return a copy whose arrays are elsewhere; the prior and moments stay numpy's.

        Called by scikit-learn's ``move_estimator_to``.
        """
        new = clone(self)
        for name, value in vars(self).items():
            moves = hasattr(value, "__dlpack__") and name not in self.get_params()
            setattr(new, name, converter(value) if moves else value)
        new.model_ = self.model_.converted(lambda a: from_namespace(converter(a)))
        return new


def _noise_variances(
    noise_std: float | ArrayLike | None, n_samples: int
) -> np.ndarray | None:
    """Variance of the noise in each row, shape (n_samples, 1)."""
    if noise_std is None:
        return None
    given = as_numbers(noise_std, "noise_std")
    if given.shape not in ((), (n_samples,)):
        raise ValueError(
            f"noise_std of shape {given.shape} must be one number, or one for each of "
            f"the {n_samples} rows of X."
        )
    with np.errstate(over="ignore"):
        variances = given**2
    if not (np.isfinite(variances) & (given >= 0)).all():
        raise ValueError(
            f"noise_std={noise_std!r} must be standard deviations: finite and >= 0."
        )
    return np.broadcast_to(variances, (n_samples,))[:, None]
