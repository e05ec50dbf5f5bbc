"""A refiner whose gains are the output of a neural network."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from numbers import Integral, Real
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from sklearn.callback import CallbackSupportMixin
from sklearn.exceptions import ConvergenceWarning
from torch import nn

from skspectral._device import (
    as_tensor,
    memory_advice,
    resolve_device,
    training_mode,
)
from skspectral._progress import CallbackMonitor
from skspectral._random import draw_seed, random_stream, seeded_torch
from skspectral._sklearn_compat import Interval, StrOptions
from skspectral.metrics._images import ChannelAxis
from skspectral.metrics._statistics import Statistic
from skspectral.refinement._base import IMAGE_CONSTRAINTS, GainRefiner
from skspectral.refinement._gains import log_mean_gain, shrunk
from skspectral.refinement._spectra import log_magnitude, log_magnitude_statistic
from skspectral.refinement.filters import SpectrumMatcher
from skspectral.refinement.translation.detection import Judge, split_rows
from skspectral.refinement.translation.model import Translation, square_rings
from skspectral.refinement.translation.networks import (
    LinearDiscriminator,
    PatchContrast,
    PatchDiscriminator,
)
from skspectral.refinement.translation.training import (
    TERMS,
    Batch,
    TranslatorTraining,
    falling,
    iter_batches,
)

# Smallest scale of a bin in nats. Bins of photographs have scales above 0.6.
_MIN_SCALE = 0.05
# Smallest number of channels in the first layer of the discriminator of patches.
_MIN_DISCRIMINATOR_CHANNELS = 16
# Largest number of images from which the recalibration is estimated.
_MAX_RECALIBRATION_IMAGES = 5000
_FROM_ZERO, _FROM_ONE = (Interval(Integral, low, None, closed="left") for low in (0, 1))
_POSITIVE = Interval(Real, 0, None, closed="neither")
_WEIGHT = Interval(Real, 0, None, closed="left")


class SpectrumTranslator(CallbackSupportMixin, GainRefiner):
    """Match spectra image by image, with a network trained against discriminators.

    This is a variant of STIG (Lee, Jung, Seo 2024) that trains in minutes; the user
    guide lists the differences. A nested U-Net receives the standardised log-magnitudes
    l of an image and returns a gain per bin::

        log h = start + g tanh(network(l)) + recalibration

    where the start is the filter of `SpectrumMatcher` and g bounds the change that the
    network adds. DC and all phases are kept. Two discriminators learn to distinguish
    refined from real spectra, one from patches of the frequency plane and one from a
    weighted sum of all bins. The network learns to fool both, while other terms of its
    loss keep the image similar. The recalibration makes mean log-magnitudes equal again
    after the training.

    Try the other matchers first. They take seconds, and are often as good.

    Parameters
    ----------
    init : {"log_mean", "identity"}, default="log_mean"
        Gain from which the training starts: the filter of `SpectrumMatcher`
        ("log_mean") or a gain of 1 in every bin ("identity"). Ignored by
        ``parameterization="absolute"``, which always starts from a gain of 1.
    recalibrate : bool, default=True
        Whether to add a filter after the training that makes mean log-magnitudes of
        refined and real images equal.
    parameterization : {"residual", "absolute"}, default="residual"
        Output of the network: log-gains ("residual") or, as in the paper, magnitudes
        within the range of the magnitudes of each image ("absolute"). DC is kept in
        both cases.
    profile : {"bins", "rings"}, default="bins"
        Input of the second discriminator: all bins or, as in the paper, means over
        square rings. Means over rings hide artefacts in single bins, such as
        checkerboards.
    base_channels : int, default=8
        Number of channels in the first level of the network. The paper's code has 64.
    depth : int, default=3
        Number of times that the network halves the frequency plane. Both sides of the
        images must be multiples of ``2 ** depth``, and at least twice that number; 0
        permits any size. The paper's code has 4.
    max_log_gain : float, default=1.5
        Bound g of the log-gain that the network adds, in nats. 1.5 is 13 dB. Ignored by
        ``parameterization="absolute"``.
    lambda_gan : float, default=3.0
        Weight of the discriminator of patches in the loss. As for all weights, 0
        removes the term and its network.
    lambda_profile : float, default=3.0
        Weight of the second discriminator.
    lambda_nce : float, default=0.2
        Weight of the patch contrast (PatchNCE) of generated images. It keeps the
        content of an image: features of a position in the output should be most similar
        to the features of the same position in the input.
    lambda_nce_identity : float, default=0.2
        Weight of the patch contrast of real images, which the network should not
        change.
    lambda_lowfreq : float, default=1.0
        Weight of the change of low frequencies, of generated and of real images.
    lambda_ssim_identity : float, default=1.0
        Weight of 1 - SSIM between input and output, for real images.
    lambda_ssim : float, default=1.0
        Weight of 1 - SSIM between input and output, for generated images.
    nce_temperature : float, default=0.07
        Temperature of the patch contrast, by which similarities are divided. Smaller
        values penalise mainly the most similar wrong position.
    n_patches : int, default=64
        Number of random positions per level and image that the patch contrast compares.
    projection_dim : int, default=64
        Number of dimensions in which the patch contrast compares features.
    low_freq_radius : int or None, default=None
        Highest frequency that ``lambda_lowfreq`` treats as low, in cycles along each
        side. None means one cycle per 32 pixels of the longer side, and at least 1.
    learning_rate : float, default=2e-4
        Learning rate of Adam, for the network and for the discriminators.
    betas : (float, float), default=(0.5, 0.999)
        Decay rates of Adam's averages of gradients and squared gradients, in [0, 1).
    batch_size : int, default=16
        Number of generated and number of real images per step.
    max_epochs : int, default=10
        Largest number of epochs. An epoch is a pass over the larger of the two sets. 0
        keeps the filter of the start.
    max_steps_per_epoch : int or None, default=160
        Largest number of steps per epoch. A shorter epoch uses a random subset of the
        images. None means no limit.
    decay_start : float, default=0.2
        Fraction of all steps after which the learning rate begins to fall linearly to
        0.
    early_stopping : bool, default=True
        Whether to keep the epoch whose images are hardest to detect, instead of the
        last epoch. A fifth of the images of each kind, at most 500, is held out. After
        every epoch a linear detector learns to distinguish refined from real images and
        is tested on the images held out. If no epoch improves on the start, the start
        is kept. With fewer than about 100 images of either kind, nothing is held out
        and the last epoch is kept.
    n_iter_no_change : int, default=3
        Number of consecutive epochs without improvement after which the training ends.
        Ignored without early stopping.
    image_shape : sequence of int or None, default=None
        Shape (height, width) or (height, width, channels) of one image, required if
        images are passed as rows of ``n_features`` values. None takes rows as signals
        of one channel, for which ``depth`` must be 0, and images with axes in their own
        shape.
    data_range : (float, float) or None, default=None
        Values of black and white, to which refined images are clipped. None means (0,
        255) for uint8, (0, 1) for floats if the real images lie in this range, and
        otherwise no limits. ``(-inf, inf)`` turns off the clipping and the check that
        all images have the same range.
    channel_axis : int, None or "auto", default="auto"
        Axis of the channels in images with axes: -1 if channels are last, 1 if channels
        come before rows, None for images without channels. "auto" accepts images
        without channels or with at most four channels as the last axis, and raises an
        error for shapes that look like another layout.
    device : str, torch.device or None, default=None
        Device on which the networks are trained and applied, such as "cuda". None means
        the CPU.
    random_state : int, RandomState instance or None, default=None
        Seed of the images held out, the batches, the initial weights and the compared
        positions. Pass an int for the same result in every call of ``fit``.

    Attributes
    ----------
    generator_ : torch.nn.Module or None
        Network of the epoch that was kept, on the CPU. None if the start was kept.
    initial_log_gain_ : ndarray of shape (channels, height, width // 2 + 1)
        Log-gain of the start in the bins of ``numpy.fft.rfft2``.
    recalibration_log_gain_ : ndarray of shape (channels, height, width // 2 + 1)
        Log-gain that recalibration adds. It is 0 without recalibration and if the start
        was kept.
    real_log_mean_ : ndarray of shape (channels, height, width // 2 + 1)
        Mean log-magnitude of real images, by which the network's input is centred.
    log_scale_ : ndarray of shape (channels, height, width // 2 + 1)
        Standard deviation of log-magnitudes, by which the network's input is divided.
    n_iter_ : int
        Number of epochs that were trained.
    best_iter_ : int
        Epoch that was kept. 0 is the start.
    loss_history_ : dict of str to ndarray of shape (`n_iter_`,)
        Mean over each epoch of the terms of the network's loss, before they are
        weighted. Terms of weight 0 are missing.
    detector_auc_ : ndarray of shape (`n_iter_` + 1,)
        Area under the ROC curve of the detector, for the start and after each epoch. It
        is replaced by 1 minus the area if that is larger; 0.5 is chance. Empty without
        early stopping.
    image_shape_ : tuple of int
        Shape (height, width, channels) of one image.
    data_range_ : tuple of float
        Lower and upper limit to which refined images are clipped.
    log_floor_ : float
        The rounding floor: root mean square error of a bin if pixels are rounded to 255
        steps, in the unit of ``numpy.fft.rfft2``.
    n_generated_, n_real_ : int
        Number of generated and of real images in ``fit``.
    n_features_in_ : int
        Number of values per image.

    See Also
    --------
    SpectrumMatcher : Learns one filter for all images.
    SpectrumQuantileMatcher : Learns gains that depend on the image, without a network.

    Notes
    -----
    If a term of the loss or a weight becomes infinite or NaN, ``fit`` stops the
    training with a `sklearn.exceptions.ConvergenceWarning` and keeps the best epoch so
    far.

    Callbacks of scikit-learn are called after every epoch and receive the terms of the
    loss.

    References
    ----------
    S. Lee, S.-W. Jung, H. Seo (2024). Spectrum translation for refinement of image
    generation (STIG) based on contrastive learning and spectral filter profile. AAAI.

    Examples
    --------
    >>> import numpy as np
    >>> from skspectral.refinement import SpectrumTranslator
    >>> rng = np.random.default_rng(0)
    >>> real, generated = rng.uniform(0.2, 0.8, size=(2, 64, 16, 16))
    >>> generated += 0.05 * (-1) ** np.indices((16, 16)).sum(axis=0)
    >>> translator = SpectrumTranslator(max_epochs=1, random_state=0)
    >>> translator.fit_transform(generated, real).shape
    (64, 16, 16)
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **IMAGE_CONSTRAINTS,
        "init": [StrOptions({"log_mean", "identity"})],
        "recalibrate": ["boolean"],
        "parameterization": [StrOptions({"residual", "absolute"})],
        "profile": [StrOptions({"bins", "rings"})],
        "base_channels": [_FROM_ONE],
        "depth": [_FROM_ZERO],
        "max_log_gain": [_POSITIVE],
        **{weight: [_WEIGHT] for weight in TERMS.values()},
        "nce_temperature": [_POSITIVE],
        "n_patches": [Interval(Integral, 2, None, closed="left")],
        "projection_dim": [_FROM_ONE],
        "low_freq_radius": [_FROM_ZERO, None],
        "learning_rate": [_POSITIVE],
        "betas": ["array-like"],
        "batch_size": [_FROM_ONE],
        "max_epochs": [_FROM_ZERO],
        "max_steps_per_epoch": [_FROM_ONE, None],
        "decay_start": [Interval(Real, 0, 1, closed="both")],
        "early_stopping": ["boolean"],
        "n_iter_no_change": [_FROM_ONE],
        "device": [str, torch.device, None],
        "random_state": ["random_state", np.random.Generator],
    }

    def __init__(
        self,
        *,
        init: Literal["log_mean", "identity"] = "log_mean",
        recalibrate: bool = True,
        parameterization: Literal["residual", "absolute"] = "residual",
        profile: Literal["bins", "rings"] = "bins",
        base_channels: int = 8,
        depth: int = 3,
        max_log_gain: float = 1.5,
        lambda_gan: float = 3.0,
        lambda_profile: float = 3.0,
        lambda_nce: float = 0.2,
        lambda_nce_identity: float = 0.2,
        lambda_lowfreq: float = 1.0,
        lambda_ssim_identity: float = 1.0,
        lambda_ssim: float = 1.0,
        nce_temperature: float = 0.07,
        n_patches: int = 64,
        projection_dim: int = 64,
        low_freq_radius: int | None = None,
        learning_rate: float = 2e-4,
        betas: Sequence[float] = (0.5, 0.999),
        batch_size: int = 16,
        max_epochs: int = 10,
        max_steps_per_epoch: int | None = 160,
        decay_start: float = 0.2,
        early_stopping: bool = True,
        n_iter_no_change: int = 3,
        image_shape: Sequence[int] | None = None,
        data_range: Sequence[float] | None = None,
        channel_axis: ChannelAxis = "auto",
        device: str | torch.device | None = None,
        random_state: int | np.random.RandomState | np.random.Generator | None = None,
    ) -> None:
        self.init = init
        self.recalibrate = recalibrate
        self.parameterization = parameterization
        self.profile = profile
        self.base_channels = base_channels
        self.depth = depth
        self.max_log_gain = max_log_gain
        self.lambda_gan = lambda_gan
        self.lambda_profile = lambda_profile
        self.lambda_nce = lambda_nce
        self.lambda_nce_identity = lambda_nce_identity
        self.lambda_lowfreq = lambda_lowfreq
        self.lambda_ssim_identity = lambda_ssim_identity
        self.lambda_ssim = lambda_ssim
        self.nce_temperature = nce_temperature
        self.n_patches = n_patches
        self.projection_dim = projection_dim
        self.low_freq_radius = low_freq_radius
        self.learning_rate = learning_rate
        self.betas = betas
        self.batch_size = batch_size
        self.max_epochs = max_epochs
        self.max_steps_per_epoch = max_steps_per_epoch
        self.decay_start = decay_start
        self.early_stopping = early_stopping
        self.n_iter_no_change = n_iter_no_change
        self.image_shape = image_shape
        self.data_range = data_range
        self.channel_axis = channel_axis
        self.device = device
        self.random_state = random_state

    def _fit_images(self, generated: np.ndarray, real: np.ndarray) -> None:
        # The caller may have disabled gradients or set another default device.
        with training_mode(), torch.device("cpu"):
            self._fit_networks(generated, real)

    def _fit_networks(self, generated: np.ndarray, real: np.ndarray) -> None:
        # Marks the estimator as unfitted until the training has succeeded.
        self.__dict__.pop("detector_auc_", None)
        self._check_training()
        device = resolve_device(self.device)
        images, seed = (generated, real), draw_seed(random_stream(self.random_state))
        stream = np.random.default_rng(seed)
        splits = [split_rows(part, stream) for part in images]
        stops_early = self.early_stopping and self.max_epochs > 0
        stops_early = stops_early and all(len(held) for _, held in splits)
        rows = [split[0] if stops_early else np.concatenate(split) for split in splits]
        training_sets = [part[kept] for part, kept in zip(images, rows, strict=True)]
        generated_logs, real_logs = (
            log_magnitude_statistic(part, self.log_floor_) for part in training_sets
        )
        self.real_log_mean_ = real_logs.mean
        variance = (generated_logs.variance + real_logs.variance) / 2
        self.log_scale_ = np.maximum(np.sqrt(variance), _MIN_SCALE)
        self.initial_log_gain_ = self._initial_gain(*training_sets)
        judge = Judge(images, splits, self.log_floor_) if stops_early else None

        def detector_auc(translation: Translation | None) -> float:
            assert judge is not None
            self._set_translation(translation, judge.generated[0], real_logs)
            return judge.auc(self._refined)

        n_steps = -(-max(map(len, training_sets)) // self.batch_size)
        n_steps = min(n_steps, self.max_steps_per_epoch or n_steps)
        units = self._extent, self.log_floor_, device

        def batches() -> Iterator[Batch]:
            return iter_batches(training_sets, self.batch_size, n_steps, stream, *units)

        training = self._new_training(seed, self.max_epochs * n_steps)
        best, aucs = self._train(
            training, batches, detector_auc if stops_early else None
        )
        if stops_early:
            # The start and the recalibration finally use all images.
            self.initial_log_gain_ = self._initial_gain(generated, real)
            real_logs = log_magnitude_statistic(real, self.log_floor_)
        self._set_translation(best, generated, real_logs)
        self.detector_auc_ = np.array(aucs)

    def _check_training(self) -> None:
        """Raise ValueError if weights, ``betas`` or image size prevent training."""
        if not any(getattr(self, name) for name in TERMS.values()):
            raise ValueError(
                "All weights of the loss (the parameters lambda_...) are 0, so that "
                "the network would learn nothing. Set one or more to a positive "
                "number, such as lambda_profile=3."
            )
        betas = tuple(self.betas)
        numbers = len(betas) == 2 and all(isinstance(beta, Real) for beta in betas)
        if not numbers or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(
                f"betas={self.betas!r} must be two numbers in [0, 1), such as "
                "(0.5, 0.999)."
            )
        unit, sides = 2**self.depth, self.image_shape_[:2]
        halved = all(side % unit == 0 and side >= 2 * unit for side in sides)
        # Signals have a side of 1, which is possible only with depth=0.
        if self.depth and not halved:
            nearest = tuple(max(2, round(side / unit)) * unit for side in sides)
            raise ValueError(
                f"Images of {sides[0]} x {sides[1]} pixels cannot be halved "
                f"depth={self.depth} times: both sides must be multiples of {unit} and "
                f"at least {2 * unit}. Pad or crop to {nearest[0]} x {nearest[1]}, or "
                "lower depth."
            )

    def _initial_gain(self, generated: np.ndarray, real: np.ndarray) -> np.ndarray:
        """Log-gain from which the training starts."""
        if self.init == "identity" or self.parameterization == "absolute":
            return np.zeros_like(self.real_log_mean_)
        matcher = SpectrumMatcher(data_range=self.data_range, channel_axis=-1)
        return matcher.fit(generated, real).log_gain_

    def _new_training(self, seed: int, n_steps: int) -> TranslatorTraining:
        """Create untrained networks and a training of ``n_steps`` steps."""
        device = resolve_device(self.device)
        height, width, n_channels = self.image_shape_
        mean, scale, start = (
            as_tensor(part, device, torch.float32)
            for part in (self.real_log_mean_, self.log_scale_, self.initial_log_gain_)
        )
        bound = self.max_log_gain if self.parameterization == "residual" else None
        radius = self.low_freq_radius
        if radius is None:
            radius = max(1, round(max(height, width) / 32))
        discriminators, contrast = nn.ModuleDict(), None
        with seeded_torch(seed):
            translation = Translation(
                mean, scale, width, self.base_channels, self.depth, bound
            ).to(device)
            if self.lambda_gan:
                n_first = max(self.base_channels, _MIN_DISCRIMINATOR_CHANNELS)
                discriminators["patches"] = PatchDiscriminator(
                    n_channels + 2, n_first, self.depth
                )
            if self.lambda_profile:
                rings = square_rings(height, width) if self.profile == "rings" else None
                n_values = height * width if rings is None else rings.shape[1]
                discriminators["profile"] = LinearDiscriminator(
                    n_channels * n_values, rings
                )
            if self.lambda_nce or self.lambda_nce_identity:
                contrast = PatchContrast(
                    translation.network.widths,
                    self.projection_dim,
                    self.n_patches,
                    self.nce_temperature,
                    seed,
                ).to(device)
        return TranslatorTraining(
            translation,
            start,
            discriminators.to(device),
            contrast,
            weights={term: getattr(self, name) for term, name in TERMS.items()},
            low_freq_radius=radius,
            learning_rate=lambda step: (
                self.learning_rate * falling(step, n_steps, self.decay_start)
            ),
            betas=(self.betas[0], self.betas[1]),
        )

    def _train(
        self,
        training: TranslatorTraining,
        batches: Callable[[], Iterator[Batch]],
        evaluate: Callable[[Translation | None], float] | None,
    ) -> tuple[Translation | None, list[float]]:
        """Train, and return the best translation and the AUCs of start and epochs.

        ``evaluate`` returns the AUC of a detector for a translation, or for the start
        if it receives None. Lower is better. Without ``evaluate`` the last epoch is the
        best. The translation is on the CPU; it is None if the start is the best.
        """
        monitor = CallbackMonitor(self)
        on_epoch = monitor.stage("training", self.max_epochs)
        best, failure = None, None
        aucs = [] if evaluate is None else [evaluate(None)]
        history: list[dict[str, float]] = []
        self.n_iter_ = self.best_iter_ = 0
        with memory_advice(self.batch_size):
            for epoch in range(1, self.max_epochs + 1):
                try:
                    terms = training.epoch(batches())
                except ArithmeticError as error:
                    failure = error
                    break
                self.n_iter_ = epoch
                history.append(terms)
                current = copy.deepcopy(training.translation).cpu().eval()
                if evaluate is not None:
                    aucs.append(evaluate(current))
                    terms = {**terms, "detector_auc": aucs[-1]}
                if evaluate is None or aucs[-1] < min(aucs[:-1]):
                    best, self.best_iter_ = current, epoch
                n_without_gain = epoch - self.best_iter_
                if on_epoch(**terms) or n_without_gain >= self.n_iter_no_change:
                    break
        monitor.close()
        names = history[0] if history else ()
        self.loss_history_ = {
            name: np.array([terms[name] for terms in history]) for name in names
        }
        if failure is not None:
            warnings.warn(
                f"The training was stopped: {failure}. The result of epoch "
                f"{self.best_iter_} is kept, where 0 is the start. "
                f"Lower learning_rate={self.learning_rate:g}.",
                ConvergenceWarning,
                stacklevel=6,
            )
        return best, aucs

    def _set_translation(
        self,
        translation: Translation | None,
        generated: np.ndarray,
        real_logs: Statistic,
    ) -> None:
        """Use a translation, and recalibrate it.

        The recalibration makes the mean log-magnitudes of the refined ``generated``
        images equal to those of the real images.
        """
        self.generator_ = translation
        self.recalibration_log_gain_ = np.zeros_like(self.initial_log_gain_)
        if self.recalibrate and translation is not None:
            step = -(-len(generated) // _MAX_RECALIBRATION_IMAGES)
            refined = log_magnitude_statistic(
                self._refined(generated[::step]), self.log_floor_
            )
            gain = log_mean_gain(refined, real_logs)
            self.recalibration_log_gain_ = shrunk(gain, self.image_shape_, "auto")

    def _log_gains(self, spectra: np.ndarray) -> np.ndarray:
        log_gain = self.initial_log_gain_ + self.recalibration_log_gain_
        if self.generator_ is None:
            return np.broadcast_to(log_gain, spectra.shape)
        device, translation = resolve_device(self.device), self.generator_
        if device.type != "cpu":
            translation = copy.deepcopy(translation).to(device)
        return log_gain + translation.log_gains(log_magnitude(spectra, self.log_floor_))

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "detector_auc_")
