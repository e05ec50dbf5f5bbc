"""What the parts of the diffusion prior are worth, at equal minutes.

Trains the same network as a plain diffusion model of pixels (the preconditioning of
Karras et al. 2022), then with each part of `DiffusionPrior`, and with other choices of
noise; and draws from the whole with fewer and more steps, along the exact flow of the
Gaussian and without it.

    python benchmarks/bench_diffusion.py --data images.npz --judge network.ts
    python benchmarks/bench_diffusion.py --variants pixels whole --minutes 15

--data is an .npz with train and test of shape (n, height, width, channels), uint8, by
default patches of the bundled photographs. --judge is a TorchScript file from images to
features, for the Frechet distance to the test images. The error of a denoiser is that
of test images, over the error that is expected of Wiener's estimate, at the same noise
for all variants. Codes are principal components: with a Gaussian or a diffusion prior
atoms count by their span alone.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from _data import IMAGES_HELP, load_images
from _measure import machine, run_apart, write_report
from _tables import markdown

from skspectral._random import standard_normal
from skspectral.gaussian.gaussian import principal_directions
from skspectral.metrics import extract_features, frechet_distance
from skspectral.priors import DiffusionPrior, GaussianPrior, Synthesis
from skspectral.priors.denoising import flow, training
from skspectral.priors.denoising.denoiser import SignalDenoiser
from skspectral.priors.denoising.distribution import PrincipalGaussian
from skspectral.priors.denoising.draws import guided_correction

N_JUDGED = 1000
WHOLE = "whole: + a third of the codes"
STEPS = (4, 6, 8, 12, 18, 30)
# Without the exact flow, draws have to start where principal components are noise.
FROM_MORE_NOISE = 160.0


class Blind(SignalDenoiser):
    """The network does not see Wiener's estimate."""

    def inputs(self, noisy, noise):
        """The same, with zeros in place of Wiener's estimate."""
        scaled, wiener = super().inputs(noisy, noise)
        return scaled, torch.zeros_like(wiener)


class Coloured(SignalDenoiser):
    """For a `ColouredGaussian`: signals are in the units of codes, coordinates not."""

    def __init__(self, distribution, *args):
        super().__init__(distribution, *args)
        scales = torch.from_numpy(distribution.scales).float()
        self.register_buffer("scales", scales, persistent=False)

    def coordinates(self, signals):
        """Coordinates on axes that are not of unit length."""
        return super().coordinates(signals) / self.scales**2


class ColouredGaussian(PrincipalGaussian):
    """Coordinates over a power of their deviation, so that white noise is coloured."""

    @property
    def scales(self):
        """What coordinates are divided by."""
        return np.linalg.norm(self.axes, axis=1)

    def coordinates(self, codes):
        """Coordinates of codes."""
        return super().coordinates(codes) / self.scales**2

    def mirror(self, synthesis):
        """Coordinates of mirrored signals, from coordinates."""
        return tuple(part / self.scales**2 for part in super().mirror(synthesis))


def white(model):
    """Without the Gaussian: all variances equal."""
    variances = model.distribution.variances
    flat = np.full_like(variances, variances.mean())
    return replace(model, distribution=replace(model.distribution, variances=flat))


def blind(model):
    """Without Wiener's estimate among the inputs of the network."""
    return replace(model, signal_denoiser=Blind)


def coloured(power, model):
    """Noise in proportion to a power of the deviation of each coordinate."""
    variances, axes = model.distribution.variances, model.distribution.axes
    scales = variances ** (power / 2)
    scales *= np.sqrt((variances / scales**2).mean() / variances.mean())
    changes = {"axes": scales[:, None] * axes, "variances": variances / scales**2}
    distribution = ColouredGaussian(**{**vars(model.distribution), **changes})
    return replace(model, distribution=distribution, signal_denoiser=Coloured)


class Changed(DiffusionPrior):
    """The prior, with its model changed before the training, and its denoiser shown."""

    change = staticmethod(lambda model: model)

    def _new_model(self, *args):
        model = super()._new_model(*args)
        self.unchanged = model
        return self.change(model)

    @property
    def denoiser(self):
        """The denoiser that draws."""
        return self._trained_denoiser()


def unchanged(model):
    """Nothing."""
    return model


@dataclass
class Variant:
    """A change of the model, share of the principal components, mean log noise."""

    change: Callable = unchanged
    share: float = 1 / 3
    log_noise: float = training.LOG_NOISE[0]
    # Whether noise of a level is the same as that of the others.
    comparable: bool = True


VARIANTS = {
    "pixels": Variant(lambda model: blind(white(model)), 1),
    "+ Gaussian": Variant(blind, 1),
    "+ Wiener's estimate": Variant(share=1),
    WHOLE: Variant(),
    "whole, less noise": Variant(log_noise=-1.1),
    "whole, more noise": Variant(log_noise=0.1),
    "whole, coloured noise": Variant(partial(coloured, 0.25), comparable=False),
    "whole, blue noise": Variant(partial(coloured, -0.25), comparable=False),
}


@dataclass
class Data:
    """Codes of training and test images, and how they become images."""

    train: np.ndarray
    test: np.ndarray
    synthesis: Synthesis


def project(train, test, share):
    """Principal components of training images, and both on the strongest of them."""
    shape = train.shape[1:]
    rows, test_rows = (part.reshape(len(part), -1) / 255.0 for part in (train, test))
    moments = GaussianPrior().fit(rows)
    vectors, _ = principal_directions(moments.covariance_)
    axes = np.ascontiguousarray(vectors.T[: round(share * len(vectors))])
    synthesis = Synthesis(axes, moments.mean_, shape)
    return Data(synthesis.codes(rows), synthesis.codes(test_rows), synthesis)


