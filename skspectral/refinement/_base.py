"""What all that refine spectra share: input, output, and the change in between."""
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
    as_numbers,
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

# Constraints of the parameters that all refiners have.
IMAGE_CONSTRAINTS = {
    "image_shape": ["array-like", None],
    "data_range": ["array-like", None],
    **CHANNEL_AXIS_OPTION,
}


class SpectrumRefiner(OneToOneFeatureMixin, TransformerMixin, Estimator, ABC):
    """Changes spectra of generated images towards those of real ones.

    Subclasses say what they learn (`_fit_images`) and by how much they change spectra
    (`_change`); images enter and leave here.
    """

    image_shape: Sequence[int] | None
    data_range: Sequence[float] | None
    channel_axis: ChannelAxis

    @fit_context(prefer_skip_nested_validation=True)
    def fit(self, X: ArrayLike, y: Any = None) -> Any:
        """Learn from generated and real images.

        Parameters
        ----------
        X : array-like of shape (n, height, width[, channels]) or (n, n_features)
            Generated images, two or more; channels where ``channel_axis`` says.
        y : array-like
            Real images, two or more, as X; or labels, one for each row of X, where the
            larger of two values marks the real ones, as 1 beside 0 does.

        Returns
        -------
        self : object

        Raises
        ------
        ValueError
            If images are not finite or of one size, if their channels are elsewhere,
            if entries are masked, if there are fewer than two of a kind, if values lie
            outside ``data_range``, or without it if types do not tell the range or sets
            are of different ones, or if all images are constant.
        """
        with input_names_restored_on_failure(self):
            images = self._fit_input(X)
            generated, real = self._pair(images, y)
            limits = find_range(self.data_range, generated, real)
            extent = extent_of(limits, real)
            check_set(generated, "Generated images")
            check_set(real, "Real images")
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
        """Images with changed spectra.

        Parameters
        ----------
        X : array-like of shape (n, height, width[, channels]) or (n, n_features)
            Of the size of those in ``fit``.

        Returns
        -------
        refined : ndarray
            In the shape and type of X, within ``data_range_``; rounded where X is of
            integers.

        Raises
        ------
        ValueError
            If images are not finite, of another size, outside ``data_range``, or of
            another range than those in ``fit``.
        """
        return in_layout(self._refined(self._input(X)), n_axes(X), self.channel_axis)

    def score(self, X: ArrayLike, y: Any) -> float:
        """Minus the distance of mean spectra of refined and real images.

        Parameters
        ----------
        X : array-like of shape (n, height, width[, channels]) or (n, n_features)
            Generated images, that are refined first.
        y : array-like
            Real images, or labels, as in ``fit``.

        Returns
        -------
        score : float
            Higher is better, up to minus the floor that
            `skspectral.metrics.mean_spectrum_distance` gives.

        Notes
        -----
        The distance depends on the numbers of images: compare scores of equal ones.
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
        """What bins are multiplied by, as natural logarithms.

        Parameters
        ----------
        X : array-like, default=None
            Images, as in ``transform``. None is for filters, which are the same for all
            images.

        Returns
        -------
        log_gain : ndarray of shape ([n, ]channels, height, width // 2 + 1)
            Before clipping and rounding; 8.686 times that are dB. Bins are those of
            ``numpy.fft.rfft2``. Without a first axis if X is None.

        Raises
        ------
        ValueError
            If X is None and gains depend on the image.
        """
        check_is_fitted(self)
        if X is None:
            return self._common_log_gain()
        spectra = iter_spectra(self._input(X))
        return np.concatenate([self._log_gains(part) for part in spectra])

    @abstractmethod
    def _fit_images(self, generated: np.ndarray, real: np.ndarray) -> None:
        """Learn from two sets of images, (n, height, width, channels)."""

    @abstractmethod
    def _change(self, spectra: np.ndarray) -> np.ndarray:
        """What is to be added to spectra (n, channels, height, width // 2 + 1)."""

    def _log_gains(self, spectra: np.ndarray) -> np.ndarray:
        changed = spectra + self._change(spectra)
        before, after = (log_magnitude(z, self.log_floor_) for z in (spectra, changed))
        return after - before

    def _common_log_gain(self) -> np.ndarray:
        raise ValueError(
            f"The gains of {type(self).__name__} depend on the image. Pass X."
        )

    def _refined(self, images: np.ndarray) -> np.ndarray:
        """Images, batch by batch; a change of 0 leaves them exactly as they are."""
        refined = np.empty(images.shape, images.dtype)
        for rows in iter_slices(images):
            part = images[rows]
            refined[rows] = self._with_change(part, self._change(spectra_of(part)))
        return refined

    def _with_change(self, images: np.ndarray, change: np.ndarray) -> np.ndarray:
        """Images whose spectra change, within limits, of the same type."""
        values = images + images_of(change, self.image_shape_)
        values = np.clip(values, *self.data_range_)
        if images.dtype.kind in "iu":
            bounds = np.iinfo(images.dtype)
            values = np.clip(np.rint(values), bounds.min, bounds.max)
        return values.astype(images.dtype)

    def _fit_input(self, X: Any) -> np.ndarray:
        """X as (n, height, width, channels), whose size and names are kept."""
        rows, shape = rows_and_shape(
            without_mask(X, "X"),
            "X",
            self.channel_axis,
            known=self.image_shape is not None,
        )
        rows = validate_data(self, rows, dtype="numeric", ensure_min_samples=2)
        shape = check_image_shape(self.image_shape, shape, rows.shape[1])
        return as_numbers(rows, shape)

    def _input(self, X: Any) -> np.ndarray:
        """The same of images like those of ``fit``."""
        check_is_fitted(self)
        rows, shape = rows_and_shape(
            without_mask(X, "X"), "X", self.channel_axis, known=True
        )
        self._check_same_shape(shape, self.image_shape_, "X")
        rows = validate_data(self, rows, dtype="numeric", reset=False)
        images = as_numbers(rows, self.image_shape_)
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
        """Raise where images are not within limits, or not of the known ones' range."""
        refuse_overflow(images, name)
        if self.data_range is None:
            check_range(images, limits, name)
        else:
            check_within(images, limits, name)
        # Who asks for no limits has looked at the ranges.
        if self.data_range is None or math.isfinite(limits[1] - limits[0]):
            check_like(images, name, known, known_name)

    def _pair(self, images: np.ndarray, y: Any) -> tuple[np.ndarray, np.ndarray]:
        """Generated and real images."""
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
                "real images of the same size, or labels in one dimension."
            )
        return images, as_numbers(others, shape)

    def _check_same_shape(self, found: Any, wanted: Any, name: str) -> None:
        if found is not None and found != wanted:
            raise ValueError(
                f"{name} has images of shape {found}, but {type(self).__name__} is "
                f"expecting images of shape {wanted}."
            )

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "log_floor_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.required = True
        # The only place to say that there are two labels.
        tags.classifier_tags = ClassifierTags(multi_class=False)
        tags.input_tags.three_d_array = True
        tags.transformer_tags.preserves_dtype = ["float64", "float32"]
        return tags


class GainRefiner(SpectrumRefiner):
    """Multiplies bins by gains that are real and even: phases stay as they are."""

    @abstractmethod
    def _log_gains(self, spectra: np.ndarray) -> np.ndarray: ...

    def _change(self, spectra: np.ndarray) -> np.ndarray:
        return spectra * np.expm1(self._log_gains(spectra))

    def _excess(self, images: np.ndarray, statistic: str = "log") -> np.ndarray:
        """Achieved minus requested log-gain of the mean spectrum, in nats.

        Clipping and rounding change the spectra, and bins below the floor grow by less
        than their gain. The mean is of log-magnitudes, "log", or of powers, "power".
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
    """A filter of zero phase, the same for all images: ``log_gain_``."""

    log_gain_: np.ndarray

    def _log_gains(self, spectra: np.ndarray) -> np.ndarray:
        return np.broadcast_to(self.log_gain_, spectra.shape)

    def _common_log_gain(self) -> np.ndarray:
        return self.log_gain_.copy()

    def _change(self, spectra: np.ndarray) -> np.ndarray:
        # Once, not once for each image.
        return spectra * np.expm1(self.log_gain_)
