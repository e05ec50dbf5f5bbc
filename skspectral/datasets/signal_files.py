"""Signals from a text file with one signal per line."""
# SPDX-License-Identifier: BSD-3-Clause

import csv
from pathlib import Path

import numpy as np

from skspectral._advice import is_number

# The first of these characters that occurs in the first line separates the cells. If
# none occurs, blanks separate them. The comma is last: it may be a decimal comma.
_DELIMITERS = ("\t", ";", ",")
# Texts of cells that mean a missing value, in lower case.
_MISSING = ("", "na", "n/a", "nan", "null", "none")


def load_signals(path: str | Path, *, header: bool | None = None) -> np.ndarray:
    """Load signals from a CSV file with one signal per line.

    Tabs, semicolons, commas or blanks separate the values. The function finds the
    separator in the first line. Empty lines are skipped.

    Parameters
    ----------
    path : str or Path
        Text file in UTF-8.
    header : bool or None, default=None
        Whether the first line holds the names of the columns instead of a signal. None
        means that it does if it contains text and no number.

    Returns
    -------
    signals : ndarray of shape (n_signals, n_samples), float64
        Signals in the order of the lines. Missing values are NaN: cells that are empty
        or contain "NA", "N/A", "NaN", "null" or "none", in upper or lower case.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file contains no signal, or is not text in UTF-8.
    ValueError
        If a cell is not a finite number. The error names its line and column.
    ValueError
        If two lines have different numbers of cells.

    See Also
    --------
    load_recordings : Load windows of WAV files.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from skspectral.datasets import load_signals
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "signals.csv")
    ...     np.savetxt(path, [[1, 2.5, 3], [4, np.nan, 6]], delimiter=";")
    ...     load_signals(path)
    array([[1. , 2.5, 3. ],
           [4. , nan, 6. ]])
    """
    lines = _read_lines(Path(path))
    if header is None:
        header = bool(lines) and _has_names_only(lines[0][1])
    if header:
        lines = lines[1:]
    if not lines:
        raise ValueError(f"{path} has no signals: each line must hold one, as numbers.")
    first, cells = lines[0]
    for line, other in lines:
        if len(other) != len(cells):
            raise ValueError(
                f"{path}: line {line} has {len(other)} cells, but line {first} has "
                f"{len(cells)}. Each line must hold one signal, all of one length; "
                "leave a cell empty where a value is missing."
            )
    return np.array(
        [
            [_number(cell, path, line, column) for column, cell in enumerate(row, 1)]
            for line, row in lines
        ]
    )


def _read_lines(path: Path) -> list[tuple[int, list[str]]]:
    """Return the line number and the cells of each line that is not empty."""
    try:
        # Spreadsheets may write a byte order mark first, which "utf-8-sig" removes.
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path} is no text in UTF-8 ({error.reason} at byte {error.start}). Save "
            "the table as CSV in UTF-8."
        ) from error
    rows = text.splitlines()
    start = next((row for row in rows if row.strip()), "")
    delimiter = next((mark for mark in _DELIMITERS if mark in start), None)
    if delimiter is None:
        cells = [row.split() for row in rows]
    else:
        cells = [next(csv.reader([row], delimiter=delimiter), []) for row in rows]
    return [
        (line, [cell.strip() for cell in row])
        for line, row in enumerate(cells, 1)
        if any(cell.strip() for cell in row) or len(row) > 1
    ]


def _has_names_only(cells: list[str]) -> bool:
    """Return whether some cells are text, and none is a number."""
    names = [cell for cell in cells if cell.lower() not in _MISSING]
    return bool(names) and not any(map(is_number, names))


def _number(cell: str, path: str | Path, line: int, column: int) -> float:
    if cell.lower() in _MISSING:
        return np.nan
    value = float(cell) if is_number(cell) else np.inf
    if not np.isfinite(value):
        raise ValueError(
            f"{path}: line {line}, column {column} has {cell!r}, which is no finite "
            "number. Write numbers with a decimal point, and leave a cell empty where "
            "a value is missing."
        )
    return value
