"""Write the inventories of other projects' pages that ours link to.

Sphinx would fetch whole ones; with these it builds offline, and a link to a name that
is not listed here fails the build.

    python docs/_inventory/make.py
"""
# SPDX-License-Identifier: BSD-3-Clause

import zlib
from pathlib import Path

HEADER = """\
# Sphinx inventory version 2
# Project: {project}
# Version:
# The remainder of this file is compressed using zlib.
"""
# Name, after a short one if docstrings use that; type; page, in which "$" is the name.
_API = "modules/generated/$.html#$"
PAGES = {
    "python": [
        ("functools.partial", "py:class", "library/functools.html#$"),
    ],
    "sklearn": [
        ("GridSearchCV=sklearn.model_selection.GridSearchCV", "py:class", _API),
        ("KernelDensity=sklearn.neighbors.KernelDensity", "py:class", _API),
        (
            "cross_val_score=sklearn.model_selection.cross_val_score",
            "py:function",
            _API,
        ),
        (
            "sklearn.covariance.EmpiricalCovariance.mahalanobis",
            "py:method",
            "modules/generated/sklearn.covariance.EmpiricalCovariance.html#$",
        ),
        ("sklearn.covariance.shrunk_covariance", "py:function", _API),
        ("sklearn.decomposition.PCA", "py:class", _API),
        ("sklearn.ensemble.IsolationForest", "py:class", _API),
        ("sklearn.exceptions.ConvergenceWarning", "py:exception", _API),
        ("sklearn.mixture.GaussianMixture", "py:class", _API),
        # What inherited methods link to.
        ("sklearn.pipeline.Pipeline", "py:class", _API),
        ("sklearn.set_config", "py:function", _API),
        ("sklearn.utils.metadata_routing.MetadataRequest", "py:class", _API),
        ("meta-estimator", "std:term", "glossary.html#term-$"),
        ("metadata_routing", "std:label", "metadata_routing.html#metadata-routing"),
        (
            "df_output_transform",
            "std:label",
            "modules/df_output_transform.html#df-output-transform",
        ),
        (
            "sphx_glr_auto_examples_miscellaneous_plot_set_output.py",
            "std:label",
            "auto_examples/miscellaneous/plot_set_output.html#$",
        ),
    ],
}


def inventory(project: str, pages: list[tuple[str, str, str]]) -> bytes:
    """Return the bytes of an inventory."""
    lines = []
    for names, kind, page in pages:
        *short, name = names.split("=")
        address = page.replace("$", name)
        lines += [f"{key} {kind} 1 {address} -\n" for key in (*short, name)]
    header = HEADER.format(project=project).encode()
    return header + zlib.compress("".join(lines).encode())


def main() -> None:
    """Write one file for each project, beside this one."""
    for project, pages in PAGES.items():
        path = Path(__file__).with_name(f"{project}.inv")
        path.write_bytes(inventory(project, pages))


if __name__ == "__main__":
    main()
