"""From the parameters of an estimator to a plan of learning."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from typing import Any

import numpy as np
import torch
from sklearn.utils.validation import check_is_fitted

from skspectral._device import as_tensor
from skspectral._sklearn_compat import as_numbers
from skspectral._validation import check_signal_shape
from skspectral.dictionary.atoms import BasisWaves, DriftingWaves
from skspectral.dictionary.axes import WaveAxes
from skspectral.dictionary.descent import Settings
from skspectral.dictionary.learning import LearningPlan
from skspectral.dictionary.network import NetworkWaves
from skspectral.dictionary.starts import Start
from skspectral.dictionary.stft import STFT
from skspectral.dictionary.stochastic import SpectralLoss
from skspectral.dictionary.waves import Waves
from skspectral.modulation import BasisModulation, MLPModulation


def plan_learning(
    estimator: Any,
    n_features: int,
    dtype: torch.dtype,
    device: torch.device,
    stream: np.random.Generator,
    *,
    go_on: bool,
    in_pieces: bool,
) -> LearningPlan:
    """Plan for data of ``n_features``; with ``go_on`` from the estimator's own atoms.

    Raises
    ------
    ValueError
        If a parameter does not fit the data, or another parameter.
    """
    shape = check_signal_shape(estimator.signal_shape, n_features)
    axes = wave_axes(estimator.atoms, shape)
    plain = BasisWaves.plain(axes, device)
    model = drifting_waves(estimator.modulation, shape, plain, device, stream)
    n_atoms = _n_atoms(estimator.n_components, n_features)
    if estimator.solver == "gauss-newton" and not model.separable:
        raise ValueError(
            "solver='gauss-newton' needs atoms without common parameters, not the "
            "network of modulation='mlp'. Use solver='auto' or 'lbfgs'."
        )
    stft = check_stft(estimator, n_features)
    spectral = SpectralLoss(stft, estimator.stft_weight)
    return LearningPlan(
        n_atoms=n_atoms,
        plain=plain,
        model=model,
        start=_start(estimator, n_atoms, model, device, stream, go_on=go_on),
        settings=Settings(
            ridge=estimator.ridge,
            max_iter=estimator.max_iter,
            tol=estimator.tol,
            dtype=dtype,
            method=estimator.solver,
            learning_rate=estimator.learning_rate,
        ),
        spectral=spectral if estimator.stft_weight > 0 else None,
        in_pieces=in_pieces,
    )


def _n_atoms(n_components: int | None, n_features: int) -> int:
    if n_components is None:
        return min(64, n_features)
    if n_components > n_features:
        raise ValueError(
            f"n_components={n_components} must not be larger than "
            f"n_features={n_features}: more atoms than features are dependent."
        )
    return n_components


def wave_axes(atoms: str, shape: tuple[int, ...]) -> WaveAxes:
    """Axes of the waves that ``atoms`` names, for signals of a shape."""
    if atoms == "sinusoid":
        return WaveAxes((math.prod(shape),))
    if len(shape) == 1:
        raise ValueError(
            f"atoms={atoms!r} needs images: pass signal_shape=(height, width) or "
            "(height, width, channels)."
        )
    return WaveAxes(shape[:2], *shape[2:])


def drifting_waves(
    modulation: Any,
    shape: tuple[int, ...],
    plain: BasisWaves,
    device: torch.device,
    stream: np.random.Generator,
) -> DriftingWaves:
    """The atoms' final form; ``plain`` itself without modulation."""
    if modulation is None:
        return plain
    if isinstance(modulation, str):
        modulation = {"basis": BasisModulation, "mlp": MLPModulation}[modulation]()
    axes = plain.axes
    # Plane waves have a colour in place of functions of the channel.
    flat = len(axes.sizes) == 1
    of_shape, repeats = (shape, 1) if flat else (axes.sizes, axes.channels)
    if isinstance(modulation, BasisModulation):
        basis, constant = modulation.functions(of_shape)
        return BasisWaves(axes, np.repeat(basis, repeats, axis=1), constant, device)
    inputs = np.repeat(modulation.inputs(of_shape), repeats, axis=1)
    hidden = modulation.first_layers(len(inputs), stream)
    if "frequency" in modulation.modulated and not flat:
        raise ValueError(
            f"MLPModulation(modulated={modulation.modulated!r}): a plane wave has a "
            "wave vector; modulate its amplitude and phase."
        )
    return NetworkWaves(axes, inputs, hidden, modulation.modulated, device)


