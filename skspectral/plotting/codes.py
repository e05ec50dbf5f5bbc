"""Display of the codes of samples, and of the contribution of each atom."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from skspectral._sklearn_compat import as_numbers
from skspectral.grid import Grid
from skspectral.plotting._common import (
    PALETTE,
    SIGNED_MAP,
    SMALL_FONT,
    axes_for,
    check_rows,
    choose_sorted_atoms,
    codes_of,
    draw_signal,
    fitted_array,
    format_frequency,
    frequency_unit,
    label_atoms,
    largest_magnitude,
    split_axes,
    value_limits,
)

_KINDS = ("bar", "line", "heatmap", "map")
_MAX_SAMPLES = len(PALETTE)
# Number of contributions in a map by default.
_DEFAULT_MAPS = 4
# Fraction of the codes that the colour range of a heatmap covers.
_HEATMAP_QUANTILE = 0.98


@dataclass(eq=False)
class CodeDisplay:
    """Plot of the codes of samples, or of the contributions of the atoms to samples.

    The codes are drawn as bars, lines or a heatmap, as in figure 2 of Kiruluta
    (2025). The kind "map" has one row of panels per sample. It shows the sample, its
    reconstruction, and the contribution ``w_i s_i`` of each chosen atom, which is the
    code times the atom. The sum of the contributions of all atoms is the reconstruction
    minus the mean. The contributions to one sample have a common colour scale with zero
    in the middle.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_atoms)
        Codes of the samples.
    frequencies : ndarray of shape (n_atoms,)
        Frequencies of the atoms.
    shares : ndarray of shape (n_atoms,)
        Fraction of the variance that each atom adds, ``explained_variance_ratio_`` of
        the estimator.
    frequency_unit : str
        Unit of ``frequencies``, for labels.
    components : ndarray of shape (n_atoms, n_features) or None, default=None
        Atoms. Required only by ``kind="map"``.
    mean : ndarray of shape (n_features,) or None, default=None
        Mean of the data. Required only by ``kind="map"``.
    samples : ndarray of shape (n_samples, n_features) or None, default=None
        Signals or flattened images. Required only by ``kind="map"``.
    signal_shape : tuple of int or None, default=None
        Shape of a signal, used only by ``kind="map"``. None means (n_features,).
    sampling_rate : float or None, default=None
        Number of samples per second, used only by ``kind="map"``. None counts
        samples.
    channel_axis : int, "auto" or None, default="auto"
        Axis of the channels in ``signal_shape``. "auto" means the last of three or four
        axes, and None means that there are no channels.

    Attributes
    ----------
    order_ : ndarray of int of shape (n_shown,)
        Indices of the atoms shown, in the order of the plot.
    figure_ : Figure
        Matplotlib figure that contains the plot.
    ax_ : Axes
        Axes with the plot, or whose area contains the panels of a map.
    axes_ : ndarray of Axes of shape (n_samples, 2 + n_shown)
        Panels. Set only for ``kind="map"``.
    artists_ : list
        One BarContainer or Line2D per sample for bars and lines, the AxesImage for a
        heatmap, and one list of AxesImage or Line2D per sample for maps.

    See Also
    --------
    WindowedCodeDisplay : Codes of an estimator with windows, by position and frequency.
    CorrelationDisplay : Correlation of codes with features of the samples.

    Examples
    --------
    >>> from matplotlib.figure import Figure
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.plotting import CodeDisplay
    >>> X, _ = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(8, signal_shape=(8, 8)).fit(X)
    >>> ax = Figure().subplots()
    >>> display = CodeDisplay.from_estimator(est, X[:50], kind="heatmap", ax=ax)
    >>> display.artists_[0].get_array().shape
    (50, 8)
    """

    codes: np.ndarray
    frequencies: np.ndarray
    shares: np.ndarray
    frequency_unit: str
    components: np.ndarray | None = None
    mean: np.ndarray | None = None
    samples: np.ndarray | None = None
    signal_shape: tuple[int, ...] | None = None
    sampling_rate: float | None = None
    channel_axis: int | str | None = "auto"

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: ArrayLike, *, ax: Any = None, **kwargs: Any
    ) -> "CodeDisplay":
        """Plot the codes that a fitted estimator computes for samples.

        Parameters
        ----------
        estimator : SpectralDictionaryLearning
            Fitted estimator.
        X : array-like of shape (n_samples, n_features)
            Signals or flattened images to encode, with the number of features of `fit`.
            At most eight samples, except for ``kind="heatmap"``.
        ax : Axes or None, default=None
            Matplotlib Axes to draw into. None creates a new figure.
        **kwargs : dict
            Arguments ``kind``, ``atoms`` and ``by`` of `plot`.

        Returns
        -------
        display : CodeDisplay
            Display with the finished plot.

        Raises
        ------
        ValueError
            If ``X`` does not have the number of features of `fit`.
        ValueError
            If the arguments are invalid for `plot`.
        """
        components, grid = fitted_array(estimator, "components_"), estimator.model_.grid
        return cls(
            codes_of(estimator, X),
            fitted_array(estimator, "frequencies_"),
            fitted_array(estimator, "explained_variance_ratio_"),
            frequency_unit(estimator),
            components,
            fitted_array(estimator, "mean_"),
            check_rows(X, "X"),
            grid.shape,
            grid.time_rate,
            grid.index_of_channels,
        ).plot(ax, **kwargs)

    @classmethod
    def from_codes(
        cls,
        codes: ArrayLike,
        frequencies: ArrayLike,
        *,
        shares: ArrayLike | None = None,
        frequency_unit: str = "cycles per signal",
        ax: Any = None,
        **kwargs: Any,
    ) -> "CodeDisplay":
        """Plot given codes; ``kind="map"`` is not available.

        Parameters
        ----------
        codes : array-like of shape (n_samples, n_atoms)
            Codes of the samples. At most eight samples, except for ``kind="heatmap"``.
        frequencies : array-like of shape (n_atoms,)
            Frequencies of the atoms.
        shares : array-like of shape (n_atoms,) or None, default=None
            Fraction of the variance that each atom adds, for ``by="variance"``. None
            means that the atoms are ordered by decreasing variance, like those of an
            estimator.
        frequency_unit : str, default="cycles per signal"
            Unit of ``frequencies``, for the label of the axis.
        ax : Axes or None, default=None
            Matplotlib Axes to draw into. None creates a new figure.
        **kwargs : dict
            Arguments ``kind``, ``atoms`` and ``by`` of `plot`.

        Returns
        -------
        display : CodeDisplay
            Display with the finished plot.

        Raises
        ------
        ValueError
            If ``codes`` is not a two-dimensional array of finite numbers.
        ValueError
            If ``frequencies`` or ``shares`` does not have one entry per column of
            ``codes``.
        ValueError
            If the arguments are invalid for `plot`.
        """
        rows = check_rows(codes, "codes")
        if shares is None:
            shares = -np.arange(rows.shape[1])
        of_atoms = as_numbers(frequencies), as_numbers(shares)
        for name, values in zip(("frequencies", "shares"), of_atoms, strict=True):
            if values.shape != rows.shape[1:]:
                raise ValueError(
                    f"{name} has shape {values.shape}, but it must have shape "
                    f"({rows.shape[1]},): one entry per column of codes."
                )
        return cls(rows, *of_atoms, frequency_unit).plot(ax, **kwargs)

    def plot(
        self,
        ax: Any = None,
        *,
        kind: str = "bar",
        atoms: Any = None,
        by: str = "frequency",
    ) -> "CodeDisplay":
        """Draw the codes.

        Parameters
        ----------
        ax : Axes or None, default=None
            Matplotlib Axes to draw into. None creates a new figure. For ``kind="map"``,
            its area is divided into panels.
        kind : {"bar", "line", "heatmap", "map"}, default="bar"
            Kind of the plot. "bar" and "line" draw the codes of each sample over the
            atoms. "heatmap" has a row per sample. "map" draws the contribution of each
            atom.
        atoms : int, array-like of int or of bool, or None, default=None
            Atoms to show: a number n for the first n atoms, indices, or a mask. None
            shows all atoms or, for ``kind="map"``, the four atoms that contribute most.
        by : {"frequency", "variance"}, default="frequency"
            Order of the atoms: by increasing frequency, or by decreasing fraction of
            the variance.

        Returns
        -------
        display : CodeDisplay
            Display with the finished plot.

        Raises
        ------
        ValueError
            If ``kind``, ``by`` or ``atoms`` is invalid.
        ValueError
            If there are more than eight samples, except for ``kind="heatmap"``.
        ValueError
            If ``kind="map"`` and the display was made from codes only.
        """
        keys = {"frequency": self.frequencies, "variance": -self.shares}
        if kind not in _KINDS or by not in keys:
            raise ValueError(
                f"kind={kind!r} must be one of {[*_KINDS]}, and by={by!r} must be one "
                f"of {[*keys]}."
            )
        if kind != "heatmap" and len(self.codes) > _MAX_SAMPLES:
            raise ValueError(
                f"kind={kind!r} can show at most {_MAX_SAMPLES} samples, but there are "
                f"{len(self.codes)}. Pass fewer samples, or kind='heatmap'."
            )
        if kind == "map" and atoms is None:
            energy = np.sum(self.codes**2, axis=0)
            atoms = np.argsort(-energy, kind="stable")[:_DEFAULT_MAPS]
        self.order_ = choose_sorted_atoms(atoms, keys[by])
        if kind == "map":
            self._draw_maps(ax)
        elif kind == "heatmap":
            self._draw_heatmap(ax)
        else:
            self._draw_rows(ax, of_bars=kind == "bar")
        self.figure_ = self.ax_.figure
        if kind != "map":
            unit = self.frequency_unit
            order = "" if by == "frequency" else "; by fraction of variance"
            label_atoms(self.ax_, self.frequencies[self.order_], unit + order)
        return self

    def _draw_rows(self, ax: Any, of_bars: bool) -> None:
        """Draw bars or a line per sample."""
        self.ax_ = axes_for(ax, 6.4, 3.2)
        self.artists_: list[Any] = []
        self.ax_.axhline(0, color="0.6", linewidth=0.8, zorder=0)
        self.ax_.set_ylabel("code (units of the data)")
        width = 0.8 / len(self.codes)
        places = np.arange(len(self.order_)) - 0.4 + width / 2
        for i, row in enumerate(self.codes[:, self.order_]):
            style: dict[str, Any] = {"color": PALETTE[i]}
            if of_bars:
                bars = self.ax_.bar(places + i * width, row, width, **style)
                self.artists_.append(bars)
            else:
                self.artists_ += self.ax_.plot(row, "o-", markersize=3, **style)
        if len(self.artists_) > 1:
            names = [f"sample {i}" for i in range(len(self.artists_))]
            self.ax_.legend(self.artists_, names, fontsize=SMALL_FONT, ncols=2)

    def _draw_heatmap(self, ax: Any) -> None:
        """Draw a heatmap with a row per sample and a column per atom."""
        self.ax_ = axes_for(ax, 6.4, 4.2)
        codes = self.codes[:, self.order_]
        # A few codes are very large. If they set the scale, all others would be pale.
        limit = float(
            np.quantile(np.abs(codes), _HEATMAP_QUANTILE)
        ) or largest_magnitude(codes)
        image = self.ax_.imshow(
            codes, cmap=SIGNED_MAP, vmin=-limit, vmax=limit, aspect="auto"
        )
        self.artists_ = [image]
        label = "code (units of the data)"
        self.ax_.figure.colorbar(image, ax=self.ax_, label=label, extend="both")
        self.ax_.set_ylabel("sample")

    def _draw_maps(self, ax: Any) -> None:
        """Draw a row of panels per sample."""
        if self.components is None or self.samples is None:
            raise ValueError(
                "kind='map' needs the atoms and the samples, not only the codes. Use "
                "CodeDisplay.from_estimator."
            )
        n_rows, n_columns = len(self.codes), 2 + len(self.order_)
        self.ax_ = axes_for(ax, 1.5 * n_columns, max(2.0, 1.7 * n_rows))
        self.axes_ = split_axes(self.ax_, n_rows, n_columns)
        parts = self.codes[:, self.order_, None] * self.components[self.order_]
        reconstructions = self.codes @ self.components + self.mean
        grid = Grid.of(
            self.signal_shape,
            self.samples.shape[1],
            self.sampling_rate,
            self.channel_axis,
        )
        self.artists_ = []
        for row, *pair, contributions in zip(
            self.axes_, self.samples, reconstructions, parts, strict=True
        ):
            limits, limit = (
                value_limits(np.stack(pair)),
                largest_magnitude(contributions),
            )
            artists = [
                draw_signal(panel, signal, grid, limits)
                for panel, signal in zip(row[:2], pair, strict=True)
            ]
            artists += [
                draw_signal(panel, part, grid, (-limit, limit), signed=True)
                for panel, part in zip(row[2:], contributions, strict=True)
            ]
            self.artists_.append(artists)
            if grid.is_image and grid.channels == 1:
                bar = self.ax_.figure.colorbar(artists[-1], ax=list(row[2:]))
                bar.ax.tick_params(labelsize=SMALL_FONT)
        shown = self.frequencies[self.order_]
        names = [
            f"contribution of\n{format_frequency(f, self.frequency_unit)}"
            for f in shown
        ]
        titles = ["sample", "reconstruction", *names]
        for panel, title in zip(self.axes_[0], titles, strict=True):
            panel.set_title(title, fontsize=SMALL_FONT)
