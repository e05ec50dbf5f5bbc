"""Helpers of the displays: axes and panels, colours, the choice of atoms, units."""
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np

from skspectral._sklearn_compat import as_numpy, check_array
from skspectral._validation import fitted_attribute
from skspectral.grid import Grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colours of Okabe and Ito (2008), which all kinds of colour vision can distinguish.
# Yellow is last because it is pale on white.
PALETTE = (
    "#0072B2",
    "#E69F00",
    "#009E73",
    "#D55E00",
    "#CC79A7",
    "#56B4E9",
    "#000000",
    "#F0E442",
)
LINE_STYLES = ("-", "--", "-.", ":")
MAGNITUDE_MAP, SIGNED_MAP = "cividis", "RdBu_r"
# Font size of labels in small panels, in points.
SMALL_FONT = 8
# Signals with more channels than this are drawn as maps instead of curves.
_MAX_CURVES = 4
# Number of slices that are drawn of a volume or video.
_N_SLICES = 4
_MAX_TICKS = 10
# Matplotlib needs some hundredths of a second per panel.
_MAX_PANELS = 400


def axes_for(ax: Any, width: float, height: float) -> "Axes":
    """Return the given Axes, or the Axes of a new figure with a size in inches."""
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return ax


def codes_of(estimator: Any, X: Any) -> np.ndarray:
    """Return the codes of samples with their signs, one column per atom."""
    codes = as_numpy(estimator.transform(X))
    if getattr(estimator, "split_sign", False):
        positive, negative = np.split(codes, 2, axis=1)
        codes = positive - negative
    return codes


def split_axes(
    ax: "Axes",
    n_rows: int,
    n_columns: int,
    *,
    height_ratios: list[float] | None = None,
    **options: Any,
) -> np.ndarray:
    """Replace ``ax`` by an array of Axes with shape (n_rows, n_columns)."""
    spec = ax.get_subplotspec()
    if spec is None:
        raise ValueError(
            "ax is not part of a grid, so it cannot be divided into panels. Create it "
            "with plt.subplots() or figure.add_subplot()."
        )
    ax.set_axis_off()
    inner = spec.subgridspec(n_rows, n_columns, height_ratios=height_ratios)
    return inner.subplots(squeeze=False, **options)


