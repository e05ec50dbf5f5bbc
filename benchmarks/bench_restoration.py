"""Restoration of whole photographs: quality and time beside what a user would pick.

A `PatchRestorer` learns from training photographs. The tables compare it with methods
of scikit-image, of scikit-learn (PCA of patches) and of ``bm3d``, if it is installed:

- denoising at several noise levels, with and without the level known, and published
  figures of other methods for the same images;
- standard deviations: squared errors relative to predicted ones, by quartiles of the
  predictions;
- missing pixels, half size, blur, and a colour filter array;
- the time of learning, and PSNR over the number of rounds;
- if asked for by ``--parts network``: denoising by a `DiffusionPrior` of windows, after
  a training of some minutes.

PSNR is the mean over images of that of each image, with the estimate clipped to [0, 1].
The noise is neither rounded nor clipped. Ratios of times are to ours.

    python benchmarks/bench_restoration.py --photographs photographs.npz
    python benchmarks/bench_restoration.py --patches 5000 --gaussians 20 --images 1

The file of photographs holds PNG files as bytes in "NAME_png", with "NAME_offsets", for
the names "train400", "bsd68", "set12" and "kodak24". Without it, the photographs of
scikit-learn and scikit-image are used. The script prints Markdown tables.
"""
# SPDX-License-Identifier: BSD-3-Clause

import argparse
from pathlib import Path

import numpy as np
from _data import load_pictures
from _measure import timed
from _tables import markdown
from scipy.ndimage import zoom
from scipy.signal import fftconvolve
from sklearn.decomposition import PCA
from sklearn.feature_extraction.image import (
    extract_patches_2d,
    reconstruct_from_patches_2d,
)

from skspectral import SpectralDictionaryLearning
from skspectral.model_files import load_model, save_model
from skspectral.priors import DiffusionPrior, GaussianMixture
from skspectral.restoration import PatchRestorer, estimate_sigma

try:
    import bm3d
except ImportError:
    bm3d = None
# Mean PSNR as published by the authors of the methods, at sigma = 15, 25 and 50.
PUBLISHED = {
    "bsd68": {
        "BM3D": (31.07, 28.57, 25.62),
        "EPLL": (31.21, 28.68, 25.67),
        "WNNM": (31.37, 28.83, 25.87),
        "TNRD": (31.42, 28.92, 25.97),
        "DnCNN": (31.73, 29.23, 26.23),
    },
    "set12": {
        "BM3D": (32.37, 29.97, 26.72),
        "WNNM": (32.70, 30.28, 27.05),
        "DnCNN": (32.86, 30.44, 27.18),
    },
    "kodak24": {"CBM3D": (34.28, 31.68, 28.46), "FFDNet": (34.63, 32.13, 28.98)},
}
LEVELS = (15, 25, 50)
USUAL = ["denoise", "std", "missing", "half", "blur", "settings", "colour"]
PARTS = [*USUAL, "network"]


def psnr(truth, image):
    """Return the peak signal-to-noise ratio in dB of an image clipped to [0, 1]."""
    return -10 * np.log10(np.mean((np.clip(image, 0, 1) - truth) ** 2))


def show(heads, rows):
    print(markdown([dict(zip(heads, row, strict=True)) for row in rows]), flush=True)


def parse_arguments():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photographs", type=Path)
    parser.add_argument("--patches", type=int, default=300_000)
    parser.add_argument("--gaussians", type=int, default=200)
    parser.add_argument("--tol", type=float, default=0.02)
    parser.add_argument("--images", type=int, help="images per test set; default: all")
    parser.add_argument(
        "--others", type=int, default=12, help="images for the slower comparisons"
    )
    parser.add_argument("--model", type=Path, help="file to keep the grey model in")
    parser.add_argument("--network", type=Path, help="file to keep the network in")
    parser.add_argument("--sets", nargs="+", default=["bsd68", "set12"])
    parser.add_argument(
        "--parts",
        nargs="+",
        default=USUAL,
        choices=PARTS,
    )
    parser.add_argument("--minutes", type=float, default=60, help="of the network")
    parser.add_argument("--window", type=int, default=64, help="width in pixels")
    parser.add_argument("--windows", type=int, default=16_000, help="to learn from")
    return parser.parse_args()


