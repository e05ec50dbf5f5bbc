"""Results as a Markdown table and as pictures."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from _tables import markdown
from matplotlib.figure import Figure
from PIL import Image

COLUMNS = [
    ("method", "method"),
    ("Fréchet distance", "frechet_distance", "{:.2f}"),
    ("kernel distance x 1000", "kernel_distance", "{:.1f}"),
    ("density", "density", "{:.2f}"),
    ("coverage", "coverage", "{:.3f}"),
    ("classifier score", "classifier_score", "{:.2f}"),
    ("spectral distance, dB", "radial_spectrum_distance", "{:.2f}"),
    ("nearest training image: features", "memorization_features", "{:.2f}"),
    ("pixels", "memorization_pixels", "{:.2f}"),
    ("near copies", "copies", "{:.3f}"),
    ("fit, s", "fit_s", "{:.0f}"),
    ("draws, s per 1,000", "sample_s_per_1000", "{:.2f}"),
    ("parameters, millions", "n_parameters", "{:.2f}"),
    ("FID", "inception_frechet_distance", "{:.2f}"),
    ("KID x 1000", "inception_kernel_distance", "{:.1f}"),
    ("Inception score", "inception_classifier_score", "{:.2f}"),
]
SCALE = {
    "kernel_distance": 1e3,
    "n_parameters": 1e-6,
    "inception_kernel_distance": 1e3,
}


def as_markdown(results):
    """Return one row per method, in increasing order of the Frechet distance."""
    rows = [
        row | {name: row[name] * SCALE[name] for name in SCALE.keys() & row.keys()}
        for row in sorted(results, key=lambda row: row.get("frechet_distance", np.inf))
    ]
    return markdown(rows, COLUMNS, drop_empty=True)


def grid(images, n_rows=8, n_columns=8):
    """Arrange the first images in a grid, as one image."""
    n, height, width, n_channels = images.shape
    shown = np.full((n_rows * n_columns, height, width, n_channels), 255, np.uint8)
    shown[:n] = images[: len(shown)]
    tiles = shown.reshape(n_rows, n_columns, height, width, n_channels)
    picture = tiles.swapaxes(1, 2).reshape(n_rows * height, n_columns * width, -1)
    return picture.squeeze()


def save_grid(images, path):
    """Write a grid of 8 x 8 images to a file, enlarged by a factor of 2."""
    picture = Image.fromarray(grid(images))
    picture.resize((2 * picture.width, 2 * picture.height), Image.NEAREST).save(path)


def save_sheet(images_of, path, n_columns=5):
    """Write a picture with the first images of each method."""
    n_rows = -(-len(images_of) // n_columns)
    figure = Figure(figsize=(2.4 * n_columns, 2.65 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, (name, images) in zip(axes.flat, images_of.items(), strict=False):
        ax.imshow(grid(images, 6, 6), cmap="gray", interpolation="nearest")
        ax.set_title(name, fontsize=8)
    figure.savefig(path, dpi=150, pil_kwargs={"quality": 85})
