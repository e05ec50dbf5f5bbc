# SPDX-License-Identifier: BSD-3-Clause
"""
Denoise photographs
===================

Remove white noise from photographs, and compare with PCA, wavelets and total variation.

The model learns plane waves and a prior of their codes on clean patches of some
photographs, and denoises other photographs. First it denoises single patches. Then it
denoises whole photographs: it denoises all overlapping patches, and each pixel is the
mean of the patches that contain it.

The example prints the peak signal-to-noise ratio (PSNR, in dB) and the structural
similarity (SSIM) of each method, and draws the photographs side by side. Every other
method has the setting that is best on the test photographs, which favours it. The
settings of our models were chosen beforehand.
"""

# %%
import argparse
import sys
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import load_sample_images
from sklearn.decomposition import PCA
from sklearn.feature_extraction.image import (
    extract_patches_2d,
    reconstruct_from_patches_2d,
)

from skspectral import SpectralDictionaryLearning
from skspectral.datasets import cut_patches
from skspectral.priors import GaussianMixture, GaussianPrior

SIZE = 8
# Standard deviation of the noise, where images have values from 0 to 1.
NOISE = 0.1


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[1])
    parser.add_argument(
        "--n-patches", type=int, default=5000, help="number of patches to learn from"
    )
    parser.add_argument("--n-components", type=int, default=64, metavar="K")
    parser.add_argument(
        "--crop", type=int, default=144, help="width of the test photographs in pixels"
    )
    parser.add_argument("--output", type=Path, default=Path("denoised.png"))
    return parser.parse_args()


# %%
# The photographs
# ---------------
# The model learns from the two photographs of scikit-learn and from two of
# scikit-image. Two other photographs of scikit-image are for testing.


def load_photographs(crop):
    """Return uint8 photographs to learn from, and test photographs in [0, 1]."""
    try:
        import pywt  # noqa: F401
        from skimage import data
    except ImportError as error:
        raise ImportError(
            f"{error}. This example needs: pip install scikit-image PyWavelets"
        ) from error
    train = [*load_sample_images().images, data.coffee(), data.rocket()]
    test = {
        "cat": data.chelsea()[60 : 60 + crop, 140 : 140 + crop],
        "astronaut": data.astronaut()[:crop, 150 : 150 + crop],
    }
    return train, {name: photo / 255 for name, photo in test.items()}


# %%
# Our models
# ----------
# The residual of the atoms on clean patches should be smaller than the noise. With 64
# plane waves, the residual has a standard deviation of 0.02. The noise has one of 0.1.
#
# `denoise` computes the posterior mean. For a Gaussian prior the posterior mean is a
# linear function of the patch. For a mixture it is a weighted sum of linear functions,
# one for each component. The weight of a component is the probability that it produced
# the patch. The components specialise in flat patches, edges or textures.


def our_models(n_components):
    """Return our estimators by the name of their prior."""
    priors = {
        "Gaussian": GaussianPrior(),
        "mixture, full": GaussianMixture(10, tol=0.05, random_state=0),
        "mixture, low rank": GaussianMixture(
            20, covariance="low_rank", rank=20, tol=0.05, random_state=0
        ),
    }
    return {
        name: SpectralDictionaryLearning(
            n_components,
            signal_shape=(SIZE, SIZE, 3),
            modulation=None,
            prior=prior,
            random_state=0,
        )
        for name, prior in priors.items()
    }


def by_patches(denoise, photo):
    """Denoise all overlapping patches of a photograph, and average them."""
    patches = extract_patches_2d(photo, (SIZE, SIZE))
    rows = patches.reshape(len(patches), -1).astype(np.float32)
    return reconstruct_from_patches_2d(
        denoise(rows).reshape(patches.shape), photo.shape
    )


# %%
# The other methods
# -----------------


def pca_denoisers(X):
    """Return functions that denoise by PCA with several numbers of components."""
    pca = PCA(random_state=0).fit(X)

    def denoise(rows, k):
        axes = pca.components_[:k]
        return pca.mean_ + (rows - pca.mean_) @ axes.T @ axes

    return [lambda rows, k=k: denoise(rows, k) for k in range(12, 37, 4)]


def wavelet_denoisers():
    """Return functions that denoise by wavelets; they know the noise."""
    from skimage.restoration import denoise_wavelet

    settings = [
        {"method": method, "mode": mode, "convert2ycbcr": convert}
        for method in ("BayesShrink", "VisuShrink")
        for mode in ("soft", "hard")
        for convert in (True, False)
    ]
    always = {"sigma": NOISE, "rescale_sigma": True, "channel_axis": -1}
    return [lambda image, s=s: denoise_wavelet(image, **always, **s) for s in settings]


def variation_denoisers():
    """Return functions that denoise by total variation with several weights."""
    from skimage.restoration import denoise_tv_chambolle

    weights = (0.05, 0.06, 0.07, 0.08, 0.1, 0.15)
    always = {"eps": 1e-5, "max_num_iter": 300, "channel_axis": -1}
    return [
        lambda image, w=w: denoise_tv_chambolle(image, weight=w, **always)
        for w in weights
    ]


