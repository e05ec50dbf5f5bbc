"""Plane waves along one to three axes, with a pattern over the channels."""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.atoms.sinusoid import Sinusoid
from skspectral.grid import Grid


class PlaneWave(Sinusoid):
    """Plane waves along the axes of signals, with a pattern over the channels.

    For images an atom is ``g_c A sin(2 pi (u y + v x) + phi)``. The wave vector (u, v),
    in cycles per image, determines a frequency and an orientation. The pattern g, the
    colour of an image, has one entry per channel. For signals with several channels,
    volumes and videos, the wave vector has one to three entries. The estimator's
    parameter ``modulation`` lets amplitude and phase vary over the signal.

    Parameters
    ----------
    patterns : {"real", "complex"}, default="real"
        "real" gives all channels the same phase. "complex" gives each channel a phase
        of its own, as waves have that reach the channels one after the other: an atom
        is ``A Im(g_c exp(i (2 pi f t + phi)))``. It has one parameter per channel more.

    Examples
    --------
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.atoms import PlaneWave
    >>> # The same as atoms="plane_wave".
    >>> est = SpectralDictionaryLearning(signal_shape=(8, 8), atoms=PlaneWave())
    """

    def __init__(self, patterns: str = "real"):
        self.patterns = patterns

    @property
    def complex_patterns(self) -> bool:  # type: ignore[override]
        """Whether each channel has a phase of its own."""
        return self.patterns == "complex"

    def runs_on(self, grid: Grid) -> Grid:
        """Return the grid of the signals themselves.

        Parameters
        ----------
        grid : Grid
            Axes, channels and sampling rate of the signals.

        Returns
        -------
        wave_grid : Grid
            The same grid: the waves run along all axes except that of the channels.

        Raises
        ------
        ValueError
            If ``grid`` has one axis and one channel.
        ValueError
            If ``patterns`` is neither "real" nor "complex".
        """
        if self.patterns not in ("real", "complex"):
            raise ValueError(
                f"PlaneWave(patterns={self.patterns!r}) must be 'real' or 'complex'. "
                "Pass patterns='complex' to give each channel a phase of its own."
            )
        if grid.n_axes == 1 and grid.channels == 1:
            raise ValueError(
                "atoms='plane_wave' needs images or several channels, but the signals "
                f"have signal_shape={grid.shape}. Pass signal_shape=(height, width) or "
                "(height, width, channels), or use atoms='sinusoid'."
            )
        return grid
