"""Generators of images on the same data and device, with equal training time.

The script trains a convolutional VAE, a GAN, a diffusion model, linear models, and
`SpectralDictionaryLearning` with several atoms and priors. It draws the same number of
images from each model, and compares the draws with the test images: Frechet and kernel
distance, density and coverage, classifier score (all in features of a given network),
radial spectrum, and similarity to training images. The same figures of training images
show which values are possible.

    python benchmarks/generation/run.py --data images.npz --judge network.ts
    python benchmarks/generation/run.py --methods GAN "ours, 128 static, Gaussian"
    python benchmarks/generation/run.py --minutes 10 --device cuda ...

--data is an .npz with train and test of shape (n, height, width, channels), uint8, and
train_labels. The sides must be multiples of 8. Without labels, models that require them
are omitted. The default is patches of the bundled photographs. --judge is a TorchScript
file of a network from images (n, channels, height, width) in [0, 1] to features, or to
features and logits. Without it, figures that require a network are omitted. --inception
takes weights of torch-fidelity.

Each method runs in its own process. It writes its samples (.npz), figures (.json) and a
picture (.png) to the folder --output. A method is not run again if its samples are
there and were made with the same options. If the contents of the data file have
changed, delete the samples. results.json, results.md and samples.jpg contain all
methods of the run.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import json
import subprocess
import sys
import time
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from _data import IMAGES_HELP, load_images
from _measure import machine, run_apart
from diffusion import DiffusionModel
from gan import AdversarialNetwork
from linear import linear
from measure import Judge, Pixels
from ours import Ours, entries
from report import as_markdown, save_grid, save_sheet
from vae import VariationalAutoEncoder

from skspectral.metrics import inception_extractor

REAL = ("training images", "test images")
N_SHOWN = 36
# Options of the command line on which samples depend.
OPTIONS = ("data", "size", "minutes", "n_samples", "device")


@dataclass
class Data:
    """Training and test images (uint8), and training labels or None."""

    train: np.ndarray
    test: np.ndarray
    labels: np.ndarray | None


def methods(device, labelled):
    """Return functions that create the generators, by name."""
    ours = {
        f"ours, {n} {atoms}, {prior}": partial(Ours, n, atoms, prior, device)
        for n, atoms, prior in entries(labelled)
    }
    models = linear(labelled)
    return {
        "VAE": partial(VariationalAutoEncoder, device),
        "GAN": partial(AdversarialNetwork, device),
        "diffusion": partial(DiffusionModel, device),
        **{name: lambda model=model: model for name, model in models.items()},
        **ours,
    }


def generate(name, data, args):
    """Train one method, draw images, and write images and costs to a file."""
    model = methods(args.device, data.labels is not None)[name]()
    start = time.perf_counter()
    model.fit(data.train, data.labels, 60 * args.minutes)
    fitted = time.perf_counter()
    images = model.sample(args.n_samples, seed=1)
    # Round to bytes, as an image file would.
    images = np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)
    drawn = time.perf_counter()
    costs = {
        "fit_s": fitted - start,
        "sample_s_per_1000": (drawn - fitted) / args.n_samples * 1000,
        "n_parameters": model.n_parameters,
    }
    keep(name, images, costs, args)


def generate_apart(name, args):
    """Run `generate` in a process with its own memory and threads."""
    arguments = ["--one", name]
    for option in (*OPTIONS, "output"):
        value = getattr(args, option)
        if value is not None:
            arguments += [f"--{option.replace('_', '-')}", value]
    run_apart(__file__, *arguments)


def options(args):
    """Return the options on which samples depend."""
    return {name: str(getattr(args, name)) for name in OPTIONS}


def keep(name, images, costs, args):
    """Write the samples of a method and their costs to a file."""
    about = json.dumps({"options": options(args), "costs": costs})
    whole = args.output / f"{name}.npz"
    part = whole.with_suffix(".part.npz")
    np.savez(part, images=images, about=about)
    # Renaming ensures that an interrupted run leaves no incomplete file.
    part.replace(whole)


def kept(name, args):
    """Return samples and costs of a method from its file.

    Return None if there is no file, or if it was made with other options.
    """
    path = args.output / f"{name}.npz"
    if not path.exists():
        return None
    with np.load(path) as saved:
        about = json.loads(str(saved["about"]))
        if about["options"] != options(args):
            return None
        return saved["images"], about["costs"]


class Measures:
    """All figures of a set of images."""

    def __init__(self, data, args):
        self._data, self._args = data, args
        # Figures depend on the samples and on these networks.
        self.judges = {"judge": str(args.judge), "inception": str(args.inception)}

    @cached_property
    def _parts(self):
        """Parts that compute figures.

        They are created at first use, because features of the real images take a
        minute.
        """
        parts = [Pixels(self._data)]
        if self._args.judge:
            parts.append(Judge(self._data, self._args.judge))
        if self._args.inception:
            extractor = inception_extractor(
                self._args.inception, device=self._args.device
            )
            parts.append(Judge(self._data, extractor, "inception_"))
        return parts

    def of(self, images):
        """Return figures by name."""
        figures = {}
        for part in self._parts:
            figures |= part.figures(images)
        return figures


def run(name, data, measures, args):
    """Return images and figures of one method.

    Samples and figures are read from files if these are up to date, and computed
    otherwise. The files also record the networks that were used.
    """
    path = args.output / f"{name}.json"
    found = kept(name, args)
    if found is None:
        path.unlink(missing_ok=True)
        if name in REAL:
            images = (data.train, data.test)[REAL.index(name)]
            keep(name, images[: args.n_samples], {}, args)
        else:
            generate_apart(name, args)
        found = kept(name, args)
    images, costs = found
    measured = json.loads(path.read_text()) if path.exists() else {}
    if measured.get("judges") != measures.judges:
        save_grid(images, args.output / f"{name}.png")
        figures = {"method": name, **costs, **measures.of(images)}
        measured = {"judges": measures.judges, "figures": figures}
        path.write_text(json.dumps(measured, indent=1))
    return images, measured["figures"]


def parse_arguments():
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help=IMAGES_HELP)
    parser.add_argument(
        "--size", type=int, help="number of training images; default: all"
    )
    parser.add_argument(
        "--judge",
        type=Path,
        help="TorchScript network from images to features, or features and logits",
    )
    parser.add_argument(
        "--inception",
        type=Path,
        help="weights of torch-fidelity's Inception network, for FID and KID",
    )
    parser.add_argument(
        "--minutes", type=float, default=5.0, help="training time per method"
    )
    parser.add_argument(
        "--n-samples", type=int, default=10_000, help="number of draws per method"
    )
    parser.add_argument("--device", default="cpu", help="device of torch")
    parser.add_argument(
        "--methods", nargs="+", metavar="NAME", help="names of methods; default: all"
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("generation"),
        help="folder of samples, figures and pictures",
    )
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def chosen_methods(args, data):
    """Return the names of the methods to run."""
    known = [*REAL, *methods(args.device, data.labels is not None)]
    unknown = set(args.methods or ()) - set(known)
    if unknown:
        raise SystemExit(
            f"error: no method {sorted(unknown)[0]!r}; there are {known}. Without "
            "labels in --data, methods by class are omitted."
        )
    return args.methods or known


def main():
    args = parse_arguments()
    data = Data(*load_images(args.data, args.size, n_patches=10_000))
    if args.one:
        generate(args.one, data, args)
        return 0
    names = chosen_methods(args, data)
    args.output.mkdir(parents=True, exist_ok=True)
    measures = Measures(data, args)
    results, shown, failed = [], {}, []
    for name in names:
        try:
            images, figures = run(name, data, measures, args)
        except subprocess.CalledProcessError as error:
            failed.append(name)
            print(f"error: {name} failed: {error}", file=sys.stderr, flush=True)
            continue
        results.append(figures)
        shown[name] = images[:N_SHOWN].copy()
        print(f"  {name}", file=sys.stderr, flush=True)
        write(results, shown, data, args)
    print(as_markdown(results))
    print(f"written to {args.output}", file=sys.stderr)
    return 1 if failed else 0


def write(results, shown, data, args):
    """Write the results so far as JSON, as a table, and as a picture."""
    about = {
        "minutes": args.minutes,
        "n_samples": args.n_samples,
        "n_train": len(data.train),
        "n_test": len(data.test),
        "device": args.device,
    }
    report = {"machine": machine(), "options": about, "results": results}
    (args.output / "results.json").write_text(json.dumps(report, indent=1))
    (args.output / "results.md").write_text(as_markdown(results) + "\n")
    save_sheet(shown, args.output / "samples.jpg")


if __name__ == "__main__":
    sys.exit(main())
