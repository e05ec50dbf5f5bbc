"""Features of images: what the distances between sets of images are taken in."""
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from collections.abc import Callable
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import nn

from skspectral._device import as_array, memory_advice, resolve_device
from skspectral._sklearn_compat import Interval, validate_params

Features = np.ndarray | tuple[np.ndarray, ...]


@validate_params(
    {
        "images": ["array-like"],
        "extractor": [callable, str, Path],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "device": [str, torch.device, None],
    },
    prefer_skip_nested_validation=True,
)
def extract_features(
    images: ArrayLike,
    extractor: Callable[[Any], Any] | str | Path,
    *,
    batch_size: int = 250,
    device: str | torch.device | None = None,
) -> Features:
    """Features of images, in batches, from a network or any function.

    Images are first brought to 8 bits, as files hold them: values are clipped, and
    rounded to the nearest of 256 levels. Distances between features see differences
    that no eye sees, and otherwise a generator of floats would be told from
    photographs by its lack of rounding.

    Parameters
    ----------
    images : array-like of shape (n_samples, height, width, n_channels)
        uint8, or floats from 0 to 1.
    extractor : callable, nn.Module, str or Path
        A module, or the path of a TorchScript file, is given tensors of shape (n,
        n_channels, height, width), float32 from 0 to 1, in evaluation mode, without
        gradients. Another callable, such as `inception_extractor`'s, is given arrays of
        shape (n, height, width, n_channels), uint8.
    batch_size : int, default=250
        Images at a time.
    device : str, torch.device or None, default=None
        Where a TorchScript file computes; None is the CPU. A module computes where its
        parameters are.

    Returns
    -------
    features : ndarray of shape (n_samples, n_features), float64
        Or a tuple of such arrays, if the extractor returns several. More than two
        dimensions are flattened.

    Raises
    ------
    ValueError
        If images are not of such a shape, are not finite, are floats of another range,
        or the extractor returns another number of rows.
    FileNotFoundError
        If there is no such file.
    MemoryError
        If a batch does not fit.

    See Also
    --------
    inception_extractor : The network of the Frechet Inception distance.

    Notes
    -----
    A TorchScript file can run code: take it from where you would take a program.
    Compare distances only between features of the same network, on images that were
    stored, cropped and resized alike: another resize, or JPEG on one side only, can
    count for more than the generator.

    Examples
    --------
    Any function of arrays will do:

    >>> import numpy as np
    >>> from skspectral.metrics import extract_features
    >>> images = np.random.default_rng(0).random((6, 8, 8, 3))
    >>> extract_features(images, lambda batch: batch.mean(axis=(1, 2))).shape
    (6, 3)
    """
    levels = _as_bytes(np.asarray(images)).view()
    levels.flags.writeable = False
    if isinstance(extractor, str | Path):
        extractor = _load(Path(extractor), device)
    run = _of_tensors(extractor) if isinstance(extractor, nn.Module) else extractor
    starts = range(0, len(levels), batch_size)
    with memory_advice(batch_size):
        parts = [_rows(run(batch := levels[i : i + batch_size]), batch) for i in starts]
    columns = [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]
    return columns[0] if len(columns) == 1 else tuple(columns)


