"""Check that two sets, or a set and given limits, have the same range of values.

Images are stored in [0, 1], in [-1, 1], or from 0 to 255, and only their values show
which range is used. Generated images often exceed their range a little. An error is
therefore raised only if chance, a poor generator or noise cannot explain the
difference.
"""
# SPDX-License-Identifier: BSD-3-Clause

from typing import NamedTuple

import numpy as np

Range = tuple[float, float]

# Limits of an overshoot: the fraction of the variance that clipping removes; the root
# mean square of the clipped parts, divided by the width of the range; and how far the
# outermost hundredth of the values is outside the range, divided by the same width.
_CLIPPED_VARIANCE, _CLIPPED_RMS, _BEYOND = 1 / 3, 0.1, 0.75
# At most this many values are examined for overshoot.
_MAX_EXAMINED = 10**6
# Two sets have different ranges if the largest value of one exceeds all values of the
# other by this factor. The second factor is for sets whose values stay within
# `_UNIT_REACH`, that is in [0, 1] or [-1, 1] up to an overshoot.
_BRIGHTER, _BRIGHTER_THAN_UNIT, _UNIT_REACH = 50, 10, 1.5
# Lowest value of an image in [0, 1] with overshoot.
_UNDERSHOOT = -0.1
# Probability below which a coincidence is excluded.
_CHANCE = 0.01
# Squares of products of larger numbers may overflow in float64.
_LARGEST = 1e50


class Values(NamedTuple):
    """Summary of the values of a set of images or signals.

    Attributes
    ----------
    low, high : float
        Smallest and largest value of the set.
    type : dtype
        Type of the numbers.
    n_images : int
        Number of images or signals.
    fraction_positive : float
        Fraction of the images without a value below 0, up to an overshoot.
    """

    low: float
    high: float
    type: np.dtype
    n_images: int
    fraction_positive: float

    @classmethod
    def of(cls, images: np.ndarray) -> "Values":
        """Summarise an array of shape (n, ...) of any real type."""
        lows = images.min(axis=tuple(range(1, images.ndim)))
        positive = float(np.mean(lows >= _UNDERSHOOT))
        extremes = float(lows.min()), float(images.max())
        return cls(*extremes, images.dtype, len(images), positive)

    def __str__(self) -> str:
        return f"from {self.low:.6g} to {self.high:.6g}"


def check_one_range(
    name: str, values: Values, other_name: str, other: Values, advice: str = ""
) -> None:
    """Raise an error if two sets certainly have different ranges of values.

    There are two cases. In the first case, the largest value of one set is far above
    all values of the other set, and the brighter set holds integers or has no negative
    values. In the second case, one set fills [-1, 1] and the other set fills [0, 1].
    The error is then raised if random images from the first set would all be free of
    negative values, like the images of the other set, with a probability below 0.01.

    Integers far below the largest possible value are accepted as dark images. Constant
    sets are accepted beside any range. ``advice`` is appended to the last sentence of
    the error.
    """
    pairs = (values, other), (other, values)
    if any(_is_far_brighter(*p) or _is_signed_beside_unit(*p) for p in pairs):
        raise ValueError(
            f"The ranges of values differ: {values} in {name}, but {other} in "
            f"{other_name}. Scale both to the same range, for example from 0 to "
            f"1{advice}."
        )


def _is_far_brighter(one: Values, other: Values) -> bool:
    """Return whether all values of ``other`` are tiny in the range of ``one``."""
    if one.low == one.high or other.low == other.high:
        return False
    largest, size = max(-one.low, one.high), max(-other.low, other.high)
    if other.type.kind in "iu":
        # Bytes end at 255. Other integers may use any range.
        is_far = other.type == np.uint8 and largest > _BRIGHTER_THAN_UNIT * 255
    else:
        factor = _BRIGHTER_THAN_UNIT if size <= _UNIT_REACH else _BRIGHTER
        is_far = largest > max(factor * size, _BRIGHTER_THAN_UNIT)
    return is_far and (one.type.kind in "iu" or one.low >= -0.1 * one.high)


def _is_signed_beside_unit(signed: Values, unit: Values) -> bool:
    """Return whether ``signed`` fills [-1, 1] while ``unit`` fills [0, 1]."""
    fills_signed = -1.2 <= signed.low <= -0.4 and 0.4 <= signed.high <= 1.2
    fills_unit = _UNDERSHOOT <= unit.low <= 0.25 and 0.75 <= unit.high <= 1.1
    return (
        fills_signed
        and fills_unit
        and signed.fraction_positive**unit.n_images < _CHANCE
    )


def refuse_overflow(array: np.ndarray, name: str) -> None:
    """Raise an error if values are so large that their powers overflow."""
    # np.abs(array) would copy the data.
    largest = max(float(array.max()), -float(array.min()))
    if largest > _LARGEST:
        raise ValueError(
            f"{name} holds values up to {largest:.1e}, whose powers overflow. Divide "
            "all sets by the same large number."
        )


def is_within_reach(images: np.ndarray, limits: Range) -> bool:
    """Return whether images exceed finite limits by no more than an overshoot.

    Images that exceed the limits by an overshoot may be clipped. Images are taken to
    have another range in two cases. In the first case, clipping would remove more than
    a third of their variance and, as a root mean square, more than a tenth of the
    range. In the second case, a hundredth of the values lies more than three quarters
    of the range outside the limits.
    """
    low, high = limits
    if images.min() >= low and images.max() <= high:
        return True
    values = _subset_of_values(images).astype(np.float64)
    lost = float(np.mean((values - values.clip(low, high)) ** 2))
    extent = high - low
    least = max(_CLIPPED_VARIANCE * float(values.var()), (_CLIPPED_RMS * extent) ** 2)
    bottom, top = np.quantile(values, [0.01, 0.99])
    beyond = max(low - bottom, top - high)
    return lost <= least and bool(beyond <= _BEYOND * extent)


def _subset_of_values(images: np.ndarray) -> np.ndarray:
    """Return all values, or a million random values of a larger set.

    The values are drawn at random because a regular step could select one colour only.
    """
    if images.size <= _MAX_EXAMINED:
        return images
    places = np.random.default_rng(0).integers(images.size, size=_MAX_EXAMINED)
    return images.flat[places]
