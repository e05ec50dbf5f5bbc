"""The diffusion prior."""
# SPDX-License-Identifier: BSD-3-Clause

import math
import os
from dataclasses import replace
from numbers import Integral, Real
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import check_consistent_length, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import validate_data
from torch import nn

from skspectral._device import memory_advice, resolve_device
from skspectral._progress import CallbackMonitor
from skspectral._random import draw_seed, random_stream
from skspectral._sklearn_compat import Interval, StrOptions, fit_context
from skspectral.priors.denoising.law import SpectralLaw
from skspectral.priors.denoising.model import Log, Model, network_name
from skspectral.priors.denoising.run import Budget, train
from skspectral.priors.denoising.training import Plan
from skspectral.priors.flow_density import FlowDensity
from skspectral.priors.labels import label_numbers
from skspectral.priors.normal import n_parameters
from skspectral.priors.synthesis import Synthesis


class DiffusionPrior(CallbackSupportMixin, FlowDensity):
    """A Gaussian that a network corrects, by learning to take noise away."""

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
        width: int = 32,
        max_images: int | None = 200_000,
        max_time: float | None = None,
        batch_size: int = 64,
        learning_rate: float = 1e-3,
        ema: float = 0.998,
        mirror: bool = False,
        n_steps: int = 12,
        guidance: float = 1.0,
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
        step size does not fall.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)
            Codes, the same or others.
        y : array-like of shape (n_samples,), default=None
            Labels; needed if there were labels.
        synthesis : Synthesis, default=None
            Of the first call.

        Returns
        -------
        self : DiffusionPrior

        Raises
        ------
        ValueError
            If there are labels that were not there at first, or the codes are others.
        ArithmeticError
            If the loss is not finite, naming the step.
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
        classes, numbers = self._numbered(y, codes, go_on=go_on)
        if go_on:
            model = replace(self._model, log=Log(history=self._model.log.history))
        else:
            model = self._new_model(codes, synthesis, len(classes))
        path = None if self.checkpoint is None else Path(self.checkpoint)
        if path is not None and not go_on:
            model = model.resumed(path, self._options())
        with memory_advice(self.batch_size):
            model = self._trained(model, codes, numbers, path, decays=decays)
        self._model = model
        if not go_on:
            self._set_labels(classes, numbers)
        self.history_ = {k: np.array(v) for k, v in model.log.history.items()}
        self.n_images_ = model.state["n_steps"] * self.batch_size
        of_network = sum(value.numel() for value in model.state["average"].values())
        self.n_parameters_ = of_network + n_parameters(*2 * (codes.shape[1],))
        return self

    def _numbered(
        self, y: Any, codes: np.ndarray, *, go_on: bool
    ) -> tuple[np.ndarray, np.ndarray]:
        """Labels there are, and their positions for each row; empty without any."""
        if y is None:
            if go_on and hasattr(self, "classes_"):
                raise ValueError("The training so far had labels: pass y as before.")
            return np.empty(0), np.empty(0, int)
        labels = column_or_1d(y)
        check_consistent_length(codes, labels)
        check_classification_targets(labels)
        if not go_on:
            return np.unique(labels, return_inverse=True)
        if not hasattr(self, "classes_"):
            raise ValueError("The training so far had no labels: pass y=None.")
        return self.classes_, label_numbers(labels, len(labels), self.classes_)

    def _set_labels(self, classes: np.ndarray, numbers: np.ndarray) -> None:
        for name in ("classes_", "class_prior_"):
            self.__dict__.pop(name, None)
        if len(classes):
            self.classes_ = classes
            self.class_prior_ = np.bincount(numbers) / len(numbers)

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

    def _options(self) -> dict[str, Any]:
        names = ("batch_size", "learning_rate", "ema", "mirror")
        return {name: getattr(self, name) for name in names}

    def _trained(
        self,
        model: Model,
        codes: np.ndarray,
        labels: np.ndarray,
        path: Path | None,
        *,
        decays: bool,
    ) -> Model:
        """The model after one run."""
        device = resolve_device(self.device)
        n_steps = self.max_images and math.ceil(self.max_images / self.batch_size)
        plan = Plan(
            batch_size=self.batch_size,
            learning_rate=self.learning_rate,
            ema=self.ema,
            n_steps=n_steps,
            decays=decays,
            compiled=self.compile,
        )

        def keep(model: Model) -> None:
            if path is not None:
                model.keep(path, self._options())

        monitor = CallbackMonitor(self)
        trained = train(
            model,
            codes,
            labels,
            plan,
            Budget(self.max_images, self.max_time),
            mirror=self.mirror,
            mixed_precision=self._in_mixed_precision(device),
            device=device,
            on_step=monitor.stage("training", n_steps),
            keep=keep,
        )
        monitor.close()
        return trained
