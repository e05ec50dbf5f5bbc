r"""Warn of wrong formulas, and keep punctuation beside a formula.

MathJax draws the formulas in the reader's browser, so that a build does not see its
errors. math-core reads every formula at build time and finds unknown commands, missing
braces and double subscripts.

A browser may begin a line between a drawing and the comma after the drawing. An element
that does not wrap holds both together.
"""
# SPDX-License-Identifier: BSD-3-Clause

import re

from docutils import nodes
from math_core import LatexError, LatexToMathML
from sphinx.application import Sphinx
from sphinx.util.logging import getLogger

logger = getLogger(__name__)


def error(formula: str, *, displayed: bool) -> str | None:
    """Return what is wrong with a formula, or None."""
    # A backslash at the end of a line is a space in LaTeX. math-core does not know it.
    formula = formula.replace("\\\n", "\\ \n")
    if displayed:
        # math-core accepts \tag only inside a numbered environment.
        formula = rf"\begin{{align}}{formula}\end{{align}}"
    try:
        LatexToMathML(fancy_error=False).convert_with_local_state(
            formula, displaystyle=displayed
        )
    except LatexError as found:
        return str(found)
    return None


def check(app: Sphinx, doctree: nodes.document) -> None:
    """Warn of each wrong formula of a page."""
    for kind in (nodes.math, nodes.math_block):
        for node in doctree.findall(kind):
            displayed = kind is nodes.math_block
            if found := error(node.astext(), displayed=displayed):
                message = "Wrong formula: %s In: %s"
                logger.warning(message, found, node.astext(), location=node)


def keep_together(app: Sphinx, doctree: nodes.document) -> None:
    """Join each formula in a line with what precedes or follows it without a space."""
    for formula in list(doctree.findall(nodes.math)):
        parent, at = formula.parent, formula.parent.index(formula)
        parent[at] = together = nodes.inline("", "", formula, classes=["together"])
        if at + 1 < len(parent) and isinstance(parent[at + 1], nodes.Text):
            close, rest = re.fullmatch(r"(\S*)(.*)", parent[at + 1], re.S).groups()
            together += nodes.Text(close)
            parent[at + 1] = nodes.Text(rest)
        if at > 0 and isinstance(parent[at - 1], nodes.Text):
            rest, opening = re.fullmatch(r"(.*?)(\S*)", parent[at - 1], re.S).groups()
            together.insert(0, nodes.Text(opening))
            parent[at - 1] = nodes.Text(rest)


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("doctree-read", check)
    app.connect("doctree-read", keep_together)
    return {"parallel_read_safe": True}
