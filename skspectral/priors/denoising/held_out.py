"""Held-out rows, whose loss decides when the training stops."""
# SPDX-License-Identifier: BSD-3-Clause

import math

import numpy as np
import torch
from scipy.special import ndtri
from sklearn.utils import gen_batches
from torch import Tensor

from skspectral._device import as_tensor
from skspectral._random import random_stream
from skspectral.priors.denoising.denoiser import Denoiser

# A tenth of the rows is held out, but at least the smaller of _LEAST rows and a quarter
# of the rows, because the loss of very few rows is noisy, and at most _MOST rows.
_TENTH, _QUARTER, _LEAST, _MOST = 10, 4, 20, 1024
# Approximate number of noisy versions of all held-out rows together.
_N_NOISY = 512
# Number of rows per batch.
_CHUNK = 512


def split_rows(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices of the training rows, and those of the held-out rows.

    ``n_rows`` must be at least 2, so that both sets have at least one row.
    """
    n_held = max(math.ceil(n_rows / _TENTH), min(n_rows // _QUARTER, _LEAST))
    order = random_stream(seed).permutation(n_rows)
    n_held = min(n_held, _MOST)
    return np.sort(order[n_held:]), np.sort(order[:n_held])


class HeldOut:
    """Held-out rows with fixed noise, so that losses during a training are comparable.

    ``rows`` (n, K) holds the coordinates, and ``labels`` (n,) the indices of the
    labels, of which the fraction ``unlabelled`` is replaced by "no label". The
    logarithms of the noise levels are quantiles of a normal distribution with the mean
    and standard deviation ``log_noise``. The noise is drawn on the CPU, so that it does
    not depend on the device.
    """

    def __init__(
        self,
        rows: Tensor,
        labels: Tensor,
        n_labels: int,
        *,
        log_noise: tuple[float, float],
        unlabelled: float,
        seed: int,
    ):
        stream, device = random_stream(seed), rows.device
        repeats = max(1, round(_N_NOISY / len(rows)))
        self._clean = rows.repeat(repeats, 1)
        n_noisy = len(self._clean)
        centre, spread = log_noise
        quantiles = (stream.permutation(n_noisy)[:, None] + 0.5) / n_noisy
        levels = np.exp(centre + spread * ndtri(quantiles))
        self._levels = as_tensor(levels, device, torch.float32)
        noise = stream.standard_normal(tuple(self._clean.shape))
        white = as_tensor(noise, device, torch.float32)
        self._noisy = self._clean + self._levels * white
        self._labels = None
        if n_labels:
            dropped = as_tensor(stream.random(n_noisy) < unlabelled, device)
            self._labels = labels.repeat(repeats).masked_fill(dropped, n_labels)

    @torch.no_grad()
    def loss(self, denoiser: Denoiser) -> float:
        """Return the mean loss of a denoiser on the noisy held-out rows."""
        total = 0.0
        for batch in gen_batches(len(self._clean), _CHUNK):
            labels = None if self._labels is None else self._labels[batch]
            loss = denoiser.loss(
                self._clean[batch], self._noisy[batch], self._levels[batch], labels
            )
            total += (batch.stop - batch.start) * float(loss)
        return total / len(self._clean)
