"""The report: what is shown of a model, in which order, with which words."""
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

# Number of new samples: the first are shown, and all are in the mean spectrum.
_N_DRAWS = 200
# Largest numbers of images and of signals that are shown of each kind.
_N_IMAGES, _N_SIGNALS = 36, 8
# Sampling rates in Hz at which browsers play sound.
_AUDIO_RATES = (3000, 192_000)
# Samples of an atom that are drawn: more periods could not be told apart.
_MOST_SAMPLES = 256
# Least width of the picture of an atom on the page.
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

    The page is one HTML file. Its pictures and sounds are inside the file, so that the
    page opens from disk and can be sent to others. Signals with a ``sampling_rate``
    between 3 and 192 kHz can be listened to.

    Parameters
    ----------
    estimator : SpectralDictionaryLearning
        A fitted estimator, with any prior.
    X : array-like of shape (n_samples, n_features)
        Images or signals to show, best those that ``fit`` has not seen. Values are
        finite; fill missing ones by ``estimator.impute(X)``. Two rows or more.
    path : str or Path
        The file to write. Its folder must exist; an existing file is replaced.
    title : str, default="What the model learned"
        The heading of the page.
    facts : mapping of str to object, default=None
        Further rows of the table of figures, such as ``{"time of the fit": "3.1 s"}``.
        The page itself tells the numbers of signals and atoms, the prior, and the
        explained variance of X.
    commands : sequence of str, default=()
        Lines to copy, which the page shows under "What to try next".
    n_atoms : int, default=24
        Number of atoms that are shown, at most; those of most variance come first.
    random_state : int, RandomState instance or None, default=0
        Seed of the samples. With an integer, two calls show the same samples.

    Returns
    -------
    path : Path
        The absolute path of the file.

    Raises
    ------
    NotFittedError
        If the estimator is not fitted.
    ValueError
        If X has fewer than two rows, missing or infinite values, or other features than
        the estimator; if ``n_atoms`` is not positive; or if images have neither one nor
        three channels.
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
    show = _images if grid.is_image else _signals
    sections += show(data, coded, new, grid)
    sections.append(_atoms(estimator, n_atoms))
    if min(grid.sizes) > 1:
        sections.append(_spectrum(data, coded, new, grid))
    if commands:
        sections.append(_html.section("What to try next", _html.commands(commands)))
    tile = _IMAGE_TILE if grid.is_image else _SIGNAL_TILE
    path = Path(path).resolve()
    path.write_text(_html.page(title, _lead(grid), sections, tile), encoding="utf-8")
    return path


def _check_rows(X: ArrayLike, n_features: int) -> np.ndarray:
    """X as float64 rows that can be shown."""
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


def _noun(grid: Grid) -> str:
    return "image" if grid.is_image else "signal"


def _lead(grid: Grid) -> str:
    noun, waves = _noun(grid), "waves" if grid.is_image else "sinusoids"
    return (
        f"Each {noun} is written as the mean {noun} plus a weighted sum of learned "
        f"{waves}, the atoms. The weights are the codes of the {noun}. The prior, a "
        f"distribution of the codes, draws new {noun}s."
    )


def _figures(estimator: Any, data: np.ndarray, coded: np.ndarray) -> dict[str, str]:
    """What can be told of any model, by name."""
    grid = estimator.model_.grid
    sides = " x ".join(map(str, grid.sizes))
    shape = f"{sides} {'pixels' if grid.is_image else 'samples'}"
    if grid.channels > 1:
        shape += f" in {grid.channels} channels"
    if grid.sampling_rate is not None and not grid.is_image:
        shape += f" at {grid.sampling_rate:g} Hz"
    told = {
        f"{_noun(grid)}s given to this page": f"{len(data):,} of {shape} each",
        "atoms": f"{len(as_numbers(estimator.components_)):,}",
        "prior": type(estimator.prior_).__name__,
    }
    if np.ptp(data, axis=0).any():
        share = explained_variance(data, coded)
        told["explained fraction of their variance"] = f"{share:.4f}"
    return told


def _images(
    data: np.ndarray, coded: np.ndarray, new: np.ndarray, grid: Grid
) -> list[str]:
    """Images beside their reconstructions, then new images, all on one scale."""
    shown = _spread(len(data), _N_IMAGES)
    display = SampleGridDisplay.from_arrays(data[shown], grid.shape, ax=_square())
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
    """Traces of signals with their reconstructions, new signals, and their sounds."""
    shown = _spread(len(data), _N_SIGNALS)
    rate = grid.sampling_rate
    traces = SampleGridDisplay.from_arrays(
        data[shown], sampling_rate=rate, n_columns=2, ax=_traces()
    )
    for panel, line, row in zip(
        traces.axes_, traces.artists_, coded[shown], strict=True
    ):
        panel.plot(line.get_xdata(), row, color="C1", linewidth=1, linestyle="--")
    drawn = SampleGridDisplay.from_arrays(
        new[:_N_SIGNALS], sampling_rate=rate, n_columns=2, ax=_traces()
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
        parts[0] += [
            _html.player(as_wav(data, rate), "Sound of the signals"),
            _html.player(as_wav(coded, rate), "Sound of the reconstructions"),
        ]
        parts[1].append(_html.player(as_wav(new, rate), "Sound of the new signals"))
    titles = ("Signals and reconstructions", "New signals")
    return [
        _html.section(title, *figures)
        for title, figures in zip(titles, parts, strict=True)
    ]


def _traces() -> Any:
    return new_figure(7.5, 6.0).subplots()


def _spread(n: int, most: int) -> np.ndarray:
    """At most ``most`` of n rows, spread evenly."""
    return np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(int))


def _atoms(estimator: Any, n_atoms: int) -> str:
    """The atoms with their names, as pictures or as curves."""
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
        if not grid.is_image:
            panel.set_xlim(*_start_of(panel.lines[0].get_xdata()))
        share = "" if np.isnan(shares[i]) else f" ({shares[i]:.1%})"
        figures.append(
            _html.picture(as_png(panel), f"Atom: {names[i]}", f"{names[i]}{share}")
        )
    return _html.section(
        "Atoms", _html.paragraph(_about_atoms(estimator)), _html.atoms(figures)
    )


def _start_of(t: np.ndarray) -> tuple[float, float]:
    """Limits of time between which the periods of an atom can be told apart."""
    return t[0], t[min(len(t), _MOST_SAMPLES) - 1]


def _about_atoms(estimator: Any) -> str:
    grid = estimator.model_.grid
    if estimator.model_.dictionary.wave_grid.is_image:
        name = (
            "Each wave has a wavelength, in pixels, and a direction in which it "
            "oscillates: 0° is from left to right, 90° from top to bottom. "
        )
    else:
        name = "Each sinusoid has a frequency. "
    if not grid.is_image and grid.n_places > _MOST_SAMPLES:
        name += f"The curves show its first {_MOST_SAMPLES} samples. "
    return name + "In parentheses: the fraction of the variance that the atom explains."


def _spectrum(data: np.ndarray, coded: np.ndarray, new: np.ndarray, grid: Grid) -> str:
    display = SpectrumDisplay.from_arrays(
        {"data": data, "reconstructions": coded, "new samples": new},
        signal_shape=grid.shape,
        sampling_rate=grid.sampling_rate,
        ax=new_figure(7.0, 4.2).subplots(),
    )
    caption = f"Mean power of the {_noun(grid)}s at each frequency"
    return _html.section(
        "Power spectrum",
        _html.picture(as_png(display.ax_), "Power against frequency", caption),
    )
