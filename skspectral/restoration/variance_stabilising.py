"""Transform that makes Poisson-Gaussian noise Gaussian, and its unbiased inverse."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from functools import lru_cache
from numbers import Real
from typing import Any

import numpy as np
from numpy.polynomial.legendre import leggauss
from numpy.typing import ArrayLike
from scipy.interpolate import PchipInterpolator
from scipy.stats import poisson

from skspectral._advice import brief
from skspectral._sklearn_compat import as_numpy

# Largest mean number of counts for which the inverse is tabulated. An expansion with an
# error of order 1 / counts extends the table.
_MAX_COUNTS = 400.0
# Number of entries of the table. The square roots of their counts are evenly spaced.
_N_ENTRIES = 600
# Largest standard deviation of the Gaussian noise, in counts, for which the inverse is
# tabulated. Beyond, the expansion is accurate to 1e-6 counts, and better than a table.
_MAX_RATIO = 1000.0
# Half width of the Gaussian density, in standard deviations: beyond are 2e-33 of it.
_HALF_WIDTH = 12.0
# Number of points of the quadrature over the Gaussian noise.
_N_NODES = 96


@dataclass(frozen=True)
class PoissonGaussian:
    """Noise of a counting sensor with a gain, plus Gaussian noise.

    The measured value y of a pixel whose true value is x is::

        y = gain Poisson(x / gain) + N(0, sigma^2)

    Its mean is x and its variance is ``gain x + sigma^2``. The generalised Anscombe
    transform f makes the variance almost constant::

        f(y) = 2 / gain sqrt(max(gain y + 3/8 gain^2 + sigma^2, 0))

    A method for Gaussian noise of standard deviation 1 can then denoise f(y). Its
    result is an estimate of the mean of f(y). The exact unbiased inverse maps this mean
    back to x, whereas the algebraic inverse of f would be too small by about
    ``gain / 4``.

    Parameters
    ----------
    gain : float
        Value of one count (such as one photon), in units of y. It must be positive.
    sigma : float, default=0.0
        Standard deviation of the Gaussian noise, in units of y. With 0, the noise is
        Poisson noise with a gain.

    Raises
    ------
    ValueError
        If ``gain`` is not positive and finite, or ``sigma`` is negative or not finite.

    Notes
    -----
    The standard deviation of f(y) is close to 1 if x exceeds a few times ``gain``, or
    if ``sigma`` exceeds ``gain``. It tends to a smaller value for darker pixels.

    The mean of f(y) is computed for 600 values of x. It is a sum over the Poisson
    distribution and a quadrature over the Gaussian distribution. A monotone
    interpolation inverts the table, and an asymptotic expansion continues it. The
    relative error of x is less than 1e-3 if x exceeds ``0.1 gain`` and ``sigma`` is at
    most ``1000 gain``. If ``sigma`` exceeds ``1000 gain``, the expansion alone is used,
    and its error is far below the noise. Pass y in float64 in that case, because f(y)
    is a large constant plus small differences.

    Subtract a constant offset of the sensor from y before all methods.

    References
    ----------
    M. Mäkitalo, A. Foi (2011). Optimal inversion of the Anscombe transformation in
    low-count Poisson image denoising. IEEE Transactions on Image Processing 20, 99-109.

    M. Mäkitalo, A. Foi (2013). Optimal inversion of the generalized Anscombe
    transformation for Poisson-Gaussian noise. IEEE Transactions on Image Processing 22,
    91-103.

    J.-L. Starck, F. Murtagh, A. Bijaoui (1998). Image Processing and Data Analysis: The
    Multiscale Approach. Cambridge University Press.

    Examples
    --------
    The average of many stabilised values is an estimate without noise. Its exact
    inverse is the true value, here 3:

    >>> import numpy as np
    >>> from skspectral.restoration import PoissonGaussian
    >>> noise = PoissonGaussian(gain=2.0, sigma=1.0)
    >>> rng = np.random.default_rng(0)
    >>> y = 2.0 * rng.poisson(3.0 / 2.0, size=10**6) + rng.normal(size=10**6)
    >>> d = noise.stabilise(y)
    >>> bool(abs(d.std() - 1) < 0.1)
    True
    >>> float(noise.inverse(d.mean()).round(1))
    3.0
    """

    gain: float
    sigma: float = 0.0

    def __post_init__(self) -> None:
        gain, sigma = self.gain, self.sigma
        if not (_is_finite(gain) and gain > 0):
            raise ValueError(
                f"gain={brief(gain)} must be a positive and finite number: the value "
                "of one count in units of y. If the noise is Gaussian alone, divide y "
                "by sigma instead."
            )
        if not (_is_finite(sigma) and sigma >= 0):
            raise ValueError(
                f"sigma={brief(sigma)} must be a finite number >= 0: the standard "
                "deviation of the Gaussian noise in units of y. Pass sigma=0.0 if "
                "there is Poisson noise alone."
            )
        if not np.isfinite((float(sigma) / float(gain)) ** 2):
            raise ValueError(
                f"sigma={brief(sigma)} is too large beside gain={brief(gain)}. Divide "
                "y by sigma instead, because the noise is practically Gaussian."
            )

    def stabilise(self, y: ArrayLike) -> np.ndarray:
        """Transform noisy values so that their noise has standard deviation 1.

        Parameters
        ----------
        y : array-like of any shape
            Noisy values, which may be negative. The array is not modified.

        Returns
        -------
        d : ndarray of the shape of y
            Transformed values, at least 0. float32 is kept; other types become float64.
            NaN stays NaN.

        Raises
        ------
        ValueError
            If ``y`` is not an array of real numbers, or has masked entries.
        """
        values, dtype = _real(y, "y")
        with np.errstate(over="ignore"):
            counts = values / self.gain + (0.375 + self._ratio**2)
        return _as_type(2 * np.sqrt(np.maximum(counts, 0)), dtype)

    def inverse(self, d: ArrayLike) -> np.ndarray:
        """Map means of stabilised values to true values, exactly and without bias.

        Parameters
        ----------
        d : array-like of any shape
            Denoised results of `stabilise`. The array is not modified.

        Returns
        -------
        x : ndarray of the shape of d
            Values x for which the mean of ``stabilise(y)`` is d. They are 0 for d below
            the mean at x = 0. float32 is kept; other types become float64. NaN stays
            NaN.

        Raises
        ------
        ValueError
            If ``d`` is not an array of real numbers, or has masked entries.
        """
        values, dtype = _real(d, "d")
        with np.errstate(over="ignore"):
            if self._ratio > _MAX_RATIO:
                counts = np.maximum(_expansion(values**2, self._ratio), 0)
                counts = np.where(values < 0, 0, counts)
            else:
                counts = _inverse_table(self._ratio)(values)
            return _as_type(self.gain * counts, dtype)

    def variance(self, x: ArrayLike) -> np.ndarray:
        """Return the variance of noisy values with the true values x.

        Parameters
        ----------
        x : array-like of any shape
            True values. Negative values are replaced by 0.

        Returns
        -------
        variance : ndarray of the shape of x
            ``gain x + sigma^2``, in squared units of y. float32 is kept; other types
            become float64. NaN stays NaN.

        Raises
        ------
        ValueError
            If ``x`` is not an array of real numbers, or has masked entries.
        """
        values, dtype = _real(x, "x")
        with np.errstate(over="ignore"):
            variance = self.gain * np.maximum(values, 0) + float(self.sigma) ** 2
        return _as_type(variance, dtype)

    @property
    def _ratio(self) -> float:
        """Standard deviation of the Gaussian noise in counts."""
        return float(self.sigma) / float(self.gain)


def _is_finite(value: Any) -> bool:
    return isinstance(value, Real) and bool(np.isfinite(float(value)))


def _real(values: ArrayLike, name: str) -> tuple[np.ndarray, Any]:
    """Return values in float64, and the dtype of the result."""
    array = as_numpy(values, name)
    if array.dtype.kind not in "buif":
        raise ValueError(
            f"{name} of type {array.dtype} must be an array of real numbers. Convert "
            f"it, for example by np.asarray({name}, dtype=float)."
        )
    kept = np.float32 if array.dtype == np.float32 else np.float64
    return array.astype(np.float64, copy=False), kept


def _as_type(values: Any, dtype: Any) -> np.ndarray:
    with np.errstate(over="ignore", under="ignore"):
        return np.asarray(values, dtype=dtype)


class _InverseTable:
    """The map from the mean of stabilised values to the mean number of counts."""

    def __init__(self, ratio: float):
        counts = np.linspace(0, np.sqrt(_MAX_COUNTS), _N_ENTRIES) ** 2
        square = _mean_stabilised(counts, ratio) ** 2
        # Counts are nearly linear in the square of the mean, so that interpolation
        # between squares is accurate.
        self._ratio = ratio
        self._start, self._end = square[0], square[-1]
        self._inside = PchipInterpolator(square, counts)
        # The term of order 1 / counts is chosen so that the map is continuous.
        self._next = counts[-1] - _expansion(self._end, ratio)

    def __call__(self, d: np.ndarray) -> np.ndarray:
        """Return the mean numbers of counts for an array of means."""
        square = np.maximum(d, 0) ** 2
        inside = self._inside(np.clip(square, self._start, self._end))
        far = np.maximum(square, self._end)
        outside = _expansion(far, self._ratio) + self._next * (self._end / far)
        return np.where(square > self._end, outside, inside)


def _expansion(square: Any, ratio: float) -> Any:
    """Return the mean numbers of counts for squares of means, for many counts."""
    return square / 4 - (ratio**2 + 0.125)


@lru_cache(maxsize=32)
def _inverse_table(ratio: float) -> _InverseTable:
    return _InverseTable(ratio)


def _mean_stabilised(counts: np.ndarray, ratio: float) -> np.ndarray:
    """Return the means of stabilised values for mean numbers of counts.

    ``ratio`` is the standard deviation of the Gaussian noise in counts.
    """
    largest = counts.max()
    numbers = np.arange(int(largest + 12 * np.sqrt(largest) + 30))
    probabilities = poisson.pmf(numbers, counts[:, None])
    # Sum differences from the value at the mean, which would dominate rounding errors.
    centre = 2 * np.sqrt(counts + 0.375 + ratio**2)
    means = _mean_over_gaussian(numbers + 0.375 + ratio**2, ratio)
    differences = means - centre[:, None]
    return centre + (probabilities * differences).sum(axis=1)


def _mean_over_gaussian(middle: np.ndarray, ratio: float) -> np.ndarray:
    """Return the means of 2 sqrt(max(v, 0)) for v from N(middle, ratio^2).

    With v = u^2, the integrand is smooth in u, and Gauss-Legendre quadrature is
    accurate although the square root has a kink at 0.
    """
    if ratio == 0:
        return 2 * np.sqrt(middle)
    low, high = (
        np.sqrt(np.maximum(middle + sign * _HALF_WIDTH * ratio, 0)) for sign in (-1, 1)
    )
    nodes, weights = leggauss(_N_NODES)
    u = (low + high)[:, None] / 2 + (high - low)[:, None] / 2 * nodes
    z = (u**2 - middle[:, None]) / ratio
    density = u * np.exp(-(z**2) / 2) * weights
    total = (2 * u * density).sum(axis=1) / np.sqrt(2 * np.pi) / ratio
    return total * (high - low)
