"""Restoration of whole images by half-quadratic splitting.

The estimate of an image x given y = A x + noise alternates two steps (Zoran and Weiss
2011, From learning models of natural image patches to whole image restoration, ICCV):

- All overlapping patches of x are denoised, as if x were the true image plus white
  noise of variance v. Their average is the image z.
- x = argmin |y - A x|^2 / noise + |x - z|^2 / v, which is
  z + A' (A A' + diag(noise / v))^-1 (y - A z).

The variance v decreases from step to step.
"""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import torch
from scipy.fft import dctn, idctn
from torch.nn.functional import adaptive_avg_pool2d

from skspectral._device import as_array, as_tensor
from skspectral.restoration.denoiser import Noise, PatchDenoiser
from skspectral.restoration.operators import ImageOperator

# Variance of the patches in each step of denoising, relative to the noise, and the
# weight of z in the mean of y and z after it. They were chosen by the error on training
# photographs.
_DENOISING = ((1.0, 0.6), (0.25, 0.84), (0.1, 0.9), (0.05, 1.0))
# In other restorations the variance falls from the variance of pixels within patches by
# this factor per step. The last one is this multiple of the variance of the noise, or
# this fraction of the first one if that is larger.
_FACTOR, _LAST_TO_NOISE, _SMALLEST = 0.7, 3.0, 1e-3
# Frequency, relative to the highest one of the coarse image, at which coarse and fine
# estimate have equal weights, and half of the width of the transition.
_EQUAL, _HALF_WIDTH = 0.7, 0.3
# Least ratio of the variance of the noise to that of the patches: without noise, the
# system of an operator may be singular.
_LEAST_RIDGE = 1e-6

# Number of steps of denoising per size of the image.
N_DENOISING_STEPS = len(_DENOISING)

Report = Callable[[], object]
Shape = tuple[int, int, int]


class WhiteNoiseDenoiser(Protocol):
    """Denoiser of images of one shape."""

    def as_image(self, image: np.ndarray) -> torch.Tensor:
        """Return an array as an image for `estimate`."""

    def estimate(self, image: torch.Tensor, noise: float) -> torch.Tensor:
        """Return the estimate of an image with white noise of a variance."""


def denoised(
    image: torch.Tensor,
    noise: Noise,
    new_denoiser: Callable[[Shape], PatchDenoiser],
    n_scales: int,
    report: Report,
) -> tuple[torch.Tensor, PatchDenoiser]:
    """Return the estimate of an image with white noise of the given variance.

    The low frequencies of the estimate are those of the estimate from a smaller image,
    whose patches are larger parts of the scene, and whose noise is lower.

    Parameters
    ----------
    image : Tensor of shape (height, width, channels)
        Noisy image.
    noise : float or Tensor of the shape of the image
        Variance of the noise.
    new_denoiser : callable
        Function that returns a denoiser of images of a shape.
    n_scales : int
        Number of sizes of the image. A patch fits into the smallest one.
    report : callable
        Function that is called after each step.

    Returns
    -------
    estimate : Tensor of shape (height, width, channels)
        Estimate of the image.
    denoiser : PatchDenoiser
        The denoiser of the image, which knows the components of its patches.
    """
    height, width, channels = image.shape
    patches = new_denoiser((height, width, channels))
    estimate, x = image, image
    for ratio, weight in _DENOISING:
        estimate = patches.estimate(x, noise * ratio)
        x = image + weight * (estimate - image)
        report()
    if n_scales > 1:
        small = halved((height, width, channels))
        factor = math.prod(small) / math.prod(image.shape)
        less = noise * factor
        if isinstance(less, torch.Tensor):
            pooled = adaptive_avg_pool2d(less.permute(2, 0, 1), (small[0], small[1]))
            less = pooled.permute(1, 2, 0).contiguous()
        coarse, _ = denoised(
            _smaller(image, small), less, new_denoiser, n_scales - 1, report
        )
        estimate = _with_low_frequencies(estimate, coarse)
    return estimate, patches


