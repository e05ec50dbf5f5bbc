"""Formulas as MathML, which browsers draw themselves.

No script is fetched to read a page, and a formula that is wrong is a warning.
"""
# SPDX-License-Identifier: BSD-3-Clause

from docutils import nodes
from docutils.utils.math import MathError
from docutils.utils.math.latex2mathml import tex2mathml
from sphinx.application import Sphinx
from sphinx.util.logging import getLogger
from sphinx.writers.html5 import HTML5Translator

logger = getLogger(__name__)


def markup(node: nodes.Element, *, as_block: bool) -> str:
    """Return a formula as MathML, or as it was written if that cannot be."""
    formula = node.astext()
    try:
        return tex2mathml(formula, as_block=as_block)
    except (MathError, LookupError) as error:
        logger.warning("%s In: %s", error, formula, location=node)
        return formula


def inline(translator: HTML5Translator, node: nodes.math) -> None:
    """Write a formula in a line."""
    translator.body.append(markup(node, as_block=False))
    raise nodes.SkipNode


def block(translator: HTML5Translator, node: nodes.math_block) -> None:
    """Write a displayed formula."""
    formula = markup(node, as_block=True)
    translator.body.append(f'<div class="math">{formula}</div>\n')
    raise nodes.SkipNode


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.add_html_math_renderer("mathml", (inline, None), (block, None))
    app.config.html_math_renderer = "mathml"
    return {"parallel_read_safe": True}
