"""Recordings of one or several lengths, as the estimator takes them."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass
from typing import Any

import numpy as np

from skspectral._missing import missing_as_nan
from skspectral._sklearn_compat import check_array, validate_data


@dataclass(frozen=True, eq=False)
class Recordings:
    """Checked recordings.

    Attributes
    ----------
    signals : list of ndarray of shape (C, n_times)
        The recordings, in float64. NaN marks missing samples.
    kind : str
        "rows" for an array (n, n_times), "channels" for (n, C, n_times), and "list" for
        a list of recordings.
    dtype : dtype
        Floating type of the results.
    """

    signals: list[np.ndarray]
    kind: str
    dtype: Any

    @property
    def n_channels(self) -> int:
        """Number of channels."""
        return len(self.signals[0])


def recordings_of(
    X: Any, estimator: Any, *, reset: bool, shortest: int, channels: int | None = None
) -> Recordings:
    """Check recordings.

    Parameters
    ----------
    X : array-like or list of ndarray
        Recordings.
    estimator : estimator instance
        The estimator, whose number of features is set or compared for arrays with two
        axes.
    reset : bool
        Whether this is a fit.
    shortest : int
        Smallest number of samples of a recording.
    channels : int or None, default=None
        Number of channels of the fit. None means any.

    Returns
    -------
    recordings : Recordings
        The recordings.

    Raises
    ------
    ValueError
        If a recording has another number of axes or channels than the others, is
        shorter than ``shortest``, or has infinite values.
    """
    is_list = isinstance(X, (list, tuple)) and any(
        isinstance(part, np.ndarray) and part.ndim > 0 for part in X
    )
    if is_list:
        signals = [_recording(part, f"recording {i} of X") for i, part in enumerate(X)]
        kind, dtype = "list", np.result_type(*(part.dtype for part in signals))
    elif getattr(X, "ndim", 2) == 3 or (isinstance(X, list) and np.ndim(X) == 3):
        checked = check_array(
            missing_as_nan(X),
            "X",
            dtype=[np.float64, np.float32],
            allow_nd=True,
            ensure_all_finite="allow-nan",
        )
        signals, kind, dtype = list(checked), "channels", checked.dtype
    else:
        # The number of columns may differ from that of the fit, so that it is compared
        # only in fit and by `n_features_in_`.
        checked = validate_data(
            estimator,
            missing_as_nan(X),
            dtype=[np.float64, np.float32],
            reset=reset,
            ensure_all_finite="allow-nan",
            ensure_min_samples=1,
        )
        signals, kind = [row[None] for row in checked], "rows"
        dtype = checked.dtype
    found = {len(signal) for signal in signals}
    if channels is not None:
        found.add(channels)
    if len(found) > 1:
        raise ValueError(
            f"The recordings have {' and '.join(map(str, sorted(found)))} channels. "
            "Pass recordings of shape (n_channels, n_times) with one number of "
            "channels, as in fit."
        )
    for number, signal in enumerate(signals):
        if signal.shape[1] < shortest:
            raise ValueError(
                f"Recording {number} of X has {signal.shape[1]} samples, fewer than "
                f"the {shortest} samples of an atom. Pass longer recordings, or a "
                "smaller n_times_atom."
            )
    if reset and kind != "rows":
        for name in ("n_features_in_", "feature_names_in_"):
            estimator.__dict__.pop(name, None)
    signals = [np.ascontiguousarray(signal, dtype=np.float64) for signal in signals]
    return Recordings(signals, kind, dtype)


def _recording(part: Any, name: str) -> np.ndarray:
    """Return one recording of a list, as an array (C, n_times)."""
    array = np.asarray(missing_as_nan(part))
    if array.ndim == 1:
        array = array[None]
    if array.ndim != 2:
        raise ValueError(
            f"{name} has {array.ndim} axes. Pass recordings of shape (n_times,) or "
            "(n_channels, n_times)."
        )
    return check_array(
        array, name, dtype=[np.float64, np.float32], ensure_all_finite="allow-nan"
    )
