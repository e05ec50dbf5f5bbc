"""Whiten codes, so that each white code is still close to the code of its atom."""
# SPDX-License-Identifier: BSD-3-Clause

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Whitening:
    """Linear map from codes to white codes, which are uncorrelated with unit variance.

    Parameters
    ----------
    matrix : ndarray of shape (K, K)
        Matrix that whitens codes: white codes are ``codes @ matrix.T``.
    inverse : ndarray of shape (K, K)
        Matrix that restores codes: codes are ``white @ inverse.T``.
    """

    matrix: np.ndarray
    inverse: np.ndarray

    @classmethod
    def of_covariance(cls, covariance: np.ndarray) -> "Whitening":
        """Return the whitening of codes with the given covariance.

        The matrix is P^(-1/2) V^(-1/2), with the correlation matrix P and the diagonal
        matrix V of the variances of the codes. Among all whitening matrices it has the
        largest mean correlation between a code and its white code ("ZCA-cor" [1]_), so
        that white code i still belongs to atom i. Directions without variance become 0.

        Parameters
        ----------
        covariance : ndarray of shape (K, K)
            Covariance matrix of the codes.

        Returns
        -------
        whitening : Whitening
            The map and its inverse.

        References
        ----------
        .. [1] A. Kessy, A. Lewin, K. Strimmer (2018). Optimal whitening and
           decorrelation. The American Statistician 72(4), 309-314.
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
