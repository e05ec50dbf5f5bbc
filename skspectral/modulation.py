"""How an atom's amplitude and phase may drift over the signal."""
# SPDX-License-Identifier: BSD-3-Clause

import math

import numpy as np
from sklearn.base import BaseEstimator


class BasisModulation(BaseEstimator):
    """Drift of amplitude and phase along fixed smooth functions of the coordinates.

    Atom i is ``A_i(t) sin(2 pi f_i t + phi_i(t))`` with ``A_i = softplus(sum_m a_im
    b_m)`` and ``phi_i = sum_m p_im b_m`` (Kiruluta 2025, equations 2, 3 and 5, with the
    network's last hidden layer replaced by fixed functions b_m). The functions are

    - signals of shape (length,): 1, and cos(2 pi j t), sin(2 pi j t) for j = 1..order;
    - images of shape (height, width): 1, and cos(pi j y), cos(pi j x) for j = 1..order,
      where y and x run over the rows and columns from 0 to 1;
    - images with channels: the same, with one constant for each channel.

    Parameters
    ----------
    order : int or None, default=None
        Highest j. None means 4 for signals and 2 for images. An atom has one frequency
        and two numbers for each function: 19 and, for colour images, 15 by default.
        Fewer terms need fewer samples; more come closer to PCA on aligned data.

    Examples
    --------
    >>> from skspectral import BasisModulation
    >>> basis, constant = BasisModulation(order=1).functions((4, 4))
    >>> basis.shape
    (3, 16)
    """

    def __init__(self, order: int | None = None):
        self.order = order

    def functions(self, signal_shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Values of the functions over a flattened signal.

        Parameters
        ----------
        signal_shape : tuple of int
            (length,), (height, width) or (height, width, channels).

        Returns
        -------
        basis : ndarray of shape (M, T)
            One function a row, sampled in C order.
        constant : ndarray of shape (M,)
            Coefficients of the function that is 1 everywhere.

        Raises
        ------
        ValueError
            If ``order`` is not a non-negative integer or None.
        """
        order = self.order
        if order is not None and (
            not isinstance(order, (int, np.integer))
            or isinstance(order, bool)
            or order < 0
        ):
            raise ValueError(
                f"BasisModulation(order={order!r}): order must be a non-negative "
                "integer, or None."
            )
        if len(signal_shape) == 1:
            return _signal_functions(signal_shape[0], 4 if order is None else order)
        return _image_functions(signal_shape, 2 if order is None else order)


def static_functions(n_features: int) -> tuple[np.ndarray, np.ndarray]:
    """The basis of an atom that does not drift: the constant alone."""
    return np.ones((1, n_features)), np.ones(1)


def _signal_functions(length: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    t = np.arange(length) / length
    # Beyond the Nyquist harmonic the functions repeat themselves.
    angles = [2 * math.pi * j * t for j in range(1, min(order, (length - 1) // 2) + 1)]
    waves = [wave(angle) for angle in angles for wave in (np.cos, np.sin)]
    basis = np.stack([np.ones(length), *waves])
    return basis, np.eye(len(basis))[0]


def _image_functions(
    shape: tuple[int, ...], order: int
) -> tuple[np.ndarray, np.ndarray]:
    height, width, channels = shape if len(shape) == 3 else (*shape, 1)
    row, column, channel = np.indices((height, width, channels)).reshape(3, -1)
    constants = [(channel == c).astype(float) for c in range(channels)]
    drifts = [
        np.cos(math.pi * j * (index + 0.5) / size)
        for index, size in ((row, height), (column, width))
        for j in range(1, min(order, size - 1) + 1)
    ]
    basis = np.stack([*constants, *drifts])
    return basis, (np.arange(len(basis)) < channels).astype(float)
