"""How a translation is trained: batches, terms of its loss, and steps."""
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
# Terms of the translation's loss, and the parameters that are their weights.
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
    """Batches of ``batch_size`` images of each set, those of the first set first.

    The order is random, and every image comes once before any comes again. Spectra are
    those of images whose black and white, ``extent``, are made 0 and 1; log-magnitudes
    those of the images as they are, above the rounding ``floor``.
    """
    needed, (black, white) = n_batches * batch_size, extent
    orders = []
    for images in sets:
        repeats = -(-needed // len(images))
        rounds = [stream.permutation(len(images)) for _ in range(repeats)]
        orders.append(np.concatenate(rounds))
    for start in range(0, needed, batch_size):
        some = slice(start, start + batch_size)
        parts = zip(sets, orders, strict=True)
        batch = np.concatenate([images[order[some]] for images, order in parts])
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
    """A translation and the discriminators that it has to mislead.

    Both sides have losses of least squares (Mao et al. 2017). A term of the
    translation's whose weight is 0 is left out, with its networks; ``discriminators``
    have the names of their `TERMS`. Batches hold as many generated images as real ones;
    the former get the log-gain ``start``, (C, H, W // 2 + 1), beside the translation's.
    ``learning_rate`` is Adam's, a function of the number of steps before.
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
        places = self.translation.places
        bins = places * places.new_tensor(places.shape[1:]).view(2, 1, 1) / 2
        self._low = (bins < self.low_freq_radius + 0.5).all(0)
        self._learning = [*self.translation.parameters()]
        if self.contrast is not None:
            self._learning += self.contrast.parameters()
        self.optimizers = [
            torch.optim.Adam(parameters, betas=self.betas)
            for parameters in (self._learning, [*self.discriminators.parameters()])
            if parameters
        ]

    def epoch(self, batches: Iterable[Batch]) -> dict[str, float]:
        """Means over batches of the terms of the translation's loss, unweighted.

        ArithmeticError is raised if a term or a weight of the network is not finite.
        """
        steps = [self.step(*batch) for batch in batches]
        if not all(torch.isfinite(w).all() for w in self.translation.parameters()):
            raise ArithmeticError(f"a weight is not finite in step {self.n_steps}")
        return {
            name: sum(step[name] for step in steps) / len(steps) for name in steps[0]
        }

    def step(
        self, log_magnitudes: torch.Tensor, spectra: torch.Tensor
    ) -> dict[str, float]:
        """One step of the discriminators and one of the translation.

        Returns the terms of the translation's loss before the step. If one is not
        finite, ArithmeticError is raised before the translation changes.
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
                raise ArithmeticError(f"{name} is {value} in step {self.n_steps}")
        loss = torch.stack([self.weights[name] * term for name, term in terms.items()])
        loss.sum().backward(inputs=self._learning)  # type: ignore[no-untyped-call]
        self.optimizers[0].step()
        return values

    def translate(
        self, log_magnitudes: torch.Tensor
    ) -> tuple[torch.Tensor, list[torch.Tensor]]:
        """Log-gains of a batch, with the start's, and the encoder's features."""
        log_gain, features = self.translation(log_magnitudes)
        log_gain[: len(log_gain) // 2] += self.start
        return log_gain, features

    def verdicts(self, plane: torch.Tensor) -> dict[str, torch.Tensor]:
        """What each discriminator says of standardised planes (n, C, H, W)."""
        inputs = {"patches": self.translation.placed(plane), "profile": plane}
        networks = self.discriminators.items()
        return {name: network(inputs[name]) for name, network in networks}

    def _terms(
        self, log_magnitudes: torch.Tensor, spectra: torch.Tensor
    ) -> dict[str, torch.Tensor]:
        """Terms of the translation's loss, after a step of the discriminators."""
        translation, weights, n = self.translation, self.weights, len(spectra) // 2
        log_gain, features = self.translate(log_magnitudes)
        seen, output = (
            translation.standardised(part, log_magnitudes)
            for part in (log_magnitudes, log_magnitudes + log_gain)
        )
        self._train_discriminators(seen[n:], output[:n].detach())
        terms = {
            name: (verdict - 1).square().mean()
            for name, verdict in self.verdicts(output[:n]).items()
        }
        if weights["low_frequencies"]:
            change = (output - seen)[:, :, self._low]
            changes = root_mean_square(change[:n]), root_mean_square(change[n:])
            terms["low_frequencies"] = changes[0] + changes[1]
        if self.contrast is not None:
            outputs = translation.network.encode(translation.placed(output))
        before, after = (
            torch.fft.irfft2(part, s=seen.shape[2:])
            for part in (spectra, spectra * log_gain.exp())
        )
        for suffix, rows in (("", slice(n)), ("_of_real", slice(n, None))):
            if self.contrast is not None and weights[f"contrast{suffix}"]:
                pair = ([level[rows] for level in part] for part in (features, outputs))
                terms[f"contrast{suffix}"] = self.contrast(*pair)
            if weights[f"dissimilarity{suffix}"]:
                terms[f"dissimilarity{suffix}"] = dissimilarity(
                    before[rows], after[rows]
                )
        return terms

    def _train_discriminators(self, real: torch.Tensor, refined: torch.Tensor) -> None:
        """A step towards 1 for real planes and 0 for refined ones."""
        of_real = self.verdicts(real)
        losses = [
            ((of_real[name] - 1).square().mean() + verdict.square().mean()) / 2
            for name, verdict in self.verdicts(refined).items()
        ]
        if losses:
            torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
            self.optimizers[1].step()


def falling(step: int, n_steps: int, decay_start: float) -> float:
    """1 until a share of all steps, then linearly down to 0 after the last."""
    return min(1.0, max(0.0, (n_steps - step) / max((1 - decay_start) * n_steps, 1.0)))


def dissimilarity(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """1 - SSIM (Wang et al. 2004), mean over images (n, C, H, W) within [0, 1]."""
    return 1 - similarity_map(x, y).mean()


def root_mean_square(change: torch.Tensor) -> torch.Tensor:
    """Root of the mean square of all values, with a derivative at zero."""
    return (change.square().mean() + _TINY).sqrt()
