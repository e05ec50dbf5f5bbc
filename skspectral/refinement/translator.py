"""A network that translates spectra of generated images."""
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

# Least scale of a bin in nats; bins of photographs have 0.6 and more.
_LEAST_SPREAD = 0.05
# Channels of the first layer of the discriminator of patches, at least.
_NARROWEST = 16
# Most images that the recalibration looks at.
_RECALIBRATED = 5000
_FROM_ZERO, _FROM_ONE = (Interval(Integral, low, None, closed="left") for low in (0, 1))
_POSITIVE = Interval(Real, 0, None, closed="neither")
_WEIGHT = Interval(Real, 0, None, closed="left")


class SpectrumTranslator(CallbackSupportMixin, GainRefiner):
    """Match spectra image by image, with a network that has to fool detectors.

    STIG (Lee, Jung, Seo 2024), changed so that it works in minutes; the user guide
    lists the departures. A nested U-Net takes the log-magnitudes l of an image,
    standardised bin by bin, and gives each bin a gain of its own, up to a bound g::

        log h = start + g tanh(network(l)) + recalibration,      h(DC) = 1

    The start is `SpectrumMatcher`'s. Two discriminators learn to tell refined from real
    spectra, one by patches of the plane and one by a weighted sum of all bins; the
    network learns to mislead them, while other terms of its loss keep the image. The
    recalibration makes the mean log-magnitudes equal again. Try the matchers first.

    Parameters
    ----------
    init : {"log_mean", "identity"}, default="log_mean"
        Where the training starts; not used by "absolute".
    recalibrate : bool, default=True
        Whether to make the mean spectra equal again after the training.
    parameterization : {"residual", "absolute"}, default="residual"
        Whether the network gives gains or, as in the paper, magnitudes within the range
        of those of each image. Both keep DC.
    profile : {"bins", "rings"}, default="bins"
        What the second discriminator sees: all bins or, as in the paper, means over
        square rings, in which single bins do not show.
    base_channels, depth : int, default=8, 3
        Channels of the network's first level, and how often it halves the plane. Sides
        must be multiples of ``2 ** depth``. The paper's code has 64 and 4.
    max_log_gain : float, default=1.5
        Bound g of the network's gains in nats; 1.5 is 13 dB.
    lambda_gan, lambda_profile : float, default=3.0, 3.0
        Weights of the two discriminators. A weight of 0 leaves a term out.
    lambda_nce, lambda_nce_identity : float, default=0.2, 0.2
        Weights of the contrast of patches (PatchNCE) of generated and of real images:
        features of output and input should be nearest at the same place.
    lambda_lowfreq, low_freq_radius : float and int, default=1.0, None
        Weight of the change of low frequencies, and bins on either side of DC that are
        low; None is one for every 32 pixels of the longer side.
    lambda_ssim_identity, lambda_ssim : float, default=1.0, 1.0
        Weights of 1 - SSIM of input and output, of real and of generated images.
    nce_temperature, n_patches, projection_dim : default=0.07, 64, 64
        Divisor of the likenesses of features, number of places compared at each level,
        and length of their vectors.
    learning_rate, betas : float and pair of float, default=2e-4, (0.5, 0.999)
        Of Adam.
    batch_size : int, default=16
        Images of either kind in a step.
    max_epochs, max_steps_per_epoch : int, default=10, 160
        Passes over the larger set, 0 for the start alone, and their greatest length;
        None is no limit.
    decay_start : float, default=0.2
        Share of all steps after which the learning rate falls, to 0 after the last.
    early_stopping : bool, default=True
        Whether to keep the best epoch, or the start if none was better, in place of the
        last. After each epoch a linear detector learns to tell refined from real images
        and is tested on images held out from everything else: a fifth of them, at most
        500, and none of a set of less than a hundred.
    n_iter_no_change : int, default=3
        Epochs without an improvement after which the training ends.
    image_shape, data_range, channel_axis : default=None, None, "auto"
        As in `SpectrumMatcher`. Rows without ``image_shape`` need ``depth=0``.
    device : str, torch.device or None, default=None
    random_state : int, RandomState, Generator or None, default=None

    Attributes
    ----------
    generator_ : torch Module or None
        The network of the best epoch, on the CPU; None if the start was better.
    initial_log_gain_, recalibration_log_gain_ : ndarray of shape (channels, height, \
            width // 2 + 1)
        The start, and what is added to it and to the network's gains.
    real_log_mean_, log_scale_ : ndarray of the same shape
        Mean and scale by which log-magnitudes are standardised.
    n_iter_, best_iter_ : int
        Epochs of training, and the one that is kept; 0 is the start.
    loss_history_ : dict of str to ndarray of shape (`n_iter_`,)
        Terms of the network's loss, without their weights, averaged over each epoch.
    detector_auc_ : ndarray of shape (`n_iter_` + 1,)
        Area under the ROC curve of the detector for the start and after each epoch, or
        1 minus it; 0.5 is chance. Empty without early stopping.
    image_shape_, data_range_, log_floor_, n_generated_, n_real_, n_features_in_
        As those of `SpectrumMatcher`.

    Notes
    -----
    If a term of the loss is not finite, ``fit`` warns (ConvergenceWarning) and keeps
    the best epoch so far. Callbacks of scikit-learn are told of each epoch.

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
        # Neither the caller's mode of torch nor its default device must matter.
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
        judged = self.early_stopping and self.max_epochs > 0
        judged = judged and all(len(held) for _, held in splits)
        rows = [split[0] if judged else np.concatenate(split) for split in splits]
        learnt = [part[some] for part, some in zip(images, rows, strict=True)]
        of_generated, of_real = (
            log_magnitude_statistic(part, self.log_floor_) for part in learnt
        )
        self.real_log_mean_ = of_real.mean
        variance = (of_generated.variance + of_real.variance) / 2
        self.log_scale_ = np.maximum(np.sqrt(variance), _LEAST_SPREAD)
        self.initial_log_gain_ = self._start(*learnt)
        judge = Judge(images, splits, self.log_floor_) if judged else None

        def auc(translation: Translation | None) -> float:
            assert judge is not None
            self._adopt(translation, judge.generated[0], of_real)
            return judge.auc(self._refined)

        n_steps = -(-max(map(len, learnt)) // self.batch_size)
        n_steps = min(n_steps, self.max_steps_per_epoch or n_steps)
        units = self._extent, self.log_floor_, device

        def batches() -> Iterator[Batch]:
            return iter_batches(learnt, self.batch_size, n_steps, stream, *units)

        training = self._new_training(seed, self.max_epochs * n_steps)
        best, aucs = self._train(training, batches, auc if judged else None)
        if judged:
            self.initial_log_gain_ = self._start(generated, real)
            of_real = log_magnitude_statistic(real, self.log_floor_)
        self._adopt(best, generated, of_real)
        self.detector_auc_ = np.array(aucs)

    def _check_training(self) -> None:
        """Raise ValueError for weights, ``betas`` or sides that permit no training."""
        if not any(getattr(self, name) for name in TERMS.values()):
            raise ValueError(
                "All weights lambda_... are 0, so that there is nothing to learn. Set "
                "one of them, such as lambda_profile=3."
            )
        betas = tuple(self.betas)
        numbers = len(betas) == 2 and all(isinstance(beta, Real) for beta in betas)
        if not numbers or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(f"betas={self.betas!r} must be two numbers within [0, 1).")
        unit, sides = 2**self.depth, self.image_shape_[:2]
        halved = all(side % unit == 0 and side >= 2 * unit for side in sides)
        # A side of 1, as signals have, is only for a depth of 0.
        if self.depth and not halved:
            nearest = tuple(max(2, round(side / unit)) * unit for side in sides)
            raise ValueError(
                f"Images of {sides[0]} x {sides[1]} pixels cannot be halved "
                f"depth={self.depth} times: sides must be multiples of {unit}, at "
                f"least {2 * unit}. Pad or crop to {nearest[0]} x {nearest[1]}, or "
                "lower depth."
            )

    def _start(self, generated: np.ndarray, real: np.ndarray) -> np.ndarray:
        if self.init == "identity" or self.parameterization == "absolute":
            return np.zeros_like(self.real_log_mean_)
        start = SpectrumMatcher(data_range=self.data_range, channel_axis=-1)
        return start.fit(generated, real).log_gain_

    def _new_training(self, seed: int, n_steps: int) -> TranslatorTraining:
        """Untrained networks, for ``n_steps`` in all."""
        device = resolve_device(self.device)
        height, width, n_channels = self.image_shape_
        mean, spread, start = (
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
                mean, spread, width, self.base_channels, self.depth, bound
            ).to(device)
            if self.lambda_gan:
                n_first = max(self.base_channels, _NARROWEST)
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
        judge: Callable[[Translation | None], float] | None,
    ) -> tuple[Translation | None, list[float]]:
        """The best translation, on the CPU, and what the judge says of all.

        The judge, if any, gives a number of which less is better. The first is that of
        the start; if that is the best, there is no translation.
        """
        monitor = CallbackMonitor(self)
        on_epoch = monitor.stage("training", self.max_epochs)
        best, failure = None, None
        verdicts = [] if judge is None else [judge(None)]
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
                present = copy.deepcopy(training.translation).cpu().eval()
                if judge is not None:
                    verdicts.append(judge(present))
                    terms = {**terms, "detector_auc": verdicts[-1]}
                if judge is None or verdicts[-1] < min(verdicts[:-1]):
                    best, self.best_iter_ = present, epoch
                waited = epoch - self.best_iter_
                if on_epoch(**terms) or waited >= self.n_iter_no_change:
                    break
        monitor.close()
        names = history[0] if history else ()
        self.loss_history_ = {
            name: np.array([terms[name] for terms in history]) for name in names
        }
        if failure is not None:
            warnings.warn(
                f"The training was stopped: {failure}. The result is that of "
                f"epoch {self.best_iter_}. Lower learning_rate={self.learning_rate:g}.",
                ConvergenceWarning,
                stacklevel=6,
            )
        return best, verdicts

    def _adopt(
        self, translation: Translation | None, generated: np.ndarray, of_real: Statistic
    ) -> None:
        """Use a translation, recalibrated for some generated images."""
        self.generator_ = translation
        self.recalibration_log_gain_ = np.zeros_like(self.initial_log_gain_)
        if self.recalibrate and translation is not None:
            some = generated[:: -(-len(generated) // _RECALIBRATED)]
            refined = log_magnitude_statistic(self._refined(some), self.log_floor_)
            gain = log_mean_gain(refined, of_real)
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