def variances(largest: float, noise: float) -> list[float]:
    """Return the variances of the patches in the steps of `restored`.

    Parameters
    ----------
    largest : float
        Variance in the first step.
    noise : float
        Variance of the noise of the observations.
    """
    smallest = min(max(_LAST_TO_NOISE * noise, _SMALLEST * largest), largest)
    n_steps = 1 + math.ceil(math.log(largest / smallest) / math.log(1 / _FACTOR))
    return np.geomspace(largest, smallest, n_steps).tolist()


def restored(
    observed: np.ndarray,
    operator: ImageOperator,
    noise: np.ndarray,
    denoiser: WhiteNoiseDenoiser,
    steps: list[float],
    report: Report,
    stream: np.random.Generator | None = None,
) -> np.ndarray:
    """Return the estimate of an image, or a draw of it, given an observation.

    For a draw, x is the image plus white noise of the variance of the step. The x of
    the next step is drawn given this one and the estimate, as if the estimate were the
    image: the reverse step of diffusion models (Ho, Jain and Abbeel 2020, Denoising
    diffusion probabilistic models, NeurIPS, equation 7, for growing variances).

    Parameters
    ----------
    observed : ndarray
        Observation y.
    operator : ImageOperator
        Operator A.
    noise : ndarray
        Variance of the noise: a number in an array without axes, or one per entry of
        the observation.
    denoiser : WhiteNoiseDenoiser
        Denoiser of images of the operator's shape.
    steps : list of float
        Variances of the patches; see `variances`.
    report : callable
        Function that is called after each step.
    stream : Generator, default=None
        Source of the random numbers of a draw. None means the estimate.
    """
    x = operator.start(observed)
    if stream is not None:
        x = x + steps[0] ** 0.5 * stream.standard_normal(x.shape)
    for variance, following in zip(steps, [*steps[1:], 0.0], strict=True):
        z = as_array(denoiser.estimate(denoiser.as_image(x), variance), np.float64)
        ridge = np.maximum(noise / variance, _LEAST_RIDGE)
        z += operator.adjoint(operator.solve(observed - operator.forward(z), ridge))
        if stream is None:
            x = z
        else:
            left = following / variance
            x = z + left * (x - z)
            x += (following * (1 - left)) ** 0.5 * stream.standard_normal(x.shape)
        report()
    return x


def halved(shape: Shape) -> Shape:
    """Return the shape of an image of half the height and width."""
    height, width, channels = shape
    return (height + 1) // 2, (width + 1) // 2, channels


def _axes(shape: Sequence[int]) -> list[int]:
    """Return the axes of an image along which there are several pixels."""
    return [axis for axis in (0, 1) if shape[axis] > 1]


def _smaller(image: torch.Tensor, shape: Shape) -> torch.Tensor:
    """Return a smaller image of the same means, by its low cosine frequencies.

    White noise stays white, because the cosine transform is orthonormal.
    """
    axes = _axes(image.shape)
    spectrum = dctn(as_array(image), axes=axes, norm="ortho")
    low = spectrum[: shape[0], : shape[1]]
    scale = math.sqrt(math.prod(shape) / math.prod(image.shape))
    small = idctn(low, axes=axes, norm="ortho", overwrite_x=False) * scale
    return as_tensor(small.astype(np.float32), image.device)


def _with_low_frequencies(fine: torch.Tensor, coarse: torch.Tensor) -> torch.Tensor:
    """Return the fine image with the low cosine frequencies of the coarse one."""
    axes, sizes = _axes(fine.shape), coarse.shape[:2]
    scale = math.sqrt(math.prod(fine.shape) / math.prod(coarse.shape))
    spectrum = dctn(as_array(fine), axes=axes, norm="ortho")
    low = dctn(as_array(coarse), axes=axes, norm="ortho") * scale
    rows, columns = (np.arange(n) / n for n in sizes)
    radius = np.hypot(rows[:, None], columns)[:, :, None]
    weight = np.clip((_EQUAL + _HALF_WIDTH - radius) / (2 * _HALF_WIDTH), 0, 1)
    view = spectrum[: sizes[0], : sizes[1]]
    view += (weight * (low - view)).astype(view.dtype)
    return as_tensor(idctn(spectrum, axes=axes, norm="ortho"), fine.device)
