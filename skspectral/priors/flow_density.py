"""What a prior with a trained denoiser can do."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

import numpy as np
import torch

from skspectral._device import resolve_device
from skspectral._random import standard_normal
from skspectral.priors.denoising.denoiser import Denoiser
from skspectral.priors.denoising.draws import draw_codes, log_densities
from skspectral.priors.denoising.model import Model
from skspectral.priors.denoising.observation import Observation
from skspectral.priors.labels import label_numbers
from skspectral.priors.prior import Capabilities, Prior


class FlowDensity(Prior):
    """Draws and densities by the flow of a denoiser, which a subclass trains.

    It has the model, the labels if there are any, and the parameters below.
    """

    n_steps: int
    guidance: float
    gaussian_guidance: float
    n_probes: int
    mixed_precision: bool | None
    device: str | torch.device | None

    _model: Model

    capabilities = Capabilities(
        density=True, labels=True, synthesis=True, conditioning=True
    )

    def _draw(
        self,
        n_samples: int,
        y: Any,
        stream: np.random.Generator,
        observation: Observation | None = None,
    ) -> np.ndarray:
        # From the CPU, so that all devices start from the same.
        n_numbers = self.n_features_in_
        if observation is not None:
            n_numbers += 2 * (self.n_features_in_ + len(observation.operator))
        normal = standard_normal(stream, n_samples, n_numbers)
        return draw_codes(
            self._model.law,
            self._trained_denoiser(),
            normal,
            self._drawn_labels(n_samples, y, stream, shares=observation is None),
            n_steps=self.n_steps,
            guidance=self.guidance,
            gaussian_guidance=self.gaussian_guidance,
            observation=observation,
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
        observation = Observation(operator, values, noise)
        return self._draw(n_samples, y, stream, observation)

    def _drawn_labels(
        self, n_samples: int, y: Any, stream: np.random.Generator, *, shares: bool
    ) -> np.ndarray:
        """Numbers of labels: as asked, or by their ``shares``, or of no label."""
        if not hasattr(self, "classes_"):
            if y is not None or self.guidance != 1:
                raise ValueError(
                    f"y={y!r} and guidance={self.guidance} need labels, but the "
                    "training had none. Pass y to fit."
                )
            return np.zeros(n_samples, int)
        if y is None and not shares:
            return np.full(n_samples, len(self.classes_))
        if y is None:
            return stream.choice(len(self.classes_), n_samples, p=self.class_prior_)
        return label_numbers(y, n_samples, self.classes_)

    def _log_density(self, X: np.ndarray) -> np.ndarray:
        return log_densities(
            self._model.law,
            self._trained_denoiser(torch.float64),
            X,
            n_steps=self.n_steps,
            n_probes=self.n_probes,
        )

    def _trained_denoiser(self, dtype: torch.dtype = torch.float32) -> Denoiser:
        device = resolve_device(self.device)
        denoiser = self._model.denoiser("average").to(dtype).to(device).eval()
        denoiser.mixed_precision = self._in_mixed_precision(device)
        return denoiser.requires_grad_(False)

    def _in_mixed_precision(self, device: torch.device) -> bool:
        asked = self.mixed_precision
        return device.type == "cuda" if asked is None else asked
