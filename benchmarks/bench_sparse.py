"""Sparse codes: speed of the codes, and quality of atoms that are learned for them.

The first table computes codes of made signals by skspectral, by scikit-learn's
``sparse_encode``, and by spams, if it is installed. Ratios are times relative to ours.
"same support" is the fraction of rows in which the same codes are zero as in
scikit-learn's codes or, for the lasso of all rows, those of spams.

The second table learns dictionaries of patches of photographs, and compares the error
of new patches at equal numbers of nonzeros with that of scikit-learn's
MiniBatchDictionaryLearning, whose atoms are free.

    python benchmarks/bench_sparse.py --photographs photographs.npz
    python benchmarks/bench_sparse.py --rows 500 --atoms 128 --skip-learning

The file of photographs holds PNG files as bytes in "NAME_png", with "NAME_offsets", for
the names "train400" and "bsd68". Without it, patches of two photographs of scikit-learn
are used. The script prints Markdown tables.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
import os
import warnings
from dataclasses import replace
from pathlib import Path

import numpy as np
from _data import load_pictures
from _measure import timed
from _tables import markdown
from sklearn.decomposition import MiniBatchDictionaryLearning, sparse_encode
from sklearn.exceptions import ConvergenceWarning

from skspectral import SpectralDictionaryLearning
from skspectral.datasets import load_photograph_patches

try:
    import spams
except ImportError:
    spams = None
# scikit-learn codes this number of rows; its time is scaled to all rows.
FEW = 500


def made_signals(n_rows, n_atoms, n_features, n_nonzero=10, seed=0):
    """Return noisy sums of few Gabor atoms, and the atoms."""
    rng = np.random.default_rng(seed)
    t = np.arange(n_features) / n_features
    frequency = rng.uniform(0, 0.4 * n_features, n_atoms)[:, None]
    centre = rng.uniform(0, 1, n_atoms)[:, None]
    width = np.exp(rng.uniform(np.log(0.03), np.log(0.5), n_atoms))[:, None]
    angle = 2 * np.pi * frequency * t + rng.uniform(0, 2 * np.pi, n_atoms)[:, None]
    atoms = np.exp(-(((t - centre) / width) ** 2) / 2) * np.sin(angle)
    atoms /= np.linalg.norm(atoms, axis=1, keepdims=True)
    codes = np.zeros((n_rows, n_atoms))
    for row in codes:
        row[rng.choice(n_atoms, n_nonzero, replace=False)] = rng.normal(size=n_nonzero)
    noise = 0.05 * rng.normal(size=(n_rows, n_features))
    return codes @ atoms + noise, atoms


def measured(call, n=5):
    """Return the result and the median of some times."""
    found = [timed(call) for _ in range(n)]
    return found[0][0], float(np.median([time for _, time in found]))


def fitted_with(atoms, like):
    """Return an estimator whose ``transform`` uses given atoms and no mean."""
    est = SpectralDictionaryLearning(2, modulation=None, center=False)
    est.fit(np.random.default_rng(0).normal(size=(4, atoms.shape[1])))
    dictionary = replace(est.model_.dictionary, components=atoms.astype(like))
    est.model_ = replace(
        est.model_, dictionary=dictionary, mean=np.zeros(atoms.shape[1], like)
    )
    est.components_, est.n_components_ = dictionary.components, len(atoms)
    return est


def compare_codes(X, atoms, dtype, **options):
    """Return a row of the first table."""
    X, atoms = X.astype(dtype), atoms.astype(dtype)
    est = fitted_with(atoms, dtype).set_params(**options)
    codes, ours = measured(lambda: est.transform(X))
    name = options["transform_algorithm"]
    if name == "omp":
        L = options["transform_n_nonzero_coefs"]
        theirs = {"algorithm": "omp", "n_nonzero_coefs": L}
        rival = spams and (lambda: spams.omp(XT, DT, L=L, numThreads=2))
        setting = f"{L} nonzeros"
    else:
        alpha = options["transform_alpha"]
        theirs = {"algorithm": name, "alpha": alpha}
        rival = spams and (
            lambda: spams.lasso(XT, DT, lambda1=alpha, mode=2, numThreads=2)
        )
        setting = f"alpha = {alpha:g}"
    few = X[:FEW]
    reference, alone = timed(lambda: sparse_encode(few, atoms, **theirs))
    # The first call starts the processes.
    sparse_encode(few[:4], atoms, n_jobs=2, **theirs)
    _, pair = timed(lambda: sparse_encode(few, atoms, n_jobs=2, **theirs))
    scale = len(X) / len(few)
    same = ((codes[: len(few)] != 0) == (reference != 0)).all(1).mean()
    spams_ratio = "-"
    if spams:
        XT, DT = np.asfortranarray(X.T), np.asfortranarray(atoms.T)
        found, time = measured(rival)
        spams_ratio = f"{ours / time:.2f}"
        if name != "omp":
            same = ((codes != 0) == (found.toarray().T != 0)).all(1).mean()
    return [
        name,
        np.dtype(dtype).name,
        setting,
        f"{(codes != 0).sum(1).mean():.1f}",
        f"{ours:.2f} s",
        f"{scale * alone / ours:.1f}",
        f"{scale * pair / ours:.1f}",
        spams_ratio,
        f"{100 * same:.2f} %",
    ]


def patches(path, name, n_rows, seed, size=8):
    """Return random patches without their means."""
    rng = np.random.default_rng(seed)
    images = load_pictures(path, name)
    rows = np.empty((n_rows, size * size))
    for row in rows:
        image = images[rng.integers(len(images))]
        i, j = (rng.integers(side - size + 1) for side in image.shape)
        row[:] = image[i : i + size, j : j + size].ravel() / 255
    return rows - rows.mean(1, keepdims=True)


def error_of(atoms, X, n_nonzero):
    """Return the relative error of codes with a number of nonzeros, without a mean."""
    norms = np.linalg.norm(atoms, axis=1, keepdims=True)
    atoms = atoms[norms[:, 0] > 1e-9] / norms[norms[:, 0] > 1e-9]
    est = fitted_with(atoms, np.float64).set_params(
        transform_algorithm="omp", transform_n_nonzero_coefs=n_nonzero
    )
    codes = est.transform(X)
    return ((X - codes @ atoms) ** 2).sum() / (X**2).sum()


def compare_learning(train, test, n_rows, n_atoms, nonzeros=(3, 5, 10)):
    """Yield rows of the second table."""
    X = train[:n_rows]
    free = {
        "free atoms, cd": {"fit_algorithm": "cd"},
        "free atoms, cd, 10 epochs": {
            "fit_algorithm": "cd",
            "max_no_improvement": None,
            "max_iter": 10,
            "tol": 0.0,
        },
        "free atoms, lars": {},
    }
    results = {}
    for name, options in free.items():
        model = MiniBatchDictionaryLearning(
            n_atoms, alpha=0.1, batch_size=256, random_state=0, **options
        )
        _, time = timed(model.fit, X)
        results[name] = time, [error_of(model.components_, test, L) for L in nonzeros]
    ours = {
        "gabor": {"atoms": "gabor", "n_nonzero_coefs": 5},
        "gabor, tol=0.01": {"atoms": "gabor", "n_nonzero_coefs": 5, "tol": 0.01},
        "modulated plane waves": {"n_nonzero_coefs": 5},
    }
    for name, options in ours.items():
        est = SpectralDictionaryLearning(
            n_atoms, signal_shape=(8, 8), center=False, **options
        )
        _, time = timed(est.fit, X.astype(np.float32))
        errors = [error_of(est.components_.astype(float), test, L) for L in nonzeros]
        results[name] = time, errors
    reference = results["free atoms, lars"]
    for name, (time, errors) in results.items():
        yield [
            f"{n_rows:,}",
            name,
            f"{time:.1f} s",
            f"{time / reference[0]:.3f}",
            *(f"{error:.4f}" for error in errors),
            *(
                f"{error / e:.3f}"
                for error, e in zip(errors, reference[1], strict=True)
            ),
        ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, default=5000)
    parser.add_argument("--atoms", type=int, default=1024)
    parser.add_argument("--features", type=int, default=256)
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--patches", type=int, nargs="*", default=[500, 50_000])
    parser.add_argument("--learned-atoms", type=int, default=256)
    parser.add_argument("--skip-learning", action="store_true")
    options = parser.parse_args()
    warnings.simplefilter("ignore", ConvergenceWarning)
    warnings.simplefilter("ignore", RuntimeWarning)
    # For the processes of scikit-learn.
    os.environ["PYTHONWARNINGS"] = "ignore"
    X, atoms = made_signals(options.rows, options.atoms, options.features)
    rows = []
    for dtype in (np.float64, np.float32):
        rows.append(
            compare_codes(
                X,
                atoms,
                dtype,
                transform_algorithm="omp",
                transform_n_nonzero_coefs=min(10, options.atoms),
            )
        )
        for alpha in (0.4, 0.2, 0.1):
            rows.append(
                compare_codes(
                    X,
                    atoms,
                    dtype,
                    transform_algorithm="lasso_cd",
                    transform_alpha=alpha,
                )
            )
    heads = ["codes", "type", "setting", "nonzeros", "ours"]
    heads += ["scikit-learn / ours", "with n_jobs=2", "ours / spams", "same support"]
    print(markdown([dict(zip(heads, row, strict=True)) for row in rows]), flush=True)
    if options.skip_learning:
        return
    if options.photographs is None:
        train, test = load_photograph_patches(max(options.patches), size=8)
        train, test = (part.reshape(len(part), 64, 3).mean(2) for part in (train, test))
        train, test = (part - part.mean(1, keepdims=True) for part in (train, test))
    else:
        train = patches(options.photographs, "train400", max(options.patches), 0)
        test = patches(options.photographs, "bsd68", 5000, 1)
    rows = [
        row
        for n_rows in options.patches
        for row in compare_learning(train, test, n_rows, options.learned_atoms)
    ]
    heads = ["patches", "atoms", "time", "/ lars"]
    heads += [f"{word}, {L}" for word in ("error", "ratio") for L in (3, 5, 10)]
    print(markdown([dict(zip(heads, row, strict=True)) for row in rows]))


if __name__ == "__main__":
    main()