def check_stft(estimator: Any, n_features: int) -> STFT:
    """The short-time transform of the parameters, checked if one will be made."""
    window, hop = estimator.stft_window, estimator.stft_hop
    if hop is None:
        hop = max(1, window // 4)
    used = estimator.stft_weight > 0 or estimator.transform_stft_weight > 0
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


def _start(
    estimator: Any,
    n_atoms: int,
    model: DriftingWaves,
    device: torch.device,
    stream: np.random.Generator,
    *,
    go_on: bool,
) -> Start:
    init = estimator.init
    if go_on:
        name = "partial_fit or warm_start=True goes on, but this estimator"
        advice = "Call fit with warm_start=False to begin anew"
        return _from_fitted(estimator, name, advice, n_atoms, model, device)
    if isinstance(init, str):
        return Start(init, stream=stream)
    if hasattr(init, "fit"):
        unfitted = "init=%(name)s must be fitted; in a grid search, as FrozenEstimator."
        check_is_fitted(init, msg=unfitted)
        advice = "Pass another init"
        return _from_fitted(init, f"init={init!r}", advice, n_atoms, model, device)
    return Start(frequencies=_given(estimator, n_atoms, model.axes, device))


def _given(
    estimator: Any, n_atoms: int, axes: WaveAxes, device: torch.device
) -> torch.Tensor:
    """Frequencies given by the user, in cycles along each axis, shape (K, D)."""
    n_axes = len(axes.sizes)
    given = _numbers(estimator.init)
    shape = (n_atoms,) if n_axes == 1 else (n_atoms, n_axes)
    if given.shape != shape or not np.isfinite(given).all():
        raise ValueError(
            f"init of shape {given.shape} must be finite frequencies of shape {shape}, "
            "one for each atom."
        )
    frequencies = given.reshape(n_atoms, n_axes) / frequency_units(estimator, axes)
    return as_tensor(frequencies, device, torch.float64)


def _numbers(init: Any) -> np.ndarray:
    try:
        return as_numbers(init)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"init={init!r} must be 'greedy', 'spectrum', 'random', an array of "
            "frequencies, or a fitted estimator."
        ) from error


def frequency_units(estimator: Any, axes: WaveAxes) -> np.ndarray:
    """What a cycle along each axis is in public units, shape (D,)."""
    rate = estimator.sampling_rate
    return np.array([1.0 if rate is None else rate / size for size in axes.sizes])


def _from_fitted(
    fitted: Any,
    name: str,
    advice: str,
    n_atoms: int,
    model: DriftingWaves,
    device: torch.device,
) -> Start:
    """Start at the atoms of a fitted estimator, with their drift if it is alike."""
    learned = getattr(fitted, "_learned", None)
    if learned is None or learned["n_features"] != model.axes.n_features:
        raise ValueError(
            f"{name} was not fitted by SpectralDictionaryLearning to signals of "
            f"{model.axes.n_features} features. {advice}."
        )
    if learned["form"] == model.form:
        params = as_tensor(learned["params"], device, torch.float64)
        return Start("params", params=params)
    if learned["sizes"] != model.axes.sizes:
        raise ValueError(
            f"{name} has atoms of another kind: its waves run along axes of "
            f"{learned['sizes']} samples, not {model.axes.sizes}. {advice}."
        )
    parts = (learned[name] for name in ("frequency", "phase", "colour"))
    waves = Waves.of(*(as_tensor(part, device, torch.float64) for part in parts))
    # They are ordered by the variance they add: the first are the best to keep.
    return Start("waves", waves=waves.at(torch.arange(min(n_atoms, len(waves.phase)))))
