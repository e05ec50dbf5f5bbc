"""How the documentation is built; nothing is fetched for it."""
# SPDX-License-Identifier: BSD-3-Clause

import sys
from importlib.resources import files
from pathlib import Path

# The gallery looks up the names that its examples use, and scikit-learn hides
# IterativeImputer until this module is imported.
from sklearn.experimental import enable_iterative_imputer  # noqa: F401

sys.path.insert(0, str(Path(__file__).parent))

import skspectral

project = "skspectral"
author = "The skspectral developers"
copyright = "The skspectral developers"
version = release = skspectral.__version__

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.doctest",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_parser",
    "sphinx_gallery.gen_gallery",
    "_ext.consoles",
    "_ext.formulas",
    "_ext.names",
    "_ext.tables",
]
exclude_patterns = ["_build", "_tables"]
templates_path = ["_templates"]
nitpicky = True
# Words in docstrings of types, and in what is inherited from scikit-learn.
nitpick_ignore_regex = [
    ("py:obj", r'X|y|fit_params|input_features|(feature|n)_\w+_|".*"|\[.*\]')
]

# Markdown: formulas between dollars, blocks between colons, links to headings.
myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 3

# One backtick in a docstring is a name of the package, see _ext/names.py.
default_role = "py:obj"
autodoc_typehints = "none"
# Methods stand under the name of their class at the side of a page.
toc_object_entries_show_parents = "hide"
numpydoc_show_class_members = False
# Only what is marked is run here; pytest runs the docstrings.
doctest_test_doctest_blocks = ""

# Pages of others that are linked to, see _inventory/make.py.
intersphinx_mapping = {
    "python": ("https://docs.python.org/3", "_inventory/python.inv"),
    "sklearn": ("https://scikit-learn.org/stable", "_inventory/sklearn.inv"),
}

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "within_subsection_order": "_ext.examples.place",
    "filename_pattern": "plot_",
    "ignore_pattern": "train_",
    "doc_module": ("skspectral",),
    "backreferences_dir": "generated/examples",
    "abort_on_example_error": True,
    "download_all_examples": False,
    "show_memory": False,
    # What an example prints is shown, the text form of its last object is not.
    "capture_repr": (),
    "write_computation_times": False,
    # Examples show figures, or write them to files, see _ext/examples.py.
    "reset_argv": "_ext.examples.arguments",
    "image_scrapers": ("matplotlib", "_ext.examples.pictures_and_sounds"),
    "matplotlib_animations": False,
}

# MathJax comes from an installed package and is copied to the pages, so that formulas
# are drawn without a network, and also in pages opened from a disk. This file of it
# contains the letters as drawings. Its menu would load files that the pages lack.
# Without an indent of numbers, more numbered formulas fit on narrow screens.
MATHJAX = files("sphinx-mathjax-offline") / "static/mathjax/tex-svg.js"
mathjax_path = MATHJAX.name
mathjax3_config = {"options": {"enableMenu": False}, "tex": {"tagIndent": "0em"}}

html_static_path = ["_static", str(MATHJAX)]
html_css_files = ["pages.css"]
PAGES_ALONE = (
    "auto_examples/plot_quickstart",
    "coming_from",
    "troubleshooting",
    "benchmarks",
    "changelog",
    "citing",
)
html_theme = "pydata_sphinx_theme"
html_title = f"skspectral {release}"
html_show_sourcelink = False
html_copy_source = False
# Pages of the first level have no others beside them to list at their side.
html_sidebars = {page: [] for page in PAGES_ALONE}
html_theme_options = {
    "show_toc_level": 2,
    "secondary_sidebar_items": {"**": ["page-toc"], "index": []},
    "navigation_with_keys": False,
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
}
