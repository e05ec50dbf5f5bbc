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
from skspectral._processes import Processes
from skspectral._progress import CallbackMonitor
from skspectral._random import draw_seed, random_stream, standard_normal
from skspectral._sklearn_compat import (
    Interval,
    StrOptions,
    fit_context,
)
from skspectral.gaussian.gaussian import n_parameters
from skspectral.priors.denoising.denoiser import Denoiser
from skspectral.priors.denoising.draws import (
    draw_codes,
    estimate_codes,
    log_densities,
)
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
    """Diffusion model: a Gaussian, corrected by a network trained to remove noise.

    The model estimates the codes of a signal from noisy codes, at any level of white
    noise. If the codes were Gaussian, the best estimate would be the Wiener filter,
    which applies one gain per principal axis. A network, which sees the noisy *signal*
    and therefore its structure at each position, corrects this estimate. ``sample``
    starts from noise and follows the estimates while the level of the noise falls to
    zero. Without the correction, the draws are exactly those of a `GaussianPrior`;
    training improves on them.

    Training takes much longer than the fit of other priors: a few seconds for some tens
    of samples, minutes for 8 x 8 digits, and a quarter of an hour for 32 x 32
    photographs, on two CPU cores. By default it stops when the loss of held-out samples
    no longer falls. To see a progress bar, call
    ``set_callbacks(sklearn.callback.ProgressBar())`` of the prior or of the estimator.

    Parameters
    ----------
    network : {"auto", "unet2d", "unet1d", "mlp"} or torch.nn.Module, default="auto"
        Network that corrects the Wiener estimate. "unet2d" is a U-Net for images,
        "unet1d" a U-Net for other signals, and "mlp" a network of fully connected
        layers, which sees the codes and not the signals. "auto" chooses the U-Net that
        fits ``signal_shape`` of the estimator, or "mlp" if ``fit`` is called without
        ``synthesis``. The Notes describe how a Module of your own is called.
    width : int, default=64
        Number of channels of the U-Net at its finest scale, or a quarter of the width
        of the layers of "mlp". Ignored if ``network`` is a Module.
    max_images : "auto", int or None, default="auto"
        Limit of the training, in samples. A sample counts each time it is used, with
        new noise. "auto" is 200 times the number of samples in X, but at least 20,000
        and at most 200,000; with ``max_time`` it means no limit. None means no limit
        and requires ``max_time``.
    max_time : float or None, default=None
        Limit of the training, in seconds. Training stops at the first limit that it
        reaches. None means no limit in time.
    early_stopping : "auto" or bool, default="auto"
        Whether ``fit`` holds out some samples, stops when their loss has not fallen for
        a fifth of the run, and keeps the weights with the lowest held-out loss. If
        these are the initial weights, draws are those of the Gaussian. A tenth of the
        samples is held out: at most 1,024, and at least 20, or a quarter of fewer than
        80 samples. The Gaussian is fitted to all samples. "auto" means True if
        ``max_images="auto"`` and ``max_time=None``, otherwise False.
    batch_size : int, default=64
        Number of samples per training step.
    learning_rate : float, default=2e-3
        Largest learning rate of the optimiser Adam. The learning rate falls linearly to
        zero in the last 40 % of ``fit``.
    ema : float, default=0.998
        Decay per step of the exponential moving average of the weights, in [0, 1). The
        averaged weights are used for draws and densities. 0 means no averaging.
    mirror : bool, default=False
        Whether mirrored signals are as likely as the original ones, as for photographs
        mirrored left to right. If True, half of each batch is mirrored, and the
        Gaussian is fitted to original and mirrored signals.
    n_steps : int, default=12
        Number of steps from the largest noise to zero, in draws and densities. More
        steps are more accurate and slower; useful values are 6 to 40.
    guidance : float, default=1.0
        Weight of the difference between the estimates with and without the label, in
        draws. 1 draws from the distribution of the label, values above 1 draw more
        typical samples of the label, and 0 ignores the label. Values other than 1
        require a fit with labels.
    gaussian_guidance : float, default=1.0
        Factor of the network's correction in draws. 0 draws from the Gaussian. After
        only minutes of training the correction tends to be too small; 1.1 then gives
        better photographs.
    n_probes : int, default=8
        Number of random directions in which ``score_samples`` estimates the divergence
        of the flow. The divergence is exact if ``n_probes`` is K or more.
    checkpoint : str, path-like or None, default=None
        File for the state of the training, which is written every two minutes and at
        the end. If the file exists, ``fit`` resumes the training from it, also if
        ``max_images`` or ``max_time`` have been raised. None writes no file.
    mixed_precision : bool or None, default=None
        Whether the network computes in bfloat16 where this is numerically safe. None
        means True on a GPU and False on a CPU, where bfloat16 is often slower.
    compile : bool, default=False
        Whether torch compiles the training step. Compilation takes about a minute and
        needs a compiler.
    distributed : bool, default=False
        Whether the processes of the default group of ``torch.distributed`` train
        together. Every process must call ``fit`` with the same arguments, and computes
        its share of each batch; the gradients are averaged by
        ``torch.nn.parallel.DistributedDataParallel``. The result is that of one
        process, up to rounding. A checkpoint can be resumed by any number of processes.
    device : str, torch.device or None, default=None
        Device for training and draws. None means the CPU. With equal seeds, draws start
        from equal noise on all devices.
    random_state : int, RandomState instance or None, default=None
        Seed of the initial weights, of the order of the samples, and of the noise in
        training.

    Attributes
    ----------
    history_ : dict of ndarray
        Course of the training, with one array per key. "n_images" is the number of
        samples processed so far. "loss" is the mean loss since the previous entry: the
        squared error of the estimates divided by the expected squared error of the
        Wiener filter, about 1 at the beginning. "held_out_loss" is the loss of the
        held-out samples with the averaged weights, or NaN if it was not evaluated.
    n_images_ : int
        Number of samples processed in all runs.
    best_n_images_ : int
        Number of samples processed when the held-out loss was lowest; the weights of
        this moment are kept. 0 means that draws are those of the Gaussian. Without
        early stopping it equals ``n_images_``.
    classes_ : ndarray of shape (n_classes,)
        The labels, sorted. It is set only if ``fit`` was given labels.
    class_prior_ : ndarray of shape (n_classes,)
        Fraction of the samples per label. It is set only if ``fit`` was given labels.
    n_parameters_ : int
        Number of parameters of the network and of the Gaussian.
    n_features_in_ : int
        Number K of codes.

    See Also
    --------
    LocalContrastPrior : Models the contrast of each region; fitted in about a minute.
    ClassConditionalPrior : Draws for labels, without a network.

    Notes
    -----
    Let z be the noisy coordinates on the principal axes of the codes, v the variances
    along these axes, s the level of the noise, and T the number of values per signal.
    All are in units of the root mean square of the values of the centred signals. The
    estimate of the clean coordinates is

        D = g z + c F,   g = v / (v + s^2),   c^2 = sum(s^2 g) / T

    where F is the network. It is trained by least squares, with (u - g z) / c as the
    target for clean coordinates u, and with ln s ~ N(-0.5, 1.2^2). If all variances v
    are equal, D has the preconditioning and the weights of [1]_ (table 1). Draws follow
    the flow dz/ds = (z - D) / s [2]_ by Heun's method, relative to the exact flow of
    the Gaussian [3]_. With labels, a tenth of the training samples are shown without
    their label, as ``guidance`` [4]_ requires.

    *A network of your own.* A Module is called with three arguments, or two if there
    are no labels: signals ``(n, 2 C, *sides)``, where the first C channels are the
    signal of the noisy codes and the others that of the Wiener estimate; the noise
    level as ``log(s) / 4``, shape (n,); and the indices of the labels in ``classes_``,
    shape (n,), where ``n_classes`` means that there is no label. It must return
    ``(n, C, *sides)``. If ``fit`` is called without ``synthesis``, the first argument
    is the noisy coordinates, scaled to variance 1, and it must return their shape
    (n, K). The Module is copied, and its output is multiplied by a learned gain that
    starts at zero.

    *Densities.* ``score_samples`` returns the log-density of draws without guidance,
    which follows from the divergence of the flow. The divergence is estimated in
    ``n_probes`` random directions, the same ones for all rows, and is noisy if there
    are many codes. The cost is ``2 * n_steps - 1`` evaluations of the network in
    float64, and ``n_probes`` derivatives per evaluation.

    *Conditioning.* ``sample_given`` moves each estimate to its posterior mean given the
    observation, with the posterior covariance of the Gaussian [5]_. This is exact for
    the Gaussian and a good approximation otherwise; ``n_steps`` of 30 or 40 is more
    accurate than the default. For m observed values it costs m^2 K + m^3 operations per
    step, once for all draws. With ``y=None`` the draws are made without a label, and
    not with random labels, because the observation also contains information about the
    label.

    *Cost.* A training step costs one evaluation of the network with its gradient, and
    matrix products of ``batch_size`` x K x T operations. A fitted prior holds four
    copies of the weights, so that `partial_fit` can resume the training. Results on a
    GPU and on a CPU differ, because the random numbers of the training differ.

    References
    ----------
    .. [1] T. Karras, M. Aittala, T. Aila, S. Laine (2022). Elucidating the design space
       of diffusion-based generative models. Advances in Neural Information Processing
       Systems 35.
    .. [2] Y. Song, J. Sohl-Dickstein, D. P. Kingma, A. Kumar, S. Ermon, B. Poole
       (2021). Score-based generative modeling through stochastic differential
       equations. International Conference on Learning Representations.
    .. [3] B. Wang, J. Vastola (2024). The unreasonable effectiveness of Gaussian score
       approximation for diffusion models. Transactions on Machine Learning Research.
    .. [4] J. Ho, T. Salimans (2021). Classifier-free diffusion guidance. NeurIPS
       Workshop on Deep Generative Models.
    .. [5] J. Song, A. Vahdat, M. Mardani, J. Kautz (2023). Pseudoinverse-guided
       diffusion models for inverse problems. International Conference on Learning
       Representations.

    Examples
    --------
    A short training, to be quick; 100,000 images would give good digits:

    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.priors import DiffusionPrior
    >>> X, y = load_digits(return_X_y=True)
    >>> prior = DiffusionPrior(max_images=1000, width=8)
    >>> est = SpectralDictionaryLearning(40, signal_shape=(8, 8), prior=prior)
    >>> est.fit(X, y).sample(3, y=[0, 1, 2]).shape
    (3, 64)
    """

    _model: DiffusionModel
    _state: TrainingState

    capabilities = Capabilities(
        density=True, denoising=True, labels=True, synthesis=True, conditioning=True
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
        "distributed": ["boolean"],
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
        distributed: bool = False,
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
        self.distributed = distributed
        self.device = device
        self.random_state = random_state

    def check(self, y: Any = None) -> None:
        """Raise an error if a parameter or the labels cannot be used.

        Parameters
        ----------
        y : array-like of shape (n_samples,), default=None
            Labels that will be passed to ``fit``; None if there are no labels.

        Raises
        ------
        ValueError
            If a parameter is out of range.
            If labels are missing or continuous.
        """
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
            Label of each sample. With labels, ``sample`` can draw for a label.
        synthesis : Synthesis, default=None
            Map from codes to signals, which the estimator passes. None means that there
            are no signals; the network must then be "auto", "mlp" or a Module.

        Returns
        -------
        self : DiffusionPrior
            The fitted prior.

        Raises
        ------
        ValueError
            If ``max_images`` and ``max_time`` are both None.
            If ``distributed`` is True, and the processes have other samples or seeds,
            or are more than ``batch_size``.
            If the network does not fit the shape of the signals.
            If labels are missing or continuous.
            If the folder of the checkpoint does not exist, or the file is damaged or
            belongs to another training.
        ArithmeticError
            If the loss is not finite.
        """
        return self._fit(X, y, synthesis, warm_start=False)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: ArrayLike, y: Any = None, *, synthesis: Synthesis | None = None
    ) -> "DiffusionPrior":
        """Continue the training for another run, with the same or new samples.

        The Gaussian, the set of labels and the synthesis remain those of the first
        call. The learning rate does not fall, and no samples are held out. An unfitted
        prior is first initialised as in `fit`.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes.
        y : array-like of shape (n_samples,), default=None
            Label of each sample. It is required if the first call had labels; all
            labels must have occurred in the first call.
        synthesis : Synthesis, default=None
            Map from codes to signals, as in `fit`. Ignored after the first call.

        Returns
        -------
        self : DiffusionPrior
            The fitted prior.

        Raises
        ------
        ValueError
            If ``max_images`` and ``max_time`` are both None.
            If ``y`` has labels that the first call did not have, or only one of the two
            calls has labels.
            If the network does not fit the shape of the signals, or the checkpoint
            cannot be used, in the first call.
        ArithmeticError
            If the loss is not finite.
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
        """Train for one run.

        ``warm_start`` continues the training of this prior. ``more`` means that other
        runs may follow: the learning rate does not fall, and no rows are held out.
        """
        if self.max_images is None and self.max_time is None:
            raise ValueError(
                "max_images and max_time are both None, so that the training would "
                "never stop. Set one of them."
            )
        processes = Processes(bool(self.distributed))
        if self.batch_size < processes.size:
            raise ValueError(
                f"batch_size={self.batch_size} must be at least the number of "
                f"processes, which is {processes.size}. Pass a larger batch_size."
            )
        codes = self._codes(X, reset=not warm_start, least=2)
        known = getattr(self, "classes_", np.empty(0)) if warm_start else None
        classes, labels = encode_labels(y, len(codes), known)
        device = resolve_device(self.device)
        plan = TrainingPlan(
            batch_size=int(self.batch_size),
            learning_rate=float(self.learning_rate),
            ema=float(self.ema),
            mirror=bool(self.mirror),
            max_images=self._image_limit(len(codes)),
            max_time=self.max_time,
            mixed_precision=self._uses_mixed_precision(device),
            compile=self.compile,
            decays=not more,
            stops_early=self._stops_early() and not more,
        )
        if warm_start:
            model, state = self._model, self._state.next_run()
        else:
            model = self._new_model(codes, synthesis, len(classes))
            state = TrainingState()
        same = codes.shape, f"{codes.std():.4g}", model.seed
        if not processes.all_equal(same):
            raise ValueError(
                "The processes have other codes or another random_state. With "
                "distributed=True every process must call fit with the same samples, "
                "and with an int as random_state."
            )
        checkpoint = None
        if self.checkpoint is not None:
            checkpoint = Checkpoint.of(Path(self.checkpoint), model, plan)
            if not warm_start:
                if processes.rank == 0:
                    model, state = checkpoint.load(model)
                model, state = processes.of_first((model, state))
                if more and plan.progress(state) >= 1:
                    state = state.next_run()
        monitor = CallbackMonitor(self)
        on_step = monitor.stage("training", plan.n_steps)
        with memory_advice(self.batch_size):
            state = train(
                model,
                state,
                codes,
                labels,
                plan,
                device,
                on_step,
                checkpoint,
                processes,
            )
        monitor.close()
        self._model, self._state = model, state
        if not warm_start:
            for name in ("classes_", "class_prior_"):
                self.__dict__.pop(name, None)
            if len(classes):
                self.classes_ = classes
                self.class_prior_ = np.bincount(labels) / len(labels)
        self.history_ = {k: np.array(v) for k, v in state.history.items()}
        self.n_images_ = state.n_images
        self.best_n_images_ = state.best_images if plan.stops_early else state.n_images
        of_network = sum(value.numel() for value in state.average.values())
        self.n_parameters_ = of_network + n_parameters(*2 * (codes.shape[1],))
        return self

    def _image_limit(self, n_rows: int) -> int | None:
        """Return ``max_images``, or the limit that "auto" means for ``n_rows``."""
        if not isinstance(self.max_images, str):
            return self.max_images
        return None if self.max_time is not None else enough_images(n_rows)

    def _stops_early(self) -> bool:
        """Return ``early_stopping``, or the value that "auto" means."""
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
        # The number of steps within a time limit differs between runs.
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
        conditioner, n_normal = None, self.n_features_in_
        if observation is not None:
            conditioner = Conditioner(denoiser, *observation)
            n_normal = conditioner.n_normal
        # The random numbers come from the CPU, so that draws start from the same noise
        # on all devices.
        normal = standard_normal(stream, n_samples, n_normal)
        return draw_codes(
            denoiser,
            normal,
            self._labels_to_draw(n_samples, y, stream, at_random=conditioner is None),
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
        self, n_samples: int, y: Any, stream: np.random.Generator, *, at_random: bool
    ) -> np.ndarray:
        """Return the indices of the labels ``y``, shape (n_samples,).

        If ``y`` is None and ``at_random``, the labels are drawn with their frequencies
        in `fit`. If ``y`` is None and not ``at_random``, all indices are n_classes,
        which means that there is no label.
        """
        if not hasattr(self, "classes_"):
            if y is not None or self.guidance != 1:
                raise ValueError(
                    f"y={y!r} and guidance={self.guidance} need labels, but the "
                    "training had none. Pass y to fit, or use y=None and guidance=1."
                )
            return np.zeros(n_samples, int)
        if y is not None:
            return class_indices(y, n_samples, self.classes_)
        if at_random:
            return stream.choice(len(self.classes_), n_samples, p=self.class_prior_)
        return np.full(n_samples, len(self.classes_))

    def _estimate(self, X: np.ndarray, noise_variance: float) -> np.ndarray:
        with training_mode():
            return estimate_codes(self._trained_denoiser(), X, noise_variance**0.5)

    def _log_density(self, X: np.ndarray) -> np.ndarray:
        with training_mode():
            return log_densities(
                self._trained_denoiser(torch.float64),
                X,
                n_steps=self.n_steps,
                n_probes=self.n_probes,
            )

    def _trained_denoiser(self, dtype: torch.dtype = torch.float32) -> Denoiser:
        """Return a denoiser with the averaged weights, on the device of the prior."""
        device = resolve_device(self.device)
        denoiser = self._model.denoiser(self._state.average).to(dtype).to(device).eval()
        denoiser.mixed_precision = self._uses_mixed_precision(device)
        return denoiser.requires_grad_(False)

    def _uses_mixed_precision(self, device: torch.device) -> bool:
        if self.mixed_precision is None:
            return device.type == "cuda"
        return self.mixed_precision
