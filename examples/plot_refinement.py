# SPDX-License-Identifier: BSD-3-Clause
"""
A checkerboard found, shown and removed
=======================================

Decoders that double the size of images by transposed convolutions leave a regular
pattern, hard to see and easy to detect. Here it is in patches of photographs; a matcher
of spectra learns what it is, and takes it out of other images.
"""

# %%
# Images from a careless decoder
# ------------------------------
# Halved, and doubled again: every other pixel is set, and the gaps are filled by a
# kernel that gives even and odd places different weights. All groups are of different
# images.
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
    """Images after a transposed convolution with a kernel of uneven overlap."""
    blocks = images.reshape(-1, SIDE // 2, 2, SIDE // 2, 2, 3)
    wide = np.zeros(images.shape)
    wide[:, ::2, ::2] = blocks.mean(axis=(2, 4))
    for axis in (1, 2):
        # Even places get a weight of 1, odd ones 0.48 from either side.
        wide = wide + 0.48 * (np.roll(wide, 1, axis) + np.roll(wide, -1, axis))
    return np.rint(wide).clip(0, 255).astype(np.uint8)


made_fit, made_learn, made_test = map(decoded, sources)

# %%
# Found
# -----
# A logistic regression on log-spectra tells all of them. The distance of mean spectra
# is far above its floor, what two sets of real images are apart.


def log_spectra(images):
    """Of the mean of the channels; below what rounding adds nothing counts."""
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
print(f"AUC {auc(detector, made_test):.3f}, chance is 0.5")
print(f"distance {distance.distance:.1f}, floor {distance.floor:.1f}")

# %%
# Shown
# -----
# Mean spectra of real and of made images differ by lost detail all around, and by the
# highest frequencies of either axis and of both: the checkerboard.


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
show(axes[0], mean_spectrum(made_test) - real_mean, "made, minus real")
show(axes[1], mean_spectrum(matched) - real_mean, "repaired, minus real")
gain = matcher.log_gain().mean(axis=0)
whole = np.concatenate([gain, np.roll(gain[::-1], 1, 0)[:, -2:0:-1]], axis=1)
image = show(axes[2], 20 / np.log(10) * np.fft.fftshift(whole), "gain of the matcher")
figure.colorbar(image, ax=axes, label="dB")

# %%
# Removed
# -------
# `SpectrumMatcher` has learned a gain for each frequency. The detector above is fooled;
# one that is trained on repaired images is not, quite: what the gains cannot give back
# is detail that is not there, and what changes from image to image.
# `SpectrumQuantileMatcher` gives each image gains of its own.
refiners = {
    "gains": matcher,
    "quantiles": SpectrumQuantileMatcher().fit(made_fit, real_fit),
}
for name, refiner in refiners.items():
    repaired = refiner.transform(made_test)
    again = detector_of(refiner.transform(made_learn))
    now = mean_spectrum_distance(real_test, repaired).distance
    print(
        f"{name}: distance {now:.1f}, AUC {auc(detector, repaired):.2f}, of a new "
        f"detector {auc(again, repaired):.2f}; {psnr(made_test, repaired):.1f} dB"
    )

# %%
# Sixteen patches, and what the finest scale of four of them holds:
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
    below.set(title="its finest detail", xticks=[], yticks=[])

# %%
# The radial spectrum, a mean over all directions, has lost detail and a peak at the
# highest frequency of each axis. The matcher gives back the mean logarithm of each bin,
# which a few strong images do not decide; mean power may be less.
figure, ax = plt.subplots(figsize=(5, 3.5), layout="constrained")
for name, images in {"real": real_test, "made": made_test, "repaired": matched}.items():
    spectrum = radial_power_spectrum(images, corners=True)
    ax.semilogy(spectrum.frequencies[1:], spectrum.power[1:], label=name)
ax.set(xlabel="cycles per image", ylabel="mean power")
ax.legend()
