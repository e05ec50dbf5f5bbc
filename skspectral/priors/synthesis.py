"""The map from codes to signals, for priors that model positions in the signal."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass, replace

import numpy as np

from skspectral.grid import Grid


@dataclass(frozen=True, eq=False)
class Synthesis:
    """Map from K codes to signals of T values: ``mean + codes @ basis``.

    The estimator passes a `Synthesis` to a prior whose ``fit`` takes ``synthesis``.

    Parameters
    ----------
    basis : ndarray of shape (K, T)
        Orthonormal basis of the span of the atoms, as rows.
    mean : ndarray of shape (T,)
        Mean signal.
    signal_shape : tuple of int
        Shape of a signal: its axes, then that of the channels, if it has one. Its
        product is T.
    channel_axis : int, "auto" or None, default="auto"
        Axis of the channels: the last one or None. "auto" means the last of three or
        four axes.
    """

    basis: np.ndarray
    mean: np.ndarray
    signal_shape: tuple[int, ...]
    channel_axis: int | str | None = "auto"

    @property
    def grid(self) -> Grid:
        """Grid of the samples or pixels of a signal."""
        return Grid.of(
            self.signal_shape, len(self.mean), channel_axis=self.channel_axis
        )

    @classmethod
    def identity(cls, n_codes: int) -> "Synthesis":
        """Make the synthesis whose signals are the codes themselves.

        Parameters
        ----------
        n_codes : int
            Number of codes, and length of the signals.

        Returns
        -------
        synthesis : Synthesis
            The identity map, with ``signal_shape=(n_codes,)``.
        """
        return cls(np.eye(n_codes), np.zeros(n_codes), (n_codes,))

    def standardised(self, mean: np.ndarray, scale: float) -> "Synthesis":
        """Make the synthesis of standardised codes ``(codes - mean) / scale``.

        Parameters
        ----------
        mean : ndarray of shape (K,)
            Mean of the codes.
        scale : float
            Scale of the codes, > 0.

        Returns
        -------
        synthesis : Synthesis
            Map from standardised codes to the signals divided by ``scale``.
        """
        shifted = (self.mean + mean @ self.basis) / scale
        return replace(self, mean=shifted)

    def check_codes(self, codes: np.ndarray) -> None:
        """Raise an error if codes do not have as many columns as the basis has rows.

        Parameters
        ----------
        codes : ndarray of shape (n_samples, n_codes)
            Codes.

        Raises
        ------
        ValueError
            If ``n_codes`` is not K.
        """
        if len(self.basis) != codes.shape[1]:
            raise ValueError(
                f"synthesis maps {len(self.basis)} codes to signals, but X has "
                f"{codes.shape[1]} columns. Pass the synthesis of these codes."
            )

    def signals(self, codes: np.ndarray) -> np.ndarray:
        """Compute signals from codes.

        Parameters
        ----------
        codes : ndarray of shape (n_samples, K)
            Codes.

        Returns
        -------
        signals : ndarray of shape (n_samples,) + signal_shape
            The signals.
        """
        return (codes @ self.basis + self.mean).reshape(-1, *self.signal_shape)

    def codes(self, signals: np.ndarray) -> np.ndarray:
        """Compute the codes of the projections of signals on the span of the basis.

        Parameters
        ----------
        signals : ndarray of shape (n_samples,) + signal_shape
            Signals.

        Returns
        -------
        codes : ndarray of shape (n_samples, K)
            The codes.
        """
        return (signals.reshape(len(signals), -1) - self.mean) @ self.basis.T

    def mirror(self) -> tuple[np.ndarray, np.ndarray]:
        """Compute the affine map from codes to the codes of the mirrored signals.

        Images are mirrored left to right, and other signals are reversed in time. If
        mirrored signals leave the span of the basis, they are projected on it.

        Returns
        -------
        matrix : ndarray of shape (K, K)
            Matrix of the map ``codes @ matrix + offset``.
        offset : ndarray of shape (K,)
            Offset of the map.
        """
        places = np.arange(len(self.mean)).reshape(self.signal_shape)
        mirrored = np.flip(places, axis=self.grid.n_axes - 1).ravel()
        matrix = self.basis[:, mirrored] @ self.basis.T
        return matrix, (self.mean[mirrored] - self.mean) @ self.basis.T
