"""
From recordings to new sounds
=============================

Fits sinusoids to short windows of sound, compares the explained variance with PCA's,
prints the frequencies of the strongest atoms in Hz, and writes what can be heard and
seen: windows that the fit has not used, their reconstructions and new samples as WAV
files, a picture, and a page of HTML.

Without arguments the sounds are notes of a plucked string, made by formula. Run it on
your own with ``--recordings``, followed by a WAV file or by a folder of WAV files, all
of one sampling rate.
"""

# SPDX-License-Identifier: BSD-3-Clause
# %%
import argparse
import sys
import time
from pathlib import Path

import numpy as np
from scipy.io import wavfile
from sklearn.decomposition import PCA
from sklearn.mixture import GaussianMixture

from skspectral import SpectralDictionaryLearning
from skspectral.datasets import load_recordings, make_tones
from skspectral.metrics import explained_variance
from skspectral.report import write_report

# Sampling rate of the made notes in Hz.
RATE = 8000
# Longest sound that is written, in seconds.
SECONDS = 10


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument(
        "--recordings",
        type=Path,
        metavar="FILE_OR_FOLDER",
        help="a WAV file, or a folder of them",
    )
    parser.add_argument("--length", type=int, default=1024, help="samples of a window")
    parser.add_argument("--n-windows", type=int, default=500, help="of the made notes")
    parser.add_argument("--n-components", type=int, default=128, metavar="K")
    parser.add_argument("--out", type=Path, default=Path(), metavar="FOLDER")
    return parser.parse_args()


# %%
# The windows
# -----------
# Windows of recordings overlap by half, so that fading each into the next gives the
# sound back. Test windows are taken from ten places spread over the whole, and training
# windows share no sample with them.


