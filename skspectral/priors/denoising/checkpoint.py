"""Files from which a training goes on."""
# SPDX-License-Identifier: BSD-3-Clause

import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import torch

# So different may means and variances be, relative to the largest, for the same codes:
# other threads and machines round differently.
_ROUNDING = 1e-3


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a dict of tensors, arrays and numbers; if killed, the old file stays."""
    part = path.with_name(f"{path.name}.part")
    torch.save(_as_tensors(content), part)
    part.replace(path)


def load(path: Path) -> dict[str, Any]:
    """Read what `save` wrote. No code in the file is run.

    Raises
    ------
    ValueError
        If it is no such file.
    """
    if not zipfile.is_zipfile(path):
        raise ValueError(
            f"checkpoint={str(path)!r} is not a checkpoint of a DiffusionPrior, or is "
            "damaged. Delete it, or pass another path."
        )
    return torch.load(path, map_location="cpu", weights_only=True)


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
            scale = np.abs(value).max(initial=0.0)
            same = other.shape == value.shape and np.allclose(
                other, value, rtol=_ROUNDING, atol=_ROUNDING * scale
            )
        else:
            same = other == value
        if not same:
            what = "other codes" if isinstance(value, np.ndarray) else f"{name}={other}"
            raise ValueError(
                f"checkpoint={str(path)!r} is of a training with {what}. Delete it, or "
                "pass another path."
            )


def _as_tensors(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _as_tensors(value) for key, value in tree.items()}
    if isinstance(tree, np.ndarray):
        return torch.from_numpy(tree)
    return tree
