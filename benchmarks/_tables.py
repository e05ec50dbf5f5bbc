"""Markdown tables of measured figures."""
# SPDX-License-Identifier: BSD-3-Clause


def markdown(rows, columns=None, *, drop_empty=False):
    """Return a Markdown table.

    Parameters
    ----------
    rows : list of dict
        Figures by name, one dictionary per row. The cell of a figure that is missing or
        None is empty.
    columns : list of tuple (header, key) or (header, key, pattern), optional
        Columns of the table. The key is the name of a figure, or a function that
        computes it from a row. The pattern is one of `str.format`. By default, the
        columns are the figures of the first row.
    drop_empty : bool, default=False
        Whether to omit columns without figures.

    Returns
    -------
    table : str
        The table, without a newline at its end.
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
