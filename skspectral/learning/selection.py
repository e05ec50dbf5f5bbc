"""Greedy selection of waves from the second moment, in the Fourier domain."""
# SPDX-License-Identifier: BSD-3-Clause

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import torch

from skspectral._device import as_array
from skspectral.atoms.waves import Waves
from skspectral.grid import Grid
from skspectral.learning.best_waves import best_waves
from skspectral.learning.candidates import greedy_sequence
from skspectral.moments.quadratic_form import Pencil, QuadraticForm
from skspectral.moments.second_moment import SecondMoment

# Added to the energy of a candidate outside the span of the chosen atoms, as a fraction
# of the candidate's energy. It lowers the scores of candidates that lie almost in the
# span, which keeps the dictionary well conditioned.
_DEPENDENCE_PENALTY = 0.02
# Smallest accepted length of an atom outside the span, as a fraction of its length.
_MIN_NEW_LENGTH = 1e-4
# Number of candidates in a search of the grid, and of entries in their rows. Long
# rows have fewer candidates, to save memory.
_MAX_CANDIDATES, _MIN_CANDIDATES, _CANDIDATE_ENTRIES = 24, 4, 2**23
# Factor by which the score of a candidate must exceed those of the other waves. The
# grid has some waves twice, whose scores differ by rounding errors alone.
_MARGIN = 1 + 1e-6
# A residual variance below this fraction of the total variance is a rounding error.
_NO_GAIN = 1e-13


@dataclass(frozen=True)
class Pick:
    """A wave that the selection can take.

    Attributes
    ----------
    frequency : tensor of shape (D,)
        Wave vector, in cycles per signal along each axis.
    phase : float
        Phase at the first sample, in radians.
    colour : tensor of shape (channels,)
        Colour of unit norm.
    score : float
        Lower bound of the variance that the wave removes.
    envelope : int
        Index of the wave's envelope.
    place : int or None
        Index of the wave on the grid, over all envelopes, or None if it is not on the
        grid.
    """

    frequency: torch.Tensor
    phase: float
    colour: torch.Tensor
    score: float
    envelope: int = 0
    place: int | None = None


def waves_of(picks: list[Pick]) -> Waves:
    """Return picked waves as one `Waves`; at least one pick is needed."""
    frequency = torch.stack([pick.frequency for pick in picks])
    return Waves.of(
        frequency,
        frequency.new_tensor([pick.phase for pick in picks]),
        torch.stack([pick.colour for pick in picks]),
        frequency.new_tensor([pick.envelope for pick in picks]).long(),
    )


