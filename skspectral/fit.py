"""One fit, from the samples to moments, atoms, model and prior."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass, replace

import numpy as np
import torch

from skspectral._device import (
    as_array,
    as_tensor,
    keep_freed_memory,
    numpy_dtype,
)
from skspectral._progress import Monitor
from skspectral.atoms.windows import (
    basis_of_dependent,
    windowed_atoms,
    windowed_variance,
)
from skspectral.coding.linear import least_squares_map, orthonormal_basis
from skspectral.coding.whitening import Whitening
from skspectral.fit_plan import FitPlan
from skspectral.fit_rows import FitRows
from skspectral.learning.code_moments import CodeMoments
from skspectral.learning.dictionary import LearnedAtoms, LearningPlan, learn_dictionary
from skspectral.learning.number import choose_number
from skspectral.learning.sparse import learn_sparse
from skspectral.learning.starts import Start
from skspectral.model import Dictionary, LinearModel
from skspectral.moments.moments import Moments
from skspectral.moments.second_moment import FactorMoment, SecondMoment, SumMoment
from skspectral.moments.stationary import best_weight, shrunk, stationary_mean
from skspectral.priors import Prior
from skspectral.priors.protocol import fit_code_prior, fit_prior, try_draw
from skspectral.priors.synthesis import Synthesis

# A residual variance below this fraction of the total variance is a rounding error.
_NOISE_FLOOR = 1e-12
# New rows with less than this fraction of the total sum of squares can change the
# explained variance ratio by this fraction at most.
_NEGLIGIBLE = 1e-3


@dataclass(frozen=True, eq=False)
class FitResult:
    """Result of a fit.

    Attributes
    ----------
    model : LinearModel
        Mean, atoms and noise variance.
    prior : Prior
        Prior, fitted to the coordinates of the model.
    moments : Moments
        Moments of all rows seen so far.
    explained_variance_ratio : ndarray of shape (K,)
        Fraction of ``total_variance`` that each atom adds.
    total_variance : float
        Trace of the second moment, after shrinkage.
    shrinkage : float
        Weight of the stationary covariance.
    history : dict of str to ndarray
        Stage and errors at the start and after each step.
    n_iter : int
        Number of steps, at least 1.
    converged : bool
        Whether the last stage reached its tolerance.
    stopped : bool
        Whether a callback has stopped the learning.
    energy_at_start : float
        Sum of squares of all rows seen when atoms were last learned from the parameter
        ``init``.
    second_moment_error : float
        Bound of the spectral norm of the error of the second moment.
    code_moments : CodeMoments or None
        Sums over all rows and their sparse codes, in the units of the data. None means
        least-squares codes.
    number_criterion : ndarray of shape (n_tried,) or None
        Criterion of 1, 2, .. atoms. None means that the number was given.
    """

    model: LinearModel
    prior: Prior
    moments: Moments
    explained_variance_ratio: np.ndarray
    total_variance: float
    shrinkage: float
    history: dict[str, np.ndarray]
    n_iter: int
    converged: bool
    stopped: bool
    energy_at_start: float
    second_moment_error: float
    code_moments: CodeMoments | None = None
    number_criterion: np.ndarray | None = None


def fit_model(
    rows: FitRows,
    plan: FitPlan,
    prior: Prior,
    monitor: Monitor,
    *,
    earlier: Moments | None = None,
    earlier_codes: CodeMoments | None = None,
    energy_at_start: float | None = None,
) -> FitResult:
    """Learn x = mean + w S + noise, and fit the prior to the coordinates.

    Parameters
    ----------
    rows : FitRows
        The training data, with weights and labels.
    plan : FitPlan
        What to learn, and how.
    prior : Prior
        The prior, which is fitted in place.
    monitor : Monitor
        Receives the progress, and can stop the learning.
    earlier : Moments, default=None
        Moments of the rows of earlier calls. They are not modified.
    earlier_codes : CodeMoments or None, default=None
        Sums over the rows of earlier calls and their sparse codes.
    energy_at_start : float or None, default=None
        ``energy_at_start`` of the result of the earlier calls, if there were any.

    Returns
    -------
    result : FitResult
        Model, prior, moments and history.

    Raises
    ------
    ValueError
        If the samples have no variance, or their squares are out of range.
    ValueError
        If there is a single row, and the prior cannot be fitted from moments; or if
        there is no other row.
    """
    keep_freed_memory()
    n_earlier = 0 if earlier is None else earlier.n_samples
    moments = rows.moments(plan, n_earlier, monitor)
    if moments.n_samples == 1:
        prior.require("moments", "partial_fit of one row")
    if earlier is not None:
        # The earlier moments are merged into the new ones, so that they stay unchanged.
        moments.merge(earlier.moved_to(plan.device))
        if earlier_codes is not None:
            shift = (earlier.mean.to(plan.device) - moments.mean) * plan.center
            earlier_codes = earlier_codes.moved(shift)
    if moments.n_samples < 2:
        raise ValueError(
            f"X has {moments.n_samples} rows, but at least 2 are needed to learn from. "
            "Pass more rows."
        )
    return fit_from_moments(
        moments,
        plan,
        prior,
        monitor,
        rows=rows,
        earlier_codes=earlier_codes,
        energy_at_start=energy_at_start,
    )


def fit_from_moments(
    moments: Moments,
    plan: FitPlan,
    prior: Prior,
    monitor: Monitor,
    *,
    rows: FitRows | None = None,
    earlier_codes: CodeMoments | None = None,
    energy_at_start: float | None = None,
) -> FitResult:
    """Learn atoms, model and prior from the moments of the samples.

    Parameters
    ----------
    moments : Moments
        Moments of all samples, on the device of the plan.
    plan : FitPlan
        What to learn, and how.
    prior : Prior
        The prior, which is fitted in place.
    monitor : Monitor
        Receives the progress, and can stop the learning.
    rows : FitRows or None, default=None
        The samples of the last call. None means that there are only moments.
    earlier_codes : CodeMoments or None, default=None
        Sums over the rows of earlier calls and their sparse codes, for the present
        mean.
    energy_at_start : float or None, default=None
        ``energy_at_start`` of the result of the earlier calls, if there were any.

    Returns
    -------
    result : FitResult
        Model, prior, moments and history.

    Raises
    ------
    ValueError
        If the moments have no weight or no variance, or their squares are out of range.
    ValueError
        If the rows are needed and None: by Adam, by the spectral loss, or by a prior
        that cannot be fitted from moments.
    """
    if prior.capabilities.sparse_codes and plan.prior_coding is None:
        raise ValueError(
            f"prior={prior.name} is a distribution of sparse codes, but `transform` "
            "computes least-squares codes. Pass transform_algorithm='omp', or another "
            "prior."
        )
    if rows is None:
        prior.require("moments", "fit_moments")
        if plan.learning.needs_samples:
            raise ValueError(
                "fit_moments has moments only, but solver='adam', stft_weight > 0, and "
                "learning for sparse codes need the rows of X. Pass other parameters, "
                "or call fit. In a search, use GridSearchCV."
            )
    if moments.weight == 0:
        raise ValueError(
            "All rows have the weight 0, so that there is nothing to learn. Pass a "
            "sample_weight with positive entries."
        )
    moments.check_variance(plan.dtype)
    covariance, shrinkage = _shrunk_covariance(moments, plan, plan.shrinkage)
    mean = moments.mean if plan.center else torch.zeros_like(moments.mean)
    second = covariance
    if not plan.center:
        second = SumMoment([covariance, FactorMoment(moments.mean[None])])
    total = second.trace()
    # With a trace of 1, powers of the second moment cannot overflow.
    C = second.scaled(1 / total)
    learning, batches = plan.learning, None
    energy = total * moments.weight
    if energy_at_start is None:
        energy_at_start = energy
    elif energy - energy_at_start < _NEGLIGIBLE * energy:
        learning = replace(learning, second=None)
    if learning.second is not None:
        energy_at_start = energy
    if learning.needs_samples and rows is not None:
        scale = total**-0.5
        batches = rows.batches(mean, scale, plan)
        learning = learning.in_units(scale)
    code_moments, path = None, None
    if plan.number is not None:
        n_free = moments.weight - plan.center
        path = choose_number(C, learning, plan.number, n_free, monitor)
        start = Start("params", params=path.params)
        learning = replace(learning, n_atoms=path.n_atoms, start=start)
    if learning.coding is None:
        learned = learn_dictionary(C, learning, monitor, batches)
    else:
        assert batches is not None
        if earlier_codes is not None:
            earlier_codes = earlier_codes.in_units(total**-0.5)
        learned, code_moments = learn_sparse(
            C, learning, monitor, batches, earlier_codes
        )
        code_moments = code_moments.in_units(total**0.5)
    model, variance = _model(learned, mean, C, total, plan, moments)
    if plan.whiten:
        _, code_covariance = model.code_moments(model.code_map)
        model = replace(model, whitening=Whitening.of_covariance(code_covariance))
    result = FitResult(
        model=model,
        prior=prior,
        moments=moments,
        explained_variance_ratio=variance,
        total_variance=total,
        shrinkage=shrinkage,
        history=_history(learned, learning, total),
        n_iter=max(1, learned.n_steps),
        converged=learned.converged,
        stopped=learned.stopped,
        energy_at_start=energy_at_start,
        second_moment_error=moments.scatter.error / moments.weight,
        code_moments=code_moments,
        number_criterion=None if path is None else path.criterion,
    )
    return _with_prior(result, prior, plan, monitor, rows, covariance)


def with_prior(
    result: FitResult,
    prior: Prior,
    plan: FitPlan,
    monitor: Monitor,
    rows: FitRows | None,
) -> FitResult:
    """Fit a prior to the coordinates, and return the result with this prior.

    Parameters
    ----------
    result : FitResult
        Model and moments.
    prior : Prior
        The prior, which is fitted in place.
    plan : FitPlan
        Plan of the fit.
    monitor : Monitor
        Receives the progress.
    rows : FitRows or None
        The samples. None means that there are only moments.

    Returns
    -------
    result : FitResult
        The result with the fitted prior.
    """
    covariance, _ = _shrunk_covariance(result.moments, plan, result.shrinkage)
    return _with_prior(result, prior, plan, monitor, rows, covariance)


def _with_prior(
    result: FitResult,
    prior: Prior,
    plan: FitPlan,
    monitor: Monitor,
    rows: FitRows | None,
    covariance: SecondMoment,
) -> FitResult:
    """Call `with_prior`, with the shrunk covariance of the result."""
    model, moments = result.model, result.moments
    with monitor.fitting("prior", prior):
        if prior.capabilities.sparse_codes and rows is not None:
            codes, labels, weights = rows.sparse_codes(model, plan)
            to_coordinates = model.float64()[1] @ model.float64()[2].T
            fit_code_prior(prior, codes, labels, weights, to_coordinates)
        elif prior.capabilities.moments or rows is None:
            coordinates = model.coordinate_mean, model.coordinate_covariance
            if result.shrinkage > 0:
                coordinates = moments.project(model.basis, model.mean, covariance)
            prior.fit_moments(*coordinates, moments.weight)
            try_draw(prior, model.rank)
        else:
            found, labels, weights = rows.coordinates(model, plan)
            fit_prior(prior, found, labels, weights, synthesis_of(model))
    return replace(result, prior=prior)


def _shrunk_covariance(
    moments: Moments, plan: FitPlan, weight: float | str
) -> tuple[SecondMoment, float]:
    """Return the shrunk covariance, and the weight of the stationary part."""
    covariance = moments.covariance()
    if weight == 0:
        return covariance, 0.0
    target = stationary_mean(covariance, plan.grid)
    if isinstance(weight, str):
        fourth = moments.fourth / moments.weight
        weight = best_weight(covariance, target, fourth, moments.weight)
    return shrunk(covariance, target, float(weight)), float(weight)


def _model(
    learned: LearnedAtoms,
    mean: torch.Tensor,
    C: SecondMoment,
    total: float,
    plan: FitPlan,
    moments: Moments,
) -> tuple[LinearModel, np.ndarray]:
    """Return the model, and the fraction of the variance that each atom adds.

    ``C`` is the second moment with the trace 1, and ``total`` is the variance of the
    data.
    """
    dtype, ridge = numpy_dtype(plan.dtype), plan.learning.settings.ridge
    components, variance = learned.components, as_array(learned.variance)
    windows = plan.learning.windows
    if windows is not None:
        components = windowed_atoms(_rounded(components, dtype), windows)
    # All that follows is computed from the rounded atoms, which `components_` shows.
    atoms = _rounded(components, dtype)
    if windows is None and plan.learning.coding is None:
        basis = orthonormal_basis(atoms)
    else:
        basis, kept = basis_of_dependent(atoms)
        variance = windowed_variance(basis, kept, len(atoms), C)
    variance = _at_most_all(variance)
    waves = learned.waves
    dictionary = Dictionary(
        components=as_array(components, dtype),
        atoms=plan.learning.model,
        params=as_array(learned.params),
        frequency=as_array(waves.frequency),
        phase=as_array(waves.phase),
        colour=as_array(waves.colour),
        amplitude=as_array(learned.description.amplitude),
        extras={k: as_array(v) for k, v in learned.description.extras.items()},
        window_counts=plan.window_counts,
    )
    rounded_mean = as_array(mean, dtype)
    coordinate_mean, coordinate_covariance = moments.project(basis, rounded_mean)
    model = LinearModel(
        mean=rounded_mean,
        dictionary=dictionary,
        basis=as_array(basis),
        coordinate_mean=coordinate_mean,
        coordinate_covariance=coordinate_covariance,
        code_map=as_array(least_squares_map(atoms, ridge)),
        noise_variance=_noise(total, float(variance.sum()), C.n_features, len(basis)),
        ridge=ridge,
    )
    return model, variance


def _rounded(atoms: torch.Tensor, dtype: type[np.floating]) -> torch.Tensor:
    """Return the atoms rounded to the dtype of `components_`, in float64."""
    return as_tensor(as_array(atoms, dtype), atoms.device, torch.float64)


def _at_most_all(fractions: np.ndarray) -> np.ndarray:
    """Scale fractions of the variance down if rounding lifts their sum to 1."""
    most = 1 - len(fractions) * np.finfo(np.float64).eps
    return fractions * min(1.0, most / max(fractions.sum(), most))


def _noise(total: float, explained: float, n_features: int, rank: int) -> float:
    """Return the mean variance per dimension outside the span of the atoms.

    ``explained`` is the fraction of the ``total`` variance that the atoms explain.
    """
    residual = max(0.0, 1 - explained)
    return total * max(residual / max(1, n_features - rank), _NOISE_FLOOR / n_features)


def synthesis_of(model: LinearModel) -> Synthesis:
    """Return the map from coordinates to signals, for priors that need signals."""
    mean, _, basis = model.float64()
    grid = model.grid
    if grid.index_of_channels is None:
        return Synthesis(basis, mean, grid.sizes, None)
    # Priors see the channels on the last axis.
    basis, mean = (
        np.moveaxis(grid.signals(part), -1 - grid.n_axes, -1).reshape(part.shape)
        for part in (basis, mean)
    )
    return Synthesis(basis, mean, (*grid.sizes, grid.channels), -1)


def _history(
    learned: LearnedAtoms, plan: LearningPlan, total: float
) -> dict[str, np.ndarray]:
    """Return the mean errors per sample after each step, in the units of the data."""
    steps = learned.history
    squared = np.array([step.squared_error for step in steps])
    stft = np.array([step.stft_error for step in steps])
    penalty = np.array([step.penalty for step in steps])
    weight = 0.0 if plan.spectral is None else plan.spectral.weight
    return {
        "stage": np.array([step.stage for step in steps]),
        "loss": total * (squared + penalty + weight * np.nan_to_num(stft)),
        "squared_error": total * squared,
        "stft_error": total**0.5 * stft,
    }
