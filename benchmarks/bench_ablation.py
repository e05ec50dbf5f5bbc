"""What each part of the model is worth: starts, atoms, drift, optimisers, losses.

One run on one data set. For each number of components: the published recipe, ours, and
ours with one part exchanged at a time; explained variance and spectral error of
held-out images, seconds, parameters of an atom, condition number of the atoms, and the
share of an atom's energy that lies in one wave (its readability; median).

    python benchmarks/bench_ablation.py                    # bundled photographs
    python benchmarks/bench_ablation.py --data images.npz  # uint8 arrays train, test
    python benchmarks/bench_ablation.py --n-components 128 --configurations plane PCA

Random starts have the renewal of weak atoms, as all but the published recipe. "Ours" is
"greedy, basis"; both errors over ours are those of the first 1,000 held-out images.

Prints a Markdown table and writes it as JSON with the machine's description.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from _data import IMAGES_HELP, load_image_rows
from _measure import machine, timed, write_report
from _tables import markdown
from sklearn.decomposition import PCA
from sklearn.exceptions import ConvergenceWarning

from skspectral import MLPModulation, SpectralDictionaryLearning
from skspectral.grid import Grid
from skspectral.moments.quadratic_form import QuadraticForm
from skspectral.recipes import published_recipe
from skspectral.stft import STFT

# Images on which the slower figures are taken.
SPECTRAL_TEST = 1000
STFT_WEIGHT = 0.008
COLUMNS = [
    ("K", "components"),
    ("configuration", "configuration"),
    ("EV", "ev", "{:.4f}"),
    ("squared error ÷ ours", "squared", "{:.3f}"),
    ("STFT error ÷ ours", "stft", "{:.3f}"),
    ("fit, s", "fit_s", "{:.1f}"),
    ("numbers an atom", "parameters", "{:.0f}"),
    ("condition", "condition", "{:.1f}"),
    ("in one wave", "in_one_wave", "{:.2f}"),
]


def configurations(n_components, shape):
    """Estimators by name; the first two words say what differs from ours."""

    def ours(**changes):
        options = {"signal_shape": shape, "atoms": "sinusoid", "random_state": 0}
        return SpectralDictionaryLearning(n_components, **{**options, **changes})

    network = MLPModulation(modulated=("amplitude", "phase", "frequency"))
    return {
        "published recipe": published_recipe(n_components, random_state=0),
        "published, greedy start": published_recipe(
            n_components, random_state=0, init="greedy"
        ),
        "published, centred": published_recipe(
            n_components, random_state=0, center=True
        ),
        "random start, plain": ours(init="random", modulation=None),
        "random start, basis": ours(init="random"),
        "spectrum start, plain": ours(init="spectrum", modulation=None),
        "spectrum start, basis": ours(init="spectrum"),
        "greedy, plain": ours(modulation=None),
        "greedy, basis": ours(),
        "greedy, basis, L-BFGS": ours(solver="lbfgs"),
        "greedy, basis, Adam": ours(solver="adam", learning_rate=0.01),
        "greedy, MLP of coordinates": ours(modulation="mlp"),
        "greedy, MLP of t": ours(modulation="mlp", signal_shape=None),
        "greedy, MLP of t, A f phi": ours(modulation=network, signal_shape=None),
        "plane waves, plain": ours(atoms="plane_wave", modulation=None),
        "plane waves, basis": ours(atoms="plane_wave"),
        "plane waves, MLP": ours(atoms="plane_wave", modulation="mlp"),
        "greedy, basis, STFT": ours(stft_weight=STFT_WEIGHT),
        "greedy, basis, STFT, polished": ours(
            stft_weight=STFT_WEIGHT, transform_stft_weight=STFT_WEIGHT
        ),
        "PCA": PCA(n_components, random_state=0),
    }


def in_one_wave(atoms, axes):
    """Largest share of each atom's energy in one wave of a half-cycle grid."""
    rows = torch.as_tensor(atoms, dtype=torch.float64)
    rows = rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    # Cosine and sine of one channel are not quite orthogonal.
    one_channel = Grid(axes.sizes)
    whole = QuadraticForm.of_identity(one_channel, rows).pencil()
    gram = torch.stack(
        [whole.cos_cos[0, 0], *[whole.cross[0, 0] / 2] * 2, whole.sin_sin[0, 0]],
        dim=1,
    ).reshape(-1, 2, 2)
    gram.diagonal(dim1=1, dim2=2).add_(1e-6 * gram[0, 0, 0])
    factor = torch.linalg.cholesky(gram)
    shares = []
    for row in rows:
        spectrum = axes.spectra(row[None])[0]
        parts = torch.stack([spectrum.real, -spectrum.imag]).permute(2, 0, 1)
        white = torch.linalg.solve_triangular(factor, parts, upper=False)
        # Of a colour times a phase: the largest singular value.
        shares.append(float(torch.linalg.matrix_norm(white, ord=2).max()) ** 2)
    return np.array(shares)


