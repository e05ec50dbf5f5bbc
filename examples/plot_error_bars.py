# SPDX-License-Identifier: BSD-3-Clause
"""
Peaks with error bars
=====================

Find how many tones there are, how well each frequency is known, and whether a peak is
more than noise.

The number of atoms is chosen by the evidence. Each frequency has a standard error, and
each atom a false-alarm probability. The last picture shows where standard errors end:
below a threshold, a weak tone is not found any more.
"""

# %%
# Three tones, one of them weak
# -----------------------------
# A row is half a second of a sensor with 256 samples per second. The strengths of the
# tones vary from row to row.
import matplotlib.pyplot as plt
import numpy as np

from skspectral import SpectralDictionaryLearning
from skspectral.plotting import NumberDisplay

T, RATE = 128, 256.0
FREQUENCIES = np.array([18.3, 24.1, 71.4])


def rows(n, seed, third=0.3):
    """Return rows of the tones in white noise; the third tone has a given strength."""
    rng = np.random.default_rng(seed)
    tones = np.sin(2 * np.pi * FREQUENCIES[:, None] * np.arange(T) / RATE + 0.5)
    codes = rng.normal(size=(n, 3)) * [1.0, 0.8, third]
    return codes @ tones + rng.normal(size=(n, T))


X = rows(150, 0)
est = SpectralDictionaryLearning("evidence", modulation=None, sampling_rate=RATE)
est.fit(X)
alarms = est.false_alarm_probability()
for i in np.argsort(est.frequencies_):
    frequency, error = est.frequencies_[i], est.frequencies_std_[i]
    print(f"{frequency:6.2f} +- {error:.2f} Hz, false alarm: {alarms[i]:.1g}")

# %%
# The evidence falls as soon as there are enough atoms. Error bars below the peaks are
# 100 times as long as the standard errors, because these are too short to be seen.
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.6), layout="constrained")
NumberDisplay.from_estimator(est, ax=left)
power = (np.abs(np.fft.rfft((X - X.mean(0)) * np.hanning(T))) ** 2).mean(0)
right.semilogy(np.fft.rfftfreq(T, 1 / RATE), power, color="0.6")
right.errorbar(
    est.frequencies_,
    np.full(3, 0.7 * power.min()),
    xerr=100 * est.frequencies_std_,
    fmt="o",
    markersize=3,
    capsize=4,
    color="C3",
)
right.set(xlim=(0, RATE / 2), xlabel="frequency (Hz)", ylabel="mean power")
right.set_title("frequencies and 100 standard errors", fontsize=10)

# %%
# Where standard errors end
# -------------------------
# The third tone is made weaker. Above a threshold, errors are as large as the standard
# error says. Below it, the third atom of a fit is somewhere else, where it fits noise.
# Its standard error does not tell: only the false-alarm probability is a warning.
strengths = np.geomspace(0.08, 0.6, 7)
found, predicted, significant = [], [], []
for strength in strengths:
    distances, stds, alarms = [], [], []
    for seed in range(12):
        fit = SpectralDictionaryLearning(3, modulation=None, sampling_rate=RATE)
        fit.fit(rows(150, seed, strength))
        # The weakest atom is the last one.
        distances.append(fit.frequencies_[2] - FREQUENCIES[2])
        stds.append(fit.frequencies_std_[2])
        alarms.append(fit.false_alarm_probability()[2])
    found.append(np.sqrt(np.mean(np.square(distances))))
    predicted.append(np.median(stds))
    significant.append(np.mean(np.array(alarms) < 0.01))

figure, axis = plt.subplots(figsize=(6, 3.8), layout="constrained")
axis.loglog(strengths, found, "o-", label="error of the frequency")
axis.loglog(strengths, predicted, "s--", label="standard error")
axis.set(xlabel="strength of the third tone", ylabel="Hz")
other = axis.twinx()
other.semilogx(strengths, significant, color="0.6", label="share with alarm < 0.01")
other.set(ylabel="share of fits", ylim=(-0.02, 1.05))
lines = [*axis.get_lines(), *other.get_lines()]
_ = axis.legend(lines, [line.get_label() for line in lines], loc="center right")
