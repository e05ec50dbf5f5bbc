"""Linear operators of observations y = A x + noise of an image x."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from scipy import fft
from scipy.ndimage import gaussian_filter
from scipy.signal import fftconvolve
from scipy.sparse.linalg import LinearOperator, aslinearoperator, cg

from skspectral.restoration.images import ImageForm

# Relative tolerance and largest number of iterations of conjugate gradients.
_TOLERANCE, _MAX_ITERATIONS = 1e-4, 100
# Ridge of the first estimate, relative to the largest eigenvalue of A A'.
_START_RIDGE = 1e-2
# Smallest weight of the known neighbours of a pixel that is filled by their mean,
# relative to that of a known neighbour next to it.
_LEAST_WEIGHT = 0.1


class ImageOperator(ABC):
    """Linear operator A from images to observations.

    Parameters
    ----------
    image_shape : tuple of int
        Shape (height, width, channels) of the images x.
    observed_shape : tuple of int
        Shape of the observations y.
    """

    def __init__(self, image_shape: tuple[int, ...], observed_shape: tuple[int, ...]):
        self.image_shape = tuple(image_shape)
        self.observed_shape = tuple(observed_shape)

    @abstractmethod
    def forward(self, image: np.ndarray) -> np.ndarray:
        """Return A x.

        Parameters
        ----------
        image : ndarray of shape ``image_shape``
            Image x.

        Returns
        -------
        observed : ndarray of shape ``observed_shape``
            Observation without noise.
        """

    @abstractmethod
    def adjoint(self, observed: np.ndarray) -> np.ndarray:
        """Return A' y.

        Parameters
        ----------
        observed : ndarray of shape ``observed_shape``
            Observation y.

        Returns
        -------
        image : ndarray of shape ``image_shape``
            Product with the adjoint of the operator.
        """

    def solve(self, residual: np.ndarray, ridge: np.ndarray) -> np.ndarray:
        """Return the solution u of (A A' + diag(ridge)) u = residual.

        This method uses conjugate gradients. An operator that knows a faster way
        overrides it.

        Parameters
        ----------
        residual : ndarray of shape ``observed_shape``
            Right-hand side.
        ridge : ndarray of shape ``observed_shape``, or without axes
            Positive numbers.

        Returns
        -------
        solution : ndarray of shape ``observed_shape``
            Solution u.
        """
        shape, size = self.observed_shape, math.prod(self.observed_shape)

        def product(u: np.ndarray) -> np.ndarray:
            u = u.reshape(shape)
            return (self.forward(self.adjoint(u)) + ridge * u).ravel()

        system = LinearOperator((size, size), matvec=product, dtype=residual.dtype)
        inverse = self.approximate_inverse(ridge)
        if inverse is not None:
            inverse = LinearOperator(
                (size, size),
                matvec=lambda u, f=inverse: f(u.reshape(shape)).ravel(),
                dtype=residual.dtype,
            )
        found, _ = cg(
            system,
            residual.ravel(),
            rtol=_TOLERANCE,
            maxiter=_MAX_ITERATIONS,
            M=inverse,
        )
        return found.reshape(shape)

    def approximate_inverse(self, ridge: np.ndarray) -> Any:
        """Return a function that nearly solves the system of `solve`, or None.

        Conjugate gradients converge faster with it.

        Parameters
        ----------
        ridge : ndarray of shape ``observed_shape``, or without axes
            Positive numbers.

        Returns
        -------
        inverse : callable or None
            Symmetric positive definite linear function of right-hand sides.
        """
        return None

    def start(self, observed: np.ndarray) -> np.ndarray:
        """Return the estimate of the image from which a restoration starts.

        Parameters
        ----------
        observed : ndarray of shape ``observed_shape``
            Observation y.

        Returns
        -------
        image : ndarray of shape ``image_shape``
            The least-squares estimate with a small ridge.
        """
        probe = np.random.default_rng(0).standard_normal(observed.shape)
        largest = 0.0
        for _ in range(10):
            probe = self.forward(self.adjoint(probe))
            largest = float(np.linalg.norm(probe))
            probe /= max(largest, np.finfo(float).tiny)
        ridge = np.asarray(max(_START_RIDGE * largest, np.finfo(float).tiny))
        return self.adjoint(self.solve(observed, ridge))


class Masking(ImageOperator):
    """Observation of some entries of an image; the others are 0.

    Parameters
    ----------
    known : ndarray of bool, shape (height, width, channels)
        Whether an entry is observed.
    """

    def __init__(self, known: np.ndarray):
        super().__init__(known.shape, known.shape)
        self._known = known

    def forward(self, image: np.ndarray) -> np.ndarray:
        """Return A x."""
        return np.where(self._known, image, 0)

    def adjoint(self, observed: np.ndarray) -> np.ndarray:
        """Return A' y."""
        return np.where(self._known, observed, 0)

    def solve(self, residual: np.ndarray, ridge: np.ndarray) -> np.ndarray:
        """Return the solution."""
        return residual / (1 + ridge)

    def start(self, observed: np.ndarray) -> np.ndarray:
        """Return the first estimate."""
        return interpolated(observed, self._known)


class Binning(ImageOperator):
    """Means of blocks of pixels.

    Parameters
    ----------
    image_shape : tuple of int
        Shape of the images. Height and width are multiples of the factor, or 1.
    factor : int
        Height and width of a block.
    """

    def __init__(self, image_shape: tuple[int, int, int], factor: int):
        height, width, channels = image_shape
        self._blocks = tuple(min(factor, n) for n in (height, width))
        a, b = self._blocks
        super().__init__(image_shape, (height // a, width // b, channels))

    def forward(self, image: np.ndarray) -> np.ndarray:
        """Return A x."""
        a, b = self._blocks
        rows, columns, channels = self.observed_shape
        return image.reshape(rows, a, columns, b, channels).mean(axis=(1, 3))

    def adjoint(self, observed: np.ndarray) -> np.ndarray:
        """Return A' y."""
        a, b = self._blocks
        return observed.repeat(a, axis=0).repeat(b, axis=1) / (a * b)

    def solve(self, residual: np.ndarray, ridge: np.ndarray) -> np.ndarray:
        """Return the solution."""
        return residual / (1 / math.prod(self._blocks) + ridge)

    def start(self, observed: np.ndarray) -> np.ndarray:
        """Return the first estimate."""
        # Bands of the discrete cosine transform; the ones that are unknown are 0.
        axes = [i for i, block in enumerate(self._blocks) if block > 1]
        sizes = [self.image_shape[i] for i in axes]
        scale = math.prod(self.image_shape) / math.prod(self.observed_shape)
        spectrum = fft.dctn(observed, axes=axes, norm="ortho")
        zoomed = fft.idctn(spectrum, s=sizes, axes=axes, norm="ortho") * scale**0.5
        # The blocks get the observed means.
        return zoomed + self.adjoint((observed - self.forward(zoomed)) * scale)


class Blur(ImageOperator):
    """Convolution with a kernel, where the kernel lies within the image.

    Nothing is assumed about pixels outside the observed image: the image x is larger
    than the observation by the kernel's size less 1.

    Parameters
    ----------
    kernel : ndarray of shape (h, w)
        Kernel.
    observed_shape : tuple of int
        Shape (height, width, channels) of the observations.
    """

    def __init__(self, kernel: np.ndarray, observed_shape: tuple[int, int, int]):
        height, width, channels = observed_shape
        h, w = kernel.shape
        super().__init__((height + h - 1, width + w - 1, channels), observed_shape)
        self._kernel = kernel[:, :, None]

    def forward(self, image: np.ndarray) -> np.ndarray:
        """Return A x."""
        return fftconvolve(image, self._kernel, "valid", axes=(0, 1))

    def adjoint(self, observed: np.ndarray) -> np.ndarray:
        """Return A' y."""
        turned = self._kernel[::-1, ::-1]
        return fftconvolve(observed, turned, "full", axes=(0, 1))

    def approximate_inverse(self, ridge: np.ndarray) -> Any:
        """Return the solution for periodic images and the mean ridge."""
        shape = self.observed_shape[:2]
        axes = (0, 1)
        padded = np.zeros(shape)
        h, w = self._kernel.shape[:2]
        rows, columns = (np.arange(n) % m for n, m in zip((h, w), shape, strict=True))
        np.add.at(padded, np.ix_(rows, columns), self._kernel[:, :, 0])
        gain = np.abs(fft.rfft2(padded)) ** 2 + np.mean(ridge)
        gain = gain[:, :, None]

        def solve(u: np.ndarray) -> np.ndarray:
            return fft.irfft2(fft.rfft2(u, axes=axes) / gain, s=shape, axes=axes)

        return solve

    def start(self, observed: np.ndarray) -> np.ndarray:
        """Return the first estimate."""
        h, w = self._kernel.shape[:2]
        above, left = (h - 1) // 2, (w - 1) // 2
        # The kernel may be off centre; its centre of mass is where the pixel came from.
        margins = ((h - 1 - above, above), (w - 1 - left, left), (0, 0))
        level = self._kernel.sum()
        return np.pad(observed, margins, mode="symmetric") / (level if level else 1)


class MatrixOperator(ImageOperator):
    """Operator that is given as a matrix, or as a linear operator of SciPy.

    Parameters
    ----------
    operator : ndarray, sparse matrix or LinearOperator of shape (m, n)
        Operator on flattened images of n entries.
    user_shape : tuple of int
        Shape of the images before they are flattened.
    channel_axis : int or None
        Axis of their channels.
    """

    def __init__(
        self, operator: Any, user_shape: tuple[int, ...], channel_axis: int | None
    ):
        self._operator = aslinearoperator(operator)
        self._form = ImageForm(channel_axis, np.dtype(np.float64))
        self._user_shape = user_shape
        if self._operator.shape[1] != math.prod(user_shape):
            raise ValueError(
                f"operator of shape {self._operator.shape} does not fit "
                f"image_shape={user_shape}: its second size must be "
                f"{math.prod(user_shape)}."
            )
        shape = self._form.channels_last(np.empty(user_shape)).shape
        super().__init__(shape, (self._operator.shape[0],))

    def forward(self, image: np.ndarray) -> np.ndarray:
        """Return A x."""
        return self._operator.matvec(self._form.to_user(image).ravel())

    def adjoint(self, observed: np.ndarray) -> np.ndarray:
        """Return A' y."""
        found = self._operator.rmatvec(observed.ravel())
        return self._form.channels_last(found.reshape(self._user_shape))


def interpolated(image: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Return a copy in which unknown entries are weighted means of their neighbours.

    The weights are Gaussian, of the smallest width at which known entries are near. An
    image without known entries becomes 0.
    """
    filled = np.where(known, image, 0.0)
    if not known.any():
        return filled
    # Entries that are farther away than any width reaches get the mean.
    result, left, width = np.where(known, image, image[known].mean()), ~known, 0.7
    while left.any() and width < 2 * max(image.shape[:2]):
        sigma = [width * (n > 1) for n in image.shape[:2]] + [0]
        weight = gaussian_filter(known.astype(float), sigma, mode="constant")
        peak = np.prod([1 / (s * math.sqrt(2 * math.pi)) for s in sigma if s])
        near = left & (weight > _LEAST_WEIGHT * peak)
        total = gaussian_filter(filled, sigma, mode="constant")
        result[near] = total[near] / weight[near]
        left &= ~near
        width *= 1.5
    return result