def floats(pictures):
    return [np.asarray(picture, np.float64) / 255 for picture in pictures]


def noisy(images, sigma, seed=0):
    """Yield images with noise of standard deviation sigma / 255."""
    rng = np.random.default_rng(seed)
    for image in images:
        yield image + rng.standard_normal(image.shape) * sigma / 255


def restorer(args, channel_axis=None):
    side = 64 * (1 if channel_axis is None else 3)
    model = SpectralDictionaryLearning(
        side,
        modulation=None,
        prior=GaussianMixture(
            args.gaussians, shrinkage=0.2, common_mean=True, tol=args.tol
        ),
    )
    return PatchRestorer(
        model, channel_axis=channel_axis, n_patches=args.patches, random_state=0
    )


def denoisers(train, grey):
    """Return functions of a noisy image and the noise, by name."""
    from skimage.restoration import (
        denoise_nl_means,
        denoise_tv_chambolle,
        denoise_wavelet,
    )

    axis = None if grey else -1
    rng = np.random.default_rng(0)
    patches = np.concatenate(
        [
            extract_patches_2d(image, (8, 8), max_patches=50, random_state=0)
            for image in train[:200]
        ]
    )
    rows = patches.reshape(len(patches), -1)
    rows = rows[rng.permutation(len(rows))]
    pca = PCA().fit(rows)

    def by_pca(image, sigma):
        patches = extract_patches_2d(image, (8, 8))
        codes = pca.transform(patches.reshape(len(patches), -1))
        # The posterior mean of a Gaussian model.
        codes *= pca.explained_variance_ / (pca.explained_variance_ + sigma**2)
        found = pca.inverse_transform(codes).reshape(patches.shape)
        return reconstruct_from_patches_2d(found, image.shape)

    found = {
        "NL-means": lambda image, sigma: denoise_nl_means(
            image,
            h=0.8 * sigma,
            sigma=sigma,
            patch_size=5,
            patch_distance=6,
            fast_mode=True,
            channel_axis=axis,
        ),
        "wavelets": lambda image, sigma: denoise_wavelet(
            image,
            sigma=sigma,
            method="BayesShrink",
            rescale_sigma=True,
            channel_axis=axis,
        ),
        "total variation": lambda image, sigma: denoise_tv_chambolle(
            image, weight=1.2 * sigma, channel_axis=axis
        ),
        "PCA of patches": by_pca,
    }
    if bm3d is not None:
        color = bm3d.bm3d if grey else bm3d.bm3d_rgb
        found["bm3d"] = lambda image, sigma: color(image, sigma)
    return found


def denoising_table(ours, train, images, name, n_others):
    """Print PSNR and seconds per image of all methods."""
    grey = images[0].ndim == 2
    columns = {"skspectral": lambda image, sigma: ours.denoise(image, sigma)}
    columns["skspectral, sigma unknown"] = lambda image, sigma: ours.denoise(image)
    columns |= denoisers(train, grey)
    rows, figures = [], {}
    for method, call in columns.items():
        taken = images if method == "skspectral" else images[:n_others]
        cells = [method]
        for sigma in LEVELS:
            runs = [timed(call, y, sigma / 255) for y in noisy(taken, sigma)]
            values = [psnr(x, z) for x, (z, _) in zip(taken, runs, strict=True)]
            seconds = np.median([time for _, time in runs])
            figures[method, sigma] = values, seconds
            same = np.mean(figures["skspectral", sigma][0][: len(taken)])
            ratio = seconds / figures["skspectral", sigma][1]
            mean = np.mean(values)
            cells.append(
                f"{mean:.2f} ({mean - same:+.2f}; {seconds:.1f} s, x {ratio:.2f})"
            )
        rows.append([*cells, len(taken)])
    for method, values in PUBLISHED.get(name, {}).items():
        rows.append([f"{method}, published", *(f"{v:.2f}" for v in values), "all"])
    print(f"\nDenoising, {name}: PSNR in dB (minus ours; time)\n")
    show(["method", *(f"sigma = {s}" for s in LEVELS), "images"], rows)
    errors = [
        [s, *(f"{q:.3f}" for q in (ratios.min(), ratios.max(), ratios.mean()))]
        for s in LEVELS
        for ratios in [sigma_ratios(images, s)]
    ]
    print("\nEstimated sigma over the true one\n")
    show(["sigma", "least", "largest", "mean"], errors)