class GreedySelection:
    """Orthogonal matching pursuit of waves on the second moment.

    Each step takes the wave that removes the most variance from the residual, over a
    grid of half-cycle frequency steps and all phases, colours and envelopes. This is
    orthogonal matching pursuit (Pati et al. 1993) for all samples at once. The matrix C
    is not deflated; only its values at the waves of the grid are. The result is
    deterministic.

    Parameters
    ----------
    C : SecondMoment
        Second moment of the data.
    grid : Grid or None, default=None
        Grid of the waves. None means the flattened signal.
    envelopes : tensor of shape (n_envelopes, T) or None, default=None
        Envelopes of the waves, see `AtomFamily.envelopes`. None means the constant 1
        alone.

    Attributes
    ----------
    frequencies : tensor of shape (F, D)
        Wave vectors of the grid, in cycles per signal along each axis.
    gain : QuadraticForm
        Residual second moment at the waves of the grid, one envelope after the other.
    size : QuadraticForm
        Projection onto the complement of the chosen atoms, at the same waves. Its
        values are the energies of the waves outside the span of these atoms.

    Notes
    -----
    Costs O(T log T) per envelope and one product with C, per atom. A finer grid of
    frequencies gave worse dictionaries of images after refinement.

    References
    ----------
    Y. C. Pati, R. Rezaiifar, P. S. Krishnaprasad (1993). Orthogonal matching pursuit:
    recursive function approximation with applications to wavelet decomposition.
    Asilomar Conference on Signals, Systems and Computers.
    """

    def __init__(
        self,
        C: SecondMoment,
        grid: Grid | None = None,
        envelopes: torch.Tensor | None = None,
    ):
        self.grid = grid = Grid((C.n_features,)) if grid is None else grid
        self._C = C
        # Coordinates start at the first sample, because phases are those at the first
        # sample.
        self._places = grid.coordinates(C.device) + 0.5
        self._channel = grid.channel_indicator(C.device)
        self.frequencies = grid.frequencies(self._places)
        self._envelopes = envelopes
        listed = [None] if envelopes is None else list(envelopes)
        self.gain = QuadraticForm.joined(
            [C.quadratic_form(grid, envelope) for envelope in listed]
        )
        self.size = QuadraticForm.joined(
            [QuadraticForm.of_identity(grid, self._places, g) for g in listed]
        )
        # Mean energy of a wave over its phases, which depends on the envelope only.
        energies = self.size.hermitian[0, 0].real / 2
        self._energy = energies[:: len(self.frequencies)]
        self._no_gain = _NO_GAIN * C.trace()
        self._n_picks = torch.zeros_like(energies)
        # Memory for the orthonormal rows of the span. It grows by doubling.
        self._rows = self._places.new_empty(16, C.n_features)
        self._n_rows = 0

    def restart(self) -> "GreedySelection":
        """Return a copy with the same residual and cleared counts of picks."""
        new = copy.copy(self)
        new.gain, new.size = self.gain.clone(), self.size.clone()
        new._n_picks = torch.zeros_like(self._n_picks)
        new._rows = self._span.clone()
        return new

    @property
    def device(self) -> torch.device:
        """Device on which the selection computes."""
        return self._C.device

    @property
    def _span(self) -> torch.Tensor:
        """Orthonormal rows that span the atoms taken so far."""
        return self._rows[: self._n_rows]

    def _extend_span(self, axes: torch.Tensor) -> None:
        """Append orthonormal rows to the span."""
        needed = self._n_rows + len(axes)
        if needed > len(self._rows):
            grown = self._rows.new_empty(2 * needed, self._rows.shape[1])
            grown[: self._n_rows] = self._span
            self._rows = grown
        self._rows[self._n_rows : needed] = axes
        self._n_rows = needed

    def deflate(self, atoms: torch.Tensor) -> bool:
        """Remove linearly independent atoms, (n, T), from the residual.

        Returns False, and changes nothing, if an atom lies almost in the span of the
        others and of the atoms taken before.
        """
        span = self._span
        rows = atoms / torch.linalg.vector_norm(atoms, dim=1, keepdim=True)
        for _ in range(2):
            rows = rows - (rows @ span.T) @ span
        axes, triangle = torch.linalg.qr(rows.T)
        if not float(triangle.diagonal().abs().min()) > _MIN_NEW_LENGTH:
            return False
        axes = axes.T
        self._remove(axes, self._C.left_matmul(axes))
        return True

    def _remove(self, axes: torch.Tensor, image: torch.Tensor) -> None:
        """Remove orthonormal rows outside the span from the residual.

        The image is the product of the rows with C.
        """
        span = self._span
        coupling = image @ axes.T
        # Each image must be the product with the residual second moment, from which the
        # span and the earlier rows of axes have been removed.
        image = image - (image @ span.T) @ span - coupling.tril(-1) @ axes
        variance = coupling.diagonal()
        q, u = self._spectra(torch.cat([axes, image])).chunk(2)
        self.gain.deflate(q, u, variance)
        self.size.deflate(q, q, torch.ones_like(variance))
        self._extend_span(axes)

    def _spectra(self, rows: torch.Tensor) -> torch.Tensor:
        """Return products of rows and carriers, (n, channels, n_envelopes * F)."""
        if self._envelopes is None:
            return self.grid.spectra(rows)
        inside = (rows[:, None] * self._envelopes).flatten(0, 1)
        spectra = self.grid.spectra(inside)
        spectra = spectra.reshape(len(rows), -1, *spectra.shape[1:])
        return spectra.movedim(1, 2).flatten(2)

    def _carriers(self, angle: torch.Tensor) -> torch.Tensor:
        """Return cosine and sine of an angle in each envelope, (n_envelopes, 2, T)."""
        cosine, sine = angle.cos(), angle.sin()
        if self._envelopes is None:
            return torch.stack([cosine, sine])[None]
        carriers = self._envelopes * torch.complex(cosine, -sine)
        return torch.stack([carriers.real, -carriers.imag], dim=1)

    @property
    def _exhausted(self) -> torch.Tensor:
        """Mask of the waves that were picked once per phase (two) and channel."""
        return self._n_picks >= 2 * self.grid.channels

    def power(self) -> torch.Tensor:
        """Return the mean power of the residual at the grid's wave vectors, (F,)."""
        n_waves = len(self.frequencies)
        return self.gain.hermitian[..., :n_waves].real.diagonal().sum(1)

    def best(self) -> Pick:
        """Return the grid's wave that removes the most variance, without taking it."""
        gain, size = self.gain.pencil(), self.size.pencil()
        energy = self._energy.repeat_interleave(len(self.frequencies))
        exhausted = self._exhausted
        found = best_waves(gain, size.plus(_DEPENDENCE_PENALTY * energy))
        place = int(found.score.masked_fill(exhausted, -torch.inf).argmax())
        removed = float(found.score[place])
        if removed <= self._no_gain:
            # The residual is zero. The wave that differs most from the chosen atoms is
            # returned.
            removed = 0.0
            zero = Pencil(*(torch.zeros_like(part) for part in vars(size).values()))
            found = best_waves(size, zero.plus(energy))
            place = int(found.score.masked_fill(exhausted, -torch.inf).argmax())
        envelope, wave = divmod(place, len(self.frequencies))
        return Pick(
            frequency=self.frequencies[wave],
            phase=float(found.phase[place]),
            colour=found.colour[place],
            score=removed,
            envelope=envelope,
            place=place,
        )

    def best_at(self, frequency: torch.Tensor) -> Pick:
        """Return the best wave of one wave vector, (D,), on the grid or off it.

        Costs one product of a few rows with C. The wave is not taken.
        """
        span, n = self._span, self.grid.channels
        carriers = self._carriers(2 * math.pi * (frequency @ self._places))
        rows = (carriers[:, :, None] * self._channel).flatten(0, 2)
        rows = rows - (rows @ span.T) @ span
        per_envelope = rows.reshape(-1, 2 * n, rows.shape[1])
        image = self._C.left_matmul(rows).reshape(per_envelope.shape)
        gain, size = (
            Pencil(
                cos_cos=matrix[:n, :n],
                cross=matrix[:n, n:] + matrix[n:, :n],
                sin_sin=matrix[n:, n:],
            )
            for matrix in (
                (image @ per_envelope.mT).permute(1, 2, 0),
                (per_envelope @ per_envelope.mT).permute(1, 2, 0),
            )
        )
        found = best_waves(gain, size.plus(_DEPENDENCE_PENALTY * self._energy))
        envelope = int(found.score.argmax())
        return Pick(
            frequency=frequency,
            phase=float(found.phase[envelope]),
            colour=found.colour[envelope],
            score=float(found.score[envelope]),
            envelope=envelope,
        )

    def take(self, pick: Pick) -> bool:
        """Remove a wave from the residual; return False if it adds nothing new."""
        if pick.place is not None:
            self._n_picks[pick.place] += 1
        angle = 2 * math.pi * (pick.frequency @ self._places) + pick.phase
        sine = self._carriers(angle)[pick.envelope, 1]
        return self.deflate(((pick.colour @ self._channel) * sine)[None])

    def _take_several(self, limit: int) -> list[Pick]:
        """Take at most ``limit`` waves, with one search of the grid.

        The best waves of the grid are candidates. Their products with each other and
        with C are small matrices, from which the best phase and the score of each
        candidate follow after others have been taken. The colours of candidates are
        those of the search. Candidates are taken as long as their scores are at least
        those of the waves that are no candidates.

        Returns an empty list, and takes nothing, if the residual is zero or the waves
        are almost dependent.
        """
        gain, size = self.gain.pencil(), self.size.pencil()
        n_waves = len(self.frequencies)
        energy = self._energy.repeat_interleave(n_waves)
        found = best_waves(gain, size.plus(_DEPENDENCE_PENALTY * energy))
        scores = found.score.masked_fill(self._exhausted, -torch.inf)
        n_candidates = max(_MIN_CANDIDATES, _CANDIDATE_ENTRIES // self._C.n_features)
        best = scores.topk(min(n_candidates, _MAX_CANDIDATES, len(scores)))
        places = best.indices[best.values > self._no_gain]
        if len(places) == 0:
            return []
        outside = self._no_gain
        if len(places) < len(scores):
            outside = max(outside, _MARGIN * float(best.values[-1]))
        phases, colours = found.phase[places], found.colour[places]
        # Each wave in two phases, a quarter of a cycle apart, which span all phases.
        rows = self._rows_of(places, phases, colours)
        lengths = torch.linalg.vector_norm(rows, dim=1)
        for _ in range(2):
            rows = rows - (rows @ self._span.T) @ self._span
        image = self._C.left_matmul(rows)
        sequence = greedy_sequence(
            as_array(rows @ rows.T),
            as_array(image @ rows.T),
            as_array(_DEPENDENCE_PENALTY * energy[places]),
            _MIN_NEW_LENGTH**2 * float(lengths.max()) ** 2,
            outside,
            limit,
        )
        # The rows and their products follow from those of the two phases.
        mix = torch.zeros(len(sequence), len(rows)).to(rows)
        for i, (candidate, turn, _) in enumerate(sequence):
            mix[i, candidate] = math.cos(turn)
            mix[i, candidate + len(places)] = math.sin(turn)
        rows, image = mix @ rows, mix @ image
        norms = torch.linalg.vector_norm(rows, dim=1)[:, None]
        axes, triangle = torch.linalg.qr((rows / norms).T)
        if not float(triangle.diagonal().abs().min()) > _MIN_NEW_LENGTH:
            return []
        image = torch.linalg.solve_triangular(triangle.T, image / norms, upper=False)
        self._remove(axes.T, image)
        picks = []
        for candidate, turn, score in sequence:
            place = int(places[candidate])
            self._n_picks[place] += 1
            envelope, wave = divmod(place, n_waves)
            picks.append(
                Pick(
                    frequency=self.frequencies[wave],
                    phase=float(phases[candidate]) + turn,
                    colour=colours[candidate],
                    score=score,
                    envelope=envelope,
                    place=place,
                )
            )
        return picks

    def _rows_of(
        self, places: torch.Tensor, phases: torch.Tensor, colours: torch.Tensor
    ) -> torch.Tensor:
        """Return n waves of the grid, then the same a quarter of a cycle further.

        The result has the shape (2 n, T).
        """
        n_waves = len(self.frequencies)
        angle = 2 * math.pi * (self.frequencies[places % n_waves] @ self._places)
        angle += phases[:, None]
        cosine, sine = angle.cos(), angle.sin()
        if self._envelopes is not None:
            envelope = self._envelopes[places // n_waves]
            carriers = envelope * torch.complex(cosine, -sine)
            cosine, sine = carriers.real, -carriers.imag
        waves = torch.stack([sine, cosine])
        if self.grid.channels > 1:
            waves *= colours @ self._channel
        return waves.flatten(0, 1)

    def select(
        self, n_atoms: int, on_atom: Callable[[], object] | None = None
    ) -> list[Pick]:
        """Take the best waves until ``n_atoms`` independent waves are chosen.

        Several waves are taken after each search of the grid, see `_take_several`.

        Raises
        ------
        ArithmeticError
            If the grid has fewer than ``n_atoms`` independent waves.
        """
        chosen: list[Pick] = []
        while len(chosen) < n_atoms:
            picks = self._take_several(n_atoms - len(chosen))
            if not picks:
                pick = self.best()
                if self.take(pick):
                    picks = [pick]
                elif bool(self._exhausted.all()):
                    raise ArithmeticError(
                        f"Only {len(chosen)} of {n_atoms} atoms were selected, because "
                        "no other wave is linearly independent of them. Use a smaller "
                        "n_components."
                    )
            chosen += picks
            if on_atom is not None:
                for _ in picks:
                    on_atom()
        return chosen
