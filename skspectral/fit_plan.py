"""From the parameters of the estimator to a plan of its fit.

`FitPlan.from_params` is the only reader of parameter names outside the estimator.
"""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from skspectral._device import as_tensor
from skspectral._sklearn_compat import as_numbers
from skspectral.atoms import FAMILIES, MODULATIONS, check_atom_family
from skspectral.atoms.family import AtomFamily, AtomModel
from skspectral.atoms.waves import Waves
from skspectral.atoms.windows import check_windows, smooth_windows
from skspectral.grid import Grid
from skspectral.learning.descent import Settings
from skspectral.learning.dictionary import LearningPlan
from skspectral.learning.starts import Start
from skspectral.learning.stochastic import SpectralLoss
from skspectral.model import Dictionary, LinearModel
from skspectral.stft import STFT


@dataclass(frozen=True)
class FitPlan:
    """What to learn from rows of one length, and how.

    ``learning`` is the plan for the atoms, ``center`` whether the mean is a part of the
    model, ``shrinkage`` the weight of the stationary part of the covariance, or "auto",
    and ``whiten`` whether codes become white.
    Large products, and the learned atoms, have the type ``dtype``.
    """

    grid: Grid
    learning: LearningPlan
    center: bool
    whiten: bool
    shrinkage: float | str
    window_counts: tuple[int, ...] | None
    batch_size: int | None
    dtype: torch.dtype
    device: torch.device

    @classmethod
    def from_params(
        cls,
        params: Mapping[str, Any],
        n_features: int,
        dtype: torch.dtype,
        device: torch.device,
        rng: np.random.Generator,
        *,
        fitted: LinearModel | None = None,
        in_pieces: bool = False,
    ) -> "FitPlan":
        """Return the plan that parameters of `SpectralDictionaryLearning` ask for.

        ``params`` are as ``get_params(deep=False)`` gives them. A random start takes
        its numbers from ``rng``. The atoms of a ``fitted`` model are the start in place
        of ``init``; ``in_pieces`` says that other rows were seen before, and that
        ``init`` is tried as well.

        Raises
        ------
        ValueError
            If a parameter does not fit the data, or another parameter.
        TypeError
            If ``atoms`` is no family of atoms.
        """
        grid = Grid.of(params["signal_shape"], n_features, params["sampling_rate"])
        carrier = AtomModel(_family(params["atoms"], grid), grid)
        # Raises if there are no such waves on the grid.
        on = carrier.wave_grid
        model = AtomModel(_modulated(carrier, params["modulation"], rng), grid)
        if model.family is carrier.family:
            model = carrier
        n_atoms = _n_atoms(params["n_components"], n_features)
        if params["solver"] == "gauss-newton" and not model.separable:
            raise ValueError(
                "solver='gauss-newton' needs atoms without common parameters, not the "
                "network of modulation='mlp'. Use solver='auto' or 'lbfgs'."
            )
        stft = stft_from_params(params, n_features)
        spectral = None
        if params["stft_weight"] > 0:
            spectral = SpectralLoss(stft, params["stft_weight"])
        second = None
        if fitted is not None:
            if in_pieces:
                # More rows may have made another minimum better.
                second = _start(params["init"], n_atoms, model, on, device, rng)
            start = _from_fitted(
                fitted,
                "partial_fit or warm_start=True goes on, but this estimator",
                "Call fit with warm_start=False to begin anew",
                n_atoms,
                model,
                device,
            )
        else:
            start = _start(params["init"], n_atoms, model, on, device, rng)
        windows, counts = None, None
        if params["windows"] is not None:
            counts = check_windows(params["windows"], grid, n_atoms)
            windows = as_tensor(smooth_windows(grid, counts)[0], device)
        return cls(
            grid=grid,
            learning=LearningPlan(
                n_atoms=n_atoms,
                carrier=carrier,
                model=model,
                start=start,
                settings=Settings(
                    ridge=params["ridge"],
                    max_iter=params["max_iter"],
                    tol=params["tol"],
                    dtype=dtype,
                    method=params["solver"],
                    learning_rate=params["learning_rate"],
                ),
                spectral=spectral,
                in_pieces=in_pieces,
                second=second,
                windows=windows,
            ),
            center=params["center"],
            whiten=params["whiten"],
            shrinkage=params["shrinkage"] or 0.0,
            window_counts=counts,
            batch_size=params["batch_size"],
            dtype=dtype,
            device=device,
        )


