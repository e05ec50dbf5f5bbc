"""Files of one kind below a folder."""
# SPDX-License-Identifier: BSD-3-Clause

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Content = TypeVar("Content")


def read_folder(
    folder: str | Path,
    read: Callable[[Path], Content],
    kind: str,
    suffix: str | None = None,
) -> list[tuple[Path, Content]]:
    """Path and content of all readable files, also in subfolders, sorted by name.

    Hidden files, and those of another ``suffix``, are left out. The function that calls
    this one is to be called by the user, at whom warnings point.

    Raises
    ------
    FileNotFoundError
        If the folder does not exist.
    ValueError
        If it has no readable file, named by its ``kind``.
    """
    if not Path(folder).is_dir():
        raise FileNotFoundError(f"{folder} is not a folder.")
    found = []
    for path in sorted(Path(folder).rglob("*")):
        other = suffix is not None and path.suffix.lower() != suffix
        if other or path.name.startswith(".") or path.is_dir():
            continue
        try:
            found.append((path, read(path)))
        # Readers of Pillow and SciPy raise almost anything on a broken file.
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            warnings.warn(f"Skipped {path}: {reason}", stacklevel=3)
    if not found:
        raise ValueError(f"{folder} has no readable {kind}.")
    return found
