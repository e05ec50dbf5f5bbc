"""Priors on the same atoms: held-out likelihood, and time of fits and draws.

The script fits all priors to the codes of one data set. Figures are: log-likelihood of
held-out samples in nats, Bayesian information criterion, duration of the prior's fit,
growth of the peak memory, and duration of drawing as many samples as are held out.
scikit-learn's mixture is fitted on the same coordinates for comparison.

    python benchmarks/bench_priors.py                     # bundled photographs
    python benchmarks/bench_priors.py --images images.npz --n-components 512
    python benchmarks/bench_priors.py --signals windows.npz

The files are those of bench_fit.py and bench_sound.py. The script prints a Markdown
table, and writes the results with a description of the machine as JSON.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import sys
import warnings
from pathlib import Path

from _data import IMAGES_HELP, load_image_rows, load_windows
from _measure import PeakMemory, machine, timed, write_report
from _tables import markdown
from sklearn.exceptions import ConvergenceWarning
from sklearn.mixture import GaussianMixture as ScikitLearnsMixture

from skspectral import SpectralDictionaryLearning
from skspectral.priors import GaussianMixture, GaussianPrior, ScaledPrior


def priors(names):
    """Return priors by name."""
    every = {
        "Gaussian": GaussianPrior(),
        "Gaussian, Ledoit-Wolf": GaussianPrior(shrinkage="ledoit_wolf"),
        "Gaussian, diagonal": GaussianPrior("diag"),
        "Gaussian, low rank": GaussianPrior("low_rank"),
        "mixture of 5": GaussianMixture(5),
        "mixture of 10": GaussianMixture(10),
        "mixture of 20": GaussianMixture(20),
        "mixture of 10, diagonal": GaussianMixture(10, covariance="diag"),
        "mixture of 10, low rank": GaussianMixture(10, covariance="low_rank"),
        "mixture of 50, low rank": GaussianMixture(50, covariance="low_rank"),
        "scikit-learn's of 10": ScaledPrior(ScikitLearnsMixture(10, random_state=0)),
    }
    return {name: every[name] for name in names or every}


def load(args):
    """Return training rows, test rows and options of the estimator."""
    if args.signals is not None:
        train, test, _ = load_windows(args.signals)
        return train[: args.size], test, {}
    train, test, shape = load_image_rows(args.images, args.size)
    return train, test, {"signal_shape": shape}


def measure(name, prior, estimator, codes, train, test):
    """Fit one prior, set it as ``prior_`` of the estimator, and return figures."""
    with PeakMemory() as memory:
        _, seconds = timed(prior.fit, codes)
    estimator.prior_ = prior
    _, sample_s = timed(lambda: estimator.sample(len(test), random_state=0))
    return {
        "prior": name,
        "score": estimator.score(test),
        "train_score": estimator.score(train),
        "bic_per_sample": prior.bic(codes) / len(codes),
        "fit_s": seconds,
        "fit_MiB": memory.growth / 2**20,
        "sample_s": sample_s,
        "n_iter": getattr(getattr(prior, "prior_", prior), "n_iter_", None),
    }


def as_markdown(rows):
    """Return the table, with likelihoods as gains over the Gaussian."""
    base = rows[0]["score"]
    columns = [
        ("prior", "prior"),
        ("held-out nats - Gaussian's", lambda row: row["score"] - base, "{:+.2f}"),
        (
            "training nats - held-out",
            lambda row: row["train_score"] - row["score"],
            "{:.2f}",
        ),
        ("BIC/n", "bic_per_sample", "{:.1f}"),
        ("fit, s", "fit_s", "{:.1f}"),
        ("MiB", "fit_MiB", "{:.0f}"),
        ("draws, s", "sample_s", "{:.2f}"),
    ]
    return markdown(rows, columns)


def parse_arguments():
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    data = parser.add_mutually_exclusive_group()
    data.add_argument("--images", type=Path, help=IMAGES_HELP)
    data.add_argument(
        "--signals",
        type=Path,
        help=".npz with windows_train, windows_test and sampling_rate",
    )
    parser.add_argument(
        "--size", type=int, default=10_000, help="number of training samples"
    )
    parser.add_argument("--n-components", type=int, default=128, help="number of atoms")
    parser.add_argument(
        "--priors",
        nargs="+",
        choices=priors(None),
        metavar="NAME",
        help="names of the priors; default: all",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("bench_priors.json"),
        help="JSON file of the report",
    )
    return parser.parse_args()


def main():
    """Measure, print a table and write the report."""
    args = parse_arguments()
    warnings.simplefilter("ignore", ConvergenceWarning)
    train, test, options = load(args)
    estimator = SpectralDictionaryLearning(
        args.n_components, atoms="sinusoid", modulation=None, random_state=0, **options
    ).fit(train)
    codes = estimator.coordinates(train)
    rows = []
    for name, prior in {"Gaussian": GaussianPrior(), **priors(args.priors)}.items():
        rows.append(measure(name, prior, estimator, codes, train, test))
        print(f"  {name}: {rows[-1]['fit_s']:.1f} s", file=sys.stderr)
    print(
        f"{len(train)} samples of {train.shape[1]}, {args.n_components} atoms, "
        f"{len(test)} held out; held-out log-likelihood of the Gaussian: "
        f"{rows[0]['score']:.2f} nats per sample\n"
    )
    print(as_markdown(rows))
    write_report({"machine": machine(), "results": rows}, args.output)


if __name__ == "__main__":
    main()
