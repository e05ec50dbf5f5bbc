"""Fitted models in files that hold numbers and no code.

A pickle runs what its author wrote when it is loaded. The files of skops hold arrays
and names of classes, and are loaded only if all of these classes are trusted.
"""
# SPDX-License-Identifier: BSD-3-Clause

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4
from zipfile import BadZipFile, ZipFile

from skspectral._sklearn_compat import validated

_OURS = """
    atoms.chirp.Chirp
    atoms.family.AtomModel
    atoms.gabor.Gabor
    atoms.modulated.BasisModulation
    atoms.modulated.ModulatedWaves
    atoms.network.MLPModulation
    atoms.network.NetworkWaves
    atoms.plane_wave.PlaneWave
    atoms.sinusoid.Sinusoid
    coding.whitening.Whitening
    control.transformers.SpectralEqualizer
    control.transformers.SpectralFilter
    gaussian.gaussian.Gaussian
    gaussian.gaussian.Span
    gaussian.mixture.Mixture
    gaussian.mixture.WhitenedMixture
    grid.Grid
    metrics._ranges.Values
    model.Dictionary
    model.LinearModel
    moments.moments.Moments
    outliers.SpectralOutlierDetector
    priors.class_conditional.ClassConditionalPrior
    priors.contrast.ContrastField
    priors.denoising.denoiser.SignalDenoiser
    priors.denoising.distribution.PrincipalGaussian
    priors.denoising.model.DiffusionModel
    priors.denoising.training.TrainingState
    priors.diffusion.DiffusionPrior
    priors.gaussian.GaussianPrior
    priors.local_contrast.LocalContrastPrior
    priors.mixture.GaussianMixture
    priors.scaled.ScaledPrior
    priors.synthesis.Synthesis
    refinement.cross_spectrum.CrossSpectrumMatcher
    refinement.filters.RadialSpectrumMatcher
    refinement.filters.SpectrumMatcher
    refinement.quantile.SpectrumQuantileMatcher
    refinement.translation.model.Translation
    refinement.translator.SpectrumTranslator
    spectral_dictionary.SpectralDictionaryLearning
"""
# Parameters, such as device, and what scikit-learn's KernelDensity holds.
_OTHERS = """
    numpy.dtype
    pathlib.PosixPath
    pathlib.WindowsPath
    sklearn.metrics._dist_metrics.EuclideanDistance64
    sklearn.metrics._dist_metrics.MinkowskiDistance64
    sklearn.neighbors._ball_tree.BallTree
    sklearn.neighbors._kd_tree.KDTree
    torch.device
"""

#: Names of the classes that files of our estimators and priors may hold, beside those
#: that skops trusts by itself. None of them runs code that a file brings.
TRUSTED_TYPES: tuple[str, ...] = (
    *(f"skspectral.{name}" for name in _OURS.split()),
    *_OTHERS.split(),
)


@validated(estimator="no_validation", path=[str, os.PathLike])
def save_model(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write an estimator, fitted or not, to a file that holds no code.

    Parameters
    ----------
    estimator : estimator, prior or transformer instance
        One of this package, perhaps with scikit-learn's or your own in it.
    path : path
        File to write, usually ``*.skops``. One that exists is replaced once the new one
        is complete.

    Raises
    ------
    ImportError
        If skops is not installed.
    TypeError
        If it holds what is code, as a torch Module of yours or a function; or if it is
        no estimator at all.
    OSError
        If the file cannot be written.

    See Also
    --------
    load_model : Reads the file.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.model_files import load_model, save_model
    >>> X, _ = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(8, signal_shape=(8, 8)).fit(X)
    >>> with TemporaryDirectory() as folder:
    ...     save_model(est, Path(folder) / "digits.skops")
    ...     again = load_model(Path(folder) / "digits.skops")
    >>> bool((again.transform(X) == est.transform(X)).all())
    True
    """
    files, path = _skops(), Path(path).resolve()
    if not _is_estimator(estimator):
        raise TypeError(
            f"estimator of type {type(estimator).__name__} must be an estimator: an "
            "object, not its class, that has fit. Arrays are saved by numpy.save."
        )
    if path.is_dir():
        raise IsADirectoryError(f"path={str(path)!r} is a folder: name a file in it.")
    try:
        content = files.dumps(estimator)
        # Classes and functions that exist only where they were written are noticed now.
        files.loads(content, trusted=files.get_untrusted_types(data=content))
    # skops does not promise which errors an object raises that it cannot hold.
    except Exception as error:
        raise TypeError(
            f"{type(estimator).__name__} cannot be saved without code "
            f"({type(error).__name__}: {error}). Does it hold a torch Module, a "
            "function or a class of yours? Save it with joblib.dump: a pickle."
        ) from error
    # Another process may write the same file.
    part = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        part.write_bytes(content)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


@validated(path=[str, os.PathLike], trusted=["array-like"])
def load_model(path: str | os.PathLike[str], *, trusted: Sequence[str] = ()) -> Any:
    """Read what `save_model` wrote; no code in the file is run.

    The versions of scikit-learn and of this package should be those that wrote it.

    Parameters
    ----------
    path : path
        File to read.
    trusted : sequence of str, default=()
        Full names of more classes that you trust, as of a prior of your own.

    Returns
    -------
    estimator : object

    Raises
    ------
    ImportError
        If skops is not installed.
    ValueError
        If the file is damaged, is no file of skops, or holds classes that are not
        trusted, which are named.
    """
    files, path = _skops(), Path(path)
    content, known = path.read_bytes(), {*TRUSTED_TYPES, *trusted}
    damaged = (
        f"{str(path)!r} is not a model that save_model has written, or is damaged. "
        "Save it again. Pickles are read by joblib.load, if you trust their author."
    )
    try:
        with ZipFile(path) as parts:
            if part := parts.testzip():
                raise BadZipFile(f"{part} is not what was written")
        foreign = sorted(set(files.get_untrusted_types(data=content)) - known)
    except Exception as error:
        raise ValueError(f"{damaged} ({type(error).__name__}: {error})") from error
    if foreign:
        raise ValueError(
            f"{str(path)!r} holds classes that are not trusted: {', '.join(foreign)}. "
            f"If you trust them, pass trusted={tuple(foreign)}."
        )
    try:
        model = files.loads(content, trusted=sorted(known))
    except Exception as error:
        raise ValueError(f"{damaged} ({type(error).__name__}: {error})") from error
    if not _is_estimator(model):
        raise ValueError(f"{damaged} (It holds a {type(model).__name__}.)")
    return model


def _is_estimator(model: Any) -> bool:
    return hasattr(model, "fit") and not isinstance(model, type)


def _skops() -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise ImportError(
            "Files without code need skops: pip install 'skspectral[files]'."
        ) from error
    return skops.io
