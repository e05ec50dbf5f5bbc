"""What the estimator's parameters may be."""
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral, Real

import torch

from skspectral._sklearn_compat import HasMethods, Interval, StrOptions
from skspectral.modulation import BasisModulation, MLPModulation

PARAMETER_CONSTRAINTS = {
    "n_components": [Interval(Integral, 1, None, closed="left"), None],
    "signal_shape": ["array-like", None],
    "atoms": [StrOptions({"sinusoid", "plane_wave"})],
    "init": [
        StrOptions({"greedy", "spectrum", "random"}),
        HasMethods("fit"),
        "array-like",
    ],
    "modulation": [
        StrOptions({"basis", "mlp"}),
        BasisModulation,
        MLPModulation,
        None,
    ],
    "solver": [StrOptions({"auto", "gauss-newton", "lbfgs", "adam"})],
    "stft_weight": [Interval(Real, 0, None, closed="left")],
    "stft_window": [Interval(Integral, 2, None, closed="left")],
    "stft_hop": [Interval(Integral, 1, None, closed="left"), None],
    "transform_stft_weight": [Interval(Real, 0, None, closed="left")],
    "ridge": [Interval(Real, 0, 1, closed="left")],
    "center": ["boolean"],
    "prior": "no_validation",
    "max_iter": [Interval(Integral, 1, None, closed="left")],
    "tol": [Interval(Real, 0, None, closed="left")],
    "learning_rate": [Interval(Real, 0, None, closed="neither")],
    "batch_size": [Interval(Integral, 1, None, closed="left"), None],
    "shrinkage": [Interval(Real, 0, 1, closed="both"), StrOptions({"auto"}), None],
    "sampling_rate": [Interval(Real, 0, None, closed="neither"), None],
    "windows": [Interval(Integral, 1, None, closed="left"), "array-like", None],
    "device": [str, torch.device, None],
    "random_state": ["random_state"],
    "warm_start": ["boolean"],
}
