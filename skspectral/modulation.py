"""How an atom's amplitude, phase and frequency may drift over the signal."""
# SPDX-License-Identifier: BSD-3-Clause

import math
from collections.abc import Sequence
from numbers import Integral
from typing import Any

import numpy as np
from sklearn.base import BaseEstimator

_QUANTITIES = ("amplitude", "phase", "frequency")
# Half-width of the uniform first weights of the input layer, in units of 1/sqrt(n_in):
# wide enough for a cycle over the signal.
_INPUT_SCALE = 3.0


class BasisModulation(BaseEstimator):
    """Drift of amplitude and phase along fixed smooth functions of the coordinates.

    Atom i is ``A_i(t) sin(2 pi f_i t + phi_i(t))`` with ``A_i = softplus(sum_m a_im
    b_m)`` and ``phi_i = sum_m p_im b_m`` (Kiruluta 2025, equations 2, 3 and 5, with the
    network's last hidden layer replaced by fixed functions b_m). Plane waves have a
    colour and a wave vector in place of the channels and of f. The functions are

    - signals of shape (length,): 1, and cos(2 pi j t), sin(2 pi j t) for j = 1..order;
    - images of shape (height, width): 1, and cos(pi j y), cos(pi j x) for j = 1..order,
      where y and x run over the rows and columns from 0 to 1;
    - images with channels: the same, with one constant for each channel.

    Parameters
    ----------
    order : int or None, default=None
        Highest j. None means 4 for signals and 2 for images. An atom has one frequency
        and two numbers for each function: 19 and, for colour images, 15 by default.
        Fewer terms need fewer samples; more come closer to PCA on aligned data.

    Examples
    --------
    >>> from skspectral import BasisModulation
    >>> basis, constant = BasisModulation(order=1).functions((4, 4))
    >>> basis.shape
    (3, 16)
    """

    def __init__(self, order: int | None = None):
        self.order = order

    def functions(self, signal_shape: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
        """Values of the functions over a flattened signal.

        Parameters
        ----------
        signal_shape : tuple of int
            (length,), (height, width) or (height, width, channels).

        Returns
        -------
        basis : ndarray of shape (M, T)
            One function a row, sampled in C order.
        constant : ndarray of shape (M,)
            Coefficients of the function that is 1 everywhere.

        Raises
        ------
        ValueError
            If ``order`` is not a non-negative integer or None.
        """
        order = self.order
        if order is not None:
            _check_integer("BasisModulation", "order", order, 0)
        if len(signal_shape) == 1:
            return _signal_functions(signal_shape[0], 4 if order is None else order)
        return _image_functions(signal_shape, 2 if order is None else order)


class MLPModulation(BaseEstimator):
    """Drift as a small network of the coordinates says: the published form.

    One multilayer perceptron, of t for signals of shape (length,) and of row, column
    and channel for images, has an output for each modulated quantity of each atom:
    A_i = softplus(A0_i + dA_i), phi_i = phi0_i + dphi_i and f_i = softplus(f0_i + df_i)
    (Kiruluta 2025, equations 3 to 5). Its hidden layers are tanh; the last layer starts
    at zero, so that learning begins with plain waves. The network is an adaptive basis
    of ``width`` functions where `BasisModulation` has a fixed one: with many samples it
    comes a little closer to PCA, more slowly, and its first weights depend on a seed.

    Parameters
    ----------
    width : int, default=32
        Units of each hidden layer.
    depth : int, default=2
        Number of hidden layers.
    modulated : tuple of str, default=("amplitude", "phase")
        What drifts: any of "amplitude", "phase" and "frequency". 2 pi df(t) t and
        dphi(t) add up to one function, so that "frequency" beside "phase" only makes
        the learning harder; it is there for the published form, and for sinusoids only.

    Examples
    --------
    >>> from skspectral import MLPModulation
    >>> MLPModulation(width=16).inputs((4, 4, 3)).shape
    (5, 48)
    """

    def __init__(
        self,
        width: int = 32,
        depth: int = 2,
        modulated: Sequence[str] = ("amplitude", "phase"),
    ):
        self.width = width
        self.depth = depth
        self.modulated = modulated

    def inputs(self, signal_shape: tuple[int, ...]) -> np.ndarray:
        """Coordinates of the samples of a flattened signal.

        Parameters
        ----------
        signal_shape : tuple of int
            (length,), (height, width) or (height, width, channels).

        Returns
        -------
        inputs : ndarray of shape (n_inputs, T)
            Position along each axis, from -1 to 1, and an indicator of each channel.
        """
        shape = (*signal_shape, 1) if len(signal_shape) < 3 else signal_shape
        *places, channel = np.indices(shape).reshape(len(shape), -1)
        sizes = shape[:-1]
        rows = [
            2 * (place + 0.5) / size - 1
            for place, size in zip(places, sizes, strict=True)
        ]
        if shape[-1] > 1:
            rows += [(channel == c).astype(float) for c in range(shape[-1])]
        return np.stack(rows)

    def first_layers(
        self, n_inputs: int, stream: np.random.Generator
    ) -> list[tuple[np.ndarray, np.ndarray]]:
        """Random first weights and biases of the hidden layers.

        Parameters
        ----------
        n_inputs : int
        stream : Generator

        Returns
        -------
        layers : list of (ndarray of shape (n_out, n_in), ndarray of shape (n_out,))

        Raises
        ------
        ValueError
            If a parameter is out of range.
        """
        self._check()
        layers, n_in, scale = [], n_inputs, _INPUT_SCALE
        for _ in range(self.depth):
            bound = scale / math.sqrt(n_in)
            weights = stream.uniform(-bound, bound, (self.width, n_in))
            layers.append((weights, stream.uniform(-bound, bound, self.width)))
            n_in, scale = self.width, 1.0
        return layers

    def _check(self) -> None:
        for name in ("width", "depth"):
            _check_integer("MLPModulation", name, getattr(self, name), 1)
        modulated = self.modulated
        if (
            not isinstance(modulated, (tuple, list, set))
            or not modulated
            or not all(name in _QUANTITIES for name in modulated)
        ):
            raise ValueError(
                f"MLPModulation(modulated={modulated!r}): name at least one of "
                f"{', '.join(map(repr, _QUANTITIES))} in a tuple."
            )


def _check_integer(owner: str, name: str, value: Any, least: int) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        kind = "non-negative" if least == 0 else "positive"
        raise ValueError(f"{owner}({name}={value!r}): {name} must be a {kind} integer.")


def _signal_functions(length: int, order: int) -> tuple[np.ndarray, np.ndarray]:
    t = np.arange(length) / length
    # Beyond the Nyquist harmonic the functions repeat themselves.
    angles = [2 * math.pi * j * t for j in range(1, min(order, (length - 1) // 2) + 1)]
    waves = [wave(angle) for angle in angles for wave in (np.cos, np.sin)]
    basis = np.stack([np.ones(length), *waves])
    return basis, np.eye(len(basis))[0]


def _image_functions(
    shape: tuple[int, ...], order: int
) -> tuple[np.ndarray, np.ndarray]:
    height, width, channels = shape if len(shape) == 3 else (*shape, 1)
    row, column, channel = np.indices((height, width, channels)).reshape(3, -1)
    constants = [(channel == c).astype(float) for c in range(channels)]
    drifts = [
        np.cos(math.pi * j * (index + 0.5) / size)
        for index, size in ((row, height), (column, width))
        for j in range(1, min(order, size - 1) + 1)
    ]
    basis = np.stack([*constants, *drifts])
    return basis, (np.arange(len(basis)) < channels).astype(float)
