"""Signals in a text file, one a line."""
# SPDX-License-Identifier: BSD-3-Clause

import csv
from pathlib import Path

import numpy as np

from skspectral._advice import is_number

# The first of these that stands in the first line separates the cells; without any of
# them, blanks do. A comma comes last, as it may also be a decimal comma.
_DELIMITERS = ("\t", ";", ",")
# Cells that stand for a missing value, in small letters.
_MISSING = ("", "na", "n/a", "nan", "null", "none")


def load_signals(path: str | Path, *, header: bool | None = None) -> np.ndarray:
    """Signals of a CSV file, one a line.

    Tabulators, semicolons, commas or blanks separate the values; the first line tells
    which of them. Empty lines are skipped.

    Parameters
    ----------
    path : str or Path
        A text file in UTF-8.
    header : bool or None, default=None
        Whether the first line has names of the columns and no signal. None finds out:
        it has names if some of its cells are words, and none is a number.

    Returns
    -------
    signals : ndarray of shape (n_signals, n_samples), float64
        NaN where a cell is empty, or is one of "NA", "N/A", "NaN", "null" and "none":
        there a value is missing.

    Raises
    ------
    FileNotFoundError
        If the file does not exist.
    ValueError
        If the file has no signals; if a cell is no finite number, which the error names
        by line and column; or if lines differ in their number of cells.

    See Also
    --------
    load_recordings : Windows of WAV files.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np

    from skspectral._advice import is_number
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
    """Number and cells of each line that is not empty."""
    try:
        # A mark of UTF-8 at the start, as spreadsheets write it, is dropped.
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
    """Whether some cells are names of columns, and none is a number."""
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
