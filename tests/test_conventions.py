"""What scikit-learn's users expect of every public estimator.

The estimators are found automatically, so that new ones are tested, too.
"""

import ast
import functools
import importlib
import inspect
import pkgutil
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.sparse import issparse
from sklearn import config_context
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import UnsetMetadataPassedError
from sklearn.neighbors import KernelDensity
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils import estimator_html_repr, get_tags
from sklearn.utils.validation import check_is_fitted, has_fit_parameter

import skspectral
from skspectral import (
    SpectralDictionaryLearning,
    SpectralOutlierDetector,
    control,
    priors,
)

TESTS = Path(__file__).parent
# Parameters of estimators that require some, or would be slow without them.
QUICK = {
    "DiffusionPrior": {"max_images": 64, "width": 4, "random_state": 0},
    "PatchRestorer": {"patch_size": 3, "n_patches": 300, "random_state": 0},
    "SignalRestorer": {"window_length": 8, "n_windows": 99, "random_state": 0},
    "ScaledPrior": {"prior": priors.GaussianPrior()},
    "SpectrumTranslator": {
        "depth": 0,
        "base_channels": 2,
        "max_epochs": 1,
        "random_state": 0,
    },
}


def public_classes():
    """Estimators in ``__all__`` of the package and of its modules."""
    names = (module.name for module in pkgutil.iter_modules(skspectral.__path__))
    parts = [
        importlib.import_module(f"skspectral.{name}")
        for name in names
        if not name.startswith("_")
    ]
    found = {
        getattr(module, name)
        for module in [skspectral, *parts]
        for name in getattr(module, "__all__", ())
    }
    classes = [one for one in found if inspect.isclass(one)]
    concrete = [
        one
        for one in classes
        if issubclass(one, BaseEstimator) and not inspect.isabstract(one)
    ]
    return sorted(concrete, key=lambda one: one.__name__)


CLASSES = public_classes()
ESTIMATORS = [one for one in CLASSES if hasattr(one, "fit")]
TRANSFORMERS = [one for one in ESTIMATORS if hasattr(one, "transform")]
WEIGHTED = [one for one in ESTIMATORS if has_fit_parameter(one, "sample_weight")]
of_each = functools.partial(pytest.mark.parametrize, ids=lambda one: one.__name__)


def new(kind):
    return kind(**QUICK.get(kind.__name__, {}))


def data():
    """Rows of 16 numbers, two labels, and weights."""
    rng = np.random.default_rng(0)
    y = np.tile([0, 1], 30)
    X = rng.normal(size=(60, 16)) @ rng.normal(size=(16, 16)) + y[:, None]
    return X, y, rng.uniform(0.5, 2, size=60)


def test_the_estimators_are_found():
    names = {one.__name__ for one in ESTIMATORS}
    assert names >= {
        "SpectralDictionaryLearning",
        "SpectralOutlierDetector",
        "SpectralFilter",
        "GaussianPrior",
        "SpectrumMatcher",
        "SpectrumTranslator",
    }
    assert len(TRANSFORMERS) > 5
    assert len(WEIGHTED) > 5


def classes_in_common_checks():
    """Names of the classes in calls of ``parametrize_with_checks`` in any test."""
    for path in TESTS.rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and ast.unparse(node.func) == "parametrize_with_checks"
            ):
                # Estimators that are parameters of another estimator do not count.
                for made in node.args[0].elts:
                    yield ast.unparse(made.func)


def test_common_checks_run_on_every_estimator():
    assert {one.__name__ for one in ESTIMATORS} <= set(classes_in_common_checks())


# Displays


@of_each("kind", CLASSES)
def test_shown_as_a_diagram_without_a_link_that_leads_nowhere(kind):
    est = new(kind)
    with config_context(display="diagram"):
        shown = est._repr_mimebundle_()["text/html"]
    assert kind.__name__ in shown
    # The documentation has no public address. A link to scikit-learn's would be wrong.
    assert re.findall(r'href="([^"]*)"', shown) == []
    with config_context(display="text"):
        assert "text/html" not in est._repr_mimebundle_()


@of_each("kind", ESTIMATORS)
def test_the_diagram_says_whether_it_is_fitted(kind):
    X, y, _ = data()
    est = new(kind)
    assert "<span>Not fitted</span>" in estimator_html_repr(est)
    est.fit(X, y)
    check_is_fitted(est)
    assert "<span>Fitted</span>" in estimator_html_repr(est)


def test_what_is_scikit_learns_keeps_its_link():
    est = SpectralDictionaryLearning(prior=KernelDensity())
    links = re.findall(r'href="([^"]*)"', estimator_html_repr(est))
    assert links
    assert all("KernelDensity" in link for link in links)


