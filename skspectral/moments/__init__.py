"""What is known of the data: moments of its rows, and second moments as operators.

X -> `Moments` -> `SecondMoment`. Everything after this room sees the data only through
the mean and a `SecondMoment`. A new kind of second moment is a subclass in a file here.
"""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.moments.moments import Moments
from skspectral.moments.second_moment import (
    DenseMoment,
    FactorMoment,
    SecondMoment,
    SumMoment,
)
from skspectral.moments.stationary import StationaryMoment

__all__ = [
    "DenseMoment",
    "FactorMoment",
    "Moments",
    "SecondMoment",
    "StationaryMoment",
    "SumMoment",
]