def psnr(truth, images):
    """Return the peak signal-to-noise ratio in dB, over all images together."""
    return -10 * np.log10(np.mean((truth - images) ** 2))


def best(truth, candidates):
    """Return the candidate that is nearest to the truth."""
    return max(candidates, key=lambda images: psnr(truth, images))


# %%
# Patches and photographs
# -----------------------


def denoised_patches(estimators, X, patches, noisy):
    """Return by method the results on patches, each of which is denoised alone."""
    rows = noisy.reshape(len(noisy), -1).astype(np.float32)
    results = {
        "noisy": rows,
        "PCA": best(patches.reshape(rows.shape), (f(rows) for f in pca_denoisers(X))),
    } | {name: est.denoise(rows, NOISE) for name, est in estimators.items()}
    return {name: part.reshape(patches.shape) for name, part in results.items()}


def denoised_photograph(estimators, X, photo, noisy):
    """Return by method the results on a whole photograph."""
    results = {
        "noisy": noisy,
        "wavelets": best(photo, (f(noisy) for f in wavelet_denoisers())),
        "total variation": best(photo, (f(noisy) for f in variation_denoisers())),
        "PCA": best(photo, (by_patches(f, noisy) for f in pca_denoisers(X))),
    }
    for name, est in estimators.items():
        results[name] = by_patches(lambda rows, e=est: e.denoise(rows, NOISE), noisy)
    return results


def print_table(of_patches, patches, of_photos, photos):
    from skimage.metrics import structural_similarity

    print(f"{'':<18}  patches" + "".join(f"{name:>18}" for name in photos))
    print(f"{'':<18}     PSNR" + f"{'PSNR   SSIM':>18}" * len(photos))
    for method in of_photos[next(iter(photos))]:
        part = of_patches.get(method)
        line = f"{method:<18}"
        line += " " * 9 if part is None else f"{psnr(patches, part):9.2f}"
        for name, photo in photos.items():
            image = of_photos[name][method]
            ssim = structural_similarity(photo, image, data_range=1, channel_axis=-1)
            line += f"{psnr(photo, image):11.2f}{ssim:7.3f}"
        print(line)


def plot(of_photos, photos, path):
    """Draw for each photograph the truth, the noisy version and all results."""
    # The object-oriented interface needs no display.
    from matplotlib.figure import Figure

    titles = {
        "Gaussian": "our model, Gaussian prior",
        "mixture, full": "our model, mixture prior",
        "mixture, low rank": "our model, low-rank mixture",
    }
    figure = Figure(figsize=(2.6 * 4, 3.0 * 2 * len(photos)), layout="constrained")
    figure.suptitle(
        f"White noise of standard deviation {NOISE} in images with values from 0 to 1"
    )
    for panel, (name, photo) in zip(
        figure.subfigures(len(photos), 1), photos.items(), strict=True
    ):
        axes = panel.subplots(2, 4).ravel()
        for axis in axes:
            axis.set_axis_off()
        axes[0].imshow(photo, interpolation="nearest")
        axes[0].set_title("truth\n", fontsize=11)
        shown = of_photos[name].items()
        for axis, (method, image) in zip(axes[1:], shown, strict=True):
            axis.imshow(np.clip(image, 0, 1), interpolation="nearest")
            title = f"{titles.get(method, method)}\n{psnr(photo, image):.2f} dB"
            axis.set_title(title, fontsize=11)
    figure.savefig(path, dpi=100)


def main():
    args = parse_arguments()
    try:
        train, photos = load_photographs(args.crop)
    except ImportError as error:
        sys.exit(f"error: {error}")
    X = cut_patches(train, args.n_patches, SIZE).reshape(args.n_patches, -1)
    X = X.astype(np.float32) / 255
    estimators = our_models(args.n_components)
    for name, estimator in estimators.items():
        start = time.perf_counter()
        estimator.fit(X)
        seconds = time.perf_counter() - start
        left = estimator.noise_variance_**0.5
        print(f"{name}: fit in {seconds:.1f} s, residual of the atoms {left:.3f}")

    rng = np.random.default_rng(0)
    every = [extract_patches_2d(photo, (SIZE, SIZE)) for photo in photos.values()]
    patches = rng.permutation(np.concatenate(every))[:2000]
    noisy = patches + NOISE * rng.standard_normal(patches.shape)
    of_patches = denoised_patches(estimators, X, patches, noisy)
    of_photos = {
        name: denoised_photograph(
            estimators, X, photo, photo + NOISE * rng.standard_normal(photo.shape)
        )
        for name, photo in photos.items()
    }
    print_table(of_patches, patches, of_photos, photos)
    plot(of_photos, photos, args.output)
    print(f"picture: {args.output.resolve()}")


if __name__ == "__main__":
    main()
