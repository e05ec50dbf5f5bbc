"""Estimators in files that contain numbers and no code.

Loading a pickle runs whatever code its author put into it. A file of skops contains
arrays and names of classes, and is loaded only if all of these classes are trusted.
"""
# SPDX-License-Identifier: BSD-3-Clause

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from zipfile import BadZipFile, ZipFile

from skspectral._files import replaced
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
    convolutional.dictionary.ConvolutionalSpectralDictionary
    convolutional.moments.ActivationMoments
    gaussian.gaussian.Gaussian
    gaussian.gaussian.Span
    gaussian.mixture.Mixture
    gaussian.mixture.WhitenedMixture
    grid.Grid
    imputer.SpectralImputer
    learning.code_moments.CodeMoments
    metrics._ranges.Values
    model.Dictionary
    model.LinearModel
    model_selection.SpectralDictionaryLearningCV
    moments.moments.Moments
    moments.scatter.DenseScatter
    moments.scatter.FactorScatter
    moments.sketch.SketchScatter
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
    priors.spike_and_slab.SpikeAndSlabPrior
    priors.synthesis.Synthesis
    refinement.cross_spectrum.CrossSpectrumMatcher
    refinement.filters.RadialSpectrumMatcher
    refinement.filters.SpectrumMatcher
    refinement.quantile.SpectrumQuantileMatcher
    refinement.translation.model.Translation
    refinement.translator.SpectrumTranslator
    restoration.calibration.VarianceCorrection
    restoration.restorer.PatchRestorer
    restoration.signal_restorer.SignalRestorer
    spectral_dictionary.SpectralDictionaryLearning
    uneven.dictionary.UnevenSpectralDictionary
"""
# Types of parameters, such as device, and of the parts of scikit-learn's KernelDensity.
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

#: Full names of the classes that files of this package may contain, in addition to the
#: classes that skops trusts by itself. None of them runs code from a file.
TRUSTED_TYPES: tuple[str, ...] = (
    *(f"skspectral.{name}" for name in _OURS.split()),
    *_OTHERS.split(),
)


@validated(estimator="no_validation", path=[str, os.PathLike])
def save_model(estimator: Any, path: str | os.PathLike[str]) -> None:
    """Write an estimator, fitted or not, to a file without code.

    Parameters
    ----------
    estimator : estimator, prior or transformer instance
        Object of this package. It may contain objects of scikit-learn, or of your own
        classes, for which `load_model` needs ``trusted``.
    path : str or path-like
        File to write, usually ``*.skops``. An existing file is replaced only after the
        new one is complete.

    Raises
    ------
    ImportError
        If skops is not installed.
    TypeError
        If ``estimator`` contains code, such as a torch Module of your own or a
        function, or if it is not an estimator.
    OSError
        If the file cannot be written.

    See Also
    --------
    load_model : Read the file.

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
    ...     loaded = load_model(Path(folder) / "digits.skops")
    >>> print((loaded.transform(X) == est.transform(X)).all())
    True
    """
    files = _skops()
    if not _is_estimator(estimator):
        raise TypeError(
            f"estimator of type {type(estimator).__name__} must be an estimator: an "
            "instance, not a class, with the method fit. Use numpy.save for arrays."
        )
    with replaced(path) as part:
        try:
            content = files.dumps(estimator)
            # A trial shows now whether a class or function cannot be imported when
            # loading.
            files.loads(content, trusted=files.get_untrusted_types(data=content))
        # skops does not document the errors that it raises for unsupported objects.
        except Exception as error:
            raise TypeError(
                f"estimator of type {type(estimator).__name__} cannot be saved without "
                f"code ({type(error).__name__}: {error}). It may contain a torch "
                "Module, or a function. Save it as a pickle, with joblib.dump."
            ) from error
        part.write_bytes(content)


@validated(path=[str, os.PathLike], trusted=["array-like"])
def load_model(path: str | os.PathLike[str], *, trusted: Sequence[str] = ()) -> Any:
    """Read an estimator that `save_model` has written.

    No code in the file is run. The versions of scikit-learn and of this package should
    be those with which the file was written.

    Parameters
    ----------
    path : str or path-like
        File to read.
    trusted : sequence of str, default=()
        Full names of further classes that you trust, such as "my_package.MyPrior".

    Returns
    -------
    estimator : object
        The estimator, prior or transformer in the file.

    Raises
    ------
    ImportError
        If skops is not installed.
    OSError
        If the file cannot be read.
    ValueError
        If the file is damaged, or was not written by `save_model`.
    ValueError
        If the file contains classes that are not trusted. The error names them.

    See Also
    --------
    save_model : Write the file.
    """
    files, path = _skops(), Path(path)
    content, known = path.read_bytes(), {*TRUSTED_TYPES, *trusted}
    damaged = (
        f"path={str(path)!r} is not a model that save_model has written, or is "
        "damaged. Save the model again. If the file is a pickle whose author you "
        "trust, use joblib.load."
    )
    try:
        with ZipFile(path) as parts:
            if part := parts.testzip():
                raise BadZipFile(f"the checksum of {part} is wrong")
        foreign = sorted(set(files.get_untrusted_types(data=content)) - known)
    except Exception as error:
        raise ValueError(f"{damaged} ({type(error).__name__}: {error})") from error
    if foreign:
        raise ValueError(
            f"path={str(path)!r} has classes that are not trusted: "
            f"{', '.join(foreign)}. If you trust them, pass trusted={tuple(foreign)}."
        )
    try:
        model = files.loads(content, trusted=sorted(known))
    except Exception as error:
        raise ValueError(f"{damaged} ({type(error).__name__}: {error})") from error
    if not _is_estimator(model):
        raise ValueError(f"{damaged} (It contains a {type(model).__name__}.)")
    return model


def _is_estimator(model: Any) -> bool:
    """Return whether an object is an instance with the method ``fit``."""
    return hasattr(model, "fit") and not isinstance(model, type)


def _skops() -> Any:
    """Return the module ``skops.io``, which is an optional dependency."""
    try:
        import skops.io
    except ImportError as error:
        raise ImportError(
            "save_model and load_model need skops, which is not installed. Install it "
            "with: pip install 'skspectral[files]'"
        ) from error
    return skops.io