def inception_extractor(
    weights: str | Path, *, device: str | torch.device | None = None
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """The Inception network of 2015, in which the Frechet Inception distance is taken.

    Only distances in its features may be called so; published ones are of 50,000
    samples, mostly against the training images. Needs the extra ``fid``. Nothing is
    downloaded.

    Parameters
    ----------
    weights : str or Path
        Local file of the weights as torch-fidelity publishes them. It is unpickled,
        and can run code: take it from where you would take a program.
    device : str, torch.device or None, default=None
        Where to compute; None is the CPU, which takes about 0.1 s an image.

    Returns
    -------
    extractor : callable
        For `extract_features`: from uint8 images of three channels to the features of
        the last pooling, of shape (n_samples, 2048), and the logits without their
        bias, of shape (n_samples, 1008), for `classifier_score`.

    Raises
    ------
    ImportError
        If torch-fidelity is not there.
    FileNotFoundError
        If there is no such file.

    References
    ----------
    M. Heusel et al. (2017). GANs trained by a two time-scale update rule converge to a
    local Nash equilibrium. A. Obukhov et al. (2020). High-fidelity performance metrics
    for generative models in PyTorch.

    Examples
    --------
    >>> from skspectral.metrics import extract_features, inception_extractor
    >>> extractor = inception_extractor("weights.pth")  # doctest: +SKIP
    >>> features, logits = extract_features(images, extractor)  # doctest: +SKIP
    """
    path = _existing(Path(weights))
    where = resolve_device(device)
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import (
            FeatureExtractorInceptionV3,
        )
    except ImportError as error:
        raise ImportError(
            f"inception_extractor needs torch-fidelity ({error}): "
            "pip install 'skspectral[fid]'."
        ) from error
    wanted = ["2048", "logits_unbiased"]
    network = FeatureExtractorInceptionV3("inception", wanted, str(path)).to(where)

    def extract(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        planes = torch.from_numpy(np.moveaxis(images, -1, 1).copy()).to(where)
        with torch.inference_mode():
            features, logits = network(planes)
        return as_array(features), as_array(logits)

    return extract


def _as_bytes(images: np.ndarray) -> np.ndarray:
    """Images as uint8, checked."""
    if images.ndim != 4 or 0 in images.shape:
        raise ValueError(
            f"images of shape {images.shape} must be of shape (n_samples, height, "
            "width, n_channels). Reshape rows to it; give grey images one channel."
        )
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(
            f"images of type {images.dtype} must be uint8, or floats from 0 to 1."
        )
    if not np.isfinite(images).all():
        raise ValueError("images contain NaN or infinity.")
    outside = float(np.mean((images < 0) | (images > 1)))
    if outside > 0.5:
        raise ValueError(
            f"images are floats of which {outside:.0%} are not between 0 and 1. Divide "
            "by the largest value (255), or pass uint8."
        )
    return np.rint(images.clip(0, 1) * 255).astype(np.uint8)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}.")
    return path


def _load(path: Path, device: str | torch.device | None) -> nn.Module:
    """The module of a TorchScript file, in evaluation mode."""
    where = resolve_device(device)
    with warnings.catch_warnings():
        # That torch would rather have another format is no news to the user of a file.
        warnings.filterwarnings(
            "ignore", message=r"`torch\.jit\.load`", category=DeprecationWarning
        )
        module: nn.Module = torch.jit.load(_existing(path), map_location=where)  # type: ignore[no-untyped-call]
    return module.eval()


def _of_tensors(module: nn.Module) -> Callable[[np.ndarray], Any]:
    """A function of uint8 arrays from a module of tensors."""
    parameter = next(module.parameters(), torch.empty(0))

    def run(images: np.ndarray) -> Any:
        planes = torch.from_numpy(np.moveaxis(images, -1, 1).copy())
        # Of each part: some may be kept in evaluation mode while others are trained.
        training = [part for part in module.modules() if part.training]
        module.eval()
        try:
            with torch.inference_mode():
                return module(planes.to(parameter.device, torch.float32) / 255)
        finally:
            for part in training:
                part.training = True

    return run


def _rows(outputs: Any, batch: np.ndarray) -> list[np.ndarray]:
    """Outputs of an extractor as a list of float64 matrices."""
    several = outputs if isinstance(outputs, tuple | list) else (outputs,)
    matrices = [np.asarray(as_array(output), dtype=np.float64) for output in several]
    for matrix in matrices:
        if matrix.ndim < 1 or len(matrix) != len(batch):
            raise ValueError(
                f"extractor returned an array of shape {matrix.shape} for "
                f"{len(batch)} images; it must return a row for each."
            )
    return [matrix.reshape(len(batch), -1) for matrix in matrices]
