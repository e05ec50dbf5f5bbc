"""Training of a translation: batches, terms of the loss, and steps."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from skspectral._device import as_tensor
from skspectral.metrics._ranges import Range
from skspectral.metrics.reconstruction import similarity_map
from skspectral.refinement._spectra import log_magnitude, spectra_of
from skspectral.refinement.translation.model import Translation
from skspectral.refinement.translation.networks import PatchContrast

# Log-magnitudes and spectra, (n, C, H, W // 2 + 1), in single precision.
Batch = tuple[torch.Tensor, torch.Tensor]
# Keeps the derivative of a square root finite at zero.
_TINY = 1e-8
# Terms of the loss, and the parameters of `SpectrumTranslator` that weight them.
TERMS = {
    "patches": "lambda_gan",
    "profile": "lambda_profile",
    "contrast": "lambda_nce",
    "contrast_of_real": "lambda_nce_identity",
    "low_frequencies": "lambda_lowfreq",
    "dissimilarity_of_real": "lambda_ssim_identity",
    "dissimilarity": "lambda_ssim",
}


def iter_batches(
    sets: Sequence[np.ndarray],
    batch_size: int,
    n_batches: int,
    stream: np.random.Generator,
    extent: Range,
    floor: float,
    device: torch.device,
) -> Iterator[Batch]:
    """Yield batches of ``batch_size`` images per set.

    The images of the first set come first. The order is random, and every image of a
    set comes once before any comes again. The spectra are those of images scaled to [0,
    1] by their black and white, ``extent``. The log-magnitudes are those of unscaled
    images, with the rounding ``floor``.
    """
    needed, (black, white) = n_batches * batch_size, extent
    orders = []
    for images in sets:
        repeats = -(-needed // len(images))
        rounds = [stream.permutation(len(images)) for _ in range(repeats)]
        orders.append(np.concatenate(rounds))
    for start in range(0, needed, batch_size):
        rows = slice(start, start + batch_size)
        parts = zip(sets, orders, strict=True)
        batch = np.concatenate([images[order[rows]] for images, order in parts])
        spectra = spectra_of(batch)
        log_magnitudes = log_magnitude(spectra, floor)
        spectra[..., 0, 0] -= black * math.prod(batch.shape[1:3])
        spectra /= white - black
        yield (
            as_tensor(log_magnitudes, device, torch.float32),
            as_tensor(spectra, device, torch.complex64),
        )


@dataclass
class TranslatorTraining:
    """A translation in training, with its discriminators.

    Translation and discriminators have least-squares losses (Mao et al. 2017).
    ``weights`` has one entry per name in `TERMS`; a term of weight 0 is omitted
    together with its network. ``discriminators`` uses the same names. A batch holds
    equal numbers of generated and of real images. The log-gain ``start``, of shape (C,
    H, W // 2 + 1), is added to the output of the translation for generated images only.
    ``learning_rate`` returns Adam's learning rate from the number of past steps.
    """

    translation: Translation
    start: torch.Tensor
    discriminators: nn.ModuleDict
    contrast: PatchContrast | None
    weights: dict[str, float]
    low_freq_radius: int
    learning_rate: Callable[[int], float]
    betas: tuple[float, float]
    n_steps: int = 0

    def __post_init__(self) -> None:
        nyquist = self.translation.coordinates
        cycles = nyquist * nyquist.new_tensor(nyquist.shape[1:]).view(2, 1, 1) / 2
        self._is_low = (cycles < self.low_freq_radius + 0.5).all(0)
        self._parameters = [*self.translation.parameters()]
        if self.contrast is not None:
            self._parameters += self.contrast.parameters()
        self.optimizers = [
            torch.optim.Adam(parameters, betas=self.betas)
            for parameters in (self._parameters, [*self.discriminators.parameters()])
            if parameters
        ]

    def epoch(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Train on all batches and return the mean of each unweighted term of the loss.

        Raises ArithmeticError if a term or a weight of the network is infinite or NaN.
        """
        steps = [self.step(*batch) for batch in batches]
        if not all(torch.isfinite(w).all() for w in self.translation.parameters()):
            raise ArithmeticError(
                f"a weight of the network is not finite in step {self.n_steps}"
            )
        return {
            name: sum(step[name] for step in steps) / len(steps) for name in steps[0]
        }

    def step(
        self, log_magnitudes: torch.Tensor, spectra: torch.Tensor
    ) -> dict[str, float]:
        """Update the discriminators, then the translation.

        Returns the terms of the loss, unweighted and before the update of the
        translation. If a term is infinite or NaN, ArithmeticError is raised before this
        update.
        """
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
            for group in optimizer.param_groups:
                group["lr"] = self.learning_rate(self.n_steps)
        terms = self._terms(log_magnitudes, spectra)
        values = {name: float(term.detach()) for name, term in terms.items()}
        self.n_steps += 1
        for name, value in values.items():
            if not math.isfinite(value):
                raise ArithmeticError(
                    f"the term {name!r} of the loss is {value} in step {self.n_steps}"
                )
        loss = torch.stack([self.weights[name] * term for name, term in terms.items()])
        loss.sum().backward(inputs=self._parameters)  # type: ignore[no-untyped-call]
        self.optimizers[0].step()
        return values

    def translate(
        self, log_magnitudes: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Return the log-gains of a batch and the features of the encoder.

        The log-gains of generated images include the start.
        """
        log_gain, features = self.translation(log_magnitudes)
        log_gain[: len(log_gain) // 2] += self.start
        return log_gain, features

    def verdicts(self, plane: torch.Tensor) -> dict[str, torch.Tensor]:
        """Return the scores of each discriminator for planes (n, C, H, W)."""
        inputs = {"patches": self.translation.with_coordinates(plane), "profile": plane}
        networks = self.discriminators.items()
        return {name: network(inputs[name]) for name, network in networks}

    def _terms(
        self, log_magnitudes: torch.Tensor, spectra: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Update the discriminators, then return the terms of the loss."""
        translation, weights, n = self.translation, self.weights, len(spectra) // 2
        log_gain, features = self.translate(log_magnitudes)
        inputs, output = (
            translation.standardised(part, log_magnitudes)
            for part in (log_magnitudes, log_magnitudes + log_gain)
        )
        self._train_discriminators(inputs[n:], output[:n].detach())
        terms = {
            name: (score - 1).square().mean()
            for name, score in self.verdicts(output[:n]).items()
        }
        if weights["low_frequencies"]:
            change = (output - inputs)[:, :, self._is_low]
            changes = root_mean_square(change[:n]), root_mean_square(change[n:])
            terms["low_frequencies"] = changes[0] + changes[1]
        if self.contrast is not None:
            plane = translation.with_coordinates(output)
            output_features = translation.network.encode(plane)
        before, after = (
            torch.fft.irfft2(part, s=inputs.shape[2:])
            for part in (spectra, spectra * log_gain.exp())
        )
        for suffix, rows in (("", slice(n)), ("_of_real", slice(n, None))):
            if self.contrast is not None and weights[f"contrast{suffix}"]:
                pair = (
                    [level[rows] for level in part]
                    for part in (features, output_features)
                )
                terms[f"contrast{suffix}"] = self.contrast(*pair)
            if weights[f"dissimilarity{suffix}"]:
                terms[f"dissimilarity{suffix}"] = dissimilarity(
                    before[rows], after[rows]
                )
        return terms

    def _train_discriminators(self, real: torch.Tensor, refined: torch.Tensor) -> None:
        """Update the discriminators: targets are 1 for real, 0 for refined planes."""
        real_scores = self.verdicts(real)
        losses = [
            ((real_scores[name] - 1).square().mean() + score.square().mean()) / 2
            for name, score in self.verdicts(refined).items()
        ]
        if losses:
            torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
            self.optimizers[1].step()


def falling(step: int, n_steps: int, decay_start: float) -> float:
    """Return the factor of the learning rate at a step.

    It is 1 for the fraction ``decay_start`` of all steps and then falls linearly to 0.
    """
    return min(1.0, max(0.0, (n_steps - step) / max((1 - decay_start) * n_steps, 1.0)))


def dissimilarity(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """Return 1 - SSIM (Wang et al. 2004), averaged over images in [0, 1]."""
    return 1 - similarity_map(x, y).mean()


def root_mean_square(change: torch.Tensor) -> torch.Tensor:
    """Return the root mean square of all values.

    A small constant keeps the derivative finite at zero.
    """
    return (change.square().mean() + _TINY).sqrt()
