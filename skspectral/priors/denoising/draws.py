"""Codes from a trained model, and their densities."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
import torch
from sklearn.utils import gen_batches

from skspectral._device import as_array, as_tensor
from skspectral._random import random_stream
from skspectral.priors.denoising.denoiser import Denoiser
from skspectral.priors.denoising.flow import Correction, Flow
from skspectral.priors.denoising.law import SpectralLaw
from skspectral.priors.denoising.observation import Conditioner, Observation

# Values of signals at a time, on a CPU and on an accelerator; at least so many a row,
# since layers of a network are as wide.
_VALUES, _VALUES_ON_ACCELERATOR, _WIDTH = 2**19, 2**22, 256


def draw_codes(
    law: SpectralLaw,
    denoiser: Denoiser,
    normal: np.ndarray,
    labels: np.ndarray,
    *,
    n_steps: int,
    guidance: float = 1.0,
    gaussian_guidance: float = 1.0,
    observation: Observation | None = None,
) -> np.ndarray:
    """Codes of shape (n, K) from N(0, 1) numbers and labels (n,).

    The numbers have the shape (n, K), or (n, 3 K + 2 m) if m functions of each code
    were observed.
    """
    flow = Flow(denoiser, n_steps)
    conditioner = (
        None if observation is None else Conditioner(law, denoiser, observation)
    )
    codes = np.empty((len(normal), len(law.mean)))
    with torch.no_grad():
        for rows in gen_batches(len(codes), _n_rows(denoiser)):
            correction = guided(denoiser, labels[rows], guidance, gaussian_guidance)
            numbers = flow.tensor(normal[rows])
            if conditioner is None:
                z = flow.draw(flow.start(numbers), correction)
            else:
                z = _draw_observed(flow, conditioner, numbers, rows, correction)
            codes[rows] = law.codes(as_array(z, np.float64))
    return codes


def _draw_observed(
    flow: Flow,
    conditioner: Conditioner,
    numbers: torch.Tensor,
    rows: slice,
    correction: Correction,
) -> torch.Tensor:
    """Clean coordinates that agree with what was observed."""
    n = conditioner.n_numbers
    first, last, noise = torch.tensor_split(numbers, (n, 2 * n), dim=1)
    z = conditioner.start(first, noise, rows, flow.levels[0])
    z = flow.draw(z, conditioner.agreeing(correction, rows), clean=False)
    return conditioner.finish(z, last, rows, flow.levels[-1], correction)


def log_densities(
    law: SpectralLaw,
    denoiser: Denoiser,
    codes: np.ndarray,
    *,
    n_steps: int,
    n_probes: int,
) -> np.ndarray:
    """Of codes (n, K), whatever their label; with a denoiser in float64."""
    flow = Flow(denoiser, n_steps)
    probes = flow.tensor(_probes(codes.shape[1], n_probes))
    correction = unlabelled(denoiser)
    densities = np.empty(len(codes))
    for rows in gen_batches(len(codes), _n_rows(denoiser)):
        z = flow.tensor(law.coordinates(codes[rows]))
        densities[rows] = as_array(flow.log_density(z, correction, probes))
    return densities - law.log_volume


def _probes(n_codes: int, n_probes: int) -> np.ndarray:
    """Vectors v, as rows, the mean of v v' of which is I, or is expected to be."""
    if n_codes <= n_probes:
        return np.sqrt(n_codes) * np.eye(n_codes)
    return random_stream(0).choice([-1.0, 1.0], size=(n_probes, n_codes))


def _n_rows(denoiser: Denoiser) -> int:
    on_cpu = denoiser.variances.device.type == "cpu"
    n_values = _VALUES if on_cpu else _VALUES_ON_ACCELERATOR
    return max(1, n_values // max(denoiser.n_values, _WIDTH))


def guided(
    denoiser: Denoiser,
    labels: np.ndarray,
    guidance: float,
    gaussian_guidance: float = 1.0,
) -> Correction:
    """F for labels, away from what knows less: F without a label, and the Gaussian.

    F without, plus ``guidance`` times the difference that labels make (Ho and Salimans
    2021, equation 6); and, since the Gaussian's F is zero, ``gaussian_guidance`` times
    that (Karras et al. 2024, guiding a diffusion model with a bad version of itself,
    equation 3). 1 is plain.
    """
    correction = _guided_by_labels(denoiser, labels, guidance)
    if gaussian_guidance == 1:
        return correction
    return lambda noisy, level: gaussian_guidance * correction(noisy, level)


def _guided_by_labels(
    denoiser: Denoiser, labels: np.ndarray, guidance: float
) -> Correction:
    without = unlabelled(denoiser)
    if not denoiser.n_labels:
        return without
    given = _labelled(denoiser, as_tensor(labels, denoiser.variances.device))
    if guidance == 1:
        return given
    return lambda noisy, level: torch.lerp(
        without(noisy, level), given(noisy, level), guidance
    )


def unlabelled(denoiser: Denoiser) -> Correction:
    """F whatever the label."""
    device, n_labels = denoiser.variances.device, denoiser.n_labels
    none = torch.full((1,), n_labels, device=device) if n_labels else None
    return _labelled(denoiser, none)


def _labelled(denoiser: Denoiser, labels: torch.Tensor | None) -> Correction:
    """F for a label of each row, for one of all, or for none."""

    def correction(noisy: torch.Tensor, level: float) -> torch.Tensor:
        noise = noisy.new_full((len(noisy), 1), level)
        of_rows = None if labels is None else labels.expand(len(noisy))
        return denoiser(noisy, noise, of_rows)

    return correction
