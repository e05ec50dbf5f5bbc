"""The number of atoms chosen by the evidence, beside rules for PCA.

The first table counts how often the true number of tones is found, for several numbers
of rows and ratios of signal and noise. The weakest tone has the given ratio. The second
table shows what the rules choose for real data, and the mean log-likelihood of held-out
rows, in nats. The log-likelihood is that of the Gaussian model with as many components.

    python benchmarks/bench_number.py --speech fsdd_8khz.npz --ecg ecg_mitbih100.npz
    python benchmarks/bench_number.py --simulations 2

The rules for PCA are "mle" of scikit-learn (T. P. Minka, 2000), which needs more rows
than features, and the threshold on singular values of M. Gavish and D. L. Donoho
(2014). The script prints Markdown tables.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
from functools import partial
from pathlib import Path

import numpy as np
from _measure import timed
from _tables import markdown
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA

from skspectral import SpectralDictionaryLearning
from skspectral.priors import GaussianPrior

T = 128


def tones(n_tones, n, ratio, seed):
    """Return rows of tones in noise of variance 1, the weakest of a given power."""
    rng = np.random.default_rng(seed)
    # Neighbours are at least 1.5 cycles apart, and on average T / (2 n_tones).
    gaps = rng.dirichlet(np.ones(n_tones + 1)) * (T / 2 - 4 - 1.5 * n_tones)
    frequencies = 2 + np.cumsum(gaps[:-1] + 1.5)
    angle = 2 * np.pi * frequencies[:, None] * np.arange(T) / T
    waves = np.sin(angle + rng.uniform(0, np.pi, (n_tones, 1)))
    powers = 2 * ratio * rng.uniform(1, 5, n_tones)
    powers[rng.integers(n_tones)] = 2 * ratio
    return (rng.normal(size=(n, n_tones)) * np.sqrt(powers)) @ waves + rng.normal(
        size=(n, T)
    )


def ours(rule, **params):
    def number(X):
        return fitted(X, rule, **params).n_components_

    return number


def fitted(X, n_components, **params):
    params = {"modulation": None, "max_iter": 300, "random_state": 0} | params
    prior = GaussianPrior()
    return SpectralDictionaryLearning(n_components, prior=prior, **params).fit(X)


def minka(X):
    return PCA("mle").fit(X).n_components_ if len(X) > X.shape[1] else None


def hard_threshold(X):
    """Number of singular values above the threshold for noise of unknown variance."""
    values = np.linalg.svd(X - X.mean(0), compute_uv=False)
    beta = min(X.shape) / max(X.shape)
    factor = 0.56 * beta**3 - 0.95 * beta**2 + 1.82 * beta + 1.43
    return int((values > factor * np.median(values)).sum())


RULES = {
    "evidence": ours("evidence"),
    "bic": ours("bic"),
    "PCA, mle": minka,
    "PCA, Gavish and Donoho": hard_threshold,
}


def simulated_table(n_simulations):
    rows = []
    for n in (20, 200):
        for ratio in (0.1, 0.3, 3.0):
            for n_tones in (1, 3, 6, 12):
                row = {"rows": n, "signal to noise": ratio, "tones": n_tones}
                for name, rule in RULES.items():
                    found = [
                        rule(tones(n_tones, n, ratio, seed))
                        for seed in range(n_simulations)
                    ]
                    row[name] = "" if found[0] is None else share(found, n_tones)
                rows.append(row)
    print(markdown(rows), "\n", flush=True)


def share(found, right):
    """Return how often a number is right, and the median of the numbers."""
    return f"{100 * np.mean(np.array(found) == right):.0f} % ({np.median(found):.0f})"


def windows(signal, length, hop):
    found = np.lib.stride_tricks.sliding_window_view(signal, length)[::hop]
    return found.astype(float)


def data_sets(options):
    """Yield names, rows and parameters of real data."""
    digits = load_digits().data
    digits = digits + np.random.default_rng(0).uniform(-0.5, 0.5, digits.shape)
    yield "digits", digits, {"signal_shape": (8, 8)}
    yield "digits, modulated", digits, {"signal_shape": (8, 8), "modulation": "basis"}
    if options.speech:
        with np.load(options.speech) as data:
            signal = data["signal"][:400_000] / 32768
        rows = windows(signal, 256, 128)
        yield "speech", rows[rows.std(1) > 0.01], {}
    if options.ecg:
        with np.load(options.ecg) as data:
            beats, lead = data["annotation_sample"], data["signal"][:, 0].astype(float)
        rows = np.stack([lead[b - 90 : b + 110] for b in beats[2:-2]])
        yield "heartbeats", rows, {}
        yield "heartbeats, modulated", rows, {"modulation": "basis"}


def real_table(options):
    rows = []
    for name, X, params in data_sets(options):
        order = np.random.default_rng(0).permutation(len(X))
        X = X[order] / X.std()
        train, test = X[::2], X[1::2]
        for rule in ("evidence", "bic"):
            est, seconds = timed(partial(fitted, **params), train, rule)
            rows.append(
                {
                    "data": name,
                    "rule": rule,
                    "number": est.n_components_,
                    "held-out log-likelihood": f"{est.score(test):.1f}",
                    "seconds": f"{seconds:.1f}",
                }
            )
        for half in (est.n_components_ // 2, 2 * est.n_components_):
            if not 1 <= half < X.shape[1]:
                continue
            given, seconds = timed(partial(fitted, **params), train, half)
            rows.append(
                {
                    "data": name,
                    "rule": "given",
                    "number": half,
                    "held-out log-likelihood": f"{given.score(test):.1f}",
                    "seconds": f"{seconds:.1f}",
                }
            )
        for rule in ("PCA, mle", "PCA, Gavish and Donoho"):
            number, seconds = timed(RULES[rule], train)
            if number is None or not 1 <= number < X.shape[1]:
                continue
            pca = PCA(number).fit(train)
            rows.append(
                {
                    "data": name,
                    "rule": rule,
                    "number": number,
                    "held-out log-likelihood": f"{pca.score(test):.1f}",
                    "seconds": f"{seconds:.1f}",
                }
            )
    print(markdown(rows))


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--simulations", type=int, default=30)
    parser.add_argument("--speech", type=Path)
    parser.add_argument("--ecg", type=Path)
    options = parser.parse_args()
    simulated_table(options.simulations)
    real_table(options)


if __name__ == "__main__":
    main()
