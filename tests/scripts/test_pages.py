"""The code of the README and of "Coming from" runs."""

import re
from pathlib import Path

import numpy as np
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def test_rows_of_the_tables_are_run():
    """Each row of the tables in "Coming from" has its lines in the session below it."""
    page = (DOCS / "coming_from.md").read_text(encoding="utf-8")
    sections = [part for part in page.split("\n## ") if "\n|---" in part]
    assert len(sections) > 5
    for section in sections:
        # Without the heading of the table.
        rows = re.findall(r"^\| (.+?) \|", section, flags=re.M)[1:]
        runs = section.split(">>> # ")[1:]
        assert [run.splitlines()[0] for run in runs] == [
            row.replace("`", "") for row in rows
        ]
        assert all("\n>>> " in run for run in runs)


def check_digits(X, y, new):
    """A classifier of real digits is as sure of new ones, and none is a copy."""
    classifier = KNeighborsClassifier(20).fit(X[::2], y[::2])
    sure, sure_of_new = (
        (classifier.predict_proba(rows).max(axis=1) > 0.8).mean()
        for rows in (X[1::2], new)
    )
    assert sure_of_new > 0.8 * sure
    nearest = NearestNeighbors(n_neighbors=2).fit(X)
    of_new = nearest.kneighbors(new, 1)[0].mean()
    assert of_new > 0.8 * nearest.kneighbors(X)[0][:, 1].mean()


def test_python_of_the_readme_runs(capsys):
    """The blocks run in the order of the page."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    ten_lines, answers = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    names = {}
    exec(ten_lines, names)
    assert names["est"].components_.shape == (40, 64)
    # The names of waves can be read: a wavelength and an orientation.
    assert re.search(r"'[\d.]+ px, \d+°'", capsys.readouterr().out)
    check_digits(names["X"], names["y"], names["images"])
    exec(answers, names)
    assert np.isfinite(names["filled"]).all()
    assert names["others"].shape == (10, 5, 64)


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text(encoding="utf-8").splitlines()) <= 150
