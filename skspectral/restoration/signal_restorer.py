"""The estimator `SignalRestorer`: recordings without noise, clicks and gaps."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterator
from functools import partial
from numbers import Integral
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import clone
from sklearn.callback import CallbackSupportMixin
from sklearn.cluster import MiniBatchKMeans
from sklearn.utils import get_tags
from sklearn.utils.validation import check_is_fitted

from skspectral._advice import brief
from skspectral._device import resolve_device
from skspectral._progress import CallbackMonitor
from skspectral._random import draw_seed, random_stream, seed_unseeded
from skspectral._sklearn_compat import Estimator, HasMethods, Interval, fit_context
from skspectral.priors import ClassConditionalPrior
from skspectral.priors.protocol import as_prior
from skspectral.restoration.clicks import clicks_of
from skspectral.restoration.gap_filling import fill_gaps
from skspectral.restoration.gaussians import gaussians_of
from skspectral.restoration.noise import estimate_sigma
from skspectral.restoration.recordings import (
    Recording,
    Recordings,
    infinite,
    mirrored,
    read_recording,
    write_recording,
)
from skspectral.restoration.signal_noise import (
    NoisyWindows,
    WindowPrior,
    autocovariance,
    nearly_stationary,
    noise_covariance,
    taper,
)
from skspectral.spectral_dictionary import SpectralDictionaryLearning

# Weight of the mean over all positions in the covariances of the components. It was
# chosen by the error on training recordings of speech.
_STATIONARY = 0.5
# Power that is added to the spectra of windows before their logarithms are clustered,
# relative to the mean power of a window. It was chosen like the weight.
_SPECTRAL_FLOOR = 0.05
# Smallest mean number of windows per group of similar spectra.
_WINDOWS_PER_GROUP = 10
# Number of windows of a recording that are in memory at a time.
_BLOCK = 2048
# Number of samples of a long recording from which the noise is estimated, and number of
# places from which they are taken.
_ESTIMATION, _PLACES = 2**20, 16
# Noise of a lower standard deviation, relative to the largest sample, is no noise.
_NO_NOISE = 1e-9
# Smallest number of samples of `estimate_sigma`.
_SHORTEST = 4


class SignalRestorer(CallbackSupportMixin, Estimator):
    """Remove noise, clicks and gaps from whole recordings by two learned priors.

    One prior is that of the signal. It is a mixture of Gaussians of short windows, and
    is learned from clean recordings. The other one is that of the noise: a stationary
    Gaussian process, whose autocovariance is learned from a stretch without signal.
    Without such a stretch, the noise is taken to be white. Given a noisy recording of
    any length, `denoise` computes the posterior mean of each of its overlapping
    windows, and the weighted mean of these windows.

    The level of a window is unknown (a Gaussian scale mixture [1]_). A recording can
    therefore be louder or softer than those of the fit, and its level may vary.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning or None, default=None
        Model of windows of root mean square 1. It is cloned. Its prior must consist of
        Gaussians. If the prior needs labels, they are the numbers of groups of windows
        with similar spectra. None means as many sinusoids as a window has samples, with
        a `ClassConditionalPrior`, which is one Gaussian per group.
    window_length : int, default=256
        Length of the windows in samples. Windows of 30 to 60 ms suit speech. Longer
        windows resolve frequencies better, and take more time and memory.
    hop : int or None, default=None
        Distance of the starts of neighbouring windows in samples, at most half of the
        window. None means a quarter of the window.
    n_windows : int, default=40000
        Number of windows from which the model is learned. They are drawn at random
        positions, the same number from each recording.
    n_spectra : int, default=128
        Number of groups of windows with similar spectra, at most a tenth of the number
        of windows. The groups are found by k-means on the logarithms of the power
        spectra. More groups need more windows, memory and time. Used only if the prior
        of the estimator needs labels.
    device : str, torch.device or None, default=None
        Device on which to compute. None means the CPU.
    random_state : int, RandomState instance or None, default=None
        Seed of the choice of windows, of the groups, and of the model if it has no
        seed.

    Attributes
    ----------
    estimator_ : SpectralDictionaryLearning
        The fitted model of windows.
    weights_ : ndarray of shape (n_gaussians,)
        Weights of the Gaussians.
    covariances_ : ndarray of shape (n_gaussians, window_length, window_length)
        Covariances of the Gaussians, for windows of root mean square 1. Their means
        are 0.
    n_windows_ : int
        Number of windows that the model was learned from.
    noise_autocovariance_ : ndarray of shape (window_length,)
        Autocovariance of the noise at the lags 0, 1, .. samples, in squared units of
        the recordings. Set only by `fit_noise`.
    noise_covariance_ : ndarray of shape (window_length, window_length)
        Covariance of the noise in a window: the Toeplitz matrix of
        ``noise_autocovariance_``, with a small ridge. Set only by `fit_noise`.

    See Also
    --------
    skspectral.restoration.PatchRestorer : The same for images.
    skspectral.restoration.estimate_sigma : Standard deviation of white noise.
    skspectral.restoration.find_clicks : Mask of clicks for `inpaint`.

    Notes
    -----
    Samples that are integers are divided by 2^(bits - 1), so that they are between -1
    and 1, as in `load_recordings`; 128 is first subtracted from those of uint8. All
    noise, and ``sigma``, is in these units. Results have the type of the recording.

    If C_k is the covariance that the estimator has learned, with its noise inside and
    outside the span of the atoms, the covariance of component k is C_k + m_k m_k',
    where m_k is the mean. Since windows start anywhere, the covariance is then shrunk
    half way to the mean over all positions, a Toeplitz matrix.

    For noise of covariance R = L L', component k of the whitened windows has the
    covariance g^2 L^-1 C_k L'^-1 + I at the level g. Levels are compared at steps of
    6 dB. The posterior means of all components and levels are added with their
    probabilities. The windows are added with weights that are squared sines, and whose
    sum is 1. At its ends, a recording is continued by its mirror image.

    Gaps are filled by the same mixture and an autoregressive process that is fitted to
    the samples near the gap [2]_.

    With windows of L samples and M Gaussians, the first call of `denoise` for noise of
    another spectrum costs about 10 M L^3 operations, and M L^2 numbers of memory. Each
    sample then costs about 2 M L^2 / hop operations. A long recording is processed in
    pieces. The windows of all pieces are the same as those of the whole recording.

    References
    ----------
    .. [1] J. Portilla, V. Strela, M. J. Wainwright, E. P. Simoncelli (2003). Image
       denoising using scale mixtures of Gaussians in the wavelet domain. IEEE
       Transactions on Image Processing 12, 1338-1351.
    .. [2] A. J. E. M. Janssen, R. N. J. Veldhuis, L. B. Vries (1986). Adaptive
       interpolation of discrete-time signals that can be modeled as autoregressive
       processes. IEEE Transactions on Acoustics, Speech, and Signal Processing 34,
       317-330.

    Examples
    --------
    Tones are learned from clean recordings, and low rumbling noise from a stretch
    without tones:

    >>> import numpy as np
    >>> from skspectral.datasets import make_tones
    >>> from skspectral.restoration import SignalRestorer
    >>> tones, _ = make_tones(60, 2000, random_state=0)
    >>> restorer = SignalRestorer(
    ...     window_length=64, n_windows=2000, n_spectra=8, random_state=0
    ... )
    >>> restorer = restorer.fit(tones[:59])
    >>> white = np.random.default_rng(0).normal(size=6000)
    >>> rumble = 0.05 * np.convolve(white, np.ones(20), "valid")
    >>> noisy = tones[59] + rumble[:2000]
    >>> cleaned = restorer.fit_noise(rumble[2000:]).denoise(noisy)
    >>> before, after = (np.std(x - tones[59]) for x in (noisy, cleaned))
    >>> bool(after < before / 2)
    True
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "get_params"]), None],
        "window_length": [Interval(Integral, 8, None, closed="left")],
        "hop": [Interval(Integral, 1, None, closed="left"), None],
        "n_windows": [Interval(Integral, 2, None, closed="left")],
        "n_spectra": [Interval(Integral, 1, None, closed="left")],
        "device": "no_validation",
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        estimator: Any = None,
        *,
        window_length: int = 256,
        hop: int | None = None,
        n_windows: int = 40_000,
        n_spectra: int = 128,
        device: Any = None,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.estimator = estimator
        self.window_length = window_length
        self.hop = hop
        self.n_windows = n_windows
        self.n_spectra = n_spectra
        self.device = device
        self.random_state = random_state

    @fit_context(prefer_skip_nested_validation=False)
    def fit(self, recordings: Any, y: Any = None) -> "SignalRestorer":
        """Learn the prior of the signal from clean recordings.

        Noise of an earlier `fit_noise` is kept if the window has the same length.

        Parameters
        ----------
        recordings : array-like, list, str or Path
            One recording of shape (n_times,), several of shape (n_recordings, n_times),
            or a list of recordings of any lengths, of shape (n_times,) or (n_times,
            n_channels). Otherwise a WAV file, a folder with WAV files, or a list of WAV
            files. Each channel counts as a recording. Recordings that are shorter than
            a window, and windows with NaN or without any signal, are left out.
        y : Ignored
            Not used, present for API consistency by convention.

        Returns
        -------
        self : SignalRestorer
            The fitted restorer.

        Raises
        ------
        ValueError
            If all recordings are shorter than a window or silent, if a recording has
            infinite samples or a wrong shape, or if the files have several sampling
            rates.
        TypeError
            If the prior of the estimator is not made of Gaussians.

        Warns
        -----
        UserWarning
            If files of a folder cannot be read. One warning names them.
        """
        self._hop()
        device = resolve_device(self.device)
        stream = random_stream(self.random_state)
        estimator = self.estimator
        if estimator is None:
            # The precision of the atoms is of no importance, because they span all.
            estimator = SpectralDictionaryLearning(
                self.window_length,
                modulation=None,
                prior=ClassConditionalPrior(),
                keep_moments=False,
                device=device,
            )
        model = clone(estimator)
        as_prior(getattr(model, "prior", None)).require("gaussians", "SignalRestorer")
        seed_unseeded(model, stream)
        monitor = CallbackMonitor(self)
        step = monitor.stage("windows", 1)
        windows = self._drawn(recordings, stream)
        step()
        labels = None
        if get_tags(model).target_tags.required:
            step = monitor.stage("groups", 1)
            labels = _groups_of_spectra(windows, self.n_spectra, draw_seed(stream))
            step()
        with monitor.fitting("estimator", model):
            model.fit(windows, labels)
        step = monitor.stage("covariances", 1)
        weights, means, covariances = gaussians_of(model)
        # Second moments about 0.
        covariances += means[:, :, None] * means[:, None]
        covariances = nearly_stationary(covariances, _STATIONARY)
        step()
        self.estimator_ = model
        self.weights_, self.covariances_ = weights, covariances
        self.n_windows_ = len(windows)
        self._forget_posteriors("white", "noise")
        if len(getattr(self, "noise_autocovariance_", windows[0])) != len(windows[0]):
            del self.noise_autocovariance_, self.noise_covariance_
        monitor.close()
        return self

    def fit_noise(self, silence: Any) -> "SignalRestorer":
        """Learn the autocovariance of the noise from stretches without signal.

        The call is possible before or after `fit`. A constant offset counts as noise.

        Parameters
        ----------
        silence : array-like, list, str or Path
            Stretches of noise alone, in the same forms as the recordings of `fit`. In
            total, they should be at least ten times as long as a window.

        Returns
        -------
        self : SignalRestorer
            The restorer, with the attributes ``noise_autocovariance_`` and
            ``noise_covariance_``.

        Raises
        ------
        ValueError
            If the stretches are constantly 0, or have NaN or infinite samples.
        """
        self._validate_params()
        stretches = []
        for recording, name in Recordings(silence, "silence"):
            recording.refuse_infinite(name)
            stretches += [
                recording.part(channel, np.arange(recording.n_times))
                for channel in range(recording.n_channels)
            ]
        lags = autocovariance(stretches, self.window_length)
        if lags[0] <= np.finfo(float).tiny:
            raise ValueError(
                "silence has no noise: all samples are 0. Pass a stretch of the "
                "recording without signal, or pass sigma=0.0 to denoise."
            )
        self.noise_autocovariance_ = lags
        self.noise_covariance_ = lags[0] * noise_covariance(lags / lags[0])
        self._forget_posteriors("noise")
        return self

    def denoise(
        self,
        recording: ArrayLike,
        sigma: float | None = None,
        *,
        return_std: bool = False,
    ) -> Any:
        """Compute the posterior mean of the signal, given a noisy recording.

        Parameters
        ----------
        recording : array-like of shape (n_times,) or (n_times, n_channels)
            Noisy recording of any length. Its channels are processed one by one. It is
            not modified.
        sigma : float or None, default=None
            Standard deviation of white noise. With 0, the recording is returned. None
            means the noise of `fit_noise`, or white noise whose standard deviation is
            estimated per channel by `estimate_sigma` if `fit_noise` was not called.
        return_std : bool, default=False
            Whether to return the posterior standard deviation of each sample, too.

        Returns
        -------
        restored : ndarray of the shape of the recording
            Estimate of the signal, in the type of the recording. Integers are rounded
            and limited to the range of their type.
        std : ndarray of the shape of the recording, float64
            Square root of the weighted mean of the posterior variances of the windows.
            It does not take into account that the mean of several windows has a smaller
            error. Where the recording is integers, it refers to the scaled samples, see
            Notes of the class. Returned only if ``return_std`` is True.

        Raises
        ------
        ValueError
            If the recording is empty, is not a recording, or has NaN or infinite
            samples, or ``sigma`` is negative or not finite.
        """
        check_is_fitted(self)
        source = Recording.from_array(recording, "recording")
        source.refuse_infinite("recording")
        restored = np.empty(source.samples.shape, source.dtype)
        std = np.zeros(source.samples.shape) if return_std else None
        for channel in range(source.n_channels):
            for rows, mean, variance in self._pieces(
                source, channel, sigma, return_std
            ):
                restored[rows, channel] = source.as_samples(mean)
                if std is not None and variance is not None:
                    std[rows, channel] = np.sqrt(variance)
        if std is None:
            return restored.reshape(source.shape)
        return restored.reshape(source.shape), std.reshape(source.shape)

    def denoise_file(
        self,
        path_in: str | Path,
        path_out: str | Path,
        sigma: float | None = None,
        *,
        clicks: float | None = None,
    ) -> None:
        """Remove clicks and noise from a WAV file, and write the result to another one.

        The file may be longer than the memory allows: it is read and processed in
        pieces. The result is the same as that of `inpaint` and `denoise` for the whole
        recording. Sampling rate, number of channels and format of the samples are kept.
        While the file is processed, the folder of ``path_out`` needs the space of two
        results, or of three if clicks are filled.

        Parameters
        ----------
        path_in : str or Path
            WAV file with integers of 8, 16, 24, 32 or 64 bits, or with floats.
        path_out : str or Path
            WAV file that is written. It must be another file than ``path_in``.
        sigma : float or None, default=None
            Standard deviation of white noise; see `denoise`. With 0, only clicks are
            removed.
        clicks : float or None, default=None
            Threshold of `find_clicks`, for instance 6. The clicks are filled before the
            noise is removed. None means that there are no clicks.

        Raises
        ------
        FileNotFoundError
            If ``path_in`` does not exist.
        ValueError
            If the file is empty, is no WAV file, or has NaN or infinite samples, or if
            both paths are those of one file.
        """
        check_is_fitted(self)
        path_in, path_out = Path(path_in), Path(path_out)
        if path_out.exists() and path_out.samefile(path_in):
            raise ValueError(
                f"path_out={str(path_out)!r} is the file of path_in. Pass the path of "
                "another file."
            )
        rate, source = read_recording(path_in)
        source.refuse_infinite(f"path_in={str(path_in)!r}")
        folder = path_out.parent
        with TemporaryFile(dir=folder) as first, TemporaryFile(dir=folder) as second:
            if clicks is not None:
                copy = _copy_in(first, source)
                source = self._without_clicks(source, copy, sigma, clicks)
            restored = _copy_in(second, source)
            for channel in range(source.n_channels):
                for rows, mean, _ in self._pieces(source, channel, sigma, False):
                    restored.samples[rows, channel] = source.as_samples(mean)
            write_recording(path_out, rate, restored)
            del restored, source

    def inpaint(
        self,
        recording: ArrayLike,
        mask: ArrayLike | None = None,
        sigma: float | None = 0.0,
        *,
        return_std: bool = False,
    ) -> Any:
        """Fill missing samples by their posterior mean, given the observed samples.

        Each gap is filled from the window around it. Gaps that are close to each other
        share one window. Gaps longer than half of a window are filled by the weighted
        mean of several windows, and tend to 0 in their middle.

        The prior of such a window has one more component, with the probability 0.5. It
        is an autoregressive process that is fitted to the window and its neighbours, as
        in the method of Janssen et al. (1986), and knows the pitch of the recording.

        Parameters
        ----------
        recording : array-like of shape (n_times,) or (n_times, n_channels)
            Recording with gaps. NaN marks missing samples. It is not modified.
        mask : array-like of bool, of the shape of the recording or (n_times,), \
                default=None
            True marks further missing samples, such as the clicks of `find_clicks`.
            Their values are not used.
        sigma : float or None, default=0.0
            Standard deviation of white noise in the observed samples. None has the same
            meaning as in `denoise`. The noise is not removed from observed samples:
            call `denoise` afterwards.
        return_std : bool, default=False
            Whether to return the posterior standard deviation of each sample, too.

        Returns
        -------
        filled : ndarray of the shape of the recording
            Recording without gaps, in its own type. Observed samples are unchanged.
        std : ndarray of the shape of the recording, float64
            Posterior standard deviation of missing samples, and 0 for observed ones.
            Returned only if ``return_std`` is True.

        Raises
        ------
        ValueError
            If the recording is not a recording, has infinite samples or a channel
            without observed samples, or if the mask has another shape.
        """
        check_is_fitted(self)
        source = Recording.from_array(recording, "recording")
        source.refuse_infinite("recording", allow_nan=True)
        missing = source.missing(mask)
        filled = source.samples.copy()
        std = np.zeros(source.samples.shape)
        for channel in range(source.n_channels):
            for places, mean, variance in self._fills(
                source, channel, sigma, missing[:, channel]
            ):
                filled[places, channel] = source.as_samples(mean)
                std[places, channel] = np.sqrt(variance)
        filled = filled.reshape(source.shape)
        return (filled, std.reshape(source.shape)) if return_std else filled

    def _hop(self) -> int:
        """Return the distance of neighbouring windows."""
        if self.hop is None:
            return max(1, self.window_length // 4)
        if 2 * self.hop > self.window_length:
            raise ValueError(
                f"hop={self.hop} must be at most half of window_length="
                f"{self.window_length}, because windows are added with weights that "
                f"vanish at their ends. Pass hop={self.window_length // 2} or less, or "
                "None."
            )
        return self.hop

    def _drawn(self, recordings: Any, stream: np.random.Generator) -> np.ndarray:
        """Return windows of root mean square 1 at random positions."""
        length, longest, n_tried = self.window_length, 0, 0
        parts = list[np.ndarray]()
        found_in = Recordings(recordings, "recordings")
        per_recording = -(-self.n_windows // found_in.number)
        offsets = np.arange(length)
        for recording, name in found_in:
            longest, n_tried = max(longest, recording.n_times), n_tried + 1
            if recording.n_times < length:
                continue
            n_each = -(-per_recording // recording.n_channels)
            for channel in range(recording.n_channels):
                last = recording.n_times - length
                starts = stream.integers(last + 1, size=n_each)
                windows = recording.part(channel, starts[:, None] + offsets)
                if np.isinf(windows).any():
                    raise ValueError(infinite(name))
                parts.append(windows)
        if not parts:
            raise ValueError(
                f"window_length={length} is longer than each of the {n_tried} "
                f"recordings: the longest has {longest} samples. Pass a smaller "
                "window_length, or longer recordings."
            )
        found = np.concatenate(parts)
        largest = np.abs(found).max(1)
        found = found[largest > 0] / largest[largest > 0, None]
        if len(found) < 2:
            raise ValueError(
                "recordings have no signal: all windows are 0, or have NaN. Pass "
                "recordings that vary."
            )
        found = found[stream.permutation(len(found))[: self.n_windows]]
        return found / np.sqrt((found**2).mean(1, keepdims=True))

    def _prior(self) -> WindowPrior:
        device = resolve_device(self.device)
        return WindowPrior.of(self.weights_, self.covariances_, device)

    def _posterior(self, kind: str) -> NoisyWindows:
        """Return the posterior for noise of level 1, which is kept for later calls."""
        known = self.__dict__.setdefault("_posteriors", {})
        if kind not in known:
            noise = None
            if kind == "noise":
                noise = self.noise_covariance_ / self.noise_covariance_[0, 0]
            known[kind] = self._prior().given_noise(noise)
        return known[kind]

    def _forget_posteriors(self, *kinds: str) -> None:
        for kind in kinds:
            self.__dict__.get("_posteriors", {}).pop(kind, None)

    def __getstate__(self) -> dict[str, Any]:
        state = super().__getstate__()
        return {name: value for name, value in state.items() if name != "_posteriors"}

    def _noise(
        self,
        source: Recording,
        channel: int,
        sigma: float | None,
        missing: np.ndarray | None = None,
    ) -> tuple[float, str]:
        """Return the standard deviation of the noise, and "white" or "noise"."""
        if sigma is not None:
            if not (np.ndim(sigma) == 0 and np.isfinite(sigma) and sigma >= 0):
                raise ValueError(
                    f"sigma={brief(sigma)} must be a finite number >= 0: the standard "
                    "deviation of the noise, where integers are scaled to [-1, 1). "
                    "Pass None to estimate it."
                )
            return float(sigma), "white"
        if hasattr(self, "noise_covariance_"):
            return float(np.sqrt(self.noise_covariance_[0, 0])), "noise"
        index = _evenly_spread(source.n_times)
        x = source.part(channel, index)
        if missing is not None:
            x[missing[index]] = np.nan
        if len(x) < _SHORTEST:
            raise ValueError(
                f"recording has {len(x)} samples, from which the noise cannot be "
                "estimated. Pass sigma."
            )
        return float(estimate_sigma(x)), "white"

    def _without_clicks(
        self,
        source: Recording,
        target: Recording,
        sigma: float | None,
        threshold: float,
    ) -> Recording:
        """Fill the clicks of a recording in the samples of another one."""
        target.samples[:] = source.samples
        for channel in range(source.n_channels):
            clicks = clicks_of(partial(source.part, channel), source.n_times, threshold)
            for places, mean, _ in self._fills(source, channel, sigma, clicks):
                target.samples[places, channel] = source.as_samples(mean)
        return target

    def _fills(
        self,
        source: Recording,
        channel: int,
        sigma: float | None,
        gaps: np.ndarray,
    ) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
        """Iterate over gaps of a channel: missing samples, means and variances."""
        if not gaps.any():
            return
        if gaps.all():
            raise ValueError(
                f"Channel {channel} of recording has no observed samples, so that it "
                "cannot be filled. Remove this channel."
            )
        scale, kind = self._noise(source, channel, sigma, gaps)
        noise = np.eye(self.window_length) * scale**2
        if kind == "noise":
            noise = self.noise_covariance_
        energy = sum(
            float((x[~gaps[rows]] ** 2).sum()) for rows, x in source.parts(channel)
        )
        power = energy / int((~gaps).sum())
        read = partial(source.part, channel)
        yield from fill_gaps(read, gaps, self._prior(), noise, self._hop(), power)

    def _pieces(
        self,
        source: Recording,
        channel: int,
        sigma: float | None,
        with_variance: bool,
    ) -> Iterator[tuple[slice, np.ndarray, np.ndarray | None]]:
        """Iterate over pieces of a channel: places, means, and variances or None."""
        n, size, hop = source.n_times, self.window_length, self._hop()
        scale, kind = self._noise(source, channel, sigma)
        largest = source.largest(channel)
        if scale <= _NO_NOISE * largest or largest == 0:
            for rows, x in source.parts(channel):
                yield rows, x, np.zeros(len(x)) if with_variance else None
            return
        posterior = self._posterior(kind)
        levels = posterior.levels(largest / scale)
        weights = taper(size, hop)
        starts = np.arange(-((size - 1) // hop) * hop, n, hop)
        carried = np.zeros((2, 0))
        for first in range(0, len(starts), _BLOCK):
            taken = starts[first : first + _BLOCK]
            begin, end = taken[0], taken[-1] + size
            x = source.part(channel, mirrored(np.arange(begin, end), n)) / scale
            windows = np.lib.stride_tricks.sliding_window_view(x, size)[::hop]
            found = posterior.posterior(windows, levels, with_variance)
            total = np.zeros((2, end - begin))
            total[:, : carried.shape[1]] = carried
            for sums, values in zip(total, found, strict=True):
                if values is not None:
                    for start, row in zip(taken - begin, weights * values, strict=True):
                        sums[start : start + size] += row
            is_last = first + _BLOCK >= len(starts)
            ready = n if is_last else int(taken[-1]) + hop
            carried = total[:, ready - begin :]
            rows = slice(max(begin, 0), max(min(ready, n), 0))
            mean, variance = total[:, rows.start - begin : rows.stop - begin]
            yield rows, mean * scale, variance * scale**2 if with_variance else None

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "covariances_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.two_d_array = False
        tags.input_tags.one_d_array = True
        tags.input_tags.allow_nan = True
        tags.non_deterministic = self.random_state is None
        return tags


def _copy_in(file: Any, source: Recording) -> Recording:
    """Return an empty recording of the same shape and type in a file."""
    samples = np.memmap(file, source.dtype, "w+", shape=source.samples.shape)
    return Recording(samples, source.shape)


def _groups_of_spectra(windows: np.ndarray, n_groups: int, seed: int) -> np.ndarray:
    """Return the group of each window, by k-means on logarithms of power spectra."""
    tapered = windows * np.hanning(windows.shape[1] + 2)[1:-1]
    power = np.abs(np.fft.rfft(tapered)) ** 2
    logarithms = np.log(power / power.mean() + _SPECTRAL_FLOOR)
    n_groups = max(1, min(n_groups, len(windows) // _WINDOWS_PER_GROUP))
    groups = MiniBatchKMeans(
        n_groups, n_init=1, batch_size=4096, max_iter=30, random_state=seed
    )
    return groups.fit_predict(logarithms)


def _evenly_spread(n: int) -> np.ndarray:
    """Return indices of stretches of a recording, evenly spread, or all indices."""
    if n <= _ESTIMATION:
        return np.arange(n)
    length = _ESTIMATION // _PLACES
    starts = np.linspace(0, n - length, _PLACES).astype(int)
    return (starts[:, None] + np.arange(length)).ravel()
