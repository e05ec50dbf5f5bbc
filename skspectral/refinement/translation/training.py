"""How a translation is trained: the plan, the adversaries' steps, and the epochs."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

from skspectral._device import as_tensor
from skspectral._progress import Step
from skspectral._random import seeded_torch
from skspectral.metrics.reconstruction import similarity_map
from skspectral.refinement.translation.batches import Batch, Pairs
from skspectral.refinement.translation.model import Translation, square_rings
from skspectral.refinement.translation.networks import (
    LinearDiscriminator,
    PatchDiscriminator,
    Projections,
)

# Channels of the discriminator's first layer, at least.
_NARROWEST = 16
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


@dataclass(frozen=True)
class TranslatorPlan:
    """The parameters of a `SpectrumTranslator` that steer its training, checked.

    ``weights`` are those of the `TERMS`, of which 0 leaves out a term with its
    networks, and ``n_steps`` the steps of an epoch.
    """

    base_channels: int
    depth: int
    max_log_gain: float
    parameterization: str
    profile: str
    nce_temperature: float
    n_patches: int
    projection_dim: int
    low_freq_radius: int
    learning_rate: float
    betas: tuple[float, float]
    max_epochs: int
    decay_start: float
    n_iter_no_change: int
    weights: dict[str, float]
    n_steps: int

    @classmethod
    def from_params(
        cls, params: dict[str, Any], shape: tuple[int, ...], n_images: int
    ) -> "TranslatorPlan":
        """The plan for ``n_images``, those of the larger set, of one ``shape``.

        Raises
        ------
        ValueError
            If all weights are 0, ``betas`` are not Adam's, or the sides cannot be
            halved ``depth`` times.
        """
        weights = {term: params[name] for term, name in TERMS.items()}
        if not any(weights.values()):
            raise ValueError(
                "All weights lambda_... are 0, so that there is nothing to learn. Set "
                "one of them, such as lambda_profile=3."
            )
        betas = tuple(params["betas"])
        numbers = len(betas) == 2 and all(isinstance(beta, Real) for beta in betas)
        if not numbers or not all(0 <= beta < 1 for beta in betas):
            raise ValueError(
                f"betas={params['betas']!r} must be two numbers within [0, 1)."
            )
        _check_sides(shape, params["depth"])
        n_steps = -(-n_images // params["batch_size"])
        radius = params["low_freq_radius"]
        if radius is None:
            radius = max(1, round(max(shape[:2]) / 32))
        derived = {
            "betas": betas,
            "low_freq_radius": radius,
            "weights": weights,
            "n_steps": min(n_steps, params["max_steps_per_epoch"] or n_steps),
        }
        names = {each.name for each in fields(cls)} - derived.keys()
        return cls(**derived, **{name: params[name] for name in names})

    def learning_rate_factor(self, step: int) -> float:
        """1 until a share of all steps, then linearly down to 0 after the last."""
        total = self.max_epochs * self.n_steps
        falling = max((1 - self.decay_start) * total, 1.0)
        return min(1.0, max(0.0, (total - step) / falling))


def _check_sides(shape: tuple[int, ...], depth: int) -> None:
    """Raise unless sides can be halved ``depth`` times, to 2 or more.

    A side of 1, as signals have, is only for a depth of 0.
    """
    unit, sides = 2**depth, shape[:2]
    if depth == 0 or all(side % unit == 0 and side >= 2 * unit for side in sides):
        return
    nearest = tuple(max(2, round(side / unit)) * unit for side in sides)
    raise ValueError(
        f"Images of {sides[0]} x {sides[1]} pixels cannot be halved depth={depth} "
        f"times: sides must be multiples of {unit}, at least {2 * unit}. Pad or crop "
        f"to {nearest[0]} x {nearest[1]}, or lower depth."
    )


class Pass(NamedTuple):
    """Generated and real images on their way through the translation.

    The first ``n`` of a batch are generated. ``seen`` and ``output`` are planes of
    standardised log-magnitudes before and after, with the encoder's ``features`` of the
    former; ``before`` and ``after`` are images. All are (batch, C, H, W).
    """

    n: int
    seen: torch.Tensor
    output: torch.Tensor
    features: list[torch.Tensor]
    before: torch.Tensor
    after: torch.Tensor


class TranslatorTraining:
    """A new translation and its least-squares adversaries (Mao et al. 2017).

    ``of_bins`` are mean and spread of log-magnitudes, and the log-gain that generated
    images get beside the network's, each of shape (C, H, width // 2 + 1).
    """

    def __init__(
        self,
        plan: TranslatorPlan,
        of_bins: tuple[np.ndarray, np.ndarray, np.ndarray],
        width: int,
        seed: int,
        device: torch.device,
    ):
        mean, spread, self.start = (
            as_tensor(part, device, torch.float32) for part in of_bins
        )
        self.plan, self.n_steps = plan, 0
        n_channels, height, _ = mean.shape
        self._generator = torch.Generator().manual_seed(seed)
        rings = plan.profile == "rings"
        self._rings = square_rings(height, width).to(device) if rings else None
        bound = plan.max_log_gain if plan.parameterization == "residual" else None
        weights = plan.weights
        self.patches = self.profile = self.projections = None
        with seeded_torch(seed):
            self.translation = Translation(
                mean, spread, width, plan.base_channels, plan.depth, bound
            ).to(device)
            if weights["patches"]:
                n_first = max(plan.base_channels, _NARROWEST)
                self.patches = PatchDiscriminator(n_channels + 2, n_first, plan.depth)
            if weights["profile"]:
                n_bins = height * width if self._rings is None else self._rings.shape[1]
                self.profile = LinearDiscriminator(n_channels * n_bins)
            if weights["contrast"] or weights["contrast_of_real"]:
                widths = self.translation.network.widths
                self.projections = Projections(widths, plan.projection_dim)
        sides = torch.tensor([height, width], device=device).view(2, 1, 1)
        bins = self.translation.places * sides / 2
        self._low = (bins < plan.low_freq_radius + 0.5).all(0)
        self._translators = _parameters(device, self.translation, self.projections)
        adversaries = _parameters(device, self.patches, self.profile)
        self.optimizers = [
            torch.optim.Adam(parameters, plan.learning_rate, betas=plan.betas)
            for parameters in (self._translators, adversaries)
            if parameters
        ]

    def step(self, generated: Batch, real: Batch) -> dict[str, float]:
        """One step of the discriminators and one of the translation.

        Returns the terms of the translation's loss before the step, without their
        weights. If one is not finite, ArithmeticError is raised before the translation
        changes.
        """
        rate = self.plan.learning_rate * self.plan.learning_rate_factor(self.n_steps)
        for optimizer in self.optimizers:
            optimizer.zero_grad(set_to_none=True)
            for group in optimizer.param_groups:
                group["lr"] = rate
        images = self.translate(generated, real)
        self._train_discriminators(images)
        terms = self._terms(images)
        values = {name: float(term.detach()) for name, term in terms.items()}
        self.n_steps += 1
        for name, value in values.items():
            if not math.isfinite(value):
                raise ArithmeticError(f"{name} is {value} in step {self.n_steps}")
        weights = self.plan.weights
        loss = torch.stack([weights[name] * term for name, term in terms.items()]).sum()
        loss.backward(inputs=self._translators)  # type: ignore[no-untyped-call]
        self.optimizers[0].step()
        return values

    def translate(self, generated: Batch, real: Batch) -> Pass:
        """Both kinds of images in one pass; only the generated ones get the start."""
        translation, n = self.translation, len(generated.spectra)
        log_magnitudes = torch.cat([generated.log_magnitudes, real.log_magnitudes])
        spectra = torch.cat([generated.spectra, real.spectra])
        log_gain, features = translation(log_magnitudes)
        started = torch.zeros_like(log_magnitudes)
        started[:n] = self.start
        log_gain = log_gain + started
        seen, output = (
            translation.standardised(part, log_magnitudes)
            for part in (log_magnitudes, log_magnitudes + log_gain)
        )
        before, after = (
            torch.fft.irfft2(part, s=seen.shape[2:])
            for part in (spectra, spectra * log_gain.exp())
        )
        return Pass(n, seen, output, features, before, after)

    def verdicts(self, plane: torch.Tensor) -> dict[str, torch.Tensor]:
        """What each discriminator says of planes (n, C, H, W)."""
        verdicts = {}
        if self.patches is not None:
            verdicts["patches"] = self.patches(self.translation.placed(plane))
        if self.profile is not None:
            values = plane if self._rings is None else plane.flatten(2) @ self._rings
            verdicts["profile"] = self.profile(values)
        return verdicts

    def _train_discriminators(self, images: Pass) -> None:
        """A step towards 1 for real images and 0 for refined ones."""
        of_real = self.verdicts(images.seen[images.n :])
        of_refined = self.verdicts(images.output[: images.n].detach())
        losses = [
            ((of_real[name] - 1).square().mean() + verdict.square().mean()) / 2
            for name, verdict in of_refined.items()
        ]
        if losses:
            torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
            self.optimizers[1].step()

    def _terms(self, images: Pass) -> dict[str, torch.Tensor]:
        """Terms of the translation's loss whose weights are not zero."""
        plan, weights, n = self.plan, self.plan.weights, images.n
        terms = {
            name: (verdict - 1).square().mean()
            for name, verdict in self.verdicts(images.output[:n]).items()
        }
        if weights["low_frequencies"]:
            change = (images.output - images.seen)[:, :, self._low]
            changes = root_mean_square(change[:n]), root_mean_square(change[n:])
            terms["low_frequencies"] = changes[0] + changes[1]
        if self.projections is not None:
            placed = self.translation.placed(images.output)
            outputs = self.translation.network.encode(placed)
        for suffix, rows in (("", slice(n)), ("_of_real", slice(n, None))):
            if self.projections is not None and weights[f"contrast{suffix}"]:
                terms[f"contrast{suffix}"] = patch_contrast(
                    [level[rows] for level in images.features],
                    [level[rows] for level in outputs],
                    self.projections,
                    plan.n_patches,
                    plan.nce_temperature,
                    self._generator,
                )
            if weights[f"dissimilarity{suffix}"]:
                terms[f"dissimilarity{suffix}"] = dissimilarity(
                    images.before[rows], images.after[rows]
                )
        return terms


