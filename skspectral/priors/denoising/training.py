"""Training of a denoiser, which can stop and go on where it was."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from skspectral.priors.denoising.checkpoint import map_leaves
from skspectral.priors.denoising.denoiser import Denoiser
from skspectral.priors.denoising.plan import Plan

# Mean and spread of the logarithm of the noise, relative to the root mean square of
# the values (Karras et al. 2022, table 1, where that is 0.5).
LOG_NOISE = (-0.5, 1.2)
# Steps until the step size is full, at most this share of all; share at the end in
# which it falls to zero.
_WARM_UP, _WARM_SHARE, _DECAY = 200, 0.1, 0.4
_LARGEST_GRADIENT = 1.0
# Share of rows without their label, so that draws without one are learned as well.
_UNLABELLED = 0.1


@dataclass(frozen=True)
class Examples:
    """Coordinates to learn from, on the device.

    Attributes
    ----------
    coordinates : tensor of shape (n, K)
    labels : tensor of shape (n,) or None
        From 0 on.
    mirror, offset : tensors of shape (K, K) and (K,), or None
        z @ mirror + offset are coordinates of the mirrored signals.
    """

    coordinates: torch.Tensor
    labels: torch.Tensor | None = None
    mirror: torch.Tensor | None = None
    offset: torch.Tensor | None = None

    def batch(
        self, size: int, generator: torch.Generator
    ) -> tuple[torch.Tensor, torch.Tensor | None]:
        """Rows drawn at random, half of them mirrored, and their labels."""
        rows = torch.randint(
            len(self.coordinates),
            (size,),
            generator=generator,
            device=generator.device,
        ).to(self.coordinates.device)
        clean = self.coordinates[rows]
        if self.mirror is not None and self.offset is not None:
            mirrored = clean[: size // 2] @ self.mirror + self.offset
            clean = torch.cat([mirrored, clean[size // 2 :]])
        return clean, None if self.labels is None else self.labels[rows]


class Training:
    """Adam on the error of a denoiser, relative to that of the Gaussian.

    The loss is ||D(z + s e, s) - z||^2 / (T c^2), averaged over coordinates z, noise e
    and levels s: 1 for Wiener's estimate where codes are Gaussian.

    Parameters
    ----------
    denoiser : Denoiser
        On the device; its network is changed.
    plan : Plan
    seed : int
    """

    def __init__(self, denoiser: Denoiser, plan: Plan, seed: int):
        self.denoiser, self.plan, self._seed = denoiser, plan, seed
        device = denoiser.variances.device
        on = device if device.type == "cuda" else torch.device("cpu")
        self._generator = torch.Generator(on).manual_seed(seed)
        self._average = copy.deepcopy(denoiser.network).requires_grad_(False)
        self._optimizer = torch.optim.Adam(
            denoiser.network.parameters(), plan.learning_rate
        )
        self.n_steps = 0
        # Rows seen so far.
        self.n_images = 0
        self._loss = torch.compile(self._error) if plan.compiled else self._error

    def step(self, examples: Examples, share: float) -> torch.Tensor:
        """One step, at a share of the training; return the loss before it."""
        self.denoiser.train()
        clean, labels = examples.batch(self.plan.batch_size, self._generator)
        if labels is not None:
            labels = self._some_dropped(labels)
        centre, spread = LOG_NOISE
        noise = (centre + spread * self._normal(len(clean), 1).to(clean)).exp()
        noisy = clean + noise * self._normal(*clean.shape).to(clean)
        loss = self._loss(clean, noisy, noise, labels)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.denoiser.parameters(), _LARGEST_GRADIENT)
        for group in self._optimizer.param_groups:
            group["lr"] = self.plan.learning_rate * self._step_size(share)
        self._optimizer.step()
        self.n_steps += 1
        self.n_images += len(clean)
        self._update_average()
        return loss.detach()

    def _error(
        self,
        clean: torch.Tensor,
        noisy: torch.Tensor,
        noise: torch.Tensor,
        labels: torch.Tensor | None,
    ) -> torch.Tensor:
        denoiser = self.denoiser
        correction = denoiser(noisy, noise, labels)
        target = (clean - denoiser.gain(noise) * noisy) / denoiser.error(noise)
        squared = (correction - target).square().sum(1) / denoiser.n_values
        return squared.mean()

    def _some_dropped(self, labels: torch.Tensor) -> torch.Tensor:
        generator = self._generator
        chance = torch.rand(len(labels), generator=generator, device=generator.device)
        dropped = (chance < _UNLABELLED).to(labels.device)
        return labels.masked_fill(dropped, self.denoiser.n_labels)

    def _normal(self, *shape: int) -> torch.Tensor:
        generator = self._generator
        return torch.randn(shape, generator=generator, device=generator.device)

    def _step_size(self, share: float) -> float:
        warm_up, falling = float(_WARM_UP), 1.0
        if self.plan.decays:
            if self.plan.n_steps is not None:
                warm_up = max(1.0, min(warm_up, _WARM_SHARE * self.plan.n_steps))
            falling = max(0.0, (1 - share) / _DECAY)
        return min(1.0, (self.n_steps + 1) / warm_up, falling)

    @torch.no_grad()
    def _update_average(self) -> None:
        # Early on the last weights count for more.
        weight = 1 - min(self.plan.ema, self.n_steps / (self.n_steps + 10))
        averages = self._average.state_dict().values()
        values = self.denoiser.network.state_dict().values()
        for average, value in zip(averages, values, strict=True):
            if average.is_floating_point():
                average.lerp_(value, weight)
            else:
                average.copy_(value)

    def state(self) -> dict[str, Any]:
        """All that `load` needs to go on, on the CPU; copies."""
        return map_leaves(
            _copied,
            {
                "network": self.denoiser.network.state_dict(),
                "average": self._average.state_dict(),
                "optimizer": self._optimizer.state_dict(),
                "generator": self._generator.get_state(),
                "generator_device": self._generator.device.type,
                "n_steps": self.n_steps,
                "n_images": self.n_images,
            },
        )

    def load(self, state: dict[str, Any]) -> None:
        """Go on from a `state`."""
        self.denoiser.network.load_state_dict(state["network"])
        self._average.load_state_dict(state["average"])
        # Which would otherwise be changed in place.
        self._optimizer.load_state_dict(map_leaves(_copied, state["optimizer"]))
        self.n_steps, self.n_images = state["n_steps"], state["n_images"]
        if state["generator_device"] == self._generator.device.type:
            self._generator.set_state(state["generator"])
        else:
            # Streams differ between kinds of devices: another one, not the same again.
            self._generator.manual_seed(self._seed + self.n_steps)


def _copied(leaf: Any) -> Any:
    """A tensor copied to the CPU, or anything else."""
    if isinstance(leaf, torch.Tensor):
        return leaf.detach().to("cpu", copy=True)
    return leaf
