"""Training of a denoiser: its plan, its steps, and the file of its state."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from sklearn.utils import gen_batches
from torch import Generator, Tensor, nn

from skspectral._device import as_array, as_tensor, training_mode
from skspectral._processes import Processes
from skspectral._progress import Step
from skspectral.priors.denoising.denoiser import Denoiser, Labels
from skspectral.priors.denoising.distribution import PrincipalGaussian
from skspectral.priors.denoising.held_out import HeldOut, split_rows
from skspectral.priors.denoising.model import DiffusionModel
from skspectral.priors.synthesis import Synthesis

# Mean and standard deviation of the logarithm of the noise level, relative to the root
# mean square of the values. Karras et al. (2022, table 1) use the same distribution,
# with a root mean square of 0.5.
LOG_NOISE = (-0.5, 1.2)
# The learning rate rises for this number of steps, but at most for this fraction of a
# run, and falls to zero in the last fraction of a run.
_WARM_UP, _WARM_FRACTION, _DECAY_FRACTION = 200, 0.1, 0.4
# Largest norm of the gradient; larger gradients are clipped.
_LARGEST_GRADIENT = 1.0
# Fraction of the rows that are shown without their label, because guidance also needs
# the estimate without a label.
_UNLABELLED = 0.1
# Number of steps between two readings of the loss. A reading waits for the accelerator.
_STEPS_PER_READING = 20
# Number of evaluations of the held-out loss per run. The run ends if this loss has not
# fallen for a fraction of the run, which is at least a number of steps, because the
# loss may rise at first.
_N_EVALUATIONS, _PATIENCE, _LEAST_PATIENCE = 50, 0.2, 200
# Default limit of a training in rows: a multiple of the number of rows in X, clipped to
# this range.
_MULTIPLE, _FEWEST, _MOST = 200, 20_000, 200_000
# Seconds between two checkpoints.
_INTERVAL = 120.0
# Rows whose coordinates are computed at a time.
_CHUNK = 1000
# Tolerance for rounding differences between machines, for numbers of about unit size.
_ROUNDING = 1e-3
_CPU = torch.device("cpu")


def enough_images(n_rows: int) -> int:
    """Return the default of ``max_images`` for ``n_rows`` rows."""
    return min(max(_MULTIPLE * n_rows, _FEWEST), _MOST)


@dataclass(eq=False)
class TrainingState:
    """State of a training, on the CPU. The default is the beginning of a training.

    - ``network``, ``average`` and ``optimizer`` are the state dictionaries of the
      network, of the moving average of its weights, and of Adam. ``generator`` is the
      state of the random stream, on a device of the type ``generator_device``.
    - ``n_steps`` and ``n_images`` count steps and rows in all runs. ``run_images`` and
      ``run_seconds`` are the rows and seconds of the current run.
    - ``history`` has the lists "n_images"; "loss", the mean loss since the previous
      entry; and "held_out_loss", which is NaN if it was not evaluated.
    - ``best_loss`` is the lowest held-out loss of the current run. It was reached after
      the fraction ``best_share`` of the run and after ``best_images`` rows in all runs.
      ``best`` holds the three state dictionaries at this time until the run ends.

    Pickles and copies hold arrays of numpy in place of tensors.
    """

    network: dict[str, Any] = field(default_factory=dict)
    average: dict[str, Any] = field(default_factory=dict)
    optimizer: dict[str, Any] = field(default_factory=dict)
    generator: Tensor | None = None
    generator_device: str = ""
    n_steps: int = 0
    n_images: int = 0
    run_images: int = 0
    run_seconds: float = 0.0
    history: dict[str, list[float]] = field(
        default_factory=lambda: {"n_images": [], "loss": [], "held_out_loss": []}
    )
    best: dict[str, Any] = field(default_factory=dict)
    best_loss: float = math.inf
    best_share: float = 0.0
    best_images: int = 0

    def next_run(self) -> "TrainingState":
        """Return the state at the beginning of the next run."""
        state = replace(self, run_images=0, run_seconds=0.0, best={})
        return replace(state, best_loss=math.inf, best_share=0.0)

    def __getstate__(self) -> dict[str, Any]:
        return dict(_mapped(vars(self), Tensor, as_array))

    def __setstate__(self, state: dict[str, Any]) -> None:
        to_tensor = partial(as_tensor, device=_CPU)
        vars(self).update(_mapped(state, np.ndarray, to_tensor))


@dataclass(frozen=True)
class TrainingPlan:
    """Parameters of a run.

    If the plan ``decays``, the learning rate falls to zero at the end of the run. If it
    ``stops_early``, some rows are held out, and the run ends when their loss no longer
    falls. The other fields are parameters of `DiffusionPrior`.
    """

    batch_size: int
    learning_rate: float
    ema: float
    mirror: bool
    max_images: int | None
    max_time: float | None
    mixed_precision: bool
    compile: bool
    decays: bool
    stops_early: bool = False

    @property
    def n_steps(self) -> int | None:
        """Largest number of steps of a run; None if only the time is limited."""
        n_images = self.max_images
        return None if n_images is None else math.ceil(n_images / self.batch_size)

    def progress(self, state: TrainingState) -> float:
        """Return the completed fraction of the run, from 0 to 1 or more."""
        of_images = state.run_images / self.max_images if self.max_images else 0.0
        of_time = state.run_seconds / self.max_time if self.max_time else 0.0
        return max(of_images, of_time)

    def is_over(self, state: TrainingState) -> bool:
        """Return whether a limit is reached, or the held-out loss no longer falls."""
        progress, patience = self.progress(state), _PATIENCE
        if self.n_steps is not None:
            patience = max(patience, _LEAST_PATIENCE / self.n_steps)
        stagnates = self.stops_early and progress - state.best_share >= patience
        return progress >= 1 or stagnates

    @property
    def steps_per_evaluation(self) -> int:
        """Number of steps between two evaluations of the held-out loss."""
        return max(_STEPS_PER_READING, (self.n_steps or 0) // _N_EVALUATIONS)

    def rate(self, state: TrainingState) -> float:
        """Return the learning rate of the next step."""
        warm_up, falling = float(_WARM_UP), 1.0
        if self.decays:
            if self.n_steps is not None:
                warm_up = max(1.0, min(warm_up, _WARM_FRACTION * self.n_steps))
            falling = max(0.0, (1 - self.progress(state)) / _DECAY_FRACTION)
        factor = min(1.0, (state.n_steps + 1) / warm_up, falling)
        return float(self.learning_rate * factor)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A file for the state of a training, and values that identify the training."""

    path: Path
    identity: dict[str, Any]

    @classmethod
    def of(cls, path: Path, model: DiffusionModel, plan: TrainingPlan) -> "Checkpoint":
        """Return the checkpoint of a training, at a cost of K^2 T operations.

        A ValueError is raised if the folder of the file does not exist.
        """
        if not path.parent.is_dir():
            raise ValueError(
                f"checkpoint={str(path)!r}: there is no folder {str(path.parent)!r}. "
                "Create the folder, or pass another path."
            )
        distribution, synthesis = model.distribution, model.synthesis
        axes, mean, shape = distribution.axes, distribution.mean, []
        if synthesis is not None and not model.sees_codes:
            shape = [int(n) for n in synthesis.signal_shape]
            axes, mean = axes @ synthesis.basis, mean @ synthesis.basis + synthesis.mean
        # The moments of the values that the network sees identify the codes. They are
        # in units of the standard deviations of these values.
        variances = distribution.variances @ axes**2 * distribution.unit**2
        principal = distribution.variances / distribution.variances[0]
        scale = np.sqrt(variances.max())
        codes = np.concatenate([mean / scale, variances / scale**2, principal, [scale]])
        identity = {
            "network": model.network if isinstance(model.network, str) else "module",
            "width": model.width,
            "n_labels": model.n_labels,
            "batch_size": plan.batch_size,
            "learning_rate": plan.learning_rate,
            "ema": plan.ema,
            "mirror": plan.mirror,
            "signal_shape": shape,
            "codes": as_tensor(codes, _CPU),
        }
        return cls(path, identity)

    def save(self, model: DiffusionModel, state: TrainingState) -> None:
        """Write the file. If the program is killed meanwhile, the old file remains."""
        content = {"identity": self.identity, "state": vars(state)}
        if model.sees_codes:
            content["distribution"] = {
                name: as_tensor(value, _CPU) if isinstance(value, np.ndarray) else value
                for name, value in vars(model.distribution).items()
            }
        part = self.path.with_name(f"{self.path.name}.part")
        torch.save(content, part)
        part.replace(self.path)

    def load(self, model: DiffusionModel) -> tuple[DiffusionModel, TrainingState]:
        """Return the model and the state from which to resume the training.

        If there is no file, the training begins anew. No code in the file is executed.
        A ValueError is raised if the file is damaged, or belongs to another training;
        the message names a difference.
        """
        if not self.path.exists():
            return model, TrainingState()
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            identity, state = content["identity"], TrainingState(**content["state"])
        # torch does not specify which errors a damaged file raises.
        except Exception as error:
            raise ValueError(
                f"checkpoint={str(self.path)!r} is not a checkpoint of a "
                f"DiffusionPrior, or is damaged ({type(error).__name__}). Delete the "
                "file, or pass another path."
            ) from error
        for name, value in self.identity.items():
            saved, difference = identity[name], f"other {name}"
            if isinstance(value, Tensor):
                same = saved.shape == value.shape
                same = same and torch.allclose(saved, value, _ROUNDING, _ROUNDING)
            else:
                difference, same = f"{name}={saved}, not {value}", saved == value
            if not same:
                raise ValueError(
                    f"checkpoint={str(self.path)!r} belongs to a training with "
                    f"{difference}. Delete the file, or pass another path."
                )
        if model.sees_codes:
            # The network was trained with the saved principal axes. Those of a new fit
            # may differ in sign, or by rounding if variances are tied.
            arrays: dict[str, Any] = {
                name: value.numpy() if isinstance(value, Tensor) else value
                for name, value in content["distribution"].items()
            }
            model = replace(model, distribution=PrincipalGaussian(**arrays))
        return model, state


