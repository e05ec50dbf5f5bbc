"""Training of a denoiser: its plan, its steps, and its state in a file."""
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
from skspectral._progress import Step
from skspectral.priors.denoising.denoiser import Labels
from skspectral.priors.denoising.distribution import PrincipalGaussian
from skspectral.priors.denoising.held_out import HeldOut, split_rows
from skspectral.priors.denoising.model import DiffusionModel
from skspectral.priors.synthesis import Synthesis

# Mean and deviation of the logarithm of the noise, relative to the root mean square of
# the values (Karras et al. 2022, table 1, where the latter is 0.5).
LOG_NOISE = (-0.5, 1.2)
# Steps until the learning rate is full, but at most this share of all steps; share of
# the run, at its end, in which the rate falls to zero.
_WARM_UP, _WARM_SHARE, _DECAY = 200, 0.1, 0.4
_LARGEST_GRADIENT = 1.0
# Share of rows without their label, so that the network learns to do without one.
_UNLABELLED = 0.1
# Steps between looks at the loss, which wait for an accelerator.
_LOOK = 20
# Looks at the loss of the rows held out, in a run; and the share of the run in which
# that loss must fall, or the run ends, but at least so many steps: it may rise first.
_N_VERDICTS, _PATIENCE, _LEAST_PATIENCE = 50, 0.2, 200
# Rows to train on without a limit: so many times those there are, within these limits.
_TIMES, _FEWEST, _MOST = 200, 20_000, 200_000
# Seconds between checkpoints.
_INTERVAL = 120.0
# Rows whose coordinates are computed at a time.
_CHUNK = 1000
# Tolerance for rounding differences between machines, of numbers of about unit size.
_ROUNDING = 1e-3
_CPU = torch.device("cpu")


def enough_images(n_rows: int) -> int:
    """Rows to train on, each time with new noise, if there are ``n_rows``."""
    return min(max(_TIMES * n_rows, _FEWEST), _MOST)


@dataclass(eq=False)
class TrainingState:
    """A training so far, on the CPU; by default at its beginning.

    There are the states of the network, of its average, of Adam and of the random
    stream; steps and rows of all runs; rows and seconds of the present one; and the
    history: the mean "loss" since the entry before, at each "n_images", and the
    "held_out_loss" there, NaN where it was not evaluated. Of a run with rows held out
    there are the least loss of these, the share of the run and the rows of all runs at
    which it was reached, and, until the run ends, the states of the networks then.

    Files and copies hold arrays of numpy in place of tensors.
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
        """Return the state at the beginning of another run."""
        state = replace(self, run_images=0, run_seconds=0.0, best={})
        return replace(state, best_loss=math.inf, best_share=0.0)

    def __getstate__(self) -> dict[str, Any]:
        return dict(_mapped(vars(self), Tensor, as_array))

    def __setstate__(self, state: dict[str, Any]) -> None:
        to_tensor = partial(as_tensor, device=_CPU)
        vars(self).update(_mapped(state, np.ndarray, to_tensor))


@dataclass(frozen=True)
class TrainingPlan:
    """Parameters of a run; its learning rate falls to zero at the end if it decays.

    If it ``stops_early`` some rows are held out, and the run ends where their loss no
    longer falls.
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
        """Largest number of steps of a run, if it is known."""
        n_images = self.max_images
        return None if n_images is None else math.ceil(n_images / self.batch_size)

    def share(self, state: TrainingState) -> float:
        """Share of the run that is over, from 0 to 1 or more."""
        of_images = state.run_images / self.max_images if self.max_images else 0.0
        of_time = state.run_seconds / self.max_time if self.max_time else 0.0
        return max(of_images, of_time)

    def is_over(self, state: TrainingState) -> bool:
        """Whether the run ends here, by a limit or by the loss of the rows held out."""
        share, patience = self.share(state), _PATIENCE
        if self.n_steps is not None:
            patience = max(patience, _LEAST_PATIENCE / self.n_steps)
        waited = self.stops_early and share - state.best_share >= patience
        return share >= 1 or waited

    @property
    def n_between(self) -> int:
        """Steps between looks at the loss of the rows held out."""
        return max(_LOOK, (self.n_steps or 0) // _N_VERDICTS)

    def rate(self, state: TrainingState) -> float:
        """Learning rate of the next step."""
        warm_up, falling = float(_WARM_UP), 1.0
        if self.decays:
            if self.n_steps is not None:
                warm_up = max(1.0, min(warm_up, _WARM_SHARE * self.n_steps))
            falling = max(0.0, (1 - self.share(state)) / _DECAY)
        share = min(1.0, (state.n_steps + 1) / warm_up, falling)
        return float(self.learning_rate * share)


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """A file with the state of a training, and values that identify the training."""

    path: Path
    identity: dict[str, Any]

    @classmethod
    def of(cls, path: Path, model: DiffusionModel, plan: TrainingPlan) -> "Checkpoint":
        """Return that of a training, at a cost of K^2 T.

        A missing folder raises a ValueError.
        """
        if not path.parent.is_dir():
            raise ValueError(
                f"checkpoint={str(path)!r}: there is no folder {str(path.parent)!r}. "
                "Make it, or pass another path."
            )
        distribution, synthesis = model.distribution, model.synthesis
        axes, mean, shape = distribution.axes, distribution.mean, []
        if synthesis is not None and not model.sees_codes:
            shape = [int(n) for n in synthesis.signal_shape]
            axes, mean = axes @ synthesis.basis, mean @ synthesis.basis + synthesis.mean
        # Moments of the values that the network sees, in units of their deviations.
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
        """Write the file; a program that is killed meanwhile leaves the old one."""
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
        """Model and state to resume from: without a file, the training's beginning.

        No code in the file is run. A file of another training, or of none, raises a
        ValueError that names what differs.
        """
        if not self.path.exists():
            return model, TrainingState()
        try:
            content = torch.load(self.path, map_location="cpu", weights_only=True)
            identity, state = content["identity"], TrainingState(**content["state"])
        # torch does not promise which errors a broken file raises.
        except Exception as error:
            raise ValueError(
                f"checkpoint={str(self.path)!r} is not a checkpoint of a "
                f"DiffusionPrior, or is damaged ({type(error).__name__}). Delete it, "
                "or pass another path."
            ) from error
        for name, value in self.identity.items():
            saved, what = identity[name], f"other {name}"
            if isinstance(value, Tensor):
                same = saved.shape == value.shape
                same = same and torch.allclose(saved, value, _ROUNDING, _ROUNDING)
            else:
                what, same = f"{name}={saved}", saved == value
            if not same:
                raise ValueError(
                    f"checkpoint={str(self.path)!r} is of a training with {what}. "
                    "Delete it, or pass another path."
                )
        if model.sees_codes:
            # The network depends on the axes, which rounding or a sign may change.
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
) -> TrainingState:
    """Train the network of a model from a state on, until the run is over.

    There are codes (n, K) and numbers of labels (n,), which a model without labels
    ignores. ``on_step`` is told ``n_images`` and the last known ``loss`` after each
    step; by returning True it ends the run. The checkpoint is saved every two minutes
    and at the end. A loss that is not finite raises an ArithmeticError. If the plan
    stops early, the networks are those of the least loss of the rows held out.
    """
    with training_mode():
        trainer = _Trainer(model, state, codes, labels, plan, device)
        for state in trainer.run(on_step):
            if checkpoint is not None:
                checkpoint.save(model, state)
    return state


