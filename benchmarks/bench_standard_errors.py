"""Standard errors of frequencies and phases: how often intervals cover the truth.

Ensembles of rows with two waves of known frequencies and phases are simulated many
times. The tables show how many of the intervals of 1.96 standard errors cover the true
value, and the standard deviation of errors over standard errors. Further tables show
where the formula fails, because a wave is too weak to be found; the Cramer-Rao bound of
two rows; and the bootstrap of rows, which takes a fit per resampling.

    python benchmarks/bench_standard_errors.py
    python benchmarks/bench_standard_errors.py --simulations 20

The script prints Markdown tables.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
from dataclasses import dataclass, replace

import numpy as np
from _measure import timed
from _tables import markdown
from scipy.signal import lfilter

from skspectral import SpectralDictionaryLearning
from skspectral.priors import GaussianPrior

T, SIDE = 128, 12
PHASES = np.array([0.4, 1.3])
# Number of samples that a filter of noise forgets.
BURN_IN = 50


@dataclass
class Kind:
    """Ensemble of n rows of two waves in noise of variance 1."""

    n: int = 200
    frequencies: tuple = (10.3, 23.6)
    amplitudes: tuple = (1.0, 1.0)
    memory: float = 0.0
    vectors: np.ndarray | None = None

    @property
    def truth(self):
        """Wave vectors of the waves, (2, D)."""
        return (
            np.reshape(self.frequencies, (2, 1))
            if self.vectors is None
            else (self.vectors)
        )

    @property
    def waves(self):
        """Waves of amplitude 1, (2, T)."""
        if self.vectors is None:
            places = np.arange(T)[None] / T
        else:
            places = np.indices((SIDE, SIDE)).reshape(2, -1) / SIDE
        return np.sin(2 * np.pi * self.truth @ places + PHASES[:, None])

    def rows(self, seed):
        """Return simulated rows."""
        rng = np.random.default_rng(seed)
        codes = rng.normal(size=(self.n, 2)) * self.amplitudes
        waves = self.waves
        noise = rng.normal(size=(self.n, waves.shape[1] + BURN_IN))
        if self.memory:
            scale = np.sqrt(1 - self.memory**2)
            noise = lfilter([scale], [1, -self.memory], noise)
        return codes @ waves + noise[:, BURN_IN:]

    def fit(self, X):
        """Return a model of two waves, fitted to rows."""
        shape = None if self.vectors is None else (SIDE, SIDE)
        return SpectralDictionaryLearning(
            2,
            modulation=None,
            signal_shape=shape,
            prior=GaussianPrior(),
            tol=1e-9,
            max_iter=1000,
            random_state=0,
        ).fit(X)


KINDS = {
    "two tones": Kind(),
    "close tones, 1.2 cycles apart": Kind(frequencies=(10.3, 11.5)),
    "weak tone, power .09": Kind(amplitudes=(1.0, 0.3)),
    "20 rows": Kind(n=20),
    "coloured noise": Kind(memory=0.7),
    "waves of images": Kind(vectors=np.array([[1.3, 2.2], [3.1, -1.4]])),
}


def estimates(est):
    """Return wave vectors and phases of a fit, (2, D) and (2,)."""
    vectors = getattr(est, "wave_vectors_", est.frequencies_[:, None])
    return vectors, est.phases_


def deviations(kind, est, errors):
    """Return errors over standard errors, (2, D + 1), in the order of the truth."""
    vectors, phases = estimates(est)
    order = [np.abs(vectors - true).sum(1).argmin() for true in kind.truth]
    of_vectors = errors.get("wave_vectors", errors.frequencies[:, None])
    turn = phases[order] - PHASES
    turn -= np.pi * np.round(turn / np.pi)
    return np.column_stack(
        [
            (vectors[order] - kind.truth) / of_vectors[order],
            turn / errors.phases[order],
        ]
    )


def coverage_table(n_simulations):
    rows = []
    for name, kind in KINDS.items():
        found = {"white": [], "robust": []}
        for seed in range(n_simulations):
            est = kind.fit(kind.rows(seed))
            for covariance, values in found.items():
                errors = est.standard_errors(covariance=covariance)
                values.append(deviations(kind, est, errors))
        for covariance, values in found.items():
            z = np.array(values)
            covered = (np.abs(z) < 1.96).mean(0)
            row = {"ensemble": name, "noise is taken as": covariance}
            for i, wave in enumerate(("first", "second")):
                row[f"{wave}: frequency"] = percent(covered[i, :-1].mean())
                row[f"{wave}: phase"] = percent(covered[i, -1])
            row["deviation"] = f"{np.sqrt((z**2).mean()):.2f}"
            rows.append(row)
    print(markdown(rows), "\n", flush=True)


def percent(share):
    return f"{100 * share:.1f} %"


def threshold_table(n_simulations):
    """Print the coverage of the second tone, from strong to weak."""
    rows = []
    for amplitude in (1.0, 0.5, 0.3, 0.25, 0.2, 0.15, 0.1):
        kind = replace(KINDS["two tones"], amplitudes=(1.0, amplitude))
        covered, significant, at_place = [], [], []
        for seed in range(n_simulations):
            est = kind.fit(kind.rows(seed))
            errors = est.standard_errors()
            # The weaker atom is the last one, unless both have the same power.
            distance = np.abs(est.frequencies_ - kind.frequencies[1])
            last = distance.argmin() if amplitude == 1 else 1
            significant.append(est.false_alarm_probability()[last] < 0.01)
            at_place.append(distance[last] < 1)
            covered.append(distance[last] < 1.96 * errors.frequencies[last])
        covered, significant = np.array(covered), np.array(significant)
        rows.append(
            {
                "amplitude": amplitude,
                "power, dB below the noise": f"{-10 * np.log10(amplitude**2 / 2):.0f}",
                "found within a cycle": percent(np.mean(at_place)),
                "significant": percent(significant.mean()),
                "covered, of the significant": percent(covered[significant].mean())
                if significant.any()
                else "",
            }
        )
    print(markdown(rows), "\n", flush=True)


def bound_table(n_simulations):
    """Print standard errors of a tone in two rows beside the Cramer-Rao bound."""
    rows = []
    time = np.arange(T) / T
    codes = np.array([1.0, 0.8])
    for decibels in (0, 10, 20, 40):
        sigma = np.sqrt(0.5 * 10 ** (-decibels / 10))
        angle = 2 * np.pi * 10.3 * time + PHASES[0]
        wave, slope = np.sin(angle), np.cos(angle)
        J = np.zeros((2, T, 4))
        J[:, :, 0] = codes[:, None] * 2 * np.pi * time * slope
        J[:, :, 1] = codes[:, None] * slope
        J[[0, 1], :, [2, 3]] = wave
        J = J.reshape(-1, 4)
        bound = np.sqrt(np.linalg.inv(J.T @ J)[0, 0]) * sigma
        found, errors = [], []
        for seed in range(n_simulations):
            noise = np.random.default_rng(seed).normal(size=(2, T))
            est = SpectralDictionaryLearning(
                1,
                modulation=None,
                center=False,
                prior=GaussianPrior(),
                tol=1e-12,
                max_iter=1000,
                random_state=0,
            ).fit(np.outer(codes, wave) + sigma * noise)
            found.append(est.frequencies_[0] - 10.3)
            errors.append(est.frequencies_std_[0])
        rows.append(
            {
                "signal to noise": f"{decibels} dB",
                "errors / bound": f"{np.std(found) / bound:.3f}",
                "standard errors / bound": f"{np.median(errors) / bound:.3f}",
            }
        )
    print(markdown(rows), "\n", flush=True)


def bootstrap_table(n_simulations, n_resamplings=100):
    """Print standard errors and times of the bootstrap beside ours."""
    kind, rows = KINDS["two tones"], []
    ratios, times = [], []
    for seed in range(n_simulations):
        X = kind.rows(seed)
        est = kind.fit(X)
        errors, ours = timed(est.standard_errors)
        rng = np.random.default_rng(seed)
        # The calls of the other method are timed together.
        resampled, theirs = timed(resamplings, kind, X, est, rng, n_resamplings)
        ratios.append(errors.frequencies / np.std(resampled, axis=0))
        times.append((ours, theirs))
    ours, theirs = np.median(times, axis=0)
    rows.append(
        {
            "standard errors / bootstrap": f"{np.median(ratios):.2f}",
            "seconds": f"{ours:.3f}",
            "seconds, bootstrap": f"{theirs:.2f}",
            "ratio": f"{theirs / ours:.0f}",
        }
    )
    print(markdown(rows), "\n", flush=True)


def resamplings(kind, X, est, rng, n_resamplings):
    """Return frequencies of fits to resampled rows, in the order of a fit."""
    found = []
    for _ in range(n_resamplings):
        other = kind.fit(X[rng.integers(len(X), size=len(X))]).frequencies_
        found.append([other[np.abs(other - f).argmin()] for f in est.frequencies_])
    return np.array(found)


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--simulations", type=int, default=1000)
    options = parser.parse_args()
    coverage_table(options.simulations)
    threshold_table(max(2, options.simulations // 4))
    bound_table(max(2, options.simulations // 2))
    bootstrap_table(max(2, options.simulations // 50))


if __name__ == "__main__":
    main()