def train(
    model: DiffusionModel,
    state: TrainingState,
    codes: np.ndarray,
    labels: np.ndarray,
    plan: TrainingPlan,
    device: torch.device,
    on_step: Step,
    checkpoint: Checkpoint | None = None,
    processes: Processes | None = None,
) -> TrainingState:
    """Train the network of a model until the run is over, and return the new state.

    ``state`` is the state at the beginning; it is not modified. ``codes`` has the shape
    (n, K), and ``labels`` (n,) holds indices of labels, which a model without labels
    ignores. After each step, ``on_step`` is called with ``n_images`` and the last known
    ``loss``; the run ends if it returns True. The checkpoint is saved every two minutes
    and at the end. If the plan stops early, the returned weights are those with the
    lowest held-out loss. An ArithmeticError is raised if the loss is not finite.

    With several ``processes``, which have the same arguments, each computes the loss of
    its share of every batch. The states are equal in all processes; the first process
    saves the checkpoint.
    """
    processes = Processes() if processes is None else processes
    with training_mode():
        trainer = _Trainer(model, state, codes, labels, plan, device, processes)
        for state in trainer.run(on_step):
            if checkpoint is not None and processes.rank == 0:
                checkpoint.save(model, state)
    return state


class _Loss(nn.Module):
    """The loss of a denoiser as a module, which can be run by several processes."""

    def __init__(self, denoiser: Denoiser):
        super().__init__()
        self.denoiser = denoiser

    def forward(self, *batch: Any) -> Tensor:
        return self.denoiser.loss(*batch)


