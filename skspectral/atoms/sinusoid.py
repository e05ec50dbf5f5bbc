"""Sinusoids along the flattened signal."""
# SPDX-License-Identifier: BSD-3-Clause

import torch

from skspectral.atoms.modulated import BasisWaves
from skspectral.grid import Grid


class Sinusoid(BasisWaves):
    """Sinusoids A sin(2 pi f t + phi) along the flattened signal.

    The estimator's parameter ``modulation`` lets amplitude and phase vary over the
    signal.

    References
    ----------
    Equation (2) of Kiruluta (2025), with constant amplitude and phase.

    Examples
    --------
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.atoms import Sinusoid
    >>> # The same as atoms="sinusoid".
    >>> est = SpectralDictionaryLearning(atoms=Sinusoid())
    """

    takes_modulation = True

    def basis(
        self, grid: Grid, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the constant function 1, the only one of plain waves.

        Parameters
        ----------
        grid : Grid
            Axes, channels and sampling rate of the signals.
        device : torch.device
            Device of the result.

        Returns
        -------
        basis : tensor of shape (1, T), float64
            The constant function 1.
        constant : tensor of shape (1,), float64
            The weight 1.
        """
        one = torch.ones(1, grid.n_features, dtype=torch.float64, device=device)
        return one, one[0, :1]
