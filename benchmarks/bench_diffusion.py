"""Effect of each part of the diffusion prior, after training of equal length.

The script trains the same network as a plain diffusion model of pixels (with the
preconditioning of Karras et al. 2022), then adds one part of `DiffusionPrior` after the
other, and finally changes the noise. With --steps it also draws from the complete prior
with different numbers of steps, along the exact flow of the Gaussian and without it.

    python benchmarks/bench_diffusion.py --data images.npz --judge network.ts
    python benchmarks/bench_diffusion.py --minutes 15 --variants pixels "+ Gaussian"

--data is an .npz with train and test of shape (n, height, width, channels), uint8. The
default is patches of the bundled photographs. --judge is a TorchScript file of a
network from images to features, which are used for the Frechet distance to the test
images. The error of a denoiser is its squared error on test images divided by the
expected error of the Wiener estimate, at the same noise for all variants. Codes are
principal components, because Gaussian and diffusion priors depend only on the span of
the atoms.
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

N_SAMPLES = 1000
WHOLE = "whole: + a third of the codes"
STEPS = (4, 6, 8, 12, 18, 30)
# Without the exact flow, draws must start at a level at which the principal components
# with the largest variance are dominated by noise.
LARGEST_NOISE = 160.0


class Blind(SignalDenoiser):
    """A denoiser whose network does not receive the Wiener estimate."""

    def inputs(self, noisy, noise):
        """Return the network's inputs, with zeros in place of the Wiener estimate."""
        scaled, wiener = super().inputs(noisy, noise)
        return scaled, torch.zeros_like(wiener)


class Coloured(SignalDenoiser):
    """A denoiser for `ColouredGaussian`.

    Its signals are in the unit of the codes, while its coordinates are scaled.
    """

    def __init__(self, distribution, *args):
        super().__init__(distribution, *args)
        scales = torch.from_numpy(distribution.scales).float()
        self.register_buffer("scales", scales, persistent=False)

    def coordinates(self, signals):
        """Return coordinates on axes that do not have unit length."""
        return super().coordinates(signals) / self.scales**2


class ColouredGaussian(PrincipalGaussian):
    """A Gaussian whose coordinates are divided by a power of their standard deviation.

    White noise on these coordinates is coloured noise on the signals.
    """

    @property
    def scales(self):
        """Numbers by which the coordinates are divided."""
        return np.linalg.norm(self.axes, axis=1)

    def coordinates(self, codes):
        """Return the coordinates of codes."""
        return super().coordinates(codes) / self.scales**2

    def mirror(self, synthesis):
        """Return the affine map of coordinates that mirrors signals."""
        return tuple(part / self.scales**2 for part in super().mirror(synthesis))


def white(model):
    """Make all variances of the Gaussian equal, which removes its effect."""
    variances = model.distribution.variances
    flat = np.full_like(variances, variances.mean())
    return replace(model, distribution=replace(model.distribution, variances=flat))


def blind(model):
    """Remove the Wiener estimate from the network's inputs."""
    return replace(model, signal_denoiser=Blind)


def coloured(power, model):
    """Make the noise proportional to a power of the standard deviations."""
    variances, axes = model.distribution.variances, model.distribution.axes
    scales = variances ** (power / 2)
    scales *= np.sqrt((variances / scales**2).mean() / variances.mean())
    changes = {"axes": scales[:, None] * axes, "variances": variances / scales**2}
    distribution = ColouredGaussian(**{**vars(model.distribution), **changes})
    return replace(model, distribution=distribution, signal_denoiser=Coloured)


class Changed(DiffusionPrior):
    """A prior that changes its model before training and exposes its denoiser."""

    change = staticmethod(lambda model: model)

    def _new_model(self, *args):
        model = super()._new_model(*args)
        self.unchanged = model
        return self.change(model)

    @property
    def denoiser(self):
        """The trained denoiser."""
        return self._trained_denoiser()


def unchanged(model):
    """Return the model unchanged."""
    return model


@dataclass
class Variant:
    """A variant of the diffusion prior.

    It consists of a change of the model, the fraction of the principal components that
    are codes, and the mean of the logarithm of the noise in training.
    """

    change: Callable = unchanged
    fraction: float = 1 / 3
    log_noise: float = training.LOG_NOISE[0]
    # Whether the noise, and hence the error, is that of the other variants.
    comparable: bool = True