def sigma_ratios(images, sigma):
    axis = None if images[0].ndim == 2 else -1
    found = [
        np.sqrt(np.mean(np.square(estimate_sigma(y, channel_axis=axis))))
        for y in noisy(images, sigma)
    ]
    return np.array(found) * 255 / sigma


def deviations_table(ours, images):
    """Print the ratio of errors to predictions, by quartiles of the predictions."""
    rows = []
    for sigma in LEVELS:
        errors, stds = [], []
        for x, y in zip(images, noisy(images, sigma, seed=1), strict=True):
            z, std = ours.denoise(y, sigma / 255, return_std=True)
            errors.append((z - x).ravel())
            stds.append(std.ravel())
        rows.append([sigma, *quartiles(np.concatenate(errors), np.concatenate(stds))])
    print("\nStandard deviation of errors over predicted deviations, by quartile\n")
    show(["sigma", "1", "2", "3", "4", "all"], rows)


def quartiles(errors, stds):
    parts = np.array_split(stds.argsort(), 4)
    ratios = errors / stds
    return [f"{np.std(ratios[part]):.2f}" for part in parts] + [f"{np.std(ratios):.2f}"]


def compare(title, images, degrade, methods, crop=0):
    """Print PSNR and time of methods on degraded images, and of our deviations."""
    rows, base = [], None
    inside = (slice(crop, -crop or None),) * 2
    for method, call in methods.items():
        values, seconds = [], []
        for i, x in enumerate(images):
            found, time = timed(call, *degrade(x, np.random.default_rng(i)))
            values.append(psnr(x[inside], found[inside]))
            seconds.append(time)
        base = base or np.median(seconds)
        rows.append(
            [
                method,
                f"{np.mean(values):.2f}",
                f"{np.median(seconds):.2f}",
                f"{np.median(seconds) / base:.2f}",
            ]
        )
    print(f"\n{title}\n")
    show(["method", "PSNR, dB", "seconds", "ratio"], rows)


def text_mask(shape):
    """Return a mask that is True on lines of text."""
    from PIL import Image, ImageDraw

    picture = Image.new("L", shape[::-1])
    draw = ImageDraw.Draw(picture)
    words = "missing pixels are filled by the posterior mean of their patches " * 3
    for row in range(4, shape[0], 24):
        draw.text((2, row), words, fill=255, font_size=16)
    return np.asarray(picture) > 100


def missing_tables(ours, images):
    from skimage.restoration import inpaint_biharmonic

    methods = {
        "skspectral": lambda image, mask: ours.inpaint(image, mask),
        "biharmonic": lambda image, mask: inpaint_biharmonic(
            image, mask, split_into_regions=False
        ),
    }
    for share in (0.5, 0.8):
        compare(
            f"Missing pixels, {share:.0%}",
            images,
            lambda x, rng, share=share: blanked(x, rng.random(x.shape) < share),
            methods,
        )
    compare(
        "Missing text", images, lambda x, rng: blanked(x, text_mask(x.shape)), methods
    )
    x = images[0]
    mask = np.random.default_rng(0).random(x.shape) < 0.5
    z, std = ours.inpaint(*blanked(x, mask), return_std=True)
    print(
        "\nErrors over predicted deviations of missing pixels, 50 %, by quartile: "
        + ", ".join(quartiles((z - x)[mask], std[mask])[:4])
    )


