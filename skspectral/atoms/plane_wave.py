"""Plane waves of images, with a colour."""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.atoms.sinusoid import Sinusoid
from skspectral.grid import Grid


class PlaneWave(Sinusoid):
    """Plane waves over the rows and columns of images.

    An atom is ``g_c A sin(2 pi (u y + v x) + phi)``. The wave vector (u, v), in cycles
    per image, determines a frequency and an orientation. The colour g has one entry per
    channel. The estimator's parameter ``modulation`` lets amplitude and phase vary over
    the image.

    Examples
    --------
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.atoms import PlaneWave
    >>> # The same as atoms="plane_wave".
    >>> est = SpectralDictionaryLearning(signal_shape=(8, 8), atoms=PlaneWave())
    """

    def runs_on(self, grid: Grid) -> Grid:
        """Return the grid of the image itself.

        Parameters
        ----------
        grid : Grid
            Axes, channels and sampling rate of the signals.

        Returns
        -------
        wave_grid : Grid
            The same grid: the waves run along rows and columns.

        Raises
        ------
        ValueError
            If ``grid`` is not the grid of an image.
        """
        if not grid.is_image:
            raise ValueError(
                "atoms='plane_wave' needs images, but the signals have "
                f"signal_shape={grid.shape}. Pass signal_shape=(height, width) or "
                "(height, width, channels), or use atoms='sinusoid'."
            )
        return grid