def readability(atoms, shape):
    """Median share in the best wave, of the flattened image or of the plane."""
    families = [Grid((atoms.shape[1],))]
    if len(shape) > 1:
        families.append(Grid(shape[:2], *shape[2:]))
    shares = [in_one_wave(atoms, axes) for axes in families]
    return float(np.median(np.maximum.reduce(shares)))


def parameters(estimator):
    """Numbers that make an atom, the network's shared out."""
    if isinstance(estimator, PCA):
        return estimator.components_.shape[1]
    return estimator.model_.dictionary.params.size / len(estimator.components_)


def measure(name, estimator, train, test, shape):
    """One configuration; a dictionary of figures."""
    _, seconds = timed(estimator.fit, train)
    # The short-time window is as in the paper's flattened images.
    stft = STFT(min(64, test.shape[1]), max(1, min(64, test.shape[1]) // 4))
    part = test[:SPECTRAL_TEST]
    polished = getattr(estimator, "transform_stft_weight", 0) > 0
    judged = part if polished else test
    rebuilt = estimator.inverse_transform(estimator.transform(judged))
    errors = ((judged - rebuilt) ** 2).sum(axis=1, dtype=float)
    total = ((judged - train.mean(0, dtype=float)) ** 2).sum(dtype=float)
    spectral = stft.magnitude_error(*map(torch.as_tensor, (part, rebuilt[: len(part)])))
    atoms = estimator.components_.astype(np.float64)
    return {
        "components": len(atoms),
        "configuration": name,
        "ev": float(1 - errors.sum() / total),
        "n_test": len(judged),
        "stft_error": float(spectral.mean()),
        "squared_error": float(errors[: len(part)].mean()),
        "fit_s": seconds,
        "parameters": parameters(estimator),
        "condition": float(
            np.linalg.cond(atoms / np.linalg.norm(atoms, axis=1, keepdims=True))
        ),
        "in_one_wave": readability(atoms, shape),
    }


def run_all(args):
    """Every configuration, in this process, one after the other."""
    train, test, shape = load_image_rows(args.data, args.size)
    # What only the first fit in a process pays.
    SpectralDictionaryLearning(2).fit(test[:50, :16])
    results = []
    for n_components in args.n_components:
        chosen = configurations(n_components, shape)
        for name in args.configurations or chosen:
            row = measure(name, chosen[name], train, test, shape)
            results.append(row)
            print(f"  {n_components:>4} {name}: {row}", file=sys.stderr, flush=True)
    for row in results:
        rows = [r for r in results if r["components"] == row["components"]]
        ours = [r for r in rows if r["configuration"] == "greedy, basis"]
        if ours:
            row["stft"] = row["stft_error"] / ours[0]["stft_error"]
            row["squared"] = row["squared_error"] / ours[0]["squared_error"]
    return results


def parse_arguments():
    """Command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help=IMAGES_HELP)
    parser.add_argument("--size", type=int, default=10_000, help="training images")
    parser.add_argument("--n-components", type=int, nargs="+", default=[64, 128, 256])
    names = list(configurations(2, (2, 2, 1)))
    parser.add_argument("--configurations", nargs="+", choices=names, metavar="NAME")
    parser.add_argument("--output", type=Path, default=Path("bench_ablation.json"))
    return parser.parse_args()


def main():
    """Measure, print, write."""
    args = parse_arguments()
    # Twenty epochs, or a start at random, do not converge; the table says how far.
    warnings.simplefilter("ignore", ConvergenceWarning)
    results = run_all(args)
    print(markdown(results, COLUMNS))
    data = "photographs" if args.data is None else args.data.name
    report = {
        "data": data,
        "n_train": args.size,
        "machine": machine(),
        "results": results,
    }
    write_report(report, args.output)


if __name__ == "__main__":
    main()