def blanked(image, mask):
    return np.where(mask, 0.0, image), mask


def half_table(ours, images):
    images = [x[: x.shape[0] // 2 * 2, : x.shape[1] // 2 * 2] for x in images]

    def degrade(x, rng):
        return (x.reshape(x.shape[0] // 2, 2, x.shape[1] // 2, 2).mean(axis=(1, 3)),)

    methods = {
        "skspectral": lambda y: ours.upsample(y, 2),
        "bicubic": lambda y: zoom(y, 2, order=3, mode="reflect", grid_mode=True),
        "Lanczos (Pillow)": lanczos,
    }
    compare(
        "Enlarged from half the size (means of 2 x 2 pixels)",
        images,
        degrade,
        methods,
        crop=4,
    )


def lanczos(image):
    from PIL import Image

    picture = Image.fromarray(image.astype(np.float32))
    size = 2 * picture.width, 2 * picture.height
    return np.asarray(picture.resize(size, Image.Resampling.LANCZOS))


def blur_tables(ours, images):
    from skimage.restoration import richardson_lucy, unsupervised_wiener, wiener

    line = np.eye(15)
    t = np.arange(-7, 8)
    disc = np.exp(-(t[:, None] ** 2 + t**2) / (2 * 1.6**2))
    kernels = {"Gaussian, 1.6 pixels": disc / disc.sum(), "motion, 15": line / 15}
    sigma = 0.01
    laplacian = np.array([[0, -1, 0], [-1, 4, -1], [0, -1, 0.0]])
    for name, kernel in kernels.items():

        def degrade(x, rng, kernel=kernel):
            # Pixels outside the image are seen by the blurred image, too, as in a real
            # one; the images are cropped to what was blurred.
            y = fftconvolve(x, kernel, "valid")
            return (np.pad(y + sigma * rng.standard_normal(y.shape), 7, mode="edge"),)

        # The best of some strengths on the first image, which favours this method.
        balance = best_balance(images[0], degrade, kernel, laplacian)
        methods = {
            "skspectral": lambda y, k=kernel: np.pad(
                ours.deblur(y[7:-7, 7:-7], k, sigma), 7, mode="edge"
            ),
            "blurred": lambda y: y,
            "Wiener": lambda y, k=kernel, b=balance: wiener(y, k, b, laplacian),
            "Wiener, unsupervised": lambda y, k=kernel: unsupervised_wiener(
                y, k, rng=0
            )[0],
            "Richardson-Lucy, 20": lambda y, k=kernel: richardson_lucy(
                y.clip(1e-3, None), k, num_iter=20
            ),
        }
        compare(f"Blur: {name}, noise .01", images, degrade, methods, crop=16)


def best_balance(image, degrade, kernel, regulariser):
    from skimage.restoration import wiener

    (y,) = degrade(image, np.random.default_rng(0))
    inside = (slice(16, -16),) * 2
    values = np.geomspace(1e-4, 1, 9)
    return max(
        values,
        key=lambda b: psnr(image[inside], wiener(y, kernel, b, regulariser)[inside]),
    )


def learned(args, train, channel_axis=None):
    """Return a fitted restorer, and print how it was learned."""
    ours, seconds = timed(restorer(args, channel_axis).fit, train)
    correction = ours.variance_correction_
    print(
        f"Learned from {ours.n_patches_} patches of {len(train)} photographs in "
        f"{seconds:.0f} s: {len(ours.weights_)} Gaussians, "
        f"{ours.estimator_.prior_.n_iter_} iterations; correction of variances "
        f"{(correction.errors / correction.predicted).astype(float).round(2).tolist()}"
    )
    return ours


def settings_table(ours, images):
    """Print PSNR and time for strides, scales and candidates."""
    rows = []
    for settings in (
        {},
        {"n_scales": 1},
        {"n_candidates": 3},
        {"n_candidates": 12},
        {"n_candidates": len(ours.weights_)},
        {"stride": 2},
        {"stride": 3},
        {"stride": 4},
    ):
        usual = {name: getattr(ours, name) for name in settings}
        ours.set_params(**settings)
        runs = [timed(ours.denoise, y, 25 / 255) for y in noisy(images, 25)]
        ours.set_params(**usual)
        values = [psnr(x, z) for x, (z, _) in zip(images, runs, strict=True)]
        seconds = np.median([time for _, time in runs])
        name = ", ".join(f"{k}={v}" for k, v in settings.items()) or "defaults"
        rows.append([name, f"{np.mean(values):.3f}", f"{seconds:.2f}"])
    print("\nSettings, sigma = 25\n")
    show(["settings", "PSNR, dB", "seconds per image"], rows)


def network_part(args, train, images):
    """Train a network on windows, and print its PSNR, time and deviations."""
    prior = DiffusionPrior(
        max_time=60 * args.minutes, batch_size=32, mirror=True, mixed_precision=True
    )
    atoms = SpectralDictionaryLearning(args.window**2, modulation=None, prior=prior)
    network = PatchRestorer(
        atoms, patch_size=args.window, n_patches=args.windows, random_state=0
    )
    if args.network and args.network.exists():
        network = load_model(args.network)
    else:
        _, seconds = timed(network.fit, train)
        print(f"\nLearning the network took {seconds / 60:.1f} minutes in all.")
        if args.network:
            save_model(network, args.network)
    seen = network.estimator_.prior_.n_images_
    print(f"\nA network that has seen {seen} windows in training\n")
    cells = []
    for sigma in LEVELS:
        runs = [timed(network.denoise, y, sigma / 255) for y in noisy(images, sigma)]
        mean = np.mean([psnr(x, z) for x, (z, _) in zip(images, runs, strict=True)])
        cells.append(f"{mean:.2f} ({np.median([time for _, time in runs]):.1f} s)")
    show(["images", *(f"sigma = {s}" for s in LEVELS)], [[len(images), *cells]])
    few = images[: args.others]
    deviations_table(network, few)
    missing_tables(network, few[:5])
    half_table(network, few[:5])


def colour_part(args):
    """Learn from half of the colour photographs, and denoise the other half."""
    images = floats(load_pictures(args.photographs, "kodak24"))
    train, test = images[::2], images[1::2][: args.images]
    denoising_table(learned(args, train, -1), train, test, "kodak24", args.others)


def main():
    args = parse_arguments()
    train = floats(load_pictures(args.photographs, "train400"))
    tests = {name: load_pictures(args.photographs, name) for name in args.sets}
    ours = None
    if args.parts == ["network"]:
        pass
    elif args.model and args.model.exists():
        ours = load_model(args.model)
    else:
        ours = learned(args, train)
        if args.model:
            save_model(ours, args.model)
    for name, pictures in tests.items():
        images = floats(pictures)[: args.images]
        if "denoise" in args.parts:
            denoising_table(ours, train, images, name, args.others)
    images = floats(tests[args.sets[0]])[: args.images]
    few = images[: args.others]
    if "std" in args.parts:
        deviations_table(ours, images)
    if "missing" in args.parts:
        missing_tables(ours, few)
    if "half" in args.parts:
        half_table(ours, few)
    if "blur" in args.parts:
        blur_tables(ours, few)
    if "settings" in args.parts:
        settings_table(ours, few)
    if "colour" in args.parts:
        colour_part(args)
    if "network" in args.parts:
        network_part(args, train, images)


if __name__ == "__main__":
    main()
