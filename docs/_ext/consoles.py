"""Sessions in Markdown, fenced as ``pycon``, are tests of `sphinx -b doctest`."""
# SPDX-License-Identifier: BSD-3-Clause

from docutils import nodes
from sphinx.application import Sphinx


def mark(app: Sphinx, doctree: nodes.document) -> None:
    """Mark the sessions of a page, which go on from one to the next."""
    for block in doctree.findall(nodes.literal_block):
        if block.get("language") == "pycon":
            block["testnodetype"] = "doctest"
            block["groups"] = ["default"]
            # The empty line that ends a session in Markdown is not shown.
            block.rawsource = block.astext().rstrip()
            block[:] = [nodes.Text(block.rawsource)]


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("doctree-read", mark)
    return {"parallel_read_safe": True}
