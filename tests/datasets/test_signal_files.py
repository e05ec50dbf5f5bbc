"""Tables of signals, as spreadsheets and programs write them."""

import numpy as np
import pytest

from skspectral.datasets import load_signals

VALUES = np.array([[1.5, -2.0, 3e-4], [4.0, np.nan, 6.0]])


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", [",", ";", "\t", ", ", "; "])
@pytest.mark.parametrize("header", ["", "t0 a{0}t1{0}t2", '"t, 0"{0}"t1"{0}'])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
@pytest.mark.parametrize("missing", ["", "NaN", "N/A", "null"])
def test_tables_of_all_kinds_agree(tmp_path, end, mark, header, encoding, missing):
    if header.startswith('"t,') and mark[0] == "\t":
        mark = "\t"
    lines = [header.format(mark)] if header else []
    lines += [mark.join(["1.5", "-2", "3e-4"]), "", mark.join(["4", missing, "6"]), ""]
    path = tmp_path / "table.csv"
    path.write_bytes(end.join(lines).encode(encoding))
    np.testing.assert_array_equal(load_signals(path), VALUES)
    np.testing.assert_array_equal(load_signals(str(path), header=bool(header)), VALUES)


def test_what_numpy_and_pandas_write(tmp_path):
    pandas = pytest.importorskip("pandas")
    path = tmp_path / "table.csv"
    for mark in (" ", ",", "\t"):
        np.savetxt(path, VALUES, delimiter=mark)
        np.testing.assert_array_equal(load_signals(path), VALUES)
    frame = pandas.DataFrame(VALUES, columns=["a", "b", "c"])
    frame.to_csv(path, index=False)
    np.testing.assert_array_equal(load_signals(path), VALUES)


def test_a_line_without_a_value_is_no_header(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text(",,\n1,2,3\n")
    assert load_signals(path).shape == (2, 3)
    assert np.isnan(load_signals(path)[0]).all()


def test_header_that_looks_like_numbers(tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("0,1\n5,6\n")
    np.testing.assert_array_equal(load_signals(path), [[0, 1], [5, 6]])
    np.testing.assert_array_equal(load_signals(path, header=True), [[5, 6]])


@pytest.mark.parametrize(
    ("table", "match"),
    [
        ("", "has no signals"),
        ("a,b\n", "has no signals"),
        ("1,2\n3,x\n", "line 2, column 2 has 'x'"),
        ("a,b\n1,2\n\n3,inf\n", "line 4, column 2 has 'inf'"),
        ("name,1,2\n1,2,3\n", "line 1, column 1 has 'name'"),
        ("1;2\n1,5;2\n", "line 2, column 1 has '1,5'.*decimal point"),
        ("1,2,3\n1,2\n", "line 2 has 2 cells, but line 1 has 3"),
    ],
)
def test_what_is_no_table(tmp_path, table, match):
    path = tmp_path / "table.csv"
    path.write_text(table)
    with pytest.raises(ValueError, match=match):
        load_signals(path)


def test_files_that_are_no_text(tmp_path):
    path = tmp_path / "table.csv"
    path.write_bytes("größe,1".encode("latin-1"))
    with pytest.raises(ValueError, match="no text in UTF-8"):
        load_signals(path)
    with pytest.raises(FileNotFoundError):
        load_signals(tmp_path / "missing.csv")
