"""Documented configurations of the estimator."""
# SPDX-License-Identifier: BSD-3-Clause

from typing import Any

from skspectral.atoms import MLPModulation
from skspectral.spectral_dictionary import SpectralDictionaryLearning

__all__ = ["published_recipe"]


def published_recipe(
    n_components: int = 128, **parameters: Any
) -> SpectralDictionaryLearning:
    """An unfitted estimator that learns as the paper does, nothing being improved.

    Random first frequencies; amplitude, phase and frequency modulated by a network of t
    (equations 2 to 5, with the flattened signal's time as its only coordinate); squared
    error and spectral loss together (equations 6 to 8) lowered by Adam on minibatches
    for 20 epochs, in alternation with least-squares codes; no centring; one Gaussian on
    the codes. It is here to be compared with: the defaults of
    `SpectralDictionaryLearning` explain far more, in less time.

    What the paper leaves open is chosen kindly: two tanh layers of 32 units, a spectral
    weight of 0.01, windows of 64 samples, minibatches of 256, a step size of 0.05.

    Parameters
    ----------
    n_components : int, default=128
        Number K of atoms.
    **parameters
        Other parameters of `SpectralDictionaryLearning`, in place of these.

    Returns
    -------
    estimator : SpectralDictionaryLearning
        To be fitted. It warns that 20 epochs have not converged.

    References
    ----------
    A. Kiruluta (2025). Spectral Dictionary Learning for Generative Image Modeling.

    Examples
    --------
    >>> from skspectral.recipes import published_recipe
    >>> est = published_recipe(16, random_state=0)
    >>> est.init, est.solver, est.max_iter
    ('random', 'adam', 20)
    """
    network = MLPModulation(modulated=("amplitude", "phase", "frequency"))
    recipe: dict[str, Any] = {
        "atoms": "sinusoid",
        "init": "random",
        "modulation": network,
        "solver": "adam",
        "learning_rate": 0.05,
        "stft_weight": 0.01,
        "center": False,
        "max_iter": 20,
        "tol": 0.0,
    }
    return SpectralDictionaryLearning(n_components, **{**recipe, **parameters})