def grid_of_panels(
    ax: Any, n: int, n_columns: int | None, size: tuple[float, float], **options: Any
) -> tuple["Axes", np.ndarray]:
    """Return the parent Axes and n panels in it.

    ``size`` is the size of a panel in inches. If ``n_columns`` is None, the panels are
    arranged approximately as a square.
    """
    if n > _MAX_PANELS:
        raise ValueError(
            f"{n} panels are too many to draw: Matplotlib would take minutes. Plot at "
            f"most {_MAX_PANELS} rows at a time, such as X[:16]."
        )
    if n_columns is None:
        n_columns = int(np.ceil(np.sqrt(n)))
    if not isinstance(n_columns, Integral) or n_columns < 1:
        raise ValueError(
            f"n_columns={n_columns!r} must be a positive integer, or None for about as "
            "many columns as rows."
        )
    n_columns = min(n_columns, n)
    n_rows = -(-n // n_columns)
    ax = axes_for(ax, max(2.5, size[0] * n_columns), max(2.0, size[1] * n_rows))
    grid = split_axes(ax, n_rows, n_columns, **options).ravel()
    for unused in grid[n:]:
        unused.set_axis_off()
    return ax, grid[:n]


def choose_sorted_atoms(atoms: Any, keys: np.ndarray) -> np.ndarray:
    """Return the indices that `choose_atoms` selects, sorted by increasing key.

    ``keys`` holds one key per atom.
    """
    chosen = choose_atoms(atoms, len(keys))
    return chosen[np.argsort(keys[chosen], kind="stable")]


def choose_atoms(atoms: Any, n_atoms: int) -> np.ndarray:
    """Return the indices of the selected atoms.

    ``atoms`` is the number of first atoms to select, a mask, an array of indices, or
    None for all atoms.
    """
    if atoms is None:
        return np.arange(n_atoms)
    chosen = np.asarray(atoms)
    if chosen.ndim == 0 and chosen.dtype.kind in "iu" and chosen > 0:
        return np.arange(min(int(chosen), n_atoms))
    if chosen.dtype.kind == "b" and chosen.shape == (n_atoms,) and chosen.any():
        return np.flatnonzero(chosen)
    whole = chosen.dtype.kind in "iu" and chosen.ndim == 1 and chosen.size > 0
    if whole and chosen.min() >= 0 and chosen.max() < n_atoms:
        return chosen
    raise ValueError(
        f"atoms={atoms!r} must be a positive number of atoms, an array of indices from "
        f"0 to {n_atoms - 1}, a mask with {n_atoms} entries of which at least one is "
        "True, or None for all atoms."
    )


def check_rows(values: Any, name: str, n_columns: int | None = None) -> np.ndarray:
    """Return rows of finite numbers as float64."""
    rows: np.ndarray = check_array(as_numpy(values, name), name, dtype=np.float64)
    if n_columns is not None and rows.shape[1] != n_columns:
        raise ValueError(
            f"{name} has {rows.shape[1]} columns, but it must have {n_columns} columns."
        )
    return rows


def fitted_array(estimator: Any, name: str) -> np.ndarray:
    """Return a fitted attribute as a numpy array."""
    return as_numpy(fitted_attribute(estimator, name))


def frequency_unit(estimator: Any) -> str:
    """Return the unit of ``frequencies_`` in words."""
    unit: str = estimator.model_.dictionary.wave_grid.frequency_unit
    return unit


def format_number(value: float) -> str:
    """Format a number with at most two decimals and about three digits."""
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def format_frequency(frequency: float, unit: str) -> str:
    """Format a frequency with its unit, short enough for a title."""
    return f"{format_number(frequency)} {unit.replace(' per ', '/')}"


def label_atoms(ax: "Axes", frequencies: np.ndarray, unit: str) -> None:
    """Label the x axis with the frequencies of atoms at the positions 0, 1, ....

    If there are many atoms, only some of them are labelled.
    """
    ax.set_xticks(*frequency_ticks(frequencies, _MAX_TICKS))
    ax.set_xlabel(f"frequency of the atom ({unit})")


def frequency_ticks(frequencies: np.ndarray, max_ticks: int) -> tuple[range, list[str]]:
    """Return the tick positions, out of 0, 1, ..., and their labels.

    There are at most ``max_ticks`` ticks.
    """
    ticks = range(0, len(frequencies), -(-len(frequencies) // max_ticks))
    return ticks, [format_number(frequencies[i]) for i in ticks]


def largest_magnitude(values: np.ndarray) -> float:
    """Return the largest magnitude, or 1 if all values are zero."""
    return float(np.abs(values).max()) or 1.0


def value_limits(values: np.ndarray) -> tuple[float, float]:
    """Return the lowest and the highest value.

    If they differ only by rounding, a margin is added on both sides.
    """
    low, high = float(values.min()), float(values.max())
    size = max(-low, high)
    margin = 0.0 if high - low > 1e-9 * size else 0.1 * size or 0.1
    return low - margin, high + margin


def draw_signal(
    ax: "Axes",
    signal: np.ndarray,
    grid: Grid,
    limits: tuple[float, float],
    *,
    signed: bool = False,
) -> Any:
    """Draw one row as an image, as curves over time, or as a map of channels and time.

    Values outside the limits are clipped. ``signed`` selects a diverging colour map.
    """
    if grid.n_axes == 1:
        return _draw_channels(ax, grid.signals(signal), grid, limits)
    if grid.channels not in (1, 3):
        raise ValueError(
            f"Images with {grid.channels} channels cannot be drawn. Pass images with "
            "one or three channels."
        )
    ax.set(xticks=[], yticks=[])
    low, high = limits
    image = np.moveaxis(grid.signals(signal), 0, -1)
    if grid.n_axes == 3:
        shown = np.linspace(0, len(image) - 1, min(_N_SLICES, len(image)))
        image = np.concatenate(image[shown.round().astype(int)], axis=1)
    if grid.channels == 3:
        return ax.imshow(np.clip((image - low) / (high - low), 0, 1))
    colours = SIGNED_MAP if signed else "gray"
    return ax.imshow(image[..., 0], cmap=colours, vmin=low, vmax=high)


def _draw_channels(
    ax: "Axes", channels: np.ndarray, grid: Grid, limits: tuple[float, float]
) -> Any:
    """Draw channels (n_channels, n_times) as curves or, if they are many, as a map."""
    t, label = sample_times(channels.shape[1], grid.time_rate)
    ax.set_xlabel(label, fontsize=SMALL_FONT)
    ax.tick_params(labelsize=SMALL_FONT)
    if len(channels) <= _MAX_CURVES:
        ax.set_ylim(*limits)
        curves = [
            ax.plot(t, channel, color=PALETTE[c], linewidth=1)[0]
            for c, channel in enumerate(channels)
        ]
        return curves[0]
    ax.set_ylabel("channel", fontsize=SMALL_FONT)
    extent = t[0], t[-1], len(channels) - 0.5, -0.5
    low, high = limits
    return ax.imshow(
        channels,
        cmap=SIGNED_MAP,
        vmin=low,
        vmax=high,
        extent=extent,
        aspect="auto",
        interpolation="nearest",
    )


def sample_times(length: int, sampling_rate: float | None) -> tuple[np.ndarray, str]:
    """Return the times of the samples of a signal, and the label of the time axis."""
    if sampling_rate is None:
        return np.arange(length), "time (samples)"
    return np.arange(length) / sampling_rate, "time (s)"