def error(prior, data, n_images=1000):
    """Of the denoiser for test images, over the one expected of Wiener's estimate.

    The noise is that of training with the default levels. Where there are fewer codes,
    what they cannot tell is not counted.
    """
    denoiser = prior.denoiser
    z = denoiser.distribution.coordinates(data.test[:n_images])
    z = torch.from_numpy(z).float()
    generator = torch.Generator().manual_seed(0)
    centre, spread = training.LOG_NOISE
    level = torch.randn(len(z), 1, generator=generator)
    level = (centre + spread * level).exp()
    noisy = z + level * torch.randn(z.shape, generator=generator)
    variances = torch.from_numpy(prior.unchanged.distribution.variances).float()
    expected = (variances * level**2 / (variances + level**2)).sum(1)
    with torch.inference_mode():
        clean = [
            denoiser.estimate(part, s, denoiser(part, s))
            for part, s in zip(noisy.split(100), level.split(100), strict=True)
        ]
    return float(((torch.cat(clean) - z).square().sum(1) / expected).mean())


def as_images(codes, synthesis):
    """As a file would hold them."""
    signals = np.clip(synthesis.signals(codes), 0, 1)
    return np.rint(255 * signals).astype(np.uint8)


def plain_draws(prior, n_samples, n_steps, n_rows=100):
    """Draws by Heun's method on dz/ds = (z - D) / s itself."""
    denoiser = prior.denoiser
    correction = guided_correction(denoiser)
    levels = flow.noise_levels(n_steps)
    normal = standard_normal(np.random.default_rng(1), n_samples, prior.n_features_in_)
    start = torch.from_numpy(normal).float() * levels[0]

    def slope(z, level):
        s = z.new_full((len(z), 1), level)
        clean = denoiser.estimate(z, s, correction(z, level))
        return (z - clean) / level

    def draw(z):
        for level, following in pairwise([*levels, 0.0]):
            first = slope(z, level)
            ahead = z + (following - level) * first
            if following:
                mean = (first + slope(ahead, following)) / 2
                ahead = z + (following - level) * mean
            z = ahead
        return z

    with torch.inference_mode():
        drawn = torch.cat([draw(part) for part in start.split(n_rows)])
    return denoiser.distribution.codes(drawn.numpy().astype(float))


def study(prior, n_samples, judged):
    """Figures of draws with several numbers of steps, with and without exact flow."""
    figures = []
    for n_steps in STEPS:
        prior.set_params(n_steps=n_steps)
        figures.append(
            {
                "steps": n_steps,
                "exact flow": judged(prior.sample(n_samples, random_state=1)),
                "plain": judged(plain_draws(prior, n_samples, n_steps)),
            }
        )
        print("  " + json.dumps(figures[-1]), file=sys.stderr, flush=True)
    return figures


def run(name, args):
    """Figures of one variant."""
    variant = VARIANTS[name]
    images, test, _ = load_images(args.data, side=16)
    data = project(images, test, variant.share)
    training.LOG_NOISE = (variant.log_noise, training.LOG_NOISE[1])
    if name == "pixels":
        # Without the exact flow, draws have to start where all is noise.
        flow.LARGEST = FROM_MORE_NOISE
    Changed.change = staticmethod(variant.change)
    prior = Changed(
        max_images=None,
        max_time=60 * args.minutes,
        width=args.width,
        mirror=True,
        random_state=0,
    )
    prior.fit(data.train, synthesis=data.synthesis)
    training.LOG_NOISE = (Variant.log_noise, training.LOG_NOISE[1])

    real = None if args.judge is None else features_of(test, args.judge)

    def judged(codes):
        if real is None:
            return None
        drawn = features_of(as_images(codes, data.synthesis), args.judge)
        return round(float(frechet_distance(drawn, real)), 2)

    start = time.perf_counter()
    codes = prior.sample(args.n_samples, random_state=1)
    seconds = time.perf_counter() - start
    figures = {
        "variant": name,
        "images seen": prior.n_images_,
        "loss": round(float(prior.history_["loss"][-50:].mean()), 4),
        "error, test": round(error(prior, data), 4) if variant.comparable else None,
        "frechet_distance": judged(codes),
        "s per 1,000 draws": round(1000 * seconds / args.n_samples, 1),
    }
    if args.steps and name == WHOLE:
        figures["steps"] = study(prior, args.n_samples, judged)
    return figures


def features_of(images, judge):
    features = extract_features(images, judge)
    return features[0] if isinstance(features, tuple) else features


def as_markdown(results):
    """Table of the variants, and of the steps."""
    steps = [row for result in results for row in result.get("steps", [])]
    results = [{k: v for k, v in row.items() if k != "steps"} for row in results]
    return "\n\n".join(markdown(rows) for rows in (results, steps) if rows)


def main():
    args = parse_arguments()
    if args.one is not None:
        print(json.dumps(run(args.one, args)))
        return
    results = []
    for name in args.variants:
        # Each variant has a process of its own, since variants change modules.
        out = run_apart(*sys.argv, "--one", name)
        results.append(json.loads(out))
        print(out.strip(), flush=True)
    print(f"\n{machine()}; {args.minutes:g} minutes each\n")
    print(as_markdown(results))
    if args.output is not None:
        write_report(results, args.output)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, help=IMAGES_HELP)
    parser.add_argument("--judge", type=Path)
    parser.add_argument("--minutes", type=float, default=3.5)
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--n-samples", type=int, default=N_JUDGED)
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=[*VARIANTS])
    parser.add_argument("--steps", action="store_true", help="study their number")
    parser.add_argument("--output", type=Path, help="JSON file")
    parser.add_argument("--one", choices=VARIANTS, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