def patch_contrast(
    inputs: list[torch.Tensor],
    outputs: list[torch.Tensor],
    projections: Projections,
    n_patches: int,
    temperature: float,
    generator: torch.Generator,
) -> torch.Tensor:
    """PatchNCE (Park et al. 2020) of features (n, c_i, h_i, w_i), mean over levels.

    It is the cross-entropy of finding each place of the output in the input among at
    most ``n_patches`` random places of the same image. No gradient flows through the
    input. The ``generator`` lives on the CPU.
    """
    losses = []
    for key, query, project in zip(inputs, outputs, projections, strict=True):
        n_places = key.shape[2] * key.shape[3]
        places = torch.randperm(n_places, generator=generator)[:n_patches]
        k, q = (
            F.normalize(project(part.flatten(2)[:, :, places].transpose(1, 2)), dim=2)
            for part in (key.detach(), query)
        )
        likeness = q @ k.detach().transpose(1, 2) / temperature
        same = torch.arange(len(places), device=likeness.device)
        losses.append(
            F.cross_entropy(likeness.flatten(0, 1), same.repeat(len(likeness)))
        )
    return torch.stack(losses).mean()


def dissimilarity(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
    """1 - SSIM (Wang et al. 2004), mean over images (n, C, H, W) within [0, 1]."""
    return 1 - similarity_map(x, y).mean()


def root_mean_square(change: torch.Tensor) -> torch.Tensor:
    """Root of the mean square of all values, with a derivative at zero."""
    return (change.square().mean() + _TINY).sqrt()


def _parameters(
    device: torch.device, *networks: nn.Module | None
) -> list[nn.Parameter]:
    """Parameters of the networks that there are, which are moved to the device."""
    there = [network.to(device) for network in networks if network is not None]
    return [parameter for network in there for parameter in network.parameters()]


@dataclass
class TranslatorRun:
    """What happened in a training, by epochs.

    ``best`` is the translation, on the CPU, after epoch ``n_best``: the best one, or
    the last one without a judge; None if the start was better. ``terms`` are means over
    each epoch, ``verdicts`` the judge's of the start and after each epoch, and
    ``failure`` says what was not finite, if that ended the training.
    """

    best: Translation | None = None
    n_epochs: int = 0
    n_best: int = 0
    terms: list[dict[str, float]] = field(default_factory=list)
    verdicts: list[float] = field(default_factory=list)
    failure: str | None = None


def train(
    training: TranslatorTraining,
    pairs: Pairs,
    on_epoch: Step,
    judge: Callable[[Translation | None], float] | None,
) -> TranslatorRun:
    """Train until the last epoch of the plan, or until no epoch gets better.

    ``judge`` gives a translation, or none, a number of which less is better; a call of
    ``on_epoch`` that returns True stops the training.
    """
    plan, run = training.plan, TranslatorRun()
    if judge is not None:
        run.verdicts.append(judge(None))
    for epoch in range(1, plan.max_epochs + 1):
        try:
            terms = _epoch(training, pairs)
        except ArithmeticError as error:
            run.failure = str(error)
            break
        run.n_epochs = epoch
        run.terms.append(terms)
        present = copy.deepcopy(training.translation).cpu().eval()
        if judge is not None:
            run.verdicts.append(judge(present))
            terms = {**terms, "detector_auc": run.verdicts[-1]}
        if judge is None or run.verdicts[-1] < min(run.verdicts[:-1]):
            run.best, run.n_best = present, epoch
        if on_epoch(**terms) or epoch - run.n_best >= plan.n_iter_no_change:
            break
    return run


def _epoch(training: TranslatorTraining, pairs: Pairs) -> dict[str, float]:
    """Means of the terms; ArithmeticError if terms or weights are not finite."""
    training.translation.train()
    batches = pairs.batches(training.plan.n_steps)
    steps = [training.step(generated, real) for generated, real in batches]
    if not all(torch.isfinite(w).all() for w in training.translation.parameters()):
        raise ArithmeticError(f"a weight is not finite in step {training.n_steps}")
    return {name: sum(terms[name] for terms in steps) / len(steps) for name in steps[0]}
