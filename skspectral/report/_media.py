"""Pictures and sounds as data URLs, which a page of HTML contains."""
# SPDX-License-Identifier: BSD-3-Clause

import base64
import io
from typing import TYPE_CHECKING, cast

import numpy as np

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# Longest duration of a sound, and duration of the fades at both ends of each signal, in
# seconds.
_SECONDS, _FADE = 4.0, 0.005
# Dots per inch of the pictures: twice those of the page, so that text is sharp.
_DPI = 144


def new_figure(width: float, height: float, *, margins: bool = True) -> "Figure":
    """Return an empty figure with a size in inches, which needs no display."""
    # Matplotlib is slow to import, and only pictures need it.
    from matplotlib.figure import Figure

    if margins:
        return Figure(figsize=(width, height), layout="constrained")
    figure = Figure(figsize=(width, height))
    figure.subplots_adjust(left=0, bottom=0, right=1, top=1)
    return figure


def as_png(axes: "Axes", dpi: int = _DPI) -> str:
    """Return the figure that contains the Axes as a data URL of a PNG file."""
    file = io.BytesIO()
    # Equal figures give equal files if the version of Matplotlib is left out.
    figure = cast("Figure", axes.figure)
    figure.savefig(file, format="png", dpi=dpi, metadata={"Software": None})
    return _address("image/png", file.getvalue())


def as_wav(signals: np.ndarray, rate: float) -> str:
    """Return signals, shape (n, length), as a data URL of a WAV file.

    The signals sound one after the other, for a few seconds in all.
    """
    from scipy.io import wavfile

    length = signals.shape[1]
    n_fade = min(max(1, round(_FADE * rate)), length // 2)
    fade = np.ones(length)
    fade[:n_fade] = np.arange(n_fade) / n_fade
    fade[length - n_fade :] = fade[:n_fade][::-1]
    n_signals = min(len(signals), max(1, round(_SECONDS * rate / length)))
    sound = (fade * signals[:n_signals]).ravel()[: round(_SECONDS * rate)]
    loudest = np.abs(sound).max() or 1.0
    file = io.BytesIO()
    samples = np.round(0.9 * (2**15 - 1) * sound / loudest).astype(np.int16)
    wavfile.write(file, round(rate), samples)
    return _address("audio/wav", file.getvalue())


def _address(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode('ascii')}"
