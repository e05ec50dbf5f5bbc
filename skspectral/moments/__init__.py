"""Moments of the data, and second moments as linear operators.

`Moments` gathers the mean and the scatter of the rows of X. A `Scatter` is the form in
which the scatter is kept: a matrix, the rows, or a sketch. A `SecondMoment` is a
matrix, such as their covariance. Learning uses only its products, its trace and a few
other operations. Learning sees the data only through the mean and a `SecondMoment`,
except where it needs minibatches. A new kind of second moment is one subclass in one
new file.
"""
# SPDX-License-Identifier: BSD-3-Clause

from skspectral.moments.files import load_moments, save_moments
from skspectral.moments.moments import Moments
from skspectral.moments.processes import all_reduce_moments
from skspectral.moments.scatter import DenseScatter, FactorScatter, Scatter
from skspectral.moments.second_moment import (
    DenseMoment,
    FactorMoment,
    SecondMoment,
    SumMoment,
)
from skspectral.moments.sketch import SketchScatter
from skspectral.moments.stationary import StationaryMoment

__all__ = [
    "DenseMoment",
    "DenseScatter",
    "FactorMoment",
    "FactorScatter",
    "Moments",
    "Scatter",
    "SecondMoment",
    "SketchScatter",
    "StationaryMoment",
    "SumMoment",
    "all_reduce_moments",
    "load_moments",
    "save_moments",
]