VARIANTS = {
    "pixels": Variant(lambda model: blind(white(model)), 1),
    "+ Gaussian": Variant(blind, 1),
    "+ Wiener's estimate": Variant(fraction=1),
    WHOLE: Variant(),
    "whole, less noise": Variant(log_noise=-1.1),
    "whole, more noise": Variant(log_noise=0.1),
    "whole, coloured noise": Variant(partial(coloured, 0.25), comparable=False),
    "whole, blue noise": Variant(partial(coloured, -0.25), comparable=False),
}


@dataclass
class Data:
    """Codes of training and test images, and the map from codes to images."""

    train: np.ndarray
    test: np.ndarray
    synthesis: Synthesis


def project(train, test, fraction):
    """Project images on the leading principal components of the training images.

    ``fraction`` is the number of components as a fraction of the number of pixel
    values.
    """
    shape = train.shape[1:]
    rows, test_rows = (part.reshape(len(part), -1) / 255.0 for part in (train, test))
    moments = GaussianPrior().fit(rows)
    vectors, _ = principal_directions(moments.covariance_)
    axes = np.ascontiguousarray(vectors.T[: round(fraction * len(vectors))])
    synthesis = Synthesis(axes, moments.mean_, shape)
    return Data(synthesis.codes(rows), synthesis.codes(test_rows), synthesis)


def error(prior, data, n_images=1000):
    """Return the squared error of the denoiser on test images.

    It is divided by the expected squared error of the Wiener estimate. The noise has
    the default distribution of the training. Variance outside the span of the codes is
    not counted.
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
    """Return images as uint8, clipped to [0, 255]."""
    signals = np.clip(synthesis.signals(codes), 0, 1)
    return np.rint(255 * signals).astype(np.uint8)


def plain_draws(prior, n_samples, n_steps, n_rows=100):
    """Draw by Heun's method applied directly to dz/ds = (z - D) / s."""
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


def study(prior, n_samples, distance):
    """Return distances of draws by number of steps, with and without exact flow."""
    figures = []
    for n_steps in STEPS:
        prior.set_params(n_steps=n_steps)
        figures.append(
            {
                "steps": n_steps,
                "exact flow": distance(prior.sample(n_samples, random_state=1)),
                "plain": distance(plain_draws(prior, n_samples, n_steps)),
            }
        )
        print("  " + json.dumps(figures[-1]), file=sys.stderr, flush=True)
    return figures


def run(name, args):
    """Train one variant and return its figures."""
    variant = VARIANTS[name]
    images, test, _ = load_images(args.data, side=16)
    data = project(images, test, variant.fraction)
    training.LOG_NOISE = (variant.log_noise, training.LOG_NOISE[1])
    if name == "pixels":
        flow.LARGEST = LARGEST_NOISE
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

    def distance(codes):
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
        "frechet_distance": distance(codes),
        "s per 1,000 draws": round(1000 * seconds / args.n_samples, 1),
    }
    if args.steps and name == WHOLE:
        figures["steps"] = study(prior, args.n_samples, distance)
    return figures


def features_of(images, judge):
    """Return features of images, without logits."""
    features = extract_features(images, judge)
    return features[0] if isinstance(features, tuple) else features


def as_markdown(results):
    """Return the table of the variants and the table of the steps."""
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
        # Variants change constants of modules, hence each runs in its own process.
        out = run_apart(*sys.argv, "--one", name)
        results.append(json.loads(out))
        print(out.strip(), flush=True)
    print(f"\n{machine()}; {args.minutes:g} minutes of training per variant\n")
    print(as_markdown(results))
    if args.output is not None:
        write_report(results, args.output)


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--data", type=Path, help=IMAGES_HELP)
    parser.add_argument(
        "--judge",
        type=Path,
        help="TorchScript network from images to features; default: no distances",
    )
    parser.add_argument(
        "--minutes", type=float, default=3.5, help="training time per variant"
    )
    parser.add_argument(
        "--width", type=int, default=64, help="width of the network, see DiffusionPrior"
    )
    parser.add_argument(
        "--n-samples", type=int, default=N_SAMPLES, help="number of draws"
    )
    parser.add_argument(
        "--variants",
        nargs="+",
        choices=VARIANTS,
        default=[*VARIANTS],
        help="variants to train; default: all",
    )
    parser.add_argument(
        "--steps",
        action="store_true",
        help="also draw from the complete prior with different numbers of steps",
    )
    parser.add_argument("--output", type=Path, help="JSON file of the results")
    parser.add_argument("--one", choices=VARIANTS, help=argparse.SUPPRESS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
