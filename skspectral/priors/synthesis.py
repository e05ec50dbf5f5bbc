"""How codes become signals, for priors that look at places and not at codes alone."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import numpy as np

from skspectral.grid import Grid


@dataclass(frozen=True, eq=False)
class Synthesis:
    """Signals are mean + codes @ basis.

    The estimator hands it to a prior whose ``fit`` takes ``synthesis``.

    Attributes
    ----------
    basis : ndarray of shape (K, T)
        Orthonormal rows, which span the atoms.
    mean : ndarray of shape (T,)
    signal_shape : tuple of int
        (length,), (height, width) or (height, width, channels), of product T.
    """

    basis: np.ndarray
    mean: np.ndarray
    signal_shape: tuple[int, ...]

    @property
    def grid(self) -> Grid:
        """How a signal unfolds."""
        return Grid.of(self.signal_shape, len(self.mean))

    @classmethod
    def identity(cls, n_codes: int) -> "Synthesis":
        """Codes that are signals themselves."""
        return cls(np.eye(n_codes), np.zeros(n_codes), (n_codes,))

    def standardised(self, mean: np.ndarray, scale: float) -> "Synthesis":
        """How (codes - mean) / scale become the signals, divided by the scale."""
        shifted = (self.mean + mean @ self.basis) / scale
        return Synthesis(self.basis, shifted, self.signal_shape)

    def check_codes(self, codes: np.ndarray) -> None:
        """Raise a ValueError if it is of another number of codes."""
        if len(self.basis) != codes.shape[1]:
            raise ValueError(
                f"synthesis is of {len(self.basis)} codes, but X has {codes.shape[1]}."
            )

    def signals(self, codes: np.ndarray) -> np.ndarray:
        """Signals of shape ``(n, *signal_shape)``, from codes of shape (n, K)."""
        return (codes @ self.basis + self.mean).reshape(-1, *self.signal_shape)

    def codes(self, signals: np.ndarray) -> np.ndarray:
        """Codes of the nearest signals in the span, of shape (n, K)."""
        return (signals.reshape(len(signals), -1) - self.mean) @ self.basis.T

    def mirror(self) -> tuple[np.ndarray, np.ndarray]:
        """Matrix M and offset o: u @ M + o are codes of the signals mirrored, of u.

        Left to right for images, in time for other signals.
        """
        places = np.arange(len(self.mean)).reshape(self.signal_shape)
        mirrored = np.flip(places, axis=self.grid.n_axes - 1).ravel()
        matrix = self.basis[:, mirrored] @ self.basis.T
        return matrix, (self.mean[mirrored] - self.mean) @ self.basis.T
