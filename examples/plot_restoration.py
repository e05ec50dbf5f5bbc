# SPDX-License-Identifier: BSD-3-Clause
"""
Restore a whole photograph
==========================

Clean, fill, enlarge and sharpen a photograph, and show where the result is unsure.

`PatchRestorer` learns a mixture of Gaussians of small patches from some photographs.
With it, any linear damage to other photographs of any size can be repaired: the same
model removes noise, fills missing pixels, doubles the size, and sharpens. The example
learns from four photographs in seconds; with more photographs and more Gaussians, the
results are better.
"""

# %%
import numpy as np
from scipy.signal import fftconvolve
from skimage import data
from sklearn.datasets import load_sample_images

from skspectral import SpectralDictionaryLearning
from skspectral.priors import GaussianMixture
from skspectral.restoration import PatchRestorer

# %%
# The model
# ---------
# As many plane waves as a patch has pixels, and a mixture of 40 Gaussians of their
# codes. Grey values are between 0 and 1.

train = [image[::2, ::2].mean(axis=2) / 255 for image in load_sample_images().images]
train += [data.coffee().mean(axis=2) / 255, data.rocket().mean(axis=2) / 255]
model = SpectralDictionaryLearning(
    64, modulation=None, prior=GaussianMixture(40, tol=0.05)
)
restorer = PatchRestorer(model, n_patches=40_000, random_state=0).fit(train)

# %%
# Noise
# -----
# With ``sigma=None``, the noise would be estimated. The standard deviation is that of
# the error of each pixel: it is large at edges and in textures, and small in smooth
# parts.

photo = data.chelsea()[20:260, 90:330].mean(axis=2) / 255
rng = np.random.default_rng(0)
noisy = photo + 0.1 * rng.standard_normal(photo.shape)
clean, std = restorer.denoise(noisy, sigma=0.1, return_std=True)


def psnr(image):
    """Return the peak signal-to-noise ratio in dB."""
    return -10 * np.log10(np.mean((np.clip(image, 0, 1) - photo) ** 2))


print(f"noisy {psnr(noisy):.1f} dB, clean {psnr(clean):.1f} dB")
print(f"errors over predicted deviations: {np.std((clean - photo) / std):.2f}")


def show(titles, images, limits=(0, 1)):
    """Draw images side by side."""
    import matplotlib.pyplot as plt

    size = 3.2 * len(images), 3.5
    figure, axes = plt.subplots(1, len(images), figsize=size, layout="constrained")
    for axis, title, image in zip(axes, titles, images, strict=True):
        low, high = limits if image.max() > 0.3 else (0, None)
        axis.imshow(image, cmap="gray", vmin=low, vmax=high, interpolation="nearest")
        axis.set_title(title)
        axis.set_axis_off()
    return figure


show(
    [
        f"noisy, {psnr(noisy):.1f} dB",
        f"clean, {psnr(clean):.1f} dB",
        "standard deviation of the error",
    ],
    [noisy, clean, std],
)

# %%
# Missing pixels
# --------------
# Four of five pixels are missing.

missing = rng.random(photo.shape) < 0.8
filled = restorer.inpaint(photo, missing)
show(
    ["one pixel of five", f"filled, {psnr(filled):.1f} dB", "photograph"],
    [np.where(missing, 0, photo), filled, photo],
)

# %%
# Draws
# -----
# The filled photograph is the best estimate, and therefore smoother than a photograph.
# Draws show what the photograph may look like.

part = np.where(missing, np.nan, photo)[60:140, 60:140]
draws = restorer.sample_posterior(part, 2, random_state=0)
show(
    ["one pixel of five", "first draw", "second draw", "photograph"],
    [np.nan_to_num(part), *draws, photo[60:140, 60:140]],
)

# %%
# Twice the size
# --------------

small = photo.reshape(120, 2, 120, 2).mean(axis=(1, 3))
large = restorer.upsample(small, 2)
blocks = small.repeat(2, axis=0).repeat(2, axis=1)
show(
    [
        f"small, {psnr(blocks):.1f} dB",
        f"enlarged, {psnr(large):.1f} dB",
        "photograph",
    ],
    [image[80:180, 40:140] for image in (blocks, large, photo)],
)

# %%
# Blur
# ----
# The camera has moved by nine pixels. Nothing is known about the scene outside.

kernel = np.eye(9) / 9
blurred = fftconvolve(photo, kernel, "valid")
blurred += 0.005 * rng.standard_normal(blurred.shape)
sharp = restorer.deblur(blurred, kernel, sigma=0.005)
show(
    ["blurred", "sharpened", "photograph"],
    [blurred, sharp, photo[4:-4, 4:-4]],
)
