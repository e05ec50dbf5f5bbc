"""Restoration of whole images and recordings by models of their patches."""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.restoration.clicks import find_clicks
from skspectral.restoration.noise import estimate_sigma
from skspectral.restoration.operators import ImageOperator
from skspectral.restoration.restorer import PatchRestorer
from skspectral.restoration.signal_restorer import SignalRestorer
from skspectral.restoration.variance_stabilising import PoissonGaussian

__all__ = [
    "ImageOperator",
    "PatchRestorer",
    "PoissonGaussian",
    "SignalRestorer",
    "estimate_sigma",
    "find_clicks",
]
