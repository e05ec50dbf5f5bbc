"""Greedy selection among a few candidates, from their products with each other."""
# SPDX-License-Identifier: BSD-3-Clause

import math

import numpy as np


def greedy_sequence(
    gram: np.ndarray,
    moment: np.ndarray,
    floor: np.ndarray,
    least: float,
    outside: float,
    limit: int,
) -> list[tuple[int, float, float]]:
    """Return candidates in the order in which a greedy selection takes them.

    A candidate is a wave of any phase. Rows i and n + i of the matrices belong to the
    candidate i of n, in two phases a quarter of a cycle apart. The score of a wave is
    the variance that it removes from the residual, with its energy outside the span of
    the waves taken before raised by ``floor``.

    Parameters
    ----------
    gram : ndarray of shape (2 n, 2 n)
        Inner products of the rows.
    moment : ndarray of shape (2 n, 2 n)
        Second moment of the residual between the rows.
    floor : ndarray of shape (n,)
        Positive number that is added to the energies of each candidate.
    least : float
        Smallest energy of a wave that counts as linearly independent.
    outside : float
        Score of the best wave that is no candidate. The selection ends when no
        candidate has at least this score.
    limit : int
        Largest number of waves to take, at least 1.

    Returns
    -------
    sequence : list of tuple (candidate, turn, score)
        Index of the candidate, the angle by which its phase differs from that of row i,
        and its score. There is at least one entry.

    Notes
    -----
    Costs O(n^2) per wave.
    """
    n = len(floor)
    sequence: list[tuple[int, float, float]] = []
    while len(sequence) < limit:
        turn, score, energy = _best_turns(gram, moment, floor)
        score = np.where(energy > least, score, -np.inf)
        best = int(score.argmax())
        if sequence and not score[best] >= outside:
            break
        sequence.append((best, float(turn[best]), float(score[best])))
        c, s = math.cos(turn[best]), math.sin(turn[best])
        row = c * gram[best] + s * gram[n + best]
        image = c * moment[best] + s * moment[n + best]
        share = row / energy[best]
        variance = c * image[best] + s * image[n + best]
        # With the unit vector q of the taken wave, every row r becomes r - (r q') q.
        cross = np.outer(share, image)
        moment = moment - cross - cross.T + variance * np.outer(share, share)
        gram = gram - np.outer(share, row)
    return sequence


def _best_turns(
    gram: np.ndarray, moment: np.ndarray, floor: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the turn with the highest score, the score and the energy, each (n,).

    The score of the turn x is v' A v / v' (B + floor I) v with v = (cos x, sin x) and
    the 2 x 2 matrices A and B of a candidate in ``moment`` and ``gram``.
    """
    n = len(floor)
    i, j = np.arange(n), np.arange(n, 2 * n)
    a11, a12, a22 = moment[i, i], moment[i, j], moment[j, j]
    b11, b12, b22 = gram[i, i] + floor, gram[i, j], gram[j, j] + floor
    determinant = b11 * b22 - b12**2
    half_trace = (b22 * a11 - 2 * b12 * a12 + b11 * a22) / (2 * determinant)
    product = (a11 * a22 - a12**2) / determinant
    score = half_trace + np.sqrt(np.maximum(half_trace**2 - product, 0))
    # The eigenvector is orthogonal to both rows of A - score B. The longer row is the
    # more accurate one.
    one = np.stack([a11 - score * b11, a12 - score * b12])
    two = np.stack([a12 - score * b12, a22 - score * b22])
    row = np.where((one**2).sum(0) >= (two**2).sum(0), one, two)
    # Turns of half a cycle only change the sign of a wave.
    turn = np.arctan(np.divide(-row[0], row[1], where=row[1] != 0, out=np.zeros(n)))
    turn[(row[1] == 0) & (row[0] != 0)] = math.pi / 2
    c, s = np.cos(turn), np.sin(turn)
    energy = c**2 * gram[i, i] + 2 * c * s * gram[i, j] + s**2 * gram[j, j]
    return turn, score, energy
