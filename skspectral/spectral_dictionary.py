"""The estimator: validates, dispatches, stores."""
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning

from skspectral._device import memory_advice, resolve_device
from skspectral._parameters import PARAMETER_CONSTRAINTS
from skspectral._random import random_stream
from skspectral._sklearn_compat import fit_context, from_namespace, to_namespace_of
from skspectral._validation import check_weights, input_names_restored_on_failure
from skspectral.completion_model import CompletionModel
from skspectral.dictionary.stft import STFT
from skspectral.fitting import learn_model
from skspectral.modulation import BasisModulation, MLPModulation
from skspectral.planning import check_stft
from skspectral.priors.protocol import new_prior

# Not of all fits.
_OPTIONAL = ("wave_vectors_", "orientations_", "colors_", "window_centers_")


class SpectralDictionaryLearning(CallbackSupportMixin, CompletionModel):
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
    atoms : {"sinusoid", "plane_wave"}, default="sinusoid"
        Sinusoids of the flattened signal, or of images two-dimensional waves with a
        colour: s_i(y, x, c) = g_ic A_i sin(2 pi (u_i y + v_i x) + phi_i), where A_i and
        phi_i may drift over y and x.
    init : {"greedy", "spectrum", "random"}, array-like or estimator, default="greedy"
        First waves: greedy selection on the second moment's spectrum; the peaks of the
        mean spectrum; at random; frequencies in units of ``frequencies_``, of shape
        (n_components,) or, for plane waves, (n_components, 2); or the atoms of a fitted
        estimator (in a grid search, as ``FrozenEstimator``), missing ones being added.
    modulation : {"basis", "mlp"}, BasisModulation, MLPModulation or None, \
            default="basis"
        Drift of amplitude and phase. "basis" is ``BasisModulation()``: smooth functions
        of the coordinates of ``signal_shape``; "mlp" is ``MLPModulation()``, the
        published network; None keeps plain waves: fewer parameters, a faster fit.
    solver : {"auto", "gauss-newton", "lbfgs", "adam"}, default="auto"
        The first three use the second moment: Gauss-Newton, L-BFGS, or the first where
        it has at most 4,096 parameters. "adam" is the published alternation of
        least-squares codes with steps on minibatches of X.
    stft_weight : float, default=0.0
        Weight of the spectral loss. If positive, Adam lowers the sum of both losses
        then. "squared_error" over "stft_error" of ``history_`` makes them equal.
    stft_window : int, default=64
        Length of the Hann window of short-time spectra, in samples.
    stft_hop : int or None, default=None
        Samples from one window to the next. None is a quarter of the window.
    transform_stft_weight : float, default=0.0
        The same for the codes of `transform`: a tenth to three times equal terms.
    ridge : float, default=1e-6
        Penalty on squared codes, in [0, 1).
    center : bool, default=True
        Whether to subtract the mean.
    prior : object or None, default=None
        Distribution of the codes: one of `skspectral.priors` (None: `GaussianPrior`),
        scikit-learn's mixtures or `KernelDensity`, or what has ``fit`` and ``sample``.
        It is cloned, and fitted in float64 along orthonormal axes of the atoms' span.
    max_iter : int, default=50
        Most Gauss-Newton iterations, tens of L-BFGS or spectral steps, or epochs of
        Adam in a stage; up to three times again where weak atoms were replaced.
    tol : float, default=2e-3
        Stop when an iteration lowers the loss by less than this share.
    learning_rate : float, default=3e-3
        Step size of Adam: cycles, radians and the like.
    batch_size : int or None, default=None
        Rows at a time. None chooses by their size, and 256 for Adam.
    shrinkage : "auto", float or None, default=None
        Weight in [0, 1] of the stationary part of the covariance, its mean over the
        places of ``signal_shape``, when atoms, noise and Gaussian prior are learned.
        None is 0; "auto" estimates the best. It helps where samples are few. Not for
        Adam, spectral losses and other priors.
    sampling_rate : float or None, default=None
        Samples per second. If given, frequencies are in Hz.
    windows : int, tuple of int or None, default=None
        Codes that vary over the signal: each learned atom becomes one for each of so
        many smooth windows along each axis. All but ``history_`` is of these.
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
    frequencies_ : ndarray of shape (n_components,)
        Frequency of the plain wave nearest to each atom, from 0 to the Nyquist
        frequency: cycles per (flattened) signal, or Hz with ``sampling_rate``. Of plane
        waves, the length of the wave vector.
    phases_ : ndarray of shape (n_components,)
        Its phase at the first sample in radians, in [0, pi).
    amplitudes_ : ndarray of shape (n_components,)
        Root mean square of A_i(t), in units of ``components_``: plain sinusoids are
        ``amplitudes_ * sin(2 pi frequencies_ t + phases_)``.
    wave_vectors_ : ndarray of shape (n_components, 2)
        Of plane waves only: cycles per height and width, or in units of
        ``sampling_rate``.
    orientations_ : ndarray of shape (n_components,)
        Of plane waves only: angle of the wave vector, in [0, pi) radians, from growing
        columns towards growing rows.
    colors_ : ndarray of shape (n_components, n_channels)
        Of plane waves only: share of each channel, of unit norm, with a sum >= 0.
    window_centers_ : ndarray of shape (n_components, n_axes)
        With ``windows`` only: where each atom is, from 0 to 1 along each axis.
    explained_variance_ratio_ : ndarray of shape (n_components,)
        Share of the variance that each atom adds to those before; in sum, the model's.
    mean_ : ndarray of shape (n_features,)
        Mean of the data; zero without ``center``.
    noise_variance_ : float
        Mean variance of what the atoms leave, for each dimension outside their span.
    shrinkage_ : float
        Weight of the stationary part. If not 0, variances and errors named here are of
        the shrunk covariance, with the trace of the data's.
    prior_ : object
        The fitted prior.
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
    It holds about three T x T matrices in float64, and keeps one for `partial_fit`.
    Sums and solves are float64; the products of float32 data are float32. Only "adam",
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

    _parameter_constraints = PARAMETER_CONSTRAINTS

    def __init__(
        self,
        n_components: int | None = None,
        *,
        signal_shape: Sequence[int] | None = None,
        atoms: str = "sinusoid",
        init: Any = "greedy",
        modulation: str | BasisModulation | MLPModulation | None = "basis",
        solver: str = "auto",
        stft_weight: float = 0.0,
        stft_window: int = 64,
        stft_hop: int | None = None,
        transform_stft_weight: float = 0.0,
        ridge: float = 1e-6,
        center: bool = True,
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

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> "SpectralDictionaryLearning":
        """Learn the atoms, then fit the prior on the codes.

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
        go_on = self.warm_start and hasattr(self, "components_")
        return self._learn(X, y, sample_weight, go_on=go_on)

    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> "SpectralDictionaryLearning":
        """Add rows to those seen before, and refine the atoms on all of them.

        The first call is `fit`. The moments are of all rows; the atoms go on to a
        minimum near, about as deep as that of `fit`. Spectral losses, "ledoit_wolf" and
        priors that are not `GaussianPrior` see the last call's rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Not modified; of any number of rows, but for the first call.
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
        fitted = hasattr(self, "components_")
        return self._learn(X, y, sample_weight, go_on=fitted, add=fitted)

    def _learn(
        self,
        X: ArrayLike,
        y: Any,
        sample_weight: ArrayLike | None,
        *,
        go_on: bool,
        add: bool = False,
    ) -> "SpectralDictionaryLearning":
        """Learn, from the present atoms if ``go_on``; ``add`` to the rows before."""
        # A stream of its own: `sample(random_state=...)` with the same int differs.
        stream, chance = random_stream(self.random_state).spawn(2)
        prior = new_prior(self.prior, stream, y, sample_weight)
        with input_names_restored_on_failure(self), memory_advice(self.batch_size):
            checked = self._checked(X, reset=not add)
            samples = from_namespace(checked)
            attributes = learn_model(
                self,
                samples,
                y,
                check_weights(sample_weight, checked, self),
                prior,
                earlier=self._moments if add else None,
                go_on=go_on,
                device=resolve_device(self.device, samples),
                stream=chance,
            )
        for name in _OPTIONAL:
            self.__dict__.pop(name, None)
        for name, value in attributes.items():
            if isinstance(value, np.ndarray):
                value = to_namespace_of(checked, value)
            setattr(self, name, value)
        self._stream = stream
        if not (self.converged_ or self._stopped):
            warnings.warn(
                f"The atoms had not converged after max_iter={self.max_iter} "
                "iterations. Increase max_iter, or tol.",
                ConvergenceWarning,
                stacklevel=4,
            )
        return self

    def _stft(self) -> STFT | None:
        self._validate_params()
        wanted = self.transform_stft_weight > 0
        return check_stft(self, self.n_features_in_) if wanted else None
