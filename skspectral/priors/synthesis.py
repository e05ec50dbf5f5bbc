"""How codes become signals, for priors that look at places and not at codes alone."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Synthesis:
    """Signals are mean + codes @ axes.

    The estimator hands it to a prior whose ``fit`` takes ``synthesis``.

    Attributes
    ----------
    axes : ndarray of shape (K, T)
        Orthonormal rows, which span the atoms.
    mean : ndarray of shape (T,)
    signal_shape : tuple of int
        (length,), (height, width) or (height, width, channels), of product T.
    """

    axes: np.ndarray
    mean: np.ndarray
    signal_shape: tuple[int, ...]

    @classmethod
    def identity(cls, n_codes: int) -> "Synthesis":
        """Codes that are signals themselves."""
        return cls(np.eye(n_codes), np.zeros(n_codes), (n_codes,))

    def check_codes(self, codes: np.ndarray) -> None:
        """Raise a ValueError if it is of another number of codes."""
        if len(self.axes) != codes.shape[1]:
            raise ValueError(
                f"synthesis is of {len(self.axes)} codes, but X has {codes.shape[1]}."
            )

    def signals(self, codes: np.ndarray) -> np.ndarray:
        """Signals of shape ``(n, *signal_shape)``, from codes of shape (n, K)."""
        return (codes @ self.axes + self.mean).reshape(-1, *self.signal_shape)

    def codes(self, signals: np.ndarray) -> np.ndarray:
        """Codes of the nearest signals in the span, of shape (n, K)."""
        return (signals.reshape(len(signals), -1) - self.mean) @ self.axes.T

    def mirror(self) -> tuple[np.ndarray, np.ndarray]:
        """Matrix M and offset o: u @ M + o are codes of the signals mirrored, of u.

        Left to right for images, in time for other signals.
        """
        places = np.arange(self.axes.shape[1]).reshape(self.signal_shape)
        mirrored = np.flip(places, axis=min(1, places.ndim - 1)).ravel()
        matrix = self.axes[:, mirrored] @ self.axes.T
        return matrix, (self.mean[mirrored] - self.mean) @ self.axes.T
