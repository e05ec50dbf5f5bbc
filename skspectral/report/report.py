"""Content of the report: the figures of a model, their order and their captions."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Mapping, Sequence
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.utils.validation import check_is_fitted

from skspectral._sklearn_compat import as_numbers
from skspectral.atom_names import atom_names
from skspectral.grid import Grid
from skspectral.metrics import explained_variance
from skspectral.plotting import AtomDisplay, SampleGridDisplay, SpectrumDisplay
from skspectral.report import _html
from skspectral.report._media import as_png, as_wav, new_figure

# Number of new samples. The first ones are shown, and the spectrum is the mean of all.
_N_DRAWS = 200
# Largest number of images, and of signals, in one picture.
_N_IMAGES, _N_SIGNALS = 36, 8
# Lowest and highest sampling rate of sounds that browsers play, in Hz.
_AUDIO_RATES = (3000, 192_000)
# Largest number of samples of an atom that are drawn. With more samples, single periods
# would not be visible.
_MAX_SAMPLES = 256
# Smallest width of the picture of an atom on the page.
_IMAGE_TILE, _SIGNAL_TILE = "6.5rem", "11rem"


def write_report(
    estimator: Any,
    X: ArrayLike,
    path: str | Path,
    *,
    title: str = "What the model learned",
    facts: Mapping[str, Any] | None = None,
    commands: Sequence[str] = (),
    n_atoms: int = 24,
    random_state: Any = 0,
) -> Path:
    """Write a page that shows data, reconstructions, new samples, atoms and spectra.

    The page is a single HTML file, which contains its pictures and sounds. It therefore
    opens from disk without a network, and can be sent to others. The page plays signals
    whose ``sampling_rate`` is between 3 and 192 kHz.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning
        Fitted estimator with any prior.
    X : array-like of shape (n_samples, n_features)
        At least two images or signals to show, without missing values. Rows that were
        not used in ``fit`` show how well the model generalises.
    path : str or Path
        File to write. Its folder must exist. An existing file is replaced.
    title : str, default="What the model learned"
        Heading of the page.
    facts : mapping of str to object, default=None
        Further rows of the table at the top, such as ``{"time of the fit": "3.1 s"}``.
        The table always contains the numbers of signals and atoms, the prior, and the
        explained variance of X. None adds no rows.
    commands : sequence of str, default=()
        Commands for the reader to copy, which the page shows under "What to try next".
    n_atoms : int, default=24
        Largest number of atoms to show. The first ones add most of the variance.
    random_state : int, RandomState instance or None, default=0
        Seed of the new samples. With an int, two calls show the same samples. None
        continues the random stream of the estimator.

    Returns
    -------
    path : Path
        Absolute path of the file.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If X has fewer than two rows, NaN or infinite values, or another number of
        features than in ``fit``.
    ValueError
        If ``n_atoms`` is not a positive integer.
    ValueError
        If the images have neither one nor three channels.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> import tempfile
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.report import write_report
    >>> X = load_digits().data
    >>> est = SpectralDictionaryLearning(8, signal_shape=(8, 8), random_state=0).fit(X)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     page = write_report(est, X, f"{folder}/digits.html", n_atoms=4)
    ...     print(page.name)
    digits.html
    """
    check_is_fitted(estimator)
    if not isinstance(n_atoms, Integral) or n_atoms < 1:
        raise ValueError(f"n_atoms={n_atoms!r} must be a positive number of atoms.")
    grid = estimator.model_.grid
    data = _check_rows(X, grid.n_features)
    coded = as_numbers(estimator.inverse_transform(estimator.transform(X)))
    new = as_numbers(estimator.sample(_N_DRAWS, random_state=random_state))
    figures = _figures(estimator, data, coded) | dict(facts or {})
    sections = [_html.section("In figures", _html.table(figures))]
    show = _signals if grid.n_axes == 1 else _images
    sections += show(data, coded, new, grid)
    sections.append(_atoms(estimator, n_atoms))
    if min(grid.sizes) > 1 and grid.n_axes < 3:
        sections.append(_spectrum(data, coded, new, grid))
    if commands:
        sections.append(_html.section("What to try next", _html.commands(commands)))
    tile = _IMAGE_TILE if grid.is_image else _SIGNAL_TILE
    path = Path(path).resolve()
    path.write_text(_html.page(title, _lead(grid), sections, tile), encoding="utf-8")
    return path


def _check_rows(X: ArrayLike, n_features: int) -> np.ndarray:
    """Return X in float64, after checking its shape and values."""
    rows = as_numbers(X, "X")
    if rows.ndim != 2 or len(rows) < 2 or rows.shape[1] != n_features:
        raise ValueError(
            f"X has the shape {rows.shape}, but must be two rows or more of "
            f"{n_features} features each, as in fit."
        )
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise ValueError(
            f"X has NaN or infinite values in {len(bad)} of {len(rows)} rows, first in "
            f"row {bad[0]}. Remove these rows, or pass estimator.impute(X)."
        )
    return rows


def _lead(grid: Grid) -> str:
    noun, waves = grid.noun, "sinusoids" if grid.n_axes == 1 else "waves"
    return (
        f"Each {noun} is written as the mean {noun} plus a weighted sum of learned "
        f"{waves}, the atoms. The weights are the codes of the {noun}. The prior, a "
        f"distribution of the codes, draws new {noun}s."
    )


def _figures(estimator: Any, data: np.ndarray, coded: np.ndarray) -> dict[str, str]:
    """Return the rows of the table that every model has, by name."""
    grid = estimator.model_.grid
    sides = " x ".join(map(str, grid.sizes))
    shape = f"{sides} {'pixels' if grid.is_image else 'samples'}"
    if grid.channels > 1:
        shape += f" in {grid.channels} channels"
    if grid.sampling_rate is not None and grid.n_axes == 1:
        shape += f" at {grid.time_rate:g} Hz"
    facts = {
        f"{grid.noun}s given to this page": f"{len(data):,} of {shape} each",
        "atoms": f"{len(as_numbers(estimator.components_)):,}",
        "prior": type(estimator.prior_).__name__,
    }
    if np.ptp(data, axis=0).any():
        fraction = explained_variance(data, coded)
        facts["explained fraction of their variance"] = f"{fraction:.4f}"
    return facts


def _images(
    data: np.ndarray, coded: np.ndarray, new: np.ndarray, grid: Grid
) -> list[str]:
    """Return sections with images, reconstructions and new images, on one scale."""
    shown = _spread(len(data), _N_IMAGES)
    display = SampleGridDisplay.from_arrays(
        data[shown], grid.shape, channel_axis=grid.index_of_channels, ax=_square()
    )
    pictures = [as_png(display.ax_)]
    for rows in (coded[shown], new[:_N_IMAGES]):
        display.samples = rows
        pictures.append(as_png(display.plot(_square()).ax_))
    captions = ("Images", "Their reconstructions from the codes")
    pairs = zip(pictures, captions, strict=False)
    return [
        _html.section(
            "Images and reconstructions",
            _html.side_by_side(
                _html.picture(picture, f"Grid of {len(shown)} images", caption)
                for picture, caption in pairs
            ),
        ),
        _html.section(
            "New images",
            _html.side_by_side(
                [
                    _html.picture(
                        pictures[2],
                        "Grid of new images",
                        "Drawn at random from the prior",
                    )
                ]
            ),
        ),
    ]


def _square() -> Any:
    return new_figure(5.4, 5.4).subplots()


def _signals(
    data: np.ndarray, coded: np.ndarray, new: np.ndarray, grid: Grid
) -> list[str]:
    """Return sections with curves of signals and new signals, and their sounds."""
    shown = _spread(len(data), _N_SIGNALS)
    rate = grid.time_rate
    axes: dict[str, Any] = {
        "signal_shape": grid.shape,
        "sampling_rate": rate,
        "channel_axis": grid.index_of_channels,
    }
    traces = SampleGridDisplay.from_arrays(
        data[shown], n_columns=2, ax=_traces(), **axes
    )
    for panel, signal in zip(traces.axes_, grid.signals(coded[shown]), strict=True):
        # Many channels are drawn as a map, without curves.
        for line, channel in zip(list(panel.lines), signal, strict=False):
            panel.plot(
                line.get_xdata(), channel, color="C1", linewidth=1, linestyle="--"
            )
    drawn = SampleGridDisplay.from_arrays(
        new[:_N_SIGNALS], n_columns=2, ax=_traces(), **axes
    )
    parts = [
        [
            _html.picture(
                as_png(traces.ax_),
                f"Curves of {len(shown)} signals and of their reconstructions",
                "Signals (solid) and their reconstructions from the codes (dashed)",
            )
        ],
        [
            _html.picture(
                as_png(drawn.ax_),
                "Curves of new signals",
                "Drawn at random from the prior",
            )
        ],
    ]

    if rate is not None and _AUDIO_RATES[0] <= rate <= _AUDIO_RATES[1]:

        def wav(rows: np.ndarray, rate: float = rate) -> str:
            return as_wav(grid.first_channel(rows), rate)

        parts[0] += [
            _html.player(wav(data), "Sound of the signals"),
            _html.player(wav(coded), "Sound of the reconstructions"),
        ]
        parts[1].append(_html.player(wav(new), "Sound of the new signals"))
    titles = ("Signals and reconstructions", "New signals")
    return [
        _html.section(title, *figures)
        for title, figures in zip(titles, parts, strict=True)
    ]


def _traces() -> Any:
    return new_figure(7.5, 6.0).subplots()


def _spread(n: int, most: int) -> np.ndarray:
    """Return the indices of at most ``most`` of n rows, evenly spaced."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))


