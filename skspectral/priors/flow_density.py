"""What a prior with a trained denoiser can do."""
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted, validate_data

from skspectral._device import resolve_device
from skspectral._random import random_stream, standard_normal
from skspectral._sklearn_compat import Interval, validate_params
from skspectral._validation import check_observation
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

    @validate_params(
        {"n_samples": [Interval(Integral, 1, None, closed="left")]},
        prefer_skip_nested_validation=True,
    )
    def sample(
        self, n_samples: int = 1, *, y: Any = None, random_state: Any = None
    ) -> np.ndarray:
        """Draw codes.

        Parameters
        ----------
        n_samples : int, default=1
        y : label or array-like of shape (n_samples,), default=None
            The label of all draws, or of each. None draws labels by their shares.
        random_state : int, RandomState, Generator or None, default=None
            An int repeats its draws; None is different each time.

        Returns
        -------
        codes : ndarray of shape (n_samples, n_codes), float64

        Raises
        ------
        ValueError
            If a label was not there in ``fit``, or ``y`` has another length.
        """
        check_is_fitted(self)
        return self._draw(n_samples, y, random_state)

    @validate_params(
        {
            "n_samples": [Interval(Integral, 1, None, closed="left")],
            "noise_variance": [Interval(Real, 0, None, closed="left"), np.ndarray],
        },
        prefer_skip_nested_validation=True,
    )
    def sample_given(
        self,
        operator: ArrayLike,
        seen: ArrayLike,
        n_samples: int = 1,
        *,
        noise_variance: float | np.ndarray = 0.0,
        y: Any = None,
        random_state: Any = None,
    ) -> np.ndarray:
        """Draw codes of which linear functions were observed.

        What was observed may be some of the codes (the details are drawn), pixels of
        the signals (gaps are filled), or local means of them (the resolution is
        raised).

        Parameters
        ----------
        operator : array-like of shape (m, n_codes)
            Maps a code to what is observed of it: ``operator @ code``.
        seen : array-like of shape (m,) or (n_samples, m)
            Observed values, for all draws or for each.
        n_samples : int, default=1
        noise_variance : float or ndarray of shape (m, m), default=0.0
            Variance of white noise in the values, or covariance of any noise in them.
        y, random_state : as in `sample`

        Returns
        -------
        codes : ndarray of shape (n_samples, n_codes), float64

        Raises
        ------
        ValueError
            If shapes do not fit.

        Notes
        -----
        Each estimate is moved to the posterior mean given the observation, with the
        posterior covariance of the Gaussian: exact for the Gaussian, a good
        approximation otherwise (Song et al. 2023, pseudoinverse-guided diffusion models
        for inverse problems). The steps are those of a flow that is not known exactly:
        ``n_steps`` of 30 or 40 come closer than the default. Costs m^2 K + m^3 for each
        step, once for all draws.

        The observation tells of the label, too: without ``y`` draws have no label.
        """
        check_is_fitted(self)
        n_codes = self.n_features_in_
        matrix, values = check_observation(operator, seen, n_samples, n_codes)
        observation = Observation(matrix, values, noise_variance)
        return self._draw(n_samples, y, random_state, observation)

    def _draw(
        self,
        n_samples: int,
        y: Any,
        random_state: Any,
        observation: Observation | None = None,
    ) -> np.ndarray:
        stream = random_stream(random_state)
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

    def score_samples(self, X: ArrayLike) -> np.ndarray:
        """Log-density of each row, by a stochastic estimate.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_codes)

        Returns
        -------
        log_density : ndarray of shape (n_samples,), float64, in nats
            Whatever the label. Costs ``2 * n_steps - 1`` evaluations of the network,
            and as many derivatives for each of the ``n_probes``, in float64.
        """
        check_is_fitted(self)
        codes = validate_data(self, X, dtype=np.float64, reset=False)
        return log_densities(
            self._model.law,
            self._trained_denoiser(torch.float64),
            codes,
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
