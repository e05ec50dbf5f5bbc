"""Draws, densities and estimates of codes with a trained denoiser."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import torch
from sklearn.utils import gen_batches
from torch import Tensor

from skspectral._device import as_array, as_tensor
from skspectral._random import random_stream
from skspectral.priors.denoising.denoiser import Denoiser
from skspectral.priors.denoising.flow import Correction, Flow
from skspectral.priors.denoising.observation import Conditioner

# Number of values of signals per batch, on a CPU and on an accelerator. A row counts as
# at least _LEAST_WIDTH values, because the layers of the network are about that wide.
_VALUES, _VALUES_ON_ACCELERATOR, _LEAST_WIDTH = 2**19, 2**22, 256


def draw_codes(
    denoiser: Denoiser,
    normal: np.ndarray,
    labels: np.ndarray,
    *,
    n_steps: int,
    guidance: float = 1.0,
    gaussian_guidance: float = 1.0,
    conditioner: Conditioner | None = None,
) -> np.ndarray:
    """Draw codes (n, K), given N(0, 1) numbers (n, K) and indices of labels (n,).

    With a conditioner, the number of columns of ``normal`` is its ``n_normal``.
    """
    flow = Flow(denoiser, n_steps)
    codes = np.empty((len(normal), len(denoiser.variances)))
    with torch.no_grad():
        for rows in gen_batches(len(codes), _n_rows(denoiser)):
            noise = flow.tensor(normal[rows])
            correction = guided_correction(
                denoiser, labels[rows], guidance, gaussian_guidance
            )
            if conditioner is None:
                z = flow.draw(noise * flow.spread(flow.levels[0]), correction)
            else:
                z = conditioner.draw(flow, noise, correction, rows)
            codes[rows] = denoiser.distribution.codes(as_array(z, np.float64))
    return codes


def estimate_codes(
    denoiser: Denoiser, noisy: np.ndarray, noise_std: float
) -> np.ndarray:
    """Return estimates of codes (n, K) from codes with noise, without labels."""
    distribution = denoiser.distribution
    level, like = noise_std / distribution.unit, denoiser.variances
    codes = np.empty_like(noisy)
    with torch.no_grad():
        for rows in gen_batches(len(noisy), _n_rows(denoiser)):
            coordinates = distribution.coordinates(noisy[rows])
            z = as_tensor(coordinates, like.device, like.dtype)
            noise = z.new_full((len(z), 1), level)
            clean = denoiser.estimate(z, noise, denoiser(z, noise))
            codes[rows] = distribution.codes(as_array(clean, np.float64))
    return codes


def log_densities(
    denoiser: Denoiser, codes: np.ndarray, *, n_steps: int, n_probes: int
) -> np.ndarray:
    """Return the log-densities (n,) of codes (n, K) with a denoiser in float64.

    Labels are not used. ``n_probes`` is the number of directions in which the
    divergence of the flow is estimated.
    """
    flow, distribution = Flow(denoiser, n_steps), denoiser.distribution
    n_codes = codes.shape[1]
    # Rows v such that the mean of v v' is the identity, exactly or in expectation.
    if n_probes < n_codes:
        probes = random_stream(0).choice([-1.0, 1.0], size=(n_probes, n_codes))
    else:
        probes = np.sqrt(n_codes) * np.eye(n_codes)
    correction = guided_correction(denoiser)
    densities = np.empty(len(codes))
    for rows in gen_batches(len(codes), _n_rows(denoiser)):
        z = flow.tensor(distribution.coordinates(codes[rows]))
        log_density = flow.log_density(z, correction, flow.tensor(probes))
        densities[rows] = as_array(log_density)
    return densities - n_codes * np.log(distribution.unit)


def _n_rows(denoiser: Denoiser) -> int:
    """Return the number of rows per batch, which bounds the memory."""
    on_cpu = denoiser.variances.device.type == "cpu"
    n_values = _VALUES if on_cpu else _VALUES_ON_ACCELERATOR
    return max(1, n_values // max(denoiser.n_values, _LEAST_WIDTH))


def guided_correction(
    denoiser: Denoiser,
    labels: np.ndarray | None = None,
    guidance: float = 1.0,
    gaussian_guidance: float = 1.0,
) -> Correction:
    """Return the correction F for labels (n,), with two kinds of guidance.

    ``guidance`` extrapolates away from the estimate without a label: F without the
    label, plus ``guidance`` times the difference that the label makes (Ho and Salimans
    2021, equation 6). ``gaussian_guidance`` extrapolates away from the Gaussian: since
    F of the Gaussian is zero, the result is multiplied by ``gaussian_guidance`` (Karras
    et al. 2024, Guiding a diffusion model with a bad version of itself, equation 3).
    """
    indices = None
    if labels is not None and denoiser.n_labels:
        indices = as_tensor(labels, denoiser.variances.device)

    def correction(noisy: Tensor, level: float) -> Tensor:
        noise = noisy.new_full((len(noisy), 1), level)
        out: Tensor = denoiser(noisy, noise, indices)
        if indices is not None and guidance != 1:
            out = torch.lerp(denoiser(noisy, noise), out, guidance)
        return gaussian_guidance * out

    return correction
