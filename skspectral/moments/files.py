"""Moments in files that contain numbers and no code.

A file is an archive of numpy arrays (``.npz``), with a version and a checksum of each
array. It holds what a fit needs of a data set of any number of rows.
"""
# SPDX-License-Identifier: BSD-3-Clause

import os
from pathlib import Path
from zipfile import BadZipFile, ZipFile

import numpy as np
import torch

from skspectral._device import as_array, as_tensor
from skspectral._files import replaced
from skspectral.moments.moments import Moments
from skspectral.moments.scatter import DenseScatter, FactorScatter, Scatter
from skspectral.moments.sketch import SketchScatter

_FORMAT, _VERSION = "skspectral.moments", 1
_SCATTERS: dict[str, type[Scatter]] = {
    scatter.kind: scatter for scatter in (DenseScatter, FactorScatter, SketchScatter)
}
# Names of the arrays of a scatter begin with this word.
_PREFIX = "scatter_"


def save_moments(moments: Moments, path: str | os.PathLike[str]) -> None:
    """Write moments to a file without code.

    Parameters
    ----------
    moments : Moments
        Moments on any device.
    path : str or path-like
        File to write, usually ``*.npz``. An existing file is replaced only after the
        new one is complete.

    Raises
    ------
    TypeError
        If ``moments`` is not an instance of `Moments`.
    OSError
        If the file cannot be written.

    See Also
    --------
    load_moments : Read the file.

    Notes
    -----
    The file has the size of the scatter: 8 T^2 bytes if it is dense, and that of the
    rows if it is a factor. A factor contains the rows of X.

    Examples
    --------
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from sklearn.datasets import load_digits
    >>> from skspectral import SpectralDictionaryLearning
    >>> from skspectral.moments import load_moments, save_moments
    >>> X, _ = load_digits(return_X_y=True)
    >>> est = SpectralDictionaryLearning(8, signal_shape=(8, 8)).fit(X)
    >>> with TemporaryDirectory() as folder:
    ...     save_moments(est.moments_, Path(folder) / "digits.npz")
    ...     moments = load_moments(Path(folder) / "digits.npz")
    >>> moments.n_samples
    1797
    """
    if not isinstance(moments, Moments):
        raise TypeError(
            f"moments of type {type(moments).__name__} must be an instance of Moments, "
            "such as the attribute moments_ of a fitted estimator."
        )
    content = {
        "format": np.array(_FORMAT),
        "version": np.array(_VERSION),
        "kind": np.array(moments.scatter.kind),
        "dtype": np.array(moments.dtype.name),
        "weight": np.array(moments.weight),
        "n_samples": np.array(moments.n_samples),
        "mean": as_array(moments.mean),
        "third": as_array(moments.third),
        "fourth": np.array(moments.fourth),
    }
    for name, array in moments.scatter.arrays().items():
        content[_PREFIX + name] = array
    with replaced(path) as part, part.open("wb") as file:
        np.savez(file, **content)  # type: ignore[arg-type]


def load_moments(path: str | os.PathLike[str]) -> Moments:
    """Read moments that `save_moments` has written.

    No code in the file is run.

    Parameters
    ----------
    path : str or path-like
        File to read.

    Returns
    -------
    moments : Moments
        The moments, on the CPU.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If the file is damaged, was not written by `save_moments`, or was written by a
        later version of this package.

    See Also
    --------
    save_moments : Write the file.
    """
    path = Path(path)
    try:
        with ZipFile(path) as archive:
            if part := archive.testzip():
                raise BadZipFile(f"the checksum of {part} is wrong")
        with np.load(path, allow_pickle=False) as file:
            content = {name: file[name] for name in file.files}
        if str(content["format"]) != _FORMAT:
            raise ValueError(f"the format is {str(content['format'])!r}")
        version = int(content["version"])
        moments = _moments(content) if version <= _VERSION else None
    except OSError:
        raise
    except Exception as error:
        raise ValueError(
            f"path={str(path)!r} does not hold moments that save_moments has written, "
            f"or is damaged. ({type(error).__name__}: {error})"
        ) from error
    if moments is None:
        raise ValueError(
            f"path={str(path)!r} has version {version} of the format, but this package "
            f"reads versions up to {_VERSION}. Install a later version of skspectral."
        )
    return moments


def _moments(content: dict[str, np.ndarray]) -> Moments:
    """Return the moments with the content of a file, or raise an error."""
    kind = str(content["kind"])
    arrays = {
        name.removeprefix(_PREFIX): array
        for name, array in content.items()
        if name.startswith(_PREFIX)
    }
    scatter = _SCATTERS[kind].from_arrays(arrays)
    moments = Moments(scatter.n_features, torch.device("cpu"), scatter=scatter)
    for name in ("mean", "third"):
        if content[name].shape != (scatter.n_features,):
            raise ValueError(f"{name} has the shape {content[name].shape}")
        if not np.isfinite(content[name]).all():
            raise ValueError(f"{name} has NaN or infinite values")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise ValueError("the scatter has NaN or infinite values")
    moments.dtype = np.dtype(str(content["dtype"]))
    if moments.dtype not in (np.float32, np.float64):
        raise ValueError(f"the dtype of the rows is {moments.dtype}")
    moments.weight = float(content["weight"])
    moments.n_samples = int(content["n_samples"])
    if not (np.isfinite(moments.weight) and moments.weight >= 0 <= moments.n_samples):
        raise ValueError("the number of rows or their weight is not a finite number")
    moments.mean = as_tensor(content["mean"], torch.device("cpu"), torch.float64)
    moments.third = as_tensor(content["third"], torch.device("cpu"), torch.float64)
    moments.fourth = float(content["fourth"])
    return moments
