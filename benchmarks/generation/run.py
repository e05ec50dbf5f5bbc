"""Generators of images side by side: the same data, device and minutes for each.

Trains a convolutional VAE, a GAN, a diffusion model, linear models, and
`SpectralDictionaryLearning` with several atoms and priors, draws as many images from
each, and measures them all against the test images: Frechet and kernel distance,
density and coverage, classifier score (in features of a network that is given), the
spectrum, and whether images are copies of training images. Training images are
measured too: that is the floor.

    python benchmarks/generation/run.py --data images.npz --judge network.ts
    python benchmarks/generation/run.py --methods GAN "ours, 128 static, Gaussian"
    python benchmarks/generation/run.py --minutes 10 --device cuda ...

--data is an .npz with train and test of shape (n, height, width, channels), uint8, and
train_labels, without which entries that need labels are left out; by default patches of
the bundled photographs. --judge is a TorchScript file: from images (n, channels,
height, width) in [0, 1] to features, or features and logits. Without one, only what
needs no network is measured. --inception takes weights of torch-fidelity.

Each method runs in a process of its own. Under --output it leaves its samples (.npz),
its figures (.json) and a picture (.png). One whose samples are there, of the same
options, is not run again; delete it where the data of that name have changed.
results.json, results.md and samples.jpg are of all methods of the run. Images must have
sides that are multiples of 8.
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
# Of the command line, what samples depend on.
OPTIONS = ("data", "size", "minutes", "n_samples", "device")


@dataclass
class Data:
    """Images, uint8, and labels of the training images or None."""

    train: np.ndarray
    test: np.ndarray
    labels: np.ndarray | None


def methods(device, labelled):
    """Functions that make the generators, by name."""
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
    """Train one method and draw from it; write images and costs to a file."""
    model = methods(args.device, data.labels is not None)[name]()
    start = time.perf_counter()
    model.fit(data.train, data.labels, 60 * args.minutes)
    fitted = time.perf_counter()
    images = model.sample(args.n_samples, seed=1)
    # As a file would hold them.
    images = np.rint(np.clip(images, 0, 1) * 255).astype(np.uint8)
    drawn = time.perf_counter()
    costs = {
        "fit_s": fitted - start,
        "sample_s_per_1000": (drawn - fitted) / args.n_samples * 1000,
        "n_parameters": model.n_parameters,
    }
    keep(name, images, costs, args)


def generate_apart(name, args):
    """The same in a process with memory and threads of its own."""
    arguments = ["--one", name]
    for option in (*OPTIONS, "output"):
        value = getattr(args, option)
        if value is not None:
            arguments += [f"--{option.replace('_', '-')}", value]
    run_apart(__file__, *arguments)


def options(args):
    """What samples depend on."""
    return {name: str(getattr(args, name)) for name in OPTIONS}


def keep(name, images, costs, args):
    """Write samples of a method, and what they cost, to a file."""
    about = json.dumps({"options": options(args), "costs": costs})
    whole = args.output / f"{name}.npz"
    part = whole.with_suffix(".part.npz")
    np.savez(part, images=images, about=about)
    # A run that is stopped leaves no half a file.
    part.replace(whole)


def kept(name, args):
    """Samples and costs of a method, or None if there are none of the same options."""
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
        # What figures depend on beside the samples.
        self.judges = {"judge": str(args.judge), "inception": str(args.inception)}

    @cached_property
    def _parts(self):
        """Made when there is something to measure: real images take a minute."""
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
        """Figures by name."""
        figures = {}
        for part in self._parts:
            figures |= part.figures(images)
        return figures


def run(name, data, measures, args):
    """Images and figures of one method: from files, of its samples, or from the start.

    The files tell by which judges; the figures, which are published, do not.
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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help=IMAGES_HELP)
    parser.add_argument("--size", type=int, help="training images; default all")
    parser.add_argument("--judge", type=Path, help="TorchScript file")
    parser.add_argument("--inception", type=Path, help="weights of torch-fidelity")
    parser.add_argument("--minutes", type=float, default=5.0, help="for each training")
    parser.add_argument("--n-samples", type=int, default=10_000)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--methods", nargs="+", metavar="NAME", help="default all")
    parser.add_argument("--output", type=Path, default=Path("generation"))
    parser.add_argument("--one", help=argparse.SUPPRESS)
    return parser.parse_args()


def chosen_methods(args, data):
    """Names, checked."""
    known = [*REAL, *methods(args.device, data.labels is not None)]
    unknown = set(args.methods or ()) - set(known)
    if unknown:
        raise SystemExit(f"error: no method {sorted(unknown)[0]!r}; there are {known}")
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
    """Results so far as JSON, as a table, and as a picture."""
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
