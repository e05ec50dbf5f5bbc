"""Markdown tables from rows of figures."""
# SPDX-License-Identifier: BSD-3-Clause


def markdown(rows, columns=None, *, drop_empty=False):
    """Return a Markdown table.

    Parameters
    ----------
    rows : list of dict
        Figures by name. A figure that is absent or None has an empty cell.
    columns : list of tuple (header, key) or (header, key, pattern), optional
        The key is the name of a figure, or a function that computes it from a row; the
        pattern is one of `str.format`. By default all figures of the first row.
    drop_empty : bool
        Whether columns without any figure are left out.
    """
    if columns is None:
        columns = [(name, name) for name in rows[0]]
    headers = [header for header, *_ in columns]
    cells = [[_cell(row, *column) for _, *column in columns] for row in rows]
    if drop_empty:
        shown = [i for i in range(len(columns)) if any(line[i] for line in cells)]
        headers, *cells = ([line[i] for i in shown] for line in (headers, *cells))
    lines = ["| " + " | ".join(line) + " |" for line in (headers, *cells)]
    return "\n".join([lines[0], "|" + "---|" * len(headers), *lines[1:]])


def _cell(row, key, pattern="{}"):
    value = key(row) if callable(key) else row.get(key)
    return "" if value is None else pattern.format(value)
