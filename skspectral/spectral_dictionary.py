"""The estimator: validates, dispatches, stores."""
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning

from skspectral._device import resolve_device, working_dtype
from skspectral._random import random_stream
from skspectral._sklearn_compat import Interval, StrOptions, fit_context
from skspectral._validation import check_signal_shape, check_weights
from skspectral.dictionary.atoms import Sinusoids
from skspectral.dictionary.descent import Settings
from skspectral.dictionary.learning import LearningPlan
from skspectral.fitting import learn_model
from skspectral.linear_code_model import LinearCodeModel
from skspectral.modulation import BasisModulation, static_functions
from skspectral.priors.protocol import new_prior

# What validation sets.
_INPUT_NAMES = ("n_features_in_", "feature_names_in_")


class SpectralDictionaryLearning(CallbackSupportMixin, LinearCodeModel):
    """Learn K sinusoidal atoms, codes in closed form, and a prior to draw from.

    A signal or flattened image x of T samples is modelled as mean + w S + noise, where
    the rows of S are sinusoids whose amplitude and phase may drift over the signal
    (Kiruluta 2025, equations 1 to 6)::

        s_i(t) = A_i(t) sin(2 pi f_i t + phi_i(t)),     t = 0, 1/T, .., (T-1)/T

    The atoms minimise the squared error of the best codes, which depends on the data
    only through the mean and the T x T second moment: one pass over the data, then the
    cost no longer depends on the number of samples.

    Parameters
    ----------
    n_components : int or None, default=None
        Number K of atoms. None means min(64, n_features).
    signal_shape : tuple of int or None, default=None
        How a row unfolds in C order: (length,), (height, width) or (height, width,
        channels). None means (n_features,).
    atoms : {"sinusoid"}, default="sinusoid"
        Family of the atoms: sinusoids of the flattened signal, the only one so far.
    init : {"greedy"}, default="greedy"
        First atoms: greedy selection on the spectrum of the second moment, the only
        way so far.
    modulation : "basis", BasisModulation or None, default="basis"
        Drift of amplitude and phase. "basis" is ``BasisModulation()``: smooth functions
        of the coordinates of ``signal_shape``; None keeps plain sinusoids, which have
        fewer parameters and fit faster.
    ridge : float, default=1e-6
        Penalty on the squared codes of unit-norm atoms, in [0, 1).
    center : bool, default=True
        Whether to subtract the mean.
    prior : object or None, default=None
        Distribution of the codes: an object with ``fit`` and ``sample``. None means
        `skspectral.priors.GaussianPrior`. scikit-learn's mixtures and `KernelDensity`
        may be used. It is cloned, and fitted on the coordinates of the samples along
        orthonormal axes of the atoms' span, in float64.
    max_iter : int, default=50
        Largest number of Gauss-Newton iterations (ten times as many L-BFGS steps for
        more than 4,096 parameters).
    tol : float, default=2e-3
        Stop when an iteration lowers the squared error by less than this share.
    batch_size : int or None, default=None
        Rows that are processed at a time. None chooses by their size.
    sampling_rate : float or None, default=None
        Samples per second. If given, frequencies are in Hz.
    device : str, torch.device or None, default=None
        Where to compute. None is the CPU.
    random_state : int, RandomState instance or None, default=None
        Seed of the draws of `sample`, and of the prior if it has none. The atoms do
        not depend on it.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Atoms of unit norm, ordered by the variance they add.
    frequencies_ : ndarray of shape (n_components,)
        Frequency of the plain sinusoid nearest to each atom, from 0 to the Nyquist
        frequency: cycles per (flattened) signal, or Hz with ``sampling_rate``.
    phases_ : ndarray of shape (n_components,)
        Its phase at t = 0 in radians, in [0, pi).
    amplitudes_ : ndarray of shape (n_components,)
        Root mean square over t of A_i(t), in units of ``components_``: plain sinusoids
        are ``amplitudes_ * sin(2 pi frequencies_ t + phases_)``.
    explained_variance_ratio_ : ndarray of shape (n_components,)
        Share of the variance that each atom adds to those before it; the sum is the
        share explained by the model.
    mean_ : ndarray of shape (n_features,)
        Mean of the data; zero without ``center``.
    noise_variance_ : float
        Mean variance of what the atoms leave, for each dimension outside their span.
    prior_ : object
        The fitted prior.
    history_ : dict of ndarray
        "stage" and "loss" (squared error of a sample) of each step; the first entry
        is the selection, before any refinement.
    n_iter_ : int
        Number of steps, at least 1.
    converged_ : bool
        Whether ``tol`` was reached.
    n_samples_seen_ : int
        Number of rows of X.
    n_features_in_ : int
        Number T of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features, if X has any.

    See Also
    --------
    sklearn.decomposition.PCA : The linear code of least squared error on the training
        data; its components are no sinusoids.
    sklearn.decomposition.DictionaryLearning : Free atoms with sparse codes.

    Notes
    -----
    fit costs n T^2 multiplications in one pass, O(K T^2) for the selection and, for
    each iteration, O(K T^2 + (K p)^2 T) with p numbers an atom (3 without modulation).
    It holds about three T x T matrices in float64. Sums and solves are float64; the
    products of float32 data are float32. The result does not depend on the order of
    the rows, beyond rounding, nor on a seed.

    References
    ----------
    A. Kiruluta (2025). Spectral Dictionary Learning for Generative Image Modeling.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> X, _ = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(20, signal_shape=(8, 8), random_state=0)
    >>> codes = est.fit_transform(X)
    >>> codes.shape
    (1797, 20)
    >>> est.sample(3).shape
    (3, 64)
    >>> bool(est.explained_variance_ratio_.sum() > 0.8)
    True
    """

    _parameter_constraints = {
        "n_components": [Interval(Integral, 1, None, closed="left"), None],
        "signal_shape": ["array-like", None],
        "atoms": [StrOptions({"sinusoid"})],
        "init": [StrOptions({"greedy"})],
        "modulation": [StrOptions({"basis"}), BasisModulation, None],
        "ridge": [Interval(Real, 0, 1, closed="left")],
        "center": ["boolean"],
        "prior": "no_validation",
        "max_iter": [Interval(Integral, 1, None, closed="left")],
        "tol": [Interval(Real, 0, None, closed="left")],
        "batch_size": [Interval(Integral, 1, None, closed="left"), None],
        "sampling_rate": [Interval(Real, 0, None, closed="neither"), None],
        "device": [str, torch.device, None],
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        n_components: int | None = None,
        *,
        signal_shape: Sequence[int] | None = None,
        atoms: str = "sinusoid",
        init: str = "greedy",
        modulation: str | BasisModulation | None = "basis",
        ridge: float = 1e-6,
        center: bool = True,
        prior: Any = None,
        max_iter: int = 50,
        tol: float = 2e-3,
        batch_size: int | None = None,
        sampling_rate: float | None = None,
        device: str | torch.device | None = None,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.n_components = n_components
        self.signal_shape = signal_shape
        self.atoms = atoms
        self.init = init
        self.modulation = modulation
        self.ridge = ridge
        self.center = center
        self.prior = prior
        self.max_iter = max_iter
        self.tol = tol
        self.batch_size = batch_size
        self.sampling_rate = sampling_rate
        self.device = device
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> "SpectralDictionaryLearning":
        """Learn the atoms, then fit the prior on the codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            One signal or flattened image a row; float64, float32 or uint8 (others
            become float64). Not modified.
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
            If X has NaN or infinite values, fewer than two rows or no variance, or a
            parameter does not fit the data.
        TypeError
            If the prior lacks ``fit`` or ``sample``.
        """
        device = resolve_device(self.device)
        # A stream of its own: `sample(random_state=...)` with the same int differs.
        (stream,) = random_stream(self.random_state).spawn(1)
        prior = new_prior(self.prior, stream, weighted=sample_weight is not None)
        before = {n: self.__dict__[n] for n in _INPUT_NAMES if n in self.__dict__}
        try:
            samples = self._checked(X, reset=True)
            weights = check_weights(sample_weight, samples, self)
            attributes = learn_model(
                samples,
                y,
                weights,
                self._plan(samples, device),
                prior,
                center=self.center,
                sampling_rate=self.sampling_rate,
                batch_size=self.batch_size,
                device=device,
                estimator=self,
            )
        except BaseException:
            # A fit that fails leaves everything as it was.
            for name in _INPUT_NAMES:
                self.__dict__.pop(name, None)
            self.__dict__.update(before)
            raise
        self.__dict__.update(attributes, _stream=stream)
        if not (self.converged_ or self._stopped):
            warnings.warn(
                f"The atoms had not converged after max_iter={self.max_iter} "
                "iterations. Increase max_iter, or tol.",
                ConvergenceWarning,
                stacklevel=3,
            )
        return self

    def _plan(self, samples: np.ndarray, device: torch.device) -> LearningPlan:
        n_features = samples.shape[1]
        n_atoms = self.n_components
        if n_atoms is None:
            n_atoms = min(64, n_features)
        elif n_atoms > n_features:
            raise ValueError(
                f"n_components={n_atoms} must not be larger than "
                f"n_features={n_features}: more atoms than features are dependent."
            )
        shape = check_signal_shape(self.signal_shape, n_features)
        drift = None
        if self.modulation is not None:
            modulation = self.modulation
            if not isinstance(modulation, BasisModulation):
                modulation = BasisModulation()
            drift = Sinusoids(*modulation.functions(shape), device)
        return LearningPlan(
            n_atoms=n_atoms,
            static=Sinusoids(*static_functions(n_features), device),
            drift=drift,
            settings=Settings(
                ridge=self.ridge,
                max_iter=self.max_iter,
                tol=self.tol,
                dtype=working_dtype(samples),
            ),
        )
