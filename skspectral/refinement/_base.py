"""Base classes of the refiners: checks of images, transform, score and gains."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.base import OneToOneFeatureMixin, TransformerMixin
from sklearn.utils import ClassifierTags
from sklearn.utils.validation import check_is_fitted

from skspectral._sklearn_compat import (
    Estimator,
    check_array,
    fit_context,
    validate_data,
)
from skspectral._validation import input_names_restored_on_failure
from skspectral.metrics import mean_spectrum_distance
from skspectral.metrics._images import (
    CHANNEL_AXIS_OPTION,
    ChannelAxis,
    iter_slices,
    power_of,
)
from skspectral.metrics._ranges import Range, Values, refuse_overflow
from skspectral.refinement._gains import without_dc
from skspectral.refinement._input import (
    as_images,
    check_image_shape,
    check_like,
    check_range,
    check_same_kind,
    check_set,
    check_within,
    extent_of,
    find_range,
    in_layout,
    n_axes,
    real_rows,
    rows_and_shape,
    without_mask,
)
from skspectral.refinement._spectra import (
    images_of,
    iter_spectra,
    log_magnitude,
    rounding_floor,
    spectra_of,
)

# Constraints of the parameters shared by all refiners.
IMAGE_CONSTRAINTS = {
    "image_shape": ["array-like", None],
    "data_range": ["array-like", None],
    **CHANNEL_AXIS_OPTION,
}


class SpectrumRefiner(OneToOneFeatureMixin, TransformerMixin, Estimator, ABC):
    """Base class: changes spectra of generated images towards those of real images.

    This class checks images and converts their layout. Subclasses implement
    `_fit_images`, which learns from both sets, and `_change`, which returns the change
    of a spectrum.
    """

    image_shape: Sequence[int] | None
    data_range: Sequence[float] | None
    channel_axis: ChannelAxis

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: Any = None) -> Any:
        """Learn the change of spectra from generated and real images.

        Parameters
        ----------
        X : array-like of shape (n, height, width[, channels]) or (n, n_features)
            Two or more generated images. Rows of ``n_features`` values are unfolded to
            ``image_shape``. Another position of the channels is given by
            ``channel_axis``.
        y : array-like
            Two or more real images in one of the layouts of X; their number may differ
            from that of X. Alternatively, one label per row of X, if X holds both
            generated and real images. Of the two distinct labels the larger one marks
            real images, for example 1 for real and 0 for generated.

        Returns
        -------
        self : object
            The fitted estimator.

        Raises
        ------
        ValueError
            If images have NaN, infinite or masked entries. If generated and real images
            differ in size or layout. If there are fewer than two images of either kind,
            or all images of a kind are constant. If ``image_shape``, ``data_range`` or
            ``channel_axis`` does not agree with the images. If generated and real
            images differ in their range of values, or only one of the two sets is uint8
            while ``data_range`` is None.
        """
        with input_names_restored_on_failure(self):
            images = self._fit_input(X)
            generated, real = self._pair(images, y)
            limits = find_range(self.data_range, generated, real)
            extent = extent_of(limits, real)
            check_set(generated, "generated images")
            check_set(real, "real images")
            known = Values.of(real), "real images"
            self._check_values(real, "real images", limits, *known)
            self._check_values(generated, "generated images", limits, *known)
        self._values = Values.of(generated)
        self.image_shape_ = images.shape[1:]
        self.data_range_, self._extent = limits, extent
        self.log_floor_ = rounding_floor(self.image_shape_, extent[1] - extent[0])
        self.n_generated_, self.n_real_ = len(generated), len(real)
        self._fit_images(generated, real)
        return self

    def transform(self, X: ArrayLike) -> Any:
        """Change the spectra of images.

        Parameters
        ----------
        X : array-like of shape (n, height, width[, channels]) or (n, n_features)
            Images of the size and the range of values of those passed to ``fit``.

        Returns
        -------
        refined : ndarray
            Changed images with the shape and type of X, clipped to ``data_range_``.
            Images of integer type are rounded.

        Raises
        ------
        ValueError
            If images have NaN, infinite or masked entries, or differ in size or range
            of values from the images passed to ``fit``.
        sklearn.exceptions.NotFittedError
            If ``fit`` was not called.
        """
        return in_layout(self._refined(self._input(X)), n_axes(X), self.channel_axis)

    def score(self, X: ArrayLike, y: Any) -> float:
        """Return minus the distance of mean spectra of refined and real images.

        Parameters
        ----------
        X : array-like of shape (n, height, width[, channels]) or (n, n_features)
            Generated images. They are refined before the comparison.
        y : array-like
            Real images, or one label per row of X, as in ``fit``.

        Returns
        -------
        score : float
            Minus the distance that `skspectral.metrics.mean_spectrum_distance`
            computes. Higher is better. Scores near minus the floor of that distance
            cannot be improved measurably.

        Notes
        -----
        The distance depends on the number of images. Compare scores only if they were
        computed from equal numbers of images.
        """
        generated, real = self._pair(self._input(X), y)
        known = self._values, "the generated images of fit"
        self._check_values(real, "y", self.data_range_, *known)
        black, white = self._extent
        refined = self._refined(generated)
        if black != 0:
            refined, real = (
                part.astype(np.float64) - black for part in (refined, real)
            )
        result = mean_spectrum_distance(
            real, refined, data_range=white - black, channel_axis=-1
        )
        return -result.distance

    def log_gain(self, X: ArrayLike | None = None) -> np.ndarray:
        """Return the logarithm of the factor by which each bin's magnitude changes.

        Parameters
        ----------
        X : array-like of shape (n, height, width[, channels]) or (n, n_features), \
                default=None
            Images whose gains are computed. None is allowed only for `SpectrumMatcher`
            and `RadialSpectrumMatcher`, whose gains are the same for all images.

        Returns
        -------
        log_gain : ndarray of shape ([n, ]channels, height, width // 2 + 1)
            Natural logarithms of the gains in the bins of ``numpy.fft.rfft2``, before
            clipping and rounding. Multiply by 8.686 for decibels. The first axis is
            missing if X is None.

        Raises
        ------
        ValueError
            If X is None and the gains depend on the image.
        sklearn.exceptions.NotFittedError
            If ``fit`` was not called.
        """
        check_is_fitted(self)
        if X is None:
            return self._common_log_gain()
        spectra = iter_spectra(self._input(X))
        return np.concatenate([self._log_gains(part) for part in spectra])

    @abstractmethod
    def _fit_images(self, generated: np.ndarray, real: np.ndarray) -> None:
        """Learn from images of shape (n, height, width, channels)."""

    @abstractmethod
    def _change(self, spectra: np.ndarray) -> np.ndarray:
        """Return the change of spectra (n, channels, height, width // 2 + 1)."""

    def _log_gains(self, spectra: np.ndarray) -> np.ndarray:
        """Return log-gains of spectra, computed from their change."""
        changed = spectra + self._change(spectra)
        before, after = (log_magnitude(z, self.log_floor_) for z in (spectra, changed))
        return after - before

    def _common_log_gain(self) -> np.ndarray:
        """Return the log-gain shared by all images, or raise if there is none."""
        raise ValueError(
            f"The gains of {type(self).__name__} depend on the image, but X is None. "
            "Pass X, the images whose gains are to be computed."
        )

    def _refined(self, images: np.ndarray) -> np.ndarray:
        """Refine images batch by batch.

        The inverse transform is applied to the change of the spectrum only, so that a
        change of 0 returns the images exactly.
        """
        refined = np.empty(images.shape, images.dtype)
        for rows in iter_slices(images):
            part = images[rows]
            refined[rows] = self._with_change(part, self._change(spectra_of(part)))
        return refined

    def _with_change(self, images: np.ndarray, change: np.ndarray) -> np.ndarray:
        """Add a change of spectra to images; clip, round and restore the type."""
        values = images + images_of(change, self.image_shape_)
        values = np.clip(values, *self.data_range_)
        if images.dtype.kind in "iu":
            bounds = np.iinfo(images.dtype)
            values = np.clip(np.rint(values), bounds.min, bounds.max)
        return values.astype(images.dtype)

    def _fit_input(self, X: Any) -> np.ndarray:
        """Check X for `fit`, record its feature names, and return it channels last."""
        rows, shape = rows_and_shape(
            without_mask(X, "X"),
            "X",
            self.channel_axis,
            known=self.image_shape is not None,
        )
        rows = validate_data(self, rows, dtype="numeric", ensure_min_samples=2)
        shape = check_image_shape(self.image_shape, shape, rows.shape[1])
        return as_images(rows, shape)

    def _input(self, X: Any) -> np.ndarray:
        """Check X against the images of `fit` and return it with channels last."""
        check_is_fitted(self)
        rows, shape = rows_and_shape(
            without_mask(X, "X"), "X", self.channel_axis, known=True
        )
        self._check_same_shape(shape, self.image_shape_, "X")
        rows = validate_data(self, rows, dtype="numeric", reset=False)
        images = as_images(rows, self.image_shape_)
        known = self._values, "the generated images of fit"
        if self.data_range is None:
            check_same_kind(images, "X", *known)
        self._check_values(images, "X", self.data_range_, *known)
        return images

    def _check_values(
        self,
        images: np.ndarray,
        name: str,
        limits: Range,
        known: Values,
        known_name: str,
    ) -> None:
        """Raise if images leave the limits or differ in range from known images."""
        refuse_overflow(images, name)
        if self.data_range is None:
            check_range(images, limits, name)
        else:
            check_within(images, limits, name)
        # An infinite data_range turns this check off.
        if self.data_range is None or math.isfinite(limits[1] - limits[0]):
            check_like(images, name, known, known_name)

    def _pair(self, images: np.ndarray, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Split images by labels y, or pair them with real images y."""
        y = without_mask(y, "y")
        is_real = real_rows(y, len(images))
        if is_real is not None:
            return images[~is_real], images[is_real]
        others, found = rows_and_shape(y, "y", self.channel_axis, known=True)
        others = check_array(others, "y", dtype="numeric")
        shape = images.shape[1:]
        self._check_same_shape(found, shape, "y")
        if others.shape[1] != math.prod(shape):
            raise ValueError(
                f"y has {others.shape[1]} features, but X has {math.prod(shape)}. Pass "
                "real images of the same size as those in X, or a one-dimensional "
                "array with one label per row of X."
            )
        return images, as_images(others, shape)

    def _check_same_shape(self, found: Any, wanted: Any, name: str) -> None:
        """Raise if the image shape that was found differs from the expected one."""
        if found is not None and found != wanted:
            raise ValueError(
                f"{name} has images of shape {found}, but {type(self).__name__} is "
                f"expecting images of shape {wanted} (height, width, channels). Resize "
                f"the images in {name}, or pass the channel_axis of their layout."
            )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "log_floor_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        # This tag makes scikit-learn's checks pass two distinct labels as y.
        tags.classifier_tags = ClassifierTags(multi_class=False)
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class GainRefiner(SpectrumRefiner):
    """Base class: multiplies bins by positive gains, so that phases do not change.

    Subclasses implement `_log_gains`.
    """

    @abstractmethod
    def _log_gains(self, spectra: np.ndarray) -> np.ndarray:
        """Return log-gains of spectra (n, channels, height, width // 2 + 1)."""

    def _change(self, spectra: np.ndarray) -> np.ndarray:
        return spectra * np.expm1(self._log_gains(spectra))

    def _excess(self, images: np.ndarray, statistic: str = "log") -> np.ndarray:
        """Return the achieved minus the requested change of the mean spectrum, in nats.

        The achieved change differs from the log-gain because images are clipped and
        rounded, and because magnitudes below the floor change by less than their gain.
        The mean spectrum is the mean of log-magnitudes ("log") or of powers ("power").
        """
        sums: Any = 0.0
        for rows in iter_slices(images):
            spectra = spectra_of(images[rows])
            gains = self._log_gains(spectra)
            change = spectra * np.expm1(gains)
            both = spectra, spectra_of(self._with_change(images[rows], change))
            if statistic == "power":
                values = [power_of(z) for z in both]
            else:
                values = [log_magnitude(z, self.log_floor_) for z in both]
            sums += np.stack([part.sum(axis=0) for part in (*values, gains)])
        before, after, gain = sums / len(images)
        if statistic == "power":
            floor = self.log_floor_**2
            before, after = (0.5 * np.log(power + floor) for power in (before, after))
        return without_dc(after - before - gain)


class FilterRefiner(GainRefiner):
    """Base class: applies one zero-phase filter, ``log_gain_``, to all images."""

    log_gain_: np.ndarray

    def _log_gains(self, spectra: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self.log_gain_, spectra.shape)

    def _common_log_gain(self) -> np.ndarray:
        return self.log_gain_.copy()

    def _change(self, spectra: np.ndarray) -> np.ndarray:
        # The exponential is computed once per filter, not once per image.
        return spectra * np.expm1(self.log_gain_)
