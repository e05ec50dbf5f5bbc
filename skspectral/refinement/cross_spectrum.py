"""A map of the channels for each bin."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Sequence
from numbers import Real
from typing import Any, ClassVar

import numpy as np

from skspectral._sklearn_compat import Interval
from skspectral.refinement._base import IMAGE_CONSTRAINTS, SpectrumRefiner
from skspectral.refinement._cross_spectra import (
    cross_spectra,
    identity_below,
    mapped,
    transport_maps,
)


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
    image_shape, data_range : default=None
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
    ) -> None:
        self.reg = reg
        self.min_frequency = min_frequency
        self.image_shape = image_shape
        self.data_range = data_range

    def _fit_images(self, generated: np.ndarray, real: np.ndarray) -> None:
        maps = transport_maps(
            cross_spectra(generated), cross_spectra(real), self.reg, self.log_floor_
        )
        self.maps_ = identity_below(maps, self.min_frequency, self.image_shape_)

    def _change(self, spectra: np.ndarray) -> np.ndarray:
        return mapped(spectra, self.maps_ - np.eye(spectra.shape[1]))
