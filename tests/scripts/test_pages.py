"""The reference has every public name; the build of the pages tests the rest."""

import importlib
import pkgutil
import re
from pathlib import Path

import matplotlib as mpl
import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier, NearestNeighbors

import skspectral

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
REFERENCE = DOCS / "api.rst"


def public_modules():
    """Those that say what is public."""
    found = (module.name for module in pkgutil.iter_modules(skspectral.__path__))
    names = [f"skspectral.{name}" for name in found if not name.startswith("_")]
    modules = [skspectral, *map(importlib.import_module, names)]
    return [module for module in modules if hasattr(module, "__all__")]


@pytest.mark.parametrize("module", public_modules(), ids=lambda module: module.__name__)
def test_reference_is_complete(module):
    listed = REFERENCE.read_text().split()
    # Of a module without a part of its own: its name, then that of the function.
    prefix = "recipes." if module.__name__ == "skspectral.recipes" else ""
    public = {prefix + name for name in module.__all__ if name != "__version__"}
    assert public
    assert public <= set(listed)


def test_rows_of_the_tables_are_run():
    """Each row of the page for newcomers has its lines in the session below."""
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


def test_python_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    """In the order of the page; what it leaves to the reader is made up here."""
    page = (ROOT / "README.md").read_text(encoding="utf-8")
    ten_lines, see, prior = re.findall(r"^```python\n(.*?)^```", page, re.M | re.S)
    names = {}
    exec(ten_lines, names)
    # What is printed of images can be read: a wavelength and a direction.
    assert names["est"].components_.shape == (40, 64)
    assert re.search(r"'[\d.]+ px, \d+°'", capsys.readouterr().out)
    check_digits(names["X"], names["y"], names["images"])
    gaps = names["X"][:2].copy()
    gaps[:, 20:30] = np.nan
    operator = np.eye(64)[:3]
    exec(
        prior,
        names
        | {"X_with_nan": gaps, "operator": operator, "seen": operator @ names["X"][0]},
    )

    monkeypatch.chdir(tmp_path)
    np.save("signals.npy", np.random.default_rng(0).normal(size=(200, 128)))
    with mpl.rc_context():
        import matplotlib.pyplot as plt

        plt.switch_backend("agg")
        try:
            exec(see, {})
            assert len(plt.get_fignums()) == 2
        finally:
            plt.close("all")
