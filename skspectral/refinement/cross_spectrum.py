"""A map of the channels for each bin."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from skspectral._sklearn_compat import Interval
from skspectral.metrics._images import ChannelAxis
from skspectral.metrics._rings import ring_frequencies
from skspectral.refinement._base import IMAGE_CONSTRAINTS, SpectrumRefiner
from skspectral.refinement._spectra import iter_spectra


class CrossSpectrumMatcher(SpectrumRefiner):
    """Match power and coherence of the channels, bin by bin.

    With z the channels of a bin, A and B the means of ``z z^H`` over generated and over
    real images, z becomes T z, where::

        T = A^(-1/2) (A^(1/2) B A^(1/2))^(1/2) A^(-1/2)

    is the map of optimal transport between complex Gaussians of covariances A and B.

    Parameters
    ----------
    reg : float, default=1e-3
        Eigenvalues of A and B are raised to this share of the largest one of their bin.
    min_frequency : float, default=4.0
        Bins of fewer cycles along the longer side stay as they are: there the map is a
        transfer of colours, and changes pixels a lot.
    image_shape, data_range, channel_axis : default=None, None, "auto"
        As in `SpectrumMatcher`.

    Attributes
    ----------
    maps_ : ndarray of shape (height, width // 2 + 1, channels, channels), complex
        T for each bin of ``numpy.fft.rfft2``; Hermitian and positive definite.
    image_shape_, data_range_, log_floor_, n_generated_, n_real_, n_features_in_
        As those of `SpectrumMatcher`.

    See Also
    --------
    SpectrumMatcher : Channels one by one; keeps phases.

    Notes
    -----
    As channels mix, phases change. T(-f) is the conjugate of T(f), so that images stay
    real. With one channel T is the gain of mean powers. Images of 8 pixels have no bins
    of four cycles but the Nyquist frequencies: lower ``min_frequency`` for those.

    Costs O(n height width (log(height width) + channels^2)), and memory of a batch of
    images.

    Examples
    --------
    Generated colours vary together, real ones do not:

    >>> import numpy as np
    >>> from skspectral.refinement import CrossSpectrumMatcher
    >>> rng = np.random.default_rng(0)
    >>> real, generated = rng.normal(size=(2, 200, 16, 16, 3))
    >>> generated += rng.normal(size=(200, 16, 16, 1))
    >>> matcher = CrossSpectrumMatcher(min_frequency=0)
    >>> refined = matcher.fit_transform(generated, real)
    >>> for images in (generated, refined):
    ...     correlations = np.corrcoef(images.reshape(-1, 3).T)
    ...     print(f"{abs(correlations[0, 1]):.1f}")
    0.5
    0.0
    """

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        **IMAGE_CONSTRAINTS,
        "reg": [Interval(Real, 0, 1, closed="both")],
        "min_frequency": [Interval(Real, 0, None, closed="left")],
    }

    def __init__(
        self,
        *,
        reg: float = 1e-3,
        min_frequency: float = 4.0,
        image_shape: Sequence[int] | None = None,
        data_range: Sequence[float] | None = None,
        channel_axis: ChannelAxis = "auto",
    ) -> None:
        self.reg = reg
        self.min_frequency = min_frequency
        self.image_shape = image_shape
        self.data_range = data_range
        self.channel_axis = channel_axis

    def _fit_images(self, generated: np.ndarray, real: np.ndarray) -> None:
        maps = transport_maps(
            cross_spectra(generated), cross_spectra(real), self.reg, self.log_floor_
        )
        frequencies = ring_frequencies(self.image_shape_, "longer")
        kept = (frequencies < self.min_frequency) | (frequencies == 0)
        self.maps_ = np.where(kept[..., None, None], np.eye(maps.shape[-1]), maps)

    def _change(self, spectra: np.ndarray) -> np.ndarray:
        channels = np.transpose(spectra, (2, 3, 1, 0))
        change = (self.maps_ - np.eye(spectra.shape[1])) @ channels
        return np.transpose(change, (3, 2, 0, 1))


def cross_spectra(images: np.ndarray) -> np.ndarray:
    """Mean of z z^H over images; (height, width // 2 + 1, channels, channels)."""
    total: np.ndarray | float = 0.0
    for spectra in iter_spectra(images):
        channels = np.transpose(spectra, (2, 3, 1, 0))
        total = total + channels @ channels.conj().swapaxes(-1, -2)
    return np.asarray(total) / len(images)


def transport_maps(
    generated: np.ndarray, real: np.ndarray, reg: float, floor: float
) -> np.ndarray:
    """The map T of each bin, as `CrossSpectrumMatcher` defines it.

    Eigenvalues of A and B are at least ``reg`` times the largest of their bin, and
    ``floor^2``.
    """
    source, target = (_conditioned(s, reg, floor) for s in (generated, real))
    root = _power(source, 0.5)
    inverse = _power(source, -0.5)
    return inverse @ _power(root @ target @ root, 0.5) @ inverse


def _conditioned(spectra: np.ndarray, reg: float, floor: float) -> np.ndarray:
    values, vectors = np.linalg.eigh(spectra)
    smallest = np.maximum(reg * values[..., -1:], floor**2)
    return _from_eigen(np.maximum(values, smallest), vectors)


def _power(spectra: np.ndarray, exponent: float) -> np.ndarray:
    """Power of positive definite matrices."""
    values, vectors = np.linalg.eigh(spectra)
    tiny = np.finfo(values.dtype).tiny
    return _from_eigen(np.maximum(values, tiny) ** exponent, vectors)


def _from_eigen(values: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    return (vectors * values[..., None, :]) @ vectors.conj().swapaxes(-1, -2)
