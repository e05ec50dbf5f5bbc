"""The results as a Markdown table and as pictures."""
# SPDX-License-Identifier: BSD-3-Clause

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

COLUMNS = {
    "frechet_distance": ("Fréchet distance", "{:.2f}"),
    "kernel_distance": ("kernel distance x 1000", "{:.1f}"),
    "density": ("density", "{:.2f}"),
    "coverage": ("coverage", "{:.3f}"),
    "classifier_score": ("classifier score", "{:.2f}"),
    "radial_spectrum_distance": ("spectrum, dB", "{:.2f}"),
    "memorization_features": ("nearest training image: features", "{:.2f}"),
    "memorization_pixels": ("pixels", "{:.2f}"),
    "copies": ("near copies", "{:.3f}"),
    "fit_s": ("fit, s", "{:.0f}"),
    "sample_s_per_1000": ("draws, s per 1,000", "{:.2f}"),
    "n_parameters": ("parameters, millions", "{:.2f}"),
    "inception_frechet_distance": ("FID", "{:.2f}"),
    "inception_kernel_distance": ("KID x 1000", "{:.1f}"),
    "inception_classifier_score": ("Inception score", "{:.2f}"),
}
SCALE = {
    "kernel_distance": 1e3,
    "n_parameters": 1e-6,
    "inception_kernel_distance": 1e3,
}


def as_markdown(results):
    """One line for each method, the smallest Frechet distance first."""
    shown = [name for name in COLUMNS if any(name in row for row in results)]
    lines = [
        "| method | " + " | ".join(COLUMNS[name][0] for name in shown) + " |",
        "|---" * (1 + len(shown)) + "|",
    ]
    for row in sorted(results, key=lambda row: row.get("frechet_distance", np.inf)):
        cells = [cell(row, name) for name in shown]
        lines.append(f"| {row['method']} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cell(row, name):
    """A figure as text; empty where there is none."""
    if name not in row:
        return ""
    return COLUMNS[name][1].format(row[name] * SCALE.get(name, 1))


def grid(images, n_rows=8, n_columns=8):
    """The first images side by side, as one image."""
    n, height, width, n_channels = images.shape
    shown = np.full((n_rows * n_columns, height, width, n_channels), 255, np.uint8)
    shown[:n] = images[: len(shown)]
    tiles = shown.reshape(n_rows, n_columns, height, width, n_channels)
    picture = tiles.swapaxes(1, 2).reshape(n_rows * height, n_columns * width, -1)
    return picture.squeeze()


def save_grid(images, path):
    """Write a grid of 8 x 8 images, enlarged, to a file."""
    picture = Image.fromarray(grid(images))
    picture.resize((2 * picture.width, 2 * picture.height), Image.NEAREST).save(path)


def save_sheet(images_of, path, n_columns=5):
    """Write one picture of the first images of each method."""
    n_rows = -(-len(images_of) // n_columns)
    figure = Figure(figsize=(2.4 * n_columns, 2.65 * n_rows), layout="constrained")
    axes = figure.subplots(n_rows, n_columns, squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, (name, images) in zip(axes.flat, images_of.items(), strict=False):
        ax.imshow(grid(images, 6, 6), cmap="gray", interpolation="nearest")
        ax.set_title(name, fontsize=8)
    figure.savefig(path, dpi=150, pil_kwargs={"quality": 85})
