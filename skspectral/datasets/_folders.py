"""Read all files below a folder, and warn once about the files that are skipped."""
# SPDX-License-Identifier: BSD-3-Clause

import stat
import warnings
from collections import Counter, deque
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

Content = TypeVar("Content")

# Largest number of files that a warning names.
_MAX_NAMED = 5


class Folder:
    """Sorted files below a folder, as a context manager that warns at its end.

    Hidden files, hidden folders and files with another ``suffix`` are ignored. Symbolic
    links are followed. A file that can be reached by several paths is listed once,
    under the path with the fewest links.

    `read` collects the errors and the warnings of single files. At the end of the
    context there is one warning for all skipped files, and one warning per category of
    the collected warnings. They point to the caller of the function that opened the
    context.

    Raises
    ------
    TypeError
        If the folder is neither a str nor a Path.
    FileNotFoundError
        If the folder does not exist.
    """

    def __init__(self, folder: str | Path, suffix: str | None = None) -> None:
        try:
            self.folder = Path(folder)
        except TypeError as error:
            raise TypeError(f"folder={folder!r} must be a str or a Path.") from error
        if not self.folder.is_dir():
            raise FileNotFoundError(
                f"folder={str(folder)!r} is not a folder. Pass the path of a folder "
                "that exists."
            )
        self.skipped: dict[Path, str] = {}
        self.notes: dict[type[Warning], dict[Path, str]] = {}
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
                f"Skipped {_n_files(self.skipped)} below {self.folder} ({counts}): "
                f"{self._summary(self.skipped)}.",
                stacklevel=3,
            )
        for category, messages in self.notes.items():
            warnings.warn(
                f"Warnings about {_n_files(messages)} below {self.folder}: "
                f"{self._summary(messages)}.",
                category,
                stacklevel=3,
            )

    def read(self, path: Path, read: Callable[[Path], Content]) -> Content | None:
        """Return what ``read`` returns for a file, or None if ``read`` fails."""
        try:
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                content = read(path)
        # Pillow and SciPy raise exceptions of almost any class for a broken file.
        except Exception as error:
            self._skip(path, error)
            return None
        for warning in caught:
            self._note(path, warning.category, str(warning.message))
        return content

    def read_all(self, read: Callable[[Path], Content]) -> dict[Path, Content]:
        """Read every file; the result maps the paths of readable files to contents."""
        contents = ((path, self.read(path, read)) for path in self.files)
        return {path: content for path, content in contents if content is not None}

    def _walk(self) -> Iterator[Path]:
        """Yield the paths of all files, those behind symbolic links last."""
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
            # A link from a folder to itself, or to a parent, would never end.
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
                # Opening a named pipe would block until somebody writes to it.
                self._skip(path, OSError("it is not a regular file"))

    def _skip(self, path: Path, error: Exception) -> None:
        # The traceback of the error would keep the local variables of `read` in memory.
        self.skipped[path] = f"{type(error).__name__}: {error}"

    def _note(self, path: Path, category: type[Warning], message: str) -> None:
        of_category = self.notes.setdefault(category, {})
        known = of_category.get(path, message)
        of_category[path] = known if message in known else f"{known}; {message}"

    def _summary(self, messages: dict[Path, str]) -> str:
        """Names and messages of the first few files, and the count of other files."""
        lines = [
            f"{path.relative_to(self.folder)} ({message})"
            for path, message in list(messages.items())[:_MAX_NAMED]
        ]
        more = len(messages) - len(lines)
        return "; ".join(lines + [f"and {more} more"] * (more > 0))


def _n_files(messages: dict[Path, str]) -> str:
    return f"{len(messages)} file{'s' * (len(messages) != 1)}"
