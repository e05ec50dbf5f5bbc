"""The estimator `SpectralDictionaryLearning`.

Each method checks its input, calls one function of the model and the prior, and stores
or returns the result. The numerics are in other modules.
"""
# SPDX-License-Identifier: BSD-3-Clause

import copy
import warnings
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import ClassNamePrefixFeaturesOutMixin, TransformerMixin, clone
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from sklearn.utils import Bunch
from sklearn.utils.validation import check_is_fitted

from skspectral._advice import brief
from skspectral._device import (
    Samples,
    as_array,
    as_tensor,
    numpy_dtype,
    resolve_device,
    training_mode,
    working_dtype,
)
from skspectral._missing import has_nan, is_lazy, missing_as_nan, refuse_missing
from skspectral._progress import CallbackMonitor
from skspectral._random import random_stream
from skspectral._sklearn_compat import (
    Estimator,
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
from skspectral.blocks.draws import lazy_draws
from skspectral.blocks.recognition import row_blocks
from skspectral.blocks.row_wise import row_wise, score_sums
from skspectral.coding.sparse import CodingReport, SparseCoding, split_signs
from skspectral.covariance import ModelCovariance, mahalanobis
from skspectral.denoise import denoise
from skspectral.fit import FitResult, fit_from_moments, fit_model
from skspectral.fit_gaps import filled_rows, fit_with_gaps
from skspectral.fit_plan import FitPlan, stft_from_params, transform_coding
from skspectral.fit_rows import BlockRows, FitRows, TrainingRows
from skspectral.generate import sample_given
from skspectral.grid import Grid, as_rows
from skspectral.held_out import explained_variance, mean_log_density
from skspectral.impute import impute, sample_posterior
from skspectral.learning.code_moments import CodeMoments
from skspectral.learning.parameter_covariance import ParameterCovariance
from skspectral.likelihood import (
    component_probabilities,
    observed_probabilities,
    score_observed,
    score_samples,
)
from skspectral.likelihood import n_parameters as count_parameters
from skspectral.model import LinearModel, is_finite
from skspectral.moments import Moments
from skspectral.moments.choice import KINDS
from skspectral.priors.protocol import (
    as_prior,
    depends_on_time,
    draw,
    needs_labels,
    new_prior,
)
from skspectral.significance import false_alarm_probability
from skspectral.standard_errors import (
    atom_covariance,
    described_covariance,
    described_errors,
)

_CPU = torch.device("cpu")
_COUNT = [Interval(Integral, 1, None, closed="left")]


class SpectralDictionaryLearning(
    CallbackSupportMixin,
    ClassNamePrefixFeaturesOutMixin,
    TransformerMixin,
    Estimator,
):
    """Dictionary learning with sinusoidal atoms and a generative prior.

    The estimator writes each signal or flattened image x, of T samples, as mean + w S +
    noise. The rows of S are K learned atoms, and w are the K codes of x. The atoms are
    sinusoids whose amplitude and phase may vary over the signal (Kiruluta 2025,
    equations 1 to 6)::

        s_i(t) = A_i(t) sin(2 pi f_i t + phi_i(t)),     t = 0, 1/T, .., (T-1)/T

    Learning minimises the mean squared error that remains with the least-squares codes
    of every sample. This error depends on the data only through the mean and the second
    moment, so that one pass over the data is enough. A prior is then fitted to the
    coordinates of the samples in the span of the atoms. With the prior the model is
    generative: it can draw new signals, score samples by their likelihood, remove noise
    and fill in missing entries.

    Parameters
    ----------
    n_components : int, float, {"bic", "evidence"} or None, default=None
        Number K of atoms, at most n_features, or at most 8 times n_features with
        ``alpha`` or ``n_nonzero_coefs``. More atoms lower the reconstruction error, and
        take more time. There may be more atoms than samples, unlike in PCA: a few
        sinusoids seldom span the samples. None means min(64, n_features).

        A float between 0 and 1 takes as few atoms as explain this share of the
        variance. "evidence" takes the number that is most probable, given the data, and
        "bic" that with the lowest Bayesian information criterion. The number is chosen
        along one path, on which atoms are added and refined; see Notes.
    signal_shape : int, tuple of int or None, default=None
        Shape of the signal or image in each row of X, which is flattened in C order:
        (length,), (height, width) or (height, width, channels). With ``channel_axis``,
        also (channels, length), volumes and videos. An int is the length. The product
        of the sizes must be n_features. None means (n_features,), a signal with one
        channel. `fit` and the methods for rows also take X with these axes, of shape
        ``(n_samples, *signal_shape)``.
    channel_axis : int, "auto" or None, default="auto"
        Axis of the channels in ``signal_shape``, such as 0 for (channels, length) and
        -1 for (frames, height, width, channels). Each atom is then one wave along the
        other axes, with a pattern over the channels. "auto" means the last of three or
        four axes, and None means that there are no channels, as in volumes.
    atoms : {"auto", "sinusoid", "plane_wave", "gabor", "chirp"} or AtomFamily, \
            default="auto"
        Kind of the atoms.

        - "auto": "sinusoid" for signals with one axis and one channel, "plane_wave" for
          all others.
        - "sinusoid": sinusoids along the flattened signal. The published method uses
          them for images, too.
        - "plane_wave": waves along the axes of the signals, with a pattern over the
          channels. For images, s_i(y, x, c) = g_ic A_i sin(2 pi (u_i y + v_i x) +
          phi_i), where A_i and phi_i may vary over y and x. An instance of `PlaneWave`
          can give each channel a phase of its own.
        - "gabor": plane waves in a Gaussian window with a learned centre and width.
        - "chirp": linear frequency sweeps along the flattened signal.
        - An instance of a class of `skspectral.atoms`, or of your own subclass of
          `AtomFamily`, which is checked before it is used.
    init : {"greedy", "spectrum", "random"}, array-like or estimator, default="greedy"
        Starting point of the atoms. A good start matters, because the error has many
        local minima.

        - "greedy": add one wave after the other, each time the wave that removes the
          most residual variance.
        - "spectrum": the frequencies with the most power in the mean spectrum.
        - "random": uniformly distributed frequencies and phases.
        - An array of frequencies in the units of ``frequencies_``, of shape
          (n_components,), at most the Nyquist frequency. For atoms that run along
          several axes, an array of ``wave_vectors_``, of shape (n_components, n_axes).
        - A fitted `SpectralDictionaryLearning`: its atoms, completed by greedy
          selection if they are fewer than K. In a grid search, put the estimator into a
          ``FrozenEstimator``.
    modulation : {"auto", "basis", "mlp"}, Modulation or None, default="auto"
        Modulation: how amplitude and phase of sinusoids and plane waves vary over the
        signal.

        - "auto": "basis" for sinusoids and plane waves, None for all other atoms.
        - "basis": ``BasisModulation()``, in which amplitude and phase follow weighted
          sums of a few smooth functions of the position in the signal.
        - "mlp": ``MLPModulation()``, the published neural network of the position.
        - An instance of `BasisModulation`, `MLPModulation` or of your own subclass of
          ``Modulation``.
        - None: constant amplitude and phase, with fewer parameters per atom and a
          faster fit.
    solver : {"auto", "gauss-newton", "lbfgs", "adam"}, default="auto"
        Optimiser of the parameters of the atoms.

        - "auto": "gauss-newton" if the atoms share no parameters, otherwise "lbfgs".
        - "gauss-newton": damped Gauss-Newton iterations on the second moment. It is not
          available with ``modulation="mlp"``, whose atoms share parameters.
        - "lbfgs": L-BFGS on the second moment.
        - "adam": the published method, which alternates between least-squares codes and
          Adam steps on minibatches of X. It is slower than the others.
    stft_weight : float, default=0.0
        Weight of the spectral loss during learning. The spectral loss is the L1
        distance between the magnitudes of the short-time spectra of a sample and of its
        reconstruction. The squared error and the weighted spectral loss are equal at
        the weight squared_error / stft_error of ``history_``. With a positive weight,
        Adam lowers the sum of both losses, after the solver has minimised the squared
        error alone; ``solver="adam"`` lowers the sum from the start. 0 disables the
        spectral loss.
    stft_window : int, default=64
        Length in samples of the Hann window of the short-time spectra, from 2 to
        n_features. A long window resolves frequencies better, a short one resolves
        times better. Ignored if both spectral weights are 0.
    stft_hop : int or None, default=None
        Distance in samples between the starts of neighbouring windows, at most half of
        ``stft_window``. None means a quarter of ``stft_window``. Ignored if both
        spectral weights are 0.
    alpha : float or None, default=None
        If given, the atoms are learned for sparse codes: for the least mean of
        ``|x - w S|^2 / 2 + alpha |w|_1`` over the samples, with the centred sample x
        and atoms S of unit norm. A larger value leads to fewer nonzeros. None means
        least-squares codes, unless ``n_nonzero_coefs`` is given.
    n_nonzero_coefs : int or None, default=None
        If given, the atoms are learned for codes with this number of nonzeros, which
        orthogonal matching pursuit computes. Pass either this or ``alpha``.
    transform_algorithm : {"auto", "lstsq", "omp", "lasso_lars", "lasso_cd", \
            "threshold"}, default="auto"
        Codes that `transform` computes. The names are those of
        ``sklearn.decomposition.sparse_encode``.

        - "auto": "lasso_cd" with ``alpha``, "omp" with ``n_nonzero_coefs``, and "lstsq"
          otherwise.
        - "lstsq": least-squares codes of all atoms.
        - "omp": orthogonal matching pursuit, with ``transform_n_nonzero_coefs``
          nonzeros.
        - "lasso_lars", "lasso_cd": the minimum of
          ``|x - w S|^2 / 2 + transform_alpha |w|_1``. Both names give the same codes,
          by an active-set method.
        - "threshold": products of the centred sample and the atoms, moved towards 0 by
          ``transform_alpha``.
    transform_n_nonzero_coefs : int or None, default=None
        Number of nonzeros per sample for "omp". None means ``n_nonzero_coefs`` or, if
        that is None, a tenth of n_features.
    transform_alpha : float or None, default=None
        Weight of the absolute values for the lasso, and the threshold for "threshold".
        None means ``alpha`` or, if that is None, 1.
    transform_max_iter : int, default=1000
        Largest number of iterations of the lasso.
    positive_code : bool, default=False
        Whether sparse codes must not be negative. Not for "omp".
    split_sign : bool, default=False
        Whether `transform` returns the positive parts of all codes, followed by the
        absolute values of the negative parts. `inverse_transform` takes both.
    transform_stft_weight : float, default=0.0
        Weight of the spectral loss in `transform`. Useful values are 0.1 to 3 times the
        weight at which both terms are equal, which is squared_error / stft_error. 0
        means least-squares codes, which are much faster to compute.
    ridge : float, default=1e-6
        Penalty on squared codes, in [0, 1), for atoms of unit norm. A larger value, up
        to about 0.01, keeps the codes of nearly parallel atoms small, at the cost of
        some explained variance.
    center : bool, default=True
        Whether to subtract the mean of the data before learning. If False, the atoms
        have to explain the mean, too.
    whiten : bool, default=False
        Whether `transform` returns codes that are uncorrelated and have unit variance
        over the training data. Among all whitening maps, the map is used that has, on
        average, the largest correlation between a code and the white code of the same
        atom. Directions in which the training codes do not vary become 0.
        `inverse_transform` undoes the whitening; atoms and prior do not depend on it.
    prior : object or None, default=None
        Distribution of the `coordinates` of the samples. Draws, likelihoods, denoising
        and imputation use it. It can be one of `skspectral.priors`, a mixture model or
        ``KernelDensity`` of scikit-learn, or any object with ``fit`` and ``sample``.
        The prior is cloned, and fitted in float64. None means `GaussianPrior`.
    max_iter : int, default=50
        Largest number of iterations per stage of learning. An iteration is one
        Gauss-Newton step, ten L-BFGS steps, ten Adam steps on the spectral loss, or one
        epoch of ``solver="adam"``. After a stage weak atoms may be replaced up to three
        times, each time with a further ``max_iter`` iterations at most.
    tol : float, default=2e-3
        Relative tolerance of the loss. Learning stops when two successive iterations
        each lower the loss by less than this fraction. With L-BFGS a single such
        iteration is enough. Smaller values fit more closely and take longer. With 0,
        Adam performs all iterations. With missing entries, the EM algorithm stops when
        it raises the mean log-likelihood of an observed entry by less than ``tol / 2``.
    learning_rate : float, default=3e-3
        Step size of Adam, in each parameter's own unit. Useful values are 1e-3 to 0.1.
        Used only if ``solver="adam"`` or ``stft_weight`` is positive.
    batch_size : int or None, default=None
        Number of rows that are processed at a time, and the size of the minibatches of
        Adam. A smaller value needs less memory. None chooses it by the size of a row,
        and uses 256 for Adam.
    shrinkage : "auto", float or None, default=None
        Weight in [0, 1] with which the covariance of the data is shrunk towards a
        stationary covariance. A stationary covariance depends only on the lag between
        two positions; here it is the mean over all positions of ``signal_shape``.
        Shrinkage helps with few samples of signals, textures or photographs. "auto"
        estimates the best weight from the data, and None means 0. The atoms, the noise
        and a `GaussianPrior` are learned from the shrunk covariance. Three parts of the
        fit use the samples themselves, without shrinkage: ``solver="adam"``, the
        spectral loss, and all other priors.
    second_moment : {"auto", "dense", "factor", "sketch"}, default="auto"
        Form in which the second moment of the data is kept. It determines the memory
        and the time of a fit, and hardly its result.

        - "auto": "factor" for at most half as many rows as features; otherwise "dense"
          up to 11,585 features, where the matrix takes 1 GiB. With more features,
          "factor" for at most as many rows as features, if they take at most 1 GiB;
          otherwise "sketch".
        - "dense": a T x T matrix in float64. Best for many rows.
        - "factor": the centred rows themselves. Best for few rows, of any length.
        - "sketch": ``sketch_size`` rows and the exact autocorrelation of the data,
          which represents the rest as a stationary process. Best for many long rows.
    sketch_size : int or None, default=None
        Number of rows of a sketch, from 1 to n_features. More rows make it more exact,
        see ``second_moment_error_``, and take more memory. None means 256, or less if
        these would take more than 1 GiB. Ignored by the other forms.
    keep_moments : bool, default=True
        Whether to keep ``moments_`` after the fit, for `partial_fit`. If False, the
        estimator and its pickles are smaller, and contain no rows of X.
    sampling_rate : float, tuple of float or None, default=None
        Number of samples per second. If given, all frequencies are in Hz; for images,
        which have pixels per unit of length, in cycles per unit of length. A tuple has
        one number for each axis except that of the channels. None means that
        frequencies are in cycles per signal.
    windows : int, tuple of int or None, default=None
        Number of smooth, overlapping windows along each axis of the signal, so that
        codes can vary over the signal. Each learned wave becomes one atom per window.
        An int is used for all axes, and there may be at most four windowed atoms per
        feature. All fitted attributes except ``history_`` and ``amplitudes_`` describe
        the windowed atoms. None means no windows.
    device : str, torch.device or None, default=None
        Device on which to compute, such as "cpu" or "cuda". None means the device of X,
        which is the CPU for numpy arrays.
    random_state : int, RandomState instance or None, default=None
        Seed of `sample`, of a prior without a seed of its own, and of the random parts
        of learning: ``init="random"``, ``modulation="mlp"``, ``solver="adam"``, the
        spectral loss, and the choice of rows and candidates for sparse codes. With the
        default parameters the atoms do not depend on it. Pass an int for reproducible
        results.
    warm_start : bool, default=False
        Whether `fit` starts from the atoms of the last fit instead of from ``init``.

    Attributes
    ----------
    components_ : ndarray of shape (n_components, n_features)
        Atoms, of unit norm, ordered by the variance that they add. With ``windows``,
        the windowed atoms of a wave are neighbours. With ``alpha`` or
        ``n_nonzero_coefs``, they are ordered by the mean squares of their codes.
    n_components_ : int
        Number of atoms. With ``windows``, all windowed atoms are counted.
    basis_ : ndarray of shape (rank, n_features), float64
        Orthonormal basis of the span of the atoms, to which `coordinates` refer. The
        rank is ``n_components_``, or less if windowed atoms, or atoms for sparse codes,
        are linearly dependent.
    frequencies_ : ndarray of shape (n_components,)
        Frequency of the plain wave nearest to each atom, from 0 to the Nyquist
        frequency, in cycles per flattened signal or, with ``sampling_rate``, in Hz. For
        waves along several axes, the length of the wave vector.
    phases_ : ndarray of shape (n_components,)
        Phase of the plain wave nearest to each atom, at the first sample, in radians in
        [0, pi).
    amplitudes_ : ndarray of shape (n_components,)
        Root mean square of A_i(t) over the signal, in units of ``components_``. Without
        modulation an atom of a signal is ``amplitudes_[i] * sin(2 pi frequencies_[i] t
        + phases_[i])``. With ``windows``, the amplitude of the whole wave is repeated
        for each of its windows.
    wave_vectors_ : ndarray of shape (n_components, n_axes)
        Wave vector of each atom: (u, v) in cycles per height and per width or, with
        ``sampling_rate``, in cycles per unit of length. Set only for waves along
        several axes.
    frequencies_std_ : ndarray of shape (n_components,)
        Standard errors of ``frequencies_``, infinite if the data do not identify the
        frequency; see `standard_errors`. They are computed when they are read, from
        ``moments_``.
    phases_std_ : ndarray of shape (n_components,)
        Standard errors of ``phases_``.
    amplitudes_std_ : ndarray of shape (n_components,)
        Standard errors of ``amplitudes_``.
    wave_vectors_std_ : ndarray of shape (n_components, n_axes)
        Standard errors of ``wave_vectors_``. Set only for waves along several axes.
    orientations_ : ndarray of shape (n_components,)
        Angle of the wave vector, in radians in [0, pi), from the direction of
        increasing column index towards that of increasing row index. Set only for waves
        of images.
    colors_ : ndarray of shape (n_components, n_channels)
        Relative strength of each atom in each channel, of unit norm and with a sum >=
        0. Set only for waves of images.
    patterns_ : ndarray of shape (n_components, n_channels)
        Relative strength of each atom in each channel, of unit norm. With
        ``PlaneWave(patterns="complex")`` they are complex numbers, whose angle is the
        phase of the channel relative to ``phases_``. Set only for waves of signals with
        several channels that are no images.
    window_centers_ : ndarray of shape (n_components, n_axes)
        Centre of the window of each atom along each axis, from 0 (first sample) to 1
        (last sample). Set only with ``windows``.
    explained_variance_ratio_ : ndarray of shape (n_components,)
        Fraction of the variance of the data that each atom adds to the atoms before it.
        The sum is the fraction that all atoms together explain. If ``center`` is False,
        variances are mean squares about 0.
    explained_variance_ : ndarray of shape (n_components,)
        ``explained_variance_ratio_`` times the total variance, in squared units of the
        data. The total variance is the sum of the variances of all features. Means over
        n samples divide by n, not by n - 1 as in PCA.
    mean_ : ndarray of shape (n_features,)
        Mean of the data; zeros if ``center`` is False.
    noise_variance_ : float
        Mean residual variance per dimension outside the span of the atoms, in squared
        units of the data.
    shrinkage_ : float
        Weight of the stationary covariance that was used. If it is not 0, all variances
        and errors in the other attributes refer to the shrunk covariance, whose trace
        is that of the sample covariance.
    prior_ : Prior
        Fitted prior: a distribution of `coordinates`, not of the codes of `transform`.
        `inverse_coordinates` turns its draws into signals. A prior that is not a
        subclass of ``Prior`` is wrapped in a `ScaledPrior`.
    model_ : LinearModel
        Mean, atoms, basis, map to codes and noise variance in one immutable object.
        `skspectral.control` and the displays of `skspectral.plotting` use it.
    moments_ : Moments
        Mean and second moment of all rows seen so far. `partial_fit` adds to them. Set
        only if ``keep_moments`` is True.
    code_moments_ : CodeMoments
        Second moments of sparse codes, and of codes and rows, over all rows seen so
        far. `partial_fit` adds to them. Set only with ``alpha`` or ``n_nonzero_coefs``,
        and ``keep_moments=True``.
    second_moment_error_ : float
        Bound of the spectral norm of the difference between the second moment that was
        used and that of the data, in squared units of the data. It is 0 unless the
        second moment is a sketch.
    number_criterion_ : ndarray of shape (n_tried,)
        Criterion of 1, 2, .. atoms by which ``n_components_`` was chosen: an
        approximate log-evidence in nats, relative to one atom, for "evidence" and
        "bic", and the explained share of the variance for a float. Set only if
        ``n_components`` is a float or a str, and not by `partial_fit`.
    history_ : dict of str to ndarray
        Course of learning: arrays with one entry for the start, one for the start of
        the spectral loss if there is one, and one per step. The keys are "stage",
        "loss", "squared_error" and "stft_error". The losses and errors are means over
        the samples; "stft_error" is NaN where it was not evaluated. With ``alpha``, the
        loss is the squared error plus ``2 alpha |w|_1``.
    observed_log_likelihoods_ : ndarray of shape (n_steps,)
        Mean log-likelihood of the observed entries of a row, in nats, at the start and
        after each step of the EM algorithm that was kept. It never falls, except with
        rows of earlier calls. Set only if X has missing entries.
    n_iter_ : int
        Number of optimisation steps, at least 1.
    converged_ : bool
        Whether the last stage of learning reached ``tol``.
    n_samples_seen_ : int
        Number of rows seen by `fit` and the later calls of `partial_fit`.
    n_features_in_ : int
        Number T of features.
    feature_names_in_ : ndarray of shape (`n_features_in_`,)
        Names of the features. Set only if X has feature names that are all strings.

    See Also
    --------
    skspectral.recipes.published_recipe : Estimator that learns as the paper does.
    sklearn.decomposition.PCA : Orthogonal components that are not sinusoids.

    Notes
    -----
    Some kinds of atoms have further attributes: `Gabor` has ``centers_`` and
    ``widths_``, and `Chirp` has ``sweep_rates_``.

    If ``n_components`` is a rule, atoms are added one by one at first, and by a quarter
    of their number later. All are refined by a few steps each time, and ordered by the
    variance that they add. The models of the first k atoms are compared for all k. The
    evidence is an approximate integral of the likelihood, which counts the T / 2
    frequencies at which an atom could be, and how precisely its parameters are known.
    At most 512 atoms are tried. The path takes about five times as long as the fit.

    With a dense second moment, `fit` costs n T^2 multiplications for the pass over the
    data, and O(K T^2) for each product with the second moment; with a factor or a
    sketch of m rows, these cost O(m T K). A Gauss-Newton iteration takes one such
    product, and O(K^2 T) to O((K p)^2 T) multiplications, with p parameters per atom.
    The second moment takes 8 T^2 bytes if it is dense, and up to 8 m T bytes otherwise.
    Sums and linear systems are computed in float64, products of float32 data in
    float32.

    Methods that return one result per row take the same kinds of X as `fit`. For
    collections of dask they return lazy dask arrays in the chunks of X, and compute
    nothing before it is asked for.

    With ``sklearn.set_config(array_api_dispatch=True)`` X can be a tensor, or an array
    of another library that supports the array API. Results and fitted attributes are
    then of the same kind.

    References
    ----------
    A. Kiruluta (2025). Spectral Dictionary Learning for Generative Image Modeling.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> X, _ = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(20, signal_shape=(8, 8), random_state=0)
    >>> est.fit_transform(X).shape
    (1797, 20)
    >>> print(est.explained_variance_ratio_.sum().round(2))
    0.88
    >>> est.sample(3).shape
    (3, 64)
    """

    _parameter_constraints = {
        "n_components": [
            *_COUNT,
            Interval(Real, 0, 1, closed="neither"),
            StrOptions({"bic", "evidence"}),
            None,
        ],
        "signal_shape": [*_COUNT, "array-like", None],
        "channel_axis": [StrOptions({"auto"}), Integral, None],
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
        "alpha": [Interval(Real, 0, None, closed="neither"), None],
        "n_nonzero_coefs": [*_COUNT, None],
        "transform_algorithm": [
            StrOptions({"auto", "lstsq", "omp", "lasso_lars", "lasso_cd", "threshold"})
        ],
        "transform_n_nonzero_coefs": [*_COUNT, None],
        "transform_alpha": [Interval(Real, 0, None, closed="neither"), None],
        "transform_max_iter": _COUNT,
        "positive_code": ["boolean"],
        "split_sign": ["boolean"],
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
        "second_moment": [StrOptions({"auto", *KINDS})],
        "sketch_size": [*_COUNT, None],
        "keep_moments": ["boolean"],
        "sampling_rate": [Interval(Real, 0, None, closed="neither"), tuple, list, None],
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
    code_moments_: CodeMoments
    # Names of the attributes that describe the atoms. They depend on the kind of atoms.
    _published: tuple[str, ...]
    _stream: np.random.Generator | None
    # Sum of squares of all rows when learning last started from `init`. `partial_fit`
    # starts from `init` again once the sum has grown enough.
    _energy_at_start: float

    def __init__(
        self,
        n_components: int | float | str | None = None,
        *,
        signal_shape: int | Sequence[int] | None = None,
        channel_axis: int | str | None = "auto",
        atoms: str | AtomFamily = "auto",
        init: Any = "greedy",
        modulation: str | Modulation | None = "auto",
        solver: str = "auto",
        stft_weight: float = 0.0,
        stft_window: int = 64,
        stft_hop: int | None = None,
        alpha: float | None = None,
        n_nonzero_coefs: int | None = None,
        transform_algorithm: str = "auto",
        transform_n_nonzero_coefs: int | None = None,
        transform_alpha: float | None = None,
        transform_max_iter: int = 1000,
        positive_code: bool = False,
        split_sign: bool = False,
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
        second_moment: str = "auto",
        sketch_size: int | None = None,
        keep_moments: bool = True,
        sampling_rate: float | Sequence[float] | None = None,
        windows: int | Sequence[int] | None = None,
        device: str | torch.device | None = None,
        random_state: int | np.random.RandomState | None = None,
        warm_start: bool = False,
    ):
        self.n_components = n_components
        self.signal_shape = signal_shape
        self.channel_axis = channel_axis
        self.atoms = atoms
        self.init = init
        self.modulation = modulation
        self.solver = solver
        self.stft_weight = stft_weight
        self.stft_window = stft_window
        self.stft_hop = stft_hop
        self.alpha = alpha
        self.n_nonzero_coefs = n_nonzero_coefs
        self.transform_algorithm = transform_algorithm
        self.transform_n_nonzero_coefs = transform_n_nonzero_coefs
        self.transform_alpha = transform_alpha
        self.transform_max_iter = transform_max_iter
        self.positive_code = positive_code
        self.split_sign = split_sign
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
        self.second_moment = second_moment
        self.sketch_size = sketch_size
        self.keep_moments = keep_moments
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
        """Learn the atoms, then fit the prior to the coordinates of the samples.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Training data: one signal or flattened image per row, and at least two rows.
            The shape may also be ``(n_samples, *signal_shape)``. NaN, masked entries
            and NA are missing entries; see Notes.
            float64, float32 and uint8 are used as they are, other types are converted
            to float64.
            Rows that do not fit into memory may be a dask array or data frame, an array
            of zarr or h5py, a function without arguments that returns an iterator over
            blocks of rows, or a ``torch.utils.data.DataLoader``.
        y : array-like of shape (n_samples,), default=None
            Labels, passed on to the ``fit`` of the prior. Ignored by priors without
            labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows. A weight of 2 has the same effect as a row
            that occurs twice. None means weights of 1.

        Returns
        -------
        self : SpectralDictionaryLearning
            The fitted estimator.

        Raises
        ------
        ValueError
            If X has infinite values, no observed entry, fewer than two rows, or no
            variance.
        ValueError
            If a parameter has an invalid value, or does not fit X or another parameter.
        ValueError
            If the prior needs labels and ``y`` is None, or if it takes no weights and
            ``sample_weight`` is given.
        TypeError
            If the prior lacks ``fit`` or ``sample``.
        MemoryError
            If the second moment, or a batch of rows, does not fit into memory.

        Notes
        -----
        With missing entries, the fit raises the likelihood of the observed entries by
        an EM algorithm, see ``observed_log_likelihoods_``. It keeps a dense second
        moment, and costs O(K^2 T) per distinct set of missing entries in each step.
        Rows in blocks, ``solver="adam"`` and the spectral loss need complete rows. With
        ``alpha`` or ``n_nonzero_coefs``, missing entries are filled with their
        posterior means under such a fit, and sparse codes are learned from the result.
        """
        return self._learn(X, y, sample_weight, fitted=self._warm_start())

    @fit_context(prefer_skip_nested_validation=False)
    def partial_fit(
        self, X: ArrayLike, y: Any = None, sample_weight: ArrayLike | None = None
    ) -> "SpectralDictionaryLearning":
        """Add rows to those seen before, and refine the atoms on all of them.

        The first call does the same as `fit`. Each later call adds its rows to
        ``moments_``, and lets the atoms move to a nearby minimum of the error over all
        rows.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Further training data, one signal or flattened image per row. After the
            first call a single row is enough, if the prior is fitted from moments as
            `GaussianPrior` is.
        y : array-like of shape (n_samples,), default=None
            Labels, passed on to the ``fit`` of the prior.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, in the same units in all calls. None means
            weights of 1.

        Returns
        -------
        self : SpectralDictionaryLearning
            The updated estimator.

        Raises
        ------
        ValueError
            For each reason for which `fit` raises it, except that later calls may have
            a single row.
        ValueError
            If X has a single row, and the prior cannot be fitted from moments.
        ValueError
            If the moments of the earlier rows were not kept, because ``keep_moments``
            was False.
        TypeError
            If the prior lacks ``fit`` or ``sample``.
        MemoryError
            If the second moment, or a batch of rows, does not fit into memory.

        Notes
        -----
        The moments are those of all rows, however the rows are divided between the
        calls. A call also learns the atoms anew from ``init``, and keeps them if their
        error is lower than that of the refined atoms. It then takes as long as `fit`
        without the pass over the data. This second start is left out while the rows
        added since the last one have less than a thousandth of the total sum of
        squares.

        ``solver="adam"``, the spectral loss, and priors that cannot be fitted from
        moments use the rows of the last call only.

        With ``alpha`` or ``n_nonzero_coefs``, each call computes sparse codes of its
        own rows, and adds them to ``code_moments_``; the codes of earlier rows stay as
        they are (Mairal et al. 2010). Only the first call starts from ``init``.
        """
        if not hasattr(self, "model_"):
            return self._learn(X, y, sample_weight)
        if not hasattr(self, "moments_"):
            raise ValueError(
                "partial_fit needs the moments of the earlier rows, which "
                "keep_moments=False did not keep. Pass keep_moments=True, and call fit "
                "again."
            )
        is_sparse = self.alpha is not None or self.n_nonzero_coefs is not None
        if is_sparse and not hasattr(self, "code_moments_"):
            raise ValueError(
                "partial_fit with alpha or n_nonzero_coefs continues a fit for sparse "
                "codes, but the earlier rows were fitted for least-squares codes. Call "
                "fit to start anew."
            )
        return self._learn(
            X, y, sample_weight, fitted=self.model_, earlier=self.moments_
        )

    @fit_context(prefer_skip_nested_validation=False)
    def fit_moments(self, moments: Moments) -> "SpectralDictionaryLearning":
        """Learn the atoms and the prior from moments, without the rows.

        The result is that of `fit` on the rows from which the moments were gathered.
        Moments of many files or machines can be merged first, and one file of moments
        serves any number of fits with other parameters.

        Parameters
        ----------
        moments : Moments
            Moments of at least two rows, such as ``moments_`` of a fitted estimator or
            the result of `skspectral.moments.load_moments`. They are not changed. Their
            form is kept: ``second_moment`` and ``sketch_size`` are ignored.

        Returns
        -------
        self : SpectralDictionaryLearning
            The fitted estimator. Its attributes are numpy arrays in the dtype of the
            rows.

        Raises
        ------
        TypeError
            If ``moments`` is not an instance of `Moments`.
        ValueError
            If the moments are those of fewer than two rows, or have no variance.
        ValueError
            If a parameter needs the rows: ``solver="adam"``, ``stft_weight`` > 0, or a
            prior that cannot be fitted from moments.
        ValueError
            If ``shrinkage="auto"``, and the moments were gathered without tails, as by
            a fit with another value of ``shrinkage``.

        See Also
        --------
        skspectral.moments.save_moments : Write moments to a file.

        Notes
        -----
        With ``keep_moments=True``, the estimator keeps a copy of the moments.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skspectral import SpectralDictionaryLearning
        >>> X, _ = load_digits(return_X_y=True)
        >>> one = SpectralDictionaryLearning(8, signal_shape=(8, 8)).fit(X)
        >>> two = SpectralDictionaryLearning(16, signal_shape=(8, 8))
        >>> two.fit_moments(one.moments_).components_.shape
        (16, 64)
        """
        _check_moments(moments)
        if moments.n_samples < 2:
            raise ValueError(
                f"moments are those of {moments.n_samples} rows, but at least 2 are "
                "needed. Add rows with moments.update."
            )
        as_prior(self.prior).require("moments", "fit_moments")
        stream, rng = random_stream(self.random_state).spawn(2)
        prior = new_prior(self.prior, stream)
        like = np.empty((0, len(moments.mean)), moments.dtype)
        with training_mode(), input_names_restored_on_failure(self):
            self.n_features_in_ = like.shape[1]
            self.__dict__.pop("feature_names_in_", None)
            plan = FitPlan.from_params(
                self.get_params(deep=False),
                like.shape[1],
                working_dtype(like),
                resolve_device(self.device),
                rng,
                fitted=self._warm_start(),
            )
            monitor = CallbackMonitor(self)
            own = copy.deepcopy(moments) if self.keep_moments else moments
            result = fit_from_moments(own.moved_to(plan.device), plan, prior, monitor)
            monitor.close()
            self._publish(result, like)
        self._finish(result, stream, stacklevel=4)
        return self

    def _warm_start(self) -> LinearModel | None:
        """Return the model at which `fit` starts, if any."""
        return self.model_ if self.warm_start and hasattr(self, "model_") else None

    def _learn(
        self,
        X: ArrayLike,
        y: Any,
        sample_weight: ArrayLike | None,
        *,
        fitted: LinearModel | None = None,
        earlier: Moments | None = None,
    ) -> "SpectralDictionaryLearning":
        """Learn the atoms and the prior, and publish the result.

        The start is ``fitted``, if given. The moments of X are added to ``earlier``.
        """
        # Two streams, for draws and for learning. Neither is the stream of
        # `sample(random_state=...)` with the same seed.
        stream, rng = random_stream(self.random_state).spawn(2)
        X = as_rows(X, self.signal_shape)
        blocks = row_blocks(X)
        y = refuse_missing(y.compute() if is_lazy(y) else y, "y")
        prior = new_prior(self.prior, stream, y, sample_weight)
        if blocks is not None:
            # Rows of zeros with the columns of X, which stand for it in all checks.
            X = blocks.stand_in()
        with training_mode(), input_names_restored_on_failure(self):
            checked = self._checked(X, reset=earlier is None)
            samples = from_namespace(checked)
            with input_errors(X, self, batch_size=self.batch_size):
                plan = FitPlan.from_params(
                    self.get_params(deep=False),
                    samples.shape[1],
                    working_dtype(samples),
                    resolve_device(self.device, samples),
                    rng,
                    fitted=fitted,
                    in_pieces=earlier is not None,
                )
                _warn_about_layout(X, plan.grid, self.channel_axis)
                monitor = CallbackMonitor(self)
                rows: FitRows
                gaps, log_likelihoods = None, None
                if blocks is None:
                    gaps = self._rows_with_gaps(samples)
                    weights = check_weights(sample_weight, checked, self)
                    if gaps is not None and plan.learning.coding is not None:
                        if earlier is None:
                            samples = filled_rows(gaps, weights, rng, plan, monitor)
                        else:
                            samples = self._filled(samples, X, plan.device)
                        gaps = None
                    rows = TrainingRows(samples, weights, y, rng)
                else:
                    labels = None if y is None else np.asarray(y)
                    rows = BlockRows(blocks, sample_weight, labels, rng)
                energy = self._energy_at_start if earlier else None
                earlier_codes = None
                if earlier is not None and plan.learning.coding is not None:
                    earlier_codes = self.code_moments_.converted(
                        lambda part: as_tensor(part, plan.device)
                    )
                if gaps is None:
                    result = fit_model(
                        rows,
                        plan,
                        prior,
                        monitor,
                        earlier=earlier,
                        earlier_codes=earlier_codes,
                        energy_at_start=energy,
                    )
                else:
                    result, log_likelihoods = fit_with_gaps(
                        gaps,
                        weights,
                        y,
                        rng,
                        plan,
                        prior,
                        monitor,
                        fitted=self.model_ if earlier else None,
                        earlier=earlier,
                    )
                monitor.close()
            self._publish(result, checked)
            self.__dict__.pop("observed_log_likelihoods_", None)
            if log_likelihoods is not None:
                self.observed_log_likelihoods_ = log_likelihoods
        self._finish(result, stream, stacklevel=5)
        return self

    def _finish(
        self, result: FitResult, stream: np.random.Generator, stacklevel: int
    ) -> None:
        """Store the stream of draws, and warn if the atoms have not converged."""
        # Without a seed no stream is stored: copies of the estimator in other processes
        # would all draw the same numbers from it.
        self._stream = None if self.random_state is None else stream
        if not (result.converged or result.stopped):
            warnings.warn(
                f"The atoms had not converged after max_iter={self.max_iter} "
                "iterations. Increase max_iter, or tol.",
                ConvergenceWarning,
                stacklevel=stacklevel,
            )

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
        ratio = result.explained_variance_ratio
        self.explained_variance_ratio_ = like_X(ratio)
        self.explained_variance_ = like_X(ratio * result.total_variance)
        described = self.model_.dictionary.describe()
        for name, values in described.items():
            setattr(self, f"{name}_", like_X(values))
        self._published = tuple(f"{name}_" for name in described)
        self.noise_variance_ = self.model_.noise_variance
        self.shrinkage_ = result.shrinkage
        self.prior_ = result.prior
        self.second_moment_error_ = result.second_moment_error
        for name in ("moments_", "code_moments_"):
            self.__dict__.pop(name, None)
        if self.keep_moments:
            self.moments_ = result.moments.moved_to(_CPU)
            if result.code_moments is not None:
                self.code_moments_ = result.code_moments.converted(as_array)
        self.__dict__.pop("number_criterion_", None)
        if result.number_criterion is not None:
            self.number_criterion_ = result.number_criterion
        self.history_ = result.history
        self.n_iter_ = result.n_iter
        self.converged_ = result.converged
        self.n_samples_seen_ = result.moments.n_samples
        self._energy_at_start = result.energy_at_start

    def _checked(
        self, X: ArrayLike, *, reset: bool = False, all_finite: bool | str = False
    ) -> Any:
        """Check X by scikit-learn, and convert it to one of the supported dtypes.

        By default NaN and infinite values pass: they are searched for only if a result
        is not finite, which saves a pass over the data.
        """
        refuse_unusable_tensors(X)
        X = in_native_form(missing_as_nan(X))
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
        """Check X for a method of the fitted estimator.

        Returns the checked X, the same as a numpy array or tensor, and the device on
        which to compute.
        """
        check_is_fitted(self)
        check_same_namespace(X, self, attribute="components_", method=method)
        checked = self._checked(X, all_finite=all_finite)
        samples = from_namespace(checked)
        return checked, samples, resolve_device(self.device, samples)

    def _rows_with_gaps(self, samples: Samples) -> np.ndarray | None:
        """Return a copy of the checked rows if they have NaN, and None if not.

        A ValueError is raised if X has infinite values.
        """
        if not has_nan(samples):
            return None
        check_array(as_array(samples), "X", self, ensure_all_finite="allow-nan")
        copy = np.array(as_array(samples, numpy_dtype(working_dtype(samples))))
        return copy if np.isnan(copy).any() else None

    def _filled(self, samples: Samples, X: Any, device: torch.device) -> Samples:
        """Return the rows with posterior means in place of NaN, if they have NaN.

        An error is raised if X has infinite values.
        """
        gaps = self._rows_with_gaps(samples)
        if gaps is None:
            check_finite(X, self)
            return samples
        impute(
            self.model_,
            self.prior_,
            gaps,
            return_std=False,
            device=device,
            batch_size=self.batch_size,
        )
        return gaps

    # Codes and coordinates

    @row_wise
    def transform(self, X: ArrayLike) -> np.ndarray:
        """Compute the codes of the samples.

        They are ridge least-squares codes, or sparse codes by ``transform_algorithm``.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images, one per row. Rows with missing entries (NaN,
            masks, NA) get the posterior means of their least-squares codes, or the
            sparse codes of the rows in which `impute` has filled these entries.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_components)
            Codes of the atoms, in the dtype of X (float32 for uint8). With
            ``split_sign``, there are twice as many.

        Raises
        ------
        ValueError
            If X has infinite values, or another number of features than in `fit`.
        MemoryError
            If a batch of rows does not fit into memory.

        Notes
        -----
        Least-squares codes are one matrix product. With ``transform_stft_weight`` > 0
        up to 50 iterations per sample then lower the sum of the squared error and the
        spectral loss (Kiruluta 2025, equation 8)::

            ||x - x^||^2 + transform_stft_weight * || |STFT x| - |STFT x^| ||_1

        Sparse codes cost O(K s^2) per sample with s nonzeros. They are those of
        ``sklearn.decomposition.sparse_encode`` for the centred samples, up to rounding.
        A warning is given if some codes have not converged, or all are zero.
        """
        codes = self._codes(X)
        if not self.split_sign:
            return codes
        return to_namespace_of(codes, split_signs(from_namespace(codes)))

    @property
    def computes_sparse_codes(self) -> bool:
        """Whether `transform` computes sparse codes."""
        return self._coding() is not None

    def _coding(self) -> SparseCoding | None:
        """Return how sparse codes are computed, or None for least-squares codes."""
        check_is_fitted(self)
        return transform_coding(
            self.get_params(deep=False), self.n_features_in_, self.n_components_
        )

    def _codes(self, X: ArrayLike) -> Any:
        """Return the codes of the samples, with their signs."""
        checked, samples, device = self._input(X, "transform")
        self._validate_params()
        coding = self._coding()
        if coding is not None:
            with input_errors(X, self, batch_size=self.batch_size):
                where: dict[str, Any] = {
                    "device": device,
                    "batch_size": self.batch_size,
                }
                codes, report = self.model_.sparse_codes(samples, coding, **where)
                if not is_finite(codes):
                    filled = self._filled(samples, X, device)
                    codes, report = self.model_.sparse_codes(filled, coding, **where)
            _warn_about_codes(report, coding)
            return to_namespace_of(checked, codes)
        stft = None
        if self.transform_stft_weight != 0:
            stft = stft_from_params(self.get_params(deep=False), self.n_features_in_)
        options: dict[str, Any] = {
            "device": device,
            "batch_size": self.batch_size,
            "stft": stft,
            "stft_weight": self.transform_stft_weight,
        }
        with input_errors(X, self, batch_size=self.batch_size):
            codes = self.model_.encode(samples, **options)
            if not is_finite(codes):
                filled = self._filled(samples, X, device)
                codes = self.model_.encode(filled, **options)
        return to_namespace_of(checked, codes)

    @row_wise
    def inverse_transform(self, X: ArrayLike) -> np.ndarray:
        """Compute the signals mean + codes @ components of the given codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_components)
            Codes, as `transform` returns them. With ``whiten=True``, white codes, and
            with ``split_sign=True`` twice as many columns.

        Returns
        -------
        signals : ndarray of shape (n_samples, n_features)
            Signals or flattened images, one per row.

        Raises
        ------
        ValueError
            If X has NaN or infinite values, or another number of columns than the codes
            of `transform`.
        MemoryError
            If the result does not fit into memory.
        """
        check_is_fitted(self)
        refuse_unusable_tensors(X)
        check_same_namespace(
            X, self, attribute="components_", method="inverse_transform"
        )
        checked = check_array(X, "X", dtype=input_dtypes(X)[:2])
        if checked.shape[1] != self._n_features_out:
            raise ValueError(
                f"X has {checked.shape[1]} features, but inverse_transform of "
                f"{type(self).__name__} expects {self._n_features_out} codes per "
                "row. Pass the codes that transform returns."
            )
        codes = from_namespace(checked)
        if self.split_sign:
            n_atoms = self.components_.shape[0]
            codes = codes[:, :n_atoms] - codes[:, n_atoms:]
        device = resolve_device(self.device, codes)
        with input_errors(codes, self, batch_size=self.batch_size):
            signals = self.model_.decode(codes, device=device)
        return to_namespace_of(checked, signals)

    @row_wise
    def coordinates(self, X: ArrayLike) -> np.ndarray:
        """Compute the coordinates (x - mean) @ basis.T of the samples.

        They are coordinates in ``basis_``, the orthonormal basis of the span of the
        atoms. The prior is a distribution of these coordinates: their norm is at most
        that of the centred sample, whereas the codes of nearly parallel atoms can be
        huge and of opposite signs.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images, one per row. Rows with missing entries (NaN,
            masks, NA) get the posterior means of their coordinates.

        Returns
        -------
        coordinates : ndarray of shape (n_samples, rank), float64
            Coordinates of the samples. The rank is that of ``basis_``.

        Raises
        ------
        ValueError
            If X has infinite values, or another number of features than in `fit`.
        MemoryError
            If a batch of rows does not fit into memory.

        Examples
        --------
        >>> from sklearn.datasets import load_digits
        >>> from skspectral import SpectralDictionaryLearning
        >>> X, _ = load_digits(return_X_y=True)
        >>> est = SpectralDictionaryLearning(20, signal_shape=(8, 8)).fit(X)
        >>> coordinates = est.coordinates(X)
        >>> coordinates.shape
        (1797, 20)

        Codes and coordinates lead to the same reconstructions, up to the small change
        that ``ridge`` makes to the codes:

        >>> from_coordinates = est.inverse_coordinates(coordinates)
        >>> from_codes = est.inverse_transform(est.transform(X))
        >>> print(abs(from_coordinates - from_codes).max() < 0.02 * X.std())
        True

        Draws of the prior are coordinates. `sample` does these two steps in one:

        >>> est.inverse_coordinates(est.prior_.sample(5)).shape
        (5, 64)
        """
        checked, samples, device = self._input(X, "coordinates")
        with input_errors(X, self, batch_size=self.batch_size):
            found, _ = self.model_.coordinates(
                samples, device=device, batch_size=self.batch_size
            )
            if not is_finite(found):
                filled = self._filled(samples, X, device)
                found, _ = self.model_.coordinates(
                    filled, device=device, batch_size=self.batch_size
                )
        return to_namespace_of(checked, found)

    def inverse_coordinates(self, coordinates: ArrayLike) -> np.ndarray:
        """Compute the signals mean + coordinates @ basis of the given coordinates.

        Parameters
        ----------
        coordinates : array-like of shape (n_samples, rank)
            Coordinates, as `coordinates` and ``prior_.sample`` return them.

        Returns
        -------
        signals : ndarray of shape (n_samples, n_features)
            Signals or flattened images, one per row, in the dtype of ``components_``.

        Raises
        ------
        ValueError
            If the coordinates have NaN or infinite values, or another number of columns
            than ``basis_`` has rows.
        MemoryError
            If the result does not fit into memory.
        """
        check_is_fitted(self)
        numbers = as_numbers(coordinates, "coordinates")
        rank = self.model_.rank
        if numbers.ndim != 2 or numbers.shape[1] != rank:
            raise ValueError(
                f"coordinates of shape {numbers.shape} must be of shape (n_samples, "
                f"{rank}), as coordinates(X) and prior_.sample(n) return them."
            )
        bad = np.flatnonzero(~np.isfinite(numbers).all(axis=1))
        if len(bad):
            raise ValueError(
                f"coordinates has NaN or infinite values in {len(bad)} of "
                f"{len(numbers)} rows, first in row {bad[0]}. Remove these rows."
            )
        return self._signals(numbers)

    def _signals(self, coordinates: np.ndarray) -> Any:
        """Return the signals of coordinates, as arrays like ``components_``."""
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
        """Return the generator of random numbers that ``random_state`` specifies."""
        if random_state is None and self._stream is not None:
            return self._stream
        return random_stream(random_state)

    @validated(n_samples=_COUNT, random_state=["random_state"])
    def sample(
        self,
        n_samples: int = 1,
        *,
        y: Any = None,
        random_state: Any = None,
        chunks: Any = None,
    ) -> np.ndarray:
        """Draw new signals from the model.

        The prior draws coordinates, which `inverse_coordinates` turns into signals.

        Parameters
        ----------
        n_samples : int, default=1
            Number of signals.
        y : label or array-like of shape (n_samples,), default=None
            Label of all draws, or one label per draw, for a prior whose ``sample``
            takes labels. None draws the labels, too, with their frequencies in `fit`.
        random_state : int, RandomState instance or None, default=None
            Source of the random numbers. Two calls with the same int return the same
            draws. None continues the stream that the ``random_state`` of the estimator
            has seeded: two calls return different draws, but each run of a program, and
            each copy of the estimator in another process, returns the same sequence. If
            that ``random_state`` is None, too, all draws differ, also between copies.
        chunks : int, tuple of int, "auto" or None, default=None
            Chunks of the rows, as in ``dask.array.from_array``. The result is then a
            lazy dask array. Its rows depend on ``random_state`` and ``n_samples``, and
            not on the chunks. They differ from those without chunks.

        Returns
        -------
        signals : ndarray of shape (n_samples, n_features)
            New signals in the span of the atoms, one per row. They contain the noise of
            the training data inside the span, and no noise outside of it.

        Raises
        ------
        ValueError
            If ``y`` is given and the prior has no labels, or has not seen this label in
            `fit`.
        ValueError
            If ``n_samples`` is less than 1.
        ImportError
            If ``chunks`` is given and dask is not installed.
        """
        check_is_fitted(self)
        stream = self._draws_from(random_state)
        if chunks is not None:
            return lazy_draws(self, n_samples, chunks, y, stream)
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
        """Draw new signals for which linear measurements are given.

        The measurements may be products with low-frequency atoms (details are drawn),
        local means (the resolution is raised), or any other linear functions of the
        signal.

        Parameters
        ----------
        operator : array-like of shape (n_measurements, n_features)
            Matrix of the measurements: ``operator @ signal`` are the measured values of
            a signal.
        observed : array-like of shape (n_measurements,) or (n_samples, n_measurements)
            Measured values, the same for all draws or one row per draw.
        n_samples : int, default=1
            Number of signals.
        noise_variance : float, default=0.0
            Variance of white noise in ``observed``. With 0 the draws agree with
            ``observed`` up to a relative error of about 1e-5 or less.
        y : label, default=None
            Label of the draws, for a prior that takes labels and is not made of
            Gaussians, such as `DiffusionPrior`.
        random_state : int, RandomState instance or None, default=None
            Source of the random numbers, as in `sample`.

        Returns
        -------
        signals : ndarray of shape (n_samples, n_features)
            New signals, one per row. They are in the span of the atoms, if signals in
            the span can agree with ``observed``. Otherwise the smallest possible change
            is added that makes them agree.

        Raises
        ------
        ValueError
            If ``operator`` or ``observed`` has a wrong shape, or NaN or infinite
            values.
        ValueError
            If ``operator`` is empty or zero.
        ValueError
            If ``y`` is given and the prior is made of Gaussians.
        TypeError
            If the prior is not made of Gaussians and has no ``sample_given`` of its
            own.
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

    @row_wise
    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Compute the log-likelihood of each sample under the model.

        Outliers have low values. The log-density is exact for priors made of Gaussians:
        `GaussianPrior`, `GaussianMixture`, a `ClassConditionalPrior` of these, and the
        mixtures of scikit-learn.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images, one per row. For missing entries (NaN, masks,
            NA), the density is that of the observed entries.

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float64
            Log-density of each sample, in nats. It depends on the units of X.

        Raises
        ------
        TypeError
            If the prior is not made of Gaussians.
        ValueError
            If X has infinite values, or another number of features than in `fit`.

        Notes
        -----
        The cost is one matrix product, and O(K^2) per sample and component of the
        prior. With one Gaussian this is the density of probabilistic PCA.

        References
        ----------
        M. E. Tipping, C. M. Bishop (1999). Probabilistic principal component analysis.
        Journal of the Royal Statistical Society B 61.
        """
        checked, samples, device = self._input(X, "score_samples")
        gaps = self._rows_with_gaps(samples)
        if gaps is not None:
            found = score_observed(self.model_, self.prior_, gaps, device=device)
            return to_namespace_of(checked, found)
        with input_errors(X, self, batch_size=self.batch_size):
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
        """Compute the mean log-likelihood of the samples; higher is better.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images, one per row.
        y : object, default=None
            Not used, present for API consistency by convention.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows. A weight of 2 has the same effect as a row
            that occurs twice. None means weights of 1.

        Returns
        -------
        score : float
            Weighted mean of `score_samples`, in nats.

        Raises
        ------
        TypeError
            If the prior is not made of Gaussians.
        ValueError
            If X has NaN or infinite values, or another number of features than in
            `fit`.
        """
        sums = score_sums(X, self, sample_weight)
        if sums is not None:
            return sums[0] / sums[1]
        density = as_numbers(self.score_samples(X))
        if sample_weight is None:
            return float(density.mean())
        weights = row_weights(sample_weight, len(density))
        # Divided by the largest weight, so that the sum of the weights cannot overflow.
        return float(np.average(density, weights=weights / weights.max()))

    def score_moments(self, moments: Moments) -> float:
        """Compute the mean log-likelihood of samples from their moments.

        The result is that of `score` on the rows, which are not needed.

        Parameters
        ----------
        moments : Moments
            Moments of the samples, such as ``moments_`` of another fit.

        Returns
        -------
        score : float
            Weighted mean of the log-likelihood, in nats.

        Raises
        ------
        TypeError
            If the prior is not a single Gaussian.
        ValueError
            If the moments are those of other features, or have no weight.
        """
        return mean_log_density(self.model_, self.prior_, self._moments_of(moments))

    def explained_variance_moments(self, moments: Moments) -> float:
        """Compute the fraction of the variance of samples that the atoms explain.

        The result is that of `skspectral.metrics.explained_variance` for the samples
        and their reconstructions by ridge least-squares codes. The rows are not needed.

        Parameters
        ----------
        moments : Moments
            Moments of the samples, such as ``moments_`` of another fit.

        Returns
        -------
        fraction : float
            1 for exact reconstructions, 0 for those by the mean of the samples.

        Raises
        ------
        ValueError
            If the moments are those of other features, or have no weight.
        """
        return explained_variance(self.model_, self._moments_of(moments))

    def _moments_of(self, moments: Moments) -> Moments:
        """Return moments of samples for a fitted estimator, or raise an error."""
        check_is_fitted(self)
        _check_moments(moments)
        if len(moments.mean) != self.n_features_in_:
            raise ValueError(
                f"moments are those of {len(moments.mean)} features, but "
                f"{type(self).__name__} was fitted to {self.n_features_in_} features. "
                "Pass moments of rows of this length."
            )
        if moments.weight == 0:
            raise ValueError(
                "moments have no rows, or only rows of weight 0. Add rows with "
                "moments.update."
            )
        return moments

    def aic(self, X: ArrayLike) -> float:
        """Compute the Akaike information criterion on X; lower is better.

        The criterion is -2 times the sum of `score_samples`, plus a penalty of 2 per
        parameter of the model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images, one per row.

        Returns
        -------
        aic : float
            Value of the criterion.

        Raises
        ------
        TypeError
            If the prior is not made of Gaussians, or has no ``n_parameters_``.
        ValueError
            If X has NaN or infinite values, or another number of features than in
            `fit`.

        Notes
        -----
        The parameters are those of the prior, the mean, the noise variance and the
        atoms. Only the independent parameters of an atom count: a plain sinusoid has
        two, its frequency and its phase. If the atoms span the whole space, the
        parameters of the atoms and the noise variance do not count, because the
        likelihood does not depend on them.
        """
        return self._criterion(X, lambda n_samples: 2.0)

    def bic(self, X: ArrayLike) -> float:
        """Compute the Bayesian information criterion on X; lower is better.

        The criterion is -2 times the sum of `score_samples`, plus a penalty of
        log(n_samples) per parameter of the model.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images, one per row.

        Returns
        -------
        bic : float
            Value of the criterion.

        Raises
        ------
        TypeError
            If the prior is not made of Gaussians, or has no ``n_parameters_``.
        ValueError
            If X has NaN or infinite values, or another number of features than in
            `fit`.

        Notes
        -----
        The parameters are counted as in `aic`.
        """
        return self._criterion(X, np.log)

    def _criterion(self, X: ArrayLike, penalty: Callable[[float], float]) -> float:
        sums = score_sums(X, self)
        if sums is None:
            density = as_numbers(self.score_samples(X))
            sums = float(density.sum()), len(density)
        n_parameters = count_parameters(self.model_, self.prior_)
        return float(-2 * sums[0] + penalty(sums[1]) * n_parameters)

    @property
    def frequencies_std_(self) -> np.ndarray:
        """Standard errors of ``frequencies_`` for white noise; see `standard_errors`.

        They have the shape and the unit of ``frequencies_``.
        """
        return self._standard_error("frequencies")

    @property
    def phases_std_(self) -> np.ndarray:
        """Standard errors of ``phases_``, in radians; see `standard_errors`."""
        return self._standard_error("phases")

    @property
    def amplitudes_std_(self) -> np.ndarray:
        """Standard errors of ``amplitudes_``; see `standard_errors`."""
        return self._standard_error("amplitudes")

    @property
    def wave_vectors_std_(self) -> np.ndarray:
        """Standard errors of ``wave_vectors_``; see `standard_errors`.

        Set only for waves along several axes.
        """
        return self._standard_error("wave_vectors")

    def _standard_error(self, name: str) -> np.ndarray:
        """Return standard errors for a property, which may only miss an attribute."""
        try:
            return self.standard_errors()[name]
        except (KeyError, ValueError) as error:
            raise AttributeError(f"{name}_std_ is not set: {error}") from error

    @validated(covariance=[StrOptions({"white", "robust"})])
    def standard_errors(self, *, covariance: str = "white") -> Bunch:
        """Compute the standard errors of the frequencies and phases of the atoms.

        They say how much the atoms would vary if the same signals were measured again
        with other noise. They are those of the local minimum of the squared error that
        the fit has found, given the number and the kind of its atoms.

        Parameters
        ----------
        covariance : {"white", "robust"}, default="white"
            "white" assumes white noise. "robust" takes the spectrum of the noise from
            the residuals, and assumes only that the noise does not depend on the codes.

        Returns
        -------
        errors : Bunch
            Arrays "frequencies", "phases" and "amplitudes", also "wave_vectors",
            "orientations", "colors", "patterns" and further ones if the estimator has
            such attributes. Each has the shape and the unit of the attribute. An error
            is infinite if the data do not identify the value: for instance that of one
            of two equal atoms, of an atom that is fitted to noise, or of the phase of a
            wave of frequency 0. "is_identified", (n_components,), is False for atoms
            with an infinite error of the frequency or the phase.

        Raises
        ------
        AttributeError
            If the moments were not kept, because ``keep_moments`` is False.
        ValueError
            If the atoms have windows, share parameters (``MLPModulation``), or were
            learned with a spectral loss, for sparse codes, or from rows with gaps.

        See Also
        --------
        param_covariance : Joint covariance of several frequencies and phases.

        Notes
        -----
        The squared error with the codes eliminated has the gradient g and the expected
        Hessian H. The covariance of the parameters of the atoms is H^-1 cov(g) H^-1.
        Both matrices follow from ``moments_``; the noise in the codes is taken into
        account, so that errors are right for weak atoms, too, as long as an atom is
        clearly stronger than the largest of the peaks that noise alone would have.
        Below this threshold an atom may sit at another peak, and no formula for its
        error holds; `false_alarm_probability` tells. With shrinkage, errors do not
        include the bias towards the stationary covariance.

        With K atoms of p parameters, the cost is O(K p T^2 + (K p)^2 T + (K p)^3). No
        pass over the data is needed.

        References
        ----------
        H. White (1982). Maximum likelihood estimation of misspecified models.
        Econometrica 50, 1-25.

        Examples
        --------
        >>> import numpy as np
        >>> from skspectral import SpectralDictionaryLearning
        >>> rng = np.random.default_rng(0)
        >>> tone = np.sin(2 * np.pi * 5.3 * np.arange(100) / 100)
        >>> X = rng.normal(size=(50, 1)) * tone + rng.normal(size=(50, 100))
        >>> est = SpectralDictionaryLearning(1, modulation=None).fit(X)
        >>> frequency, error = est.frequencies_[0], est.frequencies_std_[0]
        >>> print(f"{frequency:.2f} +- {error:.2f}")
        5.30 +- 0.01
        """
        found = self._atom_covariance(covariance)
        errors = Bunch(**described_errors(self.model_.dictionary, found))
        finite = np.isfinite(errors.frequencies) & np.isfinite(errors.phases)
        errors.is_identified = finite
        return errors

    @validated(atoms="no_validation", covariance=[StrOptions({"white", "robust"})])
    def param_covariance(
        self, atoms: ArrayLike | None = None, *, covariance: str = "white"
    ) -> np.ndarray:
        """Compute the joint covariance of frequencies and phases of atoms.

        Parameters
        ----------
        atoms : array-like of int or None, default=None
            Indices of the atoms. None means all atoms.
        covariance : {"white", "robust"}, default="white"
            Assumption about the noise; see `standard_errors`.

        Returns
        -------
        matrix : ndarray of shape (m * (n_axes + 1), m * (n_axes + 1)), float64
            Covariance of the values of m atoms, one atom after the other: its frequency
            and its phase or, for waves along several axes, the entries of its wave
            vector and its phase. If a value is not identified, its variance is infinite
            and its covariances are NaN.

        Raises
        ------
        AttributeError
            If the moments were not kept.
        ValueError
            For the reasons of `standard_errors`, or if an index is out of range.

        Examples
        --------
        The standard error of the difference of two frequencies:

        >>> import numpy as np
        >>> from skspectral import SpectralDictionaryLearning
        >>> from skspectral.datasets import make_tones
        >>> X, _ = make_tones(200, 64, noise=0.1, random_state=0)
        >>> est = SpectralDictionaryLearning(2, modulation=None).fit(X)
        >>> C = est.param_covariance([0, 1])
        >>> bool(C[0, 0] + C[2, 2] - 2 * C[0, 2] > 0)
        True
        """
        check_is_fitted(self)
        index = np.arange(self.n_components_)
        if atoms is not None:
            chosen = np.atleast_1d(atoms)
            if chosen.dtype.kind not in "iu" or not np.isin(chosen, index).all():
                raise ValueError(
                    f"atoms={brief(atoms)} must be indices from 0 to "
                    f"{self.n_components_ - 1}."
                )
            index = chosen
        found = self._atom_covariance(covariance)
        return described_covariance(self.model_.dictionary, found, index)

    @validated(noise=[StrOptions({"white", "residual", "red"})])
    def false_alarm_probability(self, *, noise: str = "white") -> np.ndarray:
        """Compute how probable it is that noise alone has a peak as high as an atom.

        A wave that fits noise has a frequency and a standard error like any other. This
        probability tells such waves from those of signals, like that of a Lomb-Scargle
        periodogram.

        Parameters
        ----------
        noise : {"white", "residual", "red"}, default="white"
            Spectrum of the noise. "residual" is the spectrum of the residuals, smoothed
            over about 4 cycles per signal. "red" is that of an autoregressive process
            of order 1 with the same memory, for signals with one axis.

        Returns
        -------
        probability : ndarray of shape (n_components,), float64
            Probability for each atom, given the atoms before it.

        Raises
        ------
        AttributeError
            If the moments were not kept, because ``keep_moments`` is False.
        ValueError
            If the atoms are not plain waves of one channel, have windows, or were
            learned for sparse codes or from rows with gaps; or if ``noise`` is "red"
            for waves along several axes.

        See Also
        --------
        standard_errors : Standard errors of frequencies and phases.

        Notes
        -----
        The energy of N rows along the part of an atom that no atom before it could take
        over is compared with the noise there. This part lies outside the span of the
        atoms before it, and of the derivatives of neighbours among them: of two atoms
        that share one tone, the first one is significant.

        For one frequency and its best phase, the ratio of energy and noise is the
        largest eigenvalue of a Wishart matrix of two dimensions and N degrees of
        freedom. The number of frequencies counts as 1.5 per sample for waves along one
        axis, 4.5 along two axes, and 13.5 along three. In simulations of white noise, 5
        to 7 % of the fits have a probability below 0.05, and about 11 % with
        "residual", which measures the noise near the peak.

        The cost is O(K T^2) for K atoms of T samples. No pass over the data is needed.

        References
        ----------
        R. J. Muirhead (1982). Aspects of Multivariate Statistical Theory. Wiley.

        Examples
        --------
        >>> import numpy as np
        >>> from skspectral import SpectralDictionaryLearning
        >>> rng = np.random.default_rng(0)
        >>> tone = np.sin(2 * np.pi * 5.3 * np.arange(100) / 100)
        >>> X = rng.normal(size=(50, 1)) * tone + rng.normal(size=(50, 100))
        >>> est = SpectralDictionaryLearning(2, modulation=None).fit(X)
        >>> (est.false_alarm_probability() < 0.01).tolist()
        [True, False]
        """
        moments = self._moments_for_errors()
        dictionary = self.model_.dictionary
        grid = dictionary.wave_grid
        if not dictionary.atoms.family.takes_modulation or grid.channels > 1:
            raise ValueError(
                "False-alarm probabilities exist for plain waves of one channel. Pass "
                "modulation=None, and atoms='sinusoid' for signals with channels."
            )
        if noise == "red" and grid.n_axes > 1:
            raise ValueError(
                "noise='red' is for waves along one axis. Pass 'white' or 'residual'."
            )
        return false_alarm_probability(
            self.model_, moments, center=self.center, noise=noise
        )

    def _atom_covariance(self, covariance: str) -> ParameterCovariance:
        """Return the covariance of the parameters of the atoms, or raise an error."""
        moments, robust = self._moments_for_errors(), covariance == "robust"
        if self.stft_weight > 0:
            raise ValueError(_no_errors("a spectral loss"))
        return atom_covariance(self.model_, moments, center=self.center, robust=robust)

    def _moments_for_errors(self) -> Moments:
        """Return the moments from which errors of the atoms follow, or raise."""
        check_is_fitted(self)
        if not hasattr(self, "moments_"):
            raise AttributeError(
                "Errors of atoms need moments_, which keep_moments=False did not keep. "
                "Pass keep_moments=True, and call fit again."
            )
        dictionary = self.model_.dictionary
        reasons = {
            "atoms with windows": dictionary.window_counts is not None,
            "atoms that share parameters": not dictionary.atoms.separable,
            "sparse codes": hasattr(self, "code_moments_"),
            "rows with gaps": hasattr(self, "observed_log_likelihoods_"),
        }
        for reason, applies in reasons.items():
            if applies:
                raise ValueError(_no_errors(reason))
        return self.moments_

    def get_covariance(self) -> np.ndarray:
        """Compute the covariance of samples under the model, noise included.

        Returns
        -------
        covariance : ndarray of shape (n_features, n_features), float64
            Covariance matrix of the model.

        Raises
        ------
        TypeError
            If the prior is not made of Gaussians.

        Notes
        -----
        With as many atoms as features, a Gaussian prior and no shrinkage, the result is
        the covariance of the training data, divided by n. The cost is T^2 K.
        """
        covariance = self._covariance("get_covariance").covariance()
        return to_namespace_of(self.components_, covariance)

    def get_precision(self) -> np.ndarray:
        """Compute the inverse of `get_covariance`.

        Returns
        -------
        precision : ndarray of shape (n_features, n_features), float64
            Precision matrix of the model.

        Raises
        ------
        TypeError
            If the prior is not made of Gaussians.

        Notes
        -----
        Only a K x K matrix is decomposed. The cost is T^2 K.
        """
        precision = self._covariance("get_precision").precision()
        return to_namespace_of(self.components_, precision)

    def _covariance(self, method: str) -> ModelCovariance:
        check_is_fitted(self)
        return ModelCovariance.of(self.model_, self.prior_, method)

    @row_wise
    def mahalanobis(self, X: ArrayLike) -> np.ndarray:
        """Compute the squared Mahalanobis distance of each sample to the mean.

        The distance refers to the mean and the covariance of the model, see
        `get_covariance`. The method corresponds to
        `sklearn.covariance.EmpiricalCovariance.mahalanobis`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images, one per row.

        Returns
        -------
        squared_distances : ndarray of shape (n_samples,), float64
            Squared distances, without a unit.

        Raises
        ------
        TypeError
            If the prior is not made of Gaussians.
        ValueError
            If X has NaN or infinite values, or another number of features than in
            `fit`.

        Notes
        -----
        With a Gaussian prior `score_samples` is -1/2 times the squared distance, plus a
        constant. The cost is one matrix product, and O(K^2) per sample.
        """
        checked, samples, device = self._input(X, "mahalanobis")
        with input_errors(X, self, batch_size=self.batch_size):
            distances = mahalanobis(
                self.model_,
                self.prior_,
                samples,
                device=device,
                batch_size=self.batch_size,
            )
        return to_namespace_of(checked, distances)

    @row_wise
    def predict_component_proba(self, X: ArrayLike) -> np.ndarray:
        """Compute the posterior probability of each Gaussian component per sample.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images, one per row. With missing entries (NaN, masks,
            NA), the probabilities are those given the observed entries.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_gaussians), float64
            Posterior probabilities of the components of the prior, which sum to 1 per
            row. The columns are in the order of ``prior_.mixture().components``.

        Raises
        ------
        TypeError
            If the prior is not made of Gaussians.
        ValueError
            If X has infinite values, or another number of features than in `fit`.

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
        gaps = self._rows_with_gaps(samples)
        if gaps is not None:
            found = observed_probabilities(
                self.model_, self.prior_, gaps, device=device
            )
            return to_namespace_of(checked, found)
        with input_errors(X, self, batch_size=self.batch_size):
            probabilities = component_probabilities(
                self.model_,
                self.prior_,
                samples,
                device=device,
                batch_size=self.batch_size,
            )
        return to_namespace_of(checked, probabilities)

    @row_wise
    def predict_component(self, X: ArrayLike) -> np.ndarray:
        """Find the Gaussian component from which each sample most probably came.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images, one per row.

        Returns
        -------
        components : ndarray of shape (n_samples,), int
            Index of the most probable component in ``prior_.mixture().components``.

        Raises
        ------
        TypeError
            If the prior is not made of Gaussians.
        ValueError
            If X has NaN or infinite values, or another number of features than in
            `fit`.
        """
        found = self.predict_component_proba(X)
        return to_namespace_of(found, as_numbers(found).argmax(axis=1))

    @row_wise(signals=True)
    def denoise(
        self, X: ArrayLike, noise_std: float | ArrayLike | None = None
    ) -> np.ndarray:
        """Remove white noise from the samples.

        The result is the posterior mean of the signal, given the noisy sample. If the
        prior is not made of Gaussians, the result is the reconstruction from ridge
        least-squares codes.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Noisy signals or flattened images, one per row.
        noise_std : float, array-like of shape (n_samples,) or None, default=None
            Standard deviation of the white noise in X, in the units of X; an array has
            one value per row. None means ``noise_variance_ ** 0.5``: the whole residual
            outside the span of the atoms is treated as noise. With a smaller value part
            of this residual is treated as signal and kept, and with 0 the result is X
            up to rounding. A larger value means that X is noisier than the training
            data.

        Returns
        -------
        signals : ndarray of shape (n_samples, n_features)
            Denoised signals, in the dtype of X (float32 for uint8).

        Raises
        ------
        ValueError
            If X has NaN or infinite values, or another number of features than in
            `fit`.
        ValueError
            If ``noise_std`` is negative, not finite, or neither one number nor one
            number per row.
        TypeError
            If ``noise_std`` is given and the prior is not made of Gaussians.

        Notes
        -----
        To remove noise with a model of clean data, use enough atoms for
        ``noise_variance_`` to be below the variance of the noise. ``n_components`` can
        be as large as ``n_features``.

        The cost is two matrix products, and O(K^2) per sample and component of the
        prior.
        """
        checked, samples, device = self._input(X, "denoise")
        with input_errors(X, self, batch_size=self.batch_size):
            signals = denoise(
                self.model_,
                self.prior_,
                samples,
                _noise_variances(noise_std, len(samples)),
                device=device,
                batch_size=self.batch_size,
            )
        return to_namespace_of(checked, signals)

    @row_wise(signals=True)
    def impute(self, X: ArrayLike, *, return_std: bool = False) -> Any:
        """Replace missing entries by their posterior mean, given the observed entries.

        If the prior is not made of Gaussians, the missing entries are taken from the
        reconstruction by ridge least-squares codes of the observed entries.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images, one per row, with NaN for missing entries. All
            entries of a row may be missing.
        return_std : bool, default=False
            Whether to return the posterior standard deviations, too.

        Returns
        -------
        filled : ndarray of shape (n_samples, n_features)
            X with the missing entries replaced, in the dtype of X (float32 for uint8).
            Observed entries are unchanged.
        std : ndarray of shape (n_samples, n_features)
            Posterior standard deviation of each missing entry, noise included, and 0
            for observed entries. Returned only if ``return_std`` is True.

        Raises
        ------
        ValueError
            If X has infinite values, or another number of features than in `fit`.
        TypeError
            If ``return_std`` is True and the prior is not made of Gaussians.

        Notes
        -----
        Rows with the same missing entries are filled together. The cost is K^3 + K^2 T
        per pattern of missing entries, and O(K T) per row, both per component of the
        prior.
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
        """Draw the missing entries from their posterior, given the observed entries.

        Parameters
        ----------
        X : array-like of shape (n_samples_X, n_features)
            Signals or flattened images, one per row, with NaN for missing entries.
        n_samples : int, default=1
            Number of draws per row of X.
        random_state : int, RandomState instance or None, default=None
            Source of the random numbers, as in `sample`.

        Returns
        -------
        draws : ndarray of shape (n_samples, n_samples_X, n_features)
            Copies of X in which the missing entries are drawn, noise included. With a
            prior made of Gaussians, the mean and the standard deviation of many draws
            tend to the results of `impute`.

        Raises
        ------
        ValueError
            If X has infinite values, or another number of features than in `fit`.
        TypeError
            If the prior is not made of Gaussians and has no ``sample_given`` of its
            own.
        """
        rows = as_rows(X, self.signal_shape)
        checked, observed, device = self._with_gaps(rows, "sample_posterior")
        stream = self._draws_from(random_state)
        with input_errors(observed, self, batch_size=self.batch_size):
            draws = sample_posterior(
                self.model_, self.prior_, observed, n_samples, stream, device=device
            )
        draws = to_namespace_of(checked, draws)
        return draws if rows is X else draws.reshape(n_samples, *X.shape)  # type: ignore[union-attr]

    def _with_gaps(
        self, X: ArrayLike, method: str
    ) -> tuple[Any, np.ndarray, torch.device]:
        """Check X, in which NaN marks missing entries.

        Returns the checked X, a writable numpy copy of X, and the device on which to
        compute.
        """
        checked, samples, _ = self._input(X, method, all_finite="allow-nan")
        copy = np.array(as_array(samples, numpy_dtype(working_dtype(samples))))
        return checked, copy, resolve_device(self.device, self.model_.basis)

    # scikit-learn's conventions

    def _advice_on(self, name: str, value: Any) -> str:
        if name == "signal_shape":
            return "Pass (length,), (height, width) or (height, width, channels)."
        if name == "channel_axis":
            return (
                "Pass 0 for signal_shape=(channels, length), and -1 for channels last."
            )
        if name == "n_components" and isinstance(value, str):
            return "Pass n_components='evidence' for the most probable number."
        return ""

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        """Return the names of the codes, which contain the index of the atom.

        With ``patterns_``, a name also contains the index of the channel in which the
        atom is strongest. With ``windows`` a name contains the index of the wave and
        the centre of the window, from 0 to 1 along each axis. With ``split_sign``, the
        names end with "_positive" and "_negative".

        Parameters
        ----------
        input_features : object, default=None
            Not used, present for API consistency by convention.

        Returns
        -------
        names : ndarray of str
            Names such as "spectraldictionarylearning0", one per code.
        """
        if self.split_sign:
            names = self._names_of_atoms(input_features)
            return np.array(
                [
                    f"{name}_{sign}"
                    for sign in ("positive", "negative")
                    for name in names
                ],
                dtype=object,
            )
        return self._names_of_atoms(input_features)

    def _names_of_atoms(self, input_features: Any) -> np.ndarray:
        """Return one name per atom."""
        names = super().get_feature_names_out(input_features)[: self.n_components_]
        if hasattr(self, "patterns_"):
            strongest = np.abs(as_numbers(self.patterns_)).argmax(axis=1)
            pairs = zip(names, strongest, strict=True)
            names = np.array([f"{name}_channel{c}" for name, c in pairs], dtype=object)
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
        return self.components_.shape[0] * (2 if self.split_sign else 1)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        tags.array_api_support = True
        tags.input_tags.allow_nan = True
        tags.target_tags.required = needs_labels(self.prior)
        tags.non_deterministic = depends_on_time(self.prior)
        return tags

    def __sklearn_array_api_convert__(self, converter: Any) -> Any:
        """Return a copy whose arrays are converted; prior and moments stay on the CPU.

        scikit-learn's ``move_estimator_to`` calls this method.
        """
        new = clone(self)
        for name, value in vars(self).items():
            moves = hasattr(value, "__dlpack__") and name not in self.get_params()
            setattr(new, name, converter(value) if moves else value)
        new.model_ = self.model_.converted(lambda a: from_namespace(converter(a)))
        return new


def _no_errors(reason: str) -> str:
    return (
        f"There are no errors of atoms for fits with {reason}. Bootstrap the rows of X "
        "instead."
    )


def _check_moments(moments: Any) -> None:
    """Raise a TypeError if an argument is not an instance of `Moments`."""
    if not isinstance(moments, Moments):
        raise TypeError(
            f"moments of type {type(moments).__name__} must be an instance of "
            "skspectral.moments.Moments, such as the attribute moments_ of a fitted "
            "estimator. For rows, call fit or score."
        )


def _warn_about_layout(X: Any, grid: Grid, channel_axis: Any) -> None:
    """Warn if X may have channels on a wrong axis, or an index among its columns."""
    if channel_axis == "auto" and grid.looks_channels_first:
        channels, height, width = grid.shape
        warnings.warn(
            f"signal_shape={grid.shape} means images of {channels} x {height} pixels "
            f"with {width} channels. For images of {height} x {width} pixels with "
            f"{channels} channels, pass channel_axis=0. If the channels are last, pass "
            "channel_axis=-1.",
            UserWarning,
            stacklevel=5,
        )
    if "Unnamed: 0" in getattr(X, "columns", ()):
        warnings.warn(
            "X has a column 'Unnamed: 0', which pandas.read_csv makes of an index that "
            "was saved with a table. If it is no part of the signals, leave it out: "
            "X.drop(columns=['Unnamed: 0']).",
            UserWarning,
            stacklevel=5,
        )


def _warn_about_codes(report: CodingReport, coding: SparseCoding) -> None:
    """Warn if sparse codes have not converged, or are all zero."""
    if report.n_unfinished > 0:
        warnings.warn(
            f"The sparse codes of {report.n_unfinished} rows had not converged after "
            f"transform_max_iter={coding.max_iter} iterations. Increase "
            "transform_max_iter, or transform_alpha.",
            ConvergenceWarning,
            stacklevel=6,
        )
    if report.n_nonzeros == 0 and report.largest > 0 and coding.algorithm != "omp":
        warnings.warn(
            f"transform_alpha={coding.alpha:g} makes all codes zero: the largest "
            f"product of a centred row and an atom is {report.largest:.4g}. Pass a "
            "smaller transform_alpha.",
            UserWarning,
            stacklevel=6,
        )


def _noise_variances(
    noise_std: float | ArrayLike | None, n_samples: int
) -> np.ndarray | None:
    """Return the noise variance per row, shape (n_samples, 1), or None."""
    if noise_std is None:
        return None
    given = as_numbers(noise_std, "noise_std")
    if given.shape not in ((), (n_samples,)):
        raise ValueError(
            f"noise_std of shape {given.shape} must be one number, or one for each of "
            f"the {n_samples} rows of X. Pass an array of shape ({n_samples},)."
        )
    with np.errstate(over="ignore"):
        variances = given**2
    if not (np.isfinite(variances) & (given >= 0)).all():
        raise ValueError(
            f"noise_std={noise_std!r} must be finite and >= 0: it is the standard "
            "deviation of the noise in X. Pass None to use that of the fitted model."
        )
    return np.broadcast_to(variances, (n_samples,))[:, None]
