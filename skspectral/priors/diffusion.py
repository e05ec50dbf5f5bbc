"""The diffusion prior."""
# SPDX-License-Identifier: BSD-3-Clause

import os
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.callback import CallbackSupportMixin
from torch import nn

from skspectral._device import memory_advice, resolve_device, training_mode
from skspectral._progress import CallbackMonitor
from skspectral._random import draw_seed, random_stream, standard_normal
from skspectral._sklearn_compat import (
    Interval,
    StrOptions,
    fit_context,
)
from skspectral.gaussian.gaussian import n_parameters
from skspectral.priors.denoising.denoiser import Denoiser
from skspectral.priors.denoising.draws import draw_codes, log_densities
from skspectral.priors.denoising.model import DiffusionModel
from skspectral.priors.denoising.observation import Conditioner
from skspectral.priors.denoising.training import (
    Checkpoint,
    TrainingPlan,
    TrainingState,
    enough_images,
    train,
)
from skspectral.priors.labels import class_indices, encode_labels, without_gaps
from skspectral.priors.prior import Capabilities, Prior
from skspectral.priors.synthesis import Synthesis


class DiffusionPrior(CallbackSupportMixin, Prior):
    """A Gaussian corrected by a network that has learned to remove noise.

    The network estimates the codes u of a signal from their noisy version u + s e, with
    white noise of any level s. Where codes are Gaussian the best estimate is Wiener's,
    a gain for each principal axis. The network looks at the *signal* of the codes, and
    so at places, and corrects that estimate. Draws follow the estimates from much noise
    to none. With a correction of zero they are exactly `GaussianPrior`'s, and training
    improves on that.

    By default the training stops where the loss of rows held out no longer falls: a few
    seconds for some tens of rows, minutes for 8 x 8 digits; 32 x 32 photographs take a
    quarter of an hour on two cores. Other priors here take seconds. To see how far it
    is, ``set_callbacks(sklearn.callback.ProgressBar())`` of the prior or the estimator.

    Parameters
    ----------
    network : {"auto", "unet2d", "unet1d", "mlp"} or torch Module, default="auto"
        The network: a U-Net on the places of images (``signal_shape`` of two or three
        numbers) or of other signals, or layers on the codes alone, which do not see
        places. "auto" is the U-Net for the ``signal_shape`` of the estimator, and "mlp"
        without one. A Module is called with signals ``(n, 2 C, *sides)``, those of the
        noisy codes and of Wiener's estimate; the logarithm of the noise level over 4,
        (n,); and, if there are labels, their numbers (n,), where the number of labels
        itself stands for no label. It returns ``(n, C, *sides)``. The Module is copied,
        and its output is multiplied by a learned gain that starts at zero.
    width : int, default=64
        Channels of the U-Net at the finest scale; a quarter of the width of the layers
        of "mlp".
    max_images : "auto", int or None, default="auto"
        Largest number of rows to train on, each time with new noise; None sets no
        limit. "auto" is 200 times the rows there are, but at least 20,000 and at most
        200,000, and no limit if there is a ``max_time``.
    max_time : float or None, default=None
        Seconds to train; training stops at the first limit that is reached.
    early_stopping : "auto" or bool, default="auto"
        Whether ``fit`` holds out a tenth of the rows (a quarter of fewer than 80, and
        1,024 at most), stops where their loss has not fallen for a fifth of the run,
        and keeps the weights of the least. Those may be the first ones, with which
        draws are the Gaussian's. "auto" holds none out if you have set ``max_images``
        or ``max_time``. The Gaussian is fitted to all rows.
    batch_size : int, default=64
        Rows of a training step.
    learning_rate : float, default=2e-3
        Learning rate of Adam. It falls to zero over the last 40 % of ``fit``.
    ema : float, default=0.998
        Decay per step of the average of the weights, with which codes are drawn.
    mirror : bool, default=False
        Whether mirrored signals are as likely as the signals, as with photographs
        mirrored left to right. If so, half of the rows are mirrored in training, and
        the Gaussian is fitted to both.
    n_steps : int, default=12
        Steps from much noise to none, in draws and densities.
    guidance : float, default=1.0
        Weight of the difference that a label makes to the estimate. More than 1 draws
        what is typical of the label; 0 ignores it.
    gaussian_guidance : float, default=1.0
        Weight of the network's correction in draws; 0 draws from the Gaussian. After
        minutes of training the correction is too small: 1.1 is better for photographs.
    n_probes : int, default=8
        Number of random directions in which ``score_samples`` estimates the divergence
        of the flow; it is exact in as many directions as there are codes, or more.
    checkpoint : path or None, default=None
        File for the state of the training, written every two minutes and at the end. If
        it exists, ``fit`` resumes from it, also with larger limits than before.
    mixed_precision : bool or None, default=None
        Whether the network computes in bfloat16 where that is safe. None means on a GPU
        only: CPUs are often slower with it.
    compile : bool, default=False
        Whether torch compiles the training, which takes a minute and needs a compiler.
    device : str, torch.device or None, default=None
        Device for training and draws; None is the CPU. Draws start from the same noise
        on all devices.
    random_state : int, RandomState instance or None, default=None
        Seed of the first weights, of the order of rows, and of the noise.

    Attributes
    ----------
    history_ : dict of ndarray
        "n_images", the number of rows so far; the mean "loss" since the entry before:
        the squared error of the estimates over the expected one of Wiener's, about 1 at
        first; and "held_out_loss", of the rows held out and the average of the weights,
        NaN where it was not evaluated.
    n_images_ : int
        Number of rows in all runs.
    best_n_images_ : int
        Number of rows after which the held-out loss was least, whose weights are kept;
        0 is the Gaussian. Without early stopping it is ``n_images_``.
    classes_ : ndarray
        Labels, if there were any.
    class_prior_ : ndarray
        Shares of the labels.
    n_parameters_ : int
        Number of parameters of the network and of the Gaussian.
    n_features_in_ : int
        Number K of codes.

    See Also
    --------
    LocalContrastPrior : Also sees places; fits in a minute.

    Notes
    -----
    In units of the root mean square of a value about the mean signal, with principal
    variances v and T values per signal, the estimate is

        D = g z + c F,   g = v / (v + s^2),   c^2 = sum(s^2 g) / T

    where F is the network and z the noisy coordinates on principal axes. F is fitted by
    least squares to (u - g z) / c, for ln s ~ N(-0.5, 1.2^2). If all v are equal these
    are the preconditioning and the weights of Karras et al. (2022, table 1). Draws
    follow their flow, dz/ds = (z - D) / s, by Heun's method, relative to the exact flow
    of the Gaussian.

    The density of draws without guidance follows from the divergence of the flow. It is
    estimated in ``n_probes`` random directions, the same for all rows, and is noisy if
    there are many codes. It costs ``2 * n_steps - 1`` evaluations of the network, and
    as many derivatives for each of the ``n_probes``, in float64.

    ``sample_given`` moves each estimate to the posterior mean given the observation,
    with the posterior covariance of the Gaussian: exact for the Gaussian, a good
    approximation otherwise (Song et al. 2023, pseudoinverse-guided diffusion models for
    inverse problems). ``n_steps`` of 30 or 40 come closer than the default. It costs
    m^2 K + m^3 for each step, once for all draws. Without ``y`` its draws have no
    label, because the observation tells of the label, too.

    A step costs an evaluation of the network and its gradient, and products of the size
    ``batch_size`` x K x T. A fitted prior holds four copies of the weights, with which
    ``partial_fit`` resumes; on another kind of device it uses other random numbers.

    References
    ----------
    T. Karras, M. Aittala, T. Aila, S. Laine (2022). Elucidating the design space of
    diffusion-based generative models. J. Ho, T. Salimans (2021). Classifier-free
    diffusion guidance. Y. Song et al. (2021). Score-based generative modeling through
    stochastic differential equations. B. Wang, J. Vastola (2024). The unreasonable
    effectiveness of Gaussian score approximation for diffusion models.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.priors import DiffusionPrior
    >>> X, y = load_digits(return_X_y=True)
    >>> prior = DiffusionPrior(max_images=1000, width=8)  # too few: 100,000 is better
    >>> est = SpectralDictionaryLearning(40, signal_shape=(8, 8), prior=prior)
    >>> est.fit(X, y).sample(3, y=[0, 1, 2]).shape
    (3, 64)
    """

    _model: DiffusionModel
    _state: TrainingState

    capabilities = Capabilities(
        density=True, labels=True, synthesis=True, conditioning=True
    )

    _parameter_constraints = {
        "network": [StrOptions({"auto", "unet2d", "unet1d", "mlp"}), nn.Module],
        "width": [Interval(Integral, 1, None, closed="left")],
        "max_images": [
            Interval(Integral, 1, None, closed="left"),
            StrOptions({"auto"}),
            None,
        ],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
        "early_stopping": ["boolean", StrOptions({"auto"})],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "learning_rate": [Interval(Real, 0, None, closed="neither")],
        "ema": [Interval(Real, 0, 1, closed="left")],
        "mirror": ["boolean"],
        "n_steps": [Interval(Integral, 1, None, closed="left")],
        "guidance": [Interval(Real, 0, None, closed="left")],
        "gaussian_guidance": [Interval(Real, 0, None, closed="left")],
        "n_probes": [Interval(Integral, 1, None, closed="left")],
        "checkpoint": [str, os.PathLike, None],
        "mixed_precision": ["boolean", None],
        "compile": ["boolean"],
        "device": "no_validation",
        "random_state": ["random_state"],
    }

    def __init__(
        self,
        network: str | nn.Module = "auto",
        *,
        width: int = 64,
        max_images: str | int | None = "auto",
        max_time: float | None = None,
        early_stopping: str | bool = "auto",
        batch_size: int = 64,
        learning_rate: float = 2e-3,
        ema: float = 0.998,
        mirror: bool = False,
        n_steps: int = 12,
        guidance: float = 1.0,
        gaussian_guidance: float = 1.0,
        n_probes: int = 8,
        checkpoint: str | os.PathLike[str] | None = None,
        mixed_precision: bool | None = None,
        compile: bool = False,
        device: str | torch.device | None = None,
        random_state: int | np.random.RandomState | None = None,
    ):
        self.network = network
        self.width = width
        self.max_images = max_images
        self.max_time = max_time
        self.early_stopping = early_stopping
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.ema = ema
        self.mirror = mirror
        self.n_steps = n_steps
        self.guidance = guidance
        self.gaussian_guidance = gaussian_guidance
        self.n_probes = n_probes
        self.checkpoint = checkpoint
        self.mixed_precision = mixed_precision
        self.compile = compile
        self.device = device
        self.random_state = random_state

    def check(self, y: Any = None) -> None:
        """Raise what is known of parameters and labels before the codes are there."""
        super().check(y)
        if y is not None:
            labels = without_gaps(y)
            encode_labels(labels, len(labels))

    @fit_context(prefer_skip_nested_validation=True)
    def fit(
        self, X: ArrayLike, y: Any = None, *, synthesis: Synthesis | None = None
    ) -> "DiffusionPrior":
        """Fit the Gaussian, and train the network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.
        y : array-like of shape (n_samples,), default=None
            Labels, on which draws can then be conditioned.
        synthesis : Synthesis, default=None
            Map from codes to signals, which the estimator passes. None is for codes
            alone, with an "mlp" as the network.

        Returns
        -------
        self : DiffusionPrior

        Raises
        ------
        ValueError
            If the network is for other signals, labels are missing or vary
            continuously, or the checkpoint is of another training.
        ArithmeticError
            If the loss is not finite, naming the step.
        """
        return self._fit(X, y, synthesis, warm_start=False)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: ArrayLike, y: Any = None, *, synthesis: Synthesis | None = None
    ) -> "DiffusionPrior":
        """Resume the training where it stopped, for another run of the same length.

        The Gaussian, the labels and the synthesis stay those of the first call, the
        learning rate does not fall, and no rows are held out. Takes, raises and returns
        what `fit` does; ``y`` is required if the first call had labels, and must be
        among those.
        """
        return self._fit(X, y, synthesis, warm_start=hasattr(self, "_model"), more=True)

    def _fit(
        self,
        X: ArrayLike,
        y: Any,
        synthesis: Synthesis | None,
        *,
        warm_start: bool,
        more: bool = False,
    ) -> "DiffusionPrior":
        """Train for one run; ``more`` if others may follow."""
        if self.max_images is None and self.max_time is None:
            raise ValueError("max_images and max_time are both None: set one of them.")
        codes = self._codes(X, reset=not warm_start, least=2)
        known = getattr(self, "classes_", np.empty(0)) if warm_start else None
        classes, numbers = encode_labels(y, len(codes), known)
        device = resolve_device(self.device)
        plan = TrainingPlan(
            batch_size=int(self.batch_size),
            learning_rate=float(self.learning_rate),
            ema=float(self.ema),
            mirror=bool(self.mirror),
            max_images=self._largest_number(len(codes)),
            max_time=self.max_time,
            mixed_precision=self._in_mixed_precision(device),
            compile=self.compile,
            decays=not more,
            stops_early=self._stops_early() and not more,
        )
        if warm_start:
            model, state = self._model, self._state.next_run()
        else:
            model = self._new_model(codes, synthesis, len(classes))
            state = TrainingState()
        checkpoint = None
        if self.checkpoint is not None:
            checkpoint = Checkpoint.of(Path(self.checkpoint), model, plan)
            if not warm_start:
                model, state = checkpoint.load(model)
                if more and plan.share(state) >= 1:
                    state = state.next_run()
        monitor = CallbackMonitor(self)
        on_step = monitor.stage("training", plan.n_steps)
        with memory_advice(self.batch_size):
            state = train(
                model, state, codes, numbers, plan, device, on_step, checkpoint
            )
        monitor.close()
        self._model, self._state = model, state
        if not warm_start:
            for name in ("classes_", "class_prior_"):
                self.__dict__.pop(name, None)
            if len(classes):
                self.classes_ = classes
                self.class_prior_ = np.bincount(numbers) / len(numbers)
        self.history_ = {k: np.array(v) for k, v in state.history.items()}
        self.n_images_ = state.n_images
        self.best_n_images_ = state.best_images if plan.stops_early else state.n_images
        of_network = sum(value.numel() for value in state.average.values())
        self.n_parameters_ = of_network + n_parameters(*2 * (codes.shape[1],))
        return self

    def _largest_number(self, n_rows: int) -> int | None:
        """``max_images``, or what "auto" stands for."""
        if not isinstance(self.max_images, str):
            return self.max_images
        return None if self.max_time is not None else enough_images(n_rows)

    def _stops_early(self) -> bool:
        if not isinstance(self.early_stopping, str):
            return bool(self.early_stopping)
        return self.max_images == "auto" and self.max_time is None

    def _new_model(
        self, codes: np.ndarray, synthesis: Synthesis | None, n_labels: int
    ) -> DiffusionModel:
        return DiffusionModel.fit(
            codes,
            synthesis,
            self.network,
            mirrored=self.mirror,
            width=int(self.width),
            n_labels=n_labels,
            seed=draw_seed(random_stream(self.random_state)),
        )

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        # How many steps fit into a time is not the same twice.
        tags.non_deterministic = self.max_time is not None
        return tags

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_model")

    def _draw(
        self,
        n_samples: int,
        y: Any,
        stream: np.random.Generator,
        observation: tuple[np.ndarray, np.ndarray, float | np.ndarray] | None = None,
    ) -> np.ndarray:
        denoiser = self._trained_denoiser()
        conditioner, n_numbers = None, self.n_features_in_
        if observation is not None:
            conditioner = Conditioner(denoiser, *observation)
            n_numbers = conditioner.n_numbers
        # The CPU's random numbers, so that all devices start from the same noise.
        normal = standard_normal(stream, n_samples, n_numbers)
        return draw_codes(
            denoiser,
            normal,
            self._labels_to_draw(n_samples, y, stream, by_share=conditioner is None),
            n_steps=self.n_steps,
            guidance=self.guidance,
            gaussian_guidance=self.gaussian_guidance,
            conditioner=conditioner,
        )

    def _draw_given(
        self,
        operator: np.ndarray,
        values: np.ndarray,
        n_samples: int,
        noise: float | np.ndarray,
        y: Any,
        stream: np.random.Generator,
    ) -> np.ndarray:
        return self._draw(n_samples, y, stream, (operator, values, noise))

    def _labels_to_draw(
        self, n_samples: int, y: Any, stream: np.random.Generator, *, by_share: bool
    ) -> np.ndarray:
        """Numbers of the labels ``y`` or, for None, of labels by share or of none."""
        if not hasattr(self, "classes_"):
            if y is not None or self.guidance != 1:
                raise ValueError(
                    f"y={y!r} and guidance={self.guidance} need labels, but the "
                    "training had none. Pass y to fit."
                )
            return np.zeros(n_samples, int)
        if y is not None:
            return class_indices(y, n_samples, self.classes_)
        if by_share:
            return stream.choice(len(self.classes_), n_samples, p=self.class_prior_)
        return np.full(n_samples, len(self.classes_))

    def _log_density(self, X: np.ndarray) -> np.ndarray:
        with training_mode():
            return log_densities(
                self._trained_denoiser(torch.float64),
                X,
                n_steps=self.n_steps,
                n_probes=self.n_probes,
            )

    def _trained_denoiser(self, dtype: torch.dtype = torch.float32) -> Denoiser:
        device = resolve_device(self.device)
        denoiser = self._model.denoiser(self._state.average).to(dtype).to(device).eval()
        denoiser.mixed_precision = self._in_mixed_precision(device)
        return denoiser.requires_grad_(False)

    def _in_mixed_precision(self, device: torch.device) -> bool:
        asked = self.mixed_precision
        return device.type == "cuda" if asked is None else asked