class _Trainer:
    """Minimisation of a denoiser's loss by Adam, for random rows and noise levels."""

    def __init__(
        self,
        model: DiffusionModel,
        state: TrainingState,
        codes: np.ndarray,
        labels: np.ndarray,
        plan: TrainingPlan,
        device: torch.device,
        processes: Processes,
    ):
        self._plan, self._processes = plan, processes
        self._current = replace(state, history=copy.deepcopy(state.history))
        self._denoiser = denoiser = model.denoiser().to(device).train()
        denoiser.mixed_precision = plan.mixed_precision
        rows = np.empty(codes.shape, np.float32)
        for batch in gen_batches(len(codes), _CHUNK):
            rows[batch] = model.distribution.coordinates(codes[batch])
        self._rows, self._labels = as_tensor(rows, device), as_tensor(labels, device)
        if plan.mirror:
            signals = model.synthesis or Synthesis.identity(codes.shape[1])
            mirror = model.distribution.mirror(signals)
            self._mirror = [as_tensor(part, device, torch.float32) for part in mirror]
        network = denoiser.network
        self._averaged = copy.deepcopy(denoiser).requires_grad_(False).eval()
        # A fused Adam takes a fraction of the time, on devices that have it.
        fused = device.type in ("cpu", "cuda")
        self._optimizer = torch.optim.Adam(
            network.parameters(), plan.learning_rate, fused=fused
        )
        if state.network:
            network.load_state_dict(state.network)
            self._averaged.network.load_state_dict(state.average)
            # A copy is loaded, because Adam modifies these tensors in place.
            optimizer = copy.deepcopy(state.optimizer)
            for group in optimizer["param_groups"]:
                group["fused"] = fused
            self._optimizer.load_state_dict(optimizer)
            # A fused Adam assumes that parameters and moments have the same layout in
            # memory.
            for parameter, moments in self._optimizer.state.items():
                for name, value in moments.items():
                    if value.shape == parameter.shape:
                        moments[name] = torch.empty_like(parameter).copy_(value)
        # The processes start from the same weights, because they have the same seed and
        # state.
        self._loss: Any = processes.with_mean_gradient(_Loss(denoiser), device)
        if plan.compile:
            self._loss = torch.compile(self._loss)
        # The state of a random stream is valid only for one type of device. On another
        # type of device a new stream begins.
        on = device if device.type == "cuda" else _CPU
        self._generator = Generator(on).manual_seed(model.seed + 1 + state.n_steps)
        if state.generator is not None and state.generator_device == on.type:
            self._generator.set_state(state.generator)
        self._random: Any = {"generator": self._generator, "device": on}
        self._held: HeldOut | None = None
        if plan.stops_early:
            self._hold_out(model)

    def _hold_out(self, model: DiffusionModel) -> None:
        """Hold out some rows, and evaluate their loss at the beginning of the run."""
        indices = split_rows(len(self._rows), model.seed)
        trained, held = (as_tensor(part, self._rows.device) for part in indices)
        with_labels = model.n_labels > 0
        self._held = HeldOut(
            self._rows[held],
            self._labels[held] if with_labels else self._labels,
            model.n_labels,
            log_noise=LOG_NOISE,
            unlabelled=_UNLABELLED,
            seed=model.seed,
        )
        self._rows = self._rows[trained]
        self._labels = self._labels[trained] if with_labels else self._labels
        if not np.isfinite(self._current.best_loss):
            self._current.best_loss = self._held.loss(self._averaged)
        if not self._current.best:
            self._current.best = self._networks()

    def run(self, on_step: Step) -> Iterator[TrainingState]:
        """Train; yield the state every two minutes, and at the end of the run."""
        current, saved, losses = self._current, self._current.run_seconds, []
        start = time.perf_counter() - saved
        known: dict[str, float | None] = {"loss": None}
        while not self._plan.is_over(current):
            losses.append(self._step())
            # The clock of the first process decides for all.
            seconds = self._processes.of_first(time.perf_counter() - start)
            current.run_seconds = seconds
            saves = seconds - saved > _INTERVAL
            interval = self._plan.steps_per_evaluation
            evaluates = self._held is not None and current.n_steps % interval == 0
            # The loss is also read before a checkpoint, because weights that are NaN
            # must not be saved.
            if saves or evaluates or len(losses) == _STEPS_PER_READING:
                known["loss"], losses = self._record(losses), []
            if evaluates:
                known["held_out_loss"] = self._evaluate()
            if saves:
                yield self._state()
                saved = seconds
            if self._processes.of_first(
                bool(on_step(n_images=current.n_images, **known))
            ):
                break
        if losses:
            self._record(losses)
            if self._held is not None:
                self._evaluate()
        yield self._last_state()

    def _batch(self) -> tuple[Tensor, Labels]:
        """Return random rows, half of them mirrored if ``mirror``, and their labels."""
        size, device = self._plan.batch_size, self._rows.device
        chosen = torch.randint(len(self._rows), (size,), **self._random).to(device)
        clean = self._rows[chosen]
        if self._plan.mirror:
            matrix, offset = self._mirror
            mirrored = clean[: size // 2] @ matrix + offset
            clean = torch.cat([mirrored, clean[size // 2 :]])
        n_labels = self._denoiser.n_labels
        if not n_labels:
            return clean, None
        uniform = torch.rand(size, dtype=torch.float32, **self._random)
        dropped = (uniform < _UNLABELLED).to(device)
        return clean, self._labels[chosen].masked_fill(dropped, n_labels)

    def _normal(self, shape: Sequence[int]) -> Tensor:
        """Return N(0, 1) numbers in float32, also if torch's default is float64."""
        numbers = torch.randn(shape, dtype=torch.float32, **self._random)
        return numbers.to(self._rows.device)

    def _step(self) -> Tensor:
        """Make one step of Adam; return the loss before the step."""
        clean, labels = self._batch()
        centre, spread = LOG_NOISE
        noise = self._normal((len(clean), 1))
        noise = (centre + spread * noise).exp()
        noisy = clean + noise * self._normal(clean.shape)
        # All processes draw the same batch. The mean over processes of these losses is
        # the mean over its rows.
        part = self._processes.share(len(clean))
        fraction = (part.stop - part.start) * self._processes.size / len(clean)
        labels = None if labels is None else labels[part]
        loss: Tensor = self._loss(clean[part], noisy[part], noise[part], labels)
        loss = loss * fraction
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._denoiser.parameters(), _LARGEST_GRADIENT)
        for group in self._optimizer.param_groups:
            group["lr"] = self._plan.rate(self._current)
        self._optimizer.step()
        self._current.n_steps += 1
        self._current.n_images += len(clean)
        self._current.run_images += len(clean)
        self._update_average()
        return loss.detach()

    @torch.no_grad()
    def _update_average(self) -> None:
        # At the beginning the average forgets faster, because weights change quickly.
        n_steps = self._current.n_steps
        weight = 1 - min(self._plan.ema, n_steps / (n_steps + 10))
        values = self._denoiser.network.state_dict()
        for name, average in self._averaged.network.state_dict().items():
            if average.is_floating_point():
                average.lerp_(values[name], weight)
            else:
                average.copy_(values[name])

    def _record(self, losses: list[Tensor]) -> float:
        """Append the mean of the losses to the history, and return it."""
        total = self._processes.sum(torch.stack(losses).mean())
        current, loss = self._current, float(total) / self._processes.size
        if not np.isfinite(loss):
            raise ArithmeticError(
                f"The loss of DiffusionPrior is {loss} after {current.n_steps} steps. "
                "Are codes of very different size? Use a learning_rate below "
                f"{self._plan.learning_rate:g}, or mixed_precision=False."
            )
        current.history["n_images"].append(current.n_images)
        current.history["loss"].append(loss)
        current.history["held_out_loss"].append(math.nan)
        return loss

    def _evaluate(self) -> float:
        """Set the held-out loss in the last entry of the history, and return it.

        If it is the lowest loss of the run, keep the weights.
        """
        assert self._held is not None
        current = self._current
        loss = self._processes.of_first(self._held.loss(self._averaged))
        current.history["held_out_loss"][-1] = loss
        if loss < current.best_loss:
            current.best_loss, current.best_share = loss, self._plan.progress(current)
            current.best, current.best_images = self._networks(), current.n_images
        return loss

    def _networks(self) -> dict[str, Any]:
        """Return copies of the states of the network, its average and Adam."""
        states = {
            "network": self._denoiser.network.state_dict(),
            "average": self._averaged.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        to_cpu = lambda tensor: tensor.detach().to("cpu", copy=True)
        return dict(_mapped(states, Tensor, to_cpu))

    def _state(self) -> TrainingState:
        """Return a copy of the current state."""
        return replace(
            self._current,
            **self._networks(),
            generator=self._generator.get_state(),
            generator_device=self._generator.device.type,
            history=copy.deepcopy(self._current.history),
        )

    def _last_state(self) -> TrainingState:
        """Return the state at the end of the run, with the best weights."""
        return replace(self._state(), **self._current.best, best={})


def _mapped(tree: Any, kind: type, function: Callable[[Any], Any]) -> Any:
    """Copy nested dicts and lists, and apply a function to values of one type."""
    if isinstance(tree, dict):
        return {key: _mapped(value, kind, function) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_mapped(value, kind, function) for value in tree]
    return function(tree) if isinstance(tree, kind) else tree
