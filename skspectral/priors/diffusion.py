"""The diffusion prior."""
# SPDX-License-Identifier: BSD-3-Clause

import os
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.callback import CallbackSupportMixin
from sklearn.utils.validation import validate_data
from torch import nn

from skspectral._device import memory_advice, resolve_device
from skspectral._progress import CallbackMonitor
from skspectral._random import draw_seed, random_stream
from skspectral._sklearn_compat import Interval, StrOptions, fit_context
from skspectral.gaussian.gaussian import n_parameters
from skspectral.priors.denoising.checkpoint import check_folder
from skspectral.priors.denoising.law import SpectralLaw
from skspectral.priors.denoising.model import Model, network_name
from skspectral.priors.denoising.plan import Budget, Plan
from skspectral.priors.denoising.run import train
from skspectral.priors.flow_density import FlowDensity
from skspectral.priors.labels import numbered
from skspectral.priors.synthesis import Synthesis


class DiffusionPrior(CallbackSupportMixin, FlowDensity):
    """A Gaussian that a network corrects, by learning to take noise away.

    Codes u of a signal are seen with white noise, u + s e, of any level s. Where codes
    are Gaussian the best estimate of u is Wiener's, a gain for each principal axis; a
    network that looks at the *signal* of the codes, and so knows of places, adds what
    it misses. Draws follow the estimates from much noise to none. With the network at
    zero they are `GaussianPrior`'s, exactly, and training improves on that.

    On two cores 8 x 8 digits take about half a minute to fit, 32 x 32 photographs a
    quarter of an hour, where other priors here take seconds.

    Parameters
    ----------
    network : {"auto", "unet2d", "unet1d", "mlp"} or torch Module, default="auto"
        What corrects. A U-Net on the places of images (``signal_shape`` of two or three
        numbers) or of other signals; or layers on the codes alone, which know of no
        places. "auto" is the U-Net for the ``signal_shape`` of the estimator, and "mlp"
        without one. A Module is called with signals ``(n, 2 C, *sides)``, those of the
        noisy codes and of Wiener's estimate; the logarithm of the noise over 4, (n,);
        and, if there are labels, their numbers (n,), of which the number of labels
        means none. It returns ``(n, C, *sides)``. It is copied, and its output
        counts times a gain that is learned and starts at zero.
    width : int, default=64
        Channels of the U-Net at the finest scale; a quarter of the layers of "mlp".
    max_images : int or None, default=200_000
        Rows to see in training, each time with other noise; None is any number.
    max_time : float or None, default=None
        Seconds to train; whatever is first stops.
    batch_size : int, default=64
        Rows of a step.
    learning_rate : float, default=2e-3
        Of Adam. It falls to zero over the last 40 % of ``fit``.
    ema : float, default=0.998
        Decay, a step, of the average of the weights, which is what draws.
    mirror : bool, default=False
        Whether signals are as likely mirrored, as photographs are left to right. Half
        of the rows are, and the Gaussian is of both.
    n_steps : int, default=12
        Steps from much noise to none, in draws and densities.
    guidance : float, default=1.0
        For labels: how often the difference that a label makes counts. More than 1
        draws what is typical of the label; 0 takes no notice of it.
    gaussian_guidance : float, default=1.0
        How often what the network adds to the Gaussian counts in draws; 0 draws from
        the Gaussian. After minutes it adds too little: 1.1 is better for photographs.
    n_probes : int, default=8
        Random directions in which ``score_samples`` looks at the flow; with as many as
        there are codes, or more, it looks in all of them.
    checkpoint : path or None, default=None
        File that keeps the training, written every two minutes and at the end. If it is
        there, ``fit`` goes on where it stopped, or where more is asked for than before.
    mixed_precision : bool or None, default=None
        Whether the network computes in bfloat16 where that is safe. None: on a GPU.
        CPUs are often slower with it.
    compile : bool, default=False
        Whether torch compiles the training: a minute first, and it needs a compiler.
    device : str, torch.device or None, default=None
        Where to train and draw; None is the CPU. Draws start from the same noise.
    random_state : int, RandomState instance or None, default=None
        Seed of first weights, rows and noise.

    Attributes
    ----------
    history_ : dict of ndarray
        "n_images" seen, and the mean "loss" since the entry before: the squared error
        of the estimates over the one expected of Wiener's, about 1 at first.
    n_images_ : int
        Rows seen, in all runs.
    classes_ : ndarray
        Labels, if there were any.
    class_prior_ : ndarray
        Their shares.
    n_parameters_ : int
        Of the network and of the Gaussian.
    n_features_in_ : int
        Number K of codes.

    See Also
    --------
    LocalContrastPrior : Also knows of places; fits in a minute.

    Notes
    -----
    In units of the root mean square of a value about the mean signal, with principal
    variances v and T values a signal, the estimate is

        D = g z + c F,   g = v / (v + s^2),   c^2 = sum(s^2 g) / T

    where F is the network and z the noisy coordinates on principal axes. F is fitted by
    least squares to (u - g z) / c, for ln s ~ N(-0.5, 1.2^2). With the variances of
    white noise for v these are the preconditioning and the weights of Karras et al.
    (2022, table 1). Draws follow their flow, dz/ds = (z - D) / s, by Heun's method,
    relative to the exact flow of the Gaussian.

    The density of plain draws follows from the divergence of the flow, estimated in
    ``n_probes`` random directions, which all rows share: noisy where codes are many. It
    costs ``2 * n_steps - 1`` evaluations of the network, and as many derivatives for
    each of the ``n_probes``, in float64.

    ``sample_given`` moves each estimate to the posterior mean given the observation,
    with the posterior covariance of the Gaussian: exact for the Gaussian, a good
    approximation otherwise (Song et al. 2023, pseudoinverse-guided diffusion models for
    inverse problems). ``n_steps`` of 30 or 40 come closer than the default. It costs
    m^2 K + m^3 for each step, once for all draws. The observation tells of the label,
    too: without ``y`` these draws have no label.

    A step costs what the network costs, and products of the size
    ``batch_size`` x K x T. A fitted prior holds four copies of the weights, so that
    ``partial_fit`` can go on; on another kind of device with other random numbers.

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

    _parameter_constraints = {
        "network": [StrOptions({"auto", "unet2d", "unet1d", "mlp"}), nn.Module],
        "width": [Interval(Integral, 1, None, closed="left")],
        "max_images": [Interval(Integral, 1, None, closed="left"), None],
        "max_time": [Interval(Real, 0, None, closed="neither"), None],
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
        max_images: int | None = 200_000,
        max_time: float | None = None,
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
            Labels, of which draws can then be asked.
        synthesis : Synthesis, default=None
            How codes become signals; the estimator passes it. None: they are codes
            alone, and the network is an "mlp".

        Returns
        -------
        self : DiffusionPrior

        Raises
        ------
        ValueError
            If the network is not for such signals, the labels are numbers that vary
            continuously, or the checkpoint is of another training.
        ArithmeticError
            If the loss is not finite, naming the step.
        """
        return self._learn(X, y, synthesis, go_on=False, decays=True)

    @fit_context(prefer_skip_nested_validation=True)
    def partial_fit(
        self, X: ArrayLike, y: Any = None, *, synthesis: Synthesis | None = None
    ) -> "DiffusionPrior":
        """Go on with the training where it stopped, for as long again.

        The Gaussian, the labels and the synthesis stay those of the first call. The
        step size does not fall. Takes, raises and returns what `fit` does; ``y`` is
        needed if there were labels, and of those.
        """
        go_on = hasattr(self, "_model")
        return self._learn(X, y, synthesis, go_on=go_on, decays=False)

    def _learn(
        self,
        X: ArrayLike,
        y: Any,
        synthesis: Synthesis | None,
        *,
        go_on: bool,
        decays: bool,
    ) -> "DiffusionPrior":
        if self.max_images is None and self.max_time is None:
            raise ValueError("max_images and max_time are both None: set one of them.")
        codes = validate_data(
            self, X, dtype=np.float64, ensure_min_samples=2, reset=not go_on
        )
        known = getattr(self, "classes_", np.empty(0)) if go_on else None
        classes, numbers = numbered(y, len(codes), known)
        path = None if self.checkpoint is None else Path(self.checkpoint)
        if path is not None:
            check_folder(path)
        if go_on:
            model = replace(self._model, log=self._model.log.of_next_run())
        else:
            model = self._new_model(codes, synthesis, len(classes))
        keep = None
        if path is not None:
            identity = model.identity(self._options())
            keep = partial(Model.keep, path=path, identity=identity)
            if not go_on:
                model = model.resumed(path, identity)
                if not decays and self._budget.share(model.log) >= 1:
                    model = replace(model, log=model.log.of_next_run())
        with memory_advice(self.batch_size):
            model = self._trained(model, codes, numbers, keep, decays=decays)
        self._model = model
        if not go_on:
            for name in ("classes_", "class_prior_"):
                self.__dict__.pop(name, None)
            if len(classes):
                self.classes_ = classes
                self.class_prior_ = np.bincount(numbers) / len(numbers)
        self.history_ = {k: np.array(v) for k, v in model.log.history.items()}
        self.n_images_ = model.state["n_images"]
        of_network = sum(value.numel() for value in model.state["average"].values())
        self.n_parameters_ = of_network + n_parameters(*2 * (codes.shape[1],))
        return self

    def _new_model(
        self, codes: np.ndarray, synthesis: Synthesis | None, n_labels: int
    ) -> Model:
        network = self.network
        if isinstance(network, str):
            network = network_name(network, synthesis)
        signals = synthesis or Synthesis.identity(codes.shape[1])
        signals.check_codes(codes)
        law = SpectralLaw.of(codes, signals, mirrored=self.mirror)
        seed = draw_seed(random_stream(self.random_state))
        return Model(law, synthesis, network, self.width, n_labels, seed)

    @property
    def _budget(self) -> Budget:
        return Budget(self.max_images, self.max_time)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "_model")

    def _options(self) -> dict[str, Any]:
        names = ("batch_size", "learning_rate", "ema", "mirror")
        return {name: getattr(self, name) for name in names}

    def _trained(
        self,
        model: Model,
        codes: np.ndarray,
        labels: np.ndarray,
        keep: Callable[[Model], None] | None,
        *,
        decays: bool,
    ) -> Model:
        """The model after one run."""
        device = resolve_device(self.device)
        monitor = CallbackMonitor(self)
        plan = Plan(
            **self._options(),
            budget=self._budget,
            decays=decays,
            mixed_precision=self._in_mixed_precision(device),
            compiled=self.compile,
        )

        on_step = monitor.stage("training", plan.n_steps)
        trained = train(model, codes, labels, plan, device, on_step, keep)
        monitor.close()
        return trained
