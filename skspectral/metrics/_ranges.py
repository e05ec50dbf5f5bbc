"""Ranges of values: whether two sets, or a set and its limits, are of one.

Images are kept in [0, 1], in [-1, 1], or from 0 to 255, and nothing but their values
tells which. Those of generators overshoot. So a set is refused only where chance, a
poor generator or noise cannot be the reason.
"""
# SPDX-License-Identifier: BSD-3-Clause

from typing import NamedTuple

import numpy as np

Range = tuple[float, float]

# Clipping that takes more of the variance, and more of the range, root mean square, is
# no overshoot; nor is a hundredth of the values that lies further beyond.
_CLIPPED_VARIANCE, _CLIPPED_RMS, _BEYOND = 1 / 3, 0.1, 0.75
# Most values that are looked at for that.
_LOOKED_AT = 10**6
# White of another range is more than so many times as large as all values of a set, or
# as those of a set that keeps to [0, 1] or [-1, 1] but for some overshoot.
_BRIGHTER, _BRIGHTER_THAN_UNIT, _UNIT_REACH = 50, 10, 1.5
# Overshoot below 0 of images in [0, 1], and what is no chance.
_UNDERSHOOT, _CHANCE = -0.1, 0.01


# Squares of products of larger numbers come near the end of float64.
_LARGEST = 1e50


class Values(NamedTuple):
    """What a set of images, or of signals, says about its range.

    Attributes
    ----------
    low, high : float
        Extremes of all values.
    type : dtype
        Of the numbers.
    n_images : int
    share_positive : float
        Share of images of which no value is below 0, but for some overshoot.
    """

    low: float
    high: float
    type: np.dtype
    n_images: int
    share_positive: float

    @classmethod
    def of(cls, images: np.ndarray) -> "Values":
        """Of arrays (n, ...) of any real type."""
        lows = images.min(axis=tuple(range(1, images.ndim)))
        positive = float(np.mean(lows >= _UNDERSHOOT))
        extremes = float(lows.min()), float(images.max())
        return cls(*extremes, images.dtype, len(images), positive)

    def __str__(self) -> str:
        return f"from {self.low:.6g} to {self.high:.6g}"


def check_one_range(
    name: str, values: Values, other_name: str, other: Values, advice: str = ""
) -> None:
    """Raise where two sets are of different ranges for certain.

    Either white of one, which is from 0 upwards or of integers, is far above all that
    the other has; or one fills [0, 1] and the other [-1, 1], of which so few images
    stay above 0 that it is no chance if all of the former do. Integers far below white
    are dark images, and constants are of any range.
    """
    pairs = (values, other), (other, values)
    if any(_is_far_brighter(*p) or _is_signed_beside_unit(*p) for p in pairs):
        raise ValueError(
            f"The ranges of values differ: {values} in {name}, {other} in "
            f"{other_name}. Bring both to one, such as that from 0 to 1{advice}."
        )


def _is_far_brighter(one: Values, other: Values) -> bool:
    if one.low == one.high or other.low == other.high:
        return False
    largest, size = max(-one.low, one.high), max(-other.low, other.high)
    if other.type.kind in "iu":
        # Bytes hold no more than 255, other integers anything.
        is_far = other.type == np.uint8 and largest > _BRIGHTER_THAN_UNIT * 255
    else:
        times = _BRIGHTER_THAN_UNIT if size <= _UNIT_REACH else _BRIGHTER
        is_far = largest > max(times * size, _BRIGHTER_THAN_UNIT)
    return is_far and (one.type.kind in "iu" or one.low >= -0.1 * one.high)


def _is_signed_beside_unit(signed: Values, unit: Values) -> bool:
    fills = -1.2 <= signed.low <= -0.4 and 0.4 <= signed.high <= 1.2
    fills_unit = _UNDERSHOOT <= unit.low <= 0.25 and 0.75 <= unit.high <= 1.1
    return fills and fills_unit and signed.share_positive**unit.n_images < _CHANCE


def refuse_overflow(array: np.ndarray, name: str) -> None:
    """Raise where values are so large that their powers are not finite."""
    # No copy of the data for its absolute values.
    largest = max(float(array.max()), -float(array.min()))
    if largest > _LARGEST:
        raise ValueError(
            f"{name} holds values up to {largest:.1e}, whose powers overflow. Scale "
            "all sets down by one factor."
        )


def is_within_reach(images: np.ndarray, limits: Range) -> bool:
    """Whether images overshoot finite limits at most, so that they may be clipped.

    They are of another range if clipping would take more than a third of their variance
    and more, root mean square, than a tenth of the range, or if a hundredth of the
    values lies more than three quarters of the range beyond.
    """
    low, high = limits
    if images.min() >= low and images.max() <= high:
        return True
    values = _some_of(images).astype(np.float64)
    lost = float(np.mean((values - values.clip(low, high)) ** 2))
    extent = high - low
    least = max(_CLIPPED_VARIANCE * float(values.var()), (_CLIPPED_RMS * extent) ** 2)
    bottom, top = np.quantile(values, [0.01, 0.99])
    beyond = max(low - bottom, top - high)
    return lost <= least and bool(beyond <= _BEYOND * extent)


def _some_of(images: np.ndarray) -> np.ndarray:
    """Values of all images, or of many at random: steps could meet one colour only."""
    if images.size <= _LOOKED_AT:
        return images
    places = np.random.default_rng(0).integers(images.size, size=_LOOKED_AT)
    return images.flat[places]
