"""Values of second moments at waves: quadratic forms in the Fourier domain."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from skspectral.grid import Grid
from skspectral.moments.lags import cross_power


@dataclass
class Pencil:
    """A quadratic form at real waves, as a function of their phase and colour.

    At the wave colour_c sin(2 pi f t + phase), the form has the value g' M g for the
    colour g, with::

        M = sin^2(phase) cos_cos + sin(phase) cos(phase) cross + cos^2(phase) sin_sin.

    Each of the three matrices has the shape (channels, channels, F) for F wave vectors.
    """

    cos_cos: torch.Tensor
    cross: torch.Tensor
    sin_sin: torch.Tensor

    def at(self, places: torch.Tensor) -> "Pencil":
        """Return the form at the wave vectors of given indices."""
        parts = self.cos_cos, self.cross, self.sin_sin
        return Pencil(*(part[..., places] for part in parts))

    def plus(self, floor: torch.Tensor) -> "Pencil":
        """Return the form plus ``floor``, (F,), times the colour's squared norm."""
        eye = torch.eye(len(self.cos_cos)).to(self.cos_cos)[..., None]
        return Pencil(
            self.cos_cos + floor * eye, self.cross, self.sin_sin + floor * eye
        )

    def of_colour(self, colour: torch.Tensor) -> "Pencil":
        """Return the form for one fixed colour per wave vector, (F, channels)."""

        def contract(part: torch.Tensor) -> torch.Tensor:
            return torch.einsum("fc,cdf,fd->f", colour, part, colour)[None, None]

        return Pencil(*map(contract, (self.cos_cos, self.cross, self.sin_sin)))

    def of_phase(self, phase: torch.Tensor) -> torch.Tensor:
        """Return the symmetric matrices M for phases of shape (..., F).

        The result has the shape (..., F, channels, channels).
        """
        sine, cosine = phase.sin()[..., None, None], phase.cos()[..., None, None]
        cos_cos, cross, sin_sin = (
            part.permute(2, 0, 1) for part in (self.cos_cos, self.cross, self.sin_sin)
        )
        matrix = sine**2 * cos_cos + sine * cosine * cross + cosine**2 * sin_sin
        return (matrix + matrix.mT) / 2


