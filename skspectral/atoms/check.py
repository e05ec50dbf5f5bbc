"""Checks of a family of atoms before it is used."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Sequence

import numpy as np
import torch

from skspectral.atoms.family import AtomFamily, AtomModel, row_jacobian
from skspectral.atoms.waves import Waves
from skspectral.grid import Grid

_N_ATOMS = 3
# Step of central differences, and the error of a derivative that is allowed, relative
# to the largest one.
_STEP, _TOLERANCE = 1e-5, 1e-5
_LEAST_COSINE = 0.5
# Attributes that every fit sets, without their underscore.
_RESERVED = {
    *("amplitudes", "basis", "colors", "components", "converged", "frequencies"),
    *("explained_variance_ratio", "feature_names_in", "history", "mean", "model"),
    *("moments", "n_features_in", "n_iter", "n_samples_seen", "noise_variance"),
    *("orientations", "phases", "prior", "shrinkage", "wave_vectors"),
    "window_centers",
}


def check_atom_family(
    family: AtomFamily,
    signal_shape: Sequence[int] = (32,),
    *,
    sampling_rate: float | None = None,
    random_state: int = 0,
) -> None:
    """Check a family of atoms on signals of one shape.

    Atoms near random plain waves are made. Checked are shapes and types of parameters,
    atoms, derivatives, envelopes and descriptions; whether atoms start near the waves;
    whether the same parameters give the same atoms; whether the parameters of one atom
    leave the others as they are; and the derivatives, by central differences.

    Parameters
    ----------
    family : AtomFamily
    signal_shape : sequence of int, default=(32,)
        As of the estimator.
    sampling_rate : float or None, default=None
    random_state : int, default=0
        Seed of the waves.

    Raises
    ------
    TypeError
        If ``family`` is no instance of `AtomFamily`.
    ValueError
        If a check fails, naming what is wrong.

    Notes
    -----
    Costs 2 p evaluations of a few atoms with p parameters each.

    Examples
    --------
    >>> from skspectral.atoms import Gabor, check_atom_family
    >>> check_atom_family(Gabor(), signal_shape=(8, 8, 3))
    """
    if not isinstance(family, AtomFamily):
        raise TypeError(
            f"atoms={family!r} must be the name of a family of atoms, or an instance "
            "of a class that derives from skspectral.atoms.AtomFamily."
        )
    shape = tuple(signal_shape)
    grid = Grid.of(shape, math.prod(shape), sampling_rate)
    model = AtomModel(family, grid)
    rng = np.random.default_rng(random_state)
    waves = _random_waves(model.wave_grid, rng)
    params = model.start(waves)
    rows = model.rows(params)
    _check_envelopes(model)
    started = params
    _expect(family, "parameters of one atom", rows, (_N_ATOMS, rows.shape[-1]))
    noise = 0.1 * torch.from_numpy(rng.standard_normal(rows.shape))
    params = model.with_rows(params, rows + noise)
    rows = model.rows(params)
    if not torch.equal(rows, model.rows(model.with_rows(params, rows))):
        _fail(family, "with_rows(params, rows(params)) changes the parameters")
    atoms = model.atoms(params)
    _expect(family, "atoms", atoms, (_N_ATOMS, grid.n_features))
    _check_start(model, started, waves)
    if not torch.equal(atoms, model.atoms(params)):
        _fail(family, "the same parameters give other atoms when they are asked again")
    _check_description(model, params)
    _check_derivatives(model, params)


def _random_waves(grid: Grid, rng: np.random.Generator) -> Waves:
    limits = np.maximum(np.array(grid.sizes) / 2, 1)
    frequency = rng.uniform(0.05, 0.45, (_N_ATOMS, grid.n_axes)) * limits
    colour = rng.uniform(0.2, 1, (_N_ATOMS, grid.channels))
    colour /= np.linalg.norm(colour, axis=1, keepdims=True)
    phase = rng.uniform(0, math.pi, _N_ATOMS)
    return Waves.of(*map(torch.from_numpy, (frequency, phase, colour)))


def _check_description(model: AtomModel, params: torch.Tensor) -> None:
    described, on = model.describe(params), model.wave_grid
    waves = described.waves
    for name, value, shape in (
        ("frequencies", waves.frequency, (_N_ATOMS, on.n_axes)),
        ("phases", waves.phase, (_N_ATOMS,)),
        ("colours", waves.colour, (_N_ATOMS, on.channels)),
        ("amplitudes", described.amplitude, (_N_ATOMS,)),
    ):
        _expect(model.family, name, value, shape)
    folded = waves.fold(on.sizes)
    for name in ("frequency", "phase", "colour"):
        value, expected = getattr(waves, name), getattr(folded, name)
        if not torch.allclose(value, expected, atol=1e-9):
            _fail(model.family, f"the {name} of describe is not folded: see Waves.fold")
    for name, value in described.extras.items():
        if not name.isidentifier() or name in _RESERVED:
            _fail(model.family, f"extras[{name!r}] cannot be an attribute of its own")
        _expect(model.family, name, value, (_N_ATOMS, *value.shape[1:]))


def _check_envelopes(model: AtomModel) -> None:
    envelopes = model.envelopes(torch.device("cpu"))
    if envelopes is None:
        return
    shape = tuple(envelopes.shape)
    if len(shape) != 2 or shape[0] == 0 or shape[1] != model.grid.n_features:
        _fail(
            model.family,
            f"envelopes have the shape {shape}, not (n, {model.grid.n_features})",
        )
    if envelopes.dtype not in (torch.float64, torch.complex128):
        _fail(
            model.family, f"envelopes are {envelopes.dtype}, not float64 or complex128"
        )
    if not bool(torch.isfinite(envelopes.abs()).all()):
        _fail(model.family, "envelopes are not finite")


def _check_start(model: AtomModel, params: torch.Tensor, waves: Waves) -> None:
    """The first atoms are near the waves that they start at."""
    on = model.wave_grid
    places = on.coordinates(params.device) + 0.5
    angle = 2 * math.pi * (waves.frequency @ places) + waves.phase[:, None]
    plain = (waves.colour @ on.channel_indicator(params.device)) * angle.sin()
    cosine = torch.cosine_similarity(plain, model.atoms(params), dim=1).abs()
    if not bool((cosine > _LEAST_COSINE).all()):
        _fail(
            model.family,
            f"atoms of new_atoms have a cosine of {float(cosine.min()):.2g} with the "
            f"plain waves they start at, not more than {_LEAST_COSINE}",
        )


def _check_derivatives(model: AtomModel, params: torch.Tensor) -> None:
    rows = model.rows(params)
    n_params, n_features = rows.shape[1], model.grid.n_features
    slopes = torch.empty(_N_ATOMS, n_params, n_features, dtype=torch.float64)
    for j in range(n_params):
        step = torch.zeros_like(rows)
        step[:, j] = _STEP
        ahead, behind = (
            model.atoms(model.with_rows(params, rows + sign * step)) for sign in (1, -1)
        )
        slopes[:, j] = (ahead - behind) / (2 * _STEP)
    if model.separable:
        jacobian = model.jacobian(params, torch.float64)
        _expect(model.family, "jacobian", jacobian, slopes.shape)
        _check_others_stay(model, params)
    else:
        # The derivatives by shared parameters have no oracle here that is as cheap.
        jacobian = row_jacobian(
            lambda moved: model.atoms(model.with_rows(params, moved)), rows
        )
    error = float((jacobian - slopes).abs().max())
    if error > _TOLERANCE * max(1.0, float(slopes.abs().max())):
        worst = int((jacobian - slopes).abs().amax((0, 2)).argmax())
        _fail(
            model.family,
            f"the derivative by parameter {worst} of an atom differs by {error:.2g} "
            "from central differences",
        )


def _check_others_stay(model: AtomModel, params: torch.Tensor) -> None:
    rows = model.rows(params).clone()
    rows[0] += 0.1
    moved = model.atoms(model.with_rows(params, rows))
    if not torch.equal(moved[1:], model.atoms(params)[1:]):
        _fail(
            model.family,
            "the parameters of one atom change another one: set separable = False",
        )


def _expect(
    family: AtomFamily, name: str, value: torch.Tensor, shape: tuple[int, ...]
) -> None:
    """Raise a ValueError unless a float64 tensor has a shape and is finite."""
    if tuple(value.shape) != tuple(shape):
        _fail(family, f"{name} have the shape {tuple(value.shape)}, not {shape}")
    if value.dtype != torch.float64:
        _fail(family, f"{name} are {value.dtype}, not float64")
    if not bool(value.isfinite().all()):
        _fail(family, f"{name} are not finite")


def _fail(family: AtomFamily, problem: str) -> None:
    raise ValueError(f"atoms={family!r} cannot be used: {problem}.")
