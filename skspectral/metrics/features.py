"""Features of images, for the metrics that compare sets of feature vectors."""
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
    """Compute features of images, in batches, with a neural network or any function.

    The images are first converted to 8 bits, as in image files: values are clipped to
    [0, 1] and rounded to 256 levels. Distances between features are sensitive to
    differences that the eye cannot see. Without this conversion, they would separate a
    generator of floats from photographs by the missing rounding.

    Parameters
    ----------
    images : array-like of shape (n_samples, height, width) or \
            (n_samples, height, width, n_channels)
        Images of type uint8, or floats from 0 to 1. Floats may exceed this range by a
        small overshoot. An axis with one channel is added to images without channels.
    extractor : callable, nn.Module, str or Path
        Network or function that computes the features. A torch module, or the path of a
        TorchScript file, receives float32 tensors of shape (n, n_channels, height,
        width) from 0 to 1, in evaluation mode and without gradients. Any other
        callable, such as the one from `inception_extractor`, receives uint8 arrays of
        shape (n, height, width, n_channels).
    batch_size : int, default=250
        Number of images per batch. Lower it if a batch does not fit into memory.
    device : str, torch.device or None, default=None
        Device on which a TorchScript file is run. None means the CPU. Ignored for other
        extractors; a torch module runs on the device of its parameters.
    channel_axis : int, None or "auto", default="auto"
        Axis of ``images`` that holds the channels, as in `radial_power_spectrum`. It
        does not change the layout that the extractor receives.

    Returns
    -------
    features : ndarray of shape (n_samples, n_features) or tuple of ndarray
        Features as float64. If the extractor returns a tuple, this is a tuple of such
        arrays. Outputs with more than two axes are flattened.

    Raises
    ------
    ValueError
        If ``images`` do not have one of the shapes above, or contain NaN or infinite
        values.
    ValueError
        If ``images`` are floats of another range, or integers other than uint8.
    ValueError
        If the extractor returns a number of rows other than the number of images.
    ValueError
        If the file is not a TorchScript file.
    TypeError
        If the extractor does not return numbers.
    FileNotFoundError
        If there is no file at the path ``extractor``.
    MemoryError
        If a batch does not fit into memory.

    See Also
    --------
    inception_extractor : The network of the Frechet Inception distance.

    Notes
    -----
    A TorchScript file can run code. Use only files from sources that you trust.

    Compare only distances between features of the same network. The images must be
    stored, cropped and resized in the same way: another interpolation, or JPEG
    compression of one set only, can change a distance more than the generator does.

    Examples
    --------
    The extractor may be any function of arrays. This one returns the mean colours:

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
    if isinstance(extractor, nn.Module):
        extractor = _as_array_function(extractor)
    parts = []
    with memory_advice(batch_size):
        for start in range(0, len(checked), batch_size):
            batch = _as_bytes(checked[start : start + batch_size])
            parts.append(_as_matrices(extractor(batch), len(batch)))
    columns = tuple(np.concatenate(outputs) for outputs in zip(*parts, strict=True))
    return columns[0] if len(columns) == 1 else columns


@validated(weights=[str, Path], device=[str, torch.device, None])
def inception_extractor(
    weights: str | Path, *, device: str | torch.device | None = None
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:
    """Load the Inception network of 2015, for the Frechet Inception distance.

    Only distances between the features of this network may be called FID and KID.
    Published values use 50,000 generated samples, mostly against the training images.
    This function needs the optional dependency ``fid``. It downloads nothing.

    Parameters
    ----------
    weights : str or Path
        Local file with the weights that torch-fidelity publishes. The file is unpickled
        and can run code: use only files from sources that you trust.
    device : str, torch.device or None, default=None
        Device on which the network is run. None means the CPU, which takes about 0.1 s
        per image.

    Returns
    -------
    extractor : callable
        Function for `extract_features`, from uint8 images with three channels to a
        tuple of two arrays. The first array, of shape (n_samples, 2048), holds the
        features of the last pooling layer. The second array, of shape (n_samples,
        1008), holds the logits without their biases; their softmax is the input of
        `classifier_score`.

    Raises
    ------
    ImportError
        If torch-fidelity is not installed.
    FileNotFoundError
        If there is no file at the path ``weights``.

    References
    ----------
    M. Heusel, H. Ramsauer, T. Unterthiner, B. Nessler, S. Hochreiter (2017). GANs
    trained by a two time-scale update rule converge to a local Nash equilibrium.
    NeurIPS.

    A. Obukhov, M. Seitzer, P.-W. Wu, S. Zhydenko, J. Kyl, E. Y.-J. Lin (2020).
    High-fidelity performance metrics for generative models in PyTorch. Zenodo.

    Examples
    --------
    >>> from skspectral.metrics import extract_features, inception_extractor
    >>> extractor = inception_extractor("weights.pth")  # doctest: +SKIP
    >>> features, logits = extract_features(images, extractor)  # doctest: +SKIP
    """
    path = _check_exists(Path(weights))
    target = resolve_device(device)
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import (
            FeatureExtractorInceptionV3,
        )
    except ImportError as error:
        raise ImportError(
            "inception_extractor needs torch-fidelity, which cannot be imported "
            f"({error}). Install it with: pip install 'skspectral[fid]'."
        ) from error
    outputs = ["2048", "logits_unbiased"]
    network = FeatureExtractorInceptionV3("inception", outputs, str(path)).to(target)

    def extract(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        with torch.inference_mode():
            features, logits = network(as_tensor(np.moveaxis(images, -1, 1), target))
        return as_array(features), as_array(logits)

    return extract


def _check_values(images: np.ndarray) -> None:
    """Raise an error unless images are uint8, or floats from about 0 to 1."""
    if images.dtype == np.uint8:
        return
    if images.dtype.kind != "f":
        raise ValueError(
            f"images have type {images.dtype}, but they must be uint8, or floats from "
            "0 to 1. Pass images.astype('uint8') if the values are from 0 to 255."
        )
    if not is_within_reach(images, (0.0, 1.0)):
        raise ValueError(
            f"images are floats from {images.min():.3g} to {images.max():.3g}, but "
            "floats must be from 0 to 1. Shift and scale them, or pass uint8."
        )


def _as_bytes(images: np.ndarray) -> np.ndarray:
    """Return a copy of images as uint8."""
    if images.dtype == np.uint8:
        return images.copy()
    return np.rint(images.clip(0, 1) * 255).astype(np.uint8)


def _check_exists(path: Path) -> Path:
    """Return the path, or raise an error if it is not a file."""
    if not path.is_file():
        raise FileNotFoundError(f"There is no file {path}. Pass an existing path.")
    return path


def _load(path: Path, device: str | torch.device | None) -> nn.Module:
    """Return the module of a TorchScript file, in evaluation mode."""
    target = resolve_device(device)
    with warnings.catch_warnings():
        # torch recommends another format, but users cannot change the file they have.
        warnings.filterwarnings(
            "ignore", message=r"`torch\.jit\.load`", category=DeprecationWarning
        )
        try:
            module: nn.Module = torch.jit.load(_check_exists(path), map_location=target)  # type: ignore[no-untyped-call]
        except RuntimeError as error:
            raise ValueError(
                f"extractor={str(path)!r} is not a TorchScript file, or is damaged "
                f"({str(error).splitlines()[0]}). Pass a file that was written by "
                "torch.jit.save."
            ) from error
    return module.eval()


def _as_array_function(module: nn.Module) -> Callable[[np.ndarray], Any]:
    """Return a function of uint8 arrays that runs a torch module."""
    device = next((part.device for part in module.parameters()), torch.device("cpu"))

    def run(images: np.ndarray) -> Any:
        planes = as_tensor(np.moveaxis(images, -1, 1), device, torch.float32)
        # Store the mode of each submodule: users may keep some in evaluation mode.
        training = [part for part in module.modules() if part.training]
        module.eval()
        try:
            # Tensors that the module stores during the call can be trained later on.
            with training_mode(), torch.no_grad():
                return module(planes / 255)
        finally:
            for part in training:
                part.training = True

    return run


def _as_matrices(outputs: Any, n_images: int) -> list[np.ndarray]:
    """Convert the outputs of an extractor, an array or a tuple, to float64 matrices."""
    several = outputs if isinstance(outputs, tuple) else (outputs,)
    matrices = [as_numpy(output, "The output of extractor") for output in several]
    for matrix in matrices:
        if matrix.dtype.kind not in "buif":
            raise TypeError(
                f"extractor returned values of type {matrix.dtype}, but it must return "
                "an array of real numbers, or a tuple of such arrays."
            )
        if matrix.ndim < 1 or len(matrix) != n_images:
            raise ValueError(
                f"extractor returned an array of shape {matrix.shape} for a batch of "
                f"{n_images} images, but it must return one row per image."
            )
    return [matrix.reshape(n_images, -1).astype(np.float64) for matrix in matrices]
