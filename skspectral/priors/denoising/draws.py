"""Codes drawn with a trained denoiser, and their densities."""
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

# Values of signals in a batch, on a CPU and on an accelerator. Narrower rows count as
# _WIDTH values, since layers of a network are at least that wide.
_VALUES, _VALUES_ON_ACCELERATOR, _WIDTH = 2**19, 2**22, 256


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
    """Codes (n, K) from labels (n,) and N(0, 1) numbers (n, K).

    With a conditioner there are its ``n_numbers`` in place of K.
    """
    flow = Flow(denoiser, n_steps)
    codes = np.empty((len(normal), len(denoiser.variances)))
    with torch.no_grad():
        for rows in gen_batches(len(codes), _n_rows(denoiser)):
            numbers = flow.tensor(normal[rows])
            correction = guided_correction(
                denoiser, labels[rows], guidance, gaussian_guidance
            )
            if conditioner is None:
                z = flow.draw(numbers * flow.spread(flow.levels[0]), correction)
            else:
                z = conditioner.draw(flow, numbers, correction, rows)
            codes[rows] = denoiser.distribution.codes(as_array(z, np.float64))
    return codes


def log_densities(
    denoiser: Denoiser, codes: np.ndarray, *, n_steps: int, n_probes: int
) -> np.ndarray:
    """Log-densities of codes (n, K) of any label, with a denoiser in float64."""
    flow, distribution = Flow(denoiser, n_steps), denoiser.distribution
    n_codes = codes.shape[1]
    # Rows v for which the mean, or the expected mean, of v v' is I.
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
    on_cpu = denoiser.variances.device.type == "cpu"
    n_values = _VALUES if on_cpu else _VALUES_ON_ACCELERATOR
    return max(1, n_values // max(denoiser.n_values, _WIDTH))


def guided_correction(
    denoiser: Denoiser,
    labels: np.ndarray | None = None,
    guidance: float = 1.0,
    gaussian_guidance: float = 1.0,
) -> Correction:
    """F for labels (n,), extrapolated away from less informed estimates.

    The first is F without a label, to which ``guidance`` times the difference made by
    the label is added (Ho and Salimans 2021, equation 6). The second is the Gaussian,
    whose F is zero: the result is multiplied by ``gaussian_guidance`` (Karras et al.
    2024, guiding a diffusion model with a bad version of itself, equation 3).
    """
    numbers = None
    if labels is not None and denoiser.n_labels:
        numbers = as_tensor(labels, denoiser.variances.device)

    def correction(noisy: Tensor, level: float) -> Tensor:
        noise = noisy.new_full((len(noisy), 1), level)
        out: Tensor = denoiser(noisy, noise, numbers)
        if numbers is not None and guidance != 1:
            out = torch.lerp(denoiser(noisy, noise), out, guidance)
        return gaussian_guidance * out

    return correction
