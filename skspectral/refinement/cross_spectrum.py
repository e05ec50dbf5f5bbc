"""A matcher that mixes the channels of each bin by a matrix."""
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
    """Match the power and the coherence of the channels, bin by bin.

    Let the vector z hold the channels of a bin. Let A and B be the means of ``z z^H``
    over generated and over real images. Every z is replaced by T z, with the matrix::

        T = A^(-1/2) (A^(1/2) B A^(1/2))^(1/2) A^(-1/2)

    T is the map of optimal transport between complex Gaussian distributions with
    covariances A and B.

    Parameters
    ----------
    reg : float, default=1e-3
        Smallest eigenvalue of A and of B as a fraction of their largest eigenvalue in
        the bin, from 0 to 1. Smaller eigenvalues are raised to it. Larger values make
        the map more stable if channels are nearly proportional, and the match less
        exact.
    min_frequency : float, default=4.0
        Lowest frequency that is changed, in cycles along the longer side. At lower
        frequencies the map would transfer colours and change pixels strongly. DC is
        never changed.
    image_shape : sequence of int or None, default=None
        Shape (height, width) or (height, width, channels) of one image, required if
        images are passed as rows of ``n_features`` values. None takes rows as signals
        of one channel, and images with axes in their own shape.
    data_range : (float, float) or None, default=None
        Values of black and white, to which refined images are clipped. None means (0,
        255) for uint8, (0, 1) for floats if the real images lie in this range, and
        otherwise no limits. ``(-inf, inf)`` turns off the clipping and the check that
        all images have the same range.
    channel_axis : int, None or "auto", default="auto"
        Axis of the channels in images with axes: -1 if channels are last, 1 if channels
        come before rows, None for images without channels. "auto" accepts images
        without channels or with at most four channels as the last axis, and raises an
        error for shapes that look like another layout.

    Attributes
    ----------
    maps_ : ndarray of shape (height, width // 2 + 1, channels, channels), complex
        Matrix T in the bins of ``numpy.fft.rfft2``, Hermitian and positive definite. It
        is the identity in bins that are not changed.
    image_shape_ : tuple of int
        Shape (height, width, channels) of one image.
    data_range_ : tuple of float
        Lower and upper limit to which refined images are clipped.
    log_floor_ : float
        The rounding floor: root mean square error of a bin if pixels are rounded to 255
        steps, in the unit of ``numpy.fft.rfft2``.
    n_generated_, n_real_ : int
        Number of generated and of real images in ``fit``.
    n_features_in_ : int
        Number of values per image.

    See Also
    --------
    SpectrumMatcher : Treats channels one by one and keeps phases.

    Notes
    -----
    Phases change, because channels are mixed. T(-f) is the complex conjugate of T(f),
    so that refined images are real. With one channel, T is the gain that makes mean
    powers equal.

    Small images have few bins of four or more cycles. Lower ``min_frequency`` for
    images of 8 x 8 pixels or less.

    The cost is O(n height width (log(height width) + channels^2)). The memory is that
    of a batch of images.

    References
    ----------
    I. Olkin, F. Pukelsheim (1982). The distance between two random vectors with given
    dispersion matrices. Linear Algebra and its Applications 48. (The map T.)

    Examples
    --------
    The channels of generated images are correlated, those of real images are
    independent. Refinement removes the correlation:

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
    """Return the mean of z z^H over images.

    The result has shape (height, width // 2 + 1, channels, channels).
    """
    total: np.ndarray | float = 0.0
    for spectra in iter_spectra(images):
        channels = np.transpose(spectra, (2, 3, 1, 0))
        total = total + channels @ channels.conj().swapaxes(-1, -2)
    return np.asarray(total) / len(images)


def transport_maps(
    generated: np.ndarray, real: np.ndarray, reg: float, floor: float
) -> np.ndarray:
    """Return the matrix T of each bin, as `CrossSpectrumMatcher` defines it.

    Eigenvalues of A and B are raised to ``reg`` times the largest eigenvalue of their
    bin, and to at least ``floor^2``.
    """
    source, target = (_conditioned(s, reg, floor) for s in (generated, real))
    root = _power(source, 0.5)
    inverse = _power(source, -0.5)
    return inverse @ _power(root @ target @ root, 0.5) @ inverse


def _conditioned(spectra: np.ndarray, reg: float, floor: float) -> np.ndarray:
    """Raise small eigenvalues of Hermitian matrices, which makes them invertible."""
    values, vectors = np.linalg.eigh(spectra)
    smallest = np.maximum(reg * values[..., -1:], floor**2)
    return _from_eigen(np.maximum(values, smallest), vectors)


def _power(spectra: np.ndarray, exponent: float) -> np.ndarray:
    """Return a power of positive definite matrices."""
    values, vectors = np.linalg.eigh(spectra)
    tiny = np.finfo(values.dtype).tiny
    return _from_eigen(np.maximum(values, tiny) ** exponent, vectors)


def _from_eigen(values: np.ndarray, vectors: np.ndarray) -> np.ndarray:
    """Return matrices from their eigenvalues and eigenvectors."""
    return (vectors * values[..., None, :]) @ vectors.conj().swapaxes(-1, -2)
