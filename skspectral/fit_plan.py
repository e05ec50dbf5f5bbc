"""From the parameters of the estimator to a plan of its fit.

Outside the estimator, only this module reads the parameters by their names.
"""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np
import torch
from sklearn.base import clone
from sklearn.utils.validation import check_is_fitted

from skspectral._advice import brief
from skspectral._device import as_tensor
from skspectral._sklearn_compat import as_numbers
from skspectral.atoms import FAMILIES, MODULATIONS, check_atom_family
from skspectral.atoms.family import AtomFamily, AtomModel
from skspectral.atoms.waves import Waves
from skspectral.atoms.windows import check_windows, smooth_windows
from skspectral.coding.sparse import SparseCoding
from skspectral.grid import Grid
from skspectral.learning.descent import Settings
from skspectral.learning.dictionary import LearningPlan
from skspectral.learning.number import NumberRule
from skspectral.learning.starts import Start
from skspectral.learning.stochastic import SpectralLoss
from skspectral.model import Dictionary, LinearModel
from skspectral.stft import STFT

# Largest number of atoms per feature, if atoms are learned for sparse codes.
_MAX_OVERCOMPLETE = 8
# Largest number of atoms that a rule chooses.
_MOST_CHOSEN = 512
# Relative tolerance of limits: frequencies of a fitted estimator are rounded.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class FitPlan:
    """What to learn from rows of a given length, and how.

    Attributes
    ----------
    grid : Grid
        Grid of the signals.
    learning : LearningPlan
        Plan for learning the atoms.
    number : NumberRule or None
        How the number of atoms is chosen, up to that of ``learning``. None means that
        it is given.
    center : bool
        Whether the model has a mean.
    whiten : bool
        Whether the codes are whitened.
    shrinkage : float or "auto"
        Weight of the stationary part of the covariance.
    second_moment : str
        Form of the second moment: "auto", "dense", "factor" or "sketch".
    sketch_size : int or None
        Number of rows of a sketch. None chooses it by the length of a row.
    window_counts : tuple of int or None
        Number of windows along each axis. None means no windows.
    batch_size : int or None
        Number of rows that are processed at a time. None chooses it by the size of a
        row.
    prior_coding : SparseCoding or None
        Sparse codes of `transform`, to which a prior of sparse codes is fitted. None
        means that `transform` computes least-squares codes.
    dtype : torch.dtype
        Type of large matrix products, and of the learned atoms.
    device : torch.device
        Device on which to compute.
    """

    grid: Grid
    learning: LearningPlan
    number: NumberRule | None
    center: bool
    whiten: bool
    shrinkage: float | str
    second_moment: str
    sketch_size: int | None
    window_counts: tuple[int, ...] | None
    batch_size: int | None
    prior_coding: SparseCoding | None
    dtype: torch.dtype
    device: torch.device

    @property
    def needs_tails(self) -> bool:
        """Whether the third and fourth moments of the rows are needed."""
        return self.shrinkage == "auto"

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
        """Return the plan that the parameters of `SpectralDictionaryLearning` specify.

        Parameters
        ----------
        params : mapping of str to object
            Parameters, as ``get_params(deep=False)`` returns them.
        n_features : int
            Number of columns of X.
        dtype : torch.dtype
            Type of large matrix products, and of the learned atoms.
        device : torch.device
            Device on which to compute.
        rng : Generator
            Random numbers for random starts.
        fitted : LinearModel, default=None
            Fitted model whose atoms are the start, in place of ``init``.
        in_pieces : bool, default=False
            Whether other rows were seen before. Learning then also starts from
            ``init``, and keeps the better result.

        Returns
        -------
        plan : FitPlan
            The plan.

        Raises
        ------
        ValueError
            If a parameter does not fit the data, or another parameter.
        TypeError
            If ``atoms`` is not a family of atoms.
        """
        grid = Grid.of(
            params["signal_shape"],
            n_features,
            params["sampling_rate"],
            params["channel_axis"],
        )
        carrier, model = atom_models(params["atoms"], params["modulation"], grid, rng)
        wave_grid = carrier.wave_grid
        coding = learning_coding(params, n_features)
        number = _number_rule(params, model, fitted)
        n_atoms = params["n_components"]
        if number is not None:
            n_atoms = max(1, min(_MOST_CHOSEN, n_features - 1))
        elif _is_rule(n_atoms) and fitted is not None:
            n_atoms = len(fitted.dictionary.phase)
        n_atoms = _n_atoms(n_atoms, n_features, coding is not None)
        if coding is not None:
            _check_sparse(params, model, coding, n_atoms)
        prior_coding = transform_coding(params, n_features, n_atoms)
        if params["solver"] == "gauss-newton" and not model.separable:
            raise ValueError(
                "solver='gauss-newton' needs atoms without common parameters, but the "
                f"atoms share some with atoms={params['atoms']!r} and "
                f"modulation={params['modulation']!r}. Use solver='auto' or 'lbfgs'."
            )
        stft = stft_from_params(params, n_features)
        spectral = None
        if params["stft_weight"] > 0:
            spectral = SpectralLoss(stft, params["stft_weight"])
        second = None
        if fitted is not None:
            if in_pieces and coding is None:
                # With more rows another minimum may have become the better one.
                second = _start(params["init"], n_atoms, model, wave_grid, device, rng)
            start = _from_fitted(
                fitted,
                "partial_fit or warm_start=True continues a fit, but this estimator",
                "Call fit with warm_start=False to start anew",
                n_atoms,
                model,
                device,
            )
        else:
            start = _start(params["init"], n_atoms, model, wave_grid, device, rng)
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
                coding=coding,
            ),
            number=number,
            center=params["center"],
            whiten=params["whiten"],
            shrinkage=params["shrinkage"] or 0.0,
            second_moment=params["second_moment"],
            sketch_size=params["sketch_size"],
            window_counts=counts,
            batch_size=params["batch_size"],
            prior_coding=prior_coding,
            dtype=dtype,
            device=device,
        )


