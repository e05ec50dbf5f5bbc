"""Checks that a family of atoms follows the interface."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Sequence

import numpy as np
import torch

from skspectral.atoms.derivatives import DenseDerivatives
from skspectral.atoms.family import AtomFamily, AtomModel, row_jacobian
from skspectral.atoms.waves import Waves
from skspectral.grid import Grid

_N_ATOMS = 3
# Step of the central differences.
_STEP = 1e-5
# Largest accepted error of a derivative, as a fraction of the largest derivative.
_TOLERANCE = 1e-5
# Smallest accepted |cosine| between an atom of `new_atoms` and its plain wave.
_MIN_COSINE = 0.5
# Fitted attributes of the estimator, without their final underscore.
_RESERVED = {
    *("amplitudes", "basis", "colors", "components", "converged", "explained_variance"),
    *("explained_variance_ratio", "feature_names_in", "frequencies", "history", "mean"),
    *("model", "moments", "n_components", "n_features_in", "n_iter", "n_samples_seen"),
    *("noise_variance", "orientations", "phases", "prior", "second_moment_error"),
    *("shrinkage", "wave_vectors", "window_centers"),
}


def check_atom_family(
    family: AtomFamily,
    signal_shape: Sequence[int] = (32,),
    *,
    sampling_rate: float | Sequence[float] | None = None,
    channel_axis: int | str | None = "auto",
    random_state: int = 0,
) -> None:
    """Check that a family of atoms follows the interface of `AtomFamily`.

    The function starts three atoms at random plain waves and checks that

    - parameters, atoms, derivatives, envelopes and descriptions have the right shapes
      and types and finite values;
    - each atom starts near its plain wave;
    - equal parameters give equal atoms;
    - the parameters of one atom do not change other atoms, if the family is separable;
    - the derivatives agree with central differences, in both forms.

    Parameters
    ----------
    family : AtomFamily
        Family to check.
    signal_shape : sequence of int, default=(32,)
        Shape of the signals on which the family is checked: (length,), (height, width)
        or (height, width, channels). Use the shape of your data.
    sampling_rate : float, sequence of float or None, default=None
        Number of samples per unit of time or length, one for all axes or one per axis.
        None means that frequencies are in cycles per signal.
    channel_axis : int, "auto" or None, default="auto"
        Axis of the channels in ``signal_shape``. "auto" means the last of three or four
        axes, and None means that there are no channels.
    random_state : int, default=0
        Seed of the random plain waves.

    Raises
    ------
    TypeError
        If ``family`` is not an instance of `AtomFamily`.
    ValueError
        If a check fails. The message says which one.

    Notes
    -----
    With p parameters per atom, the check computes the three atoms about 2 p times.

    Examples
    --------
    >>> from skspectral.atoms import Gabor, check_atom_family
    >>> check_atom_family(Gabor(), signal_shape=(8, 8, 3))  # It raises no error.
    """
    if not isinstance(family, AtomFamily):
        raise TypeError(
            f"atoms={family!r} must be the name of a family of atoms, such as 'gabor', "
            "or an instance of a class that derives from skspectral.atoms.AtomFamily."
        )
    shape = tuple(signal_shape)
    grid = Grid.of(shape, math.prod(shape), sampling_rate, channel_axis)
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
        _fail(
            family,
            "with_rows(params, rows(params)) differs from params. Return parameters "
            "that hold exactly the given rows",
        )
    atoms = model.atoms(params)
    _expect(family, "atoms", atoms, (_N_ATOMS, grid.n_features))
    _check_start(model, started, waves)
    if not torch.equal(atoms, model.atoms(params)):
        _fail(
            family,
            "two calls of atoms with the same parameters return different atoms. Draw "
            "no random numbers in atoms, and store nothing between calls",
        )
    _check_description(model, params)
    _check_derivatives(model, params)


def _random_waves(grid: Grid, rng: np.random.Generator) -> Waves:
    """Draw plain waves with frequencies well between zero and the Nyquist frequency."""
    limits = np.maximum(np.array(grid.sizes) / 2, 1)
    frequency = rng.uniform(0.05, 0.45, (_N_ATOMS, grid.n_axes)) * limits
    colour = rng.uniform(0.2, 1, (_N_ATOMS, grid.channels))
    colour /= np.linalg.norm(colour, axis=1, keepdims=True)
    phase = rng.uniform(0, math.pi, _N_ATOMS)
    return Waves.of(*map(torch.from_numpy, (frequency, phase, colour)))


def _check_description(model: AtomModel, params: torch.Tensor) -> None:
    """Check the shapes of a description, that its waves are folded, and its names."""
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
            _fail(
                model.family,
                f"describe returns a {name} that is not folded. Return "
                "waves.fold(self.runs_on(grid).sizes)",
            )
    for name, value in described.extras.items():
        if not name.isidentifier() or name in _RESERVED:
            _fail(
                model.family,
                f"extras[{name!r}] of describe cannot become an attribute {name}_, "
                "because the name is taken or is not an identifier. Choose another key",
            )
        parts = torch.view_as_real(value) if value.is_complex() else value
        _expect(model.family, name, parts, (_N_ATOMS, *parts.shape[1:]))


def _check_envelopes(model: AtomModel) -> None:
    """Check the shape, the type and the values of the envelopes."""
    envelopes = model.envelopes(torch.device("cpu"))
    if envelopes is None:
        return
    shape = tuple(envelopes.shape)
    if len(shape) != 2 or shape[0] == 0 or shape[1] != model.grid.n_features:
        _fail(
            model.family,
            f"envelopes have the shape {shape}, but must have the shape "
            f"(n_envelopes, {model.grid.n_features}) with n_envelopes > 0",
        )
    if envelopes.dtype not in (torch.float64, torch.complex128):
        _fail(
            model.family,
            f"envelopes have the type {envelopes.dtype}, but must be float64 or "
            "complex128",
        )
    if not bool(torch.isfinite(envelopes.abs()).all()):
        _fail(model.family, "envelopes have NaN or infinite values")


def _check_start(model: AtomModel, params: torch.Tensor, waves: Waves) -> None:
    """Check that the atoms are similar to the plain waves at which they start."""
    on = model.wave_grid
    places = on.coordinates(params.device) + 0.5
    angle = 2 * math.pi * (waves.frequency @ places) + waves.phase[:, None]
    plain = (waves.colour @ on.channel_indicator(params.device)) * angle.sin()
    cosine = torch.cosine_similarity(plain, model.atoms(params), dim=1).abs()
    if not bool((cosine > _MIN_COSINE).all()):
        _fail(
            model.family,
            f"an atom of new_atoms has an absolute cosine of {float(cosine.min()):.2g} "
            f"with the plain wave it starts at, but must have more than {_MIN_COSINE}. "
            "Return parameters of atoms that are similar to the given waves",
        )


def _check_derivatives(model: AtomModel, params: torch.Tensor) -> None:
    """Compare the derivatives with central differences."""
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
        _check_operator(model, params, jacobian)
        _check_others_stay(model, params)
    else:
        # Only derivatives with respect to rows are checked: central differences over
        # all shared parameters would cost too much.
        jacobian = row_jacobian(
            lambda moved: model.atoms(model.with_rows(params, moved)), rows
        )
    error = float((jacobian - slopes).abs().max())
    if error > _TOLERANCE * max(1.0, float(slopes.abs().max())):
        worst = int((jacobian - slopes).abs().amax((0, 2)).argmax())
        _fail(
            model.family,
            f"the derivative of an atom with respect to its parameter {worst} differs "
            f"by {error:.2g} from central differences. Correct slopes or jacobian, or "
            "leave jacobian to automatic differentiation",
        )


def _check_operator(
    model: AtomModel, params: torch.Tensor, jacobian: torch.Tensor
) -> None:
    """Compare the products of `AtomFamily.derivatives` with those of the jacobian."""
    found = model.derivatives(params, torch.float64)
    dense = DenseDerivatives(jacobian)
    rows, change = jacobian[:, 0], params + 1
    for name, one, two in (
        ("combine", found.combine(change), dense.combine(change)),
        ("along", found.along(rows), dense.along(rows)),
        ("along_all", found.along_all(rows), dense.along_all(rows)),
        ("gram", found.gram(), dense.gram()),
    ):
        if one.shape != two.shape or not torch.allclose(
            one, two, rtol=0, atol=1e-9 * max(1.0, float(two.abs().max()))
        ):
            _fail(
                model.family,
                f"{name} of derivatives differs from the products of jacobian. Correct "
                "derivatives, or leave it out",
            )


def _check_others_stay(model: AtomModel, params: torch.Tensor) -> None:
    """Check that the parameters of one atom do not change the other atoms."""
    rows = model.rows(params).clone()
    rows[0] += 0.1
    moved = model.atoms(model.with_rows(params, rows))
    if not torch.equal(moved[1:], model.atoms(params)[1:]):
        _fail(
            model.family,
            "the parameters of one atom change another atom. Set separable = False on "
            "the class",
        )


def _expect(
    family: AtomFamily, name: str, value: torch.Tensor, shape: tuple[int, ...]
) -> None:
    """Raise a ValueError unless a tensor is finite, float64, and of one shape."""
    if tuple(value.shape) != tuple(shape):
        _fail(
            family,
            f"{name} have the shape {tuple(value.shape)}, but must have the shape "
            f"{tuple(shape)}",
        )
    if value.dtype != torch.float64:
        _fail(family, f"{name} have the type {value.dtype}, but must be float64")
    if not bool(value.isfinite().all()):
        _fail(family, f"{name} have NaN or infinite values")


def _fail(family: AtomFamily, problem: str) -> None:
    """Raise the ValueError that names the family and the problem."""
    raise ValueError(f"atoms={family!r} cannot be used: {problem}.")
