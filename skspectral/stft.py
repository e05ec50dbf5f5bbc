"""The short-time Fourier transform, and the spectral distance of two signals.

Hann windows start every ``hop`` samples. The signal is padded on both sides with zeros,
half a window long.
"""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import torch


@dataclass(frozen=True)
class STFT:
    """Short-time Fourier transform of the rows of a matrix.

    Attributes
    ----------
    window : int
        Length of the Hann window and of the Fourier transform, in samples.
    hop : int
        Distance between the starts of neighbouring windows, in samples.
    """

    window: int
    hop: int

    def __call__(self, rows: torch.Tensor) -> torch.Tensor:
        """Return the spectra of rows (n, T), shape (n, window // 2 + 1, n_frames)."""
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
        """Return the L1 distance of the magnitude spectra per pair of rows, shape (n,).

        This is equation (7) of Kiruluta (2025) for one sample, without the weight.
        """
        return (self(rows).abs() - self(others).abs()).abs().sum((1, 2))
