# SPDX-License-Identifier: BSD-3-Clause
"""
Repair a checkerboard pattern
=============================

Detect, show and remove a regular pattern that neural networks leave in images.

A decoder that doubles the size of images by transposed convolutions can leave a
checkerboard pattern. The pattern is hard to see and easy to detect. This example puts
such a pattern into patches of photographs. `SpectrumMatcher` learns the pattern from
spectra and removes it from other images.
"""

# %%
# Images with a checkerboard pattern
# ----------------------------------
# Each image is reduced to half its size and enlarged again. The enlargement sets every
# second pixel and fills the gaps by a kernel that gives even and odd pixels different
# weights. The real images and the made images come from different patches.
import matplotlib.pyplot as plt
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skspectral.datasets import load_photograph_patches
from skspectral.metrics import mean_spectrum_distance, psnr, radial_power_spectrum
from skspectral.refinement import SpectrumMatcher, SpectrumQuantileMatcher

N, SIDE = 1000, 32
patches = load_photograph_patches(6 * N, SIDE, random_state=0)[0]
real_fit, real_learn, real_test, *sources = np.split(patches, 6)


def decoded(images):
    """Return images after a transposed convolution whose kernel overlaps unevenly."""
    blocks = images.reshape(-1, SIDE // 2, 2, SIDE // 2, 2, 3)
    wide = np.zeros(images.shape)
    wide[:, ::2, ::2] = blocks.mean(axis=(2, 4))
    for axis in (1, 2):
        # Even pixels get a weight of 1, odd pixels one of 0.48 from either side.
        wide = wide + 0.48 * (np.roll(wide, 1, axis) + np.roll(wide, -1, axis))
    return np.rint(wide).clip(0, 255).astype(np.uint8)


made_fit, made_learn, made_test = map(decoded, sources)

# %%
# Detect the pattern
# ------------------
# A logistic regression on log-spectra separates made images from real images. An area
# under the ROC curve (AUC) of 1 means that it separates all of them. The distance of
# the mean spectra is far above its floor, which is the distance between two sets of
# real images.


def log_spectra(images):
    """Return log-spectra of the channels' mean, above the noise of rounding."""
    power = abs(np.fft.rfft2(images.mean(axis=3))) ** 2
    return 0.5 * np.log(power + SIDE**2 / 12).reshape(len(images), -1)


def detector_of(made):
    detector = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    X = log_spectra(np.concatenate([made, real_learn]))
    return detector.fit(X, np.repeat([1, 0], N))


def auc(detector, made):
    X = log_spectra(np.concatenate([made, real_test]))
    return roc_auc_score(np.repeat([1, 0], N), detector.decision_function(X))


detector = detector_of(made_learn)
distance = mean_spectrum_distance(real_test, made_test)
print(f"AUC of the detector: {auc(detector, made_test):.3f} (chance is 0.5)")
print(f"distance of mean spectra: {distance.distance:.1f}, floor {distance.floor:.1f}")

# %%
# Show the pattern
# ----------------
# The left picture is the mean spectrum of made images minus that of real images. Made
# images lack detail at all high frequencies. The checkerboard appears at the highest
# frequency of each axis, and of both axes together.


def mean_spectrum(images):
    planes = np.fft.fft2(images.mean(axis=3))
    logs = np.log(abs(planes) ** 2 + SIDE**2 / 12).mean(axis=0)
    return 10 / np.log(10) * np.fft.fftshift(logs)


def show(ax, values, title):
    half = SIDE / 2
    extent = (-half - 0.5, half - 0.5, half - 0.5, -half - 0.5)
    image = ax.imshow(values, cmap="RdBu_r", vmin=-20, vmax=20, extent=extent)
    ax.set(title=title, xlabel="cycles per width", ylabel="cycles per height")
    return image


matcher = SpectrumMatcher().fit(made_fit, real_fit)
matched = matcher.transform(made_test)
figure, axes = plt.subplots(1, 3, figsize=(11, 3.6), layout="constrained")
real_mean = mean_spectrum(real_test)
show(axes[0], mean_spectrum(made_test) - real_mean, "made minus real")
show(axes[1], mean_spectrum(matched) - real_mean, "repaired minus real")
gain = matcher.log_gain().mean(axis=0)
whole = np.concatenate([gain, np.roll(gain[::-1], 1, 0)[:, -2:0:-1]], axis=1)
image = show(axes[2], 20 / np.log(10) * np.fft.fftshift(whole), "gain of the matcher")
figure.colorbar(image, ax=axes, label="power (dB)")

# %%
# Remove the pattern
# ------------------
# `SpectrumMatcher` has learned one gain for each frequency, which is the same for all
# images. `SpectrumQuantileMatcher` computes gains for each image.
#
# The detector from above no longer detects the repaired images. A new detector, trained
# on repaired images, still detects some of them, because gains cannot restore lost
# detail.
refiners = {
    "gains": matcher,
    "quantiles": SpectrumQuantileMatcher().fit(made_fit, real_fit),
}
for name, refiner in refiners.items():
    repaired = refiner.transform(made_test)
    again = detector_of(refiner.transform(made_learn))
    now = mean_spectrum_distance(real_test, repaired).distance
    print(
        f"{name}: distance {now:.1f}, AUC {auc(detector, repaired):.2f}, AUC of a new "
        f"detector {auc(again, repaired):.2f}, PSNR {psnr(made_test, repaired):.1f} dB"
    )

# %%
# The upper row shows sixteen patches, and the lower row the finest detail of four of
# them.
rows = {"real": sources[2], "made": made_test, "repaired": matched}
figure, axes = plt.subplots(2, 3, figsize=(9, 6), layout="constrained")
for (name, images), (above, below) in zip(rows.items(), axes.T, strict=True):
    sheet = np.concatenate(
        np.concatenate(images[:16].reshape(4, 4, SIDE, SIDE, 3), 1), 1
    )
    above.imshow(sheet)
    above.set(title=name, xticks=[], yticks=[])
    detail = sheet[:64, :64].astype(float).mean(axis=2)
    smooth = sum(
        np.roll(detail, (i, j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)
    )
    below.imshow(detail - smooth / 9, cmap="gray", vmin=-30, vmax=30)
    below.set(title="finest detail", xticks=[], yticks=[])

# %%
# The radial spectrum is the mean power over all directions. The made images have less
# power at high frequencies than the real images, and a peak at the highest frequency of
# each axis. The matcher restores the mean logarithm of the power at each frequency. The
# mean power, which a few strong images dominate, can remain lower.
figure, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
for name, images in {"real": real_test, "made": made_test, "repaired": matched}.items():
    spectrum = radial_power_spectrum(images, corners=True)
    ax.semilogy(spectrum.frequencies[1:], spectrum.power[1:], label=name)
ax.set(xlabel="cycles per image", ylabel="mean power")
ax.legend()
