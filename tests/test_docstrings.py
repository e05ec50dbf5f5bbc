"""The reference lists every public name, whose docstring has numpydoc's sections.

The public names are found automatically, so that new ones are tested, too.
"""

import importlib
import inspect
import pkgutil
from pathlib import Path

import pytest
from numpydoc.validate import validate

import skspectral

REFERENCE = Path(__file__).parents[1] / "docs" / "api.rst"
# https://numpydoc.readthedocs.io/en/latest/validation.html
RULES = {
    # Sections have known names and are in order.
    *("GL05", "GL06", "GL07", "GL08", "GL09", "GL10"),
    # The summary is one sentence. SS05 is omitted: it mistakes plural nouns for verbs.
    *("SS01", "SS02", "SS03", "SS04", "SS06"),
    # Every parameter has a type, and a description that is a sentence.
    *("PR01", "PR02", "PR03", "PR04", "PR05", "PR06", "PR07", "PR08", "PR09", "PR10"),
    *("RT01", "RT03", "RT04", "RT05", "YD01"),  # Returned values have both, too.
}


def public_modules():
    """Return modules and packages of skspectral that define ``__all__``."""
    found = (module.name for module in pkgutil.iter_modules(skspectral.__path__))
    names = [f"skspectral.{name}" for name in found if not name.startswith("_")]
    modules = [skspectral, *map(importlib.import_module, names)]
    return [module for module in modules if hasattr(module, "__all__")]


@pytest.mark.parametrize("module", public_modules(), ids=lambda module: module.__name__)
def test_reference_is_complete(module):
    listed = REFERENCE.read_text(encoding="utf-8").split()
    # The function of a module without a section of its own is listed with its module.
    prefix = "recipes." if module.__name__ == "skspectral.recipes" else ""
    public = {prefix + name for name in module.__all__ if name != "__version__"}
    assert public
    assert public <= set(listed)


def is_documented(value):
    return inspect.isroutine(value) or inspect.isclass(value)


def public_names():
    """Yield functions and classes in ``__all__``, and methods of these classes."""
    for module in public_modules():
        for name in module.__all__:
            value = getattr(module, name)
            if not is_documented(value):
                continue
            path = f"{module.__name__}.{name}"
            yield path
            for method, found in vars(value).items() if inspect.isclass(value) else ():
                function = getattr(found, "__func__", found)
                function = getattr(function, "fget", function)
                if not method.startswith("_") and inspect.isroutine(function):
                    yield f"{path}.{method}"


NAMES = sorted(set(public_names()))


def test_public_names_are_found():
    assert "skspectral.SpectralDictionaryLearning" in NAMES
    assert "skspectral.SpectralDictionaryLearning.impute" in NAMES
    assert "skspectral.metrics.ssim" in NAMES


@pytest.mark.parametrize("name", NAMES)
def test_docstring_has_every_part(name):
    broken = [
        f"{rule}: {message}"
        for rule, message in validate(name)["errors"]
        if rule in RULES
    ]
    assert broken == []
