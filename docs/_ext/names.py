"""Names of the package in single backticks, from any module of it.

Sphinx looks for a name in the module that mentions it. Docstrings here also name what
is public elsewhere in the package, as `GaussianPrior`, and methods of the estimator.
"""
# SPDX-License-Identifier: BSD-3-Clause

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

PREFERRED = "skspectral.SpectralDictionaryLearning."


def find(
    app: Sphinx, env: BuildEnvironment, node: pending_xref, text: nodes.TextElement
) -> nodes.reference | None:
    """Link to the one public object whose last names these are."""
    if node.get("refdomain") != "py":
        return None
    domain, name = env.domains.python_domain, node["reftarget"]
    found = [
        full
        for full, entry in domain.objects.items()
        if full.endswith("." + name) and not entry.aliased
    ]
    found = [full for full in found if full == PREFERRED + name] or found
    if len(found) != 1:
        return None
    return domain.resolve_xref(
        env, node["refdoc"], app.builder, "obj", found[0], node, text
    )


def setup(app: Sphinx) -> dict[str, bool]:
    """Called by Sphinx."""
    app.connect("missing-reference", find)
    return {"parallel_read_safe": True}
