"""Adversarial training of a translation."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from skspectral._device import as_tensor
from skspectral._random import seeded_torch
from skspectral.refinement.translation.batches import Batch
from skspectral.refinement.translation.losses import (
    dissimilarity,
    patch_contrast,
    root_mean_square,
)
from skspectral.refinement.translation.model import Translation
from skspectral.refinement.translation.networks import (
    LinearDiscriminator,
    PatchDiscriminator,
    Projections,
)
from skspectral.refinement.translation.plan import Plan
from skspectral.refinement.translation.plane import square_rings

# Channels of the discriminator's first layer, at least.
_NARROWEST = 16


@dataclass(frozen=True)
class _Pair:
    """Generated and real images in one batch, the generated ones first.

    Attributes
    ----------
    n_generated : int
    seen, output : tensor of shape (n, C, H, W)
        Planes of standardised log-magnitudes, before and after.
    features : list of tensor
        The encoder's of ``seen``.
    before, after : tensor of shape (n, C, H, W)
        Images.
    """

    n_generated: int
    seen: torch.Tensor
    output: torch.Tensor
    features: list[torch.Tensor]
    before: torch.Tensor
    after: torch.Tensor

    @property
    def real(self) -> torch.Tensor:
        return self.seen[self.n_generated :]

    @property
    def refined(self) -> torch.Tensor:
        return self.output[: self.n_generated]


class Training:
    """Least-squares adversaries (Mao et al. 2017), and ties of output and input.

    Parameters
    ----------
    translation : Translation
        On the device; it is trained.
    start : tensor of shape (C, H, W // 2 + 1)
        Log-gain of generated images beside the network's.
    plan : Plan
    generator : Generator
        On the CPU.
    """

    def __init__(
        self,
        translation: Translation,
        start: torch.Tensor,
        plan: Plan,
        generator: torch.Generator,
    ):
        self.translation, self.plan, self.n_steps = translation, plan, 0
        self._start, self._generator = start, generator
        n_channels, height, _ = start.shape
        width = translation.plane_width
        bins = (
            translation.places.cpu() * torch.tensor([height, width]).view(2, 1, 1) / 2
        )
        self._low = (bins < plan.low_radius + 0.5).all(0).to(start.device)
        self._rings = square_rings(height, width).to(start) if plan.rings else None
        self.patches = self.profile = self.projections = None
        if plan.weights.patches:
            of_translation = translation.network
            self.patches = PatchDiscriminator(
                n_channels + 2,
                max(of_translation.widths[0], _NARROWEST),
                of_translation.depth,
            )
        if plan.weights.profile:
            n_bins = height * width if self._rings is None else self._rings.shape[1]
            self.profile = LinearDiscriminator(n_channels * n_bins)
        if plan.weights.contrast or plan.weights.contrast_of_real:
            widths = translation.network.widths
            self.projections = Projections(widths, plan.projection_dim)
        for network in (self.patches, self.profile, self.projections):
            if network is not None:
                network.to(start.device)
        self._translators = _parameters(translation, self.projections)
        self._optimizers = [
            torch.optim.Adam(parameters, plan.learning_rate, betas=plan.betas)
            for parameters in (
                self._translators,
                _parameters(self.patches, self.profile),
            )
            if parameters
        ]

    @classmethod
    def seeded(
        cls,
        plan: Plan,
        of_bins: tuple[np.ndarray, np.ndarray, np.ndarray],
        width: int,
        seed: int,
        device: torch.device,
    ) -> "Training":
        """A training of a new `Translation`: mean, spread and start of each bin."""
        mean, spread, start = (
            as_tensor(part, device, torch.float32) for part in of_bins
        )
        with seeded_torch(seed):
            translation = Translation(mean, spread, width, plan.network).to(device)
            generator = torch.Generator().manual_seed(seed)
            return cls(translation, start, plan, generator)

    def step(self, generated: Batch, real: Batch) -> dict[str, float]:
        """One step of the discriminators and one of the translation.

        Returns
        -------
        terms : dict of str to float
            Of the translation's loss, before the step, without their weights.

        Raises
        ------
        ArithmeticError
            If a term is not finite, naming the step; the translation stays as it was.
        """
        factor = self.plan.learning_rate_factor(self.n_steps)
        for optimizer in self._optimizers:
            optimizer.zero_grad(set_to_none=True)
            for group in optimizer.param_groups:
                group["lr"] = self.plan.learning_rate * factor
        pair = self._pair(generated, real)
        self._learn_to_tell(pair)
        terms = self._terms(pair)
        values = {name: float(term.detach()) for name, term in terms.items()}
        self.n_steps += 1
        for name, value in values.items():
            if not math.isfinite(value):
                raise ArithmeticError(f"{name} is {value} in step {self.n_steps}")
        weights = self.plan.weights
        loss = torch.stack([getattr(weights, k) * v for k, v in terms.items()]).sum()
        loss.backward(inputs=self._translators)  # type: ignore[no-untyped-call]
        self._optimizers[0].step()
        return values

    def _pair(self, generated: Batch, real: Batch) -> _Pair:
        translation, n = self.translation, len(generated.spectra)
        log_magnitudes = torch.cat([generated.log_magnitudes, real.log_magnitudes])
        spectra = torch.cat([generated.spectra, real.spectra])
        translated = translation(log_magnitudes)
        started = torch.zeros_like(log_magnitudes)
        started[:n] = self._start
        log_gain = translated.log_gain + started
        seen, output = (
            translation.standardised(part, log_magnitudes)
            for part in (log_magnitudes, log_magnitudes + log_gain)
        )
        sides = seen.shape[2:]
        before, after = (
            torch.fft.irfft2(part, s=sides)
            for part in (spectra, spectra * log_gain.exp())
        )
        return _Pair(n, seen, output, translated.features, before, after)

    def _learn_to_tell(self, pair: _Pair) -> None:
        """A step of the discriminators: 1 for real images, 0 for refined ones."""
        verdicts = zip(
            self._verdicts(pair.real).values(),
            self._verdicts(pair.refined.detach()).values(),
            strict=True,
        )
        losses = [
            ((of_real - 1).square().mean() + of_refined.square().mean()) / 2
            for of_real, of_refined in verdicts
        ]
        if losses:
            torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
            self._optimizers[1].step()

    def _verdicts(self, plane: torch.Tensor) -> dict[str, torch.Tensor]:
        verdicts = {}
        if self.patches is not None:
            verdicts["patches"] = self.patches(self.translation.placed(plane))
        if self.profile is not None:
            values = plane if self._rings is None else plane.flatten(2) @ self._rings
            verdicts["profile"] = self.profile(values)
        return verdicts

    def _terms(self, pair: _Pair) -> dict[str, torch.Tensor]:
        """Terms of the translation's loss whose weights are not zero."""
        weights, n = self.plan.weights, pair.n_generated
        terms = {
            name: (verdict - 1).square().mean()
            for name, verdict in self._verdicts(pair.refined).items()
        }
        if weights.low_frequencies:
            change = (pair.output - pair.seen)[:, :, self._low]
            of_generated, of_real = (
                root_mean_square(part) for part in (change[:n], change[n:])
            )
            terms["low_frequencies"] = of_generated + of_real
        found = None if self.projections is None else self._features(pair.output)
        for suffix, rows in (("", slice(n)), ("_of_real", slice(n, None))):
            if found is not None and getattr(weights, f"contrast{suffix}"):
                terms[f"contrast{suffix}"] = self._contrast(pair.features, found, rows)
            if getattr(weights, f"dissimilarity{suffix}"):
                terms[f"dissimilarity{suffix}"] = dissimilarity(
                    pair.before[rows], pair.after[rows]
                )
        return terms

    def _features(self, plane: torch.Tensor) -> list[torch.Tensor]:
        translation = self.translation
        return translation.network.encode(translation.placed(plane))

    def _contrast(
        self, inputs: list[torch.Tensor], outputs: list[torch.Tensor], rows: slice
    ) -> torch.Tensor:
        assert self.projections is not None
        plan = self.plan
        return patch_contrast(
            [part[rows] for part in inputs],
            [part[rows] for part in outputs],
            self.projections,
            plan.n_patches,
            plan.temperature,
            self._generator,
        )


def _parameters(*networks: nn.Module | None) -> list[nn.Parameter]:
    return [
        p for network in networks if network is not None for p in network.parameters()
    ]
