"""Files below a folder, and what to tell the user of those that are skipped."""
# SPDX-License-Identifier: BSD-3-Clause

import stat
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

Content = TypeVar("Content")

# So many files are named in a warning.
_NAMED = 5


class Folder:
    """The files below a folder, sorted by name, as a context that warns at its end.

    One file in place of a folder counts as a folder that holds this file only. Hidden
    files and folders, and files of another ``suffix``, are left out. Links are
    followed, and what is reached several times counts once, by the name that needs the
    fewest links. Files that cannot be read are collected, as is what readers warn of.
    The function that opens the context is to be called by the user, at whom warnings
    point.

    Raises
    ------
    TypeError
        If the folder is neither a str nor a path.
    FileNotFoundError
        If neither a folder nor a file of this name exists.
    """

    def __init__(self, folder: str | Path, suffix: str | None = None) -> None:
        try:
            self.folder = Path(folder)
        except TypeError as error:
            raise TypeError(f"folder={folder!r} must be a str or a Path.") from error
        self.skipped: dict[Path, str] = {}
        self.notes: dict[type[Warning], dict[Path, str]] = {}
        if self.folder.is_file():
            self.files = [self.folder]
            self.folder = self.folder.parent
            return
        if not self.folder.is_dir():
            raise FileNotFoundError(f"{folder} is neither a folder nor a file.")
        self.files = sorted(
            path
            for path in self._walk()
            if suffix is None or path.suffix.lower() == suffix
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self.skipped:
            kinds = Counter(reason.split(":")[0] for reason in self.skipped.values())
            counts = ", ".join(f"{n} {name}" for name, n in kinds.most_common())
            warnings.warn(
                f"Skipped {_number(self.skipped)} below {self.folder} ({counts}): "
                f"{self._first(self.skipped)}.",
                stacklevel=3,
            )
        for category, messages in self.notes.items():
            warnings.warn(
                f"Of {_number(messages)} below {self.folder}: {self._first(messages)}.",
                category,
                stacklevel=3,
            )

    def read(self, path: Path, read: Callable[[Path], Content]) -> Content | None:
        """What ``read`` returns for a file; None, and a note, where it raises."""
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                content = read(path)
        # Readers of Pillow and SciPy raise almost anything on a broken file.
        except Exception as error:
            self._skip(path, error)
            return None
        for warning in caught:
            self._note(path, warning.category, str(warning.message))
        return content

    def read_all(self, read: Callable[[Path], Content]) -> dict[Path, Content]:
        """What ``read`` returns, by the path of each file for which it does."""
        contents = ((path, self.read(path, read)) for path in self.files)
        return {path: content for path, content in contents if content is not None}

    def _walk(self) -> Iterator[Path]:
        """Paths of the files; those that need a link come last."""
        own, linked = deque([self.folder]), deque[Path]()
        seen: set[tuple[int, int]] = set()
        while own or linked:
            path = own.popleft() if own else linked.popleft()
            try:
                status = path.stat()
                children = sorted(path.iterdir()) if path.is_dir() else []
            except OSError as error:
                self._skip(path, error)
                continue
            # A folder that is linked from within itself would have no end.
            identity = (status.st_dev, status.st_ino)
            if identity in seen:
                continue
            seen.add(identity)
            for child in children:
                if not child.name.startswith("."):
                    (linked if child.is_symlink() else own).append(child)
            if stat.S_ISREG(status.st_mode):
                yield path
            elif not stat.S_ISDIR(status.st_mode):
                # To open a pipe would wait for ever.
                self._skip(path, OSError("it is no regular file"))

    def _skip(self, path: Path, error: Exception) -> None:
        # The error itself would keep alive what its function had in hand.
        self.skipped[path] = f"{type(error).__name__}: {error}"

    def _note(self, path: Path, category: type[Warning], message: str) -> None:
        of_category = self.notes.setdefault(category, {})
        known = of_category.get(path, message)
        of_category[path] = known if message in known else f"{known}; {message}"

    def _first(self, messages: dict[Path, str]) -> str:
        """Names and messages of the first few files, and the number of the others."""
        lines = [
            f"{path.relative_to(self.folder)} ({message})"
            for path, message in list(messages.items())[:_NAMED]
        ]
        more = len(messages) - len(lines)
        return "; ".join(lines + [f"and {more} more"] * (more > 0))


def _number(messages: dict[Path, str]) -> str:
    return f"{len(messages)} file{'s' * (len(messages) != 1)}"