def atom_models(
    atoms: str | AtomFamily, modulation: Any, grid: Grid, rng: np.random.Generator
) -> tuple[AtomModel, AtomModel]:
    """Return the atoms without and with modulation, from the parameters of their names.

    Parameters
    ----------
    atoms : str or AtomFamily
        Kind of the atoms.
    modulation : str, Modulation or None
        Modulation of the atoms.
    grid : Grid
        Grid of the signals.
    rng : Generator
        Random initial parameters of a modulation.

    Returns
    -------
    carrier : AtomModel
        The atoms without modulation.
    model : AtomModel
        The atoms with their modulation; the carrier itself if there is none.

    Raises
    ------
    ValueError
        If there are no such atoms on the grid, or they take no modulation.
    TypeError
        If ``atoms`` is not a family of atoms.
    """
    carrier = AtomModel(_family(atoms, grid), grid)
    # This raises an error if there are no such waves on the grid.
    carrier.wave_grid  # noqa: B018
    model = AtomModel(_modulated(carrier, modulation, rng), grid)
    return carrier, carrier if model.family is carrier.family else model


def stft_from_params(params: Mapping[str, Any], n_features: int) -> STFT:
    """Return the short-time Fourier transform that the parameters specify.

    Raises
    ------
    ValueError
        If the transform is used, and its window is longer than the signals.
    ValueError
        If the transform is used, and its hop is more than half of its window.
    """
    window, hop = params["stft_window"], params["stft_hop"]
    if hop is None:
        hop = max(1, window // 4)
    used = params["stft_weight"] > 0 or params["transform_stft_weight"] > 0
    if used and window > n_features:
        raise ValueError(
            f"stft_window={window} must not be longer than the signal, which has "
            f"n_features={n_features} samples. Pass stft_window={n_features} or less."
        )
    if used and 2 * hop > max(window, 2):
        raise ValueError(
            f"stft_hop={hop} must be at most half of stft_window={window}, because "
            "samples between the windows would have no weight. Pass "
            f"stft_hop={max(1, window // 2)} or less."
        )
    return STFT(window, hop)


def _family(atoms: Any, grid: Grid) -> AtomFamily:
    """Return the family of the parameter ``atoms``: a new one, or a checked copy."""
    if isinstance(atoms, str):
        if atoms == "auto":
            along_axes = grid.n_axes > 1 or grid.channels > 1
            atoms = "plane_wave" if along_axes else "sinusoid"
        return FAMILIES[atoms]()
    check_atom_family(
        atoms,
        grid.shape,
        sampling_rate=grid.sampling_rate,
        channel_axis=grid.index_of_channels,
    )
    return clone(atoms)


def _modulated(
    carrier: AtomModel, modulation: Any, rng: np.random.Generator
) -> AtomFamily:
    """Return the family with its modulation, or the carrier without one."""
    takes_modulation = carrier.family.takes_modulation
    if modulation == "auto":
        modulation = "basis" if takes_modulation else None
    if modulation is None:
        return carrier.family
    if not takes_modulation:
        raise ValueError(
            f"modulation={modulation!r} cannot be applied to atoms of the family "
            f"{type(carrier.family).__name__}. Pass modulation='auto' or None."
        )
    if isinstance(modulation, str):
        modulation = MODULATIONS[modulation]()
    return clone(modulation).apply_to(carrier.family, carrier.grid, rng)


def learning_coding(params: Mapping[str, Any], n_features: int) -> SparseCoding | None:
    """Return the sparse codes for which the atoms are learned, if any.

    Raises
    ------
    ValueError
        If both ``alpha`` and ``n_nonzero_coefs`` are given.
    ValueError
        If ``positive_code`` is True without ``alpha``.
    """
    alpha, n_nonzero = params["alpha"], params["n_nonzero_coefs"]
    positive = bool(params["positive_code"])
    if alpha is not None and n_nonzero is not None:
        raise ValueError(
            f"alpha={alpha!r} and n_nonzero_coefs={n_nonzero!r} are two ways to learn "
            "for sparse codes. Pass one of them, and None for the other."
        )
    if alpha is not None:
        return SparseCoding(
            "lasso",
            alpha=float(alpha),
            positive=positive,
            max_iter=params["transform_max_iter"],
        )
    if n_nonzero is None:
        return None
    if positive:
        raise ValueError(
            f"positive_code=True cannot be used with n_nonzero_coefs={n_nonzero!r}, "
            "because matching pursuit has no positive form. Pass alpha instead."
        )
    return SparseCoding("omp", n_nonzero=n_nonzero)


def transform_coding(
    params: Mapping[str, Any], n_features: int, n_atoms: int
) -> SparseCoding | None:
    """Return the sparse codes that `transform` computes, or None for least squares.

    Raises
    ------
    ValueError
        If the parameters of the sparse codes do not fit each other, or the number of
        atoms.
    """
    algorithm = params["transform_algorithm"]
    positive, learned_for = bool(params["positive_code"]), params["n_nonzero_coefs"]
    if algorithm == "auto":
        algorithm = "lstsq"
        if params["alpha"] is not None:
            algorithm = "lasso_cd"
        elif learned_for is not None:
            algorithm = "omp"
    if algorithm in ("lstsq", "omp") and positive:
        name = params["transform_algorithm"]
        raise ValueError(
            f"positive_code=True cannot be used with transform_algorithm={name!r}. "
            "Pass transform_algorithm='lasso_cd', 'lasso_lars' or 'threshold'."
        )
    if algorithm == "lstsq":
        return None
    for name, off in (("whiten", False), ("transform_stft_weight", 0)):
        if params[name] != off:
            raise ValueError(
                f"{name}={params[name]!r} is for least-squares codes, but "
                f"transform_algorithm={params['transform_algorithm']!r} computes "
                f"sparse ones. Pass {name}={off!r}, or transform_algorithm='lstsq'."
            )
    n_nonzero = params["transform_n_nonzero_coefs"]
    name = "transform_n_nonzero_coefs"
    if n_nonzero is None and learned_for is not None:
        n_nonzero, name = learned_for, "n_nonzero_coefs"
    if n_nonzero is None:
        n_nonzero = min(max(n_features // 10, 1), n_atoms)
    if algorithm == "omp" and n_nonzero > n_atoms:
        raise ValueError(
            f"{name}={n_nonzero!r} must not be larger than the number of atoms, "
            f"{n_atoms}. Pass {name}={n_atoms} or less."
        )
    alpha = params["transform_alpha"]
    if alpha is None:
        alpha = 1.0 if params["alpha"] is None else params["alpha"]
    return SparseCoding(
        algorithm="lasso" if algorithm.startswith("lasso") else algorithm,
        n_nonzero=n_nonzero,
        alpha=float(alpha),
        positive=positive,
        max_iter=params["transform_max_iter"],
    )


def _check_sparse(
    params: Mapping[str, Any], model: AtomModel, coding: SparseCoding, n_atoms: int
) -> None:
    """Raise a ValueError if a parameter does not go with learning for sparse codes."""
    given = "alpha" if coding.algorithm == "lasso" else "n_nonzero_coefs"
    found = f"{given}={params[given]!r}"
    if coding.algorithm == "omp" and coding.n_nonzero > n_atoms:
        raise ValueError(
            f"{found} must not be larger than n_components={n_atoms}. Pass {given}="
            f"{n_atoms} or less."
        )
    if not model.separable:
        raise ValueError(
            f"{found} needs atoms without common parameters, but the atoms share some "
            f"with modulation={params['modulation']!r}. Pass modulation='basis' or "
            "None."
        )
    conflicts = {
        "stft_weight": (0,),
        "solver": ("auto", "gauss-newton"),
        "whiten": (False,),
    }
    if params["windows"] is not None:
        raise ValueError(
            f"{found} learns for sparse codes, which cannot be combined with windows="
            f"{params['windows']!r}. Pass windows=None."
        )
    for name, allowed in conflicts.items():
        if params[name] not in allowed:
            raise ValueError(
                f"{found} learns for sparse codes, which cannot be combined with "
                f"{name}={params[name]!r}. Pass {name}={allowed[0]!r}."
            )


def _is_rule(n_components: Any) -> bool:
    """Return whether a number of atoms is to be chosen."""
    is_share = isinstance(n_components, Real) and not isinstance(n_components, Integral)
    return isinstance(n_components, str) or is_share


def _number_rule(
    params: Mapping[str, Any], model: AtomModel, fitted: LinearModel | None
) -> NumberRule | None:
    """Return the rule by which the number of atoms is chosen, or None.

    A fit that continues an earlier one keeps its number.
    """
    given = params["n_components"]
    if not _is_rule(given) or fitted is not None:
        return None
    needed = {
        "alpha": (None,),
        "n_nonzero_coefs": (None,),
        "windows": (None,),
        "solver": ("auto", "gauss-newton"),
        "init": ("greedy",),
    }
    for name, allowed in needed.items():
        value = params[name]
        if not (value is None or isinstance(value, str)) or value not in allowed:
            raise ValueError(
                f"n_components={given!r} chooses the number of atoms, which cannot be "
                f"combined with {name}={brief(value)}. Pass {name}={allowed[0]!r}, or "
                "an integer as n_components."
            )
    if not model.separable:
        raise ValueError(
            f"n_components={given!r} needs atoms without common parameters, but the "
            f"atoms share some with modulation={params['modulation']!r}. Pass "
            "modulation='basis' or None, or an integer as n_components."
        )
    if isinstance(given, str):
        return NumberRule(given)
    return NumberRule(None, float(given))


def _n_atoms(n_components: int | None, n_features: int, sparse: bool) -> int:
    if n_components is None:
        return min(64, n_features)
    if sparse and n_components > _MAX_OVERCOMPLETE * n_features:
        raise ValueError(
            f"n_components={n_components} must be at most {_MAX_OVERCOMPLETE} times "
            f"n_features={n_features}. Pass n_components="
            f"{_MAX_OVERCOMPLETE * n_features} or less."
        )
    if not sparse and n_components > n_features:
        raise ValueError(
            f"n_components={n_components} must not be larger than "
            f"n_features={n_features}, because more atoms than features are linearly "
            f"dependent. Pass n_components={n_features} or less, or learn more atoms "
            "for sparse codes with n_nonzero_coefs or alpha."
        )
    return n_components


def _start(
    init: Any,
    n_atoms: int,
    model: AtomModel,
    wave_grid: Grid,
    device: torch.device,
    rng: np.random.Generator,
) -> Start:
    """Return the start that the parameter ``init`` specifies."""
    if isinstance(init, str):
        return Start(init, rng=rng)
    if hasattr(init, "fit"):
        unfitted = (
            "init=%(name)s must be fitted before. In a grid search, which clones it, "
            "pass sklearn.frozen.FrozenEstimator(init)."
        )
        check_is_fitted(init, msg=unfitted)
        fitted = getattr(init, "model_", None)
        name, advice = f"init={init!r}", "Pass another init, such as 'greedy'"
        return _from_fitted(fitted, name, advice, n_atoms, model, device)
    return Start(frequencies=_given_frequencies(init, n_atoms, wave_grid, device))


def _given_frequencies(
    init: Any, n_atoms: int, wave_grid: Grid, device: torch.device
) -> torch.Tensor:
    """Return the user's frequencies in cycles over each axis, shape (K, D)."""
    try:
        given = as_numbers(init, "init")
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"init={brief(init)} must be 'greedy', 'spectrum', 'random', an array of "
            "frequencies, or a fitted estimator. Pass, for example, init='greedy'."
        ) from error
    n_axes = wave_grid.n_axes
    shape = (n_atoms,) if n_axes == 1 else (n_atoms, n_axes)
    if given.shape != shape or not np.isfinite(given).all():
        advice = ""
        if n_axes > 1 and given.shape == (n_atoms,):
            advice = " Frequencies along the flattened image need atoms='sinusoid'."
        elif given.shape[1:] == shape[1:] and len(given) != n_atoms:
            advice = f" Pass n_components={len(given)} for {len(given)} frequencies."
        raise ValueError(
            f"init of shape {given.shape} must be an array of finite frequencies of "
            f"shape {shape}, one per atom.{advice}"
        )
    frequencies = given.reshape(n_atoms, n_axes)
    limits = wave_grid.nyquist
    beyond = (np.abs(frequencies) > limits * (1 + _ROUNDING)).any(axis=1)
    if beyond.any():
        limit = " and ".join(f"{each:g}" for each in limits)
        raise ValueError(
            f"init has {beyond.sum()} of {n_atoms} frequencies above the Nyquist "
            f"frequency of {limit} {wave_grid.frequency_unit}, first "
            f"{given[beyond.argmax()].tolist()}. Pass lower frequencies. They are in Hz"
            " only if sampling_rate is given."
        )
    frequencies = frequencies / wave_grid.units
    return as_tensor(frequencies, device, torch.float64)


def _from_fitted(
    fitted: Any,
    name: str,
    advice: str,
    n_atoms: int,
    model: AtomModel,
    device: torch.device,
) -> Start:
    """Return a start at the atoms of a fitted model.

    If both models have the same kind of atoms, the start has all parameters. Otherwise
    it has only the plain waves. ``name`` and ``advice`` are parts of the errors.
    """
    learned = getattr(fitted, "dictionary", None)
    n_features = model.grid.n_features
    if not isinstance(learned, Dictionary) or learned.grid.n_features != n_features:
        raise ValueError(
            f"{name} was not fitted by SpectralDictionaryLearning to signals with "
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
    # The waves are ordered by the variance that they add: the first ones are kept.
    return Start("waves", waves=waves.at(torch.arange(min(n_atoms, len(waves.phase)))))
