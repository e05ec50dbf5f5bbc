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

from skspectral._device import (
    as_array,
    as_tensor,
    memory_advice,
    resolve_device,
    training_mode,
)
from skspectral._sklearn_compat import Interval, as_numpy, validated
from skspectral.metrics._images import (
    CHANNEL_AXIS_OPTION,
    ChannelAxis,
    check_images,
)
from skspectral.metrics._ranges import is_within_reach

Features = np.ndarray | tuple[np.ndarray, ...]


@validated(
    images=["array-like"],
    extractor=[callable, str, Path],
    batch_size=[Interval(Integral, 1, None, closed="left")],
    device=[str, torch.device, None],
    **CHANNEL_AXIS_OPTION,
)
def extract_features(
    images: ArrayLike,
    extractor: Callable[[Any], Any] | str | Path,
    *,
    batch_size: int = 250,
    device: str | torch.device | None = None,
    channel_axis: ChannelAxis = "auto",
) -> Features:
    """Features of images, in batches, from a network or any function.

    Images are first brought to 8 bits, as files hold them: values are clipped, and
    rounded to the nearest of 256 levels. Distances between features see differences
    that no eye sees, and otherwise a generator of floats would be told from
    photographs by its lack of rounding.

    Parameters
    ----------
    images : array-like of shape (n_samples, height, width[, n_channels])
        uint8, or floats from 0 to 1 but for some that overshoot. Grey images without
        channels are given one.
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
    channel_axis : int, None or "auto", default="auto"
        Where images have their channels, as in `radial_power_spectrum`. Extractors are
        given them as above.

    Returns
    -------
    features : ndarray of shape (n_samples, n_features), float64
        Or a tuple of such arrays, if the extractor returns several. More than two
        dimensions are flattened.

    Raises
    ------
    ValueError
        If images are not of such a shape, are not finite, are floats of another range,
        the extractor returns another number of rows, or a file is no TorchScript.
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
    checked = check_images(images, "images", channel_axis)
    _check_values(checked)
    if isinstance(extractor, str | Path):
        extractor = _load(Path(extractor), device)
    run = _of_tensors(extractor) if isinstance(extractor, nn.Module) else extractor
    parts = []
    with memory_advice(batch_size):
        for start in range(0, len(checked), batch_size):
            batch = _as_bytes(checked[start : start + batch_size])
            parts.append(_rows(run(batch), len(batch)))
    columns = tuple(np.concatenate(outputs) for outputs in zip(*parts, strict=True))
    return columns[0] if len(columns) == 1 else columns


@validated(weights=[str, Path], device=[str, torch.device, None])
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
        with torch.inference_mode():
            features, logits = network(as_tensor(np.moveaxis(images, -1, 1), where))
        return as_array(features), as_array(logits)

    return extract


def _check_values(images: np.ndarray) -> None:
    """Raise unless images are uint8, or floats from about 0 to 1."""
    if images.dtype == np.uint8:
        return
    if images.dtype.kind != "f":
        raise ValueError(
            f"images of type {images.dtype} must be uint8, or floats from 0 to 1."
        )
    if not is_within_reach(images, (0.0, 1.0)):
        raise ValueError(
            f"images are floats from about {images.min():.3g} to {images.max():.3g}, "
            "and must be from 0 to 1. Shift and divide them, or pass uint8."
        )


def _as_bytes(images: np.ndarray) -> np.ndarray:
    """A copy as uint8."""
    if images.dtype == np.uint8:
        return images.copy()
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
        try:
            module: nn.Module = torch.jit.load(_existing(path), map_location=where)  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            raise ValueError(
                f"extractor={str(path)!r} is no TorchScript file, or is damaged "
                f"({str(error).splitlines()[0]}). torch.jit.save writes such files."
            ) from error
    return module.eval()


def _of_tensors(module: nn.Module) -> Callable[[np.ndarray], Any]:
    """A function of uint8 arrays from a module of tensors."""
    device = next((part.device for part in module.parameters()), torch.device("cpu"))

    def run(images: np.ndarray) -> Any:
        planes = as_tensor(np.moveaxis(images, -1, 1), device, torch.float32)
        # Of each part: some may be kept in evaluation mode while others are trained.
        training = [part for part in module.modules() if part.training]
        module.eval()
        try:
            # What a module keeps of a call can then be trained.
            with training_mode(), torch.no_grad():
                return module(planes / 255)
        finally:
            for part in training:
                part.training = True

    return run


def _rows(outputs: Any, n_images: int) -> list[np.ndarray]:
    """Outputs of an extractor, one or a tuple of them, as float64 matrices."""
    several = outputs if isinstance(outputs, tuple) else (outputs,)
    matrices = [as_numpy(output, "What extractor returned") for output in several]
    for matrix in matrices:
        if matrix.dtype.kind not in "buif":
            raise TypeError(
                f"extractor returned {matrix.dtype} values; it must return an array of "
                "real numbers, or a tuple of such arrays."
            )
        if matrix.ndim < 1 or len(matrix) != n_images:
            raise ValueError(
                f"extractor returned an array of shape {matrix.shape} for "
                f"{n_images} images; it must return a row for each."
            )
    return [matrix.reshape(n_images, -1).astype(np.float64) for matrix in matrices]