class _Trainer:
    """Adam on the loss of a model's denoiser, for random rows and levels of noise."""

    def __init__(
        self,
        model: DiffusionModel,
        state: TrainingState,
        codes: np.ndarray,
        labels: np.ndarray,
        plan: TrainingPlan,
        device: torch.device,
    ):
        self._plan = plan
        self._now = replace(state, history=copy.deepcopy(state.history))
        self._denoiser = denoiser = model.denoiser().to(device).train()
        denoiser.mixed_precision = plan.mixed_precision
        self._loss = torch.compile(denoiser.loss) if plan.compile else denoiser.loss
        rows = np.empty(codes.shape, np.float32)
        for some in gen_batches(len(codes), _CHUNK):
            rows[some] = model.distribution.coordinates(codes[some])
        self._rows, self._labels = as_tensor(rows, device), as_tensor(labels, device)
        if plan.mirror:
            signals = model.synthesis or Synthesis.identity(codes.shape[1])
            mirror = model.distribution.mirror(signals)
            self._mirror = [as_tensor(part, device, torch.float32) for part in mirror]
        network = denoiser.network
        self._averaged = copy.deepcopy(denoiser).requires_grad_(False).eval()
        # Where there is a fused Adam it takes a fraction of the time.
        fused = device.type in ("cpu", "cuda")
        self._optimizer = torch.optim.Adam(
            network.parameters(), plan.learning_rate, fused=fused
        )
        if state.network:
            network.load_state_dict(state.network)
            self._averaged.network.load_state_dict(state.average)
            # Adam changes the tensors that it is given.
            optimizer = copy.deepcopy(state.optimizer)
            for group in optimizer["param_groups"]:
                group["fused"] = fused
            self._optimizer.load_state_dict(optimizer)
            # A fused Adam takes it that all of these lie in memory alike.
            for parameter, moments in self._optimizer.state.items():
                for name, value in moments.items():
                    if value.shape == parameter.shape:
                        moments[name] = torch.empty_like(parameter).copy_(value)
        # Streams differ between kinds of devices: on another one a new stream begins.
        on = device if device.type == "cuda" else _CPU
        self._generator = Generator(on).manual_seed(model.seed + 1 + state.n_steps)
        if state.generator is not None and state.generator_device == on.type:
            self._generator.set_state(state.generator)
        self._random: Any = {"generator": self._generator, "device": on}
        self._held: HeldOut | None = None
        if plan.stops_early:
            self._hold_out(model)

    def _hold_out(self, model: DiffusionModel) -> None:
        """Keep some rows from the training, and judge its start by them."""
        numbers = split_rows(len(self._rows), model.seed)
        learned, held = (as_tensor(part, self._rows.device) for part in numbers)
        with_labels = model.n_labels > 0
        self._held = HeldOut(
            self._rows[held],
            self._labels[held] if with_labels else self._labels,
            model.n_labels,
            log_noise=LOG_NOISE,
            unlabelled=_UNLABELLED,
            seed=model.seed,
        )
        self._rows = self._rows[learned]
        self._labels = self._labels[learned] if with_labels else self._labels
        if not np.isfinite(self._now.best_loss):
            self._now.best_loss = self._held.loss(self._averaged)
        if not self._now.best:
            self._now.best = self._networks()

    def run(self, on_step: Step) -> Iterator[TrainingState]:
        """Train; yield the state every two minutes, and at the end."""
        now, saved, losses = self._now, self._now.run_seconds, []
        start = time.perf_counter() - saved
        told: dict[str, float | None] = {"loss": None}
        while not self._plan.is_over(now):
            losses.append(self._step())
            seconds = now.run_seconds = time.perf_counter() - start
            due = seconds - saved > _INTERVAL
            judged = self._held is not None and now.n_steps % self._plan.n_between == 0
            # The loss is also looked at before weights are saved, which may be nan.
            if due or judged or len(losses) == _LOOK:
                told["loss"], losses = self._note(losses), []
            if judged:
                told["held_out_loss"] = self._judge()
            if due:
                yield self._state()
                saved = seconds
            if on_step(n_images=now.n_images, **told):
                break
        if losses:
            self._note(losses)
            if self._held is not None:
                self._judge()
        yield self._last_state()

    def _batch(self) -> tuple[Tensor, Labels]:
        """Random rows, half of them mirrored if so planned, and labels, if any."""
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
        """N(0, 1) numbers, whatever the caller's default type."""
        numbers = torch.randn(shape, dtype=torch.float32, **self._random)
        return numbers.to(self._rows.device)

    def _step(self) -> Tensor:
        """One step; return the loss before it."""
        clean, labels = self._batch()
        centre, spread = LOG_NOISE
        noise = self._normal((len(clean), 1))
        noise = (centre + spread * noise).exp()
        noisy = clean + noise * self._normal(clean.shape)
        loss: Tensor = self._loss(clean, noisy, noise, labels)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self._denoiser.parameters(), _LARGEST_GRADIENT)
        for group in self._optimizer.param_groups:
            group["lr"] = self._plan.rate(self._now)
        self._optimizer.step()
        self._now.n_steps += 1
        self._now.n_images += len(clean)
        self._now.run_images += len(clean)
        self._update_average()
        return loss.detach()

    @torch.no_grad()
    def _update_average(self) -> None:
        # The last weights count for more in the beginning.
        weight = 1 - min(self._plan.ema, self._now.n_steps / (self._now.n_steps + 10))
        values = self._denoiser.network.state_dict()
        for name, average in self._averaged.network.state_dict().items():
            if average.is_floating_point():
                average.lerp_(values[name], weight)
            else:
                average.copy_(values[name])

    def _note(self, losses: list[Tensor]) -> float:
        """Add the mean of the losses to the history, and return it."""
        now, loss = self._now, float(sum(losses) / len(losses))
        if not np.isfinite(loss):
            raise ArithmeticError(
                f"The loss of DiffusionPrior is {loss} after {now.n_steps} steps. Are "
                "codes of very different size? Lower learning_rate, "
                f"{self._plan.learning_rate:g}, or leave out mixed_precision."
            )
        now.history["n_images"].append(now.n_images)
        now.history["loss"].append(loss)
        now.history["held_out_loss"].append(math.nan)
        return loss

    def _judge(self) -> float:
        """Add the loss of the rows held out to the history, and return it."""
        assert self._held is not None
        now, loss = self._now, self._held.loss(self._averaged)
        now.history["held_out_loss"][-1] = loss
        if loss < now.best_loss:
            now.best_loss, now.best_share = loss, self._plan.share(now)
            now.best, now.best_images = self._networks(), now.n_images
        return loss

    def _networks(self) -> dict[str, Any]:
        """Copies of the states of the network, its average and Adam."""
        states = {
            "network": self._denoiser.network.state_dict(),
            "average": self._averaged.network.state_dict(),
            "optimizer": self._optimizer.state_dict(),
        }
        to_cpu = lambda tensor: tensor.detach().to("cpu", copy=True)
        return dict(_mapped(states, Tensor, to_cpu))

    def _state(self) -> TrainingState:
        return replace(
            self._now,
            **self._networks(),
            generator=self._generator.get_state(),
            generator_device=self._generator.device.type,
            history=copy.deepcopy(self._now.history),
        )

    def _last_state(self) -> TrainingState:
        """The state at the end of the run, with the best networks."""
        return replace(self._state(), **self._now.best, best={})


def _mapped(tree: Any, kind: type, function: Callable[[Any], Any]) -> Any:
    """Copy nested dicts and lists; values of a kind are passed through a function."""
    if isinstance(tree, dict):
        return {key: _mapped(value, kind, function) for key, value in tree.items()}
    if isinstance(tree, list):
        return [_mapped(value, kind, function) for value in tree]
    return function(tree) if isinstance(tree, kind) else tree
