"""Rows that are kept from the training, to tell when it should stop."""
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

# One row of so many is held out; of few rows a quarter, up to the least number, because
# the verdict of two rows is chance; of many no more than the largest number.
_ONE_OF, _QUARTER, _LEAST, _MOST = 10, 4, 20, 1024
# Noisy versions of all rows held out, about.
_N_NOISY = 512
# Rows in a batch.
_CHUNK = 512


def split_rows(n_rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the rows to train on, and of those held out, both at least one."""
    n_held = max(math.ceil(n_rows / _ONE_OF), min(n_rows // _QUARTER, _LEAST))
    order = random_stream(seed).permutation(n_rows)
    n_held = min(n_held, _MOST)
    return np.sort(order[n_held:]), np.sort(order[:n_held])


class HeldOut:
    """Rows seen through noise that stays the same, so that losses can be compared.

    There are coordinates (n, K) and numbers of labels (n,), of which the share
    ``unlabelled`` is left out. The logarithms of the noise levels are quantiles of the
    normal distribution ``log_noise``, a mean and a deviation. The noise is the CPU's.
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
        noise_there = as_tensor(noise, device, torch.float32)
        self._noisy = self._clean + self._levels * noise_there
        self._labels = None
        if n_labels:
            dropped = as_tensor(stream.random(n_noisy) < unlabelled, device)
            self._labels = labels.repeat(repeats).masked_fill(dropped, n_labels)

    @torch.no_grad()
    def loss(self, denoiser: Denoiser) -> float:
        """Mean loss of a denoiser."""
        total = 0.0
        for some in gen_batches(len(self._clean), _CHUNK):
            labels = None if self._labels is None else self._labels[some]
            given = self._clean[some], self._noisy[some], self._levels[some], labels
            total += (some.stop - some.start) * float(denoiser.loss(*given))
        return total / len(self._clean)
