"""Plane waves of images, with a colour."""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.atoms.sinusoid import Sinusoid
from skspectral.grid import Grid


class PlaneWave(Sinusoid):
    """Plane waves g_c A sin(2 pi (u y + v x) + phi) over rows and columns of images.

    The wave vector (u, v) gives a frequency and an orientation; the colour g has a
    number for each channel.

    Examples
    --------
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.atoms import PlaneWave
    >>> est = SpectralDictionaryLearning(signal_shape=(8, 8), atoms=PlaneWave())
    """

    def runs_on(self, grid: Grid) -> Grid:
        """Return the grid of the image.

        Raises
        ------
        ValueError
            If the signals are no images.
        """
        if not grid.is_image:
            raise ValueError(
                "atoms='plane_wave' needs images: pass signal_shape=(height, width) or "
                "(height, width, channels)."
            )
        return grid
