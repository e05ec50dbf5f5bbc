"""The short-time Fourier transform, and how far apart two signals sound.

Windows of Hann's shape start every ``hop`` samples; the signal is padded on both sides
with half a window of zeros.
"""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class STFT:
    """Short-time Fourier transform of rows.

    Attributes
    ----------
    window : int
        Length of the Hann window, and of the transform.
    hop : int
        Samples from one window to the next.
    """

    window: int
    hop: int

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Spectra of (n, T) real rows, shape (n, window // 2 + 1, n_frames)."""
        shape = torch.hann_window(self.window, dtype=rows.dtype, device=rows.device)
        return torch.stft(
            rows,
            self.window,
            self.hop,
            window=shape,
            center=True,
            pad_mode="constant",
            return_complex=True,
        )

    def magnitude_error(self, rows: torch.Tensor, others: torch.Tensor) -> torch.Tensor:
        """L1 distance of the magnitudes of each pair of rows, shape (n,).

        Equation (7) of Kiruluta (2025) for one sample, without its weight.
        """
        return (self(rows).abs() - self(others).abs()).abs().sum((1, 2))
