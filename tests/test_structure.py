"""The structure of the package: private names stay private, imports run one way."""

import ast
from pathlib import Path

import pytest

import skspectral

ROOT = Path(skspectral.__file__).parent
MODULES = sorted(path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
# Top-level modules and packages (rooms), from the lowest level to the highest. A module
# imports only from its own room and from rooms of the lines above it.
ROOMS = (
    "_version _advice _device _files _linalg _missing _processes _random",
    "_sklearn_compat",
    "_progress _validation model_files",
    "grid stft",
    "moments",
    "blocks",
    "atoms",
    "coding",
    "learning",
    "gaussian",
    "priors",
    "gaps",
    "model",
    "likelihood",
    "covariance denoise generate significance standard_errors",
    "impute held_out",
    "fit_plan",
    "fit_rows",
    "fit",
    "fit_gaps folds",
    "spectral_dictionary",
    "model_selection recipes modulation_curves atom_names metrics datasets",
    "outliers imputer uneven convolutional",
    "control onnx plotting refinement restoration",
    "report",
)
LEVEL = {name: level for level, line in enumerate(ROOMS) for name in line.split()}


def room(module):
    return module.parts[0].removesuffix(".py")


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_nothing_reads_underscore_names_of_others(module):
    if room(module) == "_sklearn_compat":
        pytest.skip("the one gate to private parts of scikit-learn")
    tree = ast.parse((ROOT / module).read_text())
    foreign = [
        f"line {node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute)
        and node.attr.startswith("_")
        and not node.attr.startswith("__")
        and node.attr not in OF_NAMED_TUPLES
        and not (isinstance(node.value, ast.Name) and node.value.id in OWN)
        and not ast.unparse(node.value).startswith("super()")
    ]
    assert not foreign


# `new` is the name of an object's copy in its own methods.
OWN = ("self", "cls", "new")
OF_NAMED_TUPLES = ("_asdict", "_fields", "_replace")


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_imports_run_one_way(module):
    own = room(module)
    if own == "__init__":
        pytest.skip("the package shows what all rooms have")
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            "skspectral."
        ):
            other = node.module.split(".")[1]
            assert other == own or LEVEL[other] < LEVEL[own], (node.lineno, node.module)


# These functions of scikit-learn drop masks. `_sklearn_compat` has replacements that
# raise an error for masked entries.
DROPS_MASKS = {"check_array", "check_X_y", "validate_data", "_check_sample_weight"}


@pytest.mark.parametrize("module", MODULES, ids=str)
def test_input_comes_through_the_gate_that_knows_masks(module):
    if room(module) == "_sklearn_compat":
        pytest.skip("the gate")
    for node in ast.walk(ast.parse((ROOT / module).read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(
            "sklearn"
        ):
            assert not DROPS_MASKS & {name.name for name in node.names}, node.lineno


def test_every_module_has_a_room():
    assert {room(module) for module in MODULES} - {"__init__"} == set(LEVEL)
