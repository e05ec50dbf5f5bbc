"""Temporary."""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.moments.scatter import FactorScatter


class SketchScatter(FactorScatter):
    """Temporary."""

    kind = "sketch"

    def __init__(self, grid, size, device):
        super().__init__(grid.n_features, device)