def stft_from_params(params: Mapping[str, Any], n_features: int) -> STFT:
    """The short-time transform that parameters ask for, checked if it is used.

    Raises
    ------
    ValueError
        If its window is longer than the signals, or leaves samples out.
    """
    window, hop = params["stft_window"], params["stft_hop"]
    if hop is None:
        hop = max(1, window // 4)
    used = params["stft_weight"] > 0 or params["transform_stft_weight"] > 0
    if used and window > n_features:
        raise ValueError(
            f"stft_window={window} must not be longer than the signal, of "
            f"n_features={n_features}."
        )
    if used and 2 * hop > max(window, 2):
        raise ValueError(
            f"stft_hop={hop} must be at most half of stft_window={window}: samples "
            "between the windows would not be seen."
        )
    return STFT(window, hop)


def _family(atoms: Any, grid: Grid) -> AtomFamily:
    """The family that ``atoms`` names, or a copy of the one that it is, checked."""
    if isinstance(atoms, str):
        if atoms == "auto":
            atoms = "plane_wave" if grid.is_image else "sinusoid"
        return FAMILIES[atoms]()
    check_atom_family(atoms, grid.shape, sampling_rate=grid.sampling_rate)
    return clone(atoms)


def _modulated(
    carrier: AtomModel, modulation: Any, rng: np.random.Generator
) -> AtomFamily:
    """The family with its modulation; itself without one."""
    takes_one = carrier.family.takes_modulation
    if modulation == "auto":
        modulation = "basis" if takes_one else None
    if modulation is None:
        return carrier.family
    if not takes_one:
        raise ValueError(
            f"modulation={modulation!r} cannot be applied to atoms of the family "
            f"{type(carrier.family).__name__}. Pass modulation='auto' or None."
        )
    if isinstance(modulation, str):
        modulation = MODULATIONS[modulation]()
    return clone(modulation).apply_to(carrier.family, carrier.grid, rng)


def _n_atoms(n_components: int | None, n_features: int) -> int:
    if n_components is None:
        return min(64, n_features)
    if n_components > n_features:
        raise ValueError(
            f"n_components={n_components} must not be larger than "
            f"n_features={n_features}: more atoms than features are dependent."
        )
    return n_components


def _start(
    init: Any,
    n_atoms: int,
    model: AtomModel,
    on: Grid,
    device: torch.device,
    rng: np.random.Generator,
) -> Start:
    """Where ``init`` asks to start."""
    if isinstance(init, str):
        return Start(init, rng=rng)
    if hasattr(init, "fit"):
        unfitted = "init=%(name)s must be fitted; in a grid search, as FrozenEstimator."
        check_is_fitted(init, msg=unfitted)
        fitted = getattr(init, "model_", None)
        name, advice = f"init={init!r}", "Pass another init"
        return _from_fitted(fitted, name, advice, n_atoms, model, device)
    return Start(frequencies=_given_frequencies(init, n_atoms, on, device))


def _given_frequencies(
    init: Any, n_atoms: int, on: Grid, device: torch.device
) -> torch.Tensor:
    """Frequencies given by the user, in cycles over each axis, shape (K, D)."""
    try:
        given = as_numbers(init, "init")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"init={init!r} must be 'greedy', 'spectrum', 'random', an array of "
            "frequencies, or a fitted estimator."
        ) from error
    shape = (n_atoms,) if on.n_axes == 1 else (n_atoms, on.n_axes)
    if given.shape != shape or not np.isfinite(given).all():
        advice = ""
        if on.n_axes > 1 and given.shape == (n_atoms,):
            advice = " Those of flattened signals need atoms='sinusoid'."
        raise ValueError(
            f"init of shape {given.shape} must be finite frequencies of shape {shape}, "
            f"one for each atom.{advice}"
        )
    frequencies = given.reshape(n_atoms, on.n_axes) / on.units
    return as_tensor(frequencies, device, torch.float64)


def _from_fitted(
    fitted: Any,
    name: str,
    advice: str,
    n_atoms: int,
    model: AtomModel,
    device: torch.device,
) -> Start:
    """Start at the atoms of a fitted model, with their parameters if it is alike."""
    learned = getattr(fitted, "dictionary", None)
    n_features = model.grid.n_features
    if not isinstance(learned, Dictionary) or learned.grid.n_features != n_features:
        raise ValueError(
            f"{name} was not fitted by SpectralDictionaryLearning to signals of "
            f"{n_features} features. {advice}."
        )
    if learned.atoms.form == model.form:
        params = as_tensor(learned.params, device, torch.float64)
        return Start("params", params=params)
    if learned.wave_grid.sizes != model.wave_grid.sizes:
        raise ValueError(
            f"{name} has atoms of another kind: its waves run along axes of "
            f"{learned.wave_grid.sizes} samples, not {model.wave_grid.sizes}. {advice}."
        )
    parts = learned.frequency, learned.phase, learned.colour
    waves = Waves.of(*(as_tensor(part, device, torch.float64) for part in parts))
    # They are ordered by the variance they add: the first are the best to keep.
    return Start("waves", waves=waves.at(torch.arange(min(n_atoms, len(waves.phase)))))
