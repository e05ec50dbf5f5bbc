"""Sinusoids of the flattened signal."""
# SPDX-License-Identifier: BSD-3-Clause

import torch

from skspectral.atoms.modulated import BasisWaves
from skspectral.grid import Grid


class Sinusoid(BasisWaves):
    """Plain sinusoids A sin(2 pi f t + phi), with t along the flattened signal.

    Equation (2) of Kiruluta (2025) without drift. The parameter ``modulation`` of the
    estimator adds the drift.

    Examples
    --------
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.atoms import Sinusoid
    >>> est = SpectralDictionaryLearning(atoms=Sinusoid())  # the same as "sinusoid"
    """

    takes_modulation = True

    def basis(
        self, grid: Grid, device: torch.device
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the constant function alone."""
        one = torch.ones(1, grid.n_features, dtype=torch.float64, device=device)
        return one, one[0, :1]