# Tables


@of_each("kind", TRANSFORMERS)
def test_tables_in_and_out(kind):
    pandas = pytest.importorskip("pandas")
    X, y, _ = data()
    table = pandas.DataFrame(X, index=[f"row {i}" for i in range(len(X))])
    table.columns = [f"t{i}" for i in range(X.shape[1])]
    if issparse(new(kind).fit(X, y).transform(X)):
        pytest.skip("scikit-learn has no tables of sparse arrays")
    est = new(kind).set_output(transform="pandas")
    out = est.fit(table, y).transform(table)
    assert isinstance(out, pandas.DataFrame)
    assert_array_equal(out.index, table.index)
    assert_array_equal(out.columns, est.get_feature_names_out())
    assert_array_equal(est.feature_names_in_, table.columns)
    assert_allclose(out.to_numpy(), new(kind).fit(X, y).transform(X))


# Routing


def fitted_numbers(est):
    """Fitted numbers and arrays of an estimator and of its inner estimators."""
    found = {}
    for name, value in vars(est).items():
        if not name.endswith("_") or name.startswith("_"):
            continue
        if isinstance(value, (float, np.ndarray)) and np.size(value):
            found[name] = value
        elif isinstance(value, BaseEstimator):
            inner = fitted_numbers(value).items()
            found.update({f"{name}.{part}": number for part, number in inner})
    return {name: x for name, x in found.items() if np.asarray(x).dtype.kind == "f"}


@of_each("kind", WEIGHTED)
def test_weights_are_routed_where_they_are_asked_for(kind):
    X, y, weights = data()
    expected = fitted_numbers(new(kind).fit(X, y, sample_weight=weights))
    unweighted = fitted_numbers(new(kind).fit(X, y))
    assert any(not np.allclose(expected[k], unweighted[k]) for k in expected)
    with config_context(enable_metadata_routing=True):
        est = new(kind).set_fit_request(sample_weight=True)
        model = make_pipeline(FunctionTransformer(), est)
        model.fit(X, y, sample_weight=weights)
        found = fitted_numbers(model[-1])
        assert found.keys() == expected.keys()
        for name, value in expected.items():
            assert_allclose(found[name], value, err_msg=name)
        with pytest.raises(UnsetMetadataPassedError, match="sample_weight"):
            make_pipeline(FunctionTransformer(), new(kind)).fit(
                X, y, sample_weight=weights
            )


@of_each("kind", [one for one in WEIGHTED if hasattr(one, "partial_fit")])
def test_weights_of_partial_fit_can_be_asked_for(kind):
    with config_context(enable_metadata_routing=True):
        est = new(kind).set_partial_fit_request(sample_weight=True)
        request = est.get_metadata_routing().partial_fit.requests
    assert request["sample_weight"] is True


# Tags


@of_each("kind", ESTIMATORS)
def test_tags_say_what_is_so(kind):
    tags = get_tags(new(kind))
    X, y, _ = data()
    assert tags.requires_fit
    assert not tags.input_tags.sparse
    assert not tags.non_deterministic
    assert (tags.transformer_tags is not None) == hasattr(kind, "transform")
    if tags.transformer_tags is not None:
        for dtype in tags.transformer_tags.preserves_dtype:
            given = X.astype(dtype)
            assert new(kind).fit(given, y).transform(given).dtype == dtype
    if tags.target_tags.required:
        with pytest.raises(ValueError, match="y"):
            new(kind).fit(X, None)
    else:
        new(kind).fit(X)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda prior: SpectralDictionaryLearning(prior=prior),
        lambda prior: control.SpectralFilter(SpectralDictionaryLearning(prior=prior)),
        lambda prior: SpectralOutlierDetector(SpectralDictionaryLearning(prior=prior)),
        priors.ClassConditionalPrior,
        priors.LocalContrastPrior,
    ],
    ids=["model", "filter", "detector", "class_conditional", "local_contrast"],
)
def test_tags_of_a_prior_are_those_of_what_has_it(wrap):
    timed = priors.DiffusionPrior(max_time=1.0)
    assert get_tags(timed).non_deterministic
    assert get_tags(wrap(timed)).non_deterministic
    assert not get_tags(wrap(KernelDensity())).non_deterministic
    assert get_tags(wrap(priors.ClassConditionalPrior())).target_tags.required


def test_a_copy_has_the_requests_of_the_original():
    with config_context(enable_metadata_routing=True):
        est = SpectralDictionaryLearning().set_fit_request(sample_weight=True)
        request = clone(est).get_metadata_routing().fit.requests
    assert request == {"sample_weight": True}
