"""Files that are replaced as a whole."""
# SPDX-License-Identifier: BSD-3-Clause

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import uuid4


@contextmanager
def replaced(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Give the path of a new file, which replaces ``path`` when the block has ended.

    If the block fails, the file at ``path`` stays as it was.

    Raises
    ------
    IsADirectoryError
        If ``path`` is a folder.
    """
    path = Path(path).resolve()
    if path.is_dir():
        raise IsADirectoryError(
            f"path={str(path)!r} is a folder. Pass the path of a file in it."
        )
    # The name is unique, because another process may write the same file.
    part = path.with_name(f"{path.name}.{uuid4().hex}.part")
    try:
        yield part
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
