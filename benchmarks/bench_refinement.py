"""Effect of the refiners on generated images: detectability, distances and time.

The script trains a small autoencoder whose transposed convolutions leave checkerboards,
and passes real images through it. Each class of `skspectral.refinement` then learns to
correct the spectra of the outputs. The same is done for samples of other generators.

    python benchmarks/bench_refinement.py                      # bundled photographs
    python benchmarks/bench_refinement.py --data images.npz --size 2000 --translator
    python benchmarks/bench_refinement.py --data images.npz --generated samples.npz ...

--data is an .npz with train and test of shape (n, height, width, channels), uint8.
--generated takes files with an array images of the same size and type. --judge is a
TorchScript file of a network that returns features, for the Frechet distance.
--translator also trains the network, which takes minutes per set. --official also
trains it in the size and with the settings of the published code, for which a GPU is
recommended. --pictures is a folder for pictures of spectra and gains.

Images are divided into three groups. Matchers are fitted to the first group, detectors
are trained on the second, and all figures are computed on the third. A detector is a
logistic regression on standardised log-spectra of luma. The frozen detector is trained
on unrefined images. The re-trained detector is trained on refined images, and its AUC
is the most important figure: 0.5 means that it cannot distinguish refined from real
images. Distances include the errors of the fit: after a perfect match, learned from as
many images as are tested, they are log(2) above the floor. The script prints Markdown
tables, and writes the results with a description of the machine as JSON.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import sys
from pathlib import Path

import numpy as np
from _autoencoder import BATCH, passed_through, train
from _data import IMAGES_HELP, load_images
from _measure import machine, timed, write_report
from _refinement_pictures import picture
from _tables import markdown
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skspectral.metrics import (
    extract_features,
    frechet_distance,
    mean_spectrum_distance,
    psnr,
)
from skspectral.refinement import (
    CrossSpectrumMatcher,
    RadialSpectrumMatcher,
    SpectrumMatcher,
    SpectrumQuantileMatcher,
    SpectrumTranslator,
)

METHODS = {
    "radial": RadialSpectrumMatcher(),
    "mean log, not shrunk": SpectrumMatcher(shrinkage=None),
    "mean log": SpectrumMatcher(),
    "mean power": SpectrumMatcher(statistic="power"),
    "quantiles": SpectrumQuantileMatcher(),
    "quantiles, affine": SpectrumQuantileMatcher(affine=True),
    "cross-spectrum": CrossSpectrumMatcher(),
}
COLUMNS = [
    ("method", "method"),
    ("fit s", "fit s", "{:.2f}"),
    ("transform ms", "transform ms", "{:.2f}"),
    ("distance", "distance", "{:.2f}"),
    ("flag rate", "flag rate", "{:.3f}"),
    ("AUC frozen", "AUC frozen", "{:.3f}"),
    ("AUC re-trained", "AUC re-trained", "{:.3f}"),
    ("PSNR", "PSNR", "{:.1f}"),
    ("Frechet", "Frechet", "{:.1f}"),
]
TRANSLATOR = {"translator": SpectrumTranslator(random_state=0)}
# Parameters with which the network has the size and losses of the published code.
PAPER = {
    "profile": "rings",
    "base_channels": 64,
    "depth": 4,
    "lambda_nce": 20.0,
    "lambda_nce_identity": 20.0,
    "lambda_lowfreq": 3.0,
    "lambda_ssim_identity": 3.0,
    "n_patches": 256,
    "projection_dim": 256,
    "learning_rate": 8e-5,
    "batch_size": 1,
    "max_steps_per_epoch": None,
    "early_stopping": False,
    "random_state": 0,
}
OFFICIAL = {
    "official, magnitudes": SpectrumTranslator(
        parameterization="absolute", recalibrate=False, **PAPER
    ),
    "official, gains": SpectrumTranslator(**PAPER),
}


def load_real(path, n_images):
    """Return distinct real images in random order."""
    train, test, _ = load_images(path, n_patches=n_images)
    if path is None:
        return train
    images = np.concatenate([train, test])
    return np.random.default_rng(0).permutation(images)[:n_images]


def sets(args, fit_size, size):
    """Yield name, real images and generated images of each set."""
    n_real, n_generated = fit_size + 4 * size, fit_size + 2 * size
    # A file is used as a whole. Of the photographs, n_real patches more than the groups
    # need are taken to train the autoencoder.
    images = load_real(args.data, None if args.data else 2 * n_real + n_generated)
    real, sources, others = np.split(images, [n_real, n_real + n_generated])
    autoencoder = train(enough(others, BATCH), 60 * args.minutes)
    sources = enough(sources, n_generated)
    yield "autoencoder", real, passed_through(autoencoder, sources)
    for path in args.generated:
        yield path.stem, real, load_generated(path, n_generated)


def enough(images, n_images):
    """Return the images, or stop the script if there are too few."""
    if len(images) < n_images:
        raise SystemExit(
            f"error: there are only {len(images)} images, but {n_images} are required. "
            "Pass more images, or lower --size and --fit-size."
        )
    return images


def load_generated(path, n_images):
    """Return random generated images of a file."""
    with np.load(path) as data:
        images = np.random.default_rng(0).permutation(data["images"])[:n_images]
    return enough(images, n_images)


def log_spectra(images):
    """Return log-magnitudes of luma, the features of a detector.

    The error of rounding to integers is added to the power as a floor.
    """
    luma = images @ np.array([0.299, 0.587, 0.114]) if images.shape[3] == 3 else images
    luma = luma.reshape(images.shape[:3])
    floor = luma[0].size / 12
    return 0.5 * np.log(abs(np.fft.rfft2(luma)) ** 2 + floor).reshape(len(images), -1)


def train_detector(generated, real):
    """Train a detector whose positive class is generated images."""
    X = log_spectra(np.concatenate([generated, real]))
    y = np.repeat([1, 0], [len(generated), len(real)])
    detector = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    return detector.fit(X, y)


def detect(detector, generated, real):
    """Return the fraction of generated images that are detected, and the AUC."""
    scores = detector.decision_function(log_spectra(np.concatenate([generated, real])))
    labels = np.repeat([1, 0], [len(generated), len(real)])
    flagged = scores[: len(generated)] > 0
    return float(flagged.mean()), float(roc_auc_score(labels, scores))


class Bench:
    """Three groups of real and of generated images, and figures of the third group."""

    def __init__(self, real, generated, sizes, judge=None):
        # Two more groups of real images are measured as if they were generated.
        fit, size = sizes
        starts = fit + size * np.arange(5)
        self.real = np.split(real, starts)[:5]
        self.generated = np.split(generated, starts)[:3]
        self.frozen = train_detector(self.generated[1], self.real[1])
        self.judge = judge
        if judge:
            self.features = self._features(self.real[2])

    def _features(self, images):
        """Return features of images, without logits."""
        outputs = extract_features(images, self.judge)
        return outputs[0] if isinstance(outputs, tuple) else outputs

    def figures(self, for_detector, for_test):
        """Return figures of refined images.

        ``for_detector`` are the images on which a detector is trained again,
        ``for_test`` those that are tested.
        """
        flag_rate, frozen = detect(self.frozen, for_test, self.real[2])
        retrained = train_detector(for_detector, self.real[1])
        distance = mean_spectrum_distance(self.real[2], for_test)
        row = {
            "distance": distance.distance,
            "floor": distance.floor,
            "flag rate": flag_rate,
            "AUC frozen": frozen,
            "AUC re-trained": detect(retrained, for_test, self.real[2])[1],
        }
        if self.judge:
            row["Frechet"] = frechet_distance(self.features, self._features(for_test))
        return row

    def measure(self, matcher):
        """Fit a matcher and return its figures."""
        _, fit = timed(matcher.fit, self.generated[0], self.real[0])
        refined, transform = timed(matcher.transform, self.generated[2])
        row = {"fit s": fit, "transform ms": 1000 * transform / len(refined)}
        row |= self.figures(matcher.transform(self.generated[1]), refined)
        if isinstance(matcher, SpectrumTranslator):
            row |= {"epochs": matcher.n_iter_, "best epoch": matcher.best_iter_}
        # PSNR is infinite for images that did not change.
        changed = (refined != self.generated[2]).any(axis=(1, 2, 3))
        if changed.any():
            row["PSNR"] = psnr(self.generated[2][changed], refined[changed])
        return row

    def run(self, methods):
        """Return figures by method.

        They include the figures of unrefined images and of other real images.
        """
        rows = {"none": self.figures(*self.generated[1:3])}
        for name, matcher in methods.items():
            rows[name] = self.measure(matcher)
            print(name, rows[name], file=sys.stderr, flush=True)
        rows["real images"] = self.figures(*self.real[3:5])
        return rows


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help=IMAGES_HELP)
    parser.add_argument(
        "--generated",
        type=Path,
        nargs="+",
        default=[],
        help=".npz files with an array images",
    )
    parser.add_argument("--size", type=int, default=1000, help="images per group")
    parser.add_argument(
        "--fit-size",
        type=int,
        help="images in the group for matchers; default: the value of --size",
    )
    parser.add_argument(
        "--judge",
        type=Path,
        help="TorchScript network from images to features; default: no Frechet "
        "distances",
    )
    parser.add_argument(
        "--minutes", type=float, default=0.25, help="training time of the autoencoder"
    )
    parser.add_argument(
        "--translator", action="store_true", help="also train SpectrumTranslator"
    )
    parser.add_argument(
        "--official",
        action="store_true",
        help="also train SpectrumTranslator with the settings of the published code",
    )
    parser.add_argument("--device", default="cpu", help="device of SpectrumTranslator")
    parser.add_argument("--pictures", type=Path, help="folder to write pictures to")
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("bench_refinement.json"),
        help="JSON file of the report",
    )
    return parser.parse_args()


def main():
    args = parse_arguments()
    sizes = args.fit_size or args.size, args.size
    methods = {
        **METHODS,
        **(TRANSLATOR if args.translator else {}),
        **(OFFICIAL if args.official else {}),
    }
    for method in methods.values():
        if isinstance(method, SpectrumTranslator):
            method.set_params(device=args.device)
    results = []
    for name, real, generated in sets(args, *sizes):
        bench = Bench(real, generated, sizes, args.judge)
        rows = bench.run(methods)
        rows = [{"images": name, "method": key, **row} for key, row in rows.items()]
        results += rows
        print(f"\n{name}; floor of the distance {rows[0]['floor']:.2f}\n")
        print(markdown(rows, COLUMNS, drop_empty=True), flush=True)
        if args.pictures:
            shown = ("mean log", "quantiles", *(TRANSLATOR if args.translator else ()))
            args.pictures.mkdir(exist_ok=True)
            groups = bench.generated[2], bench.real[2]
            figure = picture(name, *groups, {key: methods[key] for key in shown})
            figure.savefig(args.pictures / f"{name}.png", dpi=100)
    report = {"sizes": sizes, "machine": machine()}
    write_report({**report, "results": results}, args.output)


if __name__ == "__main__":
    main()
