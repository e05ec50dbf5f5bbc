"""What the displays share: axes and panels, colours, the choice of atoms, units."""
# SPDX-License-Identifier: BSD-3-Clause

from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skspectral._sklearn_compat import as_numbers, as_numpy
from skspectral.grid import Grid

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Okabe and Ito (2008): told apart with any colour vision. Yellow, pale on white, last.
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
SMALL = 8
_MOST_TICKS = 10


def axes_for(ax: Any, width: float, height: float) -> "Axes":
    """The Axes given, or those of a new figure of a size in inches."""
    if ax is None:
        import matplotlib.pyplot as plt

        _, ax = plt.subplots(figsize=(width, height), layout="constrained")
    return ax


def panels(ax: "Axes", n_rows: int, n_columns: int, **options: Any) -> np.ndarray:
    """Axes of shape (n_rows, n_columns) in the place of ``ax``, which is emptied."""
    spec = ax.get_subplotspec()
    if spec is None:
        raise ValueError(
            "ax has no place in a grid that several panels could share. Make it with "
            "plt.subplots() or figure.add_subplot()."
        )
    ax.set_axis_off()
    return spec.subgridspec(n_rows, n_columns).subplots(squeeze=False, **options)


def grid_of_panels(
    ax: Any, n: int, n_columns: int | None, size: tuple[float, float], **options: Any
) -> tuple["Axes", np.ndarray]:
    """The Axes to use, and n panels in them: by default about a square."""
    if n_columns is None:
        n_columns = int(np.ceil(np.sqrt(n)))
    if not isinstance(n_columns, Integral) or n_columns < 1:
        raise ValueError(f"n_columns={n_columns!r} must be a positive integer or None.")
    n_columns = min(n_columns, n)
    n_rows = -(-n // n_columns)
    ax = axes_for(ax, max(2.5, size[0] * n_columns), max(2.0, size[1] * n_rows))
    grid = panels(ax, n_rows, n_columns, **options).ravel()
    for unused in grid[n:]:
        unused.set_axis_off()
    return ax, grid[:n]


def choose_in_order(atoms: Any, keys: np.ndarray) -> np.ndarray:
    """Indices as of `choose_atoms`, by rising keys, of which each atom has one."""
    chosen = choose_atoms(atoms, len(keys))
    return chosen[np.argsort(keys[chosen], kind="stable")]


def choose_atoms(atoms: Any, n_atoms: int) -> np.ndarray:
    """Indices of a number of first atoms, a mask, or given ones; None is all."""
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
        f"atoms={atoms!r} must be a positive number of atoms, indices from 0 to "
        f"{n_atoms - 1}, a mask of {n_atoms} entries, not all False, or None."
    )


def check_rows(values: Any, name: str, n_columns: int | None = None) -> np.ndarray:
    """Rows of finite numbers, float64."""
    rows = as_numbers(values, name)
    if rows.ndim != 2 or rows.size == 0 or not np.isfinite(rows).all():
        raise ValueError(
            f"{name} of shape {rows.shape} must be rows of finite numbers, one row a "
            "sample."
        )
    if n_columns is not None and rows.shape[1] != n_columns:
        raise ValueError(
            f"{name} has {rows.shape[1]} columns, but {n_columns} are needed."
        )
    return rows


def fitted(estimator: Any, name: str) -> np.ndarray:
    """A fitted attribute, of whatever library, as an array of numpy."""
    check_is_fitted(estimator)
    return as_numpy(getattr(estimator, name))


def frequency_unit(estimator: Any) -> str:
    """Unit of ``frequencies_``, in words."""
    return unit_of_frequency(estimator.model_.dictionary.wave_grid)


def unit_of_frequency(grid: Grid) -> str:
    """Unit of the frequencies of images, or of signals, in words."""
    if grid.sampling_rate is None:
        return f"cycles per {'image' if grid.is_image else 'signal'}"
    return "cycles per unit of length" if grid.is_image else "Hz"


def number(value: float) -> str:
    """Two decimals at most, and about three digits."""
    return f"{value:.{2 if value < 10 else 1 if value < 100 else 0}f}"


def with_unit(frequency: float, unit: str) -> str:
    """A frequency, short enough for a title."""
    return f"{number(frequency)} {unit.replace(' per ', '/')}"


def label_atoms(ax: "Axes", frequencies: np.ndarray, unit: str) -> None:
    """Frequencies on the x axis, where atoms are at 0, 1, ...; few of many."""
    ax.set_xticks(*frequency_ticks(frequencies, _MOST_TICKS))
    ax.set_xlabel(f"frequency of the atom ({unit})")


def frequency_ticks(frequencies: np.ndarray, most: int) -> tuple[range, list[str]]:
    """Places of a number of atoms at most, which are at 0, 1, ..., and their labels."""
    ticks = range(0, len(frequencies), -(-len(frequencies) // most))
    return ticks, [number(frequencies[i]) for i in ticks]


def largest(values: np.ndarray) -> float:
    """Largest magnitude, at which a diverging map ends; 1 where all is zero."""
    return float(np.abs(values).max()) or 1.0


def limits_of(values: np.ndarray) -> tuple[float, float]:
    """Lowest and highest, a little apart where only rounding tells them apart."""
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
    """Image, or curve over time, of one row; values are clipped to the limits."""
    if not grid.is_image:
        t, label = times(grid.n_features, grid.sampling_rate)
        ax.set_ylim(*limits)
        ax.set_xlabel(label, fontsize=SMALL)
        ax.tick_params(labelsize=SMALL)
        return ax.plot(t, signal, color=PALETTE[0], linewidth=1)[0]
    if grid.channels not in (1, 3):
        raise ValueError(
            f"Images of {grid.channels} channels have no colours to be shown in: one "
            "or three are needed."
        )
    ax.set(xticks=[], yticks=[])
    low, high = limits
    image = signal.reshape(*grid.sizes, grid.channels)
    if grid.channels == 3:
        return ax.imshow(np.clip((image - low) / (high - low), 0, 1))
    colours = SIGNED_MAP if signed else "gray"
    return ax.imshow(image[..., 0], cmap=colours, vmin=low, vmax=high)


def times(length: int, sampling_rate: float | None) -> tuple[np.ndarray, str]:
    """Time of each sample, and its label."""
    if sampling_rate is None:
        return np.arange(length), "time (samples)"
    return np.arange(length) / sampling_rate, "time (s)"