class QuadraticForm:
    """Values of a second moment C, which can be deflated, at all waves of a grid.

    Let e_c be the carrier g(t) exp(-2 pi i f t) in channel c and zero in the other
    channels. For each pair of channels c and d, ``hermitian`` is e_c^H C e_d and
    ``bilinear`` is e_c' C e_d. The envelope g is 1 unless one is given. A complex
    envelope may change the frequency over time. The cosine and the sine of a wave are
    the real part and the negative imaginary part of its carrier.

    Parameters
    ----------
    hermitian, bilinear : tensor of shape (channels, channels, F), complex
        The values at the F wave vectors of the grid.
    """

    def __init__(self, hermitian: torch.Tensor, bilinear: torch.Tensor):
        self.hermitian = hermitian
        self.bilinear = bilinear

    @classmethod
    def of_blocks(
        cls,
        blocks: Iterable[tuple[int, torch.Tensor]],
        grid: Grid,
        device: torch.device,
        envelope: torch.Tensor | None = None,
    ) -> "QuadraticForm":
        """Return the form of a matrix C from blocks of its rows; costs T^2 additions.

        The forms are Fourier transforms of the sums along the diagonals and the
        antidiagonals of C. Each block is a pair: the index of its first row, and
        consecutive rows of C. The envelope g, (T,), must be equal in all channels of a
        position.
        """
        sizes, channels = grid.sizes, grid.channels
        kind = torch.float64 if envelope is None else envelope.dtype
        lags = torch.zeros(
            channels, channels, *(2 * n for n in sizes), dtype=kind, device=device
        )
        sums = torch.zeros_like(lags)
        for start, rows in blocks:
            conjugate = rows
            if envelope is not None:
                here = envelope[start : start + len(rows), None]
                rows, conjugate = (
                    part * rows * envelope for part in (here, here.conj())
                )
            pairs = zip(grid.signals(conjugate), grid.signals(rows), strict=True)
            for index, (of_lags, of_sums) in enumerate(pairs, start):
                place, channel = grid.place_and_channel(index)
                # Lag k has the index n + k.
                steps = list(zip(place, sizes, strict=True))
                at = tuple(slice(n - i, 2 * n - i) for i, n in steps)
                lags[channel][(slice(None), *at)] += of_lags
                at = tuple(slice(i, i + n) for i, n in steps)
                sums[channel][(slice(None), *at)] += of_sums
        lags = torch.roll(lags, [-n for n in sizes], tuple(range(2, 2 + len(sizes))))
        return cls(grid.transform(lags).flatten(2), grid.transform(sums).flatten(2))

    @classmethod
    def of_factor(
        cls, rows: torch.Tensor, grid: Grid, envelope: torch.Tensor | None = None
    ) -> "QuadraticForm":
        """Return the form of B'B for the rows of B, (m, T). Costs m T log T."""
        spectra = grid.spectra(rows if envelope is None else rows * envelope)
        hermitian = cross_power(spectra)
        bilinear, q = torch.empty_like(hermitian), spectra.movedim(1, 0)
        for c in range(grid.channels):
            for d in range(c, grid.channels):
                bilinear[c, d] = bilinear[d, c] = (q[c] * q[d]).sum(0)
        return cls(hermitian, bilinear)

    @classmethod
    def of_identity(
        cls, grid: Grid, like: torch.Tensor, envelope: torch.Tensor | None = None
    ) -> "QuadraticForm":
        """Return the form of the identity matrix, on the device of ``like``."""
        if envelope is None:
            envelope = torch.ones(grid.n_features).to(like)
        at_places = grid.first_channel(envelope)
        # The bilinear form is the transform of the squared envelope at twice the
        # frequency, and therefore that of a signal with zeros between its samples.
        spread = at_places.new_zeros([2 * n for n in grid.sizes])
        spread[tuple(slice(None, None, 2) for _ in grid.sizes)] = at_places**2
        spectrum = grid.transform(spread).flatten()
        eye = torch.eye(grid.channels).to(spectrum)[..., None]
        energy = float((at_places.abs() ** 2).sum())
        return cls(eye * torch.full_like(spectrum, energy), eye * spectrum)

    @classmethod
    def joined(cls, forms: Sequence["QuadraticForm"]) -> "QuadraticForm":
        """Return one form at the waves of all given forms, in their order."""
        return cls(
            torch.cat([form.hermitian for form in forms], dim=-1),
            torch.cat([form.bilinear for form in forms], dim=-1),
        )

    @classmethod
    def total(
        cls, forms: Iterable["QuadraticForm"], factor: float = 1.0
    ) -> "QuadraticForm":
        """Return a multiple of the sum of forms at the same waves.

        Forms from a generator are added one by one, so that few of them are in memory
        at a time.
        """
        terms = iter(forms)
        total = next(terms).clone()
        for term in terms:
            total.hermitian += term.hermitian
            total.bilinear += term.bilinear
        total.hermitian *= factor
        total.bilinear *= factor
        return total

    def clone(self) -> "QuadraticForm":
        """Return a copy that can be deflated independently."""
        return QuadraticForm(self.hermitian.clone(), self.bilinear.clone())

    def deflate(self, q: torch.Tensor, u: torch.Tensor, variance: torch.Tensor) -> None:
        """Remove orthogonal unit vectors from C, in place.

        Parameters
        ----------
        q : tensor of shape (n, channels, F)
            Spectra of the vectors times the envelope.
        u : tensor of shape (n, channels, F)
            Spectra of the products of C with the vectors, times the envelope. Each
            product is that of C after the earlier vectors have been removed.
        variance : tensor of shape (n,)
            Variance of C along each vector.
        """
        # With w = u - v q / 2, C - u q' - q u' + v q q' equals C - w q' - q w'. One
        # vector after the other needs the least memory.
        for q_n, u_n, v_n in zip(q, u, variance, strict=True):
            w_n = u_n - v_n / 2 * q_n
            product = w_n.conj()[:, None] * q_n
            self.hermitian -= product
            self.hermitian -= product.conj().transpose(0, 1)
            product = w_n[:, None] * q_n
            self.bilinear -= product
            self.bilinear -= product.transpose(0, 1)

    def pencil(self) -> Pencil:
        """Return the form at real waves, in place of complex carriers."""
        h, z = self.hermitian, self.bilinear
        # With the cosine c and the sine s, c' C s = -(Im z + Im h) / 2 and
        # s' C c = -(Im z - Im h) / 2. Their sum is -Im z.
        return Pencil(cos_cos=(h + z).real / 2, cross=-z.imag, sin_sin=(h - z).real / 2)
