"""Codes that are uncorrelated and of unit variance, yet near the codes of the atoms."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Whitening:
    """A linear map of codes, and its inverse.

    Attributes
    ----------
    matrix : ndarray of shape (K, K)
        White codes are ``codes @ matrix.T``.
    inverse : ndarray of shape (K, K)
        Codes are ``white @ inverse.T``.
    """

    matrix: np.ndarray
    inverse: np.ndarray

    @classmethod
    def of_covariance(cls, covariance: np.ndarray) -> "Whitening":
        """Return the whitening of codes with a covariance matrix, shape (K, K).

        Of all maps to uncorrelated codes of unit variance it is the one with the
        largest correlation between each code and its white code: P^(-1/2) V^(-1/2),
        with the correlations P and the variances V (Kessy, Lewin and Strimmer 2018,
        "ZCA-cor"). White code i therefore still belongs to atom i. Directions in which
        the codes do not vary become 0.

        References
        ----------
        A. Kessy, A. Lewin, K. Strimmer (2018). Optimal whitening and decorrelation. The
        American Statistician 72.
        """
        spread = np.sqrt(np.maximum(covariance.diagonal(), 0.0))
        scale = np.divide(1, spread, out=np.zeros_like(spread), where=spread > 0)
        correlation = covariance * np.outer(scale, scale)
        values, vectors = np.linalg.eigh((correlation + correlation.T) / 2)
        floor = 10 * len(values) * np.finfo(np.float64).eps * values[-1]
        vectors, values = vectors[:, values > floor], values[values > floor]
        root = np.sqrt(values)
        return cls(
            matrix=(vectors / root) @ vectors.T * scale,
            inverse=spread[:, None] * ((vectors * root) @ vectors.T),
        )