def load_windows(args):
    """Windows (n, length) of float32, and their sampling rate in Hz."""
    if args.recordings is not None:
        return load_recordings(args.recordings, args.length, max(1, args.length // 2))
    windows, pitches = make_tones(
        args.n_windows, args.length, sampling_rate=RATE, random_state=0
    )
    print("pitches of the notes in Hz:", *(f"{p:g}" for p in np.unique(pitches)))
    return windows.astype(np.float32), RATE


def hold_out(windows):
    """Training and test windows; a fifth is for testing."""
    n = len(windows)
    if n < 20:
        raise ValueError(f"{n} windows are too few: pass more sound, or less --length.")
    run = max(1, n // 50)
    test = np.arange(n) // run % 5 == 4
    touched = test.copy()
    touched[1:] |= test[:-1]
    touched[:-1] |= test[1:]
    return windows[~touched], windows[test]


# %%
# The fit
# -------
# Plain sinusoids have three numbers each, which is why they can be learned from few
# windows. The atoms of one note sound together or not at all: a mixture of Gaussians
# over the codes learns that, one Gaussian would sound all notes at once.


def fit(X, n_components, rate):
    prior = GaussianMixture(
        min(12, len(X) // 5),
        covariance_type="diag",
        reg_covar=1e-4 * float(X.var()),
        max_iter=300,
        random_state=0,
    )
    estimator = SpectralDictionaryLearning(
        n_components, modulation=None, sampling_rate=rate, prior=prior, random_state=0
    )
    return estimator.fit(X)


# %%
# What can be heard
# -----------------


def crossfaded(windows):
    """Windows one after the other, each fading into the next over half its length."""
    n, length = windows.shape
    hop = length // 2
    fade = np.sin(np.pi * (np.arange(length) + 0.5) / length) ** 2
    sound = np.zeros(hop * (n - 1) + length)
    for i, window in enumerate(windows):
        sound[i * hop : i * hop + length] += fade * window
    return sound


def write_wav(path, rate, windows):
    """Write 16-bit samples, as loud as they can be with some room to spare."""
    sound = crossfaded(windows)
    loudest = np.abs(sound).max() or 1.0
    samples = np.round(0.9 * (2**15 - 1) * sound / loudest).astype(np.int16)
    wavfile.write(path, round(rate), samples)


# %%
# What can be seen
# ----------------


def plot(X, reconstructions, samples, estimator, path):
    """Four rows: reconstructions, new samples, mean spectra, atoms."""
    # The object-oriented interface needs no display.
    from matplotlib.figure import Figure

    rate = estimator.sampling_rate
    figure = Figure(figsize=(13, 13), layout="constrained")
    rows = figure.subfigures(4, 1, height_ratios=[1.1, 0.65, 1.1, 0.85], hspace=0.03)
    grey = {"color": "0.75", "linewidth": 3}
    show_waveforms(
        rows[0],
        "Held-out windows (grey) and their reconstructions (blue)",
        [(by_loudness(X, X, 6), grey), (by_loudness(reconstructions, X, 6), {})],
        rate,
    )
    orange = {"color": "C1"}
    show_waveforms(
        rows[1], "New samples", [(by_loudness(samples, samples, 3), orange)], rate
    )
    show_spectra(rows[2], X, samples, estimator)
    show_atoms(rows[3], estimator)
    figure.savefig(path, dpi=80)


def by_loudness(windows, reference, n):
    """The windows at n equal steps down the loudness of the reference."""
    steps = np.linspace(0.95, 0.25, n) * (len(reference) - 1)
    return windows[np.argsort(reference.std(axis=1))[steps.astype(int)]]


def show_waveforms(panel, title, curves, rate):
    panel.suptitle(title, fontsize=14)
    n, length = curves[0][0].shape
    axes = panel.subplots(n // 3, 3, sharex=True, squeeze=False)
    milliseconds = 1000 * np.arange(length) / rate
    for windows, style in curves:
        for axis, window in zip(axes.flat, windows, strict=True):
            axis.plot(milliseconds, window, **{"color": "C0", "linewidth": 1} | style)
            axis.margins(x=0)
    for axis in axes[-1]:
        axis.set_xlabel("ms")


def show_spectra(panel, X, samples, estimator):
    panel.suptitle("Mean power spectrum", fontsize=14)
    axis = panel.subplots()
    rate, marks = estimator.sampling_rate, estimator.frequencies_
    frequencies = np.fft.rfftfreq(X.shape[1], 1 / rate)
    powers = [mean_power(X), mean_power(samples)]
    # Decibels below the strongest frequency of the data.
    data, drawn = (10 * np.log10(p / powers[0].max() + 1e-12) for p in powers)
    axis.plot(frequencies, data, color="0.6", linewidth=3, label="held-out windows")
    axis.plot(frequencies, drawn, "C1", linewidth=1.3, label="new samples")
    # Some of what the atoms leave out is shown, too.
    highest = min(1.3 * marks.max(), rate / 2)
    shown = data[frequencies <= highest]
    low = shown.min() - 12
    axis.vlines(
        marks, low, low + 6, "C0", linewidth=1, label="frequencies of the atoms"
    )
    axis.set(xlim=(0, highest), ylim=(low, shown.max() + 6))
    axis.set(xlabel="Hz", ylabel="dB")
    axis.legend(loc="upper right")


def mean_power(windows):
    taper = np.hanning(windows.shape[1])
    return (np.abs(np.fft.rfft(windows * taper)) ** 2).mean(axis=0)


def show_atoms(panel, estimator):
    panel.suptitle("Strongest atoms (start)", fontsize=14)
    # All of a window has too many periods to be told apart.
    atoms = estimator.components_[:8, : max(2, estimator.n_features_in_ // 4)]
    axes = panel.subplots(2, 4, sharex=True, sharey=True)
    milliseconds = 1000 * np.arange(atoms.shape[1]) / estimator.sampling_rate
    for i, axis in enumerate(axes.flat):
        if i >= len(atoms):
            axis.set_axis_off()
            continue
        axis.plot(milliseconds, atoms[i], "C0", linewidth=1)
        share = 100 * estimator.explained_variance_ratio_[i]
        axis.set_title(
            f"{estimator.frequencies_[i]:.1f} Hz, {share:.1f} % of variance",
            fontsize=10,
        )
        axis.margins(x=0)
        axis.set_yticks([])
    for axis in axes[-1]:
        axis.set_xlabel("ms")


def run(args):
    windows, rate = load_windows(args)
    X, X_test = hold_out(windows)
    args.out.mkdir(parents=True, exist_ok=True)
    print(
        f"{len(X)} windows for training, {len(X_test)} for testing, "
        f"each {1000 * args.length / rate:g} ms at {rate:g} Hz"
    )

    start = time.perf_counter()
    estimator = fit(X, args.n_components, rate)
    seconds = time.perf_counter() - start
    # PCA has no more components than windows.
    pca = PCA(min(args.n_components, len(X) - 1), random_state=0).fit(X)
    reconstructions = estimator.inverse_transform(estimator.transform(X_test))
    of_pca = pca.inverse_transform(pca.transform(X_test))
    ours, theirs = (explained_variance(X_test, r) for r in (reconstructions, of_pca))
    print(f"explained variance of the test windows, {args.n_components} components:")
    print(f"  sinusoidal atoms  {ours:.4f}   (fitted in {seconds:.1f} s)")
    print(f"  PCA               {theirs:.4f}   ({pca.n_components_} components)")
    strongest = estimator.frequencies_[:10]
    print("strongest atoms in Hz:", *(f"{f:.1f}" for f in strongest))

    heard = X_test[: max(1, round(2 * SECONDS * rate / args.length))]
    samples = estimator.sample(len(X_test))
    for name, part in (
        ("original", heard),
        ("reconstruction", reconstructions[: len(heard)]),
        ("samples", samples[: len(heard)]),
    ):
        write_wav(args.out / f"{name}.wav", rate, part)
        print(f"sound: {(args.out / name).resolve()}.wav")
    picture = args.out / "sound.png"
    plot(X_test, reconstructions, samples, estimator, picture)
    print(f"picture: {picture.resolve()}")
    page = write_report(
        estimator,
        X_test,
        args.out / "sound.html",
        title="Sounds, as sums of learned sinusoids",
        facts={
            "explained variance, PCA with as many components": f"{theirs:.4f}",
            "time of the fit": f"{seconds:.1f} s, with the prior",
        },
    )
    print(f"page: {page}")


def main():
    args = parse_arguments()
    try:
        run(args)
    except (OSError, ValueError) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
