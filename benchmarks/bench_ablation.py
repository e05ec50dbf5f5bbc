"""Effect of each part of the model: starts, atoms, modulation, optimisers and losses.

The benchmark compares, for each number of components K, the published recipe, the
reference "greedy, basis", and variants of the reference with one part exchanged.
Figures are: explained variance and spectral error of held-out images, time of the fit,
number of parameters per atom, condition number of the atoms, and the fraction of an
atom's energy that lies in its strongest single wave (median over the atoms). The last
figure measures how well an atom can be interpreted as one frequency.

    python benchmarks/bench_ablation.py                    # bundled photographs
    python benchmarks/bench_ablation.py --data images.npz  # uint8 arrays train, test
    python benchmarks/bench_ablation.py --configurations "greedy, basis" PCA

All configurations except the published recipe replace weak atoms during the fit, also
after random starts. The ratios of squared and STFT errors to those of the reference are
computed on the first 1,000 held-out images.

The script prints a Markdown table. It writes the table and a description of the machine
as JSON.
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

# Number of test images for the slower figures.
SPECTRAL_TEST = 1000
STFT_WEIGHT = 0.008
COLUMNS = [
    ("K", "components"),
    ("configuration", "configuration"),
    ("EV", "ev", "{:.4f}"),
    ("squared error ÷ reference", "squared", "{:.3f}"),
    ("STFT error ÷ reference", "stft", "{:.3f}"),
    ("fit, s", "fit_s", "{:.1f}"),
    ("parameters", "parameters", "{:.0f}"),
    ("condition", "condition", "{:.1f}"),
    ("in one wave", "in_one_wave", "{:.2f}"),
]


def configurations(n_components, shape):
    """Return estimators by name.

    The name describes the difference from the reference, "greedy, basis".
    """

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
    """Return the largest fraction of each atom's energy that lies in one wave.

    The waves are those of a grid with a spacing of half a cycle.
    """
    rows = torch.as_tensor(atoms, dtype=torch.float64)
    rows = rows / torch.linalg.vector_norm(rows, dim=1, keepdim=True)
    # The cosine and sine of a wave in one channel are not exactly orthogonal.
    one_channel = Grid(axes.sizes)
    whole = QuadraticForm.of_identity(one_channel, rows).pencil()
    gram = torch.stack(
        [whole.cos_cos[0, 0], *[whole.cross[0, 0] / 2] * 2, whole.sin_sin[0, 0]],
        dim=1,
    ).reshape(-1, 2, 2)
    gram.diagonal(dim1=1, dim2=2).add_(1e-6 * gram[0, 0, 0])
    factor = torch.linalg.cholesky(gram)
    fractions = []
    for row in rows:
        spectrum = axes.spectra(row[None])[0]
        parts = torch.stack([spectrum.real, -spectrum.imag]).permute(2, 0, 1)
        white = torch.linalg.solve_triangular(factor, parts, upper=False)
        # The best product of a colour and a phase has the largest singular value.
        fractions.append(float(torch.linalg.matrix_norm(white, ord=2).max()) ** 2)
    return np.array(fractions)


def readability(atoms, shape):
    """Return the median fraction of energy in the best wave.

    The wave is one of the flattened image or one of the plane, whichever fits the atom
    better.
    """
    families = [Grid((atoms.shape[1],))]
    if len(shape) > 1:
        families.append(Grid(shape[:2], *shape[2:]))
    fractions = [in_one_wave(atoms, axes) for axes in families]
    return float(np.median(np.maximum.reduce(fractions)))


def parameters(estimator):
    """Return the number of parameters per atom, network weights divided evenly."""
    if isinstance(estimator, PCA):
        return estimator.components_.shape[1]
    return estimator.model_.dictionary.params.size / len(estimator.components_)


def measure(name, estimator, train, test, shape):
    """Fit one configuration and return its figures."""
    _, seconds = timed(estimator.fit, train)
    # The paper uses this window on flattened images.
    stft = STFT(min(64, test.shape[1]), max(1, min(64, test.shape[1]) // 4))
    part = test[:SPECTRAL_TEST]
    polished = getattr(estimator, "transform_stft_weight", 0) > 0
    tested = part if polished else test
    rebuilt = estimator.inverse_transform(estimator.transform(tested))
    errors = ((tested - rebuilt) ** 2).sum(axis=1, dtype=float)
    total = ((tested - train.mean(0, dtype=float)) ** 2).sum(dtype=float)
    spectral = stft.magnitude_error(*map(torch.as_tensor, (part, rebuilt[: len(part)])))
    atoms = estimator.components_.astype(np.float64)
    return {
        "components": len(atoms),
        "configuration": name,
        "ev": float(1 - errors.sum() / total),
        "n_test": len(tested),
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
    """Measure all configurations one after the other in this process."""
    train, test, shape = load_image_rows(args.data, args.size)
    # The first fit in a process takes longer. It is not measured.
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
    """Parse the command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, help=IMAGES_HELP)
    parser.add_argument(
        "--size", type=int, default=10_000, help="number of training images"
    )
    parser.add_argument(
        "--n-components",
        type=int,
        nargs="+",
        default=[64, 128, 256],
        help="numbers of atoms K",
    )
    names = list(configurations(2, (2, 2, 1)))
    parser.add_argument(
        "--configurations",
        nargs="+",
        choices=names,
        metavar="NAME",
        help="names of the configurations to measure; default: all",
    )
    parser.add_argument(
        "--output",
        type=Path,
        default=Path("bench_ablation.json"),
        help="JSON file of the report",
    )
    return parser.parse_args()


def main():
    """Measure, print a table and write the report."""
    args = parse_arguments()
    # Some configurations do not converge. The table shows their error.
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
