"""The codes of samples, and where in a sample each atom contributes."""
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
    SMALL,
    axes_for,
    check_rows,
    choose_in_order,
    draw_signal,
    fitted,
    frequency_unit,
    label_atoms,
    largest,
    limits_of,
    panels,
    with_unit,
)

_KINDS = ("bar", "line", "heatmap", "map")
_MOST_SAMPLES = len(PALETTE)
_MAPPED = 4
# Share of the codes within the colours of a heatmap.
_SHOWN = 0.98


@dataclass(eq=False)
class CodeDisplay:
    """Codes of samples as bars, lines or a heatmap, or as contributions to a sample.

    The first three are the ways of Kiruluta (2025), figure 2; the atoms come in order.
    A "map" has a row of panels for each sample: the sample, its reconstruction, and the
    contributions w_i s_i, whose sum over all atoms is the reconstruction less the mean.
    Contributions to a sample share a scale, zero in its middle.

    Parameters
    ----------
    codes : ndarray of shape (n_samples, n_atoms)
    frequencies, shares : ndarray of shape (n_atoms,)
        Frequency and share of variance of each atom.
    frequency_unit : str
    components : ndarray of shape (n_atoms, n_features) or None, default=None
        Atoms, for maps only, as what follows.
    mean : ndarray of shape (n_features,) or None, default=None
    samples : ndarray of shape (n_samples, n_features) or None, default=None
    signal_shape : tuple of int or None, default=None
    sampling_rate : float or None, default=None

    Attributes
    ----------
    order_ : ndarray
        Indices of the atoms shown, in their order.
    figure_, ax_ : Figure, Axes
    axes_ : ndarray of shape (n_samples, 2 + n_shown)
        Panels of maps.
    artists_ : list
        For each sample a BarContainer, a Line2D, or what its panels of a map hold; or
        the AxesImage of the heatmap.

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

    @classmethod
    def from_estimator(
        cls, estimator: Any, X: ArrayLike, *, ax: Any = None, **kwargs: Any
    ) -> "CodeDisplay":
        """Show the codes that a fitted estimator gives to samples.

        Parameters
        ----------
        estimator : SpectralDictionaryLearning
        X : array-like of shape (n_samples, n_features)
            At most eight rows, but for heatmaps.
        ax : Axes, default=None
        **kwargs
            For `plot`: ``kind``, ``atoms``, ``by``.

        Raises
        ------
        ValueError
            If X has other features than in fit; and as `plot`.
        """
        components = fitted(estimator, "components_")
        return cls(
            as_numbers(estimator.transform(X)),
            fitted(estimator, "frequencies_"),
            fitted(estimator, "explained_variance_ratio_"),
            frequency_unit(estimator),
            components,
            fitted(estimator, "mean_"),
            check_rows(X, "X"),
            estimator.model_.grid.shape,
            estimator.sampling_rate,
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
        """Show codes (n_samples, n_atoms) of atoms of given frequencies; no maps.

        Without ``shares``, (n_atoms,), the atoms are taken to be ordered by variance,
        as an estimator's are. Else as `from_estimator`.
        """
        rows = check_rows(codes, "codes")
        if shares is None:
            shares = -np.arange(rows.shape[1])
        of_atoms = as_numbers(frequencies), as_numbers(shares)
        for name, values in zip(("frequencies", "shares"), of_atoms, strict=True):
            if values.shape != rows.shape[1:]:
                raise ValueError(
                    f"{name} of shape {values.shape} must have one entry for each of "
                    f"{rows.shape[1]} columns of codes."
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
        """Draw into ``ax`` or a new figure.

        Parameters
        ----------
        ax : Axes, default=None
        kind : {"bar", "line", "heatmap", "map"}, default="bar"
        atoms : int, array-like of int or of bool, or None, default=None
            Number of first atoms (at most), indices, or a mask. None is all; for maps,
            the four that contribute most.
        by : {"frequency", "variance"}, default="frequency"
            Order: frequency rising, or share of variance falling.

        Raises
        ------
        ValueError
            If there is no such kind, order or atom; if there are more than eight
            samples, but for heatmaps; if there are codes only, for maps.
        """
        keys = {"frequency": self.frequencies, "variance": -self.shares}
        if kind not in _KINDS or by not in keys:
            raise ValueError(
                f"kind={kind!r} must be one of {[*_KINDS]}, and by={by!r} one of "
                f"{[*keys]}."
            )
        if kind != "heatmap" and len(self.codes) > _MOST_SAMPLES:
            raise ValueError(
                f"kind={kind!r} is for at most {_MOST_SAMPLES} samples, but there are "
                f"{len(self.codes)}. Pass fewer, or kind='heatmap'."
            )
        if kind == "map" and atoms is None:
            energy = np.sum(self.codes**2, axis=0)
            atoms = np.argsort(-energy, kind="stable")[:_MAPPED]
        self.order_ = choose_in_order(atoms, keys[by])
        if kind == "map":
            self._draw_maps(ax)
        elif kind == "heatmap":
            self._draw_heatmap(ax)
        else:
            self._draw_rows(ax, of_bars=kind == "bar")
        self.figure_ = self.ax_.figure
        if kind != "map":
            unit = self.frequency_unit
            order = "" if by == "frequency" else "; by share of variance"
            label_atoms(self.ax_, self.frequencies[self.order_], unit + order)
        return self

    def _draw_rows(self, ax: Any, of_bars: bool) -> None:
        self.ax_ = axes_for(ax, 6.4, 3.2)
        self.artists_: list[Any] = []
        self.ax_.axhline(0, color="0.6", linewidth=0.8, zorder=0)
        self.ax_.set_ylabel("code (units of the data)")
        width = 0.8 / len(self.codes)
        places = np.arange(len(self.order_)) - 0.4 + width / 2
        for i, row in enumerate(self.codes[:, self.order_]):
            look: dict[str, Any] = {"color": PALETTE[i]}
            if of_bars:
                bars = self.ax_.bar(places + i * width, row, width, **look)
                self.artists_.append(bars)
            else:
                self.artists_ += self.ax_.plot(row, "o-", markersize=3, **look)
        if len(self.artists_) > 1:
            names = [f"sample {i}" for i in range(len(self.artists_))]
            self.ax_.legend(self.artists_, names, fontsize=SMALL, ncols=2)

    def _draw_heatmap(self, ax: Any) -> None:
        self.ax_ = axes_for(ax, 6.4, 4.2)
        codes = self.codes[:, self.order_]
        # A few codes are far larger than all others, which would be left pale.
        limit = float(np.quantile(np.abs(codes), _SHOWN)) or largest(codes)
        image = self.ax_.imshow(
            codes, cmap=SIGNED_MAP, vmin=-limit, vmax=limit, aspect="auto"
        )
        self.artists_ = [image]
        label = "code (units of the data)"
        self.ax_.figure.colorbar(image, ax=self.ax_, label=label, extend="both")
        self.ax_.set_ylabel("sample")

    def _draw_maps(self, ax: Any) -> None:
        if self.components is None or self.samples is None:
            raise ValueError(
                "kind='map' needs atoms and samples beside the codes: use "
                "from_estimator."
            )
        n_rows, n_columns = len(self.codes), 2 + len(self.order_)
        self.ax_ = axes_for(ax, 1.5 * n_columns, max(2.0, 1.7 * n_rows))
        self.axes_ = panels(self.ax_, n_rows, n_columns)
        parts = self.codes[:, self.order_, None] * self.components[self.order_]
        reconstructions = self.codes @ self.components + self.mean
        grid = Grid.of(self.signal_shape, self.samples.shape[1], self.sampling_rate)
        self.artists_ = []
        for row, *pair, contributions in zip(
            self.axes_, self.samples, reconstructions, parts, strict=True
        ):
            limits, limit = limits_of(np.stack(pair)), largest(contributions)
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
                bar.ax.tick_params(labelsize=SMALL)
        shown = self.frequencies[self.order_]
        names = [f"part of\n{with_unit(f, self.frequency_unit)}" for f in shown]
        titles = ["sample", "reconstruction", *names]
        for panel, title in zip(self.axes_[0], titles, strict=True):
            panel.set_title(title, fontsize=SMALL)
