"""Files from which a training goes on."""
# SPDX-License-Identifier: BSD-3-Clause

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

from skspectral._device import as_tensor

_CPU = torch.device("cpu")

# So different may numbers of about unit size be for the same training: other machines
# round differently.
_ROUNDING = 1e-3


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a dict of tensors, arrays and numbers; if killed, the old file stays."""
    part = path.with_name(f"{path.name}.part")
    torch.save(map_leaves(_readable, content), part)
    part.replace(path)


def load(path: Path) -> dict[str, Any]:
    """Read what `save` wrote. No code in the file is run.

    Raises
    ------
    ValueError
        If it is no such file.
    """
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    # What a broken file raises is nowhere promised.
    except Exception as error:
        raise ValueError(
            f"checkpoint={str(path)!r} is not a checkpoint of a DiffusionPrior, or is "
            f"damaged ({type(error).__name__}). Delete it, or pass another path."
        ) from error


def check_folder(path: Path) -> None:
    """Raise a ValueError, before a long training, if the file cannot be written."""
    if not path.parent.is_dir():
        raise ValueError(
            f"checkpoint={str(path)!r}: there is no folder {str(path.parent)!r}. Make "
            "it, or pass another path."
        )


def check_same(path: Path, kept: dict[str, Any], present: dict[str, Any]) -> None:
    """Check that a checkpoint is of the training that is asked for.

    Raises
    ------
    ValueError
        If not, naming what differs.
    """
    for name, value in present.items():
        other = kept.get(name)
        if isinstance(value, np.ndarray):
            other = np.asarray(other)
            same = other.shape == value.shape and np.allclose(
                other, value, rtol=_ROUNDING, atol=_ROUNDING
            )
        else:
            same = other == value
        if not same:
            what = "other codes" if isinstance(value, np.ndarray) else f"{name}={other}"
            raise ValueError(
                f"checkpoint={str(path)!r} is of a training with {what}. Delete it, or "
                "pass another path."
            )


def map_leaves(function: Callable[[Any], Any], tree: Any) -> Any:
    """Apply a function to what nested dicts and lists hold."""
    if isinstance(tree, dict):
        return {key: map_leaves(function, value) for key, value in tree.items()}
    if isinstance(tree, list):
        return [map_leaves(function, value) for value in tree]
    return function(tree)


def _readable(leaf: Any) -> Any:
    """What can be read without running code."""
    if isinstance(leaf, np.ndarray):
        return as_tensor(leaf, _CPU)
    return leaf.item() if isinstance(leaf, np.generic) else leaf