def _atoms(estimator: Any, n_atoms: int) -> str:
    """Return the section with the atoms, as pictures or as curves, and their names."""
    grid = estimator.model_.grid
    names = atom_names(estimator)
    shares = as_numbers(estimator.explained_variance_ratio_)
    size = (1.2, 1.2 * grid.sizes[0] / grid.sizes[-1]) if grid.is_image else (2.6, 1.1)
    figures = []
    for i in range(min(n_atoms, len(names))):
        axes = new_figure(*size, margins=False).add_subplot()
        panel = AtomDisplay.from_estimator(estimator, atoms=[i], ax=axes).axes_[0]
        panel.set_title("")
        panel.set_axis_off()
        if grid.n_axes == 1 and panel.lines:
            panel.set_xlim(*_start_of(panel.lines[0].get_xdata()))
        share = "" if np.isnan(shares[i]) else f" ({shares[i]:.1%})"
        figures.append(
            _html.picture(as_png(panel), f"Atom: {names[i]}", f"{names[i]}{share}")
        )
    return _html.section(
        "Atoms", _html.paragraph(_about_atoms(estimator)), _html.atoms(figures)
    )


def _start_of(t: np.ndarray) -> tuple[float, float]:
    """Return the limits of the time axis within which single periods are visible."""
    return t[0], t[min(len(t), _MAX_SAMPLES) - 1]


def _about_atoms(estimator: Any) -> str:
    grid = estimator.model_.grid
    if estimator.model_.dictionary.wave_grid.is_image:
        name = (
            "Each wave has a wavelength, in pixels, and a direction in which it "
            "oscillates: 0° is from left to right, 90° from top to bottom. "
        )
    else:
        name = "Each sinusoid has a frequency. "
    if grid.n_axes == 1 and grid.n_places > _MAX_SAMPLES:
        name += f"The curves show its first {_MAX_SAMPLES} samples. "
    return name + "In parentheses: the fraction of the variance that the atom explains."


def _spectrum(data: np.ndarray, coded: np.ndarray, new: np.ndarray, grid: Grid) -> str:
    display = SpectrumDisplay.from_arrays(
        {"data": data, "reconstructions": coded, "new samples": new},
        signal_shape=grid.shape,
        sampling_rate=grid.sampling_rate,
        channel_axis=grid.index_of_channels,
        ax=new_figure(7.0, 4.2).subplots(),
    )
    caption = f"Mean power of the {grid.noun}s at each frequency"
    return _html.section(
        "Power spectrum",
        _html.picture(as_png(display.ax_), "Power against frequency", caption),
    )
